//! An optimizer rule: each key of an aggregate's own order once.
//!
//! `first_value(x ORDER BY ts, x, x * 1)` has two keys that simplification makes one. DataFusion 55 drops the second where it
//! makes the order, counts it where it makes the aggregate's state, and panics on the difference.

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

#[derive(Debug)]
pub(super) struct KeysOnce;

impl OptimizerRule for KeysOnce {
    fn name(&self) -> &'static str {
        "order_keys_once"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> DfResult<Transformed<LogicalPlan>> {
        if !matches!(plan, LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::no(plan));
        }
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(aggregate_once(expr).update_data(|e| name.restore(e)))
        })
    }
}

fn aggregate_once(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::Alias(mut alias) => {
            let inner = aggregate_once(*alias.expr);
            alias.expr = Box::new(inner.data);
            Transformed::new_transformed(Expr::Alias(alias), inner.transformed)
        }
        Expr::AggregateFunction(mut call) => {
            let given = call.params.order_by.len();
            call.params.order_by = once(std::mem::take(&mut call.params.order_by));
            let changed = call.params.order_by.len() != given;
            Transformed::new_transformed(Expr::AggregateFunction(call), changed)
        }
        other => Transformed::no(other),
    }
}

/// Each key once, where it comes first.
pub(super) fn once(keys: impl IntoIterator<Item = SortExpr>) -> Vec<SortExpr> {
    let mut order: Vec<SortExpr> = Vec::new();
    for key in keys {
        if !order.iter().any(|k| k.expr == key.expr) {
            order.push(key);
        }
    }
    order
}
