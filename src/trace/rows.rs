//! The rows of a source that have to do with a cell, and why each is visible at T or is not.
//!
//! Read are the rows that the scans' key conditions take and whose event time is near, and of a source with ids every other
//! row with one of their ids, whatever its key and time: an earlier delivery, or a later version, decides about them. Which rows are
//! visible says the reference engine (`RawTable::visible`); here is only told why.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{Column, internal_err};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::prelude::SessionContext;

use crate::config::SourceKind;
use crate::replay::reference::RawTable;
use crate::source::{Log, Near, orderable};

/// Why a row counts as there at T, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    Visible,
    /// Its event time is NULL.
    NoTime,
    /// Its arrival is NULL.
    NoArrival,
    /// It arrived after T.
    NotArrived,
    /// It arrived at T, and `tie = "exclude"`.
    Tied,
    /// It had arrived, its event time is after T, and `future_events = "hidden"`.
    Future,
    /// Another row with its id arrived first.
    Redelivered {
        first: usize,
    },
    /// Another version of its id is the last.
    Superseded {
        by: usize,
    },
    /// It is the last version, and says that the row is deleted.
    Deleted,
}

/// Rows of one source, sorted by event time, arrival, values.
#[derive(Debug)]
pub(super) struct SourceRows {
    pub(super) source: usize,
    pub(super) raw: Arc<RawTable>,
    pub(super) visibility: Vec<Visibility>,
    /// Whether a key condition takes the row and its time is near.
    pub(super) near: Vec<bool>,
}

impl SourceRows {
    pub(super) fn len(&self) -> usize {
        self.visibility.len()
    }

    pub(super) fn visible(&self) -> UInt32Array {
        let seen = (0..self.len()).filter(|&row| self.visibility[row] == Visibility::Visible);
        UInt32Array::from_iter_values(seen.filter_map(|row| u32::try_from(row).ok()))
    }

    pub(super) fn event(&self, row: usize) -> Option<i64> {
        self.raw.event.is_valid(row).then(|| self.raw.event.value(row))
    }

    pub(super) fn available(&self, row: usize) -> Option<i64> {
        self.raw.available.is_valid(row).then(|| self.raw.available.value(row))
    }
}

/// Reads the rows of `log` that have to do with the cell; `columns` are those that the plan reads.
pub(super) async fn read(
    (source, log): (usize, &Log),
    columns: &[usize],
    keep: Option<&Expr>,
    near: Near,
    session: &SessionContext,
) -> DfResult<SourceRows> {
    let ids = &log.config.id;
    let all: Vec<usize> = (0..log.schema.fields().len()).collect();
    let mut columns = if ids.is_empty() && !log.has_deleted() { columns.to_vec() } else { all };
    columns.sort_unstable();
    columns.dedup();
    let everything = lit(true);
    let kept = keep.unwrap_or(&everything);
    let taken = |plan: LogicalPlan| -> DfResult<LogicalPlanBuilder> {
        LogicalPlanBuilder::from(plan).filter(own("__backcast_kept"))
    };
    let batch = if ids.is_empty() {
        collect(taken(log.rows_about(&columns, kept, Some(near))?)?.build()?, session).await?
    } else if keep.is_none() || !log.has_plain_ids() {
        collect(log.rows_about(&columns, kept, None)?, session).await?
    } else {
        let number = |id: &String| log.schema.index_of(id);
        let id_columns = ids.iter().map(number).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<Expr> = ids.iter().map(|id| own(id)).collect();
        let asked =
            taken(log.rows_about(&id_columns, kept, Some(near))?)?.project(names.clone())?.distinct()?.build()?;
        let asked = collect(asked, session).await?;
        let same = with_ids(log.rows_about(&columns, kept, None)?, ids, asked)?;
        let same = collect(same, session).await?;
        let unknown = names.into_iter().map(Expr::is_null).reduce(Expr::or).unwrap_or_else(|| lit(false));
        let alone = taken(log.rows_about(&columns, kept, Some(near))?)?.filter(unknown)?.build()?;
        let alone = collect(alone, session).await?;
        concat_batches(&same.schema(), &[same, alone])?
    };
    let batch = sorted(&batch, columns.len())?;
    let raw = RawTable::of(log, &columns, &batch)?;
    let taken = batch.column(batch.num_columns() - 1).as_boolean().clone();
    let near = (0..batch.num_rows()).map(|row| taken.value(row) && is_near(&raw, row, near)).collect();
    Ok(SourceRows { source, raw: Arc::new(raw), visibility: Vec::new(), near })
}

fn own(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The rows whose ids are among `asked`.
fn with_ids(rows: LogicalPlan, ids: &[String], asked: RecordBatch) -> DfResult<LogicalPlan> {
    let schema = asked.schema();
    let table = MemTable::try_new(Arc::clone(&schema), vec![vec![asked]])?;
    let theirs: Vec<String> = (0..ids.len()).map(|i| format!("__backcast_id{i}")).collect();
    let renamed = ids.iter().zip(&theirs).map(|(id, name)| own(id).alias(name));
    let asked = LogicalPlanBuilder::scan("__asked", provider_as_source(Arc::new(table)), None)?
        .project(renamed.collect::<Vec<_>>())?
        .build()?;
    let column = |name: String| Column::new_unqualified(name);
    let on = (ids.iter().cloned().map(column).collect::<Vec<_>>(), theirs.into_iter().map(column).collect::<Vec<_>>());
    LogicalPlanBuilder::from(rows).join(asked, JoinType::LeftSemi, on, None)?.build()
}

async fn collect(plan: LogicalPlan, session: &SessionContext) -> DfResult<RecordBatch> {
    let frame = session.execute_logical_plan(plan).await?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await?;
    Ok(concat_batches(&schema, &batches)?)
}

/// Rows come in no order of their own: by event time and arrival (NULL first), then by all values.
fn sorted(batch: &RecordBatch, columns: usize) -> DfResult<RecordBatch> {
    let keys = [columns, columns + 1].into_iter().chain(0..columns);
    let keys = keys.map(|i| orderable(batch.column(i))).collect::<DfResult<Vec<ArrayRef>>>()?;
    let fields = keys.iter().map(|k| SortField::new(k.data_type().clone())).collect();
    let sortable = RowConverter::new(fields)?.convert_columns(&keys)?;
    let mut order: Vec<u32> = (0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX)).collect();
    order.sort_by(|&a, &b| sortable.row(a as usize).cmp(&sortable.row(b as usize)));
    Ok(take_record_batch(batch, &UInt32Array::from(order))?)
}

fn is_near(raw: &RawTable, row: usize, near: Near) -> bool {
    if raw.event.is_null(row) {
        return true;
    }
    let event = raw.event.value(row);
    let arrived = raw.available.is_valid(row) && raw.available.value(row) <= near.seen_ns;
    near.earliest_ns.is_none_or(|earliest| event >= earliest) && (event <= near.latest_ns || arrived)
}

impl SourceRows {
    /// Says of each row why it is visible at `time`, or not.
    pub(super) fn explain(&mut self, time: i64) -> DfResult<()> {
        let raw = &self.raw;
        let rows = raw.event.len();
        let mut visibility: Vec<Visibility> = (0..rows).map(|row| arrival(raw, row, time)).collect();
        // Of the rows with one id that are seen, one wins.
        let mut winners: std::collections::HashMap<u32, usize> = std::collections::HashMap::new();
        for row in (0..rows).filter(|&r| visibility[r] == Visibility::Visible) {
            let Some(id) = raw.identity[row] else { continue };
            winners
                .entry(id)
                .and_modify(|kept| {
                    let (own, other) = (raw.rank[row], raw.rank[*kept]);
                    let wins = if raw.kind == SourceKind::Log { own < other } else { own > other };
                    *kept = if wins { row } else { *kept };
                })
                .or_insert(row);
        }
        for (row, own) in visibility.iter_mut().enumerate().filter(|(_, v)| **v == Visibility::Visible) {
            let Some(&winner) = raw.identity[row].and_then(|id| winners.get(&id)) else { continue };
            *own = match raw.kind {
                _ if winner == row => Visibility::Visible,
                SourceKind::Log => Visibility::Redelivered { first: winner },
                SourceKind::Changelog => Visibility::Superseded { by: winner },
            };
        }
        for (row, own) in visibility.iter_mut().enumerate().filter(|(_, v)| **v == Visibility::Visible) {
            if says_deleted(raw, row) {
                *own = Visibility::Deleted;
            }
        }
        self.visibility = visibility;
        // The law says what is visible; what is told here may only follow it.
        if self.visible().values() != raw.visible(time).values() {
            return internal_err!("the visible rows were explained otherwise than they are");
        }
        Ok(())
    }

    /// The rows visible at `time` if this one had arrived by then.
    pub(super) fn as_if_arrived(&self, row: usize, time: i64) -> UInt32Array {
        if let Visibility::Redelivered { .. } = self.visibility[row] {
            let mut rows = self.visible().values().to_vec();
            rows.extend(u32::try_from(row));
            rows.sort_unstable();
            return UInt32Array::from(rows);
        }
        let tie = i64::from(self.raw.exclude_ties);
        let moved = |times: &Int64Array, to: i64| -> Int64Array {
            (0..times.len())
                .map(|r| if r == row { Some(to) } else { times.is_valid(r).then(|| times.value(r)) })
                .collect()
        };
        let mut raw = RawTable::clone(&self.raw);
        raw.available = moved(&raw.available, time - tie);
        if raw.hide_future && raw.event.is_valid(row) {
            raw.event = moved(&raw.event, raw.event.value(row).min(time));
        }
        raw.visible(time)
    }
}

pub(super) fn says_deleted(raw: &RawTable, row: usize) -> bool {
    raw.deleted.as_ref().is_some_and(|d| d.is_valid(row) && d.value(row))
}

/// What arrival and event time say alone.
fn arrival(raw: &RawTable, row: usize, time: i64) -> Visibility {
    if raw.event.is_null(row) {
        return Visibility::NoTime;
    }
    if raw.available.is_null(row) {
        return Visibility::NoArrival;
    }
    let (event, available) = (raw.event.value(row), raw.available.value(row));
    if available > time {
        Visibility::NotArrived
    } else if available == time && raw.exclude_ties {
        Visibility::Tied
    } else if raw.hide_future && event > time {
        Visibility::Future
    } else {
        Visibility::Visible
    }
}
