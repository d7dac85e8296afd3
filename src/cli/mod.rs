//! The command line: what was typed, what is printed, exit codes. Only this module prints.

mod args;
mod commands;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::args::Args;

/// Exit codes: 0 done and gates met, 1 failure, 2 bad input, 3 a gate was not met, 4 interrupted.
pub mod exit {
    pub const DONE: u8 = 0;
    pub const FAILURE: u8 = 1;
    pub const BAD_INPUT: u8 = 2;
    pub const GATE: u8 = 3;
    pub const INTERRUPTED: u8 = 4;
}

/// Plans and expressions nest: their walks get a deep stack.
const STACK_BYTES: usize = 64 << 20;

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            let code = if e.use_stderr() { exit::BAD_INPUT } else { exit::DONE };
            let _ = e.print();
            return ExitCode::from(code);
        }
    };
    let worker = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || commands::execute(args));
    let code = match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(_)) => exit::FAILURE,
        Err(e) => {
            anstream::eprintln!("error: failed to start: {e}");
            exit::FAILURE
        }
    };
    ExitCode::from(code)
}
