//! Cells as JSON values and as text.
//!
//! A number is a JSON number where a reader that holds numbers as f64 gets it whole: integers up to 2^53, decimals of up
//! to 15 digits, finite floats. Else it is text: `"9007199254740993"`, `"NaN"`, `"Infinity"`. Times are RFC 3339 in UTC,
//! days `YYYY-MM-DD`, bytes hexadecimal, lists arrays, structs objects. What has no form here is as Arrow prints it.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type, Int32Type, Int64Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Number, Value};

use super::instant::{clock, date, rfc3339};
use super::number::{EXACT_IN_F64, Numbers};
use super::shape::{Scale, Ticks, plain};

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const NANOS_PER_DAY: i128 = 86_400 * NANOS_PER_SECOND;
/// As many decimal digits as survive a round trip through an f64.
const SAFE_DIGITS: usize = 15;

/// The value of one cell as JSON.
pub(super) fn json(column: &ArrayRef, row: usize) -> Result<Value, ArrowError> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    // The common types first, as they stand: a column may have millions of cells to tell.
    Ok(match column.data_type() {
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int32 => Value::from(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => integer(column.as_primitive::<Int64Type>().value(row).into()),
        DataType::UInt64 => integer(column.as_primitive::<UInt64Type>().value(row).into()),
        DataType::Float16 => narrow_float(column.as_primitive::<Float16Type>().value(row).to_string()),
        DataType::Float32 => narrow_float(column.as_primitive::<Float32Type>().value(row).to_string()),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => decimal(column.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Decimal256(_, _) => decimal(column.as_primitive::<Decimal256Type>().value_as_string(row)),
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Value::from(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Value::from(column.as_string_view().value(row)),
        DataType::List(_) => elements(&column.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => elements(&column.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(_, _) => elements(&column.as_fixed_size_list().value(row))?,
        DataType::Struct(fields) => {
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(column.as_struct().columns()) {
                object.insert(field.name().clone(), json(column, row)?);
            }
            Value::Object(object)
        }
        // The rest by way of another type: of the one row, not of the column.
        _ => single(&plain(&column.slice(row, 1))?)?,
    })
}

/// The value of one cell as text; `None` where it is NULL.
pub(super) fn text(column: &ArrayRef, row: usize) -> Result<Option<String>, ArrowError> {
    Ok(match json(column, row)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// The value of a plain column of one row.
fn single(cell: &ArrayRef) -> Result<Value, ArrowError> {
    if cell.logical_null_count() > 0 {
        return Ok(Value::Null);
    }
    if let Some(ticks) = Ticks::of(cell)? {
        return Ok(Value::String(time(ticks.scale, ticks.nanos(0))));
    }
    if let DataType::LargeBinary = cell.data_type() {
        return Ok(Value::String(hexadecimal(cell.as_binary::<i64>().value(0))));
    }
    match Numbers::of(cell)? {
        Some(Numbers::I64(values)) => Ok(integer(values.value(0).into())),
        Some(Numbers::D128(values, _)) => Ok(decimal(values.value_as_string(0))),
        _ if is_told_directly(cell.data_type()) => json(cell, 0),
        _ => {
            let options = FormatOptions::default();
            Ok(Value::String(ArrayFormatter::try_new(cell.as_ref(), &options)?.value(0).try_to_string()?))
        }
    }
}

/// The types that [`json`] tells without a detour, among those that a dictionary or run-ends may encode.
fn is_told_directly(data_type: &DataType) -> bool {
    use DataType::{
        Boolean, Decimal256, FixedSizeList, Float16, Float32, Float64, LargeList, LargeUtf8, List, Struct, UInt64,
    };
    matches!(
        data_type,
        Boolean
            | UInt64
            | Float16
            | Float32
            | Float64
            | Decimal256(_, _)
            | LargeUtf8
            | List(_)
            | LargeList(_)
            | FixedSizeList(_, _)
            | Struct(_)
    )
}

fn elements(list: &ArrayRef) -> Result<Value, ArrowError> {
    (0..list.len()).map(|row| json(list, row)).collect::<Result<_, _>>().map(Value::Array)
}

fn integer(int: i128) -> Value {
    let exact = i64::try_from(int).ok().filter(|small| i128::from(*small).abs() <= EXACT_IN_F64);
    exact.map_or_else(|| Value::String(int.to_string()), Value::from)
}

fn float(float: f64) -> Value {
    Number::from_f64(float).map_or_else(|| Value::String(not_finite(float).to_string()), Value::Number)
}

/// A float of less than 64 bits in its own shortest form: the float32 0.1 is told as 0.1.
fn narrow_float(shortest: String) -> Value {
    shortest.parse().map_or(Value::String(shortest), float)
}

fn not_finite(float: f64) -> &'static str {
    if float.is_nan() {
        "NaN"
    } else if float > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn decimal(text: String) -> Value {
    let digits = text.trim_start_matches(['-', '0', '.']).chars().filter(char::is_ascii_digit).count();
    match text.parse().ok().and_then(Number::from_f64) {
        Some(number) if digits <= SAFE_DIGITS => Value::Number(number),
        _ => Value::String(text),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn time(scale: Scale, nanos: i128) -> String {
    let in_day = nanos.rem_euclid(NANOS_PER_DAY);
    match scale {
        Scale::Date if in_day == 0 => date((nanos.div_euclid(NANOS_PER_DAY)) as i64),
        Scale::Date | Scale::Instant => rfc3339(nanos),
        Scale::TimeOfDay => clock((in_day / NANOS_PER_SECOND) as i64, in_day % NANOS_PER_SECOND),
        Scale::Duration => duration(nanos),
    }
}

/// ISO 8601, in seconds: `PT90S`, `-PT0.5S`.
fn duration(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, fraction) = (nanos.abs() / NANOS_PER_SECOND, nanos.abs() % NANOS_PER_SECOND);
    if fraction == 0 {
        return format!("{sign}PT{seconds}S");
    }
    let digits = format!("{fraction:09}");
    format!("{sign}PT{seconds}.{}S", digits.trim_end_matches('0'))
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
