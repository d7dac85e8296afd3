//! The flights fixture on a slice of its label rows: real events, six views, both snapshots.

use std::path::Path;

use tempfile::TempDir;

use crate::support::{Ran, backcast_in, read_parquet, rows_at, write_parquet};

/// Of this many label rows one is taken, and none that is stale in the sound training set.
const EVERY: usize = 100;
const FIRST: usize = 37;

fn run(config: &str) -> (Ran, TempDir) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let labels = read_parquet(&root.join("fixtures/flights/labels.parquet"));
    let picked: Vec<usize> = (FIRST..labels.num_rows()).step_by(EVERY).collect();
    let slice = dir.path().join("labels.parquet");
    write_parquet(&slice, &rows_at(&labels, &picked));
    let set = format!("labels.uri=\"{}\"", slice.display());
    let out = dir.path().join("out");
    let config = format!("fixtures/flights/{config}");
    let args = ["run", &config, "--set", &set, "--out", out.to_str().unwrap(), "--format", "json"];
    (backcast_in(root, &args), dir)
}

#[test]
fn sound_training_set_meets_every_gate_in_its_own_schema() {
    let (ran, dir) = run("backcast.toml");
    let report = ran.exits_with(0).json();
    assert_eq!(report["labels"]["rows"], 40);
    assert_eq!(report["snapshots"][0]["matched"], 40);
    for view in report["views"].as_array().unwrap() {
        assert!(view["engine"] == "rewrite" || view["engine"] == "sweep", "{view:#}");
    }
    assert_eq!(report["self_check"]["differences"], 0);
    assert!(report["self_check"]["cells"].as_u64().unwrap() > 0);
    let features = report["snapshots"][0]["features"].as_array().unwrap();
    assert_eq!(features.len(), 27);
    let dataset = std::fs::read_dir(dir.path().join("out/dataset")).unwrap().next().unwrap().unwrap().path();
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/flights/legacy/sound.parquet");
    assert_eq!(read_parquet(&dataset).schema().fields(), read_parquet(&legacy).schema().fields());
}

#[test]
fn flawed_training_set_fails_its_gate_and_its_mismatches_are_written() {
    let (ran, dir) = run("flawed.toml");
    let report = ran.exits_with(3).json();
    let gate = &report["gates"][0];
    assert_eq!((&gate["gate"], &gate["passed"]), (&"agreement".into(), &false.into()));
    let failed = report["snapshots"][0]["features"].as_array().unwrap().iter().filter(|f| f["passed"] == false);
    assert!(failed.count() > 3, "{report:#}");
    assert!(dir.path().join("out/mismatches/flawed").is_dir());
}
