//! Rows of a table by time: what a chunk needs, and no more of the table in memory.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{Array, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{concat_batches, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use crate::source::log::WIDEST_OFFSET_NS;
use crate::source::table::ParquetTable;
use crate::source::time::{instants_ns, plain_instants, ticks_until};

/// The rows whose time is at or after the first instant and before the second, nanoseconds. `i64::MIN` and `i64::MAX` leave a side open;
/// rows without a time belong to the range without a start. Naive times are in `zone`.
///
/// # Errors
/// As reading the files.
pub async fn rows_between(
    table: &Arc<ParquetTable>,
    time: &str,
    zone: Tz,
    (from, until): (i64, i64),
    session: &SessionContext,
) -> DfResult<RecordBatch> {
    let schema = table.schema();
    let mut frame = session.read_table(Arc::clone(table) as _)?;
    if let Some(filter) = bounds(schema.field_with_name(time)?.data_type(), time, zone, from, until) {
        frame = frame.filter(filter)?;
    }
    let mut stream = frame.execute_stream().await?;
    let mut parts = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        let Some(column) = batch.column_by_name(time) else { continue };
        let instants = instants_ns(&plain_instants(column, zone)?, 0)?;
        let within = |t: i64| t >= from && (t < until || until == i64::MAX);
        let wanted: BooleanArray = (0..instants.len())
            .map(|row| Some(if instants.is_null(row) { from == i64::MIN } else { within(instants.value(row)) }))
            .collect();
        let batch = if wanted.true_count() == wanted.len() { batch } else { filter_record_batch(&batch, &wanted)? };
        if batch.num_rows() > 0 {
            parts.push(batch);
        }
    }
    Ok(concat_batches(&schema, &parts)?)
}

/// What the column of times says of the range, not too narrow: it skips files and row groups.
fn bounds(data_type: &DataType, time: &str, zone: Tz, from: i64, until: i64) -> Option<Expr> {
    let DataType::Timestamp(unit, named) = data_type else { return None };
    let margin = if named.is_none() && zone != Tz::UTC { WIDEST_OFFSET_NS } else { 0 };
    let column = || Expr::Column(Column::new_unqualified(time));
    let ticks = |instant: i64| {
        let value = Some(ticks_until(instant, *unit));
        lit(match unit {
            TimeUnit::Second => ScalarValue::TimestampSecond(value, named.clone()),
            TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(value, named.clone()),
            TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(value, named.clone()),
            TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(value, named.clone()),
        })
    };
    let lower = (from != i64::MIN).then(|| column().gt_eq(ticks(from.saturating_sub(margin))));
    let upper = (until != i64::MAX).then(|| column().lt_eq(ticks(until.saturating_add(margin))));
    let both = lower.into_iter().chain(upper).reduce(Expr::and)?;
    // Rows without a time are of the range without a start.
    Some(if from == i64::MIN { column().is_null().or(both) } else { both })
}
