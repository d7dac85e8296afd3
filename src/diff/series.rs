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

/// Which bucket each pair of rows falls into.
#[derive(Debug)]
pub(super) struct Clock {
    starts: Vec<String>,
    /// Per pair; `None` where the row has no time.
    bucket_of: Vec<Option<usize>>,
}

impl Clock {
    pub(super) fn new(label_times: &ArrayRef, pairs: &[Pair]) -> Result<Self, ArrowError> {
        let unit = match label_times.data_type() {
            DataType::Timestamp(unit, _) => *unit,
            _ => TimeUnit::Second,
        };
        let ticks = cast(label_times, &DataType::Int64)?;
        let ticks = ticks.as_primitive::<Int64Type>();
        let seconds = |pair: &Pair| ticks.is_valid(pair.label).then(|| floor_seconds(ticks.value(pair.label), unit));
        let (first, last) = (pairs.iter().filter_map(seconds).min(), pairs.iter().filter_map(seconds).max());
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(Self { starts: Vec::new(), bucket_of: vec![None; pairs.len()] });
        };
        let width = Width::spanning(first, last);
        let origin = width.index(first);
        let starts = (origin..=width.index(last)).map(|index| rfc3339(width.start(index) * 1_000_000_000)).collect();
        let bucket_of = |seconds| usize::try_from(width.index(seconds) - origin).ok();
        Ok(Self { starts, bucket_of: pairs.iter().map(|pair| seconds(pair).and_then(bucket_of)).collect() })
    }

    /// The series of a feature from its outcomes, one per pair; empty where nothing was compared.
    pub(super) fn buckets(&self, outcomes: &[Outcome]) -> Vec<TimeBucket> {
        if !outcomes.iter().any(|outcome| outcome.is_compared()) {
            return Vec::new();
        }
        let mut counts = vec![(0, 0); self.starts.len()];
        for (bucket, outcome) in self.bucket_of.iter().zip(outcomes) {
            if let Some((compared, mismatched)) = bucket.and_then(|bucket| counts.get_mut(bucket)) {
                *compared += u64::from(outcome.is_compared());
                *mismatched += u64::from(outcome.is_mismatch());
            }
        }
        let buckets = self.starts.iter().zip(counts);
        buckets.map(|(from, (compared, mismatched))| TimeBucket { from: from.clone(), compared, mismatched }).collect()
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
