//! Runs that are interrupted, or that have no room left.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{outputs, project};
use crate::support::{Project, Rng, table};

fn backcast() -> Command {
    Command::new(std::env::var_os("BACKCAST_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_backcast").into()))
}

#[test]
fn an_interrupt_exits_with_4_and_says_how_to_go_on() {
    let project = project().config("[lineage]\nuri = \"lineage.jsonl\"");
    let mut command = backcast();
    command.args(["run", "--out", "out"]).current_dir(project.dir.path()).env("NO_COLOR", "1");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !project.path("out/.backcast/chunks").exists() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    #[expect(unsafe_code, reason = "there is no other way to send a signal")]
    let sent = unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGINT) };
    assert_eq!(sent, 0);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("run the same command again"), "{stderr}");
    assert!(!project.path("out/manifest.json").exists());
    let last = |file: &str| -> serde_json::Value {
        let text = fs::read_to_string(project.path(file)).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    assert_eq!(last("out/.backcast/run.jsonl")["event"], "interrupted");
    assert_eq!(last("lineage.jsonl")["eventType"], "ABORT");
    let report = project.backcast(&["run", "--format", "json"]).exits_with(0).json();
    assert!(super::told(&report).iter().any(|(_, reused, _)| *reused > 0));
}

#[test]
fn a_full_disk_is_an_error_and_the_run_goes_on_once_there_is_room() {
    let project = project();
    project.backcast(&["run", "--quiet", "--out", "whole"]).exits_with(0);
    // No file may become larger than this, which no checkpoint of this project is: the report is.
    for most in [0, 600, 9_000] {
        let mut command = backcast();
        command.args(["run", "--quiet", "--out", "out"]).current_dir(project.dir.path());
        // SAFETY: both calls are safe to make between fork and exec.
        #[expect(unsafe_code, reason = "a limit has to be set in the child")]
        unsafe {
            command.pre_exec(move || {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
                if libc::setrlimit(libc::RLIMIT_FSIZE, &limit) == 0 {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                }
            });
        }
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{most} bytes: {stderr}");
        assert!(stderr.contains("failed to") && stderr.contains("too large"), "{most} bytes: {stderr}");
        assert!(!project.path("out/manifest.json").exists());
    }
    project.backcast(&["run", "--quiet"]).exits_with(0);
    assert!(outputs(&project.path("out")) == outputs(&project.path("whole")));
    assert!(fs::read_dir(project.path("out/.backcast/chunks")).unwrap().count() == 21);
}

/// Three days in chunks of one, with many events on the second.
fn crowded(sql: &str) -> Project {
    let mut rng = Rng::new(3);
    let (mut events, mut labels) =
        ("user_id:i64 ts:us@UTC kind:str\n".to_string(), "user_id:i64 at:us@UTC\n".to_string());
    for (day, count) in [(1, 200), (2, 40_000), (3, 200)] {
        for _ in 0..count {
            let (hour, minute) = (rng.range(0, 24), rng.range(0, 60));
            let kind = rng.range(0, 1_000_000);
            events += &format!("{} 2025-03-0{day}T{hour:02}:{minute:02} kind-{kind:040}\n", rng.range(1, 9));
        }
        for hour in (3..24).step_by(3) {
            labels += &format!("{} 2025-03-0{day}T{hour:02}:00\n", rng.range(1, 9));
        }
    }
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &table(&labels))
        .source("events", "time = \"ts\"\nsince = \"beginning\"", &table(&events))
        .view("crowd", sql)
        .config("[run]\nchunk = \"1 day\"")
}

#[test]
fn a_run_that_lacks_memory_goes_on_once_it_is_allowed_more() {
    // A join's side does not spill; that of the second day is larger than what is allowed.
    let sql = "SELECT e.user_id, count(*) AS pairs FROM events e JOIN events f ON e.kind = f.kind
               WHERE e.ts > NOW() - INTERVAL '12 hours' AND f.ts > NOW() - INTERVAL '12 hours' GROUP BY e.user_id";
    let project = crowded(sql);
    project.backcast(&["run", "--quiet", "--out", "whole"]).exits_with(0);
    let refused = project.backcast(&["run", "--quiet", "--memory", "1MiB"]).exits_with(1);
    refused.complains_of(&["the memory allowed does not suffice", "--memory"]);
    assert!(!project.path("out/manifest.json").exists());
    let report = project.backcast(&["run", "--memory", "256MiB", "--format", "json"]).exits_with(0).json();
    assert_eq!(super::told(&report), [("crowd".to_string(), 1, 2)]);
    assert!(outputs(&project.path("out")) == outputs(&project.path("whole")));
}
