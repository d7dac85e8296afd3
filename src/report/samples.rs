//! Reports to test the forms with.

use serde_json::{Map, Value, json};

use super::{
    Gate, GateKind, LabelsReport, Leak, ModelFeature, ModelReport, Note, OutputReport, Report, SelfCheck, SourceCounts,
    Timing, Verdict, ViewReport, ViewSource,
};
use crate::config::{Choice, Layer, Origin};
use crate::diff::{Cause, CauseName, Delta, FeatureDiff, IssueKind, SchemaIssue, SnapshotDiff, TimeBucket, WorstCell};
use crate::finding::{Finding, Place};
use crate::retention::{FeatureRetention, Gap, GapKind, RetentionReport, SourceReach, SourceRetention, Span};

/// Markup, quotes, an ANSI escape and a direction override, where a name or value should be.
pub(super) const HOSTILE: &str = "<script>alert('x')</script>\"&\u{1b}[31m\u{202e}";

pub(super) fn feature(name: &str, compared: u64, mismatched: u64) -> FeatureDiff {
    let agreement = (compared - mismatched) as f64 / compared as f64;
    let max = if mismatched > 0 { 14.0 } else { 0.0 };
    let worst = WorstCell {
        keys: Map::from_iter([("tail_num".to_string(), json!("N12345")), ("origin".to_string(), json!("JFK"))]),
        time: Some("2013-03-01T10:00:00Z".to_string()),
        legacy: json!(12.5),
        replayed: json!(26.5),
        delta: Some(max),
    };
    FeatureDiff {
        feature: name.to_string(),
        column: name.rsplit('.').next().unwrap().to_string(),
        compared,
        equal: compared - mismatched,
        within_tolerance: 0,
        mismatched,
        null_only_in_snapshot: mismatched / 10,
        null_only_in_replay: 0,
        not_comparable: 0,
        agreement: Some(agreement),
        passed: agreement >= 0.995,
        delta: Some(Delta { max, mean: max / 20.0, p50: 0.0, p95: max / 2.0, p99: max }),
        by_time: (1..=9)
            .map(|day| TimeBucket {
                from: format!("2013-03-0{day}T00:00:00Z"),
                compared: compared / 9,
                mismatched: mismatched * u64::from(day > 5) / 4,
            })
            .collect(),
        causes: Vec::new(),
        unexplained: None,
        worst: if mismatched > 0 { vec![worst] } else { Vec::new() },
    }
}

/// One feature of three below the gate.
pub(super) fn flawed() -> Report {
    let issue = |column: &str, issue, legacy: Option<&str>, replayed: Option<&str>| SchemaIssue {
        column: column.to_string(),
        issue,
        legacy: legacy.map(str::to_string),
        replayed: replayed.map(str::to_string),
    };
    let mut report = Report::new("flights", "0.1.0", "2026-11-20T08:15:00Z");
    report.labels = Some(LabelsReport {
        rows: 6_412,
        first: Some("2013-01-08T05:00:00Z".to_string()),
        last: Some("2013-02-18T21:30:00Z".to_string()),
    });
    report.gates = vec![Gate {
        gate: GateKind::Agreement,
        passed: false,
        detail: "1 of 3 features of `flawed` agree in less than 99.5 %".to_string(),
    }];
    report.views = vec![
        ViewReport {
            view: "origin_load".to_string(),
            engine: "rewrite".to_string(),
            reason: "every operator can be rewritten".to_string(),
            keys: vec!["origin".to_string()],
            sources: vec![ViewSource { source: "flights".to_string(), lookback: Some("PT24H".to_string()) }],
        },
        ViewReport {
            view: "carrier_delay".to_string(),
            engine: "reference".to_string(),
            reason: "window functions are not rewritten yet".to_string(),
            keys: vec!["carrier".to_string()],
            sources: vec![ViewSource { source: "flights".to_string(), lookback: None }],
        },
    ];
    report.snapshots = vec![SnapshotDiff {
        snapshot: "flawed".to_string(),
        rows: 6_410,
        matched: 6_400,
        only_in_snapshot: 10,
        only_in_labels: 12,
        duplicates: 4,
        schema: vec![
            issue("dep_1h", IssueKind::Type, Some("Float64"), Some("Int64")),
            issue("evt_cnt", IssueKind::Renamed, Some("evt_cnt"), Some("departures_24h")),
            issue("row_id", IssueKind::Extra, Some("Int64"), None),
        ],
        features: vec![
            feature("origin_load.departures_24h", 6_400, 0),
            feature("origin_load.dep_1h", 6_400, 1_204),
            feature("carrier_delay.mean_delay_7d", 6_400, 1),
        ],
    }];
    report.self_check = Some(SelfCheck { rows: 64, cells: 192, differences: 0 });
    report.sources = vec![SourceCounts { source: "flights".to_string(), rows: 38_000, null_times: 3, redelivered: 17 }];
    report.notes = vec![Note { subject: "labels".to_string(), note: "12 rows have no counterpart".to_string() }];
    report.outputs = vec![
        OutputReport { output: "dataset".to_string(), uri: "out/dataset".to_string(), rows: Some(6_412) },
        OutputReport { output: "report".to_string(), uri: "out/report.html".to_string(), rows: None },
    ];
    report.timings = vec![Timing { phase: "replay".to_string(), seconds: 3.25 }];
    report
}

/// [`flawed`] with causes, a model, leakage and a finding.
pub(super) fn explained() -> Report {
    let mut report = flawed();
    let cause = |name: &str, parameters, explains: f64| Cause {
        cause: CauseName::One(name.to_string()),
        parameters,
        mismatches: (1_204.0 * explains) as u64,
        explains,
        breaks: 0.0,
    };
    let feature = &mut report.snapshots[0].features[1];
    feature.causes = vec![
        cause("window_start_inclusive", json!({}), 0.992),
        cause("window_length", json!({"length": "PT2H"}), 0.41),
    ];
    feature.unexplained = Some(0.008);
    report.snapshots[0].features[2].unexplained = Some(1.0);
    report.models = vec![ModelReport {
        model: "late_arrival".to_string(),
        verdict: Verdict::Freeze,
        until: Some("2013-03-01T00:00:00Z".to_string()),
        features: vec![ModelFeature {
            feature: "origin_load.dep_1h".to_string(),
            verdict: Verdict::Freeze,
            reason: "12 label rows look back before 2013-01-01".to_string(),
        }],
    }];
    report.leakage = vec![Leak {
        snapshot: "flawed".to_string(),
        feature: "origin_load.dep_1h".to_string(),
        cause: CauseName::One("future_leak".to_string()),
        rows: 12,
        by: Some(2 * 3_600_000_000_000),
        models: vec!["late_arrival".to_string()],
        what: "events from up to 2 hours after the label time count (leakage)".to_string(),
        sentence: "`origin_load.dep_1h` of `flawed` knows events from up to 2 hours after the label time".to_string(),
    }];
    let place = Place::of_bytes("load.sql", "SELECT\n  a = 1.5\n", 9, 16);
    report.findings = vec![Finding::warning("floats are compared").code("B204").at(place).help("give a range")];
    report.choices = vec![Choice {
        key: "labels.tie".to_string(),
        value: json!("include"),
        origin: Origin { from: Layer::File, at: Some("backcast.toml:9".to_string()) },
        pattern: "labels.tie".to_string(),
        name: None,
    }];
    (report.config, report.datafusion) = (Some("backcast.toml".to_string()), Some("55.2.0".to_string()));
    report
}

/// A source of March 2025 with a gap of two days, kept 40 days, read 7 days back by a model's one feature.
pub(super) fn retained() -> Report {
    let mut report = Report::new("retained", "0.1.0", "2025-04-01T00:00:00Z");
    let time = |day: &str| format!("2025-{day}T00:00:00Z");
    let some = |day: &str| Some(time(day));
    report.labels = Some(LabelsReport { rows: 10, first: some("03-16"), last: some("03-30") });
    report.models = vec![ModelReport {
        model: "m".to_string(),
        verdict: Verdict::Retrain,
        until: None,
        features: vec![ModelFeature {
            feature: "v.n".to_string(),
            verdict: Verdict::Retrain,
            reason: "all label rows are covered".to_string(),
        }],
    }];
    let gap = Gap { from: time("03-11"), to: time("03-13"), kind: GapKind::Silent, span: Span { from: 0, to: 0 } };
    let source = SourceRetention {
        source: "events".to_string(),
        first: some("03-01"),
        last: some("03-31"),
        gaps: vec![gap],
        expires: some("04-10"),
        retention: Some("P40D".to_string()),
        ..SourceRetention::default()
    };
    let feature = FeatureRetention {
        feature: "v.n".to_string(),
        lookback: "P7D".to_string(),
        labels: 10,
        covered: 7,
        gap: 3,
        sources: vec![SourceReach {
            source: "events".to_string(),
            lookback: "P7D".to_string(),
            columns: vec!["ts".to_string()],
        }],
        ..FeatureRetention::default()
    };
    report.retention = Some(RetentionReport {
        sources: vec![source],
        features: vec![feature],
        today: some("04-01"),
        ..RetentionReport::default()
    });
    report
}

/// [`explained`] with [`HOSTILE`] for every text that comes from data, SQL or configuration.
pub(super) fn hostile() -> Report {
    let text = || HOSTILE.to_string();
    let mut report = explained();
    report.project = text();
    (report.backcast, report.generated_at) = (text(), text());
    (report.config, report.datafusion) = (Some(text()), Some(text()));
    let model = &mut report.models[0];
    (model.model, model.until) = (text(), Some(text()));
    (model.features[0].feature, model.features[0].reason) = (text(), text());
    let leak = &mut report.leakage[0];
    (leak.snapshot, leak.feature, leak.sentence) = (text(), text(), text());
    leak.what = text();
    leak.models = vec![text()];
    let finding = &mut report.findings[0];
    (finding.message, finding.help) = (text(), Some(text()));
    finding.place = Some(Place::of_bytes(HOSTILE, HOSTILE, 3, 9));
    let choice = &mut report.choices[0];
    (choice.key, choice.pattern, choice.value, choice.name) = (text(), text(), json!(HOSTILE), Some(text()));
    choice.origin.at = Some(text());
    report.gates[0].detail = text();
    for view in &mut report.views {
        (view.view, view.engine, view.reason, view.keys) = (text(), text(), text(), vec![text()]);
        view.sources = vec![ViewSource { source: text(), lookback: Some(text()) }];
    }
    report.sources[0].source = text();
    report.notes = vec![Note { subject: text(), note: text() }];
    report.outputs = vec![OutputReport { output: text(), uri: text(), rows: None }];
    report.timings[0].phase = text();
    report.labels = Some(LabelsReport { rows: 1, first: Some(text()), last: Some(text()) });
    let snapshot = &mut report.snapshots[0];
    snapshot.snapshot = text();
    for issue in &mut snapshot.schema {
        (issue.column, issue.legacy, issue.replayed) = (text(), Some(text()), Some(text()));
    }
    for feature in &mut snapshot.features {
        (feature.feature, feature.column) = (text(), text());
        for cause in &mut feature.causes {
            (cause.cause, cause.parameters) = (CauseName::Together(vec![text()]), json!({HOSTILE: {HOSTILE: HOSTILE}}));
        }
        for bucket in &mut feature.by_time {
            bucket.from = text();
        }
        for cell in &mut feature.worst {
            cell.keys = Map::from_iter([(text(), json!(HOSTILE)), ("nested".to_string(), json!({HOSTILE: [HOSTILE]}))]);
            (cell.time, cell.legacy, cell.replayed) = (Some(text()), Value::from(HOSTILE), json!([HOSTILE]));
        }
    }
    report
}
