//! Conditions on outer columns that can move up out of a subquery into the join with its outer query.
//!
//! ```text
//! Projection: e.x                                 Projection: e.x, e.user_id AS hidden
//!   Filter: e.user_id = outer(u.user_id)    =>      Filter: e.x > 3             with e.user_id = outer(u.user_id)
//!           AND e.x > 3                               TableScan: e              as a condition above
//!     TableScan: e
//! ```
//!
//! Through filters, projections, aliases, inner joins and the kept side of left joins. Where anything else looks outside, the
//! subquery needs a domain.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Distinct, Expr, Join, JoinType, LogicalPlan};

use crate::sql::unnesting::Unnester;
use crate::sql::unnesting::references::{outer_columns, references, replace_columns};
use crate::sql::unnesting::rows::{column, count, filter, project, under};

/// A subquery's rows whatever the outer row is, and which of them each outer row sees.
#[derive(Debug)]
pub(super) struct Pulled {
    /// The subquery's columns, and hidden ones.
    pub plan: LogicalPlan,
    /// Over columns of `plan` and outer columns.
    pub conditions: Vec<Expr>,
}

impl Unnester {
    /// The plan without the conditions that name `outer` columns; `None` where other parts name them.
    pub(super) fn pull(&self, plan: &LogicalPlan, outer: &[Column]) -> DfResult<Option<Pulled>> {
        if !looks_outside(plan, outer)? {
            return Ok(Some(Pulled { plan: plan.clone(), conditions: Vec::new() }));
        }
        match plan {
            LogicalPlan::Filter(node) => {
                let Some(below) = self.pull(&node.input, outer)? else { return Ok(None) };
                let (out, own) = parted(node.predicate.clone(), outer);
                let conditions = below.conditions.into_iter().chain(out).collect();
                Ok(Some(Pulled { plan: filter(below.plan, own)?, conditions }))
            }
            LogicalPlan::Projection(node) => {
                if node.expr.iter().any(|e| names(e, outer)) {
                    return Ok(None);
                }
                let Some(below) = self.pull(&node.input, outer)? else { return Ok(None) };
                let own = node.expr.iter().zip(node.schema.columns()).map(|(e, c)| under(e.clone(), &c)).collect();
                self.above(below, own).map(Some)
            }
            LogicalPlan::SubqueryAlias(node) => {
                let Some(below) = self.pull(&node.input, outer)? else { return Ok(None) };
                let names = node.input.schema().columns().into_iter().zip(node.schema.columns());
                let own = names.map(|(inner, outer)| under(column(&inner), &outer)).collect();
                self.above(below, own).map(Some)
            }
            LogicalPlan::Sort(node) if node.fetch.is_none() => self.pull(&node.input, outer),
            LogicalPlan::Subquery(node) => self.pull(&node.subquery, outer),
            LogicalPlan::Join(join) => self.pull_join(join, outer),
            _ => Ok(None),
        }
    }

    fn pull_join(&self, join: &Join, outer: &[Column]) -> DfResult<Option<Pulled>> {
        let on_looks = join.on.iter().any(|(l, r)| names(l, outer) || names(r, outer));
        let (out, own) = match &join.filter {
            Some(predicate) => parted(predicate.clone(), outer),
            None => (Vec::new(), Vec::new()),
        };
        let movable = match join.join_type {
            JoinType::Inner => true,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => {
                out.is_empty() && !looks_outside(&join.right, outer)?
            }
            _ => false,
        };
        if on_looks || !movable {
            return Ok(None);
        }
        let Some(left) = self.pull(&join.left, outer)? else { return Ok(None) };
        let Some(right) = self.pull(&join.right, outer)? else { return Ok(None) };
        let rebuilt = Join::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            join.on.clone(),
            conjunction(own),
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        let conditions = left.conditions.into_iter().chain(right.conditions).chain(out).collect();
        Ok(Some(Pulled { plan: LogicalPlan::Join(rebuilt), conditions }))
    }

    /// The columns `own` of a pulled plan, and those that its conditions need under hidden names.
    pub(super) fn above(&self, below: Pulled, own: Vec<Expr>) -> DfResult<Pulled> {
        let mut hidden: Vec<(Column, Column)> = Vec::new();
        let mut conditions = Vec::with_capacity(below.conditions.len());
        for condition in below.conditions {
            conditions.push(replace_columns(condition, &mut |c| {
                let known = hidden.iter().find(|(inner, _)| inner == c).map(|(_, name)| name.clone());
                column(&known.unwrap_or_else(|| {
                    let name = Column::new_unqualified(self.fresh("hidden"));
                    hidden.push((c.clone(), name.clone()));
                    name
                }))
            })?);
        }
        let hidden = hidden.into_iter().map(|(inner, name)| column(&inner).alias(name.name));
        let plan = project(below.plan, own.into_iter().chain(hidden).collect())?;
        Ok(Pulled { plan, conditions })
    }
}

/// The plan below everything that changes neither whether it has a row nor which values its rows have.
pub(super) fn only_which_values(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Distinct(Distinct::All(input)) => only_which_values(Arc::unwrap_or_clone(input)),
        LogicalPlan::Sort(node) if node.fetch.is_none() => only_which_values(Arc::unwrap_or_clone(node.input)),
        other => other,
    }
}

/// The plan below everything that does not change whether it has a row.
pub(super) fn only_whether(plan: LogicalPlan) -> LogicalPlan {
    match only_which_values(plan) {
        LogicalPlan::Projection(node) => only_whether(Arc::unwrap_or_clone(node.input)),
        LogicalPlan::SubqueryAlias(node) => only_whether(Arc::unwrap_or_clone(node.input)),
        LogicalPlan::Window(node) => only_whether(Arc::unwrap_or_clone(node.input)),
        // The first of some rows is there where any is.
        LogicalPlan::Limit(node)
            if matches!(count(node.skip.as_deref()), Some(None | Some(0)))
                && matches!(count(node.fetch.as_deref()), Some(Some(1..))) =>
        {
            only_whether(Arc::unwrap_or_clone(node.input))
        }
        other => other,
    }
}

/// Conditions that name the outer columns, and the others.
pub(super) fn parted(predicate: Expr, outer: &[Column]) -> (Vec<Expr>, Vec<Expr>) {
    split_conjunction_owned(predicate).into_iter().partition(|e| names(e, outer))
}

pub(super) fn names(expr: &Expr, outer: &[Column]) -> bool {
    outer_columns(expr).iter().any(|c| outer.contains(c))
}

/// Whether anything in the plan names one of the outer columns.
pub(super) fn looks_outside(plan: &LogicalPlan, outer: &[Column]) -> DfResult<bool> {
    Ok(references(plan)?.iter().any(|c| outer.contains(c)))
}
