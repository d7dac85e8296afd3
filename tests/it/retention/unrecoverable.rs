//! `dataset.unrecoverable`: what becomes of cells whose events are not covered.

use super::{output, report, unwrapped};
use crate::support::{Project, shown, table, write_parquet};

/// Three label rows: the first two are before the log reaches back a week; the snapshot has the first and the last.
fn project(policy: &str) -> Project {
    let labels = table(
        "user_id:i64 at:us@UTC         y:i64
         1          2025-03-03T12:00  10
         2          2025-03-04T12:00  20
         1          2025-03-20T12:00  30",
    );
    let events = table(
        "user_id:i64 ts:us@UTC
         1          2025-03-01T12:00
         2          2025-03-02T12:00
         1          2025-03-19T12:00",
    );
    let legacy = table(
        "user_id:i64 at:us@UTC         week:i64
         1          2025-03-03T12:00  7
         1          2025-03-20T12:00  9",
    );
    let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"", &events)
        .view("v", "SELECT user_id, count(*) AS week FROM events WHERE ts > NOW() - INTERVAL '7 days' GROUP BY user_id")
        .config("[snapshots.old]\nuri = \"old.parquet\"\n[diff]\nagreement = 0");
    write_parquet(&project.path("old.parquet"), &legacy);
    if policy.is_empty() { project } else { project.config(&format!("[dataset]\nunrecoverable = \"{policy}\"")) }
}

#[track_caller]
fn becomes(policy: &str, values: &[&str], marks: &[&str]) {
    let project = project(policy);
    project.backcast(&["run"]).exits_with(0);
    assert_eq!(shown(&project.written(), "week"), values, "{policy}");
    assert_eq!(shown(&output(&project, "provenance"), "week"), marks, "{policy}");
    let report = report(&project);
    // The value of the one covered row is compared, and nothing else.
    assert_eq!(report["snapshots"][0]["features"][0]["compared"], 1);
}

#[test]
fn a_snapshot_stands_in_where_it_has_the_label_row_and_that_is_the_default() {
    becomes("", &["7", "1", "1"], &["legacy", "truncated", "exact"]);
    becomes("legacy", &["7", "1", "1"], &["legacy", "truncated", "exact"]);
}

#[test]
fn null_blanks_and_keep_keeps_what_the_retained_events_give() {
    becomes("null", &["NULL", "NULL", "1"], &["truncated", "truncated", "exact"]);
    becomes("keep", &["1", "1", "1"], &["truncated", "truncated", "exact"]);
}

#[test]
fn drop_leaves_label_rows_out_and_lists_them() {
    becomes("drop", &["1"], &["exact"]);
    let project = project("drop");
    let ran = project.backcast(&["run"]).exits_with(0);
    assert!(unwrapped(&ran.stdout).contains("2 label rows left out"), "{}", ran.stdout);
    let dropped = output(&project, "dropped");
    assert_eq!(
        (shown(&dropped, "user_id"), shown(&dropped, "week")),
        (vec!["1".into(), "2".into()], vec!["truncated".into(); 2])
    );
    assert_eq!(shown(&project.written(), "y"), ["30"]);
    assert_eq!(report(&project)["retention"]["dropped"], 2);
}

#[test]
fn fail_writes_no_dataset_and_exits_with_3() {
    let project = project("fail");
    let ran = project.backcast(&["replay"]).exits_with(3);
    assert!(ran.stdout.contains("Gate not met: retention"), "{}", ran.stdout);
    let outputs = project.outputs();
    assert!(!outputs.iter().any(|o| o.starts_with("dataset/")), "{outputs:?}");
    assert_eq!(shown(&output(&project, "provenance"), "week"), ["truncated", "truncated", "exact"]);
}

#[test]
fn a_legacy_value_that_the_feature_can_not_hold_is_refused() {
    let project = project("legacy");
    let legacy = table("user_id:i64 at:us@UTC week:f64\n 1 2025-03-03T12:00 7.5");
    write_parquet(&project.path("old.parquet"), &legacy);
    project.backcast(&["replay"]).exits_with(2).complains_of(&["`week` of snapshot `old` has 7.5", "`v.week`"]);
}
