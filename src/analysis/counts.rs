//! Which features are counts, so that having no row means 0 and not "unknown".
//!
//! ```text
//! SELECT user_id, CAST(n AS INT) AS clicks FROM (SELECT user_id, COUNT(*) AS n FROM events GROUP BY user_id)
//!
//! Projection: user_id, CAST(n AS Int32) AS clicks      clicks = a column below, widened or narrowed
//!   SubqueryAlias                                      the same rows
//!     Aggregate: groupBy=[user_id], aggr=[count(1)]    a count: no row, nothing counted
//! ```
//!
//! Only where a missing row can mean nothing else: a filter above the aggregate (`HAVING COUNT(*) > 5`), a limit, a join, a
//! window function or arithmetic ends the trace, and the feature is no count.

use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::config::Missing;

/// Whether the profile makes the column `index` of a view's plan 0 where the view has no row.
pub(super) fn missing_is_zero(plan: &LogicalPlan, index: usize, missing: Missing) -> bool {
    match (missing, count(plan, index)) {
        (Missing::CountIsZero { .. }, Some(Count { distinct: false })) => true,
        (Missing::CountIsZero { distinct }, Some(Count { distinct: true })) => distinct,
        _ => false,
    }
}

#[derive(Debug, Clone, Copy)]
struct Count {
    distinct: bool,
}

fn count(plan: &LogicalPlan, index: usize) -> Option<Count> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let mut expr = projection.expr.get(index)?;
            loop {
                expr = match expr {
                    Expr::Alias(alias) => &alias.expr,
                    Expr::Cast(cast) if cast.field.data_type().is_numeric() => &cast.expr,
                    Expr::TryCast(cast) if cast.field.data_type().is_numeric() => &cast.expr,
                    _ => break,
                };
            }
            let Expr::Column(column) = expr else { return None };
            let input = projection.input.as_ref();
            count(input, input.schema().maybe_index_of_column(column)?)
        }
        LogicalPlan::SubqueryAlias(alias) => count(&alias.input, index),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => count(&sort.input, index),
        LogicalPlan::Aggregate(aggregate) => {
            if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
                return None;
            }
            let mut expr = aggregate.aggr_expr.get(index.checked_sub(aggregate.group_expr.len())?)?;
            while let Expr::Alias(alias) = expr {
                expr = &alias.expr;
            }
            match expr {
                Expr::AggregateFunction(call) if call.func.name() == "count" => {
                    Some(Count { distinct: call.params.distinct })
                }
                _ => None,
            }
        }
        _ => None,
    }
}
