//! A run may be killed at any instant, and run again.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{compared, outputs};
use crate::support::{Project, Rng};

/// Instants at which runs are killed, at least.
const KILLS: usize = 50;

fn started(project: &Project, out: &str) -> Child {
    let binary = std::env::var_os("BACKCAST_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_backcast").into());
    Command::new(binary)
        // What is looked for in differences takes no part in what is kept.
        .args(["run", "--quiet", "--set", "diff.causes=false", "--set", "run.chunk=2 days", "--out", out])
        .current_dir(project.dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Whether a reader finds either no run, or a whole one.
fn consistent(out: &Path) -> bool {
    let Ok(text) = fs::read(out.join("manifest.json")) else { return true };
    let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
    manifest["files"].as_array().unwrap().iter().all(|file| {
        let path = out.join(file["path"].as_str().unwrap());
        fs::read(path).is_ok_and(|bytes| Some(bytes.len() as u64) == file["bytes"].as_u64())
    })
}

#[test]
fn runs_killed_at_random_instants_go_on_to_the_same_bytes() {
    let project = compared();
    let began = Instant::now();
    assert_eq!(started(&project, "whole").wait().unwrap().code(), Some(3));
    let takes = began.elapsed();
    let expected = outputs(&project.path("whole"));
    let mut rng = Rng::new(50);
    let (mut kills, mut runs, mut round) = (0, 0, 0);
    while kills < KILLS {
        let out = format!("out{round}");
        // Kills come anywhere between the start and well after the end of an undisturbed run.
        loop {
            let mut child = started(&project, &out);
            let instant = takes.mul_f64(rng.below(1100) as f64 / 1000.0);
            let begun = Instant::now();
            while begun.elapsed() < instant && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let done = child.try_wait().unwrap();
            if done.is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
            }
            assert!(consistent(&project.path(&out)), "after {kills} kills");
            if let Some(status) = done {
                assert_eq!(status.code(), Some(3), "after {kills} kills");
                break;
            }
        }
        assert!(outputs(&project.path(&out)) == expected, "after {kills} kills");
        runs += 1;
        round += 1;
        fs::remove_dir_all(project.path(&out)).unwrap();
    }
    assert!(runs > 0 && kills >= KILLS);
}

#[test]
fn what_was_replayed_before_a_kill_is_not_replayed_again() {
    let project = compared();
    let mut child = started(&project, "out");
    let chunks = project.path("out/.backcast/chunks");
    // What is still being written has another name.
    let whole = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|ending| ending == "chunk");
    let kept = || fs::read_dir(&chunks).map_or(0, |all| all.flatten().filter(whole).count());
    let begun = Instant::now();
    while kept() < 3 && begun.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let set = ["--set", "run.chunk=2 days"];
    let report = project.backcast(&[&["run", "--format", "json"], &set[..]].concat()).exits_with(3).json();
    let reused: usize = super::told(&report).iter().map(|(_, reused, _)| reused).sum();
    assert!(reused >= 3, "{reused}");
}
