//! The algorithm: a spine and batches of events in, aggregates out. No plans, no streams.
//!
//! ```text
//! 1. key        -> its number, and the shard of its positions       (table or hash table; no key: the event is dropped)
//! 2. the event waits for its shard, as a few words                  (until so many wait that the shard's cells are worth loading)
//! 3. bounds     -> the interval of positions at which it counts     (binary search, per window)
//! 4. aggregates -> differences and tree nodes                       (a few cells)
//! 5. at the end -> prefix sums over each key's positions
//! ```
//!
//! Batches may come in any order and from many threads: every cell is a sum or an extreme that does not depend on it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Float64Type, SchemaRef, i256};
use datafusion::common::{HashMap, HashSet, exec_datafusion_err, exec_err};
use datafusion::error::{DataFusionError, Result as DfResult};

use crate::exact::{Scale, order_of_float};
use crate::sweep::arena::{Arena, RowRef};
use crate::sweep::best::{Best, Candidate, Rank};
use crate::sweep::bounds::BoundColumn;
use crate::sweep::layout::{Encoding, Events, Flag, Kept, Layout};
use crate::sweep::members::{CompiledCall, Functions, Members};
use crate::sweep::order::Order;
use crate::sweep::positions::{NO_GROUP, Positions, Range};
use crate::sweep::spec::{Argument, Function, OrderKey, SweepAggregate, SweepSpec};
use crate::sweep::totals::{Totals, result};
use crate::sweep::track::{Extremes, Interval, Track};

/// One sweep under way.
#[derive(Debug)]
pub struct Sweeper {
    spec: SweepSpec,
    events: SchemaRef,
    spine: RecordBatch,
    positions: Positions,
    /// As [`SweepSpec::windows`].
    windows: Vec<CompiledWindow>,
    /// The tracks of each aggregate: how many values, and what is made of them.
    plans: Vec<Plan>,
    /// The distinct quantities.
    quantities: Vec<Quantity>,
    shards: Vec<Shard>,
    layout: Layout,
    /// Words that wait for one shard before they are added.
    longest_wait: usize,
    /// Words that wait for all of them.
    waiting: AtomicUsize,
    /// Events that count for some observer, so far.
    counted: AtomicUsize,
    /// By quantity: chosen when the first values are seen.
    scales: Vec<OnceLock<Scale>>,
    output: SchemaRef,
    /// Events that come first somewhere, by these orders.
    firsts: Arena,
    orders: Vec<Order>,
    /// Events that came first somewhere, beside others that the order does not tell from them: by order.
    ties: Vec<Mutex<HashSet<RowRef>>>,
    /// Events that calls need, and the calls by aggregate.
    members: Arena,
    calls: Vec<Option<CompiledCall>>,
    /// Held to read while a batch is taken in: rows are only renumbered between batches.
    applying: RwLock<()>,
    /// Bytes of tracks beside their cells.
    extra: AtomicUsize,
}

/// The cells of some positions, and the events that wait to be added to them.
#[derive(Debug, Default)]
struct Shard {
    waiting: Mutex<Vec<u64>>,
    tracks: Mutex<Vec<Track>>,
}

/// Of several events that an order does not tell apart one is asked for, and they differ: more columns have to be read.
#[derive(Debug, thiserror::Error)]
#[error("events that tie for the first place have different values")]
pub struct TiedFirsts;

impl TiedFirsts {
    /// Whether an error is this one.
    pub fn is(error: &DataFusionError) -> bool {
        matches!(error.find_root(), DataFusionError::External(inner) if inner.is::<Self>())
    }
}

/// Bounds with the columns that they compare.
#[derive(Debug)]
struct CompiledWindow {
    bounds: Vec<CompiledBound>,
    filter: Option<usize>,
    /// The flag of the filter.
    holds: Option<(usize, u32)>,
    regular: bool,
}

#[derive(Debug)]
struct CompiledBound {
    /// The word of the event's value, and the flag that it is not NULL.
    word: usize,
    valid: (usize, u32),
    event: usize,
    op: crate::sweep::spec::Comparison,
    column: Arc<BoundColumn>,
}

/// What is kept for each position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quantity {
    kind: Kind,
    window: usize,
    /// Events where it is NULL do not count.
    argument: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Count,
    Integers,
    Wide,
    Floats,
    Minimum,
    Maximum,
    /// The first event by the order of this number.
    First(usize),
    /// All events.
    Members,
}

/// Positions of an aggregate's quantities.
#[derive(Debug, Clone, Copy)]
struct Plan {
    count: usize,
    /// The same as `count` where nothing else is needed.
    value: usize,
}

/// One event's interval in one window; several where a bound is irregular.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Its place in the block.
    event: u32,
    range: Range,
    from: u32,
    to: u32,
}

impl Sweeper {
    /// `spine` has the columns that the spec names; `events` is the schema of the batches to come; `output` is the observer, the
    /// groups and the aggregates.
    ///
    /// # Errors
    /// A column that is not there or has a type that no sweep takes: a defect of whoever made the spec.
    pub fn new(
        spec: SweepSpec,
        spine: RecordBatch,
        events: &SchemaRef,
        output: SchemaRef,
        functions: &Functions,
    ) -> DfResult<Self> {
        let of_spine = |name: &str| {
            spine.column_by_name(name).ok_or_else(|| exec_datafusion_err!("the spine has no column `{name}`"))
        };
        let keys = spec.keys.iter().map(|k| of_spine(&k.spine).cloned()).collect::<DfResult<Vec<_>>>()?;
        let positions = Positions::new(&keys, spine.num_rows())?;
        let mut columns: HashMap<String, Arc<BoundColumn>> = HashMap::default();
        let mut windows = Vec::with_capacity(spec.windows.len());
        for window in &spec.windows {
            let mut bounds = Vec::with_capacity(window.bounds.len());
            for bound in &window.bounds {
                if !columns.contains_key(&bound.spine) {
                    let column = BoundColumn::new(of_spine(&bound.spine)?, &positions, columns.values())?;
                    columns.insert(bound.spine.clone(), Arc::new(column));
                }
                let event = events.index_of(&bound.event)?;
                let column = Arc::clone(&columns[&bound.spine]);
                bounds.push(CompiledBound { word: 0, valid: (0, 0), event, op: bound.op, column });
            }
            let filter = window.filter.as_ref().map(|f| events.index_of(f)).transpose()?;
            let regular = bounds.iter().all(|b| b.column.is_regular());
            windows.push(CompiledWindow { bounds, filter, holds: None, regular });
        }
        let (mut plans, mut quantities, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for aggregate in &spec.aggregates {
            plans.push(plan(aggregate, events, &mut quantities, &mut orders)?);
        }
        let (of_firsts, of_calls) = held_columns(&spec, events)?;
        let firsts = Arena::new(of_firsts, orders.len());
        let orders = orders.iter().enumerate();
        let orders = orders.map(|(i, of)| {
            let values = if of.settled { Vec::new() } else { values_of(&spec, &of.keys) };
            Order::new(i, &of.keys, of.nulls, &values, events, &firsts)
        });
        let orders = orders.collect::<DfResult<Vec<_>>>()?;
        let ties = orders.iter().map(|_| Mutex::default()).collect();
        let members = Arena::new(of_calls, 0);
        let calls = spec.aggregates.iter().map(|a| match &a.function {
            Function::Call(call) => CompiledCall::new(call, &a.name, events, members.columns(), functions).map(Some),
            _ => Ok(None),
        });
        let calls = calls.collect::<DfResult<Vec<_>>>()?;
        // The group's own count says which observers have a row.
        let own = Quantity { kind: Kind::Count, window: 0, argument: None };
        if !quantities.contains(&own) {
            quantities.push(own);
        }
        let scales = quantities.iter().map(|_| OnceLock::new()).collect();
        let shards: Vec<Shard> = positions.shards.windows(2).map(|_| Shard::default()).collect();
        let layout = layout(&windows, &quantities, events, orders.len(), calls.iter().any(Option::is_some));
        for window in &mut windows {
            window.holds = window.filter.map(|f| layout.flag(Flag::Holds(f)));
            for bound in &mut window.bounds {
                (bound.word, bound.valid) = (layout.value(bound.event).0, layout.flag(Flag::Valid(bound.event)));
            }
        }
        let longest_wait = WAITING_BYTES / 8 / shards.len().max(1);
        let (applying, extra) = (RwLock::new(()), AtomicUsize::new(0));
        Ok(Self {
            spec,
            events: Arc::clone(events),
            spine,
            positions,
            windows,
            plans,
            quantities,
            shards,
            layout,
            longest_wait,
            waiting: AtomicUsize::new(0),
            counted: AtomicUsize::new(0),
            scales,
            output,
            firsts,
            orders,
            ties,
            members,
            calls,
            applying,
            extra,
        })
    }

    /// The bytes that the cells of all positions will take, beside what does not fit them.
    pub fn size(&self) -> usize {
        let cell = |q: &Quantity| match q.kind {
            Kind::Count | Kind::Members => 8,
            Kind::Integers | Kind::Floats | Kind::Minimum | Kind::Maximum | Kind::First(_) => 16,
            Kind::Wide => 32,
        };
        let cells: usize = self.quantities.iter().map(cell).sum();
        let bounds: usize = self.windows.iter().flat_map(|w| &w.bounds).map(|b| b.column.size()).sum();
        self.positions.rows.len() * cells + self.positions.size() + bounds + self.spine.get_array_memory_size()
    }

    /// Lets so many bytes of events wait at the most, in place of [`WAITING_BYTES`].
    pub fn with_waiting(mut self, bytes: usize) -> Self {
        self.longest_wait = bytes / 8 / self.shards.len().max(1);
        self
    }

    /// Takes a batch of events in.
    ///
    /// # Errors
    /// Where Arrow can't cast a key, which is a defect, or where there are more events than a sweep can number.
    pub fn apply(&self, batch: &RecordBatch) -> DfResult<()> {
        self.take_in(batch)?;
        if self.firsts.wants_compaction() {
            self.compact()?;
        }
        Ok(())
    }

    /// Events that count for some observer, of all that were added.
    pub fn counted(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }

    fn take_in(&self, batch: &RecordBatch) -> DfResult<()> {
        let _applying = self.applying.read().unwrap_or_else(PoisonError::into_inner);
        let column = |name: &str| {
            batch.column_by_name(name).cloned().ok_or_else(|| exec_datafusion_err!("events have no column `{name}`"))
        };
        let keys = self.spec.keys.iter().map(|k| column(&k.event)).collect::<DfResult<Vec<_>>>()?;
        let mut groups = self.positions.of_events(&keys, batch.num_rows())?;
        if self.calls.iter().any(Option::is_some) {
            // Calls hold every row that waits: only those that count should.
            self.forget_uncounted(batch, &mut groups)?;
        }
        let (rows, starts) = self.by_shard(&groups);
        if rows.is_empty() {
            return Ok(());
        }
        for (quantity, scale) in self.quantities.iter().zip(&self.scales) {
            if let (Kind::Floats, Some(argument), None) = (quantity.kind, quantity.argument, scale.get()) {
                let floats = cast(batch.column(argument), &DataType::Float64)?;
                scale.get_or_init(|| Scale::suiting(floats.as_primitive::<Float64Type>().iter().flatten()));
            }
        }
        let prefixes = self.orders.iter().map(|o| o.prefixes(batch)).collect::<DfResult<Vec<_>>>()?;
        let kept = self.keep(batch, &rows)?;
        let words = self.layout.write(batch, &rows, &groups, &prefixes, &kept)?;
        self.waiting.fetch_add(words.len(), Ordering::Relaxed);
        let width = self.layout.words();
        for (shard, range) in starts.windows(2).enumerate().filter(|(_, r)| r[0] < r[1]) {
            let mut waiting = self.shards[shard].waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.extend_from_slice(&words[range[0] * width..range[1] * width]);
            if waiting.len() >= self.longest_wait {
                let room = waiting.capacity();
                let ripe = std::mem::replace(&mut *waiting, Vec::with_capacity(room));
                drop(waiting);
                self.add_all(shard, &ripe)?;
            }
        }
        Ok(())
    }

    /// The rows that have a key, sorted by shard, and where each shard's begin.
    fn by_shard(&self, groups: &[u32]) -> (Vec<u32>, Vec<usize>) {
        let shard_of = |group: u32| usize::from(self.positions.shard_of[group as usize]);
        let mut starts = vec![0_usize; self.shards.len() + 1];
        for &group in groups.iter().filter(|g| **g != NO_GROUP) {
            starts[shard_of(group) + 1] += 1;
        }
        for shard in 0..self.shards.len() {
            starts[shard + 1] += starts[shard];
        }
        let mut next = starts.clone();
        let mut rows = vec![0_u32; starts[self.shards.len()]];
        for (row, &group) in (0..).zip(groups).filter(|(_, g)| **g != NO_GROUP) {
            let at = &mut next[shard_of(group)];
            rows[*at] = row;
            *at += 1;
        }
        (rows, starts)
    }

    /// Takes the keys from events that count for no observer.
    fn forget_uncounted(&self, batch: &RecordBatch, groups: &mut [u32]) -> DfResult<()> {
        let rows: Vec<u32> = (0..).zip(&*groups).filter(|(_, g)| **g != NO_GROUP).map(|(row, _)| row).collect();
        let prefixes = vec![vec![0; batch.num_rows()]; self.orders.len()];
        let words = self.layout.write(batch, &rows, groups, &prefixes, &Kept::default())?;
        let events = Events::new(&words, &self.layout);
        let mut counts = vec![false; rows.len()];
        let mut own = Vec::new();
        self.windows[0].narrowed(&self.everywhere(events), events, &mut own);
        own.iter().for_each(|run| counts[run.event as usize] = true);
        for (row, _) in rows.iter().zip(counts).filter(|(_, counts)| !counts) {
            groups[*row as usize] = NO_GROUP;
        }
        Ok(())
    }

    /// Adds what waits for a shard.
    fn add_waiting(&self, shard: usize) -> DfResult<()> {
        let waiting = std::mem::take(&mut *self.shards[shard].waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.add_all(shard, &waiting)
    }

    fn add_all(&self, shard: usize, words: &[u64]) -> DfResult<()> {
        let start = self.positions.shards[shard];
        let mut tracks = self.tracks(shard);
        let extra = |tracks: &[Track]| tracks.iter().map(Track::extra_size).sum::<usize>();
        let before = extra(&tracks);
        let all = Events::new(words, &self.layout);
        let (mut own, mut inner) = (Vec::new(), Vec::new());
        for at in (0..all.len()).step_by(BLOCK_EVENTS) {
            let events = all.part(at, BLOCK_EVENTS);
            let mut units = Units::default();
            self.windows[0].narrowed(&self.everywhere(events), events, &mut own);
            let mut last = None;
            let distinct = own.iter().filter(|run| last.replace(run.event) != Some(run.event)).count();
            self.counted.fetch_add(distinct, Ordering::Relaxed);
            for (number, window) in self.windows.iter().enumerate() {
                let runs = match number {
                    0 => &own,
                    _ => {
                        window.narrowed(&own, events, &mut inner);
                        &inner
                    }
                };
                for (q, track) in tracks.iter_mut().enumerate().filter(|(q, _)| self.quantities[*q].window == number) {
                    self.add(q, track, events, runs, start, &mut units)?;
                }
            }
        }
        let after = extra(&tracks);
        drop(tracks);
        self.extra.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        self.waiting.fetch_sub(words.len(), Ordering::Relaxed);
        Ok(())
    }

    /// All positions of each event's key.
    fn everywhere(&self, events: Events<'_>) -> Vec<Run> {
        let run = |event: usize| {
            let range = self.positions.ranges[events.group(event) as usize];
            Run { event: u32::try_from(event).unwrap_or(u32::MAX), range, from: range.start, to: range.end }
        };
        (0..events.len()).map(run).collect()
    }

    /// Holds the events at these rows, where an aggregate needs them.
    fn keep(&self, batch: &RecordBatch, rows: &[u32]) -> DfResult<Kept> {
        let mut kept = Kept::default();
        let (firsts, members) = (!self.orders.is_empty(), self.calls.iter().any(Option::is_some));
        if !firsts && !members {
            return Ok(kept);
        }
        let part = (rows.len() * 2 < batch.num_rows()).then(|| {
            let mut held = vec![0; batch.num_rows()];
            for (at, row) in (0..).zip(rows) {
                held[*row as usize] = at;
            }
            kept.rows = Some(held);
            UInt32Array::from(rows.to_vec())
        });
        if firsts {
            kept.firsts = self.firsts.put(batch, part.as_ref())?;
        }
        if members {
            kept.members = self.members.put(batch, part.as_ref())?;
        }
        Ok(kept)
    }

    /// Lets go of events that come first nowhere any more.
    fn compact(&self) -> DfResult<()> {
        let _alone = self.applying.write().unwrap_or_else(PoisonError::into_inner);
        if !self.firsts.wants_compaction() {
            return Ok(());
        }
        for shard in 0..self.shards.len() {
            self.add_waiting(shard)?;
        }
        let mut shards: Vec<MutexGuard<Vec<Track>>> = (0..self.shards.len()).map(|s| self.tracks(s)).collect();
        let mut firsts: Vec<&mut Best> = Vec::new();
        for track in shards.iter_mut().flat_map(|s| s.iter_mut()) {
            if let Track::Best(best) = track {
                firsts.push(best);
            }
        }
        let mut live = self.firsts.live();
        firsts.iter_mut().flat_map(|b| b.rows()).for_each(|row| live.mark(*row));
        let live = live.ranked();
        self.firsts.keep(&live)?;
        firsts.iter_mut().flat_map(|b| b.rows()).for_each(|row| *row = live.compacted(*row));
        for ties in &self.ties {
            let mut ties = ties.lock().unwrap_or_else(PoisonError::into_inner);
            *ties = ties.iter().filter(|row| live.has(**row)).map(|row| live.compacted(*row)).collect();
        }
        Ok(())
    }

    /// Which of two events comes first. Remembers those that the order does not tell apart though they differ.
    fn rank(&self, order: usize) -> impl Fn(RowRef, RowRef) -> DfResult<Rank> {
        move |a, b| {
            let (of_a, of_b) = (self.firsts.get(a.batch), self.firsts.get(b.batch));
            let rank = self.orders[order].compare((&of_a, a.row), (&of_b, b.row))?;
            if rank == Rank::Tied {
                let mut ties = self.ties[order].lock().unwrap_or_else(PoisonError::into_inner);
                ties.extend([a, b]);
                if ties.len() > MOST_TIES {
                    return Err(DataFusionError::External(Box::new(TiedFirsts)));
                }
            }
            Ok(rank)
        }
    }

    /// Adds one quantity of events, in the intervals of its window.
    fn add(
        &self,
        quantity: usize,
        track: &mut Track,
        events: Events<'_>,
        runs: &[Run],
        start: u32,
        units: &mut Units,
    ) -> DfResult<()> {
        let Quantity { kind, argument, .. } = self.quantities[quantity];
        let valid = argument.map(|a| self.layout.flag(Flag::Valid(a)));
        let counted = runs.iter().filter(|run| valid.is_none_or(|v| events.holds(run.event, v)));
        let placed = counted.map(|run| (run.event, Interval::new(run.range, (run.from, run.to), start)));
        let value = argument.filter(|_| kind.has_value()).map(|a| self.layout.value(a));
        match (kind, track, value) {
            (Kind::Count, Track::Count(cells), _) => placed.for_each(|(_, at)| at.count(cells)),
            (Kind::First(order), Track::Best(best), _) => {
                let (prefix, row) = (self.layout.prefix(order), self.layout.firsts());
                let rank = self.rank(order);
                for (event, at) in placed {
                    let prefix = events.integer(event, prefix);
                    best.add(at, Candidate { prefix, row: events.row(event, row) }, &rank)?;
                }
            }
            (Kind::Members, Track::Members(members), _) => {
                let row = self.layout.members();
                for (event, at) in placed {
                    members.add(at, events.row(event, row))?;
                }
            }
            (Kind::Floats, Track::Floats { scale, units: cells, others }, Some((word, _))) => {
                let units = units.of(word, *scale, events);
                for (event, at) in placed {
                    match units[event as usize] {
                        NO_UNITS => at.add_other(others, events.float(event, word)),
                        units => at.add_units(cells, units),
                    }
                }
            }
            (Kind::Minimum | Kind::Maximum, Track::Extremes(extremes), Some((word, Encoding::Float))) => {
                placed.for_each(|(event, at)| extremes.add(at, order_of_float(events.float(event, word))));
            }
            (Kind::Minimum | Kind::Maximum, Track::Extremes(extremes), Some((word, _))) => {
                placed.for_each(|(event, at)| extremes.add(at, events.integer(event, word)));
            }
            (_, track, Some((word, Encoding::Decimal))) => {
                placed.for_each(|(event, at)| track.add_integer(at, events.decimal(event, word)));
            }
            (_, track, Some((word, Encoding::Unsigned))) => {
                placed.for_each(|(event, at)| track.add_integer(at, i128::from(events.word(event, word))));
            }
            (_, track, Some((word, _))) => {
                placed.for_each(|(event, at)| track.add_integer(at, i128::from(events.integer(event, word))));
            }
            (kind, _, None) => return exec_err!("{kind:?} has no argument"),
        }
        Ok(())
    }

    /// A shard's tracks, made when they are first needed.
    fn tracks(&self, shard: usize) -> MutexGuard<'_, Vec<Track>> {
        let mut tracks = self.shards[shard].tracks.lock().unwrap_or_else(PoisonError::into_inner);
        if tracks.is_empty() {
            let positions = (self.positions.shards[shard + 1] - self.positions.shards[shard]) as usize;
            *tracks = (0..self.quantities.len()).map(|q| self.track(q, positions)).collect();
        }
        tracks
    }

    fn track(&self, quantity: usize, positions: usize) -> Track {
        match self.quantities[quantity].kind {
            Kind::Count => Track::Count(vec![0; positions]),
            Kind::Integers => Track::Integers(vec![0; positions]),
            Kind::Floats => Track::Floats {
                scale: *self.scales[quantity].get_or_init(|| Scale::suiting([])),
                units: vec![0; positions],
                others: HashMap::default(),
            },
            Kind::Wide => Track::Wide(vec![i256::ZERO; positions]),
            Kind::First(_) => Track::Best(Best::new(positions)),
            Kind::Members => Track::Members(Members::new(positions)),
            Kind::Minimum => Track::Extremes(Extremes::new(positions, false)),
            Kind::Maximum => Track::Extremes(Extremes::new(positions, true)),
        }
    }

    /// Bytes held now beside [`Sweeper::size`]: events, tree nodes, values that do not fit fixed-point cells.
    pub fn extra_size(&self) -> usize {
        let waiting = 8 * self.waiting.load(Ordering::Relaxed);
        self.extra.load(Ordering::Relaxed) + waiting + self.firsts.bytes() + self.members.bytes()
    }

    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The rows of one shard's observers: observer, groups, aggregates. Frees its cells.
    ///
    /// # Errors
    /// An integer sum that does not fit its type.
    pub fn finish(&self, shard: usize) -> DfResult<RecordBatch> {
        self.add_waiting(shard)?;
        let (start, end) = (self.positions.shards[shard], self.positions.shards[shard + 1]);
        let tracks = std::mem::take(&mut *self.tracks(shard));
        let keys = self.positions.ranges.partition_point(|r| r.end <= start)..;
        let keys: Vec<(u32, u32)> = self.positions.ranges[keys]
            .iter()
            .take_while(|r| r.start < end)
            .map(|r| (r.start - start, r.end - start))
            .collect();
        let (mut totals, mut firsts, mut members) = (Vec::new(), HashMap::new(), HashMap::new());
        for (q, track) in tracks.into_iter().enumerate() {
            totals.push(match (track, self.quantities[q].kind) {
                (Track::Best(best), Kind::First(order)) => {
                    firsts.insert(q, self.untied(order, best.finish(&keys, &self.rank(order))?)?);
                    Totals::Events
                }
                (Track::Members(all), _) => {
                    members.insert(q, all);
                    Totals::Events
                }
                (other, _) => Totals::new(other, &keys),
            });
        }
        let own = self.quantities.iter().position(|q| *q == Quantity { kind: Kind::Count, window: 0, argument: None });
        let own = own.map(|q| &totals[q]);
        let there = |p: usize| self.spec.keeps_empty || own.is_some_and(|t| t.count(p) > 0);
        let kept: Vec<usize> = (0..(end - start) as usize).filter(|&p| there(p)).collect();
        let rows: UInt32Array = kept.iter().map(|&p| self.positions.rows[start as usize + p]).collect();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.output.fields().len());
        for name in std::iter::once(&self.spec.observer).chain(&self.spec.groups) {
            let column = self.spine.column_by_name(name);
            let column = column.ok_or_else(|| exec_datafusion_err!("the spine has no column `{name}`"))?;
            columns.push(cast(&take(column, &rows, None)?, self.output.field(columns.len()).data_type())?);
        }
        let mut called: HashMap<usize, ArrayRef> = HashMap::new();
        for (q, all) in &members {
            let theirs: Vec<usize> = (0..self.plans.len()).filter(|&a| self.plans[a].value == *q).collect();
            let calls: Vec<&CompiledCall> = theirs.iter().filter_map(|&a| self.calls[a].as_ref()).collect();
            let values = all.values(&keys, &kept, &self.members, &calls)?;
            called.extend(theirs.into_iter().zip(values));
        }
        for (a, (aggregate, plan)) in self.spec.aggregates.iter().zip(&self.plans).enumerate() {
            let data_type = self.output.field(columns.len()).data_type();
            let array = match (&aggregate.function, &aggregate.argument, firsts.get(&plan.value), called.remove(&a)) {
                (Function::First { .. }, Some(argument), Some(rows), _) => {
                    let held = self.firsts.position(self.events.index_of(argument)?);
                    let rows: Vec<RowRef> = kept.iter().map(|&p| rows[p]).collect();
                    self.firsts.gather(held, self.events.field_with_name(argument)?.data_type(), &rows)?
                }
                (_, _, _, Some(values)) => values,
                _ => result(aggregate, &totals[plan.count], &totals[plan.value], &kept, data_type)?,
            };
            columns.push(if array.data_type() == data_type { array } else { cast(&array, data_type)? });
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.output), columns)?)
    }
}

impl Sweeper {
    /// The events, where none of them was chosen among others that differ.
    fn untied(&self, order: usize, rows: Vec<RowRef>) -> DfResult<Vec<RowRef>> {
        let ties = self.ties[order].lock().unwrap_or_else(PoisonError::into_inner);
        if !ties.is_empty() && rows.iter().any(|row| ties.contains(row)) {
            return Err(DataFusionError::External(Box::new(TiedFirsts)));
        }
        Ok(rows)
    }
}

/// Bytes of events that wait for their shards.
const WAITING_BYTES: usize = if cfg!(test) { 64 << 10 } else { 48 << 20 };
/// Events that are added together: their intervals stay in a core's cache.
const BLOCK_EVENTS: usize = 1024;
/// So many ties are remembered.
const MOST_TIES: usize = 1 << 20;

impl Kind {
    /// Whether what is kept depends on the argument's value.
    fn has_value(self) -> bool {
        !matches!(self, Self::Count | Self::First(_) | Self::Members)
    }
}

/// Floats of a block of events in units of their sum: made once for all windows.
#[derive(Debug, Default)]
struct Units {
    known: Vec<(usize, Scale, Vec<i128>)>,
}

/// What no value is in units.
const NO_UNITS: i128 = i128::MAX;

impl Units {
    fn of(&mut self, word: usize, scale: Scale, events: Events<'_>) -> &[i128] {
        let known = self.known.iter().position(|(w, s, _)| *w == word && *s == scale);
        let at = known.unwrap_or_else(|| {
            let events = (0..events.len()).map(|e| events.float(u32::try_from(e).unwrap_or(0), word));
            let units = events.map(|value| scale.units(value).unwrap_or(NO_UNITS)).collect();
            self.known.push((word, scale, units));
            self.known.len() - 1
        });
        &self.known[at].2
    }
}

/// What has to be known of events while they wait.
fn layout(
    windows: &[CompiledWindow],
    quantities: &[Quantity],
    events: &SchemaRef,
    orders: usize,
    members: bool,
) -> Layout {
    let (mut columns, mut flags) = (Vec::new(), Vec::new());
    for window in windows {
        flags.extend(window.filter.map(Flag::Holds));
        for bound in &window.bounds {
            columns.push(bound.event);
            flags.push(Flag::Valid(bound.event));
        }
    }
    for quantity in quantities {
        flags.extend(quantity.argument.map(Flag::Valid));
        columns.extend(quantity.argument.filter(|_| quantity.kind.has_value()));
    }
    columns.sort_unstable();
    columns.dedup();
    let mut distinct: Vec<Flag> = Vec::new();
    for flag in flags {
        if !distinct.contains(&flag) {
            distinct.push(flag);
        }
    }
    Layout::new(events, &columns, distinct, orders, orders > 0, members)
}

/// The columns that aggregates take from the events that come first by an order.
fn values_of<'a>(spec: &'a SweepSpec, order: &[OrderKey]) -> Vec<&'a String> {
    let of = |a: &'a SweepAggregate| match &a.function {
        Function::First { order: own, .. } if own == order => a.argument.as_ref(),
        _ => None,
    };
    spec.aggregates.iter().filter_map(of).collect()
}

/// The columns of events that are held: for first values, for calls.
fn held_columns(spec: &SweepSpec, events: &SchemaRef) -> DfResult<(Vec<usize>, Vec<usize>)> {
    let (mut firsts, mut calls): (Vec<&String>, Vec<&String>) = (Vec::new(), Vec::new());
    for aggregate in &spec.aggregates {
        match &aggregate.function {
            Function::First { order, .. } => {
                firsts.extend(aggregate.argument.iter().chain(order.iter().map(|key| &key.event)));
            }
            Function::Call(call) => {
                calls.extend(call.arguments.iter().filter_map(|a| match a {
                    Argument::Column(name) => Some(name),
                    Argument::Literal { .. } => None,
                }));
                calls.extend(call.order.iter().map(|key| &key.event));
            }
            _ => {}
        }
    }
    let numbers = |names: Vec<&String>| -> DfResult<Vec<usize>> {
        let mut numbers = names.into_iter().map(|n| Ok(events.index_of(n)?)).collect::<DfResult<Vec<usize>>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    };
    Ok((numbers(firsts)?, numbers(calls)?))
}

/// An order of first values.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OrderOf {
    keys: Vec<OrderKey>,
    /// Whether the first may be NULL.
    nulls: bool,
    settled: bool,
}

/// Which quantities an aggregate needs; new ones are added.
fn plan(
    aggregate: &SweepAggregate,
    events: &SchemaRef,
    quantities: &mut Vec<Quantity>,
    orders: &mut Vec<OrderOf>,
) -> DfResult<Plan> {
    let argument = aggregate.argument.as_ref().map(|a| events.index_of(a)).transpose()?;
    let window = aggregate.window;
    let data_type = argument.map(|a| events.field(a).data_type());
    let nullable = argument.is_none_or(|a| events.field(a).is_nullable());
    let mut add = |kind: Kind, argument: Option<usize>| {
        let quantity = Quantity { kind, window, argument };
        quantities.iter().position(|q| *q == quantity).unwrap_or_else(|| {
            quantities.push(quantity);
            quantities.len() - 1
        })
    };
    let value = match (&aggregate.function, data_type) {
        (Function::Call(_), _) => {
            let value = add(Kind::Members, None);
            return Ok(Plan { count: value, value });
        }
        (Function::First { order, ignore_nulls, settled }, Some(_)) => {
            let skipped = argument.filter(|_| *ignore_nulls && nullable);
            let first = order.first().map(|key| events.index_of(&key.event)).transpose()?;
            let nulls = first.is_some_and(|f| events.field(f).is_nullable() && skipped != Some(f));
            let order = OrderOf { keys: order.clone(), nulls, settled: *settled };
            let number = orders.iter().position(|o| *o == order).unwrap_or_else(|| {
                orders.push(order);
                orders.len() - 1
            });
            let value = add(Kind::First(number), skipped);
            return Ok(Plan { count: value, value });
        }
        (Function::Count, _) => None,
        (_, None) => return exec_err!("`{}` has no argument", aggregate.name),
        (Function::Sum | Function::Average, Some(t)) if t.is_floating() => Some(Kind::Floats),
        (Function::Sum | Function::Average, Some(DataType::Decimal128(precision, _))) if *precision > NARROW_DIGITS => {
            Some(Kind::Wide)
        }
        (Function::Sum | Function::Average, Some(_)) => Some(Kind::Integers),
        (Function::Minimum, Some(_)) => Some(Kind::Minimum),
        (Function::Maximum, Some(_)) => Some(Kind::Maximum),
    };
    let count = add(Kind::Count, argument.filter(|_| nullable));
    let value = value.map_or(count, |kind| add(kind, argument));
    Ok(Plan { count, value })
}

/// Decimals of so many digits are below 2^94, as [`Track::Integers`] wants it.
const NARROW_DIGITS: u8 = 28;

impl CompiledWindow {
    /// The parts of `outer` in which this window's events count.
    fn narrowed(&self, outer: &[Run], events: Events<'_>, inner: &mut Vec<Run>) {
        inner.clear();
        'runs: for run in outer {
            let known = self.bounds.iter().all(|b| events.holds(run.event, b.valid));
            if !known || self.holds.is_some_and(|h| !events.holds(run.event, h)) {
                continue;
            }
            if !self.regular {
                self.split(run, events, inner);
                continue;
            }
            let mut interval = (run.from, run.to);
            for bound in &self.bounds {
                interval = bound.column.narrow(bound.op, events.integer(run.event, bound.word), interval);
                if interval.0 >= interval.1 {
                    continue 'runs;
                }
            }
            inner.push(Run { from: interval.0, to: interval.1, ..*run });
        }
    }

    /// The positions of a run, one by one.
    fn split(&self, run: &Run, events: Events<'_>, inner: &mut Vec<Run>) {
        let holds = |position: u32| {
            self.bounds.iter().all(|b| b.column.holds_at(b.op, events.integer(run.event, b.word), position))
        };
        let mut from = None;
        for position in run.from..=run.to {
            match (position < run.to && holds(position), from) {
                (true, None) => from = Some(position),
                (false, Some(start)) => {
                    inner.push(Run { from: start, to: position, ..*run });
                    from = None;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "sweeper_tests.rs"]
mod tests;
