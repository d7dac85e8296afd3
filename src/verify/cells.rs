//! Label rows computed anew against rows of the files that were written.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::object_store::ObjectStoreExt;
use datafusion::object_store::buffered::BufReader;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use datafusion::parquet::errors::ParquetError;
use futures::TryStreamExt;

use crate::error::{Error, Result};
use crate::output::{FileEntry, Manifest};
use crate::source::{Location, orderable};
use crate::verify::model::SampleVerified;

/// The differences that are spelled out.
const EXAMPLES: usize = 10;

/// What rows of one table of the run have to be.
#[derive(Debug)]
pub struct Expected {
    /// `dataset` or `provenance`.
    pub folder: &'static str,
    pub batch: RecordBatch,
    /// The position in the table of each row, ascending.
    pub rows: Vec<u64>,
    /// How each row is called.
    pub names: Vec<String>,
}

/// Reads the rows and compares them, cell by cell: NULL equals NULL and NaN equals NaN, and nothing else is forgiven.
///
/// # Errors
/// Where the table's files can't be read.
pub async fn compare_cells(
    output: &Location,
    manifest: &Manifest,
    expected: &Expected,
    found: &mut SampleVerified,
) -> Result<()> {
    let Some(written) = read_table(output, manifest, expected.folder, Some(&expected.rows), None).await? else {
        return Ok(());
    };
    let folder = expected.folder;
    let mut differ = |text: String, n: usize| {
        found.differences += n;
        if found.examples.len() < EXAMPLES {
            found.examples.push(text);
        }
    };
    if written.num_rows() != expected.batch.num_rows() {
        differ(format!("{folder}/ has no rows where the labels have some"), expected.batch.num_rows());
        return Ok(());
    }
    let names = |batch: &RecordBatch| batch.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    if names(&written) != names(&expected.batch) {
        let (a, b) = (names(&written).join(", "), names(&expected.batch).join(", "));
        differ(format!("{folder}/ has the columns {a}; computed anew: {b}"), expected.batch.num_rows());
        return Ok(());
    }
    for (i, field) in expected.batch.schema().fields().iter().enumerate() {
        let (new, old) = (expected.batch.column(i), written.column(i));
        found.cells += new.len();
        if new.data_type() != old.data_type() {
            let text =
                format!("{folder}/ `{}` is {}; computed anew: {}", field.name(), old.data_type(), new.data_type());
            found.differences += new.len();
            found.examples.push(text);
            continue;
        }
        for row in differing(new, old).map_err(|e| Error::engine(format!("compare `{}`", field.name()), e))? {
            found.differences += 1;
            if found.examples.len() < EXAMPLES {
                let shown = |a: &ArrayRef| match a.is_null(row) {
                    true => "NULL".to_string(),
                    false => array_value_to_string(a, row).unwrap_or_default(),
                };
                found.examples.push(format!(
                    "{folder}/ `{}` of {}: computed anew {}, written {}",
                    field.name(),
                    expected.names[row],
                    shown(new),
                    shown(old)
                ));
            }
        }
    }
    Ok(())
}

fn differing(a: &ArrayRef, b: &ArrayRef) -> datafusion::error::Result<Vec<usize>> {
    let (a, b) = (orderable(a)?, orderable(b)?);
    let converter = RowConverter::new(vec![SortField::new(a.data_type().clone())])?;
    let (a, b) = (converter.convert_columns(&[a])?, converter.convert_columns(&[b])?);
    Ok((0..a.num_rows()).filter(|&i| a.row(i) != b.row(i)).collect())
}

/// The files of a table, in their order.
fn parts<'a>(manifest: &'a Manifest, folder: &str) -> Vec<&'a FileEntry> {
    let prefix = format!("{folder}/");
    let mut parts: Vec<&FileEntry> = manifest.files.iter().filter(|f| f.path.starts_with(&prefix)).collect();
    parts.sort_by(|a, b| a.path.cmp(&b.path));
    parts
}

/// A table of the run, or some of its rows by position, or some of its columns by name; `None` where the run has none.
///
/// # Errors
/// Where the table's files can't be read.
pub async fn read_table(
    output: &Location,
    manifest: &Manifest,
    folder: &str,
    rows: Option<&[u64]>,
    columns: Option<&[String]>,
) -> Result<Option<RecordBatch>> {
    let mut first = 0;
    let mut batches = Vec::new();
    let mut schema = None;
    for part in parts(manifest, folder) {
        let count = part.rows.unwrap_or_default();
        let own: Option<Vec<u64>> =
            rows.map(|rows| rows.iter().filter(|r| (first..first + count).contains(r)).map(|r| r - first).collect());
        first += count;
        let none = own.as_ref().is_some_and(Vec::is_empty);
        if schema.is_some() && none {
            continue;
        }
        let at = output.join(&part.path);
        let failed = |e: ParquetError| Error::storage(format!("read `{}`", at.uri), e);
        let meta = at.store.head(&at.path).await.map_err(|e| Error::storage(format!("read `{}`", at.uri), e))?;
        let reader = BufReader::new(Arc::clone(&at.store), &meta);
        let mut builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(failed)?;
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(String::as_str));
            builder = builder.with_projection(mask);
        }
        if let Some(own) = own {
            builder = builder.with_row_selection(selection(&own));
        }
        let stream = builder.build().map_err(failed)?;
        schema = Some(Arc::clone(stream.schema()));
        if !none {
            batches.extend(stream.try_collect::<Vec<RecordBatch>>().await.map_err(failed)?);
        }
    }
    let Some(schema) = schema else { return Ok(None) };
    let failed = |e: datafusion::arrow::error::ArrowError| Error::engine(format!("read {folder}/"), e.into());
    concat_batches(&schema, &batches).map(Some).map_err(failed)
}

/// These rows, ascending and each once, and no others.
fn selection(rows: &[u64]) -> RowSelection {
    let mut selectors = Vec::new();
    let mut next = 0;
    for row in rows {
        let skip = usize::try_from(row - next).unwrap_or(usize::MAX);
        if skip > 0 {
            selectors.push(RowSelector::skip(skip));
        }
        selectors.push(RowSelector::select(1));
        next = row + 1;
    }
    selectors.into()
}

/// By label row: its position among the rows that were kept, which are `kept` in the same order; `None` where it was left out.
pub fn positions(labels: &[ArrayRef], kept: &[ArrayRef]) -> datafusion::error::Result<Vec<Option<u64>>> {
    let fields = labels.iter().map(|c| SortField::new(c.data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    let (labels, kept) = (converter.convert_columns(labels)?, converter.convert_columns(kept)?);
    let mut next = 0;
    let mut positions = Vec::with_capacity(labels.num_rows());
    for row in 0..labels.num_rows() {
        let stays = next < kept.num_rows() && labels.row(row) == kept.row(next);
        positions.push(stays.then_some(next as u64));
        next += usize::from(stays);
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Float64Array, Int64Array};

    use super::*;

    #[test]
    fn null_and_nan_equal_themselves_and_nothing_else() {
        let a: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(f64::NAN), Some(0.0), Some(1.0), None]));
        let b: ArrayRef =
            Arc::new(Float64Array::from(vec![None, Some(f64::NAN), None, Some(1.0 + f64::EPSILON), Some(0.0)]));
        assert_eq!(differing(&a, &b).unwrap(), [2, 3, 4]);
    }

    #[test]
    fn rows_that_were_left_out_have_no_position() {
        let labels: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 2, 3, 3, 4]));
        let kept: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 3, 3]));
        let found = positions(&[labels], &[kept]).unwrap();
        assert_eq!(found, [Some(0), Some(1), None, Some(2), Some(3), None]);
    }

    #[test]
    fn a_selection_takes_its_rows_alone() {
        let taken: Vec<(usize, bool)> = selection(&[0, 3, 4]).iter().map(|s| (s.row_count, s.skip)).collect();
        assert_eq!(taken, [(1, false), (2, true), (2, false)]);
    }
}
