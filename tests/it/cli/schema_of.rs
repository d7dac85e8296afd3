//! `dataset.schema_of`: names, types, order and nullability of a snapshot, exactly.

use datafusion::arrow::array::RecordBatch;

use crate::support::{Project, shown, table, write_parquet};

/// `v` gives `n` (Int64) and `mean` (Float64) for users 1 and 2; user 3 has no events.
fn project(snapshot: &RecordBatch, snapshot_config: &str, view_config: &str) -> Project {
    let labels = table(
        "user_id:i64 at:us@UTC         y:i64
         1           2025-03-10T12:00  7
         2           2025-03-10T12:00  8",
    );
    let events = table(
        "user_id:i64 ts:us@UTC         x:f64
         1           2025-03-10T11:00  0.5
         1           2025-03-10T11:30  0.25
         2           2025-03-10T11:30  1e300",
    );
    let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"\nsince = \"beginning\"", &events)
        .view_with(
            "v",
            view_config,
            "SELECT user_id, count(*) AS n, min(x) AS least FROM events WHERE x < 1e200 GROUP BY user_id",
        )
        .config(&format!("[snapshots.old]\nuri = \"old.parquet\"\n{snapshot_config}\n[dataset]\nschema_of = \"old\""));
    write_parquet(&project.path("old.parquet"), snapshot);
    project
}

#[test]
fn dataset_has_names_types_order_and_nullability_of_the_snapshot() {
    let snapshot = table(
        "Y:i16 events!:i32 uid:i32 when:ms@UTC       lowest:f32
         7     2           1       2025-03-10T12:00  0.25",
    );
    let config = "keys = [\"uid\"]\ntime = \"when\"\ncolumns = { events = \"v.n\", lowest = \"v.least\" }";
    let labels = "[views.v.features.n]\nwhen_missing = 0";
    let project = project(&snapshot, config, labels);
    // `Y` is no label column: names are exact.
    project.backcast(&["run"]).exits_with(2).complains_of(&["column `Y` of snapshot `old` is neither"]);
    let snapshot = table(
        "y:i16 events!:i32 uid:i32 when:ms@UTC       lowest:f32
         7     2           1       2025-03-10T12:00  0.25",
    );
    write_parquet(&project.path("old.parquet"), &snapshot);
    project.backcast(&["run", "--quiet"]).exits_with(0);
    let dataset = project.written();
    assert_eq!(dataset.schema().fields(), snapshot.schema().fields());
    assert_eq!(shown(&dataset, "events"), ["2", "0"]);
    assert_eq!(shown(&dataset, "lowest"), ["0.25", "NULL"]);
    assert_eq!(shown(&dataset, "when"), ["2025-03-10T12:00:00Z", "2025-03-10T12:00:00Z"]);
}

#[test]
fn value_that_does_not_fit_its_legacy_type_is_an_error_that_shows_it() {
    let project = project(&table("user_id:i64 at:us@UTC least:i64\n 1 2025-03-10T12:00 0"), "", "");
    let ran = project.backcast(&["run"]).exits_with(2);
    ran.complains_of(&[
        "column `least` can't hold 0.25 of row 0 in its legacy type Int64",
        "backcast.toml:",
        "schema_of",
    ]);
    assert!(project.outputs().is_empty());
}

#[test]
fn null_in_a_column_without_nulls_is_an_error() {
    let project = project(&table("user_id:i64 at:us@UTC n!:i64\n 1 2025-03-10T12:00 0"), "", "");
    let ran = project.backcast(&["run"]).exits_with(2);
    ran.complains_of(&["column `n` must not be NULL in the legacy schema, but is in row 1"]);
    assert!(project.outputs().is_empty());
}

#[test]
fn type_that_nothing_converts_to_is_told_before_any_row_is_read() {
    let project = project(&table("user_id:i64 at:us@UTC n:date\n 1 2025-03-10T12:00 2025-03-10"), "", "");
    let ran = project.backcast(&["check"]).exits_with(2);
    assert!(ran.stdout.contains("`n` is Int64, which can't become Date32"), "{}", ran.stdout);
}

#[test]
fn features_without_a_place_in_the_snapshot_are_left_out_with_a_warning() {
    let project = project(&table("user_id:i64 at:us@UTC n:i64\n 1 2025-03-10T12:00 0"), "", "");
    let ran = project.backcast(&["check"]).exits_with(0);
    assert!(ran.stdout.contains("warning: `least` is not in the schema of the snapshot"), "{}", ran.stdout);
    assert!(ran.stdout.contains("warning: `y` is not in the schema of the snapshot"), "{}", ran.stdout);
}
