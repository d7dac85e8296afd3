//! The spread of absolute differences. Deterministic: it depends on the values alone, not on their order.
//!
//! A quantile is the nearest rank: of n ascending values, p % is the one at rank ceil(p/100 * n), counted from 1. So
//! it is always a difference that occurred.

use super::Delta;

/// Collects absolute differences. Zeros, of which there are most, are only counted.
#[derive(Debug, Default)]
pub(super) struct Spread {
    zeros: usize,
    others: Vec<f64>,
}

impl Spread {
    /// Adds one difference: finite, of either sign.
    pub(super) fn add(&mut self, delta: f64) {
        if delta == 0.0 {
            self.zeros += 1;
        } else {
            self.others.push(delta.abs());
        }
    }

    /// `None` where nothing was added.
    pub(super) fn finish(mut self) -> Option<Delta> {
        let count = self.zeros + self.others.len();
        if count == 0 {
            return None;
        }
        self.others.sort_unstable_by(f64::total_cmp);
        let at_rank = |percent: usize| {
            let rank = (percent as u128 * count as u128).div_ceil(100) as usize;
            rank.checked_sub(self.zeros + 1).and_then(|index| self.others.get(index)).copied().unwrap_or(0.0)
        };
        Some(Delta {
            max: self.others.last().copied().unwrap_or(0.0),
            mean: mean(&self.others, count),
            p50: at_rank(50),
            p95: at_rank(95),
            p99: at_rank(99),
        })
    }
}

/// Mean of ascending values and of as many zeros as are lacking; never infinite.
fn mean(ascending: &[f64], count: usize) -> f64 {
    let sum: f64 = ascending.iter().sum();
    if sum.is_finite() { sum / count as f64 } else { ascending.iter().map(|value| value / count as f64).sum() }
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
    fn the_mean_of_huge_differences_stays_finite() {
        assert_eq!(spread(&[f64::MAX, f64::MAX, 0.0, 0.0]).mean, f64::MAX / 2.0);
    }
}
