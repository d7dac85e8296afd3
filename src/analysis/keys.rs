//! When a label key and a view key can be compared, and as what.

use datafusion::arrow::datatypes::DataType;

use crate::source::{finer, plain_type, wider_decimal, wider_integer};

/// The type in which keys of the two types are compared, both cast to it without loss; `None` where they are of
/// different kinds (text against a number, a date against a time).
pub fn comparable_type(a: &DataType, b: &DataType) -> Option<DataType> {
    let (a, b) = (&plain_type(a), &plain_type(b));
    if a == b {
        return (!a.is_nested()).then(|| a.clone());
    }
    match (a, b) {
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (DataType::Timestamp(u, _), DataType::Timestamp(v, _)) => {
            Some(DataType::Timestamp(finer(*u, *v), Some("UTC".into())))
        }
        (DataType::Decimal128(p, s), DataType::Decimal128(q, r)) => wider_decimal((*p, *s), (*q, *r)),
        (DataType::Decimal128(p, s), int) | (int, DataType::Decimal128(p, s)) if int.is_integer() => {
            wider_decimal((*p, *s), (20, 0))
        }
        _ if a.is_integer() && b.is_integer() => Some(wider_integer(a, b)),
        _ if a.is_floating() && b.is_floating() => Some(DataType::Float64),
        _ if a.is_string() && b.is_string() => Some(DataType::LargeUtf8),
        _ if a.is_binary() && b.is_binary() => Some(DataType::LargeBinary),
        (DataType::Date32 | DataType::Date64, DataType::Date32 | DataType::Date64) => Some(DataType::Date64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::TimeUnit;

    #[test]
    fn numbers_compare_with_wider_numbers_and_never_with_text() {
        assert_eq!(comparable_type(&DataType::Int32, &DataType::Int64), Some(DataType::Int64));
        assert_eq!(comparable_type(&DataType::UInt64, &DataType::Int8), Some(DataType::Decimal128(20, 0)));
        assert_eq!(comparable_type(&DataType::Int32, &DataType::Utf8), None);
        assert_eq!(comparable_type(&DataType::Date32, &DataType::Timestamp(TimeUnit::Second, None)), None);
    }
}
