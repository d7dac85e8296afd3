//! The operator that runs a [`Sweeper`]: collects the spine, feeds it all partitions of the events at once, gives out one
//! batch per shard. Where memory is short, what the sweep can't hold goes to a [`DiskShelf`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{exec_datafusion_err, internal_err};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, SpillMetrics, Time};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    collect,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use crate::source::operator::two_inputs;
use crate::sweep::disk::DiskShelf;
use crate::sweep::members::Functions;
use crate::sweep::spec::SweepSpec;
use crate::sweep::sweeper::Sweeper;

/// The physical operator. One output partition; the spine is read whole, the events in whatever partitions they come.
#[derive(Debug)]
pub struct SweepExec {
    spine: Arc<dyn ExecutionPlan>,
    events: Arc<dyn ExecutionPlan>,
    spec: Arc<SweepSpec>,
    /// What the spec calls by name.
    functions: Arc<Functions>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SweepExec {
    /// `schema`: the observer, the groups, the finer groups, the aggregates.
    pub fn new(
        spine: Arc<dyn ExecutionPlan>,
        events: Arc<dyn ExecutionPlan>,
        spec: Arc<SweepSpec>,
        schema: SchemaRef,
        functions: Arc<Functions>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            spine,
            events,
            spec,
            functions,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for SweepExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SweepExec: {}", self.spec)
    }
}

impl ExecutionPlan for SweepExec {
    two_inputs!("SweepExec", spine, events, |this, spine, events| {
        Self::new(spine, events, Arc::clone(&this.spec), this.schema(), Arc::clone(&this.functions))
    });

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition, Distribution::UnspecifiedDistribution]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false, true]
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a sweep has one partition, not {partition}");
        }
        let run = Run {
            spine: Arc::clone(&self.spine),
            events: Arc::clone(&self.events),
            spec: Arc::clone(&self.spec),
            functions: Arc::clone(&self.functions),
            schema: self.schema(),
            metrics: SweepMetrics::new(&self.metrics),
            context,
        };
        let batches = futures::stream::once(run.sweep()).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

#[derive(Debug, Clone)]
struct SweepMetrics {
    event_rows: Count,
    /// Events that count for some observer.
    counted_rows: Count,
    spine_rows: Count,
    output_rows: Count,
    apply_time: Time,
    finish_time: Time,
    /// What went to a shelf.
    spill: SpillMetrics,
}

impl SweepMetrics {
    fn new(set: &ExecutionPlanMetricsSet) -> Self {
        let count = |name: &'static str| MetricBuilder::new(set).global_counter(name);
        let time = |name: &'static str| MetricBuilder::new(set).subset_time(name, 0);
        Self {
            event_rows: count("event_rows"),
            counted_rows: count("counted_rows"),
            spine_rows: count("spine_rows"),
            output_rows: MetricBuilder::new(set).output_rows(0),
            apply_time: time("apply_time"),
            finish_time: time("finish_time"),
            spill: SpillMetrics::new(set, 0),
        }
    }
}

/// One execution.
struct Run {
    spine: Arc<dyn ExecutionPlan>,
    events: Arc<dyn ExecutionPlan>,
    spec: Arc<SweepSpec>,
    functions: Arc<Functions>,
    schema: SchemaRef,
    metrics: SweepMetrics,
    context: Arc<TaskContext>,
}

/// A sweep that has seen all events.
struct Swept {
    sweeper: Arc<Sweeper>,
    /// Held until the last shard is given out.
    reservation: Arc<Mutex<MemoryReservation>>,
}

/// The part of what is left of the memory limit that a sweep takes without a shelf, and the part that it fills with a shelf: what
/// stands below it needs memory, too.
const SHARE: usize = 2;
const SHELF_SHARE: usize = 4;
/// The part of the memory limit that events may take while they wait.
const WAITING_SHARE: usize = 16;

impl Run {
    async fn sweep(self) -> DfResult<impl futures::Stream<Item = DfResult<RecordBatch>> + Send> {
        let pool = Arc::clone(self.context.memory_pool());
        let swept = match self.all_events(Arc::clone(&self.spine), Arc::clone(&self.events), false).await {
            // What grew while events came in did not fit: from the beginning, with as little as can be.
            Err(e) if is_exhausted(&e) => {
                let (spine, events) = (Arc::clone(&self.spine), Arc::clone(&self.events));
                self.all_events(reset_plan_states(spine)?, reset_plan_states(events)?, true).await?
            }
            swept => swept?,
        };
        let threads = self.context.session_config().target_partitions().max(1);
        let metrics = self.metrics;
        let alone = Arc::new(RwLock::new(()));
        let shards = futures::stream::iter(0..swept.sweeper.shards()).map(move |shard| {
            let (sweeper, held) = (Arc::clone(&swept.sweeper), Arc::clone(&swept.reservation));
            let (metrics, pool, alone) = (metrics.clone(), Arc::clone(&pool), Arc::clone(&alone));
            async move {
                let beside = alone.read().await;
                let tried = finished(&sweeper, &held, shard, &metrics, &pool).await;
                drop(beside);
                match tried {
                    // Perhaps there is room once no other shard is being made.
                    Err(e) if is_exhausted(&e) => {
                        let _alone = alone.write().await;
                        finished(&sweeper, &held, shard, &metrics, &pool).await
                    }
                    tried => tried,
                }
            }
        });
        Ok(shards.buffered(threads))
    }

    /// Reads the spine, then all events. `frugal`: with next to no cells in memory.
    async fn all_events(
        &self,
        spine: Arc<dyn ExecutionPlan>,
        events: Arc<dyn ExecutionPlan>,
        frugal: bool,
    ) -> DfResult<Swept> {
        let reservation = MemoryConsumer::new("SweepExec").register(self.context.memory_pool());
        let mut sweeper = self.sweeper(spine, &reservation).await?;
        if let MemoryLimit::Finite(limit) = self.context.memory_pool().memory_limit() {
            let left = limit.saturating_sub(self.context.memory_pool().reserved());
            sweeper = match frugal || sweeper.size() > left / SHARE {
                true => {
                    let shelf = DiskShelf::new(&self.context.runtime_env(), self.metrics.spill.clone())?;
                    let room = if frugal { left / WAITING_SHARE } else { left / SHELF_SHARE };
                    sweeper.with_shelf(Arc::new(shelf), room)
                }
                false => sweeper.with_waiting(limit / WAITING_SHARE),
            };
        }
        let sweeper = Arc::new(sweeper);
        let size = sweeper.size();
        reservation.try_resize(size)?;
        let reservation = Arc::new(Mutex::new(reservation));
        let mut tasks: JoinSet<DfResult<()>> = JoinSet::new();
        for partition in 0..events.output_partitioning().partition_count() {
            let mut events = events.execute(partition, Arc::clone(&self.context))?;
            let (sweeper, metrics, reservation) =
                (Arc::clone(&sweeper), self.metrics.clone(), Arc::clone(&reservation));
            tasks.spawn(async move {
                while let Some(batch) = events.next().await.transpose()? {
                    let _timer = metrics.apply_time.timer();
                    metrics.event_rows.add(batch.num_rows());
                    sweeper.apply(&batch)?;
                    let reserved = reservation.lock().unwrap_or_else(PoisonError::into_inner);
                    reserved.try_resize(size + sweeper.extra_size())?;
                }
                Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(ended)??;
        }
        let sealed = Arc::clone(&sweeper);
        SpawnedTask::spawn_blocking(move || sealed.seal()).join().await.map_err(ended)??;
        reservation.lock().unwrap_or_else(PoisonError::into_inner).try_resize(size + sweeper.extra_size())?;
        Ok(Swept { sweeper, reservation })
    }

    async fn sweeper(&self, spine: Arc<dyn ExecutionPlan>, reservation: &MemoryReservation) -> DfResult<Sweeper> {
        let schema = spine.schema();
        let batches = collect(spine, Arc::clone(&self.context)).await?;
        let spine = concat_batches(&schema, &batches)?;
        drop(batches);
        self.metrics.spine_rows.add(spine.num_rows());
        reservation.try_grow(spine.get_array_memory_size())?;
        let (spec, output) = (self.spec.as_ref().clone(), Arc::clone(&self.schema));
        let threads = self.context.session_config().target_partitions();
        Ok(Sweeper::new(spec, &spine, &self.events.schema(), output, &self.functions)?.with_threads(threads))
    }
}

/// A shard's rows, made on a thread of its own.
async fn finished(
    sweeper: &Arc<Sweeper>,
    held: &Arc<Mutex<MemoryReservation>>,
    shard: usize,
    metrics: &SweepMetrics,
    pool: &Arc<dyn MemoryPool>,
) -> DfResult<RecordBatch> {
    let (sweeper, held, metrics) = (Arc::clone(sweeper), Arc::clone(held), metrics.clone());
    let reservation = MemoryConsumer::new("SweepExec[shard]").register(pool);
    let finished = SpawnedTask::spawn_blocking(move || {
        let _timer = metrics.finish_time.timer();
        let batch = sweeper.finish(shard, &mut |bytes| reservation.try_resize(bytes))?;
        metrics.output_rows.add(batch.num_rows());
        if shard + 1 == sweeper.shards() {
            metrics.counted_rows.add(sweeper.counted());
        }
        drop((sweeper, held));
        Ok::<_, DataFusionError>(batch)
    });
    finished.join().await.map_err(ended)?
}

fn is_exhausted(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

fn ended(error: impl fmt::Display) -> DataFusionError {
    exec_datafusion_err!("a sweep's task ended: {error}")
}
