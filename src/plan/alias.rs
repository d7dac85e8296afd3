//! `SubqueryAlias`: the same rows, their columns under another qualifier.

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, SubqueryAlias};

use crate::plan::projection::project;
use crate::plan::rewriter::{Binding, Outcome, Rewriter, substituted};

pub(super) fn rewrite(rewriter: &Rewriter, alias: &SubqueryAlias, binding: &Binding) -> Outcome {
    let inner = alias.input.schema().columns().into_iter().map(Expr::Column);
    let outputs: Vec<(Column, Expr)> = alias.schema.columns().into_iter().zip(inner).collect();
    let below = substituted(binding, &outputs).unwrap_or_default();
    let input = rewriter.rewrite(&alias.input, &below)?;
    project(rewriter, input, &below, outputs)
}
