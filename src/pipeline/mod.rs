//! A command's work from the config to the report: open, plan, read labels, replay, diff, check, write.
//!
//! Commands differ only in how far they go and in what they write; see [`Work`].

mod compare;
mod cost;
mod explain;
mod prepare;
mod reported;
mod run;
mod sources;
mod trace;

pub use cost::{MANY, ReadReport, ScanReport};
pub use explain::{Explained, explain, explain_lints};
pub use prepare::{Opened, Prepared, check, open, prepare};
pub use run::{Outcome, Work, run};
pub use trace::{Asked, trace};
