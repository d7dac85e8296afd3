//! Why legacy values differ: named changes of meaning, each proved by replaying under it.
//!
//! A legacy system that counts a window's start, works on last night's data or reads the future is a system with another
//! *meaning*. For every feature that differs we try such meanings: the view is replayed for a sample of the mismatching and
//! of the agreeing rows under a changed label time, changed sources or changed windows, by the planner and the engines
//! of every replay. A meaning that makes the legacy values what they are, and does so far more often than chance would
//! ([`judge`]), is a cause.
//!
//! * [`change`]: what causes there are. [`candidates`]: which of them can apply to a view, from its plan and its data.
//! * [`windows`]: a plan with other windows. [`world`]: sources seen otherwise, and the replay over them.
//!   [`values`]: what needs no replay.
//! * [`case`]: a feature with its rows. [`search`]: what is tried in which order. [`judge`]: what is more than chance.
//!
//! No more rows are replayed than the sample has. The same input gives the same causes, whatever the threads. What this refuses:
//! to name a cause that fits no better than chance, and sources that are too large to hold.

mod candidates;
mod case;
mod change;
mod judge;
mod sample;
mod search;
mod values;
mod windows;
mod world;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use crate::analysis::{Project, View, marked_source};
use crate::cause::candidates::Sources;
use crate::cause::case::{Case, Hypothesis};
pub use crate::cause::change::{Ahead, Change, Layer, Length, Shift};
use crate::cause::search::Search;
use crate::cause::windows::Windows;
use crate::cause::world::Held;
use crate::config::Causes;
use crate::diff::{self, CauseName, Compared, Diff};
use crate::error::{Error, Result};
use crate::source::{Labels, Log};

/// Sources of a view that are larger than this in memory are not held: then no cause is looked for.
const MOST_BYTES: u64 = 512 << 20;

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
    /// By cause: whether it shows what was not known at the label time, and how far ahead, where a number says so, nanoseconds.
    pub leaks: Vec<Option<Option<i64>>>,
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

/// Looks for the causes of every feature of a snapshot that differs.
///
/// # Errors
/// As reading a source, or a defect. A view whose sources are too large to hold is named and left alone.
pub async fn diagnose(
    project: &Project,
    labels: &Labels,
    snapshot: usize,
    diff: &Diff,
    session: &SessionContext,
) -> Result<Diagnosis> {
    let config = &project.inputs.config.diff;
    let allowed = |change: &Change| match &config.causes {
        Causes::All => true,
        Causes::None => false,
        Causes::Only(names) => names.iter().any(|name| name == change.name()),
    };
    let mut found = Vec::new();
    let mut too_large = Vec::new();
    if config.causes == Causes::None || matches!(&config.causes, Causes::Only(names) if names.is_empty()) {
        return Ok(Diagnosis::default());
    }
    let labels = Arc::new(labels.clone());
    let threads = session.state().config().target_partitions();
    let single = one_partition(session);
    let mut held: HashMap<usize, Held> = HashMap::new();
    for view in project.views.iter().filter(|v| !v.is_helper()) {
        let mut cases = cases_of(project, view, snapshot, diff);
        if cases.is_empty() {
            continue;
        }
        let sources = sources_of(&view.plan);
        let bytes: u64 = sources.iter().map(|s| memory_of(&project.inputs.logs[*s])).sum();
        if bytes > MOST_BYTES {
            too_large.push(view.name.clone());
            continue;
        }
        for &source in &sources {
            if let std::collections::hash_map::Entry::Vacant(entry) = held.entry(source) {
                let log = &project.inputs.logs[source];
                let read = Held::read(log, session).await;
                entry.insert(read.map_err(|e| Error::engine(format!("read source `{}`", log.config.name), e))?);
            }
        }
        let own: HashMap<usize, Held> = sources.iter().map(|s| (*s, held[s].clone())).collect();
        let facts = Sources::of(&project.inputs.logs, &own);
        let mut windows = Windows::of(&view.plan);
        // A value that is a time itself moves with its source.
        windows.calendar |= view.features.iter().any(|f| f.data_type.is_temporal());
        let search = Search {
            project,
            view,
            labels: &labels,
            session: &single,
            threads,
            held: own,
            windows,
            sources: facts,
            allowed: &allowed,
        };
        search.run(&mut cases).await?;
        found.extend(cases.into_iter().map(|case| told(project, &search.sources, case)));
    }
    found.sort_by_key(|f| f.feature);
    Ok(Diagnosis { features: found, too_large })
}

/// The same session, but every replay on one partition: they are small, and run side by side.
fn one_partition(session: &SessionContext) -> SessionContext {
    let mut state = session.state();
    state.config_mut().options_mut().execution.target_partitions = 1;
    SessionContext::new_with_state(state)
}

fn cases_of<'a>(project: &'a Project, view: &'a View, snapshot: usize, diff: &'a Diff) -> Vec<Case<'a>> {
    let sample = project.inputs.config.diff.sample.max(1);
    let columns = project.snapshots[snapshot].columns.iter().enumerate();
    let own = columns.filter_map(|(at, mapped)| {
        let feature = project.features.get(mapped.feature).filter(|f| f.view == view.name)?;
        let slot = view.features.iter().position(|f| f.column == feature.column)?;
        let compared: Compared<'a> = diff.mismatches.compared(at);
        compared.mismatched().next()?;
        Some(Case::new(at, slot, &view.features[slot], compared, sample))
    });
    own.collect()
}

/// The sources that a plan reads, by number, each once.
fn sources_of(plan: &LogicalPlan) -> Vec<usize> {
    let mut sources = Vec::new();
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            sources.extend(marked_source(scan));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    sources.sort_unstable();
    sources.dedup();
    sources
}

/// What the rows of a source take in memory, by its footers: a guess.
fn memory_of(log: &Log) -> u64 {
    let groups = log.table.footers.footers.iter().flat_map(|footer| footer.row_groups());
    groups.map(|group| u64::try_from(group.total_byte_size()).unwrap_or(0)).sum::<u64>().saturating_mul(2)
}

fn told(project: &Project, sources: &Sources, case: Case<'_>) -> FeatureCauses {
    let names: Vec<String> = project.inputs.logs.iter().map(|log| log.config.name.clone()).collect();
    let tested = case.differing.len();
    let all = case.compared.mismatched().count();
    let share = |count: usize| count as f64 / tested.max(1) as f64;
    let cause = |chosen: &case::Chosen| diff::Cause {
        cause: match chosen.changes.as_slice() {
            [one] => CauseName::One(one.name().to_string()),
            several => CauseName::Together(several.iter().map(|c| c.name().to_string()).collect()),
        },
        parameters: match chosen.changes.as_slice() {
            [one] => one.parameters(&names),
            several => serde_json::Value::Object(
                several.iter().map(|c| (c.name().to_string(), c.parameters(&names))).collect(),
            ),
        },
        // Of a sample, what its share comes to.
        mismatches: if tested == all { chosen.explained as u64 } else { (share(chosen.explained) * all as f64) as u64 },
        explains: share(chosen.explained),
        breaks: chosen.breaks,
    };
    let leaks = |changes: &Hypothesis| -> Option<Option<i64>> {
        let all: Vec<Option<i64>> = changes
            .iter()
            .filter_map(|change| {
                let late = matches!(change, Change::LateVisible { .. });
                change.leaks().map(|by| if late { sources.lateness.last().copied() } else { by })
            })
            .collect();
        if all.is_empty() { None } else { Some(all.into_iter().flatten().max()) }
    };
    FeatureCauses {
        feature: case.feature,
        unexplained: share(tested - case.cause_of.len()),
        leaks: case.chosen.iter().map(|c| leaks(&c.changes)).collect(),
        causes: case.chosen.iter().map(cause).collect(),
        cause_of: case.cause_of,
        tested,
    }
}
