//! Equality, type by type.

use std::sync::Arc;

use datafusion::arrow::array::Int64Builder;
use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, DictionaryArray,
    FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array, IntervalDayTimeArray,
    IntervalYearMonthArray, LargeStringArray, ListArray, MapBuilder, NullArray, RunArray, StringArray, StringBuilder,
    StringViewArray, StructArray, Time32SecondArray, Time64NanosecondArray, TimestampMillisecondArray,
    TimestampSecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, IntervalDayTime};

use super::*;

/// Row by row outcomes of two columns.
fn outcomes_within(replayed: ArrayRef, legacy: ArrayRef, tolerance: Tolerance) -> Option<Vec<Outcome>> {
    let cells = Cells::new(&replayed, &legacy, tolerance).unwrap()?;
    Some((0..replayed.len()).map(|row| cells.compare(row, row).outcome).collect())
}

/// One letter per row: = equal, ~ within tolerance, x different, s / r NULL only in snapshot / replay.
fn told(replayed: ArrayRef, legacy: ArrayRef, tolerance: Tolerance) -> String {
    let letter = |outcome| match outcome {
        Outcome::Equal => '=',
        Outcome::WithinTolerance => '~',
        Outcome::Different => 'x',
        Outcome::NullOnlyInSnapshot => 's',
        Outcome::NullOnlyInReplay => 'r',
        Outcome::NotCovered | Outcome::NotComparable => '?',
    };
    outcomes_within(replayed, legacy, tolerance)
        .map_or_else(|| "not comparable".to_string(), |all| all.into_iter().map(letter).collect())
}

fn exact(replayed: impl Array + 'static, legacy: impl Array + 'static) -> String {
    told(Arc::new(replayed), Arc::new(legacy), Tolerance::default())
}

const LOOSE: Tolerance = Tolerance { abs: 0.5, rel: 0.0 };

#[test]
fn a_null_on_one_side_is_a_mismatch_and_on_both_is_none() {
    let ours = Int64Array::from(vec![None, None, Some(1)]);
    assert_eq!(exact(ours, Int64Array::from(vec![None, Some(1), None])), "=rs");
    assert_eq!(exact(NullArray::new(2), StringArray::from(vec![None, Some("a")])), "=r");
}

#[test]
fn numbers_of_other_types_are_compared_as_numbers() {
    let ours = Int64Array::from(vec![1, 1 << 53, (1 << 53) + 1]);
    assert_eq!(exact(ours, Float64Array::from(vec![1.0, (1u64 << 53) as f64, (1u64 << 53) as f64])), "==x");
    assert_eq!(exact(Int64Array::from(vec![-1, 5]), UInt64Array::from(vec![u64::MAX, 5])), "x=");
    let decimals =
        |values: Vec<i128>, scale| Decimal128Array::from(values).with_precision_and_scale(30, scale).unwrap();
    assert_eq!(exact(decimals(vec![150, 151], 2), decimals(vec![15, 15], 1)), "=x");
    assert_eq!(exact(decimals(vec![150, 200], 2), Int32Array::from(vec![1, 2])), "x=");
}

#[test]
fn a_float32_is_compared_at_its_widened_value() {
    let narrow = Float32Array::from(vec![0.5, 0.1]);
    assert_eq!(exact(narrow, Float64Array::from(vec![0.5, 0.1])), "=x");
}

#[test]
fn tolerance_is_for_floats_and_decimals_only() {
    let (a, b): (ArrayRef, ArrayRef) = (Arc::new(Int64Array::from(vec![10])), Arc::new(Int64Array::from(vec![11])));
    assert_eq!(told(Arc::clone(&a), Arc::clone(&b), Tolerance { abs: 2.0, rel: 0.0 }), "x");
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![11]));
    assert_eq!(told(Arc::clone(&a), unsigned, Tolerance { abs: 2.0, rel: 0.0 }), "x");
    let float: ArrayRef = Arc::new(Float64Array::from(vec![10.5]));
    assert_eq!(told(a, Arc::clone(&float), LOOSE), "~");
    assert_eq!(told(float, b, LOOSE), "~");
    let decimals =
        |value| -> ArrayRef { Arc::new(Decimal128Array::from(vec![value]).with_data_type(DataType::Decimal128(9, 2))) };
    assert_eq!(told(decimals(150), decimals(200), LOOSE), "~");
    assert_eq!(told(decimals(150), decimals(201), LOOSE), "x");
}

#[test]
fn infinities_and_nan_agree_with_themselves_only() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let (a, b) =
        (Float64Array::from(vec![nan, inf, inf, nan, -0.0]), Float64Array::from(vec![nan, inf, -inf, 1.0, 0.0]));
    let loose = Tolerance { abs: f64::INFINITY, rel: 1.0 };
    assert_eq!(told(Arc::new(a), Arc::new(b), loose), "==xx=");
}

#[test]
fn the_difference_is_replayed_minus_legacy() {
    let (a, b): (ArrayRef, ArrayRef) = (Arc::new(Int64Array::from(vec![3])), Arc::new(Float64Array::from(vec![4.5])));
    let cells = Cells::new(&a, &b, Tolerance::default()).unwrap().unwrap();
    assert_eq!(cells.compare(0, 0).delta, Some(-1.5));
}

#[test]
fn text_is_text_whatever_holds_it() {
    let ours = StringArray::from(vec!["a", "b"]);
    assert_eq!(exact(ours.clone(), StringViewArray::from(vec!["a", "c"])), "=x");
    assert_eq!(exact(ours.clone(), LargeStringArray::from(vec!["a", "c"])), "=x");
    let dictionary: DictionaryArray<Int32Type> = ["a", "c"].into_iter().collect();
    assert_eq!(exact(ours.clone(), dictionary), "=x");
    let runs: RunArray<Int32Type> = ["a", "a"].into_iter().collect();
    assert_eq!(exact(ours, runs), "=x");
}

#[test]
fn bytes_and_booleans_are_compared() {
    let fixed = FixedSizeBinaryArray::try_from_iter([[1u8, 2], [3, 4]].into_iter()).unwrap();
    assert_eq!(exact(BinaryArray::from(vec![&[1u8, 2][..], &[3]]), fixed), "=x");
    assert_eq!(exact(BooleanArray::from(vec![true, false]), BooleanArray::from(vec![true, true])), "=x");
}

#[test]
fn times_are_compared_as_instants() {
    let seconds = TimestampSecondArray::from(vec![1, 2]).with_timezone("Asia/Tokyo");
    assert_eq!(exact(seconds, TimestampMillisecondArray::from(vec![1_000, 2_001])), "=x");
    let far = TimestampSecondArray::from(vec![i64::MAX]);
    assert_eq!(exact(far, TimestampMillisecondArray::from(vec![i64::MAX])), "x");
    assert_eq!(exact(Date32Array::from(vec![1]), Date64Array::from(vec![86_400_000])), "=");
    assert_eq!(exact(Time32SecondArray::from(vec![1]), Time64NanosecondArray::from(vec![1_000_000_000])), "=");
    let months = IntervalYearMonthArray::from(vec![0]);
    assert_eq!(exact(months, IntervalDayTimeArray::from(vec![IntervalDayTime::new(0, 0)])), "=");
}

#[test]
fn types_without_a_common_order_are_not_comparable() {
    let not = "not comparable";
    assert_eq!(exact(Date32Array::from(vec![1]), TimestampSecondArray::from(vec![1])), not);
    assert_eq!(exact(Date32Array::from(vec![1]), StringArray::from(vec!["1970-01-02"])), not);
    assert_eq!(exact(Int64Array::from(vec![1]), StringArray::from(vec!["1"])), not);
    assert_eq!(exact(Int64Array::from(vec![1]), BooleanArray::from(vec![true])), not);
    assert_eq!(exact(StringArray::from(vec!["a"]), BinaryArray::from(vec![&b"a"[..]])), not);
}

#[test]
fn lists_are_compared_element_by_element() {
    let ours = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None]),
        Some(vec![Some(1)]),
        Some(vec![]),
        None,
    ]);
    let theirs = ListArray::from_iter_primitive::<Float64Type, _, _>([
        Some(vec![Some(1.0), None]),
        Some(vec![Some(1.5)]),
        Some(vec![None]),
        Some(vec![]),
    ]);
    assert_eq!(told(Arc::new(ours.clone()), Arc::new(theirs.clone()), LOOSE), "=~xr");
    assert_eq!(exact(ours.slice(1, 1), theirs.slice(0, 1)), "x");
    let fixed = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None])], 2);
    assert_eq!(exact(ours.slice(0, 1), fixed), "=");
    let texts = FixedSizeListArray::new(
        Arc::new(Field::new_list_field(DataType::Utf8, true)),
        1,
        Arc::new(StringArray::from(vec!["a"])),
        None,
    );
    assert_eq!(exact(ours.slice(0, 1), texts), "not comparable");
}

#[test]
fn structs_are_compared_by_the_names_of_their_fields() {
    let field = |name: &str, values: ArrayRef| (Arc::new(Field::new(name, values.data_type().clone(), true)), values);
    let a: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let b: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![1, 3]));
    let ours = StructArray::from(vec![field("a", Arc::clone(&a)), field("b", Arc::clone(&b))]);
    let theirs = StructArray::from(vec![field("b", b), field("a", narrow)]);
    assert_eq!(exact(ours.clone(), theirs), "=x");
    assert_eq!(exact(ours, StructArray::from(vec![field("a", a)])), "not comparable");
}

#[test]
fn maps_are_compared_entry_by_entry() {
    let map = |value| {
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        map.keys().append_value("k");
        map.values().append_value(value);
        map.append(true).unwrap();
        map.finish()
    };
    assert_eq!(exact(map(1), map(1)), "=");
    assert_eq!(exact(map(1), map(2)), "x");
}

#[test]
fn what_has_a_common_form_has_the_same_bytes_exactly_where_it_is_equal() {
    use crate::diff::common::common;
    use crate::diff::tests::Seeded;
    use datafusion::arrow::row::{RowConverter, SortField};
    let mut random = Seeded::new(11);
    let count = 60;
    for _ in 0..20 {
        let quarters: Vec<i64> = (0..count).map(|_| random.below(9) as i64 - 4).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(quarters.clone())),
            Arc::new(UInt64Array::from_iter_values(quarters.iter().map(|q| q.unsigned_abs()))),
            Arc::new(Float64Array::from_iter_values(quarters.iter().map(|q| *q as f64 / 4.0))),
            Arc::new(
                Decimal128Array::from_iter_values(quarters.iter().map(|q| i128::from(*q) * 25))
                    .with_data_type(DataType::Decimal128(20, 2)),
            ),
            Arc::new(
                Decimal128Array::from_iter_values(quarters.iter().map(|q| i128::from(*q) * 1_000))
                    .with_data_type(DataType::Decimal128(20, 3)),
            ),
        ];
        for a in &columns {
            for b in &columns {
                let cells = Cells::new(a, b, Tolerance::default()).unwrap().unwrap();
                let (one, other) = common(a, b).unwrap().unwrap();
                let rows = RowConverter::new(vec![SortField::new(one.data_type().clone())]).unwrap();
                let (one, other) = (rows.convert_columns(&[one]).unwrap(), rows.convert_columns(&[other]).unwrap());
                for (i, j) in (0..count).flat_map(|i| (0..count).map(move |j| (i, j))) {
                    let equal = cells.compare(i, j).outcome == Outcome::Equal;
                    assert_eq!(equal, one.row(i) == other.row(j), "{} {}", a.data_type(), b.data_type());
                }
            }
        }
    }
}
