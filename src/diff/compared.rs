//! The compared cells of one feature, for whoever looks for causes, and the same comparison for other values.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::error::ArrowError;

use super::align::Pair;
use super::cell::Cells;
use super::feature::ComparedCells;
use super::{Cause, CauseName, Tolerance};

/// One feature's cells: positions are those of matched rows, in the order of the label rows.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    pub(super) pairs: &'a [Pair],
    pub(super) cells: &'a ComparedCells,
}

impl<'a> Compared<'a> {
    /// Positions that differ, in order.
    pub fn mismatched(&self) -> impl Iterator<Item = usize> + 'a {
        self.cells.mismatched.set_indices()
    }

    /// Positions that agree, in order.
    pub fn agreeing(&self) -> impl Iterator<Item = usize> + 'a {
        self.cells.agreeing.set_indices()
    }

    pub fn label_row(&self, at: usize) -> usize {
        self.pairs[at].label
    }

    pub fn legacy_row(&self, at: usize) -> usize {
        self.pairs[at].legacy
    }

    /// One value per label row.
    pub fn replayed(&self) -> &'a ArrayRef {
        &self.cells.replayed
    }

    /// One value per snapshot row.
    pub fn legacy(&self) -> &'a ArrayRef {
        &self.cells.legacy
    }

    pub fn tolerance(&self) -> Tolerance {
        self.cells.tolerance
    }

    /// `replayed - legacy`, where both are finite numbers.
    pub fn delta(&self, at: usize) -> Option<f64> {
        let cells = self.cells.cells.as_ref()?;
        cells.compare(self.pairs[at].label, self.pairs[at].legacy).delta
    }
}

/// Two columns under the rules by which cells of a snapshot are compared.
#[derive(Debug)]
pub struct Agreement(Cells);

impl Agreement {
    /// `None` where the two types have no order in common.
    ///
    /// # Errors
    /// What Arrow can't bring to a common type.
    pub fn new(values: &ArrayRef, legacy: &ArrayRef, tolerance: Tolerance) -> Result<Option<Self>, ArrowError> {
        Ok(Cells::new(values, legacy, tolerance)?.map(Self))
    }

    pub fn agrees(&self, value: usize, legacy: usize) -> bool {
        !self.0.compare(value, legacy).outcome.is_mismatch()
    }

    /// Whether they agree, and `value - legacy`, where both are finite numbers.
    pub fn compare(&self, value: usize, legacy: usize) -> (bool, Option<f64>) {
        let cell = self.0.compare(value, legacy);
        (!cell.outcome.is_mismatch(), cell.delta)
    }
}

impl Cause {
    /// As cells show it: `a+b` where it takes two.
    pub fn label(&self) -> String {
        match &self.cause {
            CauseName::One(name) => name.clone(),
            CauseName::Together(names) => names.join("+"),
        }
    }
}
