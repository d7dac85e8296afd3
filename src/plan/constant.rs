//! `VALUES` and the empty relation: rows that count always.

use datafusion::logical_expr::LogicalPlan;

use crate::plan::relation::{Live, Relation, mentions_time};
use crate::plan::rewriter::{Outcome, Unsupported};

pub(super) fn rewrite(plan: &LogicalPlan) -> Outcome {
    let mut timed = false;
    plan.apply_expressions(|e| {
        timed |= mentions_time(e);
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })?;
    if timed {
        return Err(Unsupported::Operator("`VALUES` that hold `NOW()`".to_string()));
    }
    let columns = plan.schema().columns();
    Ok(Relation::Live(Live { plan: plan.clone(), columns, conditions: Vec::new(), reads: Vec::new() }))
}
