//! When retained events are deleted, and what that costs.
//!
//! A file is deleted once its newest event is older than the source's `retention`. From then on the log is only known to be complete
//! after that event, so windows that start before it are truncated.

use crate::lookback::{FROM_THE_BEGINNING, NOTHING, SourceRead};
use crate::monitor::thousands;
use crate::retention::activity::DAY_NS;
use crate::retention::coverage::Missing;
use crate::retention::facts::SourceFacts;
use crate::retention::model::TimelineEntry;
use crate::retention::sums::RetentionSums;
use crate::source::time::rfc3339;

pub(super) const WEEK_NS: i64 = 7 * DAY_NS;
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
pub(super) fn complete_at(facts: &SourceFacts, date: i64) -> Option<i64> {
    let retention = facts.retention_ns?;
    let gone = facts.files.iter().filter(|f| f.last.saturating_add(retention) <= date).map(|f| f.last).max();
    gone.map(|last| last.saturating_add(1))
}

/// The timeline for the label rows that were added up.
pub fn timeline(sums: &RetentionSums<'_>) -> Timeline {
    let (facts, today) = (sums.facts, sums.today);
    let needed = facts.iter().zip(&sums.expiry.needed);
    let deadline = needed.filter_map(|(facts, needed)| lost_at(facts, Some(*needed).filter(|n| *n != NOTHING)?)).min();
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
        let detail = if at <= today {
            "events that covered label rows need should be deleted by now: run the replay while they are there"
        } else {
            "the first event that a covered label row needs is deleted: run the replay before"
        };
        entries.push(entry(at, "deadline", detail.to_string()));
    }
    entries.extend(weeks(sums));
    entries.sort_by(|a, b| (&a.at, &a.what, &a.source).cmp(&(&b.at, &b.what, &b.source)));
    Timeline { deadline, entries }
}

/// How many weeks from today on something may still be lost in, today's among them.
pub(super) fn weeks_ahead(facts: &[SourceFacts], today: i64) -> usize {
    let last = facts.iter().filter_map(|f| Some((f.files.iter().map(|t| t.last).max()?, f.retention_ns?)));
    let Some(last) = last.map(|(last, retention)| last.saturating_add(retention)).max() else { return 1 };
    let more = |week: usize| last > today.saturating_add(i64::try_from(week).unwrap_or(0).saturating_mul(WEEK_NS));
    (0..MOST_WEEKS).position(|week| !more(week)).map_or(MOST_WEEKS, |week| week + 1)
}

/// What each week of delay costs, from now until nothing more is lost.
fn weeks(sums: &RetentionSums<'_>) -> Vec<TimelineEntry> {
    let all = sums.expiry.covered;
    let mut entries = Vec::new();
    let mut kept = all;
    for (week, lost) in sums.expiry.lost.iter().enumerate().filter(|(_, lost)| **lost > 0) {
        let at = sums.today.saturating_add(i64::try_from(week).unwrap_or(0).saturating_mul(WEEK_NS));
        kept -= lost;
        let [left, whole] = [kept, all].map(thousands);
        let detail = format!("{left} of {whole} label rows are still covered by a replay on this day");
        entries.push(TimelineEntry { labels: Some(kept), lost: Some(all - kept), ..entry(at, "week", detail) });
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
