//! The search for causes over one view: cheap hypotheses first, on few rows; what holds is tried on all rows of the sample.
//!
//! 1. *Instants*: every change of the label time is a row of one replay.
//! 2. *Worlds*: every other change is a replay of its own over the screened rows.
//! 3. *Pairs*, where one cause leaves much open: the most promising worlds with every change of the label time (one
//!    replay each), with each other, and with changes of the number.
//! 4. *Fitted* parameters: shifts of single sources, and the first event of a history that was cut off.
//! 5. What holds is tried on the whole sample, and the best is taken. Then all again for the mismatches that it leaves.
//!
//! A view whose features are settled by one cause takes no further step.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::cause::candidates::{self, Sources};
use crate::cause::case::{
    Block, Case, Hypothesis, Panel, ROUGH, SETTLED, Scored, Sides, best, equals, leading, part, rivals,
};
use crate::cause::change::{Ahead, Change, DAY, HOUR, Layer, Shift};
use crate::cause::lab::{Grid, Lab};
use crate::cause::values;
use crate::cause::world::Answers;
use crate::error::{Error, Result};
use crate::source::Labels;

/// Mismatching rows of each feature on which all changes of the label time are tried first, ...
const FIRST: usize = 8;
/// ... and how many of those are then tried on more rows: those that explain most, and as many that come nearest.
const FOREMOST: usize = 6;
/// Rows of each feature on which hypotheses are tried, and on which pairs are: mismatching, agreeing.
pub(super) const SCREEN: Screen = Screen { one: (64, 64), two: (32, 24) };
/// The same where what explained all of those leaves some others open.
const WIDE: Screen = Screen { one: (512, 512), two: (64, 64) };
/// Hypotheses of each feature that are tried on the whole sample.
const LEADING: usize = 6;
/// Causes that one feature may have.
const MOST_CAUSES: usize = 3;
/// Where a single cause explains less, pairs are tried.
pub(super) const ENOUGH: f64 = 0.97;
/// Changes that are paired with every other.
const LEADERS: usize = 3;
/// Where the best explains less, or breaks more, what has to be fitted is tried.
const MOST: f64 = 0.9;
const BREAKING: f64 = 0.05;
/// So many features of a view at least, and a third of them, have to agree on what is taken for another.
const LEAST_AGREE: usize = 2;
/// Worlds of each feature that are paired, and how many of them may be one cause with different parameters.
const PAIRED: usize = 6;
const PAIRED_ALIKE: usize = 2;
/// Changes of the label time that go with every world, for each feature, ...
const NEAREST: usize = 6;
/// ... and for all features of a view: many that differ in many ways would be asked for all of them.
const MOST_NEAR: usize = 30;
/// The same of worlds that are paired.
const MOST_PAIRED: usize = 24;
/// From so many grids on, a glance at the mismatching rows saves more than it costs.
const MANY_GRIDS: usize = 3;

/// How many rows of each feature hypotheses are tried on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    pub one: (usize, usize),
    /// Where two are tried together.
    pub two: (usize, usize),
}

/// By case, by set of hypotheses: what [`Case::score`] says of it.
type Glances = Vec<Vec<(bool, usize)>>;

/// Changes of the label time, after a first look.
#[derive(Default)]
struct Foremost {
    /// Those that do most for some case.
    first: Vec<Hypothesis>,
    rest: Vec<Hypothesis>,
    /// By open case, how many mismatching rows each of the rest left unexplained.
    missed: Vec<Vec<usize>>,
}

/// By number of the hypothesis, the mismatches that it explains and the share of agreeing rows that it breaks.
type Hits = HashMap<usize, (Vec<usize>, f64)>;

/// The search over one view of one snapshot.
pub(super) struct Search<'a> {
    pub labels: &'a Labels,
    pub lab: Arc<Lab>,
    pub threads: usize,
    pub sources: Sources,
    /// By name, which causes are asked for.
    pub allowed: &'a (dyn Fn(&Change) -> bool + Sync),
    pub rows: Screen,
}

impl Search<'_> {
    /// Finds the causes of the cases.
    ///
    /// # Errors
    /// Only where values can't be compared, which is a defect: a replay that fails under another meaning says nothing.
    pub(super) async fn run(&mut self, cases: &mut [Case<'_>]) -> Result<()> {
        for round in 0..MOST_CAUSES {
            for case in cases.iter_mut() {
                let least = if round == 0 { 1 } else { (case.differing.len() / 50).max(3) };
                case.done |= case.open.len() < least;
            }
            if cases.iter().all(|c| c.done) {
                return Ok(());
            }
            for rows in [SCREEN, WIDE] {
                self.rows = rows;
                cases.iter_mut().for_each(Case::forget);
                self.screen(cases).await?;
                let last = rows.one == WIDE.one || !cases.iter().any(|case| case.has_more_than(rows.one));
                if self.decide(cases, last).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn screen(&self, cases: &mut [Case<'_>]) -> Result<()> {
        let all: Vec<Hypothesis> =
            candidates::instants(self.lab.windows(), true).into_iter().map(|c| vec![c]).collect();
        let all: Vec<Hypothesis> = all.into_iter().filter(|h| h.iter().all(|c| (self.allowed)(c))).collect();
        let Foremost { mut first, rest, missed } = self.foremost(cases, all).await?;
        first.insert(0, Vec::new());
        cases.iter_mut().for_each(|case| case.tried += rest.len());
        self.try_grids(cases, self.rows.one, vec![(Vec::new(), first)]).await?;
        if self.settled(cases) {
            return Ok(());
        }
        let worlds = self.allowed_all(candidates::worlds(self.lab.windows(), &self.sources));
        let standing = Self::standing(cases, &|s| s.judged.explains() >= ENOUGH);
        if cases.iter().zip(&standing).all(|(c, s)| c.done || s.is_some()) {
            let ahead = |c: &Change| matches!(c, Change::FutureLeak { .. });
            // What looks ahead may be a clock that is off, which a calendar sees as such.
            let clocks = standing.iter().flatten().any(|s| s.changes.iter().any(ahead));
            let shifted = if clocks { candidates::shifted_calendars(self.lab.windows()) } else { Vec::new() };
            let rough = standing.iter().flatten().any(|s| s.judged.breaks() > ROUGH);
            let single = if rough { candidates::single_sources(self.lab.windows(), &self.sources) } else { Vec::new() };
            let worlds = worlds.into_iter().chain(self.allowed_all(shifted)).chain(self.allowed_all(single)).collect();
            let bars: Vec<Option<f64>> = standing.into_iter().map(|s| s.map(Scored::bar)).collect();
            cases.iter_mut().zip(bars).for_each(|(case, bar)| case.bar = bar);
            return self.contest(cases, worlds, rest, &missed).await;
        }
        // What has no parameter comes with the changes of the label time that go the right way.
        let (plain, fitted): (Vec<&Change>, Vec<&Change>) = worlds.iter().partition(|w| w.freedom() == 0);
        let near = self.nearest(cases);
        for world in &plain {
            self.try_grids(cases, self.rows.two, vec![(vec![(*world).clone()], near.clone())]).await?;
            if self.settled(cases) {
                return Ok(());
            }
        }
        if !rest.is_empty() {
            // They are counted now.
            cases.iter_mut().for_each(|case| case.tried -= rest.len());
            self.try_grids(cases, self.rows.one, vec![(Vec::new(), rest)]).await?;
            if self.settled(cases) {
                return Ok(());
            }
            let more: Vec<Hypothesis> = self.nearest(cases).into_iter().filter(|h| !near.contains(h)).collect();
            if !more.is_empty() {
                let grids = plain.iter().map(|w| (vec![(*w).clone()], more.clone())).collect();
                self.try_grids(cases, self.rows.two, grids).await?;
            }
        }
        let loads = self.allowed_all(candidates::loads()).into_iter().map(|change| vec![change]).collect();
        self.try_grids(cases, self.rows.one, vec![(Vec::new(), loads)]).await?;
        for family in fitted.chunk_by(|a, b| a.name() == b.name()) {
            if self.settled(cases) {
                return Ok(());
            }
            let grids = family.iter().map(|w| (vec![(*w).clone()], vec![Vec::new()])).collect();
            self.try_grids(cases, self.rows.one, grids).await?;
        }
        if self.settled(cases) {
            return Ok(());
        }
        self.zones(cases, false).await?;
        if self.settled(cases) {
            return Ok(());
        }
        if cases.iter().any(|case| !case.done && Self::is_rough(case)) {
            let mut changes = candidates::shifted_calendars(self.lab.windows());
            changes.extend(candidates::single_sources(self.lab.windows(), &self.sources));
            let grids = self.allowed_all(changes).into_iter().map(|c| (vec![c], vec![Vec::new()])).collect();
            self.try_grids(cases, self.rows.one, grids).await?;
            self.zones(cases, true).await?;
            if self.settled(cases) {
                return Ok(());
            }
        }
        let near = self.nearest(cases);
        self.pairs(cases, &worlds, &near).await?;
        if self.settled(cases) {
            return Ok(());
        }
        if !Self::lacking(cases) {
            return Ok(());
        }
        let mut changes = candidates::instants(self.lab.windows(), true);
        changes.extend(candidates::loads());
        let instants: Vec<Hypothesis> = self.allowed_all(changes).into_iter().map(|change| vec![change]).collect();
        self.histories(cases, &worlds, &instants).await
    }

    /// All mismatches have an explanation that breaks agreeing rows: looks for one that breaks fewer. Few rows tell what can't explain
    /// enough for that (see [`Scored::bar`]).
    async fn contest(
        &self,
        cases: &mut [Case<'_>],
        worlds: Vec<Change>,
        instants: Vec<Hypothesis>,
        missed: &[Vec<usize>],
    ) -> Result<()> {
        let open: Vec<usize> = (0..cases.len()).filter(|number| !cases[*number].done).collect();
        let good = |at: &usize| open.iter().any(|number| cases[*number].may_still_win(missed[*number][*at]));
        let kept: Vec<usize> = (0..instants.len()).filter(good).collect();
        cases.iter_mut().for_each(|case| case.tried -= kept.len().min(case.tried));
        let instants: Vec<Hypothesis> = kept.into_iter().map(|at| instants[at].clone()).collect();
        let grids: Vec<Grid> = worlds.into_iter().map(|world| (vec![world], vec![Vec::new()])).collect();
        let samples: Vec<Vec<(usize, bool)>> =
            cases.iter().map(|c| if c.done { Vec::new() } else { c.screen(c.rows_to_lose(), 0) }).collect();
        let good = self.ask(cases, &samples, &grids, true).await?;
        let mut grids: Vec<Grid> =
            grids.into_iter().zip(good).filter(|(_, good)| *good).map(|(grid, _)| grid).collect();
        if !instants.is_empty() {
            grids.push((Vec::new(), instants));
        }
        cases.iter_mut().for_each(|case| case.bar = None);
        let samples: Vec<Vec<(usize, bool)>> = cases
            .iter()
            .map(|c| if c.done { Vec::new() } else { c.screen(self.rows.one.0, self.rows.one.1) })
            .collect();
        self.ask(cases, &samples, &grids, false).await?;
        if self.settled(cases) {
            return Ok(());
        }
        self.zones(cases, false).await?;
        if Self::lacking(cases) { self.fit_first(cases, &Vec::new(), None).await } else { Ok(()) }
    }

    /// Tries all changes of the label time on a few mismatching rows.
    async fn foremost(&self, cases: &[Case<'_>], all: Vec<Hypothesis>) -> Result<Foremost> {
        let samples: Vec<Vec<(usize, bool)>> =
            cases.iter().map(|c| if c.done { Vec::new() } else { c.screen(FIRST, 0) }).collect();
        let asked = cases.iter().zip(&samples);
        let panel = Panel::new(asked.flat_map(|(c, sample)| sample.iter().map(|(p, _)| c.compared.label_row(*p))));
        let answers = self.lab.answers(&panel, &[(Vec::new(), all.clone())]).await.pop().flatten();
        let Some(answers) = answers else { return Ok(Foremost { first: all, ..Foremost::default() }) };
        let mut picked: BTreeSet<usize> = BTreeSet::new();
        let mut missed: Vec<Vec<usize>> = vec![Vec::new(); cases.len()];
        let mut open: Vec<(usize, &Case<'_>)> = cases.iter().enumerate().filter(|(_, case)| !case.done).collect();
        let told = self.side_by_side(&mut open, |(number, case)| {
            case.glances(&panel, &all, answers.of(case.slot), &samples[*number], self.allowed).map_err(failed)
        })?;
        for ((number, _), told) in open.into_iter().zip(told) {
            missed[number] = told.iter().map(|(explained, _)| samples[number].len() - explained).collect();
            let simple = |at: &usize| all[*at].iter().map(Change::freedom).sum::<usize>();
            let mut ranked: Vec<usize> = (0..all.len()).filter(|at| told[*at].0 > 0 || told[*at].1 > 0.0).collect();
            ranked.sort_by(|a, b| told[*b].0.cmp(&told[*a].0).then(simple(a).cmp(&simple(b))).then(a.cmp(b)));
            picked.extend(ranked.iter().take(FOREMOST));
            ranked.sort_by(|a, b| told[*b].1.total_cmp(&told[*a].1).then(simple(a).cmp(&simple(b))).then(a.cmp(b)));
            picked.extend(ranked.iter().take(FOREMOST));
        }
        for missed in missed.iter_mut().filter(|missed| !missed.is_empty()) {
            *missed = (0..all.len()).filter(|at| !picked.contains(at)).map(|at| missed[at]).collect();
        }
        let (first, rest): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(at, _)| picked.contains(at));
        let hypotheses = |all: Vec<(usize, Hypothesis)>| all.into_iter().map(|(_, h)| h).collect();
        Ok(Foremost { first: hypotheses(first), rest: hypotheses(rest), missed })
    }

    /// Zones by name, of all sources or of `single` ones, where a fixed offset fits some of the rows.
    async fn zones(&self, cases: &mut [Case<'_>], single: bool) -> Result<()> {
        let times = self.labels.times.values();
        let instants: Vec<i64> = times.iter().step_by((times.len() / 64).max(1)).chain(times.last()).copied().collect();
        let mut zones: Vec<Change> = Vec::new();
        for case in cases.iter().filter(|c| !c.done) {
            let partly = case.scored.iter().filter(|s| s.changes.len() == 1 && s.judged.explains() > 0.1);
            for scored in partly {
                let (Change::Timezone { shift: Shift::Minutes(minutes) }, source) = scored.changes[0].apart() else {
                    continue;
                };
                if source.is_some() != single {
                    continue;
                }
                for zone in self.allowed_all(candidates::zones(*minutes, source, &instants)) {
                    if !zones.contains(&zone) {
                        zones.push(zone);
                    }
                }
            }
        }
        let grids = zones.into_iter().map(|c| (vec![c], vec![Vec::new()])).collect();
        self.try_grids(cases, self.rows.one, grids).await
    }

    /// No change of the label time, then those that bring values of some case nearest to the legacy ones.
    fn nearest(&self, cases: &[Case<'_>]) -> Vec<Hypothesis> {
        let mut near: Vec<Hypothesis> = vec![Vec::new()];
        let usual = [DAY, HOUR].map(|period| Change::Stale { period, lag: 0, at: 0 });
        near.extend(self.allowed_all(usual.to_vec()).into_iter().map(|c| vec![c]));
        let ranked = cases.iter().filter(|c| !c.done).map(|case| {
            let single = case.scored.iter().filter(|s| s.changes.len() == 1 && s.nearer > 0.0);
            let mut ranked: Vec<_> = single.filter(|s| s.changes[0].layer() != Layer::Value).collect();
            ranked.sort_by(|a, b| {
                b.nearer.total_cmp(&a.nearer).then(a.changes[0].freedom().cmp(&b.changes[0].freedom()))
            });
            ranked.into_iter().take(NEAREST).map(|scored| scored.changes.clone()).collect()
        });
        in_turn(ranked.collect(), MOST_NEAR, &mut near);
        near
    }

    /// Whether for some case, as far as is known, nothing explains most, or what does breaks agreeing rows.
    fn lacking(cases: &[Case<'_>]) -> bool {
        cases.iter().any(|case| !case.done && Self::lacks(case))
    }

    /// Whether what explains a case leaves a little open, or breaks a little.
    pub(super) fn is_rough(case: &Case<'_>) -> bool {
        let best = best(&case.scored, case.tried);
        best.is_none_or(|best| best.judged.explains() < ENOUGH || best.judged.breaks() > ROUGH)
    }

    pub(super) fn lacks(case: &Case<'_>) -> bool {
        let Some(best) = best(&case.scored, case.tried) else { return true };
        best.judged.explains() < MOST || (best.judged.breaks() > BREAKING && case.begins_early())
    }

    /// Whether every case has an explanation that needs no better.
    fn settled(&self, cases: &[Case<'_>]) -> bool {
        let standing = Self::standing(cases, &Scored::settles);
        cases.iter().zip(standing).all(|(c, s)| c.done || s.is_some_and(|s| s.is_clean()))
    }

    /// By case, what explains it as far as is known: what holds for it and is `enough`; else what is enough for another case, and explains
    /// all of this one on the same rows (see [`Search::decide`]).
    fn standing<'a>(cases: &'a [Case<'_>], enough: &dyn Fn(&Scored) -> bool) -> Vec<Option<&'a Scored>> {
        let own = |c: &'a Case<'_>| best(&c.scored, c.tried).filter(|_| !c.done);
        let own: Vec<Option<&Scored>> = cases.iter().map(own).collect();
        let established: Vec<(&Scored, BTreeSet<usize>)> = cases
            .iter()
            .zip(&own)
            .filter_map(|(case, own)| Some((own.filter(|s| enough(s))?, case)))
            .map(|(scored, case)| (scored, case.open.iter().map(|p| case.compared.label_row(*p)).collect()))
            .collect();
        let shared = |case: &'a Case<'_>| {
            established.iter().find_map(|(scored, rows)| {
                let all = |s: &&Scored| s.changes == scored.changes && s.judged.explained == s.judged.mismatches;
                case.scored.iter().find(all).filter(|_| case.shares_rows(rows))
            })
        };
        cases
            .iter()
            .zip(own)
            .map(|(case, own)| match own {
                Some(own) => Some(own).filter(|s| enough(s)),
                None => shared(case).filter(|_| !case.done),
            })
            .collect()
    }

    pub(super) fn explained(case: &Case<'_>) -> f64 {
        best(&case.scored, case.tried).map_or(0.0, |s| s.judged.explains())
    }

    async fn pairs(&self, cases: &mut [Case<'_>], worlds: &[Change], instants: &[Hypothesis]) -> Result<()> {
        let mut foremost: Vec<Vec<usize>> = Vec::new();
        for case in cases.iter().filter(|c| !c.done && Self::explained(c) < ENOUGH) {
            let mut ranked: Vec<(f64, usize)> = Vec::new();
            for scored in case.scored.iter().filter(|s| s.changes.len() == 1 && s.nearer > 0.02) {
                if let Some(at) = worlds.iter().position(|w| *w == scored.changes[0]) {
                    ranked.push((scored.nearer, at));
                }
            }
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            // Many parameters of one cause may all come near: none crowds out another cause.
            let mut taken: HashMap<&str, usize> = HashMap::new();
            ranked.retain(|(_, at)| {
                let of = taken.entry(worlds[*at].name()).or_default();
                *of += 1;
                *of <= PAIRED_ALIKE
            });
            foremost.push(ranked.into_iter().take(PAIRED).map(|(_, at)| at).collect());
        }
        if foremost.is_empty() {
            return Ok(());
        }
        // What has no parameter costs little, and may only show beside another cause.
        let mut picked: Vec<usize> = (0..worlds.len()).filter(|at| worlds[*at].freedom() == 0).collect();
        in_turn(foremost, MOST_PAIRED, &mut picked);
        let picked: BTreeSet<usize> = picked.into_iter().collect();
        let timed = |at: &&usize| worlds[**at].freedom() > 0;
        let grids = picked.iter().filter(timed).map(|at| (vec![worlds[*at].clone()], instants.to_vec())).collect();
        self.try_grids(cases, self.rows.two, grids).await?;
        if self.settled(cases) {
            return Ok(());
        }
        let mut grids: Vec<Grid> = Vec::new();
        for &a in &picked {
            for &b in picked.range(a + 1..) {
                if worlds[a].name() != worlds[b].name() && !opposed(&worlds[a], &worlds[b]) {
                    grids.push((vec![worlds[a].clone(), worlds[b].clone()], vec![Vec::new()]));
                }
            }
        }
        self.try_grids(cases, self.rows.two, grids).await?;
        if self.settled(cases) {
            return Ok(());
        }
        self.beside_leaders(cases, worlds, &picked).await
    }

    /// Pairs of the world that does most for some case with what does nothing by itself, and so was not picked.
    async fn beside_leaders(&self, cases: &mut [Case<'_>], worlds: &[Change], picked: &BTreeSet<usize>) -> Result<()> {
        let mut grids: Vec<Grid> = Vec::new();
        for leader in Self::leaders(cases, |change| worlds.contains(change)) {
            let others = (0..worlds.len()).filter(|at| !picked.contains(at)).map(|at| &worlds[at]);
            let others = others.filter(|other| other.name() != leader.name() && !opposed(&leader, other));
            grids.extend(others.map(|other| (vec![leader.clone(), other.clone()], vec![Vec::new()])));
            // What adds events and what drops some hide each other's parameters.
            if matches!(leader, Change::FutureLeak { .. } | Change::LateDropped { .. }) {
                let leaks = worlds.iter().filter(|world| matches!(world, Change::FutureLeak { .. }));
                let dropped = || worlds.iter().filter(|world| matches!(world, Change::LateDropped { .. }));
                let both =
                    leaks.flat_map(|leak| dropped().map(|drop| (vec![drop.clone(), leak.clone()], vec![Vec::new()])));
                grids.extend(both.filter(|grid| !grids.contains(grid)).collect::<Vec<_>>());
            }
        }
        self.try_grids(cases, self.rows.two, grids).await
    }

    /// Of the changes that are `asked` for, those that do most by themselves for some case of which much is left unexplained.
    pub(super) fn leaders(cases: &[Case<'_>], asked: impl Fn(&Change) -> bool) -> Vec<Change> {
        // Of first events many come near.
        let does = |scored: &Scored| match scored.changes[0].apart().0 {
            Change::Truncated { .. } => scored.judged.explains(),
            _ => scored.nearer,
        };
        let of_case = |case: &Case<'_>| -> Vec<Change> {
            let single = case.scored.iter().filter(|s| s.changes.len() == 1 && s.nearer > 0.02 && asked(&s.changes[0]));
            let mut ranked: Vec<&Scored> = single.collect();
            ranked.sort_by(|a, b| does(b).total_cmp(&does(a)));
            // One parameter of a cause is enough.
            let mut own: Vec<Change> = Vec::new();
            for change in ranked.into_iter().map(|s| &s.changes[0]) {
                if own.iter().all(|known| known.name() != change.name()) {
                    own.push(change.clone());
                }
            }
            own
        };
        let open = cases.iter().filter(|c| !c.done && Self::explained(c) < ENOUGH);
        let mut leaders: Vec<Change> = Vec::new();
        in_turn(open.map(of_case).collect(), LEADERS, &mut leaders);
        leaders
    }

    /// Tries the leading hypotheses on all rows of the sample and takes the best of each case. Where nothing holds for a case by
    /// itself, a hypothesis that holds for another feature of the view may (see [`Established`]).
    /// Not `last`: nothing is taken, and false, where what explained all screened rows of a case does not explain all others.
    async fn decide(&self, cases: &mut [Case<'_>], last: bool) -> Result<bool> {
        let (mut wanted, mut spare): (Vec<Hypothesis>, Vec<Vec<Hypothesis>>) = Default::default();
        for case in cases.iter() {
            let leading = if case.done { Vec::new() } else { leading(&case.scored, case.tried, LEADING) };
            let (first, others) = rivals(&case.scored, leading);
            self.want(&mut wanted, first);
            spare.push(others);
        }
        let tried: Vec<usize> = cases.iter().map(|c| c.tried).collect();
        let seemed = |case: &Case<'_>| best(&case.scored, case.tried).is_some_and(Scored::is_clean);
        let seemed: Vec<bool> = cases.iter().map(|case| !case.done && seemed(case)).collect();
        for case in cases.iter_mut() {
            case.scored.clear();
        }
        let mut explained: Vec<Hits> = vec![Hits::new(); cases.len()];
        self.weigh(cases, &wanted, 0, &mut explained).await?;
        // On more rows the best may not be what it seemed.
        let weighed = wanted.len();
        for (number, case) in cases.iter().enumerate().filter(|(_, c)| !c.done) {
            let enough = best(&case.scored, tried[number]).is_some_and(|s| s.judged.explains() >= SETTLED);
            if !enough {
                self.want(&mut wanted, std::mem::take(&mut spare[number]));
            }
        }
        self.weigh(cases, &wanted, weighed, &mut explained).await?;
        if !last && cases.iter().zip(seemed).any(|(case, seemed)| seemed && Self::is_rough(case)) {
            return Ok(false);
        }
        let mut established: Vec<Established> = Vec::new();
        let mut without: Vec<usize> = Vec::new();
        let chosen = agreed(cases, &tried);
        for ((number, case), chosen) in cases.iter_mut().enumerate().zip(chosen).filter(|((_, c), _)| !c.done) {
            let Some(changes) = chosen else {
                without.push(number);
                continue;
            };
            let position = wanted.iter().position(|h| *h == changes).unwrap_or_default();
            let Some((hits, breaks)) = explained[number].remove(&position) else { continue };
            let rows = hits.iter().map(|p| case.compared.label_row(*p)).collect();
            let clean = case.scored.iter().any(|s| s.changes == changes && s.is_clean());
            established.push(Established { changes: changes.clone(), rows, breaks, clean });
            case.take(changes, hits, breaks);
        }
        for number in without {
            let case = &mut cases[number];
            let told = established.iter().find(|other| case.scored.iter().any(|s| other.tells(case, s)));
            let position = told.and_then(|other| wanted.iter().position(|h| *h == other.changes));
            match position.and_then(|p| Some((p, explained[number].remove(&p)?))) {
                Some((position, (hits, breaks))) => case.take(wanted[position].clone(), hits, breaks),
                None => case.done = true,
            }
        }
        Ok(true)
    }

    fn want(&self, wanted: &mut Vec<Hypothesis>, more: Vec<Hypothesis>) {
        for hypothesis in more.into_iter().flat_map(|h| self.resolved(h)) {
            if !wanted.contains(&hypothesis) {
                wanted.push(hypothesis);
            }
        }
    }

    /// Scores the hypotheses from number `first` on by all rows of every open case, and adds which mismatches each explains and
    /// how much it breaks.
    async fn weigh(
        &self,
        cases: &mut [Case<'_>],
        wanted: &[Hypothesis],
        first: usize,
        explained: &mut [Hits],
    ) -> Result<()> {
        if first == wanted.len() {
            return Ok(());
        }
        let positions = |case: &Case<'_>| -> Vec<(usize, bool)> {
            let differing = case.differing.iter().map(|p| (*p, true));
            differing.chain(case.calm.iter().map(|p| (*p, false))).collect()
        };
        let open = cases.iter().filter(|c| !c.done);
        let panel = Panel::new(open.flat_map(|c| positions(c).into_iter().map(|(p, _)| c.compared.label_row(p))));
        let parts = by_world(&wanted[first..]);
        let grids: Vec<_> = parts.iter().map(|(world, instants, _)| (world.clone(), instants.clone())).collect();
        let answers = self.lab.answers(&panel, &grids).await;
        let weighed = |case: &mut Case<'_>, explained: &mut Hits| -> Result<()> {
            let all = positions(case);
            // What an earlier cause explains is not held against chance again.
            let counts = |(p, mismatched): &(usize, bool)| !mismatched || !case.cause_of.contains_key(p);
            let counts: Vec<bool> = all.iter().map(counts).collect();
            let sides = Sides::whole(case, &panel, &all).map_err(failed)?;
            let given = parts.iter().zip(&answers).filter_map(|((_, _, members), a)| Some((members, a.as_ref()?)));
            for (members, answers) in given {
                let (column, found) = answers.of(case.slot);
                for (hypothesis, at) in members {
                    let changes = &wanted[first + hypothesis];
                    let readings = values::readings(changes, case.spec, column, found).map_err(failed)?;
                    let Some(block) = Block::new(case, &readings, panel.labels.len(), &sides).map_err(failed)? else {
                        continue;
                    };
                    let mut rows = block.rows(*at);
                    let hits = all.iter().zip(&rows).filter(|((_, m), row)| *m && row.agrees).map(|((p, _), _)| *p);
                    let hits: Vec<usize> = hits.collect();
                    rows.retain(|row| counts[row.seat]);
                    let Some((judged, nearer)) = block.weigh(case, (changes, *at), &rows) else { continue };
                    explained.insert(first + hypothesis, (hits, judged.breaks()));
                    case.scored.push(Scored { changes: changes.clone(), judged, nearer });
                }
            }
            Ok(())
        };
        let mut open: Vec<(&mut Case<'_>, &mut Hits)> =
            cases.iter_mut().zip(explained).filter(|(c, _)| !c.done).collect();
        self.side_by_side(&mut open, |(case, explained)| weighed(case, explained)).map(|_| ())
    }

    /// The same for each of some cases, which know nothing of each other, on all threads; what it gives, in their order.
    fn side_by_side<T: Send, U: Send>(
        &self,
        all: &mut [T],
        each: impl Fn(&mut T) -> Result<U> + Sync,
    ) -> Result<Vec<U>> {
        let share = all.len().div_ceil(self.threads.max(1)).max(1);
        let done: Vec<Result<Vec<U>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = all
                .chunks_mut(share)
                .map(|chunk| {
                    let each = &each;
                    scope.spawn(move || chunk.iter_mut().map(each).collect())
                })
                .collect();
            let ended = || Err(failed(datafusion::common::exec_datafusion_err!("a thread that scores ended")));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| ended())).collect()
        });
        Ok(done.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// The same hypothesis by each window that it changes, where it changes several.
    fn resolved(&self, hypothesis: Hypothesis) -> Vec<Hypothesis> {
        let mut all = Vec::new();
        for (at, change) in hypothesis.iter().enumerate() {
            let mut others = change.by_window();
            others.pop();
            for other in others {
                let mut own = hypothesis.clone();
                own[at] = other;
                all.push(own);
            }
        }
        all.push(hypothesis);
        all
    }

    /// Replays grids (the worlds' changes, and parts that only change the label time) and scores every case. Where there are many, the
    /// mismatching rows are asked first: a grid that comes near no legacy value of any case is asked no further.
    pub(super) async fn try_grids(
        &self,
        cases: &mut [Case<'_>],
        rows: (usize, usize),
        mut grids: Vec<Grid>,
    ) -> Result<()> {
        for (world, instants) in &mut grids {
            // Nothing is done twice, each time otherwise.
            let again = |change: &Change| world.iter().any(|own| own.name() == change.name());
            instants.retain(|instant| !instant.iter().any(again));
        }
        grids.retain(|(_, instants)| !instants.is_empty());
        let samples: Vec<Vec<(usize, bool)>> =
            cases.iter().map(|c| if c.done { Vec::new() } else { c.screen(rows.0, rows.1) }).collect();
        if grids.len() >= MANY_GRIDS {
            let near = self.ask(cases, &samples, &grids, true).await?;
            grids = grids.into_iter().zip(near).filter(|(_, near)| *near).map(|(grid, _)| grid).collect();
        }
        self.ask(cases, &samples, &grids, false).await?;
        Ok(())
    }

    /// For each grid, whether it is worth something to some case. `glance`: only the mismatching rows are asked, and nothing is kept.
    async fn ask(
        &self,
        cases: &mut [Case<'_>],
        samples: &[Vec<(usize, bool)>],
        grids: &[Grid],
        glance: bool,
    ) -> Result<Vec<bool>> {
        let asked = |(_, mismatched): &&(usize, bool)| *mismatched || !glance;
        let labels = cases
            .iter()
            .zip(samples)
            .flat_map(|(c, sample)| sample.iter().filter(asked).map(|(p, _)| c.compared.label_row(*p)));
        let panel = Panel::new(labels).screening();
        let answers = self.lab.answers(&panel, grids).await;
        let parts = |(world, instants): &Grid| -> Vec<Hypothesis> {
            instants.iter().map(|instant| world.iter().chain(instant).cloned().collect()).collect()
        };
        let grids: Vec<(Vec<Hypothesis>, Option<Answers>)> = grids.iter().map(parts).zip(answers).collect();
        let score = |case: &mut Case<'_>, sample: &[(usize, bool)]| -> Result<Vec<(bool, usize)>> {
            let sides = Sides::new(case, &panel, sample).map_err(failed)?;
            let one = |(parts, answers): &(Vec<Hypothesis>, Option<Answers>)| {
                let Some(answers) = answers else { return Ok((false, 0)) };
                case.score(&panel, parts, answers.of(case.slot), (sample, &sides), self.allowed, glance).map_err(failed)
            };
            grids.iter().map(one).collect()
        };
        let mut open: Vec<(&mut Case<'_>, &Vec<(usize, bool)>)> =
            cases.iter_mut().zip(samples).filter(|(c, _)| !c.done).collect();
        let scored: Glances = self.side_by_side(&mut open, |(case, sample)| score(case, sample))?;
        let worth: Vec<bool> = (0..grids.len()).map(|at| scored.iter().any(|case| case[at].0)).collect();
        if glance {
            for ((case, _), scored) in open.iter_mut().zip(&scored) {
                // What is asked again is counted then.
                case.tried +=
                    scored.iter().zip(&worth).filter(|(_, worth)| !**worth).map(|((_, n), _)| n).sum::<usize>();
            }
        }
        Ok(worth)
    }

    fn allowed_all(&self, changes: Vec<Change>) -> Vec<Change> {
        changes.into_iter().filter(|c| (self.allowed)(c)).collect()
    }
}

/// What holds for a feature.
struct Established {
    changes: Hypothesis,
    /// The label rows that it explains there.
    rows: BTreeSet<usize>,
    breaks: f64,
    /// Whether it explains nearly all there, and breaks nearly nothing.
    clean: bool,
}

impl Established {
    /// Whether it is what explains another feature of the view, though too little shows there by itself: all that differs, on the same rows,
    /// breaking hardly more; or wherever that feature differs, and it gives the legacy values everywhere for both.
    fn tells(&self, case: &Case<'_>, scored: &Scored) -> bool {
        let judged = &scored.judged;
        scored.changes == self.changes
            && judged.explained == case.open.len()
            && ((self.clean && scored.is_clean())
                || (judged.breaks() <= self.breaks + BREAKING && case.shares_rows(&self.rows)))
    }
}

/// By case, what explains it best: of what is one as good as the other, what is so for most cases. What is so for most of the others, and
/// leaves less open here, too, is taken for a simpler one that does nearly as much.
fn agreed(cases: &[Case<'_>], tried: &[usize]) -> Vec<Option<Hypothesis>> {
    let open = cases.iter().zip(tried);
    let equals: Vec<Vec<&Scored>> =
        open.map(|(case, tried)| if case.done { Vec::new() } else { equals(&case.scored, *tried) }).collect();
    let votes = |changes: &Hypothesis| equals.iter().filter(|own| own.iter().any(|s| s.changes == *changes)).count();
    let first: Vec<Option<&Scored>> = equals
        .iter()
        .map(|own| {
            // The first of those that most agree on: the best of them.
            let most = own.iter().map(|s| votes(&s.changes)).max()?;
            own.iter().find(|s| votes(&s.changes) == most).copied()
        })
        .collect();
    let decided = first.iter().flatten().count();
    let common = |number: usize| -> Option<&Scored> {
        let (own, case) = (first[number]?, &cases[number]);
        let shared = |scored: &&Scored| {
            let others = first.iter().flatten().filter(|other| other.changes == scored.changes).count();
            others >= LEAST_AGREE && others * 3 >= decided
        };
        let better = |scored: &&Scored| {
            scored.holds(tried[number])
                && scored.judged.explained > own.judged.explained
                && scored.judged.breaks() <= own.judged.breaks()
        };
        case.scored.iter().filter(|s| s.changes != own.changes).filter(better).find(shared)
    };
    (0..cases.len()).map(|number| common(number).or(first[number]).map(|s| s.changes.clone())).collect()
}

/// Adds the first of each list, then the second of each, until there are `most`; each once.
fn in_turn<T: PartialEq>(lists: Vec<Vec<T>>, most: usize, all: &mut Vec<T>) {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    loop {
        let round: Vec<T> = lists.iter_mut().filter_map(Iterator::next).collect();
        if round.is_empty() {
            return;
        }
        for next in round {
            if all.len() >= most {
                return;
            }
            if !all.contains(&next) {
                all.push(next);
            }
        }
    }
}

/// Two changes that undo each other, or are one and the same.
pub(super) fn opposed(a: &Change, b: &Change) -> bool {
    let leak = |c: &Change| matches!(c.apart().0, Change::FutureLeak { ahead: Ahead::Arrives | Ahead::Happens, .. });
    let late = |c: &Change| matches!(c.apart().0, Change::LateVisible);
    matches!((a, b), (Change::WindowStart { .. }, Change::WindowStart { .. }))
        || matches!((a, b), (Change::LabelTime { .. }, Change::LabelTime { .. }))
        || (leak(a) && late(b))
        || (late(a) && leak(b))
}

/// Hypotheses by what makes their world: one replay has all that differ in the label time or in the number only. Members are
/// positions of hypotheses and of their instant.
type Shared = (Hypothesis, Vec<Hypothesis>, Vec<(usize, usize)>);

fn by_world(hypotheses: &[Hypothesis]) -> Vec<Shared> {
    let mut shared: Vec<Shared> = Vec::new();
    for (number, changes) in hypotheses.iter().enumerate() {
        let (world, instant) = (part(changes, Layer::World), part(changes, Layer::Instant));
        let at = shared.iter().position(|(w, _, _)| *w == world).unwrap_or_else(|| {
            shared.push((world, Vec::new(), Vec::new()));
            shared.len() - 1
        });
        let (_, instants, members) = &mut shared[at];
        let place = instants.iter().position(|i| *i == instant).unwrap_or_else(|| {
            instants.push(instant);
            instants.len() - 1
        });
        members.push((number, place));
    }
    shared
}

pub(super) fn failed(e: datafusion::error::DataFusionError) -> Error {
    Error::engine("look for causes", e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypotheses_of_one_world_share_a_replay() {
        let late = Change::LateVisible;
        let nightly = Change::Stale { period: DAY, lag: 0, at: 0 };
        let wanted = [
            vec![nightly.clone()],
            vec![late.clone(), nightly.clone()],
            vec![late.clone()],
            vec![nightly.clone(), Change::Float32],
        ];
        let shared = by_world(&wanted);
        assert_eq!(shared.len(), 2);
        assert_eq!(shared[0].2, [(0, 0), (3, 0)]);
        assert_eq!(shared[1].1, [vec![nightly], Vec::new()]);
    }
}
