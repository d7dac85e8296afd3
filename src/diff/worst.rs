//! The cells that differ most, for people to look at.
//!
//! Cells that no cause explains come first. Among them numbers, by the size of their difference; then other values that
//! differ; then NULLs on one side. Ties go to the earlier label row.

use std::cmp::Ordering;

use datafusion::arrow::array::ArrayRef;
use serde_json::Map;

use super::align::Pair;
use super::cell::Outcome;
use super::feature::ComparedCells;
use super::{DiffError, WorstCell, render};

const MOST_CELLS: usize = 10;

/// A mismatch on its way to the list.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    explained: bool,
    /// 0 numbers, 1 other values, 2 a NULL on one side.
    class: u8,
    delta: Option<f64>,
    pair: Pair,
}

impl Candidate {
    /// Less is worse.
    fn order(&self, other: &Self) -> Ordering {
        let size = |candidate: &Self| candidate.delta.unwrap_or(0.0).abs();
        let class = (self.explained, self.class).cmp(&(other.explained, other.class));
        class.then(size(other).total_cmp(&size(self))).then(self.pair.cmp(&other.pair))
    }
}

/// What tells label rows apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct LabelRows<'a> {
    pub key_names: &'a [String],
    pub keys: &'a [ArrayRef],
    pub time: &'a ArrayRef,
}

pub(super) fn worst(rows: LabelRows<'_>, feature: &ComparedCells, pairs: &[Pair]) -> Result<Vec<WorstCell>, DiffError> {
    let mut worst: Vec<Candidate> = Vec::with_capacity(MOST_CELLS + 1);
    let Some(cells) = &feature.cells else { return Ok(Vec::new()) };
    for at in feature.mismatched.set_indices() {
        let pair = pairs[at];
        let cell = cells.compare(pair.label, pair.legacy);
        let class = match (cell.outcome, cell.delta) {
            (Outcome::Different, Some(_)) => 0,
            (Outcome::Different, None) => 1,
            _ => 2,
        };
        let explained = feature.cause_of.contains_key(&at);
        let candidate = Candidate { explained, class, delta: cell.delta, pair };
        let at = worst.partition_point(|other| other.order(&candidate).is_lt());
        if at < MOST_CELLS {
            worst.insert(at, candidate);
            worst.truncate(MOST_CELLS);
        }
    }
    worst.into_iter().map(|candidate| shown(rows, feature, candidate)).collect()
}

fn shown(rows: LabelRows<'_>, feature: &ComparedCells, candidate: Candidate) -> Result<WorstCell, DiffError> {
    let Pair { label, legacy } = candidate.pair;
    let mut keys = Map::new();
    for (name, column) in rows.key_names.iter().zip(rows.keys) {
        keys.insert(name.clone(), render::json(column, label)?);
    }
    Ok(WorstCell {
        keys,
        time: render::text(rows.time, label)?,
        legacy: render::json(&feature.legacy, legacy)?,
        replayed: render::json(&feature.replayed, label)?,
        delta: candidate.delta,
    })
}
