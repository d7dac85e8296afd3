//! How files become sources, and what passes through them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type};

use super::labels_at;
use crate::support::{Project, shown, table, with_column};

const LOG: &str = "time = \"ts\"";

#[test]
fn folders_of_a_hive_partition_are_columns() {
    let part = |x: i64| table(&format!("user:str ts:us@UTC x:i64\n a 2025-03-01T12:00 {x}"));
    let files = [
        ("dt=2025-03-01/country=de/part-0.parquet", part(1)),
        ("dt=2025-03-01/country=at/part-0.parquet", part(20)),
        ("dt=2025-03-02/country=de/part-0.parquet", part(300)),
        ("dt=2025-03-02/country=__HIVE_DEFAULT_PARTITION__/part-0.parquet", part(4000)),
        ("dt=2025-03-02/country=de/_temporary.parquet", part(50000)),
    ];
    let dataset = labels_at(&["2025-03-10T12:00"])
        .source_of_files("events", LOG, &files)
        .view(
            "v",
            "SELECT \"user\", sum(x) AS total, sum(x) FILTER (WHERE country = 'de') AS de,
                    sum(x) FILTER (WHERE country IS NULL) AS nowhere, max(dt) AS newest FROM events GROUP BY \"user\"",
        )
        .dataset();
    assert_eq!(shown(&dataset, "total"), ["4321"]);
    assert_eq!(shown(&dataset, "de"), ["301"]);
    assert_eq!(shown(&dataset, "nowhere"), ["4000"]);
    assert_eq!(shown(&dataset, "newest"), ["2025-03-02"]);
}

#[test]
fn columns_are_matched_by_name_and_null_where_a_file_lacks_them() {
    let files = [
        ("a.parquet", table("user:str ts:us@UTC x:i32 y:i64\n a 2025-03-01T12:00 1 7")),
        ("b.parquet", table("y:i64 x:i64 ts:ms@UTC user:str\n 70 20 2025-03-01T12:00 a")),
        ("c.parquet", table("ts:us@UTC user:str x:i64\n 2025-03-01T12:00 a 300")),
    ];
    let dataset = labels_at(&["2025-03-10T12:00"])
        .source_of_files("events", LOG, &files)
        .view(
            "v",
            "SELECT \"user\", sum(x) AS x, sum(y) AS y, count(*) FILTER (WHERE y IS NULL) AS without FROM events
             GROUP BY \"user\"",
        )
        .dataset();
    assert_eq!(shown(&dataset, "x"), ["321"]);
    assert_eq!(shown(&dataset, "y"), ["77"]);
    assert_eq!(shown(&dataset, "without"), ["1"]);
}

#[test]
fn types_that_have_no_lossless_common_type_are_refused_with_both_files() {
    let files = [
        ("a.parquet", table("user:str ts:us@UTC x:i64\n a 2025-03-01T12:00 1")),
        ("b.parquet", table("user:str ts:us@UTC x:f64\n a 2025-03-01T12:00 1.5")),
    ];
    let project = labels_at(&["2025-03-10T12:00"])
        .source_of_files("events", LOG, &files)
        .view("v", "SELECT \"user\", sum(x) AS x FROM events GROUP BY \"user\"");
    let ran = project.backcast(&["check"]).exits_with(2);
    for part in ["column `x` is Int64 in", "events/a.parquet", "Float64 in", "events/b.parquet", "backcast.toml"] {
        assert!(ran.stdout.contains(part), "no `{part}` in:\n{}", ran.stdout);
    }
}

#[test]
fn dictionaries_decimals_lists_and_structs_pass_through_as_plain_types() {
    let mut lists = datafusion::arrow::array::ListBuilder::new(datafusion::arrow::array::Int64Builder::new());
    lists.append_value([Some(1), None, Some(3)]);
    lists.append_null();
    let lists: ListArray = lists.finish();
    let member: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None]));
    let structs = StructArray::from(vec![(Arc::new(Field::new("m", DataType::Int64, true)), member)]);
    let events = table(
        "user:str ts:us@UTC         kind:dict price:dec
         a        2025-03-01T12:00  buy       12.34
         b        2025-03-01T12:00  -         -",
    );
    let events = with_column(&with_column(&events, "items", Arc::new(lists)), "nested", Arc::new(structs));
    let labels = table("user:dict at:us@UTC y:dict\n a 2025-03-10T12:00 yes\n b 2025-03-10T12:00 no");
    let dataset = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", LOG, &events)
        .view("v", "SELECT \"user\", kind, price, items, nested, nested['m'] AS m FROM events")
        .dataset();
    let type_of = |name: &str| dataset.column_by_name(name).unwrap().data_type().clone();
    assert_eq!(type_of("kind"), DataType::Utf8);
    assert_eq!(type_of("price"), DataType::Decimal128(10, 2));
    assert!(matches!(type_of("y"), DataType::Dictionary(_, _)), "a label column stays as it was: {}", type_of("y"));
    assert_eq!(shown(&dataset, "kind"), ["buy", "NULL"]);
    assert_eq!(shown(&dataset, "price"), ["12.34", "NULL"]);
    assert_eq!(shown(&dataset, "items"), ["[1, , 3]", "NULL"]);
    assert_eq!(shown(&dataset, "nested"), ["{m: 7}", "{m: }"]);
    assert_eq!(shown(&dataset, "m"), ["7", "NULL"]);
}

#[test]
fn lists_can_be_gathered_and_unnested() {
    let events = table(
        "user:str ts:us@UTC         x:i64
         a        2025-03-01T12:00  3
         a        2025-03-02T12:00  1
         a        2025-03-20T12:00  9",
    );
    let dataset = labels_at(&["2025-03-10T12:00"])
        .source("events", LOG, &events)
        .view("v", "SELECT \"user\", array_agg(x ORDER BY ts DESC) AS xs FROM events GROUP BY \"user\"")
        .dataset();
    let lists = dataset.column_by_name("xs").unwrap().as_list::<i32>();
    assert_eq!(lists.value(0).as_primitive::<Int64Type>().values(), &[1, 3]);
    assert_eq!(lists.len(), 1);
}

#[test]
fn a_glob_takes_the_files_that_it_matches() {
    let part = |x: i64| table(&format!("user:str ts:us@UTC x:i64\n a 2025-03-01T12:00 {x}"));
    let files = [
        ("2025/a.parquet", part(1)),
        ("2025/b.parquet", part(20)),
        ("2026/a.parquet", part(300)),
        ("x.parquet", part(4000)),
    ];
    let project = labels_at(&["2025-03-10T12:00"])
        .source_of_files("events", LOG, &files)
        .view("v", "SELECT \"user\", sum(x) AS total FROM events GROUP BY \"user\"");
    for (glob, total) in [("events/*/a.parquet", "301"), ("events/2025/*", "21"), ("events/*.parquet", "4000")] {
        let set = format!("sources.events.uri={glob}");
        project.backcast(&["replay", "--quiet", "--set", &set]).exits_with(0);
        assert_eq!(shown(&project.written(), "total"), [total], "{glob}");
    }
}
