//! What a whole process cost, as the kernel counts it.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::Serialize;

use crate::{Failed, Result};

/// The cost of one process, its threads included.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// User and system.
    pub(crate) cpu_seconds: f64,
    pub(crate) wall_seconds: f64,
    /// The most memory that was resident at one time.
    pub(crate) peak_bytes: u64,
}

/// Runs a command to its end; its output goes to `log` with the endings `.out` and `.err`.
///
/// A new process starts with the peak of the one that started it. So whatever takes memory (making data, comparing) is done in
/// processes of its own, and this one stays small.
///
/// # Errors
/// A command that can't be run or fails: the end of what it said.
pub(crate) fn run(command: &mut Command, log: &Path) -> Result<Cost> {
    let create = |ending: &str| {
        let path = log.with_extension(ending);
        File::create(&path).map_err(|e| Failed::io(&path, e))
    };
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(create("out")?).stderr(create("err")?);
    let start = Instant::now();
    let child = command.spawn().map_err(|e| Failed::new(format!("run `{program}`: {e}")))?;
    let (status, usage) = wait(child.id()).map_err(|e| Failed::new(format!("wait for `{program}`: {e}")))?;
    let wall_seconds = start.elapsed().as_secs_f64();
    if status != 0 {
        let said = std::fs::read_to_string(log.with_extension("err")).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(12).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        return Err(Failed::new(format!("`{program}` ended with status {status}:\n{}", last.join("\n"))));
    }
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok(Cost {
        cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        wall_seconds,
        peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit,
    })
}

/// Waits for a process; 0 where it ended well, and what it used.
fn wait(process: u32) -> std::io::Result<(i32, libc::rusage)> {
    let process = libc::pid_t::try_from(process).map_err(std::io::Error::other)?;
    let mut status = 0;
    // SAFETY: a `rusage` is plain numbers, for which zero is a value; both pointers are to locals that outlive the call.
    let (ended, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(process, &raw mut status, 0, &raw mut usage), usage)
    };
    if ended == process { Ok((status, usage)) } else { Err(std::io::Error::last_os_error()) }
}
