//! The observers, sorted by key and in each key by label time: each is a *position*, and a key is a range of positions.
//!
//! ```text
//! spine rows   0:(b, T1)  1:(a, T2)  2:(b, T3)  3:(a, T3)
//! positions    0:(b, T1)  1:(b, T3)  2:(a, T2)  3:(a, T3)        b = 0..2, a = 2..4
//! ```
//!
//! Spine rows come in the order of label times. Were they not, bounds would only be irregular (see [`super::bounds`]).

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::HashMap;
use datafusion::error::Result as DfResult;

/// A key's positions, and the shard that they are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub start: u32,
    pub end: u32,
    pub shard: u32,
}

impl Range {
    pub(super) const NONE: Self = Self { start: 0, end: 0, shard: 0 };

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Where each key's observers are.
#[derive(Debug)]
pub(super) struct Positions {
    /// By position, the row of the spine.
    pub rows: Vec<u32>,
    /// Every key's range, in order; they meet.
    pub ranges: Vec<Range>,
    /// The first position of each shard, and the end of the last.
    pub shards: Vec<u32>,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    /// No key: one range for every event.
    All,
    Integer(HashMap<i64, u32>),
    Row(Box<RowConverter>, HashMap<Box<[u8]>, u32>),
}

/// Shards are so small that the cells of one stay in a core's cache.
const SHARD_POSITIONS: u32 = 16 * 1024;

impl Positions {
    /// Sorts a spine of `rows` rows with these key columns. Rows with a NULL key are nowhere.
    pub(super) fn new(keys: &[ArrayRef], rows: usize) -> DfResult<Self> {
        let mut groups: Vec<Option<u32>> = Vec::with_capacity(rows);
        let keys = match keys {
            [] => {
                groups.resize(rows, Some(0));
                Keys::All
            }
            [key] if is_integer(key.data_type()) => {
                let mut known: HashMap<i64, u32> = HashMap::with_capacity(rows);
                for value in cast(key, &DataType::Int64)?.as_primitive::<Int64Type>() {
                    let next = number(known.len());
                    groups.push(value.map(|v| *known.entry(v).or_insert(next)));
                }
                Keys::Integer(known)
            }
            keys => {
                let fields = keys.iter().map(|k| SortField::new(k.data_type().clone())).collect();
                let converter = RowConverter::new(fields)?;
                let converted = converter.convert_columns(keys)?;
                let mut known: HashMap<Box<[u8]>, u32> = HashMap::with_capacity(rows);
                for row in 0..rows {
                    if keys.iter().any(|k| k.is_null(row)) {
                        groups.push(None);
                        continue;
                    }
                    let next = number(known.len());
                    groups.push(Some(*known.entry(converted.row(row).data().into()).or_insert(next)));
                }
                Keys::Row(Box::new(converter), known)
            }
        };
        Ok(Self::sorted(keys, &groups))
    }

    fn sorted(keys: Keys, groups: &[Option<u32>]) -> Self {
        let count = groups.iter().flatten().max().map_or(0, |g| *g as usize + 1);
        let mut sizes = vec![0_u32; count];
        groups.iter().flatten().for_each(|g| sizes[*g as usize] += 1);
        let mut ranges = Vec::with_capacity(count);
        let mut shards = vec![0];
        let (mut start, mut shard_start) = (0, 0);
        for size in sizes {
            if start - shard_start >= SHARD_POSITIONS {
                shards.push(start);
                shard_start = start;
            }
            let shard = number(shards.len() - 1);
            ranges.push(Range { start, end: start + size, shard });
            start += size;
        }
        shards.push(start);
        let mut rows = vec![0_u32; start as usize];
        let mut next: Vec<u32> = ranges.iter().map(|r| r.start).collect();
        for (row, group) in groups.iter().enumerate() {
            if let Some(group) = group {
                let at = &mut next[*group as usize];
                rows[*at as usize] = number(row);
                *at += 1;
            }
        }
        Self { rows, ranges, shards, keys }
    }

    /// The ranges of a batch of events.
    pub(super) fn of_events(&self, keys: &[ArrayRef], events: usize) -> DfResult<Vec<Range>> {
        let range = |group: Option<&u32>| group.map_or(Range::NONE, |g| self.ranges[*g as usize]);
        Ok(match &self.keys {
            Keys::All => vec![self.ranges.first().copied().unwrap_or(Range::NONE); events],
            Keys::Integer(known) => {
                let key = cast(&keys[0], &DataType::Int64)?;
                let key = key.as_primitive::<Int64Type>();
                if key.null_count() == 0 {
                    key.values().iter().map(|v| range(known.get(v))).collect()
                } else {
                    key.iter().map(|v| range(v.and_then(|v| known.get(&v)))).collect()
                }
            }
            Keys::Row(converter, known) => {
                let rows = converter.convert_columns(keys)?;
                rows.iter().map(|row| range(known.get(row.data()))).collect()
            }
        })
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        let keys = match &self.keys {
            Keys::All => 0,
            Keys::Integer(known) => known.capacity() * 17,
            Keys::Row(_, known) => known.keys().map(|k| k.len() + 16).sum::<usize>() + known.capacity() * 21,
        };
        keys + self.rows.capacity() * 4 + self.ranges.capacity() * size_of::<Range>()
    }
}

fn is_integer(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64)
        || matches!(data_type, DataType::UInt8 | DataType::UInt16 | DataType::UInt32)
}

fn number(n: usize) -> u32 {
    u32::try_from(n).expect("a spine has at most 2^32 observers")
}
