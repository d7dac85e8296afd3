//! Filters whose casts lose something, kept from being taken for more than they say.
//!
//! DataFusion 55 concludes from `CAST(ts AS DATE) = DATE '2025-03-10'` that `ts` has a single value, midnight, and then leaves
//! out sorts by `ts`: ranks, first values and ordered lists come out wrong. It does so only where it understands the whole
//! predicate, which it does not where there is a `NOT`. So such a predicate is negated twice, which changes no row.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DfResult;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, NotExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

/// The rule that negates such predicates twice; the first of all.
pub(super) fn rule() -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    Arc::new(LossyCasts)
}

#[derive(Debug)]
struct LossyCasts;

impl PhysicalOptimizerRule for LossyCasts {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(node)) };
            if !has_lossy_cast(filter.predicate(), &filter.input().schema()) {
                return Ok(Transformed::no(node));
            }
            let not = |expr: Arc<dyn PhysicalExpr>| -> Arc<dyn PhysicalExpr> { Arc::new(NotExpr::new(expr)) };
            let predicate = not(not(Arc::clone(filter.predicate())));
            let opaque = FilterExecBuilder::from(filter).with_predicate(predicate).build()?;
            Ok(Transformed::yes(Arc::new(opaque) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }

    fn name(&self) -> &str {
        "lossy_casts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn has_lossy_cast(predicate: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let mut found = false;
    let walked = predicate.apply(|expr| {
        if let Some(cast) = expr.downcast_ref::<CastExpr>() {
            let from = cast.expr().data_type(schema);
            found |= !from.is_ok_and(|from| CastExpr::check_bigger_cast(cast.cast_type(), &from));
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found || walked.is_err()
}
