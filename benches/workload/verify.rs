//! Whether two outputs say the same, cell by cell.
//!
//! Counts, NULLs, latest values, minima and maxima have to be equal. Sums and means of floats may differ by
//! `1e-6 + 1e-9 * |ours|`: ours are exact and rounded once, the peers add up in an order of their own.

use std::fs::{self, File};
use std::path::Path;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchReader};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{Failed, Result};

const ABSOLUTE: f64 = 1e-6;
const RELATIVE: f64 = 1e-9;

/// Whether a feature is a sum, by its name.
fn may_differ(column: &str) -> bool {
    ["total_", "mean_"].iter().any(|prefix| column.starts_with(prefix))
}

/// Compares the dataset in a folder with a peer's file, by `label_id`; the number of cells, and the largest difference of sums.
///
/// # Errors
/// The first cell that differs, or rows that do not match.
pub(crate) fn verify(dataset: &Path, theirs: &Path, columns: &[&str]) -> Result<(usize, f64)> {
    let parts = fs::read_dir(dataset).map_err(|e| Failed::io(dataset, e))?;
    let parts = parts.map(|p| p.map(|p| p.path())).collect::<std::io::Result<Vec<_>>>();
    let parts = parts.map_err(|e| Failed::io(dataset, e))?;
    let ours = parts.iter().map(|p| read(p, columns)).collect::<Result<Vec<_>>>()?;
    let ours = concat_batches(&ours.first().ok_or_else(|| Failed::new("no dataset was written"))?.schema(), &ours);
    let ours = ours.map_err(|e| Failed::new(format!("read the dataset: {e}")))?;
    let theirs = read(theirs, columns)?;
    if ours.num_rows() != theirs.num_rows() {
        return Err(Failed::new(format!("{} rows against {}", ours.num_rows(), theirs.num_rows())));
    }
    let (ours_by_label, theirs_by_label) = (by_label(&ours)?, by_label(&theirs)?);
    let (mut cells, mut worst) = (0, 0.0_f64);
    for column in columns {
        let (a, b) = (floats(&ours, column)?, floats(&theirs, column)?);
        let (a, b) = (a.as_primitive::<Float64Type>(), b.as_primitive::<Float64Type>());
        for (label, (&i, &j)) in ours_by_label.iter().zip(&theirs_by_label).enumerate() {
            let (x, y) = (a.is_valid(i).then(|| a.value(i)), b.is_valid(j).then(|| b.value(j)));
            let same = match (x, y) {
                (Some(x), Some(y)) if may_differ(column) => {
                    worst = worst.max((x - y).abs());
                    (x - y).abs() <= ABSOLUTE + RELATIVE * x.abs()
                }
                (x, y) => x == y,
            };
            if !same {
                return Err(Failed::new(format!("`{column}` of label {}: {x:?} against {y:?}", label + 1)));
            }
            cells += 1;
        }
    }
    Ok((cells, worst))
}

fn read(path: &Path, columns: &[&str]) -> Result<RecordBatch> {
    let failed = |e: String| Failed::new(format!("read `{}`: {e}", path.display()));
    let file = File::open(path).map_err(|e| Failed::io(path, e))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| failed(e.to_string()))?;
    let wanted = std::iter::once(&"label_id").chain(columns).copied();
    let mask = ProjectionMask::columns(builder.parquet_schema(), wanted);
    let reader = builder.with_projection(mask).build().map_err(|e| failed(e.to_string()))?;
    let schema = reader.schema();
    let batches = reader.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| failed(e.to_string()))?;
    concat_batches(&schema, &batches).map_err(|e| failed(e.to_string()))
}

fn column(batch: &RecordBatch, name: &str, data_type: &DataType) -> Result<ArrayRef> {
    let found = batch.column_by_name(name).ok_or_else(|| Failed::new(format!("no column `{name}`")))?;
    cast(found, data_type).map_err(|e| Failed::new(format!("column `{name}`: {e}")))
}

/// Counts are far below 2^53.
fn floats(batch: &RecordBatch, name: &str) -> Result<ArrayRef> {
    column(batch, name, &DataType::Float64)
}

/// The row of each label: they are numbered from 1.
fn by_label(batch: &RecordBatch) -> Result<Vec<usize>> {
    let ids = column(batch, "label_id", &DataType::Int64)?;
    let mut rows = vec![usize::MAX; batch.num_rows()];
    for (row, id) in ids.as_primitive::<Int64Type>().values().iter().enumerate() {
        let place = usize::try_from(*id - 1).ok().and_then(|label| rows.get_mut(label));
        match place {
            Some(place) if *place == usize::MAX => *place = row,
            _ => return Err(Failed::new(format!("label {id} is there twice, or was never asked about"))),
        }
    }
    Ok(rows)
}
