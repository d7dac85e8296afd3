//! The commands that compute: `replay`, `diff`, `run`.

use std::time::{Duration, Instant};

use datafusion::arrow::array::{BooleanArray, RecordBatch};

use crate::analysis::Project;
use crate::config::{Config, resolve_uri, without_secrets};
use crate::dataset::{encode, encode_batches, natural};
use crate::diff::Diff;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::monitor::Monitor;
use crate::output::{FileEntry, InputEntry, Manifest, NewFile, OutputFolder, ViewEntry, sha256_hex};
use crate::pipeline::causes::find_causes;
use crate::pipeline::compare::compare;
use crate::pipeline::prepare::{Prepared, prepare};
use crate::pipeline::recover::{Mark, Provenance, Recovered, kept, legacy, recover};
use crate::pipeline::reported;
use crate::pipeline::retained::{Look, Retained, agreements, decide, gate, today};
use crate::pipeline::sources::count_sources;
use crate::replay::{Replay, ReplayOptions, ViewReplay, replay, self_check};
use crate::report::{self, Note, OutputReport, Report, Timing};
use crate::retention::Evidence;
use crate::source::ParquetTable;

/// How far a command goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// As-of values: dataset and manifest.
    Replay,
    /// As-of values against snapshots: mismatches and report.
    Diff,
    /// Everything.
    Run,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Diff => "diff",
            Self::Run => "run",
        }
    }

    fn diffs(self) -> bool {
        self != Self::Replay
    }

    fn writes_dataset(self) -> bool {
        self != Self::Diff
    }
}

/// What a command gave.
#[derive(Debug)]
pub struct Outcome {
    pub report: Report,
    pub warnings: Vec<Finding>,
}

/// Label rows in one file of the dataset.
const PART_ROWS: usize = 1_000_000;
/// Mismatches rendered at once.
const MISMATCH_ROWS: usize = 65_536;

/// Does the work and writes its outputs.
///
/// # Errors
/// Bad input, before anything is written; failures of storage or engine.
pub async fn run(
    config: Config,
    config_text: &str,
    work: Work,
    options: ReplayOptions,
    monitor: &dyn Monitor,
) -> Result<Outcome> {
    let mut clock = Clock::new();
    if work == Work::Diff && config.snapshots.is_empty() {
        return Err(Error::input(
            Finding::error("there is no snapshot to compare with")
                .at(config.place(""))
                .help("declare one: [snapshots.NAME]"),
        ));
    }
    let prepared = prepare(config, monitor).await?;
    let project = &prepared.opened.project;
    let config = &project.inputs.config;
    let out = project.inputs.stores.locate(&resolve_uri(&config.base, &config.output.uri))?;
    let folder = OutputFolder::open(out).await?;
    let warnings = crate::pipeline::check(&prepared.opened).await;
    let mut report = reported::new_report(project);
    report.labels = Some(reported::labels_report(&prepared.labels));
    report.findings.clone_from(&warnings);
    report.sources = count_sources(project, &prepared.opened.session).await?;
    clock.lap("open");
    let replayed = replay(project, &prepared.labels, &prepared.opened.session, options, monitor).await?;
    clock.lap("replay");
    let times = prepared.labels.times.values();
    let retained = Retained::open(project, times, &prepared.opened.session, Look::AsConfigured, monitor).await?;
    report.views = reported::view_reports(project, &replayed, &retained.lookbacks);
    let cells = retained.cells_of(project, &replayed);
    clock.lap("retention");
    let mut diffs = if work.diffs() {
        let covered: Vec<BooleanArray> =
            cells.iter().map(|own| own.iter().map(|c| Some(c.is_covered())).collect()).collect();
        compare(project, &prepared.labels, &replayed.features, &covered, &prepared.opened.session, monitor).await?
    } else {
        Vec::new()
    };
    clock.lap("diff");
    report.notes = notes(&prepared);
    find_causes(project, &prepared.labels, &mut diffs, &prepared.opened.session, &mut report, monitor).await?;
    clock.lap("causes");
    let session = &prepared.opened.session;
    let check = self_check(project, &prepared.labels, &replayed, session, clock.total(), monitor).await?;
    clock.lap("self-check");
    report.snapshots = diffs.iter().map(|d| d.snapshot.clone()).collect();
    report.gates = reported::gates(project, &diffs, Some(&check));
    let legacy = legacy(project, &prepared.labels, &cells, session).await?;
    let recovered = recover(project, &replayed, &cells, &legacy)?;
    let mut retention = retained.report(project, times, &cells, today());
    retention.dropped = recovered.dropped();
    for (i, feature) in retention.features.iter_mut().enumerate() {
        feature.legacy = recovered.legacy[i];
        feature.missing = Some(recovered.marks[i].iter().filter(|m| **m == Mark::Missing).count() as u64);
    }
    let evidence = Evidence {
        lookbacks: &retained.lookbacks,
        facts: &retained.facts,
        times,
        cells: &cells,
        legacy: &legacy.has,
        agreement: &agreements(project, &diffs),
    };
    (report.models, _) = decide(project, evidence, &mut retention);
    let uncovered = retention.features.iter().map(|f| f.truncated + f.gap).sum();
    report.gates.extend(gate(config, &report.models, uncovered));
    report.retention = Some(retention);
    report.self_check = Some(reported::self_check_report(&check));
    monitor.begin("writing", None);
    let written = write(&prepared, &replayed, &recovered, diffs, work, &mut report, folder, clock, config_text).await;
    monitor.end();
    written?;
    Ok(Outcome { report, warnings })
}

#[expect(clippy::too_many_arguments, reason = "the parts of one run, each of which goes into the output")]
async fn write(
    prepared: &Prepared,
    replayed: &Replay,
    recovered: &Recovered,
    diffs: Vec<Diff>,
    work: Work,
    report: &mut Report,
    folder: OutputFolder,
    mut clock: Clock,
    config_text: &str,
) -> Result<()> {
    let mut files = Vec::new();
    if work.writes_dataset() {
        // What is to fail for a cell that is not covered gives no dataset; provenance says which cells those are.
        if !recovered.refused {
            files.extend(dataset_files(prepared, recovered)?);
        }
        files.extend(provenance_files(prepared, recovered)?);
    }
    for diff in &diffs {
        files.extend(mismatch_file(diff)?);
    }
    clock.lap("encode");
    report.timings = clock.laps;
    report.outputs = outputs(folder.uri(), &files, work);
    reported::storage(&prepared.opened.project, report);
    if work.diffs() {
        let json = report::json(report).map_err(|e| Error::storage("write report.json", e))?;
        files.push(NewFile::memory("report.json", None, json.into_bytes()));
        files.push(NewFile::memory("report.html", None, report::html(report).into_bytes()));
    }
    let project = &prepared.opened.project;
    let manifest =
        |entries| manifest(project, &replayed.views, work.name(), entries, config_text, &report.generated_at);
    folder.commit(files, manifest).await?;
    Ok(())
}

fn dataset_files(prepared: &Prepared, recovered: &Recovered) -> Result<Vec<NewFile>> {
    let failed = |e: datafusion::error::DataFusionError| Error::engine("write the dataset", e);
    let project = &prepared.opened.project;
    let batch = natural(&prepared.labels, &project.features, &recovered.features).map_err(failed)?;
    let mut batch = kept(&batch, recovered).map_err(failed)?;
    if let Some(conform) = &prepared.opened.conform {
        batch = conform.apply(&batch).map_err(|e| {
            Error::input(
                Finding::error(e.to_string())
                    .at(project.inputs.config.place("dataset.schema_of"))
                    .help("cast the feature in its view, set its defaults, or drop `schema_of`"),
            )
        })?;
    }
    parts("dataset", &batch)
}

fn provenance_files(prepared: &Prepared, recovered: &Recovered) -> Result<Vec<NewFile>> {
    let project = &prepared.opened.project;
    let mut files = Vec::new();
    for (folder, left_out) in [("provenance", false), ("dropped", true)] {
        if left_out && recovered.dropped() == 0 {
            continue;
        }
        let all = Provenance::new(project, &prepared.labels, recovered, left_out)?;
        let parts: Vec<&[u32]> = if all.rows.is_empty() { vec![&[]] } else { all.rows.chunks(PART_ROWS).collect() };
        for (number, part) in parts.into_iter().enumerate() {
            let batches = part.chunks(MISMATCH_ROWS).map(|rows| all.batch(rows).map_err(Into::into));
            let bytes =
                encode_batches(&all.schema, batches).map_err(|e| Error::storage(format!("write {folder}/"), e))?;
            let path = format!("{folder}/part-{number:05}-{{}}.parquet");
            files.push(NewFile::memory(path, Some(part.len() as u64), bytes));
        }
    }
    Ok(files)
}

/// A table as files of a folder.
fn parts(folder: &str, batch: &RecordBatch) -> Result<Vec<NewFile>> {
    let failed = |e: datafusion::error::DataFusionError| Error::engine(format!("write {folder}/"), e);
    let rows = batch.num_rows();
    let starts: Vec<usize> = if rows == 0 { vec![0] } else { (0..rows).step_by(PART_ROWS).collect() };
    starts
        .into_iter()
        .enumerate()
        .map(|(number, start)| {
            let part = batch.slice(start, PART_ROWS.min(rows - start));
            let bytes = encode(&part).map_err(|e| failed(e.into()))?;
            let path = format!("{folder}/part-{number:05}-{{}}.parquet");
            Ok(NewFile::memory(path, Some(part.num_rows() as u64), bytes))
        })
        .collect()
}

fn mismatch_file(diff: &Diff) -> Result<Option<NewFile>> {
    let mismatches = &diff.mismatches;
    if mismatches.is_empty() {
        return Ok(None);
    }
    let external = |e: crate::diff::DiffError| datafusion::parquet::errors::ParquetError::External(Box::new(e));
    let batches = mismatches.batches(MISMATCH_ROWS).map(|b| b.map_err(external));
    let bytes = encode_batches(mismatches.schema(), batches).map_err(|e| Error::storage("write the mismatches", e))?;
    let path = format!("mismatches/{}/part-00000-{{}}.parquet", diff.snapshot.snapshot);
    Ok(Some(NewFile::memory(path, Some(mismatches.rows() as u64), bytes)))
}

fn outputs(uri: &str, files: &[NewFile], work: Work) -> Vec<OutputReport> {
    let at = |name: &str| format!("{}/{name}", uri.trim_end_matches('/'));
    let rows = |folder: &str| {
        let own = files.iter().filter(|f| f.path.starts_with(folder));
        own.filter_map(|f| f.rows).reduce(|a, b| a + b)
    };
    let mut outputs = Vec::new();
    if work.writes_dataset() {
        for folder in ["dataset", "provenance", "dropped"] {
            if let Some(rows) = rows(&format!("{folder}/")) {
                let uri = at(&format!("{folder}/"));
                outputs.push(OutputReport { output: folder.to_string(), uri, rows: Some(rows) });
            }
        }
    }
    if let Some(rows) = rows("mismatches/") {
        outputs.push(OutputReport { output: "mismatches".to_string(), uri: at("mismatches/"), rows: Some(rows) });
    }
    let fixed =
        if work.diffs() { &["report.json", "report.html", "manifest.json"][..] } else { &["manifest.json"][..] };
    outputs.extend(fixed.iter().map(|name| OutputReport { output: (*name).to_string(), uri: at(name), rows: None }));
    outputs
}

/// What a reader of the report has to know about this version and these inputs.
fn notes(prepared: &Prepared) -> Vec<Note> {
    let mut notes = Vec::new();
    for (key, array) in prepared.opened.project.inputs.config.labels.keys.iter().zip(&prepared.labels.keys) {
        let nulls = datafusion::arrow::array::Array::null_count(array);
        if nulls > 0 {
            notes.push(Note {
                subject: format!("label key {key}"),
                note: format!("NULL in {nulls} label rows: NULL matches nothing, so their features are missing"),
            });
        }
    }
    notes
}

pub(super) fn manifest(
    project: &Project,
    replayed: &[ViewReplay],
    command: &str,
    files: Vec<FileEntry>,
    config_text: &str,
    generated_at: &str,
) -> Manifest {
    let engine = |view: &str| replayed.iter().find(|v| v.view == view).map(|v| v.engine.name().to_string());
    let views = project.views.iter().map(|v| ViewEntry {
        view: v.name.clone(),
        engine: engine(&v.name),
        sql_sha256: sha256_hex(v.sql.text.as_bytes()),
    });
    let mut inputs = input_entries("labels", &project.inputs.labels.table);
    for log in &project.inputs.logs {
        inputs.extend(input_entries(&format!("sources.{}", log.config.name), &log.table));
    }
    for snapshot in project.snapshots.iter().filter(|_| command != Work::Replay.name()) {
        inputs.extend(input_entries(&format!("snapshots.{}", snapshot.config.name), &snapshot.table));
    }
    Manifest {
        format: 1,
        project: project.inputs.config.project.name.clone(),
        command: command.to_string(),
        generated_at: generated_at.to_string(),
        versions: crate::output::Versions::current(),
        config_sha256: sha256_hex(config_text.as_bytes()),
        views: views.collect(),
        inputs,
        files,
    }
}

fn input_entries(input: &str, table: &ParquetTable) -> Vec<InputEntry> {
    let entry = |file: &crate::source::DataFile| InputEntry {
        input: input.to_string(),
        uri: without_secrets(&file.uri),
        size: file.meta.size,
        etag: file.meta.e_tag.clone(),
        last_modified: file.meta.last_modified.to_rfc3339(),
    };
    table.files.files.iter().map(entry).collect()
}

/// How long each part took.
struct Clock {
    began: Instant,
    last: Instant,
    laps: Vec<Timing>,
}

impl Clock {
    fn new() -> Self {
        let now = Instant::now();
        Self { began: now, last: now, laps: Vec::new() }
    }

    fn lap(&mut self, phase: &str) {
        let now = Instant::now();
        self.laps.push(Timing { phase: phase.to_string(), seconds: (now - self.last).as_secs_f64() });
        self.last = now;
    }

    fn total(&self) -> Duration {
        self.began.elapsed()
    }
}
