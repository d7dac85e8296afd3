//! Comparisons are exact: of timestamps of any units, and of zeros of either sign.

use super::labels_at;
use crate::support::{Project, shown, table};

const LOG: &str = "time = \"ts\"\nid = [\"id\"]";

/// By condition, the ids of the rows that it holds for, at 12:00 and a tick later.
fn valid_until(unit: &str, label_unit: &str, conditions: &[&str]) -> Vec<[String; 2]> {
    let end = if unit == "ns" { "2262-04-11T23:47:16" } else { "9999-12-31T23:59:59" };
    let rows = table(&format!(
        "id:i64 user:str ts:us@UTC         until:{unit}@UTC
         1      a        2025-03-10T10:00  2025-03-10T12:00
         2      a        2025-03-10T10:00  2025-03-10T11:59:59
         3      a        2025-03-10T10:00  {end}
         4      a        2025-03-10T10:00  -"
    ));
    let labels = table(&format!(
        "user:str at:{label_unit}@UTC
         a        2025-03-10T12:00:00
         a        2025-03-10T12:00:00.{}",
        if label_unit == "ns" { "000000001" } else { "000001" }
    ));
    let mut project = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels).source("events", LOG, &rows);
    for (i, condition) in conditions.iter().enumerate() {
        let ids = format!("string_agg(CAST(id AS VARCHAR), ',') AS v{i}");
        let sql = format!("SELECT \"user\", {ids} FROM events WHERE {condition} GROUP BY 1");
        project = project.view(&format!("v{i}"), &sql);
    }
    let dataset = project.dataset();
    let values = |i| shown(&dataset, &format!("v{i}")).try_into().expect("two labels");
    (0..conditions.len()).map(values).collect()
}

#[test]
fn sentinels_beyond_the_reach_of_nanoseconds_compare_with_label_times_that_need_them() {
    let cases = [
        ("until > NOW()", ["3", "3"]),
        ("until >= NOW()", ["1,3", "3"]),
        ("NOW() > until", ["2", "1,2"]),
        ("until <= NOW()", ["1,2", "1,2"]),
        ("until = NOW()", ["1", "NULL"]),
        ("until <> NOW()", ["2,3", "1,2,3"]),
        ("NOT (until = NOW())", ["2,3", "1,2,3"]),
        ("until IS DISTINCT FROM NOW()", ["2,3,4", "1,2,3,4"]),
        ("NOW() BETWEEN ts AND until", ["1,3", "3"]),
        ("until NOT BETWEEN ts AND NOW()", ["3", "3"]),
    ];
    for (unit, label_unit) in [("s", "ns"), ("us", "us"), ("us", "ns"), ("ns", "us"), ("ns", "ns")] {
        let found = valid_until(unit, label_unit, &cases.map(|(sql, _)| sql));
        for ((sql, expected), found) in cases.iter().zip(found) {
            assert_eq!(found, *expected, "{sql}: {unit} against {label_unit}");
        }
    }
}

#[test]
fn literals_beyond_the_reach_of_nanoseconds_compare_with_columns_of_any_unit() {
    // By condition: where the column reaches the year 9999, and where its last instant is of 2262.
    let cases = [
        ("until < '9999-12-31T23:59:59'", "1,2", "1,2,3"),
        ("until < TIMESTAMP '9999-12-31 23:59:59.5'", "1,2,3", "1,2,3"),
        ("until = TIMESTAMP '9999-12-31 23:59:59'", "3", "NULL"),
        ("until > TIMESTAMP '0001-01-01'", "1,2,3", "1,2,3"),
        ("until = '2025-03-10T12:00:00.0000001'", "NULL", "NULL"),
        ("until < '2025-03-10T12:00:00.0000001'", "1,2", "1,2"),
        ("until BETWEEN '0001-01-01' AND '9999-12-30'", "1,2", "1,2,3"),
    ];
    for unit in ["s", "us", "ns"] {
        let found = valid_until(unit, "us", &cases.map(|(sql, _, _)| sql));
        for ((sql, far, near), [found, _]) in cases.iter().zip(found) {
            assert_eq!(found, if unit == "ns" { *near } else { *far }, "{sql}: {unit}");
        }
    }
}

#[test]
fn zeros_of_either_sign_are_one_value() {
    let rows = table(
        "user:str ts:us@UTC         x:f64
         a        2025-03-10T10:00  -0.0
         a        2025-03-10T10:01  0.0
         a        2025-03-10T10:02  -0.0
         a        2025-03-10T10:03  1.5",
    );
    let views = [
        ("counted", "SELECT \"user\", count(DISTINCT x) AS counted FROM events GROUP BY 1", "2"),
        ("grouped", "SELECT \"user\", count(*) AS grouped FROM (SELECT \"user\", x FROM events GROUP BY 1, 2) GROUP BY 1", "2"),
        // The group has one value, whichever row came first: one over it is positive.
        (
            "shown",
            "SELECT \"user\", string_agg(CAST(1 / x AS VARCHAR), ',') AS shown FROM (SELECT DISTINCT \"user\", x FROM events)
             GROUP BY 1",
            "0.6666666666666666,inf",
        ),
        (
            "joined",
            "SELECT a.\"user\", count(*) AS joined FROM events a JOIN events b ON a.\"user\" = b.\"user\" AND a.x = b.x GROUP BY 1",
            "10",
        ),
        (
            "ranked",
            "SELECT \"user\", sum(r) AS ranked FROM (SELECT \"user\", rank() OVER (PARTITION BY \"user\" ORDER BY x) AS r
             FROM events) GROUP BY 1",
            "7",
        ),
        (
            "parts",
            "SELECT \"user\", max(n) AS parts FROM (SELECT \"user\", count(*) OVER (PARTITION BY \"user\", x) AS n FROM events)
             GROUP BY 1",
            "3",
        ),
    ];
    let mut project = labels_at(&["2025-03-10T11:00"]).source("events", "time = \"ts\"", &rows);
    for (name, sql, _) in views {
        project = project.view(name, sql);
    }
    let dataset = project.dataset();
    for (name, sql, expected) in views {
        assert_eq!(shown(&dataset, name), [expected], "{sql}");
    }
}

#[test]
fn zeros_of_either_sign_are_one_key() {
    let labels = table("k:f64 at:us@UTC\n0.0 2025-03-10T11:00\n-0.0 2025-03-10T11:00\n1.5 2025-03-10T11:00");
    let rows = table("k:f64 ts:us@UTC\n-0.0 2025-03-10T10:00\n0.0 2025-03-10T10:01\n1.5 2025-03-10T10:02");
    let project = Project::new("keys = [\"k\"]\ntime = \"at\"", &labels).source("events", "time = \"ts\"", &rows);
    let project = project.view("v", "SELECT k, count(*) AS n FROM events GROUP BY k");
    assert_eq!(shown(&project.dataset(), "n"), ["2", "2", "1"]);
}
