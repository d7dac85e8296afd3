//! The report: report.json, format 1.
//!
//! The fields of the format come first and in its order, `null` where not applicable; what is added freely follows.

use super::text::number;
use crate::cause::duration;
use crate::config::Choice;
use crate::diff::{CauseName, SnapshotDiff};
use crate::finding::Finding;
use crate::retention::RetentionReport;
use crate::source::StorageRequests;
use crate::sql::Spilled;
use serde::{Serialize, Serializer};

/// The version of the format that [`Report`] serialises to.
pub const FORMAT: u32 = 1;

/// Everything that a run found. Times are RFC 3339, durations ISO 8601.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub format: u32,
    pub project: String,
    /// Version of the program.
    pub backcast: String,
    pub generated_at: String,
    pub labels: Option<LabelsReport>,
    pub gates: Vec<Gate>,
    pub views: Vec<ViewReport>,
    pub snapshots: Vec<SnapshotDiff>,
    pub models: Vec<ModelReport>,
    pub retention: Option<RetentionReport>,
    pub self_check: Option<SelfCheck>,
    /// Added freely: legacy values that could only be had with events that were not yet known.
    pub leakage: Vec<Leak>,
    /// What was read, and what was left out of it.
    pub sources: Vec<SourceCounts>,
    pub notes: Vec<Note>,
    /// Warnings and notes about the config and the SQL; those about SQL have a `code`.
    pub findings: Vec<Finding>,
    pub outputs: Vec<OutputReport>,
    pub timings: Vec<Timing>,
    /// What was replayed, and what was found kept from an earlier run.
    pub chunks: Vec<ChunkReport>,
    /// What the values depend on, and where each choice came from.
    pub choices: Vec<Choice>,
    /// The config file, as it was named.
    pub config: Option<String>,
    /// Its overrides.
    #[serde(skip)]
    pub set: Vec<String>,
    /// Version of the query engine.
    pub datafusion: Option<String>,
    /// Requests to object stores, up to when the report was written; `null` where all inputs are on disk.
    pub storage: Option<StorageRequests>,
    /// What was written to temporary files since it did not fit the memory limit; `null` where all of it did.
    pub spilled: Option<Spilled>,
}

impl Report {
    /// A report of nothing yet.
    pub fn new(
        project: impl Into<String>,
        backcast_version: impl Into<String>,
        generated_at: impl Into<String>,
    ) -> Self {
        Self {
            format: FORMAT,
            project: project.into(),
            backcast: backcast_version.into(),
            generated_at: generated_at.into(),
            labels: None,
            gates: Vec::new(),
            views: Vec::new(),
            snapshots: Vec::new(),
            models: Vec::new(),
            retention: None,
            self_check: None,
            leakage: Vec::new(),
            sources: Vec::new(),
            notes: Vec::new(),
            findings: Vec::new(),
            outputs: Vec::new(),
            timings: Vec::new(),
            chunks: Vec::new(),
            choices: Vec::new(),
            config: None,
            set: Vec::new(),
            datafusion: None,
            storage: None,
            spilled: None,
        }
    }

    /// True where no gate failed.
    pub fn passed(&self) -> bool {
        self.gates.iter().all(|gate| gate.passed)
    }
}

/// Label rows of one stretch of label time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChunkReport {
    /// `None`: from the first label row on.
    pub from: Option<String>,
    /// Not included; `None`: to the last label row.
    pub until: Option<String>,
    pub rows: u64,
    pub views: Vec<ChunkView>,
}

/// One view in a chunk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChunkView {
    pub view: String,
    /// Whether its values were found kept from an earlier run.
    pub reused: bool,
    /// Why they were not, where there was an earlier run.
    pub why: Option<String>,
    pub seconds: f64,
    /// Written to temporary files meanwhile, since it did not fit the memory limit.
    pub spilled_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelsReport {
    pub rows: u64,
    /// First and last label time, both inclusive.
    pub first: Option<String>,
    pub last: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    Agreement,
    Retention,
    SelfCheck,
}

impl GateKind {
    /// The name in report.json.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::Retention => "retention",
            Self::SelfCheck => "self_check",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gate {
    pub gate: GateKind,
    pub passed: bool,
    /// One sentence with the numbers.
    pub detail: String,
}

impl Gate {
    /// The gate of agreement over the features of all snapshots; `gate` is the share that must agree, per feature.
    pub fn agreement(snapshots: &[SnapshotDiff], gate: f64) -> Self {
        let features = || snapshots.iter().flat_map(|snapshot| &snapshot.features);
        let (all, failed) = (features().count(), features().filter(|feature| !feature.passed).count());
        let passed = failed == 0;
        let share = number(gate * 100.0);
        let of = if all == 1 { "feature reaches" } else { "features reach" };
        let detail = format!("{} of {all} {of} an agreement of {share} %", all - failed);
        Self { gate: GateKind::Agreement, passed, detail }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewReport {
    pub view: String,
    /// `reference`, `rewrite` or `sweep`.
    pub engine: String,
    /// Why this engine.
    pub reason: String,
    /// Label keys by which the view is looked up.
    pub keys: Vec<String>,
    pub sources: Vec<ViewSource>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewSource {
    pub source: String,
    /// ISO 8601 duration or `unbounded`; `None` where it is not known.
    pub lookback: Option<String>,
}

/// What may be trained on the replayed features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelReport {
    pub model: String,
    pub verdict: Verdict,
    /// The first day by which enough covered label history exists; only with [`Verdict::Freeze`]. RFC 3339.
    pub until: Option<String>,
    pub features: Vec<ModelFeature>,
}

/// Whether a model, or one of its features, may be trained on replayed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every label row of its training history is covered, for every feature.
    Retrain,
    /// Not so, but a snapshot has what is missing.
    Fallback,
    /// Neither.
    Freeze,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelFeature {
    /// `view.column`.
    pub feature: String,
    pub verdict: Verdict,
    /// One sentence with the numbers.
    pub reason: String,
}

fn as_duration<S: Serializer>(nanos: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
    nanos.map(duration).serialize(to)
}

/// Legacy values of one feature that hold events from after the label time, or not yet arrived at it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Leak {
    pub snapshot: String,
    /// `view.column`.
    pub feature: String,
    /// `future_leak`, `late_events_visible`, …
    pub cause: CauseName,
    /// Matched label rows whose legacy value leaks.
    pub rows: u64,
    /// How far from after the label time, as far as it is known; nanoseconds, in JSON an ISO 8601 duration.
    #[serde(serialize_with = "as_duration")]
    pub by: Option<i64>,
    /// The models that the feature feeds.
    pub models: Vec<String>,
    /// What the old system did, as a clause: "events from up to 2 hours after the label time count".
    pub what: String,
    /// All of it in one sentence, for people.
    pub sentence: String,
}

/// How a sample of the run fared against the reference engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SelfCheck {
    pub rows: u64,
    pub cells: u64,
    pub differences: u64,
}

/// What became of a source's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceCounts {
    pub source: String,
    pub rows: u64,
    /// Rows with a NULL event time or arrival: never visible.
    pub null_times: u64,
    /// Rows that repeat the id of one that had arrived before.
    pub redelivered: u64,
}

/// Something that a reader should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about: a source, a view, a command.
    pub subject: String,
    pub note: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputReport {
    /// `dataset`, `mismatches`, `report.json`, …
    pub output: String,
    pub uri: String,
    pub rows: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    pub phase: String,
    pub seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::flawed;

    #[test]
    fn the_gate_of_agreement_counts_the_features_that_reach_it() {
        let gate = Gate::agreement(&flawed().snapshots, 0.995);
        assert_eq!((gate.passed, gate.detail.as_str()), (false, "2 of 3 features reach an agreement of 99.5 %"));
        assert!(Gate::agreement(&[], 0.995).passed);
    }
}
