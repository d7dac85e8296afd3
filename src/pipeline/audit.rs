//! `audit`: retention alone. Listings, footers, label times; the time column of sources where footers do not suffice. No event is
//! replayed and no other column is read.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::monitor::Monitor;
use crate::output::{NewFile, OutputFolder};
use crate::pipeline::prepare::{Opened, open};
use crate::pipeline::reported;
use crate::pipeline::retained::{Look, Retained, cells, decide, gate, today};
use crate::pipeline::run::Outcome;
use crate::report::{self, LabelsReport, Note};
use crate::retention::{Cells, PartOfRows};
use crate::source::time::rfc3339;

/// How an audit is made.
#[derive(Debug, Clone, Copy)]
pub struct AuditOptions {
    pub look: Look,
    /// The day that the timeline counts from, nanoseconds since 1970; now where it is not given.
    pub today: Option<i64>,
}

/// Audits and writes report.json and report.html.
///
/// # Errors
/// Bad input; failures of storage.
pub async fn audit(config: Config, config_text: &str, options: AuditOptions, monitor: &dyn Monitor) -> Result<Outcome> {
    let opened = open(config).await?;
    let project = &opened.project;
    let config = &project.inputs.config;
    let out = project.inputs.stores.locate(&crate::config::resolve_uri(&config.base, &config.output.uri))?;
    let folder = OutputFolder::open(out).await?;
    let warnings = crate::pipeline::check(&opened).await;
    let times = project.inputs.labels.read_times(&opened.session).await?;
    let today = options.today.unwrap_or_else(today);
    let retained = Retained::open(project, &times, &opened.session, options.look, monitor).await?;
    let coverage = retained.coverage(&times);
    let cells = cells(&coverage);
    let legacy = snapshots_by_time(&opened, &times, &cells);
    let mut sums = retained.sums(project, times.last().copied(), today);
    sums.add(PartOfRows { times: &times, coverage: &coverage, cells: &cells, legacy: &legacy });
    let mut retention = retained.report(project, &sums, today);
    let mut report = reported::new_report(project);
    report.labels = Some(LabelsReport {
        rows: times.len() as u64,
        first: times.first().map(|t| rfc3339(*t)),
        last: times.last().map(|t| rfc3339(*t)),
    });
    (report.models, _) = decide(project, &sums, &vec![None; cells.len()], &mut retention);
    let uncovered = retention.features.iter().map(|f| f.truncated + f.gap).sum();
    report.gates.extend(gate(config, &report.models, uncovered, retention.today.as_deref()));
    report.findings.clone_from(&warnings);
    if !project.snapshots.is_empty() && legacy.iter().any(Option::is_some) {
        report.notes.push(Note {
            subject: "fallback".to_string(),
            note: "an audit tells by the times in a snapshot's footers which label rows it has; `run` matches them row by row"
                .to_string(),
        });
    }
    report.retention = Some(retention);
    reported::storage(project, &mut report);
    if folder.holds_dataset() {
        report.notes.push(Note {
            subject: "audit".to_string(),
            note: format!("`{}` holds the dataset of a run, so the audit is told but not written there: --out gives it a folder of its own", folder.uri()),
        });
    } else {
        write(&opened, &mut report, folder, config_text).await?;
    }
    Ok(Outcome { report, warnings })
}

/// By feature: the label rows within the times of a snapshot that has the feature.
fn snapshots_by_time(opened: &Opened, times: &[i64], cells: &[Cells]) -> Vec<Option<Vec<bool>>> {
    let mut has: Vec<Option<Vec<bool>>> = vec![None; cells.len()];
    for snapshot in &opened.project.snapshots {
        let range = snapshot.table.time_range(&snapshot.config.time);
        for column in &snapshot.columns {
            let own = has[column.feature].get_or_insert_with(|| vec![false; times.len()]);
            if let Some((first, last)) = range {
                own.iter_mut().zip(times).for_each(|(has, time)| *has |= (first..=last).contains(time));
            }
        }
    }
    has
}

async fn write(opened: &Opened, report: &mut report::Report, folder: OutputFolder, config_text: &str) -> Result<()> {
    let at = |name: &str| format!("{}/{name}", folder.uri().trim_end_matches('/'));
    report.outputs = ["report.json", "report.html", "manifest.json"]
        .map(|name| report::OutputReport { output: name.to_string(), uri: at(name), rows: None })
        .to_vec();
    let json = report::json(report).map_err(|e| Error::storage("write report.json", e))?;
    let files = vec![
        NewFile::memory("report.json", None, json.into_bytes()),
        NewFile::memory("report.html", None, report::html(report).into_bytes()),
    ];
    let manifest = |entries| {
        crate::pipeline::run::manifest(&opened.project, &[], "audit", entries, config_text, &report.generated_at)
    };
    folder.commit(files, manifest).await?;
    Ok(())
}

/// A day or an instant that was typed.
///
/// # Errors
/// What it should look like.
pub fn day(text: &str) -> Result<i64> {
    let day =
        chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|d| d.and_time(chrono::NaiveTime::MIN).and_utc());
    let instant = day.or_else(|| chrono::DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc()));
    instant.and_then(|t| t.timestamp_nanos_opt()).ok_or_else(|| {
        Error::input(
            Finding::error(format!("`{text}` is no day")).help("write it as 2026-03-01, or as 2026-03-01T12:00:00Z"),
        )
    })
}
