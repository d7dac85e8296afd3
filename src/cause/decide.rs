//! What is taken: the leading hypotheses on all rows of the sample, and of what is one as good as the other what features of a view agree on.

use std::collections::{BTreeSet, HashMap};

use crate::cause::case::{Block, Case, Hypothesis, Panel, SETTLED, Scored, Sides, best, equals, leading, part, rivals};
use crate::cause::change::Layer;
use crate::cause::search::{BREAKING, Search, failed};
use crate::cause::values;
use crate::error::Result;

/// Hypotheses of each feature that are tried on the whole sample.
const LEADING: usize = 6;
/// So many features of a view at least, and a third of them, have to agree on what is taken for another.
const LEAST_AGREE: usize = 2;

/// By number of the hypothesis, the mismatches that it explains and the share of agreeing rows that it breaks.
type Hits = HashMap<usize, (Vec<usize>, f64)>;

impl Search<'_> {
    /// Tries the leading hypotheses on all rows of the sample and takes the best of each case. Where nothing holds for a case by
    /// itself, a hypothesis that holds for another feature of the view may (see [`Established`]).
    /// Not `last`: nothing is taken, and false, where what explained all screened rows of a case does not explain all others.
    pub(super) async fn decide(&self, cases: &mut [Case<'_>], last: bool) -> Result<bool> {
        let (mut wanted, mut spare): (Vec<Hypothesis>, Vec<Vec<Hypothesis>>) = Default::default();
        for case in cases.iter() {
            let leading = if case.done { Vec::new() } else { leading(&case.scored, case.tried, LEADING) };
            let (first, others) = rivals(&case.scored, leading);
            want(&mut wanted, first);
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
                want(&mut wanted, std::mem::take(&mut spare[number]));
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
}

/// Adds the hypotheses, each once.
fn want(wanted: &mut Vec<Hypothesis>, more: Vec<Hypothesis>) {
    for hypothesis in more.into_iter().flat_map(resolved) {
        if !wanted.contains(&hypothesis) {
            wanted.push(hypothesis);
        }
    }
}

/// The same hypothesis by each window that it changes, where it changes several.
fn resolved(hypothesis: Hypothesis) -> Vec<Hypothesis> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::change::{Change, DAY};

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
