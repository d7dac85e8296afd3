//! The retraining dataset: label rows with features, in a defined order, in a defined schema, as Parquet.

mod conform;
mod parquet;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::error::Result as DfResult;

use crate::analysis::Feature;
use crate::source::Labels;

pub use conform::{Conform, UnfitValue, lossless};
pub use parquet::writer;

/// Label columns as they are, then the features. One row per label row, in the labels' order.
///
/// # Errors
/// Only where lengths differ, which is a defect.
pub fn natural(labels: &Labels, features: &[Feature], values: &[ArrayRef]) -> DfResult<RecordBatch> {
    let mut columns = labels.batch.columns().to_vec();
    columns.extend(values.iter().cloned());
    Ok(RecordBatch::try_new(Arc::new(natural_schema(&labels.batch.schema(), features)), columns)?)
}

/// The schema of [`natural`].
pub fn natural_schema(labels: &Schema, features: &[Feature]) -> Schema {
    let own = labels.fields().iter().map(|f| f.as_ref().clone());
    let made = features.iter().map(|f| Field::new(&f.name, f.data_type.clone(), true));
    Schema::new(own.chain(made).collect::<Vec<_>>())
}
