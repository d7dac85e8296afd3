//! Histories that were cut off: the first event that was left is fitted, in all sources or in one, by itself and beside another cause.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};

use crate::cause::case::{Block, Case, Hypothesis, Panel, Sides, best, part};
use crate::cause::change::{Change, DAY, HOUR, Layer, MINUTE};
use crate::cause::judge::{Judgement, Row};
use crate::cause::lab::Grid;
use crate::cause::search::{ENOUGH, Search, failed};
use crate::cause::values;
use crate::diff::Agreement;
use crate::error::Result;

/// Where a view reads more sources than this, none is looked at for a history that was cut off in it alone.
const MOST_FITTED: usize = 4;
/// Rows of the case that leads on which a first event is settled that explains most of the screened ones: mismatching, agreeing.
const FINE: (usize, usize) = (1024, 1024);
/// What a first event has to explain of the screened rows to be looked at more closely.
const MOST: f64 = 0.5;
/// Cases that lead, one after the other.
const MOST_LEADS: usize = 3;
/// What explains this share of the screened rows is near enough, unless it breaks some.
const SETTLING: f64 = 0.99;
/// What explains a larger share, though halving did not lead there, may be near.
const PROMISING: f64 = 0.2;
/// How often what is between two instants is halved, or divided into so many parts.
const MOST_HALVES: usize = 40;
const MOST_ZOOMS: usize = 6;
const ZOOMED: i64 = 8;

/// A case by whose values the first event of a history is looked for.
struct Lead {
    case: usize,
    /// By row of its sample.
    labels: Vec<usize>,
    panel: Panel,
    sides: Sides,
    /// Its values without anything cut off, by place of the panel; and what the rows are then.
    whole: ArrayRef,
    before: Vec<Row>,
}

/// What explains most, and breaks least, of those that were tried.
fn peak(tried: &BTreeMap<i64, Option<Judgement>>) -> Option<(i64, Judgement)> {
    let known = tried.iter().filter_map(|(at, judged)| Some((*at, (*judged)?)));
    known.max_by_key(|(at, judged)| (judged.explained, Reverse(judged.broken), Reverse(*at)))
}

/// The instants that were tried on either side of one.
fn around(tried: &BTreeMap<i64, Option<Judgement>>, at: i64) -> (i64, i64) {
    let (before, after) = (tried.range(..at).next_back(), tried.range(at.saturating_add(1)..).next());
    (before.map_or(at, |(early, _)| *early), after.map_or(at, |(late, _)| *late))
}

/// Round instants between the two, evenly.
fn parts((early, late): (i64, i64)) -> Vec<i64> {
    let step = late.saturating_sub(early) / ZOOMED;
    let unit = [DAY, HOUR, MINUTE].into_iter().find(|unit| *unit <= step).unwrap_or(MINUTE);
    let mut all: Vec<i64> =
        (1..ZOOMED).map(|part| (early + part * step).div_euclid(unit) * unit).filter(|at| *at > early).collect();
    all.dedup();
    all
}

/// What is cut off beside another change: worlds first, then what it changes of the label time.
fn with_first(beside: &Hypothesis, cut: Change) -> Hypothesis {
    let world = part(beside, Layer::World).into_iter().chain([cut]);
    world.chain(part(beside, Layer::Instant)).collect()
}

fn is_cut(change: &Change) -> bool {
    matches!(change.apart().0, Change::Truncated { .. })
}

/// Whether the case lacks an explanation, or a history that was cut off is one but not all of it, or not cut off where it was.
fn unfinished(case: &Case<'_>) -> bool {
    !case.done && (Search::lacks(case) || is_near(case))
}

/// Whether a first event explains the case, but for a little.
fn is_near(case: &Case<'_>) -> bool {
    let best = best(&case.scored, case.tried).filter(|_| !case.done);
    best.is_some_and(|best| Search::is_rough(case) && best.changes.iter().any(is_cut))
}

impl Search<'_> {
    /// Histories that were cut off: of all sources, of one alone, and beside another cause: one of the `worlds`, or of the `instants`.
    pub(super) async fn histories(
        &self,
        cases: &mut [Case<'_>],
        worlds: &[Change],
        instants: &[Hypothesis],
    ) -> Result<()> {
        self.fit_first(cases, &Vec::new(), None).await?;
        let reads = &self.sources.reads;
        for source in reads.iter().filter(|_| (2..=MOST_FITTED).contains(&reads.len())) {
            if cases.iter().any(unfinished) {
                self.fit_first(cases, &Vec::new(), Some(*source)).await?;
            }
        }
        if !cases.iter().any(unfinished) {
            return Ok(());
        }
        let mut grids: Vec<Grid> = Vec::new();
        for first in Self::leaders(cases, is_cut) {
            grids.push((vec![first.clone()], instants.to_vec()));
            grids.extend(worlds.iter().map(|world| (vec![world.clone(), first.clone()], vec![Vec::new()])));
        }
        self.try_grids(cases, self.rows.two, grids).await?;
        for leader in Self::leaders(cases, |change| !is_cut(change) && change.layer() != Layer::Value) {
            if !cases.iter().any(unfinished) {
                break;
            }
            let beside = vec![leader];
            self.fit_first(cases, &beside, None).await?;
            // A simpler one may do beside the first event that was found so.
            let found = |case: &Case<'_>| -> Option<Change> {
                let best = best(&case.scored, case.tried)?;
                let first = best.changes.iter().find(|change| is_cut(change))?;
                best.changes.contains(&beside[0]).then(|| first.clone())
            };
            let mut firsts: Vec<Change> = cases.iter().filter(|case| !case.done).filter_map(found).collect();
            firsts.dedup();
            let simpler = |world: &&Change| world.freedom() < beside[0].freedom();
            let grids = firsts.iter().flat_map(|first| {
                worlds.iter().filter(simpler).map(|world| (vec![world.clone(), first.clone()], vec![Vec::new()]))
            });
            self.try_grids(cases, self.rows.two, grids.collect()).await?;
        }
        Ok(())
    }

    /// Looks for the first event that was left, in all sources or in one, `beside` another change: the case with most open rows leads, by
    /// whether its values are still on the side of the replayed ones.
    pub(super) async fn fit_first(
        &self,
        cases: &mut [Case<'_>],
        beside: &Hypothesis,
        source: Option<usize>,
    ) -> Result<()> {
        let cut = |first: i64| Change::Truncated { first }.within(source);
        if !(self.allowed)(&cut(0)) {
            return Ok(());
        }
        let last = self.labels.times.values().last().copied();
        let Some((first, last)) = self.lab.first_event(source).zip(last) else { return Ok(()) };
        let mut led: Vec<usize> = Vec::new();
        while led.len() < MOST_LEADS {
            let next = Self::leads(cases, beside).into_iter().find(|number| !led.contains(number));
            // For a case of which nearly all is told by a first event another one may be nearer.
            let near = || (0..cases.len()).find(|number| !led.contains(number) && is_near(&cases[*number]));
            let Some(number) = next.or_else(near) else { break };
            led.push(number);
            let Some(lead) = self.lead(cases, number, beside, self.rows.one).await? else { continue };
            let within = self.fit_by(cases, &lead, (beside, &cut), (first, last)).await?;
            if let Some(within) = within
                && cases[number].has_more_than(self.rows.one)
                && let Some(lead) = self.lead(cases, number, beside, FINE).await?
            {
                self.refine(cases, &lead, (beside, &cut), within).await?;
            }
        }
        Ok(())
    }

    /// Which cases lead, one after the other: beside another change the one for which that does most; else the one for which nothing
    /// else does anything, as far as is known, and the one with most open rows.
    fn leads(cases: &[Case<'_>], beside: &Hypothesis) -> Vec<usize> {
        let lacking = || (0..cases.len()).filter(|&i| unfinished(&cases[i]));
        let done = |i: usize, wanted: &dyn Fn(&Hypothesis) -> bool| {
            let own = cases[i].scored.iter().filter(|s| wanted(&s.changes));
            own.map(|s| s.judged.explained).max().unwrap_or(0)
        };
        let open = |i: usize| (cases[i].open.len(), Reverse(i));
        if !beside.is_empty() {
            return lacking().max_by_key(|&i| (done(i, &|changes| changes == beside), open(i))).into_iter().collect();
        }
        let alone = lacking().filter(|&i| Self::explained(&cases[i]) < ENOUGH);
        let alone = alone.min_by_key(|&i| (done(i, &|changes| changes.len() == 1), Reverse(open(i))));
        let mut leads: Vec<usize> = alone.into_iter().chain(lacking().max_by_key(|&i| open(i))).collect();
        leads.dedup();
        leads
    }

    /// By halves, on the screened rows. Where a first event was found that explains most there, between which instants it is.
    async fn fit_by(
        &self,
        cases: &mut [Case<'_>],
        lead: &Lead,
        (beside, cut): (&Hypothesis, &(dyn Fn(i64) -> Change + Sync)),
        (mut early, mut late): (i64, i64),
    ) -> Result<Option<(i64, i64)>> {
        // The instants that were tried, each with what it explains and breaks; none where it moves nothing.
        let mut tried: BTreeMap<i64, Option<Judgement>> = BTreeMap::from([(early, None), (late, None)]);
        for _ in 0..MOST_HALVES {
            let Some(middle) = between(early, late) else { break };
            self.try_firsts(cases, lead, (beside, cut), &[middle], &mut tried).await?;
            let judged = tried[&middle];
            let side = match judged {
                Some(judged) if judged.explains() >= SETTLING && judged.broken > 0 => Ordering::Greater,
                Some(judged) if judged.explains() >= SETTLING => return Ok(Some((early, late))),
                _ => self.side(cases, lead, &with_first(beside, cut(middle))).await?,
            };
            match (side, judged) {
                (Ordering::Less, _) => early = middle,
                // Nothing moved, and all that differs is as it was: there may be less to take away.
                (Ordering::Greater, _) | (Ordering::Equal, None) => late = middle,
                (Ordering::Equal, Some(_)) => break,
            }
        }
        // A value that has lost something may be the legacy one again when it has lost more (a median): then a row tells the wrong side. What
        // explains most is near, and lies between the two that were tried beside it.
        for _ in 0..MOST_ZOOMS {
            let Some((at, judged)) = peak(&tried).filter(|(_, judged)| judged.explains() > PROMISING) else { break };
            if judged.explains() >= SETTLING && judged.broken == 0 {
                break;
            }
            let firsts: Vec<i64> = parts(around(&tried, at)).into_iter().filter(|at| !tried.contains_key(at)).collect();
            if firsts.is_empty() {
                break;
            }
            self.try_firsts(cases, lead, (beside, cut), &firsts, &mut tried).await?;
        }
        let peak = peak(&tried).filter(|(_, judged)| judged.explains() > MOST);
        Ok(peak.map(|(at, _)| around(&tried, at)))
    }

    /// Tries first events on the screened rows of all cases, and notes what each does for the one that leads.
    async fn try_firsts(
        &self,
        cases: &mut [Case<'_>],
        lead: &Lead,
        (beside, cut): (&Hypothesis, &(dyn Fn(i64) -> Change + Sync)),
        firsts: &[i64],
        tried: &mut BTreeMap<i64, Option<Judgement>>,
    ) -> Result<()> {
        let wanted = |first: i64| with_first(beside, cut(first));
        let instant = part(beside, Layer::Instant);
        let grid = |first: &i64| (part(&wanted(*first), Layer::World), vec![instant.clone()]);
        self.try_grids(cases, self.rows.one, firsts.iter().map(grid).collect()).await?;
        for &first in firsts {
            // By itself, or with a change of the number.
            let wanted = wanted(first);
            let scored = cases[lead.case].scored.iter().filter(|s| s.changes.starts_with(&wanted));
            tried.insert(first, scored.max_by_key(|s| s.judged.explained).map(|s| s.judged));
        }
        Ok(())
    }

    /// The same on more rows, from where the screened ones stopped to tell; what it comes to is then tried on these.
    async fn refine(
        &self,
        cases: &mut [Case<'_>],
        lead: &Lead,
        (beside, cut): (&Hypothesis, &(dyn Fn(i64) -> Change + Sync)),
        (mut early, mut late): (i64, i64),
    ) -> Result<()> {
        let mut found = None;
        for _ in 0..MOST_HALVES {
            let Some(middle) = between(early, late) else { break };
            found = Some(middle);
            match self.side(cases, lead, &with_first(beside, cut(middle))).await? {
                Ordering::Greater => late = middle,
                Ordering::Less => early = middle,
                Ordering::Equal => break,
            }
        }
        let Some(first) = found else { return Ok(()) };
        let wanted = with_first(beside, cut(first));
        let known = |case: &Case<'_>| case.scored.iter().any(|s| s.changes == wanted);
        if cases.iter().any(known) {
            return Ok(());
        }
        self.try_grids(cases, self.rows.one, vec![(part(&wanted, Layer::World), vec![part(beside, Layer::Instant)])])
            .await
    }

    /// The case that leads the search for the first event, with its values under `base`; none where the view has no answer.
    async fn lead(
        &self,
        cases: &[Case<'_>],
        number: usize,
        base: &Hypothesis,
        rows: (usize, usize),
    ) -> Result<Option<Lead>> {
        let case = &cases[number];
        let sample = case.screen(rows);
        let labels: Vec<usize> = sample.iter().map(|(p, _)| case.compared.label_row(*p)).collect();
        let panel = Panel::new(labels.iter().copied());
        let grid = (part(base, Layer::World), vec![part(base, Layer::Instant)]);
        let Some(answers) = self.lab.answers(&panel, &[grid]).await.pop().flatten() else { return Ok(None) };
        let sides = Sides::new(case, &panel, &sample).map_err(failed)?;
        let whole = Arc::clone(&answers.columns[case.slot]);
        let readings = self.readings(case, answers.of(case.slot))?;
        let block = Block::new(case, &readings, panel.labels.len(), &sides).map_err(failed)?;
        let before = block.map(|block| block.rows(0));
        Ok(before.map(|before| Lead { case: number, labels, panel, sides, whole, before }))
    }

    /// The values, and those with 0 in the place of NULL: where events are gone rows may be missing, which an old system may have filled.
    fn readings(&self, case: &Case<'_>, (column, found): (&ArrayRef, &BooleanArray)) -> Result<Vec<ArrayRef>> {
        let mut all = vec![Arc::clone(column)];
        if (self.allowed)(&Change::NullsAsZero) && case.spec.data_type.is_numeric() {
            all.extend(values::changed(&Change::NullsAsZero, case.spec, column, found).map_err(failed)?);
        }
        Ok(all)
    }

    /// Whether a history that was cut off as in `wanted` begins too early (less) or too late (greater). A value that is wrong and not changed
    /// by it lacks something; one that was right has lost something. Where no row is of either kind, it counts for how many the way from
    /// the values of the whole history to the legacy ones is overshot.
    async fn side(&self, cases: &[Case<'_>], lead: &Lead, wanted: &Hypothesis) -> Result<Ordering> {
        let case = &cases[lead.case];
        let grid = (part(wanted, Layer::World), vec![part(wanted, Layer::Instant)]);
        let Some(answers) = self.lab.answers(&lead.panel, &[grid]).await.pop().flatten() else {
            return Ok(Ordering::Equal);
        };
        let cut = &answers.columns[case.slot];
        let readings = self.readings(case, answers.of(case.slot))?;
        let block = Block::new(case, &readings, lead.panel.labels.len(), &lead.sides);
        let changed = Agreement::new(cut, &lead.whole, case.compared.tolerance()).map_err(|e| failed(e.into()))?;
        let (Some(block), Some(changed)) = (block.map_err(failed)?, changed) else {
            return Ok(Ordering::Equal);
        };
        let (mut lost, mut lacking, mut overshot) = (0, 0, 0_i64);
        for (row, before) in block.rows(0).iter().zip(&lead.before).filter(|(row, _)| !row.agrees) {
            let place = lead.panel.place(lead.labels[row.seat]).unwrap_or_default();
            if before.agrees {
                lost += 1;
            } else if changed.agrees(place, place) {
                lacking += 1;
            } else {
                overshot += match (row.x, row.y, before.x) {
                    (Some(x), Some(y), Some(base)) if (y - x) * (y - base) < 0.0 => 1,
                    // What had to go is gone, and more.
                    (None, Some(_), _) => 1,
                    _ => -1,
                };
            }
        }
        Ok(lost.cmp(&lacking).then(overshot.cmp(&0)))
    }
}

/// A round instant between the two, at least a minute from either: a day's start where there is one, else an hour's, else
/// a minute's.
fn between(early: i64, late: i64) -> Option<i64> {
    let middle = early + (late.checked_sub(early)?) / 2;
    [DAY, HOUR, MINUTE].into_iter().find_map(|unit| {
        let down = middle.div_euclid(unit) * unit;
        [down, down + unit].into_iter().find(|t| *t > early && *t < late)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_instants_are_tried_first() {
        assert_eq!(between(0, 10 * DAY), Some(5 * DAY));
        assert_eq!(between(DAY + 1, DAY + 4 * HOUR), Some(DAY + 2 * HOUR));
        assert_eq!(between(0, MINUTE), None);
        assert_eq!(parts((5, 8 * HOUR + 5)), [1, 2, 3, 4, 5, 6, 7].map(|hour| hour * HOUR));
        assert_eq!((parts((0, 3 * MINUTE)), parts((0, MINUTE))), (vec![MINUTE, 2 * MINUTE], Vec::new()));
    }
}
