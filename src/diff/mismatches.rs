//! Every cell that differs, as rows of `mismatches/<snapshot>/`.
//!
//! Kept as one bit per matched row and feature, and written out batch by batch: a snapshot of a million rows in which
//! everything differs costs no more memory than one in which nothing does.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Float64Builder, RecordBatch, StringBuilder, UInt64Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::align::Pair;
use super::feature::ComparedCells;
use super::worst::LabelRows;
use super::{Compared, DiffError, DiffInput, render};

/// The columns beside the keys, in their order.
const COLUMNS: [&str; 6] = ["time", "feature", "legacy", "replayed", "delta", "cause"];

/// The mismatching cells of a snapshot, ordered by label row, then by feature as they were given.
///
/// Columns: the keys under their label names and types (a key that is named like another column is `key_<name>`),
/// `time` as the labels have it, `feature`, `legacy` and `replayed` as text (NULL where NULL), `delta` (replayed -
/// legacy where both are finite numbers, else NULL) and `cause` (text, `a+b` where it takes two; NULL where none explains it).
#[derive(Debug)]
pub struct Mismatches {
    schema: SchemaRef,
    keys: Vec<ArrayRef>,
    time: ArrayRef,
    key_names: Vec<String>,
    pairs: Vec<Pair>,
    features: Vec<ComparedCells>,
}

impl Mismatches {
    pub(super) fn new(input: &DiffInput<'_>, pairs: Vec<Pair>, features: Vec<ComparedCells>) -> Self {
        let key_name = |name: &String| {
            if COLUMNS.contains(&name.as_str()) { format!("key_{name}") } else { name.clone() }
        };
        let keys = input.key_names.iter().zip(&input.labels.keys);
        let mut fields: Vec<Field> =
            keys.map(|(name, column)| Field::new(key_name(name), column.data_type().clone(), true)).collect();
        fields.push(Field::new("time", input.labels.time.data_type().clone(), true));
        fields.push(Field::new("feature", DataType::Utf8, false));
        fields.push(Field::new("legacy", DataType::Utf8, true));
        fields.push(Field::new("replayed", DataType::Utf8, true));
        fields.push(Field::new("delta", DataType::Float64, true));
        fields.push(Field::new("cause", DataType::Utf8, true));
        Self {
            schema: Arc::new(Schema::new(fields)),
            keys: input.labels.keys.clone(),
            time: Arc::clone(&input.labels.time),
            key_names: input.key_names.to_vec(),
            pairs,
            features,
        }
    }

    /// The compared cells of a feature, by its position.
    pub fn compared(&self, feature: usize) -> Compared<'_> {
        Compared { pairs: &self.pairs, cells: &self.features[feature] }
    }

    /// Label rows, each with the snapshot row that it is compared with, in the order of the label rows.
    pub fn matched(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.pairs.iter().map(|pair| (pair.label, pair.legacy))
    }

    /// How many features were compared.
    pub fn features(&self) -> usize {
        self.features.len()
    }

    /// Says what explains the mismatches of a feature: `causes` by name, and by label row which of them.
    pub fn explain(&mut self, feature: usize, causes: Vec<String>, cause_of: HashMap<usize, u16>) {
        let feature = &mut self.features[feature];
        feature.causes = causes;
        feature.cause_of = cause_of;
    }

    /// What cells of a feature are shown with.
    pub(super) fn shown(&self, feature: usize) -> (LabelRows<'_>, &ComparedCells, &[Pair]) {
        let rows = LabelRows { key_names: &self.key_names, keys: &self.keys, time: &self.time };
        (rows, &self.features[feature], &self.pairs)
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many cells differ.
    pub fn rows(&self) -> usize {
        self.features.iter().map(|feature| feature.mismatched.count_set_bits()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// The cells in batches of at most `batch_rows` (at least 1); none where nothing differs.
    pub fn batches(&self, batch_rows: usize) -> impl Iterator<Item = Result<RecordBatch, DiffError>> + '_ {
        let mut cells = self.cells();
        std::iter::from_fn(move || {
            let batch: Vec<_> = cells.by_ref().take(batch_rows.max(1)).collect();
            (!batch.is_empty()).then(|| self.batch(&batch))
        })
    }

    /// Pairs of rows, each with the feature that differs there.
    fn cells(&self) -> impl Iterator<Item = (Pair, &ComparedCells)> {
        self.pairs.iter().enumerate().flat_map(move |(at, pair)| {
            let differing = self.features.iter().filter(move |feature| feature.mismatched.value(at));
            differing.map(move |feature| (*pair, feature))
        })
    }

    fn batch(&self, cells: &[(Pair, &ComparedCells)]) -> Result<RecordBatch, DiffError> {
        let rows: UInt64Array = cells.iter().map(|(pair, _)| pair.label as u64).collect();
        let mut columns = Vec::with_capacity(self.keys.len() + COLUMNS.len());
        for column in self.keys.iter().chain([&self.time]) {
            columns.push(take(column, &rows, None)?);
        }
        let (mut feature, mut legacy, mut replayed) =
            (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
        let mut delta = Float64Builder::with_capacity(cells.len());
        let mut cause = StringBuilder::new();
        for (pair, compared) in cells {
            cause.append_option(compared.cause_of.get(&pair.label).and_then(|&i| compared.causes.get(usize::from(i))));
            feature.append_value(&compared.feature);
            legacy.append_option(render::text(&compared.legacy, pair.legacy)?);
            replayed.append_option(render::text(&compared.replayed, pair.label)?);
            let cells = compared.cells.as_ref();
            delta.append_option(cells.and_then(|cells| cells.compare(pair.label, pair.legacy).delta));
        }
        columns.push(Arc::new(feature.finish()));
        columns.push(Arc::new(legacy.finish()));
        columns.push(Arc::new(replayed.finish()));
        columns.push(Arc::new(delta.finish()));
        columns.push(Arc::new(cause.finish()));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

#[cfg(test)]
#[path = "mismatches_tests.rs"]
mod tests;
