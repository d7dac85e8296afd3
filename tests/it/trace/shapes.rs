//! Random logs over many shapes of views: the events that count give the value, and by arithmetic of the test's own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::trace;
use crate::support::{Project, Rng, shown, table};

const SOURCE: &str = "time = \"ts\"\navailable_at = \"seen\"\nid = [\"id\"]";

/// Shapes over `events` (id, user, n, kind, shop) and the changelog `shops` (shop, m, op).
const SHAPES: [&str; 14] = [
    "SELECT \"user\", count(*) AS x FROM events WHERE ts > NOW() - INTERVAL '1 hour' GROUP BY \"user\"",
    "SELECT \"user\", sum(n) AS x FROM events WHERE ts > NOW() - INTERVAL '1 hour' AND kind <> 'v' GROUP BY \"user\"",
    "SELECT \"user\", max(n) AS x FROM events GROUP BY \"user\"",
    "SELECT \"user\", min(n) FILTER (WHERE ts > NOW() - INTERVAL '30 minutes') AS x FROM events GROUP BY \"user\"",
    "SELECT \"user\", avg(n) FILTER (WHERE kind = 'v') AS x FROM events WHERE ts >= NOW() - INTERVAL '1 hour' GROUP BY \"user\"",
    "SELECT \"user\", last_value(n ORDER BY ts) AS x FROM events GROUP BY \"user\"",
    "SELECT DISTINCT ON (\"user\") \"user\", n AS x FROM events ORDER BY \"user\", ts DESC",
    "SELECT \"user\", count(DISTINCT kind) AS x FROM events WHERE ts > NOW() - INTERVAL '1 hour' GROUP BY \"user\"",
    "SELECT e.\"user\", sum(n * m) AS x FROM events e JOIN shops s ON s.shop = e.shop GROUP BY e.\"user\"",
    "SELECT e.\"user\", sum(n + coalesce(m, 100)) AS x FROM events e LEFT JOIN shops s ON s.shop = e.shop AND s.m > 3 GROUP BY e.\"user\"",
    "SELECT \"user\", sum(c) AS x FROM (SELECT \"user\", kind, count(*) AS c FROM events GROUP BY \"user\", kind HAVING count(*) > 1) GROUP BY \"user\"",
    "SELECT \"user\", count(*) AS x FROM events e WHERE NOT EXISTS (SELECT 1 FROM shops s WHERE s.shop = e.shop) GROUP BY \"user\"",
    "SELECT \"user\", n AS x FROM (SELECT \"user\", n, row_number() OVER (PARTITION BY \"user\" ORDER BY ts DESC) AS r FROM events) WHERE r = 2",
    "SELECT \"user\", sum(n - coalesce(p, 0)) AS x FROM (SELECT \"user\", n, lag(n) OVER (PARTITION BY \"user\" ORDER BY ts) AS p FROM events) GROUP BY \"user\"",
];

fn clock(minutes: i64) -> String {
    format!("2025-03-10T{:02}:{:02}", minutes / 60, minutes % 60)
}

fn project(seed: u64, sql: &str) -> (Project, Vec<(String, i64)>) {
    let mut rng = Rng::new(seed);
    let mut labels = vec!["user:str at:us@UTC".to_string()];
    let mut asked = Vec::new();
    for _ in 0..3 {
        let (user, at) = (rng.choose(&["a", "b"]), rng.range(9 * 60, 13 * 60));
        labels.push(format!("{user} {}", clock(at)));
        asked.push((user.to_string(), at));
    }
    let mut events = vec!["id:str user:str n:i64 kind:str shop:i64 ts:us@UTC seen:us@UTC".to_string()];
    for i in 0..40 {
        let ts = rng.range(8 * 60, 13 * 60);
        let late = if rng.one_in(3) { rng.range(0, 60) } else { 0 };
        let id = if rng.one_in(8) {
            "-".to_string()
        } else {
            format!("e{}", if rng.one_in(4) { rng.below(i + 1) } else { i })
        };
        let n = if rng.one_in(8) { "-".to_string() } else { rng.range(0, 9).to_string() };
        let seen = if rng.one_in(20) { "-".to_string() } else { clock(ts + late) };
        let (user, kind, shop) = (rng.choose(&["a", "b"]), rng.choose(&["v", "w", "-"]), rng.range(1, 5));
        events.push(format!("{id} {user} {n} {kind} {shop} {} {seen}", clock(ts)));
    }
    let mut shops = vec!["shop:i64 m:i64 op:str ts:us@UTC".to_string()];
    for _ in 0..10 {
        let op = if rng.one_in(4) { "D" } else { "U" };
        shops.push(format!("{} {} {op} {}", rng.range(1, 5), rng.range(1, 7), clock(rng.range(8 * 60, 13 * 60))));
    }
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"", &table(&labels.join("\n")))
        .source("events", SOURCE, &table(&events.join("\n")))
        .source(
            "shops",
            "kind = \"changelog\"\ntime = \"ts\"\nid = [\"shop\"]\ndeleted = \"op = 'D'\"",
            &table(&shops.join("\n")),
        )
        .view("v", sql);
    (project, asked)
}

#[test]
fn the_events_that_count_give_the_value_of_the_dataset() {
    for (shape, sql) in SHAPES.iter().enumerate() {
        for seed in 0..2 {
            let (project, asked) = project(seed * 100 + shape as u64, sql);
            let dataset = project.dataset();
            let cells: BTreeMap<(String, String), String> =
                shown(&dataset, "user").into_iter().zip(shown(&dataset, "at")).zip(shown(&dataset, "x")).collect();
            for (user, at) in asked {
                let at = clock(at);
                let told = trace(&project, "v.x", &[&format!("user={user}")], &format!("{at}:00Z"));
                let context = format!("shape {shape}, seed {seed}, {user} at {at}: {told:#?}");
                assert!(told.attribution.exact, "{context}");
                let cell = &cells[&(user, format!("{at}:00Z"))];
                assert_eq!(told.value.is_null(), cell == "NULL", "{cell} {context}");
                match (&told.value, cell.parse::<f64>()) {
                    (Value::Number(n), Ok(cell)) => assert_eq!(n.as_f64().unwrap(), cell, "{context}"),
                    (value, _) => assert!(value.is_null(), "{context}"),
                }
                arithmetic(shape, &told, &context);
            }
        }
    }
}

/// The values of shapes that a loop can compute.
fn arithmetic(shape: usize, told: &backcast::trace::Trace, context: &str) {
    let counting: Vec<_> = told.events.iter().filter(|e| e.counts == Some(true) && e.source == "events").collect();
    let numbers: Vec<i64> = counting.iter().filter_map(|e| e.values.get("n").and_then(Value::as_i64)).collect();
    let value = told.value.as_i64();
    let none = numbers.is_empty();
    match shape {
        0 | 11 => assert_eq!(value.unwrap_or(0), i64::try_from(counting.len()).unwrap(), "{context}"),
        1 => assert_eq!(value, (!none).then(|| numbers.iter().sum()), "{context}"),
        2 => assert_eq!(value, numbers.iter().max().copied(), "{context}"),
        3 => assert_eq!(value, numbers.iter().min().copied(), "{context}"),
        5 | 6 => assert!(counting.len() <= 1 && value == numbers.first().copied(), "{context}"),
        _ => {}
    }
}
