//! The algorithm: a spine and batches of events in, aggregates out. No plans, no streams.
//!
//! ```text
//! 1. key        -> its number, and the shard of its positions       (table or hash table; no key: the event is dropped)
//! 2. the event waits for its shard, as a few words                  (until so many wait that the shard's cells are worth loading)
//! 3. bounds     -> the interval of positions at which it counts     (`windows.rs`: binary search, per window)
//! 4. aggregates -> differences and tree nodes                       (`add.rs`: a few cells)
//! 5. at the end -> prefix sums over each key's positions            (`finish.rs`)
//! ```
//!
//! Batches may come in any order and from many threads: every cell is a sum or an extreme that does not depend on it.
//!
//! A key with very many observers is cut into pieces, each a shard (`positions.rs`):
//!
//! ```text
//! pieces             [ 0 ............ ][ 1 ............ ][ 2 ............ ][ 3 ............ ]
//! an event counts at               [------------------------------------------)
//! added to           piece 0, its end    the cut's own cells: 1 and 2 as a whole     piece 3, its start
//! ```
//!
//! So its events are added by several threads at once, and to two pieces at the most, however long the window is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use datafusion::common::{HashMap, exec_datafusion_err};
use datafusion::error::Result as DfResult;

use crate::exact::Scale;
use crate::sweep::bounds::BoundColumn;
use crate::sweep::finer::Finer;
use crate::sweep::layout::{Events, Flag, Kept, Layout};
use crate::sweep::members::{CompiledCall, Functions};
use crate::sweep::order::Order;
use crate::sweep::positions::{NO_GROUP, Positions};
use crate::sweep::quantities::{Kind, Plan, Quantity, held_columns, layout, plan, values_of};
use crate::sweep::rows::Rows;
use crate::sweep::shelf::{Chunk, Shelf, Shelving};
use crate::sweep::spec::{Function, SweepSpec};
use crate::sweep::totals::Totals;
use crate::sweep::track::Track;
use crate::sweep::windows::{CompiledBound, CompiledWindow};

/// One sweep under way.
#[derive(Debug)]
pub struct Sweeper {
    pub(super) spec: SweepSpec,
    pub(super) events: SchemaRef,
    /// What is given out of it: the observer and the groups.
    pub(super) spine: RecordBatch,
    pub(super) positions: Positions,
    /// As [`SweepSpec::windows`].
    pub(super) windows: Vec<CompiledWindow>,
    /// The tracks of each aggregate: how many values, and what is made of them.
    pub(super) plans: Vec<Plan>,
    /// The distinct quantities.
    pub(super) quantities: Vec<Quantity>,
    /// Of positions; then one for each cut key, of its pieces.
    pub(super) shards: Vec<Shard>,
    pub(super) layout: Layout,
    /// Words that wait for one shard before they are added.
    longest_wait: usize,
    /// Words that wait for all of them.
    waiting: AtomicUsize,
    /// Events that count for some observer, so far.
    pub(super) counted: AtomicUsize,
    /// By quantity: chosen when the first values are seen.
    pub(super) scales: Vec<OnceLock<Scale>>,
    pub(super) output: SchemaRef,
    pub(super) orders: Vec<Order>,
    /// Where there are groups finer than the keys.
    pub(super) finer: Option<Finer>,
    /// Events that are held.
    pub(super) rows: Rows,
    /// By aggregate.
    pub(super) calls: Vec<Option<CompiledCall>>,
    /// Held to read while a batch is taken in: rows are only renumbered between batches.
    applying: RwLock<()>,
    /// Bytes of tracks beside their cells.
    pub(super) extra: AtomicUsize,
    pub(super) shelving: Option<Shelving>,
    /// By cut, what counts in its pieces as a whole; once all events are there.
    pub(super) cut_totals: Vec<OnceLock<Vec<Totals>>>,
    /// That evaluate the calls of one shard.
    pub(super) threads: usize,
}

/// The cells of some positions, and the events that wait to be added to them.
#[derive(Debug, Default)]
pub(super) struct Shard {
    waiting: Mutex<Vec<u64>>,
    pub(super) tracks: Mutex<Vec<Track>>,
    pub(super) shelved: Mutex<Vec<Chunk>>,
}

/// Bytes of events that wait for their shards.
const WAITING_BYTES: usize = if cfg!(test) { 64 << 10 } else { 48 << 20 };
/// The part of little memory that waiting events may take, and the fewest words that may wait for a shard.
const WAITING_SHARE: usize = 4;
const FEWEST_WAITING: usize = if cfg!(test) { 32 } else { 256 };

impl Sweeper {
    /// `spine` has the columns that the spec names; `events` is the schema of the batches to come; `output` is the observer, the
    /// groups, the finer groups and the aggregates.
    ///
    /// # Errors
    /// A column that is not there or has a type that no sweep takes: a defect of whoever made the spec.
    pub fn new(
        spec: SweepSpec,
        spine: &RecordBatch,
        events: &SchemaRef,
        output: SchemaRef,
        functions: &Functions,
    ) -> DfResult<Self> {
        let of_spine = |name: &str| {
            spine.column_by_name(name).ok_or_else(|| exec_datafusion_err!("the spine has no column `{name}`"))
        };
        let keys = spec.keys.iter().map(|k| of_spine(&k.spine).cloned()).collect::<DfResult<Vec<_>>>()?;
        let (mut plans, mut quantities, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for aggregate in &spec.aggregates {
            plans.push(plan(aggregate, events, &mut quantities, &mut orders)?);
        }
        let finer = spec.finer.iter().map(|name| Ok(events.index_of(name)?)).collect::<DfResult<Vec<_>>>()?;
        let finer = if finer.is_empty() { None } else { Some(Finer::new(finer, events)?) };
        // What says which observers have a row: the group's own count, or the finer groups.
        let kind = if finer.is_some() { Kind::Groups } else { Kind::Count };
        let own = Quantity { kind, window: 0, argument: None };
        if !quantities.contains(&own) {
            quantities.push(own);
        }
        let whole = |f: &Function| matches!(f, Function::First { .. } | Function::Call(_) | Function::CountDistinct);
        // Rows are held for positions as they are, and values of a piece may be those of the whole key: such keys stay whole.
        let cutting = finer.is_none() && !spec.aggregates.iter().any(|a| whole(&a.function));
        let cells: usize = quantities.iter().map(|q| q.kind.cell_bytes()).sum();
        let cell_bytes = cells + 8 * spec.windows.len();
        let null_is_equal: Vec<bool> = spec.keys.iter().map(|k| k.null_is_equal).collect();
        let observers = of_spine(&spec.observer)?.as_primitive_opt::<Int64Type>();
        let observers = observers.ok_or_else(|| exec_datafusion_err!("observers are no 64-bit integers"))?;
        let positions = Positions::new(&keys, &null_is_equal, observers.values(), cell_bytes, cutting)?;
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
        let (of_firsts, of_calls) = held_columns(&spec, events)?;
        let rows = Rows::new(of_firsts, orders.len(), of_calls);
        let orders = orders.iter().enumerate();
        let orders = orders.map(|(i, of)| {
            let values = if of.settled { Vec::new() } else { values_of(&spec, &of.keys) };
            Order::new(i, &of.keys, of.nulls, &values, events, &rows.firsts)
        });
        let orders = orders.collect::<DfResult<Vec<_>>>()?;
        let calls = spec.aggregates.iter().map(|a| match &a.function {
            Function::Call(call) => {
                CompiledCall::new(call, &a.name, events, rows.members.columns(), functions).map(Some)
            }
            _ => Ok(None),
        });
        let calls = calls.collect::<DfResult<Vec<_>>>()?;
        let scales = quantities.iter().map(|_| OnceLock::new()).collect();
        let count = positions.shards.len() - 1 + positions.cuts.len();
        let shards: Vec<Shard> = std::iter::repeat_with(Shard::default).take(count).collect();
        let cut_totals = positions.cuts.iter().map(|_| OnceLock::new()).collect();
        let given = std::iter::once(&spec.observer).chain(&spec.groups);
        let given = given.map(|name| Ok(spine.schema().index_of(name)?)).collect::<DfResult<Vec<_>>>()?;
        let spine = spine.project(&given)?;
        let layout = layout(&windows, &quantities, events, orders.len(), calls.iter().any(Option::is_some));
        for window in &mut windows {
            window.holds = window.filter.map(|f| layout.flag(Flag::Holds(f)));
            for bound in &mut window.bounds {
                (bound.word, bound.valid) = (layout.value(bound.event).0, layout.flag(Flag::Valid(bound.event)));
            }
        }
        let longest_wait = WAITING_BYTES / 8 / shards.len().max(1);
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
            orders,
            finer,
            rows,
            calls,
            applying: RwLock::new(()),
            extra: AtomicUsize::new(0),
            shelving: None,
            cut_totals,
            threads: 1,
        })
    }

    /// Lets so many threads evaluate the calls of one shard.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Lets so many bytes of events wait at the most, in place of [`WAITING_BYTES`].
    pub fn with_waiting(mut self, bytes: usize) -> Self {
        self.longest_wait = (bytes / 8 / self.shards.len().max(1)).min(self.longest_wait);
        self
    }

    /// Has no more than some shards' cells and some waiting events in memory, of about so many bytes together; all else
    /// goes to the shelf.
    pub fn with_shelf(mut self, shelf: Arc<dyn Shelf>, bytes: usize) -> Self {
        let waiting = bytes / WAITING_SHARE;
        let mut left = if self.holds_rows() { 0 } else { bytes - waiting };
        let fits = |shard: &usize| {
            let cells = self.cell_bytes(*shard);
            let fits = cells <= left;
            left = left.saturating_sub(cells);
            fits
        };
        let live = (0..self.shards()).take_while(fits).count();
        // Where rows are held, all shards' events go to the shelf together.
        self.longest_wait = match self.holds_rows() {
            true => usize::MAX,
            false => (waiting / 8 / self.shards.len().max(1)).max(FEWEST_WAITING).min(self.longest_wait),
        };
        self.shelving = Some(Shelving { shelf, live, room: waiting });
        self
    }

    /// The bytes that the sweep will take, beside [`Sweeper::extra_size`] and what [`Sweeper::finish`] asks for.
    pub fn size(&self) -> usize {
        let cells: usize = (0..self.shards.len()).filter(|s| self.is_live(*s)).map(|s| self.cell_bytes(s)).sum();
        let bounds: usize = self.windows.iter().flat_map(|w| &w.bounds).map(|b| b.column.size()).sum();
        cells + self.positions.size() + bounds + self.spine.get_array_memory_size()
    }

    /// The bytes of a shard's cells.
    pub(super) fn cell_bytes(&self, shard: usize) -> usize {
        self.cells(shard) * self.quantities.iter().map(|q| q.kind.cell_bytes()).sum::<usize>()
    }

    /// How many positions a shard has; for a cut key's own: how many pieces.
    pub(super) fn cells(&self, shard: usize) -> usize {
        match shard.checked_sub(self.shards()) {
            None => (self.positions.shards[shard + 1] - self.positions.shards[shard]) as usize,
            Some(cut) => self.positions.cuts[cut].pieces() as usize,
        }
    }

    /// Bytes held now beside [`Sweeper::size`]: events, tree nodes, values that do not fit fixed-point cells.
    pub fn extra_size(&self) -> usize {
        self.extra.load(Ordering::Relaxed)
            + 8 * self.waiting.load(Ordering::Relaxed)
            + self.rows.bytes()
            + self.layout.extra_size()
            + self.finer.as_ref().map_or(0, Finer::size)
    }

    /// How many shards there are to finish.
    pub fn shards(&self) -> usize {
        self.positions.shards.len() - 1
    }

    pub(super) fn is_live(&self, shard: usize) -> bool {
        self.shelving.as_ref().is_none_or(|s| shard < s.live || shard >= self.shards())
    }

    fn holds_firsts(&self) -> bool {
        !self.orders.is_empty()
    }

    fn holds_members(&self) -> bool {
        self.calls.iter().any(Option::is_some)
    }

    fn holds_rows(&self) -> bool {
        self.holds_firsts() || self.holds_members()
    }

    /// Takes a batch of events in.
    ///
    /// # Errors
    /// Where Arrow can't cast a key, which is a defect; where there are more events than a sweep can number; what the shelf refuses.
    pub fn apply(&self, batch: &RecordBatch) -> DfResult<()> {
        self.take_in(batch)?;
        match &self.shelving {
            None if self.rows.firsts.wants_compaction() => self.compact(),
            Some(shelving) if self.holds_rows() && self.extra_size() > shelving.room => self.shelve_all(shelving.room),
            _ => Ok(()),
        }
    }

    /// No more events will come: what [`Sweeper::finish`] needs of all of them is made.
    ///
    /// # Errors
    /// As [`Sweeper::apply`].
    pub fn seal(&self) -> DfResult<()> {
        for (number, totals) in self.cut_totals.iter().enumerate() {
            let shard = self.shards() + number;
            self.add_waiting(shard)?;
            let pieces = self.positions.cuts[number].pieces();
            let tracks = std::mem::take(&mut *self.tracks(shard));
            totals.get_or_init(|| tracks.into_iter().map(|t| Totals::new(t, &[(0, pieces)])).collect());
        }
        self.shelve_all(0)?;
        self.finer.as_ref().map_or(Ok(()), Finer::seal)
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
        if self.holds_members() {
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
        let kept = self.rows.keep(batch, &rows, self.holds_firsts(), self.holds_members())?;
        let finer = self.finer.as_ref().map(|f| f.numbers(batch)).transpose()?;
        let pages = self.layout.pages(batch, &groups, prefixes, finer, &kept)?;
        for (shard, range) in starts.windows(2).enumerate().filter(|(_, r)| r[0] < r[1]) {
            self.wait(shard, |waiting| pages.write(&rows[range[0]..range[1]], waiting))?;
        }
        Ok(())
    }

    /// Has the events that are put there wait for a shard, until it has enough of them.
    pub(super) fn wait(&self, shard: usize, put: impl FnOnce(&mut Vec<u64>)) -> DfResult<()> {
        let mut waiting = self.shards[shard].waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let before = waiting.len();
        put(&mut waiting);
        self.waiting.fetch_add(waiting.len() - before, Ordering::Relaxed);
        if waiting.len() < self.longest_wait {
            return Ok(());
        }
        let room = waiting.capacity();
        let ripe = std::mem::replace(&mut *waiting, Vec::with_capacity(room));
        drop(waiting);
        let length = ripe.len();
        match &self.shelving {
            Some(shelving) if !self.is_live(shard) => self.shelve(shelving, shard, ripe)?,
            _ => self.add_all(shard, &ripe, &self.rows)?,
        }
        self.waiting.fetch_sub(length, Ordering::Relaxed);
        Ok(())
    }

    fn take_waiting(&self, shard: usize) -> Vec<u64> {
        std::mem::take(&mut *self.shards[shard].waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds what waits for a shard.
    pub(super) fn add_waiting(&self, shard: usize) -> DfResult<()> {
        let waiting = self.take_waiting(shard);
        self.add_all(shard, &waiting, &self.rows)?;
        self.waiting.fetch_sub(waiting.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Puts events on the shelf, with what is held of them.
    fn shelve(&self, shelving: &Shelving, shard: usize, mut words: Vec<u64>) -> DfResult<()> {
        let events = words.len() / self.layout.words();
        let mut columns = Vec::new();
        let held = [
            (self.holds_firsts(), &self.rows.firsts, self.layout.firsts()),
            (self.holds_members(), &self.rows.members, self.layout.members()),
        ];
        for (_, arena, word) in held.into_iter().filter(|(held, _, _)| *held) {
            let rows = self.layout.take_rows(&mut words, word);
            for (i, &column) in arena.columns().iter().enumerate() {
                columns.push(arena.gather(i, self.events.field(column).data_type(), &rows)?);
            }
        }
        let chunk = shelving.put(words, events, columns)?;
        self.shards[shard].shelved.lock().unwrap_or_else(PoisonError::into_inner).push(chunk);
        Ok(())
    }

    /// Puts all that waits for shards without cells on the shelf, where it is more than so many bytes.
    fn shelve_all(&self, room: usize) -> DfResult<()> {
        let Some(shelving) = &self.shelving else { return Ok(()) };
        let _alone = self.applying.write().unwrap_or_else(PoisonError::into_inner);
        if self.extra_size() <= room {
            return Ok(());
        }
        for shard in shelving.live..self.shards() {
            let waiting = self.take_waiting(shard);
            if !waiting.is_empty() {
                self.waiting.fetch_sub(waiting.len(), Ordering::Relaxed);
                self.shelve(shelving, shard, waiting)?;
            }
        }
        self.rows.clear();
        Ok(())
    }

    /// A shard's events from the shelf. `rows` holds those that are held.
    pub(super) fn take_down(&self, shelving: &Shelving, chunk: Chunk, rows: &Rows) -> DfResult<Vec<u64>> {
        let (mut words, mut columns) = shelving.get(chunk)?;
        if self.holds_firsts() {
            let rest = columns.split_off(rows.firsts.columns().len());
            let batch = rows.firsts.put_columns(std::mem::replace(&mut columns, rest));
            self.layout.number_rows(&mut words, self.layout.firsts(), batch);
        }
        if self.holds_members() {
            let batch = rows.members.put_columns(columns);
            self.layout.number_rows(&mut words, self.layout.members(), batch);
        }
        Ok(words)
    }

    /// The rows that have a key, sorted by shard, and where each shard's begin.
    fn by_shard(&self, groups: &[u32]) -> (Vec<u32>, Vec<usize>) {
        // Rows without a key go behind all shards, and are left off.
        let none = u16::try_from(self.shards.len()).expect("there are few shards");
        let shard_of = |group: &u32| self.positions.shard_of.get(*group as usize).copied().unwrap_or(none);
        let shards: Vec<u16> = groups.iter().map(shard_of).collect();
        let mut starts = vec![0_usize; self.shards.len() + 2];
        shards.iter().for_each(|shard| starts[usize::from(*shard) + 1] += 1);
        for shard in 0..=self.shards.len() {
            starts[shard + 1] += starts[shard];
        }
        let mut next = starts.clone();
        let mut rows = vec![0_u32; groups.len()];
        for (row, shard) in (0..).zip(shards) {
            let at = &mut next[usize::from(shard)];
            rows[*at] = row;
            *at += 1;
        }
        starts.pop();
        rows.truncate(starts[self.shards.len()]);
        (rows, starts)
    }

    /// Takes the keys from events that count for no observer.
    fn forget_uncounted(&self, batch: &RecordBatch, groups: &mut [u32]) -> DfResult<()> {
        let rows: Vec<u32> = (0..).zip(&*groups).filter(|(_, g)| **g != NO_GROUP).map(|(row, _)| row).collect();
        let (prefixes, kept) = (vec![vec![0; batch.num_rows()]; self.orders.len()], Kept::default());
        let mut words = Vec::new();
        self.layout.pages(batch, groups, prefixes, None, &kept)?.write(&rows, &mut words);
        let events = Events::new(&words, &self.layout);
        let mut counts = vec![false; rows.len()];
        let mut own = Vec::new();
        self.windows[0].narrowed(self.everywhere(events), events, None, &mut own);
        own.iter().for_each(|run| counts[run.event as usize] = true);
        for (row, _) in rows.iter().zip(counts).filter(|(_, counts)| !counts) {
            groups[*row as usize] = NO_GROUP;
        }
        Ok(())
    }

    /// Lets go of events that come first nowhere any more.
    fn compact(&self) -> DfResult<()> {
        let _alone = self.applying.write().unwrap_or_else(PoisonError::into_inner);
        if !self.rows.firsts.wants_compaction() {
            return Ok(());
        }
        for shard in 0..self.shards.len() {
            self.add_waiting(shard)?;
        }
        let mut shards: Vec<MutexGuard<Vec<Track>>> = (0..self.shards.len()).map(|s| self.tracks(s)).collect();
        self.rows.compact(&mut shards)
    }
}

#[cfg(test)]
#[path = "sweeper_tests.rs"]
mod tests;
