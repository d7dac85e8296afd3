//! Whether the retained events hold all that a feature reads, label row by label row.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::buffer::BooleanBuffer;

use crate::lookback::{FROM_THE_BEGINNING, FeatureLookback, Lower, SourceRead};
use crate::retention::activity::Span;
use crate::retention::facts::SourceFacts;

/// Whether one cell can be relied on; worse ones come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coverage {
    /// Everything that the value depends on is retained.
    Exact,
    /// The lookback meets a stretch in which events are missing.
    Gap,
    /// The lookback starts before the log is complete.
    Truncated,
}

impl Coverage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Gap => "gap",
            Self::Truncated => "truncated",
        }
    }

    pub fn is_covered(self) -> bool {
        self == Self::Exact
    }
}

/// One cell per label row. Features that read the same share theirs, and what is made of them.
pub type Cells = Arc<Vec<Coverage>>;

/// Coverage of one feature, by label row.
#[derive(Debug, Clone)]
pub struct FeatureCoverage {
    /// Where the view has a row for the label.
    pub there: Cells,
    /// Where it has none: what decides whether there is one is asked too.
    pub missing: Cells,
}

/// What is made of each column, once for those that are one and the same.
pub fn each_once<T, R: Clone>(columns: &[Arc<T>], mut make: impl FnMut(&Arc<T>) -> R) -> Vec<R> {
    let mut made: Vec<(&Arc<T>, R)> = Vec::new();
    let of = |column| {
        if let Some((_, known)) = made.iter().find(|(other, _)| Arc::ptr_eq(other, column)) {
            return known.clone();
        }
        made.push((column, make(column)));
        made[made.len() - 1].1.clone()
    };
    columns.iter().map(of).collect()
}

/// Where cells are covered.
pub fn covered(cells: &[Coverage]) -> BooleanArray {
    BooleanArray::from(BooleanBuffer::collect_bool(cells.len(), |row| cells[row].is_covered()))
}

/// The columns that differ, each once.
pub(super) fn distinct<'a, T>(columns: impl IntoIterator<Item = &'a Arc<T>>) -> Vec<&'a Arc<T>> {
    let mut found: Vec<&Arc<T>> = Vec::new();
    for column in columns {
        if !found.iter().any(|other| Arc::ptr_eq(other, column)) {
            found.push(column);
        }
    }
    found
}

/// Of several columns, the worst of each row.
pub(super) fn worst(columns: &[&Cells], rows: usize) -> Cells {
    match columns {
        [one] => Cells::clone(one),
        several => {
            let mut worst = vec![Coverage::Exact; rows];
            for column in several {
                worst.iter_mut().zip(column.iter()).for_each(|(own, cell)| *own = (*own).max(*cell));
            }
            Arc::new(worst)
        }
    }
}

/// Coverage of every feature, in their order; `times` are the label times, nanoseconds.
pub fn coverage(features: &[FeatureLookback], facts: &[SourceFacts], times: &[i64]) -> Vec<FeatureCoverage> {
    let mut known = Known { facts, times, starts: Vec::new(), cells: Vec::new() };
    // Features of a view mostly read the same: they share their rows.
    let mut shared: Vec<(&FeatureLookback, FeatureCoverage)> = Vec::new();
    features
        .iter()
        .map(|feature| {
            let alike =
                |other: &&FeatureLookback| (&other.reads, &other.presence) == (&feature.reads, &feature.presence);
            if let Some((_, coverage)) = shared.iter().find(|(other, _)| alike(other)) {
                return coverage.clone();
            }
            let there = known.worst(&feature.reads);
            let missing = if feature.presence.is_empty() {
                Arc::clone(&there)
            } else {
                let presence = known.worst(&feature.presence);
                worst(&[&there, &presence], times.len())
            };
            let coverage = FeatureCoverage { there, missing };
            shared.push((feature, coverage.clone()));
            coverage
        })
        .collect()
}

/// From when on a reading reads at one label time, nanoseconds, whether that is retained, and the first stretch in it that is missing.
pub fn reached(read: &SourceRead, facts: &SourceFacts, time: i64) -> (i64, Coverage, Option<Span>) {
    let (missing, start, end) = (Missing::of(facts, read), read.lower.start(time), facts.latest_seen(time));
    let gap = missing.gaps.iter().find(|gap| gap.from <= end && gap.to > start).copied();
    let coverage = missing.at(start, end);
    (start, coverage, gap.filter(|_| coverage == Coverage::Gap))
}

struct Known<'a> {
    facts: &'a [SourceFacts],
    times: &'a [i64],
    /// Bounds that have been evaluated.
    starts: Vec<(Lower, Arc<Vec<i64>>)>,
    /// Readings that have been held against what is retained: most features of a view share theirs.
    cells: Vec<(ReadKey, Cells)>,
}

/// What the coverage of a reading depends on: its source and bound, and which of its columns came late.
#[derive(Debug, Clone, PartialEq)]
struct ReadKey {
    source: usize,
    lower: Lower,
    late: Vec<usize>,
}

impl Known<'_> {
    fn starts(&mut self, lower: &Lower) -> Arc<Vec<i64>> {
        if let Some((_, starts)) = self.starts.iter().find(|(l, _)| l == lower) {
            return Arc::clone(starts);
        }
        let starts = Arc::new(lower.starts(self.times));
        self.starts.push((lower.clone(), Arc::clone(&starts)));
        starts
    }

    fn worst(&mut self, reads: &[SourceRead]) -> Cells {
        let cells: Vec<Cells> = reads.iter().map(|read| self.read(read)).collect();
        worst(&distinct(&cells), self.times.len())
    }

    fn read(&mut self, read: &SourceRead) -> Cells {
        let facts = &self.facts[read.source];
        let late = facts.late_columns.iter().map(|(column, _)| *column).filter(|c| read.columns.contains(c));
        let key = ReadKey { source: read.source, lower: read.lower.clone(), late: late.collect() };
        if let Some((_, cells)) = self.cells.iter().find(|(k, _)| *k == key) {
            return Arc::clone(cells);
        }
        let missing = Missing::of(facts, read);
        let starts = self.starts(&read.lower);
        let at = |(&start, &time): (&i64, &i64)| missing.at(start, facts.latest_seen(time));
        let cells: Cells = Arc::new(starts.iter().zip(self.times).map(at).collect());
        self.cells.push((key, Arc::clone(&cells)));
        cells
    }
}

/// Where events that a reading needs are not retained.
pub(super) struct Missing {
    since: i64,
    /// By their start.
    gaps: Vec<Span>,
    /// The latest end of the gaps up to each.
    ends: Vec<i64>,
}

impl Missing {
    pub(super) fn of(facts: &SourceFacts, read: &SourceRead) -> Self {
        let mut gaps: Vec<Span> = facts.gaps.iter().map(|gap| gap.span).collect();
        let late = facts.late_columns.iter().filter(|(column, _)| read.columns.contains(column));
        gaps.extend(late.flat_map(|(_, spans)| spans.iter().copied()));
        gaps.sort_unstable();
        let ends = gaps.iter().scan(i64::MIN, |latest, gap| {
            *latest = gap.to.max(*latest);
            Some(*latest)
        });
        Self { since: facts.since, ends: ends.collect(), gaps }
    }

    /// A window from `start` (inclusive) to `end` (inclusive).
    pub(super) fn at(&self, start: i64, end: i64) -> Coverage {
        if start < self.since && self.since != FROM_THE_BEGINNING {
            return Coverage::Truncated;
        }
        let begun = self.gaps.partition_point(|gap| gap.from <= end);
        match begun.checked_sub(1).map(|i| self.ends[i]) {
            Some(latest) if latest > start => Coverage::Gap,
            _ => Coverage::Exact,
        }
    }

    /// From when on a window may start without meeting anything that is missing.
    pub(super) fn complete_from(&self) -> i64 {
        self.ends.last().copied().unwrap_or(i64::MIN).max(self.since)
    }
}

/// Rows by what they are: covered, truncated, gap.
pub(super) fn tally(cells: &[Coverage]) -> [u64; 3] {
    [Coverage::Exact, Coverage::Truncated, Coverage::Gap].map(|c| cells.iter().filter(|own| **own == c).count() as u64)
}

/// The month of an instant, such as `2025-03`.
pub(super) fn month_of(time: i64) -> String {
    crate::source::time::rfc3339(time).chars().take(7).collect()
}

/// The months of label times, which ascend, and the rows in each.
pub(super) fn months_of(times: &[i64]) -> Vec<(String, Range<usize>)> {
    let mut months: Vec<(String, Range<usize>)> = Vec::new();
    let mut start = 0;
    while let Some(&time) = times.get(start) {
        let until = next_month(time);
        // The last month there is has no end.
        let end = if until > time { start + times[start..].partition_point(|t| *t < until) } else { times.len() };
        months.push((month_of(time), start..end));
        start = end;
    }
    months
}

fn next_month(time: i64) -> i64 {
    use chrono::{DateTime, Datelike, Months, NaiveTime};
    let day = DateTime::from_timestamp_nanos(time).date_naive();
    let first = day.with_day(1).unwrap_or(day);
    let next = first.checked_add_months(Months::new(1)).map(|d| d.and_time(NaiveTime::MIN).and_utc());
    next.and_then(|t| t.timestamp_nanos_opt()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn missing(since: i64, gaps: &[(i64, i64)]) -> Missing {
        let mut facts = SourceFacts::of_nothing();
        facts.since = since;
        facts.late_columns = vec![(3, gaps.iter().map(|&(from, to)| Span { from, to }).collect())];
        Missing::of(&facts, &SourceRead { source: 0, lower: Lower::Unbounded, columns: BTreeSet::from([3]) })
    }

    #[test]
    fn a_window_that_starts_before_the_log_is_truncated() {
        let missing = missing(100, &[]);
        assert_eq!([99, 100].map(|start| missing.at(start, 200)), [Coverage::Truncated, Coverage::Exact]);
        assert_eq!(missing.at(FROM_THE_BEGINNING, 200), Coverage::Truncated);
    }

    #[test]
    fn a_window_meets_a_gap_up_to_its_end_and_not_before_its_start() {
        let missing = missing(0, &[(50, 60), (20, 90)]);
        assert_eq!([89, 90].map(|start| missing.at(start, 200)), [Coverage::Gap, Coverage::Exact]);
        assert_eq!([19, 20].map(|end| missing.at(5, end)), [Coverage::Exact, Coverage::Gap]);
        assert_eq!(missing.complete_from(), 90);
    }

    #[test]
    fn nothing_is_truncated_where_the_log_has_the_beginning() {
        let missing = missing(FROM_THE_BEGINNING, &[(20, 30)]);
        assert_eq!(missing.at(FROM_THE_BEGINNING, 19), Coverage::Exact);
        assert_eq!(missing.at(FROM_THE_BEGINNING, 20), Coverage::Gap);
    }

    #[test]
    fn months_are_told_apart() {
        let time = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap();
        let times = ["2025-01-31T23:59:59Z", "2025-02-01T00:00:00Z", "2025-02-28T12:00:00Z"].map(time);
        let months: Vec<_> = months_of(&times).into_iter().map(|(month, rows)| (month, rows.start, rows.end)).collect();
        assert_eq!(months, [("2025-01".to_string(), 0, 1), ("2025-02".to_string(), 1, 3)]);
        assert_eq!(tally(&[Coverage::Gap, Coverage::Exact, Coverage::Gap]), [1, 0, 2]);
    }
}
