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
//!
//! A thin stretch is a scan statistic: the run of hours whose likelihood under `share` of what is expected beats that under all of it by
//! most, whatever their number. Its bounds are then looked for by the share that is left of it. Silent hours belong to it, as
//! where one event in five is left some hours have none; but it has to be thin without those that are told as a silence.

use std::ops::Range;

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
/// Sums that expect less say nothing of the spread.
const ENOUGH: f64 = 3.0;
/// A spread from fewer sums is uncertain.
const MANY: usize = 50;
/// So many silences may be losses, without being the log's own.
const OUTAGES: usize = 10;
/// So many events are compared with those of another week: the lower median of fewer is far below their mean.
const FEW: f64 = 16.0;
/// Hours that may be held together; whole numbers of them are a week.
const BLOCKS: [usize; 9] = [1, 2, 3, 4, 6, 8, 12, 24, WEEK];
/// A log that grows has at the most so many times what is expected by the weeks around.
const GROWN: f64 = 1.5;
/// And its days have much the same: those after a stretch and those before it differ by no more.
const ALIKE_LEVELS: f64 = 1.2;
/// Another clock is right where it leaves no more than this share of what is off.
const CLOCK_FITS: f64 = 0.9;
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
    let sum = |values: &[f64], (from, to): (usize, usize)| values[from..to].iter().sum::<f64>();
    // A loss of a few hours in a quiet season shows where the days around are expected to be what they are.
    let lowered = levelled(&hours.events, &whole, DAY + DAY / 2);
    let quiet: Vec<f64> = whole.iter().zip(lowered).map(|(own, lowered)| own.min(lowered)).collect();
    let runs = [(&whole, usize::MAX), (&quiet, DAY)].into_iter().flat_map(|(expected, longest)| {
        thin_runs(&hours.events, expected, spread.block, rhythm.share, surprise)
            .into_iter()
            .map(|run| thinnest(&hours.events, expected, run, rhythm.share))
            .map(|run| bounds(&hours.events, expected, run, rhythm.share))
            .filter(move |run| run.1 - run.0 <= longest)
    });
    let thin: Vec<Judged> = runs
        .filter_map(|run| {
            let span = Span { from: hour_start(run.0), to: hour_start(run.1) };
            let level = level_around(&hours.events, &left, run);
            let clocks = clocks(&hours.events, &left, run);
            let is_thin = |part: (usize, usize)| {
                let (events, expected, besides) = (sum(&hours.events, part), sum(&whole, part), sum(&left, part));
                // Beside a silence, which is told by itself, less is needed: what was lost there is likely to have been lost here.
                let needed = if besides < expected { surprise / 2.0 } else { surprise };
                let usual = clocks.iter().map(|clock| shifted(&left, part, *clock)).fold(besides, f64::min) * level;
                let length = (part.1 - part.0) as f64;
                events <= rhythm.share * usual && unlikely(events, usual) / spread.over(length) >= needed
            };
            let thin =
                Judged { span, kind: GapKind::Thin, events: sum(&hours.events, run), expected: sum(&whole, run) };
            within_ends(run).into_iter().any(is_thin).then_some(thin)
        })
        .collect();
    let thin = apart(thin);
    let mut lacks: Vec<f64> = thin.iter().map(|t| t.expected - t.events).collect();
    lacks.sort_by(f64::total_cmp);
    found.extend(thin.into_iter().filter(|t| unusual(t.expected - t.events, &lacks)));
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

/// The exponent of Chernoff's bound on a Poisson variable: so few events have a chance of at most e to minus this.
fn unlikely(events: f64, expected: f64) -> f64 {
    if events >= expected {
        return 0.0;
    }
    let log = if events > 0.0 { events * (events / expected).ln() } else { 0.0 };
    expected - events + log
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
struct Spread {
    block_hours: f64,
    block: f64,
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

    fn over(self, hours: f64) -> f64 {
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
fn levelled(events: &[f64], expected: &[f64], reach: usize) -> Vec<f64> {
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

/// Runs of hours (to exclusive) with the greatest likelihood of being thin.
fn thin_runs(events: &[f64], expected: &[f64], spread: f64, share: f64, surprise: f64) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let (mut sum, mut start, mut best) = (0.0, 0, (0.0, 0));
    for i in 0..=events.len() {
        let ends = i == events.len();
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
            if best.0 > 0.0 {
                runs.push((start, best.1));
            }
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

/// Where a thin stretch begins and ends: the hours around its middle that are likelier to have lost as much as it did than nothing.
fn bounds(events: &[f64], expected: &[f64], run: (usize, usize), share: f64) -> (usize, usize) {
    let (mut from, mut to) = run;
    for _ in 0..3 {
        let had: f64 = events[from..to].iter().sum();
        let wanted: f64 = expected[from..to].iter().sum();
        let left = ((had + 0.5) / wanted.max(1.0)).clamp(0.01, share);
        let gain = |i: usize| (1.0 - left) * expected[i] + events[i] * left.ln();
        let best = |hours: &mut dyn Iterator<Item = usize>| {
            let (mut sum, mut best) = (0.0, (0.0, 0));
            for (count, i) in hours.enumerate() {
                sum += gain(i);
                if sum > best.0 {
                    best = (sum, count + 1);
                }
            }
            best.1
        };
        // No further than the stretch's own length again.
        let (middle, reach) = (usize::midpoint(from, to), (to - from).max(DAY));
        let before = best(&mut (from.saturating_sub(reach)..middle).rev());
        let after = best(&mut (middle..(to + reach).min(events.len())));
        if before + after == 0 {
            return run;
        }
        (from, to) = (middle - before, middle + after);
    }
    (from, to)
}

/// The run, and, of a short one, what is left of it without its first hour, its last, or both: a loss that begins or ends within an hour
/// leaves more of that one.
fn within_ends((from, to): (usize, usize)) -> Vec<(usize, usize)> {
    let whole = [(from, to)].into_iter();
    let parts = [(from + 1, to), (from, to - 1), (from + 1, to - 1)].into_iter().filter(|_| to - from <= DAY);
    whole.chain(parts).filter(|(a, b)| a < b).collect()
}

/// By how many hours a clock may be off there: a shift by which the day before a run, or after it, is expected better than by none. Where
/// clocks were put forward a week ago, an evening is an hour earlier than in all weeks before.
fn clocks(events: &[f64], expected: &[f64], (from, to): (usize, usize)) -> Vec<isize> {
    let reach = DAY + DAY / 2;
    let sides = [from.saturating_sub(reach)..from, to..(to + reach).min(events.len())];
    // By their form alone: a log that grows has more, at any clock.
    let off = |side: &Range<usize>, clock: isize| -> f64 {
        let wanted = shifted(expected, (side.start, side.end), clock);
        let level = events[side.clone()].iter().sum::<f64>() / wanted.max(1.0);
        side.clone().map(|i| (events[i] - level * shifted(expected, (i, i + 1), clock)).abs()).sum()
    };
    let fits = |clock: &isize| sides.iter().any(|side| off(side, *clock) < CLOCK_FITS * off(side, 0));
    [-1, 1].into_iter().filter(fits).collect()
}

/// What is expected in these hours by a clock that is off.
fn shifted(expected: &[f64], (from, to): (usize, usize), clock: isize) -> f64 {
    (from..to).filter_map(|i| expected.get(i.checked_add_signed(clock)?)).sum()
}

/// Of stretches that overlap, parts of one loss, the one that lacks most. By time.
fn apart(mut thin: Vec<Judged>) -> Vec<Judged> {
    thin.sort_by(|a, b| (b.expected - b.events).total_cmp(&(a.expected - a.events)));
    let mut kept: Vec<Judged> = Vec::new();
    for own in thin {
        if !kept.iter().any(|other| other.span.from < own.span.to && own.span.from < other.span.to) {
            kept.push(own);
        }
    }
    kept.sort_by_key(|own| own.span);
    kept
}

/// How much of what is expected there is just before a stretch or just after it, whichever is more, at most all: a loss is less than
/// the days around it have, too. More than all where both have more, and much the same, as in a log that grows.
fn level_around(events: &[f64], expected: &[f64], (from, to): (usize, usize)) -> f64 {
    let reach = (to - from).clamp(DAY, WEEK);
    let level = |hours: Range<usize>| {
        let wanted: f64 = expected[hours.clone()].iter().sum();
        (wanted >= FEW).then(|| events[hours].iter().sum::<f64>() / wanted)
    };
    let before = level(from.saturating_sub(reach)..from);
    let after = level(to..(to + reach).min(events.len()));
    match (before, after) {
        (Some(a), Some(b)) if a.min(b) > 1.0 && a.max(b) <= GROWN && a.max(b) <= ALIKE_LEVELS * a.min(b) => a.min(b),
        (before, after) => before.into_iter().chain(after).reduce(f64::max).unwrap_or(1.0).min(1.0),
    }
}

#[cfg(test)]
#[path = "rhythm_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "rhythm_wide_tests.rs"]
mod wide_tests;
