//! From events to the intervals of positions at which they count, window by window.

use std::sync::Arc;

use crate::sweep::bounds::BoundColumn;
use crate::sweep::layout::Events;
use crate::sweep::positions::Range;
use crate::sweep::spec::Comparison;

/// Bounds with the columns that they compare.
#[derive(Debug)]
pub(super) struct CompiledWindow {
    pub bounds: Vec<CompiledBound>,
    pub filter: Option<usize>,
    /// The flag of the filter.
    pub holds: Option<(usize, u32)>,
    pub regular: bool,
}

#[derive(Debug)]
pub(super) struct CompiledBound {
    /// The word of the event's value, and the flag that it is not NULL.
    pub word: usize,
    pub valid: (usize, u32),
    pub event: usize,
    pub op: Comparison,
    pub column: Arc<BoundColumn>,
}

/// One event's interval in one window; several where a bound is irregular.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Its place in the block.
    pub event: u32,
    pub range: Range,
    pub from: u32,
    pub to: u32,
}

/// Where searches among the positions of keys ended last.
#[derive(Debug)]
pub(super) struct Near {
    /// The number of the first key.
    first: u32,
    by_key: Vec<u32>,
}

impl Near {
    /// For so many keys from this number on.
    pub(super) fn new(first: u32, keys: usize) -> Self {
        Self { first, by_key: vec![0; keys] }
    }

    fn of(&mut self, key: usize) -> Option<&mut u32> {
        self.by_key.get_mut(key.checked_sub(self.first as usize)?)
    }
}

impl CompiledWindow {
    /// The parts of `outer` in which this window's events count. `near`: for runs that are all positions of their keys.
    pub(super) fn narrowed(
        &self,
        outer: impl Iterator<Item = Run>,
        events: Events<'_>,
        mut near: Option<&mut Near>,
        inner: &mut Vec<Run>,
    ) {
        inner.clear();
        'runs: for run in outer {
            let known = self.bounds.iter().all(|b| events.holds(run.event, b.valid));
            if !known || self.holds.is_some_and(|h| !events.holds(run.event, h)) {
                continue;
            }
            let mut interval = (run.from, run.to);
            for (i, bound) in self.bounds.iter().enumerate().filter(|(_, bound)| bound.column.is_regular()) {
                let value = events.integer(run.event, bound.word);
                let last = if i == 0 {
                    near.as_mut().and_then(|n| n.of(events.group(run.event as usize) as usize))
                } else {
                    None
                };
                interval = match last {
                    Some(last) => bound.column.narrow_near(bound.op, value, interval, last),
                    None => bound.column.narrow(bound.op, value, interval),
                };
                if interval.0 >= interval.1 {
                    continue 'runs;
                }
            }
            let run = Run { from: interval.0, to: interval.1, ..run };
            if self.regular {
                inner.push(run);
            } else {
                self.split(&run, events, inner);
            }
        }
    }

    /// The positions of a run at which the irregular bounds hold, one by one.
    fn split(&self, run: &Run, events: Events<'_>, inner: &mut Vec<Run>) {
        let holds = |position: u32| {
            let mut irregular = self.bounds.iter().filter(|bound| !bound.column.is_regular());
            irregular.all(|b| b.column.holds_at(b.op, events.integer(run.event, b.word), position))
        };
        let mut from = None;
        for position in run.from..=run.to {
            match (position < run.to && holds(position), from) {
                (true, None) => from = Some(position),
                (false, Some(start)) => {
                    inner.push(Run { from: start, to: position, ..*run });
                    from = None;
                }
                _ => {}
            }
        }
    }
}
