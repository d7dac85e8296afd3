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
use super::{DiffError, Mismatches, WorstCell, render};

const MOST_CELLS: usize = 10;

/// A mismatch on its way to the list.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    explained: bool,
    /// 0 numbers, 1 other values, 2 a NULL on one side.
    class: u8,
    delta: Option<f64>,
    /// Of all label rows.
    label: usize,
}

impl Candidate {
    /// Less is worse.
    fn order(&self, other: &Self) -> Ordering {
        let size = |candidate: &Self| candidate.delta.unwrap_or(0.0).abs();
        let class = (self.explained, self.class).cmp(&(other.explained, other.class));
        class.then(size(other).total_cmp(&size(self))).then(self.label.cmp(&other.label))
    }
}

/// The worst cells of one feature, gathered part by part.
#[derive(Debug, Default)]
pub struct Worst {
    cells: Vec<(Candidate, WorstCell)>,
}

impl Worst {
    /// Looks at the mismatches of a feature in a part whose first label row is number `first` of all.
    ///
    /// # Errors
    /// Cells that can't be shown.
    pub fn add(&mut self, mismatches: &Mismatches, feature: usize, first: usize) -> Result<(), DiffError> {
        let (rows, feature, pairs) = mismatches.shown(feature);
        let Some(cells) = &feature.cells else { return Ok(()) };
        let mut worst: Vec<(Candidate, Option<Pair>)> = self.cells.iter().map(|(c, _)| (*c, None)).collect();
        for at in feature.mismatched.set_indices() {
            let pair = pairs[at];
            let cell = cells.compare(pair.label, pair.legacy);
            let class = match (cell.outcome, cell.delta) {
                (Outcome::Different, Some(_)) => 0,
                (Outcome::Different, None) => 1,
                _ => 2,
            };
            let explained = feature.cause_of.contains_key(&pair.label);
            let candidate = Candidate { explained, class, delta: cell.delta, label: first + pair.label };
            let at = worst.partition_point(|(other, _)| other.order(&candidate).is_lt());
            if at < MOST_CELLS {
                worst.insert(at, (candidate, Some(pair)));
                worst.truncate(MOST_CELLS);
            }
        }
        let mut known = std::mem::take(&mut self.cells).into_iter();
        for (candidate, pair) in worst {
            let cell = match pair {
                Some(pair) => Some(shown(rows, feature, candidate, pair)?),
                None => known.by_ref().find(|(c, _)| c.label == candidate.label).map(|(_, cell)| cell),
            };
            self.cells.extend(cell.map(|cell| (candidate, cell)));
        }
        Ok(())
    }

    /// The cells, the worst first.
    pub fn finish(self) -> Vec<WorstCell> {
        self.cells.into_iter().map(|(_, cell)| cell).collect()
    }
}

/// What tells label rows apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct LabelRows<'a> {
    pub key_names: &'a [String],
    pub keys: &'a [ArrayRef],
    pub time: &'a ArrayRef,
}

fn shown(
    rows: LabelRows<'_>,
    feature: &ComparedCells,
    candidate: Candidate,
    pair: Pair,
) -> Result<WorstCell, DiffError> {
    let Pair { label, legacy } = pair;
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
