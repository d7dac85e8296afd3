//! Views of two logs of which one was read otherwise: the cause names it. Each legacy value is made in a loop.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use serde_json::{Value, json};

use super::world::{DAY, HOUR, Lot, SECOND, START, batch, feature, report};
use crate::support::{Project, write_parquet};

const USERS: i64 = 10;
const LENGTH: i64 = 3 * DAY;

/// One delivery.
#[derive(Clone, Copy)]
struct Delivery {
    id: i64,
    user: i64,
    at: i64,
    seen: i64,
}

/// How an old store read a log.
#[derive(Clone, Copy, Default)]
struct Reading {
    twice: bool,
    limit: Option<i64>,
    first: Option<i64>,
    ahead: i64,
    as_it_happens: bool,
    shift: i64,
    /// Of event times alone.
    event_shift: i64,
}

/// Orders, payments, label rows.
struct Shop {
    logs: [Vec<Delivery>; 2],
    labels: Vec<(i64, i64)>,
}

impl Shop {
    /// Fourteen days; every fourth event arrives up to four hours late, every eighth twice.
    fn new(seed: u64) -> Self {
        let mut lot = Lot::new(seed);
        let mut log = |count: i64| {
            let mut all = Vec::new();
            for id in 0..count {
                let at = START + lot.below(14 * DAY / SECOND) * SECOND;
                let late = if lot.below(4) == 0 { lot.below(4 * HOUR / SECOND) } else { lot.below(5) };
                let first = Delivery { id, user: 1 + lot.below(USERS), at, seen: at + late * SECOND };
                all.push(first);
                if lot.below(8) == 0 {
                    all.push(Delivery { seen: first.seen + (60 + lot.below(900)) * SECOND, ..first });
                }
            }
            all
        };
        let logs = [log(2500), log(1800)];
        let label = |_| (1 + lot.below(USERS), START + 5 * DAY + lot.below(9 * DAY / SECOND) * SECOND);
        Self { logs, labels: (0..300).map(label).collect() }
    }

    fn count(&self, log: usize, (user, now): (i64, i64), reading: Reading) -> i64 {
        let mut known = HashSet::new();
        let counts = |e: &&Delivery| {
            let (at, seen) = (e.at + reading.shift + reading.event_shift, e.seen + reading.shift);
            let visible = if reading.as_it_happens { at <= now } else { seen <= now + reading.ahead };
            e.user == user
                && visible
                && at > now - LENGTH
                && reading.limit.is_none_or(|limit| e.seen - e.at <= limit)
                && reading.first.is_none_or(|first| e.at >= first)
        };
        self.logs[log].iter().filter(counts).filter(|e| known.insert(e.id) || reading.twice).count() as i64
    }

    fn project(&self, stores: &[(&str, [Reading; 2])]) -> Project {
        let micros =
            |all: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(all).with_timezone("UTC")) };
        let ints = |all: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(all)) };
        let rows = |log: &Vec<Delivery>| {
            batch(&[
                ("id", ints(log.iter().map(|e| e.id).collect())),
                ("user_id", ints(log.iter().map(|e| e.user).collect())),
                ("ts", micros(log.iter().map(|e| e.at).collect())),
                ("seen", micros(log.iter().map(|e| e.seen).collect())),
            ])
        };
        let keys = [
            ("user_id", ints(self.labels.iter().map(|l| l.0).collect())),
            ("at", micros(self.labels.iter().map(|l| l.1).collect())),
        ];
        let source = "time = \"ts\"\navailable_at = \"seen\"\nid = [\"id\"]\nsince = \"beginning\"";
        let mut project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &batch(&keys))
            .source("orders", source, &rows(&self.logs[0]))
            .source("payments", source, &rows(&self.logs[1]))
            .view_with(
                "shop",
                "[views.shop.features]\npaid.when_missing = 0\nopen.when_missing = 0",
                "WITH o AS (SELECT user_id, count(*) AS n FROM orders WHERE ts > NOW() - INTERVAL '3 days' GROUP BY user_id),
                      p AS (SELECT user_id, count(*) AS n FROM payments WHERE ts > NOW() - INTERVAL '3 days' GROUP BY user_id)
                 SELECT coalesce(o.user_id, p.user_id) AS user_id, coalesce(p.n, 0) AS paid,
                        coalesce(o.n, 0) - coalesce(p.n, 0) AS open
                 FROM o FULL JOIN p ON o.user_id = p.user_id",
            );
        for (name, [orders, payments]) in stores {
            let values = |of: &dyn Fn((i64, i64)) -> i64| ints(self.labels.iter().map(|label| of(*label)).collect());
            let paid = values(&|label| self.count(1, label, *payments));
            let open = values(&|label| self.count(0, label, *orders) - self.count(1, label, *payments));
            let columns: Vec<_> = keys.iter().cloned().chain([("paid", paid), ("open", open)]).collect();
            write_parquet(&project.path(&format!("{name}.parquet")), &batch(&columns));
            project = project.config(&format!("[snapshots.{name}]\nuri = \"{name}.parquet\""));
        }
        project
    }
}

#[track_caller]
fn found(report: &Value, snapshot: &str, name: &str, cause: &Value, parameters: &Value) {
    let own = feature(report, snapshot, name);
    assert!(own["mismatched"].as_u64().unwrap() >= 15, "{snapshot} {name} differs too little: {own}");
    let first = &own["causes"][0];
    assert_eq!((&first["cause"], &first["parameters"]), (cause, parameters), "{snapshot} {name}: {}", own["causes"]);
    assert!(first["explains"].as_f64().unwrap() > 0.99, "{snapshot} {name}: {first}");
    assert!(first["breaks"].as_f64().unwrap() < 0.01, "{snapshot} {name}: {first}");
}

#[test]
fn of_two_logs_the_one_that_was_read_otherwise_is_named() {
    let right = Reading::default;
    let first = Some(START + 6 * DAY);
    let wrong: [(&str, Reading, &str, Value); 7] = [
        ("twice", Reading { twice: true, ..right() }, "duplicates_counted", json!({})),
        ("limit", Reading { limit: Some(HOUR), ..right() }, "late_events_dropped", json!({"limit": "PT1H"})),
        ("cut", Reading { first, ..right() }, "truncated_history", json!({"first": "2025-03-07T00:00:00Z"})),
        ("ahead", Reading { ahead: DAY, ..right() }, "future_leak", json!({"horizon": "P1D"})),
        ("early", Reading { as_it_happens: true, ..right() }, "late_events_visible", json!({})),
        ("zone", Reading { shift: -5 * HOUR, ..right() }, "timezone", json!({"offset_minutes": -300})),
        (
            "event_zone",
            Reading { event_shift: -5 * HOUR, ..right() },
            "timezone",
            json!({"offset_minutes": -300, "times": "event_time"}),
        ),
    ];
    let stores = wrong.iter().map(|(name, reading, ..)| (*name, [right(), *reading]));
    let stores: Vec<_> = stores.chain([("right", [right(), right()])]).collect();
    let report = report(&Shop::new(3).project(&stores));
    assert_eq!(feature(&report, "right", "shop.open")["mismatched"], 0);
    for (snapshot, _, cause, parameters) in wrong {
        // One log alone: there is no other to tell it from.
        found(&report, snapshot, "shop.paid", &json!(cause), &parameters);
        let mut parameters = parameters;
        parameters["source"] = json!("payments");
        found(&report, snapshot, "shop.open", &json!(cause), &parameters);
        let leaks = report["leakage"].as_array().unwrap().iter();
        let leaks = leaks.filter(|leak| leak["snapshot"] == snapshot).count();
        assert_eq!(leaks, if ["ahead", "early", "zone"].contains(&snapshot) { 2 } else { 0 }, "{snapshot}");
    }
}

#[test]
fn a_history_that_was_cut_off_is_found_beside_another_cause() {
    let cut = |reading| Reading { first: Some(START + 6 * DAY + 6 * HOUR), ..reading };
    let (twice, early) =
        (Reading { twice: true, ..Reading::default() }, Reading { as_it_happens: true, ..Reading::default() });
    let report =
        report(&Shop::new(4).project(&[("twice", [cut(twice), cut(twice)]), ("early", [cut(early), cut(early)])]));
    for (snapshot, cause) in [("twice", "duplicates_counted"), ("early", "late_events_visible")] {
        for name in ["shop.paid", "shop.open"] {
            let first = &feature(&report, snapshot, name)["causes"][0]["parameters"]["truncated_history"]["first"];
            let first = chrono::DateTime::parse_from_rfc3339(first.as_str().unwrap()).unwrap();
            // As near as the events tell.
            assert!(
                (first.timestamp_micros() - START - 6 * DAY - 6 * HOUR).abs() <= HOUR,
                "{snapshot} {name}: {first}"
            );
            let parameters = json!({"truncated_history": {"first": first.format("%FT%TZ").to_string()}, cause: {}});
            found(&report, snapshot, name, &json!([cause, "truncated_history"]), &parameters);
        }
    }
}
