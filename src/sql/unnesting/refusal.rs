//! What can't be unnested, with a number, a reason and a way out.

use std::ops::ControlFlow;

use datafusion::common::{Column, DataFusionError, Span};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Query, Spanned, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer;

use crate::finding::Place;
use crate::sql::parse::Statement;
use crate::sql::unnesting::references::{first_span, span_of};

/// A subquery that is refused. Travels through DataFusion as an external error.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
    pub help: &'static str,
    /// Somewhere in the subquery.
    pub span: Option<Span>,
}

impl Refusal {
    /// The innermost subquery of the statement around the span.
    pub fn place(&self, statement: &Statement) -> Option<Place> {
        let start = self.span?.start;
        let mut within = Within { line: start.line, column: start.column, found: None };
        let _ = statement.query.visit(&mut within);
        statement.text.place(within.found?)
    }
}

struct Within {
    line: u64,
    column: u64,
    found: Option<tokenizer::Span>,
}

impl Visitor for Within {
    type Break = ();

    /// Queries come before those that they hold: the last that fits is the innermost.
    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let span = query.span();
        let (start, end) = ((span.start.line, span.start.column), (span.end.line, span.end.column));
        if start <= (self.line, self.column) && (self.line, self.column) <= end {
            self.found = Some(span);
        }
        ControlFlow::Continue(())
    }
}

impl From<Refusal> for DataFusionError {
    fn from(refusal: Refusal) -> Self {
        DataFusionError::External(Box::new(refusal))
    }
}

/// B165: the outer column is not there where the subquery stands.
pub(super) fn not_visible(column: &Column, subquery: &LogicalPlan) -> DataFusionError {
    let message = format!("the subquery names `{column}`, which its outer query does not have at that point");
    let help = "outside aggregates, name a column of the outer query's GROUP BY; a subquery sees no columns that were \
                dropped or computed before";
    Refusal { code: "B165", message, help, span: span_of(subquery, column) }.into()
}

/// B166: a condition of an outer join with a subquery over columns of both sides.
pub(super) fn both_sides(subquery: Option<Span>) -> DataFusionError {
    let message = "a subquery in the condition of an outer join names columns of both sides, or of the side it may not"
        .to_string();
    let help = "join the subquery's relation first, or move the condition to one side's own subquery in FROM";
    Refusal { code: "B166", message, help, span: subquery }.into()
}

/// B167: an operator that can't be evaluated for many outer rows at once.
pub(super) fn operator(what: &str, subquery: &LogicalPlan) -> DataFusionError {
    let help = "compute it in a subquery in FROM or in a view of its own, and join with it";
    let message = format!("{what} can't stand in a correlated subquery");
    Refusal { code: "B167", message, help, span: first_span(subquery) }.into()
}

/// B168: an aggregate in a subquery over columns of the outer query alone.
pub(super) fn outer_aggregate(aggregate: &str, subquery: &LogicalPlan) -> DataFusionError {
    let message = format!("`{aggregate}` in a subquery aggregates columns of the outer query alone");
    let help = "SQL means an aggregate of the outer query: compute it there, and name its result in the subquery";
    Refusal { code: "B168", message, help, span: first_span(subquery) }.into()
}

/// B169: a place in which no subquery can stand.
pub(super) fn place(operator: &str, span: Option<Span>) -> DataFusionError {
    let message = format!("a correlated subquery can't stand in {operator}");
    let help = "compute it in the SELECT list of a subquery in FROM, and use its column";
    Refusal { code: "B169", message, help, span }.into()
}
