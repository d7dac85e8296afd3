//! Rules 2 and 9: what `NOW()` is, calendars, units and zones.

use super::labels_at;
use crate::support::{Project, shown, table};

const LOG: &str = "time = \"ts\"";

#[test]
fn months_are_calendar_months_clamped_to_their_end() {
    let events = table(
        "user:str ts:us@UTC         x:i64
         a        2024-01-31T12:00  1
         a        2024-02-28T12:00  20
         a        2024-02-29T12:00  300
         a        2024-03-29T12:00  4000",
    );
    // One month before March 29, 30 and 31 is February 29.
    let times = ["2024-02-29T12:00", "2024-03-28T12:00", "2024-03-29T12:00", "2024-03-31T12:00", "2024-04-29T12:00"];
    let dataset = labels_at(&times)
        .source("events", LOG, &events)
        .view(
            "open",
            "SELECT \"user\", sum(x) AS open FROM events WHERE ts > NOW() - INTERVAL '1 month' GROUP BY \"user\"",
        )
        .view(
            "closed",
            "SELECT \"user\", sum(x) AS closed FROM events WHERE ts >= NOW() - INTERVAL '1 month' GROUP BY \"user\"",
        )
        .dataset();
    assert_eq!(shown(&dataset, "open"), ["321", "300", "4000", "4000", "NULL"]);
    assert_eq!(shown(&dataset, "closed"), ["321", "320", "4300", "4300", "4000"]);
}

#[test]
fn today_is_the_day_of_the_label_time_in_utc() {
    let events = table(
        "user:str ts:us@UTC                   x:i64
         a        2025-03-09T23:59:59.999999  1
         a        2025-03-10T00:00            20
         a        2025-03-11T00:00            300",
    );
    let dataset = labels_at(&["2025-03-10T00:00", "2025-03-10T23:59:59.999999", "2025-03-11T00:00"])
        .source("events", LOG, &events)
        .view(
            "v",
            "SELECT \"user\", sum(x) FILTER (WHERE ts >= date_trunc('day', NOW())) AS truncated,
                    sum(x) FILTER (WHERE CAST(ts AS DATE) = CURRENT_DATE) AS dated FROM events GROUP BY \"user\"",
        )
        .dataset();
    assert_eq!(shown(&dataset, "truncated"), ["20", "20", "300"]);
    assert_eq!(shown(&dataset, "dated"), ["20", "20", "300"]);
}

#[test]
fn days_in_another_zone_are_those_that_the_sql_asks_for() {
    // New York leaves UTC-5 for UTC-4 on March 9, 2025: its day begins at 05:00 UTC, the next at 04:00 UTC.
    let labels = ["2025-03-09T04:59:59", "2025-03-09T05:00", "2025-03-10T03:59:59", "2025-03-10T04:00"];
    let dataset = labels_at(&labels)
        .source("events", LOG, &table("user:str ts:us@UTC\n a 2025-03-01T00:00"))
        .view(
            "v",
            "SELECT \"user\", date_trunc('day', NOW() AT TIME ZONE 'America/New_York') AS day,
                    NOW() AT TIME ZONE 'America/New_York' AS local FROM events",
        )
        .dataset();
    let days: Vec<String> = shown(&dataset, "day").iter().map(|d| d[..10].to_string()).collect();
    assert_eq!(days, ["2025-03-08", "2025-03-09", "2025-03-09", "2025-03-10"]);
    let local: Vec<String> = shown(&dataset, "local").iter().map(|d| d[..19].to_string()).collect();
    assert_eq!(local, ["2025-03-08T23:59:59", "2025-03-09T00:00:00", "2025-03-09T23:59:59", "2025-03-10T00:00:00"]);
}

#[test]
fn now_and_its_synonyms_have_the_types_of_postgresql() {
    let dataset = labels_at(&["2025-03-10T12:34:56.789"])
        .source("events", LOG, &table("user:str ts:us@UTC\n a 2025-03-01T00:00"))
        .view(
            "v",
            "SELECT NOW() AS f_now, CURRENT_TIMESTAMP AS f_timestamp, PROCTIME() AS f_proctime, CURRENT_DATE AS f_date,
                    CURRENT_TIME AS f_time, LOCALTIMESTAMP AS f_local, arrow_typeof(NOW()) AS t_now,
                    arrow_typeof(CURRENT_DATE) AS t_date, arrow_typeof(LOCALTIMESTAMP) AS t_local",
        )
        .dataset();
    let value = |name: &str| shown(&dataset, name).remove(0);
    for instant in ["f_now", "f_timestamp", "f_proctime"] {
        assert_eq!(value(instant), "2025-03-10T12:34:56.789Z", "{instant}");
    }
    assert_eq!(value("f_date"), "2025-03-10");
    assert_eq!(value("f_time"), "12:34:56.789");
    assert_eq!(value("f_local"), "2025-03-10T12:34:56.789");
    assert_eq!(value("t_date"), "Date32");
    assert!(value("t_now").contains("UTC"), "{}", value("t_now"));
    assert!(!value("t_local").contains("UTC"), "{}", value("t_local"));
}

#[test]
fn naive_times_are_local_to_the_declared_zone() {
    // Berlin: 02:30 does not exist on March 30, 2025 (forward to 01:30 UTC), and occurs twice on October 26 (the first).
    let events = table(
        "user:str ts:us             x:i64
         a        2025-01-10T12:00  1
         a        2025-03-30T02:30  20
         a        2025-10-26T02:30  300",
    );
    let times = [
        "2025-01-10T10:59:59",
        "2025-01-10T11:00",
        "2025-03-30T01:29:59",
        "2025-03-30T01:30",
        "2025-10-26T00:29:59",
        "2025-10-26T00:30",
    ];
    let dataset = labels_at(&times)
        .source("events", "time = \"ts\"\ntimezone = \"Europe/Berlin\"", &events)
        .view("v", "SELECT \"user\", sum(x) AS total, max(ts) AS latest FROM events GROUP BY \"user\"")
        .dataset();
    assert_eq!(shown(&dataset, "total"), ["NULL", "1", "1", "21", "21", "321"]);
    assert_eq!(shown(&dataset, "latest")[5], "2025-10-26T00:30:00Z");
}

#[test]
fn naive_label_times_are_local_to_the_declared_zone_and_carried_over_as_they_are() {
    let labels = table("user:str at:ms\n a 2025-07-01T13:59:59.999\n a 2025-07-01T14:00");
    let dataset = Project::new("keys = [\"user\"]\ntime = \"at\"\ntimezone = \"Europe/Berlin\"", &labels)
        .source("events", LOG, &table("user:str ts:us@UTC\n a 2025-07-01T12:00"))
        .view("v", "SELECT \"user\", count(*) AS n FROM events GROUP BY \"user\"")
        .dataset();
    assert_eq!(shown(&dataset, "n"), ["NULL", "1"]);
    assert_eq!(shown(&dataset, "at"), ["2025-07-01T13:59:59.999", "2025-07-01T14:00:00"]);
}

#[test]
fn comparisons_are_exact_at_the_finest_unit_whatever_the_units() {
    let labels = table(
        "user:str at:ns@UTC
         a        2025-03-10T12:00:00.499999999
         a        2025-03-10T12:00:00.500
         a        2025-03-11T12:00:00.499999999
         a        2025-03-11T12:00:00.500",
    );
    for unit in ["ms", "us", "ns"] {
        for zone in ["", "@UTC", "@+00:00"] {
            let events = table(&format!("user:str ts:{unit}{zone}\n a 2025-03-10T12:00:00.500"));
            let dataset = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
                .source("events", LOG, &events)
                .view(
                    "v",
                    "SELECT \"user\", count(*) AS n, count(*) FILTER (WHERE ts > NOW() - INTERVAL '1 day') AS recent
                     FROM events GROUP BY \"user\"",
                )
                .dataset();
            assert_eq!(shown(&dataset, "n"), ["NULL", "1", "1", "1"], "{unit}{zone}");
            assert_eq!(shown(&dataset, "recent"), ["NULL", "1", "1", "0"], "{unit}{zone}");
        }
    }
}

#[test]
fn far_sentinels_are_before_or_after_every_label_time() {
    let events = table(
        "user:str ts:s@UTC          seen:s@UTC        x:i64
         a        9999-12-31T00:00  2025-03-01T00:00  1
         a        0001-01-01T00:00  0001-01-01T00:00  20
         a        2025-03-01T00:00  9999-12-31T00:00  300",
    );
    let dataset = labels_at(&["2025-03-10T12:00"])
        .source("events", "time = \"ts\"\navailable_at = \"seen\"", &events)
        .view(
            "v",
            "SELECT \"user\", sum(x) AS total, sum(x) FILTER (WHERE ts > NOW() - INTERVAL '1 day') AS recent
             FROM events GROUP BY \"user\"",
        )
        .dataset();
    assert_eq!(shown(&dataset, "total"), ["21"]);
    assert_eq!(shown(&dataset, "recent"), ["1"]);
}

#[test]
fn order_is_kept_among_the_rows_of_one_day() {
    let events = table(
        "user:str ts:us@UTC         x:i64
         a        2025-03-10T03:00  3
         a        2025-03-10T01:00  1
         b        2025-03-10T02:00  2
         b        2025-03-09T02:00  9",
    );
    let dataset = labels_at(&["2025-03-10T12:00"])
        .source("events", LOG, &events)
        .view(
            "ranked",
            "SELECT \"user\", max(r) AS highest FROM (SELECT \"user\", rank() OVER (ORDER BY ts) AS r FROM events
             WHERE CAST(ts AS DATE) = CURRENT_DATE) GROUP BY \"user\"",
        )
        .view("listed", "SELECT array_agg(x ORDER BY ts) AS xs FROM events WHERE CAST(ts AS DATE) = CURRENT_DATE")
        .view("fixed", "SELECT array_agg(x ORDER BY ts) AS ys FROM events WHERE CAST(ts AS DATE) = DATE '2025-03-10'")
        .dataset();
    assert_eq!(shown(&dataset, "highest"), ["3"]);
    assert_eq!(shown(&dataset, "xs"), ["[1, 2, 3]"]);
    assert_eq!(shown(&dataset, "ys"), ["[1, 2, 3]"]);
}
