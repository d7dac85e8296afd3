//! The event that comes first, at every position.
//!
//! Most windows end at `NOW()`: an event counts from some position of its key to the last one. Such events go to one cell, and
//! a running best over the key's positions gives each position its own. All others go to the nodes of a tree, as extremes do
//! (see [`super::track`]).

use datafusion::error::Result as DfResult;

use crate::sweep::arena::RowRef;
use crate::sweep::track::Interval;

/// An event: where it is held, and the start of its sort key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub prefix: i64,
    pub row: RowRef,
}

/// How an event stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    Before,
    /// After it, or as good as it.
    NotBefore,
    /// The order does not tell them apart, and they differ.
    Tied,
}

impl Candidate {
    const NONE: Self = Self { prefix: 0, row: RowRef::NONE };
}

/// The first event of each cell and node. A key with the positions `start..end` has the nodes `2 * start..2 * end`.
#[derive(Debug)]
pub(super) struct Best {
    suffixes: Vec<Candidate>,
    /// Empty until an event needs one.
    nodes: Vec<Candidate>,
}

impl Best {
    pub(super) fn new(positions: usize) -> Self {
        Self { suffixes: vec![Candidate::NONE; positions], nodes: Vec::new() }
    }

    /// `rank`: which of two events with one prefix comes first.
    pub(super) fn add(
        &mut self,
        at: Interval,
        event: Candidate,
        rank: &impl Fn(RowRef, RowRef) -> DfResult<Rank>,
    ) -> DfResult<()> {
        let (start, end) = at.key;
        if at.to == end {
            return improve(&mut self.suffixes[at.from as usize], event, rank);
        }
        if self.nodes.is_empty() {
            self.nodes = vec![Candidate::NONE; 2 * self.suffixes.len()];
        }
        let (base, leaves) = (2 * start as usize, (end - start) as usize);
        let (mut from, mut to) = ((at.from - start) as usize + leaves, (at.to - start) as usize + leaves);
        while from < to {
            if from % 2 == 1 {
                improve(&mut self.nodes[base + from], event, rank)?;
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                improve(&mut self.nodes[base + to], event, rank)?;
            }
            from /= 2;
            to /= 2;
        }
        Ok(())
    }

    /// The first event at each position of these keys.
    pub(super) fn finish(
        &self,
        keys: &[(u32, u32)],
        rank: &impl Fn(RowRef, RowRef) -> DfResult<Rank>,
    ) -> DfResult<Vec<RowRef>> {
        let mut found = vec![RowRef::NONE; self.suffixes.len()];
        for &(start, end) in keys {
            let mut running = Candidate::NONE;
            for position in start..end {
                improve(&mut running, self.suffixes[position as usize], rank)?;
                let mut best = running;
                if !self.nodes.is_empty() {
                    let mut node = (position - start + (end - start)) as usize;
                    while node > 0 {
                        improve(&mut best, self.nodes[2 * start as usize + node], rank)?;
                        node /= 2;
                    }
                }
                found[position as usize] = best.row;
            }
        }
        Ok(found)
    }

    /// Every event held.
    pub(super) fn rows(&mut self) -> impl Iterator<Item = &mut RowRef> {
        self.suffixes.iter_mut().chain(&mut self.nodes).map(|c| &mut c.row).filter(|r| !r.is_none())
    }

    /// Bytes held beside the cells of all positions.
    pub(super) fn extra_size(&self) -> usize {
        self.nodes.capacity() * size_of::<Candidate>()
    }
}

fn improve(held: &mut Candidate, event: Candidate, rank: &impl Fn(RowRef, RowRef) -> DfResult<Rank>) -> DfResult<()> {
    let better = !event.row.is_none()
        && (held.row.is_none()
            || event.prefix < held.prefix
            || event.prefix == held.prefix && event.row != held.row && rank(event.row, held.row)? == Rank::Before);
    if better {
        *held = event;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_of_every_position_is_found_under_any_intervals_and_ties() {
        // Rows with one prefix come in the order of their number.
        let rank = |a: RowRef, b: RowRef| Ok(if a.row < b.row { Rank::Before } else { Rank::NotBefore });
        for leaves in 1..16_u32 {
            let key = (2, 2 + leaves);
            let mut best = Best::new(leaves as usize + 2);
            let mut plain: Vec<Option<(i64, u32)>> = vec![None; leaves as usize];
            let mut seed = u64::from(leaves);
            let mut next = |below: u32| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                u32::try_from((seed >> 33) % u64::from(below)).unwrap()
            };
            for _ in 0..60 {
                let from = next(leaves);
                let to = if next(3) == 0 { leaves } else { from + next(leaves - from + 1) };
                let (prefix, row) = (i64::from(next(4)), next(1000));
                let event = Candidate { prefix, row: RowRef { batch: 0, row } };
                best.add(Interval { key, from: 2 + from, to: 2 + to }, event, &rank).unwrap();
                for held in &mut plain[from as usize..to as usize] {
                    *held = Some(held.map_or((prefix, row), |h| h.min((prefix, row))));
                }
                let found = best.finish(&[key], &rank).unwrap();
                let found: Vec<Option<u32>> = found[2..].iter().map(|r| (!r.is_none()).then_some(r.row)).collect();
                assert_eq!(found, plain.iter().map(|p| p.map(|(_, row)| row)).collect::<Vec<_>>());
            }
        }
    }
}
