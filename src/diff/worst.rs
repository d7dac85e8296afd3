//! The cells that differ most, for people to look at.
//!
//! Numbers first, by the size of their difference; then other values that differ; then NULLs on one side. Ties go to
//! the earlier label row.

use std::cmp::Ordering;

use serde_json::Map;

use super::align::Pair;
use super::cell::Outcome;
use super::feature::Counted;
use super::{DiffError, DiffInput, FeaturePair, WorstCell, render};

const MOST_CELLS: usize = 10;

/// A mismatch on its way to the list.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    /// 0 numbers, 1 other values, 2 a NULL on one side.
    class: u8,
    delta: Option<f64>,
    pair: Pair,
}

impl Candidate {
    /// Less is worse.
    fn order(&self, other: &Self) -> Ordering {
        let size = |candidate: &Self| candidate.delta.unwrap_or(0.0).abs();
        self.class.cmp(&other.class).then(size(other).total_cmp(&size(self))).then(self.pair.cmp(&other.pair))
    }
}

pub(super) fn worst(
    input: &DiffInput<'_>,
    feature: &FeaturePair,
    counted: &Counted,
    pairs: &[Pair],
) -> Result<Vec<WorstCell>, DiffError> {
    let mut worst: Vec<Candidate> = Vec::with_capacity(MOST_CELLS + 1);
    let Some(cells) = &counted.cells else { return Ok(Vec::new()) };
    for (pair, outcome) in pairs.iter().zip(&counted.outcomes).filter(|(_, outcome)| outcome.is_mismatch()) {
        let delta = cells.compare(pair.label, pair.legacy).delta;
        let class = match (outcome, delta) {
            (Outcome::Different, Some(_)) => 0,
            (Outcome::Different, None) => 1,
            _ => 2,
        };
        let candidate = Candidate { class, delta, pair: *pair };
        let at = worst.partition_point(|other| other.order(&candidate).is_lt());
        if at < MOST_CELLS {
            worst.insert(at, candidate);
            worst.truncate(MOST_CELLS);
        }
    }
    worst.into_iter().map(|candidate| cell(input, feature, candidate)).collect()
}

fn cell(input: &DiffInput<'_>, feature: &FeaturePair, candidate: Candidate) -> Result<WorstCell, DiffError> {
    let Pair { label, legacy } = candidate.pair;
    let mut keys = Map::new();
    for (name, column) in input.key_names.iter().zip(&input.labels.keys) {
        keys.insert(name.clone(), render::json(column, label)?);
    }
    Ok(WorstCell {
        keys,
        time: render::text(&input.labels.time, label)?,
        legacy: render::json(&feature.legacy, legacy)?,
        replayed: render::json(&feature.replayed, label)?,
        delta: candidate.delta,
    })
}
