//! Every reason, planted, with its words.

use super::{counting, event, reasons, trace, traced};
use crate::support::{Project, table};

const ARRIVALS: &str = "time = \"ts\"\navailable_at = \"seen\"";
const SUM: &str = "SELECT \"user\", sum(n) AS x FROM events WHERE ts > NOW() - INTERVAL '1 day' GROUP BY \"user\"";

fn project() -> Project {
    Project::new(
        "keys = [\"user\"]\ntime = \"at\"",
        &table("user:str at:us@UTC\n a 2025-03-10T12:00\n b 2025-03-10T12:00"),
    )
}

#[test]
fn an_event_after_the_label_time_and_one_that_arrived_late_are_told_by_how_much() {
    let events = table(
        "user:str n:i64 ts:us@UTC           seen:us@UTC
         a        1     2025-03-10T11:00    2025-03-10T11:00
         a        2     2025-03-10T12:00:04 2025-03-10T12:00:04
         a        4     2025-03-10T11:30    2025-03-10T12:03
         b        8     2025-03-10T11:30    2025-03-10T11:30",
    );
    let told = traced(&project().source("events", ARRIVALS, &events).view("v", SUM), "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.attribution.exact), (1.into(), true));
    assert_eq!(reasons(&told), [(1, "counts"), (2, "after_label_time"), (4, "arrived_late")]);
    assert_eq!(event(&told, 2).why, "after T by 4 s");
    assert_eq!(
        event(&told, 4).why,
        "arrived 3 min after T, 33 min after it happened: visible from 2025-03-10T12:03:00Z"
    );
    assert_eq!(event(&told, 4).with, Some(5.into()));
    assert_eq!(event(&told, 1).without, Some(serde_json::Value::Null));
}

#[test]
fn the_bounds_of_the_window_are_told_to_the_millisecond() {
    let events = table(
        "user:str n:i64 ts:ms@UTC
         a        1     2025-03-09T12:00:00.001
         a        2     2025-03-09T12:00
         a        4     2025-03-09T11:59:59.998
         a        8     2025-03-08T13:00
         a        16    2025-03-08T11:00",
    );
    let told = traced(&project().source("events", "time = \"ts\"", &events).view("v", SUM), "2025-03-10T12:00Z");
    assert_eq!(counting(&told), [1]);
    assert_eq!(event(&told, 2).why, "exactly at the window's start, which is not in it: ts > NOW() - INTERVAL '1 day'");
    assert_eq!(event(&told, 4).why, "2 ms before the window: ts > NOW() - INTERVAL '1 day'");
    assert_eq!((event(&told, 4).reason, event(&told, 4).off_seconds), ("before_window", Some(0.002)));
    // The margin is one window: what lies two days back is not within reach.
    assert_eq!(reasons(&told).len(), 4);
    assert_eq!(told.sources[0].window_start.as_deref(), Some("2025-03-09T12:00:00Z"));
    assert_eq!(told.sources[0].from.as_deref(), Some("2025-03-08T12:00:00Z"));
}

#[test]
fn a_redelivery_names_its_id_and_the_first_arrival_even_where_that_is_another_keys() {
    let events = table(
        "id:str user:str n:i64 ts:us@UTC        seen:us@UTC
         e1     a        1     2025-03-10T11:00 2025-03-10T11:00
         e1     a        2     2025-03-10T11:00 2025-03-10T11:30
         e2     b        4     2025-03-01T10:00 2025-03-10T10:00
         e2     a        8     2025-03-10T10:00 2025-03-10T10:30
         -      a        16    2025-03-10T10:00 2025-03-10T10:30",
    );
    let source = format!("{ARRIVALS}\nid = [\"id\"]");
    let told = traced(&project().source("events", &source, &events).view("v", SUM), "2025-03-10T12:00Z");
    assert_eq!(counting(&told), [1, 16]);
    assert_eq!(event(&told, 2).why, "redelivery of id=e1, which first arrived at 2025-03-10T11:00:00Z");
    assert_eq!(event(&told, 8).why, "redelivery of id=e2, which first arrived at 2025-03-10T10:00:00Z");
    assert_eq!((event(&told, 2).reason, event(&told, 2).with.clone()), ("redelivery", Some(19.into())));
    assert_eq!(told.events.len(), 4, "{:#?}", told.events);
}

#[test]
fn null_times_hidden_futures_and_ties_are_told() {
    let events = table(
        "user:str n:i64 ts:us@UTC        seen:us@UTC
         a        1     2025-03-10T11:00 2025-03-10T11:00
         a        2     2025-03-10T11:00 -
         a        4     -                2025-03-10T11:00
         a        8     2025-03-10T13:00 2025-03-10T11:00
         a        16    2025-03-10T11:00 2025-03-10T12:00",
    );
    let labels = table("user:str at:us@UTC\n a 2025-03-10T12:00");
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"\ntie = \"exclude\"", &labels);
    let source = format!("{ARRIVALS}\nfuture_events = \"hidden\"");
    let told = traced(&project.source("events", &source, &events).view("v", SUM), "2025-03-10T12:00Z");
    assert_eq!(
        reasons(&told),
        [(1, "counts"), (2, "null_time"), (4, "null_time"), (8, "future_hidden"), (16, "tie_excluded")]
    );
    assert_eq!(event(&told, 2).why, "`seen` is NULL: never visible");
    assert!(event(&told, 4).why.starts_with("`ts` is NULL: never visible"));
    assert_eq!(event(&told, 8).why, "stamped 1 h after T, and `future_events = \"hidden\"`");
    assert_eq!(event(&told, 16).with, Some(17.into()));
}

#[test]
fn filters_arguments_and_aggregate_filters_are_told_by_their_sql() {
    let events = table(
        "user:str n:i64 kind:str ts:us@UTC
         a        1     buy      2025-03-10T11:00
         a        2     view     2025-03-10T11:00
         a        -     buy      2025-03-10T11:10
         a        8     buy      2025-03-10T05:00
         a        16    sell     2025-03-10T11:00",
    );
    let sql = "SELECT \"user\", sum(n) FILTER (WHERE kind <> 'sell' AND ts > NOW() - INTERVAL '3 hours') AS x \
               FROM events WHERE ts > NOW() - INTERVAL '1 day' AND kind NOT IN ('view') GROUP BY \"user\"";
    let told = traced(&project().source("events", "time = \"ts\"", &events).view("v", sql), "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), counting(&told)), (1.into(), vec![1]));
    assert_eq!(
        reasons(&told),
        [(0, "null_argument"), (1, "counts"), (2, "filtered"), (8, "before_window"), (16, "not_in_filter")]
    );
    assert!(event(&told, 2).condition.as_deref().unwrap().contains("'view'"), "{:?}", event(&told, 2));
    assert_eq!(event(&told, 8).why, "4 h before the FILTER's window: ts > NOW() - INTERVAL '3 hours'");
    assert_eq!(event(&told, 16).condition.as_deref(), Some("kind <> 'sell'"));
}

#[test]
fn versions_that_are_superseded_or_deleted_are_told() {
    let events = table(
        "id:str user:str n:i64 op:str ts:us@UTC
         r1     a        1     U      2025-03-10T09:00
         r1     a        2     U      2025-03-10T10:00
         r2     a        4     U      2025-03-10T09:00
         r2     a        8     D      2025-03-10T11:00
         r3     a        16    U      2025-03-10T09:30
         r3     b        32    U      2025-03-10T11:30",
    );
    let source = "kind = \"changelog\"\ntime = \"ts\"\nid = [\"id\"]\ndeleted = \"op = 'D'\"";
    let project = project().source("events", source, &events);
    let told =
        traced(&project.view("v", "SELECT \"user\", sum(n) AS x FROM events GROUP BY \"user\""), "2025-03-10T12:00Z");
    assert_eq!(counting(&told), [2]);
    assert_eq!(event(&told, 1).why, "superseded by the version of 2025-03-10T10:00:00Z");
    assert_eq!(event(&told, 4).why, "superseded by the version of 2025-03-10T11:00:00Z, which deletes it");
    assert_eq!(event(&told, 8).why, "the last version of id=r2 deletes it: op = 'D'");
    // The row went over to another key: that version is not of this key, but it is what ends this one.
    assert_eq!(event(&told, 16).why, "superseded by the version of 2025-03-10T11:30:00Z");
    assert_eq!(told.events.len(), 5);
}

#[test]
fn of_a_latest_value_only_the_latest_row_counts() {
    let events = table(
        "user:str n:i64 ts:us@UTC
         a        1     2025-03-10T09:00
         a        2     2025-03-10T10:00
         a        4     2025-03-10T11:00",
    );
    let shapes = [
        "SELECT \"user\", n AS x FROM (SELECT *, row_number() OVER (PARTITION BY \"user\" ORDER BY ts DESC) AS r FROM events) WHERE r = 1",
        "SELECT DISTINCT ON (\"user\") \"user\", n AS x FROM events ORDER BY \"user\", ts DESC",
        "SELECT \"user\", last_value(n ORDER BY ts) AS x FROM events GROUP BY \"user\"",
        "SELECT \"user\", first_value(n ORDER BY ts DESC) AS x FROM events GROUP BY \"user\"",
        "SELECT \"user\", n AS x FROM events WHERE \"user\" = 'a' ORDER BY ts DESC LIMIT 1",
    ];
    for sql in shapes {
        let told = traced(&project().source("events", "time = \"ts\"", &events).view("v", sql), "2025-03-10T12:00Z");
        assert_eq!(reasons(&told), [(1, "not_chosen"), (2, "not_chosen"), (4, "counts")], "{sql}");
        assert!(told.attribution.exact, "{sql}");
        assert_eq!(event(&told, 4).without, Some(2.into()), "{sql}");
    }
}

#[test]
fn rows_of_other_keys_are_no_rivals_of_the_row_that_is_chosen() {
    let events = table(
        "user:str n:i64 region:str ts:us@UTC
         a        1     x          2025-03-10T09:00
         b        2     x          2025-03-10T11:30
         a        4     y          2025-03-10T11:00
         b        8     y          2025-03-10T11:45",
    );
    let shapes = [
        (
            "SELECT DISTINCT ON (\"user\") \"user\", n AS x, region FROM events ORDER BY \"user\", ts DESC",
            "DISTINCT ON (user) … ORDER BY ts DESC",
        ),
        (
            "SELECT \"user\", first_value(n ORDER BY ts DESC) AS x FROM events GROUP BY \"user\"",
            "first_value(… ORDER BY ts DESC)",
        ),
        (
            "SELECT u AS \"user\", sum(x) AS x FROM (SELECT DISTINCT ON (\"user\", region) \"user\" AS u, region, n AS x FROM events
             ORDER BY \"user\", region, ts DESC) AS t WHERE region = 'y' GROUP BY u",
            "",
        ),
    ];
    for (sql, chosen) in shapes {
        let told = traced(&project().source("events", "time = \"ts\"", &events).view("v", sql), "2025-03-10T12:00Z");
        assert!(told.sources[0].by_key && told.attribution.exact, "{sql}: {told:#?}");
        assert_eq!((told.sources[0].rows, counting(&told)), (2, vec![4]), "{sql}: {told:#?}");
        assert!(event(&told, 1).condition.as_deref().unwrap_or_default().contains(chosen), "{sql}: {told:#?}");
    }
}

#[test]
fn joins_tell_of_missing_partners_and_of_rows_taken_away() {
    let events = table(
        "user:str n:i64 shop:str ts:us@UTC
         a        1     s1       2025-03-10T09:00
         a        2     s2       2025-03-10T10:00
         a        4     s3       2025-03-10T11:00",
    );
    let shops = table(
        "shop:str m:i64 ts:us@UTC
         s1       10    2025-03-10T08:00
         s2       20    2025-03-10T13:00
         s9       90    2025-03-10T08:00",
    );
    let with = |sql: &str| {
        project().source("events", "time = \"ts\"", &events).source("shops", "time = \"ts\"", &shops).view("v", sql)
    };
    let inner =
        with("SELECT e.\"user\", sum(n) AS x FROM events e JOIN shops s ON s.shop = e.shop GROUP BY e.\"user\"");
    let told = traced(&inner, "2025-03-10T12:00Z");
    let of_events = |name: &str| told.events.iter().filter(|e| e.source == name).collect::<Vec<_>>();
    assert_eq!((told.value.clone(), told.attribution.exact), (1.into(), true));
    assert_eq!(event(&told, 4).reason, "no_partner");
    let condition = event(&told, 4).condition.as_deref().unwrap();
    assert!(["e.shop = s.shop", "s.shop = e.shop"].contains(&condition), "{condition}");
    assert_eq!(event(&told, 4).why, format!("no row of `shops` joins it: {condition}"));
    // s2 comes after T: it would join. s9 meets nothing of user a, and is not listed.
    assert_eq!(of_events("shops").len(), 2);
    assert_eq!(told.omitted.unrelated, 1);
    let late = of_events("shops").into_iter().find(|e| e.reason == "after_label_time").unwrap();
    assert_eq!(late.with, Some(3.into()));

    let left = with(
        "SELECT e.\"user\", sum(n + coalesce(m, 0)) AS x FROM events e LEFT JOIN shops s ON s.shop = e.shop GROUP BY e.\"user\"",
    );
    let told = traced(&left, "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.attribution.exact), (17.into(), true));
    assert_eq!(counting_of(&told, "events"), 3);
    assert_eq!(counting_of(&told, "shops"), 1);

    let anti = with(
        "SELECT \"user\", sum(n) AS x FROM events e WHERE NOT EXISTS (SELECT 1 FROM shops s WHERE s.shop = e.shop) GROUP BY \"user\"",
    );
    let told = traced(&anti, "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.attribution.exact), (6.into(), true));
    assert_eq!(event(&told, 1).reason, "taken_away");
    let taker = told.events.iter().find(|e| e.reason == "takes_away").unwrap();
    assert_eq!((taker.source.as_str(), taker.without.clone()), ("shops", Some(7.into())));

    let semi =
        with("SELECT \"user\", sum(n) AS x FROM events e WHERE shop IN (SELECT shop FROM shops) GROUP BY \"user\"");
    let told = traced(&semi, "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.attribution.exact), (1.into(), true));
}

fn counting_of(trace: &backcast::trace::Trace, source: &str) -> usize {
    trace.events.iter().filter(|e| e.source == source && e.counts == Some(true)).count()
}

#[test]
fn a_count_of_nothing_is_told_apart_from_no_row() {
    let events = table("user:str n:i64 ts:us@UTC\n a 1 2025-03-10T02:00\n b 2 2025-03-01T02:00");
    let sql = "SELECT \"user\", count(n) FILTER (WHERE ts > NOW() - INTERVAL '1 hour') AS x FROM events \
               WHERE ts > NOW() - INTERVAL '1 day' GROUP BY \"user\"";
    let project = project().source("events", "time = \"ts\"", &events).view_with(
        "v",
        "[views.v.features.x]\nwhen_missing = -1",
        sql,
    );
    let told = traced(&project, "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.found, told.attribution.exact), (0.into(), true, true));
    assert_eq!(event(&told, 1).reason, "exists_only");
    assert_eq!(event(&told, 1).without, Some((-1).into()));
    let told = trace(&project, "v.x", &["user=b"], "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.own_value.clone()), ((-1).into(), serde_json::Value::Null));
    assert_eq!((told.found, told.filled_by), (false, Some("when_missing")));
}

#[test]
fn rows_that_only_say_which_keys_there_are_are_not_taken_for_the_value() {
    let events = table(
        "user:str n:i64 ts:us@UTC\n a 1 2025-03-10T02:00\n a 2 2025-03-01T02:00\n a 3 2025-03-09T14:00\n b 4 2025-03-10T03:00",
    );
    let recent = "ts > NOW() - INTERVAL '1 day'";
    let lateral = |kind: &str, from: &str| {
        format!(
            "SELECT u.\"user\", l.x FROM {from} u {kind} JOIN LATERAL \
             (SELECT sum(e.n) AS x FROM events e WHERE e.\"user\" = u.\"user\" AND e.{recent}) l {}",
            if kind == "CROSS" { "" } else { "ON true" }
        )
    };
    let distinct = "(SELECT DISTINCT \"user\" FROM events)";
    let joined = format!(
        "SELECT u.\"user\", sum(e.n) AS x FROM {distinct} u JOIN events e ON e.\"user\" = u.\"user\" WHERE e.{recent} \
         GROUP BY u.\"user\""
    );
    // How many rows a sum is made of depends on both sides, unless each row of one meets a single one of the other.
    let many = joined.replace(distinct, "events");
    let of_both = [(1, "counts"), (2, "counts"), (3, "counts")];
    let of_one = [(1, "counts"), (3, "counts"), (2, "exists_only")];
    for (sql, value, expected) in [
        (lateral("CROSS", distinct), 4, of_one),
        (lateral("LEFT", distinct), 4, of_one),
        (lateral("CROSS", "(SELECT \"user\" FROM events GROUP BY \"user\")"), 4, of_one),
        (joined, 4, of_one),
        (many, 12, of_both),
    ] {
        let project = project().source("events", "time = \"ts\"", &events).view("v", &sql);
        let told = traced(&project, "2025-03-10T12:00Z");
        assert_eq!((told.value.clone(), told.attribution.exact), (value.into(), true), "{sql}");
        let mut reasons = reasons(&told);
        reasons.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(reasons, expected, "{sql}");
    }
    // The value may be made of the keys' side.
    let sql = "SELECT u.\"user\", u.x FROM (SELECT \"user\", count(*) AS x FROM events GROUP BY \"user\") u \
               JOIN events e ON e.\"user\" = u.\"user\" AND e.n = 3";
    let told = traced(&project().source("events", "time = \"ts\"", &events).view("v", sql), "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), counting_of(&told, "events"), told.attribution.exact), (3.into(), 3, true));
}

#[test]
fn a_group_that_having_leaves_out_is_told_by_its_condition() {
    let events = table("user:str n:i64 ts:us@UTC\n a 1 2025-03-10T02:00\n a 2 2025-03-10T03:00");
    let sql = "SELECT \"user\", sum(n) AS x FROM events GROUP BY \"user\" HAVING count(*) > 2";
    let told = traced(&project().source("events", "time = \"ts\"", &events).view("v", sql), "2025-03-10T12:00Z");
    assert!(!told.found && told.attribution.exact);
    assert_eq!(reasons(&told), [(1, "filtered"), (2, "filtered")]);
    assert_eq!(event(&told, 1).condition.as_deref(), Some("count(*) > 2"));
    let sql = "SELECT \"user\", sum(n) AS x FROM events GROUP BY \"user\" \
               HAVING sum(n) FILTER (WHERE ts > NOW() - INTERVAL '1 day') > 5";
    let told = traced(&project().source("events", "time = \"ts\"", &events).view("v", sql), "2025-03-10T12:00Z");
    let condition = event(&told, 1).condition.clone().unwrap();
    assert_eq!(condition, "sum(n) FILTER (WHERE ts > NOW() - INTERVAL '1 day') > 5");
}

#[test]
fn views_on_views_are_walked_down_to_the_events() {
    let events = table(
        "user:str n:i64 ts:us@UTC
         a        1     2025-03-10T09:00
         a        2     2025-03-10T10:00
         a        4     2025-03-01T11:00
         b        8     2025-03-10T11:00",
    );
    let project = project()
        .source("events", "time = \"ts\"", &events)
        .view_with("base", "prefix = \"base_\"", SUM)
        .view("v", "SELECT \"user\", x * 10 AS x FROM base WHERE x > 1");
    let told = traced(&project, "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.attribution.exact, counting(&told)), (30.into(), true, vec![1, 2]));
    assert_eq!(event(&told, 2).without, Some(serde_json::Value::Null));
}

#[test]
fn a_step_without_a_rule_is_said_and_events_that_change_the_value_still_count() {
    let events = table(
        "user:str n:i64 kind:str ts:us@UTC
         a        1     x        2025-03-10T09:00
         a        2     y        2025-03-10T10:00
         a        0     y        2025-03-10T10:30
         a        8     y        2025-03-10T15:00",
    );
    let sql = "SELECT \"user\", max(s) AS x FROM (SELECT \"user\", kind, sum(n) AS s FROM events \
               GROUP BY GROUPING SETS ((\"user\", kind), (\"user\"))) GROUP BY \"user\"";
    let told = traced(&project().source("events", "time = \"ts\"", &events).view("v", sql), "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.attribution.exact), (3.into(), false));
    assert!(told.attribution.notes.iter().any(|n| n.contains("grouping sets")), "{:?}", told.attribution.notes);
    assert_eq!(counting(&told), [1, 2]);
    assert_eq!((event(&told, 0).counts, event(&told, 8).reason), (None, "after_label_time"));
}

#[test]
fn a_window_in_a_case_is_told_as_the_filter_that_it_is() {
    let events = table("user:str n:i64 ts:us@UTC\n a 1 2025-03-10T11:30\n a 2 2025-03-10T10:00");
    let sql = "SELECT \"user\", sum(CASE WHEN ts > NOW() - INTERVAL '1 hour' THEN n ELSE 0 END) AS x \
               FROM events GROUP BY \"user\"";
    let told = traced(&project().source("events", "time = \"ts\"", &events).view("v", sql), "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.attribution.exact), (1.into(), true));
    assert_eq!(event(&told, 1).without, Some(0.into()));
}
