//! Which columns of an operator the value is made of.

use std::collections::BTreeSet;

use datafusion::common::{Column, DFSchema, Dependency};
use datafusion::logical_expr::{Aggregate, Expr, Join, LogicalPlan};

/// What of an operator's rows goes into the value. A row of which nothing does can only make another one exist.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    All,
    /// These columns; and, where something above counts or sums, how many rows there are.
    Some {
        columns: BTreeSet<Column>,
        rows: bool,
    },
}

impl Asked {
    /// Columns of rows that are taken as they are.
    pub(super) fn of(columns: impl Iterator<Item = Column>) -> Self {
        Self::Some { columns: columns.collect(), rows: false }
    }

    /// What is asked of `input`, an input of `plan`.
    pub(super) fn below(&self, plan: &LogicalPlan, input: &LogicalPlan) -> Self {
        let Self::Some { columns, rows } = self else { return Self::All };
        let index = |column: &Column| plan.schema().maybe_index_of_column(column);
        let columns = match plan {
            LogicalPlan::Filter(_) => columns.clone(),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => columns.clone(),
            LogicalPlan::Join(_) => {
                columns.iter().filter(|column| input.schema().has_column(column)).cloned().collect()
            }
            LogicalPlan::SubqueryAlias(_) => {
                let inner = input.schema().columns();
                columns.iter().filter_map(index).map(|i| inner[i].clone()).collect()
            }
            LogicalPlan::Projection(projection) => named(columns.iter().filter_map(index).map(|i| &projection.expr[i])),
            LogicalPlan::Aggregate(aggregate) => {
                return of_aggregate(aggregate, columns.iter().filter_map(index).collect());
            }
            _ => return Self::All,
        };
        Self::Some { columns, rows: *rows }
    }

    /// Whether the rows of `input`, an input of `join`, only decide which rows the join has.
    pub(super) fn only_existing(&self, join: &Join, input: &LogicalPlan) -> bool {
        let Self::Some { columns, rows } = self else { return false };
        let unseen = !columns.iter().any(|column| input.schema().has_column(column));
        unseen && (!rows || meets_once(join, input.schema()))
    }
}

fn of_aggregate(aggregate: &Aggregate, outputs: BTreeSet<usize>) -> Asked {
    let groups = aggregate.group_expr.len();
    let exprs =
        outputs.iter().filter_map(|&i| aggregate.group_expr.get(i).or_else(|| aggregate.aggr_expr.get(i - groups)));
    Asked::Some { columns: named(exprs), rows: outputs.iter().any(|&i| i >= groups) }
}

fn named<'a>(exprs: impl Iterator<Item = &'a Expr>) -> BTreeSet<Column> {
    exprs.flat_map(Expr::column_refs).cloned().collect()
}

/// Whether a row of the other side meets one row at most of the side with this schema: the equalities hold its key, as after
/// `DISTINCT`.
fn meets_once(join: &Join, schema: &DFSchema) -> bool {
    let sides = join.on.iter().flat_map(|(left, right)| [left, right]);
    let bound: BTreeSet<usize> = sides
        .filter_map(|side| match side {
            Expr::Column(column) => schema.maybe_index_of_column(column),
            _ => None,
        })
        .collect();
    schema
        .functional_dependencies()
        .iter()
        .any(|key| key.mode == Dependency::Single && key.source_indices.iter().all(|i| bound.contains(i)))
}
