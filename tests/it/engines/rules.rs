//! The rules of single operators, with values that a person can work out from the tables of [`super::operators`], on both engines.

use super::operators::{chosen, project};
use crate::support::{Project, shown, table};

/// SQL, one of its columns, and its values by label: user 1 on the 9th at 12:00, nobody, 1, 2 and 3 on the 10th at 12:00, 2 on
/// the 10th at 23:00, 1 on the 11th.
type Case = (&'static str, &'static str, [&'static str; 7]);

#[track_caller]
fn holds((sql, column, expected): Case) {
    let project = project().view("v", sql);
    for (view, engine, reason) in chosen(&project) {
        assert_ne!(engine, "reference", "{view}: {reason}\n{sql}");
    }
    assert_eq!(shown(&project.dataset(), column), expected, "{sql}");
}

#[test]
fn rollup_has_the_totals_of_a_key() {
    holds((
        "SELECT user_id, n FROM (SELECT user_id, x, count(*) AS n FROM events GROUP BY ROLLUP (user_id, x))
         WHERE user_id IS NOT NULL AND x IS NULL",
        "n",
        ["1", "NULL", "2", "2", "NULL", "2", "3"],
    ));
    holds((
        "SELECT user_id, n FROM (SELECT user_id, kind, count(*) AS n, grouping(kind) AS g FROM events
         GROUP BY CUBE (user_id, kind)) WHERE g = 1",
        "n",
        ["1", "NULL", "2", "2", "NULL", "2", "3"],
    ));
}

#[test]
fn empty_grouping_set_has_a_row_where_nothing_is_visible_and_the_others_have_none() {
    let sql = "SELECT count(*) AS sets, sum(n) AS n FROM (SELECT kind, count(*) AS n FROM events
               WHERE ts > NOW() - INTERVAL '1 hour' GROUP BY GROUPING SETS ((kind), ()))";
    // On the 9th at 12:00 an event of that very time; on the 10th at 12:00 nothing of the last hour.
    holds((sql, "sets", ["2", "1", "1", "1", "1", "1", "1"]));
    holds((sql, "n", ["2", "0", "0", "0", "0", "0", "0"]));
}

#[test]
fn equal_grouping_sets_count_twice_and_grouping_knows_its_columns() {
    let sql =
        "SELECT sum(n) AS n, sum(g) AS g, count(*) AS c FROM (SELECT kind, count(*) AS n, grouping(kind, user_id) AS g
               FROM events GROUP BY GROUPING SETS ((kind), (user_id), (user_id), ()))";
    // At first 1 kind and 1 user: 1 + 2 + 2 + 3 = 8. Then kinds a and NULL, users 1, 2 and NULL: 2 * 1 + 6 * 2 + 3 = 17.
    holds((sql, "g", ["8", "17", "17", "17", "17", "18", "18"]));
    holds((sql, "n", ["4", "20", "20", "20", "20", "24", "24"]));
    holds((sql, "c", ["4", "9", "9", "9", "9", "10", "10"]));
}

#[test]
fn sets_without_the_key_are_left_out_and_grouping_still_knows_its_columns() {
    let sql = "SELECT user_id, sum(g) AS g, sum(n) AS n FROM (SELECT user_id, kind, x > 2 AS large, count(*) AS n,
               grouping(kind, x > 2, user_id) AS g FROM events
               GROUP BY GROUPING SETS ((x > 2), (kind, user_id), (user_id), ())) GROUP BY user_id";
    // `(kind, user_id)` gives 010, `(user_id)` gives 110.
    holds((sql, "g", ["8", "NULL", "10", "8", "NULL", "8", "12"]));
    holds((sql, "n", ["2", "NULL", "4", "4", "NULL", "4", "6"]));
}

#[test]
fn key_that_is_made_of_a_group_is_bound_above_the_sets() {
    holds((
        "SELECT coalesce(user_id, 3) AS user_id, n FROM (SELECT user_id, count(*) AS n FROM events
         WHERE user_id IS NOT NULL GROUP BY GROUPING SETS ((user_id), ()))",
        "n",
        ["1", "NULL", "2", "2", "4", "2", "3"],
    ));
}

#[test]
fn grouping_sets_may_name_the_label_time() {
    holds((
        "SELECT user_id, max(n) AS n FROM (SELECT user_id, today, count(*) AS n FROM (SELECT user_id,
         ts >= date_trunc('day', NOW()) AS today FROM events) GROUP BY ROLLUP (user_id, today)) WHERE today GROUP BY user_id",
        "n",
        ["1", "NULL", "1", "2", "NULL", "2", "NULL"],
    ));
}

#[test]
fn values_may_hold_the_label_time() {
    let sql = "SELECT user_id, t, c FROM (VALUES (1, NOW(), 'a'), (2, NOW() - INTERVAL '1 day', 'b'),
               (3, TIMESTAMP '2025-01-01T00:00:00', 'c')) AS v (user_id, t, c)";
    let t = [
        "2025-03-09T12:00:00Z",
        "NULL",
        "2025-03-10T12:00:00Z",
        "2025-03-09T12:00:00Z",
        "2025-01-01T00:00:00Z",
        "2025-03-09T23:00:00Z",
        "2025-03-11T00:00:00Z",
    ];
    holds((sql, "t", t));
    holds((sql, "c", ["a", "NULL", "a", "b", "c", "b", "a"]));
}

#[test]
fn full_join_may_name_the_label_time() {
    holds((
        "SELECT coalesce(a.user_id, b.user_id) AS user_id, count(*) AS n FROM users a FULL JOIN users b
         ON a.user_id = b.user_id AND a.ts > NOW() - INTERVAL '1 day' GROUP BY coalesce(a.user_id, b.user_id)",
        "n",
        // Where the first row is too old the two do not meet, and are a row each.
        ["2", "NULL", "1", "NULL", "1", "NULL", "1"],
    ));
}

const SIDES: &str = "(SELECT user_id, count(*) AS n FROM events WHERE ts > NOW() - INTERVAL '1 day' GROUP BY user_id) a
    FULL JOIN (SELECT user_id, count(*) AS n FROM users GROUP BY user_id) b ON a.user_id = b.user_id";

#[test]
fn full_join_by_the_key_of_either_side_is_bound_on_both() {
    let sql = format!("SELECT coalesce(a.user_id, b.user_id) AS user_id, a.n AS an, b.n AS bn FROM {SIDES}");
    let project = project().view("v", &sql);
    let plan = project.backcast(&["explain", "v"]).exits_with(0).stdout;
    assert_eq!(plan.matches(".key0 AS").count(), 2, "{plan}");
    let dataset = project.dataset();
    assert_eq!(shown(&dataset, "an"), ["1", "NULL", "1", "2", "NULL", "2", "1"]);
    assert_eq!(shown(&dataset, "bn"), ["1", "NULL", "1", "NULL", "1", "NULL", "1"]);
}

#[test]
fn full_joins_one_after_the_other_are_bound_by_the_first_key_that_is_known() {
    let sql = format!(
        "SELECT coalesce(a.user_id, b.user_id, c.user_id) AS user_id, a.n AS an, b.n AS bn, c.n AS cn FROM {SIDES}
         FULL JOIN (SELECT user_id, max(x) AS n FROM events GROUP BY user_id) c
         ON coalesce(a.user_id, b.user_id) = c.user_id"
    );
    let project = project().view("v", &sql);
    let plan = project.backcast(&["explain", "v"]).exits_with(0).stdout;
    assert_eq!(plan.matches(".key0 AS").count(), 3, "{plan}");
    let dataset = project.dataset();
    assert_eq!(shown(&dataset, "bn"), ["1", "NULL", "1", "NULL", "1", "NULL", "1"]);
    assert_eq!(shown(&dataset, "cn"), ["1", "NULL", "3", "5", "NULL", "5", "3"]);
}

#[test]
fn outer_join_by_the_key_of_one_side_needs_no_rows_of_the_other_alone() {
    let left = format!("SELECT a.user_id, a.n AS an, b.n AS bn FROM {SIDES}");
    let right = format!("SELECT b.user_id, a.n AS an, b.n AS bn FROM {SIDES}");
    let lone = left.replace("a.user_id, a.n", "b.user_id, a.n").replace("FULL JOIN", "LEFT JOIN");
    let cases: [(&str, [&str; 7]); 3] = [
        (&left, ["1", "NULL", "1", "NULL", "NULL", "NULL", "1"]),
        (&right, ["1", "NULL", "1", "NULL", "1", "NULL", "1"]),
        (&lone, ["1", "NULL", "1", "NULL", "NULL", "NULL", "1"]),
    ];
    for (sql, expected) in cases {
        let project = project().view("v", sql);
        let plan = project.backcast(&["explain", "v"]).exits_with(0).stdout;
        assert!(!plan.contains("Full Join"), "{plan}");
        assert_eq!(shown(&project.dataset(), "bn"), expected, "{sql}");
    }
}

#[test]
fn limit_of_rows_that_nobody_looks_at_counts_them() {
    let sql = "SELECT count(*) AS n FROM (SELECT 1 FROM events LIMIT 3)";
    holds((sql, "n", ["1", "3", "3", "3", "3", "3", "3"]));
    let sql = "SELECT count(*) AS n FROM (SELECT user_id FROM events ORDER BY ts LIMIT 1 + 1)";
    holds((sql, "n", ["1", "2", "2", "2", "2", "2", "2"]));
}

#[test]
fn list_that_is_compared_with_the_label_time_may_be_unnested() {
    holds((
        "SELECT user_id, sum(i) AS s FROM (SELECT user_id, unnest(l) AS i FROM (SELECT user_id, [x, x * 2] AS l FROM events)
         WHERE l[1] < extract(hour FROM NOW())) GROUP BY user_id",
        "s",
        ["3", "NULL", "12", "27", "NULL", "27", "NULL"],
    ));
}

#[test]
fn lag_and_lead_may_default_to_the_label_time() {
    let last = [
        "2025-03-09T12:00:00Z",
        "NULL",
        "2025-03-10T12:00:00Z",
        "2025-03-10T12:00:00Z",
        "NULL",
        "2025-03-10T23:00:00Z",
        "2025-03-11T00:00:00Z",
    ];
    for nulls in ["", "IGNORE NULLS"] {
        let sql: &'static str = match nulls {
            "" => {
                "SELECT user_id, max(g) AS g FROM (SELECT user_id, lead(ts, 1, NOW()) OVER
                   (PARTITION BY user_id ORDER BY ts) AS g FROM events) GROUP BY user_id"
            }
            _ => {
                "SELECT user_id, max(g) AS g FROM (SELECT user_id, lead(ts, 1, NOW()) IGNORE NULLS OVER
                  (PARTITION BY user_id ORDER BY ts) AS g FROM events) GROUP BY user_id"
            }
        };
        holds((sql, "g", last));
    }
}

#[test]
fn rank_and_row_number_of_one_window_have_an_order_each() {
    holds((
        "SELECT DISTINCT user_id, max(r * 10 + n) OVER (PARTITION BY user_id) AS m FROM (SELECT user_id,
         rank() OVER (PARTITION BY user_id ORDER BY ts) AS r, row_number() OVER (PARTITION BY user_id ORDER BY ts) AS n
         FROM events)",
        "m",
        // The events of user 2 are of one time: both are first, and one of them is second in line.
        ["11", "NULL", "22", "12", "NULL", "12", "33"],
    ));
}

#[test]
fn having_that_names_no_column_decides_whether_there_is_a_row() {
    let sql = "SELECT count(*) AS n FROM events HAVING NOW() > TIMESTAMP '2025-03-10T15:00:00'";
    holds((sql, "n", ["NULL", "NULL", "NULL", "NULL", "NULL", "6", "6"]));
    let sql = "SELECT sum(n) AS n FROM (SELECT kind, count(*) AS n FROM events GROUP BY GROUPING SETS ((kind), ())
               HAVING NOW() > TIMESTAMP '2025-03-10T15:00:00')";
    holds((sql, "n", ["NULL", "NULL", "NULL", "NULL", "NULL", "12", "12"]));
}

#[test]
fn rows_that_no_label_sees_are_not_asked_what_would_fail() {
    // The version with 0 was gone before the label's time.
    let events = table(
        "user_id:i64 ts:us@UTC         x:i64 t:str
         1           2025-03-10T11:00  0     never
         1           2025-03-10T11:30  4     2025-03-10T11:30:00",
    );
    let labels = table("user_id:i64 at:us@UTC\n1 2025-03-10T12:00");
    let recent = "FROM events WHERE ts > NOW() - INTERVAL '1 day'";
    let of_key = [
        format!("SELECT user_id, count(*) AS f {recent} AND 100 / x > 3 GROUP BY user_id"),
        format!("SELECT user_id, sum(y) / 25 AS f FROM (SELECT user_id, 100 / x AS y, ts {recent}) GROUP BY user_id"),
        format!("SELECT user_id, count(*) AS f {recent} AND CAST(t AS TIMESTAMP) < NOW() GROUP BY user_id"),
        format!(
            "SELECT a.user_id, count(*) AS f FROM (SELECT user_id, 100 / x AS y {recent}) a JOIN
                 (SELECT user_id, x % x AS z {recent}) b ON a.user_id = b.user_id AND a.y > b.z GROUP BY a.user_id"
        ),
        format!("SELECT count(*) AS f {recent} AND 100 / x > 3"),
    ];
    for sql in of_key {
        let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
            .source("events", "kind = \"changelog\"\ntime = \"ts\"\nid = [\"user_id\"]", &events)
            .view("v", &sql);
        // A forced engine does not go back to the reference where it fails.
        for engine in [backcast::replay::Engine::Reference, backcast::replay::Engine::Rewrite] {
            let dataset = project.by(engine).unwrap_or_else(|e| panic!("{engine:?}: {e}\n{sql}"));
            assert_eq!(shown(&dataset, "f"), ["1"], "{engine:?}: {sql}");
        }
    }
}

#[test]
fn right_and_full_join_using_are_refused() {
    for join in ["FULL JOIN users USING (user_id)", "RIGHT JOIN users USING (user_id)", "NATURAL FULL JOIN users"] {
        let sql = format!("SELECT user_id, count(*) AS n FROM events {join} GROUP BY user_id");
        let ran = project().view("v", &sql).backcast(&["replay"]).exits_with(2);
        ran.complains_of(&["JOIN", "can't be replayed", "v.sql:1:", "coalesce(a.k, b.k) AS k"]);
    }
    holds((
        "SELECT user_id, count(*) AS n FROM events LEFT JOIN users USING (user_id) GROUP BY user_id",
        "n",
        ["1", "NULL", "2", "2", "NULL", "2", "3"],
    ));
}

#[test]
fn keys_may_be_derived_several_or_null() {
    holds((
        // The key of a row is one of two columns, and an expression.
        "SELECT k + 1 AS user_id, sum(x) AS s FROM (SELECT CASE WHEN kind IS NULL THEN 0 ELSE user_id - 1 END AS k, x FROM events
         WHERE user_id IS NOT NULL) GROUP BY k",
        "s",
        ["1", "NULL", "4", "9", "NULL", "9", "6"],
    ));
    holds((
        // The NULL key of an event matches no label, the NULL key of a label no row.
        "SELECT user_id, count(*) AS n FROM events GROUP BY user_id UNION ALL SELECT 3, 7 UNION ALL SELECT NULL, 8",
        "n",
        ["1", "NULL", "2", "2", "7", "2", "3"],
    ));
    let labels = table(
        "user_id:i64 kind:str at:us@UTC
         1           a        2025-03-10T12:00
         1           b        2025-03-10T12:00
         2           a        2025-03-10T12:00
         -           a        2025-03-10T12:00
         2           -        2025-03-10T12:00",
    );
    let events = table(
        "user_id:i64 kind:str ts:us@UTC         x:i64
         1           a        2025-03-10T11:00  1
         1           a        2025-03-10T11:01  2
         1           b        2025-03-10T11:02  4
         2           -        2025-03-10T11:03  8
         -           a        2025-03-10T11:04  16",
    );
    let project = Project::new("keys = [\"user_id\", \"kind\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"", &events)
        .view("both", "SELECT user_id, kind, sum(x) AS both_keys FROM events GROUP BY user_id, kind")
        .view("one", "SELECT kind, sum(x) AS one_key FROM events GROUP BY kind")
        .view("sets", "SELECT user_id, sum(x) AS of_sets FROM events GROUP BY GROUPING SETS ((user_id), (kind))")
        .view("none", "SELECT sum(x) AS no_key FROM events");
    for (view, engine, reason) in chosen(&project) {
        assert_ne!(engine, "reference", "{view}: {reason}");
    }
    // Labels in the order of their keys, NULL first.
    let dataset = project.dataset();
    assert_eq!(shown(&dataset, "both_keys"), ["NULL", "3", "4", "NULL", "NULL"]);
    assert_eq!(shown(&dataset, "one_key"), ["19", "19", "4", "NULL", "19"]);
    assert_eq!(shown(&dataset, "of_sets"), ["NULL", "7", "7", "8", "8"]);
    assert_eq!(shown(&dataset, "no_key"), ["31"; 5]);
}
