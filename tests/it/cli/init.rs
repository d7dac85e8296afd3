//! `init`: a project that works, and whose flaws the run names.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::backcast_in;

fn files(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => files(&entry.path(), &format!("{name}/"), found),
            false => drop(found.insert(name, std::fs::read(entry.path()).unwrap())),
        }
    }
}

#[test]
fn the_project_of_init_runs_and_its_planted_flaws_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let ran = backcast_in(folder.path(), &["init", "first"]).exits_with(0);
    assert!(ran.stdout.contains("next: cd first && backcast run"), "{}", ran.stdout);
    let project = folder.path().join("first");
    let checked = backcast_in(&project, &["check", "--format", "json"]).exits_with(0).json();
    assert_eq!((&checked["errors"], &checked["warnings"]), (&0.into(), &0.into()), "{checked:#}");
    let report = backcast_in(&project, &["run", "--format", "json"]).exits_with(3).json();
    let features = report["snapshots"][0]["features"].as_array().unwrap();
    let cause = |name: &str| {
        let feature = features.iter().find(|f| f["feature"] == format!("user_activity.{name}")).unwrap();
        (feature["mismatched"].as_u64().unwrap(), feature["causes"][0]["cause"].clone(), feature["passed"].clone())
    };
    let (differ, named, passed) = cause("payments_24h");
    assert!(differ > 40 && passed == false, "{differ}");
    assert_eq!(named, "late_events_visible");
    let (differ, named, passed) = cause("spent_7d");
    assert!(differ > 200 && passed == false, "{differ}");
    assert_eq!(named, "stale");
    assert_eq!(cause("largest_7d"), (0, serde_json::Value::Null, true.into()));
    backcast_in(&project, &["verify", "--sample", "20"]).exits_with(0);
}

#[test]
fn init_gives_the_same_bytes_each_time_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let listed = backcast_in(folder.path(), &["init", "a", "--format", "json"]).exits_with(0).json();
    std::fs::create_dir(folder.path().join("b")).unwrap();
    backcast_in(folder.path(), &["init", "b"]).exits_with(0);
    let [a, b] = ["a", "b"].map(|name| {
        let mut found = BTreeMap::new();
        files(&folder.path().join(name), "", &mut found);
        found
    });
    assert!(a == b);
    let mut named: Vec<&str> = listed["files"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, a.keys().map(String::as_str).collect::<Vec<_>>());
    backcast_in(folder.path(), &["init", "a"]).exits_with(2).complains_of(&["`a` is not empty"]);
    std::fs::write(folder.path().join("file"), "").unwrap();
    backcast_in(folder.path(), &["init", "file"]).exits_with(2).complains_of(&["`file` is a file"]);
}
