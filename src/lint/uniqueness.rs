//! Which columns tell the rows of a relation apart.
//!
//! A *key* is a set of columns in which no two rows agree, or in which rows that agree are alike in all that is read of them.
//! Sources have the `id` that they declare, views their own keys, groups what they are grouped by.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::Column;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, JoinType, LogicalPlan, Operator};

use crate::analysis::{View, marked_source};
use crate::lint::columns::plain;
use crate::source::Log;

/// A set of columns that tells rows apart.
pub(super) type Key = BTreeSet<Column>;

/// Of the keys that a plan has, at most this many are kept.
const MOST_KEYS: usize = 16;

/// The keys of views, by every name that a view is read under, in names of their columns.
#[derive(Debug, Default)]
pub(super) struct ViewKeys(BTreeMap<String, Vec<BTreeSet<String>>>);

impl ViewKeys {
    /// Remembers a view; `own` is its plan, other views as tables.
    pub(super) fn add(&mut self, view: &View, own: &LogicalPlan, logs: &[Log]) {
        let names = |key: Key| key.into_iter().map(|c| c.name).collect::<BTreeSet<String>>();
        let mut found: Vec<BTreeSet<String>> = keys(own, logs, self).into_iter().map(names).collect();
        if !view.keys.is_empty() {
            found.push(view.keys.iter().map(|k| k.column.clone()).collect());
        }
        for name in std::iter::once(&view.name).chain(&view.alias) {
            self.0.insert(name.clone(), found.clone());
        }
    }
}

/// The keys of a plan that can be told, all its columns together being one.
pub(super) fn keys(plan: &LogicalPlan, logs: &[Log], views: &ViewKeys) -> Vec<Key> {
    let mut found = own_keys(plan, logs, views);
    found.push(plan.schema().columns().into_iter().filter(|c| !is_constant(plan, c)).collect());
    found.truncate(MOST_KEYS);
    found
}

fn own_keys(plan: &LogicalPlan, logs: &[Log], views: &ViewKeys) -> Vec<Key> {
    let below = |input: &LogicalPlan| keys(input, logs, views);
    let all = |plan: &LogicalPlan| plan.schema().columns().into_iter().collect::<Key>();
    match plan {
        LogicalPlan::TableScan(scan) => {
            let ids: Vec<BTreeSet<String>> = match marked_source(scan) {
                Some(source) if !logs[source].config.id.is_empty() => {
                    vec![logs[source].config.id.iter().cloned().collect()]
                }
                Some(_) => Vec::new(),
                None => views.0.get(scan.table_name.table()).cloned().unwrap_or_default(),
            };
            let columns = scan.projected_schema.columns();
            // Also of what is not read: that it is there tells the rows apart.
            let column = |name: String| {
                let known = columns.iter().find(|c| c.name == name).cloned();
                known.unwrap_or_else(|| Column::new(Some(scan.table_name.clone()), name))
            };
            ids.into_iter().map(|id| id.into_iter().map(column).collect()).collect()
        }
        LogicalPlan::Filter(filter) => {
            let fixed: Key = split_conjunction(&filter.predicate).into_iter().filter_map(fixed_column).collect();
            below(&filter.input).into_iter().map(|key| key.difference(&fixed).cloned().collect()).collect()
        }
        LogicalPlan::Projection(projection) => {
            let outputs: Vec<(Option<&Column>, Column)> =
                projection.expr.iter().map(plain).zip(projection.schema.columns()).collect();
            renamed(below(&projection.input), &outputs)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let before = alias.input.schema().columns();
            let outputs: Vec<_> = before.iter().map(Some).zip(alias.schema.columns()).collect();
            renamed(below(&alias.input), &outputs)
        }
        LogicalPlan::Sort(sort) => below(&sort.input),
        LogicalPlan::Limit(limit) => below(&limit.input),
        LogicalPlan::Aggregate(aggregate) => {
            vec![aggregate.schema.columns().into_iter().take(aggregate.group_expr.len()).collect()]
        }
        LogicalPlan::Distinct(Distinct::All(_)) => vec![all(plan)],
        LogicalPlan::Window(window) => {
            let mut found = below(&window.input);
            let outputs = window.schema.columns();
            let own = window.input.schema().fields().len();
            for (expr, output) in window.window_expr.iter().zip(&outputs[own..]) {
                let expr = if let Expr::Alias(alias) = expr { alias.expr.as_ref() } else { expr };
                if let Expr::WindowFunction(call) = expr
                    && call.fun.name() == "row_number"
                    && let Some(mut key) = columns_alone(&call.params.partition_by)
                {
                    key.insert(output.clone());
                    found.push(key);
                }
            }
            found
        }
        LogicalPlan::Join(join) => {
            let (left, right) = (below(&join.left), below(&join.right));
            match join.join_type {
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => return left,
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => return right,
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {}
            }
            let sides = join.on.iter().filter_map(|(l, r)| Some((plain(l)?.clone(), plain(r)?.clone())));
            let (of_left, of_right): (Key, Key) = sides.unzip();
            let mut found = Vec::new();
            // One row of the other side at most: the own key is enough.
            if right.iter().any(|key| key.is_subset(&of_right))
                && !matches!(join.join_type, JoinType::Right | JoinType::Full)
            {
                found.extend(left.iter().cloned());
            }
            if left.iter().any(|key| key.is_subset(&of_left))
                && !matches!(join.join_type, JoinType::Left | JoinType::Full)
            {
                found.extend(right.iter().cloned());
            }
            for l in &left {
                found.extend(right.iter().map(|r| l.union(r).cloned().collect::<Key>()));
            }
            if join.join_type == JoinType::Inner {
                with_equals(&mut found, &join.on);
            }
            found
        }
        _ => Vec::new(),
    }
}

/// Keys in which a column is replaced by one that equals it.
fn with_equals(found: &mut Vec<Key>, on: &[(Expr, Expr)]) {
    for (left, right) in on.iter().filter_map(|(l, r)| Some((plain(l)?, plain(r)?))) {
        for (from, to) in [(left, right), (right, left)] {
            let more: Vec<Key> = found
                .iter()
                .filter(|key| key.contains(from))
                .map(|key| key.iter().filter(|c| *c != from).chain([to]).cloned().collect())
                .collect();
            found.extend(more);
            found.truncate(2 * MOST_KEYS);
        }
    }
}

fn renamed(found: Vec<Key>, outputs: &[(Option<&Column>, Column)]) -> Vec<Key> {
    let rename = |column: &Column| {
        let output = outputs.iter().find(|(before, _)| *before == Some(column));
        output.map(|(_, after)| after.clone())
    };
    found.into_iter().filter_map(|key| key.iter().map(rename).collect::<Option<Key>>()).collect()
}

/// A column that the condition gives one value.
fn fixed_column(condition: &Expr) -> Option<Column> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return None };
    match (plain(left), plain(right)) {
        (Some(column), None) if right.column_refs().is_empty() => Some(column.clone()),
        (None, Some(column)) if left.column_refs().is_empty() => Some(column.clone()),
        _ => None,
    }
}

/// Whether the output is the same in every row.
fn is_constant(plan: &LogicalPlan, column: &Column) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            projection.schema.maybe_index_of_column(column).and_then(|i| projection.expr.get(i)).is_some_and(|expr| {
                matches!(expr, Expr::Literal(..))
                    || matches!(expr, Expr::Alias(a) if matches!(*a.expr, Expr::Literal(..)))
            })
        }
        _ => false,
    }
}

/// The columns, where the expressions are nothing else.
pub(super) fn columns_alone(exprs: &[Expr]) -> Option<Key> {
    exprs.iter().map(|e| plain(e).cloned()).collect()
}
