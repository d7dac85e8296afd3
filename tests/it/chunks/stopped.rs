//! Runs that are interrupted, or that have no room left.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{outputs, project};

fn backcast() -> Command {
    Command::new(std::env::var_os("BACKCAST_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_backcast").into()))
}

#[test]
fn an_interrupt_exits_with_4_and_says_how_to_go_on() {
    let project = project();
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
