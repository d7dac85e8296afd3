//! The lookback of each feature, by `explain`.

use crate::support::{Project, table};

fn project() -> Project {
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00");
    let events = table("user_id:i64 ts:us@UTC kind:str amount:f64\n 1 2025-03-10T11:00 buy 1.5");
    let users = table("user_id:i64 updated:us@UTC tier:str\n 1 2025-01-10T11:00 gold");
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels).source("events", "time = \"ts\"", &events).source(
        "users",
        "kind = \"changelog\"\ntime = \"updated\"\nid = [\"user_id\"]",
        &users,
    )
}

/// By feature: its readings, and what decides whether there is a row.
#[track_caller]
fn reads(project: &Project, view: &str, expected: &[(&str, &str, &str)]) {
    let document = project.backcast(&["explain", view, "--format", "json"]).exits_with(0).json();
    let told = |all: &serde_json::Value| {
        let all = all.as_array().unwrap().iter();
        all.map(|r| format!("{} {}", r["source"].as_str().unwrap(), r["lookback"].as_str().unwrap()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let features = document["views"][0]["features"].as_array().unwrap();
    let own: Vec<(String, String, String)> = features
        .iter()
        .map(|f| (f["column"].as_str().unwrap().to_string(), told(&f["lookback"]), told(&f["presence"])))
        .collect();
    let own: Vec<(&str, &str, &str)> = own.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(own, expected);
}

#[test]
fn each_window_of_a_view_has_its_own_lookback() {
    let project = project().view_with(
        "v",
        "features.n1 = { when_missing = 0 }",
        "SELECT user_id, count(*) FILTER (WHERE ts > NOW() - INTERVAL '1 day') AS n1, \
         count(*) FILTER (WHERE ts > NOW() - INTERVAL '1 day') AS n1_or_null, \
         sum(amount) FILTER (WHERE ts > NOW() - INTERVAL '1 day') AS s1, \
         sum(CASE WHEN ts >= NOW() - INTERVAL '7 days' THEN amount END) AS s7, \
         sum(CASE WHEN ts >= NOW() - INTERVAL '7 days' THEN amount ELSE 0 END) AS z7, \
         count(*) AS n90, \
         count(*) FILTER (WHERE ts >= date_trunc('month', NOW()) - INTERVAL '1 month') AS since_last_month \
         FROM events WHERE ts > NOW() - INTERVAL '90 days' GROUP BY user_id",
    );
    reads(
        &project,
        "v",
        &[
            ("n1", "events P1D", ""),
            ("n1_or_null", "events P1D", "events P90D"),
            ("s1", "events P1D", ""),
            ("s7", "events P7D", ""),
            ("z7", "events P7D", "events P90D"),
            ("n90", "events P90D", ""),
            ("since_last_month", "events P2M", "events P90D"),
        ],
    );
}

#[test]
fn lookbacks_pass_through_views_joins_and_unions() {
    let project = project()
        .view_with("recent", "helper = true", "SELECT user_id, ts, amount FROM events WHERE ts > NOW() - INTERVAL '30 days'")
        .view("v", "SELECT user_id, sum(amount) AS recent FROM recent WHERE ts > NOW() - INTERVAL '1 month' GROUP BY user_id")
        .view(
            "joined",
            "SELECT u.user_id, u.tier, coalesce(a.n, 0) AS n, a.s AS s FROM users u LEFT JOIN \
             (SELECT user_id, count(*) FILTER (WHERE ts > NOW() - INTERVAL '2 days') AS n, sum(amount) AS s FROM events \
              WHERE ts > NOW() - INTERVAL '5 days' GROUP BY user_id) a ON a.user_id = u.user_id",
        )
        .view(
            "united",
            "SELECT user_id, count(*) FILTER (WHERE at > NOW() - INTERVAL '3 hours') AS c FROM \
             (SELECT user_id, ts AS at FROM events UNION ALL SELECT user_id, updated FROM users) GROUP BY user_id",
        );
    // Both bounds hold; in February a month is longer than 30 days only by the calendar.
    reads(&project, "v", &[("recent", "events P30D", "")]);
    reads(
        &project,
        "joined",
        &[("tier", "users unbounded", ""), ("n", "events P2D", "users unbounded"), ("s", "events P5D", "")],
    );
    reads(&project, "united", &[("c", "events PT3H, users PT3H", "events unbounded, users unbounded")]);
}

#[test]
fn what_nothing_bounds_is_unbounded() {
    let project = project()
        .view("v", "SELECT user_id, count(*) AS n, max(ts) AS latest FROM events GROUP BY user_id")
        .view("either", "SELECT user_id, count(*) AS m FROM events WHERE ts > NOW() - INTERVAL '1 day' OR kind = 'buy' GROUP BY user_id")
        .view("fewer", "SELECT user_id, max(amount) AS x FROM events WHERE ts > NOW() - INTERVAL '9 days' GROUP BY user_id \
               HAVING count(*) FILTER (WHERE ts > NOW() - INTERVAL '1 day') > 1");
    reads(&project, "v", &[("n", "events unbounded", ""), ("latest", "events unbounded", "")]);
    reads(&project, "either", &[("m", "events unbounded", "")]);
    reads(&project, "fewer", &[("x", "events P9D", "")]);
}

#[test]
fn what_rows_are_held_against_is_not_bounded_by_their_own_time() {
    let project = project()
        .view("some", "SELECT user_id, sum(amount) AS largest FROM (SELECT * FROM events ORDER BY amount DESC LIMIT 3) e \
               WHERE ts > NOW() - INTERVAL '1 day' GROUP BY user_id")
        .view("first", "SELECT user_id, max(amount) AS early FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY ts) AS n FROM events) e \
               WHERE n <= 3 AND ts > NOW() - INTERVAL '1 day' GROUP BY user_id")
        .view("before", "SELECT user_id, max(step) AS step FROM (SELECT user_id, ts, amount - lag(amount) OVER (PARTITION BY user_id ORDER BY ts) AS step \
               FROM events) e WHERE ts > NOW() - INTERVAL '1 day' GROUP BY user_id")
        .view("within", "SELECT user_id, max(step) AS inner_step FROM (SELECT user_id, ts, amount - lag(amount) OVER (PARTITION BY user_id ORDER BY ts) AS step \
               FROM events WHERE ts > NOW() - INTERVAL '2 days') e WHERE ts > NOW() - INTERVAL '1 day' GROUP BY user_id")
        .view("last", "SELECT user_id, max(amount) AS latest FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY ts DESC) AS n FROM events) e \
               WHERE n = 1 AND ts > NOW() - INTERVAL '1 day' GROUP BY user_id");
    reads(&project, "some", &[("largest", "events unbounded", "")]);
    reads(&project, "first", &[("early", "events unbounded", "")]);
    reads(&project, "before", &[("step", "events unbounded", "")]);
    reads(&project, "within", &[("inner_step", "events P2D", "")]);
    // Ranks from the latest on: no older row changes them.
    reads(&project, "last", &[("latest", "events P1D", "")]);
}

#[test]
fn a_finer_unit_than_that_of_now_hides_no_bound() {
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00");
    let events = table("user_id:i64 ts:ns@UTC\n 1 2025-03-01T12:00");
    let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"", &events)
        .view("v", "SELECT user_id, max(ts) AS a FROM events WHERE ts > NOW() - INTERVAL '7 days' GROUP BY user_id")
        .view("w", "SELECT user_id, max(ts) AS b FROM events WHERE ts >= NOW() - INTERVAL '1 month' GROUP BY user_id")
        .view("x", "SELECT user_id, max(ts) AS c FROM events WHERE ts BETWEEN NOW() - INTERVAL '1 day' AND NOW() GROUP BY user_id");
    reads(&project, "v", &[("a", "events P7D", "")]);
    reads(&project, "w", &[("b", "events P1M", "")]);
    reads(&project, "x", &[("c", "events P1D", "")]);
}
