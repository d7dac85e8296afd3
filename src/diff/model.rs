//! What a comparison with one snapshot found: the `snapshots[]` entries of report.json, format 1.
//!
//! Field names and their order are the contract; serde writes exactly these. `None` is written as `null`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One snapshot against the replayed values. Counts are of rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SnapshotDiff {
    pub snapshot: String,
    /// Rows of the snapshot.
    pub rows: u64,
    /// Pairs of a label row and a snapshot row with the same keys and time.
    pub matched: u64,
    pub only_in_snapshot: u64,
    pub only_in_labels: u64,
    /// Rows beyond the first of their keys and time, of both sides together.
    pub duplicates: u64,
    pub schema: Vec<SchemaIssue>,
    pub features: Vec<FeatureDiff>,
}

impl SnapshotDiff {
    /// True where every feature reaches the agreement that was asked for.
    pub fn passed(&self) -> bool {
        self.features.iter().all(|feature| feature.passed)
    }
}

/// How the snapshot's schema departs from the dataset's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IssueKind {
    /// A column of the dataset that the snapshot lacks.
    Missing,
    /// A column of the snapshot that the dataset lacks.
    Extra,
    /// One column under two names.
    Renamed,
    Type,
    /// NULLs on one side where the other declares that there are none.
    Nullability,
    /// Timestamps that differ in their zone only.
    Timezone,
    /// The common columns stand in another order: one issue for the whole schema.
    Order,
}

impl IssueKind {
    /// The name in report.json.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Renamed => "renamed",
            Self::Type => "type",
            Self::Nullability => "nullability",
            Self::Timezone => "timezone",
            Self::Order => "order",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaIssue {
    /// The snapshot's name of the column; where it has none, the dataset's.
    pub column: String,
    pub issue: IssueKind,
    pub legacy: Option<String>,
    pub replayed: Option<String>,
}

/// One feature against its legacy column. Counts are of matched rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureDiff {
    /// `view.column`.
    pub feature: String,
    /// The legacy column.
    pub column: String,
    /// Matched rows whose value is covered: `equal + within_tolerance + mismatched`.
    pub compared: u64,
    pub equal: u64,
    pub within_tolerance: u64,
    /// Includes the NULLs on one side only.
    pub mismatched: u64,
    /// The legacy value is NULL, the replayed one is not.
    pub null_only_in_snapshot: u64,
    /// The replayed value is NULL, the legacy one is not.
    pub null_only_in_replay: u64,
    /// Covered rows whose two types have no order in common; not among `compared`.
    pub not_comparable: u64,
    /// `(equal + within_tolerance) / compared`; `None` where nothing was compared.
    pub agreement: Option<f64>,
    pub passed: bool,
    pub delta: Option<Delta>,
    pub by_time: Vec<TimeBucket>,
    pub causes: Vec<Cause>,
    /// Share of mismatches that no listed cause explains; `None` until causes are looked for.
    pub unexplained: Option<f64>,
    pub worst: Vec<WorstCell>,
}

/// What is to be said of a feature at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    BelowGate,
    /// No row could be compared: nothing is known.
    NotCompared,
    Agrees,
}

impl Standing {
    /// The sign before the feature's name.
    pub fn mark(self) -> &'static str {
        match self {
            Self::BelowGate => "✗",
            Self::NotCompared => "–",
            Self::Agrees => "✓",
        }
    }
}

impl FeatureDiff {
    pub fn standing(&self) -> Standing {
        match (self.passed, self.agreement) {
            (false, _) => Standing::BelowGate,
            (true, None) => Standing::NotCompared,
            (true, Some(_)) => Standing::Agrees,
        }
    }
}

/// Spread of `|replayed - legacy|` over the compared rows where both are finite numbers, agreeing ones included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Delta {
    pub max: f64,
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeBucket {
    /// Start of the bucket, inclusive, RFC 3339 in UTC; it ends where the next starts.
    pub from: String,
    pub compared: u64,
    pub mismatched: u64,
}

/// A named alternative meaning that explains mismatches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    pub cause: CauseName,
    pub parameters: Value,
    pub mismatches: u64,
    pub explains: f64,
    pub breaks: f64,
}

/// One cause, or several that a row needs at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CauseName {
    One(String),
    Together(Vec<String>),
}

impl CauseName {
    /// Of changes of meaning, with the parameters of each.
    pub fn of(mut changes: Vec<(&'static str, Value)>) -> (Self, Value) {
        if changes.len() == 1
            && let Some((name, parameters)) = changes.pop()
        {
            return (Self::One(name.to_string()), parameters);
        }
        let names = changes.iter().map(|(name, _)| (*name).to_string()).collect();
        let parameters = changes.into_iter().map(|(name, parameters)| (name.to_string(), parameters));
        (Self::Together(names), Value::Object(parameters.collect()))
    }

    /// Each change, with its own of the `parameters` of all.
    pub fn changes<'a>(&'a self, parameters: &'a Value) -> Vec<(&'a str, &'a Value)> {
        match self {
            Self::One(name) => vec![(name, parameters)],
            Self::Together(names) => {
                names.iter().map(|name| (name.as_str(), parameters.get(name).unwrap_or(&Value::Null))).collect()
            }
        }
    }
}

/// A mismatching cell, for people to look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorstCell {
    pub keys: Map<String, Value>,
    pub time: Option<String>,
    pub legacy: Value,
    pub replayed: Value,
    /// `replayed - legacy`, signed; `None` where they are not both finite numbers.
    pub delta: Option<f64>,
}
