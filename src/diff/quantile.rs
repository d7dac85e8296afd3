//! The spread of absolute differences. Deterministic: it depends on the values alone, not on their order.
//!
//! A quantile is the nearest rank: of n ascending values, p % is the one at rank ceil(p/100 * n), counted from 1. So
//! it is always a difference that occurred: exactly, up to 262,144 distinct ones. Beyond, they are rounded down to as many leading bits as
//! keep them below that, so that any number of them takes a few megabytes; the largest stays exact.

use super::Delta;

/// Collects absolute differences. Zeros, of which there are most, are only counted; equal ones are kept once.
#[derive(Debug, Default)]
pub(super) struct Spread {
    zeros: u64,
    /// Not yet among `runs`.
    fresh: Vec<f64>,
    /// Ascending, each with how often it was added.
    runs: Vec<(f64, u64)>,
    /// Low bits of the values that are cleared.
    coarse: u32,
    most: f64,
}

/// So many are sorted in together.
const FRESH: usize = 1 << 16;
/// More distinct differences than these are told apart less finely: by the fewest bits that bring them below.
const MOST_RUNS: usize = 1 << 18;
/// Bits of a double's fraction.
const FRACTION_BITS: u32 = 52;

impl Spread {
    /// Adds one difference: finite, of either sign.
    pub(super) fn add(&mut self, delta: f64) {
        if delta == 0.0 {
            self.zeros += 1;
            return;
        }
        self.most = self.most.max(delta.abs());
        self.fresh.push(delta.abs());
        if self.fresh.len() >= FRESH.max(self.runs.len()) {
            self.settle();
        }
    }

    /// Adds all of another.
    pub(super) fn merge(&mut self, mut other: Self) {
        other.settle();
        self.settle();
        self.zeros += other.zeros;
        self.most = self.most.max(other.most);
        self.coarse = self.coarse.max(other.coarse);
        self.runs.append(&mut other.runs);
        self.tidy();
    }

    fn settle(&mut self) {
        self.runs.extend(self.fresh.drain(..).map(|value| (value, 1)));
        self.tidy();
    }

    fn tidy(&mut self) {
        loop {
            let coarse = self.coarse;
            self.runs.iter_mut().for_each(|(value, _)| *value = f64::from_bits(value.to_bits() >> coarse << coarse));
            self.runs.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
            self.runs.dedup_by(|next, kept| {
                let same = next.0.to_bits() == kept.0.to_bits();
                if same {
                    kept.1 += next.1;
                }
                same
            });
            if self.runs.len() <= MOST_RUNS || self.coarse >= FRACTION_BITS {
                return;
            }
            self.coarse += 1;
        }
    }

    /// `None` where nothing was added.
    pub(super) fn finish(mut self) -> Option<Delta> {
        self.settle();
        let count = self.zeros + self.runs.iter().map(|(_, times)| times).sum::<u64>();
        if count == 0 {
            return None;
        }
        let mut below = self.zeros;
        let reached: Vec<u64> = self
            .runs
            .iter()
            .map(|(_, times)| {
                below += times;
                below
            })
            .collect();
        let at_rank = |percent: u64| {
            let rank = (u128::from(percent) * u128::from(count)).div_ceil(100);
            if rank <= u128::from(self.zeros) {
                return 0.0;
            }
            let run = reached.partition_point(|reached| u128::from(*reached) < rank);
            self.runs.get(run).map_or(0.0, |(value, _)| *value)
        };
        Some(Delta {
            max: self.most,
            mean: mean(&self.runs, count),
            p50: at_rank(50),
            p95: at_rank(95),
            p99: at_rank(99),
        })
    }
}

/// Mean of ascending values, each as often as is said, and of as many zeros as are lacking; never infinite.
fn mean(runs: &[(f64, u64)], count: u64) -> f64 {
    let sum: f64 = runs.iter().map(|(value, times)| value * *times as f64).sum();
    let count = count as f64;
    if sum.is_finite() { sum / count } else { runs.iter().map(|(value, times)| value * (*times as f64 / count)).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::tests::Seeded;

    fn spread(values: &[f64]) -> Delta {
        let mut spread = Spread::default();
        values.iter().for_each(|value| spread.add(*value));
        spread.finish().unwrap()
    }

    #[test]
    fn nothing_has_no_spread() {
        assert!(Spread::default().finish().is_none());
    }

    #[test]
    fn one_value_is_every_quantile() {
        assert_eq!(spread(&[-3.0]), Delta { max: 3.0, mean: 3.0, p50: 3.0, p95: 3.0, p99: 3.0 });
        assert_eq!(spread(&[0.0]), Delta { max: 0.0, mean: 0.0, p50: 0.0, p95: 0.0, p99: 0.0 });
    }

    #[test]
    fn the_median_of_an_even_count_is_the_lower_middle() {
        assert_eq!(spread(&[4.0, 1.0, 3.0, 2.0]).p50, 2.0);
    }

    #[test]
    fn quantiles_agree_with_a_naive_computation() {
        let mut random = Seeded::new(7);
        for _ in 0..200 {
            let values: Vec<f64> =
                (0..1 + random.below(300)).map(|_| random.below(40) as f64 / 4.0 - random.below(3) as f64).collect();
            let mut absolute: Vec<f64> = values.iter().map(|value| value.abs()).collect();
            absolute.sort_by(f64::total_cmp);
            let naive = |share: f64| {
                absolute.iter().copied().find(|candidate| {
                    let at_most = absolute.iter().filter(|value| *value <= candidate).count();
                    at_most as f64 / absolute.len() as f64 >= share - 1e-12
                })
            };
            let spread = spread(&values);
            assert_eq!(Some(spread.p50), naive(0.50));
            assert_eq!(Some(spread.p95), naive(0.95));
            assert_eq!(Some(spread.p99), naive(0.99));
            assert_eq!(Some(spread.max), absolute.last().copied());
            assert!((spread.mean - absolute.iter().sum::<f64>() / absolute.len() as f64).abs() < 1e-9);
        }
    }

    #[test]
    fn parts_add_up_to_the_whole_in_any_order() {
        let mut random = Seeded::new(11);
        // More distinct differences than are told apart.
        let values: Vec<f64> = (0..700_000).map(|_| (random.below(1 << 40) as f64).sqrt() - 1e5).collect();
        let mut whole = Spread::default();
        values.iter().for_each(|value| whole.add(*value));
        let whole = whole.finish().unwrap();
        for parts in [2, 3, 7] {
            let mut merged = Spread::default();
            let mut own: Vec<Spread> = values
                .chunks(values.len() / parts)
                .map(|values| {
                    let mut part = Spread::default();
                    values.iter().for_each(|value| part.add(*value));
                    part
                })
                .collect();
            own.reverse();
            own.into_iter().for_each(|part| merged.merge(part));
            assert_eq!(merged.finish().unwrap(), whole);
        }
        let mut absolute: Vec<f64> = values.iter().map(|value| value.abs()).collect();
        absolute.sort_by(f64::total_cmp);
        let exact = |percent: usize| absolute[(percent * absolute.len()).div_ceil(100) - 1];
        for (told, exact) in [(whole.p50, exact(50)), (whole.p95, exact(95)), (whole.p99, exact(99))] {
            assert!(told <= exact && told > exact * 0.9999, "{told} {exact}");
        }
        assert_eq!(Some(&whole.max), absolute.last());
    }

    #[test]
    fn the_mean_of_huge_differences_stays_finite() {
        assert_eq!(spread(&[f64::MAX, f64::MAX, 0.0, 0.0]).mean, f64::MAX / 2.0);
    }
}
