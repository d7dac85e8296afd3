//! The observers, sorted by key and in each key by label time: each is a *position*, and a key is a range of positions.
//!
//! ```text
//! spine rows   0:(b, T1)  1:(a, T2)  2:(b, T3)  3:(a, T3)
//! positions    0:(b, T1)  1:(b, T3)  2:(a, T2)  3:(a, T3)        b = 0..2, a = 2..4
//! ```
//!
//! Observers are numbered in the order of label times, so a key's positions are in the order of its observers' numbers.
//!
//! A *shard* is some thousand positions of one key or more. A key with more than that is [`Cut`] into pieces, each a shard.

use std::ops::RangeInclusive;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{cast, max, min};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{HashMap, exec_err};
use datafusion::error::Result as DfResult;

/// A key's positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub start: u32,
    pub end: u32,
}

/// A key whose positions are in several shards: its pieces, all but the last of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub range: Range,
    first_shard: u32,
    piece: u32,
}

impl Cut {
    pub(super) fn pieces(self) -> u32 {
        (self.range.end - self.range.start).div_ceil(self.piece)
    }

    /// The shards of the pieces.
    pub(super) fn shards(self) -> std::ops::Range<u32> {
        self.first_shard..self.first_shard + self.pieces()
    }

    /// The pieces that lie in these positions as a whole: from the first on, before the second.
    pub(super) fn covered(self, from: u32, to: u32) -> (u32, u32) {
        let first = (from - self.range.start).div_ceil(self.piece);
        let end = if to == self.range.end { self.pieces() } else { (to - self.range.start) / self.piece };
        (first, end)
    }

    /// The shards of the pieces of which these positions are a part: two at the most.
    pub(super) fn touched(self, from: u32, to: u32) -> impl Iterator<Item = u32> {
        let (from, to, last) = (from - self.range.start, to - self.range.start, to == self.range.end);
        let first = (!from.is_multiple_of(self.piece)).then_some(from / self.piece);
        let end = (!last && !to.is_multiple_of(self.piece)).then_some(to / self.piece);
        first.into_iter().chain(end.filter(|e| first != Some(*e))).map(move |piece| self.first_shard + piece)
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
    /// By key, its shard. A cut key has, after all shards, a number of its own.
    pub shard_of: Vec<u16>,
    pub cuts: Vec<Cut>,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    /// No key: one range for every event.
    All,
    /// The number of each integer from `first` on.
    Dense {
        first: i64,
        groups: Vec<u32>,
    },
    Integer(HashMap<i64, u32>),
    Row(Box<RowConverter>, HashMap<Box<[u8]>, u32>),
}

/// Shards are so small that the cells of one stay in a core's cache; but not too many.
const SHARD_BYTES: usize = if cfg!(test) { 4 * 1024 } else { 512 << 10 };
const SHARD_POSITIONS: RangeInclusive<usize> = if cfg!(test) { 16..=16 } else { 2 * 1024..=16 * 1024 };
const MOST_SHARDS: usize = 512;
/// Integers that a table of keys may span for each key.
const SPAN_PER_KEY: usize = 16;
/// No key.
pub(super) const NO_GROUP: u32 = u32::MAX;

impl Positions {
    /// Sorts a spine with these key columns and observers. Rows with a NULL key are nowhere, unless for this key NULL is a value.
    /// `cell_bytes`: of one position; `cutting`: whether a key may be cut.
    ///
    /// # Errors
    /// More rows than can be numbered; a key that Arrow can't encode, which is a defect.
    pub(super) fn new(
        keys: &[ArrayRef],
        null_is_equal: &[bool],
        observers: &[i64],
        cell_bytes: usize,
        cutting: bool,
    ) -> DfResult<Self> {
        let rows = observers.len();
        if u32::try_from(rows).is_err() {
            return exec_err!("{rows} rows are more than the 2^32 that a sweep can number");
        }
        let plain = !null_is_equal.contains(&true);
        let mut groups: Vec<Option<u32>> = Vec::with_capacity(rows);
        let keys = match keys {
            [] => {
                groups.resize(rows, Some(0));
                Keys::All
            }
            [key] if plain && let Some((first, span)) = dense(key, rows)? => {
                let mut known = vec![NO_GROUP; span];
                let mut next = 0;
                for value in cast(key, &DataType::Int64)?.as_primitive::<Int64Type>() {
                    groups.push(value.map(|v| {
                        let group = &mut known[usize::try_from(v - first).unwrap_or(0)];
                        if *group == NO_GROUP {
                            *group = next;
                            next += 1;
                        }
                        *group
                    }));
                }
                Keys::Dense { first, groups: known }
            }
            [key] if plain && is_integer(key.data_type()) => {
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
                let mut known: HashMap<Box<[u8]>, u32> = HashMap::default();
                for row in 0..rows {
                    if keys.iter().zip(null_is_equal).any(|(k, equal)| !equal && k.is_null(row)) {
                        groups.push(None);
                        continue;
                    }
                    let key = converted.row(row);
                    let group = known.get(key.data()).copied().unwrap_or_else(|| {
                        let next = number(known.len());
                        known.insert(key.data().into(), next);
                        next
                    });
                    groups.push(Some(group));
                }
                Keys::Row(Box::new(converter), known)
            }
        };
        let few = (SHARD_BYTES / cell_bytes.max(1)).clamp(*SHARD_POSITIONS.start(), *SHARD_POSITIONS.end());
        let mut positions = Self::sorted(keys, &groups, few.max(rows / MOST_SHARDS), cutting);
        positions.by_observer(observers);
        Ok(positions)
    }

    /// Puts the positions of each key in the order of their observers, where spine rows come in another.
    fn by_observer(&mut self, observers: &[i64]) {
        if observers.is_sorted() {
            return;
        }
        for range in &self.ranges {
            let rows = &mut self.rows[range.start as usize..range.end as usize];
            if !rows.is_sorted_by_key(|row| observers[*row as usize]) {
                rows.sort_by_key(|row| observers[*row as usize]);
            }
        }
    }

    fn sorted(keys: Keys, groups: &[Option<u32>], shard_positions: usize, cutting: bool) -> Self {
        let count = groups.iter().flatten().max().map_or(0, |g| *g as usize + 1);
        let mut sizes = vec![0_u32; count];
        groups.iter().flatten().for_each(|g| sizes[*g as usize] += 1);
        let mut ranges = Vec::with_capacity(count);
        let (mut shards, mut shard_of, mut cuts) = (vec![0], Vec::with_capacity(count), Vec::new());
        let mut start = 0;
        let most = number(shard_positions);
        let open = |shards: &mut Vec<u32>, at: u32| {
            if shards.last() != Some(&at) {
                shards.push(at);
            }
        };
        for size in sizes {
            let range = Range { start, end: start + size };
            start = range.end;
            if cutting && size > 2 * most {
                open(&mut shards, range.start);
                let cut = Cut { range, first_shard: number(shards.len() - 1), piece: most };
                shards.extend((1..cut.pieces()).map(|piece| range.start + piece * most));
                shards.push(range.end);
                shard_of.push(Err(cuts.len()));
                cuts.push(cut);
            } else {
                if range.start - shards.last().copied().unwrap_or(0) >= most {
                    open(&mut shards, range.start);
                }
                shard_of.push(Ok(shards.len() - 1));
            }
            ranges.push(range);
        }
        if shards.len() == 1 || shards.last() != Some(&start) {
            shards.push(start);
        }
        let numbered = |shard: Result<usize, usize>| shard.unwrap_or_else(|cut| shards.len() - 1 + cut);
        let few = |shard| u16::try_from(numbered(shard)).expect("there are few shards");
        let shard_of = shard_of.into_iter().map(few).collect();
        let mut rows = vec![0_u32; start as usize];
        let mut next: Vec<u32> = ranges.iter().map(|r| r.start).collect();
        for (row, group) in groups.iter().enumerate() {
            if let Some(group) = group {
                let at = &mut next[*group as usize];
                rows[*at as usize] = number(row);
                *at += 1;
            }
        }
        Self { rows, ranges, shards, shard_of, cuts, keys }
    }

    /// The numbers of the keys of a batch of events, in [`Positions::ranges`]; [`NO_GROUP`] where no observer has the key.
    pub(super) fn of_events(&self, keys: &[ArrayRef], events: usize) -> DfResult<Vec<u32>> {
        Ok(match &self.keys {
            Keys::All if self.ranges.is_empty() => vec![NO_GROUP; events],
            Keys::All => vec![0; events],
            Keys::Dense { first, groups } => integers(&keys[0], |v| {
                let at = usize::try_from(v.wrapping_sub(*first).cast_unsigned()).unwrap_or(usize::MAX);
                groups.get(at).copied().unwrap_or(NO_GROUP)
            })?,
            Keys::Integer(known) => integers(&keys[0], |v| known.get(&v).copied().unwrap_or(NO_GROUP))?,
            Keys::Row(converter, known) => {
                let rows = converter.convert_columns(keys)?;
                rows.iter().map(|row| known.get(row.data()).copied().unwrap_or(NO_GROUP)).collect()
            }
        })
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        let keys = match &self.keys {
            Keys::All => 0,
            Keys::Dense { groups, .. } => groups.capacity() * 4,
            Keys::Integer(known) => known.capacity() * 17,
            Keys::Row(_, known) => known.keys().map(|k| k.len() + 16).sum::<usize>() + known.capacity() * 21,
        };
        keys + self.rows.capacity() * 4 + self.ranges.capacity() * size_of::<Range>()
    }
}

/// The group of each integer; of NULL, none.
fn integers(key: &ArrayRef, group: impl Fn(i64) -> u32) -> DfResult<Vec<u32>> {
    let key = cast(key, &DataType::Int64)?;
    let key = key.as_primitive::<Int64Type>();
    if key.null_count() == 0 {
        return Ok(key.values().iter().map(|v| group(*v)).collect());
    }
    Ok(key.iter().map(|v| v.map_or(NO_GROUP, &group)).collect())
}

/// The least of integer keys and how many integers there are from it to the most, where they are near to each other.
fn dense(key: &ArrayRef, rows: usize) -> DfResult<Option<(i64, usize)>> {
    if !is_integer(key.data_type()) {
        return Ok(None);
    }
    let values = cast(key, &DataType::Int64)?;
    let values = values.as_primitive::<Int64Type>();
    let (Some(least), Some(most)) = (min(values), max(values)) else { return Ok(None) };
    let span = most.checked_sub(least).and_then(|s| usize::try_from(s).ok()).map(|s| s.saturating_add(1));
    Ok(span.filter(|s| s / SPAN_PER_KEY <= rows).map(|span| (least, span)))
}

fn is_integer(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64)
        || matches!(data_type, DataType::UInt8 | DataType::UInt16 | DataType::UInt32)
}

fn number(n: usize) -> u32 {
    u32::try_from(n).expect("a spine has at most 2^32 observers")
}
