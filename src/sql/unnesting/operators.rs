//! The operators that hold subqueries: each gets its input joined with them, and columns in their place.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, Filter, LogicalPlan, Sort, SortExpr, Subquery, Window,
};

use crate::sql::names::with_windows;
use crate::sql::unnesting::calls::Scope;
use crate::sql::unnesting::references::{first_span, has_subquery, references, subquery_of};
use crate::sql::unnesting::refusal;
use crate::sql::unnesting::rows::{filter, only, project, unaliased, under};
use crate::sql::unnesting::{Level, Unnester};

impl Unnester {
    /// The plan without subqueries in expressions, but for those that DataFusion runs right. Outer columns of queries further
    /// out stay.
    pub(super) fn unnest(&self, plan: LogicalPlan, level: Level) -> DfResult<LogicalPlan> {
        match plan {
            LogicalPlan::Subquery(lateral) => {
                let inner = self.unnest(Arc::unwrap_or_clone(lateral.subquery), Level::Inner)?;
                Ok(LogicalPlan::Subquery(Subquery { subquery: Arc::new(inner), ..lateral }))
            }
            LogicalPlan::Join(join) => self.unnest_join(join, level),
            other => {
                let node = other.map_children(|input| self.unnest(input, level).map(Transformed::yes)).data()?;
                if holds_subquery(&node)? { self.operator(node, level) } else { Ok(node) }
            }
        }
    }

    pub(super) fn operator(&self, node: LogicalPlan, level: Level) -> DfResult<LogicalPlan> {
        let columns = node.schema().columns();
        match node {
            LogicalPlan::Filter(node) => self.filter(node, level),
            LogicalPlan::Projection(node) => {
                let mut scope = Scope::new(Arc::unwrap_or_clone(node.input), level);
                let exprs = self.named(node.expr, &columns, &mut scope)?;
                project(scope.plan, exprs)
            }
            LogicalPlan::Aggregate(node) => {
                let span = first_span(&node.input);
                if node.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_)) && has_subquery(e)) {
                    return Err(refusal::place("GROUPING SETS", span));
                }
                let mut scope = Scope::new(Arc::unwrap_or_clone(node.input), Level::Inner);
                let sets = node.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_)));
                let first_aggregate = columns.len() - node.aggr_expr.len();
                let groups = match sets {
                    true => node.group_expr,
                    false => self.named(node.group_expr, &columns, &mut scope)?,
                };
                let aggregates = self.named(node.aggr_expr, &columns[first_aggregate..], &mut scope)?;
                Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(scope.plan), groups, aggregates)?))
            }
            LogicalPlan::Window(node) => self.window(node, &columns),
            LogicalPlan::Sort(node) => {
                let mut scope = Scope::new(Arc::unwrap_or_clone(node.input), Level::Inner);
                let mut expr = Vec::with_capacity(node.expr.len());
                for key in node.expr {
                    expr.push(SortExpr { expr: self.replaced(key.expr, &mut scope)?, ..key });
                }
                only(LogicalPlan::Sort(Sort { expr, input: Arc::new(scope.plan), fetch: node.fetch }), &columns)
            }
            LogicalPlan::Distinct(Distinct::On(node)) => {
                let mut scope = Scope::new(Arc::unwrap_or_clone(node.input), Level::Inner);
                let on = self.each(node.on_expr, &mut scope)?;
                let select = self.named(node.select_expr, &columns, &mut scope)?;
                let mut order = Vec::new();
                for key in node.sort_expr.into_iter().flatten() {
                    order.push(SortExpr { expr: self.replaced(key.expr, &mut scope)?, ..key });
                }
                let order = (!order.is_empty()).then_some(order);
                let rebuilt = DistinctOn::try_new(on, select, order, Arc::new(scope.plan))?;
                Ok(LogicalPlan::Distinct(Distinct::On(rebuilt)))
            }
            other if references(&other)?.is_empty() => Ok(other),
            other => {
                let shown = other.display().to_string();
                let name = shown.split([':', ' ']).next().unwrap_or_default();
                Err(refusal::place(&format!("`{name}`"), first_span(&other)))
            }
        }
    }

    fn filter(&self, node: Filter, level: Level) -> DfResult<LogicalPlan> {
        let columns = node.input.schema().columns();
        let (with, without) = split_conjunction_owned(node.predicate).into_iter().partition(has_subquery);
        // What needs no subquery first: a domain is made of what is left.
        let mut scope = Scope::new(filter(Arc::unwrap_or_clone(node.input), without)?, level);
        let mut rest = Vec::new();
        let with: Vec<Expr> = with;
        for condition in with {
            rest.extend(self.condition(condition, &mut scope)?);
        }
        let plan = filter(scope.plan, rest)?;
        if plan.schema().fields().len() == columns.len() { Ok(plan) } else { only(plan, &columns) }
    }

    fn window(&self, node: Window, columns: &[Column]) -> DfResult<LogicalPlan> {
        let own = node.input.schema().fields().len();
        let mut scope = Scope::new(Arc::unwrap_or_clone(node.input), Level::Inner);
        let mut calls = Vec::with_capacity(node.window_expr.len());
        for (expr, name) in node.window_expr.into_iter().zip(&columns[own..]) {
            calls.push((unaliased(self.replaced(expr, &mut scope)?), name.clone()));
        }
        only(with_windows(scope.plan, calls)?, columns)
    }

    fn each(&self, exprs: Vec<Expr>, scope: &mut Scope) -> DfResult<Vec<Expr>> {
        exprs.into_iter().map(|e| self.replaced(e, scope)).collect()
    }

    /// The expressions under the names that they had.
    fn named(&self, exprs: Vec<Expr>, names: &[Column], scope: &mut Scope) -> DfResult<Vec<Expr>> {
        exprs.into_iter().zip(names).map(|(e, name)| Ok(under(self.replaced(e, scope)?, name))).collect()
    }
}

/// Whether an expression of this operator holds a subquery.
pub(super) fn holds_subquery(node: &LogicalPlan) -> DfResult<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found |= expr.exists(|e| Ok(subquery_of(e).is_some()))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
