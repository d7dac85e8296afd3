//! A world taken apart: which rows there are, and how they are looked at.
//!
//! That windows are longer, or that what arrives an hour after the label time counts, changes no row: it is another question about the same rows.
//! Where arrival alone says when a row counts,
//!
//! ```text
//! arrived - 1 h <= T   is   arrived <= T + 1 h          ts + 1 h > T - 1 day   is   ts > (T - 1 h) - 1 day
//! ```

use crate::cause::change::{Ahead, Change, Length, MINUTE, Shift};
use crate::cause::windows::Rewindow;
use crate::cause::world::{FOREVER, rewindow};
use crate::config::{FutureEvents, Tie};
use crate::source::Log;

/// What is asked otherwise, of rows that stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lens {
    /// Added to the label time, nanoseconds.
    pub now: i64,
    /// Added to the instant by which what is visible has arrived, nanoseconds.
    pub instant: i64,
    pub windows: Vec<Rewindow>,
    /// What counts has to have arrived by the label time itself, whatever is made of it.
    pub unmoved: bool,
}

/// A world.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Split {
    /// What changes rows.
    pub rows: Vec<Change>,
    pub lens: Lens,
}

/// What a view and its sources allow to be asked of rows that stay.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Optics {
    /// Arrival alone says when a row counts.
    by_arrival: bool,
    /// What all sources say of rows that arrive at exactly the label time.
    tie: Option<Tie>,
    /// All that is said of event times is how long before the label time they are, and none of them says when a row arrived.
    relative: bool,
}

impl Optics {
    /// `calendar`: event times count as such.
    pub(super) fn new<'a>(logs: impl Iterator<Item = &'a Log> + Clone, calendar: bool) -> Self {
        let by_arrival = logs.clone().all(|log| log.config.future_events != FutureEvents::Hidden);
        let mut ties = logs.clone().map(Log::ties);
        let first = ties.next();
        Self {
            by_arrival,
            tie: first.filter(|first| by_arrival && ties.all(|tie| tie == *first)),
            relative: by_arrival && !calendar && logs.clone().all(|log| log.config.available_at.is_some()),
        }
    }

    /// Takes a world apart: as much of it as can be is asked, the rest is in the rows.
    pub(super) fn split(self, world: &[Change]) -> Split {
        let mut split = Split::default();
        let absolute = |change: &Change| match change.apart().0 {
            // An event time says when its row arrived.
            Change::LateVisible | Change::FutureLeak { ahead: Ahead::Happens, .. } => true,
            Change::Tiled { .. } => true,
            Change::WindowLength { lengths, .. } => lengths.iter().any(|l| matches!(l, Some(Length::Calendar(_)))),
            _ => false,
        };
        let relative = self.relative && !world.iter().any(absolute);
        for change in world {
            let lens = &mut split.lens;
            lens.windows.extend(rewindow(change));
            match (change, self.tie) {
                (Change::WindowStart { .. } | Change::WindowLength { .. } | Change::Tiled { .. }, _) => {}
                (Change::LabelTime { included }, Some(tie)) => {
                    lens.instant = lens.instant.saturating_add(i64::from(*included) - i64::from(tie == Tie::Include));
                }
                (Change::FutureLeak { horizon, ahead }, _) if self.by_arrival && *ahead != Ahead::Moves => {
                    lens.instant = lens.instant.saturating_add(horizon.unwrap_or(FOREVER));
                    if *ahead == Ahead::Happens {
                        split.rows.push(Change::LateVisible);
                    }
                }
                (Change::Timezone { shift: Shift::EventMinutes(minutes) }, _) if relative => {
                    lens.now = lens.now.saturating_sub(i64::from(*minutes) * MINUTE);
                }
                (other, _) => split.rows.push(other.clone()),
            }
        }
        split
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::change::{DAY, HOUR};

    const FREE: Optics = Optics { by_arrival: true, tie: Some(Tie::Include), relative: true };

    #[test]
    fn what_can_be_asked_changes_no_row() {
        let leak = Change::FutureLeak { horizon: Some(HOUR), ahead: Ahead::Arrives };
        let shift = Change::Timezone { shift: Shift::EventMinutes(60) };
        let split = FREE.split(&[
            leak,
            Change::LabelTime { included: false },
            shift,
            Change::Tiled { tile: DAY, inclusive: false },
        ]);
        assert_eq!(split.lens.instant, HOUR - 1);
        // Tiles are no matter of how long before the label time a row is, nor is when it arrives, where events are seen as they happen.
        assert_eq!((split.lens.now, split.rows.len()), (0, 1));
        assert_eq!(split.lens.windows.len(), 3);
        let split = FREE.split(&[Change::Timezone { shift: Shift::EventMinutes(60) }, Change::LateVisible]);
        assert_eq!((split.lens.now, split.rows.len()), (0, 2));
        let shift = Change::Timezone { shift: Shift::EventMinutes(-90) };
        let split = FREE.split(&[shift, Change::DuplicatesCounted]);
        assert_eq!((split.lens.now, split.rows), (90 * MINUTE, vec![Change::DuplicatesCounted]));
    }

    #[test]
    fn what_happens_early_is_seen_in_rows_that_are_never_late() {
        let happens = Change::FutureLeak { horizon: Some(HOUR), ahead: Ahead::Happens };
        let split = FREE.split(std::slice::from_ref(&happens));
        assert_eq!((split.rows, split.lens.instant), (vec![Change::LateVisible], HOUR));
        let hidden = Optics { by_arrival: false, tie: None, relative: false };
        assert_eq!(hidden.split(std::slice::from_ref(&happens)).rows, [happens]);
        let excluded = Change::LabelTime { included: false };
        assert_eq!(hidden.split(std::slice::from_ref(&excluded)).rows, [excluded]);
    }
}
