//! Section 2 of the contract, rule by rule, with values that a person can work out. Every case runs on both engines.

mod changelogs;
mod changelogs_all;
mod comparisons;
mod dialect;
mod files;
mod keys;
mod numbers;
mod profiles;
mod redelivery;
mod time;
mod visibility;

use crate::support::{Project, table};

/// Label rows of user `a` at these times.
fn labels_at(times: &[&str]) -> Project {
    let rows: String = times.iter().map(|t| format!("a {t}\n")).collect();
    Project::new("keys = [\"user\"]\ntime = \"at\"", &table(&format!("user:str at:us@UTC\n{rows}")))
}
