//! A command's work from the config to the report: open, plan, read labels, replay, diff, check, write.
//!
//! Commands differ only in how far they go and in what they write; see [`Work`].

mod audit;
mod causes;
mod chunking;
mod clock;
mod compare;
mod cost;
mod events;
mod explain;
mod files;
mod inventory;
mod lineage;
mod prepare;
mod recover;
mod replayed;
mod reported;
mod retained;
mod run;
mod sample;
mod snapshots;
mod sources;
mod spine;
mod standing;
mod stop;
mod trace;
mod verify;

pub use audit::{AuditOptions, audit, day};
pub use chunking::{ChunkPlan, Reread};
pub use cost::{MANY, ReadReport, ScanReport};
pub use explain::{Explained, ExplainedFeature, explain, explain_lints};
pub use inventory::{Inventory, inventory};
pub use lineage::run_told;
pub use prepare::{Opened, Prepared, check, open, prepare};
pub use retained::Look;
pub use run::{Outcome, Ran, RunOptions, Work, run};
pub use standing::Standing;
pub use stop::Stop;
pub use trace::{Asked, trace};
pub use verify::{VerifyOptions, verify};
