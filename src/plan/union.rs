//! `Union`: of the inputs' rows at each observer.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Union};

use crate::plan::relation::{AsOf, Relation};
use crate::plan::rewriter::{Binding, Outcome, Rewriter, Unsupported, named, substituted};
use crate::plan::spine::SpineKind;

pub(super) fn rewrite(rewriter: &Rewriter, union: &Union, binding: &Binding) -> Outcome {
    let columns = union.schema.columns();
    let mut parts: Vec<AsOf> = Vec::with_capacity(union.inputs.len());
    for input in &union.inputs {
        let inner = input.schema().columns().into_iter().map(Expr::Column);
        let outputs: Vec<(Column, Expr)> = columns.iter().cloned().zip(inner).collect();
        let below = substituted(binding, &outputs).unwrap_or_default();
        let rows = rewriter.rewrite(input, &below)?;
        // All parts have to have the same observers, and have: a key that is a column here is one of every part.
        parts.push(if below.is_empty() { rewriter.as_of(rows, &below)? } else { rewriter.bind(rows, &below)? });
    }
    let spine = parts.first().map_or(SpineKind::Timed, |p| p.spine);
    if parts.iter().any(|p| p.spine != spine) {
        return Err(Unsupported::Operator("a union whose parts know the key in different ways".to_string()));
    }
    let observer = rewriter.fresh("s");
    let mut plans = Vec::with_capacity(parts.len());
    for part in parts {
        let own = part.columns.iter().zip(&columns);
        let mut exprs: Vec<Expr> = own.map(|(from, to)| Expr::Column(from.clone()).alias(&to.name)).collect();
        exprs.push(part.observer().alias(&observer));
        plans.push(Arc::new(LogicalPlanBuilder::from(part.plan).project(exprs)?.build()?));
    }
    let united = datafusion::logical_expr::LogicalPlan::Union(Union::try_new_with_loose_types(plans)?);
    let fields = united.schema().columns();
    let mut exprs: Vec<Expr> =
        columns.iter().zip(&fields).map(|(to, from)| named(Expr::Column(from.clone()), to)).collect();
    exprs.push(
        fields
            .last()
            .cloned()
            .map_or_else(|| Expr::Column(Column::new_unqualified(&observer)), Expr::Column)
            .alias(&observer),
    );
    let plan = LogicalPlanBuilder::from(united).project(exprs)?.build()?;
    Ok(Relation::AsOf(AsOf { plan, columns, observer: Column::new_unqualified(observer), spine }))
}
