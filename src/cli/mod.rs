//! The command line: what was typed, what is printed, exit codes. Only this module prints.

mod args;
mod commands;
mod log;
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
const STACK_BYTES: usize = 512 << 20;

/// Whether `--format json` was typed, for errors in what else was.
fn wants_json() -> bool {
    let typed: Vec<String> = std::env::args().collect();
    typed.iter().any(|a| a == "--format=json") || typed.windows(2).any(|w| w[0] == "--format" && w[1] == "json")
}

/// A panic is a defect of ours: one line that says so, no backtrace.
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map_or_else(String::new, |l| format!(" ({}:{})", l.file(), l.line()));
        anstream::eprintln!("error: internal defect, please report it: {message}{place}");
    }));
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            let code = if e.use_stderr() { exit::BAD_INPUT } else { exit::DONE };
            let _ = e.print();
            if e.use_stderr() && wants_json() {
                commands::print_error_json(&e.to_string(), code);
            }
            return ExitCode::from(code);
        }
    };
    tell_panics();
    let json = args.common.format == args::Format::Json;
    if let Err(message) = log::start(args.common.log_format) {
        anstream::eprintln!("error: {message}");
        if json {
            commands::print_error_json(&message, exit::BAD_INPUT);
        }
        return ExitCode::from(exit::BAD_INPUT);
    }
    let worker = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || commands::execute(args));
    let code = match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(_)) => {
            if json {
                commands::print_error_json("internal defect", exit::FAILURE);
            }
            exit::FAILURE
        }
        Err(e) => {
            anstream::eprintln!("error: failed to start: {e}");
            exit::FAILURE
        }
    };
    ExitCode::from(code)
}
