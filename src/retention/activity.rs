//! When a log has events: how many in each bin of time, with the first and the last of each.
//!
//! Bins are as wide as the shortest silence that is looked for, at most an hour. So every stretch without events that is longer than a
//! bin lies between the last event of one bin and the first of another, and its bounds are exact. A row group whose times span
//! no more than a bin need not be read: its least and its most time are events, and no longer silence fits between them.

use std::collections::BTreeMap;

pub const HOUR_NS: i64 = 3_600_000_000_000;
pub const DAY_NS: i64 = 24 * HOUR_NS;

/// A stretch of time, nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Inclusive.
    pub from: i64,
    /// Exclusive.
    pub to: i64,
}

#[derive(Debug, Clone, Copy)]
struct Bin {
    events: f64,
    first: i64,
    last: i64,
}

/// A log's events over time.
#[derive(Debug, Clone)]
pub struct Activity {
    bin_ns: i64,
    bins: BTreeMap<i64, Bin>,
    /// Row groups that were not looked into: events may lie anywhere in them.
    unseen: Vec<Span>,
}

impl Activity {
    /// `shortest_ns`: the shortest silence that is looked for.
    pub fn new(shortest_ns: Option<i64>) -> Self {
        Self { bin_ns: shortest_ns.unwrap_or(HOUR_NS).clamp(1, HOUR_NS), bins: BTreeMap::new(), unseen: Vec::new() }
    }

    /// A row group that spans no more than this need not be read.
    pub fn finest_ns(&self) -> i64 {
        self.bin_ns
    }

    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    pub fn first(&self) -> Option<i64> {
        self.bins.values().next().map(|bin| bin.first)
    }

    pub fn last(&self) -> Option<i64> {
        self.bins.values().next_back().map(|bin| bin.last)
    }

    fn put(&mut self, time: i64, events: f64) {
        let bin = self.bins.entry(time.div_euclid(self.bin_ns)).or_insert(Bin { events: 0.0, first: time, last: time });
        bin.events += events;
        bin.first = bin.first.min(time);
        bin.last = bin.last.max(time);
    }

    /// One event.
    pub fn event(&mut self, time: i64) {
        self.put(time, 1.0);
    }

    /// Events of which only the first, the last and the number are known. They count evenly over the bins between.
    pub fn events(&mut self, first: i64, last: i64, events: u64) {
        if events == 0 {
            return;
        }
        let span = last.saturating_sub(first);
        if span > self.bin_ns {
            self.unseen.push(Span { from: first, to: last });
        }
        let (from, to) = (first.div_euclid(self.bin_ns), last.div_euclid(self.bin_ns));
        self.put(first, 0.0);
        self.put(last, 0.0);
        let whole = (last as f64 - first as f64).max(1.0);
        // A time that is no event's may be centuries away, and bins may be short: not every one of them has to be there.
        let step = to.saturating_sub(from) / MOST_BINS + 1;
        for bin in (from..=to).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let start = bin.saturating_mul(self.bin_ns).max(first);
            let end = bin.saturating_add(step).saturating_mul(self.bin_ns).min(last);
            let share = if from == to { 1.0 } else { (end as f64 - start as f64).max(0.0) / whole };
            if let Some(own) = self.bins.get_mut(&bin) {
                own.events += share * events as f64;
            } else if share > 0.0 {
                self.bins.insert(bin, Bin { events: share * events as f64, first: start, last: end });
            }
        }
    }

    /// Adds what another has seen, in bins of the same width.
    pub fn merge(&mut self, other: &Self) {
        for (bin, seen) in &other.bins {
            let own = self.bins.entry(*bin).or_insert(Bin { events: 0.0, ..*seen });
            own.events += seen.events;
            own.first = own.first.min(seen.first);
            own.last = own.last.max(seen.last);
        }
        self.unseen.extend(&other.unseen);
    }

    /// Stretches between two events without any between, longer than `longer_ns` (at least a bin). What was not looked into is
    /// taken to have events throughout.
    pub fn silences(&self, longer_ns: i64) -> Vec<Span> {
        let longer_ns = longer_ns.max(self.bin_ns);
        let mut found = Vec::new();
        let mut last: Option<i64> = None;
        for bin in self.bins.values() {
            if let Some(from) = last
                && bin.first.saturating_sub(from) > longer_ns
                && !self.unseen.iter().any(|s| s.from <= from && s.to >= bin.first)
            {
                found.push(Span { from, to: bin.first });
            }
            last = Some(last.map_or(bin.last, |last| last.max(bin.last)));
        }
        found
    }

    /// Events per hour, from the hour of the first event to that of the last.
    pub fn hours(&self) -> Hours {
        let hour = |time: i64| time.div_euclid(HOUR_NS);
        let (Some(first), Some(last)) = (self.first(), self.last()) else {
            return Hours { first: 0, events: Vec::new() };
        };
        let length = usize::try_from(hour(last) - hour(first) + 1).unwrap_or(0);
        // Centuries of hours come of a time that is no event's: nothing can be judged by them.
        if length > MOST_HOURS {
            return Hours { first: hour(first), events: Vec::new() };
        }
        let mut events = vec![0.0; length];
        for bin in self.bins.values() {
            if let Ok(at) = usize::try_from(hour(bin.first) - hour(first)) {
                events[at] += bin.events;
            }
        }
        Hours { first: hour(first), events }
    }

    /// Rows per day since 1970.
    pub fn days(&self) -> BTreeMap<i64, f64> {
        let mut days = BTreeMap::new();
        for bin in self.bins.values() {
            *days.entry(bin.first.div_euclid(DAY_NS)).or_insert(0.0) += bin.events;
        }
        days
    }
}

/// Bins over which the events of one row group are spread: as many as hours in eleven years.
const MOST_BINS: i64 = 100_000;
/// A century.
const MOST_HOURS: usize = 876_600;

/// Events by hour.
#[derive(Debug, Clone)]
pub struct Hours {
    /// The first hour, counted from 1970.
    pub first: i64,
    pub events: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    #[test]
    fn a_silence_is_found_with_the_events_at_its_ends() {
        let mut activity = Activity::new(Some(10 * MINUTE));
        for minute in (0..100).chain(131..200) {
            activity.event(minute * MINUTE + 7);
        }
        let expected = Span { from: 99 * MINUTE + 7, to: 131 * MINUTE + 7 };
        assert_eq!(activity.silences(10 * MINUTE), [expected]);
        assert_eq!(activity.silences(31 * MINUTE), [expected]);
        assert_eq!(activity.silences(32 * MINUTE), []);
    }

    #[test]
    fn row_groups_within_a_bin_give_the_same_silences_as_their_events() {
        let (mut read, mut footers) = (Activity::new(None), Activity::new(None));
        for group in [0_i64, 1, 2, 9, 10] {
            let times: Vec<i64> = (0..6).map(|i| (group * 50 + i * 9) * MINUTE).collect();
            times.iter().for_each(|t| read.event(*t));
            footers.events(times[0], times[5], 6);
        }
        assert_eq!(read.silences(HOUR_NS), footers.silences(HOUR_NS));
        assert_eq!(read.silences(HOUR_NS), [Span { from: 145 * MINUTE, to: 450 * MINUTE }]);
    }

    #[test]
    fn a_row_group_of_centuries_takes_few_bins() {
        let mut activity = Activity::new(Some(1_000));
        activity.events(i64::MIN + 1, i64::MAX - 1, 1_000);
        assert!(activity.bins.len() <= 100_003, "{}", activity.bins.len());
        let events: f64 = activity.bins.values().map(|bin| bin.events).sum();
        assert!((events - 1_000.0).abs() < 1.0, "{events}");
        assert_eq!(activity.silences(HOUR_NS), []);
        assert!(activity.hours().events.is_empty());
    }

    #[test]
    fn what_was_not_looked_into_is_no_silence() {
        let mut activity = Activity::new(None);
        activity.events(0, 30 * HOUR_NS, 3);
        assert_eq!(activity.silences(HOUR_NS), []);
        assert_eq!((activity.first(), activity.last()), (Some(0), Some(30 * HOUR_NS)));
    }
}
