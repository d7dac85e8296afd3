//! Adding events to the cells of a shard, block by block.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use datafusion::arrow::datatypes::i256;
use datafusion::common::{HashMap, exec_err};
use datafusion::error::Result as DfResult;

use crate::exact::{Scale, order_of_float};
use crate::sweep::best::{Best, Candidate};
use crate::sweep::distinct::Distinct;
use crate::sweep::layout::{Encoding, Events, Flag};
use crate::sweep::members::Members;
use crate::sweep::positions::{Cut, Range};
use crate::sweep::quantities::{Kind, Quantity};
use crate::sweep::rows::Rows;
use crate::sweep::sweeper::Sweeper;
use crate::sweep::track::{Extremes, Interval, Track};
use crate::sweep::windows::{Near, Run};

/// Events that are added together: their intervals stay in a core's cache.
const BLOCK_EVENTS: usize = 1024;

/// What the cells of a shard stand for.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Positions of whole keys; the shard's first.
    Keys(u32),
    /// Positions of a cut key.
    Piece(Range),
    /// The pieces of a cut key.
    Pieces(Cut),
}

impl Place {
    /// The cells at which an event counts in a run, where there are any. What covers a piece as a whole counts for the cut.
    fn interval(self, run: &Run) -> Option<Interval> {
        match self {
            Self::Keys(start) => Some(Interval::new(run.range, (run.from, run.to), start)),
            Self::Piece(piece) => {
                let whole = run.from == piece.start && run.to == piece.end;
                (!whole).then(|| Interval::new(piece, (run.from, run.to), piece.start))
            }
            Self::Pieces(cut) => {
                let (from, to) = cut.covered(run.from, run.to);
                (from < to).then_some(Interval { key: (0, cut.pieces()), from, to })
            }
        }
    }
}

impl Sweeper {
    fn place(&self, shard: usize) -> Place {
        if let Some(number) = shard.checked_sub(self.shards()) {
            return Place::Pieces(self.positions.cuts[number]);
        }
        let range = Range { start: self.positions.shards[shard], end: self.positions.shards[shard + 1] };
        let own = |cut: &&Cut| cut.shards().contains(&u32::try_from(shard).unwrap_or(u32::MAX));
        match self.positions.cuts.iter().find(own) {
            Some(_) => Place::Piece(range),
            None => Place::Keys(range.start),
        }
    }

    /// Adds events to a shard. `rows` holds those that are held.
    pub(super) fn add_all(&self, shard: usize, words: &[u64], rows: &Rows) -> DfResult<()> {
        let place = self.place(shard);
        let all = Events::new(words, &self.layout);
        let (mut runs, mut placed) = (vec![Vec::<Run>::new(); self.windows.len()], Vec::new());
        let mut near = self.near(place, shard);
        for at in (0..all.len()).step_by(BLOCK_EVENTS) {
            let events = all.part(at, BLOCK_EVENTS);
            let (own, inner) = runs.split_at_mut(1);
            match place {
                Place::Keys(_) => {
                    self.windows[0].narrowed(self.everywhere(events), events, Some(&mut near), &mut own[0]);
                }
                Place::Piece(range) | Place::Pieces(Cut { range, .. }) => {
                    let run = |event| Run { event, range, from: range.start, to: range.end };
                    let all = (0..u32::try_from(events.len()).unwrap_or(u32::MAX)).map(run);
                    self.windows[0].narrowed(all, events, Some(&mut near), &mut own[0]);
                }
            }
            for (window, inner) in self.windows[1..].iter().zip(inner) {
                window.narrowed(own[0].iter().copied(), events, None, inner);
            }
            if !matches!(place, Place::Piece(_)) {
                let mut last = None;
                let distinct = own[0].iter().filter(|run| last.replace(run.event) != Some(run.event)).count();
                self.counted.fetch_add(distinct, Ordering::Relaxed);
            }
            let mut units = Units::default();
            let mut tracks = self.tracks(shard);
            let extra = |tracks: &[Track]| tracks.iter().map(Track::extra_size).sum::<usize>();
            let before = extra(&tracks);
            // Most quantities of a window count the same events.
            let mut known = None;
            for (q, track) in tracks.iter_mut().enumerate() {
                let Quantity { window, argument, .. } = self.quantities[q];
                if known.replace((window, argument)) != Some((window, argument)) {
                    self.placed(&runs[window], argument, events, place, &mut placed);
                }
                self.add(q, track, events, &placed, &mut units, rows)?;
            }
            let more = extra(&tracks).saturating_sub(before);
            drop(tracks);
            if self.is_live(shard) {
                self.extra.fetch_add(more, Ordering::Relaxed);
            }
            if let Place::Pieces(cut) = place {
                self.pass_on(cut, events, &runs)?;
            }
        }
        Ok(())
    }

    /// For searches among the positions of a shard's keys.
    fn near(&self, place: Place, shard: usize) -> Near {
        let ranges = &self.positions.ranges;
        let key_at = |position: u32| ranges.partition_point(|r| r.end <= position);
        let (first, end) = match place {
            Place::Keys(start) => {
                (key_at(start), ranges.partition_point(|r| r.start < self.positions.shards[shard + 1]))
            }
            Place::Piece(range) | Place::Pieces(Cut { range, .. }) => (key_at(range.start), key_at(range.start) + 1),
        };
        Near::new(u32::try_from(first).unwrap_or(u32::MAX), end.saturating_sub(first))
    }

    /// All positions of each event's key.
    pub(super) fn everywhere<'a>(&'a self, events: Events<'a>) -> impl Iterator<Item = Run> + 'a {
        let run = move |event: usize| {
            let range = self.positions.ranges[events.group(event) as usize];
            Run { event: u32::try_from(event).unwrap_or(u32::MAX), range, from: range.start, to: range.end }
        };
        (0..events.len()).map(run)
    }

    /// Has events wait for the pieces of which they count in a part.
    fn pass_on(&self, cut: Cut, events: Events<'_>, runs: &[Vec<Run>]) -> DfResult<()> {
        let touched =
            runs.iter().flatten().flat_map(|run| cut.touched(run.from, run.to).map(|shard| (shard, run.event)));
        let mut touched: Vec<(u32, u32)> = touched.collect();
        touched.sort_unstable();
        touched.dedup();
        for piece in touched.chunk_by(|a, b| a.0 == b.0) {
            self.wait(piece[0].0 as usize, |waiting| {
                piece.iter().for_each(|(_, event)| waiting.extend_from_slice(events.words(*event)));
            })?;
        }
        Ok(())
    }

    /// The cells at which events with an argument count.
    fn placed(
        &self,
        runs: &[Run],
        argument: Option<usize>,
        events: Events<'_>,
        place: Place,
        placed: &mut Vec<(u32, Interval)>,
    ) {
        let valid = argument.map(|a| self.layout.flag(Flag::Valid(a)));
        placed.clear();
        placed.reserve(runs.len());
        for run in runs {
            if valid.is_none_or(|v| events.holds(run.event, v))
                && let Some(at) = place.interval(run)
            {
                placed.push((run.event, at));
            }
        }
    }

    /// Adds one quantity of events, in the intervals of its window.
    fn add(
        &self,
        quantity: usize,
        track: &mut Track,
        events: Events<'_>,
        placed: &[(u32, Interval)],
        units: &mut Units,
        rows: &Rows,
    ) -> DfResult<()> {
        let Quantity { kind, argument, .. } = self.quantities[quantity];
        let placed = placed.iter().copied();
        let value = argument.filter(|_| kind.has_value()).map(|a| self.layout.value(a));
        match (kind, track, value) {
            (Kind::Count, Track::Count(cells), _) => placed.for_each(|(_, at)| at.count(cells)),
            (Kind::Distinct, Track::Distinct(distinct), Some((word, _))) => {
                placed.for_each(|(event, at)| distinct.add(at, events.word(event, word)));
            }
            (Kind::Groups, Track::Distinct(distinct), _) => {
                let word = self.layout.finer();
                placed.for_each(|(event, at)| distinct.add(at, events.word(event, word)));
            }
            (Kind::First(order), Track::Best(best), _) => {
                let (prefix, row) = (self.layout.prefix(order), self.layout.firsts());
                let rank = rows.rank(&self.orders[order], order);
                for (event, at) in placed {
                    let prefix = events.integer(event, prefix);
                    best.add(at, Candidate { prefix, row: events.row(event, row) }, &rank)?;
                }
            }
            (Kind::Members, Track::Members(members), _) => {
                let row = self.layout.members();
                for (event, at) in placed {
                    members.add(at, events.row(event, row))?;
                }
            }
            (Kind::Floats, Track::Floats { scale, units: cells, others }, Some((word, _))) => {
                let units = units.of(word, *scale, events);
                for (event, at) in placed {
                    match units[event as usize] {
                        NO_UNITS => at.add_other(others, events.float(event, word)),
                        units => at.add_units(cells, units),
                    }
                }
            }
            (Kind::Minimum | Kind::Maximum, Track::Extremes(extremes), Some((word, Encoding::Float))) => {
                placed.for_each(|(event, at)| extremes.add(at, order_of_float(events.float(event, word))));
            }
            (Kind::Minimum | Kind::Maximum, Track::Extremes(extremes), Some((word, _))) => {
                placed.for_each(|(event, at)| extremes.add(at, events.integer(event, word)));
            }
            (_, track, Some((word, Encoding::Decimal))) => {
                placed.for_each(|(event, at)| track.add_integer(at, events.decimal(event, word)));
            }
            (_, track, Some((word, Encoding::Unsigned))) => {
                placed.for_each(|(event, at)| track.add_integer(at, i128::from(events.word(event, word))));
            }
            (_, track, Some((word, _))) => {
                placed.for_each(|(event, at)| track.add_integer(at, i128::from(events.integer(event, word))));
            }
            (kind, _, None) => return exec_err!("{kind:?} has no argument"),
        }
        Ok(())
    }

    /// A shard's tracks, made when they are first needed.
    pub(super) fn tracks(&self, shard: usize) -> MutexGuard<'_, Vec<Track>> {
        let mut tracks = self.shards[shard].tracks.lock().unwrap_or_else(PoisonError::into_inner);
        if tracks.is_empty() {
            let positions = self.cells(shard);
            *tracks = (0..self.quantities.len()).map(|q| self.track(q, positions)).collect();
        }
        tracks
    }

    fn track(&self, quantity: usize, positions: usize) -> Track {
        match self.quantities[quantity].kind {
            Kind::Count => Track::Count(vec![0; positions]),
            Kind::Distinct | Kind::Groups => Track::Distinct(Distinct::default()),
            Kind::Integers => Track::Integers(vec![0; positions]),
            Kind::Floats => Track::Floats {
                scale: *self.scales[quantity].get_or_init(|| Scale::suiting([])),
                units: vec![0; positions],
                others: HashMap::default(),
            },
            Kind::Wide => Track::Wide(vec![i256::ZERO; positions]),
            Kind::First(_) => Track::Best(Best::new(positions)),
            Kind::Members => Track::Members(Members::new(positions)),
            Kind::Minimum => Track::Extremes(Extremes::new(positions, false)),
            Kind::Maximum => Track::Extremes(Extremes::new(positions, true)),
        }
    }
}

/// Floats of a block of events in units of their sum: made once for all windows.
#[derive(Debug, Default)]
struct Units {
    known: Vec<(usize, Scale, Vec<i128>)>,
}

/// What no value is in units.
const NO_UNITS: i128 = i128::MAX;

impl Units {
    fn of(&mut self, word: usize, scale: Scale, events: Events<'_>) -> &[i128] {
        let known = self.known.iter().position(|(w, s, _)| *w == word && *s == scale);
        let at = known.unwrap_or_else(|| {
            let events = (0..events.len()).map(|e| events.float(u32::try_from(e).unwrap_or(0), word));
            let units = events.map(|value| scale.units(value).unwrap_or(NO_UNITS)).collect();
            self.known.push((word, scale, units));
            self.known.len() - 1
        });
        &self.known[at].2
    }
}
