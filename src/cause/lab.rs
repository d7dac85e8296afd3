//! Replays of one view in other worlds.
//!
//! A view is planned once, over [`Slots`] and for whatever label rows: every set of questions (label rows, at instants, under a meaning)
//! over one set of rows is one execution of that plan. What a world changes about the label time, about windows, or about the instant by which
//! events have to have arrived, is part of the question (a [`Lens`]), so that most worlds need no execution of their own:
//!
//! ```text
//! world                        rows          asked for
//! a window of 2 days           as they are   (k, T) with another limit
//! events up to 1 h after T     as they are   (k, T), what has arrived by T + 1 h
//! late events visible          changed       (k, T)
//! ```
//!
//! Where a view has no such plan, or the plan fails, the world is replayed by itself as any other view is, with the engine that
//! takes it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use crate::analysis::View;
use crate::cause::bench::{Bench, Questions, Subject, keys};
use crate::cause::case::{Hypothesis, Panel};
use crate::cause::change::{Change, DAY};
use crate::cause::held::{Held, Reach, distinct, reaches};
use crate::cause::lens::{Lens, Optics};
use crate::cause::locked;
use crate::cause::near::{ByKey, Look, Sight};
use crate::cause::slots::{Compiled, SlotTable, Slots, compiled, is_limit, slotted};
use crate::cause::windows::{Limit, Windows};
use crate::cause::world::{
    Answers, Ask, Copies, about, needs_event_time, over, rewindow, rows_under, spine, table, world_schema,
};
use crate::config::SourceKind;
use crate::error::{Error, Result};
use crate::monitor::Silent;
use crate::plan::Spines;
use crate::replay::{Engine, LabelObservers, PreparedReplay, ReplayOptions, ViewValues, choose, replay_view};
use crate::source::{Labels, Log, Redelivery, is_order_key};
use crate::sql::{mentions_now, now_unit};

/// A plan costs as much as so many executions on few rows: below twice that, they go one after the other.
const WORTH_A_PLAN: usize = 24;
/// Sets of questions that are kept.
const KEPT: usize = 8;
/// Rows that see further by no more than this have what they see within this reach only.
const NEAR: i64 = 3 * DAY;
/// Questions that are asked together, but for those of one world.
const TOGETHER: usize = 2048;
/// Questions of one key under several meanings are not in the order of what they see, so that a sweep looks at them one by one for every
/// event of the key: with more label rows for each key, that costs more than executions of their own.
const MANY_OF_A_KEY: usize = 48;
/// Of more label rows it is not worth to find out what they can see.
const MANY_LABELS: usize = 512;

/// A world, and the changes of the label time that are asked for in it.
pub(super) type Grid = (Hypothesis, Vec<Hypothesis>);

/// A view with all that its worlds are made of.
pub(super) struct Lab {
    pub view: View,
    /// All of the project's, by number.
    pub logs: Vec<Log>,
    /// Of the sources that the view reads.
    pub held: HashMap<usize, Held>,
    windows: Windows,
    pub labels: Arc<Labels>,
    /// With one partition: replays run side by side.
    session: SessionContext,
    threads: usize,
    /// Sources that are read back to the start of a window only.
    bounded: HashSet<usize>,
    optics: Optics,
    /// The windows' limits, as the SQL has them.
    slots: Vec<Limit>,
    benches: Mutex<Vec<Arc<Bench>>>,
    by_key: Mutex<HashMap<usize, Arc<ByKey>>>,
    plans: Plans,
    limits: Mutex<HashMap<Limit, Compiled>>,
}

/// What is executed at once.
#[derive(Debug, Clone)]
struct Job {
    /// What changes rows.
    rows: Vec<Change>,
    /// Numbers of grids, and how each looks at the rows.
    grids: Vec<(usize, Lens)>,
    questions: usize,
    /// No plan is of use: it changes windows that no limit says.
    alone: bool,
}

/// Plans, each for one world at a time.
#[derive(Debug, Default)]
struct Plans {
    idle: Mutex<Vec<Station>>,
    /// There is none.
    failed: AtomicBool,
}

/// A plan, with what it reads.
#[derive(Debug)]
pub(super) struct Station {
    slots: Arc<Slots>,
    replay: PreparedReplay,
    reaches: BTreeMap<usize, Reach>,
}

impl Station {
    /// Plans the view over slots; `None` where it can't be planned so. `held`: as far as rows are.
    async fn new(
        view: &View,
        logs: &[Log],
        sources: &[usize],
        held: &HashMap<usize, Held>,
        session: &SessionContext,
    ) -> Result<Option<Self>> {
        let (slots, view, logs) = over_slots(view, logs, sources, held)?;
        let replay = PreparedReplay::new(&view, &logs, session).await?;
        Ok(replay.map(|replay| Self { slots, reaches: reaches(replay.rewritten()), replay }))
    }

    /// The same while rows are still being read.
    pub(super) async fn early(view: &View, logs: &[Log], sources: &[usize], session: &SessionContext) -> Early {
        if sources.iter().any(|source| needs_event_time(&logs[*source])) {
            return None;
        }
        Some(Self::new(view, logs, sources, &HashMap::new(), session).await.ok().flatten())
    }

    /// The columns of a source that have to equal so many keys of a label; none where rows of any key are read.
    fn columns(&self, source: usize, keys: usize) -> Vec<String> {
        let reach = self.reaches.get(&source).filter(|_| keys > 0);
        reach.and_then(|reach| reach.keys(keys)).unwrap_or_default()
    }
}

/// What is known of a view's plan without its rows: none where it depends on them, else the plan where there is one.
pub(super) type Early = Option<Option<Station>>;

/// What a plan of `view` for these label rows reads of its sources, by their numbers. Empty where that can't be told.
pub(super) fn reach(
    view: &View,
    logs: &[Log],
    sources: &[usize],
    labels: &Labels,
    rows: Vec<usize>,
    session: &SessionContext,
) -> BTreeMap<usize, Reach> {
    let asked = || -> Result<BTreeMap<usize, Reach>> {
        let asks = rows.into_iter().map(|row| Ask { row, time: labels.times.value(row) });
        let labels = spine(labels, asks)?;
        let (_, view, logs) = over_slots(view, logs, sources, &HashMap::new())?;
        let observers = LabelObservers::new(&labels, &view.keys, now_unit(session)).map_err(failed)?;
        let choice = choose(&view, &logs, &observers.spines, None, session, Engine::Auto, Redelivery::ByTime)?;
        Ok(choice.plan.map(|plan| reaches(&plan)).unwrap_or_default())
    };
    asked().unwrap_or_default()
}

/// The logs of which every reading goes back no further than one of the windows.
fn bounded(view: &View, logs: &[Log], windows: &Windows, session: &SessionContext) -> HashSet<usize> {
    let none = HashSet::new();
    let types: Vec<DataType> = view.keys.iter().map(|k| k.data_type.clone()).collect();
    let Ok(spines) = Spines::empty(&types, now_unit(session)) else { return none };
    let choice = choose(view, logs, &spines, None, session, Engine::Auto, Redelivery::ByTime);
    let Ok(choice) = choice else { return none };
    // What a window of TUMBLE or HOP is compared with bounds its end, not what is in it.
    if choice.plan.is_none() || windows.has_calls() {
        return none;
    }
    let reads = |source: usize| choice.lookbacks.iter().filter(move |l| l.source == source);
    let all = choice.lookbacks.iter().map(|l| l.source);
    let bounded =
        |source: &usize| logs[*source].config.kind == SourceKind::Log && reads(*source).all(|l| l.duration.is_some());
    all.filter(bounded).collect()
}

/// Slots, the view and its sources over them.
type OverSlots = (Arc<Slots>, View, Vec<Log>);

/// The view, and its sources, over slots. Which of several deliveries counts is settled in the rows, before a plan sees them.
fn over_slots(view: &View, logs: &[Log], sources: &[usize], held: &HashMap<usize, Held>) -> Result<OverSlots> {
    let slots = Arc::new(Slots::default());
    let view = view.clone().with_plan(slotted(view.plan().clone(), &slots).map_err(failed)?.0);
    let mut logs = logs.to_vec();
    for &source in sources {
        let schema = world_schema(&logs[source]);
        let table = SlotTable { source, schema, slots: Arc::clone(&slots) };
        let own = held.get(&source);
        let rows = own.map_or_else(|| logs[source].table.rows(), |held| held.rows.num_rows() as u64);
        logs[source] = over(&logs[source], Arc::new(table), rows, &[&Change::DuplicatesCounted]);
    }
    Ok((slots, view, logs))
}

impl Lab {
    pub(super) fn new(
        view: &View,
        logs: &[Log],
        held: HashMap<usize, Held>,
        windows: Windows,
        labels: &Arc<Labels>,
        session: &SessionContext,
        threads: usize,
    ) -> Self {
        let unplannable = held.keys().any(|source| needs_event_time(&logs[*source]));
        let slotted = slotted(view.plan().clone(), &Arc::new(Slots::default())).ok();
        // Where windows are all that the label time is for, their starts say how far back rows count.
        let windowed = slotted.as_ref().is_some_and(|(plan, _)| !names_label_time(plan));
        // A value that is a time need not be an event time.
        let times: Vec<&str> = held.keys().map(|source| logs[*source].config.time.as_str()).collect();
        let shown = || !slotted.as_ref().is_some_and(|(plan, _)| only_limited(plan, &times));
        let calendar = Windows::of(view.plan()).calendar || (windows.calendar && shown());
        Self {
            view: view.clone(),
            plans: Plans { failed: AtomicBool::new(unplannable), ..Plans::default() },
            bounded: if windowed { bounded(view, logs, &windows, session) } else { HashSet::new() },
            optics: Optics::new(held.keys().map(|source| &logs[*source]), calendar),
            slots: slotted.map(|(_, limits)| limits).unwrap_or_default(),
            logs: logs.to_vec(),
            held,
            windows,
            labels: Arc::clone(labels),
            session: session.clone(),
            threads: threads.max(1),
            benches: Mutex::default(),
            by_key: Mutex::default(),
            limits: Mutex::default(),
        }
    }

    /// Plans the view, unless that was done early, so that the first question need not wait for it.
    pub(super) async fn prepare(&self, early: Early) {
        let plans = &self.plans;
        if plans.failed.load(Ordering::Relaxed) {
            return;
        }
        let station = match early {
            Some(early) => early,
            None => self.station().await.ok().flatten(),
        };
        match station {
            Some(station) => locked(&plans.idle).push(station),
            None => plans.failed.store(true, Ordering::Relaxed),
        }
    }

    pub(super) fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The first event time that is held, of all sources or of one.
    pub(super) fn first_event(&self, source: Option<usize>) -> Option<i64> {
        let own = self.held.iter().filter(|(of, _)| source.is_none_or(|source| source == **of));
        own.flat_map(|(_, held)| held.event.iter().flatten()).min()
    }

    /// Replays side by side; the answers are in the order of the questions. `None`: the view has no answer there.
    pub(super) async fn answers(self: &Arc<Self>, panel: &Panel, grids: &[Grid]) -> Vec<Option<Answers>> {
        let labels = Arc::new(panel.labels.clone());
        let many: usize = self.held.values().map(|held| held.rows.num_rows()).sum();
        let keys = keys(&self.view, &self.labels, &labels).and_then(|keys| distinct(&keys)).unwrap_or(1);
        let merging = labels.len() <= MANY_OF_A_KEY.saturating_mul(keys);
        let jobs = self.jobs(labels.len(), grids, merging);
        let side = if many > 100_000 { jobs.len() } else { jobs.len() / WORTH_A_PLAN };
        let all = Arc::new(grids.to_vec());
        let replays = jobs.into_iter().map(|job| {
            let (lab, labels, grids) = (Arc::clone(self), Arc::clone(&labels), Arc::clone(&all));
            async move {
                let numbers: Vec<usize> = job.grids.iter().map(|(number, _)| *number).collect();
                let task = SpawnedTask::spawn(async move { lab.answer(job, &labels, &grids).await });
                let told = task.join().await.unwrap_or_default();
                numbers.into_iter().zip(told).collect::<Vec<_>>()
            }
        });
        let replays: Vec<_> = replays.collect();
        let told: Vec<_> = futures::stream::iter(replays).buffered(side.clamp(1, self.threads)).collect().await;
        let mut answers: Vec<Option<Answers>> = vec![None; grids.len()];
        for (number, answer) in told.into_iter().flatten() {
            answers[number] = answer;
        }
        answers
    }

    /// Grids over the same rows are one execution where they are `merging`, as long as they ask for no more than a few thousand cells.
    fn jobs(&self, rows: usize, grids: &[Grid], merging: bool) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        for (number, (world, instants)) in grids.iter().enumerate() {
            let alone = world.iter().filter_map(rewindow).any(|r| self.windows.changes_calls(&r));
            let split = self.optics.split(world);
            let questions = rows * instants.len();
            let together = |job: &&mut Job| {
                merging && !alone && !job.alone && job.rows == split.rows && job.questions + questions <= TOGETHER
            };
            match jobs.iter_mut().find(together) {
                Some(job) => {
                    job.grids.push((number, split.lens));
                    job.questions += questions;
                }
                None => jobs.push(Job { rows: split.rows, grids: vec![(number, split.lens)], questions, alone }),
            }
        }
        jobs
    }

    pub(super) fn bench(&self, questions: Questions) -> Result<Arc<Bench>> {
        {
            let mut benches = locked(&self.benches);
            if let Some(at) = benches.iter().position(|bench| bench.questions == questions) {
                let bench = benches.remove(at);
                benches.push(Arc::clone(&bench));
                return Ok(bench);
            }
        }
        let state = self.session.state();
        let subject = Subject {
            view: &self.view,
            labels: &self.labels,
            windows: &self.windows,
            limits: &self.slots,
            now_unit: now_unit(&self.session),
            compiled: &|limit| self.compiled(limit, &state),
        };
        let bench = Arc::new(Bench::new(questions, &subject)?);
        let mut benches = locked(&self.benches);
        if benches.len() >= KEPT {
            benches.remove(0);
        }
        benches.push(Arc::clone(&bench));
        Ok(bench)
    }

    /// The answers of a job's grids, in their order.
    async fn answer(&self, job: Job, labels: &Arc<Vec<usize>>, grids: &[Grid]) -> Vec<Option<Answers>> {
        if let Some(told) = self.together(&job, labels, grids).await {
            return told;
        }
        // One of several worlds may be what fails.
        let mut told = Vec::with_capacity(job.grids.len());
        for (number, lens) in &job.grids {
            let own = Job { grids: vec![(*number, lens.clone())], ..job.clone() };
            let planned = if job.grids.len() > 1 { self.together(&own, labels, grids).await } else { None };
            told.push(match planned {
                Some(planned) => planned.into_iter().next().flatten(),
                None => self.by_itself(labels, &grids[*number]).await.ok(),
            });
        }
        told
    }

    /// One execution; `None` where there is no plan for it, or it fails.
    async fn together(&self, job: &Job, labels: &Arc<Vec<usize>>, grids: &[Grid]) -> Option<Vec<Option<Answers>>> {
        let plans = &self.plans;
        if job.alone || plans.failed.load(Ordering::Relaxed) {
            return None;
        }
        let lenses = job.grids.iter().map(|(number, lens)| (lens.clone(), grids[*number].1.clone()));
        let bench = self.bench(Questions { panel: Arc::clone(labels), lenses: lenses.collect() }).ok()?;
        let values = match self.by_plan(&bench, job).await {
            Ok(Some(values)) => values,
            Ok(None) => {
                plans.failed.store(true, Ordering::Relaxed);
                return None;
            }
            Err(_) => return None,
        };
        let all = bench.told(&values, &self.view).ok()?;
        let part = |(from, rows): (usize, usize)| Answers {
            columns: all.columns.iter().map(|column| column.slice(from, rows)).collect(),
            found: all.found.slice(from, rows),
        };
        Some(bench.parts().map(|own| Some(part(own))).collect())
    }

    /// `None` where the view can't be planned so.
    async fn by_plan(&self, bench: &Bench, job: &Job) -> Result<Option<ViewValues>> {
        let Some(station) = self.free_station().await else { return Ok(None) };
        let near = bench.questions.panel.len() <= MANY_LABELS && self.is_near(&job.rows);
        let near = if near { self.near(bench, &station).map_err(failed)? } else { None };
        let values = self.run(&station, bench, near.as_deref().unwrap_or(&self.held), job).await;
        locked(&self.plans.idle).push(station);
        values.map(Some)
    }

    /// A plan that nobody executes.
    async fn free_station(&self) -> Option<Station> {
        let idle = locked(&self.plans.idle).pop();
        match idle {
            Some(station) => Some(station),
            None => self.station().await.ok().flatten(),
        }
    }

    /// The answers over rows of the caller's own, by number of the source, no delivery twice that is not to count twice. `None` where the view
    /// has no plan for other rows.
    pub(super) async fn over(&self, bench: &Bench, rows: HashMap<usize, RecordBatch>) -> Option<Answers> {
        let plans = &self.plans;
        if plans.failed.load(Ordering::Relaxed) {
            return None;
        }
        let station = self.free_station().await?;
        station.slots.set(rows, Arc::clone(&bench.limits));
        let values = station.replay.run(&bench.labels, &bench.observers).await;
        locked(&plans.idle).push(station);
        bench.told(&values.ok()?, &self.view).ok()
    }

    /// By source, the columns that have to equal a label's keys; empty where rows of any key are read.
    pub(super) async fn key_columns(&self, keys: usize) -> HashMap<usize, Vec<String>> {
        let Some(station) = self.free_station().await else { return HashMap::new() };
        let told = self.held.keys().map(|source| (*source, station.columns(*source, keys))).collect();
        locked(&self.plans.idle).push(station);
        told
    }

    /// Whether rows, as they are changed, are seen from little further than they are.
    fn is_near(&self, rows: &[Change]) -> bool {
        let widened = rows.iter().map(|change| change.widens(&self.windows.starts));
        widened.sum::<Option<i64>>().is_some_and(|by| by <= NEAR)
    }

    /// What of what is held can be seen by these questions. `None`: all may be.
    fn near(&self, bench: &Bench, station: &Station) -> DfResult<Option<Arc<HashMap<usize, Held>>>> {
        let mut near = locked(&bench.near);
        if let Some(near) = near.as_ref() {
            return Ok(Some(Arc::clone(near)));
        }
        let asked = keys(&self.view, &self.labels, &bench.rows)?;
        let narrows =
            |source: &usize| self.bounded.contains(source) || !self.read_by(*source, station, &asked).is_empty();
        if !self.held.keys().any(narrows) {
            return Ok(None);
        }
        let mut found = HashMap::new();
        for (&source, held) in &self.held {
            found.insert(source, self.seen(source, held, (&bench.looks, &asked), station)?);
        }
        Ok(Some(Arc::clone(near.insert(Arc::new(found)))))
    }

    /// The columns of a log that have to equal a label's keys. A version of a changelog may be ended by one of another key.
    fn read_by(&self, source: usize, station: &Station, keys: &[ArrayRef]) -> Vec<String> {
        let log = self.logs[source].config.kind == SourceKind::Log;
        if log { station.columns(source, keys.len()) } else { Vec::new() }
    }

    /// What of a source can be seen by questions with these keys; all of it, where it costs more to take the rest away.
    fn seen(
        &self,
        source: usize,
        held: &Held,
        (looks, keys): (&[Look], &[ArrayRef]),
        station: &Station,
    ) -> DfResult<Held> {
        let columns = self.read_by(source, station, keys);
        let bounded = self.bounded.contains(&source);
        if !bounded && columns.is_empty() {
            return Ok(held.clone());
        }
        // Something reads further back than the windows do.
        let unbounded = |look: &Look| Look { start: if bounded { look.start } else { i64::MIN }, ..*look };
        let looks: Vec<Look> = looks.iter().map(unbounded).collect();
        let sight = Sight::new(&looks, &columns, keys, NEAR)?;
        if sight.sees_most(held)? {
            return Ok(held.clone());
        }
        sight.of(held, &*self.by_key(source, held, &columns)?)
    }

    /// A source is read by the same keys in each of a view's plans.
    pub(super) fn by_key(&self, source: usize, held: &Held, columns: &[String]) -> DfResult<Arc<ByKey>> {
        let mut all = locked(&self.by_key);
        if let Some(known) = all.get(&source) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(ByKey::new(held, columns)?);
        all.insert(source, Arc::clone(&made));
        Ok(made)
    }

    async fn run(
        &self,
        station: &Station,
        bench: &Bench,
        held: &HashMap<usize, Held>,
        job: &Job,
    ) -> Result<ViewValues> {
        let changes: Vec<&Change> = job.rows.iter().collect();
        let mut rows = HashMap::new();
        for (&source, held) in held {
            let log = &self.logs[source];
            let changes = about(&changes, source);
            rows.insert(source, rows_under(log, held, &world_schema(log), &changes, Copies::Settled).map_err(failed)?);
        }
        station.slots.set(rows, Arc::clone(&bench.limits));
        station.replay.run(&bench.labels, &bench.observers).await
    }

    fn compiled(&self, limit: Limit, state: &SessionState) -> DfResult<Compiled> {
        if let Some(known) = locked(&self.limits).get(&limit) {
            return Ok(known.clone());
        }
        let made = compiled(&limit, state)?;
        locked(&self.limits).insert(limit, made.clone());
        Ok(made)
    }

    async fn station(&self) -> Result<Option<Station>> {
        let sources: Vec<usize> = self.held.keys().copied().collect();
        Station::new(&self.view, &self.logs, &sources, &self.held, &self.session).await
    }

    /// One world, planned for itself. Such a replay has one time for both: what a load would hold has no say here, and a load explains no
    /// more than the changes beside it.
    async fn by_itself(&self, labels: &Arc<Vec<usize>>, (world, instants): &Grid) -> Result<Answers> {
        let lenses = vec![(Lens::default(), instants.clone())];
        let bench = self.bench(Questions { panel: Arc::clone(labels), lenses })?;
        let changes: Vec<&Change> = world.iter().collect();
        let mut rows = HashMap::new();
        for (&source, held) in &self.held {
            let log = &self.logs[source];
            let own = rows_under(log, held, &world_schema(log), &about(&changes, source), Copies::Left);
            rows.insert(source, own.map_err(failed)?);
        }
        self.over_by_itself(&bench, &changes, rows).await
    }

    /// As [`Lab::over`], planned for these windows and rows.
    pub(super) async fn over_by_itself(
        &self,
        bench: &Bench,
        world: &[&Change],
        rows: HashMap<usize, RecordBatch>,
    ) -> Result<Answers> {
        let mut plan = self.view.plan().clone();
        for rewindow in world.iter().filter_map(|change| rewindow(change)) {
            plan = self.windows.rewrite(plan, &rewindow).map_err(failed)?;
        }
        let view = self.view.clone().with_plan(plan);
        let mut logs = self.logs.clone();
        for (source, rows) in rows {
            let count = rows.num_rows() as u64;
            let table: Arc<dyn TableProvider> = table(rows).map_err(failed)?;
            logs[source] = over(&self.logs[source], table, count, &about(world, source));
        }
        let replayed =
            replay_view(&view, &logs, &bench.labels, &self.session, ReplayOptions::default(), &Silent).await?;
        bench.told(&replayed.values, &self.view).map_err(failed)
    }
}

/// Whether the label time has a say anywhere in the plan.
fn names_label_time(plan: &LogicalPlan) -> bool {
    let mut named = false;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            named |= mentions_now(expr);
            Ok(TreeNodeRecursion::Continue)
        })
    });
    named || walked.is_err()
}

/// Whether columns of these names are compared with limits of windows, or settle the order of rows, and nothing else.
fn only_limited(plan: &LogicalPlan, times: &[&str]) -> bool {
    let mut limited = true;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                let skipped = match e {
                    Expr::BinaryExpr(BinaryExpr { right, .. }) => is_limit(right),
                    Expr::ScalarFunction(call) => is_order_key(&call.func),
                    _ => false,
                };
                if skipped {
                    return Ok(TreeNodeRecursion::Jump);
                }
                limited &= !matches!(e, Expr::Column(column) if times.contains(&column.name.as_str()));
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    limited && walked.is_ok()
}

fn failed(e: datafusion::error::DataFusionError) -> Error {
    Error::engine("replay a view under another meaning", e)
}

#[cfg(test)]
#[path = "lab_tests.rs"]
mod tests;
