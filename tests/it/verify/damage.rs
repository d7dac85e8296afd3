//! The damage matrix: {delete, truncate, flip a bit} x {manifest, part, report, input}, and what `verify`, `run` and `replay` make of it.
//! (Chunk records: `chunks/reuse.rs`.)

use std::fs;
use std::path::Path;

use super::{dataset_file, project};
use crate::support::Project;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Delete,
    Truncate,
    Flip,
}

impl Damage {
    const ALL: [Self; 3] = [Self::Delete, Self::Truncate, Self::Flip];

    fn at(self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Self::Delete => return fs::remove_file(path).unwrap(),
            Self::Truncate => bytes.truncate(bytes.len() / 2),
            Self::Flip => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

/// The commands that write a run, and are asked again for it.
const COMMANDS: [&str; 2] = ["run", "replay"];

/// A finished run, one of whose files is damaged.
fn damaged(command: &str, damage: Damage, file: impl FnOnce(&Project) -> String) -> Project {
    let project = project();
    project.backcast(&[command]).exits_with(0);
    // So that a file written anew has another time of change.
    std::thread::sleep(std::time::Duration::from_millis(20));
    damage.at(&project.path(&file(&project)));
    project
}

fn damages(project: &Project, code: i32) -> Vec<(String, String)> {
    let json = project.backcast(&["verify", "--format", "json"]).exits_with(code).json();
    let told = json["files"]["damages"].as_array().unwrap();
    let text = |d: &serde_json::Value, key: &str| d[key].as_str().unwrap().to_string();
    told.iter().map(|d| (text(d, "path"), text(d, "damage"))).collect()
}

fn matrix() -> impl Iterator<Item = (&'static str, Damage)> {
    COMMANDS.into_iter().flat_map(|command| Damage::ALL.map(|damage| (command, damage)))
}

#[test]
fn a_damaged_manifest_is_no_run_and_nothing_is_written_over_it() {
    for (command, damage) in matrix() {
        let project = damaged(command, damage, |_| "out/manifest.json".to_string());
        match damage {
            Damage::Delete => drop(project.backcast(&["verify"]).exits_with(2).complains_of(&["holds no run"])),
            _ => assert_eq!(damages(&project, 1), [("manifest.json".to_string(), "manifest".to_string())]),
        }
        let before = project.outputs();
        project.backcast(&[command]).exits_with(2).complains_of(&["manifest", "help: "]);
        assert_eq!(project.outputs(), before, "{command}, {damage:?}");
    }
}

#[test]
fn a_damaged_part_is_found_and_made_anew_by_the_next_run() {
    for (command, damage) in matrix() {
        let files = [dataset_file as fn(&Project) -> String, |_| "out/report.json".to_string()];
        // A replay writes no report.
        for file in files.into_iter().take(if command == "run" { 2 } else { 1 }) {
            let project = damaged(command, damage, file);
            let found = damages(&project, 1);
            let what = match damage {
                Damage::Delete => "missing",
                Damage::Truncate => "size",
                Damage::Flip => "hash",
            };
            assert_eq!(found.len(), 1, "{command}, {damage:?}: {found:?}");
            assert_eq!(found[0].1, what);
            // Its values are not looked at: that they are wrong is known.
            let ran = project.backcast(&["verify", "--sample", "5"]).exits_with(1);
            assert!(ran.stdout.ends_with("damaged: run again, or restore the files\n"), "{}", ran.stdout);
            project.backcast(&[command]).exits_with(0);
            let ran = project.backcast(&["verify", "--sample", "5"]).exits_with(0);
            assert!(ran.stdout.contains("all 65 cells equal"), "{}", ran.stdout);
        }
    }
}

#[test]
fn a_damaged_input_is_told_and_the_old_run_stands() {
    for (command, damage) in matrix() {
        let project = damaged(command, damage, |_| "events/part-0.parquet".to_string());
        let before = project.outputs();
        let ran = project.backcast(&["verify"]).exits_with(3);
        let what = if damage == Damage::Delete { "gone sources.events" } else { "changed sources.events" };
        assert!(ran.stdout.contains(what), "{command}, {damage:?}: {}", ran.stdout);
        let ran = project.backcast(&[command]);
        if damage == Damage::Flip && ran.code == 0 {
            // A value may have become another: then that is what the input says, and all of the run agrees with it.
            project.backcast(&["verify", "--sample", "5"]).exits_with(0);
            continue;
        }
        assert!([1, 2].contains(&ran.code), "{command}, {damage:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("events"), "{command}, {damage:?}: {}", ran.stderr);
        assert_eq!(project.outputs(), before, "{command}, {damage:?}");
        project.backcast(&["verify"]).exits_with(3);
    }
}
