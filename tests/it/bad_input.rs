//! Files that can't be read as they should: told with their names before anything is written.

use std::fs;

use crate::support::{Project, shown, table, write_parquet};

fn project() -> Project {
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00"))
        .source("events", "time = \"ts\"", &table("user_id:i64 ts:us@UTC x:i64\n 1 2025-03-10T11:00 5"))
        .view("v", "SELECT user_id, count(*) AS n FROM events GROUP BY user_id")
}

/// Every command refuses it in these words, and writes nothing.
#[track_caller]
fn refused(project: &Project, parts: &[&str]) {
    for command in ["replay", "run"] {
        project.backcast(&[command]).exits_with(2).complains_of(parts);
    }
    let ran = project.backcast(&["check"]).exits_with(2);
    for part in parts {
        assert!(ran.stdout.contains(part), "no `{part}` in stdout of check:\n{}", ran.stdout);
    }
    assert!(project.outputs().is_empty(), "{:?}", project.outputs());
}

#[test]
fn empty_file_is_refused() {
    let project = project();
    fs::write(project.path("events/part-1.parquet"), "").unwrap();
    refused(&project, &["events/part-1.parquet` can't be read as Parquet", "backcast.toml:", "uri = \"events/\""]);
}

#[test]
fn truncated_parquet_is_refused() {
    let project = project();
    let bytes = fs::read(project.path("events/part-0.parquet")).unwrap();
    fs::write(project.path("events/part-0.parquet"), &bytes[..bytes.len() / 2]).unwrap();
    refused(&project, &["events/part-0.parquet` can't be read as Parquet"]);
}

#[test]
fn truncated_label_file_is_refused() {
    let project = project();
    let bytes = fs::read(project.path("labels.parquet")).unwrap();
    fs::write(project.path("labels.parquet"), &bytes[..bytes.len() - 5]).unwrap();
    refused(&project, &["labels.parquet` can't be read as Parquet"]);
}

#[test]
fn missing_source_folder_is_refused_with_the_nearest_one() {
    let project = project();
    fs::rename(project.path("events"), project.path("evnts")).unwrap();
    refused(&project, &["events", "backcast.toml:", "evnts"]);
}

#[test]
fn folder_without_parquet_is_refused() {
    let project = project();
    fs::rename(project.path("events/part-0.parquet"), project.path("events/_part-0.parquet")).unwrap();
    refused(&project, &["events/` holds no Parquet file", "backcast.toml:"]);
}

#[test]
fn time_column_that_holds_no_times_is_refused() {
    let project = project();
    write_parquet(&project.path("events/part-0.parquet"), &table("user_id:i64 ts:str x:i64\n 1 2025-03-10T11:00 5"));
    refused(&project, &["column `ts` of source `events` is Utf8, not a timestamp", "backcast.toml:", "time = \"ts\""]);
}

#[test]
fn label_time_that_holds_no_times_is_refused() {
    let project = project();
    write_parquet(&project.path("labels.parquet"), &table("user_id:i64 at:date\n 1 2025-03-10"));
    refused(&project, &["label time `at` is Date32, not a timestamp", "backcast.toml:"]);
}

#[test]
fn list_as_a_key_of_a_view_is_refused() {
    let project = project().view("w", "SELECT array_agg(x) AS user_id, 1 AS one FROM events");
    refused(&project, &["`user_id`", "List", "can't be compared"]);
}

#[test]
fn damaged_data_pages_fail_without_a_dataset() {
    let project = project();
    let mut bytes = fs::read(project.path("events/part-0.parquet")).unwrap();
    bytes[4..40].fill(0xff);
    fs::write(project.path("events/part-0.parquet"), &bytes).unwrap();
    let ran = project.backcast(&["replay"]);
    assert!(ran.code == 1 || ran.code == 2, "exit {}: {}", ran.code, ran.stderr);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    assert!(project.outputs().is_empty());
}

#[test]
fn log_without_rows_is_no_mistake() {
    let project = project();
    write_parquet(&project.path("events/part-0.parquet"), &table("user_id:i64 ts:us@UTC x:i64"));
    project.backcast(&["replay"]).exits_with(0);
    assert_eq!(shown(&project.written(), "n"), ["NULL"]);
}
