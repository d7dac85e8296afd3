//! `verify`: what a finished run has to be, and what it finds where it is not.

mod damage;
mod sample;

use std::fs;

use crate::support::{Project, table, write_parquet};

/// A project whose cells are of every kind: defaults, a prefix, a legacy schema, cells from the snapshot, duplicates, NaN.
fn project() -> Project {
    let labels = table(
        "user_id:i64 at:us@UTC         y:f64
         1          2025-03-03T12:00  NaN
         2          2025-03-04T12:00  20
         -          2025-03-19T12:00  1
         1          2025-03-20T12:00  30
         1          2025-03-20T12:00  30
         3          2025-03-20T12:00  -",
    );
    let events = table(
        "user_id:i64 ts:us@UTC          x:f64
         1          2025-03-01T12:00   1.5
         2          2025-03-02T12:00   -
         1          2025-03-19T12:00   NaN
         1          2025-03-19T13:00   0.1",
    );
    let legacy = table(
        "user_id:i64 at:us@UTC         y:f64 week:i32 old_sum:f64
         1          2025-03-03T12:00  NaN   7        1.5
         1          2025-03-20T12:00  30    2        0
         3          2025-03-20T12:00  -     0        -",
    );
    let sql = "SELECT user_id, count(*) AS week, sum(x) AS total FROM events
               WHERE ts > NOW() - INTERVAL '7 days' GROUP BY user_id";
    let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"\nsince = \"2025-03-01T00:00:00Z\"", &events)
        .view_with("v", "features.week = { when_missing = 0 }\nfeatures.total = { when_null = -1.0 }", sql)
        .view_with("w", "prefix = \"w_\"", sql)
        .config("[snapshots.old]\nuri = \"old.parquet\"\ncolumns = { old_sum = \"v.total\" }\n[diff]\nagreement = 0");
    write_parquet(&project.path("old.parquet"), &legacy);
    project
}

fn dataset_file(project: &Project) -> String {
    let outputs = project.outputs();
    format!("out/{}", outputs.iter().find(|p| p.starts_with("dataset/")).unwrap())
}

#[test]
fn a_run_that_was_left_alone_is_intact() {
    let project = project();
    project.backcast(&["run"]).exits_with(0);
    let ran = project.backcast(&["verify"]).exits_with(0);
    for part in
        ["files    5 listed, all there with their hash", "inputs   3 listed, all as the run read them", "\nintact\n"]
    {
        assert!(ran.stdout.contains(part), "no {part}: {}", ran.stdout);
    }
    let json = project.backcast(&["verify", "out", "--format", "json"]).exits_with(0).json();
    assert_eq!(json["intact"], true);
    assert_eq!(json["run"]["command"], "run");
    assert_eq!(json["files"]["listed"], 5);
    assert_eq!(json["sample"], serde_json::Value::Null);
}

#[test]
fn a_folder_without_a_run_is_bad_input() {
    let project = project();
    project.backcast(&["verify"]).exits_with(2).complains_of(&["holds no run: there is no manifest.json"]);
    fs::remove_file(project.path("backcast.toml")).unwrap();
    project.backcast(&["verify", "out", "--sample", "3"]).exits_with(2);
}

#[test]
fn files_and_inputs_are_verified_without_a_config_too() {
    let project = project();
    project.backcast(&["run"]).exits_with(0);
    fs::remove_file(project.path("backcast.toml")).unwrap();
    project.backcast(&["verify", "out"]).exits_with(0);
    fs::remove_file(project.path("old.parquet")).unwrap();
    let ran = project.backcast(&["verify", "out"]).exits_with(3);
    assert!(ran.stdout.contains("gone snapshots.old:"), "{}", ran.stdout);
}

#[test]
fn a_file_that_no_manifest_lists_is_a_stranger() {
    let project = project();
    project.backcast(&["run"]).exits_with(0);
    project.write("out/dataset/part-00000-000000000000.parquet", "PAR1");
    project.write("out/notes.txt", "outside of the run's folders");
    let json = project.backcast(&["verify", "--format", "json"]).exits_with(1).json();
    assert_eq!(json["files"]["damages"].as_array().unwrap().len(), 1);
    assert_eq!(json["files"]["damages"][0]["damage"], "stranger");
}

#[test]
fn inputs_that_changed_went_or_came_are_named_and_exit_with_3() {
    let project = project();
    write_parquet(&project.path("events/part-1.parquet"), &table("user_id:i64 ts:us@UTC x:f64\n 3 2025-03-19T12:00 1"));
    project.backcast(&["run"]).exits_with(0);
    fs::remove_file(project.path("events/part-1.parquet")).unwrap();
    write_parquet(&project.path("events/part-2.parquet"), &table("user_id:i64 ts:us@UTC x:f64\n 3 2025-03-19T12:00 1"));
    // The same bytes, written anew: only a hash could tell, and the run has none of its inputs.
    let labels = fs::read(project.path("labels.parquet")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(project.path("labels.parquet"), labels).unwrap();
    let json = project.backcast(&["verify", "--format", "json"]).exits_with(3).json();
    let changes = json["inputs"]["changes"].as_array().unwrap();
    let told: Vec<(&str, &str)> =
        changes.iter().map(|c| (c["input"].as_str().unwrap(), c["change"].as_str().unwrap())).collect();
    assert_eq!(told, [("labels", "changed"), ("sources.events", "gone"), ("sources.events", "new")]);
    assert_eq!(json["intact"], true);
}
