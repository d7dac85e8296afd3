//! A scalar subquery that is an aggregate of rows found by equality: groups of those rows, without a domain.
//!
//! ```text
//! (SELECT count(*) + 1 FROM e WHERE e.user_id = u.user_id AND e.x > 3)
//!
//! CASE WHEN q.there THEN q.c0 ELSE 0 END + 1
//!   Left Join: u.user_id = q.k0
//!     TableScan: u
//!     Aggregate: [e.user_id AS k0], [count(*) AS c0], true AS there
//!       Filter: e.x > 3
//!         TableScan: e
//! ```
//!
//! What stands above the aggregate is computed above the join: there a missing group is the aggregate of no rows.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, ExprSchemable, JoinType, LogicalPlan, Operator, lit, when,
};

use crate::sql::unnesting::Unnester;
use crate::sql::unnesting::calls::Scope;
use crate::sql::unnesting::pull::names;
use crate::sql::unnesting::references::{outer_columns, replace_columns, replace_outer};
use crate::sql::unnesting::rows::{alias, column, join, project, unaliased};

/// The columns of an operator above the aggregate, as expressions over the joined rows; and the conditions so far.
struct Above {
    columns: Vec<(Column, Expr)>,
    conditions: Vec<Expr>,
}

impl Unnester {
    /// The value of the subquery over `scope.plan`, which is joined with the groups; `None` where it is not of this kind.
    pub(super) fn grouped(&self, query: &LogicalPlan, outer: &[Column], scope: &mut Scope) -> DfResult<Option<Expr>> {
        let Some(aggregate) = aggregate_of(query) else { return Ok(None) };
        if aggregate.aggr_expr.iter().any(|e| names(e, outer)) {
            return Ok(None);
        }
        let Some(below) = self.pull(&aggregate.input, outer)? else { return Ok(None) };
        let mut keys = Vec::new();
        for condition in &below.conditions {
            match equality(condition, outer) {
                Some((inner, value)) if exact(&inner, &below.plan, &value)? => keys.push((inner, value)),
                _ => return Ok(None),
            }
        }
        let Some(defaults) = defaults(aggregate)? else { return Ok(None) };
        let name = self.fresh("query");
        let of = |c: String| Column::new(Some(name.as_str()), c);
        let groups = keys.iter().enumerate().map(|(i, (inner, _))| inner.clone().alias(format!("__g{i}"))).collect();
        let calls = aggregate.aggr_expr.iter().enumerate();
        let calls = calls.map(|(i, e)| unaliased(e.clone()).alias(format!("__c{i}"))).collect();
        let grouped = LogicalPlan::Aggregate(Aggregate::try_new(below.plan.into(), groups, calls)?);
        let all = grouped.schema().columns().into_iter().map(Expr::Column);
        let marked = project(grouped.clone(), all.chain([lit(true).alias("__there")]).collect())?;
        let mut conditions = Vec::with_capacity(keys.len());
        for (i, (_, value)) in keys.into_iter().enumerate() {
            let value = replace_outer(value, &|c| outer.contains(c).then(|| column(c)))?;
            conditions.push(value.eq(column(&of(format!("__g{i}")))));
        }
        scope.plan = join(scope.plan.clone(), alias(marked, &name)?, JoinType::Left, conditions)?;
        let there = column(&of("__there".to_string()));
        let mut columns = Vec::new();
        for (i, (own, default)) in aggregate.schema.columns().into_iter().zip(defaults).enumerate() {
            let value = column(&of(format!("__c{i}")));
            let value = match default.is_null() {
                true => value,
                false => when(there.clone().is_not_null(), value).otherwise(lit(default))?,
            };
            columns.push((own, value));
        }
        let above = above(query, Above { columns, conditions: Vec::new() }, outer)?;
        let Some((_, value)) = above.columns.into_iter().next() else { return Ok(None) };
        Ok(Some(match conjunction(above.conditions) {
            Some(kept) => when(kept, value).end()?,
            None => value,
        }))
    }
}

/// The aggregate without GROUP BY below projections, filters and names.
fn aggregate_of(plan: &LogicalPlan) -> Option<&Aggregate> {
    match plan {
        LogicalPlan::Aggregate(node) if node.group_expr.is_empty() => Some(node),
        LogicalPlan::Projection(node) => aggregate_of(&node.input),
        LogicalPlan::Filter(node) => aggregate_of(&node.input),
        LogicalPlan::SubqueryAlias(node) => aggregate_of(&node.input),
        LogicalPlan::Sort(node) if node.fetch.is_none() => aggregate_of(&node.input),
        _ => None,
    }
}

/// `inner = outer` as the two, each over its own query's columns alone.
fn equality(condition: &Expr, outer: &[Column]) -> Option<(Expr, Expr)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return None };
    let inner = |e: &Expr| outer_columns(e).is_empty() && !e.column_refs().is_empty();
    let outside = |e: &Expr| {
        let columns = outer_columns(e);
        !columns.is_empty() && columns.iter().all(|c| outer.contains(c)) && e.column_refs().is_empty()
    };
    match (left.as_ref(), right.as_ref()) {
        (l, r) if inner(l) && outside(r) => Some((l.clone(), r.clone())),
        (l, r) if outside(l) && inner(r) => Some((r.clone(), l.clone())),
        _ => None,
    }
}

/// Whether one outer value is equal to one group at most: groups that another type does not tell apart would be two rows.
fn exact(inner: &Expr, rows: &LogicalPlan, value: &Expr) -> DfResult<bool> {
    let (a, b) = (inner.get_type(rows.schema())?, value.get_type(&datafusion::common::DFSchema::empty())?);
    Ok(!a.is_floating() && (a == b || a.is_integer() && b.is_integer()) && !matches!(a, DataType::Null))
}

/// What each aggregate is of no rows.
fn defaults(aggregate: &Aggregate) -> DfResult<Option<Vec<ScalarValue>>> {
    let mut values = Vec::with_capacity(aggregate.aggr_expr.len());
    for expr in &aggregate.aggr_expr {
        let Expr::AggregateFunction(call) = unaliased(expr.clone()) else { return Ok(None) };
        values.push(call.func.default_value(&expr.get_type(aggregate.input.schema())?)?);
    }
    Ok(Some(values))
}

/// The columns of `plan` over the joined rows, given those of the aggregate.
fn above(plan: &LogicalPlan, aggregate: Above, outer: &[Column]) -> DfResult<Above> {
    let here = |expr: &Expr, below: &Above| {
        let bound = replace_columns(unaliased(expr.clone()), &mut |c| {
            let known = below.columns.iter().find(|(name, _)| name == c);
            known.map_or_else(|| column(c), |(_, value)| value.clone())
        })?;
        replace_outer(bound, &|c| outer.contains(c).then(|| column(c)))
    };
    Ok(match plan {
        LogicalPlan::Projection(node) => {
            let below = above(&node.input, aggregate, outer)?;
            let mut columns = Vec::with_capacity(node.expr.len());
            for (expr, name) in node.expr.iter().zip(node.schema.columns()) {
                columns.push((name, here(expr, &below)?));
            }
            Above { columns, conditions: below.conditions }
        }
        LogicalPlan::Filter(node) => {
            let mut below = above(&node.input, aggregate, outer)?;
            let condition = here(&node.predicate, &below)?;
            below.conditions.push(condition);
            below
        }
        LogicalPlan::SubqueryAlias(node) => {
            let below = above(&node.input, aggregate, outer)?;
            let values = below.columns.into_iter().map(|(_, value)| value);
            Above { columns: node.schema.columns().into_iter().zip(values).collect(), conditions: below.conditions }
        }
        LogicalPlan::Sort(node) => above(&node.input, aggregate, outer)?,
        _ => aggregate,
    })
}
