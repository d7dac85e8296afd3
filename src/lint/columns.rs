//! What lints ask of expressions: plain columns, and where they stand in the text.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Span};
use datafusion::logical_expr::Expr;

use crate::finding::Place;
use crate::sql::SqlText;

/// The column that an expression is, under aliases.
pub(super) fn plain(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => plain(&alias.expr),
        _ => None,
    }
}

/// Where an expression stands: from its first column to its last. `None` where it has no column of the text.
pub(super) fn place(text: &SqlText, exprs: &[&Expr]) -> Option<Place> {
    let mut spans: Vec<Span> = Vec::new();
    for expr in exprs {
        let walked = expr.apply(|e| {
            match e {
                Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => spans.extend(column.spans().first()),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        walked.ok()?;
    }
    let place = text.place_of(Span::union_iter(spans)?)?;
    // A span of another file would lead astray.
    (!place.text.is_empty()).then_some(place)
}
