//! Two columns made comparable cell by cell: the rules of equality, type by type.
//!
//! [`Cells::new`] looks at the types once and settles how; after that a cell costs an indirect call, with no
//! allocation. Rows are addressed on each side by themselves, so nothing is gathered before it is compared.
//!
//! Comparable are: numbers with numbers ([`super::number`]); text with text, bytes with bytes, whatever the offsets or
//! views; booleans; dates with dates, times of day with times of day, timestamps with timestamps as instants, durations
//! with durations, each in any unit; intervals; lists element by element, structs field by field (by name), maps entry
//! by entry; a column of type Null with anything. Dictionaries and run-ends are taken for what they encode.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, LargeListArray, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

use super::Tolerance;
use super::number::{Numbers, floats_equal, within};
use super::shape::{Ticks, intervals, lists, plain};

/// What two cells are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Outcome {
    NotCovered,
    NotComparable,
    Equal,
    WithinTolerance,
    Different,
    /// The legacy value is NULL, the replayed one is not.
    NullOnlyInSnapshot,
    /// The replayed value is NULL, the legacy one is not.
    NullOnlyInReplay,
}

impl Outcome {
    pub(super) fn is_compared(self) -> bool {
        !matches!(self, Self::NotCovered | Self::NotComparable)
    }

    pub(super) fn is_mismatch(self) -> bool {
        matches!(self, Self::Different | Self::NullOnlyInSnapshot | Self::NullOnlyInReplay)
    }
}

/// A compared cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    pub outcome: Outcome,
    /// `replayed - legacy`, where both are finite numbers.
    pub delta: Option<f64>,
}

impl Cell {
    fn without_delta(equal: bool) -> Self {
        Self { outcome: if equal { Outcome::Equal } else { Outcome::Different }, delta: None }
    }
}

/// Compares a replayed value with a legacy one, by their rows; neither is NULL.
type Comparator = Box<dyn Fn(usize, usize) -> Cell + Send + Sync>;

/// A replayed column and a legacy one, ready to be compared.
pub(super) struct Cells {
    replayed_nulls: Option<NullBuffer>,
    legacy_nulls: Option<NullBuffer>,
    values: Comparator,
}

impl std::fmt::Debug for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cells").finish_non_exhaustive()
    }
}

impl Cells {
    /// `None` where the two types have no order in common.
    pub(super) fn new(
        replayed: &ArrayRef,
        legacy: &ArrayRef,
        tolerance: Tolerance,
    ) -> Result<Option<Self>, ArrowError> {
        let (replayed, legacy) = (plain(replayed)?, plain(legacy)?);
        let Some(values) = comparator(&replayed, &legacy, tolerance)? else { return Ok(None) };
        Ok(Some(Self { replayed_nulls: replayed.logical_nulls(), legacy_nulls: legacy.logical_nulls(), values }))
    }

    /// Compares the replayed value of one row with the legacy value of another.
    pub(super) fn compare(&self, replayed: usize, legacy: usize) -> Cell {
        let is_null = |nulls: &Option<NullBuffer>, row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let outcome = match (is_null(&self.replayed_nulls, replayed), is_null(&self.legacy_nulls, legacy)) {
            (false, false) => return (self.values)(replayed, legacy),
            (true, true) => Outcome::Equal,
            (false, true) => Outcome::NullOnlyInSnapshot,
            (true, false) => Outcome::NullOnlyInReplay,
        };
        Cell { outcome, delta: None }
    }
}

fn comparator(replayed: &ArrayRef, legacy: &ArrayRef, tolerance: Tolerance) -> Result<Option<Comparator>, ArrowError> {
    if replayed.data_type().is_null() || legacy.data_type().is_null() {
        return Ok(Some(Box::new(|_, _| Cell::without_delta(false))));
    }
    if let (Some(a), Some(b)) = (Numbers::of(replayed)?, Numbers::of(legacy)?) {
        return Ok(Some(numbers(a, b, tolerance)));
    }
    if let (Some(a), Some(b)) = (Ticks::of(replayed)?, Ticks::of(legacy)?) {
        return Ok((a.scale == b.scale).then(|| ticks(a, b)));
    }
    let comparator: Comparator = match (replayed.data_type(), legacy.data_type()) {
        (DataType::Boolean, DataType::Boolean) => {
            let (a, b) = (replayed.as_boolean().clone(), legacy.as_boolean().clone());
            Box::new(move |i, j| Cell::without_delta(a.value(i) == b.value(j)))
        }
        (DataType::LargeUtf8, DataType::LargeUtf8) => {
            let (a, b) = (replayed.as_string::<i64>().clone(), legacy.as_string::<i64>().clone());
            Box::new(move |i, j| Cell::without_delta(a.value(i) == b.value(j)))
        }
        (DataType::LargeBinary, DataType::LargeBinary) => {
            let (a, b) = (replayed.as_binary::<i64>().clone(), legacy.as_binary::<i64>().clone());
            Box::new(move |i, j| Cell::without_delta(a.value(i) == b.value(j)))
        }
        (DataType::Interval(_), DataType::Interval(_)) => {
            let (a, b) = (intervals(replayed)?, intervals(legacy)?);
            Box::new(move |i, j| Cell::without_delta(a.value(i) == b.value(j)))
        }
        (DataType::Struct(_), DataType::Struct(_)) => {
            return structs(replayed.as_struct(), legacy.as_struct(), tolerance);
        }
        _ => match (lists(replayed)?, lists(legacy)?) {
            (Some(a), Some(b)) => return list_comparator(a, b, tolerance),
            _ => return Ok(None),
        },
    };
    Ok(Some(comparator))
}

fn numbers(replayed: Numbers, legacy: Numbers, tolerance: Tolerance) -> Comparator {
    let tolerant = replayed.has_tolerance() || legacy.has_tolerance();
    match (replayed, legacy) {
        (Numbers::I64(a), Numbers::I64(b)) => Box::new(move |i, j| {
            let (a, b) = (a.value(i), b.value(j));
            let delta = if a == b { 0.0 } else { (i128::from(a) - i128::from(b)) as f64 };
            Cell { delta: Some(delta), ..Cell::without_delta(a == b) }
        }),
        (Numbers::F64(a), Numbers::F64(b)) => Box::new(move |i, j| {
            let (a, b) = (a.value(i), b.value(j));
            let delta = (a.is_finite() && b.is_finite()).then(|| (a - b).clamp(f64::MIN, f64::MAX));
            judge(floats_equal(a, b), delta, || (a, b), tolerance)
        }),
        (a, b) => Box::new(move |i, j| {
            let (a, b) = (a.at(i), b.at(j));
            let cell = judge(a.equals(b), a.minus(b), || (a.to_f64(), b.to_f64()), tolerance);
            if tolerant || cell.outcome == Outcome::Equal { cell } else { Cell { outcome: Outcome::Different, ..cell } }
        }),
    }
}

fn judge(equal: bool, delta: Option<f64>, values: impl Fn() -> (f64, f64), tolerance: Tolerance) -> Cell {
    let outcome = if equal {
        Outcome::Equal
    } else if delta.is_some_and(|delta| {
        let (a, b) = values();
        within(tolerance, delta, a, b)
    }) {
        Outcome::WithinTolerance
    } else {
        Outcome::Different
    };
    // What is equal differs by nothing, also where a decimal stands beside its nearest float.
    Cell { outcome, delta: delta.map(|delta| if equal { 0.0 } else { delta }) }
}

fn ticks(replayed: Ticks, legacy: Ticks) -> Comparator {
    if replayed.nanos_per_tick == legacy.nanos_per_tick {
        let (a, b) = (replayed.values, legacy.values);
        return Box::new(move |i, j| Cell::without_delta(a.value(i) == b.value(j)));
    }
    Box::new(move |i, j| Cell::without_delta(replayed.nanos(i) == legacy.nanos(j)))
}

fn list_comparator(
    replayed: LargeListArray,
    legacy: LargeListArray,
    tolerance: Tolerance,
) -> Result<Option<Comparator>, ArrowError> {
    let Some(elements) = Cells::new(replayed.values(), legacy.values(), tolerance)? else { return Ok(None) };
    Ok(Some(Box::new(move |i, j| {
        let (a, b) = (&replayed.value_offsets()[i..i + 2], &legacy.value_offsets()[j..j + 2]);
        if a[1] - a[0] != b[1] - b[0] {
            return Cell::without_delta(false);
        }
        let rows = (a[0]..a[1]).zip(b[0]..b[1]);
        all(rows.map(|(a, b)| elements.compare(a as usize, b as usize)))
    })))
}

fn structs(
    replayed: &StructArray,
    legacy: &StructArray,
    tolerance: Tolerance,
) -> Result<Option<Comparator>, ArrowError> {
    if replayed.num_columns() != legacy.num_columns() {
        return Ok(None);
    }
    let mut fields = Vec::with_capacity(replayed.num_columns());
    for (field, column) in replayed.fields().iter().zip(replayed.columns()) {
        let Some(other) = legacy.column_by_name(field.name()) else { return Ok(None) };
        let Some(cells) = Cells::new(column, other, tolerance)? else { return Ok(None) };
        fields.push(cells);
    }
    Ok(Some(Box::new(move |i, j| all(fields.iter().map(|cells| cells.compare(i, j))))))
}

/// The parts' outcomes as one: equal where all are, within tolerance where none differs.
fn all(parts: impl Iterator<Item = Cell>) -> Cell {
    let mut outcome = Outcome::Equal;
    for part in parts {
        match part.outcome {
            Outcome::Equal => {}
            Outcome::WithinTolerance => outcome = Outcome::WithinTolerance,
            _ => return Cell::without_delta(false),
        }
    }
    Cell { outcome, delta: None }
}

#[cfg(test)]
#[path = "cell_tests.rs"]
mod tests;
