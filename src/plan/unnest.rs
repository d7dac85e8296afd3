//! `Unnest`: a row per item, in either world: what is hidden goes along with each.

use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Unnest};

use crate::plan::projection::carry;
use crate::plan::relation::Relation;
use crate::plan::rewriter::{Binding, Outcome, Rewriter, columns_of};

pub(super) fn rewrite(rewriter: &Rewriter, unnest: &Unnest, binding: &Binding) -> Outcome {
    let columns = unnest.schema.columns();
    let untouched = |expr: &Expr| {
        let known = |c| unnest.input.schema().has_column(&c) && !unnest.exec_columns.contains(&c);
        columns_of(expr).into_iter().all(known)
    };
    // The key of an item is known below only where it is no item itself.
    let (below, rest): (Binding, Binding) = binding.iter().cloned().partition(|(expr, _)| untouched(expr));
    let items = |plan: LogicalPlan| -> Outcome<LogicalPlan> {
        let builder = LogicalPlanBuilder::from(plan);
        Ok(builder.unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?.build()?)
    };
    let unnested = match rewriter.rewrite(&unnest.input, &below)? {
        Relation::Live(mut live) => {
            if live.conditions.iter().flat_map(columns_of).any(|c| unnest.exec_columns.contains(&c)) {
                // The conditions are about the list, not about its items: they keep a copy of it.
                let own = live.columns.clone();
                let outputs = own.iter().cloned().map(|c| (c.clone(), Expr::Column(c))).collect();
                live = carry(rewriter, live, outputs, own)?;
            }
            live.plan = items(live.plan)?;
            live.columns = columns;
            Relation::Live(live)
        }
        Relation::AsOf(mut rows) => {
            rows.plan = items(rows.plan)?;
            rows.columns = columns;
            Relation::AsOf(rows)
        }
    };
    rewriter.narrow(unnested, &rest)
}
