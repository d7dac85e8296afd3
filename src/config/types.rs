//! What a configuration says, resolved: defaults filled in, words turned into enums, times into numbers.
//!
//! Paths and URIs stay as written; [`resolve_uri`](super::resolve_uri) makes them absolute against [`Config::base`].
//! Durations are whole nanoseconds and never negative; a day is 24 hours.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{Choice, Missing, Origin, Places, without_secrets};
use crate::finding::Place;

/// A valid `backcast.toml` with its `--set` overrides.
#[derive(Clone)]
pub struct Config {
    /// The file itself, as it was named.
    pub path: PathBuf,
    /// The absolute folder of the file: what relative paths are relative to.
    pub base: PathBuf,
    pub project: Project,
    pub labels: Labels,
    pub sources: Vec<Source>,
    pub views: Vec<View>,
    pub snapshots: Vec<Snapshot>,
    pub models: Vec<Model>,
    pub diff: Diff,
    pub dataset: Dataset,
    pub output: Output,
    pub run: Run,
    /// Where lineage events go, where they do.
    pub lineage: Option<Lineage>,
    /// Options of the object store, names in lower case. Values may be secret: `Debug` shows the names alone.
    pub storage: BTreeMap<String, String>,
    /// What values depend on, and where each came from; but for what is said of single features.
    pub choices: Vec<Choice>,
    /// Where each key stands.
    pub places: Places,
    /// Overrides that say something of data or meaning, as they were given.
    pub set: Vec<String>,
}

impl Config {
    /// Where the value of a dotted key stands (a table: its header), as in `sources.user_events.time` or
    /// `labels.keys.0`. A key that is not written has the place of its nearest table that is; at last the file's start.
    pub fn place(&self, dotted: &str) -> Option<Place> {
        self.places.find(dotted)
    }

    /// Where the value of a dotted key came from, segments joined as they are.
    pub fn origin(&self, dotted: &str) -> Origin {
        self.places.origin(dotted)
    }

    /// Where a feature's `when_missing` came from: whoever names a profile has chosen it for every feature.
    pub fn missing_origin(&self, view: &str, feature: &str) -> Origin {
        self.places.origin_or_profile(&format!("views.{view}.features.{feature}.when_missing"))
    }
}

/// Shows everything but the values of `[storage]` and the queries of web addresses.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.clone();
        let sources = shown.sources.iter_mut().map(|s| &mut s.uri);
        let snapshots = shown.snapshots.iter_mut().map(|s| &mut s.uri);
        let lineage = shown.lineage.iter_mut().map(|l| &mut l.uri);
        let own = [&mut shown.labels.uri, &mut shown.output.uri].into_iter();
        for uri in own.chain(sources).chain(snapshots).chain(lineage) {
            *uri = without_secrets(uri);
        }
        shown.storage.values_mut().for_each(|value| *value = "(hidden)".to_string());
        f.debug_struct("Config")
            .field("path", &shown.path)
            .field("base", &shown.base)
            .field("project", &shown.project)
            .field("labels", &shown.labels)
            .field("sources", &shown.sources)
            .field("views", &shown.views)
            .field("snapshots", &shown.snapshots)
            .field("models", &shown.models)
            .field("diff", &shown.diff)
            .field("dataset", &shown.dataset)
            .field("output", &shown.output)
            .field("run", &shown.run)
            .field("lineage", &shown.lineage)
            .field("storage", &shown.storage)
            .finish_non_exhaustive()
    }
}

/// Where lineage events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// A path relative to the configuration, or an HTTP address.
    pub uri: String,
    pub namespace: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    pub name: String,
    /// What the profile makes of features without a row, where the configuration says nothing of them.
    pub missing: Missing,
}

/// The spine: who is asked about, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    pub uri: String,
    /// At least one, all different.
    pub keys: Vec<String>,
    pub time: String,
    pub tie: Tie,
    /// Of naive label times.
    pub timezone: Tz,
}

/// Whether an event that is known at exactly T is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// `available_at <= T`
    Include,
    /// `available_at < T`
    Exclude,
}

/// A retained raw log.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub name: String,
    pub uri: String,
    pub kind: SourceKind,
    /// The column of the event time.
    pub time: String,
    /// The column of the time at which a row could first be known. Never together with a delay.
    pub available_at: Option<String>,
    /// Without `available_at`: how long after its event time a row is known. Nanoseconds.
    pub delay_ns: i64,
    /// A log: what makes a row a redelivery, may be empty. A changelog: the row's identity, never empty.
    pub id: Vec<String>,
    /// A changelog only: the SQL predicate of a version that deletes.
    pub deleted: Option<String>,
    pub future_events: FutureEvents,
    /// Of naive timestamps.
    pub timezone: Tz,
    /// From here on the log is complete; `None`: from the first event retained.
    pub since: Option<Since>,
    /// Objects older than this are deleted. Nanoseconds.
    pub retention: Option<i64>,
    /// Declared losses, from (inclusive) to (exclusive), `from < to`.
    pub gaps: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// A longer stretch with no event is a gap. Nanoseconds.
    pub max_silence: Option<i64>,
    /// What a thin stretch counts as.
    pub thin: Option<Thin>,
    /// How the log's own rhythm is judged.
    pub rhythm: Rhythm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// Append-only events.
    Log,
    /// Versions of rows, and deletes.
    Changelog,
}

/// Whether a row that has arrived is visible while its event time is still after T.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FutureEvents {
    Visible,
    Hidden,
}

/// From when on a log is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// No event ever happened before the first one retained.
    Beginning,
    At(DateTime<Utc>),
}

/// What a stretch with fewer events than the log's rhythm counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thin {
    Gap,
    Warn,
}

/// How stretches without events, or with few, are judged by a log's own rhythm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rhythm {
    /// A stretch is told where its chance is less than this.
    pub odds: f64,
    /// Fewer than this share of the expected events are thin.
    pub share: f64,
    /// Weeks before and after that an hour is held against.
    pub weeks: usize,
}

/// One feature query.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub name: String,
    /// The path of the SQL file, as written.
    pub sql: String,
    /// The same path, absolute.
    pub sql_path: PathBuf,
    /// (label column, view column). `None`: the label keys that the view has under the same name. Empty: no keys.
    pub keys: Option<Vec<(String, String)>>,
    /// Only read by other views: gives no features.
    pub helper: bool,
    /// Stands before the names of this view's columns in the dataset.
    pub prefix: Option<String>,
    /// Only the features that the configuration speaks of.
    pub features: Vec<FeatureConfig>,
}

/// What the configuration says about one output column of a view.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureConfig {
    pub name: String,
    /// The value where the view has no row.
    pub when_missing: Option<Literal>,
    /// The value where the view's own value is NULL.
    pub when_null: Option<Literal>,
    /// Overrides that of `[diff]`.
    pub tolerance: Option<Tolerance>,
}

/// A scalar as TOML writes it. The column's type decides later what it becomes.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    /// A TOML date, time or both, as RFC 3339 writes it.
    Datetime(String),
}

/// Two floats agree iff `|a-b| <= max(abs, rel * max(|a|, |b|))`. Finite, never negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    pub abs: f64,
    pub rel: f64,
}

/// A legacy training set.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub name: String,
    pub uri: String,
    /// One for each of the labels' keys, in their order.
    pub keys: Vec<String>,
    pub time: String,
    /// (legacy column, `view.column`). Equal names map themselves and are not listed.
    pub columns: Vec<(String, String)>,
    /// Of naive snapshot times.
    pub timezone: Tz,
}

/// What one model needs of the features.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub name: String,
    /// `view.column` or `view.*`.
    pub features: Vec<String>,
    pub snapshot: Option<String>,
    /// How much label history a training set needs. Nanoseconds.
    pub training_history: Option<i64>,
}

/// How replayed values are held against snapshots.
#[derive(Debug, Clone, PartialEq)]
pub struct Diff {
    /// The gate: the share of compared values that must agree, per feature. 0 to 1.
    pub agreement: f64,
    pub tolerance: Tolerance,
    pub causes: Causes,
    /// The rows per feature on which causes are tested, at most.
    pub sample: usize,
}

/// Which causes of disagreement are tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Causes {
    All,
    None,
    /// Names of causes, as in the report.
    Only(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The snapshot whose schema the dataset has, exactly.
    pub schema_of: Option<String>,
    /// `None`: legacy where a snapshot has the feature, else keep.
    pub unrecoverable: Option<Unrecoverable>,
}

/// What becomes of a cell whose events are not covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrecoverable {
    Legacy,
    Null,
    Keep,
    Drop,
    Fail,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub uri: String,
}

/// Limits of this machine. `None`: decided when the run starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Bytes, at least 1.
    pub memory: Option<u64>,
    /// At least 1.
    pub threads: Option<usize>,
    pub chunk: Chunk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    Auto,
    /// Nanoseconds of label time, at least 1.
    Every(i64),
}
