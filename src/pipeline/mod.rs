//! A command's work from the config to the report: open, plan, read labels, replay, diff, check, write.
//!
//! Commands differ only in how far they go and in what they write; see [`Work`].

mod audit;
mod causes;
mod compare;
mod cost;
mod explain;
mod inventory;
mod prepare;
mod recover;
mod reported;
mod retained;
mod run;
mod sources;
mod trace;
mod verify;

pub use audit::{AuditOptions, audit, day};
pub use cost::{MANY, ReadReport, ScanReport};
pub use explain::{Explained, ExplainedFeature, explain, explain_lints};
pub use inventory::{Inventory, inventory};
pub use prepare::{Opened, Prepared, check, open, prepare};
pub use retained::Look;
pub use run::{Outcome, Work, run};
pub use trace::{Asked, trace};
pub use verify::{VerifyOptions, verify};
