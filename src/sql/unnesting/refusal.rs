//! What can't be unnested, with a number, a reason and a way out.

use datafusion::common::{Column, DataFusionError, Span};
use datafusion::logical_expr::LogicalPlan;

use crate::diagnostics;
use crate::sql::refusal::Refusal;
use crate::sql::unnesting::references::{first_span, span_of};

/// B165: the outer column is not there where the subquery stands.
pub(super) fn not_visible(column: &Column, subquery: &LogicalPlan) -> DataFusionError {
    let message = format!("the subquery names `{column}`, which its outer query does not have at that point");
    let help = "outside aggregates, name a column of the outer query's GROUP BY; a subquery sees no columns that were \
                dropped or computed before";
    Refusal::of_subquery(span_of(subquery, column), diagnostics::B165, message, help)
}

/// B166: a condition of an outer join with a subquery over columns of both sides.
pub(super) fn both_sides(subquery: Option<Span>) -> DataFusionError {
    let message = "a subquery in the condition of an outer join names columns of both sides, or of the side it may not"
        .to_string();
    let help = "join the subquery's relation first, or move the condition to one side's own subquery in FROM";
    Refusal::of_subquery(subquery, diagnostics::B166, message, help)
}

/// B167: an operator that can't be evaluated for many outer rows at once.
pub(super) fn operator(what: &str, subquery: &LogicalPlan) -> DataFusionError {
    let help = "compute it in a subquery in FROM or in a view of its own, and join with it";
    let message = format!("{what} can't stand in a correlated subquery");
    Refusal::of_subquery(first_span(subquery), diagnostics::B167, message, help)
}

/// B168: an aggregate in a subquery over columns of the outer query alone.
pub(super) fn outer_aggregate(aggregate: &str, subquery: &LogicalPlan) -> DataFusionError {
    let message = format!("`{aggregate}` in a subquery aggregates columns of the outer query alone");
    let help = "SQL means an aggregate of the outer query: compute it there, and name its result in the subquery";
    Refusal::of_subquery(first_span(subquery), diagnostics::B168, message, help)
}

/// B169: a place in which no subquery can stand.
pub(super) fn place(operator: &str, span: Option<Span>) -> DataFusionError {
    let message = format!("a correlated subquery can't stand in {operator}");
    let help = "compute it in the SELECT list of a subquery in FROM, and use its column";
    Refusal::of_subquery(span, diagnostics::B169, message, help)
}
