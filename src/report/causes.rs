//! Causes in words: what a person reads beside a feature.

use serde_json::Value;

use super::text::{number, thousands};
use crate::diff::{Cause, CauseName, FeatureDiff};

/// A duration of nanoseconds, ISO 8601.
pub fn iso_nanos(nanos: i64) -> String {
    crate::plan::iso_duration(0, 0, nanos)
}

/// The main cause of a feature's mismatches in a sentence; `None` where nothing differs or causes were not looked for.
///
/// ```text
/// agrees on 99.2 % once the window's start is inclusive
/// ```
pub fn main_cause(feature: &FeatureDiff) -> Option<String> {
    let unexplained = feature.unexplained?;
    if feature.mismatched == 0 {
        return None;
    }
    let Some(main) = feature.causes.first() else {
        return Some(match feature.mismatched {
            1 => "no cause found for its one mismatch".to_string(),
            rows => format!("no cause found for its {} mismatches", thousands(rows)),
        });
    };
    let mut sentence = format!("agrees on {} once {}", percent(agreement_under(feature, main)), once(main));
    for other in &feature.causes[1..] {
        sentence.push_str(&format!("; of what differs, {} once {}", percent(other.explains), once(other)));
    }
    if unexplained > 0.0005 && unexplained < 1.0 {
        sentence.push_str(&format!("; {} of the mismatches unexplained", percent(unexplained)));
    }
    Some(sentence)
}

/// The share of compared rows that would agree under the cause.
fn agreement_under(feature: &FeatureDiff, cause: &Cause) -> f64 {
    let agreeing = (feature.compared - feature.mismatched) as f64 * (1.0 - cause.breaks);
    (agreeing + feature.mismatched as f64 * cause.explains) / feature.compared.max(1) as f64
}

/// A share of less than all is never shown as all.
fn percent(share: f64) -> String {
    let share = share.clamp(0.0, 1.0);
    let shown = (share * 1000.0).floor() / 10.0;
    format!("{} %", number(shown))
}

fn once(cause: &Cause) -> String {
    cause_sentence(&cause.cause, &cause.parameters)
}

/// What the legacy system did, as the end of a sentence that begins with "once" or with a count of values.
pub fn cause_sentence(name: &CauseName, parameters: &Value) -> String {
    match name {
        CauseName::One(name) => one(name, parameters),
        CauseName::Together(names) => {
            let none = Value::Null;
            let parts: Vec<String> =
                names.iter().map(|name| one(name, parameters.get(name).unwrap_or(&none))).collect();
            parts.join(", and ")
        }
    }
}

fn one(name: &str, parameters: &Value) -> String {
    let text = |key: &str| match parameters.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(value)) => value.as_f64().map_or_else(|| value.to_string(), number),
        _ => "?".to_string(),
    };
    let of_source =
        || parameters.get("source").and_then(Value::as_str).map(|s| format!(" of `{s}`")).unwrap_or_default();
    match name {
        "window_start_inclusive" => "the window's start is inclusive".to_string(),
        "window_start_exclusive" => "the window's start is exclusive".to_string(),
        "label_time_excluded" => "events at exactly the label time are left out".to_string(),
        "label_time_included" => "events at exactly the label time are counted".to_string(),
        "window_length" => match text("length") {
            length if length == "unbounded" => "the window has no start".to_string(),
            length if length.starts_with("calendar ") => format!("the window is the {length}"),
            length => format!("the window is {} long", words(&length)),
        },
        "tiled_window" => format!("the window's start is rounded down to {}", words(&text("tile"))),
        "timezone" => match (parameters.get("offset_minutes").and_then(Value::as_i64), parameters.get("read_as")) {
            (Some(minutes), _) => {
                let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
                let shift = if rest == 0 { format!("{hours} h") } else { format!("{hours} h {rest} min") };
                let way = if minutes < 0 { "earlier" } else { "later" };
                format!("the timestamps{} are read {shift} {way}, as of another time zone", of_source())
            }
            (None, Some(_)) => {
                format!("local times of {}{} are read as if they were UTC", text("zone"), of_source())
            }
            (None, None) => format!("the timestamps{} are read as local times of {}", of_source(), text("zone")),
        },
        "stale" => match (text("period"), text("lag")) {
            (period, lag) if lag == "PT0S" => {
                format!("the value is as of the last refresh, every {}", words(&period))
            }
            (period, lag) => match lag.strip_prefix('-') {
                Some(ahead) => format!(
                    "the value is as of a refresh every {}, up to {} after the label time",
                    words(&period),
                    words(ahead)
                ),
                None => format!("the value is as of the last refresh, every {}, less {}", words(&period), words(&lag)),
            },
        },
        "future_leak" => {
            let by = match parameters.get("by") {
                Some(_) => " by event time",
                None => "",
            };
            match text("horizon") {
                horizon if horizon == "unbounded" => format!("events from after the label time count{by}, all of them"),
                horizon => format!("events from up to {} after the label time count{by}", words(&horizon)),
            }
        }
        "late_events_visible" => format!("events{} count before they had arrived", of_source()),
        "late_events_dropped" => match text("limit") {
            limit if limit == "PT0S" => "events that came late never count".to_string(),
            limit => format!("events that came more than {} late never count", words(&limit)),
        },
        "duplicates_counted" => "redelivered events count again".to_string(),
        "duplicates_removed" => "events that were delivered twice count once".to_string(),
        "nulls_as_zero" => "NULLs are 0".to_string(),
        "missing_as_zero" => "what the view has no row for is 0".to_string(),
        "missing_as_null" => "what the view has no row for is NULL".to_string(),
        "truncated_history" => format!("events from before {} are gone", text("first")),
        "float32" => "numbers are narrowed to float32".to_string(),
        "rounded" => match parameters.get("digits").and_then(Value::as_i64) {
            Some(1) => "numbers are rounded to 1 digit".to_string(),
            _ => format!("numbers are rounded to {} digits", text("digits")),
        },
        "scaled" => format!("numbers are multiplied by {}", text("factor")),
        other => other.to_string(),
    }
}

/// `PT1H30M` as `1 h 30 min`.
fn words(iso: &str) -> String {
    let mut parts = Vec::new();
    let mut digits = String::new();
    let mut clock = false;
    for c in iso.chars() {
        match c {
            'P' => {}
            'T' => clock = true,
            '0'..='9' | '.' | '-' => digits.push(c),
            unit => {
                let one = digits == "1";
                let word = match (unit, clock) {
                    ('Y', _) => {
                        if one {
                            "year"
                        } else {
                            "years"
                        }
                    }
                    ('M', false) => {
                        if one {
                            "month"
                        } else {
                            "months"
                        }
                    }
                    ('D', _) => {
                        if one {
                            "day"
                        } else {
                            "days"
                        }
                    }
                    ('H', _) => "h",
                    ('M', true) => "min",
                    ('S', _) => "s",
                    _ => return iso.to_string(),
                };
                parts.push(format!("{} {word}", std::mem::take(&mut digits)));
            }
        }
    }
    if parts.is_empty() { iso.to_string() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::samples::flawed;

    fn said(name: &str, parameters: Value) -> String {
        cause_sentence(&CauseName::One(name.to_string()), &parameters)
    }

    #[test]
    fn every_cause_is_said_in_words() {
        for name in crate::config::CAUSES {
            let sentence = said(name, json!({}));
            assert!(sentence.contains(' ') && !sentence.contains('_'), "{name}: {sentence}");
        }
    }

    #[test]
    fn durations_are_said_in_words() {
        assert_eq!(
            said("stale", json!({"period": "P1D", "lag": "PT0S"})),
            "the value is as of the last refresh, every 1 day"
        );
        assert_eq!(
            said("stale", json!({"period": "PT6H", "lag": "PT1H30M"})),
            "the value is as of the last refresh, every 6 h, less 1 h 30 min"
        );
        assert_eq!(said("window_length", json!({"length": "P1M"})), "the window is 1 month long");
        assert_eq!(
            said("timezone", json!({"offset_minutes": -330})),
            "the timestamps are read 5 h 30 min earlier, as of another time zone"
        );
    }

    #[test]
    fn the_main_cause_tells_the_agreement_under_it() {
        let mut feature = flawed().snapshots[0].features[0].clone();
        (feature.compared, feature.mismatched, feature.unexplained) = (1000, 100, Some(0.08));
        let cause = |name: &str, explains: f64| Cause {
            cause: CauseName::One(name.to_string()),
            parameters: json!({}),
            mismatches: 92,
            explains,
            breaks: 0.0,
        };
        feature.causes = vec![cause("window_start_inclusive", 0.92)];
        assert_eq!(
            main_cause(&feature).unwrap(),
            "agrees on 99.2 % once the window's start is inclusive; 8 % of the mismatches unexplained"
        );
        feature.causes.clear();
        assert_eq!(main_cause(&feature).unwrap(), "no cause found for its 100 mismatches");
        feature.unexplained = None;
        assert_eq!(main_cause(&feature), None);
    }
}
