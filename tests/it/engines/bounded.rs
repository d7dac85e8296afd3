//! SQL that may fool the analysis of lookbacks: bounds in odd places, rows held against each other, times that are shifted.
//!
//! As in [`retained`](super::retained): events before some time are taken away, and what is still called exact has to keep its value.

use super::case::Case;
use super::grammar::ViewTree;
use super::grammar::node::Node;
use super::retained::{checked, seeds_of};
use super::world::World;
use crate::support::Rng;

/// Cases of the usual run.
const SEEDS: u64 = 44;

const BACK: [&str; 8] = ["1 hour", "6 hours", "1 day", "36 hours", "3 days", "7 days", "1 month", "20 days"];

/// Conditions over the event time `$t`; `$a` and `$b` are lengths.
const CONDITIONS: [&str; 33] = [
    "$t > NOW() - INTERVAL '$a'",
    "$t >= date_trunc('day', NOW()) - INTERVAL '$a'",
    "$t >= date_trunc('month', NOW() - INTERVAL '$a')",
    "date_trunc('day', $t) >= NOW() - INTERVAL '$a'",
    "date_trunc('month', $t) + INTERVAL '1 month' > NOW() - INTERVAL '$a'",
    "CAST($t AS DATE) >= CAST(NOW() - INTERVAL '$a' AS DATE)",
    "CAST($t AS DATE) - INTERVAL '12 hours' >= NOW() - INTERVAL '$a'",
    "CAST($t AS DATE) + INTERVAL '36 hours' > NOW() - INTERVAL '$a'",
    "CAST($t AS DATE) - INTERVAL '36 hours' >= CAST(NOW() - INTERVAL '$a' AS DATE)",
    "$t + INTERVAL '$a' > NOW()",
    "INTERVAL '$a' + $t >= NOW()",
    "$t - INTERVAL '$b' > NOW() - INTERVAL '$a'",
    "$t - INTERVAL '-1 month' > NOW()",
    "$t BETWEEN NOW() - INTERVAL '$a' AND NOW()",
    "$t NOT BETWEEN NOW() - INTERVAL '$a' AND NOW() - INTERVAL '$b'",
    "NOW() BETWEEN $t AND $t + INTERVAL '$a'",
    "NOT ($t < NOW() - INTERVAL '$a')",
    "NOT ($t < NOW() - INTERVAL '$a' OR user_id = 2)",
    "NOT ($t < NOW() - INTERVAL '$a' AND user_id > 1)",
    "($t > NOW() - INTERVAL '$a' OR $t > NOW() - INTERVAL '$b')",
    "($t > NOW() - INTERVAL '$a' OR user_id = 1)",
    "(user_id = 1 AND $t > NOW() - INTERVAL '$a' OR user_id <> 1 AND $t > NOW() - INTERVAL '$b')",
    "NOW() - $t < INTERVAL '$a'",
    "CASE WHEN user_id = 1 THEN $t > NOW() - INTERVAL '$a' ELSE $t > NOW() - INTERVAL '$b' END",
    "date_bin(INTERVAL '6 hours', $t) >= NOW() - INTERVAL '$a'",
    "($t > NOW() - INTERVAL '$a') IS NOT FALSE",
    "($t > NOW() - INTERVAL '$a') IS TRUE",
    "($t > NOW() - INTERVAL '$a') = ($t > NOW() - INTERVAL '$b')",
    "coalesce($t, NOW()) > NOW() - INTERVAL '$a'",
    "$t > greatest(NOW() - INTERVAL '$a', NOW() - INTERVAL '$b')",
    "$t > CASE WHEN user_id = 1 THEN NOW() - INTERVAL '$a' ELSE NOW() - INTERVAL '$b' END",
    "date_trunc('month', $t) = date_trunc('month', NOW())",
    "extract(epoch FROM NOW()) - extract(epoch FROM $t) < 86400",
];

/// Views over `events`, `clicks` and `profiles`; `{x}` is a condition over the time of `x`, another one each time.
const SHAPES: [&str; 44] = [
    "SELECT user_id, count(*) AS a, sum(qty) AS b, max(ts) AS c FROM events e WHERE {e} GROUP BY user_id",
    "SELECT user_id, count(*) FILTER (WHERE {e}) AS a, max(qty) FILTER (WHERE {e}) AS b FROM events e WHERE {e} GROUP BY user_id",
    "SELECT user_id, sum(CASE WHEN {e} THEN qty ELSE 0 END) AS a, count(CASE WHEN {e} THEN 1 END) AS b, \
     avg(CASE WHEN {e} THEN qty ELSE 0 END) AS c, max(CASE WHEN kind = 'buy' THEN 0 WHEN {e} THEN qty END) AS d FROM events e GROUP BY user_id",
    "SELECT user_id, min(CASE WHEN {e} THEN NULL ELSE qty END) AS a, count(DISTINCT CASE WHEN {e} THEN kind END) AS b FROM events e GROUP BY user_id",
    "SELECT user_id, sum(qty) AS a, count(*) AS b FROM (SELECT * FROM events ORDER BY qty DESC, event_id LIMIT 5) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, sum(qty) AS a FROM (SELECT * FROM events x WHERE {x} ORDER BY ts, event_id LIMIT 4) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, count(*) AS a FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY ts) AS rn FROM events) e WHERE rn <= 3 AND {e} GROUP BY user_id",
    "SELECT user_id, sum(qty) AS a, max(rn) AS b FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY ts DESC) AS rn FROM events) e WHERE rn <= 2 AND {e} GROUP BY user_id",
    "SELECT user_id, count(*) AS a, max(r) AS b FROM (SELECT *, rank() OVER (PARTITION BY user_id ORDER BY ts DESC, qty) AS r FROM events) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, count(*) AS a, max(r) AS b FROM (SELECT *, dense_rank() OVER (PARTITION BY user_id ORDER BY qty DESC) AS r FROM events) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, sum(d) AS a FROM (SELECT user_id, ts, qty - lag(qty) OVER (PARTITION BY user_id ORDER BY ts) AS d FROM events) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, max(d) AS a FROM (SELECT user_id, ts, lead(qty) OVER (PARTITION BY user_id ORDER BY ts) AS d FROM events) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, max(d) AS a FROM (SELECT user_id, ts, sum(qty) OVER (PARTITION BY user_id ORDER BY ts RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS d FROM events) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, sum(d) FILTER (WHERE {e}) AS a FROM (SELECT user_id, ts, count(*) OVER (PARTITION BY user_id ORDER BY ts ROWS 2 PRECEDING) AS d FROM events) e GROUP BY user_id",
    "SELECT user_id, max(d) AS a, count(*) AS b FROM (SELECT user_id, ts, ntile(3) OVER (ORDER BY ts DESC) AS d FROM events) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, qty AS a FROM (SELECT DISTINCT ON (user_id) user_id, ts, qty FROM events ORDER BY user_id, qty, event_id) e WHERE {e}",
    "SELECT DISTINCT ON (user_id) user_id, qty AS a, ts AS b FROM events e WHERE {e} ORDER BY user_id, ts DESC, event_id",
    "SELECT e.user_id, count(*) AS a, max(p.score) AS b FROM events e JOIN profiles p ON p.user_id = e.user_id WHERE {e} GROUP BY e.user_id",
    "SELECT e.user_id, count(*) AS a, max(c.dwell) AS b FROM events e JOIN clicks c ON c.user_id = e.user_id AND c.ts > e.ts WHERE {e} GROUP BY e.user_id",
    "SELECT e.user_id, count(*) AS a, max(c.dwell) AS b FROM events e LEFT JOIN clicks c ON c.user_id = e.user_id AND {c} WHERE {e} GROUP BY e.user_id",
    "SELECT e.user_id, count(*) AS a, count(c.dwell) AS b FROM events e LEFT JOIN clicks c ON c.user_id = e.user_id AND {e} GROUP BY e.user_id",
    "SELECT e.user_id, count(*) AS a, max(c.dwell) AS b FROM events e LEFT JOIN clicks c ON c.user_id = e.user_id WHERE {c} GROUP BY e.user_id",
    "SELECT e.user_id, count(*) AS a, max(e.qty) AS b FROM clicks c RIGHT JOIN events e ON c.user_id = e.user_id AND {c} WHERE c.user_id IS NULL OR {e} GROUP BY e.user_id",
    "SELECT coalesce(e.user_id, c.user_id) AS user_id, count(*) AS a, count(e.qty) AS b FROM events e FULL JOIN clicks c ON c.user_id = e.user_id AND {c} AND {e} GROUP BY 1",
    "SELECT user_id, count(*) AS a FROM events e WHERE {e} AND NOT EXISTS (SELECT 1 FROM clicks c WHERE c.user_id = e.user_id AND {c}) GROUP BY user_id",
    "SELECT user_id, count(*) AS a FROM events e WHERE {e} AND NOT EXISTS (SELECT 1 FROM events x WHERE x.user_id = e.user_id AND x.ts < e.ts) GROUP BY user_id",
    "SELECT user_id, count(*) AS a FROM events e WHERE {e} AND user_id IN (SELECT user_id FROM events x WHERE {x} GROUP BY user_id HAVING count(*) > 2) GROUP BY user_id",
    "SELECT user_id, count(*) AS a, sum(q) FILTER (WHERE {e}) AS b FROM (SELECT user_id, ts, qty AS q FROM events x WHERE {x} UNION ALL SELECT user_id, ts, dwell FROM clicks y WHERE {y}) e GROUP BY user_id",
    "SELECT user_id, count(*) AS a FROM (SELECT user_id, ts FROM events UNION SELECT user_id, ts + INTERVAL '3 days' FROM clicks) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, max(ts) AS a, sum(qty) AS b FROM (SELECT user_id, ts + INTERVAL '3 days' AS ts, qty FROM events x WHERE {x}) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, sum(qty) AS b FROM (SELECT user_id, ts - INTERVAL '1 month' AS ts, qty FROM events) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, sum(qty) AS a FROM events e GROUP BY user_id HAVING max(ts) > NOW() - INTERVAL '1 day'",
    "SELECT user_id, max(qty) AS a FROM events e WHERE {e} GROUP BY user_id HAVING count(*) FILTER (WHERE {e}) < 3",
    "SELECT user_id, n AS a FROM (SELECT user_id, count(*) AS n, max(ts) AS ts FROM events GROUP BY user_id) e WHERE {e}",
    "SELECT user_id, max(n) AS a, count(*) AS b FROM (SELECT user_id, date_trunc('day', ts) AS ts, count(*) AS n FROM events GROUP BY 1, 2) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, max(n) AS a, sum(n) FILTER (WHERE {e}) AS b FROM (SELECT user_id, date_trunc('hour', ts) AS ts, count(*) AS n FROM events GROUP BY 1, 2 HAVING count(*) > 1) e GROUP BY user_id",
    "SELECT p.user_id, p.tier AS a, (SELECT max(qty) FROM events e WHERE e.user_id = p.user_id AND {e}) AS b, \
     (SELECT count(*) FROM events e WHERE e.user_id = p.user_id AND {e}) AS c FROM profiles p",
    "SELECT user_id, sum(qty) AS a FROM events e WHERE {e} AND qty > (SELECT avg(qty) FROM events x WHERE {x}) GROUP BY user_id",
    "SELECT user_id, count(*) AS a FROM (SELECT user_id, kind FROM events e WHERE {e} EXCEPT SELECT user_id, kind FROM events x WHERE {x}) d GROUP BY user_id",
    "SELECT user_id, count(*) AS a FROM (SELECT user_id, kind FROM events e WHERE {e} INTERSECT SELECT user_id, kind FROM events x WHERE {x}) d GROUP BY user_id",
    "SELECT user_id, max(n) AS a, count(*) AS b FROM (SELECT user_id, window_start AS ts, count(*) AS n FROM TUMBLE(events, ts, INTERVAL '1 day') GROUP BY user_id, window_start) e WHERE {e} GROUP BY user_id",
    "SELECT user_id, max(n) AS a, count(*) AS b FROM (SELECT user_id, window_end AS ts, count(*) AS n FROM HOP(events, ts, INTERVAL '6 hours', INTERVAL '1 day') GROUP BY user_id, window_end) e WHERE {e} GROUP BY user_id",
    "SELECT e.user_id, sum(c.dwell) AS a FROM events e ASOF LEFT JOIN clicks c ON e.user_id = c.user_id AND c.ts <= e.ts WHERE {e} GROUP BY e.user_id",
    "SELECT count(*) AS a, max(qty) FILTER (WHERE {e}) AS b, sum(qty) AS c FROM events e WHERE {e}",
];

/// `text` with its holes filled.
fn filled(rng: &mut Rng, text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (alias, after) = after.split_once('}').expect("a hole ends");
        let simple = rng.one_in(3);
        let condition = if simple { CONDITIONS[0] } else { CONDITIONS[rng.below(CONDITIONS.len())] };
        let (a, b) = (rng.choose(&BACK), rng.choose(&BACK));
        let condition = condition.replace("$t", &format!("{alias}.ts")).replace("$a", a).replace("$b", b);
        filled += before;
        filled += &format!("({})", condition.replace("user_id", &format!("{alias}.user_id")));
        rest = after;
    }
    filled + rest
}

/// The case of a seed: a shape in its turn, sometimes read through a view with shifted times.
fn case_of(seed: u64) -> Case {
    let mut rng = Rng::new(seed.wrapping_mul(7919));
    let mut world = World::new(&mut rng, false);
    let rows: Vec<usize> = (0..world.labels.num_rows()).step_by(2).collect();
    world.keep_labels(&rows);
    let view = |name: &str, config: &str, sql: &str| ViewTree {
        name: name.to_string(),
        config: config.to_string(),
        query: Node::query(Vec::new(), sql, Vec::new()),
    };
    let mut sql = filled(&mut rng, SHAPES[usize::try_from(seed).unwrap() % SHAPES.len()]);
    let mut views = Vec::new();
    if rng.one_in(4) && !sql.contains("TUMBLE") && !sql.contains("HOP") {
        let inner = filled(
            &mut rng,
            "SELECT user_id, ts + INTERVAL '2 days' AS ts, event_id, kind, qty FROM events i WHERE {i}",
        );
        views.push(view("below", "helper = true", &inner));
        sql = sql.replace("FROM events", "FROM below");
    }
    views.push(view("v", "", &sql));
    Case { world, views }
}

#[test]
fn no_shape_of_sql_makes_a_lookback_that_is_too_short() {
    let (mut compared, mut left, mut views) = (0, 0, 0);
    let mut failures = Vec::new();
    for seed in seeds_of("BACKCAST_BOUNDED_SEEDS", SEEDS) {
        match checked(seed, &case_of(seed), "v") {
            Ok(Some((some, others))) => {
                compared += some;
                left += others;
                views += 1;
            }
            Ok(None) => {}
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
    assert!(compared > 20 && left > 20, "{views} views: {compared} cells were compared, {left} were not");
    eprintln!("{views} views: {compared} cells were compared, {left} were not covered");
}
