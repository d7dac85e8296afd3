//! How a normalised plan bounds the event times of the sources that it reads.
//!
//! A column is bounded *above* where no row can be later than something fixed by `NOW()`, and *below* where none can be
//! earlier than that, or than a constant. Bounds travel: `w.ts <= d.ts` bounds `w.ts` where `d.ts` is bounded. A comparison
//! counts with whatever it does to the time on its way (`date_trunc`, a cast, plus an interval): this is for lints, which are
//! silent in doubt.

use std::collections::BTreeMap;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Join, JoinType, LogicalPlan, Operator};

use crate::analysis::marked_source;
use crate::config::{FutureEvents, SourceKind};
use crate::lint::columns::plain;
use crate::source::Log;
use crate::sql::mentions_now;

/// One scan of a source, and what bounds its event time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) source: usize,
    pub(super) above: bool,
    pub(super) below: bool,
    /// An order takes rows from among all: the last one, the first ten.
    pub(super) picked: bool,
    /// Where its event time and its partitions are, at the operator that is looked at.
    times: Vec<Column>,
    /// Its arrival. Visibility bounds it above, which says nothing of the event time.
    arrival: Option<Column>,
}

/// The scans below a plan.
pub(super) fn reads(plan: &LogicalPlan, logs: &[Log]) -> Vec<Read> {
    walk(plan, logs).reads
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bound {
    above: bool,
    below: bool,
}

#[derive(Debug, Clone, Default)]
struct State {
    bounds: BTreeMap<Column, Bound>,
    reads: Vec<Read>,
}

fn walk(plan: &LogicalPlan, logs: &[Log]) -> State {
    let inputs: Vec<State> = plan.inputs().into_iter().map(|input| walk(input, logs)).collect();
    match plan {
        LogicalPlan::TableScan(scan) => match marked_source(scan) {
            Some(source) => scanned(source, &logs[source], &scan.projected_schema),
            None => State::default(),
        },
        LogicalPlan::Union(union) => union_of(&union.schema, plan, inputs),
        LogicalPlan::Join(join) => joined(join, merged(inputs)),
        other => {
            let mut state = merged(inputs);
            match other {
                LogicalPlan::Filter(filter) => state.apply(&[&filter.predicate]),
                LogicalPlan::Projection(projection) => {
                    state.rename(projection.expr.iter().map(plain).zip(projection.schema.columns()));
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    let before = alias.input.schema().columns();
                    state.rename(before.iter().map(Some).zip(alias.schema.columns()));
                }
                LogicalPlan::Aggregate(aggregate) => {
                    state.filtered(&aggregate.aggr_expr);
                    if aggregate.aggr_expr.iter().any(picks) {
                        state.pick();
                    }
                    let exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
                    state.rename(exprs.map(through_extremes).zip(aggregate.schema.columns()));
                }
                LogicalPlan::Window(window) if window.window_expr.iter().any(picks) => state.pick(),
                LogicalPlan::Limit(_) => state.pick(),
                LogicalPlan::Sort(sort) if sort.fetch.is_some() => state.pick(),
                _ => {}
            }
            state
        }
    }
}

fn scanned(source: usize, log: &Log, schema: &DFSchema) -> State {
    let config = &log.config;
    let hidden = config.future_events == FutureEvents::Hidden;
    let known = config.available_at.is_none() && config.delay_ns >= 0;
    let mut state = State::default();
    let mut times = Vec::new();
    let mut arrival = None;
    for column in schema.columns() {
        // Visibility itself bounds the arrival, and the event time where it follows from that.
        if column.name == config.time {
            times.push(column.clone());
            state.bounds.insert(column, Bound { above: hidden || known, below: false });
        } else if Some(&column.name) == config.available_at.as_ref() {
            arrival = Some(column.clone());
            state.bounds.insert(column, Bound { above: true, below: false });
        } else if log.table.partition_names().contains(&column.name) {
            times.push(column);
        }
    }
    let changelog = config.kind == SourceKind::Changelog;
    state.reads.push(Read {
        source,
        above: hidden || known || changelog,
        below: changelog,
        picked: false,
        times,
        arrival,
    });
    state
}

fn merged(inputs: Vec<State>) -> State {
    inputs.into_iter().fold(State::default(), |mut all, input| {
        all.bounds.extend(input.bounds);
        all.reads.extend(input.reads);
        all
    })
}

fn union_of(schema: &DFSchema, plan: &LogicalPlan, inputs: Vec<State>) -> State {
    let mut all = State::default();
    let outputs = schema.columns();
    for (mut input, below) in inputs.into_iter().zip(plan.inputs()) {
        let before = below.schema().columns();
        input.rename(before.iter().map(Some).zip(outputs.clone()));
        for (column, bound) in input.bounds {
            // A column of the whole is bounded where it is in each part; lints judge the parts, so one suffices here.
            let known: &mut Bound = all.bounds.entry(column).or_default();
            *known = Bound { above: known.above || bound.above, below: known.below || bound.below };
        }
        all.reads.extend(input.reads);
    }
    all
}

fn joined(join: &Join, mut state: State) -> State {
    let equal: Vec<Expr> = join.on.iter().map(|(l, r)| l.clone().eq(r.clone())).collect();
    let conditions: Vec<&Expr> = equal.iter().chain(&join.filter).collect();
    let of = |schema: &DFSchema, column: &Column| schema.has_column(column);
    let (left, right) = (join.left.schema(), join.right.schema());
    // Rows of an outer join's preserved side count whether the condition holds or not.
    let may_bound: Box<dyn Fn(&Column) -> bool> = match join.join_type {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => Box::new(|_| true),
        JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => Box::new(|c| of(right, c)),
        JoinType::Right | JoinType::RightAnti | JoinType::RightMark => Box::new(|c| of(left, c)),
        JoinType::Full => Box::new(|_| false),
    };
    // Where the condition holds it bounds both sides; what it says is then kept for the side that it decides on.
    let mut matched = state.clone();
    matched.apply(&conditions);
    for (column, bound) in matched.bounds {
        if may_bound(&column) {
            state.bounds.insert(column, bound);
        }
    }
    state.settle();
    state
}

impl State {
    /// Learns from conditions that all hold, until nothing new follows.
    fn apply(&mut self, conditions: &[&Expr]) {
        let conditions: Vec<&Expr> = conditions.iter().flat_map(|c| split_conjunction(c)).collect();
        loop {
            let before = self.bounds.clone();
            for condition in &conditions {
                for (column, bound) in self.learn(condition) {
                    let known = self.bounds.entry(column).or_default();
                    *known = Bound { above: known.above || bound.above, below: known.below || bound.below };
                }
            }
            if self.bounds == before {
                break;
            }
        }
        self.settle();
    }

    /// What was learned of columns holds for the reads that they are of.
    fn settle(&mut self) {
        for read in &mut self.reads {
            let bounds = |column| self.bounds.get(column).copied().unwrap_or_default();
            read.above |= read.times.iter().any(|time| bounds(time).above);
            read.below |= read.times.iter().chain(&read.arrival).any(|time| bounds(time).below);
        }
    }

    /// What one condition says of columns, given what is known.
    fn learn(&self, condition: &Expr) -> BTreeMap<Column, Bound> {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                let mut all = self.learn(left);
                for (column, bound) in self.learn(right) {
                    let known = all.entry(column).or_default();
                    *known = Bound { above: known.above || bound.above, below: known.below || bound.below };
                }
                all
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                let other = self.learn(right);
                let both = |(column, bound): (Column, Bound)| {
                    let second = other.get(&column)?;
                    Some((column, Bound { above: bound.above && second.above, below: bound.below && second.below }))
                };
                self.learn(left).into_iter().filter_map(both).collect()
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.compared(left, *op, right),
            Expr::Between(Between { expr, negated: false, low, high }) => {
                let mut all = self.compared(expr, Operator::GtEq, low);
                for (column, bound) in self.compared(expr, Operator::LtEq, high) {
                    all.entry(column).or_default().above |= bound.above;
                }
                all
            }
            Expr::InList(InList { expr, negated: false, .. }) => {
                expr.column_refs().into_iter().map(|c| (c.clone(), Bound { above: false, below: true })).collect()
            }
            _ => BTreeMap::new(),
        }
    }

    fn compared(&self, left: &Expr, op: Operator, right: &Expr) -> BTreeMap<Column, Bound> {
        let (less, greater) = match op {
            Operator::Lt | Operator::LtEq => (true, false),
            Operator::Gt | Operator::GtEq => (false, true),
            Operator::Eq | Operator::IsNotDistinctFrom => (true, true),
            _ => return BTreeMap::new(),
        };
        let now = mentions_now(left) || mentions_now(right);
        let mut columns: Vec<(Column, bool)> = Vec::new();
        signs(left, true, &mut columns);
        signs(right, false, &mut columns);
        let mut learned = BTreeMap::new();
        for (column, positive) in &columns {
            let mut others = columns.iter().filter(|(c, _)| c != column).peekable();
            let alone = others.peek().is_none();
            let others: Vec<Bound> = others.map(|(c, _)| self.bounds.get(c).copied().unwrap_or_default()).collect();
            let above = if *positive { less } else { greater };
            let below = if *positive { greater } else { less };
            let bound = Bound {
                above: above && (now || !alone) && others.iter().all(|b| b.above),
                below: below && others.iter().all(|b| b.below),
            };
            let known: &mut Bound = learned.entry(column.clone()).or_default();
            *known = Bound { above: known.above || bound.above, below: known.below || bound.below };
        }
        learned
    }

    /// Rows that only filtered aggregates look at are bounded above where every filter does it. (Below they are not: a row
    /// from long ago still makes the group.)
    fn filtered(&mut self, aggregates: &[Expr]) {
        let filters: Vec<Option<Expr>> = aggregates.iter().map(filter_of).collect();
        if filters.is_empty() || filters.iter().any(Option::is_none) {
            return;
        }
        let bounded: Vec<Vec<bool>> = filters
            .iter()
            .flatten()
            .map(|filter| {
                let mut inside = self.clone();
                inside.apply(&[filter]);
                inside.reads.iter().map(|r| r.above).collect()
            })
            .collect();
        for (i, read) in self.reads.iter_mut().enumerate() {
            read.above |= bounded.iter().all(|of| of[i]);
        }
    }

    fn pick(&mut self) {
        self.reads.iter_mut().for_each(|read| read.picked = true);
    }

    /// Columns under the names that they have above an operator; others are gone.
    fn rename<'a>(&mut self, columns: impl Iterator<Item = (Option<&'a Column>, Column)>) {
        let mut bounds = BTreeMap::new();
        let mut times: Vec<(Vec<Column>, Option<Column>)> = vec![Default::default(); self.reads.len()];
        for (before, after) in columns {
            let Some(before) = before else { continue };
            if let Some(bound) = self.bounds.get(before) {
                bounds.insert(after.clone(), *bound);
            }
            for (read, (times, arrival)) in self.reads.iter().zip(&mut times) {
                if read.times.contains(before) {
                    times.push(after.clone());
                }
                if read.arrival.as_ref() == Some(before) {
                    *arrival = Some(after.clone());
                }
            }
        }
        self.bounds = bounds;
        for (read, (times, arrival)) in self.reads.iter_mut().zip(times) {
            (read.times, read.arrival) = (times, arrival);
        }
    }
}

/// The columns of a side of a comparison, and whether the side grows with them.
fn signs(expr: &Expr, positive: bool, columns: &mut Vec<(Column, bool)>) {
    match expr {
        Expr::Column(column) => columns.push((column.clone(), positive)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            signs(left, positive, columns);
            signs(right, !positive, columns);
        }
        Expr::Negative(inner) => signs(inner, !positive, columns),
        other => {
            let _ = other.apply_children(|child| {
                signs(child, positive, columns);
                Ok(TreeNodeRecursion::Continue)
            });
        }
    }
}

/// Functions for which it matters which row comes first.
fn picks(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Alias(alias) => return picks(&alias.expr),
        Expr::AggregateFunction(call) => call.func.name(),
        Expr::WindowFunction(call) => call.fun.name(),
        _ => return false,
    };
    matches!(
        name,
        "row_number" | "rank" | "dense_rank" | "ntile" | "lag" | "lead" | "first_value" | "last_value" | "nth_value"
    )
}

/// An aggregate's filter, or the condition of the `CASE` without an `ELSE` value that it is over.
fn filter_of(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Alias(alias) => filter_of(&alias.expr),
        Expr::AggregateFunction(call) => match (&call.params.filter, call.params.args.as_slice()) {
            (Some(filter), _) => Some(filter.as_ref().clone()),
            (None, [Expr::Case(case)]) if case.expr.is_none() => match case.when_then_expr.as_slice() {
                [(when, _)] if case.else_expr.as_ref().is_none_or(|e| e.column_refs().is_empty()) => {
                    Some(when.as_ref().clone())
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// A column, also as the extreme of its group.
fn through_extremes(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Alias(alias) => through_extremes(&alias.expr),
        Expr::AggregateFunction(call) if matches!(call.func.name(), "min" | "max" | "first_value" | "last_value") => {
            call.params.args.first().and_then(plain)
        }
        other => plain(other),
    }
}
