//! Which rows match, by type and by value; duplicates.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Date32Array, Date64Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    LargeStringArray, NullArray, StringArray, StringViewArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Int32Type};

use crate::diff::tests::{Diff, compare, pair, rows, try_compare};
use crate::diff::{DiffError, Rows, SnapshotDiff};

fn keyed(key: ArrayRef) -> Rows {
    let count = key.len();
    Rows { keys: vec![key], time: Arc::new(TimestampSecondArray::from(vec![0; count])) }
}

/// How many of two key columns' rows match.
fn matched(labels: ArrayRef, legacy: ArrayRef) -> u64 {
    compare(&keyed(labels), &keyed(legacy), vec![]).snapshot.matched
}

fn timed(time: ArrayRef) -> Rows {
    Rows { keys: vec![], time }
}

fn ints(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

#[test]
fn integer_keys_match_whatever_their_width() {
    let labels: ArrayRef = Arc::new(Int32Array::from(vec![-1, 7, 8]));
    assert_eq!(matched(Arc::clone(&labels), Arc::new(Int64Array::from(vec![8, 7, -1]))), 3);
    assert_eq!(matched(labels, Arc::new(UInt64Array::from(vec![8, 7, u64::MAX]))), 2);
}

#[test]
fn float_and_decimal_keys_match_integers_that_they_equal() {
    let labels = || -> ArrayRef { Arc::new(Int64Array::from(vec![42, (1 << 53) + 1, 0])) };
    assert_eq!(matched(labels(), Arc::new(Float64Array::from(vec![42.0, (1u64 << 53) as f64, -0.0]))), 2);
    let decimals = Decimal128Array::from(vec![4200, 4201, 0]).with_precision_and_scale(20, 2).unwrap();
    assert_eq!(matched(labels(), Arc::new(decimals)), 2);
}

#[test]
fn text_keys_match_whatever_holds_them() {
    let labels: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("b"), None]));
    let dictionary: DictionaryArray<Int32Type> = [None, Some("b"), Some("a"), Some("c")].into_iter().collect();
    assert_eq!(matched(Arc::clone(&labels), Arc::new(dictionary)), 3);
    assert_eq!(matched(Arc::clone(&labels), Arc::new(LargeStringArray::from(vec!["b", "x"]))), 1);
    assert_eq!(matched(labels, Arc::new(StringViewArray::from(vec!["b", "a long text that is not inlined"]))), 1);
}

#[test]
fn date_keys_match_in_days_and_in_milliseconds() {
    let labels: ArrayRef = Arc::new(Date32Array::from(vec![-1, 20_000]));
    assert_eq!(matched(labels, Arc::new(Date64Array::from(vec![20_000 * 86_400_000, -86_400_000]))), 2);
}

#[test]
fn a_null_key_matches_a_null_key() {
    let labels = ints(vec![None, Some(1)]);
    assert_eq!(matched(Arc::clone(&labels), Arc::new(Int32Array::from(vec![Some(1), None]))), 2);
    assert_eq!(matched(labels, Arc::new(NullArray::new(1))), 1);
}

#[test]
fn keys_that_cannot_be_equal_are_refused() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let error = try_compare(&keyed(ints(vec![Some(1)])), &keyed(text), vec![]).unwrap_err();
    assert!(matches!(&error, DiffError::KeyTypes { labels: DataType::Int64, .. }), "{error}");
    assert_eq!(error.to_string(), "match snapshot `march`: key `k0` is Int64 in the labels and Utf8 in the snapshot");
}

#[test]
fn times_match_as_instants_at_the_finest_unit() {
    let labels = timed(Arc::new(TimestampSecondArray::from(vec![0, 1]).with_timezone("Europe/Berlin")));
    let legacy = timed(Arc::new(TimestampNanosecondArray::from(vec![1_000_000_000, 1]).with_timezone("+05:30")));
    let found = compare(&labels, &legacy, vec![]).snapshot;
    assert_eq!((found.matched, found.only_in_labels, found.only_in_snapshot), (1, 1, 1));
}

#[test]
fn far_dates_do_not_overflow() {
    let year_9999 = 253_402_300_799;
    let labels = timed(Arc::new(TimestampMicrosecondArray::from(vec![year_9999 * 1_000_000, 5_000])));
    let legacy = timed(Arc::new(TimestampSecondArray::from(vec![year_9999, i64::MAX])));
    assert_eq!(compare(&labels, &legacy, vec![]).snapshot.matched, 1);
    let labels = timed(Arc::new(TimestampNanosecondArray::from(vec![0, 5])));
    assert_eq!(compare(&labels, &legacy, vec![]).snapshot.matched, 0);
}

#[test]
fn composite_keys_match_only_as_a_whole() {
    let both = |a: Vec<i64>, b: Vec<&str>| Rows {
        time: Arc::new(TimestampSecondArray::from(vec![0; a.len()])),
        keys: vec![Arc::new(Int64Array::from(a)), Arc::new(StringArray::from(b))],
    };
    let found = compare(&both(vec![1, 1, 2], vec!["a", "b", "a"]), &both(vec![1, 2], vec!["b", "b"]), vec![]);
    assert_eq!(found.snapshot.matched, 1);
}

/// Label and snapshot rows that all have one key and time, with one feature.
fn crowd(labels: Vec<Option<i64>>, legacy: Vec<Option<i64>>) -> Diff {
    let side = |count| rows(vec![Some(1); count], vec![0; count]);
    compare(&side(labels.len()), &side(legacy.len()), vec![pair("x", ints(labels), ints(legacy))])
}

fn counts(found: &SnapshotDiff) -> [u64; 5] {
    [found.matched, found.duplicates, found.only_in_labels, found.only_in_snapshot, found.features[0].mismatched]
}

#[test]
fn equal_multisets_of_duplicates_agree_in_any_order() {
    let found = crowd(vec![Some(3), None, Some(1), Some(3)], vec![Some(1), Some(3), Some(3), None]);
    assert_eq!(counts(&found.snapshot), [4, 6, 0, 0, 0]);
}

#[test]
fn duplicates_are_paired_with_their_equals_before_the_rest() {
    let found = crowd(vec![Some(1), Some(2), Some(3)], vec![Some(3), Some(9)]);
    assert_eq!(counts(&found.snapshot), [2, 3, 1, 0, 1]);
    // What is left is paired in the order of values: 1 with 9, and 2 has no counterpart.
    let worst = &found.snapshot.features[0].worst[0];
    assert_eq!((worst.replayed.as_i64(), worst.legacy.as_i64()), (Some(1), Some(9)));
}

#[test]
fn duplicates_on_the_snapshot_side_alone_are_counted() {
    assert_eq!(counts(&crowd(vec![Some(2)], vec![Some(1), Some(2)]).snapshot), [1, 1, 0, 1, 0]);
}

#[test]
fn duplicates_without_features_are_paired_too() {
    let side = |count| rows(vec![Some(1); count], vec![0; count]);
    let found = compare(&side(3), &side(2), vec![]).snapshot;
    assert_eq!((found.matched, found.duplicates), (2, 3));
}

#[test]
fn duplicates_of_other_number_types_are_told_apart_by_value() {
    let side = |count| rows(vec![Some(1); count], vec![0; count]);
    let legacy: ArrayRef = Arc::new(Float64Array::from(vec![Some(10.0), None, Some(-2.0)]));
    let found = compare(&side(3), &side(3), vec![pair("x", ints(vec![Some(-2), Some(10), None]), legacy)]);
    assert_eq!(counts(&found.snapshot), [3, 4, 0, 0, 0]);
}
