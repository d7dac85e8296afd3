//! What a log's own rhythm says of stretches with no events, or few.
//!
//! 1. *Expected*: an hour's events are held against the same hour of the week in the weeks around it (four before, four after): the
//!    lower median of these, so a lasting change of level, summer time or a single odd week accuses nobody. Where an hour has few
//!    events, the lower median is far below their mean: several hours, a day or a week are then compared as one block, and
//!    shared out by what each hour of the week has in all. Without such a neighbour nothing is judged: neither is a log of less
//!    than a week.
//! 2. *Spread*: how far blocks (and days, and weeks) usually are from what is expected, as a multiple of a Poisson process's variance,
//!    by the median deviation. What is expected is first brought to the level of the four weeks around: a lower median is less than a
//!    mean, and much less where a log grows, which says nothing of how its hours differ. A bursty log has a large spread and is
//!    accused of little.
//! 3. *Chance*: a stretch is told where so few events, by expectation and spread, have less than the given odds (Chernoff's bound);
//!    where the log does not have the like of it most weeks, as one that rests at random times does; a silence, where its length is
//!    beyond what the log's other silences lead up to; a thin stretch, where it is thin beside the days around it, too, so that a
//!    quiet season is not told piece by piece.

use crate::config::Rhythm;
use crate::retention::activity::{Activity, HOUR_NS, Span};
use crate::retention::model::GapKind;
use crate::retention::thin::{Stretch, Thin};

/// A stretch unlike the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    pub span: Span,
    pub kind: GapKind,
    pub events: f64,
    pub expected: f64,
}

pub(super) const WEEK: usize = 168;
pub(super) const DAY: usize = 24;
/// Sums that expect less say nothing of the spread.
const ENOUGH: f64 = 3.0;
/// A spread from fewer sums is uncertain.
const MANY: usize = 50;
/// So many silences may be losses, without being the log's own.
const OUTAGES: usize = 10;
/// So many events are compared with those of another week: the lower median of fewer is far below their mean.
pub(super) const FEW: f64 = 16.0;
/// Hours that may be held together; whole numbers of them are a week.
const BLOCKS: [usize; 9] = [1, 2, 3, 4, 6, 8, 12, 24, WEEK];
/// Stretches of half the size that a log may have besides, without resting at random times.
const ALIKE: usize = 5;

/// The silent and thin stretches of a log, by time.
pub fn judge(activity: &Activity, rhythm: Rhythm) -> Vec<Judged> {
    if rhythm.odds <= 0.0 {
        return Vec::new();
    }
    let hours = activity.hours();
    let block = block_hours(&hours.events);
    let expected = expected(&hours.events, hours.first, block, rhythm.weeks);
    let spread = Spread::of(&hours.events, &expected, block);
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
    let longest = longest_usual(&sizes, surprise);
    let mut found: Vec<Judged> = silences
        .into_iter()
        .filter(|s| s.expected / spread.over(length(s.span)) >= surprise)
        .filter(|s| s.expected > longest && unusual(s.expected, &sizes))
        .collect();
    // What the log's own ends leave of each hour, and the silent stretches.
    let mut whole = expected;
    let ends = (activity.first(), activity.last());
    if let (Some(first), Some(last)) = ends {
        let before = Span { from: i64::MIN, to: first };
        let after = Span { from: last, to: i64::MAX };
        for i in [0, whole.len().saturating_sub(1)] {
            if let Some(own) = whole.get_mut(i) {
                *own *= (1.0 - part(i, before) - part(i, after)).max(0.0);
            }
        }
    }
    let mut left = whole.clone();
    for judged in &found {
        for i in within(judged.span) {
            left[i] *= 1.0 - part(i, judged.span);
        }
    }
    let thin =
        Thin { events: &hours.events, whole: &whole, left: &left, spread, share: rhythm.share, surprise }.stretches();
    let mut lacks: Vec<f64> = thin.iter().map(Stretch::lacks).collect();
    lacks.sort_by(f64::total_cmp);
    let thin = thin.into_iter().filter(|stretch| unusual(stretch.lacks(), &lacks));
    found.extend(thin.map(|Stretch { run, events, expected }| Judged {
        span: Span { from: hour_start(run.0), to: hour_start(run.1) },
        kind: GapKind::Thin,
        events,
        expected,
    }));
    found.sort_by_key(|j| (j.span, j.kind == GapKind::Thin));
    found
}

/// How much a log's silences miss at the most, by the large ones among them but the `OUTAGES` largest: these fall off exponentially
/// (as any distribution's do that is not heavy-tailed), and a larger one has odds of less than e to minus `surprise`. 0 where there are
/// too few to tell. `sizes` ascend.
fn longest_usual(sizes: &[f64], surprise: f64) -> f64 {
    let at = |rank: usize| sizes.len().checked_sub(rank).map(|i| sizes[i]);
    let (Some(large), Some(less)) = (at(OUTAGES + 1), at(4 * (OUTAGES + 1))) else { return 0.0 };
    let scale = (large - less) / 4.0_f64.ln();
    large + scale * (((OUTAGES + 1) as f64).ln() + surprise)
}

/// How many hours are held together against the same hours of other weeks: as few as give them `FEW` events. An hour counts as its
/// events see it, by how many others they share it with, so that nights and weekends of rest do not matter.
fn block_hours(events: &[f64]) -> usize {
    let (sum, squares) = events.iter().fold((0.0, 0.0), |(sum, squares), e| (sum + e, squares + e * e));
    let company = if sum > 0.0 { squares / sum - 1.0 } else { 0.0 };
    BLOCKS.into_iter().find(|hours| company * *hours as f64 >= FEW).unwrap_or(WEEK)
}

/// What each hour should have by the same block of hours in the weeks around it; 0 where nothing can be said. Within a block, hours have
/// the shares that they have over all weeks.
fn expected(events: &[f64], first: i64, block: usize, weeks: usize) -> Vec<f64> {
    // Blocks start at multiples of their length since 1970; the first may be cut off, and the last.
    let cut = usize::try_from(first.rem_euclid(block as i64)).unwrap_or(0);
    let blocks = (cut + events.len()).div_ceil(block);
    let within = |b: usize| (b * block).saturating_sub(cut)..((b + 1) * block - cut).min(events.len());
    let whole = |b: usize| (b + 1) * block - cut <= events.len() && b * block >= cut;
    let sums: Vec<f64> = (0..blocks).map(|b| events[within(b)].iter().sum()).collect();
    let neighbour = |b: usize, k: usize, before: bool| {
        let apart = k * WEEK / block;
        let at = if before { b.checked_sub(apart) } else { b.checked_add(apart) };
        at.filter(|at| *at < blocks && whole(*at)).map(|at| sums[at])
    };
    let mut profile = vec![0.0; WEEK];
    for (i, own) in events.iter().enumerate() {
        profile[(cut + i) % WEEK] += own;
    }
    let mut expected = Vec::with_capacity(events.len());
    for b in 0..blocks {
        let around = (1..=weeks).flat_map(|k| [neighbour(b, k, true), neighbour(b, k, false)]);
        let mut around: Vec<f64> = around.flatten().collect();
        around.sort_by(f64::total_cmp);
        let in_all = if around.is_empty() { 0.0 } else { around[(around.len() - 1) / 2] };
        let shares = &profile[(b * block) % WEEK..][..block];
        let all: f64 = shares.iter().sum();
        let share = |i: usize| if all > 0.0 { profile[(cut + i) % WEEK] / all } else { 0.0 };
        expected.extend(within(b).map(|i| in_all * share(i)));
    }
    expected
}

/// How far sums over some hours usually are from what is expected, in variances of a Poisson process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    block_hours: f64,
    pub(super) block: f64,
    day: f64,
    week: f64,
}

impl Spread {
    fn of(events: &[f64], expected: &[f64], block: usize) -> Self {
        let expected = &levelled(events, expected, 2 * WEEK);
        let of_block = spread(events, expected, block);
        let day = spread(events, expected, block.max(DAY)).max(of_block);
        let week = spread(events, expected, WEEK).max(day);
        Self { block_hours: block as f64, block: of_block, day, week }
    }

    /// Of sums over so many hours.
    pub(super) fn over(self, hours: f64) -> f64 {
        let day = self.block_hours.max(DAY as f64);
        let between = |from: f64, to: f64, least: f64, most: f64| {
            let share = if most > least { (hours / least).ln() / (most / least).ln() } else { 1.0 };
            from + (to - from) * share.clamp(0.0, 1.0)
        };
        if hours <= day {
            between(self.block, self.day, self.block_hours, day)
        } else {
            between(self.day, self.week, day, WEEK as f64)
        }
    }
}

/// What is expected, with as many events in all as so many hours before and after each hour have.
pub(super) fn levelled(events: &[f64], expected: &[f64], reach: usize) -> Vec<f64> {
    let sums = |values: &[f64]| {
        let running = values.iter().scan(0.0, |sum, value| {
            *sum += value;
            Some(*sum)
        });
        std::iter::once(0.0).chain(running).collect::<Vec<f64>>()
    };
    let (had, wanted) = (sums(events), sums(expected));
    let level = |i: usize| {
        let (from, to) = (i.saturating_sub(reach), (i + reach).min(events.len()));
        let wanted = wanted[to] - wanted[from];
        if wanted > 0.0 { (had[to] - had[from]) / wanted } else { 1.0 }
    };
    expected.iter().enumerate().map(|(i, expected)| expected * level(i)).collect()
}

fn spread(events: &[f64], expected: &[f64], hours: usize) -> f64 {
    // Sums that overlap say more than those that do not.
    let step = (hours / 4).max(1);
    let sums = events.windows(hours).zip(expected.windows(hours)).step_by(step);
    let sums = sums.map(|(c, e)| (c.iter().sum::<f64>(), e.iter().sum::<f64>()));
    let mut deviations: Vec<f64> = sums.filter(|(_, e)| *e >= ENOUGH).map(|(c, e)| (c - e).abs() / e.sqrt()).collect();
    if deviations.is_empty() {
        return 1.0;
    }
    deviations.sort_by(f64::total_cmp);
    // 1.4826 medians of the deviation are a standard deviation of a normal distribution. Of few sums, that is off by as much as its own standard error.
    let deviation = 1.4826 * deviations[deviations.len() / 2];
    let apart = deviations.len() * step / hours;
    let error = if apart < MANY { 1.2 / (apart.max(1) as f64).sqrt() } else { 0.0 };
    (deviation * deviation * (1.0 + error)).max(1.0)
}

#[cfg(test)]
#[path = "rhythm_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "rhythm_wide_tests.rs"]
mod wide_tests;
