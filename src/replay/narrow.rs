//! What the sources hold that a few label rows can ask about: so that a check of late label rows need not read all that came before.
//!
//! ```text
//! SELECT user_id, count(*) FROM events WHERE ts > NOW() - INTERVAL '1 day' GROUP BY user_id       asked for users 7 and 9 at T
//!   from the lookback: events from T - 1 day on
//!   from the plan:     user_id IN (7, 9), where DataFusion itself takes such a filter down to every scan of the source
//! ```
//!
//! Only logs without ids are narrowed: which copy of a row counts may depend on rows that nobody asks about. The query that runs
//! is the whole one; only rows that it would drop are not read. What can't be narrowed is read as a whole.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::{cast, take};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator, TableScan, lit};

use crate::analysis::{View, marked_source};
use crate::lookback::{FROM_THE_BEGINNING, Lower, lookbacks};
use crate::source::{Labels, Log};

/// How a view's sources may be narrowed, by source.
#[derive(Debug)]
pub(super) struct Narrowing {
    /// Which events matter, as functions of the label time.
    lowers: BTreeMap<usize, Vec<Lower>>,
    /// Which sources are read by key alone.
    pub keyed: BTreeSet<usize>,
}

/// What has to be read of each source.
#[derive(Debug, Default)]
pub(super) struct Narrowed {
    /// Events from this time on, nanoseconds since 1970.
    pub earliest: BTreeMap<usize, i64>,
    /// Rows that satisfy this, over the source's columns.
    pub keep: BTreeMap<usize, Expr>,
}

impl Narrowing {
    /// `None` where the view reads what can't be narrowed.
    pub(super) fn of(view: &View, logs: &[Log], labels: &Labels, state: &SessionState) -> Option<Self> {
        if logs.iter().any(|log| view.reads.contains(&log.config.name) && !log.is_plain()) {
            return None;
        }
        let mut lowers: BTreeMap<usize, Vec<Lower>> = BTreeMap::new();
        for feature in lookbacks(view, logs, state) {
            for read in feature.reads.into_iter().chain(feature.presence) {
                lowers.entry(read.source).or_default().push(read.lower);
            }
        }
        let keyed = match labels.rows() {
            0 => BTreeSet::new(),
            _ => kept(view, labels, &[0], state).ok()?.into_keys().collect(),
        };
        Some(Self { lowers, keyed })
    }

    /// The first event time of a source that matters from this label time on.
    pub(super) fn earliest(&self, source: usize, time: i64) -> i64 {
        let starts = self.lowers.get(&source).into_iter().flatten().map(|lower| lower.start(time));
        starts.min().unwrap_or(FROM_THE_BEGINNING)
    }

    /// For these label rows. A later one may reach further back where it looks months back: 30 March 0:00 further than 29 March 23:00.
    pub(super) fn at(&self, view: &View, labels: &Labels, rows: &[usize], state: &SessionState) -> DfResult<Narrowed> {
        if rows.is_empty() {
            return Ok(Narrowed::default());
        }
        let times: BTreeSet<i64> = rows.iter().map(|&row| labels.times.value(row)).collect();
        let earliest = |source: usize| times.iter().map(|&time| self.earliest(source, time)).min();
        let earliest = self.lowers.keys().filter_map(|&source| Some((source, earliest(source)?)));
        Ok(Narrowed { earliest: earliest.collect(), keep: kept(view, labels, rows, state)? })
    }
}

/// By source, the rows that these label rows' keys leave, where there is such a condition.
fn kept(view: &View, labels: &Labels, rows: &[usize], state: &SessionState) -> DfResult<BTreeMap<usize, Expr>> {
    let picks =
        datafusion::arrow::array::UInt32Array::from_iter_values(rows.iter().filter_map(|&r| u32::try_from(r).ok()));
    let schema = view.plan().schema();
    let mut builder = LogicalPlanBuilder::from(view.plan().clone());
    for key in view.keys.iter().filter(|key| !key.data_type.is_floating() && !key.data_type.is_nested()) {
        let Some(index) = schema.fields().iter().position(|f| f.name() == &key.column) else { continue };
        let asked: ArrayRef = cast(&take(&labels.keys[key.label], &picks, None)?, schema.field(index).data_type())?;
        let mut values = Vec::new();
        for row in 0..asked.len() {
            let value = ScalarValue::try_from_array(&asked, row)?;
            if !value.is_null() && !values.contains(&value) {
                values.push(value);
            }
        }
        let own = Expr::Column(Column::from(schema.qualified_field(index)));
        builder = builder.filter(own.in_list(values.into_iter().map(lit).collect(), false))?;
    }
    let plan = state.optimize(&builder.build()?)?;
    let mut found: BTreeMap<usize, Option<Expr>> = BTreeMap::new();
    gather(&plan, &[], &mut found)?;
    Ok(found.into_iter().filter_map(|(source, keep)| Some((source, keep?))).collect())
}

/// Every scan's own condition; of several scans of a source, any of theirs.
fn gather(plan: &LogicalPlan, above: &[&Expr], found: &mut BTreeMap<usize, Option<Expr>>) -> DfResult<()> {
    match plan {
        LogicalPlan::TableScan(scan) => note(scan, above, found),
        LogicalPlan::Filter(filter) => {
            let all: Vec<&Expr> =
                split_conjunction(&filter.predicate).into_iter().chain(above.iter().copied()).collect();
            gather(&filter.input, &all, found)?;
        }
        other => {
            for input in other.inputs() {
                gather(input, &[], found)?;
            }
        }
    }
    // Subqueries that are left read as a whole.
    plan.apply_subqueries(|subquery| {
        subquery.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                note(scan, &[], found);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

fn note(scan: &TableScan, above: &[&Expr], found: &mut BTreeMap<usize, Option<Expr>>) {
    let Some(source) = marked_source(scan) else { return };
    let own = above.iter().copied().chain(&scan.filters).filter(|e| is_choice(e)).cloned().reduce(Expr::and);
    let known = found.entry(source).or_insert_with(|| Some(lit(false)));
    *known = known.take().zip(own).map(|(known, own)| if known == lit(false) { own } else { known.or(own) });
}

/// Whether a condition only compares columns with constants for equality: it can't fail, and says the same at every instant.
fn is_choice(expr: &Expr) -> bool {
    let column = |e: &Expr| matches!(e, Expr::Column(_));
    let constant = |e: &Expr| matches!(e, Expr::Literal(_, _));
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            column(left) && constant(right) || constant(left) && column(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or | Operator::And, right }) => {
            is_choice(left) && is_choice(right)
        }
        Expr::InList(InList { expr, list, negated: false }) => column(expr) && list.iter().all(constant),
        _ => false,
    }
}
