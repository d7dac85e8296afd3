//! `EXCEPT ALL` and `INTERSECT ALL`, which count duplicates: one copy on the right takes away, or keeps, one on the left.
//!
//! DataFusion 55 plans them as semi and anti joins over all columns, in which one row on the right meets every copy on the left.
//! Here the copies of a row are numbered on both sides, and the numbers are compared too.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, NullEquality};
use datafusion::error::Result as DfResult;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Distinct, Expr, ExprFunctionExt, Join, JoinType, LogicalPlan, LogicalPlanBuilder};

use crate::sql::names::with_windows;

/// The columns of the copies' numbers, left and right.
const COPY: [&str; 2] = ["__copy_left", "__copy_right"];

/// Numbers the copies in every set operation of a plan, and of its subqueries, that counts them.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub fn count_copies(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if counts(&join) => Ok(Transformed::yes(counted(join)?)),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// Whether DataFusion's planner made the join of a set operation with `ALL`: without it the left side is made distinct, and no
/// join that is written takes NULL for a value before it is optimized.
fn counts(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
        && !join.left.schema().has_column_with_unqualified_name(COPY[0])
}

fn counted(mut join: Join) -> DfResult<LogicalPlan> {
    let columns: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let copies = COPY.map(Column::new_unqualified);
    join.left = Arc::new(numbered(Arc::unwrap_or_clone(join.left), &copies[0])?);
    join.right = Arc::new(numbered(Arc::unwrap_or_clone(join.right), &copies[1])?);
    let [left, right] = copies;
    join.on.push((Expr::Column(left), Expr::Column(right)));
    let joined = LogicalPlan::Join(join).recompute_schema()?;
    LogicalPlanBuilder::from(joined).project(columns)?.build()
}

fn numbered(plan: LogicalPlan, name: &Column) -> DfResult<LogicalPlan> {
    let all = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let number = row_number().partition_by(all).build()?;
    with_windows(plan, vec![(number, name.clone())])
}
