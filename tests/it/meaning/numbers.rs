//! Rule 7: sums are exact, and an integer that overflows is an error.

use super::labels_at;
use crate::support::{Project, shown, table};

const LOG: &str = "time = \"ts\"";
const LAST_HOUR: &str = "SELECT \"user\", sum(x) AS total, avg(x) AS mean FROM events
                         WHERE ts > NOW() - INTERVAL '1 hour' GROUP BY \"user\"";

#[test]
fn what_slid_out_of_a_window_leaves_no_trace() {
    let events = table(
        "user:str ts:us@UTC         x:f64
         a        2025-03-10T11:00  1e17
         a        2025-03-10T11:30  0.1
         a        2025-03-10T11:40  0.2
         a        2025-03-10T12:10  0.3",
    );
    let dataset = labels_at(&["2025-03-10T11:45", "2025-03-10T12:15"])
        .source("events", LOG, &events)
        .view("v", LAST_HOUR)
        .dataset();
    // 0.1 + 0.2 + 0.3, as the doubles that they are, is nearest to 0.6; added one by one it is not.
    assert_eq!(shown(&dataset, "total"), ["1e17", "0.6"]);
    // The mean may be one unit in the last place off, and is: the rounded sum is divided.
    assert_eq!(shown(&dataset, "mean"), ["3.3333333333333332e16", "0.19999999999999998"]);
}

#[test]
fn large_values_that_cancel_leave_the_small_one() {
    let mut rows = ["1e17", "1", "-1e17", "1e300", "-1e300", "1e-300"];
    let mut totals = Vec::new();
    for _ in 0..rows.len() {
        rows.rotate_left(1);
        let text: String = rows.iter().map(|x| format!("a 2025-03-10T11:30 {x}\n")).collect();
        let dataset = labels_at(&["2025-03-10T12:00"])
            .source("events", LOG, &table(&format!("user:str ts:us@UTC x:f64\n{text}")))
            .view("v", LAST_HOUR)
            .dataset();
        totals.extend(shown(&dataset, "total"));
    }
    assert_eq!(totals, ["1.0"; 6]);
}

#[test]
fn nan_and_infinities_poison_only_the_windows_that_hold_them() {
    let events = table(
        "user:str ts:us@UTC         x:f64
         a        2025-03-10T10:10  inf
         a        2025-03-10T10:20  1.5
         a        2025-03-10T11:15  NaN
         a        2025-03-10T12:20  2.5
         a        2025-03-10T13:10  -inf
         a        2025-03-10T13:15  inf",
    );
    let times = ["2025-03-10T10:30", "2025-03-10T11:12", "2025-03-10T11:30", "2025-03-10T12:30", "2025-03-10T13:12"];
    let dataset = labels_at(&[&times[..], &["2025-03-10T13:18"]].concat())
        .source("events", LOG, &events)
        .view("v", LAST_HOUR)
        .dataset();
    assert_eq!(shown(&dataset, "total"), ["inf", "1.5", "NaN", "2.5", "-inf", "NaN"]);
}

#[test]
fn sum_that_only_overflows_on_the_way_is_no_overflow() {
    let events = table(
        "user:str ts:us@UTC         x:i64
         a        2025-03-10T11:00  9223372036854775807
         a        2025-03-10T11:10  1
         a        2025-03-10T11:20  -5",
    );
    let dataset = labels_at(&["2025-03-10T11:30"])
        .source("events", LOG, &events)
        .view("v", "SELECT \"user\", sum(x) AS total FROM events GROUP BY \"user\"")
        .dataset();
    assert_eq!(shown(&dataset, "total"), ["9223372036854775803"]);
}

fn overflowing() -> Project {
    let events = table(
        "user:str ts:us@UTC         x:i64
         a        2025-03-10T11:00  9223372036854775807
         a        2025-03-10T11:10  1",
    );
    labels_at(&["2025-03-10T11:30"])
        .source("events", LOG, &events)
        .view("v", "SELECT \"user\", count(*) AS n, sum(x) AS total FROM events GROUP BY \"user\"")
}

#[test]
fn integer_sum_that_overflows_is_an_error_that_names_the_feature() {
    for engine in ["reference", "rewrite"] {
        let ran = overflowing().backcast(&["replay", "--engine", engine]).exits_with(2);
        ran.complains_of(&["overflow", "`v.total`"]);
    }
}

#[test]
fn other_features_are_not_blamed_for_an_overflow() {
    let ran = overflowing().backcast(&["replay"]).exits_with(2);
    assert!(!ran.stderr.contains("`v.n`"), "{}", ran.stderr);
}

#[test]
fn decimal_sums_stay_decimals() {
    let events = table("user:str ts:us@UTC x:dec\n a 2025-03-10T11:00 0.10\n a 2025-03-10T11:10 0.20");
    let dataset = labels_at(&["2025-03-10T11:30"])
        .source("events", LOG, &events)
        .view("v", "SELECT \"user\", sum(x) AS total FROM events GROUP BY \"user\"")
        .dataset();
    assert_eq!(shown(&dataset, "total"), ["0.30"]);
}
