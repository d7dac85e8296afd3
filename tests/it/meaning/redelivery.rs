//! Rule 3: of the visible rows with one id, the first that arrived counts.

use super::labels_at;
use crate::support::{shown, table};

const CONFIG: &str = "time = \"ts\"\navailable_at = \"seen\"\nid = [\"id\"]";
const SUM: &str = "SELECT \"user\", sum(x) AS total FROM events GROUP BY \"user\"";

#[test]
fn of_rows_with_one_id_the_first_that_arrived_counts() {
    let events = table(
        "user:str id:i64 ts:us@UTC         seen:us@UTC       x:i64
         a        1      2025-03-10T11:00  2025-03-10T12:10  20
         a        1      2025-03-10T12:00  2025-03-10T12:00  1
         a        2      2025-03-10T12:00  2025-03-10T12:20  300",
    );
    let project = labels_at(&["2025-03-10T12:05", "2025-03-10T12:15", "2025-03-10T12:25"])
        .source("events", CONFIG, &events)
        .view("v", SUM);
    assert_eq!(shown(&project.dataset(), "total"), ["1", "1", "301"]);
}

#[test]
fn of_rows_that_arrived_together_event_time_decides_and_then_the_smaller_values() {
    let events = table(
        "user:str id:i64 ts:us@UTC         seen:us@UTC       x:i64
         a        1      2025-03-10T11:30  2025-03-10T12:00  1
         a        1      2025-03-10T11:00  2025-03-10T12:00  20
         a        2      2025-03-10T11:00  2025-03-10T12:00  300
         a        2      2025-03-10T11:00  2025-03-10T12:00  -
         a        3      2025-03-10T11:00  2025-03-10T12:00  4000
         a        3      2025-03-10T11:00  2025-03-10T12:00  5000",
    );
    let project = labels_at(&["2025-03-10T13:00"]).source("events", CONFIG, &events).view("v", SUM);
    assert_eq!(shown(&project.dataset(), "total"), ["4020"]);
}

#[test]
fn null_in_an_id_is_never_a_redelivery() {
    let events = table(
        "user:str id:i64 part:i64 ts:us@UTC         x:i64
         a        1      -        2025-03-10T12:00  1
         a        1      -        2025-03-10T12:00  20
         a        -      1        2025-03-10T12:00  300
         a        -      1        2025-03-10T12:00  4000
         a        2      2        2025-03-10T12:00  50000
         a        2      2        2025-03-10T12:00  50000",
    );
    let project = labels_at(&["2025-03-10T13:00"])
        .source("events", "time = \"ts\"\nid = [\"id\", \"part\"]", &events)
        .view("v", SUM);
    assert_eq!(shown(&project.dataset(), "total"), ["54321"]);
}

#[test]
fn redelivery_is_decided_among_the_rows_that_are_visible() {
    // The first to arrive is stamped later, and is hidden until then: until then the second counts.
    let events = table(
        "user:str id:i64 ts:us@UTC         seen:us@UTC       x:i64
         a        1      2025-03-10T15:00  2025-03-10T12:00  1
         a        1      2025-03-10T11:00  2025-03-10T13:00  20",
    );
    let times = ["2025-03-10T12:30", "2025-03-10T13:00", "2025-03-10T14:59", "2025-03-10T15:00"];
    let hidden = format!("{CONFIG}\nfuture_events = \"hidden\"");
    let project = labels_at(&times).source("events", &hidden, &events).view("v", SUM);
    assert_eq!(shown(&project.dataset(), "total"), ["NULL", "20", "20", "1"]);
    let visible = labels_at(&times).source("events", CONFIG, &events).view("v", SUM);
    assert_eq!(shown(&visible.dataset(), "total"), ["1", "1", "1", "1"]);
}

#[test]
fn of_rows_that_the_sql_orders_alike_the_one_with_the_smaller_values_wins() {
    let events = table(
        "user:str ts:us@UTC         x:i64
         a        2025-03-10T12:00  3
         a        2025-03-10T12:00  1
         a        2025-03-10T12:00  2",
    );
    let project = labels_at(&["2025-03-10T13:00"])
        .source("events", "time = \"ts\"", &events)
        .view("newest", "SELECT DISTINCT ON (\"user\") \"user\", x AS newest FROM events ORDER BY \"user\", ts DESC")
        .view("limited", "SELECT \"user\", x AS limited FROM events ORDER BY ts DESC LIMIT 1")
        .view(
            "ranked",
            "SELECT \"user\", x AS ranked FROM (SELECT *, row_number() OVER (PARTITION BY \"user\" ORDER BY ts DESC) AS r
             FROM events) WHERE r = 1",
        )
        .view("ends", "SELECT \"user\", first_value(x ORDER BY ts) AS first, last_value(x ORDER BY ts) AS last FROM events
             GROUP BY \"user\"");
    let dataset = project.dataset();
    for feature in ["newest", "limited", "ranked", "first", "last"] {
        assert_eq!(shown(&dataset, feature), ["1"], "{feature}");
    }
}
