//! The walk: from the sources up, what the rows and the columns of each operator depend on.
//!
//! A relation knows three things. `rows`: what decides which rows there are. Per column `value`: what else its value depends on where
//! its row is there. And `monotone`: more events from before all bounds only ever add rows, they change and remove none. At the
//! top, a feature's value depends on its column; on the rows too where they are not monotone.
//!
//! A *doubt* is a value that is one of two where its windows hold nothing: a count is 0 or, where the join found no group, NULL. It
//! is settled where both give the same further up (`COALESCE(n, 0)`), else what decides it counts as read.

use std::collections::BTreeSet;

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Case};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, Join, JoinType, LogicalPlan, Operator, TableScan, Unnest};

use crate::analysis::{View, marked_source};
use crate::lookback::FeatureLookback;
use crate::lookback::bounds::{Times, bounds_of, either, event_time, of_event_time};
use crate::lookback::empty::{constant, of_aggregate};
use crate::lookback::reads::{Lower, Read, Reads};
use crate::plan::SKIP_NULL;
use crate::source::Log;

#[derive(Debug, Clone, Default)]
struct Col {
    value: Reads,
    doubt: Option<Doubt>,
    /// The value where the windows in `value` hold nothing.
    empty: Option<ScalarValue>,
    /// No event from before the bounds changes it.
    stable: bool,
    never_null: bool,
    times: Times,
}

/// The value is `absent` and not `empty` where `reads` hold nothing.
#[derive(Debug, Clone)]
struct Doubt {
    /// Values in doubt for one reason are in doubt together.
    reason: usize,
    reads: Reads,
    absent: ScalarValue,
}

impl Col {
    /// Without a doubt: what decides it is read.
    fn settled(mut self) -> Self {
        if let Some(doubt) = self.doubt.take() {
            self.value.add(&doubt.reads);
            self.empty = None;
        }
        self
    }

    fn tighten(&mut self, bounds: &[(usize, Lower)]) {
        self.value.tighten(bounds);
        if let Some(doubt) = &mut self.doubt {
            doubt.reads.tighten(bounds);
        }
    }

    fn firm(&self) -> bool {
        self.stable && self.doubt.is_none()
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Relation {
    cols: Vec<Col>,
    rows: Reads,
    monotone: bool,
    /// Columns of which each combination of values occurs once.
    unique: Option<BTreeSet<usize>>,
}

impl Relation {
    fn tighten(&mut self, bounds: &[(usize, Lower)]) {
        self.rows.tighten(bounds);
        self.cols.iter_mut().for_each(|col| col.tighten(bounds));
    }
}

struct Walk<'a> {
    logs: &'a [Log],
    scans: usize,
    reasons: usize,
}

type Outcome<T> = Result<T, String>;

/// The relation of an optimised plan.
pub(super) fn walk(plan: &LogicalPlan, logs: &[Log]) -> Outcome<Relation> {
    Walk { logs, scans: 0, reasons: 0 }.relation(plan)
}

/// What each feature of the view reads.
pub(super) fn features(view: &View, plan: &LogicalPlan, relation: &Relation) -> Outcome<Vec<FeatureLookback>> {
    let col = |name: &str| {
        let position = plan.schema().fields().iter().position(|f| f.name() == name);
        position.and_then(|i| relation.cols.get(i)).ok_or_else(|| format!("column `{name}` got lost"))
    };
    let mut monotone = relation.monotone;
    let mut presence = relation.rows.clone();
    for key in &view.keys {
        let key = col(&key.column)?;
        monotone &= key.firm();
        presence.add(&key.clone().settled().value);
    }
    view.features
        .iter()
        .map(|feature| {
            let col = col(&feature.column)?;
            let or_default = |value: &ScalarValue| match (&feature.when_null, value.is_null()) {
                (Some(default), true) => default.clone(),
                _ => value.clone(),
            };
            let empty = col.empty.as_ref().map(or_default);
            let same = |a: &ScalarValue, b: &ScalarValue| (a.is_null() && b.is_null()) || a == b;
            let mut reads = col.value.clone();
            let mut certain = true;
            if let Some(doubt) = &col.doubt {
                certain = empty.as_ref().is_some_and(|empty| same(empty, &or_default(&doubt.absent)));
                if !certain {
                    reads.add(&doubt.reads);
                }
            }
            let missing = feature.when_missing.clone().unwrap_or(ScalarValue::Null);
            let told_apart = !(certain && empty.is_some_and(|empty| same(&empty, &missing)));
            let mut presence = if told_apart { presence.clone() } else { Reads::default() };
            if !monotone {
                reads.add(&std::mem::take(&mut presence));
                reads.add(&relation.rows);
            }
            let presence = if reads.covers(&presence) { Vec::new() } else { presence.by_source() };
            Ok(FeatureLookback { feature: feature.full_name(), reads: reads.by_source(), presence, unknown: None })
        })
        .collect()
}

impl Walk<'_> {
    fn relation(&mut self, plan: &LogicalPlan) -> Outcome<Relation> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.relation(&alias.input),
            LogicalPlan::Projection(p) => {
                let input = self.relation(&p.input)?;
                let columns = p.input.schema().columns();
                let cols = p.expr.iter().map(|e| col_of(e, &input, &columns)).collect::<Outcome<Vec<_>>>()?;
                let kept = |i: &usize| {
                    let of = |e: &Expr| matches!(unaliased(e), Expr::Column(c) if columns.get(*i) == Some(c));
                    p.expr.iter().position(of)
                };
                let unique = input.unique.as_ref().and_then(|keys| keys.iter().map(kept).collect());
                Ok(Relation { cols, unique, ..input })
            }
            LogicalPlan::Filter(filter) => {
                let input = self.relation(&filter.input)?;
                filtered(input, &filter.predicate, &filter.input.schema().columns())
            }
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => {
                let mut input = self.relation(&window.input)?;
                let columns = window.input.schema().columns();
                for expr in &window.window_expr {
                    let value = input.rows.clone().with(&reads_of(expr, &input, &columns)?);
                    let value = value.held(&held_against_later(expr, &|c| times_of(c, &input, &columns)));
                    input.cols.push(Col { value, ..Col::default() });
                }
                Ok(input)
            }
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.relation(&sort.input),
            LogicalPlan::Sort(sort) => Ok(some_of(self.relation(&sort.input)?)),
            LogicalPlan::Limit(limit) => Ok(some_of(self.relation(&limit.input)?)),
            LogicalPlan::Union(union) => {
                let mut inputs = union.inputs.iter().map(|input| self.relation(input));
                let first = inputs.next().unwrap_or_else(|| Ok(Relation::default()))?;
                let all = inputs.try_fold(first, |a, b| Ok::<_, String>(united(a, b?)))?;
                Ok(Relation { unique: None, ..all })
            }
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::Distinct(_) => {
                let inputs = plan.inputs();
                let [below] = inputs.as_slice() else { return Err("an operator with several inputs".to_string()) };
                let input = self.relation(below)?;
                let all = everything(&input);
                let cols = plan.schema().fields().iter().map(|_| Col { value: all.clone(), ..Col::default() });
                Ok(Relation { cols: cols.collect(), rows: all, monotone: false, unique: None })
            }
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
                let cols = plan.schema().fields().iter().map(|_| Col { stable: true, ..Col::default() }).collect();
                Ok(Relation { cols, monotone: true, ..Relation::default() })
            }
            other => Err(format!("`{}` is not analysed", other.display())),
        }
    }

    fn scan(&mut self, scan: &TableScan) -> Outcome<Relation> {
        let source = marked_source(scan).ok_or_else(|| format!("`{}` is no declared source", scan.table_name))?;
        let log = &self.logs[source];
        let number = self.scans;
        self.scans += 1;
        let index = |name: &String| log.schema.index_of(name).ok();
        let own = [Some(&log.config.time), log.config.available_at.as_ref()];
        let mut own: BTreeSet<usize> = own.into_iter().flatten().chain(&log.config.id).filter_map(index).collect();
        own.extend(log.deleted().iter().flat_map(|d| d.column_refs()).filter_map(|c| index(&c.name)));
        let read = |columns: BTreeSet<usize>| {
            Reads(vec![Read { scan: number, source, lower: Lower::Unbounded, columns, held: false }])
        };
        let all: Vec<usize> = (0..log.schema.fields().len()).collect();
        let time = index(&log.config.time);
        let cols = scan.projection.as_ref().unwrap_or(&all).iter().map(|&i| {
            let field = log.schema.field(i);
            Col {
                value: read(own.iter().copied().chain([i]).collect()),
                stable: true,
                never_null: !field.is_nullable() || log.table.null_count(field.name()) == Some(0),
                times: if Some(i) == time { vec![(number, event_time())] } else { Vec::new() },
                ..Col::default()
            }
        });
        Ok(Relation { cols: cols.collect(), rows: read(own.clone()), monotone: true, unique: None })
    }

    /// A row per item: what stands beside the items is as it was, times of events too. The items decide how many rows there are.
    fn unnest(&mut self, unnest: &Unnest) -> Outcome<Relation> {
        let input = self.relation(&unnest.input)?;
        let below = unnest.input.schema().columns();
        let all = everything(&input);
        let beside = |column: &Column| {
            let at = below.iter().position(|c| c == column).filter(|_| !unnest.exec_columns.contains(column));
            at.and_then(|at| input.cols.get(at)).cloned()
        };
        let items = || Col { value: all.clone(), ..Col::default() };
        let cols = unnest.schema.columns().iter().map(|c| beside(c).unwrap_or_else(items)).collect();
        let mut rows = input.rows.clone();
        for (_, col) in below.iter().zip(&input.cols).filter(|(c, _)| unnest.exec_columns.contains(c)) {
            rows.add(&col.clone().settled().value);
        }
        Ok(Relation { cols, rows, monotone: input.monotone, unique: None })
    }

    fn join(&mut self, join: &Join) -> Outcome<Relation> {
        let left = self.relation(&join.left)?;
        let right = self.relation(&join.right)?;
        let columns: Vec<Column> =
            join.left.schema().columns().into_iter().chain(join.right.schema().columns()).collect();
        let width = left.cols.len();
        let both = Relation { cols: left.cols.iter().chain(&right.cols).cloned().collect(), ..Relation::default() };
        let times = |c: &Column| times_of(c, &both, &columns);
        let mut conditions = Reads::default();
        let mut firm = true;
        let sides = join.on.iter().flat_map(|(l, r)| [l, r]);
        for expr in sides.chain(&join.filter) {
            conditions.add(&reads_of(expr, &both, &columns)?);
            firm &= firm_of(expr, &both, &columns);
        }
        let bounds = join.filter.as_ref().map_or_else(Vec::new, |filter| {
            split_conjunction(filter).into_iter().flat_map(|c| bounds_of(c, &times)).collect()
        });
        conditions.tighten(&bounds);
        let joined_on: BTreeSet<usize> = join
            .on
            .iter()
            .filter_map(|(_, r)| position(unaliased(r), &columns))
            .map(|i| i.wrapping_sub(width))
            .collect();
        let looked_up =
            |side: &Relation, on: &BTreeSet<usize>| side.unique.as_ref().is_some_and(|keys| keys.is_subset(on));
        let (mut left, mut right) = (left, right);
        Ok(match join.join_type {
            JoinType::Inner => {
                left.tighten(&bounds);
                right.tighten(&bounds);
                let unique = if looked_up(&right, &joined_on) { left.unique.take() } else { None };
                Relation {
                    rows: left.rows.with(&right.rows).with(&conditions),
                    monotone: left.monotone && right.monotone && firm,
                    cols: left.cols.into_iter().chain(right.cols).collect(),
                    unique,
                }
            }
            JoinType::Left => {
                right.tighten(&bounds);
                let once = looked_up(&right, &joined_on);
                let rows = if once { left.rows } else { left.rows.with(&right.rows).with(&conditions) };
                let optional = self.optional(right, &conditions, firm, once);
                Relation {
                    rows,
                    monotone: left.monotone,
                    cols: left.cols.into_iter().chain(optional).collect(),
                    unique: left.unique.filter(|_| once),
                }
            }
            JoinType::Right => {
                left.tighten(&bounds);
                let on: BTreeSet<usize> =
                    join.on.iter().filter_map(|(l, _)| position(unaliased(l), &columns)).collect();
                let once = looked_up(&left, &on);
                let rows = if once { right.rows } else { right.rows.with(&left.rows).with(&conditions) };
                let optional = self.optional(left, &conditions, firm, once);
                Relation {
                    rows,
                    monotone: right.monotone,
                    cols: optional.into_iter().chain(right.cols).collect(),
                    unique: None,
                }
            }
            JoinType::Full => {
                let rows = left.rows.with(&right.rows).with(&conditions);
                let changed = |col: Col| {
                    let mut col = col.settled();
                    col.value.add(&rows);
                    Col { value: col.value, ..Col::default() }
                };
                let cols = left.cols.into_iter().chain(right.cols).map(changed).collect();
                Relation { cols, rows, monotone: false, unique: None }
            }
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::RightSemi | JoinType::RightAnti => {
                let (mut kept, mut other) = match join.join_type {
                    JoinType::LeftSemi | JoinType::LeftAnti => (left, right),
                    _ => (right, left),
                };
                let semi = matches!(join.join_type, JoinType::LeftSemi | JoinType::RightSemi);
                other.tighten(&bounds);
                if semi {
                    kept.tighten(&bounds);
                }
                kept.rows.add(&other.rows);
                kept.rows.add(&conditions);
                kept.monotone &= semi && other.monotone && firm;
                kept
            }
            JoinType::LeftMark | JoinType::RightMark => {
                let (mut kept, mut other) =
                    if join.join_type == JoinType::LeftMark { (left, right) } else { (right, left) };
                other.tighten(&bounds);
                kept.cols.push(Col { value: other.rows.with(&conditions), ..Col::default() });
                kept
            }
        })
    }

    /// The columns of a side that need not have a row.
    fn optional(&mut self, side: Relation, conditions: &Reads, firm: bool, once: bool) -> Vec<Col> {
        let found = side.rows.with(conditions);
        let reason = self.reasons;
        self.reasons += 1;
        let certain = side.monotone && firm && once;
        let cols = side.cols.into_iter().map(|col| {
            let mut col = col.settled();
            let null = col.empty.as_ref().and_then(|e| ScalarValue::try_new_null(&e.data_type()).ok());
            match (certain, &col.empty, null) {
                (true, Some(empty), _) if empty.is_null() => {}
                (true, Some(_), Some(absent)) => {
                    col.doubt = Some(Doubt { reason, reads: found.clone(), absent });
                }
                _ => {
                    col.value.add(&found);
                    col.empty = None;
                }
            }
            Col { stable: false, never_null: false, ..col }
        });
        cols.collect()
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Outcome<Relation> {
        let input = self.relation(&aggregate.input)?;
        let columns = aggregate.input.schema().columns();
        let fields = aggregate.schema.fields();
        if aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
            let all = everything(&input);
            let cols = fields.iter().map(|_| Col { value: all.clone(), ..Col::default() }).collect();
            return Ok(Relation { cols, rows: all, monotone: false, unique: None });
        }
        let mut cols = Vec::with_capacity(fields.len());
        let mut rows = if aggregate.group_expr.is_empty() { Reads::default() } else { input.rows.clone() };
        let mut monotone = input.monotone || aggregate.group_expr.is_empty();
        for expr in &aggregate.group_expr {
            let col = col_of(expr, &input, &columns)?.settled();
            monotone &= col.stable;
            rows.add(&col.value);
            cols.push(col);
        }
        let groups = cols.len();
        // Which rows a value is of is decided by the columns that they are grouped by.
        let mut grouped_by = Reads::default();
        cols.iter().for_each(|col| grouped_by.add(&col.value));
        for (expr, field) in aggregate.aggr_expr.iter().zip(fields.iter().skip(groups)) {
            let Expr::AggregateFunction(call) = unaliased(expr) else {
                return Err(format!("`{expr}` is not analysed"));
            };
            let of = Called { call, expr: unaliased(expr), data_type: field.data_type() };
            cols.push(self.called(&of, &input, &columns, &grouped_by)?);
        }
        Ok(Relation { cols, rows, monotone, unique: (groups > 0).then(|| (0..groups).collect()) })
    }

    fn called(&mut self, of: &Called<'_>, input: &Relation, columns: &[Column], groups: &Reads) -> Outcome<Col> {
        let params = &of.call.params;
        let mut value = input.rows.clone().with(groups).with(&reads_of(of.expr, input, columns)?);
        let outer = value.clone();
        let times = |c: &Column| times_of(c, input, columns);
        let name = of.call.func.name();
        if let Some(filter) = &params.filter {
            let bounds: Vec<_> = split_conjunction(filter).into_iter().flat_map(|c| bounds_of(c, &times)).collect();
            value.tighten(&bounds);
        }
        let mut empty = of_aggregate(name, of.data_type);
        let mut doubt = None;
        if let ([arg], true) = (params.args.as_slice(), SKIP_NULL.contains(&name))
            && let Some(case) = case_of(arg)
            && let Some(bounds) = case_bounds(case, name == "sum" && !params.distinct, &times)
        {
            value.tighten(&bounds);
            if has_zero(case) {
                // A row outside of the window adds 0: there is one, or all rows are inside.
                let sure = case.when_then_expr.iter().all(|(_, then)| never_null(then, input, columns));
                empty = ScalarValue::new_zero(of.data_type).ok();
                let grouped = !groups.0.is_empty();
                let absent = ScalarValue::try_new_null(of.data_type).ok();
                if let (false, Some(absent)) = (sure && grouped && params.filter.is_none(), absent) {
                    let reason = self.reasons;
                    self.reasons += 1;
                    doubt = Some(Doubt { reason, reads: outer, absent });
                }
            }
        }
        let never_null = name == "count";
        Ok(Col { value, doubt, empty, stable: false, never_null, times: Vec::new() })
    }
}

/// An aggregate under analysis.
struct Called<'a> {
    call: &'a AggregateFunction,
    expr: &'a Expr,
    data_type: &'a datafusion::arrow::datatypes::DataType,
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

fn position(expr: &Expr, columns: &[Column]) -> Option<usize> {
    match expr {
        Expr::Column(column) => columns.iter().position(|c| c == column),
        _ => None,
    }
}

fn find<'a>(column: &Column, relation: &'a Relation, columns: &[Column]) -> Option<&'a Col> {
    columns.iter().position(|c| c == column).and_then(|i| relation.cols.get(i))
}

fn times_of(column: &Column, relation: &Relation, columns: &[Column]) -> Times {
    find(column, relation, columns).map_or_else(Vec::new, |col| col.times.clone())
}

/// The columns that an expression names, all of which must be known.
fn named<'a>(expr: &Expr, relation: &'a Relation, columns: &[Column]) -> Outcome<Vec<(Column, &'a Col)>> {
    use datafusion::common::tree_node::TreeNode;
    let subquery = expr.exists(|e| {
        let inner = matches!(
            e,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(_, _)
        );
        Ok(inner)
    });
    if subquery.unwrap_or(true) {
        return Err("a subquery is left in the plan".to_string());
    }
    let mut all: Vec<&Column> = expr.column_refs().into_iter().collect();
    all.sort();
    let known = |c: &Column| {
        find(c, relation, columns).map(|col| (c.clone(), col)).ok_or_else(|| format!("column `{c}` got lost"))
    };
    all.into_iter().map(known).collect()
}

fn reads_of(expr: &Expr, relation: &Relation, columns: &[Column]) -> Outcome<Reads> {
    let mut reads = Reads::default();
    for (_, col) in named(expr, relation, columns)? {
        reads.add(&col.clone().settled().value);
    }
    Ok(reads)
}

fn firm_of(expr: &Expr, relation: &Relation, columns: &[Column]) -> bool {
    named(expr, relation, columns).is_ok_and(|all| all.iter().all(|(_, col)| col.firm()))
}

fn never_null(expr: &Expr, relation: &Relation, columns: &[Column]) -> bool {
    match unaliased(expr) {
        Expr::Literal(value, _) => !value.is_null(),
        Expr::Column(column) => find(column, relation, columns).is_some_and(|col| col.never_null),
        Expr::Cast(to) => to.field.data_type().is_numeric() && never_null(&to.expr, relation, columns),
        Expr::Negative(inner) => never_null(inner, relation, columns),
        Expr::BinaryExpr(e) if matches!(e.op, Operator::Plus | Operator::Minus | Operator::Multiply) => {
            never_null(&e.left, relation, columns) && never_null(&e.right, relation, columns)
        }
        _ => false,
    }
}

fn col_of(expr: &Expr, relation: &Relation, columns: &[Column]) -> Outcome<Col> {
    let expr = unaliased(expr);
    if let Expr::Column(column) = expr {
        let col = find(column, relation, columns).cloned();
        return col.ok_or_else(|| format!("column `{column}` got lost"));
    }
    let all = named(expr, relation, columns)?;
    let mut value = Reads::default();
    all.iter().for_each(|(_, col)| value.add(&col.value));
    let at = |pick: &dyn Fn(&Col) -> Option<ScalarValue>| {
        constant(expr, &|column| all.iter().find(|(c, _)| c == column).and_then(|(_, col)| pick(col)))
    };
    let mut made = Col {
        value,
        stable: all.iter().all(|(_, col)| col.stable),
        never_null: never_null(expr, relation, columns),
        times: of_event_time(expr, &|c| times_of(c, relation, columns)),
        empty: at(&|col| col.empty.clone()),
        doubt: None,
    };
    let doubts: Vec<&Doubt> = all.iter().filter_map(|(_, col)| col.doubt.as_ref()).collect();
    let Some(first) = doubts.first() else { return Ok(made) };
    // Values that are in doubt for different reasons, or beside others, may be of four kinds: then all of it is read.
    let alike = doubts.iter().all(|d| d.reason == first.reason) && doubts.len() == all.len();
    let absent = if alike { at(&|col| col.doubt.as_ref().map(|d| d.absent.clone())) } else { None };
    match (&made.empty, absent) {
        (Some(empty), Some(absent)) if *empty == absent || (empty.is_null() && absent.is_null()) => {}
        (Some(_), Some(absent)) => {
            made.doubt = Some(Doubt { reason: first.reason, reads: first.reads.clone(), absent });
        }
        _ => {
            doubts.iter().for_each(|d| made.value.add(&d.reads));
            made.empty = None;
        }
    }
    Ok(made)
}

fn filtered(mut input: Relation, predicate: &Expr, columns: &[Column]) -> Outcome<Relation> {
    let bounds: Vec<(usize, Lower)> = {
        let times = |c: &Column| times_of(c, &input, columns);
        split_conjunction(predicate).into_iter().flat_map(|c| bounds_of(c, &times)).collect()
    };
    let asked = reads_of(predicate, &input, columns)?;
    input.monotone &= firm_of(predicate, &input, columns);
    input.rows.add(&asked);
    input.tighten(&bounds);
    Ok(input)
}

fn united(a: Relation, b: Relation) -> Relation {
    let both = |(a, b): (Col, Col)| {
        let (a, b) = (a.settled(), b.settled());
        Col {
            value: a.value.with(&b.value),
            doubt: None,
            empty: if a.empty == b.empty { a.empty } else { None },
            stable: a.stable && b.stable,
            never_null: a.never_null && b.never_null,
            times: a.times.into_iter().chain(b.times).collect(),
        }
    };
    Relation {
        cols: a.cols.into_iter().zip(b.cols).map(both).collect(),
        rows: a.rows.with(&b.rows),
        monotone: a.monotone && b.monotone,
        unique: None,
    }
}

/// Some of the rows, picked by how they stand among the others.
fn some_of(input: Relation) -> Relation {
    Relation { rows: everything(&input).held(&[]), monotone: false, ..input }
}

/// The scans of which a window function holds a row only against those that are as late or later: a rank from the latest on.
fn held_against_later(expr: &Expr, times: &dyn Fn(&Column) -> Times) -> Vec<usize> {
    let Expr::WindowFunction(call) = unaliased(expr) else { return Vec::new() };
    let ranks = ["row_number", "rank", "dense_rank"].contains(&call.fun.name());
    let (Some(first), true) = (call.params.order_by.first(), ranks) else { return Vec::new() };
    let Expr::Column(column) = unaliased(&first.expr) else { return Vec::new() };
    let own = times(column).into_iter().filter(|(_, made)| *made == event_time() && !first.asc);
    own.map(|(scan, _)| scan).collect()
}

/// All that a relation depends on.
fn everything(relation: &Relation) -> Reads {
    let mut all = relation.rows.clone();
    relation.cols.iter().for_each(|col| all.add(&col.clone().settled().value));
    all
}

/// The `CASE` that an aggregate's argument is, also where its type is changed.
fn case_of(arg: &Expr) -> Option<&Case> {
    match unaliased(arg) {
        Expr::Case(case) if case.expr.is_none() => Some(case),
        Expr::Cast(to) if to.field.data_type().is_numeric() => case_of(&to.expr),
        _ => None,
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(unaliased(expr), Expr::Literal(value, _) if value.is_null())
}

fn is_zero(expr: &Expr) -> bool {
    match unaliased(expr) {
        Expr::Literal(value, _) => {
            value.data_type().is_numeric() && ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value)
        }
        Expr::Cast(to) => is_zero(&to.expr),
        _ => false,
    }
}

fn has_zero(case: &Case) -> bool {
    case.else_expr.as_deref().is_some_and(is_zero) || case.when_then_expr.iter().any(|(_, then)| is_zero(then))
}

/// The bounds outside of which a row adds nothing: NULL, or 0 to a sum.
fn case_bounds(case: &Case, zero_too: bool, times: &dyn Fn(&Column) -> Times) -> Option<Vec<(usize, Lower)>> {
    let nothing = |e: &Expr| is_null(e) || (zero_too && is_zero(e));
    if !case.else_expr.as_deref().is_none_or(nothing) {
        return None;
    }
    let adding = case.when_then_expr.iter().filter(|(_, then)| !nothing(then));
    let bounds = adding
        .map(|(when, _)| split_conjunction(when).into_iter().flat_map(|c| bounds_of(c, times)).collect::<Vec<_>>());
    bounds.reduce(either)
}
