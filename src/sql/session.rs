//! DataFusion sessions for replays: PostgreSQL's time zone rules, exact sums, `NOW()` bound by us, and no way out of the
//! declared sources.

use std::sync::Arc;

use datafusion::arrow::datatypes::TimeUnit;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool, UnboundedMemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::OptimizerRule;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::error::{Error, Result};
use crate::sql::planner::Planner;
use crate::sql::sort_keys::SortKeysOnce;
use crate::sql::spills::{Spills, counted_files};
use crate::sql::{aggregates, casts, dialect, filters, intervals, joins, json, loops, now, zones};

/// What a session is made with.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    pub threads: usize,
    /// Bytes that operators may hold before they spill; `None`: no bound.
    pub memory: Option<u64>,
    pub batch_rows: usize,
    /// The unit of `NOW()`: microseconds, or nanoseconds where a label time needs them.
    pub now_unit: TimeUnit,
}

impl Default for SessionOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { threads, memory: None, batch_rows: 8192, now_unit: TimeUnit::Microsecond }
    }
}

/// DataFusion's rules that change values. This one sums sums: floats are rounded in between, and decimals get another type.
const RULES_LEFT_OUT: [&str; 1] = ["single_distinct_aggregation_to_group_by"];
/// Consumers named in an out-of-memory error.
const CONSUMERS_SHOWN: usize = 5;

/// The runtime that the sessions of a run share: memory pool, spill files, object stores.
///
/// # Errors
/// Where no spill folder can be made.
pub fn new_runtime(memory: Option<u64>) -> Result<Arc<RuntimeEnv>> {
    new_counting_runtime(memory).map(|(runtime, _)| runtime)
}

/// As [`new_runtime`], with the count of what it spills.
///
/// # Errors
/// As [`new_runtime`].
pub fn new_counting_runtime(memory: Option<u64>) -> Result<(Arc<RuntimeEnv>, Arc<Spills>)> {
    let pool: Arc<dyn MemoryPool> = match memory {
        Some(bytes) => {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            let shown = std::num::NonZeroUsize::new(CONSUMERS_SHOWN).unwrap_or(std::num::NonZeroUsize::MIN);
            Arc::new(TrackConsumersPool::new(FairSpillPool::new(bytes), shown))
        }
        None => Arc::new(UnboundedMemoryPool::default()),
    };
    let failed = |e| Error::engine("make a runtime with a folder for spilled data", e);
    let spills = Arc::<Spills>::default();
    let files = counted_files(Arc::clone(&spills)).map_err(failed)?;
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).with_disk_manager_builder(files).build_arc();
    Ok((runtime.map_err(failed)?, spills))
}

/// DataFusion's rules for physical plans, between two of our own.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let rules = PhysicalOptimizer::new().rules;
    std::iter::once(filters::rule()).chain(rules).chain(std::iter::once(loops::rule())).collect()
}

/// A session with nothing but functions in it.
pub fn new_session(options: &SessionOptions, runtime: Arc<RuntimeEnv>) -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(options.threads)
        .with_batch_size(options.batch_rows)
        .with_information_schema(false);
    let settings = config.options_mut();
    settings.execution.time_zone = Some("UTC".to_string());
    settings.execution.parquet.schema_force_view_types = false;
    settings.sql_parser.map_string_types_to_utf8view = false;
    settings.sql_parser.collect_spans = true;
    if let Some(bytes) = options.memory {
        // Every sort on every thread keeps this much for merging what it spilled.
        let share = usize::try_from(bytes).unwrap_or(usize::MAX) / (16 * options.threads.max(1));
        let spill = &mut settings.execution.sort_spill_reservation_bytes;
        *spill = (*spill).min(share);
    }
    let rules = joins::optimizer_rules().into_iter().filter(|rule| !RULES_LEFT_OUT.contains(&rule.name()));
    let last: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(SortKeysOnce);
    let rules = rules.chain([last]).collect();
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(Arc::new(Planner))
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rules(physical_rules())
        .build();
    let operators: [Arc<dyn ExprPlanner>; 2] = [Arc::new(json::JsonOperators), Arc::new(intervals::TimesInterval)];
    for operator in operators {
        state.register_expr_planner(operator).expect("a session's state takes any planner");
    }
    let session = SessionContext::new_with_state(state);
    for function in now::functions(options.now_unit) {
        session.register_udf(function);
    }
    session.register_udf(zones::function());
    session.register_udf(casts::function());
    for function in dialect::functions() {
        session.register_udf(function);
    }
    json::register(&session);
    aggregates::register(&session);
    session
}
