//! What can't be replayed, found in the syntax before anything is planned: reason, place, and a way out.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, ObjectName, Query, Spanned, TableFactor, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer::{Span, TokenWithSpan};

use crate::diagnostics;
use crate::finding::Finding;
use crate::sql::parse::{SqlText, is_word};
use crate::sql::unlike::{Unlike, unlike};

/// What the parser does not even read, refused with a better reason than its own.
pub(super) fn unparsed(text: &SqlText, tokens: &[TokenWithSpan]) -> Option<Finding> {
    let word = |i: usize, w: &str| tokens.get(i).is_some_and(|t| is_word(&t.token, w));
    for (i, token) in tokens.iter().enumerate() {
        let place = || text.place(token.span);
        if word(i, "system_time") && i > 0 && word(i - 1, "for") {
            let help = "join with the source's rows as of `NOW()`: every source already shows what was known then";
            return Some(
                Finding::error("a processing-time temporal join can't be replayed")
                    .code(diagnostics::B105)
                    .at(place())
                    .help(help),
            );
        }
    }
    None
}

/// Everything in the query that can't be replayed.
pub(super) fn refuse(text: &SqlText, query: &Query, volatile: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut refusal = Refusal { text, volatile, findings: Vec::new() };
    let _ = query.visit(&mut refusal);
    refusal.findings
}

struct Refusal<'a> {
    text: &'a SqlText,
    volatile: &'a dyn Fn(&str) -> bool,
    findings: Vec<Finding>,
}

impl Refusal<'_> {
    fn numbered(&mut self, code: &'static str, span: Span, message: impl Into<String>, help: &str) {
        self.findings.push(Finding::error(message).code(code).at(self.text.place(span)).help(help));
    }

    /// The shared column of `RIGHT` and `FULL JOIN … USING` is the first known of both sides. DataFusion 55 takes the left side's.
    fn joins(&mut self, joins: &[ast::Join]) {
        use ast::{JoinConstraint, JoinOperator};
        for join in joins {
            let (kind, constraint) = match &join.join_operator {
                JoinOperator::Right(c) | JoinOperator::RightOuter(c) => ("RIGHT", c),
                JoinOperator::FullOuter(c) => ("FULL", c),
                _ => continue,
            };
            let clause = match constraint {
                JoinConstraint::Using(_) => format!("`{kind} JOIN … USING`"),
                JoinConstraint::Natural => format!("`NATURAL {kind} JOIN`"),
                _ => continue,
            };
            let message =
                format!("{clause} can't be replayed: DataFusion takes the left side's column for the shared one");
            let help = "join `ON a.k = b.k`, and select `coalesce(a.k, b.k) AS k`";
            let finding = Finding::error(message).at(self.text.place(join.relation.span())).help(help);
            self.findings.push(finding.code(diagnostics::B160));
        }
    }
}

impl Visitor for Refusal<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = query.with.as_ref().filter(|with| with.recursive) {
            let help = "write the levels that you need as ordinary CTEs";
            self.numbered(diagnostics::B106, with.with_token.0.span, "a recursive CTE can't be replayed", help);
        }
        if !query.locks.is_empty() {
            self.numbered(
                diagnostics::B108,
                query.span(),
                "`FOR UPDATE` and `FOR SHARE` have no meaning in a replay",
                "remove the clause",
            );
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<()> {
        if let Some(into) = &select.into {
            self.numbered(
                diagnostics::B109,
                into.name.span(),
                "`SELECT INTO` writes: a feature view only reads",
                "remove the INTO clause",
            );
        }
        for table in &select.from {
            self.joins(&table.joins);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let only = "read the declared sources and views; declare a file as a source to read it";
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.numbered(
                    diagnostics::B110,
                    name.span(),
                    format!("the table function `{name}` can't be replayed"),
                    only,
                );
            }
            TableFactor::TableFunction { expr, .. } => {
                self.numbered(diagnostics::B110, expr.span(), "a table function can't be replayed", only);
            }
            TableFactor::Table { name, version: Some(_), .. } => {
                let help = "every source already shows what was known at NOW(): remove the clause";
                self.numbered(diagnostics::B105, name.span(), format!("`{name}` is read as of another time"), help);
            }
            TableFactor::Table { name, sample: Some(_), .. } => {
                self.numbered(
                    diagnostics::B112,
                    name.span(),
                    format!("a sample of `{name}` is not the same twice"),
                    "filter by a hash of a key",
                );
            }
            TableFactor::NestedJoin { table_with_joins, .. } => self.joins(&table_with_joins.joins),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
        if let Some(Unlike { code, span, message, help }) = unlike(expr) {
            self.findings.push(Finding::error(message).code(code).at(self.text.place(span)).help(help));
            return ControlFlow::Continue(());
        }
        match expr {
            ast::Expr::Function(call) if (self.volatile)(&last_part(&call.name)) => {
                let message = format!("`{}` gives another value at every call", call.name);
                self.numbered(
                    diagnostics::B113,
                    call.name.span(),
                    message,
                    "use a hash of a key, or a column that the events carry",
                );
            }
            ast::Expr::Value(v) if matches!(v.value, ast::Value::Placeholder(_)) => {
                self.numbered(
                    diagnostics::B114,
                    v.span,
                    format!("the parameter `{}` has no value", v.value),
                    "write the value into the SQL",
                );
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The last part of a possibly qualified name, in lower case.
pub(in crate::sql) fn last_part(name: &ObjectName) -> String {
    name.0.last().and_then(ast::ObjectNamePart::as_ident).map_or_else(String::new, |i| i.value.to_lowercase())
}
