//! DataFusion's `push_down_filter`, kept from taking a filter below an aggregate that has a row for no rows.
//!
//! `SELECT count(*) FROM t HAVING NOW() > …` has no row where the condition is false. DataFusion 55 takes a condition that names
//! no column below the aggregate, which then counts nothing and says 0. It also merges a filter with those right below it, in one
//! step: so all filters over such an aggregate stay where they are.

use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Whether DataFusion's rule may see the plan.
pub(super) fn may_push_down(plan: &LogicalPlan) -> DfResult<bool> {
    Ok(!matches!(plan, LogicalPlan::Filter(filter) if has_a_row_for_no_rows(&filter.input)))
}

/// An aggregate without GROUP BY, or with grouping sets, of which one may be empty, perhaps below filters.
fn has_a_row_for_no_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => has_a_row_for_no_rows(&filter.input),
        LogicalPlan::Aggregate(aggregate) => matches!(aggregate.group_expr.as_slice(), [] | [Expr::GroupingSet(_)]),
        _ => false,
    }
}
