//! `EMIT ON WINDOW CLOSE`.

use super::refused;
use crate::meaning::labels_at;
use crate::support::{Project, shown, table};

const ARRIVALS: &str = "time = \"ts\"\navailable_at = \"seen\"";
const CLOSED: &str = "CREATE MATERIALIZED VIEW hourly AS SELECT \"user\", window_end, sum(x) AS total
                      FROM TUMBLE(events, ts, INTERVAL '1 hour') GROUP BY \"user\", window_end EMIT ON WINDOW CLOSE;";
const LATEST: &str = "SELECT DISTINCT ON (\"user\") \"user\", window_end AS closed, total FROM hourly
                      ORDER BY \"user\", window_end DESC";

/// Windows of an hour that end at 12 and at 13. What arrives for the first one when, and what it adds:
/// 1 in time, 20 at its very end, 300 a microsecond later, 4000 an hour later.
const EVENTS: &str = "user:str id:i64 ts:us@UTC         seen:us@UTC              x:i64
                      a        1      2025-03-10T11:10  2025-03-10T11:10         1
                      a        2      2025-03-10T11:20  2025-03-10T12:00         20
                      a        3      2025-03-10T11:30  2025-03-10T12:00:00.000001  300
                      a        4      2025-03-10T11:59  2025-03-10T13:00         4000
                      a        5      2025-03-10T12:00  2025-03-10T12:00         50000
                      b        6      2025-03-10T11:00  2025-03-10T14:00         600000";

const TIMES: [&str; 5] = [
    "2025-03-10T11:59:59.999999",
    "2025-03-10T12:00",
    "2025-03-10T12:30",
    "2025-03-10T12:59:59.999999",
    "2025-03-10T13:00",
];

#[test]
fn a_window_shows_once_it_has_closed_and_holds_what_had_arrived_by_then() {
    let dataset = labels_at(&TIMES)
        .source("events", ARRIVALS, &table(EVENTS))
        .view_with("h", "helper = true", CLOSED)
        .view("v", LATEST)
        .dataset();
    assert_eq!(shown(&dataset, "total"), ["NULL", "21", "21", "21", "50000"]);
    let (noon, one) = ("2025-03-10T12:00:00Z", "2025-03-10T13:00:00Z");
    assert_eq!(shown(&dataset, "closed"), ["NULL", noon, noon, noon, one]);
}

#[test]
fn ties_at_the_end_of_a_window_are_as_at_the_label_time() {
    let rows: String = TIMES.iter().map(|t| format!("a {t}\n")).collect();
    let labels = table(&format!("user:str at:us@UTC\n{rows}"));
    let dataset = Project::new("keys = [\"user\"]\ntime = \"at\"\ntie = \"exclude\"", &labels)
        .source("events", ARRIVALS, &table(EVENTS))
        .view_with("h", "helper = true", CLOSED)
        .view("v", LATEST)
        .dataset();
    assert_eq!(shown(&dataset, "total"), ["NULL", "1", "1", "1", "50000"]);
}

#[test]
fn a_delay_stands_for_the_arrival_that_no_column_tells() {
    let dataset = labels_at(&["2025-03-10T12:00", "2025-03-10T13:30", "2025-03-10T14:00"])
        .source("events", "time = \"ts\"\ndelay = \"35 minutes\"", &table(EVENTS))
        .view_with("h", "helper = true", CLOSED)
        .view("v", LATEST)
        .dataset();
    // 11:10 and 11:20 arrive by noon, 11:30 and 11:59 do not; 12:00 arrives by one.
    assert_eq!(shown(&dataset, "total"), ["21", "50000", "50000"]);
}

#[test]
fn a_window_whose_events_all_came_late_never_shows() {
    let dataset = labels_at(&["2025-03-11T00:00"])
        .source("events", ARRIVALS, &table(EVENTS))
        .view_with("h", "helper = true", CLOSED)
        .view("v", "SELECT 'a' AS \"user\", count(*) AS windows, sum(total) AS total FROM hourly")
        .dataset();
    assert_eq!(shown(&dataset, "windows"), ["2"]);
    assert_eq!(shown(&dataset, "total"), ["50021"]);
}

#[test]
fn a_redelivery_counts_where_it_first_arrived() {
    let events = table(
        "user:str id:i64 ts:us@UTC         seen:us@UTC       x:i64
         a        1      2025-03-10T11:10  2025-03-10T11:10  1
         a        1      2025-03-10T11:10  2025-03-10T11:50  1
         a        2      2025-03-10T12:10  2025-03-10T11:40  20
         a        2      2025-03-10T11:10  2025-03-10T11:45  20
         a        3      2025-03-10T11:30  2025-03-10T12:30  300
         a        3      2025-03-10T11:30  2025-03-10T11:55  300",
    );
    let dataset = labels_at(&["2025-03-10T12:00", "2025-03-10T12:59", "2025-03-10T13:00"])
        .source("events", &format!("{ARRIVALS}\nid = [\"id\"]"), &events)
        .view_with("h", "helper = true", CLOSED)
        .view("v", LATEST)
        .view("w", "SELECT \"user\", sum(total) AS everything FROM hourly GROUP BY \"user\"")
        .dataset();
    assert_eq!(shown(&dataset, "total"), ["301", "301", "20"]);
    assert_eq!(shown(&dataset, "everything"), ["301", "301", "321"]);
}

#[test]
fn hops_close_one_by_one() {
    let dataset = labels_at(&TIMES)
        .source("events", ARRIVALS, &table(EVENTS))
        .view_with(
            "h",
            "helper = true",
            "CREATE MATERIALIZED VIEW hourly AS SELECT \"user\", window_start, sum(x) AS total
             FROM HOP(events, ts, INTERVAL '30 minutes', INTERVAL '1 hour') AS w
             GROUP BY \"user\", window_start EMIT ON WINDOW CLOSE",
        )
        .view(
            "v",
            "SELECT \"user\", string_agg(total::varchar, ' ' ORDER BY window_start) AS totals FROM hourly GROUP BY \"user\"",
        )
        .dataset();
    // Ends at 11:30, 12:00, 12:30, 13:00.
    assert_eq!(shown(&dataset, "totals"), ["1", "1 21", "1 21 50300", "1 21 50300", "1 21 50300 50000"]);
}

#[test]
fn filters_and_expressions_stand_below_and_above() {
    let sql = "CREATE MATERIALIZED VIEW hourly AS
        WITH big AS (SELECT \"user\" AS who, ts AS event_time, x * 2 AS doubled FROM recent WHERE x < 100000),
             w AS (SELECT * FROM TUMBLE(big, event_time, INTERVAL '1 hour') AS t WHERE doubled > 2),
             s AS (SELECT who, window_start, window_end, sum(doubled) AS total FROM w
                   WHERE window_end > NOW() - INTERVAL '90 minutes' GROUP BY who, window_start, window_end
                   HAVING count(*) > 0)
        SELECT who AS \"user\", window_end, total + 1 AS total FROM s WHERE total < 1000000
        EMIT ON WINDOW CLOSE";
    let dataset = labels_at(&["2025-03-10T12:00", "2025-03-10T13:00", "2025-03-10T14:00", "2025-03-10T14:30"])
        .source("events", ARRIVALS, &table(EVENTS))
        .view_with("recent", "helper = true", "SELECT * FROM events")
        .view_with("h", "helper = true", sql)
        .view("v", "SELECT \"user\", sum(total) AS total FROM hourly GROUP BY \"user\"")
        .dataset();
    // 20 at noon; 50000 at one.
    assert_eq!(shown(&dataset, "total"), ["41", "100042", "100001", "NULL"]);
}

#[test]
fn emit_immediately_changes_nothing() {
    let dataset = labels_at(&["2025-03-10T11:30"])
        .source("events", ARRIVALS, &table(EVENTS))
        .view("v", "SELECT \"user\", count(*) AS n FROM events GROUP BY \"user\" EMIT IMMEDIATELY;")
        .dataset();
    assert_eq!(shown(&dataset, "n"), ["1"]);
}

#[test]
fn where_closing_has_no_clear_meaning_it_is_refused() {
    let tumble = "TUMBLE(events, ts, INTERVAL '1 hour')";
    let cases = [
        ("SELECT \"user\", count(*) AS n FROM events GROUP BY \"user\"".to_string(), "B144", "needs `window_start`"),
        (format!("SELECT \"user\", count(*) AS n FROM {tumble} GROUP BY \"user\""), "B144", "needs `window_start`"),
        (format!("SELECT \"user\", x AS n FROM {tumble}"), "B144", "that no window groups"),
        (format!("SELECT DISTINCT \"user\", window_end AS n FROM {tumble}"), "B144", "a DISTINCT"),
        (
            format!(
                "SELECT \"user\", row_number() OVER (ORDER BY window_end) AS n FROM {tumble} GROUP BY \"user\", window_end"
            ),
            "B144",
            "window function",
        ),
        (
            format!(
                "SELECT w.\"user\", count(*) AS n FROM {tumble} w JOIN events e ON e.id = w.id GROUP BY w.\"user\", window_end"
            ),
            "B144",
            "join",
        ),
        (
            "SELECT \"user\", count(*) AS n FROM TUMBLE(events, seen, INTERVAL '1 hour') GROUP BY \"user\", window_end"
                .to_string(),
            "B144",
            "not the source's event time",
        ),
        (
            "SELECT \"user\", count(*) AS n FROM TUMBLE(rows, ts, INTERVAL '1 hour') GROUP BY \"user\", window_end"
                .to_string(),
            "B144",
            "changelog",
        ),
        (
            "SELECT \"user\", count(*) AS n FROM TUMBLE(hidden, ts, INTERVAL '1 hour') GROUP BY \"user\", window_end"
                .to_string(),
            "B144",
            "hidden future events",
        ),
        (
            "SELECT \"user\", count(*) AS n FROM TUMBLE(counted, ts, INTERVAL '1 hour') GROUP BY \"user\", window_end"
                .to_string(),
            "B144",
            "one log's events",
        ),
        (
            format!(
                "SELECT \"user\", count(*) AS n FROM {tumble} WHERE ts > NOW() - INTERVAL '1 day' GROUP BY \"user\", window_end"
            ),
            "B145",
            "change with `NOW()`",
        ),
        (
            format!("SELECT \"user\", max(NOW() - ts) AS n FROM {tumble} GROUP BY \"user\", window_end"),
            "B145",
            "change with `NOW()`",
        ),
        (
            format!(
                "SELECT \"user\", max(x) AS n FROM {tumble} WHERE x > (SELECT min(x) FROM events) GROUP BY \"user\", window_end"
            ),
            "B144",
            "subquery",
        ),
    ];
    for (sql, code, part) in cases {
        let project = labels_at(&["2025-03-10T12:00"])
            .source("events", ARRIVALS, &table(EVENTS))
            .source("rows", "kind = \"changelog\"\ntime = \"ts\"\nid = [\"id\"]", &table(EVENTS))
            .source("hidden", &format!("{ARRIVALS}\nid = [\"id\"]\nfuture_events = \"hidden\""), &table(EVENTS))
            .view_with("counted", "helper = true", "SELECT \"user\", max(ts) AS ts FROM events GROUP BY \"user\"")
            .view("v", &format!("{sql}\nEMIT ON WINDOW CLOSE"));
        refused(&project, code, &[part, "v.sql:2:1", "^^^^^^^^^^^^^^^^^^^^"]);
    }
    let inside = format!("SELECT * FROM (SELECT \"user\", window_end FROM {tumble} EMIT ON WINDOW CLOSE) AS w");
    let project = labels_at(&["2025-03-10T12:00"]).source("events", ARRIVALS, &table(EVENTS)).view("v", &inside);
    refused(&project, "B143", &["at the end of the statement"]);
}
