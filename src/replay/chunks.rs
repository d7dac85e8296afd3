//! Label rows cut by label time: what is replayed at once, kept, and found again by a later run.
//!
//! Chunks lie on a calendar grid that starts in 1970, not at the first label: label rows that are added later leave the chunks before
//! them as they are. Where they are cut never shows in a value, nor in the files of the dataset.

use std::ops::Range;

use crate::config::Chunk as Length;

/// Label rows that are replayed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Positions among all label rows.
    pub rows: Range<usize>,
    /// Label times, nanoseconds; the first chunk has no start, the last no end, and none leaves out anything between them.
    pub from: i64,
    pub until: i64,
}

/// What decides where `chunk = "auto"` cuts.
#[derive(Debug, Clone, Copy)]
pub struct Weights {
    /// How far back the views read, nanoseconds; `None` where one reads from the beginning.
    pub lookback: Option<i64>,
    /// So many label rows fit into memory with their features.
    pub most_rows: usize,
}

const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
/// Lengths that `auto` chooses from; none of them: all at once.
const LENGTHS: [i64; 7] = [HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY, 91 * DAY, 364 * DAY];
/// So many label rows are worth a chunk of their own.
const GOOD_ROWS: usize = 2_000_000;
/// Of what a chunk reads, at most one part in so many was read by the chunk before, too, where memory allows.
const REREAD: i64 = 4;

/// Cuts label times, which ascend. There is always a chunk, if an empty one.
pub fn chunks(times: &[i64], length: Length, weights: Weights) -> Vec<Chunk> {
    let largest = |length: i64| {
        times.chunk_by(|a, b| a.div_euclid(length) == b.div_euclid(length)).map(<[i64]>::len).max().unwrap_or(0)
    };
    let Some(length) = in_effect(length, weights, times.len(), largest) else {
        return vec![Chunk { rows: 0..times.len(), from: i64::MIN, until: i64::MAX }];
    };
    let mut chunks: Vec<Chunk> = Vec::new();
    for cell in times.chunk_by(|a, b| a.div_euclid(length) == b.div_euclid(length)) {
        let from = cell[0].div_euclid(length).saturating_mul(length);
        let begin = chunks.last().map_or(0, |c| c.rows.end);
        if let Some(before) = chunks.last_mut() {
            before.until = from;
        }
        let from = if chunks.is_empty() { i64::MIN } else { from };
        chunks.push(Chunk { rows: begin..begin + cell.len(), from, until: i64::MAX });
    }
    if chunks.is_empty() {
        chunks.push(Chunk { rows: 0..0, from: i64::MIN, until: i64::MAX });
    }
    chunks
}

/// The length of chunks that hold so many rows in all, and at most `largest` each; `None`: all at once.
pub fn in_effect(length: Length, weights: Weights, rows: usize, largest: impl Fn(i64) -> usize) -> Option<i64> {
    match length {
        Length::Every(length) => Some(length.max(1)),
        Length::Auto => chosen(rows, largest, weights),
    }
}

fn chosen(rows: usize, largest: impl Fn(i64) -> usize, weights: Weights) -> Option<i64> {
    if rows <= GOOD_ROWS.min(weights.most_rows) {
        return None;
    }
    // As long as memory allows; no length does where too many label rows share an hour.
    let fitting: Vec<i64> = LENGTHS.into_iter().filter(|length| largest(*length) <= weights.most_rows).collect();
    let longest = fitting.last().copied().unwrap_or(HOUR);
    let all_at_once = rows <= weights.most_rows;
    let Some(lookback) = weights.lookback else {
        return if all_at_once { None } else { Some(longest) };
    };
    // The shortest that reads little twice, or a longer one that is still small.
    let little = |length: &&i64| **length >= lookback.saturating_mul(REREAD);
    let good = |length: &&i64| largest(**length) <= GOOD_ROWS;
    match (fitting.iter().find(little), fitting.iter().rev().find(good)) {
        (Some(little), Some(good)) => Some(*little.max(good)),
        (Some(little), None) => Some(*little),
        (None, _) if all_at_once => None,
        (None, _) => Some(longest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: Weights = Weights { lookback: Some(DAY), most_rows: usize::MAX };

    #[test]
    fn chunks_hold_each_row_once_and_leave_no_time_out() {
        let times: Vec<i64> = (0..1000).map(|i| i * i * 7_000_000_000 - 5 * DAY).collect();
        for length in [1, HOUR, DAY, 365 * DAY] {
            let cut = chunks(&times, Length::Every(length), ROOMY);
            assert_eq!((cut[0].rows.start, cut[0].from), (0, i64::MIN));
            assert_eq!(cut.last().map(|c| (c.rows.end, c.until)), Some((times.len(), i64::MAX)));
            for pair in cut.windows(2) {
                assert_eq!((pair[0].rows.end, pair[0].until), (pair[1].rows.start, pair[1].from));
                assert!(times[pair[0].rows.end - 1] < pair[1].from && pair[1].from <= times[pair[1].rows.start]);
            }
        }
    }

    #[test]
    fn no_label_is_one_empty_chunk() {
        let all = Chunk { rows: 0..0, from: i64::MIN, until: i64::MAX };
        assert_eq!(chunks(&[], Length::Auto, ROOMY), std::slice::from_ref(&all));
        assert_eq!(chunks(&[], Length::Every(DAY), ROOMY), [all]);
    }

    #[test]
    fn later_labels_leave_earlier_chunks_as_they_are() {
        let times: Vec<i64> = (0..100).map(|day| day * DAY + HOUR).collect();
        let (before, after) =
            (chunks(&times[..70], Length::Every(7 * DAY), ROOMY), chunks(&times, Length::Every(7 * DAY), ROOMY));
        let rows = |chunks: &[Chunk]| chunks.iter().map(|c| c.rows.clone()).collect::<Vec<_>>();
        assert_eq!(rows(&before), rows(&after)[..before.len()]);
    }

    fn hourly(days: i64, per_hour: usize) -> Vec<i64> {
        (0..days * 24).flat_map(|hour| std::iter::repeat_n(hour * HOUR, per_hour)).collect()
    }

    #[test]
    fn few_labels_are_replayed_at_once() {
        assert_eq!(chunks(&hourly(365, 2), Length::Auto, ROOMY).len(), 1);
    }

    #[test]
    fn many_labels_are_cut_where_little_is_read_twice() {
        let times = hourly(364, 600);
        let most = |lookback, most_rows| {
            let cut = chunks(&times, Length::Auto, Weights { lookback, most_rows });
            (cut.len(), cut.iter().map(|c| c.rows.len()).max().unwrap())
        };
        // 5.2 million rows; a quarter of a year has 1.3.
        assert_eq!(most(Some(DAY), usize::MAX).0, 4);
        assert_eq!(most(Some(90 * DAY), usize::MAX).0, 1);
        assert_eq!(most(None, usize::MAX).0, 1);
        // Memory goes first.
        assert!(most(Some(90 * DAY), 2_000_000).1 <= 2_000_000);
        assert!(most(None, 500_000).1 <= 500_000);
        assert_eq!(most(None, 10).0, 364 * 24);
    }
}
