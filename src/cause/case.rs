//! One feature whose legacy values differ: its rows, what was tried on them, what was found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::compute::take;
use datafusion::common::HashMap;
use datafusion::error::Result as DfResult;

use crate::analysis::Feature;
use crate::cause::change::{Change, Layer};
use crate::cause::judge::{Judgement, Row, Values, count, judge};
use crate::cause::sample::{first, order, spread};
use crate::cause::values;
use crate::diff::{Agreement, Compared};

/// Changes of meaning that are made together: two at most, and one of the number.
pub(super) type Hypothesis = Vec<Change>;

/// Hypotheses of one grid that are held against chance.
const WEIGHED: usize = 24;

/// So many times as many rows may agree before half of the mismatches where a history begins late.
const EARLY: usize = 4;
/// Where a column may have died, a cause breaks no larger share of agreeing rows.
const DEAD_BREAKS: f64 = 0.05;
/// Fewer mismatches than this are held against so many agreeing rows.
const FEW: usize = 16;
const MANY_CALM: usize = 256;

/// A hypothesis with what the rows say of it.
#[derive(Debug, Clone)]
pub(super) struct Scored {
    pub changes: Hypothesis,
    pub judged: Judgement,
    /// By how much it brings values nearer to the legacy ones: -1 to 1.
    pub nearer: f64,
}

/// A hypothesis, with the block and the part of a grid by which it can be weighed.
struct Counted {
    scored: Scored,
    block: usize,
    part: usize,
}

impl Scored {
    /// What it leaves open and what it breaks.
    fn error(&self) -> f64 {
        let more = PAIR_COSTS * (self.changes.len() - 1) as f64;
        1.0 - self.judged.explains() + BREAKS_COST * self.judged.breaks() + more
    }

    /// Whether it is more than chance, where so many were tried.
    pub(super) fn holds(&self, tried: usize) -> bool {
        self.judged.holds(tried, self.changes.len())
    }

    fn freedom(&self) -> usize {
        self.changes.iter().map(Change::freedom).sum()
    }

    /// Whether it needs no better.
    pub(super) fn settles(&self) -> bool {
        self.judged.mismatches >= 20 && self.is_clean()
    }

    /// Whether it explains nearly all, and breaks nearly nothing.
    pub(super) fn is_clean(&self) -> bool {
        self.judged.explains() >= SETTLED && self.judged.breaks() <= 0.005
    }

    /// How many rows of the screened sample another may leave open and still win against it.
    pub(super) fn bar(&self) -> f64 {
        self.judged.mismatches as f64 * (self.error() + NEAR) + 0.5
    }
}

/// What explains this share of the mismatches explains them.
pub(super) const SETTLED: f64 = 0.995;

/// Each further cause has to explain this much more.
const PAIR_COSTS: f64 = 0.015;
/// What a broken row weighs against a mismatch that stays. Little: a system may have been wrong for some rows only.
const BREAKS_COST: f64 = 0.25;
/// On a screened sample the best may be this far from the least error.
const CLOSE: f64 = 0.08;
/// Of those that are as good as the best on a screened sample, so many are tried on all of it.
const MOST_TIED: usize = 24;
/// Hypotheses that explain nearly the same are one as good as the other, ...
const NEAR: f64 = 0.005;
/// ... where neither breaks so much larger a share of the agreeing rows.
pub(super) const ROUGH: f64 = 0.01;

/// The best of what holds: the least error; among those near it the fewest causes, then the fewest parameters.
pub(super) fn best(scored: &[Scored], tried: usize) -> Option<&Scored> {
    equals(scored, tried).first().copied()
}

/// The [`best`], and then those that are as simple and one as good as it, the least error first.
pub(super) fn equals(scored: &[Scored], tried: usize) -> Vec<&Scored> {
    let simple = |s: &Scored| (s.changes.len(), s.freedom());
    let mut near: Vec<&Scored> = scored.iter().filter(|s| s.holds(tried)).collect();
    let Some(least) = near.iter().copied().min_by(|a, b| a.error().total_cmp(&b.error())) else { return near };
    // What explains as much and breaks as little is as good, though it moves other rows, too, so that chance would do more.
    let as_good = |s: &&Scored| {
        s.judged.explained >= least.judged.explained && s.judged.broken <= least.judged.broken && !s.holds(tried)
    };
    near.extend(scored.iter().filter(as_good));
    let half = |rows: usize| 0.5 / rows.max(1) as f64;
    near.retain(|s| {
        s.error() <= least.error() + NEAR + half(s.judged.mismatches)
            && s.judged.breaks() <= least.judged.breaks() + ROUGH + half(s.judged.agreeing)
    });
    let simplest = near.iter().map(|s| simple(s)).min();
    near.retain(|s| Some(simple(s)) == simplest);
    near.sort_by(|a, b| a.error().total_cmp(&b.error()));
    near
}

/// Those worth a closer look, the best first.
pub(super) fn leading(scored: &[Scored], tried: usize, most: usize) -> Vec<Hypothesis> {
    let mut holding: Vec<&Scored> = scored.iter().filter(|s| s.holds(tried)).collect();
    holding.sort_by(|a, b| {
        a.error().total_cmp(&b.error()).then((a.changes.len(), a.freedom()).cmp(&(b.changes.len(), b.freedom())))
    });
    let mut leading: Vec<Hypothesis> = best(scored, tried).map(|s| s.changes.clone()).into_iter().collect();
    let (least, half) = holding.first().map_or((0.0, 0.0), |s| (s.error(), 0.5 / s.judged.mismatches.max(1) as f64));
    for scored in holding.into_iter().filter(|s| s.error() <= least + CLOSE) {
        // Few rows may not tell those apart that are as good as the best.
        let most = if scored.error() <= least + half { MOST_TIED } else { most };
        if leading.len() < most && !leading.contains(&scored.changes) {
            leading.push(scored.changes.clone());
        }
    }
    leading
}

/// Of the leading hypotheses, the best first: those to be tried on all rows, and those only where the best explains less there
/// than it seemed to. Where the best explains all, only what breaks less can do better.
pub(super) fn rivals(scored: &[Scored], leading: Vec<Hypothesis>) -> (Vec<Hypothesis>, Vec<Hypothesis>) {
    let of = |hypothesis: &Hypothesis| scored.iter().find(|s| s.changes == *hypothesis);
    let Some(best) = leading.first().and_then(of) else { return (leading, Vec::new()) };
    if best.judged.explained < best.judged.mismatches {
        return (leading, Vec::new());
    }
    leading.into_iter().partition(|h| *h == best.changes || of(h).is_some_and(|s| s.error() < best.error()))
}

/// Label rows that are asked for together; sorted, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Panel {
    pub labels: Vec<usize>,
    place: HashMap<usize, usize>,
    /// Whether hypotheses are only screened on it.
    screens: bool,
}

impl Panel {
    pub(super) fn new(labels: impl Iterator<Item = usize>) -> Self {
        let mut labels: Vec<usize> = labels.collect();
        labels.sort_unstable();
        labels.dedup();
        let place = labels.iter().enumerate().map(|(i, l)| (*l, i)).collect();
        Self { labels, place, screens: false }
    }

    pub(super) fn screening(self) -> Self {
        Self { screens: true, ..self }
    }

    pub(super) fn place(&self, label: usize) -> Option<usize> {
        self.place.get(&label).copied()
    }
}

/// What positions of a case hold on both sides, brought together: the whole columns are long.
#[derive(Debug, Clone)]
pub(super) struct Sides {
    /// By seat: the order of the sample.
    legacy: ArrayRef,
    replayed: ArrayRef,
    seats: Arc<Vec<Seat>>,
    /// The replayed values against the legacy ones, where a hypothesis is held against the values of other rows.
    unchanged: Option<Arc<Agreement>>,
}

/// What is known of a position of the sample under every hypothesis.
#[derive(Debug, Clone, Copy)]
struct Seat {
    mismatched: bool,
    /// Its label row in the panel; none where nothing was asked for it.
    row: Option<usize>,
    /// Legacy - replayed.
    y: Option<f64>,
    /// The replayed value is NULL.
    void: bool,
}

impl Sides {
    /// The positions of `sample`, and whether each is a mismatch.
    ///
    /// # Errors
    /// Where Arrow can't take rows, which is a defect.
    pub(super) fn new(case: &Case<'_>, panel: &Panel, sample: &[(usize, bool)]) -> DfResult<Self> {
        let rows = |of: &dyn Fn(usize) -> usize| -> UInt64Array {
            UInt64Array::from_iter_values(sample.iter().map(|(position, _)| of(*position) as u64))
        };
        let legacy = take(case.compared.legacy(), &rows(&|p| case.compared.legacy_row(p)), None)?;
        let replayed = take(case.compared.replayed(), &rows(&|p| case.compared.label_row(p)), None)?;
        let seat = |(position, mismatched): &(usize, bool)| Seat {
            mismatched: *mismatched,
            row: panel.place(case.compared.label_row(*position)),
            y: case.compared.delta(*position).map(|delta| -delta),
            void: case.compared.replayed().is_null(case.compared.label_row(*position)),
        };
        Ok(Self { legacy, replayed, seats: Arc::new(sample.iter().map(seat).collect()), unchanged: None })
    }

    /// The same for a sample that is all there is: what a hypothesis does is held against the values of other rows, too. In a few rows those
    /// that it could change may be missing.
    ///
    /// # Errors
    /// As [`Agreement::new`].
    pub(super) fn whole(case: &Case<'_>, panel: &Panel, sample: &[(usize, bool)]) -> DfResult<Self> {
        let sides = Self::new(case, panel, sample)?;
        let unchanged = Agreement::new(&sides.replayed, &sides.legacy, case.compared.tolerance())?.map(Arc::new);
        Ok(Self { unchanged, ..sides })
    }
}

/// Values of one feature for every row of a panel, under several hypotheses one after the other.
#[derive(Debug)]
pub(super) struct Block {
    /// Readings: a value agrees where one of them does.
    readings: Vec<(Agreement, Agreement)>,
    seats: Arc<Vec<Seat>>,
    rows: usize,
    /// As of [`Sides`].
    unchanged: Option<Arc<Agreement>>,
}

impl Block {
    /// `None` where the values can't be compared.
    ///
    /// # Errors
    /// As [`Agreement::new`].
    pub(super) fn new(case: &Case<'_>, readings: &[ArrayRef], rows: usize, sides: &Sides) -> DfResult<Option<Self>> {
        let tolerance = case.compared.tolerance();
        let mut pairs = Vec::new();
        for values in readings {
            let legacy = Agreement::new(values, &sides.legacy, tolerance)?;
            let replayed = Agreement::new(values, &sides.replayed, tolerance)?;
            match (legacy, replayed) {
                (Some(legacy), Some(replayed)) => pairs.push((legacy, replayed)),
                _ => return Ok(None),
            }
        }
        let (seats, unchanged) = (Arc::clone(&sides.seats), sides.unchanged.clone());
        Ok((!pairs.is_empty()).then_some(Self { readings: pairs, seats, rows, unchanged }))
    }

    /// What the position in a seat is under hypothesis number `at`.
    fn row(&self, at: usize, seat: usize) -> Row {
        let Seat { mismatched, row: Some(row), y, void } = self.seats[seat] else {
            return Row { seat, ..Row::default() };
        };
        let value = at * self.rows + row;
        let reading = self.readings.iter().find(|(to, _)| to.agrees(value, seat));
        let agrees = reading.is_some();
        let (unchanged, x) = match reading.or(self.readings.first()) {
            Some((_, to_replayed)) => to_replayed.compare(value, seat),
            None => (true, None),
        };
        // A row that was within tolerance and is equal now has not changed.
        Row { seat, mismatched, informs: !unchanged || (mismatched && agrees), agrees, x, y, void }
    }

    /// Whether the value in one seat, under hypothesis number `at`, is the legacy value in another.
    fn fits(&self, at: usize, value_of: usize, legacy_of: usize) -> bool {
        let value = self.seats[value_of].row.map(|row| at * self.rows + row);
        value.is_some_and(|value| self.readings.iter().any(|(to, _)| to.agrees(value, legacy_of)))
    }

    /// What the positions of the sample are under hypothesis number `at`.
    pub(super) fn rows(&self, at: usize) -> Vec<Row> {
        (0..self.seats.len()).map(|seat| self.row(at, seat)).collect()
    }

    /// What hypothesis number `at` explains and breaks, not held against chance, and how much nearer it comes.
    fn count(&self, panel: &Panel, at: usize) -> (Judgement, f64) {
        if panel.screens {
            // What comes near no legacy value is dropped, whatever it does to other rows.
            let differing = (0..self.seats.len()).filter(|seat| self.seats[*seat].mismatched);
            let differing: Vec<Row> = differing.map(|seat| self.row(at, seat)).collect();
            let nearer = nearer(&differing);
            if nearer <= 0.0 && !differing.iter().any(|r| r.agrees) {
                return (count(&differing), nearer);
            }
        }
        let rows = self.rows(at);
        (count(&rows), nearer(&rows))
    }

    /// Holds hypothesis number `at` against chance, by what it makes of some positions. Where a replay gives one and the same value for all of
    /// them, nothing holds: a column that died looks like any window that is always empty. `None` then, unless the sample is all there
    /// is: other features may tell.
    pub(super) fn weigh(
        &self,
        case: &Case<'_>,
        (changes, at): (&[Change], usize),
        rows: &[Row],
    ) -> Option<(Judgement, f64)> {
        let fits = |i: usize, j: usize| self.fits(at, rows[i].seat, rows[j].seat);
        let unsaid = || self.unchanged.is_some().then(|| (count(rows), nearer(rows)));
        let replayed = changes.iter().any(|change| change.layer() != Layer::Value);
        if replayed
            && let Some(hit) = rows.iter().position(|row| row.mismatched && row.agrees)
            && (0..rows.len()).all(|row| fits(row, hit))
        {
            return unsaid();
        }
        let has = self.unchanged.as_deref();
        let has = has.map(|unchanged| |i: usize, j: usize| unchanged.agrees(rows[i].seat, rows[j].seat));
        // What a change of the number gives for a value is the same in every row; but for a factor, which is taken from the rows.
        let fitted = replayed || changes.iter().any(|change| matches!(change, Change::Scaled { .. }));
        let has = has.as_ref().filter(|_| fitted).map(|has| has as &dyn Fn(usize, usize) -> bool);
        let judged = judge(rows, case.compared.tolerance().abs, &Values { fits: &fits, has, replayed });
        let dead = match case.life {
            Life::Full => false,
            Life::Ends => judged.breaks() > DEAD_BREAKS,
            Life::None => true,
        };
        if replayed && dead { unsaid() } else { Some((judged, nearer(rows))) }
    }
}

/// How many mismatching values come at least half the way, less those that go away.
fn nearer(rows: &[Row]) -> f64 {
    let way = |row: &&Row| match (row.agrees, row.x, row.y) {
        (true, _, _) => 1.0,
        (_, Some(x), Some(y)) if (y - x).abs() < 0.5 * y.abs() => 1.0,
        (_, Some(x), Some(y)) if (y - x).abs() > y.abs() => -1.0,
        _ => 0.0,
    };
    let differing: Vec<&Row> = rows.iter().filter(|r| r.mismatched).collect();
    differing.iter().map(way).sum::<f64>() / differing.len().max(1) as f64
}

/// A cause that was found, with what it does over all rows that were tested.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub changes: Hypothesis,
    /// Positions, in order.
    pub explained: Vec<usize>,
    pub breaks: f64,
}

/// Whether the legacy column lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Full,
    /// Wherever it differs it is NULL, or 0: it may have died at some time.
    Ends,
    /// It is one and the same everywhere: nothing tells what it would be.
    None,
}

impl Life {
    fn of(compared: Compared<'_>, differing: &[usize], calm: &[usize]) -> Self {
        let legacy = compared.legacy();
        let rows = |positions: &[usize]| positions.iter().map(|p| compared.legacy_row(*p)).collect::<Vec<_>>();
        let (differing, calm) = (rows(differing), rows(calm));
        let Ok(Some(same)) = Agreement::new(legacy, legacy, compared.tolerance()) else { return Self::Full };
        let Some(&first) = differing.first() else { return Self::Full };
        let alike = |rows: &[usize]| rows.iter().all(|row| same.agrees(*row, first));
        if !alike(&differing) {
            return Self::Full;
        }
        let empty = legacy.is_null(first)
            || (legacy.data_type().is_numeric()
                && values::floats(&legacy.slice(first, 1)).is_ok_and(|own| own.is_valid(0) && own.value(0) == 0.0));
        match (differing.len() > 1 && alike(&calm), empty) {
            (true, _) => Self::None,
            (false, true) => Self::Ends,
            (false, false) => Self::Full,
        }
    }
}

/// One feature of the view that differs.
#[derive(Debug)]
pub(super) struct Case<'a> {
    /// Position among the snapshot's features.
    pub feature: usize,
    /// Position among the view's features.
    pub slot: usize,
    pub spec: &'a Feature,
    pub compared: Compared<'a>,
    /// Mismatching positions on which causes are tested.
    pub differing: Vec<usize>,
    /// Those that nothing explains yet.
    pub open: Vec<usize>,
    /// Agreeing positions on which causes are tested.
    pub calm: Vec<usize>,
    life: Life,
    /// The order in which samples take them.
    calm_order: OnceLock<Vec<usize>>,
    open_order: OnceLock<Vec<usize>>,
    pub tried: usize,
    pub scored: Vec<Scored>,
    pub chosen: Vec<Chosen>,
    pub cause_of: BTreeMap<usize, u16>,
    pub done: bool,
    /// How many rows of the screened sample a hypothesis may leave open and still win; none: it need not win against any.
    pub bar: Option<f64>,
}

impl<'a> Case<'a> {
    pub(super) fn new(feature: usize, slot: usize, spec: &'a Feature, compared: Compared<'a>, sample: usize) -> Self {
        let (differing, calm): (Vec<usize>, Vec<usize>) =
            (compared.mismatched().collect(), compared.agreeing().collect());
        // One row at least has to differ.
        let calm_share = calm.len().min(sample.div_ceil(4)).min(sample.saturating_sub(1));
        let differing_share = differing.len().min(sample - calm_share);
        let differing = spread(&differing, || sizes(compared, &differing), differing_share);
        let calm_share = calm.len().min(sample - differing.len());
        let calm = spread(&calm, || vec![0.0; calm.len()], calm_share);
        Self {
            feature,
            slot,
            spec,
            compared,
            life: Life::of(compared, &differing, &calm),
            open: differing.clone(),
            differing,
            calm,
            calm_order: OnceLock::new(),
            open_order: OnceLock::new(),
            tried: 0,
            scored: Vec::new(),
            chosen: Vec::new(),
            cause_of: BTreeMap::new(),
            done: false,
            bar: None,
        }
    }

    /// The label rows on which causes are tested.
    pub(super) fn label_rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.differing.iter().chain(&self.calm).map(|p| self.compared.label_row(*p))
    }

    /// Whether nearly all open mismatches are at these label rows.
    pub(super) fn shares_rows(&self, labels: &BTreeSet<usize>) -> bool {
        let own = self.open.iter().filter(|p| labels.contains(&self.compared.label_row(**p))).count();
        own * 10 >= self.open.len() * 9
    }

    /// Takes a cause that explains the mismatches `explained`. An earlier one, of as many changes, whose mismatches this one explains as well
    /// only came near: it is none any more.
    pub(super) fn take(&mut self, changes: Hypothesis, mut explained: Vec<usize>, breaks: f64) {
        explained.sort_unstable();
        let known = |position: &&usize| explained.binary_search(position).is_ok();
        self.chosen.retain(|earlier| {
            let shared = earlier.explained.iter().filter(known).count();
            earlier.changes.len() < changes.len()
                || breaks > earlier.breaks + NEAR
                || (shared as f64) < SETTLED * earlier.explained.len() as f64
        });
        self.chosen.push(Chosen { changes, explained, breaks });
        self.cause_of.clear();
        for (cause, chosen) in (0..).zip(&self.chosen) {
            for position in &chosen.explained {
                // What an earlier cause explains stays its own.
                self.cause_of.entry(*position).or_insert(cause);
            }
        }
        self.open.retain(|p| !self.cause_of.contains_key(p));
        self.open_order.take();
    }

    /// Forgets what was tried.
    pub(super) fn forget(&mut self) {
        self.tried = 0;
        self.scored.clear();
        self.bar = None;
    }

    /// Whether there are more rows than these: open mismatches, and agreeing ones.
    pub(super) fn has_more_than(&self, (differing, calm): (usize, usize)) -> bool {
        self.open.len() > differing || self.calm.len() > calm
    }

    /// Whether few rows agree before most of what is open: of a history that was cut off the beginning is missing.
    pub(super) fn begins_early(&self) -> bool {
        let middle = self.open.get(self.open.len() / 2);
        let before = middle.map_or(0, |middle| self.calm.partition_point(|position| position < middle));
        before <= self.open.len() * EARLY
    }

    /// At most so many open mismatches and agreeing rows, in the order of positions.
    pub(super) fn screen(&self, (differing, calm): (usize, usize)) -> Vec<(usize, bool)> {
        // Where little differs, chance has to be told from many agreeing rows.
        let calm = if calm > 0 && self.open.len() < FEW { MANY_CALM } else { calm };
        let open = self.open_order.get_or_init(|| order(&self.open, &sizes(self.compared, &self.open)));
        let mut rows: Vec<(usize, bool)> = first(open, differing).into_iter().map(|p| (p, true)).collect();
        if calm > 0 {
            let order = self.calm_order.get_or_init(|| order(&self.calm, &vec![0.0; self.calm.len()]));
            rows.extend(first(order, calm).into_iter().map(|p| (p, false)));
        }
        rows
    }

    /// Whether a hypothesis that leaves so many rows open can still win.
    pub(super) fn may_still_win(&self, open: usize) -> bool {
        self.bar.is_none_or(|bar| open as f64 <= bar)
    }

    /// How many rows tell that a hypothesis which explains none of them can't win.
    pub(super) fn rows_to_lose(&self) -> usize {
        self.bar.map_or(usize::MAX, |bar| bar as usize + 1)
    }

    /// The value changes to try on values that some hypothesis gives.
    pub(super) fn value_changes(&self, sample: &[(usize, bool)]) -> Vec<Change> {
        let legacy = |p: usize| self.compared.legacy_row(p);
        let rows: Vec<usize> = sample.iter().map(|(p, _)| legacy(*p)).collect();
        let differing: Vec<usize> = sample.iter().filter(|(_, m)| *m).map(|(p, _)| legacy(*p)).collect();
        values::candidates(self.spec, self.compared.legacy(), &rows, &differing)
    }

    /// Scores every hypothesis of a grid: `parts[i]` with each of `value_changes`, and by itself unless it is nothing. Tells whether
    /// one is worth to be kept, and how many were tried; it is kept unless this is only a `glance` at mismatching rows.
    ///
    /// # Errors
    /// As [`Block::new`].
    pub(super) fn score(
        &mut self,
        panel: &Panel,
        parts: &[Hypothesis],
        values: (&ArrayRef, &BooleanArray),
        sample: (&[(usize, bool)], &Sides),
        allowed: &(dyn Fn(&Change) -> bool + Sync),
        glance: bool,
    ) -> DfResult<(bool, usize)> {
        let (blocks, mut fresh) = self.counted(panel, parts, values, sample, allowed, glance)?;
        let tried = fresh.len();
        fresh.retain(|f| match self.bar {
            Some(_) => self.may_still_win(f.scored.judged.mismatches - f.scored.judged.explained),
            None => f.scored.judged.explained > 0 || f.scored.nearer > 0.0,
        });
        if glance {
            return Ok((!fresh.is_empty(), tried));
        }
        self.tried += tried;
        // Chance is only worth a count for those that explain most.
        fresh.sort_by(|a, b| a.scored.error().total_cmp(&b.scored.error()));
        let mut seen = 0;
        fresh.retain_mut(|Counted { scored, block, part }| {
            seen += 1;
            if seen > WEIGHED || scored.judged.explained == 0 {
                return true;
            }
            let block = &blocks[*block];
            let weighed = block.weigh(self, (&scored.changes, *part), &block.rows(*part));
            weighed.is_some_and(|(judged, _)| {
                scored.judged = judged;
                true
            })
        });
        let worth = !fresh.is_empty();
        self.scored.extend(fresh.into_iter().map(|f| f.scored));
        Ok((worth, tried))
    }

    /// By part, how many mismatching rows it explains, by itself or with a change of the number, and how much nearer it comes.
    ///
    /// # Errors
    /// As [`Block::new`].
    pub(super) fn glances(
        &self,
        panel: &Panel,
        parts: &[Hypothesis],
        values: (&ArrayRef, &BooleanArray),
        sample: &[(usize, bool)],
        allowed: &(dyn Fn(&Change) -> bool + Sync),
    ) -> DfResult<Vec<(usize, f64)>> {
        let sides = Sides::new(self, panel, sample)?;
        let mut told = vec![(0, 0.0); parts.len()];
        for Counted { scored, part, .. } in self.counted(panel, parts, values, (sample, &sides), allowed, true)?.1 {
            let (explained, nearer): &mut (usize, f64) = &mut told[part];
            *explained = scored.judged.explained.max(*explained);
            *nearer = scored.nearer.max(*nearer);
        }
        Ok(told)
    }

    /// What every hypothesis of a grid explains and breaks, not yet held against chance.
    fn counted(
        &self,
        panel: &Panel,
        parts: &[Hypothesis],
        (column, found): (&ArrayRef, &BooleanArray),
        (sample, sides): (&[(usize, bool)], &Sides),
        allowed: &(dyn Fn(&Change) -> bool + Sync),
        glance: bool,
    ) -> DfResult<(Vec<Block>, Vec<Counted>)> {
        let rows = panel.labels.len();
        let Some(plain) = Block::new(self, std::slice::from_ref(column), rows, sides)? else {
            return Ok(Default::default());
        };
        let mut blocks = vec![plain];
        let mut fresh: Vec<Counted> = Vec::new();
        for (at, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
            let (judged, nearer) = blocks[0].count(panel, at);
            let scored = Scored { changes: part.clone(), judged, nearer };
            fresh.push(Counted { scored, block: 0, part: at });
        }
        // On agreeing rows a hypothesis may still break.
        let explained = !glance && fresh.iter().any(|f| f.scored.settles());
        let mut changes: Vec<Change> = if explained { Vec::new() } else { self.value_changes(sample) };
        if !explained && self.spec.data_type.is_numeric() {
            changes.extend(self.factors(panel, parts, column, sample)?);
        }
        for change in changes.into_iter().filter(|c| allowed(c) && values::acts(c, column, found)) {
            let readings = values::changed(&change, self.spec, column, found)?;
            let Some(block) = Block::new(self, &readings, rows, sides)? else { continue };
            for (at, part) in parts.iter().enumerate() {
                let (judged, nearer) = block.count(panel, at);
                let changes = part.iter().cloned().chain([change.clone()]).collect();
                let scored = Scored { changes, judged, nearer };
                fresh.push(Counted { scored, block: blocks.len(), part: at });
            }
            blocks.push(block);
        }
        Ok((blocks, fresh))
    }

    /// Factors by which the legacy values are off the values of some part.
    fn factors(
        &self,
        panel: &Panel,
        parts: &[Hypothesis],
        column: &ArrayRef,
        sample: &[(usize, bool)],
    ) -> DfResult<Vec<Change>> {
        if !datafusion::arrow::compute::can_cast_types(
            self.compared.legacy().data_type(),
            &datafusion::arrow::datatypes::DataType::Float64,
        ) {
            return Ok(Vec::new());
        }
        let (values, legacy) = (values::floats(column)?, values::floats(self.compared.legacy())?);
        let mut found: Vec<f64> = Vec::new();
        for at in 0..parts.len() {
            let pairs: Vec<(f64, f64)> = sample
                .iter()
                .filter(|(_, mismatched)| *mismatched)
                .filter_map(|(p, _)| {
                    let value = at * panel.labels.len() + panel.place(self.compared.label_row(*p))?;
                    let legacy_row = self.compared.legacy_row(*p);
                    (values.is_valid(value) && legacy.is_valid(legacy_row))
                        .then(|| (values.value(value), legacy.value(legacy_row)))
                })
                .collect();
            if let Some(factor) = values::factor(&pairs).filter(|f| !found.contains(f)) {
                found.push(factor);
            }
        }
        Ok(found.into_iter().take(4).map(|factor| Change::Scaled { factor }).collect())
    }
}

/// How much positions differ; NaN where that is no number.
fn sizes(compared: Compared<'_>, positions: &[usize]) -> Vec<f64> {
    positions.iter().map(|p| compared.delta(*p).unwrap_or(f64::NAN)).collect()
}

/// A hypothesis by what it acts on.
pub(super) fn layer(changes: &[Change], layer: Layer) -> Vec<&Change> {
    changes.iter().filter(|c| c.layer() == layer).collect()
}

/// As [`layer`], a hypothesis of its own.
pub(super) fn part(changes: &[Change], wanted: Layer) -> Hypothesis {
    layer(changes, wanted).into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::change::{Ahead, DAY};

    #[test]
    fn what_breaks_more_is_not_as_good_though_it_is_simpler() {
        let scored = |change: Change, broken: usize| Scored {
            changes: vec![change],
            judged: Judgement { mismatches: 30, explained: 30, agreeing: 470, broken, chance: 0.01, log_tail: -100.0 },
            nearer: 1.0,
        };
        let ahead = Change::FutureLeak { horizon: Some(DAY), ahead: Ahead::Moves };
        let refreshed = Change::Stale { period: DAY, lag: -DAY, at: 0 };
        let best = |broken| {
            let all = [scored(ahead.clone(), broken), scored(refreshed.clone(), 0)];
            best(&all, 1000).map(|s| s.changes[0].clone())
        };
        assert_eq!((best(32), best(2)), (Some(refreshed.clone()), Some(ahead.clone())));
    }
}
