//! When retained events are deleted, and what that costs.
//!
//! A file is deleted once its newest event is older than the source's `retention`. From then on the log is only known to be complete
//! after that event, so windows that start before it are truncated.

use crate::lookback::{FROM_THE_BEGINNING, FeatureLookback, NOTHING, SourceRead};
use crate::retention::activity::DAY_NS;
use crate::retention::coverage::{Coverage, FeatureCoverage, Missing};
use crate::retention::facts::SourceFacts;
use crate::retention::model::TimelineEntry;
use crate::source::time::rfc3339;

const WEEK_NS: i64 = 7 * DAY_NS;
/// Weeks of delay that are told, at most.
const MOST_WEEKS: usize = 520;

/// A fixed length in ISO 8601, in days and hours.
pub(super) fn iso_days(nanoseconds: i64) -> String {
    let days = i32::try_from(nanoseconds / DAY_NS).unwrap_or(i32::MAX);
    crate::plan::iso(0, days, nanoseconds % DAY_NS)
}

/// What happens when.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// Nanoseconds since 1970.
    pub deadline: Option<i64>,
    pub entries: Vec<TimelineEntry>,
}

/// When the oldest file of a source is deleted.
pub fn expires(facts: &SourceFacts) -> Option<i64> {
    let oldest = facts.files.iter().min_by_key(|f| (f.first, f.last))?;
    Some(oldest.last.saturating_add(facts.retention_ns?))
}

/// When the first event from `needed` on is deleted.
fn lost_at(facts: &SourceFacts, needed: i64) -> Option<i64> {
    let newest = facts.files.iter().filter(|f| f.last >= needed).map(|f| f.last).min()?;
    Some(newest.saturating_add(facts.retention_ns?))
}

/// From when on the source is complete at `date`, where it is not now.
fn complete_at(facts: &SourceFacts, date: i64) -> Option<i64> {
    let retention = facts.retention_ns?;
    let gone = facts.files.iter().filter(|f| f.last.saturating_add(retention) <= date).map(|f| f.last).max();
    gone.map(|last| last.saturating_add(1))
}

/// The timeline for these label rows; `today` and label times in nanoseconds since 1970.
pub fn timeline(
    features: &[FeatureLookback],
    coverage: &[FeatureCoverage],
    facts: &[SourceFacts],
    times: &[i64],
    today: i64,
) -> Timeline {
    let covered: Vec<bool> =
        (0..times.len()).map(|row| coverage.iter().all(|c| c.there[row] == Coverage::Exact)).collect();
    // The first event that each row needs, by source.
    let mut needed: Vec<Vec<i64>> = vec![vec![NOTHING; times.len()]; facts.len()];
    for (feature, own) in features.iter().zip(coverage) {
        for SourceRead { source, lower, .. } in &feature.reads {
            if facts[*source].retention_ns.is_none() {
                continue;
            }
            let starts = lower.starts(times);
            for (row, start) in starts.into_iter().enumerate().filter(|(row, _)| own.there[*row].is_covered()) {
                needed[*source][row] = needed[*source][row].min(start);
            }
        }
    }
    let deadline = facts
        .iter()
        .zip(&needed)
        .filter_map(|(facts, needed)| lost_at(facts, needed.iter().copied().min().filter(|n| *n != NOTHING)?))
        .min();
    let mut entries = vec![entry(today, "today", "the day that this is counted from".to_string())];
    for facts in facts {
        if let Some(at) = expires(facts) {
            let name = facts.report.source.clone();
            let gone = if at <= today { "should be deleted by now" } else { "is deleted" };
            entries.push(TimelineEntry {
                source: Some(name.clone()),
                ..entry(at, "expires", format!("the oldest file of `{name}` {gone}"))
            });
        }
    }
    if let Some(at) = deadline {
        let detail = "the first event that a covered label row needs is deleted: run the replay before".to_string();
        entries.push(entry(at, "deadline", detail));
    }
    entries.extend(weeks(facts, &needed, &covered, today));
    entries.sort_by(|a, b| (&a.at, &a.what, &a.source).cmp(&(&b.at, &b.what, &b.source)));
    Timeline { deadline, entries }
}

/// What each week of delay costs, from now until nothing more is lost.
fn weeks(facts: &[SourceFacts], needed: &[Vec<i64>], covered: &[bool], today: i64) -> Vec<TimelineEntry> {
    let all = covered.iter().filter(|c| **c).count() as u64;
    let kept_at = |date: i64| {
        let since: Vec<Option<i64>> = facts.iter().map(|f| complete_at(f, date)).collect();
        let kept = |row: &usize| since.iter().zip(needed).all(|(since, n)| since.is_none_or(|since| n[*row] >= since));
        (0..covered.len()).filter(|row| covered[*row]).filter(kept).count() as u64
    };
    let mut entries = Vec::new();
    let mut before = all;
    for week in 0..MOST_WEEKS {
        let at = today.saturating_add(i64::try_from(week).unwrap_or(0).saturating_mul(WEEK_NS));
        let kept = if before == 0 { 0 } else { kept_at(at) };
        if kept < before {
            let lost = all - kept;
            let detail = format!("{kept} of {all} label rows are still covered by a replay on this day");
            entries.push(TimelineEntry { labels: Some(kept), lost: Some(lost), ..entry(at, "week", detail) });
        }
        before = kept;
        let more =
            facts.iter().any(|f| f.retention_ns.is_some_and(|r| f.files.iter().any(|t| t.last.saturating_add(r) > at)));
        if kept == 0 || !more {
            break;
        }
    }
    entries
}

pub(super) fn entry(at: i64, what: &str, detail: String) -> TimelineEntry {
    TimelineEntry {
        at: rfc3339(at),
        what: what.to_string(),
        source: None,
        model: None,
        labels: None,
        lost: None,
        detail,
    }
}

/// The first label time from which on every window of these readings is complete; `None`: never. Bounds that move with the label
/// time never go back, so the first such time is found by halving.
pub(super) fn complete_from(reads: &[SourceRead], facts: &[SourceFacts]) -> Option<i64> {
    let mut first = i64::MIN;
    for read in reads {
        let wanted = Missing::of(&facts[read.source], read).complete_from();
        if wanted == FROM_THE_BEGINNING {
            continue;
        }
        let reached = |time: i64| read.lower.start(time) >= wanted;
        let (mut low, mut high) = (wanted.saturating_sub(DAY_NS), wanted.saturating_add(CENTURY_NS));
        if wanted == i64::MAX || !reached(high) {
            return None;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if reached(middle) { high = middle } else { low = middle }
        }
        first = first.max(high);
    }
    Some(first)
}

const CENTURY_NS: i64 = 36_525 * DAY_NS;

/// How far back before the label time a source is read, in nanoseconds, at one instant; `None` where nothing bounds it.
pub(super) fn reach_at(reads: &[SourceRead], source: usize, time: i64) -> Option<i64> {
    let own = reads.iter().filter(|r| r.source == source).map(|r| r.lower.start(time));
    let start = own.min()?;
    (start != FROM_THE_BEGINNING).then(|| time.saturating_sub(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::facts::FileTimes;

    fn daily(days: i64, retention: i64) -> SourceFacts {
        let mut facts = SourceFacts::of_nothing();
        facts.files = (0..days).map(|d| FileTimes { first: d * DAY_NS, last: (d + 1) * DAY_NS - 1 }).collect();
        facts.retention_ns = Some(retention * DAY_NS);
        facts
    }

    #[test]
    fn the_oldest_file_expires_by_its_newest_event() {
        assert_eq!(expires(&daily(10, 30)), Some(31 * DAY_NS - 1));
    }

    #[test]
    fn an_event_is_lost_with_the_file_that_holds_it() {
        let facts = daily(10, 30);
        assert_eq!(lost_at(&facts, 5 * DAY_NS), Some(36 * DAY_NS - 1));
        assert_eq!(lost_at(&facts, FROM_THE_BEGINNING), Some(31 * DAY_NS - 1));
        assert_eq!(complete_at(&facts, 33 * DAY_NS), Some(3 * DAY_NS));
        assert_eq!(complete_at(&facts, 30 * DAY_NS), None);
    }
}
