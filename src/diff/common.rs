//! Two columns brought to one type under which equal values have equal bytes: for hashing keys and ordering duplicates.
//!
//! The equality is that of [`super::cell`]; the order is that of the values (numbers: as far as an f64 tells them
//! apart, then any).

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Decimal128Array, Float64Array, Int64Array, LargeBinaryBuilder, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::row::{RowConverter, SortField};

use super::number::{Numbers, one_form};
use super::shape::{Ticks, intervals, plain};

/// Both columns in one type; `None` where none is common to them.
pub(super) fn common(a: &ArrayRef, b: &ArrayRef) -> Result<Option<(ArrayRef, ArrayRef)>, ArrowError> {
    let (a, b) = (plain(a)?, plain(b)?);
    let nulls = |other: &ArrayRef, rows| new_null_array(other.data_type(), rows);
    match (a.data_type(), b.data_type()) {
        (DataType::Null, DataType::Null) => {
            let all_null = |rows| new_null_array(&DataType::Boolean, rows);
            return Ok(Some((all_null(a.len()), all_null(b.len()))));
        }
        (DataType::Null, _) => return common(&nulls(&b, a.len()), &b),
        (_, DataType::Null) => return common(&a, &nulls(&a, b.len())),
        (DataType::Interval(_), DataType::Interval(_)) => {
            return Ok(Some((Arc::new(intervals(&a)?), Arc::new(intervals(&b)?))));
        }
        _ => {}
    }
    if let (Some(a), Some(b)) = (Numbers::of(&a)?, Numbers::of(&b)?) {
        return Ok(Some(numbers(&a, &b)));
    }
    if let (Some(a), Some(b)) = (Ticks::of(&a)?, Ticks::of(&b)?) {
        return if a.scale == b.scale { ticks(&a, &b).map(Some) } else { Ok(None) };
    }
    let same =
        a.data_type() == b.data_type() && RowConverter::supports_fields(&[SortField::new(a.data_type().clone())]);
    Ok(same.then_some((a, b)))
}

fn numbers(a: &Numbers, b: &Numbers) -> (ArrayRef, ArrayRef) {
    match (a, b) {
        (Numbers::I64(a), Numbers::I64(b)) => (Arc::new(a.clone()), Arc::new(b.clone())),
        (Numbers::U64(a), Numbers::U64(b)) => (Arc::new(a.clone()), Arc::new(b.clone())),
        (Numbers::F64(a), Numbers::F64(b)) => (Arc::new(floats(a)), Arc::new(floats(b))),
        (a, b) => {
            let beside_floats = matches!(a, Numbers::F64(_)) || matches!(b, Numbers::F64(_));
            (canonical(a, beside_floats), canonical(b, beside_floats))
        }
    }
}

fn floats(values: &Float64Array) -> Float64Array {
    values.unary::<_, Float64Type>(one_form)
}

fn canonical(values: &Numbers, beside_floats: bool) -> ArrayRef {
    let array: &dyn Array = match values {
        Numbers::I64(values) => values,
        Numbers::U64(values) => values,
        Numbers::F64(values) => values,
        Numbers::D128(values, _) => values,
        Numbers::D256(values, _) => values,
    };
    let mut bytes = LargeBinaryBuilder::new();
    for row in 0..array.len() {
        bytes.append_option(array.is_valid(row).then(|| values.at(row).canonical(beside_floats)));
    }
    Arc::new(bytes.finish())
}

/// At the finer of the two units; in 128 bits where a far date does not fit that unit.
fn ticks(a: &Ticks, b: &Ticks) -> Result<(ArrayRef, ArrayRef), ArrowError> {
    let finer = a.nanos_per_tick.min(b.nanos_per_tick);
    let in_64_bits = |ticks: &Ticks| -> Option<Int64Array> {
        let factor = i64::try_from(ticks.nanos_per_tick / finer).ok()?;
        if factor == 1 {
            return Some(ticks.values.clone());
        }
        let raised = ticks.values.iter().map(|value| value.map_or(Some(None), |v| v.checked_mul(factor).map(Some)));
        raised.collect::<Option<Int64Array>>()
    };
    if let (Some(a), Some(b)) = (in_64_bits(a), in_64_bits(b)) {
        return Ok((Arc::new(a), Arc::new(b)));
    }
    let in_128_bits = |ticks: &Ticks| -> Result<ArrayRef, ArrowError> {
        let nanos = (0..ticks.values.len()).map(|row| ticks.values.is_valid(row).then(|| ticks.nanos(row)));
        Ok(Arc::new(nanos.collect::<Decimal128Array>().with_precision_and_scale(38, 0)?))
    };
    Ok((in_128_bits(a)?, in_128_bits(b)?))
}
