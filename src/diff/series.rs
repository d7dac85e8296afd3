//! Mismatches over label time: where a difference starts, stops or comes and goes.
//!
//! Buckets are calendar hours, days, weeks (from Monday), months, quarters or years in UTC: the finest of which no more
//! than [`MOST_BUCKETS`] span the matched rows; beyond that 10, 100, … years. All features of a snapshot have the same
//! buckets, from the first matched row to the last, empty ones included. Rows without a time are in none.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::arrow::error::ArrowError;

use super::TimeBucket;
use super::align::Pair;
use super::cell::Outcome;
use super::instant::{civil_from_days, days_from_month, floor_seconds, rfc3339};

const MOST_BUCKETS: i64 = 60;
const SECONDS_PER_HOUR: i64 = 3_600;
const SECONDS_PER_DAY: i64 = 86_400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Hour,
    Day,
    Week,
    /// Calendar months: 1, 3, 12, 120, …
    Months(i64),
}

impl Width {
    /// Two of these hold every instant that 64 bits of seconds can.
    const CENTURIES: Self = Self::Months(12 * 10i64.pow(12));

    /// The finest width of which at most [`MOST_BUCKETS`] span two instants, both inclusive, in seconds.
    fn spanning(first: i64, last: i64) -> Self {
        let fixed = [Self::Hour, Self::Day, Self::Week, Self::Months(1), Self::Months(3)];
        let years = (0..).map(|power| Self::Months(12 * 10i64.pow(power)));
        let mut widths = fixed.into_iter().chain(years.take(13));
        widths.find(|width| width.index(last) - width.index(first) < MOST_BUCKETS).unwrap_or(Self::CENTURIES)
    }

    fn index(self, seconds: i64) -> i64 {
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        match self {
            Self::Hour => seconds.div_euclid(SECONDS_PER_HOUR),
            Self::Day => days,
            // Day 0 was a Thursday, day -3 a Monday.
            Self::Week => (days + 3).div_euclid(7),
            Self::Months(months) => {
                let (year, month, _) = civil_from_days(days);
                (year * 12 + month - 1).div_euclid(months)
            }
        }
    }

    /// The first second of a bucket.
    fn start(self, index: i64) -> i128 {
        match self {
            Self::Hour => i128::from(index) * i128::from(SECONDS_PER_HOUR),
            Self::Day => i128::from(index) * i128::from(SECONDS_PER_DAY),
            Self::Week => (i128::from(index) * 7 - 3) * i128::from(SECONDS_PER_DAY),
            Self::Months(months) => {
                let month = index.saturating_mul(months);
                let days = days_from_month(month.div_euclid(12), month.rem_euclid(12) + 1);
                i128::from(days) * i128::from(SECONDS_PER_DAY)
            }
        }
    }
}

/// The hours that pairs of rows fall into.
#[derive(Debug)]
pub(super) struct Hours {
    /// First and last second, where there is any.
    pub span: Option<(i64, i64)>,
    /// Per pair; `None` where the row has no time.
    hour_of: Vec<Option<i64>>,
}

impl Hours {
    pub(super) fn new(label_times: &ArrayRef, pairs: &[Pair]) -> Result<Self, ArrowError> {
        let unit = match label_times.data_type() {
            DataType::Timestamp(unit, _) => *unit,
            _ => TimeUnit::Second,
        };
        let ticks = cast(label_times, &DataType::Int64)?;
        let ticks = ticks.as_primitive::<Int64Type>();
        let seconds = |pair: &Pair| ticks.is_valid(pair.label).then(|| floor_seconds(ticks.value(pair.label), unit));
        let (first, last) = (pairs.iter().filter_map(seconds).min(), pairs.iter().filter_map(seconds).max());
        let hour_of = pairs.iter().map(|pair| seconds(pair).map(|s| s.div_euclid(SECONDS_PER_HOUR))).collect();
        Ok(Self { span: first.zip(last), hour_of })
    }
}

/// Compared and mismatched rows of a feature over time. Kept by hour while they are few, then by day: more hours than that have no
/// buckets as fine.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    by_day: bool,
    /// Number of the hour or day since 1970, rows compared, rows that differ; in order.
    counts: Vec<(i64, u64, u64)>,
}

const HOURS_PER_DAY: i64 = 24;
const MOST_HOURS: usize = 4096;

impl Series {
    /// The series of a feature from its outcomes, one per pair.
    pub(super) fn of(hours: &Hours, outcomes: &[Outcome]) -> Self {
        let mut counts: Vec<(i64, u64, u64)> = Vec::new();
        for (hour, outcome) in hours.hour_of.iter().zip(outcomes) {
            let Some(hour) = hour.filter(|_| outcome.is_compared()) else { continue };
            let differs = u64::from(outcome.is_mismatch());
            match counts.last_mut() {
                Some((last, compared, mismatched)) if *last == hour => {
                    *compared += 1;
                    *mismatched += differs;
                }
                _ => counts.push((hour, 1, differs)),
            }
        }
        let mut series = Self { by_day: false, counts };
        series.tidy();
        series
    }

    pub(super) fn merge(&mut self, mut other: Self) {
        if self.by_day {
            other.coarsen();
        } else if other.by_day {
            self.coarsen();
        }
        self.counts.append(&mut other.counts);
        self.tidy();
    }

    fn coarsen(&mut self) {
        if !self.by_day {
            self.counts.iter_mut().for_each(|(hour, ..)| *hour = hour.div_euclid(HOURS_PER_DAY));
            self.by_day = true;
        }
    }

    fn tidy(&mut self) {
        self.counts.sort_unstable_by_key(|(at, ..)| *at);
        self.counts.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
                kept.2 += next.2;
            }
            same
        });
        if !self.by_day && self.counts.len() > MOST_HOURS {
            self.coarsen();
            self.tidy();
        }
    }

    /// Buckets from the first matched row to the last, in seconds; empty where nothing was compared.
    pub(super) fn buckets(&self, span: Option<(i64, i64)>) -> Vec<TimeBucket> {
        let Some((first, last)) = span.filter(|_| !self.counts.is_empty()) else { return Vec::new() };
        let width = Width::spanning(first, last);
        let origin = width.index(first);
        let bucket =
            |index| TimeBucket { from: rfc3339(width.start(index) * 1_000_000_000), compared: 0, mismatched: 0 };
        let mut buckets: Vec<TimeBucket> = (origin..=width.index(last)).map(bucket).collect();
        let unit = if self.by_day { SECONDS_PER_DAY } else { SECONDS_PER_HOUR };
        for (at, compared, mismatched) in &self.counts {
            // The first hour or day may begin before the first bucket does, never its rows.
            let index = width.index(at.saturating_mul(unit)).max(origin) - origin;
            if let Some(bucket) = usize::try_from(index).ok().and_then(|i| buckets.get_mut(i)) {
                bucket.compared += compared;
                bucket.mismatched += mismatched;
            }
        }
        buckets
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
