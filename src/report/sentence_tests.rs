//! Each cause of the format has its sentence.

use serde_json::{Value, json};

use super::*;
use crate::report::samples::{HOSTILE, feature};

fn cause(name: &str, parameters: Value) -> Cause {
    Cause { cause: CauseName::One(name.to_string()), parameters, mismatches: 100, explains: 0.992, breaks: 0.0 }
}

#[test]
fn each_cause_ends_a_sentence() {
    for (name, parameters, told) in [
        ("window_start_inclusive", json!({}), "the window's start is inclusive"),
        ("window_start_exclusive", json!(null), "the window's start is exclusive"),
        ("label_time_excluded", json!({}), "events at exactly the label time are left out"),
        ("label_time_included", json!({}), "events at exactly the label time count"),
        ("window_length", json!({"length": "P30D"}), "the window's length is 30 days"),
        ("window_length", json!({"length": "calendar day"}), "the window is the calendar day"),
        ("window_length", json!({"length": "unbounded"}), "the window has no start"),
        ("tiled_window", json!({"tile": "PT5M"}), "the window's start is rounded down to a tile of 5 minutes"),
        (
            "tiled_window",
            json!({"tile": "PT1H", "start": "inclusive"}),
            "the window's start is rounded down to a tile of 1 hour, whose first instant counts",
        ),
        ("timezone", json!({"offset_minutes": -300}), "times are shifted by -5 hours"),
        ("timezone", json!({"offset_minutes": 330}), "times are shifted by +330 minutes"),
        ("timezone", json!({"offset_minutes": 60}), "times are shifted by +1 hour"),
        ("timezone", json!({"zone": "Asia/Tokyo"}), "times are read as those of Asia/Tokyo"),
        ("window_length", json!({"length": null}), "the window has another length"),
        ("timezone", json!({"offset_minutes": -60, "source": "flights"}), "times of `flights` are shifted by -1 hour"),
        ("duplicates_counted", json!({"source": "payments"}), "redelivered events of `payments` count each time"),
        (
            "future_leak",
            json!({"horizon": "P1D", "source": "payments"}),
            "events of `payments` from up to 1 day after the label time count (leakage)",
        ),
        (
            "future_leak",
            json!({"horizon": "unbounded", "by": "arrival"}),
            "events that had arrived count before they happen (leakage)",
        ),
        (
            "late_events_dropped",
            json!({"limit": "PT1H", "source": "payments"}),
            "events of `payments` that arrived more than 1 hour late never count",
        ),
        (
            "truncated_history",
            json!({"first": "2025-03-07T00:00:00Z", "source": "payments"}),
            "events of `payments` before 2025-03-07 00:00Z are gone",
        ),
        (
            "timezone",
            json!({"zone": "America/New_York", "read_as": "UTC"}),
            "times, written in America/New_York, are read as UTC",
        ),
        (
            "stale",
            json!({"period": "P1D", "lag": "-PT6H"}),
            "values are those of a refresh (every day) that saw 6 hours ahead (leakage)",
        ),
        ("stale", json!({"period": "P1D", "lag": "PT0S"}), "values are those of the last refresh (every day)"),
        (
            "stale",
            json!({"period": "PT24H", "lag": "PT2H"}),
            "values are those of the last refresh (every 24 hours, 2 hours late)",
        ),
        (
            "stale",
            json!({"period": "P1D", "lag": "PT0S", "at": "02:00"}),
            "values are those of the last refresh (every day at 02:00)",
        ),
        (
            "future_leak",
            json!({"horizon": "PT1H30M"}),
            "events from up to 1 hour 30 minutes after the label time count (leakage)",
        ),
        ("future_leak", json!({"horizon": "unbounded"}), "events from any time after the label time count (leakage)"),
        (
            "future_leak",
            json!({"horizon": "PT2H", "window": "moves"}),
            "values are as of 2 hours after the label time (leakage)",
        ),
        (
            "future_leak",
            json!({"horizon": "PT2H", "by": "event_time"}),
            "events that happened up to 2 hours after the label time count, arrived or not (leakage)",
        ),
        (
            "late_events_visible",
            json!({"source": "arrivals"}),
            "events of `arrivals` count from when they happened, before they had arrived (leakage)",
        ),
        ("late_events_visible", json!({}), "events count from when they happened, before they had arrived (leakage)"),
        ("late_events_dropped", json!({"limit": "PT1H"}), "events that arrived more than 1 hour late never count"),
        ("duplicates_counted", json!({}), "redelivered events count each time"),
        ("duplicates_removed", json!({}), "redelivered events count only once"),
        ("nulls_as_zero", json!({}), "NULL becomes 0"),
        (
            "nulls_as_zero",
            json!({"missing": "stays"}),
            "NULL becomes 0 where the view has a row, a missing row stays NULL",
        ),
        ("missing_as_zero", json!({}), "a missing row becomes 0"),
        ("missing_as_null", json!({}), "a missing row becomes NULL"),
        ("truncated_history", json!({"first": "2013-02-01T00:00:00Z"}), "events before 2013-02-01 00:00Z are gone"),
        ("float32", json!({}), "the number is narrowed to 32 bits"),
        ("rounded", json!({"digits": 2}), "the number is rounded to 2 digits after the point"),
        ("rounded", json!({"digits": 1}), "the number is rounded to 1 digit after the point"),
        ("rounded", json!({"digits": 0}), "the number is rounded to whole ones"),
        ("rounded", json!({"digits": 2, "mode": "down"}), "the number is rounded down to 2 digits after the point"),
        ("rounded", json!({"digits": 0, "mode": "toward_zero"}), "the number is rounded toward zero to whole ones"),
        ("rounded", json!({"digits": -2}), "the number is rounded to multiples of 100"),
        ("scaled", json!({"factor": 0.016666666666666666}), "the number is multiplied by 0.016666666666666666"),
    ] {
        assert_eq!(cause_clause(&cause(name, parameters)), told, "{name}");
    }
}

#[test]
fn a_sentence_says_what_a_cause_explains_and_breaks() {
    let feature = feature("a.b", 4_000, 1_009);
    let mut found = cause("window_start_inclusive", json!({}));
    found.mismatches = 1_001;
    assert_eq!(
        cause_sentence(&found, &feature),
        "1,001 of 1,009 differences vanish once the window's start is inclusive."
    );
    (found.explains, found.breaks) = (1.0, 0.031);
    assert_eq!(
        cause_sentence(&found, &feature),
        "All 1,009 differences vanish once the window's start is inclusive, but 3.1 % of those that agree would then differ."
    );
}

#[test]
fn the_main_cause_tells_how_far_a_feature_then_agrees_where_that_is_nearly_all() {
    let mut told = feature("a.b", 1_000, 100);
    assert_eq!(main_cause(&told), None);
    told.causes = vec![cause("float32", json!({})), cause("stale", json!({"period": "P1D"}))];
    // 900 agree already, and 99.2 of the other 100.
    assert_eq!(main_cause(&told).unwrap(), "Agrees on 99.92 % once the number is narrowed to 32 bits.");
    (told.causes[0].explains, told.causes[0].breaks) = (1.0, 0.5);
    assert_eq!(
        main_cause(&told).unwrap(),
        "Of the 100 rows that differ, all agree once the number is narrowed to 32 bits; of the other rows it does not hold: 50 % of them would then differ."
    );
    (told.causes[0].explains, told.causes[0].mismatches) = (0.12, 12);
    assert!(main_cause(&told).unwrap().starts_with("Of the 100 rows that differ, 12 agree once the number"));
    (told.causes[0].explains, told.causes[0].breaks, told.causes[0].mismatches) = (0.12, 0.0, 12);
    assert_eq!(main_cause(&told).unwrap(), "12 of 100 differences vanish once the number is narrowed to 32 bits.");
}

#[test]
fn two_causes_at_once_are_one_sentence() {
    let found = Cause {
        cause: CauseName::Together(vec!["stale".to_string(), "float32".to_string()]),
        parameters: json!({"stale": {"period": "P1D", "lag": "PT2H"}, "float32": {}}),
        ..cause("", json!({}))
    };
    assert_eq!(
        cause_clause(&found),
        "values are those of the last refresh (every day, 2 hours late), and the number is narrowed to 32 bits"
    );
}

#[test]
fn what_a_sentence_has_no_place_for_is_told_in_brackets() {
    let told = |name, parameters| cause_clause(&cause(name, parameters));
    assert_eq!(told("float32", json!({"source": "flights"})), "the number is narrowed to 32 bits (source: flights)");
    assert_eq!(told("moon_phase", json!({"phase": 3, "none": null})), "`moon_phase` is assumed (phase: 3)");
    // Parameters that are not there, or of another kind, do not make half a sentence.
    assert_eq!(told("tiled_window", json!({"width": 7})), "`tiled_window` is assumed (width: 7)");
    assert_eq!(told("rounded", json!({"digits": "two"})), "`rounded` is assumed (digits: two)");
}

#[test]
fn shares_are_rounded_neither_to_all_nor_to_none() {
    let told = [0.0, 1e-9, 0.57, 0.992, 0.9999999, 1.0].map(share);
    assert_eq!(told, ["0 %", "<0.01 %", "57 %", "99.2 %", "99.99 %", "100 %"]);
}

#[test]
fn durations_are_words() {
    let told =
        ["PT24H", "P1D", "P1DT6H", "P1M", "PT1M", "PT0.5S", "-PT5M", "P", "PT", "P5", "day", "P1H"].map(duration);
    let words = ["24 hours", "1 day", "1 day 6 hours", "1 month", "1 minute", "0.5 seconds", "-5 minutes"];
    assert_eq!(told[..7], words);
    assert_eq!(told[7..], ["P", "PT", "P5", "day", "P1H"]);
}

#[test]
fn hostile_parameters_are_clean() {
    let told = cause_clause(&cause(HOSTILE, json!({HOSTILE: HOSTILE})));
    assert!(!told.chars().any(|char| char.is_control() || char == '\u{202e}'), "{told}");
}

#[test]
fn how_far_ahead_is_told_in_two_units_and_never_too_little() {
    let told = |seconds: i64| far_ahead("x (leakage)", Some(seconds * 1_000_000_000));
    assert_eq!(told(672 * 3600 + 43 * 60 + 38), "x (leakage, up to 28 days 1 hour ahead)");
    assert_eq!(told(6 * 3600 + 45 * 60), "x (leakage, up to 6 hours 45 minutes ahead)");
    assert_eq!(told(3 * 3600 + 59 * 60 + 1), "x (leakage, up to 4 hours ahead)");
    assert_eq!(told(47 * 3600), "x (leakage, up to 47 hours ahead)");
    assert_eq!(told(61), "x (leakage, up to 1 minute 1 second ahead)");
    assert_eq!(told(5), "x (leakage, up to 5 seconds ahead)");
    // The horizon says it.
    assert_eq!(far_ahead("up to 1 day (leakage)", Some(86_400_000_000_000)), "up to 1 day (leakage)");
}
