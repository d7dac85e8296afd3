//! Which events the value comes from: the walk over the plan, held against the engine's value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::UInt32Array;
use datafusion::error::Result as DfResult;

use crate::trace::asked::Scan;
use crate::trace::cell::{Cell, Question};
use crate::trace::lineage::{Lineage, Ranks, ScanRows, Stop, Walk, Why};
use crate::trace::rows::SourceRows;
use crate::trace::spell::Speller;

/// More rows than this are not walked through.
const MOST_ROWS: usize = 500_000;

/// What an event has to do with the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// The value is made of it.
    Counts,
    /// It only makes the row exist; why the value does not come from it.
    Exists(Option<Why>),
    /// It does not count.
    Dropped(Why),
    /// It goes into a row that the value does not come from.
    Unused,
    /// A step has no rule.
    Unknown,
}

/// By (source, row) of [`SourceRows`]: the roles of the rows that were walked.
pub(super) type Roles = BTreeMap<(usize, usize), Role>;

/// What the events say about the value.
#[derive(Debug)]
pub(super) struct Attributed {
    pub(super) roles: Roles,
    /// The rows that count give the engine's value, alone.
    pub(super) exact: bool,
    pub(super) recomputed: Option<Cell>,
    pub(super) notes: Vec<String>,
}

/// Attributes `value` to the visible rows.
pub(super) async fn attribute(
    question: &Question<'_>,
    scans: &[Scan],
    sources: &[SourceRows],
    names: &[String],
    value: &Cell,
) -> DfResult<Attributed> {
    let visible: Vec<UInt32Array> = sources.iter().map(SourceRows::visible).collect();
    let mut chosen: Option<Roles> = None;
    let mut last = None;
    for ranks in [Ranks::Chosen, Ranks::Before, Ranks::All] {
        let mut done = attempt(question, scans, sources, &visible, names, value, ranks).await?;
        match &chosen {
            None => chosen = Some(done.roles.clone()),
            // A row that others come from is dropped with each of those: its own rank was told before.
            Some(chosen) => {
                for (event, role) in done.roles.iter_mut().filter(|(_, role)| matches!(role, Role::Dropped(_))) {
                    if let Some(own @ Role::Dropped(_)) = chosen.get(event) {
                        *role = own.clone();
                    }
                }
            }
        }
        if done.exact || done.roles.values().any(|r| *r == Role::Unknown) {
            return Ok(done);
        }
        last = Some(done);
    }
    let mut done =
        last.unwrap_or_else(|| Attributed { roles: Roles::new(), exact: false, recomputed: None, notes: vec![] });
    done.notes.push("the events that seem to count do not give this value alone: take them as hints".to_string());
    Ok(done)
}

async fn attempt(
    question: &Question<'_>,
    scans: &[Scan],
    sources: &[SourceRows],
    visible: &[UInt32Array],
    names: &[String],
    value: &Cell,
    ranks: Ranks,
) -> DfResult<Attributed> {
    let walked = walk(question, scans, sources, visible, names, ranks).await?;
    let (roles, notes) = (walked.roles, walked.notes);
    let unattributed = |notes| Attributed { roles: roles.clone(), exact: false, recomputed: None, notes };
    let Some(found) = walked.cell else { return Ok(unattributed(notes)) };
    if !found.is(value)? {
        let mut notes = notes;
        notes.push(
            "the plan taken step by step gives another value than the engine: a defect, please report it".to_string(),
        );
        return Ok(unattributed(notes));
    }
    let counting: Vec<UInt32Array> = (0..sources.len())
        .map(|s| {
            let own =
                roles.range((s, 0)..(s + 1, 0)).filter(|(_, role)| matches!(role, Role::Counts | Role::Exists(_)));
            UInt32Array::from_iter_values(own.filter_map(|((_, row), _)| u32::try_from(*row).ok()))
        })
        .collect();
    // Over fewer rows an expression may fail that never did: then nothing is claimed.
    let recomputed = question.over(sources, &counting).await.ok().flatten();
    let exact = match &recomputed {
        Some(cell) => cell.is(value)?,
        None => false,
    };
    Ok(Attributed { roles, exact, recomputed, notes })
}

/// What one walk found.
pub(super) struct Walked {
    pub(super) roles: Roles,
    /// `None`: the walk stopped before its end.
    pub(super) cell: Option<Cell>,
    pub(super) notes: Vec<String>,
}

/// Walks the plan over these rows of each source.
pub(super) async fn walk(
    question: &Question<'_>,
    scans: &[Scan],
    sources: &[SourceRows],
    rows: &[UInt32Array],
    names: &[String],
    ranks: Ranks,
) -> DfResult<Walked> {
    let mut offset = 0_u32;
    let mut readings = Vec::with_capacity(scans.len());
    for scan in scans {
        let at = sources.iter().position(|s| s.source == scan.source).unwrap_or_default();
        let own = rows[at].values().to_vec();
        let count = u32::try_from(own.len()).unwrap_or(u32::MAX);
        readings.push(ScanRows { raw: Arc::clone(&sources[at].raw), rows: own, offset, source: names[at].clone() });
        offset = offset.saturating_add(count);
    }
    let place = |event: u32| -> (usize, usize) {
        let scan = readings.partition_point(|r| r.offset <= event) - 1;
        let at = sources.iter().position(|s| s.source == scans[scan].source).unwrap_or_default();
        let row = readings[scan].rows.get((event - readings[scan].offset) as usize).copied().unwrap_or_default();
        (at, row as usize)
    };
    let mut roles: Roles = (0..offset).map(|event| (place(event), Role::Unused)).collect();
    let mut notes = Vec::new();
    let mut walk = Walk::new(question, Speller::of(question.plan), &readings, ranks);
    let walked = if offset as usize > MOST_ROWS {
        Err(Stop::NoRule(format!("{offset} rows")))
    } else {
        walk.rows_of(question.plan, &question.feature.column).await
    };
    let mut cell = None;
    let mut own = Lineage::default();
    match walked {
        Ok(rel) => {
            let columns = rel.names();
            let matching = question.own_rows(&columns, rel.columns(), rel.lineages().len())?;
            let own_rows: BTreeSet<usize> = matching.iter().copied().collect();
            let others = rel.lineages().iter().enumerate().filter(|(row, _)| !own_rows.contains(row));
            for (_, lineage) in others {
                for event in lineage.all() {
                    walk.dropped.insert(event, Why::OtherKey);
                }
            }
            cell = Some(question.cell(&columns, rel.columns(), matching.first().copied())?);
            own = matching.first().map(|&row| rel.lineages()[row].clone()).unwrap_or_default();
        }
        Err(stop) => {
            let step = match stop {
                Stop::NoRule(step) => step,
                Stop::Failed(e) => e.strip_backtrace().lines().next().unwrap_or_default().to_string(),
            };
            notes.push(format!("the value could not be attributed beyond this step: {step}"));
            roles.values_mut().for_each(|role| *role = Role::Unknown);
        }
    }
    notes.extend(walk.notes.iter().cloned());
    // An event that is read twice counts where it counts once; else the reason that came furthest is told.
    for (event, why) in &walk.dropped {
        let role = roles.entry(place(*event)).or_insert(Role::Unused);
        let better = match role {
            Role::Dropped(known) => rank(why) > rank(known),
            _ => true,
        };
        if better {
            *role = Role::Dropped(why.clone());
        }
    }
    for event in own.exists.iter() {
        roles.insert(place(*event), Role::Exists(walk.dropped.get(event).cloned()));
    }
    for event in own.value.iter() {
        roles.insert(place(*event), Role::Counts);
    }
    Ok(Walked { roles, cell, notes })
}

/// How much a reason tells; distinct for distinct kinds, so that the same is told every time.
fn rank(why: &Why) -> (u8, &str) {
    match why {
        Why::OtherKey => (0, ""),
        Why::NoPartner { condition, .. } => (1, condition),
        Why::Outside { condition, .. } => (2, condition),
        Why::Filtered { condition } => (3, condition),
        Why::TakenAway { condition, .. } => (4, condition),
        Why::TakesAway { condition, .. } => (5, condition),
        Why::NotInFilter { condition, .. } => (6, condition),
        Why::NullArgument { argument } => (7, argument),
        Why::NotLatest { by, .. } => (8, by),
    }
}
