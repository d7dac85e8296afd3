//! Which rows causes are tested on: the same ones in every run, spread over time and over the size of the difference.

/// Buckets of time, and of the size of the difference.
const TIMES: usize = 8;
const SIZES: usize = 4;

/// At most `wanted` of the positions `0..sizes.len()`, which are in the order of time; `sizes`: how much each differs (NaN where
/// that is no number). Every prefix of the answer is spread, so that samples of two features over the same rows overlap.
pub(super) fn spread(positions: &[usize], sizes: &[f64], wanted: usize) -> Vec<usize> {
    if positions.len() <= wanted {
        return positions.to_vec();
    }
    let mut by_size: Vec<usize> = (0..positions.len()).collect();
    let magnitude = |at: usize| if sizes[at].is_nan() { f64::INFINITY } else { sizes[at].abs() };
    by_size.sort_by(|&a, &b| magnitude(a).total_cmp(&magnitude(b)).then(a.cmp(&b)));
    let mut size_of = vec![0; positions.len()];
    for (rank, &at) in by_size.iter().enumerate() {
        size_of[at] = rank * SIZES / positions.len();
    }
    let mut strata: Vec<Vec<usize>> = vec![Vec::new(); TIMES * SIZES];
    for at in 0..positions.len() {
        strata[at * TIMES / positions.len() * SIZES + size_of[at]].push(positions[at]);
    }
    for stratum in &mut strata {
        stratum.sort_by_key(|&position| (lot(position), position));
    }
    let longest = strata.iter().map(Vec::len).max().unwrap_or(0);
    let rounds = (0..longest).flat_map(|round| strata.iter().filter_map(move |s| s.get(round).copied()));
    let mut picked: Vec<usize> = rounds.take(wanted).collect();
    picked.sort_unstable();
    picked
}

/// Splitmix64: any two positions are told apart as if by lot, the same lot in every run.
pub fn lot(position: usize) -> u64 {
    let mut z = (position as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_time_and_size() {
        let positions: Vec<usize> = (0..10_000).map(|i| i * 2).collect();
        let sizes: Vec<f64> = (0..10_000).map(|i| f64::from(i % 100)).collect();
        let picked = spread(&positions, &sizes, 64);
        assert_eq!(picked.len(), 64);
        assert!(picked.is_sorted() && picked.iter().all(|p| p % 2 == 0));
        let early = picked.iter().filter(|p| **p < 10_000).count();
        assert_eq!(early, 32);
        let large = picked.iter().filter(|p| (*p / 2) % 100 >= 75).count();
        assert_eq!(large, 16);
    }

    #[test]
    fn few_rows_are_all_taken() {
        assert_eq!(spread(&[3, 5], &[f64::NAN, 1.0], 64), [3, 5]);
        assert_eq!(spread(&[], &[], 4), Vec::<usize>::new());
    }
}
