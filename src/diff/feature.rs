//! One feature: every matched row judged, and counted.

use std::collections::HashMap;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::error::ArrowError;

use super::align::Pair;
use super::cell::{Cells, Outcome};
use super::quantile::Spread;
use super::{FeaturePair, Tolerance};

/// Counts of outcomes; `compared` is their sum but for `not_comparable`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub equal: u64,
    pub within_tolerance: u64,
    /// Includes the NULLs on one side only.
    pub mismatched: u64,
    pub null_only_in_snapshot: u64,
    pub null_only_in_replay: u64,
    pub not_comparable: u64,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::NotCovered => {}
            Outcome::NotComparable => self.not_comparable += 1,
            Outcome::Equal => self.equal += 1,
            Outcome::WithinTolerance => self.within_tolerance += 1,
            Outcome::Different => self.mismatched += 1,
            Outcome::NullOnlyInSnapshot => {
                self.mismatched += 1;
                self.null_only_in_snapshot += 1;
            }
            Outcome::NullOnlyInReplay => {
                self.mismatched += 1;
                self.null_only_in_replay += 1;
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.equal += other.equal;
        self.within_tolerance += other.within_tolerance;
        self.mismatched += other.mismatched;
        self.null_only_in_snapshot += other.null_only_in_snapshot;
        self.null_only_in_replay += other.null_only_in_replay;
        self.not_comparable += other.not_comparable;
    }

    pub(super) fn compared(&self) -> u64 {
        self.equal + self.within_tolerance + self.mismatched
    }

    pub(super) fn agreement(&self) -> Option<f64> {
        let compared = self.compared();
        (compared > 0).then(|| (self.equal + self.within_tolerance) as f64 / compared as f64)
    }

    /// Where nothing was compared: only rows that cannot be compared are held against the feature.
    pub(super) fn passes(&self, gate: f64) -> bool {
        self.agreement().map_or(self.not_comparable == 0, |agreement| agreement >= gate)
    }
}

/// A feature judged.
#[derive(Debug)]
pub(super) struct Counted {
    /// One per pair of rows.
    pub outcomes: Vec<Outcome>,
    pub tally: Tally,
    pub spread: Spread,
    /// `None` where the types have no order in common.
    pub cells: Option<Cells>,
}

/// The cells of a feature that was compared, with those marked that differ.
#[derive(Debug)]
pub(super) struct ComparedCells {
    pub feature: String,
    pub replayed: ArrayRef,
    pub legacy: ArrayRef,
    pub cells: Option<Cells>,
    pub tolerance: Tolerance,
    /// One bit per pair of rows.
    pub mismatched: BooleanBuffer,
    /// One bit per pair of rows.
    pub agreeing: BooleanBuffer,
    /// What explains a mismatch, by label row: a position in `causes`.
    pub cause_of: HashMap<usize, u16>,
    /// The names of causes, as cells show them.
    pub causes: Vec<String>,
}

impl Counted {
    pub(super) fn into_cells(self, pair: &FeaturePair) -> ComparedCells {
        ComparedCells {
            feature: pair.feature.clone(),
            replayed: ArrayRef::clone(&pair.replayed),
            legacy: ArrayRef::clone(&pair.legacy),
            cells: self.cells,
            tolerance: pair.tolerance,
            mismatched: self.outcomes.iter().map(|outcome| outcome.is_mismatch()).collect(),
            agreeing: self.outcomes.iter().map(|o| o.is_compared() && !o.is_mismatch()).collect(),
            cause_of: HashMap::new(),
            causes: Vec::new(),
        }
    }
}

pub(super) fn count(feature: &FeaturePair, pairs: &[Pair]) -> Result<Counted, ArrowError> {
    let cells = Cells::new(&feature.replayed, &feature.legacy, feature.tolerance)?;
    let mut outcomes = Vec::with_capacity(pairs.len());
    let mut tally = Tally::default();
    let mut spread = Spread::default();
    for pair in pairs {
        let outcome = match &cells {
            _ if !is_covered(feature.covered.as_ref(), pair.label) => Outcome::NotCovered,
            None => Outcome::NotComparable,
            Some(cells) => {
                let cell = cells.compare(pair.label, pair.legacy);
                if let Some(delta) = cell.delta {
                    spread.add(delta);
                }
                cell.outcome
            }
        };
        tally.add(outcome);
        outcomes.push(outcome);
    }
    Ok(Counted { outcomes, tally, spread, cells })
}

fn is_covered(covered: Option<&BooleanArray>, label: usize) -> bool {
    covered.is_none_or(|covered| covered.is_valid(label) && covered.value(label))
}
