//! Where a log has far fewer events than it usually has, by the hour.
//!
//! A thin stretch is a scan statistic: the run of hours whose likelihood under `share` of what is expected beats that under all of it by
//! most, whatever their number. Its bounds are then looked for by the share that is left of it. Silent hours belong to it, as
//! where one event in five is left some hours have none; but it has to be thin without those that are told as a silence.

use std::ops::Range;

use crate::retention::rhythm::{DAY, FEW, Spread, WEEK, levelled};

/// A log that grows has at the most so many times what is expected by the weeks around.
const GROWN: f64 = 1.5;
/// And its days have much the same: those after a stretch and those before it differ by no more.
const ALIKE_LEVELS: f64 = 1.2;
/// Another clock is right where it leaves no more than this share of what is off.
const CLOCK_FITS: f64 = 0.9;

/// From an hour to another, which is exclusive.
pub(super) type Run = (usize, usize);

/// A log by the hour, with what is expected of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thin<'a> {
    pub events: &'a [f64],
    /// Expected, but for what the log's own ends leave out.
    pub whole: &'a [f64],
    /// Expected outside of silences that are told.
    pub left: &'a [f64],
    pub spread: Spread,
    /// What has less than this share is thin.
    pub share: f64,
    /// Odds of less than e to minus this are no chance.
    pub surprise: f64,
}

/// A thin stretch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub run: Run,
    pub events: f64,
    pub expected: f64,
}

impl Stretch {
    pub(super) fn lacks(&self) -> f64 {
        self.expected - self.events
    }
}

impl Thin<'_> {
    /// The thin stretches, by time; no two overlap.
    pub(super) fn stretches(self) -> Vec<Stretch> {
        // A loss of a few hours in a quiet season shows where the days around are expected to be what they are.
        let lowered = levelled(self.events, self.whole, DAY + DAY / 2);
        let quiet: Vec<f64> = self.whole.iter().zip(lowered).map(|(own, lowered)| own.min(lowered)).collect();
        let seasons = self.runs(self.whole);
        let hours = self.runs(&quiet).filter(|run| run.1 - run.0 <= DAY);
        let thin = seasons.chain(hours).filter(|run| self.is_thin(*run));
        let stretch = |run| Stretch { run, events: sum(self.events, run), expected: sum(self.whole, run) };
        apart(thin.map(stretch).collect())
    }

    /// What may be thin by what is expected.
    fn runs(self, expected: &[f64]) -> impl Iterator<Item = Run> {
        thin_runs(self.events, expected, self.spread.block, self.share, self.surprise)
            .into_iter()
            .map(move |run| thinnest(self.events, expected, run, self.share))
            .map(move |run| bounds(self.events, expected, run, self.share))
    }

    /// Whether a run has too few events to be chance, beside the days around it, by any clock.
    fn is_thin(self, run: Run) -> bool {
        let level = level_around(self.events, self.left, run);
        let clocks = clocks(self.events, self.left, run);
        within_ends(run).into_iter().any(|part| {
            let (events, expected, besides) = (sum(self.events, part), sum(self.whole, part), sum(self.left, part));
            // Beside a silence, which is told by itself, less is needed: what was lost there is likely to have been lost here.
            let needed = if besides < expected { self.surprise / 2.0 } else { self.surprise };
            let usual = clocks.iter().map(|clock| shifted(self.left, part, *clock)).fold(besides, f64::min) * level;
            let length = (part.1 - part.0) as f64;
            events <= self.share * usual && unlikely(events, usual) / self.spread.over(length) >= needed
        })
    }
}

fn sum(values: &[f64], (from, to): Run) -> f64 {
    values[from..to].iter().sum()
}

/// The exponent of Chernoff's bound on a Poisson variable: so few events have a chance of at most e to minus this.
fn unlikely(events: f64, expected: f64) -> f64 {
    if events >= expected {
        return 0.0;
    }
    let log = if events > 0.0 { events * (events / expected).ln() } else { 0.0 };
    expected - events + log
}

/// Runs of hours (to exclusive) with the greatest likelihood of being thin.
fn thin_runs(events: &[f64], expected: &[f64], spread: f64, share: f64, surprise: f64) -> Vec<Run> {
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
fn thinnest(events: &[f64], expected: &[f64], run: Run, share: f64) -> Run {
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
fn bounds(events: &[f64], expected: &[f64], run: Run, share: f64) -> Run {
    let (mut from, mut to) = run;
    for _ in 0..3 {
        let (had, wanted) = (sum(events, (from, to)), sum(expected, (from, to)));
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
fn within_ends((from, to): Run) -> Vec<Run> {
    let whole = [(from, to)].into_iter();
    let parts = [(from + 1, to), (from, to - 1), (from + 1, to - 1)].into_iter().filter(|_| to - from <= DAY);
    whole.chain(parts).filter(|(a, b)| a < b).collect()
}

/// By how many hours a clock may be off there: a shift by which the day before a run, or after it, is expected better than by none. Where
/// clocks were put forward a week ago, an evening is an hour earlier than in all weeks before.
fn clocks(events: &[f64], expected: &[f64], (from, to): Run) -> Vec<isize> {
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
fn shifted(expected: &[f64], (from, to): Run, clock: isize) -> f64 {
    (from..to).filter_map(|i| expected.get(i.checked_add_signed(clock)?)).sum()
}

/// Of stretches that overlap, parts of one loss, the one that lacks most. By time.
fn apart(mut all: Vec<Stretch>) -> Vec<Stretch> {
    all.sort_by(|a, b| b.lacks().total_cmp(&a.lacks()));
    let mut kept: Vec<Stretch> = Vec::new();
    for own in all {
        if !kept.iter().any(|other| other.run.0 < own.run.1 && own.run.0 < other.run.1) {
            kept.push(own);
        }
    }
    kept.sort_by_key(|own| own.run);
    kept
}

/// How much of what is expected there is just before a stretch or just after it, whichever is more, at most all: a loss is less than
/// the days around it have, too. More than all where both have more, and much the same, as in a log that grows.
fn level_around(events: &[f64], expected: &[f64], (from, to): Run) -> f64 {
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
