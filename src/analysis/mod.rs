//! What a configuration means, found without reading a row: views in dependency order, their keys and features, and what
//! snapshots have to do with them. Only listings and Parquet footers are read.

mod choices;
mod counts;
mod features;
mod keys;
mod lineage;
mod marker;
mod project;
mod snapshots;
mod views;

pub use features::{Feature, scalar_of};
pub use keys::comparable_type;
pub use lineage::features_of_aggregate;
pub use marker::{SourceMarker, marked_source};
pub use project::{Inputs, Project};
pub use snapshots::{MappedColumn, SnapshotTable};
pub use views::{View, ViewKey, plan_as_written};
