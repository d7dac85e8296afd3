//! Lengths of time as PostgreSQL compares, takes apart and multiplies them.

use crate::support::{Project, shown, table};

fn project() -> Project {
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00\n 1 2025-03-12T00:00:00.5");
    let events = table(
        "user_id:i64 ts:us@UTC               x:i64 d:dec
         1           2025-03-08T09:30        5     1.25
         1           2025-03-10T10:00:00.25  7     2.35
         1           2025-03-10T11:00        -     -",
    );
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels).source("events", "time = \"ts\"", &events)
}

#[track_caller]
fn gives(sql: &str, values: [&str; 2]) {
    let found = shown(&project().view("w", sql).dataset(), "v");
    assert_eq!(found, values, "{sql}");
}

#[test]
fn lengths_are_compared_as_lengths_everywhere() {
    for (condition, values) in [
        ("NOW() - ts > INTERVAL '1 day'", ["1", "3"]),
        ("NOW() - ts <= INTERVAL '26 hours'", ["2", "NULL"]),
        ("INTERVAL '1 hour' < NOW() - ts", ["2", "3"]),
        ("NOW() - ts BETWEEN INTERVAL '1 hour' AND INTERVAL '2 days'", ["2", "2"]),
        ("NOT (NOW() - ts >= INTERVAL '50.5 hours')", ["2", "2"]),
        ("x * INTERVAL '10 hours' >= NOW() - ts", ["1", "1"]),
        ("ts - NOW() < INTERVAL '-2 days'", ["1", "1"]),
        ("INTERVAL '1 day' = INTERVAL '24 hours' AND INTERVAL '1 month' = INTERVAL '30 days'", ["3", "3"]),
    ] {
        gives(&format!("SELECT user_id, count(*) AS v FROM events WHERE {condition} GROUP BY user_id"), values);
    }
    gives(
        "SELECT user_id, count(*) AS v FROM events GROUP BY user_id HAVING NOW() - max(ts) < INTERVAL '2 hours'",
        ["3", "NULL"],
    );
    gives(
        "SELECT a.user_id, count(b.ts) AS v FROM events a LEFT JOIN events b ON a.user_id = b.user_id
         AND a.ts > b.ts AND a.ts - b.ts < INTERVAL '1 hour' GROUP BY a.user_id",
        ["1", "1"],
    );
    gives(
        "SELECT DISTINCT user_id, count(*) FILTER (WHERE NOW() - ts > INTERVAL '1 day') OVER (PARTITION BY user_id) AS v
         FROM events",
        ["1", "3"],
    );
}

#[test]
fn parts_of_lengths_keep_their_fraction() {
    for (expression, values) in [
        ("sum(EXTRACT(EPOCH FROM NOW() - ts))", ["192599.75", "581401.25"]),
        ("min(EXTRACT(day FROM NOW() - ts) * 100 + EXTRACT(hour FROM NOW() - ts))", ["1", "113"]),
        ("max(EXTRACT(minute FROM NOW() - ts))", ["59", "30"]),
        ("max(EXTRACT(second FROM NOW() - ts))", ["59.75", "0.5"]),
        ("min(date_part('second', ts - NOW()))", ["-59.75", "-0.5"]),
        ("max(EXTRACT(second FROM ts))", ["0.25", "0.25"]),
        ("min(EXTRACT(EPOCH FROM ts))", ["1741426200.0", "1741426200.0"]),
        ("max(EXTRACT(EPOCH FROM INTERVAL '1 year 1 month 1 day 0.5 seconds'))", ["34236000.5", "34236000.5"]),
        ("max(EXTRACT(EPOCH FROM ts::time))", ["39600.0", "39600.0"]),
        ("max(EXTRACT(EPOCH FROM ts::date))", ["1741564800.0", "1741564800.0"]),
    ] {
        gives(&format!("SELECT user_id, {expression} AS v FROM events GROUP BY user_id"), values);
    }
}

#[test]
fn a_date_and_hours_make_a_timestamp() {
    for (expression, values) in [
        ("CURRENT_DATE - INTERVAL '90 minutes'", ["2025-03-09T22:30:00", "2025-03-11T22:30:00"]),
        ("INTERVAL '1 hour' + CURRENT_DATE", ["2025-03-10T01:00:00", "2025-03-12T01:00:00"]),
        ("CURRENT_DATE - INTERVAL '48 hours'", ["2025-03-08", "2025-03-10"]),
        ("CURRENT_DATE - INTERVAL '1 month'", ["2025-02-10", "2025-02-12"]),
        ("max(ts) > CURRENT_DATE - INTERVAL '13 hours'", ["true", "false"]),
    ] {
        gives(&format!("SELECT user_id, {expression} AS v FROM events GROUP BY user_id"), values);
    }
}

#[test]
fn rounded_decimals_have_the_type_they_were_planned_with() {
    gives("SELECT user_id, round(avg(d), 1) AS v FROM events GROUP BY user_id", ["1.8", "1.8"]);
    gives("SELECT user_id, count(*) AS v FROM events GROUP BY user_id HAVING round(sum(d), 1) = 3.6", ["3", "3"]);
    gives(
        "SELECT user_id, sum(n) AS v FROM (SELECT user_id, round(d, 1) AS r, count(*) AS n FROM events
         GROUP BY user_id, round(d, 1)) AS t WHERE r > 1 GROUP BY user_id",
        ["2", "2"],
    );
}
