//! Every operator by name: which engine takes it, why not where it does not, and the same values on both.

use backcast::pipeline;
use backcast::replay::Engine;

use crate::support::{Project, first_difference, run, table};

/// SQL that the rewrite engine takes; each gives `user_id` and its own column.
const REWRITTEN: &[(&str, &str)] = &[
    (
        "keys_made_equal",
        "SELECT user_id, first_value(kind ORDER BY x * 1 DESC, x, x + 0) AS keys_made_equal FROM events GROUP BY user_id",
    ),
    ("plain", "SELECT user_id, max(x) AS plain FROM events GROUP BY user_id"),
    ("distinct_rows", "SELECT DISTINCT user_id, 1 AS distinct_rows FROM events WHERE ts > NOW() - INTERVAL '1 day'"),
    ("having", "SELECT user_id, 1 AS having FROM events GROUP BY user_id HAVING max(ts) > NOW() - INTERVAL '1 day'"),
    (
        "case_now",
        "SELECT user_id, sum(CASE WHEN ts > NOW() - INTERVAL '1 day' THEN x END) AS case_now FROM events GROUP BY user_id",
    ),
    (
        "full_join",
        "SELECT coalesce(a.user_id, b.user_id) AS user_id, coalesce(a.n, 0) - coalesce(b.n, 0) AS full_join
         FROM (SELECT user_id, count(*) AS n FROM events WHERE ts > NOW() - INTERVAL '1 day' GROUP BY user_id) a
         FULL JOIN (SELECT user_id, count(*) AS n FROM users GROUP BY user_id) b ON a.user_id = b.user_id",
    ),
    (
        "right_join",
        "SELECT u.user_id, count(e.x) AS right_join FROM events e RIGHT JOIN users u ON u.user_id = e.user_id
         AND e.ts > NOW() - INTERVAL '1 day' GROUP BY u.user_id",
    ),
    (
        "range_join",
        "SELECT a.user_id, count(*) AS range_join FROM events a JOIN events b ON a.user_id = b.user_id AND b.ts < a.ts
         AND b.ts >= a.ts - INTERVAL '1 day' GROUP BY a.user_id",
    ),
    (
        "exists_in_select",
        "SELECT user_id, max(x) AS exists_in_select FROM events e
         WHERE EXISTS (SELECT 1 FROM users u WHERE u.user_id = e.user_id AND u.ts > NOW() - INTERVAL '2 days')
         GROUP BY user_id",
    ),
    (
        "not_in_nulls",
        "SELECT user_id, count(*) AS not_in_nulls FROM events WHERE user_id NOT IN (SELECT u.user_id FROM users u
         WHERE u.ts > NOW() - INTERVAL '12 hours') GROUP BY user_id",
    ),
    (
        "correlated",
        "SELECT user_id, tier, (SELECT max(e.x) FROM events e WHERE e.user_id = u.user_id) AS correlated FROM users u",
    ),
    ("limit_offset", "SELECT user_id, x AS limit_offset FROM events ORDER BY ts DESC LIMIT 1 OFFSET 1"),
    ("window", "SELECT DISTINCT user_id, count(*) OVER (PARTITION BY user_id) AS \"window\" FROM events"),
    (
        "intersection",
        "SELECT user_id, 1 AS intersection FROM (SELECT user_id FROM events INTERSECT SELECT user_id FROM users)",
    ),
    (
        "unnested",
        "SELECT user_id, sum(i) AS unnested FROM (SELECT user_id, unnest([x, x * 2]) AS i FROM events) GROUP BY user_id",
    ),
    (
        "constant",
        "SELECT v.user_id, v.c + count(e.x) AS constant FROM (VALUES (1, 10), (2, 20)) AS v (user_id, c)
         LEFT JOIN events e ON e.user_id = v.user_id GROUP BY v.user_id, v.c",
    ),
    // The key of a group comes from both sides of a join.
    (
        "key_of_two",
        "SELECT coalesce(a.user_id, b.user_id) AS user_id, count(*) AS key_of_two FROM events a JOIN events b
         ON a.user_id = b.user_id GROUP BY coalesce(a.user_id, b.user_id)",
    ),
    ("now_alone", "SELECT NOW() AS now_alone"),
    (
        "rolled_up",
        "SELECT user_id, n AS rolled_up FROM (SELECT user_id, x, count(*) AS n FROM events GROUP BY ROLLUP (user_id, x))
         WHERE user_id IS NOT NULL AND x IS NULL",
    ),
    (
        "timed_values",
        "SELECT user_id, t AS timed_values FROM (VALUES (1, NOW()), (2, NOW())) AS v (user_id, t)",
    ),
    (
        "timed_full_join",
        "SELECT coalesce(a.user_id, b.user_id) AS user_id, count(*) AS timed_full_join FROM users a FULL JOIN users b
         ON a.user_id = b.user_id AND a.ts > NOW() - INTERVAL '1 day' GROUP BY coalesce(a.user_id, b.user_id)",
    ),
    (
        "hopped",
        "SELECT user_id, max(n) AS hopped FROM (SELECT user_id, window_end, count(*) AS n
         FROM HOP(events, ts, INTERVAL '1 hour', INTERVAL '1 day') GROUP BY user_id, window_end) GROUP BY user_id",
    ),
    (
        "closed",
        "SELECT user_id, sum(x) AS closed FROM TUMBLE(events, ts, INTERVAL '1 day')
         WHERE window_end > NOW() - INTERVAL '1 day' GROUP BY user_id, window_end EMIT ON WINDOW CLOSE",
    ),
    (
        "as_of",
        "SELECT e.user_id, count(u.tier) AS as_of FROM events e ASOF LEFT JOIN users u ON u.user_id = e.user_id AND u.ts <= e.ts
         GROUP BY e.user_id",
    ),
];

pub(super) fn project() -> Project {
    let labels = table(
        "user_id:i64 at:us@UTC
         1           2025-03-09T12:00
         1           2025-03-10T12:00
         1           2025-03-11T00:00
         2           2025-03-10T12:00
         2           2025-03-10T23:00
         3           2025-03-10T12:00
         -           2025-03-10T12:00",
    );
    let events = table(
        "user_id:i64 ts:us@UTC         seen:us@UTC       kind:str x:i64
         1           2025-03-09T12:00  2025-03-09T12:00  a        1
         1           2025-03-10T00:00  2025-03-10T13:00  b        2
         1           2025-03-10T11:00  2025-03-10T11:00  -        3
         2           2025-03-10T11:00  2025-03-10T11:00  a        4
         2           2025-03-10T11:00  2025-03-10T11:30  a        5
         -           2025-03-10T11:00  2025-03-10T11:00  a        6",
    );
    let users = table(
        "user_id:i64 ts:us@UTC         tier:str
         1           2025-03-08T00:00  free
         1           2025-03-10T06:00  paid
         3           2025-03-10T06:00  free",
    );
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"\navailable_at = \"seen\"", &events)
        .source("users", "kind = \"changelog\"\ntime = \"ts\"\nid = [\"user_id\"]", &users)
}

/// Engine and reason by view.
pub(super) fn chosen(project: &Project) -> Vec<(String, String, String)> {
    let config = backcast::config::load(&project.path("backcast.toml"), &[]).unwrap().0;
    run(|| async move {
        let opened = pipeline::open(config).await.unwrap();
        let explained = pipeline::explain(&opened, None, Engine::Auto).unwrap();
        explained.into_iter().map(|e| (e.view.view, e.view.engine, e.view.reason)).collect()
    })
}

#[test]
fn the_rewrite_takes_every_operator_that_it_has_a_rule_for() {
    let mut project = project();
    for (name, sql) in REWRITTEN {
        project = project.view(name, sql);
    }
    for (view, engine, reason) in chosen(&project) {
        // A sweep is part of the rewrite.
        assert!(engine == "rewrite" || engine == "sweep", "{view}: {engine}, {reason}");
    }
    let (reference, rewrite) = (project.by(Engine::Reference).unwrap(), project.by(Engine::Rewrite).unwrap());
    assert_eq!(first_difference(&reference, &rewrite), None);
}

#[test]
fn engine_that_is_forced_refuses_what_it_does_not_take() {
    let (name, sql) = REWRITTEN.iter().find(|(name, _)| *name == "window").unwrap();
    let project = project().view(name, sql);
    project.backcast(&["replay", "--engine", "sweep"]).exits_with(2).complains_of(&[
        "view `window` can't run on the engine `sweep`",
        "an operator needs the rows themselves",
        "window.sql:1:1",
        "--engine auto",
    ]);
    assert!(project.outputs().is_empty());
}
