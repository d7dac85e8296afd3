//! Looks for the causes of what differs, and tells them where they belong: the diff, its cells, and the report's leakage.

use std::collections::BTreeSet;

use datafusion::prelude::SessionContext;

use crate::analysis::Project;
use crate::cause::diagnose;
use crate::diff::Diff;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::report::{Leak, Note, Report, cause_clause, iso_nanos};
use crate::source::Labels;

/// Adds causes to the diffs, and to the report the legacy values that leak, in the order of snapshots and features, and the
/// views that were left alone.
///
/// # Errors
/// As [`diagnose`].
pub(super) async fn find_causes(
    project: &Project,
    labels: &Labels,
    diffs: &mut [Diff],
    session: &SessionContext,
    report: &mut Report,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut too_large = BTreeSet::new();
    for (number, diff) in diffs.iter_mut().enumerate() {
        monitor.begin(&format!("looking for causes in {}", diff.snapshot.snapshot), None);
        let found = diagnose(project, labels, number, diff, session).await;
        monitor.end();
        let snapshot = diff.snapshot.snapshot.clone();
        let found = found?;
        too_large.extend(found.too_large);
        for found in found.features {
            let name = diff.snapshot.features[found.feature].feature.clone();
            for (number, (cause, leak)) in found.causes.iter().zip(&found.leaks).enumerate() {
                let Some(by) = leak else { continue };
                let models = models_of(project, &name);
                let fed = if models.is_empty() { String::new() } else { format!("; it feeds {}", models.join(", ")) };
                // Cells that need the leak: what an earlier cause explains without one does not.
                let own = found.cause_of.values().filter(|c| usize::from(**c) == number).count();
                let all = diff.snapshot.features[found.feature].mismatched;
                let rows = (own as f64 / found.tested.max(1) as f64 * all as f64).round() as u64;
                let what = if rows == 1 { "legacy value" } else { "legacy values" };
                let clause = cause_clause(cause);
                let sentence = format!("{rows} {what} of `{name}`: {clause}{fed}");
                report.leakage.push(Leak {
                    snapshot: snapshot.clone(),
                    feature: name.clone(),
                    cause: cause.cause.clone(),
                    rows,
                    by: by.map(iso_nanos),
                    models,
                    what: clause,
                    sentence,
                });
            }
            let cells = found.cause_of.into_iter().collect();
            diff.explain(found.feature, found.causes, Some(found.unexplained), cells)
                .map_err(|e| Error::engine("tell the causes", datafusion::common::exec_datafusion_err!("{e}")))?;
        }
    }
    report.notes.extend(too_large.into_iter().map(|view| Note {
        note: "no causes are looked for: its sources are too large to hold in memory".to_string(),
        subject: format!("view `{view}`"),
    }));
    Ok(())
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
