//! `ASOF` and `EMIT ON WINDOW CLOSE`, taken out of the text before it is parsed.
//!
//! `EMIT …` is cut off and remembered. Of `ASOF JOIN` the word `ASOF` becomes `GLOBAL`, a keyword that the parser takes in the same
//! place and keeps in the syntax tree; there the join's condition gets a marker, by which the plan's join is known.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{self, Spanned, TableFactor, TableWithJoins, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

use crate::diagnostics;
use crate::finding::Finding;
use crate::sql::parse::{SqlText, is_keyword, is_word};

/// What was taken out of the text.
#[derive(Debug, Clone, Default)]
pub struct Clauses {
    /// The word `ASOF` of each such join, in order.
    pub asof: Vec<Span>,
    /// `EMIT ON WINDOW CLOSE`.
    pub on_close: Option<Span>,
}

/// Why a clause can't become a plan: a refusal, or a plan that could not be built.
#[derive(Debug)]
pub enum Refused {
    Because(Box<Finding>),
    Plan(DataFusionError),
}

impl From<DataFusionError> for Refused {
    fn from(error: DataFusionError) -> Self {
        Self::Plan(error)
    }
}

impl From<Finding> for Refused {
    fn from(finding: Finding) -> Self {
        Self::Because(Box::new(finding))
    }
}

const ASOF_HELP: &str =
    "write `a ASOF JOIN b ON a.k = b.k AND a.t >= b.t`, or `ASOF LEFT JOIN` to keep rows without a match";

/// Takes the clauses out of the tokens.
pub(in crate::sql) fn take(text: &SqlText, tokens: &mut Vec<TokenWithSpan>) -> Result<Clauses, Finding> {
    let mut clauses = Clauses::default();
    let mut depth = 0_usize;
    let mut cut = None;
    for i in 0..tokens.len() {
        let at = |n: usize| tokens.get(i + n).map(|t| &t.token);
        let word = |n: usize, w: &str| at(n).is_some_and(|t| is_word(t, w));
        let keyword = |n: usize, k: Keyword| at(n).is_some_and(|t| is_keyword(t, k));
        let refused = |what: &str, help: &str, code| {
            let what = format!("{what} can't be replayed");
            Err(Finding::error(what).code(code).at(text.place(tokens[i].span)).help(help))
        };
        match at(0) {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth = depth.saturating_sub(1),
            _ => {}
        }
        let on_close = word(0, "emit") && word(1, "on") && word(2, "window") && word(3, "close");
        if on_close || word(0, "emit") && word(1, "immediately") {
            let end = i + if on_close { 4 } else { 2 };
            let last = tokens[end..].iter().all(|t| t.token == Token::SemiColon);
            if depth > 0 || !last {
                let finding = Finding::error("`EMIT` belongs at the end of the statement").code(diagnostics::B143);
                return Err(finding.at(text.place(tokens[i].span)).help(
                    "make the query that emits a view of its own, with the clause after it, and read that view",
                ));
            }
            let span = Span::new(tokens[i].span.start, tokens[end - 1].span.end);
            clauses.on_close = on_close.then_some(span);
            cut = Some(i..end);
            continue;
        }
        let joins = |n: usize| {
            keyword(n, Keyword::JOIN)
                || [Keyword::INNER, Keyword::LEFT].iter().any(|k| keyword(n, *k))
                    && (keyword(n + 1, Keyword::JOIN)
                        || keyword(n + 1, Keyword::OUTER) && keyword(n + 2, Keyword::JOIN))
        };
        if word(0, "asof") && joins(1) {
            clauses.asof.push(tokens[i].span);
            let Token::Word(Word { value, .. }) = &tokens[i].token else { continue };
            let word = Word { value: value.clone(), quote_style: None, keyword: Keyword::GLOBAL };
            tokens[i].token = Token::Word(word);
        } else if word(0, "asof") && [Keyword::RIGHT, Keyword::FULL].iter().any(|k| keyword(1, *k)) {
            return refused("an ASOF join that keeps the rows of its right side", ASOF_HELP, diagnostics::B148);
        } else if word(0, "match_condition") && at(1) == Some(&Token::LParen) {
            let help = format!("its condition belongs into ON: {ASOF_HELP}");
            return refused("`MATCH_CONDITION`", &help, diagnostics::B148);
        } else if word(0, "global") && joins(1) {
            return refused("`GLOBAL JOIN`", "remove the word `GLOBAL`", diagnostics::B148);
        }
    }
    if let Some(cut) = cut {
        tokens.drain(cut);
    }
    Ok(clauses)
}

/// Marks the conditions of ASOF joins.
pub(in crate::sql) fn mark_joins(text: &SqlText, query: &mut ast::Query, clauses: &Clauses) -> Vec<Finding> {
    let mut marks = Marks { text, clauses, findings: Vec::new() };
    let _ = query.visit(&mut marks);
    marks.findings
}

struct Marks<'a> {
    text: &'a SqlText,
    clauses: &'a Clauses,
    findings: Vec<Finding>,
}

impl Marks<'_> {
    fn mark(&mut self, tables: &mut TableWithJoins) {
        use ast::JoinOperator::{Inner, Join, Left, LeftOuter};
        for join in &mut tables.joins {
            if !std::mem::take(&mut join.global) {
                continue;
            }
            // The word stands before the relation, and after all that stands before the join.
            let start = join.relation.span().start;
            let number = self.clauses.asof.iter().rposition(|span| span.start < start).unwrap_or(0);
            match &mut join.join_operator {
                Join(ast::JoinConstraint::On(on))
                | Inner(ast::JoinConstraint::On(on))
                | Left(ast::JoinConstraint::On(on))
                | LeftOuter(ast::JoinConstraint::On(on)) => {
                    let condition = ast::Expr::Nested(Box::new(on.clone()));
                    *on = ast::Expr::BinaryOp {
                        left: Box::new(condition),
                        op: ast::BinaryOperator::And,
                        right: Box::new(mark(number)),
                    };
                }
                _ => {
                    let at = self.clauses.asof.get(number).and_then(|span| self.text.place(*span));
                    let finding = Finding::error("an ASOF join has no condition in ON").code(diagnostics::B146);
                    self.findings.push(finding.at(at).help(ASOF_HELP));
                }
            }
        }
    }
}

impl VisitorMut for Marks<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<()> {
        for tables in &mut select.from {
            self.mark(tables);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            self.mark(table_with_joins);
        }
        ControlFlow::Continue(())
    }
}

/// The name of the marker.
const MARKER: &str = "backcast_asof";

fn mark(number: usize) -> ast::Expr {
    super::tables::call(MARKER, vec![super::tables::number(number)])
}

/// The number of the ASOF join that the expression marks.
pub(super) fn marked(expr: &Expr) -> Option<usize> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let marker = (call.func.inner().as_ref() as &dyn std::any::Any).is::<Marker>();
    match call.args.as_slice() {
        [Expr::Literal(number, _)] if marker => {
            let number = number.cast_to(&DataType::UInt64).ok()?;
            match number {
                datafusion::common::ScalarValue::UInt64(Some(n)) => usize::try_from(n).ok(),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(super) fn marker() -> ScalarUDF {
    ScalarUDF::new_from_shared_impl(Arc::new(Marker { signature: Signature::any(1, Volatility::Immutable) }))
}

/// Stands in the condition of an ASOF join until the plan's join is found by it. It never runs.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Marker {
    signature: Signature,
}

impl ScalarUDFImpl for Marker {
    fn name(&self) -> &str {
        MARKER
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        exec_err!("the marker of an ASOF join was left in a plan")
    }
}
