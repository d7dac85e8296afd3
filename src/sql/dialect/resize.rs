//! A plan with other windows in the place of those of `TUMBLE` and `HOP`.
//!
//! ```text
//! window_start(ts, 1 hour, 1 hour, 0, 0)      two hours:  window_start(ts, 2 hours, 2 hours, 0, 0)
//!                                             (start, end]:  window_start(ts - one tick, 1 hour, 1 hour, 0, 0)
//! window_start(ts, 1 hour, 3 hours, 0, hop)   two hours:  window_start(ts, 1 hour, 2 hours, 0, hop), hops: 0, 1 instead of 0, 1, 2
//! ```

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Values, lit};

use crate::sql::dialect::tables::HOPS;
use crate::sql::dialect::windows::{HOP, SIZE, TIME, WindowCall, window_call};
use crate::sql::rewrite_expressions;

/// What becomes of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// It has this size, nanoseconds; one of `HOP`, a multiple of its hop.
    To(i64),
    /// It holds what is exactly at its end, not what is exactly at its start.
    EndIncluded,
}

/// Each different window of the plan: its hop, its size, and whether it is one of timestamps.
pub fn window_sizes(plan: &LogicalPlan) -> DfResult<Vec<(Option<i64>, i64, bool)>> {
    let mut sizes = Vec::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Some(call) = window_call(e)
                    && let Some(size) = call.size_ns()
                {
                    let typed = node.inputs().first().map(|input| call.time.get_type(input.schema()));
                    let timestamps = matches!(typed, Some(Ok(DataType::Timestamp(_, _))));
                    sizes.push((call.hop, size, timestamps));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    sizes.sort_unstable();
    sizes.dedup();
    Ok(sizes)
}

/// The plan with what `new` says of each window.
///
/// # Errors
/// Where the plan can't be rebuilt.
pub fn with_windows_resized(
    plan: LogicalPlan,
    new: &dyn Fn(&WindowCall<'_>) -> Option<Resize>,
) -> DfResult<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Projection(projection) = &node else { return Ok(Transformed::no(node)) };
        let hops = projection.expr.iter().find_map(|expr| {
            let call = window_call(unaliased(expr))?;
            match new(&call)? {
                Resize::To(size) => Some(size / call.hop?),
                Resize::EndIncluded => None,
            }
        });
        let Some(hops) = hops else { return Ok(Transformed::no(node)) };
        let input = with_hops(projection.input.as_ref().clone(), hops)?;
        let exprs = node.expressions();
        Ok(Transformed::yes(node.with_new_exprs(exprs, vec![input])?))
    });
    rewrite_expressions(plan.data()?, &|expr| {
        let Some(resize) = window_call(&expr).and_then(|call| new(&call)) else { return Ok(Transformed::no(expr)) };
        let hopping = window_call(&expr).is_some_and(|call| call.hop.is_some());
        let Expr::ScalarFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
        match resize {
            Resize::To(size) => {
                call.args[SIZE] = lit(nanoseconds(size));
                if !hopping {
                    call.args[HOP] = lit(nanoseconds(size));
                }
            }
            // Of a coarser unit than nanoseconds it takes away one tick.
            Resize::EndIncluded => call.args[TIME] = call.args[TIME].clone() - lit(nanoseconds(1)),
        }
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    })
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

fn nanoseconds(nanos: i64) -> ScalarValue {
    ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, 0, nanos)))
}

/// The rows of a call of `HOP`, in so many windows each.
fn with_hops(rows: LogicalPlan, hops: i64) -> DfResult<LogicalPlan> {
    let changed = rows.transform_down(|node| {
        let LogicalPlan::SubqueryAlias(alias) = &node else { return Ok(Transformed::no(node)) };
        if alias.alias.table() != HOPS {
            return Ok(Transformed::no(node));
        }
        let numbers = alias.input.as_ref().clone().transform_down(|node| {
            let LogicalPlan::Values(values) = node else { return Ok(Transformed::no(node)) };
            let rows = (0..hops).map(|hop| vec![lit(hop)]).collect();
            Ok(Transformed::yes(LogicalPlan::Values(Values { schema: Arc::clone(&values.schema), values: rows })))
        })?;
        let node = node.with_new_exprs(Vec::new(), vec![numbers.data])?;
        // Calls below are windows of their own.
        Ok(Transformed::new(node, true, TreeNodeRecursion::Stop))
    });
    changed.data()
}
