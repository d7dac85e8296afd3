//! What `backcast.toml` says.
//!
//! [`load`] reads the file and the `--set` overrides, checks everything that can be told without opening data, and
//! gives a [`Config`] whose values are resolved. All that is wrong is told at once, each finding with its place.
//! It opens no data, knows no SQL and asks no network; it looks only whether local files exist. Values of
//! `[storage]` are in [`Config::storage`] and nowhere else: no finding, place or `Debug` output shows them; the same goes for signed web addresses, but that a URI field holds them
//! ([`without_secrets`] is what can be shown).
//!
//! ```text
//! keys  the one description of all tables and keys          schema  from it, the JSON Schema for editors
//!   |
//! tree (TOML with positions) + overrides -> check (each value alone) -> profile (what is not written)
//!                                        -> read (Config, choices) -> rules, files (together)
//! ```

mod check;
mod choices;
mod files;
mod keys;
mod kind;
mod load;
mod overrides;
mod places;
mod profile;
mod read;
mod rules;
mod schema;
mod storage;
mod tree;
mod types;
mod values;

#[cfg(test)]
mod tests;

pub use choices::{Choice, Layer, Origin, dotted};
pub use keys::CAUSES;
pub use load::load;
pub use places::Places;
pub use profile::Missing;
pub use schema::json_schema;
pub use types::{
    Causes, Chunk, Config, Dataset, Diff, FeatureConfig, FutureEvents, Labels, Lineage, Literal, Model, Output,
    Project, Rhythm, Run, Since, Snapshot, Source, SourceKind, Thin, Tie, Tolerance, Unrecoverable, View,
};
pub use values::{resolve_uri, without_secrets};
