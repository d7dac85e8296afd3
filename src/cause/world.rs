//! Other worlds: the sources as a legacy system may have seen them, and the replay of a view over them.
//!
//! The rows of a source are held in memory, as they are in its files. A world changes them (their times, which of them
//! there are), how the source is read (visibility, redelivery, the tie), or the view's windows. Then the view is replayed by
//! the planner and the engines of every replay; nothing is evaluated here.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array,
};
use datafusion::arrow::compute::{cast, concat_batches, filter_record_batch, take};
use datafusion::arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::MemTable;
use datafusion::error::Result as DfResult;
use datafusion::prelude::SessionContext;

use crate::analysis::View;
use crate::cause::change::{Ahead, Change, MINUTE, Shift};
use crate::cause::windows::{Rewindow, Windows};
use crate::config::{FutureEvents, Tie};
use crate::error::Result;
use crate::monitor::Silent;
use crate::replay::{ReplayOptions, replay_view};
use crate::source::time::{instants_ns, local_to_utc, plain_instants, unit_ns, utc_to_local};
use crate::source::{Labels, Log, orderable, plain_type};

/// "For ever", as a horizon: a hundred years.
const FOREVER: i64 = 100 * 365 * 86_400 * 1_000_000_000;

/// A source's rows, with their times.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub rows: RecordBatch,
    pub event: Int64Array,
    /// When each could first be known; NULL: never.
    pub arrival: Int64Array,
}

impl Held {
    /// # Errors
    /// As reading the source's files.
    pub(super) async fn read(log: &Log, session: &SessionContext) -> DfResult<Self> {
        let batches = session.read_table(Arc::clone(&log.table) as _)?.collect().await?;
        let rows = concat_batches(&TableProvider::schema(log.table.as_ref()), &batches)?;
        let time_of = |name: &str, shift: i64| -> DfResult<Int64Array> {
            let column = rows.column(rows.schema().index_of(name)?);
            Ok(instants_ns(&plain_instants(column, log.config.timezone)?, shift)?)
        };
        let event = time_of(&log.config.time, 0)?;
        let arrival = match &log.config.available_at {
            Some(name) => time_of(name, 0)?,
            None => time_of(&log.config.time, log.config.delay_ns)?,
        };
        Ok(Self { rows, event, arrival })
    }

    /// How late rows arrived, in order, NULLs left out.
    pub(super) fn lateness(&self) -> Vec<i64> {
        let pairs = self.event.iter().zip(self.arrival.iter());
        let mut late: Vec<i64> = pairs.filter_map(|(e, a)| Some(a?.saturating_sub(e?))).collect();
        late.sort_unstable();
        late
    }

    /// Whether some row repeats the id of another.
    pub(super) fn has_redelivered(&self, log: &Log) -> bool {
        let columns: Option<Vec<ArrayRef>> =
            log.config.id.iter().map(|id| self.rows.column_by_name(id).cloned()).collect();
        columns.is_some_and(|columns| self.first_of(&columns).is_ok_and(|kept| kept.iter().any(|k| !k)))
    }

    /// By row: whether it is the first to arrive of those that are equal in these columns.
    fn first_of(&self, columns: &[ArrayRef]) -> DfResult<Vec<bool>> {
        let columns =
            columns.iter().map(|c| orderable(&cast(c, &plain_type(c.data_type()))?)).collect::<DfResult<Vec<_>>>()?;
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let encoded = RowConverter::new(fields)?.convert_columns(&columns)?;
        let known = |row: usize| self.event.is_valid(row) && self.arrival.is_valid(row);
        let mut first: HashMap<&[u8], usize> = HashMap::with_capacity(self.rows.num_rows());
        for row in (0..self.rows.num_rows()).filter(|&r| known(r)) {
            let kept = first.entry(encoded.row(row).data()).or_insert(row);
            if self.arrival.value(row) < self.arrival.value(*kept) {
                *kept = row;
            }
        }
        Ok((0..self.rows.num_rows())
            .map(|row| !known(row) || first.get(encoded.row(row).data()) == Some(&row))
            .collect())
    }

    /// Whether rows are equal in everything but their arrival.
    pub(super) fn has_copies(&self, log: &Log) -> bool {
        self.without_copies(log).is_ok_and(|kept| kept.iter().any(|k| !k))
    }

    fn without_copies(&self, log: &Log) -> DfResult<Vec<bool>> {
        let arrival = log.config.available_at.as_deref();
        let schema = self.rows.schema();
        let columns = schema.fields().iter().zip(self.rows.columns());
        let columns = columns.filter(|(field, _)| Some(field.name().as_str()) != arrival);
        self.first_of(&columns.map(|(_, column)| Arc::clone(column)).collect::<Vec<_>>())
    }

    fn keep(&mut self, kept: &[bool]) -> DfResult<()> {
        let mask = BooleanArray::from(kept.to_vec());
        self.rows = filter_record_batch(&self.rows, &mask)?;
        self.event = datafusion::arrow::compute::filter(&self.event, &mask)?.as_primitive::<Int64Type>().clone();
        self.arrival = datafusion::arrow::compute::filter(&self.arrival, &mask)?.as_primitive::<Int64Type>().clone();
        Ok(())
    }

    /// Replaces a time column.
    fn shift(&mut self, name: &str, shift: &dyn Fn(&ArrayRef) -> DfResult<ArrayRef>) -> DfResult<()> {
        let index = self.rows.schema().index_of(name)?;
        let mut columns = self.rows.columns().to_vec();
        columns[index] = shift(&columns[index])?;
        self.rows = RecordBatch::try_new(self.rows.schema(), columns)?;
        Ok(())
    }
}

/// A view with the sources that it reads.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub view: View,
    /// All of the project's, by number.
    pub logs: Vec<Log>,
}

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

impl World {
    /// The world under `changes`; `held` are the rows of the sources that the view reads, by number.
    ///
    /// # Errors
    /// Where a plan or a column can't be rebuilt.
    pub(super) fn under(
        view: &View,
        logs: &[Log],
        held: &HashMap<usize, Held>,
        windows: &Windows,
        changes: &[&Change],
    ) -> DfResult<Self> {
        let mut view = view.clone();
        for change in changes {
            if let Some(rewindow) = rewindow(change) {
                view.plan = windows.rewrite(view.plan, &rewindow)?;
            }
        }
        let mut logs = logs.to_vec();
        for (&source, held) in held {
            let log = &mut logs[source];
            let mut held = held.clone();
            for change in changes {
                reread(log, source, &mut held, change)?;
            }
            let table = MemTable::try_new(held.rows.schema(), vec![vec![held.rows]])?;
            *log = log.clone().with_rows(Arc::new(table));
        }
        Ok(Self { view, logs })
    }

    /// Replays the view for these questions, in a task of its own.
    ///
    /// # Errors
    /// As a replay.
    pub(super) async fn ask(self, labels: Arc<Labels>, asks: Vec<Ask>, session: SessionContext) -> Result<Answers> {
        let failed = |e| crate::error::Error::engine("replay a view under another meaning", e);
        let task = SpawnedTask::spawn(async move {
            let mut order: Vec<u32> = (0..u32::try_from(asks.len()).unwrap_or(u32::MAX)).collect();
            order.sort_by_key(|&i| (asks[i as usize].time, i));
            let spine = spine(&labels, order.iter().map(|&i| asks[i as usize]))?;
            let replayed =
                replay_view(&self.view, &self.logs, &spine, &session, ReplayOptions::default(), &Silent).await?;
            let mut place = vec![0_u32; order.len()];
            for (at, &i) in order.iter().enumerate() {
                place[i as usize] = u32::try_from(at).unwrap_or(u32::MAX);
            }
            let place = UInt32Array::from(place);
            let columns = replayed.values.with_defaults(&self.view.features).map_err(failed)?;
            let back = |array: &dyn Array| take(array, &place, None).map_err(|e| failed(e.into()));
            Ok(Answers {
                columns: columns.iter().map(|c| back(c)).collect::<Result<_>>()?,
                found: back(&replayed.values.found)?.as_boolean().clone(),
            })
        });
        match task.join().await {
            Ok(answers) => answers,
            Err(e) => Err(failed(datafusion::common::exec_datafusion_err!("{e}"))),
        }
    }
}

/// Label rows that ask these questions, which are in the order of time.
fn spine(labels: &Labels, asks: impl Iterator<Item = Ask>) -> Result<Labels> {
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
fn rewindow(change: &Change) -> Option<Rewindow> {
    match change {
        Change::WindowStart { inclusive } => Some(Rewindow::Start { inclusive: *inclusive }),
        Change::LabelTime { included } => Some(Rewindow::End { included: *included }),
        Change::WindowLength { lengths, window, .. } => {
            let kept = |at: usize| window.is_none_or(|window| window == at);
            Some(Rewindow::Lengths(lengths.iter().enumerate().map(|(i, l)| l.filter(|_| kept(i))).collect()))
        }
        Change::Tiled { tile } => Some(Rewindow::Tiled(*tile)),
        Change::FutureLeak { horizon, ahead: Ahead::Arrives | Ahead::Happens } => Some(Rewindow::EndLater(*horizon)),
        Change::FutureLeak { horizon: None, .. } => Some(Rewindow::EndLater(None)),
        _ => None,
    }
}

/// What the change makes of a source.
fn reread(log: &mut Log, source: usize, held: &mut Held, change: &Change) -> DfResult<()> {
    let own = |wanted: &Option<usize>| wanted.is_none_or(|wanted| wanted == source);
    match change {
        Change::LabelTime { included } => {
            *log = log.clone().with_tie(if *included { Tie::Include } else { Tie::Exclude });
        }
        Change::LateVisible { source } if own(source) => seen_as_it_happens(log, held)?,
        Change::FutureLeak { horizon, ahead: Ahead::Moves } if horizon.is_none() => sooner(log, held, FOREVER)?,
        Change::FutureLeak { horizon, ahead: Ahead::Arrives } => sooner(log, held, horizon.unwrap_or(FOREVER))?,
        Change::FutureLeak { horizon, ahead: Ahead::Happens } => {
            seen_as_it_happens(log, held)?;
            sooner(log, held, horizon.unwrap_or(FOREVER))?;
        }
        Change::LateDropped { limit } => {
            let late = held.event.iter().zip(held.arrival.iter());
            let kept: Vec<bool> =
                late.map(|(e, a)| matches!((e, a), (Some(e), Some(a)) if a.saturating_sub(e) <= *limit)).collect();
            held.keep(&kept)?;
        }
        Change::Truncated { first } => {
            let kept: Vec<bool> = held.event.iter().map(|e| e.is_some_and(|e| e >= *first)).collect();
            held.keep(&kept)?;
        }
        Change::DuplicatesCounted => log.config.id.clear(),
        Change::DuplicatesRemoved => {
            let kept = held.without_copies(log)?;
            held.keep(&kept)?;
        }
        Change::Timezone { shift, source } if own(source) => {
            let names: Vec<String> =
                std::iter::once(log.config.time.clone()).chain(log.config.available_at.clone()).collect();
            let moving = if matches!(shift, Shift::EventMinutes(_)) { 1 } else { names.len() };
            for name in names.into_iter().take(moving) {
                match shift {
                    Shift::Minutes(minutes) | Shift::EventMinutes(minutes) => {
                        held.shift(&name, &|column| moved(column, i64::from(*minutes) * MINUTE))?;
                    }
                    Shift::ReadIn(zone) => held
                        .shift(&name, &|column| as_read(column, &local_to_utc(&as_timestamp(column, None)?, *zone)?))?,
                    Shift::ShownIn(zone) => {
                        held.shift(&name, &|column| as_read(column, &utc_to_local(column, *zone)?))?
                    }
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Rows count from their event time on; what never arrives still does not.
fn seen_as_it_happens(log: &mut Log, held: &mut Held) -> DfResult<()> {
    let kept: Vec<bool> = (0..held.arrival.len()).map(|row| held.arrival.is_valid(row)).collect();
    held.keep(&kept)?;
    log.config.available_at = None;
    log.config.delay_ns = 0;
    Ok(())
}

/// Rows count that much sooner than they should.
fn sooner(log: &mut Log, held: &mut Held, by: i64) -> DfResult<()> {
    log.config.future_events = FutureEvents::Visible;
    match log.config.available_at.clone() {
        Some(name) => held.shift(&name, &|column| moved(column, -by)),
        None => {
            log.config.delay_ns = log.config.delay_ns.saturating_sub(by);
            Ok(())
        }
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
