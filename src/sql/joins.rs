//! DataFusion's rules for joins, kept away from plans that they would change the meaning of.
//!
//! Both `eliminate_cross_join` and `extract_equijoin_predicate` make an equality a key of a join whose keys already take
//! NULL for a value (`IS NOT DISTINCT FROM`), and so let NULL equal NULL in it, too. Such joins are left as they are.
//!
//! DataFusion 55 takes a tree of inner joins apart and puts it together again input by input. An equality that needs two
//! inputs on one side, such as `k = coalesce(a.k, b.k)`, is lost on the way where the two are not joined before; and how
//! the topmost join treats NULL becomes the way of all. Plans with such a tree are left as they are.

use std::sync::Arc;

use datafusion::common::NullEquality;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan};
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};

use crate::sql::having::may_push_down;

/// DataFusion's rules, three of them kept away from plans that they would change the meaning of.
pub(super) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let careful = |rule: Arc<dyn OptimizerRule + Send + Sync>| -> Arc<dyn OptimizerRule + Send + Sync> {
        let may_see: fn(&LogicalPlan) -> DfResult<bool> = match rule.name() {
            name if name == EliminateCrossJoin::new().name() => may_reorder,
            name if name == PushDownFilter::new().name() => may_push_down,
            name if name == ExtractEquijoinPredicate::new().name() => may_extract_keys,
            _ => return rule,
        };
        Arc::new(Careful { rule, may_see })
    };
    Optimizer::new().rules.into_iter().map(careful).collect()
}

/// A rule that sees only the plans that it may.
#[derive(Debug)]
struct Careful {
    rule: Arc<dyn OptimizerRule + Send + Sync>,
    may_see: fn(&LogicalPlan) -> DfResult<bool>,
}

impl OptimizerRule for Careful {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> DfResult<Transformed<LogicalPlan>> {
        if (self.may_see)(&plan)? { self.rule.rewrite(plan, config) } else { Ok(Transformed::no(plan)) }
    }
}

fn may_extract_keys(plan: &LogicalPlan) -> DfResult<bool> {
    Ok(!matches!(plan, LogicalPlan::Join(join)
        if !join.on.is_empty() && join.null_equality == NullEquality::NullEqualsNull))
}

fn may_reorder(plan: &LogicalPlan) -> DfResult<bool> {
    let mut careful = true;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(join) = node {
            careful &= keeps_its_meaning(join);
        }
        Ok(if careful { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(careful)
}

/// Whether the tree of inner joins that begins here can be put together in any order.
fn keeps_its_meaning(top: &Join) -> bool {
    let (mut joins, mut inputs) = (Vec::new(), Vec::new());
    flatten(top, &mut joins, &mut inputs);
    let of_one = |side: &Expr| {
        let columns = side.column_refs();
        inputs.iter().any(|input| columns.iter().all(|c| input.schema().has_column(c)))
    };
    joins.iter().all(|join| {
        join.null_equality == NullEquality::NullEqualsNothing
            && join.on.iter().all(|(left, right)| of_one(left) && of_one(right))
    })
}

fn flatten<'a>(join: &'a Join, joins: &mut Vec<&'a Join>, inputs: &mut Vec<&'a LogicalPlan>) {
    joins.push(join);
    for input in [&join.left, &join.right] {
        match input.as_ref() {
            LogicalPlan::Join(inner) if join.join_type == JoinType::Inner && inner.join_type == JoinType::Inner => {
                flatten(inner, joins, inputs);
            }
            other => inputs.push(other),
        }
    }
}
