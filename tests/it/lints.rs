//! Which SQL the lints tell something of, where, and which they leave alone.

use backcast::finding::{Finding, Severity};

use crate::support::{Project, table};

/// `events` has arrivals and an id, `clicks` neither; `users` is a changelog.
fn world() -> Project {
    let events = table("event_id:i64 user_id:i64 ts:us@UTC arrived_at:us@UTC kind:str amount:f64 price:f32 n:i64");
    let clicks = table("user_id:i64 at:us@UTC page:str");
    let users = table("user_id:i64 changed_at:us@UTC plan:str op:str");
    Project::new(
        "keys = [\"user_id\"]\ntime = \"asked_at\"",
        &table("user_id:i64 asked_at:us@UTC\n 1 2025-03-10T12:00"),
    )
    .source("events", "time = \"ts\"\navailable_at = \"arrived_at\"\nid = [\"event_id\"]", &events)
    .source("clicks", "time = \"at\"", &clicks)
    .source(
        "users",
        "kind = \"changelog\"\ntime = \"changed_at\"\nid = [\"user_id\"]\ndeleted = \"op = 'D'\"",
        &users,
    )
}

/// Lints as `number: what the caret underlines`.
fn told(project: &Project) -> Vec<String> {
    let underlined = |f: &Finding| {
        let place = f.place.as_ref().unwrap_or_else(|| panic!("no place: {f}"));
        place.text.chars().skip(place.column - 1).take(place.length).collect::<String>()
    };
    let findings = project.findings(false);
    assert!(findings.iter().all(|f| !f.is_error()), "{findings:?}");
    findings.iter().filter_map(|f| Some(format!("{}: {}", f.code?, underlined(f)))).collect()
}

#[track_caller]
fn says(sql: &str, wanted: &[&str]) {
    assert_eq!(told(&world().view("v", sql)), wanted, "{sql}");
}

/// The window of all these views, both bounds.
const WEEK: &str = "ts > NOW() - INTERVAL '7 days' AND ts <= NOW()";

fn week(select: &str, rest: &str) -> String {
    format!("SELECT {select} FROM events WHERE {WEEK} {rest}")
}

#[test]
fn an_upper_bound_may_be_written_in_many_ways() {
    for bound in [
        "ts <= NOW()",
        "ts < NOW()",
        "NOW() >= ts",
        "ts BETWEEN NOW() - INTERVAL '7 days' AND NOW()",
        "CAST(ts AS DATE) <= CURRENT_DATE",
        "date_trunc('hour', ts) < NOW()",
        "NOW() - ts >= INTERVAL '0 seconds'",
        "ts <= arrived_at",
        "(ts <= NOW() - INTERVAL '1 day' OR ts < NOW() AND kind = 'x')",
        "NOT ts > NOW()",
    ] {
        let sql = format!(
            "SELECT user_id, sum(n) AS s FROM events WHERE ts > NOW() - INTERVAL '7 days' AND {bound} GROUP BY user_id"
        );
        says(&sql, &[]);
    }
}

#[test]
fn without_an_upper_bound_future_dated_events_enter() {
    for bound in ["", "AND ts <= TIMESTAMP '2030-01-01'", "AND (ts <= NOW() OR kind = 'x')", "AND arrived_at <= NOW()"]
    {
        let sql = format!(
            "SELECT user_id, sum(n) AS s FROM events WHERE ts > NOW() - INTERVAL '7 days' {bound} GROUP BY user_id"
        );
        says(&sql, &["B201: events"]);
    }
}

#[test]
fn visibility_is_an_upper_bound_where_no_arrival_is_kept_or_the_future_is_hidden() {
    says("SELECT user_id, max(page) AS p FROM clicks WHERE at > NOW() - INTERVAL '1 day' GROUP BY user_id", &[]);
    let sql = "SELECT user_id, sum(n) AS s FROM events WHERE ts > NOW() - INTERVAL '7 days' GROUP BY user_id";
    let hidden = world().view("v", sql).findings(false);
    assert_eq!(hidden.len(), 1);
    let project = world();
    project.write(
        "backcast.toml",
        &project.config_text().replace("id = [\"event_id\"]", "id = [\"event_id\"]\nfuture_events = \"hidden\""),
    );
    project.write("v.sql", sql);
    let config = format!(
        "{}\n[views.v]\nsql = \"v.sql\"\n",
        project.config_text().replace("id = [\"event_id\"]", "id = [\"event_id\"]\nfuture_events = \"hidden\"")
    );
    project.write("backcast.toml", &config);
    assert_eq!(told(&project), [""; 0]);
}

#[test]
fn filters_of_every_aggregate_bound_above_and_not_below() {
    let sql = |filter: &str| {
        format!(
            "SELECT user_id, sum(n) FILTER (WHERE {WEEK}) AS a, sum(CASE WHEN {filter} THEN n END) AS b FROM events GROUP BY user_id"
        )
    };
    says(&sql("ts BETWEEN NOW() - INTERVAL '1 day' AND NOW()"), &["B202: events"]);
    says(&sql("ts > NOW() - INTERVAL '1 day'"), &["B201: events", "B202: events"]);
}

#[test]
fn a_bound_travels_through_joins() {
    let joined = |on: &str| {
        format!(
            "SELECT e.user_id, max(e.kind) AS k, max(c.page) AS p FROM events AS e JOIN clicks AS c ON {on} WHERE e.{WEEK_E} GROUP BY e.user_id",
            WEEK_E = "ts > NOW() - INTERVAL '7 days' AND e.ts <= NOW()"
        )
    };
    says(&joined("c.user_id = e.user_id AND c.at BETWEEN e.ts - INTERVAL '1 hour' AND e.ts"), &[]);
    says(&joined("c.user_id = e.user_id AND c.at = date_trunc('hour', e.ts)"), &[]);
    says(&joined("c.user_id = e.user_id AND e.ts - c.at < INTERVAL '1 hour'"), &[]);
    says(&joined("c.user_id = e.user_id AND c.at <= e.ts"), &["B202: clicks"]);
    says(&joined("c.user_id = e.user_id"), &["B202: clicks"]);
    let outer = joined("c.user_id = e.user_id AND c.at > e.ts - INTERVAL '1 hour'").replace(" JOIN ", " LEFT JOIN ");
    says(&outer, &[]);
    let kept = "SELECT c.user_id, max(e.kind) AS k FROM clicks AS c LEFT JOIN events AS e ON c.user_id = e.user_id AND e.ts > c.at - INTERVAL '1 hour' AND e.ts <= c.at AND c.at > NOW() - INTERVAL '1 day' GROUP BY c.user_id";
    says(kept, &["B202: clicks"]);
}

#[test]
fn an_unbounded_lookback_is_told_once_per_source_and_never_of_changelogs() {
    says(
        "SELECT a.user_id, max(a.page) AS p, max(b.page) AS q FROM clicks AS a JOIN clicks AS b ON a.user_id = b.user_id GROUP BY a.user_id",
        &["B202: clicks"],
    );
    says("SELECT user_id, plan FROM users", &[]);
    says("SELECT user_id, max(page) AS p FROM clicks WHERE at > TIMESTAMP '2020-01-01' GROUP BY user_id", &[]);
}

#[test]
fn a_bound_on_the_arrival_or_on_a_partition_bounds_the_lookback() {
    let sum = |condition: &str| {
        format!("SELECT user_id, sum(n) AS s FROM events WHERE ts <= NOW() AND {condition} GROUP BY user_id")
    };
    says(&sum("arrived_at > NOW() - INTERVAL '7 days'"), &[]);
    says(&sum("kind > '2025-03-01'"), &["B202: events"]);
    let days = table("user_id:i64 ts:us@UTC n:i64\n 1 2025-03-09T12:00 1");
    let by_day = |condition: &str| {
        let sql = format!("SELECT user_id, sum(n) AS s FROM days WHERE {condition} GROUP BY user_id");
        let files = [("dt=2025-03-09/part-0.parquet", days.clone())];
        told(&world().source_of_files("days", "time = \"ts\"", &files).view("v", &sql))
    };
    assert_eq!(by_day("dt >= CAST(CURRENT_DATE - INTERVAL '7 days' AS VARCHAR)"), [""; 0]);
    assert_eq!(by_day("n > 0"), ["B202: days"]);
}

#[test]
fn a_row_that_is_picked_from_all_history_is_only_a_note() {
    let sql =
        "SELECT DISTINCT ON (user_id) user_id, kind FROM events WHERE ts <= NOW() ORDER BY user_id, ts DESC, event_id";
    let findings = world().view("v", sql).findings(false);
    let kinds: Vec<_> = findings.iter().map(|f| (f.code, f.severity)).collect();
    assert_eq!(kinds, [(Some("B202"), Severity::Note)]);
}

#[test]
fn a_view_over_a_view_is_not_told_what_the_other_is_told() {
    let project = world()
        .view("a", "SELECT user_id, sum(n) AS s FROM events GROUP BY user_id")
        .view("b", "SELECT user_id, s + 1 AS t FROM a");
    let findings = project.findings(false);
    assert!(findings.iter().all(|f| f.place.as_ref().unwrap().file.ends_with("a.sql")), "{findings:?}");
    assert_eq!(told(&project), ["B201: events", "B202: events"]);
}

#[test]
fn rows_of_a_helper_are_judged_where_they_are_used() {
    let helper = "SELECT user_id AS who, ts, n FROM events";
    let project = |bound: &str| {
        world().view_with("h", "helper = true", helper).view(
            "v",
            &format!(
                "SELECT who AS user_id, sum(n) AS s FROM h WHERE ts > NOW() - INTERVAL '7 days' {bound} GROUP BY who"
            ),
        )
    };
    assert_eq!(told(&project("AND ts <= NOW()")), [""; 0]);
    assert_eq!(told(&project("")), ["B201: h"]);
}

#[test]
fn now_compared_with_a_naive_timestamp_is_told_at_the_timestamp() {
    says(&week("user_id, sum(n) AS s", "AND ts AT TIME ZONE 'Asia/Tokyo' < NOW() GROUP BY user_id"), &["B203: ts"]);
    says(&week("user_id, max(NOW() - CAST(kind AS TIMESTAMP)) AS age", "GROUP BY user_id"), &["B203: kind"]);
    says(&week("user_id, max(NOW() - ts) AS age", "GROUP BY user_id"), &[]);
    let local = "AND ts AT TIME ZONE 'Asia/Tokyo' < NOW() AT TIME ZONE 'Asia/Tokyo' GROUP BY user_id";
    says(&week("user_id, sum(n) AS s", local), &[]);
    says(&week("user_id, sum(n) AS s", "AND CAST(ts AS DATE) = CURRENT_DATE GROUP BY user_id"), &[]);
    says(&week("user_id, sum(n) AS s", "AND ts > '2025-01-01' GROUP BY user_id"), &[]);
}

#[test]
fn equality_of_floats_is_told_where_it_may_fail() {
    let with = |condition: &str| week("user_id, sum(n) AS s", &format!("AND {condition} GROUP BY user_id"));
    says(&with("amount = price"), &["B204: amount = price"]);
    says(&with("amount * 2 <> 0.3"), &["B204: amount"]);
    says(&with("price = 0.1"), &["B204: price"]);
    says(&with("price IN (0.5, 0.1)"), &["B204: price"]);
    for fine in ["amount = 0.1", "amount = 0", "amount * 2 = 1", "price = 0.5", "floor(amount) = floor(price)", "n = 3"]
    {
        says(&with(fine), &[]);
    }
    says(
        &with("amount = (SELECT max(amount) FROM events)")
            .replace("FROM events)", &format!("FROM events WHERE {WEEK})")),
        &[],
    );
    let join = format!(
        "SELECT a.user_id, count(*) + 0 * 1 AS c FROM (SELECT * FROM events WHERE {WEEK}) AS a JOIN (SELECT * FROM events WHERE {WEEK}) AS b ON a.amount = b.amount GROUP BY a.user_id"
    );
    assert!(told(&world().view("v", &join)).contains(&"B204: a.amount = b.amount".to_string()));
}

#[test]
fn counts_of_groups_are_told_once_per_view_with_their_names() {
    let sql = week("user_id, count(*) AS c, count(DISTINCT kind) AS kinds, sum(n) AS s", "GROUP BY user_id");
    let findings = world().view("v", &sql).findings(false);
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(finding.code, Some("B205"));
    assert!(finding.message.contains("`c`, `kinds`"), "{finding}");
    let set = "[views.v.features]\nc = { when_missing = 0 }\nkinds = { when_missing = 0 }";
    assert_eq!(told(&world().view_with("v", set, &sql)), [""; 0]);
    // There is no row that COALESCE could stand in.
    says(&week("user_id, COALESCE(count(*), 0) AS c", "GROUP BY user_id"), &["B205: COALESCE(count(*), 0)"]);
}

#[test]
fn counts_for_rows_that_are_there_anyway_are_not_told() {
    let of_users = |count: &str| {
        format!(
            "SELECT u.user_id, {count} AS c FROM users AS u LEFT JOIN (SELECT user_id, count(*) AS c FROM events WHERE {WEEK} GROUP BY user_id) AS e ON e.user_id = u.user_id"
        )
    };
    says(&of_users("COALESCE(e.c, 0)"), &[]);
    says(&of_users("e.c"), &["B205: e.c"]);
    let outer = "SELECT u.user_id, count(c.page) AS c FROM users AS u LEFT JOIN clicks AS c ON c.user_id = u.user_id AND c.at > NOW() - INTERVAL '1 day' GROUP BY u.user_id";
    says(outer, &[]);
    says(&format!("SELECT count(*) AS c FROM events WHERE {WEEK}"), &[]);
}

#[test]
fn counts_that_are_missing_for_another_reason_are_not_told() {
    says(&week("user_id, count(*) AS c", "GROUP BY user_id HAVING count(*) > 5"), &[]);
    let joined = format!(
        "SELECT u.user_id, e.c FROM users AS u JOIN (SELECT user_id, count(*) AS c FROM events WHERE {WEEK} GROUP BY user_id) AS e ON e.user_id = u.user_id"
    );
    says(&joined, &[]);
}

#[test]
fn an_order_with_ties_is_told_at_the_order() {
    let first = |order: &str| {
        format!(
            "SELECT user_id, kind FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY {order}) AS r FROM events WHERE {WEEK}) AS e WHERE r = 1"
        )
    };
    says(&first("ts DESC"), &["B206: ts"]);
    says(&first("ts DESC, event_id"), &[]);
    says(&first("event_id"), &[]);
    says(&week("user_id, last_value(kind ORDER BY ts) AS k", "GROUP BY user_id"), &["B206: ts"]);
    says(&week("user_id, array_agg(kind ORDER BY ts) AS k", "GROUP BY user_id"), &["B206: ts"]);
    says(&week("user_id, array_agg(kind) AS k", "GROUP BY user_id"), &[]);
    says(&week("user_id, array_agg(kind ORDER BY kind) AS k", "GROUP BY user_id"), &[]);
    says(
        &format!("SELECT DISTINCT ON (user_id) user_id, kind, n FROM events WHERE {WEEK} ORDER BY user_id, ts DESC"),
        &["B206: user_id, ts"],
    );
    says(&format!("SELECT kind AS k FROM events WHERE {WEEK} ORDER BY ts LIMIT 1"), &["B206: ts"]);
    says(&format!("SELECT kind AS k FROM events WHERE {WEEK} LIMIT 1"), &["B206: 1"]);
    says(&format!("SELECT kind AS k, ts AS t FROM events WHERE {WEEK} ORDER BY ts DESC LIMIT 1"), &["B206: ts"]);
}

#[test]
fn an_order_by_all_that_is_read_has_no_tie_that_shows() {
    says(
        &format!(
            "SELECT DISTINCT ON (user_id) user_id, ts AS last_ts FROM events WHERE {WEEK} ORDER BY user_id, ts DESC"
        ),
        &[],
    );
    says(
        &format!(
            "SELECT user_id, last_ts FROM (SELECT user_id, ts AS last_ts, row_number() OVER (PARTITION BY user_id ORDER BY ts DESC) AS r FROM events WHERE {WEEK}) AS e WHERE r = 1"
        ),
        &[],
    );
    // One row per user and kind: the counts may tie, the pair of count and kind can't.
    let grouped = |order: &str| {
        format!(
            "SELECT DISTINCT ON (user_id) user_id, kind FROM (SELECT user_id, kind, sum(n) AS s FROM events WHERE {WEEK} GROUP BY user_id, kind) AS g ORDER BY user_id, {order}"
        )
    };
    says(&grouped("s DESC, kind"), &[]);
    says(&grouped("s DESC"), &["B206: user_id, s"]);
    says(&week("user_id, rank() OVER (PARTITION BY user_id ORDER BY ts) AS r", ""), &[]);
}

#[test]
fn ratios_of_integers_are_told() {
    says(&week("user_id, sum(n) / count(*) AS mean", "GROUP BY user_id"), &["B207: sum(n) / count(*)"]);
    for fine in
        ["sum(n) / 100", "100 * sum(n) / count(*)", "sum(amount) / count(*)", "CAST(sum(n) AS DOUBLE) / count(*)"]
    {
        says(&week(&format!("user_id, {fine} AS x"), "GROUP BY user_id"), &[]);
    }
}

#[test]
fn not_in_is_told_where_a_null_would_empty_the_view() {
    let not_in = |rest: &str| {
        format!("SELECT user_id, plan FROM users WHERE user_id NOT IN (SELECT user_id FROM events WHERE {WEEK} {rest})")
    };
    says(&not_in(""), &["B208: user_id"]);
    says(&not_in("AND user_id IS NOT NULL"), &[]);
    says(&not_in("AND user_id > 0"), &[]);
    says(&not_in("").replace("NOT IN", "IN"), &[]);
}

#[test]
fn a_create_view_has_its_carets_in_its_own_text() {
    let sql = "-- A comment first\nCREATE MATERIALIZED VIEW IF NOT EXISTS mv (user_id, total) AS\n  SELECT user_id, count(*)\n  FROM events\n  GROUP BY user_id;";
    let project = world().view("v", sql);
    assert_eq!(told(&project), ["B205: count(*)", "B201: events", "B202: events"]);
    let lines: Vec<usize> = project.findings(false).iter().map(|f| f.place.as_ref().unwrap().line).collect();
    assert_eq!(lines, [3, 4, 4]);
}

#[test]
fn lints_that_a_file_allows_are_not_told() {
    let sql = "-- backcast: allow(B202, B205): the log is complete\nSELECT user_id, count(*) AS c FROM events GROUP BY user_id";
    says(sql, &["B201: events"]);
}

#[test]
fn lints_are_warnings_on_every_way_out_and_change_no_exit_code() {
    let project = world().view("v", "SELECT user_id, count(*) AS c FROM events GROUP BY user_id");
    let checked = project.backcast(&["check", "--format", "json"]).exits_with(0).json();
    assert_eq!((&checked["errors"], &checked["warnings"]), (&0.into(), &3.into()));
    let codes: Vec<_> = checked["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["B205", "B201", "B202"]);
    let ran = project.backcast(&["run"]).exits_with(0);
    for code in codes {
        assert!(ran.stderr.contains(&format!("warning[{code}]: ")), "{}", ran.stderr);
    }
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(project.path("out/report.json")).unwrap()).unwrap();
    assert_eq!(report["findings"][0]["code"], "B205");
    assert_eq!(report["findings"][0]["line"], 1);
    let explained = project.backcast(&["explain", "v", "--format", "json"]).exits_with(0).json();
    assert_eq!(explained["views"][0]["findings"].as_array().unwrap().len(), 3);
}

#[test]
fn many_of_a_kind_are_summed_up() {
    let mut project = world();
    for i in 0..6 {
        let sql =
            format!("-- backcast: allow(B201, B205)\nSELECT user_id, count(*) AS c{i} FROM events GROUP BY user_id");
        project = project.view(&format!("v{i}"), &sql);
    }
    let text = project.backcast(&["check"]).exits_with(0).stdout;
    assert_eq!(text.matches("warning[B202]").count(), 4, "{text}");
    assert!(text.contains("and 3 more like it, in "), "{text}");
    assert!(text.contains("6 warnings: "), "{text}");
}
