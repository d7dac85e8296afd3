//! `Join`.
//!
//! * Inner, both sides live: live while both live; conditions of both, and those of the join that name the label time.
//! * A side that only has to be *looked up* (the other side of an outer, semi or anti join, or of an inner join with an
//!   as-of relation) may stay live: its conditions go into the join condition, with the label time of the row that looks.
//! * Two as-of relations meet at the same observer, or, where one is timed, at the same T.
//!
//! ```text
//! Left Join: a.k = b.k        =>    Left Join: a.k = b.k AND b.from <= T(a.observer) AND b.ts > T(a.observer) - 1 day
//!   a: as-of                          a: as-of
//!   b: live                           b
//! ```
//!
//! `NOT IN` (a null-aware anti join) becomes an anti join on `(a.k = b.k) IS NOT FALSE`, which says the same for any other
//! conditions: DataFusion's own takes no further ones.
//!
//! A binding goes to the side whose columns it names, and over an equality to the other. What can't go below is applied
//! to the joined rows, which is always right: it is a filter on them.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, NullEquality};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit, when,
};

use crate::plan::relation::{AsOf, Live, Relation, mentions_time};
use crate::plan::rewriter::{Binding, Outcome, Rewriter, Unsupported, columns_of, named};
use crate::plan::spine::SpineKind;

pub(super) fn rewrite(rewriter: &Rewriter, join: &Join, binding: &Binding) -> Outcome {
    let narrowed = Join { join_type: narrowed(join, binding), ..join.clone() };
    let join = &narrowed;
    match join.join_type {
        JoinType::Inner => inner(rewriter, join, binding),
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            looking(rewriter, join, binding, Side::Left)
        }
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            looking(rewriter, join, binding, Side::Right)
        }
        JoinType::Full => full(rewriter, join, binding),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// The binding of one side: what names only its columns, also over the join's equalities.
fn side_binding(join: &Join, binding: &Binding, side: Side) -> Binding {
    let schema = match side {
        Side::Left => join.left.schema(),
        Side::Right => join.right.schema(),
    };
    let own = |expr: &Expr| columns_of(expr).iter().all(|c| schema.has_column(c));
    let through = |expr: &Expr| {
        join.on.iter().find_map(|(l, r)| match side {
            Side::Left if r == expr => Some(l.clone()),
            Side::Right if l == expr => Some(r.clone()),
            _ => None,
        })
    };
    binding
        .iter()
        .filter_map(|(expr, key)| {
            let expr = if own(expr) { Some(expr.clone()) } else { through(expr) };
            Some((expr.filter(|e| !columns_of(e).is_empty() && !mentions_time(e))?, *key))
        })
        .collect()
}

/// All conditions of the join as expressions.
fn conditions(join: &Join) -> Vec<Expr> {
    let equal = |(l, r): &(Expr, Expr)| match join.null_equality {
        // `NOT IN`: a row goes where the comparison with any value is true, or unknown.
        _ if join.null_aware => l.clone().eq(r.clone()).is_not_false(),
        NullEquality::NullEqualsNothing => l.clone().eq(r.clone()),
        NullEquality::NullEqualsNull => binary_expr(l.clone(), Operator::IsNotDistinctFrom, r.clone()),
    };
    let filters = join.filter.iter().flat_map(split_conjunction).cloned();
    join.on.iter().map(equal).chain(filters).collect()
}

/// What of the binding the given sides do not see to.
fn left_over(binding: &Binding, done: &[&Binding]) -> Binding {
    binding.iter().filter(|(_, key)| !done.iter().any(|d| d.iter().any(|(_, k)| k == key))).cloned().collect()
}

fn inner(rewriter: &Rewriter, join: &Join, binding: &Binding) -> Outcome {
    let columns = join.schema.columns();
    let (lb, rb) = (side_binding(join, binding, Side::Left), side_binding(join, binding, Side::Right));
    let left = rewriter.rewrite(&join.left, &lb)?;
    let right = rewriter.rewrite(&join.right, &rb)?;
    let (left, right) = match (left, right) {
        (Relation::Live(left), Relation::Live(right)) => {
            return Ok(Relation::Live(both_live(join, left, right, columns)?));
        }
        sides => sides,
    };
    // A live side with a binding is taken to observers when the other side has none.
    let bound_here = |relation: &Relation, own: &Binding, other: &Relation| {
        matches!(relation, Relation::Live(_))
            && !own.is_empty()
            && matches!(other, Relation::AsOf(a) if a.spine == SpineKind::Timed)
    };
    let (stab_left, stab_right) = (bound_here(&left, &lb, &right), bound_here(&right, &rb, &left));
    let left = if stab_left { Relation::AsOf(rewriter.as_of(left, &lb)?) } else { left };
    let right = if stab_right { Relation::AsOf(rewriter.as_of(right, &rb)?) } else { right };
    let keyed = |r: &Relation| matches!(r, Relation::AsOf(a) if a.spine == SpineKind::Keyed);
    let none = Binding::new();
    let done = [if keyed(&left) { &lb } else { &none }, if keyed(&right) { &rb } else { &none }];
    let rest = left_over(binding, &done);
    let joined = match (left, right) {
        (Relation::AsOf(rows), Relation::Live(found)) => {
            let on = look_up_conditions(rewriter, join, &rows, &found)?;
            let plan = join_on(rows.plan, found.plan, JoinType::Inner, on)?;
            rewriter.note(&found.reads, &found.conditions);
            rewriter.finish(plan, columns, &rows.observer.name, rows.spine)?
        }
        (Relation::Live(found), Relation::AsOf(rows)) => {
            let on = look_up_conditions(rewriter, join, &rows, &found)?;
            let plan = join_on(found.plan, rows.plan, JoinType::Inner, on)?;
            rewriter.note(&found.reads, &found.conditions);
            rewriter.finish(plan, columns, &rows.observer.name, rows.spine)?
        }
        (Relation::AsOf(left), Relation::AsOf(right)) => {
            let lead = if left.spine == SpineKind::Keyed { &left } else { &right };
            let (observer, spine) = (lead.observer.clone(), lead.spine);
            let on = meeting_conditions(rewriter, join, &left, &right, &lead.observer(), spine)?;
            let plan = join_on(left.plan, right.plan, JoinType::Inner, on)?;
            rewriter.finish(plan, columns, &observer.name, spine)?
        }
        (Relation::Live(_), Relation::Live(_)) => return Err(Unsupported::Operator("an inner join".to_string())),
    };
    let joined = if joined.spine == SpineKind::Keyed { rewriter.restrict(joined, &rest)? } else { joined };
    Ok(Relation::AsOf(joined))
}

fn both_live(join: &Join, left: Live, right: Live, columns: Vec<Column>) -> Outcome<Live> {
    let (timed, timeless): (Vec<Expr>, Vec<Expr>) = conditions(join).into_iter().partition(mentions_time);
    let plan = join_on(left.plan, right.plan, JoinType::Inner, timeless)?;
    let conditions = left.conditions.into_iter().chain(right.conditions).chain(timed).collect();
    let reads = left.reads.into_iter().chain(right.reads).collect();
    Ok(Live { plan, columns, conditions, reads })
}

/// A join in which one side keeps its rows and looks for rows of the other.
fn looking(rewriter: &Rewriter, join: &Join, binding: &Binding, side: Side) -> Outcome {
    let columns = join.schema.columns();
    let (own, other_binding) = match side {
        Side::Left => (side_binding(join, binding, Side::Left), side_binding(join, binding, Side::Right)),
        Side::Right => (side_binding(join, binding, Side::Right), side_binding(join, binding, Side::Left)),
    };
    // A NULL among the values of `NOT IN` counts whatever the key: they may not be narrowed down to the key's.
    let other_binding = if join.null_aware { Binding::new() } else { other_binding };
    // Only what names this side's own columns may restrict it: a row without a match has NULL on the other side.
    let own: Binding = own.into_iter().filter(|b| binding.contains(b)).collect();
    let (kept, found) = match side {
        Side::Left => (&join.left, &join.right),
        Side::Right => (&join.right, &join.left),
    };
    let rows = rewriter.as_of_below(kept, &own)?;
    let keyed = rows.spine == SpineKind::Keyed;
    let none = Binding::new();
    let found = rewriter.rewrite(found, if keyed { &other_binding } else { &none })?;
    let (on, found) = match found {
        Relation::Live(found) => {
            rewriter.note(&found.reads, &found.conditions);
            (look_up_conditions(rewriter, join, &rows, &found)?, found.plan)
        }
        Relation::AsOf(found) => {
            if !keyed && found.spine == SpineKind::Keyed {
                return Err(Unsupported::Operator("an outer join whose inner side alone has the key".to_string()));
            }
            (meeting_conditions(rewriter, join, &rows, &found, &rows.observer(), rows.spine)?, found.plan)
        }
    };
    let (observer, spine) = (rows.observer.clone(), rows.spine);
    let marks = matches!(join.join_type, JoinType::LeftMark | JoinType::RightMark);
    let (found, on) = if marks { under_one_name(rewriter, found, on)? } else { (found, on) };
    let plan = match side {
        Side::Left => join_on(rows.plan, found, join.join_type, on)?,
        Side::Right => join_on(found, rows.plan, join.join_type, on)?,
    };
    let joined = match join.join_type {
        JoinType::LeftMark | JoinType::RightMark => {
            // The mark's qualifier depends on hidden columns: it gets the name that the plan above knows.
            let marks: Vec<Column> = plan.schema().columns();
            let exprs = columns.iter().map(|column| {
                let mark = marks.iter().find(|c| *c == column).or_else(|| marks.iter().find(|c| c.name == column.name));
                named(Expr::Column(mark.unwrap_or(column).clone()), column)
            });
            let exprs: Vec<Expr> = exprs.chain([Expr::Column(observer.clone())]).collect();
            let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
            AsOf { plan, columns, observer, spine }
        }
        _ => rewriter.finish(plan, columns, &observer.name, spine)?,
    };
    let rest = left_over(binding, &[&own]);
    let joined = if spine == SpineKind::Keyed { rewriter.restrict(joined, &rest)? } else { joined };
    Ok(Relation::AsOf(joined))
}

/// The relation with all its columns under one qualifier: a mark takes its qualifier from the first column of the side that is
/// looked up, and DataFusion's optimizer may leave out that very column.
fn under_one_name(rewriter: &Rewriter, found: LogicalPlan, on: Vec<Expr>) -> Outcome<(LogicalPlan, Vec<Expr>)> {
    let alias = rewriter.fresh("m");
    let columns = found.schema().columns();
    let named: Vec<Column> =
        (0..columns.len()).map(|i| Column::new(Some(alias.as_str()), format!("__backcast_m{i}"))).collect();
    let exprs = columns.iter().zip(&named).map(|(c, name)| Expr::Column(c.clone()).alias(&name.name));
    let plan = LogicalPlanBuilder::from(found).project(exprs.collect::<Vec<_>>())?.alias(alias.as_str())?.build()?;
    let renamed = |expr: Expr| {
        expr.transform_up(|e| {
            let position = match &e {
                Expr::Column(c) => columns.iter().position(|own| own == c),
                _ => None,
            };
            Ok(position.map_or_else(|| Transformed::no(e), |i| Transformed::yes(Expr::Column(named[i].clone()))))
        })
        .data()
    };
    let on = on.into_iter().map(renamed).collect::<Result<Vec<_>, _>>()?;
    Ok((plan, on))
}

/// Both sides keep their rows: they meet at the same observer.
///
/// A key that is the first known of the two sides of an equality (`coalesce(a.k, b.k)` with `a.k = b.k`) binds both: a row of
/// one side has the key iff the rows that it can meet have it. Any other key is bound above.
fn full(rewriter: &Rewriter, join: &Join, binding: &Binding) -> Outcome {
    let columns = join.schema.columns();
    let (mut lb, mut rb) = (Binding::new(), Binding::new());
    for (expr, key) in binding {
        if let Some((l, r)) = join.on.iter().find(|(l, r)| join_keys_of(expr, join, l, r)) {
            lb.push((l.clone(), *key));
            rb.push((r.clone(), *key));
        }
    }
    let left = rewriter.as_of_below(&join.left, &lb)?;
    let right = rewriter.as_of_below(&join.right, &rb)?;
    let spine = left.spine;
    // Conditions are only asked of two rows that meet, which have one observer.
    let on = meeting_conditions(rewriter, join, &left, &right, &left.observer(), spine)?;
    let (l, r) = (left.observer(), right.observer());
    let plan = join_on(left.plan, right.plan, JoinType::Full, on)?;
    let name = rewriter.fresh("s");
    let observer = when(l.clone().is_not_null(), l).otherwise(r)?.alias(&name);
    let exprs: Vec<Expr> = columns.iter().cloned().map(Expr::Column).chain([observer]).collect();
    let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
    let joined = AsOf { plan, columns, observer: Column::new_unqualified(name), spine };
    let rest = left_over(binding, &[&lb]);
    let joined = if spine == SpineKind::Keyed { rewriter.restrict(joined, &rest)? } else { joined };
    Ok(Relation::AsOf(joined))
}

/// Whether `expr` is the first known of `left` and `right`, which are equal where both are known.
fn join_keys_of(expr: &Expr, join: &Join, left: &Expr, right: &Expr) -> bool {
    let about_rows = |e: &Expr| !columns_of(e).is_empty() && !mentions_time(e);
    let (l, r) = (first_known(left), first_known(right));
    let either = [[l.clone(), r.clone()].concat(), [r, l].concat()];
    join.null_equality == NullEquality::NullEqualsNothing
        && about_rows(left)
        && about_rows(right)
        && either.contains(&first_known(expr))
}

/// The arguments of `coalesce`, or of the `CASE` that DataFusion makes of it; any other expression is its own.
fn first_known(expr: &Expr) -> Vec<Expr> {
    match expr {
        Expr::ScalarFunction(call) if matches!(call.func.name(), "coalesce" | "nvl") => {
            call.args.iter().flat_map(first_known).collect()
        }
        Expr::Case(case) if case.expr.is_none() => {
            let mut args = Vec::new();
            for (when, then) in &case.when_then_expr {
                match when.as_ref() {
                    Expr::IsNotNull(tested) if tested == then => args.extend(first_known(then)),
                    _ => return vec![expr.clone()],
                }
            }
            match &case.else_expr {
                Some(last) => args.extend(first_known(last)),
                None => return vec![expr.clone()],
            }
            args
        }
        other => vec![other.clone()],
    }
}

/// The join that gives the same rows among those that satisfy the binding: a row without a match has NULL on the other
/// side, and a key that is a column there never equals NULL.
fn narrowed(join: &Join, binding: &Binding) -> JoinType {
    let names = |schema: &DFSchema| {
        binding.iter().any(|(expr, _)| matches!(expr, Expr::Column(column) if schema.has_column(column)))
    };
    match (join.join_type, names(join.left.schema()), names(join.right.schema())) {
        (JoinType::Full, true, true) | (JoinType::Left, _, true) | (JoinType::Right, true, _) => JoinType::Inner,
        (JoinType::Full, true, false) => JoinType::Left,
        (JoinType::Full, false, true) => JoinType::Right,
        (unchanged, _, _) => unchanged,
    }
}

/// The join's conditions, and those of the rows that are looked up, at the observer of the row that looks.
fn look_up_conditions(rewriter: &Rewriter, join: &Join, rows: &AsOf, found: &Live) -> Outcome<Vec<Expr>> {
    let all = conditions(join).into_iter().chain(found.conditions.iter().cloned());
    all.map(|condition| rewriter.at(condition, rows.spine, &rows.observer())).collect()
}

/// The join's conditions, and that both rows are at one observer, or at one T where one side is timed.
fn meeting_conditions(
    rewriter: &Rewriter,
    join: &Join,
    a: &AsOf,
    b: &AsOf,
    observer: &Expr,
    spine: SpineKind,
) -> Outcome<Vec<Expr>> {
    let together = if a.spine == b.spine {
        a.observer().eq(b.observer())
    } else {
        let number = |r: &AsOf| rewriter.spine(r.spine).time_number_of(r.observer());
        number(a).eq(number(b))
    };
    let own = conditions(join).into_iter().map(|condition| rewriter.at(condition, spine, observer));
    std::iter::once(Ok(together)).chain(own).collect()
}

fn join_on(left: LogicalPlan, right: LogicalPlan, join_type: JoinType, on: Vec<Expr>) -> Outcome<LogicalPlan> {
    let builder = LogicalPlanBuilder::from(left);
    Ok(match (join_type, conjunction(on.clone())) {
        (JoinType::Inner, None) => builder.cross_join(right)?.build()?,
        (_, None) => builder.join_on(right, join_type, [lit(true)])?.build()?,
        _ => builder.join_on(right, join_type, on)?.build()?,
    })
}
