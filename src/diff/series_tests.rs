//! Buckets of time.

use std::sync::Arc;

use datafusion::arrow::array::{TimestampNanosecondArray, TimestampSecondArray};

use super::*;

const DAY: i64 = 86_400;

/// Buckets of rows in the seconds `times`, each with whether it differs; as parts of so many rows.
fn buckets(times: &[Option<i64>], differ: &[bool], rows: usize) -> Vec<TimeBucket> {
    let mut all = Series::default();
    let mut span: Option<(i64, i64)> = None;
    for (times, differ) in times.chunks(rows).zip(differ.chunks(rows)) {
        let array: ArrayRef = Arc::new(TimestampSecondArray::from(times.to_vec()));
        let pairs: Vec<Pair> = (0..times.len()).map(|row| Pair { label: row, legacy: row }).collect();
        let hours = Hours::new(&array, &pairs).unwrap();
        let outcomes: Vec<Outcome> =
            differ.iter().map(|d| if *d { Outcome::Different } else { Outcome::Equal }).collect();
        all.merge(Series::of(&hours, &outcomes));
        span = match (span, hours.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
    }
    all.buckets(span)
}

fn starts(first: i64, last: i64) -> Vec<String> {
    buckets(&[Some(first), Some(last)], &[false, false], 2).into_iter().map(|b| b.from).collect()
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
    let hours = Hours::new(&times, &pairs).unwrap();
    let series = Series::of(&hours, &[Outcome::Different, Outcome::Equal, Outcome::Different]);
    let told: Vec<_> = series.buckets(hours.span).into_iter().map(|b| (b.from, b.compared, b.mismatched)).collect();
    assert_eq!(told, [("1969-12-31T23:00:00Z".to_string(), 1, 1), ("1970-01-01T00:00:00Z".to_string(), 1, 0)]);
}

#[test]
fn buckets_do_not_depend_on_the_parts() {
    let mut random = crate::diff::tests::Seeded::new(3);
    for span in [3_600 * 50, DAY * 40, DAY * 400, DAY * 20_000] {
        let mut seconds: Vec<i64> = (0..9_000).map(|_| random.below(span as u64) as i64 - span / 3).collect();
        seconds.sort_unstable();
        let times: Vec<Option<i64>> = seconds.iter().map(|s| Some(*s)).collect();
        let differ: Vec<bool> = (0..times.len()).map(|_| random.below(3) == 0).collect();
        let whole = buckets(&times, &differ, times.len());
        assert_eq!(whole.iter().map(|b| b.compared).sum::<u64>(), 9_000);
        for rows in [1, 700, 5_000] {
            assert_eq!(buckets(&times, &differ, rows), whole, "{span} s in parts of {rows}");
        }
        // Counted anew, bucket by bucket.
        let width = Width::spanning(seconds[0], seconds[seconds.len() - 1]);
        for (bucket, told) in whole.iter().enumerate() {
            let index = width.index(seconds[0]) + bucket as i64;
            let own = seconds.iter().zip(&differ).filter(|(s, _)| width.index(**s) == index);
            let (rows, differing) = own.fold((0, 0), |(rows, d), (_, differs)| (rows + 1, d + u64::from(*differs)));
            assert_eq!((told.compared, told.mismatched), (rows, differing));
        }
    }
}
