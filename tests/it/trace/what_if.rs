//! What the value would be under other meanings, by hand.

use backcast::diff::CauseName;
use serde_json::{Value, json};

use super::traced;
use crate::support::{Project, table, write_parquet};

fn project(config: &str) -> Project {
    let labels = table("user:str at:us@UTC\n a 2025-03-10T12:00");
    let events = table(
        "user:str n:i64 ts:us@UTC arrived:us@UTC
         a 1 2025-03-09T12:00 2025-03-09T12:00
         a 2 2025-03-10T10:00 2025-03-10T10:00
         a 4 2025-03-10T11:00 2025-03-10T12:30
         b 8 2025-03-10T11:00 2025-03-10T11:00",
    );
    let sql = "SELECT \"user\", sum(n) AS x FROM events WHERE ts > NOW() - INTERVAL '1 day' GROUP BY \"user\"";
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"\navailable_at = \"arrived\"", &events)
        .view("v", sql)
        .config(&format!("[snapshots.old]\nuri = \"old.parquet\"\n{config}"));
    let old = table("user:str at:us@UTC x:i64\n a 2025-03-10T12:00 6");
    write_parquet(&project.path("old.parquet"), &old);
    project
}

#[test]
fn the_value_under_each_meaning_is_told_and_which_gives_the_legacy_one() {
    let trace = traced(&project(""), "2025-03-10T12:00Z");
    assert_eq!(trace.value, json!(2));
    let of = |cause: &str, parameters: &Value| {
        let found =
            trace.causes.iter().find(|c| c.cause == CauseName::One(cause.to_string()) && c.parameters == *parameters);
        found.map(|c| (c.value.clone(), c.gives.clone()))
    };
    let gives = vec!["old.x".to_string()];
    // The event at the window's start.
    assert_eq!(of("window_start_inclusive", &json!({})), Some((json!(3), Vec::new())));
    // The one that happened at 11:00 and arrived at 12:30.
    assert_eq!(of("late_events_visible", &json!({})), Some((json!(6), gives.clone())));
    assert_eq!(of("future_leak", &json!({"horizon": "PT1H"})), Some((json!(6), gives.clone())));
    assert_eq!(of("future_leak", &json!({"horizon": "PT15M"})), None, "nothing arrives by then");
    // As of the last midnight only the first is there, and as of a day before that nothing is.
    assert_eq!(of("stale", &json!({"period": "P1D", "lag": "PT0S"})), Some((json!(1), Vec::new())));
    assert_eq!(of("stale", &json!({"period": "P1D", "lag": "P1D"})), Some((json!(null), Vec::new())));
    assert_eq!(of("window_length", &json!({"length": "P2D"})), Some((json!(3), Vec::new())));
    // The one of 10:00 is known at exactly T - 2 h, of 12:00 nothing.
    assert_eq!(of("label_time_excluded", &json!({})), None);
    let first_other = trace.causes.iter().position(|c| c.gives.is_empty()).unwrap();
    assert!(trace.causes[first_other..].iter().all(|c| c.gives.is_empty()));
    assert!(trace.causes.iter().all(|c| c.value != json!(2)), "only what is another value is told");
}

#[test]
fn only_causes_that_are_asked_for_are_told() {
    let one = traced(&project("[diff]\ncauses = [\"late_events_visible\"]"), "2025-03-10T12:00Z");
    assert_eq!(
        one.causes.iter().map(|c| c.cause.clone()).collect::<Vec<_>>(),
        [CauseName::One("late_events_visible".to_string())]
    );
    assert!(traced(&project("[diff]\ncauses = false"), "2025-03-10T12:00Z").causes.is_empty());
}

#[test]
fn what_the_last_run_named_for_the_feature_is_told_first() {
    let project = project("");
    let pair = json!({"late_events_visible": {}, "scaled": {"factor": 2.0}});
    let report = json!({"snapshots": [{"features": [
        {"feature": "v.y", "causes": [{"cause": "scaled", "parameters": {"factor": 3.0}}]},
        {"feature": "v.x", "causes": [
            {"cause": ["late_events_visible", "scaled"], "parameters": pair},
            {"cause": "truncated_history", "parameters": {"first": "2025-03-10T10:30:00Z"}},
            {"cause": "late_events_visible", "parameters": {}},
            {"cause": "of another version", "parameters": {}},
        ]},
    ]}]});
    std::fs::create_dir_all(project.path("out")).unwrap();
    std::fs::write(project.path("out/report.json"), report.to_string()).unwrap();
    let trace = traced(&project, "2025-03-10T12:00Z");
    let named: Vec<_> = trace.causes.iter().filter(|c| c.named).map(|c| (c.cause.clone(), c.value.clone())).collect();
    let one = |name: &str| CauseName::One(name.to_string());
    let both = CauseName::Together(vec!["late_events_visible".to_string(), "scaled".to_string()]);
    // What gives the legacy value is first of all.
    assert_eq!(trace.causes[0].cause, one("late_events_visible"));
    let expected =
        [(one("late_events_visible"), json!(6)), (both, json!(12.0)), (one("truncated_history"), json!(null))];
    assert_eq!(named, expected);
}

#[test]
fn versions_of_a_changelog_are_no_redeliveries() {
    let labels = table("user:str at:us@UTC\n a 2025-03-10T12:00");
    let events = table(
        "id:str user:str n:i64 shop:str ts:us@UTC
         e1 a 1 s1 2025-03-10T10:00
         e1 a 1 s1 2025-03-10T10:05
         e2 a 2 s1 2025-03-10T11:00",
    );
    let shops = table("shop:str m:i64 ts:us@UTC\n s1 5 2025-03-01T00:00\n s1 7 2025-03-02T00:00");
    let sql = "SELECT e.\"user\", sum(n * m) AS x FROM events e JOIN shops s ON s.shop = e.shop GROUP BY e.\"user\"";
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"\nid = [\"id\"]", &events)
        .source("shops", "kind = \"changelog\"\ntime = \"ts\"\nid = [\"shop\"]", &shops)
        .view("v", sql)
        .config("[snapshots.old]\nuri = \"old.parquet\"");
    write_parquet(&project.path("old.parquet"), &table("user:str at:us@UTC x:i64\n a 2025-03-10T12:00 28"));
    let trace = traced(&project, "2025-03-10T12:00Z");
    let counted = CauseName::One("duplicates_counted".to_string());
    let counted = trace.causes.iter().find(|c| c.cause == counted).unwrap();
    assert_eq!((&trace.value, &counted.value, counted.gives.len()), (&json!(21), &json!(28), 1));
}

#[test]
fn a_shift_moves_events_from_one_called_window_into_another() {
    let labels = table("user:str at:us@UTC\n a 2025-03-10T12:00");
    // By windows of an hour 2 are together; half an hour later 3 are.
    let events =
        table("user:str ts:us@UTC\n a 2025-03-10T09:10\n a 2025-03-10T09:50\n a 2025-03-10T10:10\n a 2025-03-10T10:20");
    let sql = "SELECT \"user\", max(n) AS x FROM (SELECT \"user\", window_start, count(*) AS n
               FROM TUMBLE(events, ts, INTERVAL '1 hour') GROUP BY \"user\", window_start) AS t GROUP BY \"user\"";
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"", &events)
        .view("v", sql)
        .config("[snapshots.old]\nuri = \"old.parquet\"");
    write_parquet(&project.path("old.parquet"), &table("user:str at:us@UTC x:i64\n a 2025-03-10T12:00 3"));
    let trace = traced(&project, "2025-03-10T12:00Z");
    let zones = || trace.causes.iter().filter(|c| c.cause == CauseName::One("timezone".to_string()));
    let offsets: Vec<(i64, &Value)> =
        zones().map(|c| (c.parameters["offset_minutes"].as_i64().unwrap(), &c.value)).collect();
    assert_eq!(trace.value, json!(2));
    assert!(offsets.contains(&(-210, &json!(3))), "{offsets:?}");
    assert!(offsets.iter().all(|(minutes, value)| minutes % 60 != 0 || **value != json!(3)), "{offsets:?}");
}
