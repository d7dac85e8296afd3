//! What may be typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::replay::Engine;

/// Point-in-time replay of feature SQL over retained raw event logs.
///
/// Backcast reads raw events (Parquet), runs your feature SQL as of every label's timestamp, compares the values with
/// legacy training sets, and writes the dataset to retrain on.
#[derive(Debug, Parser)]
#[command(name = "backcast", version, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "Exit codes: 0 done and gates met, 1 failure, 2 bad input, 3 a gate was not met, 4 interrupted.

Example: backcast run fixtures/flights/backcast.toml --out /tmp/flights")]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Common {
    /// Where outputs go: a local folder or an object store URI. Default: `output.uri` of the config
    #[arg(long, global = true, value_name = "URI")]
    pub out: Option<String>,
    /// What to print on stdout: text for people, or one JSON document and nothing else
    #[arg(long, global = true, value_enum, default_value = "human")]
    pub format: Format,
    /// No progress bars and no notes
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Threads to use. Default: `run.threads`, else all cores
    #[arg(long, global = true, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
    /// Memory that may be held before data is spilled, such as 8GiB. Default: `run.memory`
    #[arg(long, global = true, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Override a key of the config, such as labels.tie=exclude; may be given several times
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// How lines of the log on stderr look; RUST_LOG says which there are, such as backcast=info. Default: text, and none
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Force an engine for all views
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub engine: EngineName,
}

/// As many threads as a machine may have.
fn threads(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1024).contains(n)).ok_or_else(|| "give a number from 1 to 1024".to_string())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    Auto,
    Reference,
    Rewrite,
    Sweep,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Auto => Self::Auto,
            EngineName::Reference => Self::Reference,
            EngineName::Rewrite => Self::Rewrite,
            EngineName::Sweep => Self::Sweep,
        }
    }
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Command {
    /// Write a small working project to start from: config, SQL, made-up events and labels, and a flawed training set
    ///
    /// Its run shows how the flaws are found. The data is the same each time.
    #[command(after_help = "Example: backcast init first-steps && cd first-steps && backcast run")]
    Init(InitArgs),
    /// Check config, SQL and schemas without reading data
    ///
    /// Tells every finding at once: unknown keys, missing files and columns, SQL that can't be planned, types that don't
    /// go together.
    #[command(after_help = "Example: backcast check fixtures/flights/backcast.toml")]
    Check(ConfigArg),
    /// Show how each view would be replayed: keys, sources, lookbacks, engine and why, lints, plan
    ///
    /// Or what a number such as B204 means, without any config: the page of a refusal or lint of SQL.
    #[command(after_help = "Examples: backcast explain -c fixtures/flights/backcast.toml
          backcast explain tail_delays -c fixtures/flights/backcast.toml
          backcast explain B204")]
    Explain(ExplainArgs),
    /// Look at retention alone: do the retained events reach back far enough, and until when?
    ///
    /// Reads listings and footers; the time column alone where a row group spans more than an hour. Tells gaps, coverage per
    /// feature and model, and what expires when.
    #[command(after_help = "Example: backcast audit fixtures/flights/backcast.toml --today 2013-04-01
Exits with 3 where a model would not have what it needs.")]
    Audit(AuditArgs),
    /// Show what there is: sources, views, features, models and snapshots, and who depends on whom
    #[command(after_help = "Examples: backcast inventory fixtures/flights/backcast.toml
          backcast inventory --graph mermaid")]
    Inventory(InventoryArgs),
    /// Write the dataset: as-of values for every label row
    #[command(after_help = "Example: backcast replay fixtures/flights/backcast.toml --out /tmp/flights")]
    Replay(RunArgs),
    /// Compare as-of values with the legacy snapshots; write mismatches and report
    #[command(after_help = "Example: backcast diff fixtures/flights/flawed.toml --out /tmp/diff
Exits with 3 where a feature agrees less than `diff.agreement`.")]
    Diff(RunArgs),
    /// The main job: replay, diff, dataset and report
    ///
    /// Goes over chunks of label time and keeps what it replayed below the output, in .backcast/: after Ctrl-C, a crash or a full disk the
    /// same command goes on where it was, and a later run replays only what has changed since.
    #[command(after_help = "Example: backcast run fixtures/flights/backcast.toml --out /tmp/flights")]
    Run(RunArgs),
    /// Explain one cell: its value, and every event that counts or does not, with why
    ///
    /// Events within reach are those of the key whose event time is in the feature's window, or outside of it by no more than
    /// the window is long. What each says is checked: the events that count have to give the value alone.
    #[command(
        after_help = "FEATURE is view.column, or a legacy column that is one feature's only. Times without an offset are in
`labels.timezone`.

Example: backcast trace tail_delays.tail_arrivals_3d --key tailnum=N725MQ --at 2013-03-01T20:00:00Z \\
             fixtures/flights/backcast.toml"
    )]
    Trace(TraceArgs),
    /// Verify a finished run: every file there with its hash, no stranger, inputs as they were; a sample computed anew
    ///
    /// Reads what manifest.json lists, several files at once and no file whole. With --sample the reference engine computes label
    /// rows anew, and every value, label column and provenance mark that was written of them is compared.
    #[command(after_help = "Examples: backcast verify fixtures/flights/out
          backcast verify --config fixtures/flights/backcast.toml --sample 100
Exits with 1 where a file or a value is not as it should be, with 3 where only the inputs have changed since.")]
    Verify(VerifyArgs),
}

/// What is to be computed, and from what.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub at: ConfigArg,
    /// Use nothing that earlier runs left below the output: replay everything anew
    #[arg(long)]
    pub fresh: bool,
}

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct InitArgs {
    /// The folder to write into: one that is not there yet, or is empty
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct ConfigArg {
    /// The config file, or its folder
    #[arg(value_name = "CONFIG", default_value = "backcast.toml")]
    pub config: PathBuf,
}

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    pub at: ConfigArg,
    /// Read no time column: what footers do not tell is not judged
    #[arg(long)]
    pub footers_only: bool,
    /// The day from which expiry is counted, such as 2026-03-01. Default: now
    #[arg(long, value_name = "DAY")]
    pub today: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct InventoryArgs {
    #[command(flatten)]
    pub at: ConfigArg,
    /// Print the dependency graph for a document, and nothing else
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub graph: Option<GraphLanguage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphLanguage {
    /// Graphviz
    Dot,
    Mermaid,
}

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct TraceArgs {
    /// The feature: view.column, or its name in the dataset or in a snapshot
    #[arg(value_name = "FEATURE")]
    pub feature: String,
    /// The config file, or its folder
    #[arg(value_name = "CONFIG", default_value = "backcast.toml")]
    pub config: PathBuf,
    /// A label key and its value; once for each key that the view is asked by
    #[arg(long, value_name = "KEY=VALUE")]
    pub key: Vec<String>,
    /// The time T as of which: RFC 3339, or without an offset in the labels' timezone
    #[arg(long, value_name = "T")]
    pub at: String,
    /// List every event within reach, not only the 200 nearest of each kind
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct ExplainArgs {
    /// Explain this view only; or the config file, where it ends in .toml; or the number of a refusal or lint
    #[arg(value_name = "VIEW")]
    pub view: Option<String>,
    /// The config file, or its folder
    #[arg(value_name = "CONFIG")]
    pub config: Option<PathBuf>,
    /// The config file, where it is not given as CONFIG
    #[arg(long, short, value_name = "CONFIG")]
    pub config_file: Option<PathBuf>,
}

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct VerifyArgs {
    /// The output folder of the run, local or an object store URI. Default: `output.uri` of the config
    #[arg(value_name = "OUT")]
    pub folder: Option<String>,
    /// The config file of the run, or its folder. Default: backcast.toml, where it is there
    #[arg(long, short, value_name = "CONFIG")]
    pub config: Option<PathBuf>,
    /// Compute so many label rows anew, spread over all of them, and compare
    #[arg(long, value_name = "N", default_value = "0")]
    pub sample: usize,
}
