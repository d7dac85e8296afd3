//! Rows of entities that no label asks about, left out while a file is read.
//!
//! ```text
//! row group    user_id: decoded for all rows ── is_asked_for(user_id) ── other columns: decoded for the rows that pass
//! ```
//!
//! A plan tells by [`IS_ASKED_FOR`] which keys it asks for. Parquet can test that row by row before it decodes other columns. Where few
//! rows pass, most of the decoding is saved; where most do, testing costs more than it saves. So a sample of the rows decides, read
//! when the scan is planned. Not over a network, where a second request for each row group costs more than decoding.
//!
//! Nothing depends on it but time: what the plan asks for is decided again above.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, BooleanArray, RecordBatch};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::collect;

use crate::source::table::ParquetTable;

/// The function that says whether key columns hold the keys of some observer.
pub const IS_ASKED_FOR: &str = "is_asked_for";

/// Whether the condition is a call of that function.
pub fn is_asked_for(condition: &Expr) -> bool {
    matches!(condition, Expr::ScalarFunction(call) if call.func.name() == IS_ASKED_FOR)
}

/// A scan of fewer rows is over before a sample would have paid.
const LEAST_ROWS: u64 = 200_000;
/// Files that are looked into, and rows of each.
const SAMPLED_FILES: usize = 4;
const SAMPLED_ROWS: usize = 8192;
/// The share of rows up to which testing each pays: by measure, at one in twenty numbers cost as much either way.
const FEW: f64 = 0.03;

/// The test for asked keys, where few rows of the files (by number) pass it.
///
/// # Errors
/// Only where the test can't be made or asked, which is a defect.
pub(super) async fn few_asked(
    table: &ParquetTable,
    state: &dyn Session,
    files: &[usize],
    filters: &[Expr],
    source: &ParquetSource,
) -> DfResult<Option<Expr>> {
    let asks = filters.iter().filter(|filter| is_asked_for(filter));
    let Some(test) = asks.cloned().reduce(Expr::and) else { return Ok(None) };
    let rows: u64 = files.iter().map(|&file| table.footers.rows[file]).sum();
    if rows < LEAST_ROWS || !table.files.location.is_local() {
        return Ok(None);
    }
    let schema = TableProvider::schema(table);
    let columns =
        test.column_refs().into_iter().map(|c| Ok(schema.index_of(&c.name)?)).collect::<DfResult<Vec<_>>>()?;
    let keys = DFSchema::try_from(schema.project(&columns)?)?;
    // What can't be read is told by the scan, in its own words.
    let Ok(sampled) = sample(table, state, files, columns, source).await else { return Ok(None) };
    let asked = state.create_physical_expr(test.clone(), &keys)?;
    let (mut passed, mut all) = (0, 0);
    for batch in &sampled {
        let answers = asked.evaluate(batch)?.into_array(batch.num_rows())?;
        let answers: &BooleanArray = answers.as_boolean();
        passed += answers.true_count();
        all += batch.num_rows();
    }
    Ok((all > 0 && (passed as f64) <= FEW * all as f64).then_some(test))
}

/// Rows of some files, the first of a row group in the middle of each.
async fn sample(
    table: &ParquetTable,
    state: &dyn Session,
    files: &[usize],
    columns: Vec<usize>,
    source: &ParquetSource,
) -> DfResult<Vec<RecordBatch>> {
    let step = files.len().div_ceil(SAMPLED_FILES).max(1);
    let mut rows = Vec::new();
    for &file in files.iter().skip(step / 2).step_by(step) {
        let groups = table.footers.of_file(file).1.len();
        let middle = |at: usize| if at == groups / 2 { RowGroupAccess::Scan } else { RowGroupAccess::Skip };
        let plan = ParquetAccessPlan::new((0..groups).map(middle).collect());
        let one = table.partitioned_file(file).with_extension(plan);
        let config = FileScanConfigBuilder::new(table.files.location.url.clone(), Arc::new(source.clone()))
            .with_file_groups(vec![FileGroup::new(vec![one])])
            .with_projection_indices(Some(columns.clone()))?
            .with_limit(Some(SAMPLED_ROWS))
            .build();
        rows.extend(collect(DataSourceExec::from_data_source(config), state.task_ctx()).await?);
    }
    Ok(rows)
}

#[cfg(test)]
#[path = "keyed_tests.rs"]
mod tests;
