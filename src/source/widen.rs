//! The types that hold every value of two: for columns of several files, and for keys of two tables.

use datafusion::arrow::datatypes::{DataType, TimeUnit};

/// The finer of two units.
pub fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    let rank = |u: &TimeUnit| match u {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    std::cmp::max_by_key(a, b, rank)
}

/// The decimal that holds two decimals, given by precision and scale; `None` beyond 38 digits.
pub fn wider_decimal((p, s): (u8, i8), (q, r): (u8, i8)) -> Option<DataType> {
    let scale = s.max(r);
    let whole = (i16::from(p) - i16::from(s)).max(i16::from(q) - i16::from(r));
    let precision = u8::try_from(whole + i16::from(scale)).ok()?;
    (precision <= 38).then_some(DataType::Decimal128(precision, scale))
}

/// The number type that holds two integer types.
pub fn wider_integer(a: &DataType, b: &DataType) -> DataType {
    let unsigned = *a == DataType::UInt64 || *b == DataType::UInt64;
    match (unsigned, a.is_signed_integer() || b.is_signed_integer()) {
        (true, true) => DataType::Decimal128(20, 0),
        (true, false) => DataType::UInt64,
        _ => DataType::Int64,
    }
}
