//! What the fuzzer found, as small as it got: each failed before, on one engine or on both.

use backcast::replay::Engine;

use crate::support::{Project, shown, table};

/// The values of column `x` of these views, by the reference and by the rewrite.
#[track_caller]
fn gives(views: &[(&str, &str)], expected: &[&str]) {
    let labels = table(
        "user_id:i64 at:us@UTC
         1           2025-03-10T12:00
         2           2025-03-10T12:00
         2           2025-03-11T12:00",
    );
    let events = table(
        "user_id:i64 ts:us@UTC         kind:str qty:i64
         1           2025-03-10T10:00  a        1
         1           2025-03-10T11:00  b        2
         2           2025-03-09T11:00  a        3
         2           2025-03-11T11:00  b        4",
    );
    let project =
        Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels).source("events", "time = \"ts\"", &events);
    let project = views.iter().fold(project, |project, (name, sql)| project.view(name, sql));
    for engine in [Engine::Reference, Engine::Rewrite] {
        let dataset = project.by(engine).unwrap_or_else(|e| panic!("{engine:?}: {e}"));
        assert_eq!(shown(&dataset, "x"), expected, "{engine:?}");
    }
}

#[test]
fn a_view_reads_one_with_distinct_on() {
    let first = "SELECT DISTINCT ON (user_id) user_id, qty AS first_qty FROM events ORDER BY user_id, ts";
    gives(&[("first", first), ("v", "SELECT user_id, 1 AS x FROM first")], &["1", "1", "1"]);
}

#[test]
fn a_view_reads_one_with_ordered_aggregates() {
    let joined = "SELECT user_id, string_agg(kind, ',' ORDER BY ts) AS kinds FROM events GROUP BY user_id";
    gives(&[("joined", joined), ("v", "SELECT user_id, upper(kinds) AS x FROM joined")], &["A,B", "A", "A,B"]);
}

#[test]
fn an_aggregate_s_order_names_a_key_twice() {
    let sql = "SELECT user_id, last_value(qty ORDER BY ts, qty, ts DESC) AS x FROM events GROUP BY user_id";
    gives(&[("v", sql)], &["2", "3", "4"]);
}

#[test]
fn a_grouping_set_holds_the_label_time() {
    let sql = "SELECT user_id, n AS x FROM (
        SELECT user_id, ts >= date_trunc('day', NOW()) AS today, count(*) AS n FROM events
        GROUP BY ROLLUP (user_id, ts >= date_trunc('day', NOW()))) WHERE user_id IS NOT NULL AND today";
    gives(&[("v", sql)], &["2", "NULL", "1"]);
}

#[test]
fn a_test_for_existence_keeps_its_mark_where_all_columns_are_left_out() {
    let sql = "SELECT user_id, count(*) AS x FROM (SELECT user_id, ts FROM events) AS t
        WHERE EXISTS (SELECT 1 FROM (SELECT user_id AS u, ts AS c FROM events) AS e) OR NOW() < NOW() GROUP BY user_id";
    gives(&[("v", sql)], &["2", "1", "2"]);
}

#[test]
fn an_outer_join_has_no_condition() {
    let sql = "SELECT e.user_id, max(e.qty) + max(v.c) AS x FROM events e LEFT JOIN (VALUES (10)) AS v (c) ON TRUE
        GROUP BY e.user_id";
    gives(&[("v", sql)], &["12", "13", "14"]);
    gives(&[("v", "SELECT count(*) AS x FROM (VALUES (10), (20)) AS v (c)")], &["2", "2", "2"]);
}

#[test]
fn a_filter_over_a_having_without_groups_leaves_no_row() {
    let having = "(SELECT 1 AS c FROM events HAVING count(*) >= 0) AS t";
    gives(
        &[("v", &format!("SELECT 1 AS x FROM {having} WHERE NOW() < TIMESTAMP '2025-03-11T00:00:00'"))],
        &["1", "1", "NULL"],
    );
}

#[test]
fn aggregates_that_differ_in_a_cast_alone() {
    let sql = "SELECT user_id, max(x) AS x FROM (
                 SELECT user_id, count(DISTINCT ts::date) * 10 + count(DISTINCT ts) + sum(qty) - sum(qty::double) AS x
                 FROM events GROUP BY user_id) s GROUP BY user_id";
    gives(&[("v", sql)], &["12.0", "11.0", "22.0"]);
}

#[test]
fn set_operations_that_count_duplicates() {
    let of = |operation: &str| {
        format!(
            "SELECT user_id, count(*) AS x FROM (
               SELECT user_id, kind FROM (SELECT user_id, kind FROM events UNION ALL SELECT user_id, kind FROM events) two
               {operation} ALL SELECT user_id, kind FROM events WHERE kind = 'a') s GROUP BY user_id"
        )
    };
    gives(&[("v", of("EXCEPT").as_str())], &["3", "1", "3"]);
    gives(&[("v", of("INTERSECT").as_str())], &["1", "1", "1"]);
    let read = of("EXCEPT").replace("AS x", "AS copies");
    gives(&[("w", read.as_str()), ("v", "SELECT user_id, copies AS x FROM w")], &["3", "1", "3"]);
}
