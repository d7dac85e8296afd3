//! Makes every choice among equals a defined one: where the SQL's own order leaves a tie, the row with the smaller values
//! wins, column by column, NULL first.
//!
//! | SQL | becomes |
//! | --- | --- |
//! | `ORDER BY a LIMIT 3` | `ORDER BY a, <all columns> LIMIT 3` |
//! | `LIMIT 3` | `ORDER BY <all columns> LIMIT 3` |
//! | `DISTINCT ON (k) … ORDER BY k, a` | `… ORDER BY k, a, <all columns>` |
//! | `ROW_NUMBER() OVER (ORDER BY a)` | `ROW_NUMBER() OVER (ORDER BY a, <all columns>)` |
//! | `first_value(x ORDER BY a)` | `first_value(x ORDER BY a, <all columns>)` |
//! | `last_value(x ORDER BY a)` | `last_value(x ORDER BY a, <all columns> DESC)` |
//!
//! `RANK` and its kin, and aggregates over `RANGE` frames, treat equals alike and are left as they are.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, Limit, LogicalPlan, Sort, SortExpr, Window, WindowFrameBound,
    WindowFrameUnits, WindowFunctionDefinition,
};

use crate::source::order_key;
use crate::sql::names::with_windows;

/// Applies the table above to the plan and its subqueries.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub fn settle_ties(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Limit(limit) => Ok(Transformed::yes(settle_limit(limit)?)),
        LogicalPlan::Distinct(Distinct::On(on)) => Ok(Transformed::yes(settle_distinct_on(on)?)),
        LogicalPlan::Window(window) => settle_window(window),
        LogicalPlan::Aggregate(aggregate) => settle_aggregate(aggregate),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// All columns of a relation as one value to sort by.
pub(super) fn whole_row(schema: &DFSchema) -> Expr {
    order_key(schema.columns().into_iter().map(Expr::Column).collect())
}

fn settle_limit(limit: Limit) -> DfResult<LogicalPlan> {
    let input = sorted_input(Arc::unwrap_or_clone(limit.input))?;
    Ok(LogicalPlan::Limit(Limit { input: Arc::new(input), ..limit }))
}

/// The input with a complete order: its own, completed, or one by all columns.
fn sorted_input(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(mut sort) => {
            if !sort.input.schema().fields().is_empty() {
                let row = whole_row(sort.input.schema()).sort(true, true);
                sort.expr = order_of(sort.expr, row);
            }
            Ok(LogicalPlan::Sort(sort))
        }
        LogicalPlan::Projection(mut projection) if has_sort(&projection.input) => {
            projection.input = Arc::new(sorted_input(Arc::unwrap_or_clone(projection.input))?);
            Ok(LogicalPlan::Projection(projection))
        }
        LogicalPlan::SubqueryAlias(mut alias) if has_sort(&alias.input) => {
            alias.input = Arc::new(sorted_input(Arc::unwrap_or_clone(alias.input))?);
            Ok(LogicalPlan::SubqueryAlias(alias))
        }
        other if other.schema().fields().is_empty() => Ok(other),
        other => {
            let expr = vec![whole_row(other.schema()).sort(true, true)];
            Ok(LogicalPlan::Sort(Sort { expr, input: Arc::new(other), fetch: None }))
        }
    }
}

fn has_sort(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(p) => has_sort(&p.input),
        LogicalPlan::SubqueryAlias(a) => has_sort(&a.input),
        _ => false,
    }
}

/// The order with this last key, each key once: the plan of a view that is read is settled already, and DataFusion 55 panics on
/// a key that is repeated, or makes columns of one name.
fn order_of(given: Vec<SortExpr>, last: SortExpr) -> Vec<SortExpr> {
    let mut order: Vec<SortExpr> = Vec::with_capacity(given.len() + 1);
    for key in given.into_iter().chain([last]) {
        if !order.iter().any(|k| k.expr == key.expr) {
            order.push(key);
        }
    }
    order
}

fn settle_distinct_on(on: DistinctOn) -> DfResult<LogicalPlan> {
    let given = on.sort_expr.unwrap_or_else(|| on.on_expr.iter().map(|e| e.clone().sort(true, true)).collect());
    let order = order_of(given, whole_row(on.input.schema()).sort(true, true));
    Ok(LogicalPlan::Distinct(Distinct::On(DistinctOn { sort_expr: Some(order), ..on })))
}

fn settle_window(window: Window) -> DfResult<Transformed<LogicalPlan>> {
    let row = whole_row(before_windows(&window.input).schema());
    let columns = window.schema.columns();
    let own = window.input.schema().fields().len();
    let mut changed = false;
    let mut calls = Vec::with_capacity(window.window_expr.len());
    for (expr, column) in window.window_expr.iter().zip(&columns[own..]) {
        let (inner, _) = unaliased(expr);
        let settled = match inner {
            Expr::WindowFunction(function) => settled_call(function, &row),
            _ => None,
        };
        changed |= settled.is_some();
        calls.push((settled.map_or_else(|| inner.clone(), Expr::from), column.clone()));
    }
    if !changed {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    with_windows(Arc::unwrap_or_clone(window.input), calls).map(Transformed::yes)
}

/// The relation whose rows are the ones that tie: windows below add columns to it, no rows. (DataFusion 55 takes what two
/// adjoining windows share out from under both, so one must not name the columns of the other.)
fn before_windows(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Window(window) => before_windows(&window.input),
        other => other,
    }
}

fn settled_call(call: &WindowFunction, row: &Expr) -> Option<WindowFunction> {
    let frame = &call.params.window_frame;
    let from_start = frame.start_bound.is_unbounded();
    let to_end = frame.end_bound.is_unbounded() && !matches!(frame.end_bound, WindowFrameBound::Preceding(_));
    let rows = frame.units == WindowFrameUnits::Rows;
    let name = match &call.fun {
        WindowFunctionDefinition::WindowUDF(f) => f.name(),
        WindowFunctionDefinition::AggregateUDF(f) => f.name(),
    };
    let ascending = match name {
        "row_number" | "ntile" | "lead" | "lag" => true,
        "rank" | "dense_rank" | "percent_rank" | "cume_dist" => return None,
        "last_value" if rows || to_end => false,
        "first_value" | "nth_value" if rows || from_start => true,
        "last_value" | "first_value" | "nth_value" => return None,
        "array_agg" | "string_agg" => true,
        // All rows, or none: no tie has a say.
        _ if from_start && to_end => return None,
        _ if rows => true,
        _ => return None,
    };
    let mut call = call.clone();
    call.params.order_by = order_of(call.params.order_by, row.clone().sort(ascending, ascending));
    Some(call)
}

fn settle_aggregate(aggregate: Aggregate) -> DfResult<Transformed<LogicalPlan>> {
    let row = whole_row(aggregate.input.schema());
    let mut changed = false;
    let mut exprs = Vec::with_capacity(aggregate.aggr_expr.len());
    for expr in &aggregate.aggr_expr {
        let (inner, name) = unaliased(expr);
        let settled = match inner {
            Expr::AggregateFunction(function) => settled_aggregate(function, &row),
            _ => None,
        };
        changed |= settled.is_some();
        exprs.push(match settled {
            Some(call) => Expr::AggregateFunction(call).alias(name),
            None => expr.clone(),
        });
    }
    if !changed {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let rebuilt = Aggregate::try_new(aggregate.input, aggregate.group_expr, exprs)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(rebuilt)))
}

fn settled_aggregate(call: &AggregateFunction, row: &Expr) -> Option<AggregateFunction> {
    let params = &call.params;
    let key = match call.func.name() {
        "first_value" | "nth_value" => row.clone().sort(true, true),
        "last_value" => row.clone().sort(false, false),
        // A distinct list can be ordered by its items only, and so is a list whose order nobody gave.
        "array_agg" | "string_agg" if params.distinct && !params.order_by.is_empty() => return None,
        "array_agg" | "string_agg" if params.order_by.is_empty() => params.args.first()?.clone().sort(true, true),
        "array_agg" | "string_agg" => row.clone().sort(true, true),
        _ => return None,
    };
    let mut call = call.clone();
    call.params.order_by = order_of(call.params.order_by, key);
    Some(call)
}

fn unaliased(expr: &Expr) -> (&Expr, String) {
    match expr {
        Expr::Alias(alias) => (alias.expr.as_ref(), alias.name.clone()),
        other => (other, other.schema_name().to_string()),
    }
}
