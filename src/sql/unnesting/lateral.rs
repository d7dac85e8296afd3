//! LATERAL, and subqueries in join conditions.
//!
//! ```text
//! Left Join: s.n > 3                              Left Join: s.n > 3 AND u.user_id IS NOT DISTINCT FROM d.k0
//!   TableScan: u                            =>      TableScan: u
//!   lateral s: rows that look at u                  dependent s: its rows, d.k0
//! ```
//!
//! A subquery in the condition of an inner join is one in a filter above it. In that of an outer join its value is a column of
//! the side whose columns it names; one that names both is refused.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan};
use std::sync::Arc;

use crate::sql::unnesting::calls::Scope;
use crate::sql::unnesting::domain::Domain;
use crate::sql::unnesting::operators::holds_subquery;
use crate::sql::unnesting::push_join::conditions;
use crate::sql::unnesting::references::{
    first_span, has, has_subquery, outer_columns, references, replace_outer, resolved, subquery_of,
};
use crate::sql::unnesting::refusal;
use crate::sql::unnesting::rows::{column, join, only, same};
use crate::sql::unnesting::{Level, Unnester};

impl Unnester {
    pub(super) fn unnest_join(&self, node: Join, level: Level) -> DfResult<LogicalPlan> {
        let columns = node.schema.columns();
        let left = self.unnest(node.left.as_ref().clone(), level)?;
        let right = self.inside(node.right.as_ref().clone(), &left, level)?;
        let outer = self.lateral_references(&right, &left)?;
        let held = holds_subquery(&LogicalPlan::Join(node.clone()))?;
        if outer.is_empty() && !held {
            return Ok(LogicalPlan::Join(Join { left: Arc::new(left), right: Arc::new(right), ..node }));
        }
        let (with, without): (Vec<Expr>, Vec<Expr>) = conditions(&node).into_iter().partition(has_subquery);
        if node.join_type == JoinType::Inner {
            let joined = self.lateral(left, right, &outer, JoinType::Inner, without, &columns)?;
            return match conjunction(with) {
                Some(predicate) => {
                    self.operator(LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(joined))?), level)
                }
                None => Ok(joined),
            };
        }
        let (mut left, mut right) = (Scope::new(left, Level::Inner), Scope::new(right, Level::Inner));
        let mut all = without;
        for condition in with {
            let (in_left, in_right) = sides(&condition, left.input.schema(), right.input.schema())?;
            // A side that is not there for every row yet can't be asked.
            let side = match (in_left, in_right) {
                (_, false) => &mut left,
                (false, true) if outer.is_empty() => &mut right,
                _ => return Err(refusal::both_sides(span_of(&condition))),
            };
            all.push(self.replaced(condition, side)?);
        }
        self.lateral(left.plan, right.plan, &outer, node.join_type, all, &columns)
    }

    /// A join whose right side may look at the left.
    fn lateral(
        &self,
        left: LogicalPlan,
        right: LogicalPlan,
        outer: &[Column],
        join_type: JoinType,
        mut on: Vec<Expr>,
        columns: &[Column],
    ) -> DfResult<LogicalPlan> {
        if outer.is_empty() {
            return only(join(left, right, join_type, on)?, columns);
        }
        if !matches!(join_type, JoinType::Inner | JoinType::Left) {
            return Err(refusal::place(&format!("the right side of a {join_type} join"), first_span(&right)));
        }
        if let Some(pulled) = self.pull(&right, outer)? {
            for condition in pulled.conditions {
                on.push(replace_outer(condition, &|c| outer.contains(c).then(|| column(c)))?);
            }
            return only(join(left, pulled.plan, join_type, on)?, columns);
        }
        let rows = Domain { unnester: self, outer: &left, columns: outer }.push(&right)?;
        on.extend(outer.iter().zip(&rows.keys).map(|(o, k)| same(column(o), column(k))));
        only(join(left, rows.plan, join_type, on)?, columns)
    }

    /// The columns of `left` that lateral parts of `right` name. Parts that are not lateral see the queries further out alone.
    fn lateral_references(&self, right: &LogicalPlan, left: &LogicalPlan) -> DfResult<Vec<Column>> {
        let mut found: Vec<Column> = Vec::new();
        let mut elsewhere: Vec<Column> = Vec::new();
        let mut wrapped = Ok(());
        right.apply(|node| {
            if let LogicalPlan::Subquery(lateral) = node {
                match resolved(&lateral.subquery, left) {
                    Ok(columns) => found.extend(columns),
                    Err(e) => wrapped = Err(e),
                }
                return Ok(TreeNodeRecursion::Jump);
            }
            node.apply_expressions(|e| {
                elsewhere.extend(outer_columns(e).into_iter().filter(|c| has(left.schema(), c)));
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        wrapped?;
        // DataFusion does not mark a LATERAL whose own subqueries alone look outside. It is one where nothing further out has
        // the column.
        let around = self.around.borrow();
        if let Some(column) = elsewhere.iter().find(|c| around.iter().any(|schema| has(schema, c))) {
            return Err(refusal::not_visible(column, right));
        }
        let mut once = Vec::new();
        for column in found.into_iter().chain(elsewhere) {
            if !once.contains(&column) {
                once.push(column);
            }
        }
        Ok(once)
    }
}

/// Whether the subqueries of a condition need columns of the left and of the right side.
fn sides(condition: &Expr, left: &DFSchema, right: &DFSchema) -> DfResult<(bool, bool)> {
    let mut needed: Vec<Column> = Vec::new();
    condition.apply(|e| {
        if let Some(subquery) = subquery_of(e) {
            needed.extend(references(&subquery.subquery)?);
        }
        match e {
            Expr::InSubquery(within) => needed.extend(within.expr.column_refs().into_iter().cloned()),
            Expr::SetComparison(comparison) => needed.extend(comparison.expr.column_refs().into_iter().cloned()),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((needed.iter().any(|c| has(left, c)), needed.iter().any(|c| has(right, c))))
}

fn span_of(condition: &Expr) -> Option<datafusion::common::Span> {
    let mut span = None;
    let _ = condition.apply(|e| {
        span = span.or_else(|| subquery_of(e).and_then(|s| first_span(&s.subquery)));
        Ok(TreeNodeRecursion::Continue)
    });
    span
}
