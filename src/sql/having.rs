//! DataFusion's `push_down_filter`, kept from taking a filter below an aggregate that has a row for no rows.
//!
//! `SELECT count(*) FROM t HAVING NOW() > …` has no row where the condition is false. DataFusion 55 takes a condition that names
//! no column below the aggregate, which then counts nothing and says 0. It also merges a filter with those right below it, in one
//! step: so all filters over such an aggregate stay where they are.

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

#[derive(Debug)]
pub(super) struct CarefulFilters(pub(super) PushDownFilter);

impl OptimizerRule for CarefulFilters {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> DfResult<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Filter(filter) if has_a_row_for_no_rows(&filter.input) => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

/// An aggregate without GROUP BY, or with grouping sets, of which one may be empty, perhaps below filters.
fn has_a_row_for_no_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => has_a_row_for_no_rows(&filter.input),
        LogicalPlan::Aggregate(aggregate) => matches!(aggregate.group_expr.as_slice(), [] | [Expr::GroupingSet(_)]),
        _ => false,
    }
}
