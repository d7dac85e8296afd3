//! A configuration with every key.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::*;
use crate::config::{
    Causes, Chunk, FutureEvents, Labels, Literal, Model, Rhythm, Since, Source, SourceKind, Thin, Tie, Tolerance,
    Unrecoverable,
};

pub(super) const EXAMPLE: &str = r#"[project]
name = "fraud-migration"

[labels]                          # the spine
uri  = "labels/*.parquet"
keys = ["user_id"]
time = "label_ts"
tie  = "include"
timezone = "UTC"

[sources.user_events]
uri  = "s3://lake/user_events/"
kind = "log"
time = "event_timestamp"
available_at = "ingested_at"
id   = ["event_id"]
future_events = "visible"
timezone = "Europe/Berlin"
since = "beginning"
retention = "400 days"
gaps = [["2025-03-02T10:00:00Z", 2025-03-02T16:00:00Z]]
max_silence = "6 hours"
thin = "gap"
rhythm = { odds = 1e-6 }

[sources.accounts]
uri  = "events/"
kind = "changelog"
time = "updated_at"
delay = "1h 30m"
id   = ["account_id"]
deleted = "op = 'D'"
future_events = "hidden"
since = 2025-01-01T00:00:00+01:00

[views.user_activity]
sql  = "queries/activity.sql"
keys = { user_id = "uid" }
helper = false
prefix = "ua_"

[views.user_activity.features.events_last_24h]
when_missing = 0
when_null    = "none"
tolerance    = { abs = 0.5, rel = 1e-6 }

[views.lookup]
sql = "queries/activity.sql"
helper = true

[snapshots.march]
uri  = "legacy/train.parquet"
columns = { evt_cnt_24h = "user_activity.events_last_24h" }

[snapshots.april]
uri  = "gs://old/train/"
keys = ["uid"]
time = "ts"
timezone = "America/New_York"

[models.fraud_v3]
features = ["user_activity.*"]
snapshot = "march"
training_history = "90 days"

[diff]
agreement = 0.99
tolerance = { abs = 0.01 }
causes = ["window_length", "stale"]
sample = 500

[dataset]
schema_of = "march"
unrecoverable = "legacy"

[output]
uri = "out/"

[run]
memory = "8 GiB"
threads = 8
chunk = "7 days"

[storage]
aws_region = "eu-central-1"
"#;

const HOUR: i64 = 3_600_000_000_000;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn every_key_is_read() {
    let (config, warnings) = Project::new(EXAMPLE).load(&[]).unwrap_or_else(|findings| panic!("{}", shown(&findings)));
    assert_eq!(warnings, []);
    assert_eq!(config.project.name, "fraud-migration");
    let labels = Labels {
        uri: "labels/*.parquet".to_string(),
        keys: vec!["user_id".to_string()],
        time: "label_ts".to_string(),
        tie: Tie::Include,
        timezone: Tz::UTC,
    };
    assert_eq!(config.labels, labels);
    let events = Source {
        name: "user_events".to_string(),
        uri: "s3://lake/user_events/".to_string(),
        kind: SourceKind::Log,
        time: "event_timestamp".to_string(),
        available_at: Some("ingested_at".to_string()),
        delay_ns: 0,
        id: vec!["event_id".to_string()],
        deleted: None,
        future_events: FutureEvents::Visible,
        timezone: Tz::Europe__Berlin,
        since: Some(Since::Beginning),
        retention: Some(400 * 24 * HOUR),
        gaps: vec![(at("2025-03-02T10:00:00Z"), at("2025-03-02T16:00:00Z"))],
        max_silence: Some(6 * HOUR),
        thin: Some(Thin::Gap),
        rhythm: Rhythm { odds: 1e-6, share: 0.5, weeks: 4 },
    };
    assert_eq!(config.sources[0], events);
    let accounts = &config.sources[1];
    assert_eq!((accounts.kind, accounts.delay_ns), (SourceKind::Changelog, HOUR + HOUR / 2));
    assert_eq!(accounts.deleted.as_deref(), Some("op = 'D'"));
    assert_eq!(accounts.future_events, FutureEvents::Hidden);
    assert_eq!(accounts.since, Some(Since::At(at("2024-12-31T23:00:00Z"))));

    let view = &config.views[0];
    assert_eq!(view.keys, Some(vec![("user_id".to_string(), "uid".to_string())]));
    assert_eq!((view.helper, view.prefix.as_deref()), (false, Some("ua_")));
    let feature = &view.features[0];
    assert_eq!(feature.when_missing, Some(Literal::Integer(0)));
    assert_eq!(feature.when_null, Some(Literal::String("none".to_string())));
    assert_eq!(feature.tolerance, Some(Tolerance { abs: 0.5, rel: 1e-6 }));
    assert_eq!((config.views[1].helper, &config.views[1].keys), (true, &None));

    let (march, april) = (&config.snapshots[0], &config.snapshots[1]);
    assert_eq!(
        (march.keys.as_slice(), march.time.as_str(), march.timezone),
        (&["user_id".to_string()][..], "label_ts", Tz::UTC)
    );
    assert_eq!(march.columns, [("evt_cnt_24h".to_string(), "user_activity.events_last_24h".to_string())]);
    assert_eq!((april.keys.as_slice(), april.time.as_str()), (&["uid".to_string()][..], "ts"));
    assert_eq!(april.timezone, Tz::America__New_York);
    let model = Model {
        name: "fraud_v3".to_string(),
        features: vec!["user_activity.*".to_string()],
        snapshot: Some("march".to_string()),
        training_history: Some(90 * 24 * HOUR),
    };
    assert_eq!(config.models, [model]);
    assert_eq!((config.diff.agreement, config.diff.tolerance), (0.99, Tolerance { abs: 0.01, rel: 0.0 }));
    assert_eq!(config.diff.causes, Causes::Only(vec!["window_length".to_string(), "stale".to_string()]));
    assert_eq!(config.diff.sample, 500);
    assert_eq!(config.dataset.schema_of.as_deref(), Some("march"));
    assert_eq!(config.dataset.unrecoverable, Some(Unrecoverable::Legacy));
    assert_eq!((config.run.memory, config.run.threads), (Some(8 << 30), Some(8)));
    assert_eq!(config.run.chunk, Chunk::Every(7 * 24 * HOUR));
    assert_eq!(config.storage["aws_region"], "eu-central-1");
}

#[test]
fn defaults_are_those_of_the_contract() {
    let config = loaded(MINIMAL);
    assert_eq!((config.labels.tie, config.labels.timezone), (Tie::Include, Tz::UTC));
    let source = &config.sources[0];
    assert_eq!((source.kind, source.future_events, source.delay_ns), (SourceKind::Log, FutureEvents::Visible, 0));
    assert_eq!((source.since, source.thin, source.id.len()), (None, None, 0));
    assert_eq!((config.diff.causes, config.diff.sample), (Causes::All, 20_000));
    assert_eq!((config.run.chunk, config.run.memory, config.run.threads), (Chunk::Auto, None, None));
    assert_eq!(config.dataset.unrecoverable, None);
}

#[test]
fn every_word_has_a_meaning_of_its_own() {
    let unrecoverable =
        |word: &str| loaded(&minimal_and(&format!("[dataset]\nunrecoverable = \"{word}\""))).dataset.unrecoverable;
    assert_eq!(unrecoverable("null"), Some(Unrecoverable::Null));
    assert_eq!(unrecoverable("keep"), Some(Unrecoverable::Keep));
    assert_eq!(unrecoverable("drop"), Some(Unrecoverable::Drop));
    assert_eq!(unrecoverable("fail"), Some(Unrecoverable::Fail));
    let source =
        |line: &str| loaded(&MINIMAL.replace("time = \"ts\"", &format!("time = \"ts\"\n{line}"))).sources.remove(0);
    assert_eq!(source("thin = \"warn\"").thin, Some(Thin::Warn));
    let config = loaded(&MINIMAL.replace("keys = [\"user_id\"]", "keys = [\"user_id\"]\ntie = \"exclude\""));
    assert_eq!(config.labels.tie, Tie::Exclude);
    assert_eq!(loaded(&minimal_and("[diff]\ncauses = false")).diff.causes, Causes::None);
    assert_eq!(loaded(&minimal_and("[diff]\nagreement = 1")).diff.agreement, 1.0);
    let config = loaded(&minimal_and("[views.activity.features.f]\nwhen_null = 2025-01-01\nwhen_missing = nan"));
    assert_eq!(config.views[0].features[0].when_null, Some(Literal::Datetime("2025-01-01".to_string())));
    assert!(matches!(config.views[0].features[0].when_missing, Some(Literal::Float(f)) if f.is_nan()));
}

#[test]
fn a_place_is_that_of_the_value_or_of_the_nearest_table() {
    let config = loaded(EXAMPLE);
    for (dotted, line, text) in [
        ("sources.user_events.time", 14, "\"event_timestamp\""),
        ("sources.\"user_events\".time", 14, "\"event_timestamp\""),
        ("sources.user_events", 11, "[sources.user_events]"),
        ("sources.user_events.deleted", 11, "[sources.user_events]"),
        ("sources.user_events.gaps.0.1", 21, "2025-03-02T16:00:00Z"),
        ("sources", 11, "sources"),
        ("labels.keys.0", 6, "\"user_id\""),
        ("labels.keys.7", 6, "[\"user_id\"]"),
        ("labels", 4, "[labels]"),
        ("views.user_activity.features.events_last_24h.when_null", 44, "\"none\""),
        ("views.user_activity.features.other.when_null", 42, "features"),
        ("views.user_activity.keys.user_id", 38, "\"uid\""),
        ("diff.tolerance.rel", 68, "{ abs = 0.01 }"),
        ("nowhere.at.all", 1, ""),
    ] {
        let place = config.place(dotted).unwrap();
        let underlined: String = place.text.chars().skip(place.column - 1).take(place.length).collect();
        assert_eq!((place.line, underlined.as_str()), (line, text), "{dotted}");
    }
}
