//! Every table and key of `backcast.toml`: the one description that validation, defaults and the JSON Schema
//! are made from. A key that is not here does not exist.

use super::kind::Default::{Bool, Float, Integer, Text};
use super::kind::{Key, Kind, Table};
use super::profile;

/// The whole file.
pub(super) static ROOT: Table = Table {
    doc: "Configuration of Backcast: point-in-time replay of feature SQL over raw event logs.",
    keys: &[
        Key::new("project", Kind::Table(&PROJECT), "", "The project.").required(),
        Key::new("labels", Kind::Table(&LABELS), "", "The label rows: who is asked about, and when.").required(),
        Key::new("sources", Kind::Named(&SOURCE), "", "The retained raw logs, by the name that SQL gives them.")
            .required(),
        Key::new("views", Kind::Named(&VIEW), "", "The feature queries, by name.").required(),
        Key::new("snapshots", Kind::Named(&SNAPSHOT), "", "Legacy training sets to compare with, by name."),
        Key::new("models", Kind::Named(&MODEL), "", "The models and the features that they need, by name."),
        Key::new("diff", Kind::Table(&DIFF), "", "How replayed values are held against snapshots."),
        Key::new("dataset", Kind::Table(&DATASET), "", "The dataset that is written."),
        Key::new("output", Kind::Table(&OUTPUT), "", "Where results go."),
        Key::new("run", Kind::Table(&RUN), "", "Limits of a run."),
        Key::new("lineage", Kind::Table(&LINEAGE), "", "Where OpenLineage run events go; none are sent without it."),
        Key::new(
            "storage",
            Kind::Map(&Kind::Setting),
            "{ aws_region = \"eu-central-1\" }",
            "Options of the object store under object_store's names; prefer the environment for secrets.",
        ),
    ],
};

static PROJECT: Table = Table {
    doc: "The project.",
    keys: &[
        Key::new("name", Kind::Text, "\"fraud-migration\"", "The project's name, as reports show it.").required(),
        Key::new(
            "profile",
            Kind::Word(profile::NAMES),
            "\"feast\"",
            "The feature system whose defaults hold where a key is not written: docs/profiles.md has them.",
        )
        .choice(),
    ],
};

static LABELS: Table = Table {
    doc: "The label rows (the spine); they may be the snapshot itself.",
    keys: &[
        Key::new("uri", Kind::Uri, "\"labels/*.parquet\"", "Parquet files: a path, folder, glob or URI.").required(),
        Key::new("keys", Kind::List(&Kind::Text, 1), "[\"user_id\"]", "The columns that say who is asked about.")
            .required(),
        Key::new("time", Kind::Text, "\"label_ts\"", "The column of the label time T.").required(),
        Key::new(
            "tie",
            Kind::Word(&["include", "exclude"]),
            "\"include\"",
            "Whether an event that is known at exactly T is visible.",
        )
        .default(Text("include"))
        .choice(),
        Key::new("timezone", Kind::Zone, "\"UTC\"", "The time zone of naive label times.")
            .default(Text("UTC"))
            .choice(),
    ],
};

static SOURCE: Table = Table {
    doc: "A retained raw log.",
    keys: &[
        Key::new("uri", Kind::Uri, "\"s3://lake/user_events/\"", "Parquet files: a path, folder, glob or URI.")
            .required(),
        Key::new(
            "kind",
            Kind::Word(&["log", "changelog"]),
            "\"log\"",
            "A log holds events; a changelog holds versions of rows, and deletes.",
        )
        .default(Text("log")),
        Key::new("time", Kind::Text, "\"event_timestamp\"", "The column of the event time.").required(),
        Key::new(
            "available_at",
            Kind::Text,
            "\"ingested_at\"",
            "The column of the time at which a row could first be known; without it, event time + delay.",
        )
        .choice(),
        Key::new(
            "delay",
            Kind::Duration { zero: true },
            "\"5 minutes\"",
            "How long after its event time a row is known, where no column says so; not together with available_at.",
        )
        .default(Text("0s"))
        .choice(),
        Key::new(
            "id",
            Kind::List(&Kind::Text, 0),
            "[\"event_id\"]",
            "A log: equal ids are redeliveries. A changelog: the row's identity, required.",
        )
        .choice(),
        Key::new(
            "deleted",
            Kind::Text,
            "\"op = 'D'\"",
            "A changelog only: the SQL predicate of a version that deletes.",
        ),
        Key::new(
            "future_events",
            Kind::Word(&["visible", "hidden"]),
            "\"visible\"",
            "Whether a row that has arrived is visible while its event time is still after T.",
        )
        .default(Text("visible"))
        .choice(),
        Key::new("timezone", Kind::Zone, "\"UTC\"", "The time zone of naive timestamps.").default(Text("UTC")).choice(),
        Key::new(
            "since",
            Kind::Either(&[Kind::Word(&["beginning"]), Kind::Instant]),
            "\"2025-01-01T00:00:00Z\"",
            "From here on the log is complete; \"beginning\": no event happened before it. Default: the first event retained.",
        ),
        Key::new("retention", Kind::Duration { zero: false }, "\"400 days\"", "Objects older than this are deleted."),
        Key::new(
            "gaps",
            Kind::List(&Kind::Interval, 0),
            "[[\"2025-03-02T10:00:00Z\", \"2025-03-02T16:00:00Z\"]]",
            "Declared losses: from (inclusive) and to (exclusive).",
        ),
        Key::new(
            "max_silence",
            Kind::Duration { zero: false },
            "\"6 hours\"",
            "A longer stretch with no event is a gap; without it, gaps are judged from the log's rhythm and are warnings.",
        ),
        Key::new(
            "thin",
            Kind::Word(&["gap", "warn"]),
            "\"gap\"",
            "What a stretch with fewer events than the log's rhythm counts as.",
        ),
        Key::new(
            "rhythm",
            Kind::Table(&RHYTHM),
            "{ odds = 1e-8 }",
            "How the log's own daily and weekly rhythm is judged: docs/retention.md says how.",
        ),
    ],
};

static RHYTHM: Table = Table {
    doc: "How stretches without events, or with few, are judged by a log's own rhythm.",
    keys: &[
        Key::new(
            "odds",
            Kind::Number(0.0, 1.0),
            "1e-8",
            "A stretch is told where so few events have a lower chance than this; 0: never.",
        )
        .default(Float(1e-8)),
        Key::new(
            "share",
            Kind::Number(0.01, 0.99),
            "0.5",
            "A stretch with less than this share of its events is thin.",
        )
        .default(Float(0.5)),
        Key::new(
            "weeks",
            Kind::Integer(1),
            "4",
            "An hour is held against the same hour in so many weeks before and after.",
        )
        .default(Integer(4)),
    ],
};

static VIEW: Table = Table {
    doc: "One feature query.",
    keys: &[
        Key::new("sql", Kind::Text, "\"queries/user_activity.sql\"", "The file of the query, relative to this one.")
            .required(),
        Key::new(
            "keys",
            Kind::Map(&Kind::Text),
            "{ user_id = \"user_id\" }",
            "Label column = view column. Default: the label keys that the view has under the same name.",
        ),
        Key::new("helper", Kind::Bool, "true", "True: only read by other views, gives no features.")
            .default(Bool(false)),
        Key::new(
            "prefix",
            Kind::Text,
            "\"activity_\"",
            "Stands before the names of this view's columns in the dataset.",
        ),
        Key::new("features", Kind::Columns(&FEATURE), "", "What is special about single features, by column."),
    ],
};

static FEATURE: Table = Table {
    doc: "One output column of a view.",
    keys: &[
        Key::new(
            "when_missing",
            Kind::Scalar,
            "0",
            "The value where the view has no row for the keys. Of a number, \"null\": NULL, also where the profile says 0.",
        ),
        Key::new("when_null", Kind::Scalar, "0", "The value where the view's own value is NULL."),
        Key::new(
            "tolerance",
            Kind::Table(&TOLERANCE),
            "{ abs = 0.01 }",
            "How far legacy values may be off; default: as in diff.",
        ),
    ],
};

static TOLERANCE: Table = Table {
    doc: "Two floats or decimals agree iff |a-b| <= max(abs, rel * max(|a|, |b|)).",
    keys: &[
        Key::new("abs", Kind::Number(0.0, f64::MAX), "0.01", "The absolute tolerance.").default(Float(0.0)).choice(),
        Key::new("rel", Kind::Number(0.0, f64::MAX), "1e-6", "The relative tolerance.").default(Float(0.0)).choice(),
    ],
};

static SNAPSHOT: Table = Table {
    doc: "A legacy training set, materialised by the old feature store.",
    keys: &[
        Key::new("uri", Kind::Uri, "\"legacy/train.parquet\"", "Parquet files: a path, folder, glob or URI.")
            .required(),
        Key::new(
            "keys",
            Kind::List(&Kind::Text, 1),
            "[\"user_id\"]",
            "The columns of the labels' keys, in the labels' order; default: the same names.",
        ),
        Key::new("time", Kind::Text, "\"label_ts\"", "The column of the label time; default: the labels'."),
        Key::new(
            "columns",
            Kind::Map(&Kind::Text),
            "{ evt_cnt_24h = \"user_activity.events_last_24h\" }",
            "Legacy column = feature, as view.column; equal names map themselves.",
        ),
        Key::new("timezone", Kind::Zone, "\"UTC\"", "The time zone of naive times; default: the labels'."),
    ],
};

static MODEL: Table = Table {
    doc: "A model and the features that it needs.",
    keys: &[
        Key::new("features", Kind::List(&Kind::Text, 1), "[\"user_activity.*\"]", "view.column or view.*").required(),
        Key::new("snapshot", Kind::Text, "\"march\"", "The snapshot that the model was trained on."),
        Key::new(
            "training_history",
            Kind::Duration { zero: false },
            "\"90 days\"",
            "How much label history a training set needs.",
        ),
    ],
};

/// The causes that a report can name.
pub const CAUSES: &[&str] = &[
    "window_start_inclusive",
    "window_start_exclusive",
    "label_time_excluded",
    "label_time_included",
    "window_length",
    "tiled_window",
    "timezone",
    "stale",
    "future_leak",
    "late_events_visible",
    "late_events_dropped",
    "duplicates_counted",
    "duplicates_removed",
    "nulls_as_zero",
    "missing_as_zero",
    "missing_as_null",
    "truncated_history",
    "float32",
    "rounded",
    "scaled",
];

static DIFF: Table = Table {
    doc: "How replayed values are held against snapshots.",
    keys: &[
        Key::new(
            "agreement",
            Kind::Number(0.0, 1.0),
            "0.995",
            "The gate: the share of compared values that must agree, per feature.",
        )
        .default(Float(0.995))
        .choice(),
        Key::new(
            "tolerance",
            Kind::Table(&TOLERANCE),
            "{ abs = 0.01 }",
            "How far values may be off; floats and decimals only.",
        ),
        Key::new(
            "causes",
            Kind::Either(&[Kind::Bool, Kind::List(&Kind::Word(CAUSES), 0)]),
            "[\"window_length\", \"stale\"]",
            "Which causes of disagreement are tested: all, none, or those listed.",
        )
        .default(Bool(true)),
        Key::new("sample", Kind::Integer(1), "20000", "The rows per feature on which causes are tested, at most.")
            .default(Integer(20_000)),
    ],
};

static DATASET: Table = Table {
    doc: "The dataset that is written.",
    keys: &[
        Key::new(
            "schema_of",
            Kind::Text,
            "\"march\"",
            "The snapshot whose names, types, order and nullability the dataset has, exactly.",
        ),
        Key::new(
            "unrecoverable",
            Kind::Word(&["legacy", "null", "keep", "drop", "fail"]),
            "\"keep\"",
            "What becomes of cells whose events are not covered; default: legacy where a snapshot has the feature, else keep.",
        )
        .choice(),
    ],
};

static OUTPUT: Table = Table {
    doc: "Where results go.",
    keys: &[Key::new("uri", Kind::Uri, "\"out/\"", "A folder, local or in an object store.").default(Text("out/"))],
};

static LINEAGE: Table = Table {
    doc: "OpenLineage run events: START, then COMPLETE or FAIL, with the datasets that are read and written.",
    keys: &[
        Key::new(
            "uri",
            Kind::Uri,
            "\"https://lineage.example/api/v1/lineage\"",
            "A file that a line is added to for each event, or an HTTP endpoint; its key is in OPENLINEAGE_API_KEY.",
        )
        .required(),
        Key::new("namespace", Kind::Text, "\"training\"", "The namespace of the job.").default(Text("backcast")),
    ],
};

static RUN: Table = Table {
    doc: "Limits of a run.",
    keys: &[
        Key::new("memory", Kind::Size, "\"8 GiB\"", "The memory that a run may use; beyond it, it spills."),
        Key::new("threads", Kind::Integer(1), "8", "The threads that a run may use."),
        Key::new(
            "chunk",
            Kind::Either(&[Kind::Word(&["auto"]), Kind::Duration { zero: false }]),
            "\"7 days\"",
            "How much label time one chunk holds.",
        )
        .default(Text("auto")),
    ],
};
