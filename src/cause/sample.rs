//! Which rows causes are tested on: the same ones in every run, spread over time and over the size of the difference.

/// Buckets of time, and of the size of the difference.
const TIMES: usize = 8;
const SIZES: usize = 4;

/// The positions in the order in which samples take them, so that every prefix is spread, and samples of two features over the same rows
/// overlap. The positions are in the order of time; `sizes`: how much each differs (NaN where that is no number).
pub(super) fn order(positions: &[usize], sizes: &[f64]) -> Vec<usize> {
    let magnitude = |size: f64| if size.is_nan() { f64::INFINITY } else { size.abs() };
    let mut by_size: Vec<(f64, usize)> = sizes.iter().map(|size| magnitude(*size)).zip(0..).collect();
    by_size.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut size_of = vec![0; positions.len()];
    for (rank, (_, at)) in by_size.into_iter().enumerate() {
        size_of[at] = rank * SIZES / positions.len();
    }
    let mut strata: Vec<Vec<(u64, usize)>> = vec![Vec::new(); TIMES * SIZES];
    for (at, position) in positions.iter().enumerate() {
        strata[at * TIMES / positions.len() * SIZES + size_of[at]].push((lot(*position), *position));
    }
    strata.iter_mut().for_each(|stratum| stratum.sort_unstable());
    let longest = strata.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|round| strata.iter().filter_map(move |s| Some(s.get(round)?.1))).collect()
}

/// The first `wanted` of an [`order`], as positions are in the order of time.
pub(super) fn first(order: &[usize], wanted: usize) -> Vec<usize> {
    let mut picked = order[..wanted.min(order.len())].to_vec();
    picked.sort_unstable();
    picked
}

/// At most `wanted` of the positions.
pub(super) fn spread(positions: &[usize], sizes: impl FnOnce() -> Vec<f64>, wanted: usize) -> Vec<usize> {
    if positions.len() <= wanted { positions.to_vec() } else { first(&order(positions, &sizes()), wanted) }
}

/// Splitmix64: any two positions are told apart as if by lot, the same lot in every run.
pub fn lot(position: usize) -> u64 {
    let mut z = (position as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Numbers by lot, the same ones in every run.
#[cfg(test)]
pub(super) struct Lots(usize);

#[cfg(test)]
impl Lots {
    pub(super) fn new() -> Self {
        Self(0)
    }

    pub(super) fn below(&mut self, bound: u64) -> i64 {
        self.0 += 1;
        i64::try_from(lot(self.0) % bound).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_time_and_size() {
        let positions: Vec<usize> = (0..10_000).map(|i| i * 2).collect();
        let sizes: Vec<f64> = (0..10_000).map(|i| f64::from(i % 100)).collect();
        let picked = spread(&positions, || sizes, 64);
        assert_eq!(picked.len(), 64);
        assert!(picked.is_sorted() && picked.iter().all(|p| p % 2 == 0));
        let early = picked.iter().filter(|p| **p < 10_000).count();
        assert_eq!(early, 32);
        let large = picked.iter().filter(|p| (*p / 2) % 100 >= 75).count();
        assert_eq!(large, 16);
    }

    #[test]
    fn few_rows_are_all_taken() {
        assert_eq!(spread(&[3, 5], || vec![f64::NAN, 1.0], 64), [3, 5]);
        assert_eq!(spread(&[], Vec::new, 4), Vec::<usize>::new());
        assert_eq!(first(&order(&[3, 5], &[f64::NAN, 1.0]), 64), [3, 5]);
        assert_eq!(first(&order(&[], &[]), 4), Vec::<usize>::new());
    }
}
