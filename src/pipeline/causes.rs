//! Looks for the causes of what differs, and tells them where they belong: the diff, its cells, and the report's leakage.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::analysis::Project;
use crate::cause::{Groundwork, diagnose};
use crate::diff::{Cause, Mismatches, SnapshotDiff};
use crate::error::Result;
use crate::monitor::Monitor;
use crate::pipeline::compare::Sides;
use crate::pipeline::sample::Gathered;
use crate::report::{Leak, Note, Report, far_ahead, leak_clause, thousands};

/// By feature of a snapshot: the names of its causes, and which of them explains a label row, by number among all.
#[derive(Debug, Default)]
pub(super) struct Explained {
    features: Vec<(Vec<String>, HashMap<usize, u16>)>,
}

impl Explained {
    /// Tells the cells of a part, whose first label row is number `first`, what explains them.
    pub(super) fn tell(&self, mismatches: &mut Mismatches, first: usize, rows: usize) {
        for (at, (names, cause_of)) in self.features.iter().enumerate().filter(|(_, (names, _))| !names.is_empty()) {
            let own = cause_of.iter().filter(|(row, _)| (first..first + rows).contains(*row));
            mismatches.explain(at, names.clone(), own.map(|(row, cause)| (row - first, *cause)).collect());
        }
    }
}

/// Adds causes to a comparison, and to the report the legacy values that leak and the views that were left alone. `number`: of the
/// snapshot in the configuration; `sample`: the rows to look at.
///
/// # Errors
/// As [`diagnose`].
pub(super) async fn find_causes(
    groundwork: &Arc<Groundwork>,
    number: usize,
    snapshot: &mut SnapshotDiff,
    sample: Option<Gathered>,
    report: &mut Report,
    monitor: &dyn Monitor,
) -> Result<Explained> {
    let Some(sample) = sample else { return Ok(Explained::default()) };
    monitor.begin(&format!("looking for causes in {}", snapshot.snapshot), None);
    let project = groundwork.project();
    let sides = Sides {
        snapshot: &project.snapshots[number],
        labels: &sample.labels,
        features: &sample.features,
        covered: &sample.covered,
        legacy: &sample.legacy,
    };
    let compared = Arc::new(sides.cells(project)?);
    let found = diagnose(groundwork, &sample.labels, number, &compared).await;
    monitor.end();
    let found = found?;
    let mut explained = Explained { features: vec![Default::default(); snapshot.features.len()] };
    for found in found.features {
        let feature = &mut snapshot.features[found.feature];
        let (name, all) = (feature.feature.clone(), feature.mismatched);
        for (cause, leak) in found.causes.iter().zip(&found.leaks) {
            // What a cause explains without a look ahead is no leak.
            let Some(leak) = leak.filter(|leak| leak.cells > 0) else { continue };
            let rows = (leak.cells as f64 / found.tested.max(1) as f64 * all as f64).round() as u64;
            report.leakage.push(leaked(project, &snapshot.snapshot, &name, cause, (rows.max(1), leak.by)));
        }
        // Of a sample, what its share of all comes to.
        let compared = compared.compared(found.feature);
        let sampled = compared.mismatched().count() as u64 != all;
        let scaled = |cause: Cause| match sampled {
            true => Cause { mismatches: (cause.explains * all as f64) as u64, ..cause },
            false => cause,
        };
        feature.causes = found.causes.into_iter().map(scaled).collect();
        feature.unexplained = Some(found.unexplained);
        let row = |position: usize| sample.rows[compared.label_row(position)];
        explained.features[found.feature] = (
            feature.causes.iter().map(Cause::label).collect(),
            found.cause_of.into_iter().map(|(position, cause)| (row(position), cause)).collect(),
        );
    }
    for view in found.too_large.into_iter().collect::<BTreeSet<_>>() {
        let note = Note {
            note: "no causes are looked for: even a small sample of label rows reads more than is held in memory"
                .to_string(),
            subject: format!("view `{view}`"),
        };
        if !report.notes.contains(&note) {
            report.notes.push(note);
        }
    }
    Ok(explained)
}

fn leaked(project: &Project, snapshot: &str, feature: &str, cause: &Cause, (rows, by): (u64, Option<i64>)) -> Leak {
    let models = models_of(project, feature);
    let fed = if models.is_empty() { String::new() } else { format!("; it feeds {}", models.join(", ")) };
    let what = if rows == 1 { "legacy value" } else { "legacy values" };
    let clause = leak_clause(cause);
    let told = far_ahead(&clause, by);
    let sentence = format!("{} {what} of `{feature}`: {told}{fed}", thousands(rows));
    Leak {
        snapshot: snapshot.to_string(),
        feature: feature.to_string(),
        cause: cause.cause.clone(),
        rows,
        by,
        models,
        what: clause,
        sentence,
    }
}

/// The models that a feature feeds.
fn models_of(project: &Project, feature: &str) -> Vec<String> {
    let feeds = |pattern: &str| match pattern.strip_suffix(".*") {
        Some(view) => feature.split_once('.').is_some_and(|(own, _)| own == view),
        None => pattern == feature,
    };
    let models = project.inputs.config.models.iter();
    models.filter(|m| m.features.iter().any(|p| feeds(p))).map(|m| m.name.clone()).collect()
}
