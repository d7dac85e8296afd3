//! What the sweep takes, the same to the bit as the other engines; and the reason where it does not.

use backcast::replay::Engine;

use super::operators::{chosen, project};
use crate::support::{first_difference, shown};

/// SQL whose aggregates are all swept; each gives `user_id` and its own column.
const SWEPT: &[(&str, &str)] = &[
    ("counted", "SELECT user_id, count(*) AS counted FROM events GROUP BY user_id"),
    ("last_of_time", "SELECT user_id, last_value(x ORDER BY ts) AS last_of_time FROM events GROUP BY user_id"),
    (
        "first_in_window",
        "SELECT user_id, first_value(x ORDER BY ts) FILTER (WHERE ts > NOW() - INTERVAL '1 hour') AS first_in_window
         FROM events GROUP BY user_id",
    ),
    (
        "last_known",
        "SELECT user_id, last_value(kind ORDER BY ts) IGNORE NULLS AS last_known FROM events GROUP BY user_id",
    ),
    (
        "before_today",
        "SELECT user_id, last_value(x ORDER BY ts DESC NULLS LAST, x) AS before_today FROM events
         WHERE ts < date_trunc('day', NOW()) GROUP BY user_id",
    ),
    ("distinct_on", "SELECT DISTINCT ON (user_id) user_id, x AS distinct_on FROM events ORDER BY user_id, ts DESC"),
    (
        "row_number",
        "SELECT user_id, x AS row_number FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY ts DESC) AS n
         FROM events WHERE ts > NOW() - INTERVAL '1 day') WHERE n = 1",
    ),
    (
        "row_number_less",
        "SELECT user_id, kind AS row_number_less FROM (SELECT user_id, kind, x,
         row_number() OVER (PARTITION BY user_id ORDER BY ts) AS n FROM events) WHERE n < 2 AND x > 0",
    ),
    (
        "qualified",
        "SELECT user_id, x AS qualified FROM events
         QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY ts DESC, x) <= 1",
    ),
    (
        "case_sum",
        "SELECT user_id, sum(CASE WHEN ts > NOW() - INTERVAL '1 day' THEN x END) AS case_sum FROM events GROUP BY user_id",
    ),
    (
        "case_sum_zero",
        "SELECT user_id, sum(CASE WHEN ts > NOW() - INTERVAL '1 hour' THEN x ELSE 0 END) AS case_sum_zero FROM events
         GROUP BY user_id",
    ),
    (
        "case_count",
        "SELECT user_id, count(CASE WHEN ts > NOW() - INTERVAL '1 hour' AND kind = 'a' THEN 1 END) AS case_count
         FROM events GROUP BY user_id",
    ),
    (
        "case_max",
        "SELECT user_id, max(CASE WHEN ts > NOW() - INTERVAL '1 hour' THEN kind ELSE NULL END) AS case_max FROM events
         GROUP BY user_id",
    ),
    ("smallest_text", "SELECT user_id, min(kind) AS smallest_text FROM events GROUP BY user_id"),
    ("any_true", "SELECT user_id, bool_or(kind = 'b') AS any_true FROM events GROUP BY user_id"),
    ("most", "SELECT user_id, max(x > 2) AS most FROM events GROUP BY user_id"),
    ("kinds", "SELECT user_id, count(DISTINCT kind) AS kinds FROM events GROUP BY user_id"),
    (
        "sum_of_distinct",
        "SELECT user_id, sum(DISTINCT x / 2) FILTER (WHERE ts > NOW() - INTERVAL '1 day') AS sum_of_distinct FROM events
         GROUP BY user_id",
    ),
    (
        "unsigned",
        "SELECT user_id, sum(CASE WHEN x > 2 THEN CAST(3 AS BIGINT UNSIGNED) END) AS unsigned FROM events GROUP BY user_id",
    ),
    ("decimal", "SELECT user_id, sum(CAST(x AS DECIMAL(10, 2))) AS decimal FROM events GROUP BY user_id"),
    ("wide_decimal", "SELECT user_id, sum(CAST(x AS DECIMAL(38, 2))) AS wide_decimal FROM events GROUP BY user_id"),
    ("mean_decimal", "SELECT user_id, avg(CAST(x AS DECIMAL(10, 2))) AS mean_decimal FROM events GROUP BY user_id"),
    ("largest_decimal", "SELECT user_id, max(CAST(x AS DECIMAL(38, 2))) AS largest_decimal FROM events GROUP BY user_id"),
    ("spread", "SELECT user_id, stddev(x) AS spread FROM events GROUP BY user_id"),
    ("middle", "SELECT user_id, median(x) AS middle FROM events GROUP BY user_id"),
    (
        "percentile",
        "SELECT user_id, percentile_cont(0.75) WITHIN GROUP (ORDER BY x) AS percentile FROM events GROUP BY user_id",
    ),
    ("listed", "SELECT user_id, array_agg(x ORDER BY ts DESC) AS listed FROM events GROUP BY user_id"),
    ("joined_text", "SELECT user_id, string_agg(kind, '; ' ORDER BY ts) AS joined_text FROM events GROUP BY user_id"),
    ("sketched", "SELECT user_id, approx_distinct(x) AS sketched FROM events GROUP BY user_id"),
    (
        "kinds_seen",
        "SELECT user_id, count(*) AS kinds_seen FROM (SELECT user_id, kind, count(*) AS n FROM events
         GROUP BY user_id, kind) GROUP BY user_id",
    ),
    (
        "busiest_kind",
        "SELECT user_id, max(n) AS busiest_kind FROM (SELECT kind, user_id, count(*) AS n FROM events
         WHERE ts > NOW() - INTERVAL '1 day' GROUP BY kind, user_id) GROUP BY user_id",
    ),
    (
        "busiest_day",
        "SELECT user_id, max(total) AS busiest_day FROM (SELECT user_id, date_trunc('day', ts) AS day, kind IS NULL AS bare,
         sum(x) FILTER (WHERE x > 1) AS total FROM events GROUP BY 1, 2, 3) GROUP BY user_id",
    ),
    (
        "pairs",
        "SELECT user_id, count(*) AS pairs FROM (SELECT DISTINCT kind, user_id FROM events
         WHERE ts > NOW() - INTERVAL '1 day') GROUP BY user_id",
    ),
    (
        "now_a",
        "SELECT user_id, count(*) AS now_a FROM (SELECT user_id, kind, x, row_number() OVER (PARTITION BY user_id, kind
         ORDER BY ts DESC) AS n FROM events) WHERE n = 1 AND x > 1 GROUP BY user_id",
    ),
    (
        "kind_of_all",
        "SELECT max(n) AS kind_of_all FROM (SELECT kind, count(*) AS n FROM events WHERE ts > NOW() - INTERVAL '12 hours'
         GROUP BY kind)",
    ),
    ("everyone", "SELECT last_value(x ORDER BY ts) AS everyone FROM events WHERE ts > NOW() - INTERVAL '1 hour'"),
    (
        "latest_of_all",
        "SELECT x AS latest_of_all FROM (SELECT x, row_number() OVER (ORDER BY ts DESC) AS n FROM events
         WHERE ts > NOW() - INTERVAL '1 hour') WHERE n = 1",
    ),
];

/// SQL that is rewritten and not swept, and what the reason says.
const UNSWEPT: &[(&str, &str, &str)] = &[
    (
        "second",
        "SELECT user_id, x AS second FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY ts) AS n
         FROM events) WHERE n = 2",
        "an operator needs the rows themselves",
    ),
    (
        "by_float",
        "SELECT user_id, max(n) AS by_float FROM (SELECT user_id, x / 2.0 AS half, count(*) AS n FROM events
         GROUP BY 1, 2)
         GROUP BY user_id",
        "which is Float64",
    ),
    (
        "by_age",
        "SELECT user_id, max(n) AS by_age FROM (SELECT user_id, ts > NOW() - INTERVAL '1 day' AS age, count(*) AS n
         FROM events GROUP BY 1, 2) GROUP BY user_id",
        "which is made of the label time",
    ),
    ("age", "SELECT user_id, max(NOW() - ts) AS age FROM events GROUP BY user_id", "makes values of the label time"),
    (
        "either",
        "SELECT user_id, count(*) AS either FROM events WHERE ts > NOW() - INTERVAL '1 hour' OR kind = 'a' GROUP BY user_id",
        "compares no row with a label time",
    ),
];

#[test]
fn what_is_swept_has_the_same_bits_as_the_rewrite_and_the_reference() {
    let mut project = project();
    for (name, sql) in SWEPT {
        project = project.view(name, sql);
    }
    for (view, engine, reason) in chosen(&project) {
        assert_eq!(engine, "sweep", "{view}: {reason}");
    }
    let reference = project.by(Engine::Reference).unwrap();
    assert_eq!(first_difference(&reference, &project.by(Engine::Rewrite).unwrap()), None);
    let swept = project.by(Engine::Sweep).unwrap();
    assert_eq!(first_difference(&reference, &swept), None);
    // Label rows: user 1 on the 9th; none, 1, 2, 3 on the 10th at noon; 2 at 23:00; 1 on the 11th.
    let latest = ["1", "NULL", "3", "4", "NULL", "4", "3"];
    assert_eq!(shown(&swept, "last_of_time"), latest);
    assert_eq!(shown(&swept, "distinct_on"), latest);
    assert_eq!(shown(&swept, "last_known"), ["a", "NULL", "a", "a", "NULL", "a", "b"]);
    assert_eq!(shown(&swept, "case_sum_zero"), ["1", "NULL", "0", "0", "NULL", "0", "0"]);
    assert_eq!(shown(&swept, "kinds_seen"), ["1", "NULL", "2", "1", "NULL", "1", "3"]);
    assert_eq!(shown(&swept, "case_sum"), ["1", "NULL", "3", "9", "NULL", "9", "3"]);
}

#[test]
fn a_view_that_is_not_swept_says_why() {
    let mut project = project();
    for (name, sql, _) in UNSWEPT {
        project = project.view(name, sql);
    }
    for (view, engine, reason) in chosen(&project) {
        let (_, _, expected) = UNSWEPT.iter().find(|(name, _, _)| *name == view).unwrap();
        assert_eq!(engine, "rewrite", "{view}: {reason}");
        assert!(reason.contains(expected), "{view}: {reason}");
    }
    let refused = project.by(Engine::Sweep).unwrap_err().to_string();
    assert!(refused.contains("can't run on the engine `sweep`"), "{refused}");
}
