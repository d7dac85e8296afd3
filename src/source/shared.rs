//! One scan of a source for several plans that run side by side: each file is read and decoded once.
//!
//! ```text
//! plan of view A    events: user_id, ts, x      ts > T - 1 day   ─┐                      ┌─ A's columns ─ A's own filter
//!                                                                 ├─ user_id, ts, x, y ──┤
//! plan of view B    events: user_id, ts, y      ts > T - 7 days  ─┘     ts > T - 7 days  └─ B's columns ─ B's own filter
//! ```
//!
//! * Plans are made first, each over a [`SharedTable`]; what they ask is gathered. When the first of them is executed, the scan is
//!   planned: all columns that one of them reads, and of the filters what holds for all.
//! * Per partition a task reads, and hands every batch to every reader. It waits for the slowest: no more than two batches
//!   are held for each. So plans have to be executed all at once, and each may read one shared scan only: two plans that waited for each
//!   other's would wait for ever. A reader that ends is no longer waited for.
//! * A reader can't begin anew: then it fails with an error, and its plan has to be run by itself.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::StreamExt;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::source::operator::no_input;
use crate::source::table::ParquetTable;

/// Batches that wait for a reader, per partition.
const UNDER_WAY: usize = 2;

/// A reader of a shared scan asked for a partition again, or too late.
#[derive(Debug, thiserror::Error)]
#[error("a shared scan is read once, by readers that are there when it begins")]
struct ReadOnce;

type Batches = Receiver<Result<RecordBatch, Arc<DataFusionError>>>;

/// What one plan asks of the source.
#[derive(Debug)]
struct Reader {
    columns: Vec<usize>,
    filters: Vec<Expr>,
    /// By partition, once the scan has begun.
    batches: Vec<Option<Batches>>,
    /// Nobody is there to read.
    gone: bool,
}

/// Readers of one table.
#[derive(Debug)]
struct Readers {
    all: Vec<Reader>,
    /// Where each of the scan's columns is.
    columns: Vec<usize>,
    /// By partition, what reads it; taken by whoever comes first.
    scan: Option<Vec<Option<Feed>>>,
    /// Ends with the last reader.
    tasks: Vec<SpawnedTask<()>>,
}

/// Where batches of a partition come from and go to.
struct Feed {
    plan: Arc<dyn ExecutionPlan>,
    partition: usize,
    to: Vec<Sender<Result<RecordBatch, Arc<DataFusionError>>>>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("partition", &self.partition).finish_non_exhaustive()
    }
}

/// One scan of a table.
#[derive(Debug)]
pub struct SharedScan {
    table: Arc<ParquetTable>,
    state: SessionState,
    partitions: usize,
    readers: Mutex<Readers>,
    /// Held while the scan is planned.
    planning: tokio::sync::Mutex<()>,
}

impl SharedScan {
    /// `state`: of the session in which all plans run.
    pub fn new(table: Arc<ParquetTable>, state: SessionState) -> Arc<Self> {
        let partitions = table.most_partitions(state.config().target_partitions());
        let readers = Readers { all: Vec::new(), columns: Vec::new(), scan: None, tasks: Vec::new() };
        Arc::new(Self {
            table,
            state,
            partitions,
            readers: Mutex::new(readers),
            planning: tokio::sync::Mutex::default(),
        })
    }

    /// The table as one plan reads it. One plan may scan it once.
    pub fn table(self: &Arc<Self>) -> SharedTable {
        SharedTable { scan: Arc::clone(self) }
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader that will read no more of what it has not begun to read.
    fn leave(&self, reader: usize) {
        if let Some(reader) = self.readers().all.get_mut(reader) {
            reader.gone = true;
            reader.batches.clear();
        }
    }

    /// Plans the scan for all readers there are.
    async fn begin(&self) -> DfResult<()> {
        let _planning = self.planning.lock().await;
        let (columns, filters) = {
            let readers = self.readers();
            if readers.scan.is_some() {
                return Ok(());
            }
            let there = || readers.all.iter().filter(|r| !r.gone);
            let mut columns: Vec<usize> = there().flat_map(|r| r.columns.iter().copied()).collect();
            columns.sort_unstable();
            columns.dedup();
            (columns, common(there().map(|r| r.filters.as_slice())))
        };
        let plan = self.table.scan(&self.state, Some(&columns), &filters, None).await?;
        let parts = plan.output_partitioning().partition_count();
        let mut readers = self.readers();
        let mut feeds: Vec<Option<Feed>> = Vec::with_capacity(parts);
        for partition in 0..self.partitions {
            let mut to = Vec::with_capacity(readers.all.len());
            for reader in readers.all.iter_mut().filter(|r| !r.gone) {
                let (sender, receiver) = channel(UNDER_WAY);
                reader.batches.push(Some(receiver));
                to.push(sender);
            }
            // A partition that the scan does not have is empty.
            feeds.push((partition < parts).then(|| Feed { plan: Arc::clone(&plan), partition, to }));
        }
        readers.columns = columns;
        readers.scan = Some(feeds);
        Ok(())
    }

    /// A reader's batches of a partition, in its own columns.
    async fn read(self: Arc<Self>, reader: usize, partition: usize, context: Arc<TaskContext>) -> DfResult<Handed> {
        self.begin().await?;
        let mut readers = self.readers();
        let feed = readers.scan.as_mut().and_then(|feeds| feeds[partition].take());
        if let Some(feed) = feed {
            readers.tasks.push(SpawnedTask::spawn(feed.run(context)));
        }
        let Readers { all, columns, .. } = &mut *readers;
        let own = all.get_mut(reader).and_then(|r| Some((r.batches.get_mut(partition)?.take()?, &r.columns)));
        let Some((batches, own)) = own else { return Err(DataFusionError::External(Box::new(ReadOnce))) };
        let picks = own.iter().filter_map(|column| columns.binary_search(column).ok()).collect();
        Ok(Handed { batches, picks })
    }
}

/// Batches as a reader gets them.
struct Handed {
    batches: Batches,
    picks: Vec<usize>,
}

impl Feed {
    async fn run(self, context: Arc<TaskContext>) {
        let Self { plan, partition, mut to } = self;
        let mut batches = match plan.execute(partition, context) {
            Ok(batches) => batches,
            Err(e) => return tell_all(&to, e).await,
        };
        while let Some(batch) = batches.next().await {
            let batch = match batch {
                Ok(batch) => batch,
                Err(e) => return tell_all(&to, e).await,
            };
            let mut gone = Vec::new();
            for (i, reader) in to.iter().enumerate() {
                if reader.send(Ok(batch.clone())).await.is_err() {
                    gone.push(i);
                }
            }
            gone.into_iter().rev().for_each(|i| drop(to.swap_remove(i)));
            if to.is_empty() {
                return;
            }
        }
    }
}

async fn tell_all(to: &[Sender<Result<RecordBatch, Arc<DataFusionError>>>], error: DataFusionError) {
    let error = Arc::new(error);
    for reader in to {
        // One that is gone needs not know.
        let _ = reader.send(Err(Arc::clone(&error))).await;
    }
}

/// The filters that hold for all readers: those that all have, and of bounds that differ the weakest.
fn common<'a>(mut readers: impl Iterator<Item = &'a [Expr]>) -> Vec<Expr> {
    let parts = |filters: &'a [Expr]| filters.iter().flat_map(split_conjunction).collect::<Vec<_>>();
    let Some(first) = readers.next() else { return Vec::new() };
    let mut held: Vec<Expr> = parts(first).into_iter().cloned().collect();
    for filters in readers {
        let others = parts(filters);
        held = held.iter().filter_map(|own| others.iter().find_map(|other| weaker(own, other))).collect();
    }
    held
}

/// A filter that holds wherever one of the two does, where they are one, or bounds of one thing on one side.
fn weaker(a: &Expr, b: &Expr) -> Option<Expr> {
    if a == b {
        return Some(a.clone());
    }
    let (Expr::BinaryExpr(a_is), Expr::BinaryExpr(b_is)) = (a, b) else { return None };
    let (BinaryExpr { left, op, right }, BinaryExpr { left: other_left, op: other_op, right: other_right }) =
        (a_is, b_is);
    let (Expr::Literal(bound, _), Expr::Literal(other, _)) = (right.as_ref(), other_right.as_ref()) else {
        return None;
    };
    if left != other_left || op != other_op || bound.is_null() || other.is_null() {
        return None;
    }
    let order = bound.partial_cmp(other)?;
    match op {
        Operator::Gt | Operator::GtEq => Some(if order.is_le() { a.clone() } else { b.clone() }),
        Operator::Lt | Operator::LtEq => Some(if order.is_ge() { a.clone() } else { b.clone() }),
        _ => None,
    }
}

/// A table of which one scan is shared.
#[derive(Debug)]
pub struct SharedTable {
    scan: Arc<SharedScan>,
}

#[async_trait]
impl TableProvider for SharedTable {
    fn schema(&self) -> SchemaRef {
        self.scan.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        self.scan.table.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema().fields().len()).collect());
        let schema = Arc::new(self.schema().project(&columns)?);
        let reader = {
            let mut readers = self.scan.readers();
            readers.all.push(Reader { columns, filters: filters.to_vec(), batches: Vec::new(), gone: false });
            readers.all.len() - 1
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(self.scan.partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let presence = Arc::new(Presence { scan: Arc::clone(&self.scan), reader });
        Ok(Arc::new(SharedScanExec { presence, schema, properties: Arc::new(properties) }))
    }
}

/// A reader while its plan is there.
#[derive(Debug)]
struct Presence {
    scan: Arc<SharedScan>,
    reader: usize,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.scan.leave(self.reader);
    }
}

/// One reader's part of a shared scan.
#[derive(Debug)]
struct SharedScanExec {
    presence: Arc<Presence>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for SharedScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SharedScan: {}", self.presence.scan.table.files.location.uri)
    }
}

impl ExecutionPlan for SharedScanExec {
    fn name(&self) -> &'static str {
        "SharedScan"
    }

    no_input!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let (presence, schema) = (Arc::clone(&self.presence), Arc::clone(&self.schema));
        let batches = batches_of(presence, partition, context);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// The batches of a reader, one after another.
fn batches_of(
    presence: Arc<Presence>,
    partition: usize,
    context: Arc<TaskContext>,
) -> impl futures::Stream<Item = DfResult<RecordBatch>> {
    use futures::TryStreamExt;
    let begun = async move {
        let handed = Arc::clone(&presence.scan).read(presence.reader, partition, context).await?;
        let next = |mut handed: Handed| async move {
            let batch = handed.batches.recv().await?;
            let own = batch.map_err(DataFusionError::Shared).and_then(|b| Ok(b.project(&handed.picks)?));
            Some((own, handed))
        };
        Ok::<_, DataFusionError>(futures::stream::unfold(handed, next))
    };
    futures::stream::once(begun).try_flatten()
}

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
