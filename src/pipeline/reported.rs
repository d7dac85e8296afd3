//! The report's parts from a run's results.

use crate::analysis::{Project, View};
use crate::diff::SnapshotDiff;
use crate::lookback::{FeatureLookback, widest};
use crate::monitor::thousands;
use crate::plan::Lookback;
use crate::replay::{Engine, EngineChoice, SelfCheck};
use crate::report::{self, Gate, GateKind, LabelsReport, Note, Report, ViewReport, ViewSource};
use crate::source::time::rfc3339;
use crate::sql::Spilled;

/// Views that are named as those that spilled most.
const MOST_SPILLING: usize = 3;

/// A report with what is known before any work.
pub(super) fn new_report(project: &Project) -> Report {
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let mut report = Report::new(project.inputs.config.project.name.clone(), env!("CARGO_PKG_VERSION"), now);
    report.choices = project.choices();
    report.set.clone_from(&project.inputs.config.set);
    report.config = Some(project.inputs.config.path.display().to_string());
    report.datafusion = Some(datafusion::DATAFUSION_VERSION.to_string());
    report
}

/// What has been asked of object stores so far.
pub(super) fn storage(project: &Project, report: &mut Report) {
    let asked = project.inputs.stores.requests();
    if asked.requests == 0 {
        return;
    }
    report.storage = Some(asked);
    if asked.retries > 0 {
        report.notes.push(Note {
            subject: "storage".to_string(),
            note: format!(
                "{} of {} requests to object stores were tried again: throttled, timed out or cut off",
                asked.retries, asked.requests
            ),
        });
    }
}

/// What did not fit the memory limit.
pub(super) fn spilled(spilled: Spilled, memory: Option<u64>, report: &mut Report) {
    if spilled.bytes == 0 {
        return;
    }
    report.spilled = Some(spilled);
    let mut by_view: Vec<(&str, u64)> = Vec::new();
    for view in report.chunks.iter().flat_map(|chunk| &chunk.views).filter(|view| view.spilled_bytes > 0) {
        match by_view.iter_mut().find(|(name, _)| *name == view.view) {
            Some((_, bytes)) => *bytes += view.spilled_bytes,
            None => by_view.push((&view.view, view.spilled_bytes)),
        }
    }
    by_view.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let told = by_view.iter().take(MOST_SPILLING).map(|(name, bytes)| format!("{} for `{name}`", report::size(*bytes)));
    let told: Vec<String> = told.collect();
    let of = if told.is_empty() { String::new() } else { format!(", of it {}", told.join(", ")) };
    let limit = memory.map_or_else(String::new, |limit| format!(" of {}", report::size(limit)));
    report.notes.push(Note {
        subject: "memory".to_string(),
        note: format!("{} did not fit the limit{limit} and waited on disk{of}", report::size(spilled.bytes)),
    });
}

pub(super) fn labels_report(times: &[i64]) -> LabelsReport {
    LabelsReport {
        rows: times.len() as u64,
        first: times.first().map(|t| rfc3339(*t)),
        last: times.last().map(|t| rfc3339(*t)),
    }
}

fn view_report(
    project: &Project,
    view: &View,
    engine: &str,
    reason: &str,
    lookbacks: &[FeatureLookback],
    helper: &[Lookback],
) -> ViewReport {
    ViewReport {
        view: view.name.clone(),
        engine: engine.to_string(),
        reason: reason.to_string(),
        keys: view.keys.iter().map(|k| k.label_name.clone()).collect(),
        sources: view_sources(project, view, lookbacks, helper),
    }
}

/// The widest lookback of the view's features in each source, also of what decides whether there is a row. A helper has no features: what
/// its plan says of it is told.
fn view_sources(project: &Project, view: &View, lookbacks: &[FeatureLookback], helper: &[Lookback]) -> Vec<ViewSource> {
    let own = |l: &&FeatureLookback| view.features.iter().any(|f| f.full_name() == l.feature);
    let reads: Vec<_> = lookbacks.iter().filter(own).flat_map(|l| l.reads.iter().chain(&l.presence)).collect();
    let logs = project.inputs.logs.iter().enumerate();
    logs.filter_map(|(source, log)| {
        let lookback = if view.is_helper() {
            let mut all = helper.iter().filter(|l| l.source == source).map(|l| l.duration.clone());
            let first = all.next()?;
            if all.all(|other| other == first) { first } else { None }
        } else {
            Some(widest(reads.iter().copied(), source)?.text)
        };
        let lookback = lookback.or_else(|| Some("unbounded".to_string()));
        Some(ViewSource { source: log.config.name.clone(), lookback })
    })
    .collect()
}

/// Of views by name with the engine that replayed them, and why that one.
pub(super) fn view_reports(
    project: &Project,
    engines: &[(String, Engine, String)],
    lookbacks: &[FeatureLookback],
) -> Vec<ViewReport> {
    let report = |(name, engine, reason): &(String, Engine, String)| {
        Some(view_report(project, project.view(name)?, engine.name(), reason, lookbacks, &[]))
    };
    engines.iter().filter_map(report).collect()
}

pub(super) fn choice_report(
    project: &Project,
    view: &View,
    choice: &EngineChoice,
    lookbacks: &[FeatureLookback],
) -> ViewReport {
    view_report(project, view, choice.engine.name(), &choice.reason, lookbacks, &choice.lookbacks)
}

/// The gates that the run's parts give.
pub(super) fn gates(project: &Project, snapshots: &[SnapshotDiff], check: Option<&SelfCheck>) -> Vec<Gate> {
    let mut gates = Vec::new();
    if !snapshots.is_empty() {
        gates.push(Gate::agreement(snapshots, project.inputs.config.diff.agreement));
    }
    if let Some(check) = check {
        let [cells, rows, differ] = [check.cells, check.rows, check.differences].map(|count| thousands(count as u64));
        let detail = match check.differences {
            0 => format!("{cells} cells of {rows} label rows equal the reference engine's"),
            _ => {
                format!("{differ} of {cells} cells differ from the reference engine's: {}", check.examples.join("; "))
            }
        };
        gates.push(Gate { gate: GateKind::SelfCheck, passed: check.differences == 0, detail });
    }
    gates
}

pub(super) fn self_check_report(check: &SelfCheck) -> report::SelfCheck {
    report::SelfCheck { rows: check.rows as u64, cells: check.cells as u64, differences: check.differences as u64 }
}
