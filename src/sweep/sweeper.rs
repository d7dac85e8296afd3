//! The algorithm: a spine and batches of events in, aggregates out. No plans, no streams.
//!
//! ```text
//! 1. key        -> the range of its positions                       (hash table; no range: the event is dropped)
//! 2. bounds     -> the interval of positions at which it counts     (binary search, per window)
//! 3. aggregates -> differences and tree nodes                       (a few cells, under the shard's lock)
//! 4. at the end -> prefix sums over each key's positions
//! ```
//!
//! Batches may come in any order and from many threads: every cell is a sum or an extreme that does not depend on it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, UInt32Array,
    UInt64Array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, SchemaRef, UInt64Type, i256};
use datafusion::common::{HashMap, exec_datafusion_err, exec_err};
use datafusion::error::Result as DfResult;

use crate::exact::{Scale, order_of_float};
use crate::sweep::arena::{Arena, RowRef};
use crate::sweep::best::{Best, Candidate};
use crate::sweep::bounds::BoundColumn;
use crate::sweep::members::{CompiledCall, Functions, Members};
use crate::sweep::order::Order;
use crate::sweep::positions::{Positions, Range};
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
    shards: Vec<Mutex<Vec<Track>>>,
    /// By quantity: chosen when the first values are seen.
    scales: Vec<OnceLock<Scale>>,
    output: SchemaRef,
    /// Events that come first somewhere, by these orders.
    firsts: Arena,
    orders: Vec<Order>,
    /// Events that calls need, and the calls by aggregate.
    members: Arena,
    calls: Vec<Option<CompiledCall>>,
    /// Held to read while a batch is taken in: rows are only renumbered between batches.
    applying: RwLock<()>,
    /// Bytes of tracks beside their cells.
    extra: AtomicUsize,
}

/// Bounds with the columns that they compare.
#[derive(Debug)]
struct CompiledWindow {
    bounds: Vec<CompiledBound>,
    filter: Option<usize>,
    regular: bool,
}

#[derive(Debug)]
struct CompiledBound {
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

/// A batch's values of one quantity, and where they are there.
#[derive(Debug)]
enum Values {
    None(Option<NullBuffer>),
    Integers(Int64Array),
    Unsigned(UInt64Array),
    Decimals(Decimal128Array),
    Floats(Float64Array),
    /// By order: the start of each event's sort key.
    Firsts {
        order: usize,
        prefixes: Vec<i64>,
        nulls: Option<NullBuffer>,
    },
}

/// Where a batch's events are held.
#[derive(Debug)]
struct Kept {
    firsts: u32,
    members: u32,
    /// By row of the batch, the row that is held; `None`: the same.
    rows: Option<Vec<u32>>,
}

impl Kept {
    fn row(&self, batch: u32, row: u32) -> RowRef {
        RowRef { batch, row: self.rows.as_ref().map_or(row, |rows| rows[row as usize]) }
    }
}

impl Values {
    fn is_valid(&self, row: usize) -> bool {
        match self {
            Self::None(nulls) | Self::Firsts { nulls, .. } => nulls.as_ref().is_none_or(|n| n.is_valid(row)),
            Self::Integers(array) => array.is_valid(row),
            Self::Unsigned(array) => array.is_valid(row),
            Self::Decimals(array) => array.is_valid(row),
            Self::Floats(array) => array.is_valid(row),
        }
    }
}

/// One event's interval in one window; several where a bound is irregular.
#[derive(Debug, Clone, Copy)]
struct Run {
    row: u32,
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
                    let column = BoundColumn::new(of_spine(&bound.spine)?, &positions)?;
                    columns.insert(bound.spine.clone(), Arc::new(column));
                }
                let event = events.index_of(&bound.event)?;
                bounds.push(CompiledBound { event, op: bound.op, column: Arc::clone(&columns[&bound.spine]) });
            }
            let filter = window.filter.as_ref().map(|f| events.index_of(f)).transpose()?;
            let regular = bounds.iter().all(|b| b.column.is_regular());
            windows.push(CompiledWindow { bounds, filter, regular });
        }
        let (mut plans, mut quantities, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for aggregate in &spec.aggregates {
            plans.push(plan(aggregate, events, &mut quantities, &mut orders)?);
        }
        let (of_firsts, of_calls) = held_columns(&spec, events)?;
        let firsts = Arena::new(of_firsts, orders.len());
        let orders = orders.iter().enumerate();
        let orders = orders.map(|(i, (keys, nulls))| Order::new(i, keys, *nulls, events, &firsts));
        let orders = orders.collect::<DfResult<Vec<_>>>()?;
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
        let shards = positions.shards.windows(2).map(|_| Mutex::new(Vec::new())).collect();
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
            scales,
            output,
            firsts,
            orders,
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

    /// Takes a batch of events in; gives how many of them count for some observer.
    ///
    /// # Errors
    /// Where Arrow can't cast a key, which is a defect, or where there are more events than a sweep can number.
    pub fn apply(&self, batch: &RecordBatch) -> DfResult<usize> {
        let counted = self.take_in(batch)?;
        if self.firsts.wants_compaction() {
            self.compact()?;
        }
        Ok(counted)
    }

    fn take_in(&self, batch: &RecordBatch) -> DfResult<usize> {
        let _applying = self.applying.read().unwrap_or_else(PoisonError::into_inner);
        let column = |name: &str| {
            batch.column_by_name(name).cloned().ok_or_else(|| exec_datafusion_err!("events have no column `{name}`"))
        };
        let keys = self.spec.keys.iter().map(|k| column(&k.event)).collect::<DfResult<Vec<_>>>()?;
        let ranges = self.positions.of_events(&keys, batch.num_rows())?;
        let runs = self.runs(batch, &ranges)?;
        let Some(own) = runs.first().filter(|own| !own.is_empty()) else { return Ok(0) };
        let values = self.quantities.iter().map(|q| self.values(*q, batch)).collect::<DfResult<Vec<_>>>()?;
        for (q, values) in values.iter().enumerate() {
            if let Values::Floats(array) = values {
                self.scales[q].get_or_init(|| Scale::suiting(array.iter().flatten()));
            }
        }
        let counted = own.len();
        let kept = self.keep(batch, own)?;
        // Every shard is locked once a batch; all its quantities are then brought up to date.
        let windows: Vec<ByShard> = runs.into_iter().map(|runs| ByShard::new(runs, self.shards.len())).collect();
        for shard in 0..self.shards.len() {
            if windows[0].of(shard).is_empty() {
                continue;
            }
            let start = self.positions.shards[shard];
            let mut tracks = self.shard(shard);
            let extra = |tracks: &[Track]| tracks.iter().map(Track::extra_size).sum::<usize>();
            let before = extra(&tracks);
            for ((quantity, values), track) in self.quantities.iter().zip(&values).zip(tracks.iter_mut()) {
                self.add(track, values, windows[quantity.window].of(shard), start, &kept)?;
            }
            self.extra.fetch_add(extra(&tracks).saturating_sub(before), Ordering::Relaxed);
        }
        Ok(counted)
    }

    /// Holds the events that count, where an aggregate needs them.
    fn keep(&self, batch: &RecordBatch, own: &[Run]) -> DfResult<Kept> {
        let mut kept = Kept { firsts: 0, members: 0, rows: None };
        let (firsts, members) = (!self.orders.is_empty(), self.calls.iter().any(Option::is_some));
        if !firsts && !members {
            return Ok(kept);
        }
        let mut counted: Vec<u32> = own.iter().map(|run| run.row).collect();
        counted.dedup();
        let part = (counted.len() * 2 < batch.num_rows()).then(|| {
            let mut rows = vec![0; batch.num_rows()];
            for (at, row) in (0..).zip(&counted) {
                rows[*row as usize] = at;
            }
            kept.rows = Some(rows);
            UInt32Array::from(counted)
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
        let lock = |s| Mutex::lock(s).unwrap_or_else(PoisonError::into_inner);
        let mut shards: Vec<MutexGuard<Vec<Track>>> = self.shards.iter().map(lock).collect();
        let mut firsts: Vec<&mut Best> = Vec::new();
        for track in shards.iter_mut().flat_map(|s| s.iter_mut()) {
            if let Track::Best(best) = track {
                firsts.push(best);
            }
        }
        let mut live: Vec<RowRef> = firsts.iter_mut().flat_map(|b| b.rows()).map(|row| *row).collect();
        live.sort_unstable();
        live.dedup();
        self.firsts.keep(&live)?;
        for row in firsts.iter_mut().flat_map(|b| b.rows()) {
            let at = live.binary_search(row).map_err(|_| exec_datafusion_err!("an event got lost"))?;
            *row = Arena::compacted(at);
        }
        Ok(())
    }

    /// Which of two events comes first.
    fn before(&self, order: usize) -> impl Fn(RowRef, RowRef) -> DfResult<bool> {
        move |a, b| {
            let (of_a, of_b) = (self.firsts.get(a.batch), self.firsts.get(b.batch));
            Ok(self.orders[order].compare((&of_a, a.row), (&of_b, b.row))?.is_lt())
        }
    }

    fn add(&self, track: &mut Track, values: &Values, runs: &[Run], start: u32, kept: &Kept) -> DfResult<()> {
        for run in runs {
            let row = run.row as usize;
            if !values.is_valid(row) {
                continue;
            }
            let at = Interval::new(run.range, (run.from, run.to), start);
            match (values, &mut *track) {
                (Values::Firsts { order, prefixes, .. }, Track::Best(best)) => {
                    let event = Candidate { prefix: prefixes[row], row: kept.row(kept.firsts, run.row) };
                    best.add(at, event, &self.before(*order))?;
                }
                (Values::None(_), Track::Members(members)) => members.add(at, kept.row(kept.members, run.row))?,
                (Values::None(_), track) => track.count(at),
                (Values::Integers(array), Track::Extremes(_)) => track.add_extreme(at, array.value(row)),
                (Values::Integers(array), track) => track.add_integer(at, i128::from(array.value(row))),
                (Values::Unsigned(array), track) => track.add_integer(at, i128::from(array.value(row))),
                (Values::Decimals(array), track) => track.add_integer(at, array.value(row)),
                (Values::Floats(array), track) => track.add_float(at, array.value(row)),
                (Values::Firsts { .. }, _) => {}
            }
        }
        Ok(())
    }

    /// By window, the intervals of this batch's events, by event.
    fn runs(&self, batch: &RecordBatch, ranges: &[Range]) -> DfResult<Vec<Vec<Run>>> {
        let mut bounds: HashMap<usize, Int64Array> = HashMap::default();
        for bound in self.windows.iter().flat_map(|w| &w.bounds) {
            if !bounds.contains_key(&bound.event) {
                let values = cast(batch.column(bound.event), &DataType::Int64)?;
                bounds.insert(bound.event, values.as_primitive::<Int64Type>().clone());
            }
        }
        let all = ranges.iter().enumerate().filter(|(_, range)| !range.is_empty()).map(|(row, range)| Run {
            row: u32::try_from(row).unwrap_or(u32::MAX),
            range: *range,
            from: range.start,
            to: range.end,
        });
        let mut runs: Vec<Vec<Run>> = Vec::with_capacity(self.windows.len());
        let all: Vec<Run> = all.collect();
        for (i, window) in self.windows.iter().enumerate() {
            let outer = if i == 0 { &all } else { &runs[0] };
            runs.push(window.narrowed(outer, batch, &bounds)?);
        }
        Ok(runs)
    }

    fn values(&self, quantity: Quantity, batch: &RecordBatch) -> DfResult<Values> {
        if let Kind::First(order) = quantity.kind {
            let nulls = quantity.argument.and_then(|a| batch.column(a).logical_nulls());
            return Ok(Values::Firsts { order, prefixes: self.orders[order].prefixes(batch)?, nulls });
        }
        let Some(argument) = quantity.argument else { return Ok(Values::None(None)) };
        let array = batch.column(argument);
        Ok(match quantity.kind {
            Kind::Count | Kind::Members | Kind::First(_) => Values::None(array.logical_nulls()),
            Kind::Integers | Kind::Wide if array.data_type().is_decimal() => {
                Values::Decimals(array.as_primitive::<Decimal128Type>().clone())
            }
            Kind::Integers if *array.data_type() == DataType::UInt64 => {
                Values::Unsigned(array.as_primitive::<UInt64Type>().clone())
            }
            Kind::Integers | Kind::Wide => {
                Values::Integers(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            Kind::Floats => Values::Floats(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone()),
            Kind::Minimum | Kind::Maximum if array.data_type().is_floating() => {
                let floats = cast(array, &DataType::Float64)?;
                Values::Integers(floats.as_primitive::<Float64Type>().unary(order_of_float))
            }
            Kind::Minimum | Kind::Maximum => {
                Values::Integers(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
        })
    }

    /// A shard's tracks, made when they are first needed.
    fn shard(&self, shard: usize) -> MutexGuard<'_, Vec<Track>> {
        let mut tracks = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
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
        self.extra.load(Ordering::Relaxed) + self.firsts.bytes() + self.members.bytes()
    }

    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The rows of one shard's observers: observer, groups, aggregates. Frees its cells.
    ///
    /// # Errors
    /// An integer sum that does not fit its type.
    pub fn finish(&self, shard: usize) -> DfResult<RecordBatch> {
        let (start, end) = (self.positions.shards[shard], self.positions.shards[shard + 1]);
        let tracks = std::mem::take(&mut *self.shard(shard));
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
                    firsts.insert(q, best.finish(&keys, &self.before(order))?);
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

/// The keys of an order, and whether the first may be NULL.
type OrderOf = (Vec<OrderKey>, bool);

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
        (Function::First { order, ignore_nulls }, Some(_)) => {
            let skipped = argument.filter(|_| *ignore_nulls && nullable);
            let first = order.first().map(|key| events.index_of(&key.event)).transpose()?;
            let nulls = first.is_some_and(|f| events.field(f).is_nullable() && skipped != Some(f));
            let order = (order.clone(), nulls);
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
    fn narrowed(&self, outer: &[Run], batch: &RecordBatch, bounds: &HashMap<usize, Int64Array>) -> DfResult<Vec<Run>> {
        let filter: Option<&BooleanArray> = match self.filter {
            Some(column) => match batch.column(column).as_boolean_opt() {
                Some(filter) => Some(filter),
                None => return exec_err!("a filter that is {}", batch.column(column).data_type()),
            },
            None => None,
        };
        let events: Vec<&Int64Array> = self.bounds.iter().map(|b| &bounds[&b.event]).collect();
        let mut inner = Vec::with_capacity(outer.len());
        'events: for run in outer {
            let row = run.row as usize;
            if filter.is_some_and(|f| f.is_null(row) || !f.value(row)) || events.iter().any(|e| e.is_null(row)) {
                continue;
            }
            if !self.regular {
                self.split(run, &events, &mut inner);
                continue;
            }
            let mut interval = (run.from, run.to);
            for (bound, event) in self.bounds.iter().zip(&events) {
                interval = bound.column.narrow(bound.op, event.value(row), interval);
                if interval.0 >= interval.1 {
                    continue 'events;
                }
            }
            inner.push(Run { from: interval.0, to: interval.1, ..*run });
        }
        Ok(inner)
    }

    /// The positions of a run, one by one.
    fn split(&self, run: &Run, events: &[&Int64Array], inner: &mut Vec<Run>) {
        let row = run.row as usize;
        let holds = |position: u32| {
            self.bounds.iter().zip(events).all(|(b, e)| b.column.holds_at(b.op, e.value(row), position))
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

/// Runs in the order of shards.
#[derive(Debug)]
struct ByShard {
    runs: Vec<Run>,
    starts: Vec<usize>,
}

impl ByShard {
    fn new(runs: Vec<Run>, shards: usize) -> Self {
        let mut starts = vec![0; shards + 1];
        runs.iter().for_each(|run| starts[run.range.shard as usize + 1] += 1);
        for shard in 0..shards {
            starts[shard + 1] += starts[shard];
        }
        if shards == 1 {
            return Self { runs, starts };
        }
        let mut next = starts.clone();
        let mut sorted = runs.clone();
        for run in runs {
            let at = &mut next[run.range.shard as usize];
            sorted[*at] = run;
            *at += 1;
        }
        Self { runs: sorted, starts }
    }

    fn of(&self, shard: usize) -> &[Run] {
        &self.runs[self.starts[shard]..self.starts[shard + 1]]
    }
}

#[cfg(test)]
#[path = "sweeper_tests.rs"]
mod tests;
