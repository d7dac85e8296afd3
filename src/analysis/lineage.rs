//! Which features are made of which aggregate.

use datafusion::common::Column;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::analysis::views::View;

/// The columns of the view whose value comes from an aggregate that `message` names in backticks.
pub fn features_of_aggregate(view: &View, message: &str) -> Vec<String> {
    view.plan()
        .schema()
        .columns()
        .into_iter()
        .filter(|column| view.features.iter().any(|f| f.column == column.name))
        .filter(|column| made_of(view.plan(), column, message))
        .map(|column| column.name)
        .collect()
}

/// Whether `column` of `plan` depends on an aggregate that the message names.
fn made_of(plan: &LogicalPlan, column: &Column, message: &str) -> bool {
    let names = |expr: &Expr| message.contains(&format!("`{}`", expr.schema_name()));
    let Some(index) = plan.schema().maybe_index_of_column(column) else { return false };
    let expr = match plan {
        LogicalPlan::Projection(p) => p.expr.get(index).cloned(),
        LogicalPlan::Aggregate(a) => {
            return a.group_expr.iter().chain(&a.aggr_expr).nth(index).is_some_and(|e| match e {
                Expr::Alias(alias) => names(&alias.expr),
                other => names(other),
            });
        }
        LogicalPlan::SubqueryAlias(a) => a.input.schema().columns().get(index).cloned().map(Expr::Column),
        _ => Some(Expr::Column(column.clone())),
    };
    let Some(expr) = expr else { return false };
    let mut found = false;
    for input in plan.inputs() {
        let walked = datafusion::common::tree_node::TreeNode::apply(&expr, |e| {
            if let Expr::Column(c) = e {
                found |= made_of(input, c, message);
            }
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        if walked.is_err() {
            return false;
        }
    }
    found
}
