//! The rows of sources as a legacy system may have seen them.
//!
//! A world changes when rows could first be known, which of them there are, what their times say. All of that is said in the rows:
//! beside the columns of the files they have one for their arrival, which the view cannot name. What changes about windows is said in
//! the plan (`windows`); nothing is evaluated here.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array,
};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::Result as DfResult;

use crate::cause::change::{Ahead, Change, MINUTE, Shift};
use crate::cause::held::{Held, times};
use crate::cause::windows::Rewindow;
use crate::config::{FutureEvents, SourceKind, Tie};
use crate::error::Result;
use crate::source::time::{local_to_utc, unit_ns, utc_to_local};
use crate::source::{Labels, Log};

/// The hidden column of when a row could first be known.
const ARRIVAL: &str = "__backcast_arrival";
/// "For ever", as a horizon: a hundred years.
pub(super) const FOREVER: i64 = 100 * 365 * 86_400 * 1_000_000_000;

/// One cell of the view that is asked for: a label row's keys, at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub row: usize,
    pub time: i64,
}

/// The answers, by position of the question.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    /// By feature of the view, defaults filled in.
    pub columns: Vec<ArrayRef>,
    pub found: BooleanArray,
}

impl Answers {
    /// The values of one feature, and where the view has a row.
    pub(super) fn of(&self, slot: usize) -> (&ArrayRef, &BooleanArray) {
        (&self.columns[slot], &self.found)
    }
}

/// The schema of a source's rows in any world.
pub(super) fn world_schema(log: &Log) -> SchemaRef {
    let files = TableProvider::schema(log.table.as_ref());
    let arrival = Field::new(ARRIVAL, DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), true);
    Arc::new(Schema::new(files.fields().iter().cloned().chain([Arc::new(arrival)]).collect::<Vec<_>>()))
}

/// Whether event time has a say in when a row counts that the one column of arrivals can't tell: an id's first arrival may then become visible
/// after its second.
pub(super) fn needs_event_time(log: &Log) -> bool {
    log.config.future_events == FutureEvents::Hidden
        && (log.config.kind == SourceKind::Changelog || !log.config.id.is_empty())
}

/// A source over rows of [`world_schema`]; `changes`: what is said [about it](Change::about).
pub(super) fn over(log: &Log, table: Arc<dyn TableProvider>, rows: u64, changes: &[&Change]) -> Log {
    let mut log = log.clone().with_rows(table, rows, Some(ARRIVAL.to_string())).with_tie(Tie::Include);
    // The rest of what it said is in the rows.
    if !needs_event_time(&log) || changes.iter().any(|c| leaks_ahead(c)) {
        log.config.future_events = FutureEvents::Visible;
    }
    // The versions of a changelog are no redeliveries of each other.
    if log.config.kind == SourceKind::Log && changes.contains(&&Change::DuplicatesCounted) {
        log.config.id.clear();
    }
    log
}

/// What changes say about a source.
pub(super) fn about<'a>(changes: &[&'a Change], source: usize) -> Vec<&'a Change> {
    changes.iter().filter_map(|change| change.about(source)).collect()
}

/// A table of rows for one world.
///
/// # Errors
/// Only where Arrow can't make the table, which is a defect.
pub(super) fn table(rows: RecordBatch) -> DfResult<Arc<dyn TableProvider>> {
    Ok(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?))
}

fn leaks_ahead(change: &Change) -> bool {
    matches!(
        change,
        Change::NotHidden
            | Change::FutureLeak { ahead: Ahead::Arrives | Ahead::Happens, .. }
            | Change::FutureLeak { horizon: None, .. }
    )
}

/// Rows that share an id, where they are not all to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    /// They are all there: a plan takes the first.
    Left,
    /// The first is there, as a plan would take it.
    Settled,
}

/// The rows of a source under what is said [about it](Change::about).
///
/// # Errors
/// Where a column can't be rebuilt.
pub(super) fn rows_under(
    log: &Log,
    held: &Held,
    schema: &SchemaRef,
    changes: &[&Change],
    copies: Copies,
) -> DfResult<RecordBatch> {
    let mut seen = Seen {
        rows: held.rows.clone(),
        event: held.event.clone(),
        arrival: held.arrival.clone(),
        hidden: log.config.future_events == FutureEvents::Hidden && !needs_event_time(log),
        exclusive: log.ties() == Tie::Exclude,
    };
    // What a clock says comes first: other changes go by it.
    let (clocks, others): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|c| matches!(c, Change::Timezone { .. }));
    for change in clocks.into_iter().chain(others) {
        seen.under(log, held, change)?;
    }
    if copies == Copies::Settled && log.config.kind == SourceKind::Log && !changes.contains(&&Change::DuplicatesCounted)
    {
        seen.arrival = held.first_deliveries(&seen.event, &seen.arrival);
    }
    let later = i64::from(seen.exclusive);
    let first = |(event, arrival): (Option<i64>, Option<i64>)| {
        let arrival = arrival?.saturating_add(later);
        Some(if seen.hidden { arrival.max(event?) } else { arrival })
    };
    let arrival: Int64Array = if later == 0 && !seen.hidden {
        seen.arrival
    } else {
        seen.event.iter().zip(seen.arrival.iter()).map(first).collect()
    };
    let arrival = cast(&arrival, &DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())))?;
    let columns = seen.rows.columns().iter().cloned().chain([arrival]).collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// A source's rows on their way into a world.
struct Seen {
    rows: RecordBatch,
    event: Int64Array,
    arrival: Int64Array,
    /// Not before their event time.
    hidden: bool,
    /// Not at exactly their arrival.
    exclusive: bool,
}

impl Seen {
    fn under(&mut self, log: &Log, held: &Held, change: &Change) -> DfResult<()> {
        match change {
            Change::LabelTime { included } => self.exclusive = !included,
            Change::LateVisible => self.seen_as_it_happens(),
            Change::NotHidden => self.hidden = false,
            Change::FutureLeak { horizon, ahead } if leaks_ahead(change) => {
                if *ahead == Ahead::Happens {
                    self.seen_as_it_happens();
                }
                // What is to be known and to have happened is so by then.
                if log.config.future_events == FutureEvents::Hidden {
                    let times = self.event.iter().zip(self.arrival.iter());
                    self.arrival = times.map(|(event, arrival)| Some(arrival?.max(event?))).collect();
                    self.hidden = false;
                }
                let by = horizon.unwrap_or(FOREVER);
                self.arrival = self.arrival.unary(|t: i64| t.saturating_sub(by));
            }
            Change::LateDropped { limit } => {
                self.keep(held, |e, a| matches!((e, a), (Some(e), Some(a)) if a.saturating_sub(e) <= *limit));
            }
            Change::Truncated { first } => self.keep(held, |e, _| e.is_some_and(|e| e >= *first)),
            Change::DuplicatesRemoved => {
                if let Some(original) = &held.original {
                    let arrivals = self.arrival.iter().zip(original.iter());
                    self.arrival = arrivals.map(|(arrival, first)| arrival.filter(|_| first != Some(false))).collect();
                }
            }
            Change::Timezone { shift } => self.shift(log, *shift)?,
            _ => {}
        }
        Ok(())
    }

    /// Rows count from their event time on; what never arrives still does not.
    fn seen_as_it_happens(&mut self) {
        let times = self.event.iter().zip(self.arrival.iter());
        self.arrival = times.map(|(event, arrival)| arrival.and(event)).collect();
    }

    /// What is not kept, by the times in the files, is never known.
    fn keep(&mut self, held: &Held, kept: impl Fn(Option<i64>, Option<i64>) -> bool) {
        let times = held.event.iter().zip(held.arrival.iter());
        let arrivals = self.arrival.iter().zip(times);
        self.arrival = arrivals.map(|(arrival, (e, a))| arrival.filter(|_| kept(e, a))).collect();
    }

    fn shift(&mut self, log: &Log, shift: Shift) -> DfResult<()> {
        let names = [Some(&log.config.time), log.config.available_at.as_ref()];
        let moving = if matches!(shift, Shift::EventMinutes(_)) { 1 } else { 2 };
        for name in names.into_iter().take(moving).flatten() {
            let index = self.rows.schema().index_of(name)?;
            let mut columns = self.rows.columns().to_vec();
            let column = &columns[index];
            columns[index] = match shift {
                Shift::Minutes(minutes) | Shift::EventMinutes(minutes) => moved(column, i64::from(minutes) * MINUTE)?,
                Shift::ReadIn(zone) => as_read(column, &local_to_utc(&as_timestamp(column, None)?, zone)?)?,
                Shift::ShownIn(zone) => as_read(column, &utc_to_local(column, zone)?)?,
            };
            self.rows = RecordBatch::try_new(self.rows.schema(), columns)?;
        }
        (self.event, self.arrival) = times(log, &self.rows)?;
        Ok(())
    }
}

/// Label rows that ask these questions, which are in the order of time.
pub(super) fn spine(labels: &Labels, asks: impl Iterator<Item = Ask>) -> Result<Labels> {
    let failed = |e: datafusion::arrow::error::ArrowError| crate::error::Error::engine("ask a view", e.into());
    let (rows, times): (Vec<u32>, Vec<i64>) =
        asks.map(|ask| (u32::try_from(ask.row).unwrap_or(u32::MAX), ask.time)).unzip();
    let count = rows.len();
    let picks = UInt32Array::from(rows);
    let keys = labels.keys.iter().map(|key| take(key, &picks, None).map_err(failed)).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).map_err(failed)?;
    Ok(Labels { batch, times: Int64Array::from(times), keys })
}

/// What the change makes of the view's windows.
pub(super) fn rewindow(change: &Change) -> Option<Rewindow> {
    match change.apart().0 {
        Change::WindowStart { inclusive } => Some(Rewindow::Start { inclusive: *inclusive }),
        Change::LabelTime { included } => Some(Rewindow::End { included: *included }),
        Change::WindowLength { lengths, window, .. } => {
            let kept = |at: usize| window.is_none_or(|window| window == at);
            Some(Rewindow::Lengths(lengths.iter().enumerate().map(|(i, l)| l.filter(|_| kept(i))).collect()))
        }
        Change::Tiled { tile, inclusive } => Some(Rewindow::Tiled { tile: *tile, inclusive: *inclusive }),
        Change::FutureLeak { horizon, ahead: Ahead::Arrives | Ahead::Happens } => Some(Rewindow::EndLater(*horizon)),
        Change::FutureLeak { horizon: None, .. } => Some(Rewindow::EndLater(None)),
        _ => None,
    }
}

/// A timestamp column, later by so many nanoseconds.
fn moved(column: &ArrayRef, by: i64) -> DfResult<ArrayRef> {
    let DataType::Timestamp(unit, _) = column.data_type() else { return Ok(Arc::clone(column)) };
    let ticks = by.div_euclid(unit_ns(*unit));
    let values = cast(column, &DataType::Int64)?;
    let values: Int64Array = values.as_primitive::<Int64Type>().unary(|t: i64| t.saturating_add(ticks));
    as_read(column, &(Arc::new(values) as ArrayRef))
}

/// The same ticks as a timestamp without, or with, a zone.
fn as_timestamp(column: &ArrayRef, zone: Option<Arc<str>>) -> DfResult<ArrayRef> {
    let DataType::Timestamp(unit, _) = column.data_type() else { return Ok(Arc::clone(column)) };
    Ok(cast(&cast(column, &DataType::Int64)?, &DataType::Timestamp(*unit, zone))?)
}

/// The ticks of `values` under the type of `column`.
fn as_read(column: &ArrayRef, values: &ArrayRef) -> DfResult<ArrayRef> {
    Ok(cast(&cast(values, &DataType::Int64)?, column.data_type())?)
}
