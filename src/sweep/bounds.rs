//! From an event's values to the positions at which it counts.
//!
//! ```text
//! positions of a key       0     1     2     3     4
//! T - 24 h              [ 10    20    30    40    50 ]
//! T                     [ 34    44    54    64    74 ]
//! event at 35, arrived at 38:
//!   event > T - 24 h      x     x     x                    ends before the first bound >= 35
//!   arrived <= T                x     x     x     x        starts at the first bound >= 38
//!                               [     )
//! ```
//!
//! A bound that grows with the label time (`T`, `T - INTERVAL`, `date_trunc('day', T)`) cuts a key's positions in two, so
//! what counts is an interval. A bound that does not (a local clock in autumn), or is NULL somewhere, is *irregular*: its
//! positions are looked at one by one, and what counts is a list of intervals.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result as DfResult;

use crate::sweep::positions::{Positions, Range};
use crate::sweep::spec::Comparison;

/// One bound of all observers, by position.
#[derive(Debug)]
pub(super) struct BoundColumn {
    /// Bounds that differ by the same everywhere (`T`, `T - INTERVAL '7 days'`) share these: then a cache holds them.
    values: Arc<Vec<i64>>,
    /// What is added to the values.
    shift: i64,
    /// Where a bound is NULL.
    nulls: Option<Vec<bool>>,
    /// Within every key no value is less than one before it, and none is NULL.
    regular: bool,
}

impl BoundColumn {
    /// `column` by row of the spine; `others`: bounds whose values it may share.
    pub(super) fn new<'a>(
        column: &ArrayRef,
        positions: &Positions,
        others: impl IntoIterator<Item = &'a Arc<Self>>,
    ) -> DfResult<Self> {
        let rows = datafusion::arrow::array::UInt32Array::from(positions.rows.clone());
        let column = cast(&take(column, &rows, None)?, &DataType::Int64)?;
        let column = column.as_primitive::<Int64Type>();
        let nulls = (column.null_count() > 0).then(|| (0..column.len()).map(|i| column.is_null(i)).collect());
        let values = column.values();
        let sorted = |range: &Range| values[range.start as usize..range.end as usize].is_sorted();
        let regular = nulls.is_none() && positions.ranges.iter().all(sorted);
        for other in others.into_iter().filter(|o| regular && o.regular) {
            if let Some(shift) = shift(values, &other.values) {
                return Ok(Self { values: Arc::clone(&other.values), shift, nulls, regular });
            }
        }
        Ok(Self { values: Arc::new(values.to_vec()), shift: 0, nulls, regular })
    }

    pub(super) fn is_regular(&self) -> bool {
        self.regular
    }

    /// As [`BoundColumn::narrow`], for many events of a key one after another: a search begins where the last one ended, which is
    /// `near`, a number of positions from `from` on. Events mostly come in the order of time, so few steps are taken.
    pub(super) fn narrow_near(&self, op: Comparison, event: i64, (from, to): (u32, u32), near: &mut u32) -> (u32, u32) {
        let values = &self.values[from as usize..to as usize];
        let begin = *near as usize;
        let at = match op {
            Comparison::Less | Comparison::GreaterOrEqual => around(values, begin, |v| v + self.shift <= event),
            Comparison::LessOrEqual | Comparison::Greater => around(values, begin, |v| v + self.shift < event),
        };
        *near = u32::try_from(at).unwrap_or(0);
        match op {
            Comparison::Less | Comparison::LessOrEqual => (from + *near, to),
            Comparison::Greater | Comparison::GreaterOrEqual => (from, from + *near),
        }
    }

    /// The positions `from..to` of one key at which `event op bound` holds. Only for regular bounds.
    pub(super) fn narrow(&self, op: Comparison, event: i64, (from, to): (u32, u32)) -> (u32, u32) {
        let values = &self.values[from as usize..to as usize];
        // No overflow: every sum is what a bound is.
        let cut = |at: usize| from + u32::try_from(at).unwrap_or(0);
        match op {
            Comparison::Less => (cut(before(values, |v| v + self.shift <= event)), to),
            Comparison::LessOrEqual => (cut(before(values, |v| v + self.shift < event)), to),
            Comparison::Greater => (from, cut(before(values, |v| v + self.shift < event))),
            Comparison::GreaterOrEqual => (from, cut(before(values, |v| v + self.shift <= event))),
        }
    }

    pub(super) fn holds_at(&self, op: Comparison, event: i64, position: u32) -> bool {
        let at = position as usize;
        !self.nulls.as_ref().is_some_and(|n| n[at]) && op.holds(event, self.values[at] + self.shift)
    }

    /// Bytes held; what is shared counts where it was first.
    pub(super) fn size(&self) -> usize {
        let own = if self.shift == 0 { self.values.capacity() * 8 } else { 0 };
        own + self.nulls.as_ref().map_or(0, Vec::capacity)
    }
}

/// Keys with no more positions are searched from one end to the other.
const FEW: usize = 8;

/// How many of sorted values come before a cut. Most keys have few positions; of one with many, most events are at an end, and
/// windows are short: a cut near the start is found in few steps.
fn before(values: &[i64], is: impl Fn(i64) -> bool) -> usize {
    match values {
        [] => 0,
        few if few.len() <= FEW => few.iter().map(|v| usize::from(is(*v))).sum(),
        [first, ..] if !is(*first) => 0,
        [.., last] if is(*last) => values.len(),
        many => {
            let (mut known, mut reach) = (1, FEW);
            while reach < many.len() && is(many[reach]) {
                (known, reach) = (reach + 1, reach * 4);
            }
            known + many[known..reach.min(many.len())].partition_point(|v| is(*v))
        }
    }
}

/// How many of sorted values come before a cut that is probably near `begin`.
fn around(values: &[i64], begin: usize, is: impl Fn(i64) -> bool) -> usize {
    let begin = begin.min(values.len());
    if begin < values.len() && is(values[begin]) {
        return begin + 1 + before(&values[begin + 1..], is);
    }
    let (mut known, mut step) = (begin, 1);
    while known > 0 {
        let at = known.saturating_sub(step);
        if is(values[at]) {
            return at + 1 + values[at + 1..known].partition_point(|v| is(*v));
        }
        (known, step) = (at, step * 4);
    }
    0
}

/// What has to be added to `base` to give `values`, where that is the same everywhere.
fn shift(values: &[i64], base: &[i64]) -> Option<i64> {
    let shift = values.first()?.checked_sub(*base.first()?)?;
    let same = values.len() == base.len() && values.iter().zip(base).all(|(v, b)| b.checked_add(shift) == Some(*v));
    same.then_some(shift)
}

/// Whether values of this type are compared as 64-bit integers.
pub fn is_ordered_integer(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(_, _)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_found_from_anywhere() {
        for length in [0_i64, 1, 2, 7, 8, 9, 31, 100, 1000] {
            let values: Vec<i64> = (0..length).map(|i| i / 3).collect();
            for cut in [-1, 0, 1, 2, 3, 10, length / 6, length / 3, length] {
                let is = |v: i64| v < cut;
                let wanted = values.partition_point(|v| is(*v));
                assert_eq!(before(&values, is), wanted, "{length} values, {cut}");
                for begin in (0..values.len() + 2).step_by(1 + values.len() / 20) {
                    assert_eq!(around(&values, begin, is), wanted, "{length} values, {cut}, from {begin}");
                }
            }
        }
    }
}
