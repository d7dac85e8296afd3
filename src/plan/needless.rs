//! Filters that a sweep makes needless.
//!
//! ```text
//! Sweep: keys=[e1 = k2]                                     =>   Sweep: keys=[e1 = k2]
//!   Projection: user_id AS e1, ts AS e3                            Projection: user_id AS e1, ts AS e3
//!     Filter: kind = 'a' AND within_reach(ts > …)                    Filter: kind = 'a'
//!             AND is_asked_for(user_id)
//! ```
//!
//! What is *within reach* has only been bounded to skip files and row groups, which the scan still does: the sweep's own bounds decide.
//! A sweep looks every event's key up, and drops those that no observer has. A filter above the scan that does so before looks up each
//! key twice, and copies all columns of the rows that stay. Where something else stands between, such as redelivery or a join, the filter
//! saves more than it costs, and stays. Done last, to the plan that runs.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Extension, Filter, LogicalPlan};

use crate::source::{is_asked_for, marked_within_reach};
use crate::sweep::Sweep;

/// The plan, with the same values.
///
/// # Errors
/// Only where a plan can't be built, which is a defect.
pub fn without_needless_filters(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    plan.transform_up(|plan| {
        let LogicalPlan::Extension(extension) = &plan else { return Ok(Transformed::no(plan)) };
        let Some(sweep) = extension.node.as_any().downcast_ref::<Sweep>() else { return Ok(Transformed::no(plan)) };
        let events = unfiltered(sweep.events.clone())?;
        if !events.transformed {
            return Ok(Transformed::no(plan));
        }
        let mut node = sweep.clone();
        node.events = events.data;
        Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
    })
    .data()
}

fn unfiltered(plan: LogicalPlan) -> DfResult<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => plan.map_children(unfiltered),
        LogicalPlan::Filter(filter) => {
            let all = split_conjunction_owned(filter.predicate.clone());
            let count = all.len();
            let kept: Vec<Expr> =
                all.into_iter().filter(|e| !is_asked_for(e) && marked_within_reach(e).is_none()).collect();
            if kept.len() == count {
                return LogicalPlan::Filter(filter).map_children(unfiltered);
            }
            Ok(Transformed::yes(match conjunction(kept) {
                Some(kept) => LogicalPlan::Filter(Filter::try_new(kept, filter.input)?),
                None => Arc::unwrap_or_clone(filter.input),
            }))
        }
        other => Ok(Transformed::no(other)),
    }
}
