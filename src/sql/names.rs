//! Expressions under the names that the plan above knows them by.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, TableReference};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery};

/// A column that stands for itself under the same name.
pub fn named(expr: Expr, column: &Column) -> Expr {
    if expr == Expr::Column(column.clone()) {
        return expr;
    }
    let relation: Option<TableReference> = column.relation.clone();
    expr.alias_qualified(relation, column.name.clone())
}

/// Adds window functions under the names of `columns`. DataFusion's optimizer does not bear aliases inside the operator.
pub fn with_windows(input: LogicalPlan, calls: Vec<(Expr, Column)>) -> DfResult<LogicalPlan> {
    let mut exprs: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    for (call, column) in &calls {
        exprs.push(named(Expr::Column(Column::new_unqualified(call.schema_name().to_string())), column));
    }
    // Two calls that came to be the same are computed once.
    let mut distinct: Vec<Expr> = Vec::new();
    for (call, _) in calls {
        if !distinct.contains(&call) {
            distinct.push(call);
        }
    }
    // One operator for each order: DataFusion 55 takes all calls of an operator to have the order of the first.
    let plan = LogicalPlanBuilder::window_plan(input, distinct)?;
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

/// Gives every scalar subquery a column name of its own. DataFusion 55 joins subqueries by name, and `avg(x) - (SELECT
/// avg(x) FROM t)` would give it two columns named `avg(x)`.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub fn name_subqueries(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    let count = std::cell::Cell::new(0);
    super::now::rewrite_expressions(plan, &|expr| match expr {
        Expr::ScalarSubquery(subquery) => {
            let number = count.get();
            count.set(number + 1);
            let inner = subquery.subquery.as_ref().clone();
            let columns = inner.schema().columns();
            let exprs: Vec<Expr> =
                columns.into_iter().map(|c| Expr::Column(c).alias(format!("__subquery{number}"))).collect();
            let named = LogicalPlanBuilder::from(inner).project(exprs)?.build()?;
            Ok(Transformed::yes(Expr::ScalarSubquery(Subquery { subquery: named.into(), ..subquery })))
        }
        other => Ok(Transformed::no(other)),
    })
}
