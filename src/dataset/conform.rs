//! `schema_of`: the dataset in exactly the schema of a snapshot. Names, types, order and nullability are the snapshot's; a
//! value that does not fit its legacy type is an error that shows it.
//!
//! A conversion is taken only where it keeps the value: the result, converted back, has to equal the original. The one
//! rounding that is taken is that of a float to a narrower float, since nothing else is meant by such a column; an
//! overflow to infinity is refused all the same.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{CastOptions, cast_with_options, kernels::cmp::not_distinct};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::catalog::TableProvider;

use crate::analysis::{Feature, SnapshotTable, comparable_type};
use crate::config::Config;
use crate::finding::Finding;
use crate::source::plain_type;

/// Which column of the natural dataset each column of the snapshot's schema is made of.
#[derive(Debug, Clone)]
pub struct Conform {
    schema: SchemaRef,
    /// Positions in the natural schema.
    from: Vec<usize>,
}

/// A value that the snapshot's schema can't hold.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum UnfitValue {
    #[error("column `{column}` can't hold {value} of row {row} in its legacy type {data_type}")]
    Value { column: String, row: usize, value: String, data_type: DataType },
    #[error("column `{column}` must not be NULL in the legacy schema, but is in row {row}")]
    Null { column: String, row: usize },
    #[error("column `{column}`: {cause}")]
    Cast { column: String, cause: String },
}

impl UnfitValue {
    /// The same value of a table that has so many rows before this one.
    pub fn after(mut self, rows: usize) -> Self {
        if let Self::Value { row, .. } | Self::Null { row, .. } = &mut self {
            *row += rows;
        }
        self
    }
}

impl Conform {
    /// Finds the columns for `snapshot`'s schema among label columns and features.
    ///
    /// # Errors
    /// Columns that are neither, and types that can't be converted.
    pub fn plan(
        config: &Config,
        snapshot: &SnapshotTable,
        natural: &Schema,
        features: &[Feature],
    ) -> Result<Self, Vec<Finding>> {
        let schema = snapshot.table.schema();
        let labels = natural.fields().len() - features.len();
        let place = || config.place("dataset.schema_of");
        let name = &snapshot.config.name;
        let mut findings = Vec::new();
        let mut from = Vec::new();
        for field in schema.fields() {
            let legacy = field.name();
            let mapped = snapshot.columns.iter().find(|c| c.legacy == *legacy).map(|c| labels + c.feature);
            let key = snapshot.config.keys.iter().position(|k| k == legacy).map(|i| config.labels.keys[i].as_str());
            let label = match key {
                Some(key) => key,
                None if *legacy == snapshot.config.time => config.labels.time.as_str(),
                None => legacy.as_str(),
            };
            let own = natural.fields().iter().take(labels).position(|f| f.name() == label);
            let Some(position) = mapped.or(own) else {
                findings.push(
                    Finding::error(format!(
                        "column `{legacy}` of snapshot `{name}` is neither a label column nor a feature"
                    ))
                    .at(place())
                    .help(format!("map it under [snapshots.{name}] columns, or add it to the labels")),
                );
                continue;
            };
            let have = natural.field(position).data_type();
            if !convertible(have, field.data_type()) {
                findings.push(
                    Finding::error(format!(
                        "`{}` is {have}, which can't become {} as snapshot `{name}` has it",
                        natural.field(position).name(),
                        field.data_type()
                    ))
                    .at(place())
                    .help("cast the feature in its view, or drop `schema_of`"),
                );
            }
            from.push(position);
        }
        if findings.is_empty() { Ok(Self { schema, from }) } else { Err(findings) }
    }

    /// The names of natural columns that the snapshot's schema has no place for.
    pub fn left_out<'a>(&self, natural: &'a Schema) -> Vec<&'a str> {
        let kept = |i: &usize| !self.from.contains(i);
        (0..natural.fields().len()).filter(kept).map(|i| natural.field(i).name().as_str()).collect()
    }

    /// The natural dataset in the snapshot's schema.
    ///
    /// # Errors
    /// The first value that does not fit.
    pub fn apply(&self, natural: &RecordBatch) -> Result<RecordBatch, UnfitValue> {
        let mut columns = Vec::with_capacity(self.from.len());
        for (field, &position) in self.schema.fields().iter().zip(&self.from) {
            let array = natural.column(position);
            let failed = |cause: String| UnfitValue::Cast { column: field.name().clone(), cause };
            if !field.is_nullable()
                && let Some(row) = (0..array.len()).find(|&r| array.is_null(r))
            {
                return Err(UnfitValue::Null { column: field.name().clone(), row });
            }
            let cast = converted(array, field.data_type()).map_err(|e| failed(e.to_string()))?;
            if let Some(row) = first_changed(array, &cast).map_err(|e| failed(e.to_string()))? {
                let value = array_value_to_string(array, row).unwrap_or_default();
                let (column, data_type) = (field.name().clone(), field.data_type().clone());
                return Err(UnfitValue::Value { column, row, value, data_type });
            }
            columns.push(cast);
        }
        // Field metadata of the legacy writer (pandas and the like) says nothing about this dataset.
        let fields: Vec<_> = self.schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|e| UnfitValue::Cast { column: "dataset".to_string(), cause: e.to_string() })
    }
}

/// The array in another type, every value kept.
///
/// # Errors
/// The first row whose value the type can't hold.
pub fn lossless(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, usize> {
    let cast = converted(array, to).map_err(|_| 0_usize)?;
    match first_changed(array, &cast) {
        Ok(None) => Ok(cast),
        Ok(Some(row)) => Err(row),
        Err(_) => Err(0),
    }
}

/// Whether some values of the one type are values of the other.
fn convertible(from: &DataType, to: &DataType) -> bool {
    let (from, to) = (&plain_type(from), &plain_type(to));
    let numbers = from.is_numeric() && to.is_numeric();
    from == to || numbers || comparable_type(from, to).is_some() || *from == DataType::Null
}

/// Values that do not fit become NULL.
fn converted(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, datafusion::arrow::error::ArrowError> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    cast_with_options(array, to, &CastOptions { safe: true, ..CastOptions::default() })
}

/// The first row whose value is another after the conversion.
fn first_changed(before: &ArrayRef, after: &ArrayRef) -> Result<Option<usize>, datafusion::arrow::error::ArrowError> {
    if before.data_type() == after.data_type() {
        return Ok(None);
    }
    let narrowed = before.data_type().is_floating() && after.data_type().is_floating();
    let back = converted(after, &plain_type(before.data_type()))?;
    let before = converted(before, &plain_type(before.data_type()))?;
    let same: BooleanArray = not_distinct(&before.as_ref() as &dyn datafusion::arrow::array::Datum, &back.as_ref())?;
    let infinite = |array: &ArrayRef, row: usize| {
        let text = array_value_to_string(array, row).unwrap_or_default();
        text.contains("inf")
    };
    Ok((0..before.len()).find(|&row| {
        if same.value(row) {
            return false;
        }
        if narrowed && back.is_valid(row) && before.is_valid(row) {
            return infinite(&back, row) && !infinite(&before, row);
        }
        true
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Float32Array, Float64Array, Int32Array, Int64Array};
    use datafusion::arrow::datatypes::Field;

    fn apply(array: ArrayRef, to: DataType, nullable: bool) -> Result<ArrayRef, UnfitValue> {
        let natural = Schema::new(vec![Field::new("x", array.data_type().clone(), true)]);
        let batch = RecordBatch::try_new(Arc::new(natural), vec![array]).unwrap();
        let conform = Conform { schema: Arc::new(Schema::new(vec![Field::new("y", to, nullable)])), from: vec![0] };
        conform.apply(&batch).map(|b| Arc::clone(b.column(0)))
    }

    #[test]
    fn a_value_that_fits_takes_the_legacy_type() {
        let got = apply(Arc::new(Int64Array::from(vec![Some(7), None])), DataType::Int32, true).unwrap();
        assert_eq!(got.as_ref(), &Int32Array::from(vec![Some(7), None]) as &dyn Array);
        let got = apply(Arc::new(Float64Array::from(vec![0.1])), DataType::Float32, true).unwrap();
        assert_eq!(got.as_ref(), &Float32Array::from(vec![0.1]) as &dyn Array);
    }

    #[test]
    fn a_value_that_does_not_fit_is_shown_and_never_cut() {
        let wide = apply(Arc::new(Int64Array::from(vec![1, 1 << 40])), DataType::Int32, true);
        assert!(matches!(wide, Err(UnfitValue::Value { row: 1, .. })), "{wide:?}");
        assert!(apply(Arc::new(Float64Array::from(vec![2.5])), DataType::Int64, true).is_err());
        assert!(apply(Arc::new(Float64Array::from(vec![1e300])), DataType::Float32, true).is_err());
        assert!(apply(Arc::new(Int64Array::from(vec![(1 << 53) + 1])), DataType::Float64, true).is_err());
    }

    #[test]
    fn a_null_in_a_column_that_has_none_is_refused() {
        let null = apply(Arc::new(Int64Array::from(vec![Some(7), None])), DataType::Int64, false);
        assert_eq!(null, Err(UnfitValue::Null { column: "y".to_string(), row: 1 }));
    }
}
