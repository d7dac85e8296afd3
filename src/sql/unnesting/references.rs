//! Which outer columns a subquery names, and whose they are.
//!
//! DataFusion writes an outer column by its name alone, without saying how many levels up it stands. Names are resolved as SQL
//! does it, at the innermost query that has the name. A name that this query had in its FROM and no longer has where the
//! subquery stands (`GROUP BY` dropped it) is refused, and not looked for further out.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Span};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};

use crate::sql::unnesting::refusal;

/// The subquery of an expression that is one.
pub(super) fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(within) => Some(&within.subquery),
        Expr::SetComparison(comparison) => Some(&comparison.subquery),
        _ => None,
    }
}

pub(super) fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|e| Ok(subquery_of(e).is_some())).unwrap_or(true)
}

/// The outer columns of an expression, each once.
pub(super) fn outer_columns(expr: &Expr) -> Vec<Column> {
    let mut found = Vec::new();
    let _ = expr.apply(|e| {
        if let Expr::OuterReferenceColumn(_, column) = e
            && !found.contains(column)
        {
            found.push(column.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// The outer columns that a plan names, each once.
pub(super) fn references(plan: &LogicalPlan) -> DfResult<Vec<Column>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        // A wrapper's list of outer columns repeats what is below it.
        if matches!(node, LogicalPlan::Subquery(_)) {
            return Ok(TreeNodeRecursion::Continue);
        }
        node.apply_expressions(|expr| {
            for column in outer_columns(expr) {
                if !found.contains(&column) {
                    found.push(column);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// Whether the schema has exactly this column.
pub(super) fn has(schema: &DFSchema, column: &Column) -> bool {
    schema.iter().any(|(relation, field)| relation == column.relation.as_ref() && *field.name() == column.name)
}

/// The outer columns of `query` that are columns of `input`, where it stands; the others belong further out.
pub(super) fn resolved(query: &LogicalPlan, input: &LogicalPlan) -> DfResult<Vec<Column>> {
    let mut own = Vec::new();
    for column in references(query)? {
        if has(input.schema(), &column) {
            own.push(column);
        } else if hidden(input, &column)? {
            return Err(refusal::not_visible(&column, query));
        }
    }
    Ok(own)
}

/// Whether the query had the column below `input`, in its own FROM.
fn hidden(input: &LogicalPlan, column: &Column) -> DfResult<bool> {
    let mut found = false;
    input.apply(|node| {
        found |= has(node.schema(), column);
        Ok(match node {
            _ if found => TreeNodeRecursion::Stop,
            // Names do not reach through.
            LogicalPlan::SubqueryAlias(_) => TreeNodeRecursion::Jump,
            _ => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// Refuses a plan in which an outer column is left: there is no query further out.
pub(super) fn refuse_left_over(plan: &LogicalPlan) -> DfResult<()> {
    match references(plan)?.first() {
        Some(column) => Err(refusal::not_visible(column, plan)),
        None => Ok(()),
    }
}

/// The expression with outer columns replaced where `f` has something for them.
pub(super) fn replace_outer(expr: Expr, f: &dyn Fn(&Column) -> Option<Expr>) -> DfResult<Expr> {
    expr.transform_up(|e| {
        Ok(match &e {
            Expr::OuterReferenceColumn(_, column) => match f(column) {
                Some(inner) => Transformed::yes(inner),
                None => Transformed::no(e),
            },
            _ => Transformed::no(e),
        })
    })
    .data()
}

/// The expression with columns replaced.
pub(super) fn replace_columns(expr: Expr, f: &mut dyn FnMut(&Column) -> Expr) -> DfResult<Expr> {
    expr.transform_up(|e| {
        Ok(match &e {
            Expr::Column(column) => Transformed::yes(f(column)),
            _ => Transformed::no(e),
        })
    })
    .data()
}

/// A place in the SQL near the outer column: it has none itself.
pub(super) fn span_of(plan: &LogicalPlan, column: &Column) -> Option<Span> {
    let mut near: Option<Span> = None;
    let mut at_all: Option<Span> = None;
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            if outer_columns(expr).contains(column) {
                near = near.or_else(|| expr.column_refs().into_iter().find_map(|c| c.spans.first()));
                at_all = at_all.or_else(|| first_span(node));
            }
            Ok(TreeNodeRecursion::Continue)
        })
    });
    near.or(at_all).or_else(|| first_span(plan))
}

/// A place in the SQL of some column that the plan names.
pub(super) fn first_span(plan: &LogicalPlan) -> Option<Span> {
    let mut first: Option<Span> = None;
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Expr::Column(column) = e {
                    let before = |a: &Span, b: &Span| (a.start.line, a.start.column) < (b.start.line, b.start.column);
                    for span in column.spans.iter() {
                        if first.as_ref().is_none_or(|f| before(span, f)) {
                            first = Some(*span);
                        }
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    first
}
