//! What a diagnosis needs whatever its sample is: the rows of small sources, and plans of views.
//!
//! It can be laid as soon as a comparison shows differences, while the run goes on with work that leaves threads idle, and serves all
//! snapshots of the run.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex};

use datafusion::common::exec_datafusion_err;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::prelude::SessionContext;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use crate::analysis::Project;
use crate::cause::held::{self, Held, sources_of};
use crate::cause::lab::{Early, Station};
use crate::cause::{MOST_BYTES, differing_views, locked, looks_for_causes, one_partition};
use crate::diff::Mismatches;

/// Sources that take less by their footers are held whole, for all views.
const SMALL_BYTES: u64 = 128 << 20;
/// Sources that take more in all are not read before there is a sample: they would take memory while other work does.
const EARLY_BYTES: u64 = 64 << 20;

/// What somebody began, for all who wait for it.
type Begun<T> = Shared<BoxFuture<'static, Result<T, Arc<DataFusionError>>>>;

/// Rows of small sources, and plans. Dropping it ends what is still being done.
pub struct Groundwork {
    project: Arc<Project>,
    session: SessionContext,
    single: SessionContext,
    early: u64,
    /// By source; `None` where it takes too much memory after all.
    rows: Mutex<HashMap<usize, Begun<Option<Held>>>>,
    /// By view; each is taken once.
    stations: Mutex<HashMap<usize, SpawnedTask<Early>>>,
}

impl fmt::Debug for Groundwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groundwork").finish_non_exhaustive()
    }
}

impl Groundwork {
    /// `most`: bytes that sources may take while the run does other work.
    pub fn new(project: &Arc<Project>, session: &SessionContext, most: u64) -> Self {
        Self {
            early: most.min(EARLY_BYTES),
            project: Arc::clone(project),
            single: one_partition(session),
            session: session.clone(),
            rows: Mutex::default(),
            stations: Mutex::default(),
        }
    }

    pub fn project(&self) -> &Project {
        &self.project
    }

    /// A session in which every replay is on one partition.
    pub(super) fn single(&self) -> &SessionContext {
        &self.single
    }

    pub(super) fn threads(&self) -> usize {
        self.session.state().config().target_partitions().max(1)
    }

    /// Begins with what a diagnosis of these differences would need, where that takes little memory.
    pub fn lay(&self, snapshot: usize, mismatches: &Mismatches) {
        if !looks_for_causes(&self.project) {
            return;
        }
        let differing = differing_views(&self.project, snapshot, mismatches);
        let logs = &self.project.inputs.logs;
        if self.small(&differing).iter().map(|source| logs[*source].table.memory()).sum::<u64>() > self.early {
            return;
        }
        self.read(&differing);
        for view in differing.into_iter().filter(|view| self.holds(*view)) {
            if let Entry::Vacant(vacant) = locked(&self.stations).entry(view) {
                let (project, single) = (Arc::clone(&self.project), self.single.clone());
                vacant.insert(SpawnedTask::spawn(async move { planned(&project, view, &single).await }));
            }
        }
    }

    /// A plan of the view, as far as that is known without its rows.
    pub(super) async fn station(&self, view: usize) -> Early {
        let begun = locked(&self.stations).remove(&view);
        match begun {
            Some(begun) => begun.join().await.unwrap_or(None),
            None => planned(&self.project, view, &self.single).await,
        }
    }

    /// The sources of these views that are small enough to be held whole.
    fn small(&self, views: &[usize]) -> Vec<usize> {
        let plans = views.iter().map(|view| self.project.views[*view].plan());
        let mut sources: Vec<usize> = plans.flat_map(sources_of).collect();
        sources.sort_unstable();
        sources.dedup();
        sources.retain(|source| self.project.inputs.logs[*source].table.memory() <= SMALL_BYTES);
        sources
    }

    /// Whether all sources of a view are being read whole.
    pub(super) fn holds(&self, view: usize) -> bool {
        let rows = locked(&self.rows);
        sources_of(self.project.views[view].plan()).iter().all(|source| rows.contains_key(source))
    }

    /// Begins to read the small sources of these views. Those over the same files are read once.
    pub(super) fn read(&self, views: &[usize]) {
        let logs = &self.project.inputs.logs;
        let mut rows = locked(&self.rows);
        let mut alike: Vec<Vec<usize>> = Vec::new();
        for source in self.small(views).into_iter().filter(|source| !rows.contains_key(source)) {
            match alike.iter_mut().find(|all| held::same_files(&logs[all[0]], &logs[source])) {
                Some(all) => all.push(source),
                None => alike.push(vec![source]),
            }
        }
        for sources in alike {
            let (first, session) = (logs[sources[0]].clone(), self.session.clone());
            let all = begun(async move { held::all_rows(&first, MOST_BYTES, &session).await });
            for source in sources {
                let (log, all) = (logs[source].clone(), all.clone());
                rows.insert(
                    source,
                    begun(async move {
                        let all = all.await.map_err(DataFusionError::Shared)?;
                        all.map(|all| Held::new(&log, all)).transpose()
                    }),
                );
            }
        }
    }

    /// The rows of a source that is read whole.
    ///
    /// # Errors
    /// As reading it.
    pub(super) async fn rows(&self, source: usize) -> DfResult<Option<Held>> {
        let reading = locked(&self.rows).get(&source).cloned();
        match reading {
            Some(reading) => reading.await.map_err(DataFusionError::Shared),
            None => Ok(None),
        }
    }
}

async fn planned(project: &Project, view: usize, single: &SessionContext) -> Early {
    let view = &project.views[view];
    Station::early(view, &project.inputs.logs, &sources_of(view.plan()), single).await
}

/// Runs on whatever thread is free, from now on.
fn begun<T: Clone + Send + Sync + 'static>(work: impl Future<Output = DfResult<T>> + Send + 'static) -> Begun<T> {
    let ended = |e| Err(exec_datafusion_err!("the task that reads ended: {e}"));
    SpawnedTask::spawn(work).join().map(move |done| done.unwrap_or_else(ended).map_err(Arc::new)).boxed().shared()
}
