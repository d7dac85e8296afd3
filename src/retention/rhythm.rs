//! What a log's own rhythm says of stretches with no events, or few.
//!
//! 1. *Expected*: an hour's events are held against the same hour of the week in the weeks around it (four before, four after): the
//!    lower median of these, so a lasting change of level, summer time or a single odd week accuses nobody. An hour without
//!    such a neighbour is not judged: neither is a log of less than a week.
//! 2. *Spread*: how far hours (and days, and weeks) usually are from what is expected, as a multiple of a Poisson process's variance,
//!    by the median deviation. What is expected is first brought to the level of the four weeks around: a lower median is less than a
//!    mean, and much less where a log grows, which says nothing of how its hours differ. A bursty log has a large spread and is
//!    accused of little.
//! 3. *Chance*: a stretch is told where so few events, by expectation and spread, have less than the given odds (Chernoff's bound);
//!    and where the log does not have the like of it most weeks, as one that rests at random times does.
//!
//! A thin stretch runs over the hours whose likelihood under `share` of what is expected beats that under all of it.

use crate::config::Rhythm;
use crate::retention::activity::{Activity, HOUR_NS, Span};
use crate::retention::model::GapKind;

/// A stretch unlike the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    pub span: Span,
    pub kind: GapKind,
    pub events: f64,
    pub expected: f64,
}

const WEEK: usize = 168;
const DAY: usize = 24;
/// Hours that expect less say nothing of the spread.
const ENOUGH: f64 = 3.0;
/// Stretches of half the size that a log may have besides, without resting at random times.
const ALIKE: usize = 5;

/// The silent and thin stretches of a log, by time.
pub fn judge(activity: &Activity, rhythm: Rhythm) -> Vec<Judged> {
    if rhythm.odds <= 0.0 {
        return Vec::new();
    }
    let hours = activity.hours();
    let expected = expected(&hours.events, rhythm.weeks);
    let spread = Spread::of(&hours.events, &expected);
    let surprise = -rhythm.odds.ln();
    let hour_start = |i: usize| (hours.first + i64::try_from(i).unwrap_or(0)) * HOUR_NS;
    let within = |span: Span| {
        let at = |time: i64| usize::try_from(time.div_euclid(HOUR_NS) - hours.first).unwrap_or(0);
        at(span.from)..(at(span.to) + 1).min(hours.events.len())
    };
    let part = |i: usize, span: Span| {
        let (from, to) = (span.from.max(hour_start(i)), span.to.min(hour_start(i + 1)));
        (to.saturating_sub(from)).max(0) as f64 / HOUR_NS as f64
    };
    let silences: Vec<Judged> = activity
        .silences(HOUR_NS)
        .into_iter()
        .map(|span| {
            let expected = within(span).map(|i| expected[i] * part(i, span)).sum();
            Judged { span, kind: GapKind::Silent, events: 0.0, expected }
        })
        .collect();
    let weeks = hours.events.len() / WEEK;
    let mut sizes: Vec<f64> = silences.iter().map(|s| s.expected).collect();
    sizes.sort_by(f64::total_cmp);
    let unusual =
        |size: f64, sizes: &[f64]| sizes.len() - sizes.partition_point(|s| *s < size / 2.0) <= ALIKE.max(weeks) + 1;
    let length = |span: Span| (span.to.saturating_sub(span.from)) as f64 / HOUR_NS as f64;
    let mut found: Vec<Judged> = silences
        .into_iter()
        .filter(|s| s.expected / spread.over(length(s.span)) >= surprise && unusual(s.expected, &sizes))
        .collect();
    // What the silent stretches leave of each hour, and the log's own ends.
    let mut left = expected;
    let ends = (activity.first(), activity.last());
    if let (Some(first), Some(last)) = ends {
        let before = Span { from: i64::MIN, to: first };
        let after = Span { from: last, to: i64::MAX };
        for i in [0, left.len().saturating_sub(1)] {
            if let Some(own) = left.get_mut(i) {
                *own *= (1.0 - part(i, before) - part(i, after)).max(0.0);
            }
        }
    }
    let mut silent = vec![false; left.len()];
    for judged in &found {
        for i in within(judged.span) {
            let part = part(i, judged.span);
            left[i] *= 1.0 - part;
            silent[i] |= part > 0.99;
        }
    }
    let thin = thin_runs(&hours.events, &left, &silent, spread.hour, rhythm.share, surprise);
    let thin: Vec<Judged> = thin
        .into_iter()
        .map(|run| thinnest(&hours.events, &left, run, rhythm.share))
        .map(|(from, to)| Judged {
            span: Span { from: hour_start(from), to: hour_start(to) },
            kind: GapKind::Thin,
            events: hours.events[from..to].iter().sum(),
            expected: left[from..to].iter().sum(),
        })
        .filter(|t| t.events <= rhythm.share * t.expected)
        .filter(|t| unlikely(t.events, t.expected) / spread.over(length(t.span)) >= surprise)
        .collect();
    let mut lacks: Vec<f64> = thin.iter().map(|t| t.expected - t.events).collect();
    lacks.sort_by(f64::total_cmp);
    found.extend(thin.into_iter().filter(|t| unusual(t.expected - t.events, &lacks)));
    found.sort_by_key(|j| (j.span, j.kind == GapKind::Thin));
    found
}

/// The exponent of Chernoff's bound on a Poisson variable: so few events have a chance of at most e to minus this.
fn unlikely(events: f64, expected: f64) -> f64 {
    if events >= expected {
        return 0.0;
    }
    let log = if events > 0.0 { events * (events / expected).ln() } else { 0.0 };
    expected - events + log
}

/// What each hour should have by the same hour of the weeks around it; 0 where nothing can be said.
fn expected(events: &[f64], weeks: usize) -> Vec<f64> {
    let neighbour = |i: usize, k: usize, before: bool| {
        let at = if before { i.checked_sub(k * WEEK) } else { i.checked_add(k * WEEK) };
        at.and_then(|at| events.get(at)).copied()
    };
    (0..events.len())
        .map(|i| {
            let around = (1..=weeks).flat_map(|k| [neighbour(i, k, true), neighbour(i, k, false)]);
            let mut around: Vec<f64> = around.flatten().collect();
            around.sort_by(f64::total_cmp);
            match around.len() {
                0 => 0.0,
                n => around[(n - 1) / 2],
            }
        })
        .collect()
}

/// How far sums over some hours usually are from what is expected, in variances of a Poisson process.
#[derive(Debug, Clone, Copy)]
struct Spread {
    hour: f64,
    day: f64,
    week: f64,
}

impl Spread {
    fn of(events: &[f64], expected: &[f64]) -> Self {
        let expected = &levelled(events, expected);
        let hour = spread(events, expected, 1);
        let day = spread(events, expected, DAY).max(hour);
        Self { hour, day, week: spread(events, expected, WEEK).max(day) }
    }

    fn over(self, hours: f64) -> f64 {
        let between = |from: f64, to: f64, least: usize, most: usize| {
            let share = (hours / least as f64).ln() / (most as f64 / least as f64).ln();
            from + (to - from) * share.clamp(0.0, 1.0)
        };
        if hours <= DAY as f64 { between(self.hour, self.day, 1, DAY) } else { between(self.day, self.week, DAY, WEEK) }
    }
}

/// What is expected, with as many events in all as the two weeks before and after each hour have.
fn levelled(events: &[f64], expected: &[f64]) -> Vec<f64> {
    let sums = |values: &[f64]| {
        let running = values.iter().scan(0.0, |sum, value| {
            *sum += value;
            Some(*sum)
        });
        std::iter::once(0.0).chain(running).collect::<Vec<f64>>()
    };
    let (had, wanted) = (sums(events), sums(expected));
    let level = |i: usize| {
        let (from, to) = (i.saturating_sub(2 * WEEK), (i + 2 * WEEK).min(events.len()));
        let wanted = wanted[to] - wanted[from];
        if wanted > 0.0 { (had[to] - had[from]) / wanted } else { 1.0 }
    };
    expected.iter().enumerate().map(|(i, expected)| expected * level(i)).collect()
}

fn spread(events: &[f64], expected: &[f64], hours: usize) -> f64 {
    let sums = events.chunks(hours).zip(expected.chunks(hours));
    let sums = sums.map(|(c, e)| (c.iter().sum::<f64>(), e.iter().sum::<f64>()));
    let mut deviations: Vec<f64> = sums.filter(|(_, e)| *e >= ENOUGH).map(|(c, e)| (c - e).abs() / e.sqrt()).collect();
    if deviations.is_empty() {
        return 1.0;
    }
    deviations.sort_by(f64::total_cmp);
    // 1.4826 medians of the deviation are a standard deviation of a normal distribution.
    let deviation = 1.4826 * deviations[deviations.len() / 2];
    (deviation * deviation).max(1.0)
}

/// Runs of hours (to exclusive) with the greatest likelihood of being thin.
fn thin_runs(
    events: &[f64],
    expected: &[f64],
    silent: &[bool],
    spread: f64,
    share: f64,
    surprise: f64,
) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let (mut sum, mut start, mut best) = (0.0, 0, (0.0, 0));
    let mut close = |start: usize, best: (f64, usize)| {
        if best.0 > 0.0 {
            runs.push((start, best.1));
        }
    };
    for i in 0..=events.len() {
        let ends = i == events.len() || silent[i];
        if !ends {
            if sum <= 0.0 {
                (sum, start, best) = (0.0, i, (0.0, i));
            }
            sum += ((1.0 - share) * expected[i] + events[i] * share.ln()) / spread;
            if sum > best.0 {
                best = (sum, i + 1);
            }
        }
        if ends || sum <= 0.0 || sum < best.0 - surprise {
            close(start, best);
            (sum, start, best) = (0.0, i + 1, (0.0, i + 1));
        }
    }
    runs
}

/// The run itself, or, where it is not thin as a whole because it is a quiet season with a loss inside, the part of it that lacks most.
fn thinnest(events: &[f64], expected: &[f64], run: (usize, usize), share: f64) -> (usize, usize) {
    let lacks = |share: f64, i: usize| share * expected[i] - events[i];
    if (run.0..run.1).map(|i| lacks(share, i)).sum::<f64>() >= 0.0 {
        return run;
    }
    let (mut sum, mut start, mut best) = (0.0, run.0, (0.0, run));
    for i in run.0..run.1 {
        if sum <= 0.0 {
            (sum, start) = (0.0, i);
        }
        // Of many parts one is picked: it has to lack more.
        sum += lacks(share / 2.0, i);
        if sum > best.0 {
            best = (sum, (start, i + 1));
        }
    }
    best.1
}

#[cfg(test)]
#[path = "rhythm_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "rhythm_wide_tests.rs"]
mod wide_tests;
