//! The view's plan for one feature of one key, at one instant.
//!
//! ```text
//! Projection: k, feature            what is asked for: other features' aggregates fall away
//!   Filter: k = $KEY0               the key, as a placeholder: the optimizer takes it down to the scans
//!     (the view's normal form)
//! ```
//!
//! That plan goes through the optimizer as every view does for the rewrite engine, so subqueries are joins, filters stand at
//! the scans, and what a scan's filter says of `$KEY` and of `$NOW` tells which rows are worth to be read.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator, TableScan, cast};

use datafusion::optimizer::Optimizer;

use crate::analysis::{View, marked_source};
use crate::plan::normalise_asked;
use crate::source::Log;
use crate::sql::{NOW, bind_placeholders, mentions_now, unsigned_zero};

/// The placeholder of the view's key number `index`.
fn key_name(index: usize) -> String {
    format!("$KEY{index}")
}

/// The instant and the keys, as the plan's placeholders take them.
#[derive(Debug, Clone)]
pub(super) struct Bindings {
    pub(super) now: ScalarValue,
    /// By key of the view, in the type in which it is compared.
    pub(super) keys: Vec<ScalarValue>,
}

impl Bindings {
    fn value(&self, id: &str) -> Option<ScalarValue> {
        if id == NOW {
            return Some(self.now.clone());
        }
        let number: usize = id.strip_prefix("$KEY")?.parse().ok()?;
        self.keys.get(number).cloned()
    }

    pub(super) fn plan(&self, plan: LogicalPlan) -> DfResult<LogicalPlan> {
        bind_placeholders(plan, &|id| self.value(id))
    }

    pub(super) fn expr(&self, expr: Expr) -> DfResult<Expr> {
        expr.transform_up(|e| {
            let bound = if let Expr::Placeholder(p) = &e { self.value(&p.id) } else { None };
            Ok(bound.map_or_else(|| Transformed::no(e), |bound| Transformed::yes(Expr::Literal(bound, None))))
        })
        .data()
    }
}

/// Whether the expression names a key that is asked for.
pub(super) fn mentions_key(expr: &Expr) -> bool {
    let mut found = false;
    let walked = expr.apply(|e| {
        found |= matches!(e, Expr::Placeholder(p) if p.id != NOW);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found || walked.is_err()
}

/// The plan of the view's keys and one of its columns, normalised, with placeholders. `keys`: what they will be, which are not in it.
pub(super) fn asked(view: &View, column: &str, keys: &[ScalarValue], state: &SessionState) -> DfResult<LogicalPlan> {
    let schema = view.plan().schema();
    let named = |name: &str| -> DfResult<Expr> {
        let index = schema.fields().iter().position(|f| f.name() == name);
        let index = index.ok_or_else(|| datafusion::common::internal_datafusion_err!("no column {name}"))?;
        Ok(Expr::Column(Column::from(schema.qualified_field(index))))
    };
    let mut builder = LogicalPlanBuilder::from(view.plan().clone());
    for (index, key) in view.keys.iter().enumerate() {
        // One NaN may not be another: such a key is compared at the end.
        if keys.get(index).is_some_and(is_nan) {
            continue;
        }
        let own = named(&key.column)?;
        let own = if own_type(&own, view)? == key.data_type { own } else { cast(own, key.data_type.clone()) };
        let field = datafusion::arrow::datatypes::Field::new(key_name(index), key.data_type.clone(), false);
        let wanted = Expr::Placeholder(Placeholder::new_with_field(key_name(index), Some(field.into())));
        // Zeros of floats have a sign.
        let same =
            if key.data_type.is_floating() { unsigned_zero(own).eq(unsigned_zero(wanted)) } else { own.eq(wanted) };
        builder = builder.filter(same)?;
    }
    let mut columns = view.keys.iter().map(|k| named(&k.column)).collect::<DfResult<Vec<_>>>()?;
    columns.push(named(column)?);
    columns.dedup();
    let plan = normalise_asked(&builder.project(columns)?.build()?, state)?;
    // The last step of normalising writes functions that can only be run once they are simplified.
    let simplify = state.optimizer().rules.iter().filter(|r| r.name() == "simplify_expressions").map(Arc::clone);
    Optimizer::with_rules(simplify.collect()).optimize(plan, state, |_, _| {})
}

fn is_nan(key: &ScalarValue) -> bool {
    match key {
        ScalarValue::Float16(Some(key)) => key.is_nan(),
        ScalarValue::Float32(Some(key)) => key.is_nan(),
        ScalarValue::Float64(Some(key)) => key.is_nan(),
        _ => false,
    }
}

fn own_type(column: &Expr, view: &View) -> DfResult<DataType> {
    datafusion::logical_expr::ExprSchemable::get_type(column, view.plan().schema().as_ref())
}

/// One reading of a source, in the order in which the plan's leaves are met from left to right.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) source: usize,
    /// Positions in the source's columns.
    pub(super) columns: Vec<usize>,
    /// What the filter at the scan says of the key; over unqualified columns.
    pub(super) keys: Vec<Expr>,
    /// Lower bounds of the event time, expressions over the label time alone.
    pub(super) earliest: Vec<Expr>,
}

/// All readings of sources.
pub(super) fn scans(plan: &LogicalPlan, logs: &[Log]) -> Vec<Scan> {
    let mut found = Vec::new();
    gather(plan, &[], logs, &mut found);
    found
}

fn gather(plan: &LogicalPlan, conjuncts: &[&Expr], logs: &[Log], found: &mut Vec<Scan>) {
    match plan {
        LogicalPlan::TableScan(scan) => {
            if let Some(scan) = scan_of(scan, conjuncts, logs) {
                found.push(scan);
            }
        }
        LogicalPlan::Filter(filter) => {
            let own: Vec<&Expr> =
                split_conjunction(&filter.predicate).into_iter().chain(conjuncts.iter().copied()).collect();
            gather(&filter.input, &own, logs, found);
        }
        other => other.inputs().into_iter().for_each(|input| gather(input, &[], logs, found)),
    }
}

fn scan_of(scan: &TableScan, conjuncts: &[&Expr], logs: &[Log]) -> Option<Scan> {
    let source = marked_source(scan)?;
    let log = logs.get(source)?;
    let all = || (0..log.schema.fields().len()).collect();
    let columns: Vec<usize> = scan.projection.clone().unwrap_or_else(all);
    let conjuncts = conjuncts.iter().copied().chain(&scan.filters);
    let (mut keys, mut earliest) = (Vec::new(), Vec::new());
    for conjunct in conjuncts {
        if mentions_key(conjunct) && !mentions_now(conjunct) && !conjunct.column_refs().is_empty() {
            keys.push(unqualified(conjunct.clone()));
        }
        earliest.extend(lower_bound(conjunct, &log.config.time));
    }
    Some(Scan { source, columns, keys, earliest })
}

/// Columns by their names in the source alone.
fn unqualified(expr: Expr) -> Expr {
    let renamed = expr.clone().transform_up(|e| {
        Ok(match e {
            Expr::Column(c) if c.relation.is_some() => Transformed::yes(Expr::Column(Column::new_unqualified(c.name))),
            other => Transformed::no(other),
        })
    });
    renamed.data().unwrap_or(expr)
}

/// The bound of `time > bound`, where it depends on the label time alone.
fn lower_bound(conjunct: &Expr, time: &str) -> Option<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = conjunct else { return None };
    let (row, bound) = match op {
        Operator::Gt | Operator::GtEq => (left, right),
        Operator::Lt | Operator::LtEq => (right, left),
        _ => return None,
    };
    let is_time = |expr: &Expr| matches!(expr, Expr::Column(c) if c.name == time);
    let is_time = match row.as_ref() {
        Expr::Cast(cast) => is_time(&cast.expr) && matches!(cast.field.data_type(), DataType::Timestamp(_, _)),
        other => is_time(other),
    };
    (is_time && mentions_now(bound) && bound.column_refs().is_empty()).then(|| bound.as_ref().clone())
}
