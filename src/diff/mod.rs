//! Replayed values held against a legacy snapshot: rows matched, cells compared, differences measured.
//!
//! Arrays in, values out: no storage, no plans, nothing printed, and the same answer for any order of the
//! snapshot's rows. The reader may rely on this:
//!
//! * **Rows** match where their keys and time are equal as values, whatever the types: int32 and int64, plain and
//!   dictionary strings, seconds and nanoseconds in any zone. A NULL key equals a NULL key here, for the question is
//!   which rows stand for the same example; that NULL keys find nothing in a view is the replay's business.
//! * **Duplicates** (n label rows, m snapshot rows with the same keys and time) give min(n, m) pairs. First pair the
//!   rows whose features are all equal; what is left is ordered on both sides by the feature values (NULL first, in
//!   the order of the features; rows that are equal in all of them stay in their own order) and paired off. So equal
//!   multisets agree in any order. The rest are on one side only.
//! * **Cells**: NULL equals NULL and NaN equals NaN; a NULL on one side only is a mismatch. Numbers of any two types
//!   are compared as numbers, without loss: see [`FeatureDiff`] for the counts, `number` for the rules.
//! * **Tolerance** applies where either side is a float or a decimal: `|a-b| <= max(abs, rel*max(|a|,|b|))`.
//!   An infinity equals only itself.
//! * A feature of which **nothing was compared** passes where there was nothing to compare (no rows, or none covered),
//!   and fails where there was: types without a common order, or two sides with rows of which none match.

mod align;
mod cell;
mod common;
mod compared;
mod feature;
mod instant;
mod mismatches;
mod model;
mod number;
mod quantile;
mod render;
mod schema;
mod series;
mod shape;
mod totals;
mod worst;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::error::ArrowError;
use thiserror::Error;

use align::Pair;
use series::Hours;
use totals::{FeatureTotals, PartCounts};

pub use compared::{Agreement, Compared};
pub use mismatches::Mismatches;
pub use model::{
    Cause, CauseName, Delta, FeatureDiff, IssueKind, SchemaIssue, SnapshotDiff, Standing, TimeBucket, WorstCell,
};
pub use totals::Totals;
pub use worst::Worst;

/// One side: the label rows (in dataset order) or the snapshot's rows. All arrays have one length.
#[derive(Debug, Clone)]
pub struct Rows {
    /// In the order of [`DiffInput::key_names`].
    pub keys: Vec<ArrayRef>,
    /// Timestamps of any unit. The values are instants: whoever fills this has taken naive ones to UTC.
    pub time: ArrayRef,
}

/// How far two numbers may lie apart: `|a-b| <= max(abs, rel*max(|a|,|b|))`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tolerance {
    pub abs: f64,
    pub rel: f64,
}

/// A feature and the legacy column that it is held against.
#[derive(Debug, Clone)]
pub struct FeaturePair {
    /// `view.column`.
    pub feature: String,
    /// The legacy column.
    pub column: String,
    /// One value per label row.
    pub replayed: ArrayRef,
    /// One value per snapshot row.
    pub legacy: ArrayRef,
    pub tolerance: Tolerance,
    /// Per label row: do the retained events hold all that the value depends on? `None`: everywhere. NULL is no.
    pub covered: Option<BooleanArray>,
}

/// The two schemas of a comparison, and which columns are the same thing under two names.
#[derive(Debug, Clone, Copy)]
pub struct SchemaPair<'a> {
    /// The dataset's own natural schema: label columns, then features.
    pub dataset: &'a Schema,
    pub snapshot: &'a Schema,
    /// Which columns belong together. Columns of equal name that are in no entry belong together anyway.
    pub columns: &'a [ColumnPair],
}

/// A column of the snapshot, and the dataset's column that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnPair {
    pub legacy: String,
    pub dataset: String,
}

/// All that a comparison needs.
#[derive(Debug)]
pub struct DiffInput<'a> {
    pub snapshot: &'a str,
    pub key_names: &'a [String],
    pub labels: &'a Rows,
    pub legacy: &'a Rows,
    pub features: Vec<FeaturePair>,
    pub schemas: SchemaPair<'a>,
    /// The share of compared values that must agree, per feature.
    pub agreement_gate: f64,
}

/// Whether one replayed value agrees with one legacy value, and `replayed - legacy` where both are numbers. `None`: types
/// without a common order.
///
/// # Errors
/// Only where Arrow can't make a column plain, which is a defect.
pub fn agree(
    (replayed, at): (&ArrayRef, usize),
    (legacy, row): (&ArrayRef, usize),
    tolerance: Tolerance,
) -> Result<Option<(bool, Option<f64>)>, ArrowError> {
    let cells = cell::Cells::new(replayed, legacy, tolerance)?;
    Ok(cells.map(|cells| cells.compare(at, row)).map(|cell| (!cell.outcome.is_mismatch(), cell.delta)))
}

/// A cell's value as JSON, as reports tell it.
///
/// # Errors
/// Only where Arrow can't make a column plain, which is a defect.
pub fn cell_json(column: &ArrayRef, row: usize) -> Result<serde_json::Value, ArrowError> {
    render::json(column, row)
}

/// Why two sides could not be compared.
#[derive(Debug, Error)]
pub enum DiffError {
    #[error("match snapshot `{snapshot}`: key `{key}` is {labels} in the labels and {legacy} in the snapshot")]
    KeyTypes { snapshot: String, key: String, labels: DataType, legacy: DataType },
    #[error("match snapshot `{snapshot}`: the {side} time is {found}, not a timestamp")]
    TimeType { snapshot: String, side: &'static str, found: DataType },
    #[error("compare snapshot `{snapshot}`: {what} has {found} values for {rows} rows (internal)")]
    Length { snapshot: String, what: String, rows: usize, found: usize },
    #[error("compare snapshot `{snapshot}`: {names} key names for {columns} {side} key columns (internal)")]
    KeyCount { snapshot: String, side: &'static str, names: usize, columns: usize },
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Which label row is which row of the snapshot: each row of either side at most once, in the order of the label rows.
///
/// # Errors
/// As [`compare`].
pub fn matched(input: &DiffInput<'_>) -> Result<Vec<(usize, usize)>, DiffError> {
    check(input)?;
    Ok(align::align(input)?.pairs.into_iter().map(|pair| (pair.label, pair.legacy)).collect())
}

/// Label rows held against the snapshot rows of the same times: counts to be added up ([`Totals`]), and the cells that differ.
#[derive(Debug)]
pub struct Part {
    counts: PartCounts,
    pub mismatches: Mismatches,
}

/// Compares some of the label rows with those snapshot rows that may match them. A row of either side is in one part alone.
///
/// # Errors
/// Where keys or times of the two sides cannot be equal for their types, or the input contradicts itself.
pub fn compare(input: &DiffInput<'_>) -> Result<Part, DiffError> {
    check(input)?;
    let alignment = align::align(input)?;
    let hours = Hours::new(&input.labels.time, &alignment.pairs)?;
    let mut features = Vec::with_capacity(input.features.len());
    let mut compared = Vec::with_capacity(input.features.len());
    for pair in &input.features {
        let mut counted = feature::count(pair, &alignment.pairs)?;
        features.push(FeatureTotals::new(pair, &mut counted, &hours));
        compared.push(counted.into_cells(pair));
    }
    let counts = PartCounts {
        rows: input.legacy.time.len() as u64,
        labels: input.labels.time.len() as u64,
        matched: alignment.pairs.len() as u64,
        duplicates: alignment.duplicates,
        span: hours.span,
        features,
    };
    Ok(Part { counts, mismatches: Mismatches::new(input, alignment.pairs, compared) })
}

/// The cells of rows that were matched before: each label row with the snapshot row of the same number.
///
/// # Errors
/// Where the two sides are not of one length, or the input contradicts itself.
pub fn cells(input: &DiffInput<'_>) -> Result<Mismatches, DiffError> {
    check(input)?;
    let (rows, found) = (input.labels.time.len(), input.legacy.time.len());
    if rows != found {
        let (snapshot, what) = (input.snapshot.to_string(), "the snapshot".to_string());
        return Err(DiffError::Length { snapshot, what, rows, found });
    }
    let pairs: Vec<Pair> = (0..rows).map(|row| Pair { label: row, legacy: row }).collect();
    let cells = |pair: &FeaturePair| Ok(feature::count(pair, &pairs)?.into_cells(pair));
    let cells = input.features.iter().map(cells).collect::<Result<_, DiffError>>()?;
    Ok(Mismatches::new(input, pairs, cells))
}

/// That all arrays have the lengths that they say they have.
fn check(input: &DiffInput<'_>) -> Result<(), DiffError> {
    let snapshot = || input.snapshot.to_string();
    let length = |what: String, rows: usize, found: usize| {
        if rows == found { Ok(()) } else { Err(DiffError::Length { snapshot: snapshot(), what, rows, found }) }
    };
    for (side, rows) in [("label", input.labels), ("snapshot", input.legacy)] {
        if !matches!(rows.time.data_type(), DataType::Timestamp(_, _)) {
            return Err(DiffError::TimeType { snapshot: snapshot(), side, found: rows.time.data_type().clone() });
        }
        if rows.keys.len() != input.key_names.len() {
            let (names, columns) = (input.key_names.len(), rows.keys.len());
            return Err(DiffError::KeyCount { snapshot: snapshot(), side, names, columns });
        }
        for (name, key) in input.key_names.iter().zip(&rows.keys) {
            length(format!("{side} key `{name}`"), rows.time.len(), key.len())?;
        }
    }
    for pair in &input.features {
        length(format!("replayed `{}`", pair.feature), input.labels.time.len(), pair.replayed.len())?;
        length(format!("legacy `{}`", pair.column), input.legacy.time.len(), pair.legacy.len())?;
        if let Some(covered) = &pair.covered {
            length(format!("coverage of `{}`", pair.feature), input.labels.time.len(), covered.len())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
