//! `Aggregate`: grouped by the observer too.
//!
//! ```text
//! Aggregate: [user_id], [count(*)]    =>    Aggregate: [observer, user_id], [count(*)]
//! ```
//!
//! Without GROUP BY there is a row for every T, also where nothing is visible. So observers are kept by an outer join, and
//! every aggregate looks only at rows that are there:
//!
//! ```text
//! Aggregate: [], [count(*)]           =>    Aggregate: [observer], [count(*) FILTER (WHERE there)]
//!                                             Left Join: spine, rows with `there`
//! ```

use datafusion::common::Column;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, lit};

use crate::plan::relation::{AsOf, Live, Relation};
use crate::plan::rewriter::{Binding, Outcome, Rewriter, Unsupported, named, substituted_partly, unaliased};
use crate::plan::spine::{Spine, SpineKind};
use crate::plan::{fuse, grouping, keys};

pub(super) fn rewrite(rewriter: &Rewriter, aggregate: &Aggregate, binding: &Binding) -> Outcome {
    if let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() {
        return grouping::rewrite(rewriter, aggregate, sets, binding);
    }
    let columns = aggregate.schema.columns();
    let groups = aggregate.group_expr.len();
    let (below, rest) = substituted_partly(binding, &keys::of_groups(aggregate));
    let input = rewriter.rewrite(&aggregate.input, &below)?;
    if let Relation::Live(live) = &input
        && rewriter.options.sweeping
    {
        match fuse::fuse(rewriter, aggregate, live, &below)? {
            Ok(swept) => {
                rewriter.swept();
                return rewriter.narrow(Relation::AsOf(swept), &rest);
            }
            Err(reason) => rewriter.not_swept(reason),
        }
    }
    let (input, there) = if groups == 0 {
        let (kept, there) = keep_observers(rewriter, input)?;
        (kept, Some(there))
    } else {
        (rewriter.as_of(input, &below)?, None)
    };
    let observer = input.observer();
    let mut group_exprs = vec![observer.clone()];
    for (expr, column) in aggregate.group_expr.iter().zip(&columns) {
        group_exprs.push(named(rewriter.at(unaliased(expr).clone(), input.spine, &observer)?, column));
    }
    let mut aggregates = Vec::with_capacity(aggregate.aggr_expr.len());
    for (expr, column) in aggregate.aggr_expr.iter().zip(&columns[groups..]) {
        let bound = rewriter.at(unaliased(expr).clone(), input.spine, &observer)?;
        let bound = match &there {
            Some(there) => only_where(bound, there)?,
            None => bound,
        };
        aggregates.push(bound.alias(&column.name));
    }
    let name = input.observer.name.clone();
    let plan = LogicalPlan::Aggregate(Aggregate::try_new(input.plan.into(), group_exprs, aggregates)?);
    let grouped = rewriter.finish(plan, columns, &name, input.spine)?;
    rewriter.narrow(Relation::AsOf(grouped), &rest)
}

/// Every timed observer with the rows it sees, at least one: where it sees none, the column that is returned is NULL.
pub(super) fn keep_observers(rewriter: &Rewriter, input: Relation) -> Outcome<(AsOf, Column)> {
    let there = Column::new_unqualified(rewriter.fresh("there"));
    let mark = |plan: LogicalPlan| -> Outcome<LogicalPlan> {
        let all = plan.schema().columns().into_iter().map(Expr::Column);
        let marked: Vec<Expr> = all.chain([lit(true).alias(&there.name)]).collect();
        Ok(LogicalPlanBuilder::from(plan).project(marked)?.build()?)
    };
    let kept = match input {
        Relation::Live(live) => {
            let mut columns = live.columns.clone();
            columns.push(there.clone());
            let plan = mark(live.plan)?;
            rewriter.stab(Live { plan, columns, ..live }, SpineKind::Timed, &Vec::new(), JoinType::Left)?
        }
        Relation::AsOf(rows) => {
            let spine: &Spine = rewriter.spine(rows.spine);
            let observer = rewriter.fresh("s");
            let left = spine.plan(&rewriter.fresh("spine"), &observer, Vec::new())?;
            let on = Expr::Column(Column::new_unqualified(&observer)).eq(rows.observer());
            let mut columns = rows.columns.clone();
            columns.push(there.clone());
            let joined = LogicalPlanBuilder::from(left).join_on(mark(rows.plan)?, JoinType::Left, [on])?.build()?;
            rewriter.finish(joined, columns, &observer, rows.spine)?
        }
    };
    Ok((kept, there))
}

/// The aggregate over the rows where `there` is true.
pub(super) fn only_where(expr: Expr, there: &Column) -> Outcome<Expr> {
    let Expr::AggregateFunction(AggregateFunction { func, mut params }) = expr else {
        return Err(Unsupported::Operator(format!("`{expr}` as an aggregate")));
    };
    let there = Expr::Column(there.clone());
    params.filter = Some(Box::new(match params.filter {
        Some(filter) => there.and(*filter),
        None => there,
    }));
    Ok(Expr::AggregateFunction(AggregateFunction { func, params }))
}
