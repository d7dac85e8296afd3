//! Backcast as a whole: engines against each other, meaning, determinism, bad input, the command line, golden plans.

mod bad_input;
mod causes;
mod chunks;
mod cli;
mod determinism;
mod diagnostics;
mod dialect;
mod engines;
mod explain_golden;
mod lints;
mod meaning;
mod page;
mod planted;
mod retention;
mod s3;
mod support;
mod trace;
mod verify;
