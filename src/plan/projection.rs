//! `Projection`: live where no expression names the label time, with what the conditions still need carried along.
//!
//! ```text
//! Projection: a + b AS c     =>    Projection: a + b AS c, ts AS __c7     counts while __c7 > T - 1 day
//!   live: a, b, ts                   live
//! ```

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Projection};

use crate::plan::fallible::can_fail;
use crate::plan::relation::{Live, Relation, mentions_time};
use crate::plan::rewriter::{Binding, Outcome, Rewriter, named, substituted_partly, unaliased};

pub(super) fn rewrite(rewriter: &Rewriter, projection: &Projection, binding: &Binding) -> Outcome {
    rewrite_over(rewriter, projection, binding, |below| rewriter.rewrite(&projection.input, below))
}

/// `input` rewrites what stands below, under its own binding.
pub(super) fn rewrite_over(
    rewriter: &Rewriter,
    projection: &Projection,
    binding: &Binding,
    input: impl FnOnce(&Binding) -> Outcome,
) -> Outcome {
    let columns = projection.schema.columns();
    let outputs: Vec<(Column, Expr)> =
        columns.iter().cloned().zip(projection.expr.iter().map(|e| unaliased(e).clone())).collect();
    let (below, rest) = substituted_partly(binding, &outputs);
    let input = input(&below)?;
    let projected = project(rewriter, input, &below, outputs)?;
    rewriter.narrow(projected, &rest)
}

/// Projects a relation of either world onto `outputs`: names, and expressions over its columns.
pub(super) fn project(
    rewriter: &Rewriter,
    input: Relation,
    binding: &Binding,
    outputs: Vec<(Column, Expr)>,
) -> Outcome {
    let columns: Vec<Column> = outputs.iter().map(|(name, _)| name.clone()).collect();
    // What can fail is asked of rows that are seen.
    let late = |e: &Expr, live: &Live| rewriter.stabs_early(binding) && can_fail(e, live.plan.schema());
    match input {
        Relation::Live(live) if !outputs.iter().any(|(_, e)| mentions_time(e) || late(e, &live)) => {
            Ok(Relation::Live(carry(rewriter, live, outputs, columns)?))
        }
        other => {
            let mut as_of = rewriter.as_of(other, binding)?;
            let observer = as_of.observer();
            let mut exprs = Vec::with_capacity(outputs.len() + 1);
            for (name, expr) in outputs {
                exprs.push(named(rewriter.at(expr, as_of.spine, &observer)?, &name));
            }
            exprs.push(observer);
            as_of.plan = LogicalPlanBuilder::from(as_of.plan).project(exprs)?.build()?;
            as_of.columns = columns;
            Ok(Relation::AsOf(as_of))
        }
    }
}

/// A live projection: the columns that conditions and reads need go along under hidden names.
pub(super) fn carry(
    rewriter: &Rewriter,
    live: Live,
    outputs: Vec<(Column, Expr)>,
    columns: Vec<Column>,
) -> Outcome<Live> {
    let mut hidden: Vec<(Column, Column)> = Vec::new();
    let mut hide = |column: &Column| -> Column {
        if let Some((_, name)) = hidden.iter().find(|(c, _)| c == column) {
            return name.clone();
        }
        let name = Column::new_unqualified(rewriter.fresh("c"));
        hidden.push((column.clone(), name.clone()));
        name
    };
    let mut conditions = Vec::with_capacity(live.conditions.len());
    for condition in live.conditions {
        let renamed = condition.transform_up(|e| {
            Ok(match &e {
                Expr::Column(c) => Transformed::yes(Expr::Column(hide(c))),
                _ => Transformed::no(e),
            })
        });
        conditions.push(renamed.data()?);
    }
    let mut reads = live.reads;
    for read in &mut reads {
        read.event_time = read.event_time.as_ref().map(&mut hide);
    }
    let mut exprs: Vec<Expr> = outputs.into_iter().map(|(name, expr)| named(expr, &name)).collect();
    exprs.extend(hidden.into_iter().map(|(column, name)| Expr::Column(column).alias(name.name)));
    let plan = LogicalPlanBuilder::from(live.plan).project(exprs)?.build()?;
    Ok(Live { plan, columns, conditions, reads })
}
