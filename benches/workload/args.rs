//! What may be typed, and the steps that run as processes of their own.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};

use crate::generate::{Shape, generate};
use crate::work::WORKS;
use crate::{Failed, Result, floor, verify};

/// Times whole runs of `backcast replay` beside a bare scan, DuckDB and Polars; compares their values.
#[derive(Debug, Parser)]
#[command(name = "just bench", after_help = "Example: just bench M --work W1,W3 --runs 5")]
pub(crate) struct Args {
    /// How much data. Several: how the time grows is told, too
    #[arg(value_enum, default_value = "S", ignore_case = true)]
    pub(crate) sizes: Vec<Size>,
    /// Only these workloads
    #[arg(long, value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(WORKS.iter().map(|w| w.name)))]
    pub(crate) work: Vec<String>,
    /// How often each is run; the cheapest run counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) runs: u32,
    /// Threads of every engine. Default: all cores
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// A memory limit for Backcast, such as 512MiB; the peers keep their own
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory: Option<String>,
    /// A Python that has the packages duckdb and polars
    #[arg(long, value_name = "PATH", default_value = "python3")]
    pub(crate) python: String,
    /// Leave DuckDB and Polars out
    #[arg(long)]
    pub(crate) no_peers: bool,
    /// Another `backcast` than the one just built
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_backcast"), hide_default_value = true)]
    pub(crate) binary: PathBuf,
    /// Where data and outputs go
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/bench"), hide_default_value = true)]
    pub(crate) dir: PathBuf,
    /// Seed of the data
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// What to print on stdout: a table, or one JSON document
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Format,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Size {
    /// 1 million events, 50 thousand labels, 30 MB
    S,
    /// 20 million events, 1 million labels, 0.5 GB
    M,
    /// 100 million events, 5 million labels, 2.5 GB
    L,
}

impl Size {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::M => "M",
            Self::L => "L",
        }
    }

    pub(crate) fn shape(self, seed: u64) -> Shape {
        let (events, labels, users) = match self {
            Self::S => (1_000_000, 50_000, 100_000),
            Self::M => (20_000_000, 1_000_000, 1_000_000),
            Self::L => (100_000_000, 5_000_000, 2_000_000),
        };
        Shape { events, labels, users, seed }
    }
}

/// What the process is to do.
pub(crate) enum Asked {
    Step(Step),
    Bench(Args),
    /// Run as a test, by `cargo test --benches`.
    Nothing,
}

/// Work that is done in a process of its own, for its memory and its time.
pub(crate) enum Step {
    Generate(Vec<String>),
    Scan(Vec<String>),
    Verify(Vec<String>),
}

pub(crate) const GENERATE: &str = "step:generate";
pub(crate) const SCAN: &str = "step:scan";
pub(crate) const VERIFY: &str = "step:verify";

pub(crate) fn read() -> Asked {
    let mut words = std::env::args().skip(1);
    let rest = |words: std::iter::Skip<std::env::Args>| words.collect::<Vec<_>>();
    match words.next().as_deref() {
        Some(GENERATE) => Asked::Step(Step::Generate(rest(words))),
        Some(SCAN) => Asked::Step(Step::Scan(rest(words))),
        Some(VERIFY) => Asked::Step(Step::Verify(rest(words))),
        _ => {
            let args = Args::parse();
            if args.bench { Asked::Bench(args) } else { Asked::Nothing }
        }
    }
}

impl Step {
    /// # Errors
    /// What went wrong.
    pub(crate) fn take(self) -> Result<()> {
        let wrong = || Failed::new("a step with other arguments than its own");
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        match self {
            Self::Generate(args) => {
                let [folder, events, labels, users, seed, threads] = args.as_slice() else { return Err(wrong()) };
                let (events, labels, users) = (number(events)?, number(labels)?, number(users)?);
                let shape = Shape { events, labels, users, seed: number(seed)? };
                generate(shape, Path::new(folder), number(threads)? as usize)
            }
            Self::Scan(args) => {
                let [folder, columns, threads] = args.as_slice() else { return Err(wrong()) };
                let columns: Vec<&str> = columns.split(',').collect();
                floor::scan(Path::new(folder), &columns, number(threads)? as usize)
            }
            Self::Verify(args) => {
                let [ours, theirs, columns] = args.as_slice() else { return Err(wrong()) };
                let columns: Vec<&str> = columns.split(',').collect();
                let (cells, worst) = verify::verify(Path::new(ours), Path::new(theirs), &columns)?;
                println!("{cells} {worst:e}");
                Ok(())
            }
        }
    }
}
