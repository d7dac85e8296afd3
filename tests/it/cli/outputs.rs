//! Output folders: what is refused, what is replaced, what the manifest says.

use std::fs;

use sha2::{Digest, Sha256};

use crate::support::{Project, shown, table, write_parquet};

#[test]
fn label_rows_without_a_time_are_refused_with_count_and_first_file() {
    let project = super::project();
    fs::remove_file(project.path("labels.parquet")).unwrap();
    write_parquet(&project.path("labels.parquet/a.parquet"), &table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00"));
    write_parquet(&project.path("labels.parquet/b.parquet"), &table("user_id:i64 at:us@UTC\n 1 -\n 2 -"));
    let ran = project.backcast(&["run"]).exits_with(2);
    ran.complains_of(&["2 label rows have no label time", "`at` is NULL", "labels.parquet/b.parquet"]);
    assert!(project.outputs().is_empty());
}

#[test]
fn files_of_others_in_the_output_folder_are_refused_and_left_alone() {
    let project = super::project();
    project.write("out/dataset/part-99999.parquet", "not ours");
    let ran = project.backcast(&["replay"]).exits_with(2);
    ran.complains_of(&["1 file(s) that no manifest lists", "dataset/part-99999.parquet", "--out"]);
    assert_eq!(project.outputs(), ["dataset/part-99999.parquet"]);
    assert_eq!(fs::read_to_string(project.path("out/dataset/part-99999.parquet")).unwrap(), "not ours");
}

#[test]
fn manifest_that_is_not_ours_is_refused() {
    let project = super::project();
    project.write("out/manifest.json", "{\"format\": 99}");
    project.backcast(&["replay"]).exits_with(2).complains_of(&["is not a manifest that this version reads"]);
    assert_eq!(fs::read_to_string(project.path("out/manifest.json")).unwrap(), "{\"format\": 99}");
}

#[test]
fn second_run_replaces_the_files_of_the_first() {
    let project = super::compared(2, 7);
    project.backcast(&["run"]).exits_with(3);
    let before = project.outputs();
    write_parquet(&project.path("events/part-1.parquet"), &table("user_id:i64 ts:us@UTC\n 1 2025-03-10T11:45"));
    project.backcast(&["replay"]).exits_with(0);
    let after = project.outputs();
    let dataset = |files: &[String]| files.iter().filter(|f| f.starts_with("dataset/")).cloned().collect::<Vec<_>>();
    assert_eq!((dataset(&before).len(), dataset(&after).len()), (1, 1));
    assert_ne!(dataset(&before), dataset(&after));
    assert!(!after.iter().any(|f| f.starts_with("mismatches/")), "{after:?}");
    assert_eq!(shown(&project.written(), "n"), ["3", "1"]);
}

#[test]
fn manifest_lists_every_file_with_its_hash() {
    let project = super::compared(2, 7);
    project.backcast(&["run"]).exits_with(3);
    let manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(project.path("out/manifest.json")).unwrap()).unwrap();
    let mut listed = vec!["manifest.json".to_string()];
    for file in manifest["files"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        let bytes = fs::read(project.path(&format!("out/{path}"))).unwrap();
        let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(file["sha256"], hash.as_str(), "{path}");
        assert_eq!(file["bytes"], bytes.len());
        listed.push(path.to_string());
    }
    listed.sort();
    assert_eq!(listed, project.outputs());
    assert_eq!(manifest["command"], "run");
    assert_eq!(manifest["inputs"].as_array().unwrap().len(), 3);
}

#[test]
fn run_that_fails_leaves_the_old_run_as_it_was() {
    let project = super::project();
    project.backcast(&["replay"]).exits_with(0);
    let before: Vec<(String, Vec<u8>)> = contents(&project);
    let project = project.view("rows", "SELECT user_id, ts AS row_ts FROM events");
    project.backcast(&["replay"]).exits_with(2).complains_of(&["view `rows` has 2 rows for user_id = 1"]);
    assert!(before == contents(&project));
}

fn contents(project: &Project) -> Vec<(String, Vec<u8>)> {
    let read = |path: String| {
        let bytes = fs::read(project.path(&format!("out/{path}"))).unwrap();
        (path, bytes)
    };
    project.outputs().into_iter().map(read).collect()
}

#[test]
fn no_label_rows_give_an_empty_dataset_with_its_columns() {
    let project = super::compared(2, 1);
    write_parquet(&project.path("labels.parquet"), &table("user_id:i64 at:us@UTC"));
    for engine in ["reference", "rewrite"] {
        project.backcast(&["replay", "--engine", engine]).exits_with(0);
        let dataset = project.written();
        assert_eq!(dataset.num_rows(), 0);
        let names: Vec<String> = dataset.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["user_id", "at", "n"]);
    }
    let report = project.backcast(&["run", "--format", "json"]).json();
    assert_eq!(report["labels"]["rows"], 0);
    assert_eq!(report["labels"]["first"], serde_json::Value::Null);
    assert_eq!(report["snapshots"][0]["only_in_snapshot"], 2);
}
