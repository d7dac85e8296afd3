//! `Filter`: what names the label time becomes a condition, the rest stays a filter.
//!
//! ```text
//! Filter: kind = 'buy' AND ts > $NOW - 1 day    =>    Filter: kind = 'buy'      counts while ts > T - 1 day
//!   live                                                live
//! ```

use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, Filter, LogicalPlanBuilder};

use crate::plan::relation::{Relation, mentions_time};
use crate::plan::rewriter::{Binding, Outcome, Rewriter};

pub(super) fn rewrite(rewriter: &Rewriter, filter: &Filter, binding: &Binding) -> Outcome {
    let input = rewriter.rewrite(&filter.input, binding)?;
    let parts = split_conjunction(&filter.predicate).into_iter().cloned();
    match input {
        Relation::Live(mut live) => {
            let (timed, timeless): (Vec<Expr>, Vec<Expr>) = parts.partition(mentions_time);
            live.conditions.extend(timed);
            if let Some(predicate) = conjunction(timeless) {
                live.plan = LogicalPlanBuilder::from(live.plan).filter(predicate)?.build()?;
            }
            Ok(Relation::Live(live))
        }
        Relation::AsOf(mut as_of) => {
            let predicate = rewriter.at(filter.predicate.clone(), as_of.spine, &as_of.observer())?;
            as_of.plan = LogicalPlanBuilder::from(as_of.plan).filter(predicate)?.build()?;
            Ok(Relation::AsOf(as_of))
        }
    }
}
