//! A sample computed anew, against what was written.

use std::fs;
use std::sync::Arc;

use backcast::output::{Manifest, sha256_hex};
use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};

use super::{dataset_file, project};
use crate::support::{Project, read_parquet, table, write_parquet};

#[track_caller]
fn all_equal(project: &Project, code: i32, cells: usize) {
    project.backcast(&["run"]).exits_with(code);
    for sample in ["1", "3", "1000"] {
        let json = project.backcast(&["verify", "--sample", sample, "--format", "json"]).exits_with(0).json();
        assert_eq!(json["sample"]["differences"], 0, "{json:#}");
        if sample == "1000" {
            assert_eq!(json["sample"]["cells"], cells, "{json:#}");
        }
    }
}

#[test]
fn cells_of_every_kind_are_what_the_reference_engine_gives() {
    // Of 6 label rows 7 columns of the dataset, and 6 of the provenance.
    all_equal(&project(), 0, 6 * 7 + 6 * 6);
    for policy in ["null", "keep", "legacy"] {
        all_equal(&project().config(&format!("[dataset]\nunrecoverable = \"{policy}\"")), 0, 6 * 7 + 6 * 6);
    }
}

#[test]
fn label_rows_that_were_left_out_are_not_missed() {
    let project = project().config("[dataset]\nunrecoverable = \"drop\"");
    all_equal(&project, 0, 4 * 7 + 4 * 6);
}

#[test]
fn a_dataset_that_was_refused_leaves_its_provenance_to_be_compared() {
    let project = project().config("[dataset]\nunrecoverable = \"fail\"");
    all_equal(&project, 3, 6 * 6);
}

#[test]
fn a_dataset_in_the_schema_of_a_snapshot_is_compared_in_that_schema() {
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00\n 2 2025-03-10T12:00");
    let events = table("user_id:i64 ts:us@UTC\n 1 2025-03-10T11:00\n 1 2025-03-10T11:30");
    let legacy = table("cnt:f32 user_id:i32 at:ms@UTC\n 2 1 2025-03-10T12:00\n 0 2 2025-03-10T12:00");
    let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"\nsince = \"beginning\"", &events)
        .view_with(
            "v",
            "features.n = { when_missing = 0 }",
            "SELECT user_id, count(*) AS n FROM events GROUP BY user_id",
        )
        .config("[snapshots.old]\nuri = \"old.parquet\"\ncolumns = { cnt = \"v.n\" }\n[dataset]\nschema_of = \"old\"");
    write_parquet(&project.path("old.parquet"), &legacy);
    all_equal(&project, 0, 2 * 3 + 2 * 3);
}

#[test]
fn the_fixture_agrees_with_the_reference_engine() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/flights/backcast.toml");
    crate::support::backcast_in(folder.path(), &["run", config, "--out", &out]).exits_with(0);
    let ran = crate::support::backcast_in(folder.path(), &["verify", &out, "--config", config, "--sample", "4"]);
    let ran = ran.exits_with(0);
    assert!(ran.stdout.contains("4 label rows computed anew by the reference engine: all"), "{}", ran.stdout);
}

/// Writes one cell of the dataset anew, in a run that is intact in all else.
fn forge(project: &Project, column: &str, row: usize, value: i64) {
    let path = dataset_file(project);
    let batch = read_parquet(&project.path(&path));
    let index = batch.schema().index_of(column).unwrap();
    let old = batch.column(index).as_any().downcast_ref::<Int64Array>().unwrap();
    let new: Int64Array =
        (0..old.len()).map(|i| if i == row { Some(value) } else { old.iter().nth(i).flatten() }).collect();
    let mut columns = batch.columns().to_vec();
    columns[index] = Arc::new(new) as ArrayRef;
    write_parquet(&project.path(&path), &RecordBatch::try_new(batch.schema(), columns).unwrap());
    let bytes = fs::read(project.path(&path)).unwrap();
    let mut manifest: Manifest = Manifest::read(&fs::read(project.path("out/manifest.json")).unwrap()).unwrap();
    let entry = manifest.files.iter_mut().find(|f| format!("out/{}", f.path) == path).unwrap();
    (entry.bytes, entry.sha256) = (bytes.len() as u64, sha256_hex(&bytes));
    fs::write(project.path("out/manifest.json"), manifest.sealed().unwrap()).unwrap();
}

#[test]
fn a_value_that_is_not_the_references_is_found_and_named() {
    let project = project();
    project.backcast(&["run"]).exits_with(0);
    forge(&project, "week", 3, 3);
    project.backcast(&["verify"]).exits_with(0);
    let ran = project.backcast(&["verify", "--sample", "6"]).exits_with(1);
    let told = "dataset/ `week` of user_id=1 @ 2025-03-20T12:00:00Z: computed anew 2, written 3";
    assert!(ran.stdout.contains("1 of 78 cells differ"), "{}", ran.stdout);
    assert!(ran.stdout.contains(told), "{}", ran.stdout);
}

#[test]
fn what_has_changed_since_is_said_with_the_sample() {
    let project = project();
    project.backcast(&["run"]).exits_with(0);
    write_parquet(&project.path("events/part-1.parquet"), &table("user_id:i64 ts:us@UTC x:f64\n 3 2025-03-19T12:00 1"));
    let ran = project.backcast(&["verify", "--sample", "6", "--set", "labels.tie=exclude"]).exits_with(1);
    for part in ["new sources.events", "computed from today's", "is not that of the run", "`week` of user_id=3"] {
        assert!(ran.stdout.contains(part), "no {part}: {}", ran.stdout);
    }
    project.write("v.sql", "SELECT user_id, 1 AS week, 2.0 AS total FROM events GROUP BY user_id");
    let ran = project.backcast(&["verify", "--sample", "6"]).exits_with(2);
    ran.complains_of(&["the SQL of `v` is not that of the run"]);
}

#[test]
fn other_label_rows_than_the_runs_are_refused() {
    let project = project();
    project.backcast(&["run"]).exits_with(0);
    write_parquet(&project.path("labels.parquet"), &table("user_id:i64 at:us@UTC y:f64\n 9 2025-03-03T12:00 1"));
    let ran = project.backcast(&["verify", "--sample", "6"]).exits_with(2);
    ran.complains_of(&["the run has 6 label rows, of which 0 are among today's 1"]);
}
