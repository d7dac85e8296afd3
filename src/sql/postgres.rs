//! What PostgreSQL and RisingWave write otherwise than DataFusion, and mean the same: put into DataFusion's words.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, VisitorMut};

use crate::sql::refuse::last_part;

/// Functions by another name.
pub(super) const RENAMED: [(&str, &str); 5] = [
    ("approx_count_distinct", "approx_distinct"),
    ("every", "bool_and"),
    ("sign", "signum"),
    ("variance", "var_samp"),
    ("booland_agg", "bool_and"),
];

/// Patterns of `to_char` and `to_timestamp`, longest first, with what DataFusion calls them.
const PATTERNS: [(&str, &str); 18] = [
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("YYYY", "%Y"),
    ("IYYY", "%G"),
    ("DDD", "%j"),
    ("MON", ""),
    ("DAY", ""),
    ("HH", "%I"),
    ("MI", "%M"),
    ("SS", "%S"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("YY", "%y"),
    ("IW", "%V"),
    ("ID", "%u"),
    ("MS", "%3f"),
    ("US", "%6f"),
    ("AM", ""),
];

/// The pattern in DataFusion's words; `None` where it holds one that has none, or none at all.
pub(super) fn pattern(postgres: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = postgres;
    let mut found = false;
    while let Some(c) = rest.chars().next() {
        let upper = rest.to_ascii_uppercase();
        if let Some((name, words)) = PATTERNS.iter().find(|(name, _)| upper.starts_with(name)) {
            if words.is_empty() {
                return None;
            }
            out.push_str(words);
            rest = &rest[name.len()..];
            found = true;
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = quoted.split_once('"')?;
            out.push_str(&text.replace('%', "%%"));
            rest = after;
        } else if c.is_ascii_alphabetic() {
            return None;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    found.then_some(out)
}

/// Rewrites a query.
#[derive(Debug)]
pub struct PostgresWords;

impl VisitorMut for PostgresWords {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<()> {
        // `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
        if let Some(ast::Fetch { with_ties: false, percent: false, quantity }) = &query.fetch {
            let one = || ast::Expr::value(ast::Value::Number("1".to_string(), false));
            let rows = quantity.clone().unwrap_or_else(one);
            let offset = match &mut query.limit_clause {
                None => None,
                Some(ast::LimitClause::LimitOffset { limit: None, offset, .. }) => offset.take(),
                Some(_) => return ControlFlow::Continue(()),
            };
            query.limit_clause =
                Some(ast::LimitClause::LimitOffset { limit: Some(rows), offset, limit_by: Vec::new() });
            query.fetch = None;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        match expr {
            ast::Expr::AnyOp { left, compare_op: ast::BinaryOperator::Eq, right, .. } => {
                if let ast::Expr::Subquery(subquery) = right.as_ref() {
                    let (left, subquery) = (left.clone(), subquery.clone());
                    *expr = ast::Expr::InSubquery { expr: left, subquery, negated: false };
                }
            }
            ast::Expr::AllOp { left, compare_op: ast::BinaryOperator::NotEq, right } => {
                if let ast::Expr::Subquery(subquery) = right.as_ref() {
                    let (left, subquery) = (left.clone(), subquery.clone());
                    *expr = ast::Expr::InSubquery { expr: left, subquery, negated: true };
                }
            }
            ast::Expr::BinaryOp { left, op: ast::BinaryOperator::PGOverlap, right } => {
                *expr = super::zones::call("array_has_any", vec![left.as_ref().clone(), right.as_ref().clone()]);
            }
            ast::Expr::Function(call) => {
                let name = last_part(&call.name);
                if name == "mod"
                    && let [left, right] = arguments(call).as_slice()
                {
                    let nested = |e: &ast::Expr| Box::new(ast::Expr::Nested(Box::new(e.clone())));
                    let op = ast::BinaryOperator::Modulo;
                    let rest = ast::Expr::BinaryOp { left: nested(left), op, right: nested(right) };
                    *expr = ast::Expr::Nested(Box::new(rest));
                } else if let Some((_, ours)) = RENAMED.iter().find(|(theirs, _)| *theirs == name) {
                    call.name = ast::ObjectName::from(vec![ast::Ident::new(*ours)]);
                } else if takes_pattern(&name) {
                    translate_pattern(call);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether the function's second argument is a pattern of dates.
pub(super) fn takes_pattern(name: &str) -> bool {
    matches!(name, "to_char" | "to_timestamp" | "to_date")
}

/// The pattern that is written as the second argument.
pub(super) fn written_pattern(call: &ast::Function) -> Option<String> {
    match arguments(call).get(1) {
        Some(ast::Expr::Value(v)) => v.value.clone().into_string(),
        _ => None,
    }
}

fn translate_pattern(call: &mut ast::Function) {
    let Some(ours) = written_pattern(call).filter(|p| !p.contains('%')).as_deref().and_then(pattern) else { return };
    if let ast::FunctionArguments::List(list) = &mut call.args
        && let Some(ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(ast::Expr::Value(v)))) = list.args.get_mut(1)
    {
        v.value = ast::Value::SingleQuotedString(ours);
    }
}

/// The plain arguments of a call.
fn arguments(call: &ast::Function) -> Vec<&ast::Expr> {
    let ast::FunctionArguments::List(list) = &call.args else { return Vec::new() };
    let plain = list.args.iter().map(|a| match a {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e)) => Some(e),
        _ => None,
    });
    plain.collect::<Option<_>>().unwrap_or_default()
}
