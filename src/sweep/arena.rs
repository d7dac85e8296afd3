//! Events that are kept as rows: parts of the batches they came in, referred to by number.
//!
//! A latest value needs the whole event that is latest by now, other functions need every event that counts. Rows are not
//! encoded: a reference costs eight bytes, and what nothing refers to any more goes when the arena is compacted.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, new_null_array};
use datafusion::arrow::compute::{interleave, take};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::Rows;
use datafusion::error::Result as DfResult;

/// A row of a batch that an [`Arena`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RowRef {
    pub batch: u32,
    pub row: u32,
}

impl RowRef {
    pub(super) const NONE: Self = Self { batch: u32::MAX, row: u32::MAX };

    /// From the word that an event has of it.
    pub(super) fn of(word: u64) -> Self {
        let part = |n: u64| u32::try_from(n & u64::from(u32::MAX)).unwrap_or(0);
        Self { batch: part(word >> 32), row: part(word) }
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// Rows that came in one batch, and what ties have needed of them so far (by order).
#[derive(Debug)]
pub(super) struct Held {
    pub columns: Vec<ArrayRef>,
    pub encoded: Vec<OnceLock<Rows>>,
    pub ties: Vec<AtomicU32>,
    bytes: usize,
    /// All that the arena holds.
    total: Arc<AtomicUsize>,
}

impl Held {
    fn new(columns: Vec<ArrayRef>, orders: usize, total: &Arc<AtomicUsize>) -> Self {
        let size = |a: &ArrayRef| a.to_data().get_slice_memory_size().unwrap_or_else(|_| a.get_array_memory_size());
        let bytes = columns.iter().map(size).sum();
        Self {
            columns,
            encoded: (0..orders).map(|_| OnceLock::new()).collect(),
            ties: (0..orders).map(|_| AtomicU32::new(0)).collect(),
            bytes,
            total: Arc::clone(total),
        }
    }

    /// Keeps what a tie needed.
    pub(super) fn encode(&self, order: usize, rows: Rows) {
        let bytes = rows.size();
        // Another thread may have been faster.
        if self.encoded[order].set(rows).is_ok() {
            self.total.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

/// Batches by number.
#[derive(Debug)]
pub(super) struct Arena {
    /// Which columns of the events are held.
    columns: Vec<usize>,
    /// How many orders compare rows.
    orders: usize,
    batches: RwLock<Vec<Arc<Held>>>,
    bytes: Arc<AtomicUsize>,
    /// Once so many bytes are held, what is of no use any more should go.
    limit: AtomicUsize,
    /// What `limit` never falls below: less is not worth compacting.
    least: AtomicUsize,
}

/// Rows of one batch after compaction: offsets of strings stay far below 2^31.
const COMPACTED_ROWS: usize = 64 * 1024;
/// An arena smaller than this is not worth compacting, unless memory is short.
const SMALLEST_LIMIT: usize = if cfg!(test) { 4 << 10 } else { 96 << 20 };

impl Arena {
    pub(super) fn new(columns: Vec<usize>, orders: usize) -> Self {
        Self {
            columns,
            orders,
            batches: RwLock::default(),
            bytes: Arc::default(),
            limit: AtomicUsize::new(SMALLEST_LIMIT),
            least: AtomicUsize::new(SMALLEST_LIMIT),
        }
    }

    /// Wants compaction once so many bytes are held.
    pub(super) fn compact_from(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
        self.least.store(bytes, Ordering::Relaxed);
    }

    /// Lets go of all batches.
    pub(super) fn clear(&self) {
        self.batches.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Where the arena holds a column of the events.
    pub(super) fn position(&self, column: usize) -> usize {
        self.columns.iter().position(|c| *c == column).expect("an arena holds the columns that its users name")
    }

    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Holds these rows of the batch (none named: all), and gives their batch's number.
    pub(super) fn put(&self, batch: &RecordBatch, rows: Option<&UInt32Array>) -> DfResult<u32> {
        let columns = self.columns.iter().map(|&c| match rows {
            Some(rows) => Ok(take(batch.column(c), rows, None)?),
            None => Ok(Arc::clone(batch.column(c))),
        });
        Ok(self.put_columns(columns.collect::<DfResult<Vec<_>>>()?))
    }

    /// Holds a batch of the arena's own columns, and gives its number.
    pub(super) fn put_columns(&self, columns: Vec<ArrayRef>) -> u32 {
        let held = Held::new(columns, self.orders, &self.bytes);
        self.bytes.fetch_add(held.bytes, Ordering::Relaxed);
        let mut batches = self.batches.write().unwrap_or_else(PoisonError::into_inner);
        batches.push(Arc::new(held));
        u32::try_from(batches.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, batch: u32) -> Arc<Held> {
        Arc::clone(&self.batches.read().unwrap_or_else(PoisonError::into_inner)[batch as usize])
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn wants_compaction(&self) -> bool {
        self.bytes() > self.limit.load(Ordering::Relaxed)
    }

    /// Values of one held column (a position in the arena); NULL for [`RowRef::NONE`].
    pub(super) fn gather(&self, column: usize, data_type: &DataType, rows: &[RowRef]) -> DfResult<ArrayRef> {
        let batches = self.batches.read().unwrap_or_else(PoisonError::into_inner);
        let none = new_null_array(data_type, 1);
        let arrays: Vec<&dyn Array> =
            std::iter::once(none.as_ref()).chain(batches.iter().map(|b| b.columns[column].as_ref())).collect();
        let at = |r: &RowRef| if r.is_none() { (0, 0) } else { (r.batch as usize + 1, r.row as usize) };
        Ok(interleave(&arrays, &rows.iter().map(at).collect::<Vec<_>>())?)
    }

    /// For marking the rows that are still of use.
    pub(super) fn live(&self) -> Live {
        let mut starts = vec![0];
        for batch in self.batches.read().unwrap_or_else(PoisonError::into_inner).iter() {
            starts.push(starts[starts.len() - 1] + batch.columns.first().map_or(0, Array::len));
        }
        Live { bits: vec![0; starts[starts.len() - 1].div_ceil(64)], starts, before: Vec::new() }
    }

    /// Keeps only these rows: where each is from now on says [`Live::compacted`].
    pub(super) fn keep(&self, live: &Live) -> DfResult<()> {
        let mut kept = Vec::new();
        for rows in live.rows().chunks(COMPACTED_ROWS) {
            let columns = (0..self.columns.len()).map(|c| {
                let data_type = self.get(0).columns[c].data_type().clone();
                self.gather(c, &data_type, rows)
            });
            kept.push(Arc::new(Held::new(columns.collect::<DfResult<Vec<_>>>()?, self.orders, &self.bytes)));
        }
        let bytes = kept.iter().map(|b| b.bytes).sum();
        *self.batches.write().unwrap_or_else(PoisonError::into_inner) = kept;
        self.bytes.store(bytes, Ordering::Relaxed);
        self.limit.store((3 * bytes).max(self.least.load(Ordering::Relaxed)), Ordering::Relaxed);
        Ok(())
    }
}

/// Rows that are still of use.
#[derive(Debug)]
pub(super) struct Live {
    /// The first row of each batch among all, and the end.
    starts: Vec<usize>,
    /// A bit for each row.
    bits: Vec<u64>,
    /// How many bits are set before each word.
    before: Vec<u32>,
}

impl Live {
    fn at(&self, row: RowRef) -> (usize, u32) {
        let at = self.starts[row.batch as usize] + row.row as usize;
        (at / 64, u32::try_from(at % 64).unwrap_or(0))
    }

    pub(super) fn mark(&mut self, row: RowRef) {
        let (word, bit) = self.at(row);
        self.bits[word] |= 1 << bit;
    }

    /// When all are marked.
    pub(super) fn ranked(mut self) -> Self {
        let mut before = 0;
        let ranks = self.bits.iter().map(|word| {
            before += word.count_ones();
            before - word.count_ones()
        });
        self.before = ranks.collect();
        self
    }

    pub(super) fn has(&self, row: RowRef) -> bool {
        let (word, bit) = self.at(row);
        self.bits[word] >> bit & 1 == 1
    }

    /// Where a live row is after [`Arena::keep`].
    pub(super) fn compacted(&self, row: RowRef) -> RowRef {
        let (word, bit) = self.at(row);
        let before = self.before[word] + (self.bits[word] & ((1 << bit) - 1)).count_ones();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        RowRef { batch: number(before as usize / COMPACTED_ROWS), row: number(before as usize % COMPACTED_ROWS) }
    }

    /// All live rows, in order.
    fn rows(&self) -> Vec<RowRef> {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut rows = Vec::new();
        let mut batch = 0;
        for (word, &bits) in self.bits.iter().enumerate() {
            let mut left = bits;
            while left != 0 {
                let at = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                while self.starts[batch + 1] <= at {
                    batch += 1;
                }
                rows.push(RowRef { batch: number(batch), row: number(at - self.starts[batch]) });
            }
        }
        rows
    }
}
