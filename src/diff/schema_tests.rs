//! Schema issues.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::datatypes::{Schema, TimeUnit};

use super::*;
use crate::diff::series::Hours;
use crate::diff::tests::{pair, rows};
use crate::diff::{ColumnPair, FeaturePair, SchemaPair, feature};

/// `column issue legacy replayed` of each issue.
fn told(
    dataset: Vec<Field>,
    snapshot: Vec<Field>,
    renames: &[(&str, &str)],
    features: Vec<FeaturePair>,
) -> Vec<String> {
    let rows = rows(vec![], vec![]);
    let columns: Vec<ColumnPair> = renames
        .iter()
        .map(|(legacy, dataset)| ColumnPair { legacy: legacy.to_string(), dataset: dataset.to_string() })
        .collect();
    let (dataset, snapshot) = (Schema::new(dataset), Schema::new(snapshot));
    let hours = Hours::new(&rows.time, &[]).unwrap();
    let counted = |pair: FeaturePair| FeatureTotals::new(&pair, &mut feature::count(&pair, &[]).unwrap(), &hours);
    let features: Vec<FeatureTotals> = features.into_iter().map(counted).collect();
    let schemas = SchemaPair { dataset: &dataset, snapshot: &snapshot, columns: &columns };
    let side = |side: &Option<String>| side.clone().unwrap_or("-".to_string());
    let issues = issues(schemas, &features);
    let line = |issue: &SchemaIssue| {
        format!("{} {} {} | {}", issue.column, issue.issue.name(), side(&issue.legacy), side(&issue.replayed))
    };
    issues.iter().map(line).collect()
}

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn timestamp(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

#[test]
fn one_schema_has_no_issues() {
    let fields = || vec![field("id", DataType::Int64), field("t", timestamp(None)), field("x", DataType::Float64)];
    assert!(told(fields(), fields(), &[], vec![]).is_empty());
}

#[test]
fn missing_extra_and_renamed_columns_are_told() {
    let found = told(
        vec![field("id", DataType::Int64), field("events", DataType::Int64), field("y", DataType::Utf8)],
        vec![field("id", DataType::Int64), field("evt_cnt", DataType::Float64), field("z", DataType::Utf8)],
        &[("evt_cnt", "events")],
        vec![],
    );
    let expected =
        ["evt_cnt renamed evt_cnt | events", "evt_cnt type Float64 | Int64", "y missing - | Utf8", "z extra Utf8 | -"];
    assert_eq!(found, expected);
}

#[test]
fn timestamps_that_differ_in_their_zone_only_have_a_timezone_issue() {
    let found = told(
        vec![field("a", timestamp(Some("UTC"))), field("b", timestamp(Some("UTC"))), field("c", timestamp(None))],
        vec![
            field("a", timestamp(None)),
            field("b", timestamp(Some("+00:00"))),
            field("c", DataType::Timestamp(TimeUnit::Second, Some("UTC".into()))),
        ],
        &[],
        vec![],
    );
    let expected =
        ["a timezone Timestamp(µs) | Timestamp(µs, \"UTC\")", "c type Timestamp(s, \"UTC\") | Timestamp(µs)"];
    assert_eq!(found, expected);
}

#[test]
fn memory_layout_is_no_issue_and_a_dictionary_is() {
    let list = |name: &str, item| DataType::List(Arc::new(Field::new(name, item, false)));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let found = told(
        vec![field("a", DataType::Utf8), field("b", list("item", DataType::Utf8)), field("c", DataType::Utf8)],
        vec![field("a", DataType::Utf8View), field("b", list("element", DataType::LargeUtf8)), field("c", dictionary)],
        &[],
        vec![],
    );
    assert_eq!(found, ["c type Dictionary(Int8, Utf8) | Utf8"]);
}

#[test]
fn nullability_counts_where_nulls_meet_a_promise_of_none() {
    let column = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let strict = |name: &str| Field::new(name, DataType::Int64, false);
    let loose = |name: &str| Field::new(name, DataType::Int64, true);
    let features = vec![
        pair("a", column(vec![None, Some(1)]), column(vec![Some(1)])),
        pair("b", column(vec![Some(1)]), column(vec![None, None])),
        pair("c", column(vec![Some(1)]), column(vec![Some(1)])),
    ];
    let found =
        told(vec![loose("a"), strict("b"), strict("c")], vec![strict("a"), loose("b"), loose("c")], &[], features);
    assert_eq!(found, ["a nullability never NULL | 1 NULL", "b nullability 2 NULLs | never NULL"]);
}

#[test]
fn another_order_is_one_issue() {
    let dataset = vec![field("id", DataType::Int64), field("x", DataType::Int64), field("y", DataType::Int64)];
    let snapshot = vec![
        field("y_old", DataType::Int64),
        field("only_here", DataType::Int64),
        field("id", DataType::Int64),
        field("x", DataType::Int64),
    ];
    let found = told(dataset, snapshot, &[("y_old", "y")], vec![]);
    let expected = ["y_old renamed y_old | y", "only_here extra Int64 | -", "y_old order y_old, id, x | id, x, y_old"];
    assert_eq!(found, expected);
}

#[test]
fn a_column_that_is_mapped_elsewhere_is_not_taken_for_its_namesake() {
    let dataset = vec![field("a", DataType::Int64), field("b", DataType::Int64)];
    let snapshot = vec![field("b", DataType::Int64)];
    assert_eq!(told(dataset, snapshot, &[("b", "a")], vec![]), ["b renamed b | a", "b missing - | Int64"]);
}
