//! What is kept per position: counts, sums and extremes of the events that count there.
//!
//! An event that counts at the positions `from..to` is added to two cells or to few, never to each:
//!
//! * Counts and sums are *differences*: the value is added at `from` and taken out at `to`; a prefix sum over the key's
//!   positions gives each position its own. All arithmetic is exact (see [`crate::exact`]), so nothing stays behind.
//! * Extremes can't be taken out. A key's positions are the leaves of a tree, and the event goes to the O(log n) nodes that
//!   cover the interval; a position's extreme is the best on its way to the root.
//!
//! ```text
//! from..to = 1..4 of 4         node 1 [0..4)
//!                          node 2 [0..2)   node 3 [2..4) *
//!                        leaf 0   leaf 1 *   leaf 2   leaf 3
//! ```

use datafusion::arrow::datatypes::i256;
use datafusion::common::HashMap;

use crate::exact::{Cell, FloatCell, Scale};
use crate::sweep::best::Best;
use crate::sweep::distinct::Distinct;
use crate::sweep::members::Members;
use crate::sweep::positions::Range;

/// One quantity, for the positions of one shard. Positions count from the shard's first.
#[derive(Debug)]
pub(super) enum Track {
    Count(Vec<i64>),
    Distinct(Distinct),
    /// Below 2^94 each, so that 2^32 of them stay below 2^127.
    Integers(Vec<i128>),
    /// Decimals of any size: 2^127 times 2^32 stays below 2^255.
    Wide(Vec<i256>),
    Floats {
        scale: Scale,
        units: Vec<i128>,
        /// Differences of values that do not fit the scale.
        others: HashMap<u32, FloatCell>,
    },
    Extremes(Extremes),
    Best(Best),
    Members(Members),
}

/// The best value of each tree node. A key with the positions `start..end` has the nodes `2 * start..2 * end`.
#[derive(Debug)]
pub(super) struct Extremes {
    nodes: Vec<i64>,
    largest: bool,
}

/// The range of a key and an interval of it, from the start of the shard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    pub key: (u32, u32),
    pub from: u32,
    pub to: u32,
}

impl Interval {
    /// `from..to` of `range`, as positions of the shard that starts at `shard`.
    pub(super) fn new(range: Range, (from, to): (u32, u32), shard: u32) -> Self {
        Self { key: (range.start - shard, range.end - shard), from: from - shard, to: to - shard }
    }

    pub(super) fn count(self, cells: &mut [i64]) {
        cells[self.from as usize] += 1;
        if let Some(end) = self.end() {
            cells[end] -= 1;
        }
    }

    /// Adds a float in units of its sum. Differences may wrap between positions; what they add up to does not.
    pub(super) fn add_units(self, cells: &mut [i128], units: i128) {
        let from = &mut cells[self.from as usize];
        *from = from.wrapping_add(units);
        if let Some(end) = self.end() {
            cells[end] = cells[end].wrapping_sub(units);
        }
    }

    /// Adds a float that does not fit the units.
    pub(super) fn add_other(self, others: &mut HashMap<u32, FloatCell>, value: f64) {
        others.entry(self.from).or_default().add(value);
        if self.end().is_some() {
            others.entry(self.to).or_default().retract(value);
        }
    }

    /// Where a difference ends; `None` at the key's end, where the prefix sum ends too.
    fn end(self) -> Option<usize> {
        (self.to < self.key.1).then_some(self.to as usize)
    }
}

impl Track {
    pub(super) fn add_integer(&mut self, at: Interval, value: i128) {
        match self {
            Self::Integers(cells) => {
                cells[at.from as usize] += value;
                if let Some(end) = at.end() {
                    cells[end] -= value;
                }
            }
            Self::Wide(cells) => {
                let value = i256::from_i128(value);
                cells[at.from as usize] = cells[at.from as usize].wrapping_add(value);
                if let Some(end) = at.end() {
                    cells[end] = cells[end].wrapping_sub(value);
                }
            }
            _ => {}
        }
    }

    /// Bytes held beside one cell for each position.
    pub(super) fn extra_size(&self) -> usize {
        match self {
            Self::Floats { others, .. } => others.capacity() * OTHER_BYTES,
            Self::Distinct(distinct) => distinct.size(),
            Self::Best(best) => best.extra_size(),
            Self::Members(members) => members.extra_size(),
            _ => 0,
        }
    }
}

/// A map's entry of a [`FloatCell`] with some parts.
const OTHER_BYTES: usize = size_of::<FloatCell>() + 64;

/// Intervals of so many positions or less go to the leaves themselves.
const FEW: usize = 8;

impl Extremes {
    pub(super) fn new(positions: usize, largest: bool) -> Self {
        let none = if largest { i64::MIN } else { i64::MAX };
        Self { nodes: vec![none; 2 * positions], largest }
    }

    pub(super) fn largest(&self) -> bool {
        self.largest
    }

    fn better(&self, a: i64, b: i64) -> i64 {
        if self.largest { a.max(b) } else { a.min(b) }
    }

    pub(super) fn add(&mut self, at: Interval, value: i64) {
        let (start, end) = at.key;
        let (base, leaves) = (2 * start as usize, (end - start) as usize);
        let (mut from, mut to) = ((at.from - start) as usize + leaves, (at.to - start) as usize + leaves);
        if to - from <= FEW {
            let largest = self.largest;
            let better = |node: &mut i64| *node = if largest { value.max(*node) } else { value.min(*node) };
            return self.nodes[base + from..base + to].iter_mut().for_each(better);
        }
        while from < to {
            if from % 2 == 1 {
                self.nodes[base + from] = self.better(self.nodes[base + from], value);
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                self.nodes[base + to] = self.better(self.nodes[base + to], value);
            }
            from /= 2;
            to /= 2;
        }
    }

    /// The best value at a position of a key; something arbitrary where no event counts.
    pub(super) fn at(&self, (start, end): (u32, u32), position: u32) -> i64 {
        let base = 2 * start as usize;
        let mut node = (position - start + (end - start)) as usize;
        let mut best = self.nodes[base + node];
        while node > 1 {
            node /= 2;
            best = self.better(best, self.nodes[base + node]);
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_knows_the_extreme_of_every_position_under_any_intervals() {
        for leaves in 1..20_u32 {
            let mut extremes = Extremes::new(leaves as usize + 3, true);
            let mut plain = vec![i64::MIN; leaves as usize];
            let key = (3, 3 + leaves);
            let mut value = 17_i64;
            for from in 0..leaves {
                for to in from..=leaves {
                    value = (value * 31 + 7) % 1009;
                    extremes.add(Interval { key, from: 3 + from, to: 3 + to }, value);
                    plain[from as usize..to as usize].iter_mut().for_each(|p| *p = (*p).max(value));
                    let found: Vec<i64> = (0..leaves).map(|p| extremes.at(key, 3 + p)).collect();
                    assert_eq!(found, plain, "{leaves} leaves, {from}..{to}");
                }
            }
        }
    }
}
