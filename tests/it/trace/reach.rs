//! What is within reach and how much of it is told, and whether it is retained.

use std::fmt::Write as _;

use super::{counting, event, reasons, trace, traced};
use crate::support::{Project, table};

const AT: &str = "2025-03-10T12:00Z";

fn project() -> Project {
    Project::new("keys = [\"user\"]\ntime = \"at\"", &table("user:str at:us@UTC\n a 2025-03-10T12:00"))
}

fn with(source: &str, events: &str, sql: &str) -> Project {
    project().source("events", source, &table(events)).view("v", sql)
}

#[test]
fn many_events_of_one_reason_push_out_none_of_another() {
    let mut events = "user:str n:i64 kind:str ts:us@UTC seen:us@UTC
        a 1 buy 2025-03-10T11:57 2025-03-10T12:00:04
        a 2 buy 2025-03-03T11:59:59.998 2025-03-03T12:00
        a 3 buy 2025-03-10T12:00:04 2025-03-10T12:00:04
        a 4 buy 2025-03-10T10:00 2025-03-10T10:00\n"
        .to_string();
    for n in 0..300 {
        let time = format!("2025-03-{:02}T{:02}:00", 4 + n / 50, n % 12);
        let _ = writeln!(events, "a {} view {time} {time}", 100 + n);
    }
    let sql = "SELECT \"user\", sum(n) AS x FROM events WHERE kind = 'buy' AND ts > NOW() - INTERVAL '7 days' GROUP BY \"user\"";
    let told = traced(&with("time = \"ts\"\navailable_at = \"seen\"", &events, sql), AT);
    assert_eq!((told.events.len(), told.omitted.not_counting), (201, 103));
    let reason = |n| event(&told, n).reason;
    assert_eq!([1, 2, 3, 4].map(reason), ["arrived_late", "before_window", "after_label_time", "counts"]);
}

#[test]
fn coverage_is_that_of_the_feature_and_gaps_are_told() {
    let events = "user:str n:i64 ts:us@UTC\n a 1 2025-03-10T11:30\n a 2 2025-03-08T10:00";
    let sql =
        "SELECT \"user\", count(*) FILTER (WHERE ts > NOW() - INTERVAL '1 day') AS x FROM events GROUP BY \"user\"";
    let source = "time = \"ts\"\nsince = 2025-03-08T00:00:00Z";
    let told = traced(&with(source, events, sql), AT);
    let reach = &told.sources[0];
    assert_eq!((reach.window_start.as_deref(), reach.coverage), (Some("2025-03-09T12:00:00Z"), "exact"));
    assert_eq!((reach.covered, reach.complete_from.as_deref()), (true, Some("2025-03-08T00:00:00Z")));
    // Whether there is a row depends on all events, where there is none.
    let none = trace(&with(source, events, sql), "v.x", &["user=b"], AT);
    assert_eq!((none.found, none.sources[0].coverage), (false, "truncated"));
    let gap = format!("{source}\ngaps = [[2025-03-10T11:40:00Z, 2025-03-10T11:50:00Z]]");
    let told = traced(&with(&gap, events, sql), AT);
    let reach = &told.sources[0];
    assert_eq!((reach.coverage, reach.covered), ("gap", false));
    assert_eq!(reach.gap.clone().unwrap(), ["2025-03-10T11:40:00Z", "2025-03-10T11:50:00Z"]);
    // A window that is called starts where its first one does.
    let sql = "SELECT \"user\", count(*) AS x FROM TUMBLE(events, ts, INTERVAL '1 hour')
               WHERE window_end <= NOW() AND window_end > NOW() - INTERVAL '1 hour' GROUP BY \"user\"";
    let told = traced(&with(source, events, sql), AT);
    assert_eq!((told.sources[0].coverage, told.sources[0].window_start.is_some()), ("exact", true));
    let far = SUM_OF.replace("1 day", "3000 years");
    assert_eq!(traced(&with(source, events, &far), AT).sources[0].window_start, None);
}

const SUM_OF: &str = "SELECT \"user\", sum(n) AS x FROM events WHERE ts > NOW() - INTERVAL '1 day' GROUP BY \"user\"";

#[test]
fn what_is_chosen_by_its_rank_comes_from_the_rows_before_it() {
    let events = "user:str n:i64 ts:us@UTC
        a 1 2025-03-10T07:00\n a 2 2025-03-10T08:00\n a 4 2025-03-10T09:00\n a 8 2025-03-10T10:00\n a 16 2025-03-10T11:00";
    let ranked = "SELECT \"user\", n AS x FROM (SELECT \"user\", n, row_number() OVER (PARTITION BY \"user\" ORDER BY ts DESC) AS r FROM events) AS t";
    let told = traced(&with("time = \"ts\"", events, &format!("{ranked} WHERE r = 2")), AT);
    assert_eq!((told.value.clone(), told.attribution.exact, counting(&told)), (8.into(), true, vec![8, 16]));
    assert_eq!(event(&told, 4).why, "another row is chosen, this one is number 3: row_number() = 2");
    let sum = format!("SELECT \"user\", sum(x) AS x FROM ({ranked} WHERE r BETWEEN 2 AND 3) AS s GROUP BY \"user\"");
    let told = traced(&with("time = \"ts\"", events, &sum), AT);
    assert_eq!((told.value.clone(), told.attribution.exact, counting(&told)), (12.into(), true, vec![4, 8, 16]));
}

#[test]
fn rows_that_no_join_brings_to_the_key_are_not_listed() {
    let events = table("user:str n:i64 shop:str ts:us@UTC\n a 1 s1 2025-03-10T09:00\n b 2 s2 2025-03-10T10:00");
    let shops = table(
        "shop:str m:i64 open:str ts:us@UTC
         s1 10 yes 2025-03-10T08:00
         s1 20 no  2025-03-10T08:30
         s2 40 no  2025-03-10T08:00
         s3 80 no  2025-03-10T08:00",
    );
    let sql = "SELECT e.\"user\", sum(m) AS x FROM events e JOIN (SELECT shop, m FROM shops WHERE open = 'yes') s ON s.shop = e.shop GROUP BY e.\"user\"";
    let both = project().source("events", "time = \"ts\"", &events).source("shops", "time = \"ts\"", &shops);
    let told = traced(&both.view("v", sql), AT);
    assert_eq!((told.value.clone(), told.attribution.exact), (10.into(), true));
    let of_shops: Vec<_> =
        told.events.iter().filter(|e| e.source == "shops").map(|e| (&e.values["m"], e.reason)).collect();
    assert_eq!(of_shops, [(&10.into(), "counts"), (&20.into(), "filtered")]);
    assert_eq!(told.omitted.unrelated, 2);
}

#[test]
fn keys_that_are_floats_bind_their_rows() {
    let labels = table("k:f64 at:us@UTC\n 0.0 2025-03-10T12:00");
    let events = table(
        "k:f64 n:i64 ts:us@UTC\n -0.0 1 2025-03-10T09:00\n 0.0 2 2025-03-10T10:00\n 1.5 4 2025-03-10T10:00\n NaN 8 2025-03-10T10:00",
    );
    let project = Project::new("keys = [\"k\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"", &events)
        .view("v", "SELECT k, sum(n) AS x FROM events GROUP BY k");
    let told = trace(&project, "v.x", &["k=-0"], AT);
    assert_eq!((told.value.clone(), told.sources[0].by_key), (3.into(), true));
    assert_eq!(reasons(&told), [(1, "counts"), (2, "counts")]);
    let told = trace(&project, "v.x", &["k=NaN"], AT);
    assert_eq!((told.value.clone(), counting(&told)), (8.into(), vec![8]));
}

#[test]
fn events_that_are_found_by_leaving_them_out_are_counted() {
    let events = "user:str n:i64 kind:str ts:us@UTC\n a 1 v 2025-03-10T09:00\n a 2 w 2025-03-10T10:00";
    let sql = "SELECT \"user\", max(c) AS x FROM (SELECT \"user\", kind, sum(n) AS c FROM events GROUP BY GROUPING SETS ((\"user\", kind), (\"user\"))) AS t GROUP BY \"user\"";
    let told = traced(&with("time = \"ts\"", events, sql), AT);
    assert!(!told.attribution.exact && told.value == 3);
    assert_eq!((told.sources[0].counted, counting(&told)), (2, vec![1, 2]));
}
