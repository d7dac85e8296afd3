//! How many different values count at every position.
//!
//! A value is there where any event that has it counts. So the intervals of one value are joined where they overlap, and what is left
//! are differences, as of a count:
//!
//! ```text
//! value a     [-------)                  +1 .  .  -1
//!                 [--------)   [--)      joined with the one before, then one of its own
//! value b   [-----------)
//! at        1 2   2     1  0   1  0
//! ```
//!
//! O(events log) time whatever the windows; memory is that of the joined intervals, twice at the most.

use crate::sweep::track::Interval;

/// The intervals of the values seen so far.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    /// Value, start, end. No interval reaches from one key into another, so those that overlap are of one key.
    intervals: Vec<(u64, u32, u32)>,
}

/// So few are not worth joining.
const FEW: usize = if cfg!(test) { 8 } else { 1024 };

impl Distinct {
    pub(super) fn add(&mut self, at: Interval, value: u64) {
        if self.intervals.len() == self.intervals.capacity() {
            self.join();
            // What is left may grow to twice its size before it is joined again.
            self.intervals.reserve(self.intervals.len().max(FEW));
        }
        self.intervals.push((value, at.from, at.to));
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.intervals.capacity() * size_of::<(u64, u32, u32)>()
    }

    /// How many pairs of a position and one of its values there are.
    pub(super) fn rows(&mut self) -> usize {
        self.join();
        self.intervals.iter().map(|(_, from, to)| (to - from) as usize).sum()
    }

    fn join(&mut self) {
        self.intervals.sort_unstable();
        self.intervals.dedup_by(|next, last| {
            let one = next.0 == last.0 && next.1 < last.2;
            if one {
                last.2 = last.2.max(next.2);
            }
            one
        });
    }

    /// The values and where they are, by value and start; no two of one value overlap.
    pub(super) fn intervals(mut self) -> Vec<(u64, u32, u32)> {
        self.join();
        self.intervals
    }

    /// The differences of the count between positions, of which there are so many. A key's last interval needs no end.
    pub(super) fn finish(self, positions: usize, keys: &[(u32, u32)]) -> Vec<i64> {
        let mut cells = vec![0; positions];
        let mut starts = vec![false; positions + 1];
        keys.iter().for_each(|(_, end)| starts[*end as usize] = true);
        for (_, from, to) in self.intervals() {
            cells[from as usize] += 1;
            if !starts[to as usize] {
                cells[to as usize] -= 1;
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_position_has_the_number_of_its_values_under_any_intervals() {
        let keys = [(0_u32, 5_u32), (5, 6), (6, 20)];
        let mut seed = 3_u64;
        let mut next = |below: u32| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from((seed >> 33) % u64::from(below)).unwrap()
        };
        for events in [0, 1, 5, 30, 400] {
            let mut distinct = Distinct::default();
            let mut plain = vec![HashSet::new(); 20];
            for _ in 0..events {
                let key = keys[next(3) as usize];
                let from = key.0 + next(key.1 - key.0);
                let to = if next(3) == 0 { key.1 } else { from + 1 + next(key.1 - from) };
                let value = u64::from(next(6));
                distinct.add(Interval { key, from, to }, value);
                plain[from as usize..to as usize].iter_mut().for_each(|p| p.extend([value]));
            }
            let mut counts = distinct.finish(20, &keys);
            for (start, end) in keys {
                (start + 1..end).for_each(|p| counts[p as usize] += counts[p as usize - 1]);
            }
            assert_eq!(counts, plain.iter().map(|p| i64::try_from(p.len()).unwrap()).collect::<Vec<_>>(), "{events}");
        }
    }

    #[test]
    fn repeated_values_take_no_more_room_than_one() {
        let mut distinct = Distinct::default();
        for _ in 0..10_000 {
            distinct.add(Interval { key: (0, 9), from: 2, to: 7 }, 4);
        }
        assert!(distinct.size() <= 4 * FEW * size_of::<(u64, u32, u32)>());
    }
}
