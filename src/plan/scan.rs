//! `TableScan`: a source becomes its live rows.
//!
//! ```text
//! TableScan: events [user_id, ts]    =>    live: events.user_id, events.ts, from   counts while from <= T
//! ```

use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableScan, lit};

use crate::analysis::marked_source;
use crate::plan::asked;
use crate::plan::relation::{Live, Read, Relation, instant_placeholder};
use crate::plan::rewriter::{Binding, Outcome, Rewriter, Unsupported};
use crate::source::{FROM, UNTIL, within_reach};

pub(super) fn rewrite(rewriter: &Rewriter, scan: &TableScan, binding: &Binding) -> Outcome {
    let source = marked_source(scan)
        .ok_or_else(|| Unsupported::Operator(format!("`{}` is no declared source", scan.table_name)))?;
    if !scan.filters.is_empty() {
        return Err(Unsupported::Operator(format!("a filter inside the scan of `{}`", scan.table_name)));
    }
    let log = &rewriter.logs[source];
    let all: Vec<usize> = (0..log.schema.fields().len()).collect();
    let mut wanted = scan.projection.clone().unwrap_or_else(|| all.clone());
    let columns: Vec<Column> = scan.projected_schema.columns();
    // The event time tells how far back a view looks, also where its own columns do not need it.
    let time = log.schema.index_of(&log.config.time).unwrap_or(0);
    let asked = wanted.contains(&time);
    if !asked && wanted.is_empty() {
        wanted.push(time);
    }
    let name: &TableReference = &scan.table_name;
    let plan = log.live(name, &wanted, rewriter.times.map(|t| t.1), rewriter.options.redelivery)?;
    let (from, until) = (rewriter.fresh("from"), rewriter.fresh("until"));
    let mut kept: Vec<Expr> = columns.iter().cloned().map(Expr::Column).collect();
    kept.push(Expr::Column(Column::new_unqualified(FROM)).alias(&from));
    let instant = instant_placeholder();
    let mut conditions = vec![Expr::Column(Column::new_unqualified(&from)).lt_eq(instant.clone())];
    if log.has_until() {
        kept.push(Expr::Column(Column::new_unqualified(UNTIL)).alias(&until));
        let end = Expr::Column(Column::new_unqualified(&until));
        conditions.push(end.clone().is_null().or(end.gt(instant)));
    }
    let mut plan = LogicalPlanBuilder::from(plan);
    if let Some((_, latest)) = rewriter.times {
        // No row that no label can see goes any further.
        plan = plan.filter(within_reach(Expr::Column(Column::new_unqualified(FROM)).lt_eq(lit(latest))))?;
    }
    let plan = asked::only_asked(rewriter, plan.build()?, binding)?;
    let plan = LogicalPlanBuilder::from(plan).project(kept)?.build()?;
    let event_time = asked.then(|| Column::new(Some(name.clone()), log.config.time.clone()));
    let reads = vec![Read { source, event_time }];
    Ok(Relation::Live(Live { plan, columns, conditions, reads }))
}
