//! One chunk's views: found kept from an earlier run, or replayed and kept.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use datafusion::prelude::SessionContext;

use crate::analysis::{Project, View, marked_source};
use crate::checkpoint::{Address, Checkpoints, FileIdentity, Found, Saved, view_address};
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::output::{ChunkEntry, Outline};
use crate::pipeline::prepare::Opened;
use crate::plan::Spines;
use crate::replay::{
    Chunk, Engine, Replay, ReplayOptions, ViewReplay, choose, optimized, replay_together, replay_view,
};
use crate::report::ChunkView;
use crate::source::time::rfc3339;
use crate::source::{Labels, Log, ParquetTable, Redelivery};
use crate::sql::{Spills, now_unit};

/// What replaying a chunk needs.
pub(super) struct Replayer<'a> {
    pub project: &'a Project,
    pub session: &'a SessionContext,
    pub spills: &'a Spills,
    pub options: ReplayOptions,
    pub checkpoints: Checkpoints,
    /// What the last run kept.
    pub before: Vec<ChunkEntry>,
}

/// A chunk's values, and where each view's come from.
pub(super) struct Replayed {
    pub replay: Replay,
    pub views: Vec<ChunkView>,
    pub kept: Vec<ChunkEntry>,
}

impl<'a> Replayer<'a> {
    pub(super) fn new(
        opened: &'a Opened,
        options: ReplayOptions,
        checkpoints: Checkpoints,
        before: Option<&Outline>,
    ) -> Self {
        let before = before.map_or_else(Vec::new, |m| m.chunks.clone());
        let Opened { project, session, spills, .. } = opened;
        Self { project, session, spills, options, checkpoints, before }
    }

    /// The values of all views for the label rows of a chunk.
    ///
    /// # Errors
    /// As replaying, and a storage error where values can't be kept.
    pub(super) async fn chunk(&mut self, chunk: &Chunk, labels: &Labels, monitor: &dyn Monitor) -> Result<Replayed> {
        let (mut views, mut told, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let project = self.project;
        let mut looked = Vec::new();
        for view in project.views.iter().filter(|v| !v.is_helper()) {
            let address = self.address(view, labels)?;
            looked.push((view, self.found(view, labels, &address, chunk).await?, address));
        }
        let missing: Vec<&View> =
            looked.iter().filter(|(_, found, _)| found.is_err()).map(|(view, ..)| *view).collect();
        let (began, spilled) = (Instant::now(), self.spills.now());
        let (logs, options) = (&project.inputs.logs, self.options);
        let together = replay_together(&missing, logs, labels, self.session, options, monitor).await?;
        let shares = together.iter().flatten().count().max(1);
        let share = (
            began.elapsed().as_secs_f64() / shares as f64,
            self.spills.now().since(spilled).bytes / u64::try_from(shares).unwrap_or(1),
        );
        let mut together = together.into_iter();
        for (view, found, address) in looked {
            let (began, spilled) = (Instant::now(), self.spills.now());
            let (replayed, reused, why, before) = match found {
                Ok(replayed) => (replayed, true, None, (0.0, 0)),
                Err(why) => match together.next().flatten() {
                    Some(replayed) => (self.kept(view, &address, replayed).await?, false, why, share),
                    None => {
                        let replayed = replay_view(view, logs, labels, self.session, options, monitor).await?;
                        (self.kept(view, &address, replayed).await?, false, why, (0.0, 0))
                    }
                },
            };
            views.push(replayed);
            told.push(ChunkView {
                view: view.name.clone(),
                reused,
                why,
                seconds: before.0 + began.elapsed().as_secs_f64(),
                spilled_bytes: before.1 + self.spills.now().since(spilled).bytes,
            });
            kept.extend(self.entry(&address, chunk));
        }
        Ok(Replayed { replay: Replay::new(project, views)?, views: told, kept })
    }

    fn address(&self, view: &View, labels: &Labels) -> Result<Address> {
        let failed = |e| Error::engine(format!("plan view `{}`", view.name), e);
        let files = self.files(view, labels)?;
        view_address(self.project, view, labels, &files, self.options.engine).map_err(failed)
    }

    /// The values, or why there are none.
    async fn found(
        &mut self,
        view: &View,
        labels: &Labels,
        address: &Address,
        chunk: &Chunk,
    ) -> Result<Result<ViewReplay, Option<String>>> {
        let types: Vec<DataType> = view.features.iter().map(|f| f.data_type.clone()).collect();
        let found = self.checkpoints.load(address, &view.name, &types, labels.rows()).await?;
        Ok(match found {
            Found::Values(Saved { engine, reason, values }) => match Engine::named(&engine) {
                Some(engine) => {
                    Ok(ViewReplay { view: view.name.clone(), engine, reason, lookbacks: Vec::new(), values })
                }
                None => Err(Some("what was kept is damaged".to_string())),
            },
            Found::Damaged => Err(Some("what was kept is damaged".to_string())),
            Found::Nothing => Err(self.why(view, address, chunk)),
        })
    }

    /// Why nothing is kept at an address, by what the last run kept of the view.
    fn why(&self, view: &View, address: &Address, chunk: &Chunk) -> Option<String> {
        let mut own = self.before.iter().filter(|e| e.view == view.name).peekable();
        own.peek()?;
        let (from, until) = bounds(chunk);
        let Some(same) = own.find(|e| e.from == from && e.until == until) else {
            return Some("no chunk had these label times".to_string());
        };
        let changed = address.depends.changed_since(&same.depends);
        Some(match changed.as_slice() {
            [] => "what was kept is gone".to_string(),
            [one] if *one == "its SQL" => "its SQL has changed".to_string(),
            several => format!("{} have changed", several.join(", ")),
        })
    }

    /// Keeps what was replayed.
    async fn kept(&mut self, view: &View, address: &Address, replayed: ViewReplay) -> Result<ViewReplay> {
        let saved = Saved {
            engine: replayed.engine.name().to_string(),
            reason: replayed.reason.clone(),
            values: replayed.values.clone(),
        };
        self.checkpoints.save(address, &view.name, &saved).await?;
        Ok(replayed)
    }

    fn entry(&self, address: &Address, chunk: &Chunk) -> Option<ChunkEntry> {
        let kept = self.checkpoints.used(address)?;
        let (from, until) = bounds(chunk);
        Some(ChunkEntry {
            view: kept.view.clone(),
            from,
            until,
            path: kept.path.clone(),
            rows: kept.rows,
            bytes: kept.bytes,
            sha256: kept.sha256.clone(),
            depends: kept.depends.clone(),
        })
    }

    /// The files that have to be read for these label rows.
    fn files(&self, view: &View, labels: &Labels) -> Result<BTreeSet<FileIdentity>> {
        let logs = &self.project.inputs.logs;
        let failed = |e| Error::engine(format!("plan view `{}`", view.name), e);
        let types: Vec<DataType> = view.keys.iter().map(|k| k.data_type.clone()).collect();
        let spines = Spines::empty(&types, now_unit(self.session)).map_err(failed)?;
        let times = labels.times.values();
        let times = times.first().copied().zip(times.last().copied());
        let choice = choose(view, logs, &spines, times, self.session, self.options.engine, Redelivery::ByTime)?;
        let read = choice.plan.and_then(|plan| {
            let plan = optimized(&plan, &self.session.state()).ok()?;
            reached(&plan, logs).ok()
        });
        // The reference engine, which needs no plan, reads everything.
        Ok(match read {
            Some(read) => read,
            None => everything(view.plan(), logs),
        })
    }
}

/// A chunk's bounds as files and reports have them.
pub(super) fn bounds(chunk: &Chunk) -> (Option<String>, Option<String>) {
    let bound = |time: i64, open: i64| (time != open).then(|| rfc3339(time));
    (bound(chunk.from, i64::MIN), bound(chunk.until, i64::MAX))
}

/// The files that the scans of an optimised plan can't leave out.
fn reached(plan: &LogicalPlan, logs: &[Log]) -> DfResult<BTreeSet<FileIdentity>> {
    let mut read = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<ParquetTable>()
            && let Some(log) = logs.iter().find(|l| std::ptr::eq(Arc::as_ptr(&l.table), table))
        {
            for file in table.files_reached(&unnormalize_cols(scan.filters.iter().cloned()))? {
                read.insert(FileIdentity::new(&log.config.name, &table.files.files[file]));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(read)
}

/// All files of the sources of a view's own plan.
fn everything(plan: &LogicalPlan, logs: &[Log]) -> BTreeSet<FileIdentity> {
    let mut read = BTreeSet::new();
    // The signature is that of a walk that may fail; this one does not.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(log) = marked_source(scan).and_then(|source| logs.get(source))
        {
            read.extend(log.table.files.files.iter().map(|file| FileIdentity::new(&log.config.name, file)));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    read
}
