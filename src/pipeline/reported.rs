//! The report's parts from a run's results.

use std::collections::BTreeMap;

use crate::analysis::{Project, View};
use crate::diff::Diff;
use crate::plan::Lookback;
use crate::replay::{EngineChoice, Replay, SelfCheck};
use crate::report::{self, Gate, GateKind, LabelsReport, Report, ViewReport, ViewSource};
use crate::source::Labels;
use crate::source::time::rfc3339;

/// A report with what is known before any work.
pub(super) fn new_report(project: &Project) -> Report {
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let mut report = Report::new(project.inputs.config.project.name.clone(), env!("CARGO_PKG_VERSION"), now);
    report.choices = project.choices();
    report.config = Some(project.inputs.config.path.display().to_string());
    report.datafusion = Some(datafusion::DATAFUSION_VERSION.to_string());
    report
}

pub(super) fn labels_report(labels: &Labels) -> LabelsReport {
    let times = labels.times.values();
    LabelsReport {
        rows: labels.rows() as u64,
        first: times.first().map(|t| rfc3339(*t)),
        last: times.last().map(|t| rfc3339(*t)),
    }
}

pub(super) fn view_report(
    project: &Project,
    view: &View,
    engine: &str,
    reason: &str,
    lookbacks: &[Lookback],
) -> ViewReport {
    ViewReport {
        view: view.name.clone(),
        engine: engine.to_string(),
        reason: reason.to_string(),
        keys: view.keys.iter().map(|k| k.label_name.clone()).collect(),
        sources: view_sources(project, lookbacks),
    }
}

/// The widest lookback in each source; `unbounded` is wider than any.
fn view_sources(project: &Project, lookbacks: &[Lookback]) -> Vec<ViewSource> {
    let mut by_source: BTreeMap<usize, Vec<Option<&str>>> = BTreeMap::new();
    for lookback in lookbacks {
        by_source.entry(lookback.source).or_default().push(lookback.duration.as_deref());
    }
    let widest = |all: Vec<Option<&str>>| match all.as_slice() {
        [Some(one)] => Some((*one).to_string()),
        // Several readings of one source: which is wider depends on the calendar, so only "unbounded" is told.
        several if several.contains(&None) => Some("unbounded".to_string()),
        _ => None,
    };
    by_source
        .into_iter()
        .map(|(source, all)| ViewSource {
            source: project.inputs.logs[source].config.name.clone(),
            lookback: widest(all),
        })
        .collect()
}

pub(super) fn view_reports(project: &Project, replay: &Replay) -> Vec<ViewReport> {
    let report = |r: &crate::replay::ViewReplay| {
        project.view(&r.view).map(|v| view_report(project, v, r.engine.name(), &r.reason, &r.lookbacks))
    };
    replay.views.iter().filter_map(report).collect()
}

pub(super) fn choice_report(project: &Project, view: &View, choice: &EngineChoice) -> ViewReport {
    view_report(project, view, choice.engine.name(), &choice.reason, &choice.lookbacks)
}

/// The gates that the run's parts give.
pub(super) fn gates(project: &Project, diffs: &[Diff], check: Option<&SelfCheck>) -> Vec<Gate> {
    let mut gates = Vec::new();
    if !diffs.is_empty() {
        let snapshots: Vec<_> = diffs.iter().map(|d| d.snapshot.clone()).collect();
        gates.push(Gate::agreement(&snapshots, project.inputs.config.diff.agreement));
    }
    if let Some(check) = check {
        let detail = match check.differences {
            0 => format!("{} cells of {} label rows equal the reference engine's", check.cells, check.rows),
            n => format!(
                "{n} of {} cells differ from the reference engine's: {}",
                check.cells,
                check.examples.join("; ")
            ),
        };
        gates.push(Gate { gate: GateKind::SelfCheck, passed: check.differences == 0, detail });
    }
    gates
}

pub(super) fn self_check_report(check: &SelfCheck) -> report::SelfCheck {
    report::SelfCheck { rows: check.rows as u64, cells: check.cells as u64, differences: check.differences as u64 }
}
