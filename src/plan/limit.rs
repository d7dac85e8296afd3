//! `Sort` and `Limit`: an order alone changes nothing; the first rows of an order are those with a low row number.
//!
//! ```text
//! Limit: 3                    =>    Filter: row_number <= 3
//!   Sort: ts DESC, ...                Window: row_number() OVER (PARTITION BY observer ORDER BY ts DESC, ...)
//! ```

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, Limit, LogicalPlan, LogicalPlanBuilder, Projection, Sort, SortExpr, SubqueryAlias, lit,
};

use crate::plan::relation::Relation;
use crate::plan::rewriter::{Binding, Outcome, Rewriter, Unsupported, with_windows};
use crate::source::order_key;

/// `Sort`, perhaps with a number of rows to keep.
pub(super) fn rewrite_sort(rewriter: &Rewriter, sort: &Sort, binding: &Binding) -> Outcome {
    match sort.fetch {
        None => rewriter.rewrite(&sort.input, binding),
        Some(fetch) => first(rewriter, &sort.input, &sort.expr, 0, Some(fetch)),
    }
}

pub(super) fn rewrite(rewriter: &Rewriter, limit: &Limit) -> Outcome {
    let skip = count(limit.skip.as_deref())?.unwrap_or(0);
    let fetch = count(limit.fetch.as_deref())?;
    match limit.input.as_ref() {
        LogicalPlan::Sort(sort) => {
            let fetch = match (fetch, sort.fetch) {
                (Some(a), Some(b)) => Some(a.min(b.saturating_sub(skip))),
                (None, Some(b)) => Some(b.saturating_sub(skip)),
                (a, None) => a,
            };
            first(rewriter, &sort.input, &sort.expr, skip, fetch)
        }
        // A limit above columns that are computed or renamed row by row is one below them.
        LogicalPlan::Projection(projection) => {
            let input = Arc::new(LogicalPlan::Limit(Limit { input: Arc::clone(&projection.input), ..limit.clone() }));
            let plan = Projection::try_new_with_schema(projection.expr.clone(), input, Arc::clone(&projection.schema))?;
            rewriter.rewrite(&LogicalPlan::Projection(plan), &Vec::new())
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let input = Arc::new(LogicalPlan::Limit(Limit { input: Arc::clone(&alias.input), ..limit.clone() }));
            let plan = SubqueryAlias::try_new(input, alias.alias.clone())?;
            rewriter.rewrite(&LogicalPlan::SubqueryAlias(plan), &Vec::new())
        }
        // Rows that differ in nothing that is looked at, or that came without an order: as `sql::settle_ties` has it.
        other => {
            let all: Vec<Expr> = other.schema().columns().into_iter().map(Expr::Column).collect();
            let order = if all.is_empty() { Vec::new() } else { vec![order_key(all).sort(true, true)] };
            first(rewriter, other, &order, skip, fetch)
        }
    }
}

/// Rows `skip + 1` to `skip + fetch` of the order, for every observer. No binding goes below: other keys' rows count too.
fn first(rewriter: &Rewriter, input: &LogicalPlan, order: &[SortExpr], skip: usize, fetch: Option<usize>) -> Outcome {
    let columns = input.schema().columns();
    let mut rows = rewriter.as_of_below(input, &Vec::new())?;
    let observer = rows.observer();
    let mut bound = Vec::with_capacity(order.len());
    for key in order {
        let expr = rewriter.at(key.expr.clone(), rows.spine, &observer)?;
        bound.push(SortExpr { expr, ..key.clone() });
    }
    let rank = Column::new_unqualified(rewriter.fresh("r"));
    let number = row_number().partition_by(vec![observer]);
    // An empty order is none: DataFusion takes an empty list for one, and has no frame for it.
    let number = if bound.is_empty() { number.build()? } else { number.order_by(bound).build()? };
    rows.plan = with_windows(rows.plan, vec![(number, rank.clone())])?;
    let rank = Expr::Column(rank);
    let literal = |n: usize| lit(ScalarValue::UInt64(u64::try_from(n).ok()));
    let mut kept = rank.clone().gt(literal(skip));
    if let Some(fetch) = fetch {
        kept = kept.and(rank.lt_eq(literal(skip.saturating_add(fetch))));
    }
    rows.plan = LogicalPlanBuilder::from(rows.plan).filter(kept)?.build()?;
    let name = rows.observer.name.clone();
    Ok(Relation::AsOf(rewriter.finish(rows.plan, columns, &name, rows.spine)?))
}

/// A LIMIT or OFFSET that is a number.
fn count(expr: Option<&Expr>) -> Outcome<Option<usize>> {
    match expr {
        None | Some(Expr::Literal(ScalarValue::Int64(None), _)) => Ok(None),
        Some(Expr::Literal(ScalarValue::Int64(Some(n)), _)) if *n >= 0 => Ok(usize::try_from(*n).ok()),
        Some(other) => Err(Unsupported::Operator(format!("`{other}` as a LIMIT or OFFSET"))),
    }
}
