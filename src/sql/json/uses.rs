//! Where a `jsonb` value may stand: in a `SELECT` list, under the functions and operators of `jsonb`, under a cast, and where
//! it is only asked for NULL. Elsewhere its text would be compared, ordered or joined, and that is not what `jsonb` does: `1.0`
//! equals `1` there, and numbers are ordered as numbers.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan};

use super::functions::{function_of, marked};
use crate::diagnostics;
use crate::sql::refusal::Refusal;

/// Refuses any other use.
///
/// # Errors
/// The first such use, as a [`Refusal`].
pub fn check_uses(plan: &LogicalPlan) -> DfResult<()> {
    plan.apply_with_subqueries(|node| {
        check_node(node)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn check_node(node: &LogicalPlan) -> DfResult<()> {
    let schema = merge_schema(&node.inputs());
    match node {
        LogicalPlan::Projection(projection) => projection.expr.iter().try_for_each(|e| check(e, &schema, true)),
        LogicalPlan::Distinct(Distinct::On(on)) => {
            on.select_expr.iter().try_for_each(|e| check(e, &schema, true))?;
            let keys = on.on_expr.iter().chain(on.sort_expr.iter().flatten().map(|s| &s.expr));
            keys.clone().try_for_each(|e| check(e, &schema, false))
        }
        LogicalPlan::Distinct(Distinct::All(input)) => no_columns(input.schema(), "DISTINCT"),
        LogicalPlan::Union(union) => {
            union.inputs.iter().try_for_each(|input| no_columns(input.schema(), "a set operation"))
        }
        other => {
            let mut checked = Ok(());
            other.apply_expressions(|e| {
                checked = check(e, &schema, false);
                Ok(if checked.is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
            })?;
            checked
        }
    }
}

fn no_columns(schema: &DFSchema, what: &str) -> DfResult<()> {
    match schema.fields().iter().position(|f| marked(f)) {
        Some(at) => Err(refusal(&Expr::Column(schema.columns().swap_remove(at)), &format!("{what} compares jsonb"))),
        None => Ok(()),
    }
}

fn refusal(expr: &Expr, what: &str) -> DataFusionError {
    let help = "take the part that counts as text with `->>`, and cast it: `(x ->> 'a')::int`; the whole is `x::text`";
    Refusal::in_expr(expr, diagnostics::B155, format!("{what}, which can't be replayed"), help)
}

/// Checks an expression that stands where `jsonb` may stand, or where it may not.
fn check(expr: &Expr, schema: &DFSchema, allowed: bool) -> DfResult<()> {
    if !allowed && is_json(expr, schema) {
        return Err(refusal(expr, "a jsonb value is compared, ordered, combined or passed to a function of text"));
    }
    let below = match expr {
        Expr::Alias(_) => allowed,
        Expr::Cast(_) | Expr::TryCast(_) | Expr::IsNull(_) | Expr::IsNotNull(_) => true,
        Expr::ScalarFunction(call) => function_of(&call.func).is_some(),
        Expr::AggregateFunction(call) => call.func.name() == "count" && !call.params.distinct,
        Expr::InSubquery(within) => {
            no_columns(within.subquery.subquery.schema(), "`IN`")?;
            false
        }
        _ => false,
    };
    let mut checked = Ok(());
    expr.apply_children(|child| {
        checked = check(child, schema, below);
        Ok(if checked.is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    checked
}

fn is_json(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::ScalarSubquery(subquery) => subquery.subquery.schema().fields().iter().any(|f| marked(f)),
        other => other.to_field(schema).is_ok_and(|(_, field)| marked(&field)),
    }
}
