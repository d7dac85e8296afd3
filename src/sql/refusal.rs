//! A refusal that is found while or after DataFusion plans, carried through its errors.

use std::fmt;
use std::ops::ControlFlow;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Span};
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{Query, Spanned, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer;

use crate::finding::{Finding, Place};
use crate::sql::parse::Statement;

/// What is refused, why, and what to write instead.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
    pub help: String,
    /// Where it stands in the SQL, as far as the plan knows.
    pub span: Option<Span>,
    /// Whether the subquery around the span is meant.
    pub of_subquery: bool,
}

impl Refusal {
    /// Of something in this expression.
    pub(super) fn in_expr(
        expr: &Expr,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> DataFusionError {
        let mut span = None;
        let _ = expr.apply(|e| match e {
            Expr::Column(column) if column.spans().first().is_some() => {
                span = column.spans().first();
                Ok(TreeNodeRecursion::Stop)
            }
            _ => Ok(TreeNodeRecursion::Continue),
        });
        Self { code, message: message.into(), help: help.into(), span, of_subquery: false }.into()
    }

    /// Of the innermost subquery around the span.
    pub(super) fn of_subquery(
        span: Option<Span>,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> DataFusionError {
        Self { code, message: message.into(), help: help.into(), span, of_subquery: true }.into()
    }

    /// The refusal that an error carries.
    pub fn of(error: &DataFusionError) -> Option<&Self> {
        match error.find_root() {
            DataFusionError::External(inner) => inner.downcast_ref(),
            _ => None,
        }
    }

    /// As a finding in the statement.
    pub fn finding(&self, statement: &Statement) -> Finding {
        let place = self.place(statement).unwrap_or_else(|| statement.text.start());
        Finding::error(&self.message).code(self.code).help(&self.help).at(place)
    }

    fn place(&self, statement: &Statement) -> Option<Place> {
        let span = self.span?;
        if !self.of_subquery {
            let at = |l: datafusion::common::Location| tokenizer::Location { line: l.line, column: l.column };
            return statement.text.place(tokenizer::Span::new(at(span.start), at(span.end)));
        }
        let mut within = Within { line: span.start.line, column: span.start.column, found: None };
        let _ = statement.query.visit(&mut within);
        statement.text.place(within.found?)
    }
}

impl From<Refusal> for DataFusionError {
    fn from(refusal: Refusal) -> Self {
        Self::External(Box::new(refusal))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

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
