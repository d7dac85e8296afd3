//! What is retained and what that covers, for a project and its label times; and that as parts of the report.

use std::sync::Arc;

use datafusion::arrow::array::BooleanArray;
use datafusion::prelude::SessionContext;

use crate::analysis::Project;
use crate::config::{Config, Unrecoverable};
use crate::diff::SnapshotDiff;
use crate::error::Result;
use crate::lookback::{FeatureLookback, SourceRead, lookbacks, widest, widest_of};
use crate::monitor::Monitor;
use crate::replay::Replay;
use crate::report::{Gate, GateKind, ModelFeature, ModelReport, Verdict, freeze_ends, thousands};
use crate::retention::{
    Cells, Decision, FeatureCoverage, FeatureRetention, FeatureSums, ModelDecision, ModelInput, PresenceReport,
    Reading, RetentionReport, RetentionSums, SourceFacts, SourceReach, TimelineEntry, coverage, expires, facts,
    timeline, verdicts,
};
use crate::source::time::rfc3339;

/// How much of the sources is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Listings and footers alone.
    Footers,
    /// The time column too where footers do not say when events are, or the configuration asks what footers can't answer.
    AsConfigured,
    /// The time column too, wherever a row group spans more than an hour.
    Closely,
}

/// Sources, lookbacks and what they cover.
#[derive(Debug)]
pub(super) struct Retained {
    pub facts: Vec<SourceFacts>,
    /// In the order of the project's features.
    pub lookbacks: Vec<FeatureLookback>,
}

/// The lookbacks of all features, in their order.
pub(super) fn all_lookbacks(project: &Project, session: &SessionContext) -> Vec<FeatureLookback> {
    let state = session.state();
    let configured = project.inputs.config.views.iter();
    let views = configured.filter_map(|c| project.view(&c.name));
    views.flat_map(|view| lookbacks(view, &project.inputs.logs, &state)).collect()
}

impl Retained {
    /// Looks at every source, and holds every feature's lookback against it. `times`: label times, ascending, nanoseconds.
    pub(super) async fn open(
        project: &Project,
        times: &[i64],
        session: &SessionContext,
        look: Look,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let logs = &project.inputs.logs;
        let until = times.last().copied();
        monitor.begin("looking at retention", Some(logs.len() as u64));
        let mut all = Vec::with_capacity(logs.len());
        for log in logs {
            let reading = match look {
                Look::Footers => Reading::Nothing,
                Look::AsConfigured => Reading::as_configured(log),
                Look::Closely => Reading::Long,
            };
            let looked = facts(log, &project.inputs.stores, until, reading).await;
            if looked.is_err() {
                monitor.end();
            }
            all.push(looked?);
            monitor.advance(1);
        }
        monitor.end();
        let lookbacks = all_lookbacks(project, session);
        Ok(Self { facts: all, lookbacks })
    }

    /// What covers label rows with these times, which ascend, by feature.
    pub(super) fn coverage(&self, times: &[i64]) -> Vec<FeatureCoverage> {
        coverage(&self.lookbacks, &self.facts, times)
    }

    /// Nothing added up yet. `last`: the last label time.
    pub(super) fn sums(&self, project: &Project, last: Option<i64>, today: i64) -> RetentionSums<'_> {
        RetentionSums::new(&self.lookbacks, &self.facts, model_inputs(project), last, today)
    }

    /// `retention` of the report but for what depends on models.
    pub(super) fn report(&self, project: &Project, sums: &RetentionSums<'_>, today: i64) -> RetentionReport {
        let timeline = timeline(sums);
        let sources: Vec<_> = self
            .facts
            .iter()
            .map(|f| {
                let mut report = f.report.clone();
                report.expires = expires(f).map(rfc3339);
                report
            })
            .collect();
        let features = self.lookbacks.iter().zip(&sums.features);
        let features = features.map(|(own, of)| feature_report(project, own, of, sums.labels)).collect();
        RetentionReport {
            bytes_read: sources.iter().map(|s| s.bytes_read).sum(),
            sources,
            features,
            deadline: timeline.deadline.map(rfc3339),
            timeline: timeline.entries,
            today: Some(rfc3339(today)),
            models: Vec::new(),
            dropped: 0,
        }
    }
}

/// By feature and label row, where nothing was replayed: as if the view had a row.
pub(super) fn cells(coverage: &[FeatureCoverage]) -> Vec<Cells> {
    coverage.iter().map(|c| Arc::clone(&c.there)).collect()
}

/// By feature and label row, for the label rows that were replayed: where the view has no row, what decides that is asked too.
pub(super) fn cells_of(project: &Project, replay: &Replay, coverage: &[FeatureCoverage]) -> Vec<Cells> {
    let mut known: Vec<(&str, &FeatureCoverage, Cells)> = Vec::new();
    let of = |(feature, own): (&crate::analysis::Feature, &'_ FeatureCoverage)| {
        let found = found(replay, &feature.view).filter(|found| found.has_false());
        let Some(found) = found.filter(|_| !Arc::ptr_eq(&own.there, &own.missing)) else {
            return Arc::clone(&own.there);
        };
        let pick = |row: usize| if found.value(row) { own.there[row] } else { own.missing[row] };
        Arc::new((0..own.there.len()).map(pick).collect())
    };
    let mut cells = Vec::with_capacity(coverage.len());
    for (feature, own) in project.features.iter().zip(coverage) {
        let alike = |(view, other, _): &&(&str, &FeatureCoverage, Cells)| {
            *view == feature.view && Arc::ptr_eq(&other.there, &own.there) && Arc::ptr_eq(&other.missing, &own.missing)
        };
        let made = known.iter().find(alike).map_or_else(|| of((feature, own)), |(_, _, cells)| Arc::clone(cells));
        known.push((&feature.view, own, Arc::clone(&made)));
        cells.push(made);
    }
    cells
}

fn feature_report(project: &Project, lookback: &FeatureLookback, sums: &FeatureSums, labels: u64) -> FeatureRetention {
    let [covered, truncated, gap] = sums.counts;
    FeatureRetention {
        feature: lookback.feature.clone(),
        lookback: widest_of(&lookback.reads).map_or_else(|| "PT0S".to_string(), |reach| reach.text),
        labels,
        covered,
        truncated,
        gap,
        covered_from: sums.covered_from().map(rfc3339),
        covered_since: sums.covered_since().map(rfc3339),
        sources: source_reaches(project, &lookback.reads),
        presence: presence(lookback, sums.uncertain),
        legacy: 0,
        missing: None,
        by_month: sums.by_month().to_vec(),
    }
}

/// Whether a view has a row, by label row.
pub(super) fn found<'a>(replay: &'a Replay, view: &str) -> Option<&'a BooleanArray> {
    replay.views.iter().find(|v| v.view == view).map(|v| &v.values.found)
}

/// How far back each source is read, and which of its columns.
pub(super) fn source_reaches(project: &Project, reads: &[SourceRead]) -> Vec<SourceReach> {
    let logs = project.inputs.logs.iter().enumerate();
    logs.filter_map(|(source, log)| {
        let reach = widest(reads, source)?;
        let read = reads.iter().filter(|r| r.source == source);
        let columns: std::collections::BTreeSet<usize> = read.flat_map(|r| r.columns.iter().copied()).collect();
        let name = |i: usize| log.schema.field(i).name().clone();
        let columns = columns.into_iter().map(name).collect();
        Some(SourceReach { source: log.config.name.clone(), lookback: reach.text, columns })
    })
    .collect()
}

fn presence(lookback: &FeatureLookback, uncertain: u64) -> Option<PresenceReport> {
    let reach = widest_of(&lookback.presence)?;
    Some(PresenceReport {
        lookback: reach.text,
        uncertain,
        help: "a label without a row in the view is only certain where this much is retained; it makes no difference \
               where `when_missing` is what the view gives a row without events in its windows (0 for a count)"
            .to_string(),
    })
}

/// The models of the configuration with the positions of their features.
pub(super) fn model_inputs(project: &Project) -> Vec<ModelInput> {
    let features = |patterns: &[String]| {
        let wanted = |f: &crate::analysis::Feature| {
            let all = format!("{}.*", f.view);
            patterns.iter().any(|p| *p == all || *p == f.full_name())
        };
        project.features.iter().enumerate().filter(|(_, f)| wanted(f)).map(|(i, _)| i).collect()
    };
    let models = project.inputs.config.models.iter();
    models
        .map(|m| ModelInput {
            model: m.name.clone(),
            features: features(&m.features),
            training_history: m.training_history,
        })
        .collect()
}

/// How well each feature agrees with the snapshots it was compared with.
pub(super) fn agreements(project: &Project, snapshots: &[SnapshotDiff]) -> Vec<Option<(bool, String)>> {
    let of = |name: String| {
        let own = snapshots.iter().flat_map(|s| s.features.iter().map(move |f| (&s.snapshot, f)));
        let mut own: Vec<_> = own.filter(|(_, f)| f.feature == name && f.compared > 0).collect();
        own.sort_by_key(|(_, f)| f.passed);
        let (snapshot, worst) = own.first()?;
        let agree = worst.equal + worst.within_tolerance;
        let (agree, all) = (thousands(agree), thousands(worst.compared));
        Some((worst.passed, format!("{agree} of {all} compared values agree with `{snapshot}`")))
    };
    project.features.iter().map(|f| of(f.full_name())).collect()
}

/// Verdicts, with what they say of months in the retention report and its timeline.
pub(super) fn decide(
    project: &Project,
    sums: &RetentionSums<'_>,
    agreement: &[Option<(bool, String)>],
    retention: &mut RetentionReport,
) -> (Vec<ModelReport>, Vec<ModelDecision>) {
    let decisions = verdicts(sums, agreement);
    let verdict = |decision: Decision| match decision {
        Decision::Retrain => Verdict::Retrain,
        Decision::Fallback => Verdict::Fallback,
        Decision::Freeze => Verdict::Freeze,
    };
    for decision in &decisions {
        retention.models.push(decision.months.clone());
        if let Some(at) = decision.trainable_from {
            retention.timeline.push(TimelineEntry {
                at: rfc3339(at),
                what: "trainable".to_string(),
                source: None,
                model: Some(decision.model.clone()),
                labels: None,
                lost: None,
                detail: format!("`{}` can be trained on replayed features alone", decision.model),
            });
        }
    }
    retention
        .timeline
        .sort_by(|a, b| (&a.at, &a.what, &a.source, &a.model).cmp(&(&b.at, &b.what, &b.source, &b.model)));
    let reports = decisions
        .iter()
        .map(|d| ModelReport {
            model: d.model.clone(),
            verdict: verdict(d.decision),
            until: d.until.clone(),
            features: d
                .features
                .iter()
                .map(|f| ModelFeature {
                    feature: project.features[f.feature].full_name(),
                    verdict: verdict(f.decision),
                    reason: f.reason.clone(),
                })
                .collect(),
        })
        .collect();
    (reports, decisions)
}

/// The gate of retention: every model has what it needs, and no cell is uncovered where that is to fail.
/// `today`: the day that the timeline counts from, RFC 3339.
pub(super) fn gate(config: &Config, models: &[ModelReport], uncovered: u64, today: Option<&str>) -> Option<Gate> {
    let fails = config.dataset.unrecoverable == Some(Unrecoverable::Fail);
    if models.is_empty() && !fails {
        return None;
    }
    let frozen: Vec<&ModelReport> = models.iter().filter(|m| m.verdict == Verdict::Freeze).collect();
    let mut said: Vec<String> = frozen
        .iter()
        .map(|m| {
            let short = m.features.iter().filter(|f| f.verdict == Verdict::Freeze);
            let features: Vec<String> = short.map(|f| format!("`{}`", f.feature)).collect();
            let ends = freeze_ends(m.until.as_deref(), today).unwrap_or_else(|| "for good".to_string());
            format!("model `{}` has to be frozen {ends}: {} not covered", m.model, features.join(", "))
        })
        .collect();
    let failed = fails && uncovered > 0;
    if failed {
        said.push(format!(
            "{uncovered} cells are not covered by retained events, and `dataset.unrecoverable` is \"fail\": no dataset was written"
        ));
    }
    if said.is_empty() {
        let what = if models.is_empty() {
            "every cell is covered".to_string()
        } else {
            "every model has what it needs".to_string()
        };
        said.push(what);
    }
    Some(Gate { gate: GateKind::Retention, passed: frozen.is_empty() && !failed, detail: said.join("; ") })
}

/// Now, in nanoseconds since 1970: what the timeline counts from where nothing else is said.
pub(super) fn today() -> i64 {
    chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX)
}
