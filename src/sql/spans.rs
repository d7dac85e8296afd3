//! Where in a query's text things stand.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, ObjectName, Query, Select, SelectItem, SetExpr, Spanned, visit_relations};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::sql::parse::identifier;

/// The first relation whose last name `wanted` takes.
pub fn relation_span(query: &Query, wanted: &dyn Fn(&str) -> bool) -> Option<Span> {
    let mut span = None;
    let _ = visit_relations(query, |relation: &ObjectName| {
        let last = relation.0.last().and_then(ast::ObjectNamePart::as_ident).map(identifier);
        if last.is_some_and(|name| wanted(&name)) {
            span = Some(relation.span());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    span
}

/// The expression that gives the query's output column; `renamed` are the names that `CREATE VIEW v (...)` gives the first
/// columns. The last one, where several have the name.
fn output_expr<'a>(query: &'a Query, renamed: &[String], column: &str) -> Option<&'a ast::Expr> {
    let items = &first_select(query)?.projection;
    let item = match renamed.iter().position(|name| name == column) {
        Some(position) => items.get(position),
        None => items.iter().rev().find(|item| output_name(item).as_deref() == Some(column)),
    };
    match item? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// Where [`output_expr`] stands.
pub fn output_span(query: &Query, renamed: &[String], column: &str) -> Option<Span> {
    output_expr(query, renamed, column).map(Spanned::span)
}

/// The first output column whose name an earlier one has.
pub fn repeated_output(query: &Query) -> Option<(String, Span)> {
    let items = &first_select(query)?.projection;
    let mut names = Vec::new();
    items.iter().find_map(|item| {
        let name = output_name(item)?;
        let repeated = names.contains(&name).then(|| (name.clone(), item.span()));
        names.push(name);
        repeated
    })
}

fn first_select(query: &Query) -> Option<&Select> {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::Query(query) => body = query.body.as_ref(),
            SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            _ => return None,
        }
    }
}

fn output_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(identifier(alias)),
        SelectItem::UnnamedExpr(ast::Expr::Identifier(ident)) => Some(identifier(ident)),
        SelectItem::UnnamedExpr(ast::Expr::CompoundIdentifier(parts)) => parts.last().map(identifier),
        _ => None,
    }
}
