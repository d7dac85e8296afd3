//! Several views of one chunk at once, where they read a source in the same way: by one scan of it (see
//! [`SharedScan`](crate::source::SharedScan)).
//!
//! A view takes part where it is swept, and its plan scans one source, once. What does not work together is no loss: the view is
//! left to be replayed by itself.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNodeRecursion};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result as DfResult;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::future::join_all;

use crate::analysis::{View, marked_source};
use crate::error::{Error, Result};
use crate::monitor::{Monitor, Silent};
use crate::replay::engine::{Engine, EngineChoice, ReplayOptions, ViewReplay, choose};
use crate::replay::observers::LabelObservers;
use crate::replay::set::{answer, physical};
use crate::source::{Labels, Log, ParquetTable, Redelivery, SharedScan};
use crate::sql::now_unit;

/// Where memory is bounded, so large a part of it may be taken by the views of one scan, as far as it can be told before.
const SHARE: usize = 8;
/// What a sweep takes of each label row, and of each of its features there.
const ROW_BYTES: usize = 48;
const CELL_BYTES: usize = 16;

/// A view that could share a scan.
struct Candidate<'a> {
    /// Among the views that were given.
    number: usize,
    view: &'a View,
    choice: EngineChoice,
    observers: LabelObservers,
    /// What its plan scans.
    table: *const ParquetTable,
}

/// Replays views together as far as they can share a scan; `None` for those that are to be replayed by themselves.
///
/// # Errors
/// Bad input, where the SQL can't be planned.
pub async fn replay_together(
    views: &[&View],
    logs: &[Log],
    labels: &Labels,
    session: &SessionContext,
    options: ReplayOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<Option<ViewReplay>>> {
    let mut done: Vec<Option<ViewReplay>> = views.iter().map(|_| None).collect();
    if !matches!(options.engine, Engine::Auto | Engine::Sweep) || views.len() < 2 {
        return Ok(done);
    }
    // Planning costs: only views that read one source, as another one does, are planned for this.
    let read: Vec<Option<usize>> = views.iter().map(|view| only_source(view)).collect();
    let shares = |source: &Option<usize>| source.is_some() && read.iter().filter(|other| *other == source).count() > 1;
    let mut candidates = Vec::new();
    for (number, view) in views.iter().enumerate().filter(|(number, _)| shares(&read[*number])) {
        candidates.extend(candidate(number, view, logs, labels, session, options)?);
    }
    while let Some(first) = candidates.first() {
        let table = first.table;
        let (mut group, rest): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|c| c.table == table);
        candidates = rest;
        group.truncate(fitting(&group, labels.rows(), session));
        let Some(log) = logs.iter().find(|log| std::ptr::eq(Arc::as_ptr(&log.table), table)) else { continue };
        if group.len() > 1 {
            share(group, &log.table, labels, session, monitor, &mut done).await?;
        }
    }
    Ok(done)
}

fn candidate<'a>(
    number: usize,
    view: &'a View,
    logs: &[Log],
    labels: &Labels,
    session: &SessionContext,
    options: ReplayOptions,
) -> Result<Option<Candidate<'a>>> {
    let failed = |e| Error::engine(format!("plan view `{}`", view.name), e);
    let times = labels.times.values();
    let times = times.first().copied().zip(times.last().copied());
    let observers = LabelObservers::new(labels, &view.keys, now_unit(session)).map_err(failed)?;
    let choice = choose(view, logs, &observers.spines, times, session, options.engine, Redelivery::ByTime)?;
    let table = choice.plan.as_ref().filter(|_| choice.engine == Engine::Sweep).and_then(only_table);
    Ok(table.map(|table| Candidate { number, view, choice, observers, table }))
}

/// The source that a view's own plan scans, where it does so once.
fn only_source(view: &View) -> Option<usize> {
    let mut found = Vec::new();
    // The walk itself does not fail.
    let _ = view.plan().apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found.extend(marked_source(scan));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match found.as_slice() {
        [source] => Some(*source),
        _ => None,
    }
}

/// The table of the one scan of files that a plan has.
fn only_table(plan: &LogicalPlan) -> Option<*const ParquetTable> {
    let mut found = Vec::new();
    // The walk itself does not fail.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<ParquetTable>()
        {
            found.push((std::ptr::from_ref(table), scan.fetch));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match found.as_slice() {
        [(table, None)] => Some(*table),
        _ => None,
    }
}

/// How many of these views may be at work at once.
fn fitting(group: &[Candidate<'_>], rows: usize, session: &SessionContext) -> usize {
    let pool = &session.runtime_env().memory_pool;
    let MemoryLimit::Finite(limit) = pool.memory_limit() else { return group.len() };
    let mut left = limit.saturating_sub(pool.reserved()) / SHARE;
    let fits = |candidate: &&Candidate<'_>| {
        let bytes = rows.saturating_mul(ROW_BYTES + CELL_BYTES * candidate.view.features.len());
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        fits
    };
    group.iter().take_while(fits).count()
}

/// Executes the plans of a group over one scan.
async fn share(
    group: Vec<Candidate<'_>>,
    table: &Arc<ParquetTable>,
    labels: &Labels,
    session: &SessionContext,
    monitor: &dyn Monitor,
    done: &mut [Option<ViewReplay>],
) -> Result<()> {
    let scan = SharedScan::new(Arc::clone(table), session.state());
    let mut plans: Vec<(Candidate<'_>, Arc<dyn ExecutionPlan>)> = Vec::with_capacity(group.len());
    for candidate in group {
        let failed = |e| Error::engine(format!("plan view `{}`", candidate.view.name), e);
        let Some(plan) = candidate.choice.plan.clone() else { continue };
        let plan = over(plan, &scan).map_err(failed)?;
        // What can't be planned so may be planned by itself, or says there why not.
        if let Ok(plan) = physical(candidate.view, &plan, session).await {
            plans.push((candidate, plan));
        }
    }
    let names: Vec<&str> = plans.iter().map(|(candidate, _)| candidate.view.name.as_str()).collect();
    monitor.begin(&format!("replaying {}", names.join(", ")), None);
    let replays = plans.into_iter().map(|(candidate, plan)| async move {
        let Candidate { number, view, choice, observers, .. } = candidate;
        let values = answer(view, plan, &observers, labels, session, &Silent).await;
        (number, view, choice, values)
    });
    let replays = join_all(replays).await;
    monitor.end();
    for (number, view, choice, values) in replays {
        // A tie that other columns settle, too little memory, rows that break a rule: by itself it is tried again, or told.
        if let Ok(values) = values {
            let EngineChoice { engine, reason, lookbacks, .. } = choice;
            done[number] = Some(ViewReplay { view: view.name.clone(), engine, reason, lookbacks, values });
        }
    }
    Ok(())
}

/// A plan whose scan is the shared one.
fn over(plan: LogicalPlan, scan: &Arc<SharedScan>) -> DfResult<LogicalPlan> {
    let shared = |node: LogicalPlan| {
        let LogicalPlan::TableScan(mut own) = node else { return Ok(Transformed::no(node)) };
        if source_as_provider(&own.source).is_ok_and(|p| p.downcast_ref::<ParquetTable>().is_some()) {
            let table: Arc<dyn TableProvider> = Arc::new(scan.table());
            own.source = provider_as_source(table);
            return Ok(Transformed::yes(LogicalPlan::TableScan(own)));
        }
        Ok(Transformed::no(LogicalPlan::TableScan(own)))
    };
    plan.transform_up_with_subqueries(shared).data()
}
