//! The search for causes over one view: cheap hypotheses first, on few rows; what holds is tried on all rows of the sample.
//!
//! 1. *Instants*: every change of the label time is a row of one replay.
//! 2. *Worlds*: every other change is a replay of its own over the screened rows.
//! 3. *Pairs*, where one cause leaves much open: the most promising worlds with every change of the label time (one
//!    replay each), with each other, and with changes of the number.
//! 4. *Fitted* parameters: shifts of single sources, and the first event of a history that was cut off.
//! 5. What holds is tried on the whole sample, and the best is taken (`decide`). Then all again for the mismatches that it leaves.
//!
//! A view whose features are settled by one cause takes no further step.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::cause::candidates::{self, Sources};
use crate::cause::case::{Case, Hypothesis, Panel, ROUGH, Scored, Sides, best};
use crate::cause::change::{Ahead, Change, DAY, HOUR, Layer, Shift};
use crate::cause::lab::{Grid, Lab};
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
/// Causes that one feature may have.
const MOST_CAUSES: usize = 3;
/// Where a single cause explains less, pairs are tried.
pub(super) const ENOUGH: f64 = 0.97;
/// Changes that are paired with every other.
const LEADERS: usize = 3;
/// Where the best explains less, or breaks more, what has to be fitted is tried.
const MOST: f64 = 0.9;
pub(super) const BREAKING: f64 = 0.05;
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
        let few = samples(cases, |case| (case.rows_to_lose(), 0));
        let good = self.ask(cases, &few, &grids, true).await?;
        let mut grids: Vec<Grid> =
            grids.into_iter().zip(good).filter(|(_, good)| *good).map(|(grid, _)| grid).collect();
        if !instants.is_empty() {
            grids.push((Vec::new(), instants));
        }
        cases.iter_mut().for_each(|case| case.bar = None);
        let screened = samples(cases, |_| self.rows.one);
        self.ask(cases, &screened, &grids, false).await?;
        if self.settled(cases) {
            return Ok(());
        }
        self.zones(cases, false).await?;
        if Self::lacking(cases) { self.fit_first(cases, &Vec::new(), None).await } else { Ok(()) }
    }

    /// Tries all changes of the label time on a few mismatching rows.
    async fn foremost(&self, cases: &[Case<'_>], all: Vec<Hypothesis>) -> Result<Foremost> {
        let samples = samples(cases, |_| (FIRST, 0));
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

    /// The same for each of some cases, which know nothing of each other, on all threads; what it gives, in their order.
    pub(super) fn side_by_side<T: Send, U: Send>(
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
        let samples = samples(cases, |_| rows);
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

/// By case, so many of its rows: mismatching, agreeing; none of one that is done.
fn samples(cases: &[Case<'_>], rows: impl Fn(&Case<'_>) -> (usize, usize)) -> Vec<Vec<(usize, bool)>> {
    cases.iter().map(|case| if case.done { Vec::new() } else { case.screen(rows(case)) }).collect()
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

pub(super) fn failed(e: datafusion::error::DataFusionError) -> Error {
    Error::engine("look for causes", e)
}
