//! Mismatches over label time as a picture: one bar per bucket, as high as its share of the highest.

use crate::diff::TimeBucket;
use crate::report::text::{percent, short_time, thousands};

/// Units from bar to bar, of which the last is a gap.
const STEP: usize = 4;
/// Units of the highest bar.
const HEIGHT: f64 = 24.0;
/// A mismatch is never too small to be seen.
const LEAST: f64 = 1.0;

/// A picture, and what it shows in words. All texts are clean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series {
    pub width: usize,
    /// The bars, as the data of an SVG path in a box of `width` by 24.
    pub path: String,
    pub first: String,
    pub last: String,
    /// The highest bar: "highest at 2013-02-11: 33.89 % (40 of 118)".
    pub most: String,
    /// All of it for who does not see it.
    pub label: String,
}

/// The series of these buckets; `None` where nothing differs.
pub(super) fn series(buckets: &[TimeBucket]) -> Option<Series> {
    let share = |bucket: &TimeBucket| bucket.mismatched as f64 / bucket.compared.max(1) as f64;
    let mut highest = buckets.first()?;
    for bucket in buckets {
        if share(bucket) > share(highest) {
            highest = bucket;
        }
    }
    if highest.mismatched == 0 {
        return None;
    }
    let differing = buckets.iter().enumerate().filter(|(_, bucket)| bucket.mismatched > 0);
    let bars = differing.map(|(at, bucket)| {
        let height = (share(bucket) / share(highest) * HEIGHT).max(LEAST);
        let height = format!("{height:.1}");
        let height = height.trim_end_matches(".0");
        format!("M{} 24v-{height}h{}v{height}z", at * STEP, STEP - 1)
    });
    let days = buckets.iter().all(|bucket| bucket.from.ends_with("T00:00:00Z"));
    let told = |bucket: &TimeBucket| {
        let time = short_time(&bucket.from);
        if days { time.trim_end_matches(" 00:00Z").to_string() } else { time }
    };
    let (first, last) = (told(buckets.first()?), told(buckets.last()?));
    let most = format!(
        "highest at {}: {} ({} of {})",
        told(highest),
        percent(highest.mismatched, highest.compared),
        thousands(highest.mismatched),
        thousands(highest.compared),
    );
    Some(Series {
        width: buckets.len() * STEP,
        path: bars.collect(),
        label: format!("Share that differs, {first} to {last}; {most}"),
        first,
        last,
        most,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(counts: &[(u64, u64)]) -> Vec<TimeBucket> {
        let bucket = |(at, (compared, mismatched)): (usize, &(u64, u64))| TimeBucket {
            from: format!("2013-03-{:02}T00:00:00Z", at + 1),
            compared: *compared,
            mismatched: *mismatched,
        };
        counts.iter().enumerate().map(bucket).collect()
    }

    #[test]
    fn bars_are_as_high_as_their_share_of_the_highest() {
        let series = series(&buckets(&[(100, 0), (100, 20), (0, 0), (10, 4), (10_000, 1)])).unwrap();
        // 20 % is half of 40 %; nothing differs on the first day and nothing was compared on the third.
        assert_eq!(series.path, "M4 24v-12h3v12zM12 24v-24h3v24zM16 24v-1h3v1z");
        assert_eq!(series.width, 20);
        assert_eq!(series.most, "highest at 2013-03-04: 40.00 % (4 of 10)");
        assert_eq!(
            series.label,
            "Share that differs, 2013-03-01 to 2013-03-05; highest at 2013-03-04: 40.00 % (4 of 10)"
        );
    }

    #[test]
    fn where_nothing_differs_there_is_no_picture() {
        assert_eq!(series(&buckets(&[(100, 0), (0, 0)])), None);
        assert_eq!(series(&[]), None);
    }

    #[test]
    fn hours_keep_their_time() {
        let mut hours = buckets(&[(10, 1), (10, 1)]);
        hours[1].from = "2013-03-01T01:00:00Z".to_string();
        assert_eq!(series(&hours).unwrap().last, "2013-03-01 01:00Z");
    }
}
