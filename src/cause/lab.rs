//! Replays of one view in other worlds.
//!
//! A view is planned once, over [`Slots`] and for whatever label rows: every world, and every set of questions (label rows, at
//! instants), is one execution of that plan over its own rows and windows. Where a view has no such plan, or the plan fails,
//! the world is replayed by itself as any other view is, with the engine that takes it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{ExprSchemable, Operator};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use crate::analysis::View;
use crate::cause::case::{Hypothesis, Panel};
use crate::cause::change::{Change, DAY, MINUTE, Shift};
use crate::cause::held::{Held, Look, Reach, reaches};
use crate::cause::slots::{Compiled, SlotTable, Slots, compiled, slotted};
use crate::cause::windows::{Limit, Windows};
use crate::cause::world::{
    Answers, Ask, counts_twice, needs_event_time, over, rewindow, rows_under, spine, table, world_schema,
};
use crate::config::SourceKind;
use crate::error::{Error, Result};
use crate::monitor::Silent;
use crate::plan::Spines;
use crate::replay::{Engine, LabelObservers, PreparedReplay, ReplayOptions, ViewValues, choose, replay_view};
use crate::source::time::instants_ns;
use crate::source::{Labels, Log, Redelivery};
use crate::sql::now_unit;

/// A plan costs as much as so many executions on few rows: below twice that, worlds go one after the other.
const WORTH_A_PLAN: usize = 8;
/// Sets of questions that are kept.
const KEPT: usize = 8;
/// A world that sees further by no more than this has rows within this reach only.
const NEAR: i64 = 3 * DAY;

/// A view with all that its worlds are made of.
pub(super) struct Lab {
    view: View,
    /// All of the project's, by number.
    logs: Vec<Log>,
    /// Of the sources that the view reads.
    held: HashMap<usize, Held>,
    windows: Windows,
    labels: Arc<Labels>,
    /// With one partition: replays run side by side.
    session: SessionContext,
    threads: usize,
    /// Sources that are read back to the start of a window only.
    bounded: HashSet<usize>,
    benches: Mutex<Vec<Arc<Bench>>>,
    /// Where redeliveries count, the plan is another.
    once: Plans,
    twice: Plans,
    limits: Mutex<HashMap<Limit, Compiled>>,
}

/// A set of questions.
#[derive(Debug)]
struct Bench {
    panel: Vec<usize>,
    instants: Vec<Hypothesis>,
    asks: Vec<Ask>,
    /// The questions in the order of their times, and where in it each of them is.
    labels: Labels,
    observers: LabelObservers,
    place: UInt32Array,
    /// What of what is held can be seen from here, but in worlds that are far from this one.
    near: Mutex<Option<Arc<HashMap<usize, Held>>>>,
}

/// Plans of one kind, each for one world at a time.
#[derive(Debug, Default)]
struct Plans {
    idle: Mutex<Vec<Station>>,
    /// There is none.
    failed: AtomicBool,
}

/// A plan, with what it reads.
#[derive(Debug)]
struct Station {
    slots: Arc<Slots>,
    limits: Vec<Limit>,
    replay: PreparedReplay,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a plan of `view` for these label rows reads of its sources, by their numbers. Empty where that can't be told.
pub(super) fn reach(
    view: &View,
    logs: &[Log],
    sources: &[usize],
    labels: &Labels,
    rows: Vec<usize>,
    session: &SessionContext,
) -> HashMap<usize, Reach> {
    let asked = || -> Result<HashMap<usize, Reach>> {
        let asks = rows.into_iter().map(|row| Ask { row, time: labels.times.value(row) });
        let labels = spine(labels, asks)?;
        let (_, _, view, logs) = over_slots(view, logs, sources, &HashMap::new(), false)?;
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

/// Slots, the limits that are set in them, the view and its sources over them.
type OverSlots = (Arc<Slots>, Vec<Limit>, View, Vec<Log>);

/// The view, and its sources, over slots.
fn over_slots(
    view: &View,
    logs: &[Log],
    sources: &[usize],
    held: &HashMap<usize, Held>,
    twice: bool,
) -> Result<OverSlots> {
    let slots = Arc::new(Slots::default());
    let mut view = view.clone();
    let (plan, limits) = slotted(view.plan, &slots).map_err(failed)?;
    view.plan = plan;
    let mut logs = logs.to_vec();
    let changes: &[&Change] = if twice { &[&Change::DuplicatesCounted] } else { &[] };
    for &source in sources {
        let schema = world_schema(&logs[source]);
        let table = SlotTable { source, schema, slots: Arc::clone(&slots) };
        let rows = held.get(&source).map_or(0, |held| held.rows.num_rows() as u64);
        logs[source] = over(&logs[source], Arc::new(table), rows, changes);
    }
    Ok((slots, limits, view, logs))
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
        let plans = || Plans { failed: AtomicBool::new(unplannable), ..Plans::default() };
        Self {
            view: view.clone(),
            once: plans(),
            twice: plans(),
            bounded: bounded(view, logs, &windows, session),
            logs: logs.to_vec(),
            held,
            windows,
            labels: Arc::clone(labels),
            session: session.clone(),
            threads: threads.max(1),
            benches: Mutex::default(),
            limits: Mutex::default(),
        }
    }

    pub(super) fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The first event time that is held.
    pub(super) fn first_event(&self) -> Option<i64> {
        self.held.values().flat_map(|held| held.event.iter().flatten()).min()
    }

    /// Replays side by side; the answers are in the order of the questions. `None`: the view has no answer there.
    pub(super) async fn answers(
        self: &Arc<Self>,
        panel: &Panel,
        grids: &[(Hypothesis, Vec<Hypothesis>)],
    ) -> Vec<Option<Answers>> {
        let many: usize = self.held.values().map(|held| held.rows.num_rows()).sum();
        let side = if many > 100_000 { grids.len() } else { grids.len() / WORTH_A_PLAN };
        let narrow = grids.len() >= WORTH_A_PLAN;
        let replays = grids.iter().map(|(world, instants)| {
            let bench = self.bench(panel, instants);
            let (lab, world) = (Arc::clone(self), world.clone());
            async move {
                let bench = bench.ok()?;
                let task = SpawnedTask::spawn(async move { lab.answer(&bench, &world, narrow).await });
                task.join().await.ok().flatten()
            }
        });
        let replays: Vec<_> = replays.collect();
        futures::stream::iter(replays).buffered(side.clamp(1, self.threads)).collect().await
    }

    fn bench(&self, panel: &Panel, instants: &[Hypothesis]) -> Result<Arc<Bench>> {
        let mut benches = locked(&self.benches);
        let same = |b: &Arc<Bench>| b.panel == panel.labels && b.instants == instants;
        if let Some(at) = benches.iter().position(same) {
            let bench = benches.remove(at);
            benches.push(Arc::clone(&bench));
            return Ok(bench);
        }
        let time = |row: usize, instant: &Hypothesis| {
            instant.iter().fold(self.labels.times.value(row), |time, change| seen_at(change, time))
        };
        let asks: Vec<Ask> = instants
            .iter()
            .flat_map(|instant| panel.labels.iter().map(move |&row| Ask { row, time: time(row, instant) }))
            .collect();
        let mut order: Vec<u32> = (0..u32::try_from(asks.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by_key(|&i| (asks[i as usize].time, i));
        let mut place = vec![0_u32; order.len()];
        for (at, &i) in order.iter().enumerate() {
            place[i as usize] = u32::try_from(at).unwrap_or(u32::MAX);
        }
        let labels = spine(&self.labels, order.iter().map(|&i| asks[i as usize]))?;
        let bench = Arc::new(Bench {
            panel: panel.labels.clone(),
            instants: instants.to_vec(),
            asks,
            observers: LabelObservers::new(&labels, &self.view.keys, now_unit(&self.session)).map_err(failed)?,
            labels,
            place: UInt32Array::from(place),
            near: Mutex::default(),
        });
        if benches.len() >= KEPT {
            benches.remove(0);
        }
        benches.push(Arc::clone(&bench));
        Ok(bench)
    }

    fn plans(&self, twice: bool) -> &Plans {
        if twice { &self.twice } else { &self.once }
    }

    async fn answer(&self, bench: &Bench, world: &Hypothesis, narrow: bool) -> Option<Answers> {
        let changes: Vec<&Change> = world.iter().collect();
        let plans = self.plans(counts_twice(&changes));
        let by_limits = !changes.iter().filter_map(|c| rewindow(c)).any(|r| self.windows.changes_calls(&r));
        if by_limits && !plans.failed.load(Ordering::Relaxed) {
            match self.by_plan(bench, &changes, narrow).await {
                Ok(Some(values)) => return self.told(bench, &values).ok(),
                Ok(None) => plans.failed.store(true, Ordering::Relaxed),
                Err(_) => {}
            }
        }
        let values = self.by_itself(bench, &changes).await.ok()?;
        self.told(bench, &values).ok()
    }

    fn told(&self, bench: &Bench, values: &ViewValues) -> DfResult<Answers> {
        let columns = values.with_defaults(&self.view.features)?;
        let back = |array: &dyn Array| take(array, &bench.place, None);
        Ok(Answers {
            columns: columns.iter().map(|c| back(c)).collect::<Result<_, _>>()?,
            found: back(&values.found)?.as_boolean().clone(),
        })
    }

    /// `None` where the view can't be planned so.
    async fn by_plan(&self, bench: &Bench, changes: &[&Change], narrow: bool) -> Result<Option<ViewValues>> {
        let twice = counts_twice(changes);
        let plans = self.plans(twice);
        let idle = locked(&plans.idle).pop();
        let station = match idle {
            Some(station) => station,
            None => match self.station(twice).await {
                Ok(Some(station)) => station,
                _ => return Ok(None),
            },
        };
        let near = if narrow && self.is_near(changes) { self.near(bench, &station).map_err(failed)? } else { None };
        let values = self.run(&station, bench, near.as_deref().unwrap_or(&self.held), changes).await;
        locked(&plans.idle).push(station);
        values.map(Some)
    }

    /// Whether the world sees little that the replay itself does not look at.
    fn is_near(&self, changes: &[&Change]) -> bool {
        let widened = changes.iter().map(|change| change.widens(&self.windows.starts));
        widened.sum::<Option<i64>>().is_some_and(|by| by <= NEAR)
    }

    /// What of what is held can be seen by these questions. `None`: all may be.
    fn near(&self, bench: &Bench, station: &Station) -> DfResult<Option<Arc<HashMap<usize, Held>>>> {
        if self.bounded.is_empty() {
            return Ok(None);
        }
        let mut near = locked(&bench.near);
        if let Some(near) = near.as_ref() {
            return Ok(Some(Arc::clone(near)));
        }
        let reaches = reaches(station.replay.rewritten());
        let times: Vec<i64> = bench.asks.iter().map(|ask| ask.time).collect();
        let rows = UInt64Array::from_iter_values(bench.asks.iter().map(|ask| ask.row as u64));
        let keys =
            self.view.keys.iter().map(|k| Ok(cast(&take(&self.labels.keys[k.label], &rows, None)?, &k.data_type)?));
        let keys = keys.collect::<DfResult<Vec<ArrayRef>>>()?;
        let limits = self.earliest(&station.limits, &times)?;
        let mut found = HashMap::new();
        for (source, held) in &self.held {
            if !self.bounded.contains(source) {
                found.insert(*source, held.clone());
                continue;
            }
            let looks: Vec<Look> =
                times.iter().zip(&limits).map(|(time, start)| Look { time: *time, start: *start }).collect();
            let columns = reaches.get(source).and_then(|reach| reach.keys(keys.len())).filter(|_| !keys.is_empty());
            let own = columns.as_ref().map(|columns| (columns.as_slice(), keys.as_slice()));
            found.insert(*source, held.near(&looks, own, NEAR)?);
        }
        Ok(Some(Arc::clone(near.insert(Arc::new(found)))))
    }

    /// The earliest of the windows' starts at each of these times.
    fn earliest(&self, limits: &[Limit], times: &[i64]) -> DfResult<Vec<i64>> {
        let state = self.session.state();
        let mut earliest = vec![i64::MAX; times.len()];
        for limit in limits {
            let Limit::At(Operator::Gt | Operator::GtEq, bound) = limit else { continue };
            let DataType::Timestamp(_, zone) = bound.get_type(&DFSchema::empty())? else { continue };
            let Compiled::At(_, expr) = self.compiled(limit.clone(), &state)? else { continue };
            let now = TimestampNanosecondArray::from(times.to_vec()).with_timezone("UTC");
            let now = cast(&now, &DataType::Timestamp(now_unit(&self.session), zone.or(Some("UTC".into()))))?;
            let schema = Arc::new(Schema::new(vec![Field::new("now", now.data_type().clone(), true)]));
            let starts = expr.evaluate(&RecordBatch::try_new(schema, vec![now])?)?.into_array(times.len())?;
            let starts = instants_ns(&starts, 0)?;
            for (at, start) in starts.iter().enumerate() {
                earliest[at] = earliest[at].min(start.unwrap_or(i64::MIN));
            }
        }
        Ok(earliest)
    }

    async fn run(
        &self,
        station: &Station,
        bench: &Bench,
        held: &HashMap<usize, Held>,
        changes: &[&Change],
    ) -> Result<ViewValues> {
        let mut rows = HashMap::new();
        for (&source, held) in held {
            let log = &self.logs[source];
            rows.insert(source, rows_under(log, source, held, &world_schema(log), changes).map_err(failed)?);
        }
        let rewindows: Vec<_> = changes.iter().filter_map(|c| rewindow(c)).collect();
        let state = self.session.state();
        let limits = station.limits.iter().map(|limit| {
            let limit = self.windows.limit(limit, &rewindows)?;
            self.compiled(limit, &state)
        });
        station.slots.set(rows, limits.collect::<DfResult<_>>().map_err(failed)?);
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

    async fn station(&self, twice: bool) -> Result<Option<Station>> {
        let sources: Vec<usize> = self.held.keys().copied().collect();
        let (slots, limits, view, logs) = over_slots(&self.view, &self.logs, &sources, &self.held, twice)?;
        let replay = PreparedReplay::new(&view, &logs, &self.session).await?;
        Ok(replay.map(|replay| Station { slots, limits, replay }))
    }

    /// One world, planned for itself.
    async fn by_itself(&self, bench: &Bench, changes: &[&Change]) -> Result<ViewValues> {
        let mut view = self.view.clone();
        for rewindow in changes.iter().filter_map(|c| rewindow(c)) {
            view.plan = self.windows.rewrite(view.plan, &rewindow).map_err(failed)?;
        }
        let mut logs = self.logs.clone();
        for (&source, held) in &self.held {
            let log = &self.logs[source];
            let rows = rows_under(log, source, held, &world_schema(log), changes).map_err(failed)?;
            let count = rows.num_rows() as u64;
            let table: Arc<dyn TableProvider> = table(rows).map_err(failed)?;
            logs[source] = over(log, table, count, changes);
        }
        let replayed =
            replay_view(&view, &logs, &bench.labels, &self.session, ReplayOptions::default(), &Silent).await?;
        Ok(replayed.values)
    }
}

/// The label time under a change of it; of all sources that are shifted alike, the label time is shifted back.
fn seen_at(change: &Change, time: i64) -> i64 {
    match change {
        Change::Timezone { shift: Shift::Minutes(minutes), source: None } => {
            time.saturating_sub(i64::from(*minutes) * MINUTE)
        }
        other => other.instant(time),
    }
}

fn failed(e: datafusion::error::DataFusionError) -> Error {
    Error::engine("replay a view under another meaning", e)
}
