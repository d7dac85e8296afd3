//! What a run read and wrote, told to a lineage service: OpenLineage run events, to a file or an HTTP endpoint.
//!
//! `START` before the work, then `COMPLETE` with the datasets that were written, or `FAIL` with the error. Telling is a service to
//! others: where it fails, that is noted and the run goes on. Credentials are in no event: addresses are told without user, password
//! and query, `[storage]` not at all.

mod dataset;
mod event;
mod send;

pub use dataset::{Dataset, Field, named};
pub use event::{Event, Job, Outcome, RunId};
pub use send::{Sink, send};
