//! What a view's plan will cost, from footers alone: what is bound, what is read, and where it explodes.
//!
//! Estimates are upper bounds of *comparisons*, made of the rows that footers count: label rows stand for label times (several
//! labels may share one), and all rows of a source that can be reached for those that count at one of them. A view is warned of
//! from [`MANY`] on. Numbers of the warnings:
//!
//! | number | what is compared | estimate |
//! | --- | --- | --- |
//! | B220 | all rows at every label time: the view has no keys, or they could not be handed down | label rows x rows |
//! | B221 | rows that a join looks up by no equality | label rows x rows |
//! | B222 | two logs joined by no equality | rows x rows |

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use serde::Serialize;

use crate::analysis::{Project, View};
use crate::diagnostics;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::lint::is_allowed;
use crate::pipeline::prepare::Opened;
use crate::plan::{Bound, Explosion, Spines, without_needless_filters};
use crate::replay::{Engine, EngineChoice, choose, optimized};
use crate::source::{ParquetTable, Reach, Redelivery};

/// How one reading of a source is bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadReport {
    pub source: String,
    /// `keys`: by the label's keys; `asked`: by what another side of a join asks for; `looked_up`: by the rows of another side;
    /// `all`: all rows at every label time.
    pub bound: &'static str,
    /// The expressions that have to equal the keys.
    pub by: Vec<String>,
    /// ISO 8601; `None` where nothing bounds it.
    pub lookback: Option<String>,
}

/// How much of a source one scan has to read, of how much, by the statistics in the footers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanReport {
    pub source: String,
    pub files: u64,
    pub files_of: u64,
    pub row_groups: u64,
    pub row_groups_of: u64,
    pub rows: u64,
    pub rows_of: u64,
}

/// From so many comparisons on a view is warned of.
pub const MANY: f64 = 1e8;

/// A view's plan, planned from footers: label times are their range, keys are open.
pub(super) struct Planned {
    pub choice: EngineChoice,
    /// Optimised; `None` for the reference engine.
    pub plan: Option<LogicalPlan>,
    pub reads: Vec<ReadReport>,
    pub scans: Vec<ScanReport>,
    pub warnings: Vec<Finding>,
}

/// Plans a view without reading a row.
///
/// # Errors
/// A forced engine that does not take the view.
pub(super) fn planned(opened: &Opened, view: &View, engine: Engine) -> Result<Planned> {
    let project = &opened.project;
    let failed = |e| Error::engine(format!("explain view `{}`", view.name), e);
    let keys: Vec<DataType> = view.keys.iter().map(|k| k.data_type.clone()).collect();
    let spines = Spines::empty(&keys, opened.options.now_unit).map_err(failed)?;
    let times = project.inputs.labels.time_range();
    let choice = choose(view, &project.inputs.logs, &spines, times, &opened.session, engine, Redelivery::ByTime)?;
    let state = opened.session.state();
    let run = |plan| optimized(plan, &state).and_then(without_needless_filters);
    let plan = choice.plan.as_ref().map(run).transpose().map_err(failed)?;
    let scans = plan.as_ref().map(|plan| scans(project, plan)).transpose().map_err(failed)?.unwrap_or_default();
    let (reads, warnings) = (reads(project, &choice), explosions(project, view, &choice, &scans));
    Ok(Planned { choice, plan, reads, scans, warnings })
}

/// Warnings for all views that are replayed.
pub(super) fn warnings(opened: &Opened) -> Vec<Finding> {
    let views = opened.project.views.iter().filter(|v| !v.is_helper());
    views.filter_map(|view| planned(opened, view, Engine::Auto).ok()).flat_map(|p| p.warnings).collect()
}

/// How the plan's sources are bound.
fn reads(project: &Project, choice: &EngineChoice) -> Vec<ReadReport> {
    let report = |reading: &crate::plan::Reading| {
        let (bound, by) = match &reading.bound {
            Bound::Keys(by) => ("keys", by.clone()),
            Bound::Asked(by) => ("asked", by.clone()),
            Bound::LookedUp => ("looked_up", Vec::new()),
            Bound::All => ("all", Vec::new()),
        };
        let source = project.inputs.logs[reading.source].config.name.clone();
        ReadReport { source, bound, by, lookback: reading.lookback.clone() }
    };
    choice.readings.iter().map(report).collect()
}

/// What the scans of an optimised plan reach.
fn scans(project: &Project, plan: &LogicalPlan) -> DfResult<Vec<ScanReport>> {
    let mut reports = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<ParquetTable>()
            && let Some(log) = project.inputs.logs.iter().find(|l| std::ptr::eq(Arc::as_ptr(&l.table), table))
        {
            let (all, left) = (table.whole(), table.reached(&unnormalize_cols(scan.filters.iter().cloned()))?);
            let report = scan_report(log.config.name.clone(), left, all);
            if !reports.contains(&report) {
                reports.push(report);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(reports)
}

fn scan_report(source: String, left: Reach, all: Reach) -> ScanReport {
    ScanReport {
        source,
        files: left.files,
        files_of: all.files,
        row_groups: left.row_groups,
        row_groups_of: all.row_groups,
        rows: left.rows,
        rows_of: all.rows,
    }
}

/// Where the plan compares very many rows. `scans` are those of [`scans`].
fn explosions(project: &Project, view: &View, choice: &EngineChoice, scans: &[ScanReport]) -> Vec<Finding> {
    let labels = project.inputs.labels.table.rows();
    let name = |source: usize| project.inputs.logs[source].config.name.as_str();
    // Several sources that are joined by their keys: about as many rows as the largest has.
    let rows = |sources: &[usize]| -> u64 {
        let reached = |&s: &usize| {
            let left = scans.iter().filter(|r| r.source == name(s)).map(|r| r.rows).max();
            left.unwrap_or_else(|| project.inputs.logs[s].table.rows())
        };
        sources.iter().map(reached).max().unwrap_or(0)
    };
    let shown = |sources: &[usize]| sources.iter().map(|&s| format!("`{}`", name(s))).collect::<Vec<_>>().join(" and ");
    let mut findings: Vec<Finding> = Vec::new();
    for explosion in &choice.explosions {
        let (code, left, right, what, help) = match explosion {
            Explosion::AllKeys(of) if view.keys.is_empty() => (
                diagnostics::B220,
                (labels, "label rows"),
                rows(of),
                format!(
                    "view `{}` has no keys, so it compares all rows of {} with every label time",
                    view.name,
                    shown(of)
                ),
                "give it a lower bound (`ts > NOW() - INTERVAL '1 day'`) so that fewer files are read, or use fewer label times",
            ),
            Explosion::AllKeys(of) => (
                diagnostics::B220,
                (labels, "label rows"),
                rows(of),
                format!("view `{}` evaluates {} for all keys at every label time", view.name, shown(of)),
                "group or partition by the key's column itself, or join by equality with what has it",
            ),
            Explosion::Unequal(of) => (
                diagnostics::B221,
                (labels, "label rows"),
                rows(of),
                format!(
                    "view `{}` joins {} by no equality, so every row is compared with all of it",
                    view.name,
                    shown(of)
                ),
                "add an equality to the join's condition, such as the key's or the day's",
            ),
            Explosion::Product(a, b) => (
                diagnostics::B222,
                (rows(a), "rows"),
                rows(b),
                format!("view `{}` joins {} with {} by no equality", view.name, shown(a), shown(b)),
                "add an equality to the join's condition, such as the key's or the day's",
            ),
        };
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let estimate = left.0 as f64 * right as f64;
        if estimate >= MANY && !is_allowed(&view.sql, code) {
            let message = format!("{what}: up to {} {} x {right} rows = {estimate:.0e}", left.0, left.1);
            findings.push(Finding::warning(message).code(code).at(view.sql.start()).help(help));
        }
    }
    findings.dedup();
    findings
}
