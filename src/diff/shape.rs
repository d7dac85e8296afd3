//! Columns brought to few shapes, without loss: one for text, one for bytes, one for lists, one for all that counts time.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray, LargeListArray, ListArray,
};
use datafusion::arrow::compute::{can_cast_types, cast};
use datafusion::arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::arrow::error::ArrowError;

use super::instant::nanos_per_tick;

/// The column without dictionary or run-ends, with one physical type each for text and bytes.
pub(super) fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let target = match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::RunEndEncoded(_, values) => values.data_type().clone(),
        DataType::Utf8 | DataType::Utf8View => DataType::LargeUtf8,
        DataType::Binary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::LargeBinary,
        _ => return Ok(Arc::clone(array)),
    };
    plain(&cast(array, &target)?)
}

/// Counts of ticks on one scale: what all types of time are.
#[derive(Debug, Clone)]
pub(super) struct Ticks {
    pub scale: Scale,
    pub values: Int64Array,
    pub nanos_per_tick: i128,
}

/// Ticks of different scales have no order in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Instant,
    Date,
    TimeOfDay,
    Duration,
}

impl Ticks {
    /// `None` where the column holds no times.
    pub(super) fn of(array: &ArrayRef) -> Result<Option<Self>, ArrowError> {
        let (scale, unit, ticks) = match array.data_type() {
            DataType::Timestamp(unit, _) => (Scale::Instant, *unit, Arc::clone(array)),
            DataType::Duration(unit) => (Scale::Duration, *unit, Arc::clone(array)),
            DataType::Date32 | DataType::Date64 => {
                (Scale::Date, TimeUnit::Millisecond, cast(array, &DataType::Date64)?)
            }
            DataType::Time32(unit) => (Scale::TimeOfDay, *unit, cast(array, &DataType::Int32)?),
            DataType::Time64(unit) => (Scale::TimeOfDay, *unit, Arc::clone(array)),
            _ => return Ok(None),
        };
        let values = cast(&ticks, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
        Ok(Some(Self { scale, values, nanos_per_tick: nanos_per_tick(unit) }))
    }

    /// Nanoseconds of a row.
    pub(super) fn nanos(&self, row: usize) -> i128 {
        i128::from(self.values.value(row)) * self.nanos_per_tick
    }
}

/// Any interval as the widest kind.
pub(super) fn intervals(array: &ArrayRef) -> Result<IntervalMonthDayNanoArray, ArrowError> {
    let wide = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    Ok(wide.as_primitive::<IntervalMonthDayNanoType>().clone())
}

/// Any kind of list as one kind; a map is the list of its entries. `None` where the column holds no lists.
pub(super) fn lists(array: &ArrayRef) -> Result<Option<LargeListArray>, ArrowError> {
    let item = match array.data_type() {
        DataType::LargeList(_) => return Ok(Some(array.as_list::<i64>().clone())),
        DataType::List(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Arc::clone(item),
        DataType::Map(item, _) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let list = ListArray::try_new(Arc::clone(item), map.offsets().clone(), entries, map.nulls().cloned())?;
            return lists(&(Arc::new(list) as ArrayRef));
        }
        _ => return Ok(None),
    };
    let target = DataType::LargeList(item);
    if !can_cast_types(array.data_type(), &target) {
        return Ok(None);
    }
    Ok(Some(cast(array, &target)?.as_list::<i64>().clone()))
}
