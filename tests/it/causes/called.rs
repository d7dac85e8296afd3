//! Windows of `TUMBLE` and `HOP`: their sizes, and which of their ends they hold. Each legacy value is made in a loop.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use serde_json::{Value, json};

use super::world::{DAY, HOUR, Lot, MINUTE, START, batch, feature, report};
use crate::support::{Project, write_parquet};

const USERS: i64 = 8;
const FEATURES: [&str; 3] = ["busiest.most", "last_hour.closed", "busiest_hop.most_hopping"];

/// Eight days of clicks by users, many at full hours; label rows in the second half.
struct Clicks {
    /// User, event time, arrival.
    clicks: Vec<(i64, i64, i64)>,
    labels: Vec<(i64, i64)>,
}

/// A window `[start, end)` that an old store has, or `(start, end]`.
#[derive(Clone, Copy)]
struct Store {
    tumble: i64,
    hop_size: i64,
    end_included: bool,
    /// Clicks count from when they happened.
    late_visible: bool,
}

const RIGHT: Store = Store { tumble: HOUR, hop_size: 2 * HOUR, end_included: false, late_visible: false };
const HOP: i64 = 30 * MINUTE;
const PUNCTUAL: &str = "time = \"ts\"\nsince = \"beginning\"";
const LATE: &str = "time = \"ts\"\navailable_at = \"seen\"\nsince = \"beginning\"";

impl Clicks {
    /// `late`: every third arrives up to so much after it happened.
    fn new(seed: u64, late: i64) -> Self {
        let mut lot = Lot::new(seed);
        let clicks = (0..6000).map(|i| {
            let at = START + lot.below(8 * DAY / MINUTE) * MINUTE;
            let (user, at) = (1 + lot.below(USERS), if i % 4 == 0 { at.div_euclid(HOP) * HOP } else { at + 1 });
            (user, at, if late > 0 && lot.below(3) == 0 { at + lot.below(late / MINUTE) * MINUTE } else { at })
        });
        let clicks = clicks.collect();
        let labels = (0..300)
            .map(|_| (1 + lot.below(USERS), START + 4 * DAY + lot.below(4 * DAY / MINUTE) * MINUTE + 7))
            .collect();
        Self { clicks, labels }
    }

    /// By the start of each window of this size that holds a click of the user until now, how many it holds.
    fn counts(&self, user: i64, now: i64, (size, hop): (i64, i64), store: Store) -> HashMap<i64, i64> {
        let mut counts = HashMap::new();
        let counts_at = |at: i64, seen: i64| if store.late_visible { at } else { seen };
        for (_, t, _) in self.clicks.iter().filter(|(u, t, seen)| *u == user && counts_at(*t, *seen) <= now) {
            let last = t.div_euclid(hop) * hop;
            // One more, where a window holds its end.
            for start in (0..=size / hop).map(|n| last - n * hop) {
                let held = match store.end_included {
                    true => *t > start && *t <= start + size,
                    false => *t >= start && *t < start + size,
                };
                if held {
                    *counts.entry(start).or_insert(0) += 1;
                }
            }
        }
        counts
    }

    /// The most clicks in one window; those in the window that closed last; the most in one hopping window.
    fn values(&self, (user, now): (i64, i64), store: Store) -> [Option<i64>; 3] {
        let tumbling = self.counts(user, now, (store.tumble, store.tumble), store);
        let hopping = self.counts(user, now, (store.hop_size, HOP), store);
        let closed = now.div_euclid(store.tumble) * store.tumble - store.tumble;
        [tumbling.values().max().copied(), tumbling.get(&closed).copied(), hopping.values().max().copied()]
    }

    fn project(&self, source: &str, stores: &[(&str, Store)]) -> Project {
        let micros =
            |all: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(all).with_timezone("UTC")) };
        let ints = |all: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(all)) };
        let keys = [
            ("user_id", ints(self.labels.iter().map(|l| l.0).collect())),
            ("at", micros(self.labels.iter().map(|l| l.1).collect())),
        ];
        let clicks = batch(&[
            ("user_id", ints(self.clicks.iter().map(|c| c.0).collect())),
            ("ts", micros(self.clicks.iter().map(|c| c.1).collect())),
            ("seen", micros(self.clicks.iter().map(|c| c.2).collect())),
        ]);
        let mut project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &batch(&keys))
            .source("clicks", source, &clicks)
            .view(
                "busiest",
                "SELECT user_id, max(n) AS most FROM (SELECT user_id, window_start, count(*) AS n
                 FROM TUMBLE(clicks, ts, INTERVAL '1 hour') GROUP BY user_id, window_start) AS t GROUP BY user_id",
            )
            .view(
                "last_hour",
                "SELECT user_id, count(*) AS closed FROM TUMBLE(clicks, ts, INTERVAL '1 hour')
                 WHERE window_end <= NOW() AND window_end > NOW() - INTERVAL '1 hour' GROUP BY user_id",
            )
            .view(
                "busiest_hop",
                "SELECT user_id, max(n) AS most_hopping FROM (SELECT user_id, window_end, count(*) AS n
                 FROM HOP(clicks, ts, INTERVAL '30 minutes', INTERVAL '2 hours') GROUP BY user_id, window_end) AS t
                 GROUP BY user_id",
            );
        for (name, store) in stores {
            let values: Vec<[Option<i64>; 3]> = self.labels.iter().map(|label| self.values(*label, *store)).collect();
            let columns = FEATURES.iter().enumerate().map(|(at, feature)| {
                let column = Arc::new(Int64Array::from_iter(values.iter().map(|v| v[at]))) as ArrayRef;
                (feature.rsplit('.').next().unwrap(), column)
            });
            let rows: Vec<(&str, ArrayRef)> = keys.iter().cloned().chain(columns).collect();
            write_parquet(&project.path(&format!("{name}.parquet")), &batch(&rows));
            project = project.config(&format!("[snapshots.{name}]\nuri = \"{name}.parquet\""));
        }
        project
    }
}

#[track_caller]
fn found(report: &Value, snapshot: &str, name: &str, cause: &str, parameters: &Value) {
    let own = feature(report, snapshot, name);
    assert!(own["mismatched"].as_u64().unwrap() >= 15, "{snapshot} {name} differs too little: {own}");
    let first = &own["causes"][0];
    assert_eq!((&first["cause"], &first["parameters"]), (&json!(cause), parameters), "{snapshot} {name}: {first}");
    assert!(first["explains"].as_f64().unwrap() > 0.99, "{snapshot} {name}: {first}");
}

#[test]
fn the_sizes_and_ends_of_tumbling_and_hopping_windows_are_found() {
    let report = report(&Clicks::new(5, 0).project(
        PUNCTUAL,
        &[
            ("right", RIGHT),
            ("two_hours", Store { tumble: 2 * HOUR, ..RIGHT }),
            ("half", Store { tumble: HOP, ..RIGHT }),
            ("hopping", Store { hop_size: 3 * HOUR, ..RIGHT }),
            ("closed", Store { end_included: true, ..RIGHT }),
        ],
    ));
    for name in FEATURES {
        assert_eq!(feature(&report, "right", name)["mismatched"], 0, "{name}");
    }
    for (snapshot, length) in [("two_hours", "PT2H"), ("half", "PT30M")] {
        found(&report, snapshot, FEATURES[0], "window_length", &json!({ "length": length }));
    }
    // The condition on the window's end goes with its size.
    found(&report, "two_hours", FEATURES[1], "window_length", &json!({ "length": "PT2H" }));
    found(&report, "hopping", FEATURES[2], "window_length", &json!({ "length": "PT3H" }));
    for name in FEATURES {
        found(&report, "closed", name, "window_start_exclusive", &json!({}));
    }
}

#[test]
fn of_windows_that_are_called_is_counted_too_what_had_arrived_by_the_label_time() {
    let clicks = Clicks::new(6, 2 * HOUR);
    let known = Store { tumble: 2 * HOUR, ..RIGHT };
    let legacy = Store { late_visible: true, ..known };
    let report = report(&clicks.project(LATE, &[("early", legacy)]));
    let names = json!(["late_events_visible", "window_length"]);
    let name = FEATURES[1];
    let own = feature(&report, "early", name);
    let first = &own["causes"][0];
    let causes = first["cause"].as_array().unwrap_or_else(|| panic!("{own}"));
    let mut causes: Vec<&str> = causes.iter().map(|c| c.as_str().unwrap()).collect();
    causes.sort_unstable();
    assert_eq!(json!(causes), names, "{first}");
    assert!(first["explains"].as_f64().unwrap() > 0.99, "{first}");
    let value = |label: &(i64, i64), store: Store| clicks.values(*label, store)[1];
    let leaks = |label: &&(i64, i64)| {
        let legacy = value(label, legacy);
        legacy != value(label, known) && legacy != value(label, RIGHT)
    };
    let leaking = clicks.labels.iter().filter(leaks).count();
    let told = report["leakage"].as_array().unwrap().iter().find(|leak| leak["feature"] == name).unwrap();
    assert_eq!(told["rows"], leaking, "{told}");
    assert!(leaking > 3 && (leaking as u64) < own["mismatched"].as_u64().unwrap(), "{leaking} of {own}");
}
