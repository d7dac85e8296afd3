//! Correlated subqueries and LATERAL, on both engines, against values worked out by hand.

use backcast::replay::Engine;
use datafusion::arrow::array::RecordBatch;

use crate::support::{Project, first_difference, shown, table};

fn project() -> Project {
    let labels = table(
        "user_id:i64 at:us@UTC
         1           2025-03-10T12:00
         2           2025-03-10T12:00
         3           2025-03-10T12:00",
    );
    let events = table(
        "user_id:i64 ts:us@UTC         x:i64
         1           2025-03-10T01:00  1
         1           2025-03-10T02:00  -
         1           2025-03-10T03:00  3
         1           2025-03-10T04:00  7
         2           2025-03-10T01:00  5
         2           2025-03-10T09:00  -
         -           2025-03-10T05:00  9
         1           2025-03-10T13:00  100",
    );
    // User 3 has no event, and no `since`.
    let users = table(
        "user_id:i64 ts:us@UTC         since:us@UTC      y:i64 z:f64
         1           2025-03-08T00:00  2025-03-10T02:00  3     -0.0
         2           2025-03-08T00:00  2025-03-10T02:00  4     NaN
         3           2025-03-08T00:00  -                 -     -",
    );
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels).source("events", "time = \"ts\"", &events).source(
        "users",
        "kind = \"changelog\"\ntime = \"ts\"\nid = [\"user_id\"]",
        &users,
    )
}

/// The dataset by the rewrite, which refuses none of the views, and by the reference.
fn on_both(project: &Project) -> RecordBatch {
    let [rewrite, reference] = [Engine::Rewrite, Engine::Reference].map(|engine| project.by(engine).unwrap());
    assert_eq!(first_difference(&rewrite, &reference), None);
    rewrite
}

/// A view's SQL and its values for users 1, 2 and 3.
const CASES: &[(&str, [&str; 3])] = &[
    ("(SELECT count(*) FROM events e WHERE e.user_id = u.user_id AND e.ts > u.since)", ["2", "1", "0"]),
    ("(SELECT sum(e.x) FROM events e WHERE e.user_id = u.user_id AND e.ts > u.since)", ["10", "NULL", "NULL"]),
    ("(SELECT count(*) + 1 FROM events e WHERE e.user_id = u.user_id)", ["5", "3", "1"]),
    ("(SELECT count(*) FROM events e WHERE e.user_id = u.user_id HAVING count(*) > 2)", ["4", "NULL", "NULL"]),
    ("(SELECT count(*) FROM events e WHERE e.x > u.y)", ["3", "3", "0"]),
    ("(SELECT count(*) FROM events e WHERE e.x IS NOT DISTINCT FROM u.y)", ["1", "0", "2"]),
    ("(SELECT e.x FROM events e WHERE e.user_id = u.user_id ORDER BY e.ts DESC LIMIT 1)", ["7", "NULL", "NULL"]),
    (
        "(SELECT e.x + u.y FROM events e WHERE e.user_id = u.user_id ORDER BY e.ts LIMIT 1 OFFSET 2)",
        ["6", "NULL", "NULL"],
    ),
    ("EXISTS (SELECT 1 FROM events e WHERE e.user_id = u.user_id AND e.ts > u.since)", ["true", "true", "false"]),
    ("u.y IN (SELECT e.x FROM events e WHERE e.user_id = u.user_id)", ["true", "NULL", "false"]),
    ("u.y NOT IN (SELECT e.x FROM events e WHERE e.user_id = u.user_id)", ["false", "NULL", "true"]),
    ("u.y IN (SELECT e.x FROM events e)", ["true", "NULL", "NULL"]),
    ("u.y < ALL (SELECT e.x FROM events e WHERE e.user_id = u.user_id AND e.x > 3)", ["true", "true", "true"]),
    ("u.y > ANY (SELECT e.x FROM events e WHERE e.user_id = u.user_id)", ["true", "NULL", "false"]),
    (
        "(SELECT count(*) FROM (SELECT e.x FROM events e WHERE e.user_id = u.user_id UNION SELECT u.y) AS q)",
        ["4", "3", "1"],
    ),
    (
        "(SELECT max(r) FROM (SELECT sum(e.x) OVER (ORDER BY e.ts) AS r FROM events e WHERE e.user_id = u.user_id) AS q)",
        ["11", "5", "NULL"],
    ),
    // -0.0 and 0.0 are one value of the domain.
    ("(SELECT count(*) FROM events e WHERE e.user_id = u.user_id AND e.x + 0.0 > u.z)", ["3", "0", "0"]),
    (
        "(SELECT count(*) FROM events e WHERE e.user_id = u.user_id AND e.ts > u.since AND e.x * 0.0 <= u.z)",
        ["2", "0", "0"],
    ),
    // The innermost subquery looks two levels up.
    (
        "(SELECT count(*) FROM events e WHERE e.user_id = u.user_id AND EXISTS
          (SELECT 1 FROM events f WHERE f.ts < e.ts AND f.ts > u.since AND f.user_id = u.user_id))",
        ["1", "0", "0"],
    ),
    ("CASE WHEN u.y IS NULL THEN -1 ELSE (SELECT max(v) FROM (VALUES (u.y), (3)) AS t (v)) END", ["3", "4", "-1"]),
    (
        "(SELECT count(*) FROM events e WHERE e.user_id = u.user_id AND e.ts > NOW() - INTERVAL '4 hours')",
        ["0", "1", "0"],
    ),
];

#[test]
fn subqueries_that_look_outside_have_the_values_that_sql_gives_them() {
    let mut project = project();
    for (i, (subquery, _)) in CASES.iter().enumerate() {
        project = project.view(&format!("v{i}"), &format!("SELECT u.user_id, {subquery} AS f{i} FROM users u"));
    }
    let dataset = on_both(&project);
    for (i, (subquery, values)) in CASES.iter().enumerate() {
        assert_eq!(shown(&dataset, &format!("f{i}")), *values, "{subquery}");
    }
}

#[test]
fn a_lateral_join_sees_the_row_on_its_left() {
    let last = "(SELECT e.x, e.ts FROM events e WHERE e.user_id = u.user_id AND e.ts >= u.since ORDER BY e.ts LIMIT 2)";
    let none = "(SELECT count(*) AS n, max(e.x) AS x FROM events e WHERE e.user_id = u.user_id AND e.ts > u.since)";
    let project = project()
        .view("inner_rows", &format!("SELECT u.user_id, count(*) AS a FROM users u, LATERAL {last} l GROUP BY u.user_id"))
        .view(
            "left_rows",
            &format!("SELECT u.user_id, count(*) AS b FROM users u LEFT JOIN LATERAL {last} l ON l.x > u.y - 1 GROUP BY u.user_id"),
        )
        .view("aggregate", &format!("SELECT u.user_id, l.n AS c, l.x AS d FROM users u CROSS JOIN LATERAL {none} l"));
    let dataset = on_both(&project);
    assert_eq!(shown(&dataset, "a"), ["2", "1", "NULL"]);
    assert_eq!(shown(&dataset, "b"), ["1", "1", "1"]);
    assert_eq!(shown(&dataset, "c"), ["2", "1", "0"]);
    assert_eq!(shown(&dataset, "d"), ["7", "NULL", "NULL"]);
}

#[test]
fn a_scalar_subquery_with_two_rows_is_an_error_that_says_where() {
    let several = "SELECT u.user_id,\n (SELECT e.x FROM events e WHERE e.user_id = u.user_id) AS a FROM users u";
    let ran = project().view("several", several).backcast(&["replay"]).exits_with(2);
    ran.complains_of(&["a scalar subquery (line 2, column", "has 4 rows for one row", "LIMIT 1"]);
    let uncorrelated = "SELECT u.user_id, (SELECT e.x FROM events e) AS a FROM users u";
    project().view("uncorrelated", uncorrelated).backcast(&["replay"]).exits_with(2);
    // One row each is no error, and neither is a value that nobody looks at.
    let one = "SELECT u.user_id, (SELECT e.x FROM events e WHERE e.user_id = u.user_id AND e.x > 4) AS a FROM users u";
    let unseen = several.replace("(SELECT", "CASE WHEN u.y < 0 THEN (SELECT").replace(") AS a", ") END AS b");
    let dataset = project().view("one", one).view("unseen", &unseen).dataset();
    assert_eq!(shown(&dataset, "a"), ["7", "5", "NULL"]);
    assert_eq!(shown(&dataset, "b"), ["NULL", "NULL", "NULL"]);
}

#[test]
fn subqueries_that_can_not_be_unnested_are_refused_with_a_number_and_a_caret() {
    let cases = [
        (
            "B165",
            "SELECT e.user_id, (SELECT count(*) FROM users u WHERE u.y = e.x) AS a FROM events e GROUP BY e.user_id",
        ),
        (
            "B166",
            "SELECT a.user_id, 1 AS a FROM users a LEFT JOIN events b
             ON EXISTS (SELECT 1 FROM users c WHERE c.y = b.x AND c.user_id = a.user_id)",
        ),
        (
            "B167",
            "SELECT u.user_id, (SELECT max(n) FROM (SELECT count(*) AS n FROM events e WHERE e.user_id = u.user_id
             GROUP BY ROLLUP (e.x)) AS q) AS a FROM users u",
        ),
        ("B168", "SELECT u.user_id, (SELECT sum(u.y) FROM events e WHERE e.ts > u.since) AS a FROM users u"),
    ];
    for (code, sql) in cases {
        let ran = project().view("refused", sql).backcast(&["replay"]).exits_with(2);
        ran.complains_of(&[&format!("error[{code}]"), "refused.sql:", "^", "help:"]);
    }
}
