//! `Window`: partitioned by the observer too.
//!
//! ```text
//! ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY ts DESC)
//!     => ROW_NUMBER() OVER (PARTITION BY observer, user_id ORDER BY ts DESC)
//! ```
//!
//! A binding goes below only where every window is partitioned by the bound columns: else rows of other keys count.

use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, Window};

use crate::plan::relation::Relation;
use crate::plan::rewriter::{Binding, Outcome, Rewriter, Unsupported, columns_of, unaliased, with_windows};

pub(super) fn rewrite(rewriter: &Rewriter, window: &Window, binding: &Binding) -> Outcome {
    let calls = window.window_expr.iter().map(call).collect::<Outcome<Vec<_>>>()?;
    let partitioned = |expr: &Expr| {
        let columns = columns_of(expr);
        calls.iter().all(|c| columns.iter().all(|column| c.params.partition_by.contains(&Expr::Column(column.clone()))))
    };
    let below: Binding = if binding.iter().all(|(expr, _)| partitioned(expr)) { binding.clone() } else { Vec::new() };
    let mut input = rewriter.as_of_below(&window.input, &below)?;
    let observer = input.observer();
    let columns = window.schema.columns();
    let own = window.input.schema().fields().len();
    let mut exprs = Vec::with_capacity(calls.len());
    for (call, column) in calls.into_iter().zip(&columns[own..]) {
        let bound = rewriter.at(Expr::from(call), input.spine, &observer)?;
        let Expr::WindowFunction(mut function) = bound else {
            return Err(Unsupported::Operator(format!("`{bound}` as a window function")));
        };
        function.params.partition_by.insert(0, observer.clone());
        exprs.push((Expr::from(*function), column.clone()));
    }
    input.plan = with_windows(input.plan, exprs)?;
    let name = input.observer.name.clone();
    Ok(Relation::AsOf(rewriter.finish(input.plan, columns, &name, input.spine)?))
}

fn call(expr: &Expr) -> Outcome<WindowFunction> {
    match unaliased(expr) {
        Expr::WindowFunction(function) => Ok(function.as_ref().clone()),
        other => Err(Unsupported::Operator(format!("`{other}` as a window function"))),
    }
}
