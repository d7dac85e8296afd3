//! B205: a count whose group is absent where there is nothing to count, so that the feature is NULL and not 0.
//!
//! Not told: counts for keys of a changelog (their rows are there anyway), counts with `when_missing`, views without keys; nor
//! where a row can be missing for another reason than that nothing was counted: `HAVING`, an inner join, a limit.

use std::collections::BTreeSet;

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, Operator};

use crate::analysis::marked_source;
use crate::config::SourceKind;
use crate::diagnostics;
use crate::finding::Finding;
use crate::lint::Subject;
use crate::source::Log;

/// How a count can be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// The view has no row for a key without events.
    Row,
    /// The view's row is there, and an outer join found no count for it.
    Value,
}

pub(super) fn lint(subject: &Subject) -> Vec<Finding> {
    let view = subject.view;
    if view.keys.is_empty() {
        return Vec::new();
    }
    let logs = &subject.project.inputs.logs;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for feature in &view.features {
        let column = view.plan().schema().columns().into_iter().find(|c| c.name == feature.column);
        match column.and_then(|c| absent(view.plan(), &c, false, logs)) {
            Some(Absent::Row) if feature.when_missing.is_none() => rows.push(feature.column.as_str()),
            Some(Absent::Value) if feature.when_null.is_none() => values.push(feature.column.as_str()),
            _ => {}
        }
    }
    let told = |names: Vec<&str>, why: &str, help: String| {
        let first = names.first()?;
        let at = view.place_of(first);
        let message = match names.as_slice() {
            [one] => format!("the count `{one}` is NULL, not 0, {why}"),
            several => format!("the counts `{}` are NULL, not 0, {why}", several.join("`, `")),
        };
        Some(Finding::warning(message).code(diagnostics::B205).at(at).help(help))
    };
    let first = |names: &[&str]| names.first().map(|n| (*n).to_string()).unwrap_or_default();
    let missing = format!("say what it is then: [views.{}.features.{}] when_missing = 0", view.name, first(&rows));
    let null = format!("write `COALESCE({}, 0)`", first(&values));
    let absent = told(rows, "for a key with nothing to count: its group is not there", missing);
    absent.into_iter().chain(told(values, "where the join finds no group for the key", null)).collect()
}

/// Whether the column is a count, and how it can be absent. `filled`: a NULL is replaced above.
fn absent(plan: &LogicalPlan, column: &Column, filled: bool, logs: &[Log]) -> Option<Absent> {
    let index = plan.schema().maybe_index_of_column(column)?;
    match plan {
        LogicalPlan::Projection(projection) => of_expr(projection.expr.get(index)?, &projection.input, filled, logs),
        LogicalPlan::SubqueryAlias(alias) => {
            absent(&alias.input, alias.input.schema().columns().get(index)?, filled, logs)
        }
        LogicalPlan::Aggregate(aggregate) => {
            let call = aggregate.aggr_expr.get(index.checked_sub(aggregate.group_expr.len())?)?;
            let grouped =
                !aggregate.group_expr.is_empty() && !groups_of_changelog(&aggregate.group_expr, &aggregate.input, logs);
            (is_count(call) && grouped).then_some(Absent::Row)
        }
        LogicalPlan::Join(join) => {
            let (in_left, input) = match join.left.schema().has_column(column) {
                true => (true, &join.left),
                false => (false, &join.right),
            };
            let optional = match join.join_type {
                JoinType::Left => !in_left,
                JoinType::Right => in_left,
                JoinType::Full => true,
                _ => false,
            };
            let kept = match join.join_type {
                JoinType::Left => in_left,
                JoinType::Right => !in_left,
                _ => false,
            };
            match absent(input, column, filled, logs)? {
                Absent::Row if optional => (!filled).then_some(Absent::Value),
                found if kept => Some(found),
                _ => None,
            }
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => absent(&sort.input, column, filled, logs),
        _ => None,
    }
}

fn of_expr(expr: &Expr, input: &LogicalPlan, filled: bool, logs: &[Log]) -> Option<Absent> {
    match expr {
        Expr::Column(column) => absent(input, column, filled, logs),
        Expr::Alias(alias) => of_expr(&alias.expr, input, filled, logs),
        Expr::Cast(cast) => of_expr(&cast.expr, input, filled, logs),
        Expr::ScalarFunction(call) if call.name() == "coalesce" => of_expr(call.args.first()?, input, true, logs),
        Expr::BinaryExpr(sum) if sum.op == Operator::Plus => {
            of_expr(&sum.left, input, filled, logs).and(of_expr(&sum.right, input, filled, logs))
        }
        _ => None,
    }
}

fn is_count(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_count(&alias.expr),
        Expr::AggregateFunction(call) => matches!(call.func.name(), "count" | "approx_distinct"),
        _ => false,
    }
}

/// Whether the groups are those of a table of entities, which are there without any event.
fn groups_of_changelog(groups: &[Expr], input: &LogicalPlan, logs: &[Log]) -> bool {
    let columns: BTreeSet<Column> = groups.iter().flat_map(Expr::column_refs).cloned().collect();
    columns.iter().any(|c| source_of(input, c).is_some_and(|s| logs[s].config.kind == SourceKind::Changelog))
}

/// The source that a column comes from unchanged.
fn source_of(plan: &LogicalPlan, column: &Column) -> Option<usize> {
    let index = plan.schema().maybe_index_of_column(column)?;
    match plan {
        LogicalPlan::TableScan(scan) => marked_source(scan),
        LogicalPlan::Projection(projection) => {
            let column = crate::lint::columns::plain(projection.expr.get(index)?)?;
            source_of(&projection.input, column)
        }
        LogicalPlan::SubqueryAlias(alias) => source_of(&alias.input, alias.input.schema().columns().get(index)?),
        other => other.inputs().into_iter().find(|i| i.schema().has_column(column)).and_then(|i| source_of(i, column)),
    }
}
