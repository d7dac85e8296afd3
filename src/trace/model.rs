//! One cell explained, as values: what `trace` prints, and the JSON document it is.

use datafusion::arrow::array::ArrayRef;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::diff::CauseName;

/// The format of the JSON document.
pub const FORMAT: u32 = 1;

/// One cell.
#[derive(Debug, Clone, Serialize)]
pub struct Trace {
    pub format: u32,
    pub project: String,
    /// `view.column`.
    pub feature: String,
    pub view: String,
    #[serde(rename = "type")]
    pub data_type: String,
    /// As they were given, by label key.
    pub keys: Map<String, Value>,
    /// RFC 3339.
    pub time: String,
    /// The dataset's value.
    pub value: Value,
    /// The view's own value, before defaults.
    pub own_value: Value,
    /// Whether the view has a row for the keys.
    pub found: bool,
    /// The default that made the value: `when_missing` or `when_null`.
    pub filled_by: Option<&'static str>,
    pub engine: String,
    /// The label rows of these keys.
    pub labels: LabelMatch,
    pub snapshots: Vec<Legacy>,
    /// Where a legacy value differs: what the value would be under other meanings, where it would be another. Those that give a
    /// legacy value first.
    pub causes: Vec<WhatIf>,
    pub attribution: Attribution,
    /// How each source was looked at.
    pub sources: Vec<SourceReach>,
    /// Those that count first, then the others; each by time, latest first.
    pub events: Vec<Event>,
    /// Events that are not listed.
    pub omitted: Omitted,
}

/// Whether the labels ask for the cell.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LabelMatch {
    /// Rows with these keys at this time.
    pub rows: u64,
    /// Rows with these keys at any time.
    pub rows_of_keys: u64,
    /// Where there is none at this time: the nearest times at which there is.
    pub nearest: Vec<String>,
}

/// The value of one snapshot's row.
#[derive(Debug, Clone, Serialize)]
pub struct Legacy {
    pub snapshot: String,
    pub column: String,
    /// The row's keys, by label key.
    pub keys: Map<String, Value>,
    pub value: Value,
    /// `None`: the two types can't be compared.
    pub agrees: Option<bool>,
    /// Replayed less legacy.
    pub delta: Option<f64>,
    /// The value as it is compared.
    #[serde(skip)]
    pub array: ArrayRef,
}

/// The value under another meaning.
#[derive(Debug, Clone, Serialize)]
pub struct WhatIf {
    /// As in docs/causes.md; several at once as in report.json.
    pub cause: CauseName,
    pub parameters: Value,
    pub value: Value,
    /// The legacy values that agree with it: `snapshot.column`.
    pub gives: Vec<String>,
    /// Whether the last run named it for this feature.
    pub named: bool,
}

/// How far the value is explained by events.
#[derive(Debug, Clone, Serialize)]
pub struct Attribution {
    /// The events that count give the value, alone.
    pub exact: bool,
    /// The value of the events that count alone, where it could be computed.
    pub recomputed: Option<Value>,
    /// What could not be told, and of which step.
    pub notes: Vec<String>,
}

/// What was read of one source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReach {
    pub source: String,
    /// The event time from which on a row can count for the value; `None`: any.
    pub window_start: Option<String>,
    /// Rows with an event time in here are within reach; later ones too, where they had arrived by then.
    pub from: Option<String>,
    pub to: String,
    /// From when on the log is complete; `None`: from the beginning, or nothing is known of it because it has no event.
    pub complete_from: Option<String>,
    /// As in provenance: `exact`, `truncated` (the window begins before the log is complete), or `gap`.
    pub coverage: &'static str,
    /// Whether that is exact: else events that counted may be gone.
    pub covered: bool,
    /// The stretch in the window that lacks events.
    pub gap: Option<[String; 2]>,
    /// Whether the key says which rows are read.
    pub by_key: bool,
    pub rows: u64,
    pub counted: u64,
}

/// One row of a source.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    pub source: String,
    /// RFC 3339; `None`: NULL.
    pub time: Option<String>,
    /// When it happened less T, in seconds.
    pub seconds: Option<f64>,
    pub available_at: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub id: Map<String, Value>,
    /// The other columns that the feature reads.
    pub values: Map<String, Value>,
    /// `None`: it is not known whether it does.
    pub counts: Option<bool>,
    /// A word for why; see docs/trace.md.
    pub reason: &'static str,
    /// The same in a sentence.
    pub why: String,
    /// The same without the condition, for the text form.
    #[serde(skip)]
    pub brief: String,
    /// The SQL of the condition that does not hold.
    pub condition: Option<String>,
    /// How far the event is off, in seconds: late, or outside of the window.
    pub off_seconds: Option<f64>,
    /// The feature's value without this event, of one that is seen; and with it, of one that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
    /// For the text form: nanoseconds from T.
    #[serde(skip)]
    pub from_t: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Omitted {
    pub counting: u64,
    pub not_counting: u64,
    /// Of sources that the key says nothing of: rows that meet no row of the key.
    pub unrelated: u64,
}
