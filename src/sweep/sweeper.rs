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

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, UInt32Array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use datafusion::common::{HashMap, exec_datafusion_err, exec_err};
use datafusion::error::Result as DfResult;

use crate::exact::Scale;
use crate::sweep::bounds::BoundColumn;
use crate::sweep::positions::{Positions, Range};
use crate::sweep::spec::{Function, SweepAggregate, SweepSpec};
use crate::sweep::totals::{Totals, order_of_float, result};
use crate::sweep::track::{Extremes, Interval, Track};

/// One sweep under way.
#[derive(Debug)]
pub struct Sweeper {
    spec: SweepSpec,
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
    Floats,
    Minimum,
    Maximum,
}

/// Positions of an aggregate's quantities.
#[derive(Debug, Clone, Copy)]
struct Plan {
    count: usize,
    /// The same as `count` for a count.
    value: usize,
}

/// A batch's values of one quantity, and where they are there.
#[derive(Debug)]
enum Values {
    None(Option<NullBuffer>),
    Integers(Int64Array),
    Floats(Float64Array),
}

impl Values {
    fn is_valid(&self, row: usize) -> bool {
        match self {
            Self::None(nulls) => nulls.as_ref().is_none_or(|n| n.is_valid(row)),
            Self::Integers(array) => array.is_valid(row),
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
    pub fn new(spec: SweepSpec, spine: RecordBatch, events: &SchemaRef, output: SchemaRef) -> DfResult<Self> {
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
        let (mut plans, mut quantities) = (Vec::new(), Vec::new());
        for aggregate in &spec.aggregates {
            plans.push(plan(aggregate, events, &mut quantities)?);
        }
        // The group's own count says which observers have a row.
        let own = Quantity { kind: Kind::Count, window: 0, argument: None };
        if !quantities.contains(&own) {
            quantities.push(own);
        }
        let scales = quantities.iter().map(|_| OnceLock::new()).collect();
        let shards = positions.shards.windows(2).map(|_| Mutex::new(Vec::new())).collect();
        Ok(Self { spec, spine, positions, windows, plans, quantities, shards, scales, output })
    }

    /// The bytes that the cells of all positions will take, beside what does not fit them.
    pub fn size(&self) -> usize {
        let cell = |q: &Quantity| match q.kind {
            Kind::Count => 8,
            Kind::Integers | Kind::Floats | Kind::Minimum | Kind::Maximum => 16,
        };
        let cells: usize = self.quantities.iter().map(cell).sum();
        let bounds: usize = self.windows.iter().flat_map(|w| &w.bounds).map(|b| b.column.size()).sum();
        self.positions.rows.len() * cells + self.positions.size() + bounds + self.spine.get_array_memory_size()
    }

    /// Takes a batch of events in; gives how many of them count for some observer.
    ///
    /// # Errors
    /// Where Arrow can't cast a key, which is a defect.
    pub fn apply(&self, batch: &RecordBatch) -> DfResult<usize> {
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
        // Every shard is locked once a batch; all its quantities are then brought up to date.
        let windows: Vec<ByShard> = runs.into_iter().map(|runs| ByShard::new(runs, self.shards.len())).collect();
        for shard in 0..self.shards.len() {
            if windows[0].of(shard).is_empty() {
                continue;
            }
            let start = self.positions.shards[shard];
            let mut tracks = self.shard(shard);
            for ((quantity, values), track) in self.quantities.iter().zip(&values).zip(tracks.iter_mut()) {
                add(track, values, windows[quantity.window].of(shard), start);
            }
        }
        Ok(counted)
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
        let Some(argument) = quantity.argument else { return Ok(Values::None(None)) };
        let array = batch.column(argument);
        Ok(match quantity.kind {
            Kind::Count => Values::None(array.logical_nulls()),
            Kind::Integers => Values::Integers(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone()),
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
            Kind::Minimum => Track::Extremes(Extremes::new(positions, false)),
            Kind::Maximum => Track::Extremes(Extremes::new(positions, true)),
        }
    }

    /// Bytes held now beside [`Sweeper::size`]: values that do not fit fixed-point cells.
    pub fn extra_size(&self) -> usize {
        self.shards
            .iter()
            .map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Track::extra_size).sum::<usize>())
            .sum()
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
        let totals: Vec<Totals> = tracks.into_iter().map(|track| Totals::new(track, &keys)).collect();
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
        for (aggregate, plan) in self.spec.aggregates.iter().zip(&self.plans) {
            let data_type = self.output.field(columns.len()).data_type();
            let (counts, values) = (&totals[plan.count], &totals[plan.value]);
            columns.push(result(aggregate, counts, values, &kept, data_type)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.output), columns)?)
    }
}

/// Which quantities an aggregate needs; new ones are added.
fn plan(aggregate: &SweepAggregate, events: &SchemaRef, quantities: &mut Vec<Quantity>) -> DfResult<Plan> {
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
    let count = add(Kind::Count, argument.filter(|_| nullable));
    let value = match (aggregate.function, data_type) {
        (Function::Count, _) => count,
        (_, None) => return exec_err!("`{}` has no argument", aggregate.name),
        (Function::Sum | Function::Average, Some(t)) if t.is_floating() => add(Kind::Floats, argument),
        (Function::Sum | Function::Average, Some(_)) => add(Kind::Integers, argument),
        (Function::Minimum, Some(_)) => add(Kind::Minimum, argument),
        (Function::Maximum, Some(_)) => add(Kind::Maximum, argument),
    };
    Ok(Plan { count, value })
}

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

fn add(track: &mut Track, values: &Values, runs: &[Run], start: u32) {
    for run in runs {
        let row = run.row as usize;
        if !values.is_valid(row) {
            continue;
        }
        let at = Interval::new(run.range, (run.from, run.to), start);
        match values {
            Values::None(_) => track.count(at),
            Values::Integers(array) => match track {
                Track::Extremes(_) => track.add_extreme(at, array.value(row)),
                _ => track.add_integer(at, array.value(row)),
            },
            Values::Floats(array) => track.add_float(at, array.value(row)),
        }
    }
}
