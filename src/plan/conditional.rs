//! Aggregates of a `CASE` on the label time become aggregates with a `FILTER`, which a sweep takes as windows.
//!
//! ```text
//! sum(CASE WHEN ts > $NOW - 1 day THEN x END)          =>    sum(x) FILTER (WHERE ts > $NOW - 1 day)
//! sum(CASE WHEN ts > $NOW - 1 day THEN x ELSE 0 END)   =>    CASE WHEN n > m THEN coalesce(s, 0) ELSE s END
//!                                                              s: sum(x) FILTER (WHERE ts > $NOW - 1 day)
//!                                                              n: count(*), m: count(*) FILTER (WHERE ts > $NOW - 1 day)
//! ```
//!
//! The first holds for functions that skip NULL. In the second a row outside of the window adds 0, so that the sum is NULL only
//! where there is no such row, and no value inside. What can fail stays behind its condition. A `CASE` without the label time is an argument like any other.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::functions::expr_fn::coalesce;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, Case, NullTreatment};
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit, when};

use crate::plan::fallible::can_fail;
use crate::plan::relation::mentions_time;
use crate::plan::rewriter::{named, unaliased};

/// Functions of one value that skip NULL.
pub const SKIP_NULL: [&str; 17] = [
    "approx_distinct",
    "approx_median",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "count",
    "max",
    "median",
    "min",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
];

/// Rewrites every aggregate of the plan as shown above.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub(super) fn filter_windows(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => rewrite(aggregate),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn rewrite(aggregate: Aggregate) -> DfResult<Transformed<LogicalPlan>> {
    let columns = aggregate.schema.columns();
    let groups = columns.len() - aggregate.aggr_expr.len();
    let mut outputs: Vec<Expr> = columns[..groups].iter().cloned().map(Expr::Column).collect();
    let mut aggregates: Vec<Expr> = Vec::with_capacity(aggregate.aggr_expr.len());
    let mut added = Vec::new();
    let mut changed = false;
    for (i, (expr, column)) in aggregate.aggr_expr.iter().zip(&columns[groups..]).enumerate() {
        let Some((call, zero)) = filtered(unaliased(expr), &aggregate)? else {
            aggregates.push(expr.clone());
            outputs.push(Expr::Column(column.clone()));
            continue;
        };
        changed = true;
        let value = Expr::Column(column.clone());
        outputs.push(match zero {
            None => value,
            Some(zero) => {
                let count = |call: Expr, name: String, added: &mut Vec<Expr>| {
                    added.push(call.alias(&name));
                    Expr::Column(Column::new_unqualified(name))
                };
                let all = count(zero.all, format!("__backcast_all{i}"), &mut added);
                let inside = count(zero.inside, format!("__backcast_inside{i}"), &mut added);
                let zero = lit(zero.value);
                let expr = when(all.gt(inside), coalesce(vec![value.clone(), zero])).otherwise(value)?;
                named(expr, column)
            }
        });
        aggregates.push(call.alias(&column.name));
    }
    if !changed {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let projected = !added.is_empty();
    aggregates.extend(added);
    let rebuilt = LogicalPlan::Aggregate(Aggregate::try_new(aggregate.input, aggregate.group_expr, aggregates)?);
    Ok(Transformed::yes(if projected { LogicalPlanBuilder::from(rebuilt).project(outputs)?.build()? } else { rebuilt }))
}

/// What `ELSE 0` needs to know.
struct Zero {
    value: ScalarValue,
    /// All rows, and those inside of the window.
    all: Expr,
    inside: Expr,
}

/// The aggregate with a `FILTER` in place of the `CASE`.
fn filtered(expr: &Expr, aggregate: &Aggregate) -> DfResult<Option<(Expr, Option<Zero>)>> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return Ok(None) };
    let ([Expr::Case(case)], true) = (params.args.as_slice(), SKIP_NULL.contains(&func.name())) else {
        return Ok(None);
    };
    let Case { expr: None, when_then_expr, else_expr } = case else { return Ok(None) };
    let [(condition, value)] = when_then_expr.as_slice() else { return Ok(None) };
    let schema = aggregate.input.schema();
    let plain = params.order_by.is_empty() && params.null_treatment != Some(NullTreatment::IgnoreNulls);
    let same_type = value.get_type(schema)? == params.args[0].get_type(schema)?;
    let fails = can_fail(condition, schema) || can_fail(value, schema);
    if fails || !plain || !same_type || !mentions_time(condition) || mentions_time(value) {
        return Ok(None);
    }
    let inside = match &params.filter {
        Some(filter) => filter.as_ref().clone().and(condition.as_ref().clone()),
        None => condition.as_ref().clone(),
    };
    let counted = |filter: Option<Expr>| {
        let args = vec![lit(1_i64)];
        let filter = filter.map(Box::new);
        Expr::AggregateFunction(AggregateFunction::new_udf(count_udaf(), args, false, filter, Vec::new(), None))
    };
    let zero = match else_expr.as_deref() {
        None => None,
        Some(Expr::Literal(other, _)) if other.is_null() => None,
        Some(Expr::Literal(other, _)) if func.name() == "sum" && !params.distinct => {
            if *other != ScalarValue::new_zero(&other.data_type())? {
                return Ok(None);
            }
            Some(Zero {
                value: ScalarValue::new_zero(&expr.get_type(schema)?)?,
                all: counted(params.filter.as_deref().cloned()),
                inside: counted(Some(inside.clone())),
            })
        }
        Some(_) => return Ok(None),
    };
    let mut call = AggregateFunction { func: Arc::clone(func), params: params.clone() };
    call.params.args = vec![value.as_ref().clone()];
    call.params.filter = Some(Box::new(inside));
    Ok(Some((Expr::AggregateFunction(call), zero)))
}
