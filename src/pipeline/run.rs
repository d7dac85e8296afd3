//! The commands that compute: `replay`, `diff`, `run`.
//!
//! The work goes over chunks of label time, so that memory holds one of them and not the whole: a chunk's views are replayed or found
//! kept ([`Replayer`]), held against what is retained and against the snapshots, and its rows of the dataset are written. What has to be
//! known of all rows is added up on the way. Causes are looked for on rows picked from all chunks, and the mismatches written after
//! that, in a second pass over the kept values.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, BooleanArray, RecordBatch};
use serde::Serialize;
use serde_json::json;

use crate::analysis::Project;
use crate::cause::Groundwork;
use crate::checkpoint::Checkpoints;
use crate::config::{Causes, Config, resolve_uri, without_secrets};
use crate::diff::{Mismatches, Part, SnapshotDiff, Totals, Worst};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::monitor::Monitor;
use crate::output::{
    ChunkEntry, FileEntry, InputEntry, Listed, Manifest, NewFile, OutputFolder, ViewEntry, sha256_hex,
};
use crate::pipeline::causes::{Explained, find_causes};
use crate::pipeline::chunking::{memory, weights};
use crate::pipeline::clock::Clock;
use crate::pipeline::compare::{Sides, finished};
use crate::pipeline::events::Events;
use crate::pipeline::files::{MismatchTable, Tables};
use crate::pipeline::prepare::{Opened, with_spine};
use crate::pipeline::recover::{Mark, Recovered, legacy, recover};
use crate::pipeline::replayed::{Replayed, Replayer, bounds};
use crate::pipeline::reported;
use crate::pipeline::retained::{Look, Retained, agreements, cells_of, decide, gate, today};
use crate::pipeline::sample::{Picking, Sample};
use crate::pipeline::snapshots::SnapshotRows;
use crate::pipeline::sources::count_sources;
use crate::pipeline::spine::Spine;
use crate::pipeline::standing::{Standing, identity, keep, standing};
use crate::pipeline::stop::Stop;
use crate::replay::{Chunk, Engine, Replay, ReplayOptions, SelfCheck, chunks, self_check};
use crate::report::{self, ChunkReport, Note, OutputReport, Report, Style};
use crate::retention::{Cells, FeatureCoverage, PartOfRows, RetentionSums, covered, each_once};
use crate::source::{Labels, ParquetTable};

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
    pub(super) fn name(self) -> &'static str {
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

/// How a command that computes is to go about it.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    pub work: Work,
    pub replay: ReplayOptions,
    /// Whether nothing that earlier runs left is to be used.
    pub fresh: bool,
}

/// What a command gave.
#[derive(Debug)]
pub struct Outcome {
    pub report: Report,
    pub warnings: Vec<Finding>,
}

/// What a command that computes came to.
#[derive(Debug)]
pub enum Ran {
    Done(Box<Outcome>),
    /// The same run stands already.
    Stands(Standing),
}

/// The share of the memory for label rows that are held from chunk to chunk, and as much for each snapshot and for what causes are
/// looked for in.
const HELD_SHARE: u64 = 8;
/// Columns of the summary that is kept.
const SUMMARY_WIDTH: usize = 100;
/// Label rows that the self-check looks at in all chunks together.
const CHECKED_ROWS: usize = 256;
/// The share of the run's time that the self-check may take.
const CHECK_SHARE: u32 = 10;

/// So long a run that failed waits until its end is written down.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Does the work and writes its outputs.
///
/// # Errors
/// Bad input, before anything is written; failures of storage or engine.
pub async fn run(
    config: Config,
    config_text: &str,
    options: RunOptions,
    stop: &Stop,
    monitor: &dyn Monitor,
) -> Result<Ran> {
    let clock = Clock::new();
    if options.work == Work::Diff && config.snapshots.is_empty() {
        return Err(Error::input(
            Finding::error("there is no snapshot to compare with")
                .at(config.place(""))
                .help("declare one: [snapshots.NAME]"),
        ));
    }
    let opened = stop.unless(Box::pin(crate::pipeline::open(config))).await?;
    let inputs = &opened.project.inputs;
    let out = inputs.stores.locate(&resolve_uri(&inputs.config.base, &inputs.config.output.uri))?;
    let folder = stop.unless(OutputFolder::open(out)).await?;
    let identity = identity(&opened.project, options.work.name(), options.replay.engine, config_text);
    if !options.fresh {
        match stop.unless(standing(folder.location(), folder.standing(), &identity)).await? {
            Ok(standing) => return Ok(Ran::Stands(standing)),
            Err(Some(file)) => {
                monitor.note(&format!("`{file}` of the run that stands is gone or damaged: it is made again"))
            }
            Err(None) => {}
        }
    }
    let mut events = Events::new(folder.location());
    let what = json!({ "command": options.work.name(), "project": inputs.config.project.name });
    stop.unless(events.tell("start", what)).await?;
    let making = made(opened, config_text, (options, identity), folder, (&mut events, clock), monitor);
    match Box::pin(stop.unless(making)).await {
        Ok(outcome) => {
            events.tell("done", json!({ "passed": outcome.report.passed() })).await?;
            Ok(Ran::Done(Box::new(outcome)))
        }
        Err(e) => {
            // What stopped the run is told first; that it could not be written down as well is no news.
            let told = match &e {
                Error::Interrupted => events.tell("interrupted", json!({})),
                e => events.tell("failed", json!({ "error": e.to_string() })),
            };
            let _ = tokio::time::timeout(LAST_WORDS, told).await;
            Err(e)
        }
    }
}

async fn made(
    opened: Opened,
    config_text: &str,
    (options, identity): (RunOptions, String),
    folder: OutputFolder,
    (events, mut clock): (&mut Events, Clock),
    monitor: &dyn Monitor,
) -> Result<Outcome> {
    let memory = memory(&opened.project.inputs.config);
    let (opened, spine) = with_spine(opened, memory / HELD_SHARE, monitor).await?;
    let (project, session) = (&opened.project, &opened.session);
    let config = &project.inputs.config;
    let warnings = crate::pipeline::check(&opened).await;
    let mut report = reported::new_report(project);
    report.labels = Some(reported::labels_report(spine.times()));
    report.findings.clone_from(&warnings);
    report.sources = count_sources(project, session).await?;
    clock.lap("open");
    let retained = Retained::open(project, spine.times(), session, Look::AsConfigured, monitor).await?;
    clock.lap("retention");
    let cut =
        chunks(spine.times(), config.run.chunk, weights(project, &retained.lookbacks, spine.times().last().copied()));
    let work = options.work;
    let mut snapshots = Vec::new();
    for snapshot in &project.snapshots {
        let held = if work.diffs() { memory / HELD_SHARE } else { 0 };
        snapshots.push(SnapshotRows::open(snapshot, held, session).await?);
    }
    let checkpoints = Checkpoints::new(folder.location().clone(), options.fresh);
    let mut run = Run {
        opened: &opened,
        spine: &spine,
        retained: &retained,
        snapshots,
        replayer: Replayer::new(&opened, options.replay, checkpoints, folder.standing()),
        work,
        groundwork: Arc::new(Groundwork::new(&opened.project, &opened.session, memory / HELD_SHARE)),
        one: None,
        cut,
    };
    let today = today();
    let mut sums = run.first_pass(today, (events, &mut clock), &mut report, monitor).await?;
    report.notes.extend(null_keys(project, &sums.null_keys));
    let (files, diffs) = run.second_pass(&mut sums, &mut clock, &mut report, monitor).await?;
    report.snapshots = diffs;
    report.gates = reported::gates(project, &report.snapshots, Some(&sums.check));
    report.views = reported::view_reports(project, &sums.engines, &retained.lookbacks);
    let mut retention = retained.report(project, &sums.retention, today);
    retention.dropped = sums.dropped;
    for (i, feature) in retention.features.iter_mut().enumerate() {
        feature.legacy = sums.legacy[i];
        feature.missing = Some(sums.missing[i]);
    }
    let agreement = agreements(project, &report.snapshots);
    (report.models, _) = decide(project, &sums.retention, &agreement, &mut retention);
    let uncovered = retention.features.iter().map(|f| f.truncated + f.gap).sum();
    report.gates.extend(gate(config, &report.models, uncovered, retention.today.as_deref()));
    report.retention = Some(retention);
    report.self_check = Some(reported::self_check_report(&sums.check));
    clock.lap("retention");
    monitor.begin("writing", None);
    let mut all = sums.tables.finish(sums.refused).await?;
    all.extend(files);
    clock.lap("encode");
    report.timings = clock.laps();
    report.outputs = outputs(folder.uri(), &all, work);
    reported::storage(project, &mut report);
    reported::spilled(opened.spills.now(), config.run.memory, &mut report);
    let json = report::json(&report).map_err(|e| Error::storage("write report.json", e))?;
    if work.diffs() {
        all.push(NewFile::memory("report.json", None, json.clone().into_bytes()));
        all.push(NewFile::memory("report.html", None, report::html(&report).into_bytes()));
    }
    let engines = std::mem::take(&mut sums.engines);
    let kept = std::mem::take(&mut sums.kept);
    let generated_at = report.generated_at.clone();
    let manifest = |files| Manifest {
        chunks: kept,
        identity: Some(identity.clone()),
        ..manifest(project, &engines, work.name(), files, config_text, &generated_at)
    };
    let output = folder.location().clone();
    let written = folder.commit(all, manifest).await;
    monitor.end();
    written?;
    let summary = report::summary(&report, Style { color: false, width: SUMMARY_WIDTH });
    keep(&output, &identity, &json, summary).await?;
    run.replayer.checkpoints.clear_others().await?;
    Ok(Outcome { report, warnings })
}

/// A run at work.
struct Run<'a> {
    opened: &'a Opened,
    spine: &'a Spine,
    retained: &'a Retained,
    snapshots: Vec<SnapshotRows<'a>>,
    replayer: Replayer<'a>,
    work: Work,
    groundwork: Arc<Groundwork>,
    cut: Vec<Chunk>,
    /// Where there is one chunk alone: what was computed of it.
    one: Option<Computed>,
}

/// All that is known of one chunk.
struct Computed {
    labels: Labels,
    replayed: Replayed,
    coverage: Vec<FeatureCoverage>,
    cells: Vec<Cells>,
    covered: Vec<BooleanArray>,
    /// By snapshot: the rows that may match.
    legacy: Vec<RecordBatch>,
    /// By snapshot, where it is compared.
    parts: Vec<Part>,
}

/// What is added up over all chunks.
struct Sums<'a> {
    /// By view: name, engine, why.
    engines: Vec<(String, Engine, String)>,
    retention: RetentionSums<'a>,
    /// By feature: cells taken from a snapshot, cells where the view has no row.
    legacy: Vec<u64>,
    missing: Vec<u64>,
    dropped: u64,
    refused: bool,
    null_keys: Vec<usize>,
    check: SelfCheck,
    checking: Duration,
    tables: Tables,
    /// By snapshot.
    totals: Vec<Totals>,
    picking: Vec<Picking>,
    kept: Vec<ChunkEntry>,
}

impl<'a> Run<'a> {
    async fn computed(&mut self, number: usize, clock: &mut Clock, monitor: &dyn Monitor) -> Result<Computed> {
        let (project, session) = (&self.opened.project, &self.opened.session);
        let chunk = &self.cut[number];
        let labels = self.spine.chunk(&project.inputs.labels, chunk, session).await?;
        clock.lap("open");
        let replayed = self.replayer.chunk(chunk, &labels, monitor).await?;
        clock.lap("replay");
        let coverage = self.retained.coverage(labels.times.values());
        let cells = cells_of(project, &replayed.replay, &coverage);
        let covered: Vec<BooleanArray> = each_once(&cells, |own| covered(own));
        clock.lap("retention");
        let short = covered.iter().any(|own| own.false_count() > 0);
        let mut legacy = Vec::new();
        if self.work.diffs() || short {
            for snapshot in &self.snapshots {
                legacy.push(snapshot.of(chunk, session).await?);
            }
        }
        let mut parts = Vec::new();
        for (rows, legacy) in self.snapshots.iter().zip(&legacy).filter(|_| self.work.diffs()) {
            let (snapshot, features) = (rows.snapshot, replayed.replay.features.as_slice());
            monitor.begin(&format!("diffing {}", snapshot.config.name), Some(legacy.num_rows() as u64));
            let sides = Sides { snapshot, labels: &labels, features, covered: &covered, legacy };
            let part = sides.compare(project);
            monitor.end();
            parts.push(part?);
        }
        clock.lap("diff");
        Ok(Computed { labels, replayed, coverage, cells, covered, legacy, parts })
    }

    /// Computes every chunk, adds up what has to be known of all, and writes the rows of the dataset.
    async fn first_pass(
        &mut self,
        today: i64,
        (events, clock): (&mut Events, &mut Clock),
        report: &mut Report,
        monitor: &dyn Monitor,
    ) -> Result<Sums<'a>> {
        let project = &self.opened.project;
        let (features, snapshots) = (project.features.len(), self.snapshots.len());
        let mut sums = Sums {
            engines: Vec::new(),
            retention: self.retained.sums(project, self.spine.times().last().copied(), today),
            legacy: vec![0; features],
            missing: vec![0; features],
            dropped: 0,
            refused: false,
            null_keys: vec![0; project.inputs.config.labels.keys.len()],
            check: SelfCheck::default(),
            checking: Duration::ZERO,
            tables: Tables::default(),
            totals: std::iter::repeat_with(Totals::default).take(snapshots).collect(),
            picking: std::iter::repeat_with(Picking::default).take(snapshots).collect(),
            kept: Vec::new(),
        };
        let count = self.cut.len();
        for number in 0..count {
            monitor.chunk(number, count);
            let began = Instant::now();
            let mut computed = self.computed(number, clock, monitor).await?;
            self.add(number, &mut computed, &mut sums, clock, monitor).await?;
            let (from, until) = bounds(&self.cut[number]);
            let views = std::mem::take(&mut computed.replayed.views);
            let told = ChunkReport { from, until, rows: computed.labels.rows() as u64, views };
            let what = json!({ "chunk": number + 1, "of": count, "from": told.from, "until": told.until,
                "rows": told.rows, "seconds": began.elapsed().as_secs_f64(), "views": told.views });
            events.tell("chunk", what).await?;
            report.chunks.push(told);
            if count == 1 {
                self.one = Some(computed);
            }
        }
        Ok(sums)
    }

    async fn add(
        &mut self,
        number: usize,
        computed: &mut Computed,
        sums: &mut Sums<'a>,
        clock: &mut Clock,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let (project, session) = (&self.opened.project, &self.opened.session);
        let first = self.cut[number].rows.start;
        let Computed { labels, replayed, coverage, cells, legacy: batches, parts, .. } = computed;
        let sample = project.inputs.config.diff.sample.max(1);
        for (at, part) in parts.iter_mut().enumerate() {
            sums.totals[at].add(part);
            if project.inputs.config.diff.causes != Causes::None {
                sums.picking[at].add(part, first, sample);
            }
        }
        if number + 1 == self.cut.len() {
            parts.iter().enumerate().for_each(|(at, part)| self.groundwork.lay(at, &part.mismatches));
        }
        clock.lap("diff");
        note_engines(&mut sums.engines, &replayed.replay);
        sums.kept.append(&mut replayed.kept);
        // The check goes with the chunks, so that late label rows are looked at, too.
        let due = sums.check.rows * self.cut.len() <= CHECKED_ROWS * number;
        let affordable = number == 0 || sums.checking * CHECK_SHARE <= clock.total();
        if due && affordable && sums.check.rows < CHECKED_ROWS {
            let began = Instant::now();
            let spent = clock.total().saturating_sub(sums.checking * CHECK_SHARE);
            let check = self_check(project, labels, &replayed.replay, session, spent, monitor).await?;
            sums.checking += began.elapsed();
            sums.check.add(check);
        }
        clock.lap("self-check");
        let found = legacy(project, labels, cells, batches)?;
        let recovered = recover(project, &replayed.replay, cells, &found)?;
        note_recovered(sums, &recovered);
        let times = labels.times.values();
        sums.retention.add(PartOfRows { times, coverage, cells, legacy: &found.has });
        sums.null_keys.iter_mut().zip(&labels.keys).for_each(|(count, key)| *count += key.null_count());
        clock.lap("retention");
        if self.work.writes_dataset() {
            sums.tables.add(project, self.opened.conform.as_ref(), labels, &recovered).await?;
        }
        clock.lap("encode");
        Ok(())
    }

    /// Looks for causes, and writes the cells that differ with what explains them.
    async fn second_pass(
        &mut self,
        sums: &mut Sums<'a>,
        clock: &mut Clock,
        report: &mut Report,
        monitor: &dyn Monitor,
    ) -> Result<(Vec<NewFile>, Vec<SnapshotDiff>)> {
        if !self.work.diffs() {
            return Ok((Vec::new(), Vec::new()));
        }
        let project = &self.opened.project;
        let totals = std::mem::take(&mut sums.totals);
        let mut diffs: Vec<SnapshotDiff> = project
            .snapshots
            .iter()
            .zip(totals)
            .map(|(snapshot, totals)| finished(project, snapshot, totals))
            .collect();
        let picked: Vec<BTreeSet<usize>> = std::mem::take(&mut sums.picking).into_iter().map(Picking::finish).collect();
        let mut samples: Vec<Sample> = Vec::new();
        samples.resize_with(picked.len(), Sample::default);
        if picked.iter().any(|rows| !rows.is_empty()) {
            for number in 0..self.cut.len() {
                let computed = self.again(number, clock, monitor).await?;
                let first = self.cut[number].rows.start;
                for (at, part) in computed.parts.iter().enumerate() {
                    let values = (computed.replayed.replay.features.as_slice(), computed.covered.as_slice());
                    samples[at]
                        .add(&picked[at], (part, first), &computed.labels, values, &computed.legacy[at])
                        .map_err(|e| Error::engine("gather the rows that differ", e.into()))?;
                }
                self.done_with(computed);
            }
        }
        clock.lap("diff");
        let mut explained = Vec::new();
        for (at, (diff, sample)) in diffs.iter_mut().zip(samples).enumerate() {
            let sample = sample.gathered().map_err(|e| Error::engine("gather the rows that differ", e.into()))?;
            let found = find_causes(&self.groundwork, at, diff, sample, report, monitor);
            explained.push(Box::pin(found).await?);
        }
        clock.lap("causes");
        let files = self.mismatches(&mut diffs, &explained, clock, monitor).await?;
        Ok((files, diffs))
    }

    async fn mismatches(
        &mut self,
        diffs: &mut [SnapshotDiff],
        explained: &[Explained],
        clock: &mut Clock,
        monitor: &dyn Monitor,
    ) -> Result<Vec<NewFile>> {
        if diffs.iter().all(|diff| diff.features.iter().all(|f| f.mismatched == 0)) {
            return Ok(Vec::new());
        }
        let mut tables: Vec<MismatchTable> = diffs.iter().map(|diff| MismatchTable::new(&diff.snapshot)).collect();
        let mut worst: Vec<Vec<Worst>> = diffs
            .iter()
            .map(|diff| std::iter::repeat_with(Worst::default).take(diff.features.len()).collect())
            .collect();
        for number in 0..self.cut.len() {
            let mut computed = self.again(number, clock, monitor).await?;
            let rows = self.cut[number].rows.clone();
            for (at, part) in computed.parts.iter_mut().enumerate() {
                let mismatches: &mut Mismatches = &mut part.mismatches;
                explained[at].tell(mismatches, rows.start, rows.len());
                for (feature, worst) in worst[at].iter_mut().enumerate() {
                    worst
                        .add(mismatches, feature, rows.start)
                        .map_err(|e| Error::engine("show cells", datafusion::common::exec_datafusion_err!("{e}")))?;
                }
                tables[at].add(mismatches).await?;
            }
            self.done_with(computed);
        }
        for (diff, worst) in diffs.iter_mut().zip(worst) {
            for (feature, worst) in diff.features.iter_mut().zip(worst) {
                feature.worst = worst.finish();
            }
        }
        let mut files = Vec::new();
        for table in tables {
            files.extend(table.finish().await?);
        }
        clock.lap("encode");
        Ok(files)
    }

    /// A chunk that was computed before, from what was kept of it.
    async fn again(&mut self, number: usize, clock: &mut Clock, monitor: &dyn Monitor) -> Result<Computed> {
        match self.one.take() {
            Some(computed) => Ok(computed),
            None => {
                self.replayer.checkpoints.trust();
                self.computed(number, clock, monitor).await
            }
        }
    }

    fn done_with(&mut self, computed: Computed) {
        if self.cut.len() == 1 {
            self.one = Some(computed);
        }
    }
}

/// Where chunks were replayed by several engines, the slowest is told.
fn note_engines(engines: &mut Vec<(String, Engine, String)>, replay: &Replay) {
    let cost = |engine: Engine| match engine {
        Engine::Auto | Engine::Sweep => 0,
        Engine::Rewrite => 1,
        Engine::Reference => 2,
    };
    for view in &replay.views {
        let told = (view.view.clone(), view.engine, view.reason.clone());
        match engines.iter_mut().find(|(name, ..)| *name == view.view) {
            None => engines.push(told),
            Some(known) if cost(known.1) < cost(view.engine) => *known = told,
            Some(_) => {}
        }
    }
}

fn note_recovered(sums: &mut Sums<'_>, recovered: &Recovered) {
    sums.dropped += recovered.dropped();
    sums.refused |= recovered.refused;
    sums.legacy.iter_mut().zip(&recovered.legacy).for_each(|(own, other)| *own += other);
    let missing = each_once(&recovered.marks, |marks| marks.iter().filter(|m| **m == Mark::Missing).count() as u64);
    sums.missing.iter_mut().zip(missing).for_each(|(own, other)| *own += other);
}

/// Label keys that are NULL somewhere: what a reader of the report has to know about these inputs.
fn null_keys(project: &Project, counts: &[usize]) -> Vec<Note> {
    let keys = project.inputs.config.labels.keys.iter().zip(counts).filter(|(_, nulls)| **nulls > 0);
    keys.map(|(key, nulls)| Note {
        subject: format!("label key {key}"),
        note: format!("NULL in {nulls} label rows: NULL matches nothing, so their features are missing"),
    })
    .collect()
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

pub(super) fn manifest(
    project: &Project,
    engines: &[(String, Engine, String)],
    command: &str,
    files: Vec<FileEntry>,
    config_text: &str,
    generated_at: &str,
) -> Manifest<impl Serialize> {
    let engine = |view: &str| engines.iter().find(|(name, ..)| name == view).map(|(_, e, _)| e.name().to_string());
    let views = project.views.iter().map(|v| ViewEntry {
        view: v.name.clone(),
        engine: engine(&v.name),
        sql_sha256: sha256_hex(v.sql.text.as_bytes()),
    });
    let with_snapshots = command != Work::Replay.name();
    let inputs = move || {
        let sources = project.inputs.logs.iter().map(|l| (format!("sources.{}", l.config.name), l.table.as_ref()));
        let snapshots = project.snapshots.iter().filter(move |_| with_snapshots);
        let snapshots = snapshots.map(|s| (format!("snapshots.{}", s.config.name), s.table.as_ref()));
        let labels = ("labels".to_string(), project.inputs.labels.table.as_ref());
        std::iter::once(labels).chain(sources).chain(snapshots).flat_map(|(input, table)| input_entries(input, table))
    };
    Manifest {
        format: 1,
        project: project.inputs.config.project.name.clone(),
        command: command.to_string(),
        generated_at: generated_at.to_string(),
        versions: crate::output::Versions::current(),
        config_sha256: sha256_hex(config_text.as_bytes()),
        views: views.collect(),
        inputs: Listed::new(inputs),
        files,
        chunks: Vec::new(),
        identity: None,
    }
}

fn input_entries(input: String, table: &ParquetTable) -> impl Iterator<Item = InputEntry> {
    let entry = move |file: &crate::source::DataFile| InputEntry {
        input: input.clone(),
        uri: without_secrets(&file.uri()),
        size: file.meta.size,
        etag: file.meta.e_tag.clone(),
        last_modified: file.meta.last_modified.to_rfc3339(),
    };
    table.files.files.iter().map(entry)
}
