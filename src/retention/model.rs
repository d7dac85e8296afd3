//! `retention` of report.json. Times are RFC 3339, durations ISO 8601.

use serde::Serialize;

use crate::retention::activity::Span;

/// What is retained, and what that covers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RetentionReport {
    pub sources: Vec<SourceRetention>,
    pub features: Vec<FeatureRetention>,
    /// When the first event that a covered label row needs expires: the replay must have run by then.
    pub deadline: Option<String>,
    pub timeline: Vec<TimelineEntry>,
    /// The day that the timeline counts from.
    pub today: Option<String>,
    /// Bytes that were read to find this out: footers, and time columns.
    pub bytes_read: u64,
    /// Label rows of each model by month: covered where all features of the model are.
    pub models: Vec<ModelMonths>,
    /// Label rows that the dataset leaves out (`unrecoverable = "drop"`).
    pub dropped: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelMonths {
    pub model: String,
    /// The first instant from which on all label rows are covered for all features.
    pub covered_from: Option<String>,
    /// The first day on which it can be trained on replayed features alone; `None`: never, as things are.
    pub trainable_from: Option<String>,
    pub by_month: Vec<MonthCount>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SourceRetention {
    pub source: String,
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
    /// First and last event.
    pub first: Option<String>,
    pub last: Option<String>,
    /// From when on the log is complete; `beginning` where no event ever happened before.
    pub since: Option<String>,
    /// Stretches in which events are missing: label rows whose lookback meets one are not covered.
    pub gaps: Vec<Gap>,
    /// When the oldest file is deleted.
    pub expires: Option<String>,
    /// How long files are kept.
    pub retention: Option<String>,
    /// Stretches that look as if events were missing, by the log's own rhythm. They do not count against coverage.
    pub warnings: Vec<Judgement>,
    /// Partitions that would be expected between others.
    pub missing_partitions: Vec<String>,
    pub schema_changes: Vec<SchemaChange>,
    /// Files whose footers do not say from when to when their events are.
    pub files_without_statistics: u64,
    /// Row groups whose time column was read.
    pub row_groups_read: u64,
    /// Row groups that span more than an hour and were not looked into.
    pub row_groups_not_read: u64,
    pub bytes_read: u64,
    /// Of a changelog: whether it may hold a delete; `None` where that can't be told from footers.
    pub deletes: Option<bool>,
    pub days: Vec<DayReport>,
    /// What else is to be known, in sentences.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub from: String,
    /// Exclusive.
    pub to: String,
    pub kind: GapKind,
    #[serde(skip)]
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GapKind {
    Declared,
    Silent,
    Thin,
}

/// A stretch that is unlike the rest of the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    pub from: String,
    pub to: String,
    /// `silent` or `thin`.
    pub kind: GapKind,
    pub events: u64,
    /// Events that these hours of the week have otherwise.
    pub expected: u64,
    #[serde(skip)]
    pub span: Span,
}

/// A column that is not the same in all files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaChange {
    pub column: String,
    /// `added`, `removed` or `type`.
    pub change: String,
    /// The first event of the first file with the change.
    pub at: Option<String>,
    pub file: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayReport {
    pub day: String,
    pub rows: u64,
    /// Bytes of the files, shared out by rows.
    pub bytes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FeatureRetention {
    /// `view.column`.
    pub feature: String,
    /// ISO 8601 duration or `unbounded`: the widest over all sources.
    pub lookback: String,
    pub labels: u64,
    pub covered: u64,
    pub truncated: u64,
    pub gap: u64,
    /// The earliest label time with full coverage.
    pub covered_from: Option<String>,
    /// The label time from which on every label row is covered.
    pub covered_since: Option<String>,
    pub sources: Vec<SourceReach>,
    /// What else decides whether the view has a row at all.
    pub presence: Option<PresenceReport>,
    /// Cells taken from a snapshot, of those not covered.
    pub legacy: u64,
    /// Covered cells for which the view has no row. `None` where nothing was replayed.
    pub missing: Option<u64>,
    pub by_month: Vec<MonthCount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReach {
    pub source: String,
    pub lookback: String,
    /// Columns that the feature depends on.
    pub columns: Vec<String>,
}

/// Where a view without a row for a label may have had one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PresenceReport {
    pub lookback: String,
    /// Label rows for which "no row" would not be certain.
    pub uncertain: u64,
    /// What to do about it.
    pub help: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MonthCount {
    pub month: String,
    pub labels: u64,
    pub covered: u64,
    pub truncated: u64,
    pub gap: u64,
}

/// Something that happens at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelineEntry {
    pub at: String,
    /// `today`, `expires`, `deadline`, `week`, `trainable`.
    pub what: String,
    pub source: Option<String>,
    pub model: Option<String>,
    /// Label rows that are still covered if the replay runs then.
    pub labels: Option<u64>,
    /// Label rows that are covered today and will not be then.
    pub lost: Option<u64>,
    pub detail: String,
}
