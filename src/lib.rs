//! Backcast: point-in-time replay of feature SQL over retained raw event logs.
//!
//! ```text
//! backcast.toml ─ config ─┐
//! event logs ─── source ──┼─ analysis ─ plan ─ replay ─┬─ dataset ─┐
//! feature SQL ── sql ─────┘     │                      ├─ diff ────┼─ output
//! label rows ── source ─────────┘                      └─ report ──┘
//! ```
//!
//! Imports run one way, from left to right; `pipeline` puts the steps in order for each command, and only `cli` prints.
//! What a value means is one law, which [`replay::reference`] takes literally and every other engine has to match; see
//! ARCHITECTURE.md.

pub mod analysis;
pub mod cause;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod dataset;
pub mod diagnostics;
pub mod diff;
pub mod error;
pub mod exact;
pub mod example;
pub mod finding;
pub mod lineage;
pub mod lint;
pub mod lookback;
pub mod monitor;
pub mod output;
pub mod pipeline;
pub mod plan;
pub mod replay;
pub mod report;
pub mod retention;
pub mod source;
pub mod sql;
pub mod sweep;
pub mod trace;
pub mod verify;
