//! `Filter`: what names the label time becomes a condition, the rest stays a filter; what can fail is asked of rows that are
//! seen ([`crate::plan::fallible`]).
//!
//! ```text
//! Filter: kind = 'buy' AND ts > $NOW - 1 day    =>    Filter: kind = 'buy'      counts while ts > T - 1 day
//!   live                                                live
//! ```

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder};

use crate::plan::fallible::{can_fail, filter_here};
use crate::plan::relation::{AsOf, Relation, mentions_time};
use crate::plan::rewriter::{Binding, Outcome, Rewriter, unaliased};
use crate::plan::{projection, window};

pub(super) fn rewrite(rewriter: &Rewriter, filter: &Filter, binding: &Binding) -> Outcome {
    let input = rewrite_input(rewriter, filter, binding)?;
    let parts = split_conjunction(&filter.predicate).into_iter().cloned();
    let fails = |e: &Expr| can_fail(e, filter.input.schema());
    match input {
        Relation::Live(mut live) => {
            let early = rewriter.stabs_early(binding);
            let (late, sure): (Vec<Expr>, Vec<Expr>) = parts.partition(|e| early && fails(e));
            let (timed, timeless): (Vec<Expr>, Vec<Expr>) = sure.into_iter().partition(mentions_time);
            live.conditions.extend(timed);
            if let Some(predicate) = conjunction(timeless) {
                live.plan = LogicalPlanBuilder::from(live.plan).filter(predicate)?.build()?;
            }
            match conjunction(late) {
                None => Ok(Relation::Live(live)),
                Some(late) => {
                    let as_of = rewriter.as_of(Relation::Live(live), binding)?;
                    Ok(Relation::AsOf(seen(rewriter, as_of, late)?))
                }
            }
        }
        Relation::AsOf(mut as_of) => {
            if fails(&filter.predicate) {
                return Ok(Relation::AsOf(seen(rewriter, as_of, filter.predicate.clone())?));
            }
            let predicate = rewriter.at(filter.predicate.clone(), as_of.spine, &as_of.observer())?;
            as_of.plan = LogicalPlanBuilder::from(as_of.plan).filter(predicate)?.build()?;
            Ok(Relation::AsOf(as_of))
        }
    }
}

/// What stands below; of a window, perhaps directly under a projection, only the rows that the filter can leave.
fn rewrite_input(rewriter: &Rewriter, filter: &Filter, binding: &Binding) -> Outcome {
    match filter.input.as_ref() {
        LogicalPlan::Window(node) => window::rewrite_filtered(rewriter, node, &filter.predicate, binding),
        LogicalPlan::Projection(projection) => {
            let LogicalPlan::Window(node) = projection.input.as_ref() else {
                return rewriter.rewrite(&filter.input, binding);
            };
            let columns = projection.schema.columns();
            let inputs = projection.expr.iter().map(unaliased);
            let outputs: Vec<(Column, &Expr)> = columns.into_iter().zip(inputs).collect();
            let predicate = filter.predicate.clone().transform_up(|e| {
                Ok(match outputs.iter().find(|(name, _)| matches!(&e, Expr::Column(c) if c == name)) {
                    Some((_, input)) => Transformed::yes((*input).clone()),
                    None => Transformed::no(e),
                })
            });
            let predicate = predicate.data()?;
            projection::rewrite_over(rewriter, projection, binding, |below| {
                window::rewrite_filtered(rewriter, node, &predicate, below)
            })
        }
        input => rewriter.rewrite(input, binding),
    }
}

fn seen(rewriter: &Rewriter, mut as_of: AsOf, predicate: Expr) -> Outcome<AsOf> {
    let predicate = rewriter.at(predicate, as_of.spine, &as_of.observer())?;
    as_of.plan = filter_here(rewriter, as_of.plan, predicate)?;
    Ok(as_of)
}
