//! Why legacy values differ: named changes of meaning, each proved by replaying under it.
//!
//! A legacy system that counts a window's start, works on last night's data or reads the future is a system with another
//! *meaning*. For every feature that differs we try such meanings: the view is replayed for a sample of the mismatching and
//! of the agreeing rows under a changed label time, changed sources or changed windows, by the planner and the engines
//! of every replay. A meaning that makes the legacy values what they are, and does so far more often than chance would
//! ([`judge`]), is a cause.
//!
//! * [`change`]: what causes there are. [`candidates`]: which of them can apply to a view, from its plan and its data.
//! * [`windows`]: a plan with other windows. [`world`]: sources seen otherwise. [`values`]: what needs no replay.
//! * [`groundwork`]: what can be done before there is a sample. [`held`]: the rows that can be read; [`near`]: which of them some
//!   questions see. [`lens`], [`bench`]: what of a world is a matter of what is asked. [`slots`], [`lab`]: one plan for many worlds.
//!   [`cell`]: one cell in all of them.
//! * [`case`]: a feature with its rows. [`search`]: what is tried in which order; [`decide`]: what is taken; [`history`]: how a first event is fitted. [`judge`]: what is more than chance. [`leak`]: for which
//!   legacy values a look ahead was needed.
//!
//! No more rows are replayed than the sample has. The same input gives the same causes, whatever the threads. What this refuses:
//! to name a cause that fits no better than chance.

mod bench;
mod candidates;
mod case;
mod cell;
mod change;
mod decide;
mod groundwork;
mod held;
mod history;
mod judge;
mod lab;
mod leak;
mod lens;
mod near;
mod sample;
mod search;
mod slots;
mod values;
mod windows;
mod world;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::common::exec_datafusion_err;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use serde_json::Value;

use crate::analysis::{Project, View};
use crate::cause::candidates::Sources;
use crate::cause::case::Case;
pub use crate::cause::cell::{Named, Otherwise, otherwise};
pub use crate::cause::change::{Ahead, Change, Layer, Length, Shift, duration};
pub use crate::cause::groundwork::Groundwork;
use crate::cause::held::{Held, TooLarge, sources_of};
use crate::cause::lab::Lab;
pub use crate::cause::leak::Leaking;
use crate::cause::leak::leaks;
pub use crate::cause::sample::lot;
use crate::cause::search::{SCREEN, Search};
use crate::cause::windows::Windows;
use crate::config::Causes;
use crate::diff::{self, CauseName, Compared, Mismatches};
use crate::error::{Error, Result};
use crate::source::{Labels, Log};

/// Rows of a view's sources that take more memory than this are not held: then the sample is made smaller.
const MOST_BYTES: u64 = 512 << 20;
/// Of fewer rows for each feature no cause is looked for.
const LEAST_SAMPLE: usize = 200;

/// The causes of one feature.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureCauses {
    /// Position among the snapshot's features.
    pub feature: usize,
    pub causes: Vec<diff::Cause>,
    /// Share of the tested mismatches.
    pub unexplained: f64,
    /// By position of a compared row, the cause that explains it.
    pub cause_of: BTreeMap<usize, u16>,
    /// By cause, what it shows of what was not known at the label time.
    pub leaks: Vec<Option<Leaking>>,
    /// How many mismatches were tested.
    pub tested: usize,
}

/// What looking for causes gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diagnosis {
    pub features: Vec<FeatureCauses>,
    /// Views whose sources are too large to hold.
    pub too_large: Vec<String>,
}

/// Looks for the causes of every feature of a snapshot that differs; `mismatches` is its comparison with the label rows.
///
/// # Errors
/// As reading a source, or a defect. A view of which even a small sample reads too much is named and left alone.
pub async fn diagnose(
    groundwork: &Arc<Groundwork>,
    labels: &Labels,
    snapshot: usize,
    mismatches: &Arc<Mismatches>,
) -> Result<Diagnosis> {
    let project = groundwork.project();
    if !looks_for_causes(project) {
        return Ok(Diagnosis::default());
    }
    let threads = groundwork.threads();
    let differing = differing_views(project, snapshot, mismatches);
    groundwork.read(&differing);
    let (light, heavy): (Vec<usize>, Vec<usize>) = differing.into_iter().partition(|view| groundwork.holds(*view));
    let evidence = Arc::new(Evidence {
        groundwork: Arc::clone(groundwork),
        mismatches: Arc::clone(mismatches),
        snapshot,
        labels: Arc::new(labels.clone()),
    });
    // Views go side by side; while one waits for its replays, another scores. Those that share the rows they read take little
    // memory beside them.
    let side_by_side = |views: Vec<usize>, most: usize| {
        let tasks = views.into_iter().map(|view| {
            let evidence = Arc::clone(&evidence);
            async move {
                let task = SpawnedTask::spawn(async move { evidence.diagnose(view).await });
                let ended = |e| Error::engine("look for causes", exec_datafusion_err!("the task of a view ended: {e}"));
                task.join().await.map_err(ended)?
            }
        });
        futures::stream::iter(tasks.collect::<Vec<_>>()).buffer_unordered(most).collect::<Vec<Result<Diagnosis>>>()
    };
    let (light, heavy) = futures::join!(side_by_side(light, 4 * threads), side_by_side(heavy, 2 * threads));
    let mut all = Diagnosis::default();
    for view in light.into_iter().chain(heavy) {
        let view = view?;
        all.features.extend(view.features);
        all.too_large.extend(view.too_large);
    }
    all.features.sort_by_key(|f| f.feature);
    Ok(all)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether any cause is asked for.
fn looks_for_causes(project: &Project) -> bool {
    match &project.inputs.config.diff.causes {
        Causes::All => true,
        Causes::None => false,
        Causes::Only(names) => !names.is_empty(),
    }
}

/// The views of which some feature differs in a snapshot.
fn differing_views(project: &Project, snapshot: usize, mismatches: &Mismatches) -> Vec<usize> {
    let differs =
        |view: &View| !view.is_helper() && differing_columns(project, view, snapshot, mismatches).next().is_some();
    (0..project.views.len()).filter(|view| differs(&project.views[*view])).collect()
}

fn unread(log: &Log, e: DataFusionError) -> Error {
    Error::engine(format!("read source `{}`", log.config.name), e)
}

/// What the views of one diagnosis share.
struct Evidence {
    groundwork: Arc<Groundwork>,
    mismatches: Arc<Mismatches>,
    snapshot: usize,
    labels: Arc<Labels>,
}

impl Evidence {
    fn project(&self) -> &Project {
        self.groundwork.project()
    }

    /// The causes of what differs in view number `number`.
    async fn diagnose(&self, number: usize) -> Result<Diagnosis> {
        let project = self.project();
        let view = &project.views[number];
        let logs = &project.inputs.logs;
        let sources = sources_of(view.plan());
        // Until the rows are there.
        let station = self.groundwork.station(number).await;
        let mut sample = project.inputs.config.diff.sample.max(1);
        let (mut cases, held) = loop {
            let cases = cases_of(project, view, self.snapshot, &self.mismatches, sample);
            if let Some(held) = self.held(view, &sources, &cases).await? {
                break (cases, held);
            }
            sample /= 8;
            if sample < LEAST_SAMPLE {
                return Ok(Diagnosis { features: Vec::new(), too_large: vec![view.name.clone()] });
            }
        };
        let facts = Sources::of(logs, &held);
        let mut windows = Windows::of(view.plan());
        // A value that is a time itself moves with its source.
        windows.calendar |= view.features.iter().any(|f| f.data_type.is_temporal());
        let (single, threads) = (self.groundwork.single(), self.groundwork.threads());
        let lab = Lab::new(view, logs, held, windows, &self.labels, single, threads);
        lab.prepare(station).await;
        let mut search = Search {
            labels: &self.labels,
            lab: Arc::new(lab),
            threads,
            sources: facts,
            allowed: &|change| self.allows(change),
            rows: SCREEN,
        };
        search.run(&mut cases).await?;
        let leaks = leaks(&search.lab, &cases).await.map_err(|e| Error::engine("look for causes", e))?;
        let features = cases.into_iter().zip(leaks).map(|(case, leaks)| told(project, case, leaks)).collect();
        Ok(Diagnosis { features, too_large: Vec::new() })
    }

    /// Whether the cause is asked for.
    fn allows(&self, change: &Change) -> bool {
        match &self.project().inputs.config.diff.causes {
            Causes::All => true,
            Causes::None => false,
            Causes::Only(names) => names.iter().any(|name| name == change.name()),
        }
    }

    /// The rows that the cases can read, of every source; `None` where they are too many.
    async fn held(&self, view: &View, sources: &[usize], cases: &[Case<'_>]) -> Result<Option<HashMap<usize, Held>>> {
        let (logs, single) = (&self.project().inputs.logs, self.groundwork.single());
        let mut held: HashMap<usize, Held> = HashMap::new();
        for source in sources {
            let read = self.groundwork.rows(*source).await.map_err(|e| unread(&logs[*source], e))?;
            held.extend(read.map(|rows| (*source, rows)));
        }
        if held.len() == sources.len() {
            return Ok(Some(held));
        }
        let mut rows: Vec<usize> = cases.iter().flat_map(Case::label_rows).collect();
        rows.sort_unstable();
        rows.dedup();
        let reaches = lab::reach(view, logs, sources, &self.labels, rows, single);
        for source in sources {
            if held.contains_key(source) {
                continue;
            }
            let log = &logs[*source];
            let reach = reaches.get(source).cloned().unwrap_or_default();
            let used: u64 = held.values().map(|h| h.rows.get_array_memory_size() as u64).sum();
            let read = Held::read(log, &reach, MOST_BYTES.saturating_sub(used), single).await;
            match read.map_err(|e| unread(log, e))? {
                Ok(rows) => held.insert(*source, rows),
                Err(TooLarge) => return Ok(None),
            };
        }
        Ok(Some(held))
    }
}

/// The same session, but every replay on one partition: they are small, and run side by side.
fn one_partition(session: &SessionContext) -> SessionContext {
    let mut state = session.state();
    state.config_mut().options_mut().execution.target_partitions = 1;
    // A plan is executed many times; what it learns on the way would stay from one time to the next.
    state.config_mut().options_mut().optimizer.enable_dynamic_filter_pushdown = false;
    SessionContext::new_with_state(state)
}

/// The view's features that differ: their columns in the snapshot, their slots in the view, their cells.
fn differing_columns<'a>(
    project: &'a Project,
    view: &'a View,
    snapshot: usize,
    mismatches: &'a Mismatches,
) -> impl Iterator<Item = (usize, usize, Compared<'a>)> {
    project.snapshots[snapshot].columns.iter().enumerate().filter_map(move |(at, mapped)| {
        let feature = project.features.get(mapped.feature).filter(|f| f.view == view.name)?;
        let slot = view.features.iter().position(|f| f.column == feature.column)?;
        let compared = mismatches.compared(at);
        compared.mismatched().next()?;
        Some((at, slot, compared))
    })
}

fn cases_of<'a>(
    project: &'a Project,
    view: &'a View,
    snapshot: usize,
    mismatches: &'a Mismatches,
    sample: usize,
) -> Vec<Case<'a>> {
    let differing = differing_columns(project, view, snapshot, mismatches);
    differing.map(|(at, slot, compared)| Case::new(at, slot, &view.features[slot], compared, sample)).collect()
}

fn told(project: &Project, case: Case<'_>, leaks: Vec<Option<Leaking>>) -> FeatureCauses {
    let names: Vec<String> = project.inputs.logs.iter().map(|log| log.config.name.clone()).collect();
    let tested = case.differing.len();
    let all = case.compared.mismatched().count();
    let share = |count: usize| count as f64 / tested.max(1) as f64;
    let named = |chosen: &case::Chosen| {
        CauseName::of(chosen.changes.iter().map(|c| (c.name(), c.parameters(&names))).collect())
    };
    let cause = |chosen: &case::Chosen, (name, parameters): (CauseName, Value)| {
        let explained = chosen.explained.len();
        diff::Cause {
            cause: name,
            parameters,
            // Of a sample, what its share comes to.
            mismatches: if tested == all { explained as u64 } else { (share(explained) * all as f64) as u64 },
            explains: share(explained),
            breaks: chosen.breaks,
        }
    };
    FeatureCauses {
        feature: case.feature,
        unexplained: share(tested - case.cause_of.len()),
        leaks,
        causes: case.chosen.iter().map(|chosen| cause(chosen, named(chosen))).collect(),
        cause_of: case.cause_of,
        tested,
    }
}
