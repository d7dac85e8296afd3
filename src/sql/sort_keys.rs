//! Sort keys that simplification makes equal stand once.
//!
//! ```text
//! first_value(x ORDER BY x * 1, x)    =>    first_value(x ORDER BY x)
//! ```
//!
//! A key that came before decides nothing. DataFusion 55 drops it from the order of an aggregate but not from what the aggregate
//! was told of it, and panics.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule.
#[derive(Debug)]
pub(super) struct SortKeysOnce;

impl OptimizerRule for SortKeysOnce {
    fn name(&self) -> &str {
        "sort_keys_once"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> DfResult<Transformed<LogicalPlan>> {
        if !matches!(plan, LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::no(plan));
        }
        plan.map_expressions(|expr| {
            // The aggregate's columns keep their names.
            let saved = NamePreserver::new_for_projection().save(&expr);
            Ok(expr.transform_up(once)?.update_data(|expr| saved.restore(expr)))
        })
    }
}

fn once(expr: Expr) -> DfResult<Transformed<Expr>> {
    let Expr::AggregateFunction(AggregateFunction { func, mut params }) = expr else {
        return Ok(Transformed::no(expr));
    };
    let all = std::mem::take(&mut params.order_by);
    let (count, mut kept) = (all.len(), Vec::<SortExpr>::new());
    for key in all {
        if kept.iter().all(|k| k.expr != key.expr) {
            kept.push(key);
        }
    }
    let changed = kept.len() < count;
    params.order_by = kept;
    Ok(Transformed::new_transformed(Expr::AggregateFunction(AggregateFunction { func, params }), changed))
}
