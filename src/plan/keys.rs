//! Keys under other names: what an operator's output says of the key columns below it.
//!
//! `DISTINCT ON (k)` gives its key as `first_value(k)` of groups by `k`: that is the group's own.
//!
//! Keys that a join brings together: `COALESCE(a.k, b.k)`, as `USING` makes it, is one side's own key.
//!
//! | join | where `a.k = b.k` joins | because |
//! | --- | --- | --- |
//! | inner | either | they are equal |
//! | left | `a.k` | there is a match and they are equal, or `b.k` is NULL |
//! | right | `b.k` | likewise |
//!
//! DataFusion writes `COALESCE` as `CASE WHEN a.k IS NOT NULL THEN a.k ELSE b.k END`; both are known here. Any other expression over both
//! sides of an inner join can be written with one side's columns. Float keys are left alone: equal ones may differ in their bits.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, NullEquality};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, Join, JoinType, LogicalPlan, LogicalPlanBuilder};

use crate::plan::rewriter::{Binding, unaliased};

/// What is one value in each group of an aggregate: its group expressions, and the first, last, smallest or largest of these.
pub(super) fn of_groups(aggregate: &Aggregate) -> Vec<(Column, Expr)> {
    let groups: Vec<Expr> = aggregate.group_expr.iter().map(|e| unaliased(e).clone()).collect();
    let schema = aggregate.input.schema();
    let exact = |e: &Expr| e.get_type(schema).is_ok_and(|t| !t.is_floating() && !t.is_nested());
    let same = |expr: &Expr| -> Option<Expr> {
        let Expr::AggregateFunction(AggregateFunction { func, params }) = unaliased(expr) else { return None };
        let picks = matches!(func.name(), "first_value" | "last_value" | "min" | "max");
        let arg = unaliased(params.args.first().filter(|_| picks && params.filter.is_none())?);
        (groups.contains(arg) && exact(arg)).then(|| arg.clone())
    };
    let of_aggregates = aggregate.aggr_expr.iter().map(same);
    let all = groups.iter().cloned().map(Some).chain(of_aggregates);
    aggregate.schema.columns().into_iter().zip(all).filter_map(|(column, expr)| Some((column, expr?))).collect()
}

/// The plan with the groups' own keys wherever an aggregate gives them out once more, so that a condition on them goes below it.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub(super) fn given_by_groups(plan: LogicalPlan) -> DfResult<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = &node else { return Ok(Transformed::no(node)) };
        let known = of_groups(aggregate);
        let groups = aggregate.group_expr.len();
        if known.len() <= groups || matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)]) {
            return Ok(Transformed::no(node));
        }
        let own = |column: Column| -> Expr {
            let same = known[groups..].iter().find(|(given, _)| *given == column);
            let group = same.and_then(|(_, expr)| known[..groups].iter().find(|(_, group)| group == expr));
            match group {
                Some((group, _)) => Expr::Column(group.clone()).alias_qualified(column.relation, column.name),
                None => Expr::Column(column),
            }
        };
        let columns: Vec<Expr> = aggregate.schema.columns().into_iter().map(own).collect();
        Ok(Transformed::yes(LogicalPlanBuilder::from(node).project(columns)?.build()?))
    })
}

/// The binding with keys of both sides written as one side's.
pub(super) fn settled(join: &Join, binding: &Binding) -> Binding {
    let pairs = equal_columns(join);
    if pairs.is_empty() {
        return binding.clone();
    }
    let settle = |expr: &Expr| {
        let chosen = expr.clone().transform_up(|e| {
            Ok(match first_known(&e).and_then(|of| side_of(join.join_type, &pairs, &of)) {
                Some(column) => Transformed::yes(Expr::Column(column)),
                None => Transformed::no(e),
            })
        });
        let chosen = chosen.data().unwrap_or_else(|_| expr.clone());
        if join.join_type == JoinType::Inner { to_one_side(join, &pairs, chosen) } else { chosen }
    };
    binding.iter().map(|(expr, key)| (settle(expr), *key)).collect()
}

/// Columns that the join makes equal to the bit: left, right.
fn equal_columns(join: &Join) -> Vec<(Column, Column)> {
    if join.null_aware || join.null_equality != NullEquality::NullEqualsNothing {
        return Vec::new();
    }
    let plain = |(l, r): &(Expr, Expr)| match (l, r) {
        (Expr::Column(left), Expr::Column(right)) => {
            let (a, b) = (l.get_type(join.left.schema()).ok()?, r.get_type(join.right.schema()).ok()?);
            (a == b && !a.is_floating() && !a.is_nested()).then(|| (left.clone(), right.clone()))
        }
        _ => None,
    };
    join.on.iter().filter_map(plain).collect()
}

/// The two columns of a `COALESCE` of two, in either of its forms.
fn first_known(expr: &Expr) -> Option<(Column, Column)> {
    let columns = |a: &Expr, b: &Expr| match (a, b) {
        (Expr::Column(a), Expr::Column(b)) => Some((a.clone(), b.clone())),
        _ => None,
    };
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => match call.args.as_slice() {
            [a, b] => columns(a, b),
            _ => None,
        },
        Expr::Case(case) if case.expr.is_none() => {
            let ([(when, then)], Some(other)) = (case.when_then_expr.as_slice(), &case.else_expr) else { return None };
            match when.as_ref() {
                Expr::IsNotNull(tested) if tested == then => columns(then, other),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The column that the first known of two is, where the join makes them equal.
fn side_of(join_type: JoinType, pairs: &[(Column, Column)], of: &(Column, Column)) -> Option<Column> {
    let (left, right) = pairs.iter().find(|(l, r)| (l, r) == (&of.0, &of.1) || (l, r) == (&of.1, &of.0))?;
    match join_type {
        JoinType::Inner | JoinType::Left => Some(left.clone()),
        JoinType::Right => Some(right.clone()),
        _ => None,
    }
}

/// An expression over both sides of an inner join, with the left side's columns alone where that can be.
fn to_one_side(join: &Join, pairs: &[(Column, Column)], expr: Expr) -> Expr {
    let of_right = |c: &Column| join.right.schema().has_column(c) && !join.left.schema().has_column(c);
    let both = expr.column_refs().into_iter().any(of_right) && expr.column_refs().into_iter().any(|c| !of_right(c));
    if !both {
        return expr;
    }
    let replaced = expr.clone().transform_up(|e| {
        Ok(match &e {
            Expr::Column(c) => match pairs.iter().find(|(_, right)| right == c) {
                Some((left, _)) => Transformed::yes(Expr::Column(left.clone())),
                None => Transformed::no(e),
            },
            _ => Transformed::no(e),
        })
    });
    replaced.data().unwrap_or(expr)
}
