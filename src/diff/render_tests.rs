//! How cells are told.

use std::sync::Arc;

use datafusion::arrow::array::{
    BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, DurationMillisecondArray, Float32Array,
    Float64Array, Int8Array, Int64Array, ListArray, MapBuilder, NullArray, StringArray, StringBuilder, StringViewArray,
    StructArray, Time64MicrosecondArray, TimestampMillisecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{Field, Int32Type};
use serde_json::json as value;

use super::*;

fn told(column: impl Array + 'static) -> Vec<Value> {
    let column: ArrayRef = Arc::new(column);
    (0..column.len()).map(|row| json(&column, row).unwrap()).collect()
}

#[test]
fn numbers_are_json_numbers_where_an_f64_holds_them() {
    assert_eq!(told(Int8Array::from(vec![-5])), [value!(-5)]);
    assert_eq!(told(Int64Array::from(vec![1 << 53, (1 << 53) + 1])), [value!(1i64 << 53), value!("9007199254740993")]);
    assert_eq!(told(UInt64Array::from(vec![u64::MAX])), [value!("18446744073709551615")]);
    let floats = Float64Array::from(vec![1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    assert_eq!(told(floats), [value!(1.5), value!("NaN"), value!("Infinity"), value!("-Infinity")]);
    assert_eq!(told(Float32Array::from(vec![0.1])), [value!(0.1)]);
    let decimals = Decimal128Array::from(vec![-1250, 12_345_678_901_234_567]);
    let decimals = decimals.with_precision_and_scale(20, 2).unwrap();
    assert_eq!(told(decimals), [value!(-12.5), value!("123456789012345.67")]);
}

#[test]
fn times_are_rfc_3339_in_utc() {
    let instants = TimestampMillisecondArray::from(vec![Some(1_500), None]).with_timezone("Asia/Tokyo");
    assert_eq!(told(instants), [value!("1970-01-01T00:00:01.500Z"), Value::Null]);
    assert_eq!(told(Date32Array::from(vec![-1])), [value!("1969-12-31")]);
    assert_eq!(told(Time64MicrosecondArray::from(vec![3_661_000_001])), [value!("01:01:01.000001")]);
    assert_eq!(told(DurationMillisecondArray::from(vec![-1_500, 60_000])), [value!("-PT1.5S"), value!("PT60S")]);
}

#[test]
fn text_bytes_and_booleans_are_told() {
    assert_eq!(told(StringArray::from(vec!["a\u{1b}b"])), [value!("a\u{1b}b")]);
    assert_eq!(told(StringViewArray::from(vec!["a"])), [value!("a")]);
    assert_eq!(told(BinaryArray::from(vec![&[0u8, 255][..]])), [value!("00ff")]);
    assert_eq!(told(BooleanArray::from(vec![true])), [value!(true)]);
    assert_eq!(told(NullArray::new(1)), [Value::Null]);
    let dictionary: DictionaryArray<Int32Type> = [Some("x"), None].into_iter().collect();
    assert_eq!(told(dictionary), [value!("x"), Value::Null]);
}

#[test]
fn nested_values_are_nested() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
    let a: ArrayRef = Arc::new(list);
    let fields = vec![(Arc::new(Field::new("a", a.data_type().clone(), true)), a)];
    let column: ArrayRef = Arc::new(StructArray::from(fields));
    assert_eq!(json(&column, 0).unwrap(), value!({"a": [1, null]}));
    assert_eq!(text(&column, 0).unwrap().as_deref(), Some(r#"{"a":[1,null]}"#));
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("k");
    map.values().append_value("v");
    map.append(true).unwrap();
    assert_eq!(told(map.finish()), [value!("{k: v}")]);
}
