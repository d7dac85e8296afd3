//! `TUMBLE` and `HOP`.

use super::refused;
use crate::meaning::labels_at;
use crate::support::{Project, run, shown, table};

const LOG: &str = "time = \"ts\"";

/// One label row for each event, long after all of them.
fn each_event(unit: &str, times: &[&str]) -> Project {
    let rows = |more: &str| -> String { (0..times.len()).map(|k| format!("{k} {more}\n")).collect() };
    let labels = table(&format!("k:i64 at:us@UTC\n{}", rows("2100-01-01T00:00")));
    let events: String = times.iter().enumerate().map(|(k, t)| format!("{k} {t} 2000-01-01T00:00\n")).collect();
    let events = table(&format!("k:i64 t:{unit} ts:us@UTC\n{events}"));
    Project::new("keys = [\"k\"]\ntime = \"at\"", &labels).source("events", LOG, &events)
}

#[test]
fn an_event_on_a_boundary_is_in_the_window_that_starts_there() {
    let times = ["2025-03-10T11:59:59.999999", "2025-03-10T12:00", "2025-03-10T12:59:59.999999", "1969-12-31T23:59:59"];
    let dataset = each_event("us@UTC", &times)
        .view("v", "SELECT k, window_start AS s, window_end AS e FROM TUMBLE(events, t, INTERVAL '1 hour')")
        .dataset();
    let hours = ["2025-03-10T11:00:00Z", "2025-03-10T12:00:00Z", "2025-03-10T12:00:00Z", "1969-12-31T23:00:00Z"];
    assert_eq!(shown(&dataset, "s"), hours);
    let ends = ["2025-03-10T12:00:00Z", "2025-03-10T13:00:00Z", "2025-03-10T13:00:00Z", "1970-01-01T00:00:00Z"];
    assert_eq!(shown(&dataset, "e"), ends);
}

#[test]
fn an_offset_moves_the_windows_either_way() {
    let dataset = each_event("us@UTC", &["2025-03-10T12:14:59", "2025-03-10T12:15", "1969-12-31T23:00"])
        .view("v", "SELECT k, window_start AS a FROM TUMBLE(events, t, INTERVAL '1 hour', INTERVAL '15 minutes')")
        .view("w", "SELECT k, window_start AS b FROM TUMBLE(events, t, INTERVAL '1 hour', INTERVAL '-45 minutes')")
        .view("x", "SELECT k, window_start AS c FROM TUMBLE(events, t, INTERVAL '1 hour', INTERVAL '25' HOUR)")
        .dataset();
    let moved = ["2025-03-10T11:15:00Z", "2025-03-10T12:15:00Z", "1969-12-31T22:15:00Z"];
    assert_eq!(shown(&dataset, "a"), moved);
    assert_eq!(shown(&dataset, "b"), moved);
    assert_eq!(shown(&dataset, "c"), ["2025-03-10T12:00:00Z", "2025-03-10T12:00:00Z", "1969-12-31T23:00:00Z"]);
}

#[test]
fn windows_are_exact_in_any_unit() {
    let times = ["2025-03-10T12:00:00.000000999", "2025-03-10T12:00:00.000001", "1969-12-31T23:59:59.999999999"];
    let dataset = each_event("ns@UTC", &times)
        .view("v", "SELECT k, window_start AS s FROM TUMBLE(events, t, INTERVAL '1 microsecond')")
        .dataset();
    let starts = ["2025-03-10T12:00:00Z", "2025-03-10T12:00:00.000001Z", "1969-12-31T23:59:59.999999Z"];
    assert_eq!(shown(&dataset, "s"), starts);
    // A window of half seconds over whole ones needs a finer type.
    let dataset = each_event("s@UTC", &["2025-03-10T12:00:01", "2025-03-10T12:00:02"])
        .view("v", "SELECT k, window_end AS e FROM TUMBLE(events, t, INTERVAL '1.5 seconds')")
        .dataset();
    assert_eq!(shown(&dataset, "e"), ["2025-03-10T12:00:01.500Z", "2025-03-10T12:00:03Z"]);
}

#[test]
fn a_date_is_its_midnight() {
    let dataset = each_event("date", &["2025-03-10", "1969-12-31"])
        .view("v", "SELECT k, window_start AS s, window_end AS e FROM TUMBLE(events, t, INTERVAL '2 days')")
        .dataset();
    // 2025-03-10 is day 20157 since 1970.
    assert_eq!(shown(&dataset, "s"), ["2025-03-09T00:00:00", "1969-12-30T00:00:00"]);
    assert_eq!(shown(&dataset, "e"), ["2025-03-11T00:00:00", "1970-01-01T00:00:00"]);
}

#[test]
fn hop_gives_each_event_in_every_window_that_holds_it() {
    let dataset = each_event("us@UTC", &["2025-03-10T12:00", "2025-03-10T12:29:59.999999", "1970-01-01T00:00"])
        .view(
            "v",
            "SELECT k, array_agg(window_start ORDER BY window_start) AS s, max(window_end) AS e, count(*) AS n
             FROM HOP(events, t, INTERVAL '10 minutes', INTERVAL '30 minutes') GROUP BY k",
        )
        .dataset();
    assert_eq!(
        shown(&dataset, "s"),
        [
            "[2025-03-10T11:40:00Z, 2025-03-10T11:50:00Z, 2025-03-10T12:00:00Z]",
            "[2025-03-10T12:00:00Z, 2025-03-10T12:10:00Z, 2025-03-10T12:20:00Z]",
            "[1969-12-31T23:40:00Z, 1969-12-31T23:50:00Z, 1970-01-01T00:00:00Z]",
        ]
    );
    assert_eq!(shown(&dataset, "e"), ["2025-03-10T12:30:00Z", "2025-03-10T12:50:00Z", "1970-01-01T00:30:00Z"]);
    assert_eq!(shown(&dataset, "n"), ["3", "3", "3"]);
}

#[test]
fn an_offset_moves_hops_too() {
    let dataset = each_event("us@UTC", &["2025-03-10T12:00"])
        .view(
            "v",
            "SELECT k, array_agg(window_end ORDER BY window_end) AS e
             FROM HOP(events, t, INTERVAL '10 minutes', INTERVAL '20 minutes', INTERVAL '-3 minutes') GROUP BY k",
        )
        .dataset();
    assert_eq!(shown(&dataset, "e"), ["[2025-03-10T12:07:00Z, 2025-03-10T12:17:00Z]"]);
}

#[test]
fn a_row_without_a_time_stays_in_tumble_and_not_in_hop() {
    let dataset = each_event("us@UTC", &["-", "2025-03-10T12:00"])
        .view("v", "SELECT k, 1 AS tumbled, window_end AS e FROM TUMBLE(events, t, INTERVAL '1 hour')")
        .view("w", "SELECT k, count(*) AS hopped FROM HOP(events, t, INTERVAL '1 hour', INTERVAL '1 hour') GROUP BY k")
        .dataset();
    assert_eq!(shown(&dataset, "tumbled"), ["1", "1"]);
    assert_eq!(shown(&dataset, "e"), ["NULL", "2025-03-10T13:00:00Z"]);
    assert_eq!(shown(&dataset, "hopped"), ["NULL", "1"]);
}

const EVENTS: &str = "user:str ts:us@UTC         x:i64
                      a        2025-03-10T09:00  1
                      a        2025-03-10T09:59  20
                      a        2025-03-10T10:00  300
                      b        2025-03-10T10:30  4000
                      a        2025-03-10T11:30  50000";

#[test]
fn windows_are_of_sources_views_ctes_and_subqueries_under_any_name() {
    let of = |from: &str, prefix: &str| {
        format!(
            "SELECT {prefix}.\"user\", max({prefix}.window_end) AS c, sum({prefix}.x) AS FEATURE FROM {from}
             WHERE {prefix}.window_end = TIMESTAMP '2025-03-10 10:00:00' AT TIME ZONE 'UTC' GROUP BY {prefix}.\"user\""
        )
    };
    let cases = [
        of("TUMBLE(events, ts, INTERVAL '1 hour')", "events"),
        of("tumble(public.events, ts, INTERVAL '1' HOUR) AS w", "w"),
        of("TUMBLE(events, events.ts, '1 hour'::interval) w", "w"),
        of("TUMBLE(recent, ts, INTERVAL '1 hour') w", "w"),
        of("HOP(recent, recent.ts, INTERVAL '1 hour', INTERVAL '1 hour')", "recent"),
        of("TUMBLE((SELECT * FROM events WHERE x > 0), ts, INTERVAL '60 minutes') AS w", "w"),
        format!("WITH c AS (SELECT * FROM events WHERE x > 0) {}", of("TUMBLE(c, ts, INTERVAL '1 hour')", "c")),
        format!(
            "WITH c AS (SELECT * FROM recent) {}",
            of("HOP(c, ts, INTERVAL '1 hour', INTERVAL '1 hour') AS h", "h")
        ),
    ];
    let mut project = labels_at(&["2025-03-10T12:00"]).source("events", LOG, &table(EVENTS)).view_with(
        "recent",
        "helper = true",
        "SELECT * FROM events WHERE ts > NOW() - INTERVAL '1 day'",
    );
    for (i, sql) in cases.iter().enumerate() {
        project = project
            .view(&format!("v{i}"), &sql.replace("AS c,", &format!("AS c{i},")).replace("FEATURE", &format!("f{i}")));
    }
    let dataset = project.dataset();
    for (i, sql) in cases.iter().enumerate() {
        assert_eq!(shown(&dataset, &format!("f{i}")), ["21"], "{sql}");
        assert_eq!(shown(&dataset, &format!("c{i}")), ["2025-03-10T10:00:00Z"]);
    }
}

#[test]
fn windows_are_joined_and_nested_in_views_on_views() {
    let project = labels_at(&["2025-03-10T10:30", "2025-03-10T12:00"])
        .source("events", LOG, &table(EVENTS))
        .view_with(
            "hourly",
            "helper = true",
            "CREATE MATERIALIZED VIEW hourly_sums AS SELECT e.\"user\", window_start, sum(e.x) AS total
             FROM TUMBLE(events, ts, INTERVAL '1 hour') AS e GROUP BY e.\"user\", window_start",
        )
        .view(
            "last",
            "SELECT DISTINCT ON (\"user\") \"user\", total, window_start AS hour FROM hourly_sums
             ORDER BY \"user\", window_start DESC",
        )
        .view(
            "coarse",
            "SELECT h.\"user\", max(h.total) AS highest, count(t.x) AS pairs
             FROM TUMBLE(hourly_sums, window_start, INTERVAL '1 day') AS h2 (\"user\", s, total, day, day_end)
             JOIN hourly_sums h ON h.\"user\" = h2.\"user\"
             JOIN TUMBLE(events, ts, INTERVAL '1 hour') t ON t.\"user\" = h.\"user\" AND t.window_start = h.window_start
             GROUP BY h.\"user\"",
        );
    // A time column must not be called as the function calls its own.
    let refused = project.backcast(&["check"]);
    assert!(refused.stdout.contains("window_start"), "{}", refused.stdout);
    let project = labels_at(&["2025-03-10T10:30", "2025-03-10T12:00"])
        .source("events", LOG, &table(EVENTS))
        .view_with(
            "hourly",
            "helper = true",
            "CREATE MATERIALIZED VIEW hourly_sums AS SELECT e.\"user\", window_start AS hour, sum(e.x) AS total
             FROM TUMBLE(events, ts, INTERVAL '1 hour') AS e GROUP BY e.\"user\", window_start",
        )
        .view(
            "last",
            "SELECT DISTINCT ON (\"user\") \"user\", total, hour AS last_hour FROM hourly_sums ORDER BY \"user\", hour DESC",
        )
        .view(
            "daily",
            "SELECT d.\"user\", d.window_end AS day_end, sum(d.total) AS day_total, count(t.x) AS events
             FROM TUMBLE(hourly_sums, hour, INTERVAL '1 day') AS d
             JOIN TUMBLE(events, ts, INTERVAL '1 hour') t ON t.\"user\" = d.\"user\" AND t.window_start = d.hour
             GROUP BY d.\"user\", d.window_end",
        );
    let dataset = project.dataset();
    assert_eq!(shown(&dataset, "total"), ["300", "50000"]);
    assert_eq!(shown(&dataset, "last_hour"), ["2025-03-10T10:00:00Z", "2025-03-10T11:00:00Z"]);
    // The hour with two events counts twice in the join.
    assert_eq!(shown(&dataset, "day_total"), ["342", "50342"]);
    assert_eq!(shown(&dataset, "events"), ["3", "4"]);
    assert_eq!(shown(&dataset, "day_end"), ["2025-03-11T00:00:00Z", "2025-03-11T00:00:00Z"]);
}

#[test]
fn a_bound_on_a_window_bounds_how_far_back_events_are_read() {
    let view = |from: &str, condition: &str| {
        format!("SELECT \"user\", count(*) AS n FROM {from} WHERE {condition} GROUP BY \"user\"")
    };
    let (tumble, hop) =
        ("TUMBLE(events, ts, INTERVAL '1 hour')", "HOP(events, ts, INTERVAL '1 hour', INTERVAL '1 day')");
    let cases = [
        (view(tumble, "window_end > NOW() - INTERVAL '1 hour'"), "PT2H"),
        (view(tumble, "window_start >= NOW() - INTERVAL '1 hour'"), "PT1H"),
        (view(hop, "window_end > NOW() - INTERVAL '7 days'"), "P8D"),
        (view(hop, "window_start > NOW() - INTERVAL '7 days'"), "P7D"),
        (view(tumble, "window_end <= NOW()"), "unbounded"),
    ];
    let mut project = labels_at(&["2025-03-10T10:30", "2025-03-10T12:00", "2025-03-10T23:00", "2025-03-17T11:30"])
        .source("events", LOG, &table(EVENTS));
    for (i, (sql, _)) in cases.iter().enumerate() {
        project = project.view(&format!("v{i}"), &sql.replace("AS n", &format!("AS n{i}")));
    }
    let config = backcast::config::load(&project.path("backcast.toml"), &[]).unwrap().0;
    let explained = run(|| async move {
        let opened = backcast::pipeline::open(config).await.unwrap();
        backcast::pipeline::explain(&opened, None, backcast::replay::Engine::Auto).unwrap()
    });
    for (explained, (sql, expected)) in explained.iter().zip(&cases) {
        assert_ne!(explained.view.engine, "reference", "{sql}: {}", explained.view.reason);
        let lookbacks: Vec<_> = explained.view.sources.iter().map(|s| s.lookback.as_deref()).collect();
        assert_eq!(lookbacks, [Some(*expected)], "{sql}");
    }
    let dataset = project.dataset();
    assert_eq!(shown(&dataset, "n0"), ["3", "1", "NULL", "NULL"]);
    assert_eq!(shown(&dataset, "n1"), ["1", "1", "NULL", "NULL"]);
    // Each event is in 24 windows. A week after 11:30, of those of 09:00, 09:59 and 10:00 two, two and one have ended by 11:30.
    assert_eq!(shown(&dataset, "n2"), ["72", "96", "96", "91"]);
    assert_eq!(shown(&dataset, "n4"), ["2", "4", "4", "4"]);
}

#[test]
fn what_windows_do_not_take_is_refused() {
    let cases = [
        ("TUMBLE(events, ts, INTERVAL '1 month')", "B141", "v.sql:1:51"),
        ("TUMBLE(events, ts, INTERVAL '0 hours')", "B140", "not positive"),
        ("TUMBLE(events, ts, INTERVAL '-1 hour')", "B140", "not positive"),
        ("TUMBLE(events, ts)", "B140", "v.sql:1:23"),
        ("TUMBLE(events, ts, x)", "B140", "no interval that is written out"),
        ("TUMBLE(events, date_trunc('day', ts), INTERVAL '1 hour')", "B140", "time column"),
        ("HOP(events, ts, INTERVAL '2 hours', INTERVAL '3 hours')", "B142", "no multiple of its hop size"),
        ("HOP(events, ts, INTERVAL '3 hours', INTERVAL '1 hour')", "B142", "the hop first"),
        ("HOP(events, ts, INTERVAL '1 second', INTERVAL '10 days')", "B140", "864000 windows"),
    ];
    for (from, code, part) in cases {
        let sql = format!("SELECT 1 AS n, x FROM {from}");
        let project = labels_at(&["2025-03-10T12:00"]).source("events", LOG, &table(EVENTS)).view("v", &sql);
        refused(&project, code, &[part, from]);
    }
    let unknown = labels_at(&["2025-03-10T12:00"])
        .source("events", LOG, &table(EVENTS))
        .view("v", "SELECT 1 AS n FROM TUMBLE(event, ts, INTERVAL '1 hour')");
    let ran = unknown.backcast(&["check"]).exits_with(2);
    assert!(ran.stdout.contains("v.sql:1:27") && ran.stdout.contains("did you mean `events`?"), "{}", ran.stdout);
    let text = labels_at(&["2025-03-10T12:00"])
        .source("events", LOG, &table(EVENTS))
        .view("v", "SELECT 1 AS n FROM TUMBLE(events, x, INTERVAL '1 hour')");
    let ran = text.backcast(&["check"]).exits_with(2);
    assert!(ran.stdout.contains("a timestamp or a date, not Int64"), "{}", ran.stdout);
}
