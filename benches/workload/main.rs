//! Whole runs of `backcast replay`, beside a bare scan of the columns and beside DuckDB and Polars: `just bench`.
//!
//! ```text
//! generate data (once)  ─┐
//! per workload, in turns ┼─ bare scan │ backcast │ DuckDB │ Polars      each a process of its own; repeated
//!                        └─ compare the values, then the costs
//! ```
//!
//! On a shared machine times come and go; what lasts are ratios of CPU seconds within one run. So all engines take turns, and
//! each one's cheapest run counts. docs/performance.md says more.

mod args;
mod floor;
mod generate;
mod measure;
mod peers;
mod results;
mod rng;
mod table;
mod turns;
mod verify;
mod work;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// What went wrong, for people.
#[derive(Debug)]
pub(crate) struct Failed(String);

pub(crate) type Result<T> = std::result::Result<T, Failed>;

impl Failed {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn io(path: &Path, error: std::io::Error) -> Self {
        Self(format!("`{}`: {error}", path.display()))
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn main() -> ExitCode {
    let asked = args::read();
    let done = match asked {
        args::Asked::Step(step) => step.take(),
        args::Asked::Bench(args) => turns::bench(&args),
        args::Asked::Nothing => {
            println!("the workloads take minutes: `just bench`, or `cargo bench --bench workload`");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("error: {failed}");
            ExitCode::FAILURE
        }
    }
}
