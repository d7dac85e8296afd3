//! Does a counterfactual explain what differs, or would it fit by chance?
//!
//! For every row of a sample there is the replayed value, the legacy value and the counterfactual one. A row *informs*
//! where the counterfactual differs from the replayed value: elsewhere it says nothing. A mismatch is *explained* where
//! the counterfactual agrees with the legacy value, an agreeing row is *broken* where it does not.
//!
//! **Chance.** What would the cause explain if the mismatches had nothing to do with it? Then the change it makes in one row
//! (`x` = counterfactual - replayed) is as good as the change it makes in another. So for each mismatch (`y` = legacy -
//! replayed) we count in how many agreeing rows it makes that very change; where a value is no number, in how many it gives that
//! very value. The mean is the share that chance explains. A cause that leaves agreeing rows alone makes no change there, so
//! chance explains next to nothing; one that moves counts about by one in every second row explains a lot by chance.
//!
//! Noise may strike where the cause acts, too (large counts, say). So a cause that breaks agreeing rows, or that changes
//! mismatching rows without explaining them, is also held against the changes it makes in the *other mismatching*
//! rows, and the larger share counts. In another replay a NULL can't change by a number: where no mismatching row was NULL, agreeing ones
//! that are say nothing. What changes numbers after the fact does so in every row: where it fails on most of those that it changes, it
//! is none.
//!
//! In a feature that is 0 in nearly all rows, most agreeing rows can't show what a cause does that makes others 0. So a replay is held against
//! *values* as well, where it is judged on the whole sample: for each mismatch, in which share of the rows that do not have its
//! legacy value already, agreeing or not, the cause gives that value. What empties every window gives 0 in all of them: that many 0 are no evidence.
//!
//! **The margin.** A cause is named only where
//! 1. it explains at least [`LEAST_SHARE`] of the mismatches, and three times what chance explains, or half of what chance leaves
//!    where it breaks nearly nothing, and
//! 2. it breaks at most half as large a share of the agreeing rows as it explains of the mismatches (a pair of changes: a quarter), unless
//!    it explains nearly all of these (a refresh that failed one night), and
//! 3. the probability that chance explains as many is below [`ALPHA`] divided by the number of causes tried (the binomial
//!    tail, by Chernoff's bound; exact where all are explained).

use crate::cause::sample::lot;

/// The probability of naming anything in a feature that differs by noise.
pub(super) const ALPHA: f64 = 0.01;
/// The least share of mismatches that is worth naming.
pub(super) const LEAST_SHARE: f64 = 0.02;
/// What breaks a larger share of the agreeing rows than it may, for what it explains, has to explain this share of the mismatches.
const NEARLY_ALL: f64 = 0.95;
/// How much more than chance a cause must explain.
const TIMES_CHANCE: f64 = 3.0;
/// Or what share of the mismatches that chance leaves, ...
const OF_THE_REST: f64 = 0.5;
/// ... where it breaks no larger share of the agreeing rows.
const BREAKING: f64 = 0.05;
/// A cause is clean where it explains this share of the mismatches that it changes, ...
const CLEAN_HITS: f64 = 0.8;
/// ... and breaks no more than this share of what it explains.
const CLEAN_BREAKS: f64 = 0.2;
/// Rows on either side of the count of chance.
const MOST_COUNTED: usize = 256;
/// Mismatches whose values are looked for in other rows, and rows of each kind in which they are.
const MOST_VALUES: usize = 32;
const MOST_VALUED: usize = 64;
/// Agreeing rows of which the most common value is taken.
const VOTES: usize = 15;

/// A row of the sample under one counterfactual.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Row {
    /// Its number in the sample.
    pub seat: usize,
    pub mismatched: bool,
    /// The counterfactual value differs from the replayed one.
    pub informs: bool,
    /// The counterfactual value agrees with the legacy one.
    pub agrees: bool,
    /// Counterfactual - replayed.
    pub x: Option<f64>,
    /// Legacy - replayed.
    pub y: Option<f64>,
    /// The replayed value is NULL.
    pub void: bool,
}

/// How the values of rows compare, by their positions in the list of rows.
pub(super) struct Values<'a> {
    /// Whether the counterfactual value of a row is the legacy value of another.
    pub fits: &'a dyn Fn(usize, usize) -> bool,
    /// Whether the replayed value of a row is the legacy value of another; none where values are not held against chance.
    pub has: Option<&'a dyn Fn(usize, usize) -> bool>,
    /// Whether it takes a replay: else numbers are changed after the fact.
    pub replayed: bool,
}

/// What the rows say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judgement {
    pub mismatches: usize,
    pub explained: usize,
    pub agreeing: usize,
    pub broken: usize,
    /// The share of mismatches that chance would explain.
    pub chance: f64,
    /// The natural logarithm of the probability that chance explains as many.
    pub log_tail: f64,
}

impl Judgement {
    pub(super) fn explains(&self) -> f64 {
        share(self.explained, self.mismatches)
    }

    pub(super) fn breaks(&self) -> f64 {
        share(self.broken, self.agreeing)
    }

    /// Whether a cause of so many `changes` is more than chance, where so many were tried.
    pub(super) fn holds(&self, tried: usize, changes: usize) -> bool {
        self.explained > 0
            && self.explains() >= LEAST_SHARE
            && self.is_more_than_chance()
            && (2.0 * changes as f64 * self.breaks() <= self.explains() || self.explains() >= NEARLY_ALL)
            && self.log_tail <= (ALPHA / tried.max(1) as f64).ln()
    }

    fn is_more_than_chance(&self) -> bool {
        let (explains, chance) = (self.explains(), self.chance);
        explains >= TIMES_CHANCE * chance
            || (explains - chance >= OF_THE_REST * (1.0 - chance) && self.breaks() <= BREAKING)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What is explained and broken; not yet held against chance, so that nothing holds.
pub(super) fn count(rows: &[Row]) -> Judgement {
    let count = |f: &dyn Fn(&Row) -> bool| rows.iter().filter(|r| f(r)).count();
    Judgement {
        mismatches: count(&|r| r.mismatched),
        explained: count(&|r| r.mismatched && r.agrees),
        agreeing: count(&|r| !r.mismatched),
        broken: count(&|r| !r.mismatched && !r.agrees),
        chance: 1.0,
        log_tail: 0.0,
    }
}

/// Judges the rows. `slack`: how far two numbers that agree may lie apart.
pub(super) fn judge(rows: &[Row], slack: f64, values: &Values<'_>) -> Judgement {
    let mut judged = count(rows);
    let Judgement { mismatches, explained, .. } = judged;
    let changed = rows.iter().filter(|r| r.mismatched && r.informs).count();
    if explained == 0 || (!values.replayed && 2 * explained < changed) {
        return judged;
    }
    let voids = !values.replayed || rows.iter().any(|r| r.mismatched && r.void);
    let differing = spread(rows, MOST_COUNTED, |r| r.mismatched);
    let calm = spread(rows, MOST_COUNTED, |r| !r.mismatched && (voids || !r.void));
    let among = |pool: &[usize]| {
        let acting: Vec<usize> = pool.iter().copied().filter(|&j| rows[j].informs).collect();
        // All of those that differ, or none.
        let others = pool.len() - usize::from(differing.first().is_some_and(|i| pool.contains(i)));
        mean(&differing, |i| chance_of(rows, i, (&acting, others), slack, values.fits))
    };
    let clean = share(explained, changed) >= CLEAN_HITS && judged.breaks() <= CLEAN_BREAKS * judged.explains();
    judged.chance = match (clean, calm.len() < FEW) {
        (true, false) => among(&calm),
        // Hardly a row agrees: what the mismatches have in common is all that there is to chance.
        (_, true) => among(&differing.iter().chain(&calm).copied().collect::<Vec<_>>()),
        (false, false) => among(&calm).max(among(&differing)),
    };
    if let Some(has) = values.has {
        judged.chance = judged.chance.max(of_values(rows, values.fits, has));
    }
    judged.log_tail = log_tail(explained, mismatches, judged.chance);
    judged
}

/// At most so many of these rows, by lot: every second one may be of another kind.
fn some(mut rows: Vec<usize>, most: usize) -> Vec<usize> {
    if rows.len() > most {
        rows.select_nth_unstable_by_key(most, |row| lot(*row));
        rows.truncate(most);
        rows.sort_unstable();
    }
    rows
}

/// At most so many of the rows of a kind.
fn spread(rows: &[Row], most: usize, wanted: impl Fn(&Row) -> bool) -> Vec<usize> {
    some((0..rows.len()).filter(|&i| wanted(&rows[i])).collect(), most)
}

/// The mean, over the mismatches, of the share of other rows without its legacy value in which the counterfactual is that value.
fn of_values(rows: &[Row], fits: &dyn Fn(usize, usize) -> bool, has: &dyn Fn(usize, usize) -> bool) -> f64 {
    // The legacy value of an agreeing row is its replayed one.
    let votes = spread(rows, VOTES, |r| !r.mismatched);
    let like = |row: usize| votes.iter().filter(|&&other| has(row, other)).count();
    let common = votes.iter().copied().max_by_key(|&row| like(row));
    let is_common = |row: &usize| common.is_some_and(|common| has(*row, common));
    let (differing, calm): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(|row| rows[*row].mismatched);
    let (usual, others): (Vec<usize>, Vec<usize>) = calm.into_iter().partition(is_common);
    let pools = [differing, usual, others].map(|all| {
        let count = all.len() as f64;
        let picked = some(all, MOST_VALUED);
        let weight = count / picked.len().max(1) as f64;
        (picked, weight)
    });
    mean(&spread(rows, MOST_VALUES, |r| r.mismatched), |i| {
        let (mut given, mut able) = (0.5, 1.0);
        for (pool, weight) in &pools {
            for &j in pool.iter().filter(|&&j| j != i && !has(j, i)) {
                able += weight;
                given += if fits(j, i) { *weight } else { 0.0 };
            }
        }
        given / able
    })
}

/// Fewer agreeing rows than this say nothing about chance.
const FEW: usize = 10;

fn mean(items: &[usize], f: impl Fn(usize) -> f64) -> f64 {
    items.iter().map(|&i| f(i)).sum::<f64>() / items.len().max(1) as f64
}

/// In which share of `others` rows the cause does what would explain row `i`; never quite none. `acting`: where it does anything,
/// perhaps in the row itself.
fn chance_of(
    rows: &[Row],
    i: usize,
    (acting, others): (&[usize], usize),
    slack: f64,
    fits: &dyn Fn(usize, usize) -> bool,
) -> f64 {
    let same = |j: usize| match (rows[j].x, rows[i].y) {
        (Some(x), Some(y)) => (x - y).abs() <= slack.max(1e-9 * x.abs().max(y.abs())),
        _ => fits(j, i),
    };
    let hits = acting.iter().filter(|&&j| j != i && same(j)).count();
    (hits as f64 + 0.5) / (others as f64 + 1.0)
}

/// The logarithm of a bound on the probability of at least `hits` in `trials` of probability `p`.
fn log_tail(hits: usize, trials: usize, p: f64) -> f64 {
    let p = p.clamp(1e-12, 1.0);
    let seen = share(hits, trials);
    if seen <= p {
        return 0.0;
    }
    let rest = if seen < 1.0 { (1.0 - seen) * ((1.0 - seen) / (1.0 - p)).ln() } else { 0.0 };
    -(trials as f64) * (seen * (seen / p).ln() + rest)
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
