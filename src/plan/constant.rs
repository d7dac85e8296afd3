//! `VALUES` and the empty relation: rows that count always.
//!
//! ```text
//! Values: (1, $NOW), (2, $NOW - 1 day)    =>    Projection: column1, CASE row WHEN 0 THEN T WHEN 1 THEN T - 1 day END
//!                                                 Cross Join: spine, Values: (0, 1), (1, 2)
//! ```

use datafusion::common::Column;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Values, cast, lit};

use crate::plan::projection::project;
use crate::plan::relation::{Live, Relation, mentions_time};
use crate::plan::rewriter::{Binding, Outcome, Rewriter};

pub(super) fn rewrite_empty(plan: &LogicalPlan) -> Relation {
    constant(plan.clone())
}

pub(super) fn rewrite_values(rewriter: &Rewriter, values: &Values) -> Outcome {
    if !values.values.iter().flatten().any(mentions_time) {
        return Ok(constant(LogicalPlan::Values(values.clone())));
    }
    let columns = values.schema.columns();
    let timed: Vec<bool> = (0..columns.len()).map(|i| values.values.iter().any(|row| mentions_time(&row[i]))).collect();
    let rows = values.values.iter().zip(0_i64..).map(|(row, number)| {
        let timeless = row.iter().zip(&timed).filter(|(_, timed)| !**timed).map(|(expr, _)| expr.clone());
        std::iter::once(lit(number)).chain(timeless).collect()
    });
    let table = LogicalPlanBuilder::values(rows.collect())?.build()?;
    let mut found = table.schema().columns().into_iter().map(Expr::Column);
    let row = found.next().unwrap_or_else(|| lit(0_i64));
    let mut outputs: Vec<(Column, Expr)> = Vec::with_capacity(columns.len());
    for (i, column) in columns.into_iter().enumerate() {
        let data_type = values.schema.field(i).data_type();
        let expr = match timed[i] {
            false => found.next().unwrap_or_else(|| lit(datafusion::common::ScalarValue::Null)),
            true => {
                let cell = |(number, row): (i64, &Vec<Expr>)| {
                    (Box::new(lit(number)), Box::new(cast(row[i].clone(), data_type.clone())))
                };
                Expr::Case(Case {
                    expr: Some(Box::new(row.clone())),
                    when_then_expr: (0_i64..).zip(&values.values).map(cell).collect(),
                    else_expr: None,
                })
            }
        };
        outputs.push((column, cast(expr, data_type.clone())));
    }
    project(rewriter, constant(table), &Binding::new(), outputs)
}

fn constant(plan: LogicalPlan) -> Relation {
    let columns = plan.schema().columns();
    Relation::Live(Live { plan, columns, conditions: Vec::new(), reads: Vec::new() })
}
