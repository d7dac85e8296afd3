//! The set-at-a-time engine: runs a rewritten plan once for all observers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use crate::analysis::View;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::plan::{with_fixed_shifts, with_fixed_truncations, without_needless_filters};
use crate::replay::observers::LabelObservers;
use crate::replay::values::{ViewValues, ambiguous};
use crate::source::Labels;
use crate::sweep::without_unread;

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// The scans at the leaves of a running plan: how many rows they have read.
struct Scans {
    leaves: Vec<Arc<dyn ExecutionPlan>>,
    told: AtomicU64,
}

impl Scans {
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        fn reads_files(leaf: &Arc<dyn ExecutionPlan>) -> bool {
            let exec = leaf.downcast_ref::<DataSourceExec>();
            exec.is_some_and(|e| e.downcast_to_file_source::<ParquetSource>().is_some())
        }
        fn gather(plan: &Arc<dyn ExecutionPlan>, leaves: &mut Vec<Arc<dyn ExecutionPlan>>) {
            match plan.children().as_slice() {
                [] if reads_files(plan) => leaves.push(Arc::clone(plan)),
                children => children.iter().for_each(|child| gather(child, leaves)),
            }
        }
        let mut leaves = Vec::new();
        gather(plan, &mut leaves);
        Self { leaves, told: AtomicU64::new(0) }
    }

    /// All rows there are to read, where that is known.
    fn rows(&self) -> Option<u64> {
        let rows = |leaf: &Arc<dyn ExecutionPlan>| {
            let statistics = StatisticsContext::new().compute(leaf.as_ref(), &StatisticsArgs::new()).ok()?;
            statistics.num_rows.get_value().and_then(|n| u64::try_from(*n).ok())
        };
        self.leaves.iter().map(rows).sum()
    }

    /// Tells the rows read since the last call; once all are, what goes on has no number.
    fn tell(&self, view: &View, monitor: &dyn Monitor) {
        let read = |leaf: &Arc<dyn ExecutionPlan>| leaf.metrics().and_then(|m| m.output_rows()).unwrap_or(0);
        let now = self.leaves.iter().map(read).sum::<usize>() as u64;
        let before = self.told.swap(now, Ordering::Relaxed);
        monitor.advance(now.saturating_sub(before));
        if now > before && self.rows().is_some_and(|rows| now >= rows) {
            monitor.end();
            monitor.begin(&format!("replaying {}", view.name), None);
        }
    }
}

/// No row was found for the observer: part and row of what is NULL.
const NONE: (u32, u32) = (0, 0);

/// A rewritten plan as it is run.
///
/// # Errors
/// Where DataFusion can't optimise it.
pub fn optimized(plan: &LogicalPlan, state: &SessionState) -> DfResult<LogicalPlan> {
    let read = without_unread(state.optimize(plan)?)?;
    if !read.transformed {
        return Ok(read.data);
    }
    // What only they read is read no more.
    let projections = |rule: &&Arc<dyn OptimizerRule + Send + Sync>| rule.name() == "optimize_projections";
    let rules = state.optimizer().rules.iter().filter(projections).map(Arc::clone).collect();
    Optimizer::with_rules(rules).optimize(read.data, state, |_, _| {})
}

/// Runs `plan` (observer, then the view's features).
///
/// # Errors
/// What the data breaks, several rows for one observer, or a failure of the engine.
pub(super) async fn run(
    view: &View,
    plan: LogicalPlan,
    observers: &LabelObservers,
    labels: &Labels,
    session: &SessionContext,
    monitor: &dyn Monitor,
) -> Result<ViewValues> {
    let physical = physical(view, &plan, session).await?;
    answer(view, physical, observers, labels, session, monitor).await
}

/// `plan` as it is executed.
///
/// # Errors
/// Where DataFusion can't plan it.
pub(super) async fn physical(
    view: &View,
    plan: &LogicalPlan,
    session: &SessionContext,
) -> Result<Arc<dyn ExecutionPlan>> {
    let failed = |e| Error::engine(format!("replay view `{}`", view.name), e);
    let state = session.state();
    let optimized = optimized(plan, &state).and_then(without_needless_filters);
    let optimized = optimized.and_then(with_fixed_shifts).and_then(with_fixed_truncations);
    let optimized = optimized.map_err(failed)?;
    state.query_planner().create_physical_plan(&optimized, &state).await.map_err(failed)
}

/// Executes a plan (observer, then the view's features).
///
/// # Errors
/// As [`run`].
pub(super) async fn answer(
    view: &View,
    physical: Arc<dyn ExecutionPlan>,
    observers: &LabelObservers,
    labels: &Labels,
    session: &SessionContext,
    monitor: &dyn Monitor,
) -> Result<ViewValues> {
    let failed = |e| Error::engine(format!("replay view `{}`", view.name), e);
    let scans = Scans::of(&physical);
    monitor.begin(&format!("scanning for {}", view.name), scans.rows());
    let mut stream = execute_stream(physical, session.task_ctx()).map_err(failed)?;
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    let mut row_of: Vec<(u32, u32)> = vec![NONE; observers.first_label.len()];
    let mut twice: BTreeMap<usize, usize> = BTreeMap::new();
    let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); view.features.len()];
    // The first part of all is no part of the rows: see `NONE`.
    for part in 1_u32.. {
        let batch = loop {
            tokio::select! {
                biased;
                next = stream.try_next() => break next.map_err(failed)?,
                _ = ticks.tick() => scans.tell(view, monitor),
            }
        };
        let Some(batch) = batch else { break };
        for (row, number) in (0..).zip(batch.column(0).as_primitive::<Int64Type>()) {
            let Some(observer) = number.and_then(|n| usize::try_from(n).ok()).filter(|n| *n < row_of.len()) else {
                continue;
            };
            if row_of[observer] == NONE {
                row_of[observer] = (part, row);
            } else {
                *twice.entry(observer).or_insert(1) += 1;
            }
        }
        for (column, parts) in batch.columns()[1..].iter().zip(&mut parts) {
            parts.push(Arc::clone(column));
        }
    }
    monitor.end();
    if let Some((&observer, &count)) = twice.first_key_value() {
        return Err(ambiguous(view, labels, observers.first_label[observer] as usize, count));
    }
    let found = |observer: &Option<u32>| observer.map_or(NONE, |o| row_of[o as usize]);
    let rows: Vec<(u32, u32)> = observers.of_label.iter().map(found).collect();
    ViewValues::interleave(parts, &rows, &view.features).map_err(failed)
}
