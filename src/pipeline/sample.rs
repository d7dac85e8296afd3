//! The rows on which causes are looked for: of every feature enough that differ and enough that agree, picked by lot.
//!
//! The lot of a row is a hash of its number among all label rows, so the same rows are picked wherever chunks are cut.

use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use datafusion::arrow::compute::{concat, concat_batches, take, take_record_batch};
use datafusion::arrow::error::ArrowError;

use crate::cause::lot;
use crate::diff::{Mismatches, Part};
use crate::source::Labels;

/// Of each feature, so many times as many rows as causes are tested on may differ, and as many may agree: the tests pick among them by
/// time and size.
const DIFFERING: usize = 2;

/// The rows with the smallest lots.
#[derive(Debug, Default)]
struct Lots {
    picked: BinaryHeap<(u64, usize)>,
}

impl Lots {
    fn add(&mut self, row: usize, most: usize) {
        let lot = (lot(row), row);
        if self.picked.len() < most {
            self.picked.push(lot);
        } else if self.picked.peek().is_some_and(|worst| lot < *worst) {
            self.picked.pop();
            self.picked.push(lot);
        }
    }
}

/// Rows picked of one snapshot's comparison, chunk by chunk.
#[derive(Debug, Default)]
pub(super) struct Picking {
    /// By feature of the snapshot: rows that differ, rows that agree.
    features: Vec<(Lots, Lots)>,
}

impl Picking {
    /// Looks at a part whose first label row is number `first` of all. `sample`: on so many rows causes are tested.
    pub(super) fn add(&mut self, part: &Part, first: usize, sample: usize) {
        let mismatches: &Mismatches = &part.mismatches;
        self.features.resize_with(mismatches.features(), Default::default);
        for (at, (differing, agreeing)) in self.features.iter_mut().enumerate() {
            let compared = mismatches.compared(at);
            compared.mismatched().for_each(|p| differing.add(first + compared.label_row(p), sample * DIFFERING));
            compared.agreeing().for_each(|p| agreeing.add(first + compared.label_row(p), sample));
        }
    }

    /// The numbers of the picked label rows; none where nothing differs.
    pub(super) fn finish(self) -> BTreeSet<usize> {
        if self.features.iter().all(|(differing, _)| differing.picked.is_empty()) {
            return BTreeSet::new();
        }
        let lots = self.features.into_iter().filter(|(differing, _)| !differing.picked.is_empty());
        lots.flat_map(|(a, b)| a.picked.into_iter().chain(b.picked)).map(|(_, row)| row).collect()
    }
}

/// Picked label rows with what they are compared with; gathered chunk by chunk, in the order of the label rows.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// Numbers of the label rows.
    pub rows: Vec<usize>,
    labels: Vec<Labels>,
    /// By chunk, by feature of the project.
    features: Vec<Vec<ArrayRef>>,
    covered: Vec<Vec<BooleanArray>>,
    legacy: Vec<RecordBatch>,
}

/// A sample as one comparison.
#[derive(Debug)]
pub(super) struct Gathered {
    pub rows: Vec<usize>,
    pub labels: Labels,
    pub features: Vec<ArrayRef>,
    pub covered: Vec<BooleanArray>,
    pub legacy: RecordBatch,
}

impl Sample {
    /// Takes the picked rows of a part whose first label row is number `first` of all.
    pub(super) fn add(
        &mut self,
        picked: &BTreeSet<usize>,
        (part, first): (&Part, usize),
        labels: &Labels,
        (features, covered): (&[ArrayRef], &[BooleanArray]),
        legacy: &RecordBatch,
    ) -> Result<(), ArrowError> {
        let pairs = part.mismatches.matched();
        let wanted: Vec<(usize, usize)> = pairs.filter(|(label, _)| picked.contains(&(first + label))).collect();
        let own: UInt64Array = wanted.iter().map(|(label, _)| *label as u64).collect();
        let theirs: UInt64Array = wanted.iter().map(|(_, row)| *row as u64).collect();
        let taken = |array: &ArrayRef| take(array, &own, None);
        self.rows.extend(wanted.iter().map(|(label, _)| first + label));
        self.labels.push(Labels {
            batch: take_record_batch(&labels.batch, &own)?,
            times: take(&labels.times, &own, None)?.to_data().into(),
            keys: labels.keys.iter().map(taken).collect::<Result<_, _>>()?,
        });
        self.features.push(features.iter().map(taken).collect::<Result<_, _>>()?);
        let covered = covered.iter().map(|c| Ok(take(c, &own, None)?.to_data().into()));
        self.covered.push(covered.collect::<Result<_, ArrowError>>()?);
        self.legacy.push(take_record_batch(legacy, &theirs)?);
        Ok(())
    }

    /// `None` where nothing was picked.
    pub(super) fn gathered(self) -> Result<Option<Gathered>, ArrowError> {
        let (Some(first), Some(legacy)) = (self.labels.first(), self.legacy.first()) else { return Ok(None) };
        if self.rows.is_empty() {
            return Ok(None);
        }
        fn joined<'a>(parts: impl Iterator<Item = &'a dyn Array>) -> Result<ArrayRef, ArrowError> {
            concat(&parts.collect::<Vec<_>>())
        }
        let labels = Labels {
            batch: concat_batches(&first.batch.schema(), self.labels.iter().map(|l| &l.batch))?,
            times: joined(self.labels.iter().map(|l| &l.times as &dyn Array))?.to_data().into(),
            keys: (0..first.keys.len())
                .map(|key| joined(self.labels.iter().map(|l| l.keys[key].as_ref())))
                .collect::<Result<_, _>>()?,
        };
        let count = self.features.first().map_or(0, Vec::len);
        let features = (0..count).map(|f| joined(self.features.iter().map(|own| own[f].as_ref())));
        let covered =
            (0..count).map(|f| Ok(joined(self.covered.iter().map(|own| &own[f] as &dyn Array))?.to_data().into()));
        Ok(Some(Gathered {
            labels,
            features: features.collect::<Result<_, _>>()?,
            covered: covered.collect::<Result<_, ArrowError>>()?,
            legacy: concat_batches(&Arc::clone(&legacy.schema()), &self.legacy)?,
            rows: self.rows,
        }))
    }
}
