//! The physical operator. As many output partitions as the rows have; the last to end gives out the rows that waited.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{cast, concat_batches, filter_record_batch, not, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::catalog::Session;
use datafusion::common::hash_map::Entry;
use datafusion::common::{HashMap, HashSet, exec_datafusion_err};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::source::delivery::node::{FirstArrival, FirstArrivalSpec};
use crate::source::delivery::repeated::{Census, Repeats};
use crate::source::operator::two_inputs;

/// Rows of one id arrived at the same time and differ: which is the first depends on columns that were not read.
#[derive(Debug, thiserror::Error)]
#[error("rows with one id arrived at the same time with different values")]
pub struct TiedCopies;

impl TiedCopies {
    /// Whether an error is this one.
    pub fn is(error: &DataFusionError) -> bool {
        matches!(error.find_root(), DataFusionError::External(inner) if inner.is::<Self>())
    }
}

/// The physical operator.
#[derive(Debug)]
pub(super) struct FirstArrivalExec {
    ids: Arc<dyn ExecutionPlan>,
    rows: Arc<dyn ExecutionPlan>,
    spec: Arc<FirstArrivalSpec>,
    shared: Arc<Shared>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// What the partitions of one execution have in common.
#[derive(Debug)]
struct Shared {
    repeats: OnceCell<(Arc<Repeats>, MemoryReservation)>,
    /// Rows that wait, and the memory they take.
    waiting: Mutex<(Vec<RecordBatch>, Vec<MemoryReservation>)>,
    /// Partitions that still read.
    reading: AtomicUsize,
}

impl FirstArrivalExec {
    fn new(ids: Arc<dyn ExecutionPlan>, rows: Arc<dyn ExecutionPlan>, spec: Arc<FirstArrivalSpec>) -> Self {
        let partitions = rows.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(rows.schema()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let shared =
            Shared { repeats: OnceCell::new(), waiting: Mutex::default(), reading: AtomicUsize::new(partitions) };
        Self {
            ids,
            rows,
            spec,
            shared: Arc::new(shared),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for FirstArrivalExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "FirstArrivalExec: id=[{}], first by [{}]", self.spec.ids.join(", "), self.spec.order.join(", "))
    }
}

impl ExecutionPlan for FirstArrivalExec {
    two_inputs!("FirstArrivalExec", ids, rows, |this, ids, rows| Self::new(ids, rows, Arc::clone(&this.spec)));

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::UnspecifiedDistribution; 2]
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let waiting_rows = MetricBuilder::new(&self.metrics).counter("waiting_rows", partition);
        let part = Part {
            ids: Arc::clone(&self.ids),
            rows: self.rows.execute(partition, Arc::clone(&context))?,
            spec: Arc::clone(&self.spec),
            shared: Arc::clone(&self.shared),
            reservation: Some(MemoryConsumer::new("FirstArrivalExec").register(context.memory_pool())),
            context,
            schema: self.schema(),
            metrics: BaselineMetrics::new(&self.metrics, partition),
            waiting_rows,
            ended: false,
        };
        let batches = futures::stream::try_unfold(part, |mut part| async move {
            let batch = part.next().await?;
            Ok(batch.map(|batch| (batch, part)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches.into_stream())))
    }
}

/// One partition, being read.
struct Part {
    ids: Arc<dyn ExecutionPlan>,
    rows: SendableRecordBatchStream,
    spec: Arc<FirstArrivalSpec>,
    shared: Arc<Shared>,
    context: Arc<TaskContext>,
    reservation: Option<MemoryReservation>,
    schema: SchemaRef,
    metrics: BaselineMetrics,
    waiting_rows: datafusion::physical_plan::metrics::Count,
    ended: bool,
}

impl Part {
    /// The next rows that count, if any.
    async fn next(&mut self) -> DfResult<Option<RecordBatch>> {
        if self.ended {
            return Ok(None);
        }
        let (ids, spec, context) = (Arc::clone(&self.ids), Arc::clone(&self.spec), Arc::clone(&self.context));
        let shared = Arc::clone(&self.shared);
        let (repeats, _) = shared.repeats.get_or_try_init(|| repeats(ids, spec, context)).await?;
        while let Some(batch) = self.rows.next().await.transpose()? {
            let compute = self.metrics.elapsed_compute().clone();
            let _timer = compute.timer();
            let waits = BooleanArray::from(repeats.maybe(&columns(&batch, &self.spec.ids)?)?);
            if waits.true_count() == 0 {
                self.metrics.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            let waiting = filter_record_batch(&batch, &waits)?;
            if let Some(reservation) = &self.reservation {
                reservation.try_grow(waiting.get_array_memory_size())?;
            }
            self.waiting_rows.add(waiting.num_rows());
            self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).0.push(waiting);
            let passing = filter_record_batch(&batch, &not(&waits)?)?;
            if passing.num_rows() > 0 {
                self.metrics.record_output(passing.num_rows());
                return Ok(Some(passing));
            }
        }
        self.ended = true;
        let mut held = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        held.1.extend(self.reservation.take());
        if self.shared.reading.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(None);
        }
        let (waiting, _reservations) = std::mem::take(&mut *held);
        drop(held);
        let waiting = concat_batches(&self.schema, &waiting)?;
        let first = first_of_each(&waiting, &self.spec)?;
        self.metrics.record_output(first.num_rows());
        Ok(Some(first))
    }
}

/// Which ids are repeated: known before, or read now.
async fn repeats(
    ids: Arc<dyn ExecutionPlan>,
    spec: Arc<FirstArrivalSpec>,
    context: Arc<TaskContext>,
) -> DfResult<(Arc<Repeats>, MemoryReservation)> {
    let repeats = match &spec.known {
        Some(known) => Arc::clone(&known.0),
        None => Arc::new(read_ids(&ids, &spec.ids, spec.rows, &context).await?),
    };
    let reservation = MemoryConsumer::new("FirstArrivalExec[ids]").register(context.memory_pool());
    reservation.try_grow(repeats.bytes())?;
    Ok((repeats, reservation))
}

/// Bytes that notes of ids may take before they are read in several turns.
const CENSUS_BYTES: u64 = 256 << 20;

/// Reads all ids, on all partitions at once; about `rows` of them. They may be read several times, each time by a plan in its
/// first state: a repartitioning can be executed only once.
pub(in crate::source) async fn read_ids(
    ids: &Arc<dyn ExecutionPlan>,
    names: &[String],
    rows: u64,
    context: &Arc<TaskContext>,
) -> DfResult<Repeats> {
    let budget = match context.memory_pool().memory_limit() {
        MemoryLimit::Finite(bytes) => CENSUS_BYTES.min(bytes as u64 / 4),
        _ => CENSUS_BYTES,
    };
    let turns = Census::turns(rows, budget);
    let reservation = MemoryConsumer::new("FirstArrivalExec[ids]").register(context.memory_pool());
    reservation.try_grow(usize::try_from(Census::bytes(rows) / turns as u64).unwrap_or(usize::MAX))?;
    let (mut repeated, mut beyond, mut hashed) = (Vec::new(), 0, false);
    for turn in 0..turns {
        let census = Arc::new(Census::new(turn, turns));
        let ids = reset_plan_states(Arc::clone(ids))?;
        let mut tasks: JoinSet<DfResult<()>> = JoinSet::new();
        for partition in 0..ids.output_partitioning().partition_count() {
            let mut batches = ids.execute(partition, Arc::clone(context))?;
            let (census, names) = (Arc::clone(&census), names.to_vec());
            tasks.spawn(async move {
                let mut notes = census.notes();
                while let Some(batch) = batches.next().await.transpose()? {
                    notes.note(&columns(&batch, &names)?)?;
                }
                notes.end();
                Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(|e| exec_datafusion_err!("reading ids ended: {e}"))??;
        }
        hashed |= census.is_hashed();
        let mut counting = JoinSet::new();
        for share in Census::shares(context.session_config().target_partitions()) {
            let census = Arc::clone(&census);
            counting.spawn_blocking(move || census.repeated(share));
        }
        while let Some(counted) = counting.join_next().await {
            let (codes, rows) = counted.map_err(|e| exec_datafusion_err!("counting ids ended: {e}"))?;
            repeated.extend(codes);
            beyond += rows;
        }
    }
    let repeats = Repeats::new(&repeated, beyond);
    if hashed { counted_again(repeats, ids, names, context).await } else { Ok(repeats) }
}

/// Codes that are hashes may meet: the rows that may be repeated are counted by their ids themselves.
async fn counted_again(
    mut repeats: Repeats,
    ids: &Arc<dyn ExecutionPlan>,
    names: &[String],
    context: &Arc<TaskContext>,
) -> DfResult<Repeats> {
    let reservation = MemoryConsumer::new("FirstArrivalExec[ids]").register(context.memory_pool());
    let mut known: HashSet<Box<[u8]>> = HashSet::default();
    let mut rows = 0;
    let ids = reset_plan_states(Arc::clone(ids))?;
    for partition in 0..ids.output_partitioning().partition_count() {
        let mut batches = ids.execute(partition, Arc::clone(context))?;
        while let Some(batch) = batches.next().await.transpose()? {
            let maybe = BooleanArray::from(repeats.maybe(&columns(&batch, names)?)?);
            let held = encoded(&columns(&filter_record_batch(&batch, &maybe)?, names)?)?;
            for row in &held {
                if !known.contains(row.data()) {
                    known.insert(row.data().into());
                    reservation.try_grow(row.data().len() + 2 * size_of::<Box<[u8]>>())?;
                } else {
                    rows += 1;
                }
            }
        }
    }
    repeats.rows = rows;
    Ok(repeats)
}

fn columns(batch: &RecordBatch, names: &[String]) -> DfResult<Vec<ArrayRef>> {
    let column = |name: &String| {
        batch.column_by_name(name).cloned().ok_or_else(|| exec_datafusion_err!("rows have no column `{name}`"))
    };
    names.iter().map(column).collect()
}

/// The first row of each id, in the order in which ids come.
fn first_of_each(rows: &RecordBatch, spec: &FirstArrivalSpec) -> DfResult<RecordBatch> {
    let ids = encoded(&columns(rows, &spec.ids)?)?;
    let times = columns(rows, &spec.order)?
        .iter()
        .map(|c| Ok(cast(c, &DataType::Int64)?.as_primitive::<Int64Type>().clone()))
        .collect::<DfResult<Vec<_>>>()?;
    let time = |row: usize| times.iter().map(|t| t.value(row)).collect::<Vec<i64>>();
    let values = encoded(rows.columns())?;
    let mut first: Vec<u32> = Vec::new();
    let mut known: HashMap<&[u8], usize> = HashMap::default();
    let mut tied: Vec<bool> = Vec::new();
    for row in 0..rows.num_rows() {
        let number = u32::try_from(row).map_err(|_| exec_datafusion_err!("too many redelivered rows"))?;
        match known.entry(ids.row(row).data()) {
            Entry::Vacant(entry) => {
                entry.insert(first.len());
                first.push(number);
                tied.push(false);
            }
            Entry::Occupied(entry) => {
                let at = *entry.get();
                let best = first[at] as usize;
                match time(row).cmp(&time(best)) {
                    std::cmp::Ordering::Less => (first[at], tied[at]) = (number, false),
                    std::cmp::Ordering::Equal if values.row(row) != values.row(best) => tied[at] = true,
                    _ => {}
                }
            }
        }
    }
    if tied.contains(&true) {
        return Err(DataFusionError::External(Box::new(TiedCopies)));
    }
    Ok(take_record_batch(rows, &UInt32Array::from(first))?)
}

fn encoded(columns: &[ArrayRef]) -> DfResult<Rows> {
    let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
    Ok(RowConverter::new(fields)?.convert_columns(columns)?)
}

/// Plans [`FirstArrival`].
#[derive(Debug)]
pub struct DeliveryPlanner;

#[async_trait]
impl ExtensionPlanner for DeliveryPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _state: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(first), [ids, rows]) = (node.as_any().downcast_ref::<FirstArrival>(), physical_inputs) else {
            return Ok(None);
        };
        let spec = Arc::new(first.spec.clone());
        Ok(Some(Arc::new(FirstArrivalExec::new(Arc::clone(ids), Arc::clone(rows), spec))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Int64Array;

    fn rows(ids: &[i64], arrived: &[i64], values: &[i64]) -> RecordBatch {
        let column = |v: &[i64]| Arc::new(Int64Array::from(v.to_vec())) as ArrayRef;
        RecordBatch::try_from_iter([("id", column(ids)), ("at", column(arrived)), ("v", column(values))]).unwrap()
    }

    fn spec() -> FirstArrivalSpec {
        FirstArrivalSpec { ids: vec!["id".into()], order: vec!["at".into()], rows: 10, known: None }
    }

    #[test]
    fn the_first_arrival_of_each_id_is_kept() {
        let found = first_of_each(&rows(&[7, 8, 7, 7], &[5, 1, 3, 4], &[1, 2, 3, 4]), &spec()).unwrap();
        assert_eq!(found, rows(&[7, 8], &[3, 1], &[3, 2]));
    }

    #[test]
    fn equal_copies_are_one_and_different_ones_at_the_same_time_are_refused() {
        let found = first_of_each(&rows(&[7, 7], &[5, 5], &[1, 1]), &spec()).unwrap();
        assert_eq!(found.num_rows(), 1);
        let refused = first_of_each(&rows(&[7, 7], &[5, 5], &[1, 2]), &spec()).unwrap_err();
        assert!(TiedCopies::is(&refused), "{refused}");
        // A tie that an earlier row beats is none.
        let found = first_of_each(&rows(&[7, 7, 7], &[5, 5, 4], &[1, 2, 3]), &spec()).unwrap();
        assert_eq!(found, rows(&[7], &[4], &[3]));
    }
}
