//! Logs whose events are known before they happen, and hidden until then.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use serde_json::json;

use super::world::{DAY, HOUR, Lot, MINUTE, SECOND, START, batch, feature, report};
use crate::support::{Project, write_parquet};

#[test]
fn of_events_that_are_hidden_until_they_happen_it_is_told_which_time_had_no_say() {
    let mut lot = Lot::new(21);
    let labels: Vec<(i64, i64)> =
        (0..240).map(|_| (1 + lot.below(8), START + 5 * DAY + lot.below(6 * DAY / SECOND) * SECOND)).collect();
    // Half are known hours before they happen, and some arrive late.
    let events: Vec<(i64, i64, i64)> = (0..3000)
        .map(|_| {
            let (user, at) = (1 + lot.below(8), START + lot.below(13 * DAY / SECOND) * SECOND);
            let known = if lot.below(2) == 0 { -lot.below(9 * 60) } else { lot.below(3) / 2 * lot.below(200) };
            (user, at, at + known * MINUTE)
        })
        .collect();
    let counts = |counts: &dyn Fn(i64, i64, i64) -> bool| -> ArrayRef {
        let of = |(user, t): &(i64, i64)| {
            let own = events.iter().filter(|(of, at, seen)| of == user && counts(*t, *at, *seen)).count();
            Some(own as i64).filter(|own| *own > 0)
        };
        Arc::new(labels.iter().map(of).collect::<Int64Array>())
    };
    let users: ArrayRef = Arc::new(Int64Array::from_iter_values(labels.iter().map(|l| l.0)));
    let times = |all: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(all).with_timezone("UTC")) };
    let at = times(labels.iter().map(|l| l.1).collect());
    let keys = || vec![("user_id", Arc::clone(&users)), ("at", Arc::clone(&at))];
    let rows = batch(&[
        ("user_id", Arc::new(Int64Array::from_iter_values(events.iter().map(|e| e.0)))),
        ("ts", times(events.iter().map(|e| e.1).collect())),
        ("seen", times(events.iter().map(|e| e.2).collect())),
    ]);
    let mut project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &batch(&keys()))
        .source("events", "time = \"ts\"\navailable_at = \"seen\"\nfuture_events = \"hidden\"", &rows)
        .view("v", "SELECT user_id, COUNT(*) AS n FROM events WHERE ts > NOW() - INTERVAL '24 hours' GROUP BY user_id");
    let known = counts(&|t, at, seen| seen <= t && at > t - DAY);
    let ahead = counts(&|t, at, seen| at.max(seen) <= t + 2 * HOUR && at > t - DAY);
    for (name, values) in [("known", known), ("ahead", ahead)] {
        let legacy: Vec<(&str, ArrayRef)> = keys().into_iter().chain([("n", values)]).collect();
        write_parquet(&project.path(&format!("{name}.parquet")), &batch(&legacy));
        project = project.config(&format!("[snapshots.{name}]\nuri = \"{name}.parquet\"\n"));
    }
    let report = report(&project);
    for (snapshot, parameters) in
        [("known", json!({"horizon": "unbounded", "by": "arrival"})), ("ahead", json!({"horizon": "PT2H"}))]
    {
        let own = feature(&report, snapshot, "v.n");
        let first = &own["causes"][0];
        assert!(own["mismatched"].as_u64().unwrap() > 50, "{own}");
        assert_eq!((&first["cause"], &first["parameters"]), (&json!("future_leak"), &parameters), "{own}");
        assert_eq!((&first["explains"], &first["breaks"]), (&json!(1.0), &json!(0.0)), "{own}");
    }
    assert_eq!(report["leakage"].as_array().unwrap().len(), 2);
}
