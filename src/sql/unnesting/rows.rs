//! Small pieces of plans: projections, joins whose NULLs are values, at most one row.

use std::sync::Arc;

use datafusion::common::{Column, NullEquality, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, Join, JoinConstraint, JoinType, LogicalPlan, Operator, Projection,
    SubqueryAlias, binary_expr,
};

/// `l IS NOT DISTINCT FROM r`: NULL is a value like any other.
pub(super) fn same(l: Expr, r: Expr) -> Expr {
    binary_expr(l, Operator::IsNotDistinctFrom, r)
}

pub(super) fn column(column: &Column) -> Expr {
    Expr::Column(column.clone())
}

/// The expression under the name of this column, whatever it would be called by itself.
pub(super) fn under(expr: Expr, name: &Column) -> Expr {
    let (relation, own) = expr.qualified_name();
    if relation == name.relation && own == name.name {
        return expr;
    }
    unaliased(expr).alias_qualified(name.relation.clone(), name.name.clone())
}

pub(super) fn unaliased(expr: Expr) -> Expr {
    match expr {
        Expr::Alias(alias) => unaliased(*alias.expr),
        other => other,
    }
}

pub(super) fn project(plan: LogicalPlan, exprs: Vec<Expr>) -> DfResult<LogicalPlan> {
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}

pub(super) fn only<'a>(plan: LogicalPlan, columns: impl IntoIterator<Item = &'a Column>) -> DfResult<LogicalPlan> {
    project(plan, columns.into_iter().map(column).collect())
}

/// The plan with one more column.
pub(super) fn with_column(plan: LogicalPlan, expr: Expr) -> DfResult<LogicalPlan> {
    let exprs = plan.schema().columns().into_iter().map(Expr::Column).chain([expr]).collect();
    project(plan, exprs)
}

pub(super) fn filter(plan: LogicalPlan, conditions: Vec<Expr>) -> DfResult<LogicalPlan> {
    Ok(match conjunction(conditions) {
        Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?),
        None => plan,
    })
}

pub(super) fn alias(plan: LogicalPlan, name: &str) -> DfResult<LogicalPlan> {
    Ok(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(plan), name)?))
}

/// A join on any conditions. Columns that have to be the same, NULL for NULL, become its keys; equalities then do too, with
/// the demand that they are not NULL.
pub(super) fn join(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: JoinType,
    conditions: Vec<Expr>,
) -> DfResult<LogicalPlan> {
    let mut on = Vec::new();
    let mut same_keys = false;
    let mut rest = Vec::new();
    for condition in conditions {
        match sides(&condition, &left, &right) {
            Some((l, r, Operator::IsNotDistinctFrom)) => {
                same_keys |= l.nullable(left.schema())? && r.nullable(right.schema())?;
                on.push((l, r, true));
            }
            Some((l, r, _)) => on.push((l, r, false)),
            None => rest.push(condition),
        }
    }
    let mut keys = Vec::with_capacity(on.len());
    for (l, r, null_is_value) in on {
        if same_keys && !null_is_value {
            rest.push(l.clone().is_not_null());
        }
        keys.push((l, r));
    }
    let nulls = if same_keys { NullEquality::NullEqualsNull } else { NullEquality::NullEqualsNothing };
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        keys,
        conjunction(rest),
        join_type,
        JoinConstraint::On,
        nulls,
        false,
    )?;
    Ok(LogicalPlan::Join(joined))
}

/// An equality of an expression of the left input with one of the right.
fn sides(condition: &Expr, left: &LogicalPlan, right: &LogicalPlan) -> Option<(Expr, Expr, Operator)> {
    let Expr::BinaryExpr(BinaryExpr { left: a, op, right: b }) = condition else { return None };
    if !matches!(op, Operator::Eq | Operator::IsNotDistinctFrom) || a.contains_outer() || b.contains_outer() {
        return None;
    }
    let of = |e: &Expr, plan: &LogicalPlan| {
        let columns = e.column_refs();
        !columns.is_empty() && columns.into_iter().all(|c| plan.schema().has_column(c))
    };
    // Values of other types are compared in a common one, which a key's cast could not always say.
    let types = |l: &Expr, r: &Expr| {
        let (l, r) = (l.get_type(left.schema()).ok()?, r.get_type(right.schema()).ok()?);
        Some(l == r)
    };
    let (l, r) = if of(a, left) && of(b, right) {
        (a, b)
    } else if of(b, left) && of(a, right) {
        (b, a)
    } else {
        return None;
    };
    (types(l, r) == Some(true)).then(|| (l.as_ref().clone(), r.as_ref().clone(), *op))
}

/// A LIMIT or OFFSET that is a number.
pub(super) fn count(expr: Option<&Expr>) -> Option<Option<usize>> {
    match expr.cloned().map(unaliased) {
        None | Some(Expr::Literal(ScalarValue::Null | ScalarValue::Int64(None), _)) => Some(None),
        Some(Expr::Literal(value, _)) => match value {
            ScalarValue::Int64(Some(n)) => usize::try_from(n).ok().map(Some),
            ScalarValue::UInt64(Some(n)) => usize::try_from(n).ok().map(Some),
            ScalarValue::Int32(Some(n)) => usize::try_from(n).ok().map(Some),
            _ => None,
        },
        Some(_) => None,
    }
}

/// Whether the plan has at most one row for each row of the outer query, whatever the data.
pub(super) fn at_most_one(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Limit(limit) => {
            matches!(count(limit.fetch.as_deref()), Some(Some(0 | 1))) || at_most_one(&limit.input)
        }
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Values(values) => values.values.len() <= 1,
        LogicalPlan::Projection(node) => at_most_one(&node.input),
        LogicalPlan::Filter(node) => at_most_one(&node.input),
        LogicalPlan::SubqueryAlias(node) => at_most_one(&node.input),
        LogicalPlan::Sort(node) => node.fetch.is_some_and(|n| n <= 1) || at_most_one(&node.input),
        LogicalPlan::Window(node) => at_most_one(&node.input),
        LogicalPlan::Distinct(node) => at_most_one(node.input()),
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            at_most_one(&join.left) && at_most_one(&join.right)
        }
        _ => false,
    }
}
