//! `GROUPING SETS`, `ROLLUP`, `CUBE`: the observer joins every set.
//!
//! ```text
//! Aggregate: GROUPING SETS ((a, b), (a), ())    =>    Aggregate: GROUPING SETS ((observer, a, b), (observer, a), (observer))
//! ```
//!
//! The empty set has a row for every T, the others have none where nothing is visible. So where there is an empty set observers
//! are kept as in [`super::aggregate`], and the rows that its lone observers give to the other sets are left out.
//!
//! A key that is a column of the groups is NULL in a set without it, and NULL matches nothing: such sets are left out, and the
//! key is bound below. Any other key is bound above.
//!
//! `GROUPING()` reads the hidden column `__grouping_id`: a bit per group column, the last column lowest, and above them a number
//! that tells equal sets apart, which SQL can't see. The columns' bits are put where they were before the observer came in.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, cast, lit,
};

use crate::plan::aggregate::{keep_observers, only_where};
use crate::plan::relation::Relation;
use crate::plan::rewriter::{Binding, Outcome, Rewriter, Unsupported, named, substituted, unaliased};

pub(super) fn rewrite(rewriter: &Rewriter, aggregate: &Aggregate, sets: &GroupingSet, binding: &Binding) -> Outcome {
    let mut sets = listed(sets);
    let mut groups: Vec<Expr> = Vec::new();
    for expr in sets.iter().flatten() {
        if !groups.contains(expr) {
            groups.push(expr.clone());
        }
    }
    let columns = aggregate.schema.columns();
    if columns.len() != groups.len() + 1 + aggregate.aggr_expr.len() {
        return Err(Unsupported::Operator(format!("`{}`", LogicalPlan::Aggregate(aggregate.clone()).display())));
    }
    let outputs: Vec<(Column, Expr)> =
        columns.iter().cloned().zip(groups.iter().map(|e| unaliased(e).clone())).collect();
    let below = key_columns(binding, &outputs).and_then(|_| substituted(binding, &outputs)).unwrap_or_default();
    let bound = if below.is_empty() { Vec::new() } else { key_columns(binding, &outputs).unwrap_or_default() };
    sets.retain(|set| bound.iter().all(|key| set.iter().any(|e| unaliased(e) == *key)));
    let never = sets.is_empty();
    if never {
        sets.push(groups.clone());
    }

    let input = rewriter.rewrite(&aggregate.input, &below)?;
    let (input, there) = if sets.iter().any(Vec::is_empty) {
        let (kept, there) = keep_observers(rewriter, input)?;
        (kept, Some(there))
    } else {
        (rewriter.as_of(input, &below)?, None)
    };

    // Group columns get names of their own first: a set may hold any expression, and names have to stay apart.
    let observer = input.observer();
    let names: Vec<Column> = groups.iter().map(|_| Column::new_unqualified(rewriter.fresh("g"))).collect();
    let mut exprs: Vec<Expr> = input.plan.schema().columns().into_iter().map(Expr::Column).collect();
    for (expr, name) in groups.iter().zip(&names) {
        exprs.push(rewriter.at(unaliased(expr).clone(), input.spine, &observer)?.alias(&name.name));
    }
    let rows = LogicalPlanBuilder::from(input.plan).project(exprs)?.build()?;
    let column_of = |expr: &Expr| {
        let at = groups.iter().position(|e| e == expr);
        at.map(|i| Expr::Column(names[i].clone()))
    };
    let grouped = sets
        .iter()
        .map(|set| std::iter::once(observer.clone()).chain(set.iter().filter_map(column_of)).collect())
        .collect();
    let grouped = Expr::GroupingSet(GroupingSet::GroupingSets(grouped));

    let own = groups.len() + 1;
    let mut aggregates = Vec::with_capacity(aggregate.aggr_expr.len() + 1);
    for (expr, column) in aggregate.aggr_expr.iter().zip(&columns[own..]) {
        let bound = rewriter.at(unaliased(expr).clone(), input.spine, &observer)?;
        let bound = match &there {
            Some(there) => only_where(bound, there)?,
            None => bound,
        };
        aggregates.push(bound.alias(&column.name));
    }
    let rows_of_group = there.as_ref().map(|there| (Column::new_unqualified(rewriter.fresh("n")), there));
    if let Some((name, there)) = &rows_of_group {
        aggregates.push(count(Expr::Column((*there).clone())).alias(&name.name));
    }
    let grouped = Aggregate::try_new(rows.into(), vec![grouped], aggregates)?;
    let order: Vec<Column> = grouped.schema.columns();
    let bits = bits_of_columns(&names, &order);
    let all = u64::MAX >> (64 - groups.len().clamp(1, 64));
    let mut plan = LogicalPlan::Aggregate(grouped);
    if let Some((name, _)) = &rows_of_group {
        let seen = Expr::Column(name.clone()).gt(lit(0_i64));
        plan = LogicalPlanBuilder::from(plan).filter(bits.clone().eq(lit(all)).or(seen))?.build()?;
    }
    if never {
        plan = LogicalPlanBuilder::from(plan).filter(lit(false))?.build()?;
    }
    let id_type = Expr::Column(columns[groups.len()].clone()).get_type(&aggregate.schema)?;
    // Columns of left-out sets are not in the new aggregate: no set that is left has a value for them.
    let mut kept = Vec::with_capacity(columns.len() + 1);
    for (name, column) in names.iter().zip(&columns) {
        let expr = match order.contains(name) {
            true => Expr::Column(name.clone()),
            false => {
                let of = Expr::Column(column.clone()).get_type(&aggregate.schema)?;
                lit(ScalarValue::try_from(&of)?)
            }
        };
        kept.push(named(expr, column));
    }
    kept.push(named(cast(bits, id_type), &columns[groups.len()]));
    kept.extend(columns[own..].iter().cloned().map(Expr::Column));
    kept.push(observer.clone());
    let plan = LogicalPlanBuilder::from(plan).project(kept)?.build()?;
    let name = input.observer.name.clone();
    Ok(Relation::AsOf(rewriter.finish(plan, columns, &name, input.spine)?))
}

/// The sets one by one, the one with all columns first where DataFusion has not listed them.
fn listed(sets: &GroupingSet) -> Vec<Vec<Expr>> {
    match sets {
        GroupingSet::GroupingSets(sets) => sets.clone(),
        GroupingSet::Rollup(exprs) => (0..=exprs.len()).rev().map(|n| exprs[..n].to_vec()).collect(),
        GroupingSet::Cube(exprs) => (0..1_usize << exprs.len().min(20))
            .map(|left_out| {
                let kept = exprs.iter().enumerate().filter(|(i, _)| left_out >> i & 1 == 0);
                kept.map(|(_, expr)| expr.clone()).collect()
            })
            .collect(),
    }
}

/// The groups that the keys are, where each key is a column of the groups and nothing more.
fn key_columns<'a>(binding: &Binding, outputs: &'a [(Column, Expr)]) -> Option<Vec<&'a Expr>> {
    let group = |expr: &Expr| match expr {
        Expr::Column(column) => outputs.iter().find(|(name, _)| name == column).map(|(_, group)| group),
        _ => None,
    };
    binding.iter().map(|(expr, _)| group(expr)).collect()
}

/// The bits of the original `__grouping_id`, as `UInt64`: `names` are the group columns in their order, `order` the columns of
/// the new aggregate: observer, group columns that some set has, the new id, aggregates.
fn bits_of_columns(names: &[Column], order: &[Column]) -> Expr {
    let id = || cast(Expr::Column(Column::new_unqualified(Aggregate::INTERNAL_GROUPING_ID)), DataType::UInt64);
    let known = order.iter().position(|c| c.name == Aggregate::INTERNAL_GROUPING_ID).unwrap_or(order.len());
    let number = |n: usize| lit(u64::try_from(n).unwrap_or(u64::MAX));
    let bit = |(i, name): (usize, &Column)| {
        let place = names.len() - 1 - i;
        let set = lit(1_u64 << place.min(63));
        match order[..known].iter().position(|c| c == name) {
            Some(at) => {
                let shifted = binary_expr(id(), Operator::BitwiseShiftRight, number(known - 1 - at));
                let one = binary_expr(shifted, Operator::BitwiseAnd, lit(1_u64));
                binary_expr(one, Operator::Multiply, set)
            }
            None => set,
        }
    };
    let same = names.len() + 1 == known && names.iter().zip(&order[1..]).all(|(a, b)| a == b);
    if same {
        return binary_expr(id(), Operator::BitwiseAnd, lit(u64::MAX >> (64 - names.len().clamp(1, 64))));
    }
    names.iter().enumerate().map(bit).reduce(|a, b| binary_expr(a, Operator::Plus, b)).unwrap_or_else(|| lit(0_u64))
}
