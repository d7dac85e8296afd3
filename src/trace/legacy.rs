//! What labels and snapshots hold of the keys: read batch by batch, nothing kept but what matches.

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use serde_json::{Map, Value};
use std::sync::Arc;

use chrono_tz::Tz;

use crate::analysis::{Project, comparable_type};
use crate::diff::{Tolerance, agree, cell_json};
use crate::error::{Error, Result};
use crate::source::time::{instants_ns, plain_instants, rfc3339};
use crate::source::{ParquetTable, orderable};
use crate::trace::model::{LabelMatch, Legacy};
use crate::trace::request::Request;

/// Nearest label times that are told.
const NEAREST: usize = 3;

/// The label rows of the keys that were given.
pub(super) async fn labels(project: &Project, request: &Request, session: &SessionContext) -> Result<LabelMatch> {
    let config = &project.inputs.config.labels;
    let read = |e| Error::engine("read the labels", e);
    let mut found = LabelMatch::default();
    let mut times: Vec<i64> = Vec::new();
    let table = &project.inputs.labels.table;
    let mut columns = config.keys.clone();
    columns.push(config.time.clone());
    let mut batches = selected(table, &columns, session).await.map_err(read)?;
    while let Some(batch) = batches.try_next().await.map_err(read)? {
        for (_, time) in matching(&batch, &config.keys, &config.time, config.timezone, request).map_err(read)? {
            found.rows_of_keys += 1;
            found.rows += u64::from(time == request.time);
            times.push(time);
        }
    }
    if found.rows == 0 {
        times.sort_unstable_by_key(|t| (t.abs_diff(request.time), *t));
        times.dedup();
        found.nearest = times.into_iter().take(NEAREST).map(rfc3339).collect();
    }
    Ok(found)
}

/// The value of each snapshot row of the keys at the time, held against `value` (one row).
pub(super) async fn legacy(
    project: &Project,
    request: &Request,
    value: &ArrayRef,
    session: &SessionContext,
) -> Result<Vec<Legacy>> {
    let mut found = Vec::new();
    let feature = request.feature(project);
    let tolerance = feature.tolerance.unwrap_or(project.inputs.config.diff.tolerance);
    let tolerance = Tolerance { abs: tolerance.abs, rel: tolerance.rel };
    for snapshot in &project.snapshots {
        let name = &snapshot.config.name;
        let read = |e| Error::engine(format!("read snapshot `{name}`"), e);
        for mapped in snapshot.columns.iter().filter(|c| c.feature == request.feature) {
            let config = &snapshot.config;
            let mut columns = config.keys.clone();
            columns.extend([config.time.clone(), mapped.legacy.clone()]);
            columns.dedup();
            let mut own = Vec::new();
            let mut batches = selected(&snapshot.table, &columns, session).await.map_err(read)?;
            while let Some(batch) = batches.try_next().await.map_err(read)? {
                let rows = matching(&batch, &config.keys, &config.time, config.timezone, request).map_err(read)?;
                for (row, _) in rows.into_iter().filter(|(_, time)| *time == request.time) {
                    let one = batch.slice(row, 1);
                    let keys = key_values(project, &one, &config.keys, config.timezone).map_err(read)?;
                    let legacy = column(&one, &mapped.legacy, config.timezone).map_err(read)?;
                    let compared = agree((value, 0), (&legacy, 0), tolerance).map_err(|e| read(e.into()))?;
                    own.push(Legacy {
                        snapshot: name.clone(),
                        column: mapped.legacy.clone(),
                        keys,
                        value: cell_json(&legacy, 0).map_err(|e| read(e.into()))?,
                        agrees: compared.map(|(agrees, _)| agrees),
                        delta: compared.and_then(|(_, delta)| delta),
                        array: legacy,
                    });
                }
            }
            // A snapshot's rows have no order of their own.
            own.sort_by_cached_key(|l| (format!("{:?}", l.keys), l.value.to_string()));
            found.extend(own);
        }
    }
    Ok(found)
}

async fn selected(
    table: &Arc<ParquetTable>,
    columns: &[String],
    session: &SessionContext,
) -> DfResult<datafusion::execution::SendableRecordBatchStream> {
    let mut names: Vec<&String> = columns.iter().collect();
    names.sort_unstable();
    names.dedup();
    let exprs = names.into_iter().map(|c| Expr::Column(datafusion::common::Column::new_unqualified(c)));
    let frame = session.read_table(Arc::clone(table) as _)?.select(exprs.collect::<Vec<_>>())?;
    frame.execute_stream().await
}

fn column(batch: &RecordBatch, name: &str, zone: Tz) -> DfResult<ArrayRef> {
    let column = batch.column_by_name(name);
    let column = column.ok_or_else(|| datafusion::common::internal_datafusion_err!("no column {name}"))?;
    Ok(plain_instants(column, zone)?)
}

fn key_values(project: &Project, row: &RecordBatch, keys: &[String], zone: Tz) -> DfResult<Map<String, Value>> {
    let own = project.inputs.config.labels.keys.iter().zip(keys);
    own.map(|(label, key)| Ok((label.clone(), cell_json(&column(row, key, zone)?, 0)?))).collect()
}

/// The rows whose keys are those that were given, with their times. `keys` stand in the order of the label keys.
fn matching(
    batch: &RecordBatch,
    keys: &[String],
    time: &str,
    zone: Tz,
    request: &Request,
) -> DfResult<Vec<(usize, i64)>> {
    let rows = batch.num_rows();
    let times = instants_ns(&column(batch, time, zone)?, 0)?;
    let mut same: Vec<bool> = (0..rows).map(|row| times.is_valid(row)).collect();
    for (key, wanted) in keys.iter().zip(&request.keys) {
        let Some(wanted) = wanted else { continue };
        let own = column(batch, key, zone)?;
        let Some(common) = comparable_type(own.data_type(), wanted.data_type()) else {
            same.fill(false);
            continue;
        };
        let (own, wanted) = (cast(&own, &common)?, cast(wanted, &common)?);
        let (own, wanted) = (orderable(&own)?, orderable(&wanted)?);
        let converter = RowConverter::new(vec![SortField::new(own.data_type().clone())])?;
        let (own_rows, wanted) =
            (converter.convert_columns(&[Arc::clone(&own)])?, converter.convert_columns(&[wanted])?);
        for (row, same) in same.iter_mut().enumerate() {
            *same = *same && own.is_valid(row) && own_rows.row(row) == wanted.row(0);
        }
    }
    Ok((0..rows).filter(|&row| same[row]).map(|row| (row, times.value(row))).collect())
}
