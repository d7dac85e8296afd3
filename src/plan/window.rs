//! `Window`: partitioned by the observer too.
//!
//! ```text
//! ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY ts DESC)
//!     => ROW_NUMBER() OVER (PARTITION BY observer, user_id ORDER BY ts DESC)
//! ```
//!
//! `LAG` and `LEAD` take a literal for what to give where there is no such row. Where that is `NOW()` it is chosen above them:
//!
//! ```text
//! lag(x, 1, $NOW)    =>    CASE WHEN lag(true, 1, false) THEN lag(x, 1) ELSE T END
//! ```
//!
//! Where only the rows numbered 1 are wanted, and the rows below are live, a sweep finds them (see [`super::fuse`]).
//!
//! A key goes below only where every window is partitioned by its columns: else rows of other keys count. The other keys are
//! compared above.

use datafusion::common::Column;
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, LogicalPlanBuilder, Operator, Window, WindowFunctionDefinition, lit, when,
};

use crate::plan::fuse;
use crate::plan::relation::{Relation, mentions_time};
use crate::plan::rewriter::{Binding, Outcome, Rewriter, Unsupported, columns_of, named, unaliased, with_windows};

pub(super) fn rewrite(rewriter: &Rewriter, window: &Window, binding: &Binding) -> Outcome {
    rewrite_rows(rewriter, window, binding, false)
}

/// `predicate` stands above and leaves the rows that a single `row_number()` numbers 1: only those have to be there.
pub(super) fn rewrite_filtered(rewriter: &Rewriter, window: &Window, predicate: &Expr, binding: &Binding) -> Outcome {
    rewrite_rows(rewriter, window, binding, rewriter.options.sweeping && leaves_first(window, predicate))
}

fn leaves_first(window: &Window, predicate: &Expr) -> bool {
    let own = window.input.schema().fields().len();
    let ([call], Some(number)) = (window.window_expr.as_slice(), window.schema.columns().into_iter().nth(own)) else {
        return false;
    };
    let Expr::WindowFunction(call) = unaliased(call) else { return false };
    let plain = call.params.filter.is_none() && call.params.null_treatment.is_none() && !call.params.distinct;
    let is_number = |e: &Expr| matches!(e, Expr::Column(c) if *c == number);
    let first = |condition: &Expr| {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return false };
        let (op, bound) = match (left.as_ref(), right.as_ref()) {
            (n, Expr::Literal(bound, _)) if is_number(n) => (Some(*op), bound),
            (Expr::Literal(bound, _), n) if is_number(n) => (op.swap(), bound),
            _ => return false,
        };
        matches!(
            (op, bound.to_string().as_str()),
            (Some(Operator::Eq | Operator::LtEq), "1") | (Some(Operator::Lt), "2")
        )
    };
    call.fun.name() == "row_number" && plain && split_conjunction(predicate).into_iter().any(first)
}

fn rewrite_rows(rewriter: &Rewriter, window: &Window, binding: &Binding, first_only: bool) -> Outcome {
    let calls = window.window_expr.iter().map(call).collect::<Outcome<Vec<_>>>()?;
    let partitioned = |expr: &Expr| {
        let columns = columns_of(expr);
        calls.iter().all(|c| columns.iter().all(|column| c.params.partition_by.contains(&Expr::Column(column.clone()))))
    };
    let (below, rest): (Binding, Binding) = binding.iter().cloned().partition(|(expr, _)| partitioned(expr));
    let input = rewriter.rewrite(&window.input, &below)?;
    if let (Relation::Live(live), [call], true) = (&input, calls.as_slice(), first_only) {
        match fuse::fuse_first(rewriter, window, call, live, &below)? {
            Ok(rows) => {
                rewriter.swept();
                return rewriter.narrow(Relation::AsOf(rows), &rest);
            }
            Err(reason) => rewriter.not_swept(reason),
        }
    }
    let mut input = rewriter.as_of(input, &below)?;
    let observer = input.observer();
    let columns = window.schema.columns();
    let own = window.input.schema().fields().len();
    let mut exprs = Vec::with_capacity(calls.len());
    let mut outputs: Vec<Expr> = columns[..own].iter().cloned().map(Expr::Column).chain([observer.clone()]).collect();
    let mut late = false;
    for (call, column) in calls.into_iter().zip(&columns[own..]) {
        let mut add = |call: WindowFunction, column: Column| -> Outcome<()> {
            let bound = rewriter.at(Expr::from(call), input.spine, &observer)?;
            let Expr::WindowFunction(mut function) = bound else {
                return Err(Unsupported::Operator(format!("`{bound}` as a window function")));
            };
            function.params.partition_by.insert(0, observer.clone());
            exprs.push((Expr::from(*function), column));
            Ok(())
        };
        let Some((found, value, default)) = with_late_default(&call) else {
            add(call, column.clone())?;
            outputs.push(Expr::Column(column.clone()));
            continue;
        };
        late = true;
        let [there, kept] = ["l", "v"].map(|stem| Column::new_unqualified(rewriter.fresh(stem)));
        let known = match found {
            Some(found) => {
                add(found, there.clone())?;
                Expr::Column(there)
            }
            None => Expr::Column(kept.clone()).is_not_null(),
        };
        add(value, kept.clone())?;
        let default = rewriter.at(default, input.spine, &observer)?;
        outputs.push(named(when(known, Expr::Column(kept)).otherwise(default)?, column));
    }
    input.plan = with_windows(input.plan, exprs)?;
    if late {
        input.plan = LogicalPlanBuilder::from(input.plan).project(outputs)?.build()?;
    }
    let name = input.observer.name.clone();
    let windowed = rewriter.finish(input.plan, columns, &name, input.spine)?;
    rewriter.narrow(Relation::AsOf(windowed), &rest)
}

fn call(expr: &Expr) -> Outcome<WindowFunction> {
    match unaliased(expr) {
        Expr::WindowFunction(function) => Ok(function.as_ref().clone()),
        other => Err(Unsupported::Operator(format!("`{other}` as a window function"))),
    }
}

/// `LAG` or `LEAD` with a default that names the label time: whether there is such a row (`None`: where it has a value),
/// its value, and the default.
fn with_late_default(call: &WindowFunction) -> Option<(Option<WindowFunction>, WindowFunction, Expr)> {
    let WindowFunctionDefinition::WindowUDF(function) = &call.fun else { return None };
    let [value, offset, default] = call.params.args.as_slice() else { return None };
    if !matches!(function.name(), "lag" | "lead") || !mentions_time(default) {
        return None;
    }
    let mut plain = call.clone();
    plain.params.args = vec![value.clone(), offset.clone()];
    // The row that is looked for has a value: where there is none, there is no such row.
    if call.params.null_treatment == Some(NullTreatment::IgnoreNulls) {
        return Some((None, plain, default.clone()));
    }
    let mut found = call.clone();
    found.params.args = vec![lit(true), offset.clone(), lit(false)];
    Some((Some(found), plain, default.clone()))
}
