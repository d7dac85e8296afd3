//! The reference engine: the law, taken literally.
//!
//! For every distinct label time T: of each source the rows visible at T, as section 2 of the contract says it, row by
//! row; over them the view's SQL as an ordinary query with `NOW()` equal to T; and from its result the row of each label
//! row's keys. It shares with the set-at-a-time engine the planner of the SQL, and nothing of the rewrite, of validity
//! intervals or of the spine.
//!
//! Sources are held in memory (the columns that the view needs, and those that decide visibility). Cost: a query per
//! view and distinct label time.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array, new_empty_array,
};
use datafusion::arrow::compute::{cast, concat, concat_batches, take};
use datafusion::arrow::datatypes::{Int64Type, SchemaRef, TimeUnit};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_datafusion_err;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNodeRecursion};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt};

use crate::analysis::{View, marked_source};
use crate::config::{SourceKind, Tie};
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::replay::narrow::Narrowed;
use crate::replay::values::{ViewValues, ambiguous, has_value};
use crate::source::time::ticks_until;
use crate::source::{Labels, Log, orderable, timestamp};
use crate::sql::{bind_now, now_unit, without_signed_zeros};

/// Label times measured before the whole time is told.
const MEASURED: usize = 8;
/// A run shorter than this is not worth an announcement.
const WORTH_SAYING: Duration = Duration::from_secs(5);

/// The values of `view` for the given label rows (positions in `labels`, in order); one result row each.
///
/// # Errors
/// What the data breaks, several rows for one key, or a failure of the engine.
pub async fn run(
    view: &View,
    logs: &[Log],
    labels: &Labels,
    rows: &[usize],
    session: &SessionContext,
    monitor: &dyn Monitor,
) -> Result<ViewValues> {
    Box::pin(run_narrowed(view, logs, labels, rows, session, monitor, &Narrowed::default())).await
}

/// As [`run`], over no more of the sources than this.
pub(super) async fn run_narrowed(
    view: &View,
    logs: &[Log],
    labels: &Labels,
    rows: &[usize],
    session: &SessionContext,
    monitor: &dyn Monitor,
    narrowed: &Narrowed,
) -> Result<ViewValues> {
    let failed = |e| Error::engine(format!("replay view `{}`", view.name), e);
    let latest = rows.iter().map(|&r| labels.times.value(r)).max().unwrap_or(i64::MIN);
    let mut state = session.state();
    // Label times run side by side, so each query by itself runs on one thread.
    let threads = state.config().target_partitions().max(1);
    state.config_mut().options_mut().execution.target_partitions = 1;
    // DataFusion optimises the query with `NOW()` still open. With a literal it would narrow `ts >= NOW()` to the unit of
    // a coarser `ts`, and cut off digits of the literal: 55 does not look whether the comparison still means the same.
    let plan = state.optimize(view.plan()).map_err(failed)?;
    let tables = load(&plan, logs, latest, narrowed, session).await.map_err(failed)?;
    let unit = now_unit(session);
    let mut instants: Vec<(i64, Vec<usize>)> = Vec::new();
    for (at, &row) in rows.iter().enumerate() {
        let time = labels.times.value(row);
        match instants.last_mut() {
            Some((t, positions)) if *t == time => positions.push(at),
            _ => instants.push((time, vec![at])),
        }
    }
    let announced = Announcement::new(instants.len());
    let found: Vec<(Vec<usize>, Found)> = futures::stream::iter(instants)
        .map(|(time, positions)| {
            let (state, plan, tables, announced) = (&state, &plan, &tables, &announced);
            async move {
                let label_rows: Vec<usize> = positions.iter().map(|&p| rows[p]).collect();
                let found = one_instant(view, plan, tables, (time, unit), labels, &label_rows, state).await?;
                announced.count(&view.name, monitor);
                monitor.advance(positions.len() as u64);
                Ok::<_, Error>((positions, found))
            }
        })
        .buffered(threads)
        .try_collect()
        .await?;
    assemble(view, rows.len(), found).map_err(failed)
}

/// Plans the view's query down to its operators, over sources without a row.
///
/// # Errors
/// What DataFusion can write as a plan but not run.
pub async fn dry_run(view: &View, logs: &[Log], session: &SessionContext, unit: TimeUnit) -> DfResult<()> {
    let state = session.state();
    let plan = state.optimize(view.plan())?;
    let visible = logs.iter().enumerate().map(|(i, log)| (i, Arc::new(VisibleTable::empty(log)))).collect();
    let _ = physical_plan(&plan, &visible, (0, unit), &state).await?;
    Ok(())
}

/// Says how long the rest will take, once that can be known.
struct Announcement {
    total: usize,
    done: std::sync::atomic::AtomicUsize,
    began: Instant,
}

impl Announcement {
    fn new(total: usize) -> Self {
        Self { total, done: std::sync::atomic::AtomicUsize::new(0), began: Instant::now() }
    }

    fn count(&self, view: &str, monitor: &dyn Monitor) {
        let done = self.done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        if done != MEASURED.min(self.total) {
            return;
        }
        let each = self.began.elapsed() / u32::try_from(done).unwrap_or(1);
        let rest = each.saturating_mul(u32::try_from(self.total - done).unwrap_or(u32::MAX));
        if rest > WORTH_SAYING {
            monitor.note(&format!(
                "view `{view}`: the reference engine runs {} queries, about {} more",
                self.total,
                humantime::format_duration(Duration::from_secs(rest.as_secs()))
            ));
        }
    }
}

/// The rows of the view that one instant's label rows asked for.
struct Found {
    columns: Vec<ArrayRef>,
    /// By label row of the instant.
    picks: Vec<Option<u32>>,
}

async fn one_instant(
    view: &View,
    plan: &LogicalPlan,
    tables: &HashMap<usize, Arc<RawTable>>,
    (time, unit): (i64, TimeUnit),
    labels: &Labels,
    label_rows: &[usize],
    state: &SessionState,
) -> Result<Found> {
    let failed = |e| Error::engine(format!("replay view `{}`", view.name), e);
    let visible: HashMap<usize, Arc<VisibleTable>> = tables
        .iter()
        .map(|(source, raw)| (*source, Arc::new(VisibleTable::new(Arc::clone(raw), raw.visible(time)))))
        .collect();
    let batch = query(plan, &visible, (time, unit), state).await.map_err(failed)?;
    let mut by_key: HashMap<OwnedRow, (u32, usize)> = HashMap::new();
    let converter = RowConverter::new(view.keys.iter().map(|k| SortField::new(k.data_type.clone())).collect())
        .map_err(|e| failed(e.into()))?;
    let key_columns = view
        .keys
        .iter()
        .map(|k| {
            let column =
                batch.column_by_name(&k.column).ok_or_else(|| internal_datafusion_err!("no column {}", k.column))?;
            Ok(without_signed_zeros(&cast(column, &k.data_type)?))
        })
        .collect::<DfResult<Vec<_>>>()
        .map_err(failed)?;
    let asked = view
        .keys
        .iter()
        .map(|k| {
            let picks = UInt32Array::from_iter_values(label_rows.iter().filter_map(|&r| u32::try_from(r).ok()));
            Ok(without_signed_zeros(&cast(&take(&labels.keys[k.label], &picks, None)?, &k.data_type)?))
        })
        .collect::<DfResult<Vec<ArrayRef>>>()
        .map_err(failed)?;
    let known = |columns: &[ArrayRef], row: usize| columns.iter().all(|c| has_value(c, row));
    if view.keys.is_empty() {
        let count = batch.num_rows();
        if count > 1
            && let Some(&row) = label_rows.first()
        {
            return Err(ambiguous(view, labels, row, count));
        }
        let picks = vec![(count == 1).then_some(0); label_rows.len()];
        return Ok(Found { columns: feature_columns(view, &batch).map_err(failed)?, picks });
    }
    let rows = converter.convert_columns(&key_columns).map_err(|e| failed(e.into()))?;
    for row in (0..batch.num_rows()).filter(|&r| known(&key_columns, r)) {
        let position = u32::try_from(row).unwrap_or(u32::MAX);
        by_key.entry(rows.row(row).owned()).or_insert((position, 0)).1 += 1;
    }
    let asked_rows = converter.convert_columns(&asked).map_err(|e| failed(e.into()))?;
    let mut picks = Vec::with_capacity(label_rows.len());
    for (i, &label_row) in label_rows.iter().enumerate() {
        let hit = if known(&asked, i) { by_key.get(&asked_rows.row(i).owned()) } else { None };
        if let Some((_, count)) = hit.filter(|(_, count)| *count > 1) {
            return Err(ambiguous(view, labels, label_row, *count));
        }
        picks.push(hit.map(|(position, _)| *position));
    }
    Ok(Found { columns: feature_columns(view, &batch).map_err(failed)?, picks })
}

fn feature_columns(view: &View, batch: &RecordBatch) -> DfResult<Vec<ArrayRef>> {
    let column =
        |name: &str| batch.column_by_name(name).cloned().ok_or_else(|| internal_datafusion_err!("no column {name}"));
    view.features.iter().map(|f| column(&f.column)).collect()
}

/// The view's query as it would have run at `time`.
pub(crate) async fn query(
    plan: &LogicalPlan,
    visible: &HashMap<usize, Arc<VisibleTable>>,
    at: (i64, TimeUnit),
    state: &SessionState,
) -> DfResult<RecordBatch> {
    let physical = physical_plan(plan, visible, at, state).await?;
    let schema = physical.schema();
    let batches = collect(physical, state.task_ctx()).await?;
    Ok(concat_batches(&schema, &batches)?)
}

async fn physical_plan(
    plan: &LogicalPlan,
    visible: &HashMap<usize, Arc<VisibleTable>>,
    (time, unit): (i64, TimeUnit),
    state: &SessionState,
) -> DfResult<Arc<dyn ExecutionPlan>> {
    let now = timestamp(unit, ticks_until(time, unit), Some("UTC".into()));
    let plan = bind_now(plan.clone(), &now)?;
    let plan = plan
        .transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) => match marked_source(&scan).and_then(|s| visible.get(&s)) {
                Some(table) => {
                    let source = provider_as_source(Arc::clone(table) as _);
                    Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
                }
                None => Ok(Transformed::no(LogicalPlan::TableScan(scan))),
            },
            other => Ok(Transformed::no(other)),
        })
        .data()?;
    state.query_planner().create_physical_plan(&plan, state).await
}

fn assemble(view: &View, rows: usize, found: Vec<(Vec<usize>, Found)>) -> DfResult<ViewValues> {
    let mut picks: Vec<Option<u32>> = vec![None; rows];
    let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); view.features.len()];
    let mut offset: u32 = 0;
    for (positions, found) in found {
        let kept: Vec<u32> = found.picks.iter().flatten().copied().collect();
        let count = u32::try_from(kept.len()).unwrap_or(0);
        let kept = UInt32Array::from(kept);
        for (part, column) in parts.iter_mut().zip(&found.columns) {
            part.push(take(column, &kept, None)?);
        }
        let mut next = offset;
        for (position, pick) in positions.into_iter().zip(&found.picks) {
            if pick.is_some() {
                picks[position] = Some(next);
                next += 1;
            }
        }
        offset += count;
    }
    let columns = parts
        .iter()
        .zip(&view.features)
        .map(|(part, feature)| match part.as_slice() {
            [] => Ok(new_empty_array(&feature.data_type)),
            part => Ok(concat(&part.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?),
        })
        .collect::<DfResult<Vec<_>>>()?;
    ViewValues::gather(&columns, &UInt32Array::from(picks), &view.features)
}

/// A source's rows in memory, with what decides which are visible.
#[derive(Debug, Clone)]
pub(crate) struct RawTable {
    pub(crate) schema: SchemaRef,
    /// By column of `schema`; `None`: no plan reads it.
    pub(crate) columns: Vec<Option<ArrayRef>>,
    pub(crate) available: Int64Array,
    pub(crate) event: Int64Array,
    /// Redelivered rows and versions have the same number; `None`: a row of its own.
    pub(crate) identity: Vec<Option<u32>>,
    identities: usize,
    /// Position of the row in the order in which rows with one id win.
    pub(crate) rank: Vec<u32>,
    pub(crate) deleted: Option<BooleanArray>,
    pub(crate) kind: SourceKind,
    pub(crate) exclude_ties: bool,
    pub(crate) hide_future: bool,
}

impl RawTable {
    /// From rows as [`Log::raw_rows`] gives them: `columns`, then the times, then perhaps `deleted`.
    pub(crate) fn of(log: &Log, columns: &[usize], batch: &RecordBatch) -> DfResult<Self> {
        let mut at = vec![None; log.schema.fields().len()];
        for (i, &column) in columns.iter().enumerate() {
            at[column] = Some(Arc::clone(batch.column(i)));
        }
        let instants = |i: usize| batch.column(columns.len() + i).as_primitive::<Int64Type>().clone();
        let (event, available) = (instants(0), instants(1));
        let deleted = log.has_deleted().then(|| batch.column(columns.len() + 2).as_boolean().clone());
        let (identity, identities, rank) = identities(log, &at, batch.num_rows())?;
        Ok(Self {
            schema: Arc::clone(&log.schema),
            columns: at,
            available,
            event,
            identity,
            identities,
            rank,
            deleted,
            kind: log.config.kind,
            exclude_ties: log.ties() == Tie::Exclude,
            hide_future: log.config.future_events == crate::config::FutureEvents::Hidden,
        })
    }

    /// Positions of the rows that count at `time`, in the order of the files.
    pub(crate) fn visible(&self, time: i64) -> UInt32Array {
        let seen = |row: usize| {
            let arrived = self.available.value(row);
            let arrived = if self.exclude_ties { arrived < time } else { arrived <= time };
            arrived && (!self.hide_future || self.event.value(row) <= time)
        };
        let known = |row: usize| self.available.is_valid(row) && self.event.is_valid(row);
        let mut best: Vec<Option<usize>> = vec![None; self.identities];
        let mut alone = Vec::new();
        for row in (0..self.available.len()).filter(|&r| known(r) && seen(r)) {
            match self.identity[row] {
                None => alone.push(row),
                Some(id) => {
                    let kept = &mut best[id as usize];
                    let wins = match (*kept, self.kind) {
                        (None, _) => true,
                        (Some(other), SourceKind::Log) => self.rank[row] < self.rank[other],
                        (Some(other), SourceKind::Changelog) => self.rank[row] > self.rank[other],
                    };
                    if wins {
                        *kept = Some(row);
                    }
                }
            }
        }
        let gone = |row: usize| self.deleted.as_ref().is_some_and(|d| d.is_valid(row) && d.value(row));
        let mut rows: Vec<usize> = alone.into_iter().chain(best.into_iter().flatten()).filter(|&r| !gone(r)).collect();
        rows.sort_unstable();
        UInt32Array::from_iter_values(rows.into_iter().filter_map(|r| u32::try_from(r).ok()))
    }
}

/// Reads the sources that the optimised plan reads, with the columns it needs.
async fn load(
    plan: &LogicalPlan,
    logs: &[Log],
    latest: i64,
    narrowed: &Narrowed,
    session: &SessionContext,
) -> DfResult<HashMap<usize, Arc<RawTable>>> {
    let mut needed: HashMap<usize, Vec<usize>> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(source) = marked_source(scan)
        {
            let all = || (0..logs[source].schema.fields().len()).collect();
            needed.entry(source).or_default().extend(scan.projection.clone().unwrap_or_else(all));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut tables = HashMap::new();
    for (source, columns) in needed {
        tables.insert(
            source,
            Arc::new(
                load_one(
                    &logs[source],
                    columns,
                    (narrowed.earliest.get(&source).copied(), latest),
                    narrowed.keep.get(&source),
                    session,
                )
                .await?,
            ),
        );
    }
    Ok(tables)
}

async fn load_one(
    log: &Log,
    mut columns: Vec<usize>,
    (earliest, latest): (Option<i64>, i64),
    keep: Option<&Expr>,
    session: &SessionContext,
) -> DfResult<RawTable> {
    let width = log.schema.fields().len();
    if !log.config.id.is_empty() || log.has_deleted() {
        columns = (0..width).collect();
    }
    columns.sort_unstable();
    columns.dedup();
    let plan = log.raw_rows_of(&columns, Some(latest), earliest, keep)?;
    let frame = session.execute_logical_plan(plan).await?;
    let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await?;
    let batch = concat_batches(&schema, &batches)?;
    RawTable::of(log, &columns, &batch)
}

type Identities = (Vec<Option<u32>>, usize, Vec<u32>);

/// Numbers rows by id, and ranks all rows in the order in which rows with one id are compared.
fn identities(log: &Log, columns: &[Option<ArrayRef>], rows: usize) -> DfResult<Identities> {
    if log.config.id.is_empty() {
        return Ok((vec![None; rows], 0, Vec::new()));
    }
    let own = |name: &String| -> DfResult<ArrayRef> {
        let column = log.schema.index_of(name).ok().and_then(|i| columns[i].clone());
        orderable(&column.ok_or_else(|| internal_datafusion_err!("column {name} was not read"))?)
    };
    let ids = log.config.id.iter().map(own).collect::<DfResult<Vec<_>>>()?;
    let fields = |arrays: &[ArrayRef]| arrays.iter().map(|a| SortField::new(a.data_type().clone())).collect::<Vec<_>>();
    let id_rows = RowConverter::new(fields(&ids))?.convert_columns(&ids)?;
    let mut numbers: HashMap<&[u8], u32> = HashMap::new();
    let mut identity = Vec::with_capacity(rows);
    for row in 0..rows {
        if ids.iter().any(|id| !has_value(id, row)) {
            identity.push(None);
        } else {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            identity.push(Some(*numbers.entry(id_rows.row(row).data()).or_insert(next)));
        }
    }
    // The times as they are, not as saturated instants: two times beyond 2262 still have an order.
    let (time, arrival) = (&log.config.time, log.config.available_at.as_ref().unwrap_or(&log.config.time));
    let first = match log.config.kind {
        SourceKind::Log => [own(arrival)?, own(time)?],
        SourceKind::Changelog => [own(time)?, own(arrival)?],
    };
    let mut keys: Vec<ArrayRef> = first.to_vec();
    for column in columns {
        let column = column.as_ref().ok_or_else(|| internal_datafusion_err!("a column was not read"))?;
        keys.push(orderable(column)?);
    }
    let key_rows = RowConverter::new(fields(&keys))?.convert_columns(&keys)?;
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|&a, &b| key_rows.row(a).cmp(&key_rows.row(b)));
    let mut rank = vec![0_u32; rows];
    for (position, row) in order.into_iter().enumerate() {
        rank[row] = u32::try_from(position).unwrap_or(u32::MAX);
    }
    Ok((identity, numbers.len(), rank))
}

/// A source as it was to be seen at one instant.
pub(crate) struct VisibleTable {
    raw: Arc<RawTable>,
    rows: UInt32Array,
}

impl VisibleTable {
    /// The rows at these positions.
    pub(crate) fn new(raw: Arc<RawTable>, rows: UInt32Array) -> Self {
        Self { raw, rows }
    }

    /// The source before its first row.
    fn empty(log: &Log) -> Self {
        let none = || Int64Array::from(Vec::<i64>::new());
        let columns = log.schema.fields().iter().map(|f| Some(new_empty_array(f.data_type()))).collect();
        let raw = RawTable {
            schema: Arc::clone(&log.schema),
            columns,
            available: none(),
            event: none(),
            identity: Vec::new(),
            identities: 0,
            rank: Vec::new(),
            deleted: None,
            kind: log.config.kind,
            exclude_ties: false,
            hide_future: false,
        };
        Self { raw: Arc::new(raw), rows: UInt32Array::from(Vec::<u32>::new()) }
    }
}

impl fmt::Debug for VisibleTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisibleTable({} rows)", self.rows.len())
    }
}

#[async_trait]
impl TableProvider for VisibleTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.raw.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.raw.schema.fields().len()).collect();
        let picked: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let columns = picked
            .iter()
            .map(|&i| match &self.raw.columns[i] {
                Some(column) => Ok(take(column, &self.rows, None)?),
                None => Err(internal_datafusion_err!("column {} was not read", self.raw.schema.field(i).name())),
            })
            .collect::<DfResult<Vec<_>>>()?;
        let schema = Arc::new(self.raw.schema.project(&picked)?);
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
        Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None)?)
    }
}
