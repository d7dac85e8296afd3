//! The command as it is typed: text, JSON, exit codes, and the fixture.

use std::path::Path;

use crate::support::{Project, backcast_in, table};

fn flights(args: &[&str]) -> crate::support::Ran {
    let mut all = vec!["trace"];
    all.extend(args);
    backcast_in(Path::new(env!("CARGO_MANIFEST_DIR")), &all)
}

#[test]
fn a_cell_of_the_fixture_is_told_in_text_and_json() {
    let asked = [
        "tail_delays.tail_arrivals_3d",
        "--key",
        "tailnum=N746UW",
        "--at",
        "2013-03-04T23:00Z",
        "fixtures/flights/flawed.toml",
        // Whatever somebody ran here before.
        "--out",
        "target/nothing-was-run",
    ];
    let text = flights(&asked).exits_with(0).stdout;
    for part in [
        "tail_delays.tail_arrivals_3d = 3",
        "legacy flawed.tail_arrivals_3d = 0: differs: replayed less legacy is 3",
        "3 events count",
        "T - 2 h 2 min",
        "4 events within reach do not",
        "before the window: event_timestamp > NOW() - INTERVAL '3 days'",
        "checked: the events that count give this value alone",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/trace.md")).unwrap();
    assert!(docs.contains(&text), "docs/trace.md does not show what is printed:\n{text}");
    let json = flights(&[&asked[..], &["--format", "json"]].concat()).exits_with(0).json();
    assert_eq!((json["format"].as_u64(), json["value"].as_i64()), (Some(1), Some(3)));
    assert_eq!(json["events"].as_array().unwrap().iter().filter(|e| e["counts"] == true).count(), 3);
    assert_eq!(json["snapshots"][0]["agrees"], false);
}

#[test]
fn bad_arguments_exit_with_2() {
    let config = "fixtures/flights/backcast.toml";
    flights(&["tail_delays.tail_arrival_3d", "--key", "tailnum=x", "--at", "2013-03-04", config])
        .exits_with(2)
        .complains_of(&["there is no feature `tail_delays.tail_arrival_3d`", "`tail_delays.tail_arrivals_3d`"]);
    flights(&["tail_delays.tail_arrivals_3d", "--at", "2013-03-04", config])
        .exits_with(2)
        .complains_of(&["`tailnum` is not given", "--key tailnum=…"]);
    flights(&["tail_delays.tail_arrivals_3d", "--key", "tailnum=x", config]).exits_with(2).complains_of(&["--at"]);
    let json = flights(&["x.y", "--key", "tailnum=x", "--at", "noon", config, "--format", "json"]).exits_with(2).json();
    assert_eq!(json["exit"], 2);
}

#[test]
fn values_with_control_characters_stay_text() {
    let labels = table("user:str at:us@UTC\n a 2025-03-10T12:00");
    let events = table("user:str kind:str ts:us@UTC\n a \u{1b}[31mred 2025-03-10T11:00\n a <b>\u{7} 2025-03-10T13:00");
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"", &events)
        .view("v", "SELECT \"user\", max(kind) AS x FROM events GROUP BY \"user\"");
    let text = project.backcast(&["trace", "v.x", "--key", "user=a", "--at", "2025-03-10T12:00Z"]).exits_with(0).stdout;
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
    assert!(text.contains("\\u{1b}[31mred"), "{text}");
}
