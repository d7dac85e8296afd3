//! Rule 1: which rows are visible.

use super::labels_at;
use crate::support::{Project, shown, table};

const ARRIVALS: &str = "time = \"ts\"\navailable_at = \"seen\"";
const COUNT: &str = "SELECT \"user\", count(*) AS n FROM events GROUP BY \"user\"";

#[test]
fn late_event_is_invisible_before_its_arrival() {
    let events = table(
        "user:str ts:us@UTC         seen:us@UTC
         a        2025-03-10T12:00  2025-03-10T12:00
         a        2025-03-10T12:01  2025-03-10T15:00",
    );
    let project = labels_at(&["2025-03-10T12:30", "2025-03-10T14:59:59.999999", "2025-03-10T15:00"])
        .source("events", ARRIVALS, &events)
        .view("v", COUNT);
    assert_eq!(shown(&project.dataset(), "n"), ["1", "1", "2"]);
}

fn one_event_at_noon(tie: &str, source: &str) -> Project {
    let labels = table(
        "user:str at:ns@UTC
         a        2025-03-10T11:59:59.999999999
         a        2025-03-10T12:00
         a        2025-03-10T12:00:00.000000001",
    );
    let events = table("user:str ts:s@UTC seen:s@UTC\n a 2025-03-10T12:00 2025-03-10T12:00");
    Project::new(&format!("keys = [\"user\"]\ntime = \"at\"\ntie = \"{tie}\""), &labels)
        .source("events", source, &events)
        .view("v", COUNT)
}

#[test]
fn event_known_at_exactly_the_label_time_is_visible_where_ties_are_included() {
    for source in [ARRIVALS, "time = \"ts\""] {
        assert_eq!(shown(&one_event_at_noon("include", source).dataset(), "n"), ["NULL", "1", "1"]);
    }
}

#[test]
fn event_known_at_exactly_the_label_time_is_invisible_where_ties_are_excluded() {
    for source in [ARRIVALS, "time = \"ts\""] {
        assert_eq!(shown(&one_event_at_noon("exclude", source).dataset(), "n"), ["NULL", "NULL", "1"]);
    }
}

#[test]
fn delay_stands_for_the_arrival_that_no_column_tells() {
    let events = table("user:str ts:ms@UTC\n a 2025-03-10T12:00");
    let project = labels_at(&["2025-03-10T12:04:59.999999", "2025-03-10T12:05"])
        .source("events", "time = \"ts\"\ndelay = \"5 minutes\"", &events)
        .view("v", COUNT);
    assert_eq!(shown(&project.dataset(), "n"), ["NULL", "1"]);
}

#[test]
fn event_stamped_in_the_future_is_seen_once_it_has_arrived_unless_it_is_hidden() {
    let events = table("user:str ts:us@UTC seen:us@UTC\n a 2025-03-10T18:00 2025-03-10T12:00");
    for (future, expected) in [("visible", ["1", "1"]), ("hidden", ["NULL", "1"])] {
        let project = labels_at(&["2025-03-10T13:00", "2025-03-10T18:00"])
            .source("events", &format!("{ARRIVALS}\nfuture_events = \"{future}\""), &events)
            .view("v", COUNT);
        assert_eq!(shown(&project.dataset(), "n"), expected);
    }
}

#[test]
fn ties_do_not_hide_an_event_stamped_at_the_label_time_that_had_arrived_before() {
    let labels = table("user:str at:us@UTC\n a 2025-03-10T18:00");
    let events = table("user:str ts:us@UTC seen:us@UTC\n a 2025-03-10T18:00 2025-03-10T12:00");
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"\ntie = \"exclude\"", &labels)
        .source("events", &format!("{ARRIVALS}\nfuture_events = \"hidden\""), &events)
        .view("v", COUNT);
    assert_eq!(shown(&project.dataset(), "n"), ["1"]);
}

#[test]
fn row_without_a_time_is_never_visible_and_is_counted_in_the_report() {
    let events = table(
        "user:str ts:us@UTC         seen:us@UTC
         a        2025-03-10T12:00  2025-03-10T12:00
         a        -                 2025-03-10T12:00
         a        2025-03-10T12:00  -
         a        -                 -",
    );
    let project = labels_at(&["2026-01-01T00:00"]).source("events", ARRIVALS, &events).view("v", COUNT);
    assert_eq!(shown(&project.dataset(), "n"), ["1"]);
    let report = project.backcast(&["replay", "--format", "json"]).exits_with(0).json();
    assert_eq!(report["sources"][0]["null_times"], 3, "{report:#}");
}

#[test]
fn event_that_arrives_after_the_label_time_changes_nothing_at_it() {
    let labels = &["2025-03-10T12:30", "2025-03-11T12:30"];
    let sql = "SELECT \"user\", count(*) AS n, sum(x) AS total, max(ts) AS latest,
                      first_value(x ORDER BY ts) AS earliest FROM events
               WHERE ts > NOW() - INTERVAL '1 day' GROUP BY \"user\"";
    let early = "user:str ts:us@UTC         seen:us@UTC       x:f64
                 a        2025-03-10T12:00  2025-03-10T12:10  1.5
                 a        2025-03-11T12:00  2025-03-11T12:10  2.5";
    let late = "\n a 2025-03-09T12:31 2025-03-11T12:30:00.000001 1e17
                   a 2025-03-11T11:00 2025-04-01T00:00           NaN";
    let before = labels_at(labels).source("events", ARRIVALS, &table(early)).view("v", sql).dataset();
    let after =
        labels_at(labels).source("events", ARRIVALS, &table(&format!("{early}{late}"))).view("v", sql).dataset();
    assert_eq!(before, after);
    assert_eq!(shown(&after, "total"), ["1.5", "2.5"]);
}
