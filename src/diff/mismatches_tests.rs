//! The rows of `mismatches/`.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, Float64Array, Int64Array, StringArray, TimestampSecondArray};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::Float64Type;
use datafusion::arrow::util::pretty::pretty_format_batches;

use super::*;
use crate::diff::tests::{Diff, compare, diff, pair, rows};
use crate::diff::{FeaturePair, Rows};

fn three_rows() -> Diff {
    let labels = rows(vec![Some(1), Some(2), Some(3)], vec![0, 60, 120]);
    let number: FeaturePair = pair(
        "x",
        Arc::new(Int64Array::from(vec![Some(1), Some(5), None])),
        Arc::new(Float64Array::from(vec![1.0, 2.5, 3.0])),
    );
    let text =
        pair("s", Arc::new(StringArray::from(vec!["a", "b", "c"])), Arc::new(StringArray::from(vec!["z", "b", "y"])));
    compare(&labels, &labels, vec![number, text])
}

#[test]
fn mismatches_are_ordered_by_row_and_then_by_feature() {
    let mismatches = three_rows().mismatches;
    assert_eq!(mismatches.rows(), 4);
    let batches: Vec<_> = mismatches.batches(100).collect::<Result<_, _>>().unwrap();
    let expected = "\
+----+----------------------+---------+--------+----------+-------+-------+
| k0 | time                 | feature | legacy | replayed | delta | cause |
+----+----------------------+---------+--------+----------+-------+-------+
| 1  | 1970-01-01T00:00:00Z | view.s  | z      | a        |       |       |
| 2  | 1970-01-01T00:01:00Z | view.x  | 2.5    | 5        | 2.5   |       |
| 3  | 1970-01-01T00:02:00Z | view.x  | 3.0    |          |       |       |
| 3  | 1970-01-01T00:02:00Z | view.s  | y      | c        |       |       |
+----+----------------------+---------+--------+----------+-------+-------+";
    assert_eq!(pretty_format_batches(&batches).unwrap().to_string(), expected);
}

#[test]
fn the_size_of_batches_changes_nothing_else() {
    let mismatches = three_rows().mismatches;
    let whole: Vec<_> = mismatches.batches(100).collect::<Result<_, _>>().unwrap();
    for size in [0, 1, 2, 3] {
        let batches: Vec<_> = mismatches.batches(size).collect::<Result<_, _>>().unwrap();
        assert!(batches.iter().all(|batch| batch.num_rows() <= size.max(1)));
        assert_eq!(concat_batches(mismatches.schema(), &batches).unwrap(), whole[0]);
    }
}

#[test]
fn where_nothing_differs_there_are_no_batches() {
    let labels = rows(vec![Some(1)], vec![0]);
    let mismatches = compare(&labels, &labels, vec![]).mismatches;
    assert!(mismatches.is_empty());
    assert_eq!(mismatches.batches(10).count(), 0);
}

#[test]
fn a_key_named_like_another_column_is_prefixed() {
    let side = Rows {
        keys: vec![Arc::new(StringArray::from(vec!["a"]))],
        time: Arc::new(TimestampSecondArray::from(vec![0])),
    };
    let schema = Schema::empty();
    let found = diff(&DiffInput {
        snapshot: "march",
        key_names: &["feature".to_string()],
        labels: &side,
        legacy: &side,
        features: vec![pair("x", Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![3])))],
        schemas: crate::diff::SchemaPair { dataset: &schema, snapshot: &schema, columns: &[] },
        agreement_gate: 1.0,
    });
    let mismatches = found.unwrap().mismatches;
    assert_eq!(mismatches.schema().field(0).name(), "key_feature");
    let batch = mismatches.batches(10).next().unwrap().unwrap();
    assert_eq!(batch.column_by_name("delta").unwrap().as_primitive::<Float64Type>().value(0), -2.0);
}
