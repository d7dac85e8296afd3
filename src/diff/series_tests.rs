//! Buckets of time.

use std::sync::Arc;

use datafusion::arrow::array::{TimestampNanosecondArray, TimestampSecondArray};

use super::*;

const DAY: i64 = 86_400;

fn starts(first: i64, last: i64) -> Vec<String> {
    let times: ArrayRef = Arc::new(TimestampSecondArray::from(vec![first, last]));
    let pairs = [Pair { label: 0, legacy: 0 }, Pair { label: 1, legacy: 1 }];
    Clock::new(&times, &pairs).unwrap().starts
}

#[test]
fn the_finest_width_of_at_most_sixty_buckets_is_taken() {
    let from = |span: i64| {
        let starts = starts(0, span);
        assert!(starts.len() <= 60, "{} buckets", starts.len());
        (starts.len(), starts[1].clone())
    };
    assert_eq!(from(60 * 3_600 - 1), (60, "1970-01-01T01:00:00Z".to_string()));
    assert_eq!(from(60 * 3_600), (3, "1970-01-02T00:00:00Z".to_string()));
    assert_eq!(from(60 * DAY), (10, "1970-01-05T00:00:00Z".to_string()));
    assert_eq!(from(500 * DAY), (17, "1970-02-01T00:00:00Z".to_string()));
    assert_eq!(from(3_000 * DAY), (33, "1970-04-01T00:00:00Z".to_string()));
    assert_eq!(from(8_000 * DAY), (22, "1971-01-01T00:00:00Z".to_string()));
    assert_eq!(from(40_000 * DAY), (11, "1980-01-01T00:00:00Z".to_string()));
}

#[test]
fn weeks_start_on_monday_and_months_on_the_first() {
    // 2024-02-29 was a Thursday.
    let leap_day = 19_782 * DAY;
    assert_eq!(starts(leap_day, leap_day + 100 * DAY)[0], "2024-02-26T00:00:00Z");
    assert_eq!(starts(leap_day, leap_day + 700 * DAY)[..2], ["2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"]);
}

#[test]
fn any_span_of_time_has_buckets() {
    let starts = starts(i64::MIN, i64::MAX);
    assert!((1..=60).contains(&starts.len()));
}

#[test]
fn an_instant_before_1970_is_in_the_hour_that_holds_it() {
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(-1), Some(0), None]));
    let pairs = [0, 1, 2].map(|row| Pair { label: row, legacy: row });
    let clock = Clock::new(&times, &pairs).unwrap();
    let buckets = clock.buckets(&[Outcome::Different, Outcome::Equal, Outcome::Different]);
    let told: Vec<_> = buckets.iter().map(|b| (b.from.as_str(), b.compared, b.mismatched)).collect();
    assert_eq!(told, [("1969-12-31T23:00:00Z", 1, 1), ("1970-01-01T00:00:00Z", 1, 0)]);
}
