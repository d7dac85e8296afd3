//! The windows that a view's plan has, and the same plan with other ones.
//!
//! A window's start is a comparison of a row with the label time less a constant: `ts > $NOW - INTERVAL '1 day'`,
//! `ts >= date_trunc('day', $NOW)`, `ts + INTERVAL '1 day' > $NOW`, `$NOW - ts < INTERVAL '1 day'`, in WHERE, FILTER, CASE and ON alike. Its end is a
//! comparison with the label time itself. Anything else that names the label time is left as it is.
//!
//! ```text
//! before: count(*) FILTER (WHERE ts > $NOW - 1 day)
//! start inclusive: ts >= $NOW - 1 day      tiled by 1 h: ts > date_bin(1 h, $NOW - 1 day), or >=
//! calendar day:    ts > date_trunc('day', $NOW)
//! ```

use std::cell::RefCell;

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::functions::datetime::expr_fn::{date_bin, date_trunc};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, lit};

use crate::cause::change::{DAY, Length};
use crate::sql::{
    LENGTH_OF_TIME, ROUNDING, Resize, exact_comparisons, is_now, mentions_now, rewrite_expressions, window_sizes,
    with_windows_resized,
};

/// Where a window begins, as the SQL says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Start {
    /// The label time less months, days, nanoseconds.
    Before(i32, i32, i64),
    /// The start of a calendar unit of that.
    Of(String, i32, i32, i64),
    /// A window of `TUMBLE`, or of `HOP` with this hop, of this size.
    Called { hop: Option<i64>, size: i64 },
}

impl Start {
    /// The least that it comes to, nanoseconds.
    pub(super) fn shortest(&self) -> i64 {
        match self {
            Self::Before(months, days, nanos) => (i64::from(*months) * 28 + i64::from(*days)) * DAY + nanos,
            Self::Of(_, months, days, nanos) => (i64::from(*months) * 28 + i64::from(*days)) * DAY + nanos,
            Self::Called { size, .. } => *size,
        }
    }

    /// The length where it is one of days and below.
    pub(super) fn nanos(&self) -> Option<i64> {
        match self {
            Self::Before(0, days, nanos) => Some(i64::from(*days) * DAY + nanos),
            Self::Called { size, .. } => Some(*size),
            _ => None,
        }
    }
}

/// What a view's plan says about its label time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Windows {
    /// Each different one once, in order.
    pub starts: Vec<Start>,
    /// Some window holds what is exactly at its start.
    pub includes_start: bool,
    /// Some window does not.
    pub excludes_start: bool,
    /// Some condition lets in what is exactly at the label time, and some shuts it out.
    pub end_included: bool,
    pub end_excluded: bool,
    /// Months, weeks, days of the calendar have a say, so that a shift of all times is no shift of the label time.
    pub calendar: bool,
}

/// What becomes of a plan's windows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rewindow {
    Start {
        inclusive: bool,
    },
    End {
        included: bool,
    },
    Lengths(Vec<Option<Length>>),
    /// `inclusive`: `>=`, whatever the SQL has.
    Tiled {
        tile: i64,
        inclusive: bool,
    },
    EndLater(Option<i64>),
}

/// A comparison of a row's time with one of the label time.
struct Bounded {
    row: Expr,
    op: Operator,
    bound: Expr,
}

impl Bounded {
    /// Whether some change gives it another limit.
    fn can_change(&self) -> bool {
        let known = match self.op {
            Operator::Gt | Operator::GtEq => core(&self.bound).is_some(),
            Operator::Lt | Operator::LtEq => is_now(plain(&self.bound)),
            _ => false,
        };
        known && matches!(self.bound.get_type(&DFSchema::empty()), Ok(DataType::Timestamp(_, _)))
    }
}

/// Where a window begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Limit {
    /// The row's time has to compare so with this.
    At(Operator, Expr),
    /// Nowhere: any time will do.
    Nowhere,
}

impl Limit {
    fn of(self, row: Expr) -> Expr {
        match self {
            Self::At(op, bound) => binary_expr(row, op, bound),
            Self::Nowhere => row.is_not_null(),
        }
    }
}

impl Windows {
    /// What the plan says.
    pub(super) fn of(plan: &LogicalPlan) -> Self {
        let mut windows = Self::default();
        let _ = plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|e| {
                    windows.note(e);
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        });
        for (hop, size, timestamps) in window_sizes(plan).unwrap_or_default() {
            windows.starts.push(Start::Called { hop, size });
            windows.includes_start |= timestamps;
        }
        windows.starts.sort();
        windows.starts.dedup();
        windows
    }

    fn note(&mut self, expr: &Expr) {
        match expr {
            // Windows of TUMBLE and HOP stand on a grid as months and days do.
            Expr::ScalarFunction(f)
                if matches!(
                    f.func.name(),
                    "date_trunc" | "date_bin" | "date_part" | "to_char" | "window_start" | "window_end"
                ) =>
            {
                self.calendar = true;
            }
            Expr::Cast(to) if matches!(to.field.data_type(), DataType::Date32 | DataType::Date64) => {
                self.calendar = true;
            }
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) if v.months != 0 => self.calendar = true,
            // A day that is named is one of the calendar.
            Expr::Literal(value, _)
                if matches!(value.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) =>
            {
                self.calendar = true;
            }
            Expr::Cast(to)
                if matches!(to.field.data_type(), DataType::Timestamp(..)) && matches!(*to.expr, Expr::Literal(..)) =>
            {
                self.calendar = true;
            }
            _ => {}
        }
        for bounded in bounds(expr) {
            match bounded.op {
                Operator::Gt | Operator::GtEq => {
                    let Some((_, start)) = core(&bounded.bound) else { continue };
                    self.starts.push(start);
                    self.includes_start |= bounded.op == Operator::GtEq;
                    self.excludes_start |= bounded.op == Operator::Gt;
                }
                Operator::Lt | Operator::LtEq if is_now(plain(&bounded.bound)) => {
                    self.end_included |= bounded.op == Operator::LtEq;
                    self.end_excluded |= bounded.op == Operator::Lt;
                }
                _ => {}
            }
        }
    }

    /// Whether there are windows of `TUMBLE` or `HOP`.
    pub(super) fn has_calls(&self) -> bool {
        self.starts.iter().any(|start| matches!(start, Start::Called { .. }))
    }

    /// Whether the change is one of windows of `TUMBLE` or `HOP`, which no limit says.
    pub(super) fn changes_calls(&self, change: &Rewindow) -> bool {
        let called =
            |start: &Start| matches!(start, Start::Called { hop, size } if self.resize(*hop, *size, change).is_some());
        self.starts.iter().any(called)
    }

    fn resize(&self, hop: Option<i64>, size: i64, change: &Rewindow) -> Option<Resize> {
        match change {
            Rewindow::Start { inclusive: false } => Some(Resize::EndIncluded),
            Rewindow::Lengths(lengths) => {
                let own = self.starts.iter().position(|start| *start == Start::Called { hop, size })?;
                match lengths.get(own).copied().flatten()? {
                    Length::Fixed { months: 0, days, nanos } => Some(Resize::To(i64::from(days) * DAY + nanos)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The plan with other windows.
    pub(super) fn rewrite(&self, plan: LogicalPlan, change: &Rewindow) -> DfResult<LogicalPlan> {
        let rewritten = rewrite_expressions(plan, &|expr| {
            let parts = bounds(&expr);
            if parts.is_empty() {
                return Ok(Transformed::no(expr));
            }
            let changed: Vec<Option<Limit>> =
                parts.iter().map(|part| self.changed(part.op, &part.bound, change)).collect::<DfResult<_>>()?;
            if changed.iter().all(Option::is_none) {
                return Ok(Transformed::no(expr));
            }
            let parts = parts.into_iter().zip(changed);
            let parts = parts.map(|(part, new)| new.unwrap_or(Limit::At(part.op, part.bound)).of(part.row));
            Ok(Transformed::yes(parts.reduce(Expr::and).unwrap_or_else(|| lit(true))))
        })?;
        let resized = match self.changes_calls(change) {
            true => with_windows_resized(rewritten, &|call| self.resize(call.hop, call.size_ns()?, change))?,
            false => rewritten,
        };
        exact_comparisons(resized)
    }

    /// The plan with `with(row, number)` in the place of each comparison with the label time, and the limits that these are, each
    /// different one once.
    pub(super) fn slotted(
        plan: LogicalPlan,
        with: &dyn Fn(Expr, usize, &Limit) -> DfResult<Expr>,
    ) -> DfResult<(LogicalPlan, Vec<Limit>)> {
        let limits: RefCell<Vec<Limit>> = RefCell::default();
        let rewritten = rewrite_expressions(plan, &|expr| {
            let parts = bounds(&expr);
            if !parts.iter().any(Bounded::can_change) {
                return Ok(Transformed::no(expr));
            }
            let mut all = limits.borrow_mut();
            let mut slot = |part: Bounded| -> DfResult<Expr> {
                if !part.can_change() {
                    return Ok(binary_expr(part.row, part.op, part.bound));
                }
                let limit = Limit::At(part.op, part.bound);
                let number = all.iter().position(|l| *l == limit).unwrap_or_else(|| {
                    all.push(limit.clone());
                    all.len() - 1
                });
                with(part.row, number, &limit)
            };
            let parts = parts.into_iter().map(&mut slot).collect::<DfResult<Vec<_>>>()?;
            // What was made is not looked at again: it compares with no placeholder.
            Ok(Transformed::yes(parts.into_iter().reduce(Expr::and).unwrap_or_else(|| lit(true))))
        })?;
        Ok((exact_comparisons(rewritten)?, limits.into_inner()))
    }

    /// The limit after these changes, one after the other.
    pub(super) fn limit(&self, limit: &Limit, changes: &[Rewindow]) -> DfResult<Limit> {
        changes.iter().try_fold(limit.clone(), |limit, change| {
            let Limit::At(op, bound) = &limit else { return Ok(limit) };
            Ok(self.changed(*op, bound, change)?.unwrap_or(limit))
        })
    }

    fn changed(&self, op: Operator, bound: &Expr, change: &Rewindow) -> DfResult<Option<Limit>> {
        let lower = matches!(op, Operator::Gt | Operator::GtEq);
        let upper = matches!(op, Operator::Lt | Operator::LtEq) && is_now(plain(bound));
        let start = if lower { core(bound) } else { None };
        let flipped = |to: Operator| (to != op).then(|| Limit::At(to, bound.clone()));
        Ok(match change {
            Rewindow::Start { inclusive } if start.is_some() => {
                flipped(if *inclusive { Operator::GtEq } else { Operator::Gt })
            }
            Rewindow::End { included } if upper => flipped(if *included { Operator::LtEq } else { Operator::Lt }),
            Rewindow::EndLater(None) if upper => Some(Limit::Nowhere),
            Rewindow::EndLater(Some(by)) if upper => Some(Limit::At(op, bound.clone() + lit(interval(0, 0, *by)))),
            Rewindow::Tiled { tile, inclusive } => match start {
                Some((core, _)) => {
                    let op = if *inclusive { Operator::GtEq } else { op };
                    let origin = ScalarValue::TimestampNanosecond(Some(0), Some("UTC".into()));
                    let floored = date_bin(lit(interval(0, 0, *tile)), core.clone(), lit(origin));
                    Some(Limit::At(op, replaced(bound, &core, &floored)?))
                }
                None => None,
            },
            Rewindow::Lengths(lengths) => {
                let Some((core, start)) = start else { return Ok(None) };
                let position = self.starts.iter().position(|s| *s == start);
                let Some(length) = position.and_then(|at| lengths.get(at).copied().flatten()) else { return Ok(None) };
                let Some(now) = now_of(&core) else { return Ok(None) };
                let new = match length {
                    Length::Calendar(unit) => date_trunc(lit(unit), now),
                    Length::Fixed { months, days, nanos } => now - lit(interval(months, days, nanos)),
                    Length::Unbounded => return Ok(Some(Limit::Nowhere)),
                };
                // A calendar's unit holds its first instant.
                let op = if matches!(length, Length::Calendar(_)) { Operator::GtEq } else { op };
                Some(Limit::At(op, replaced(bound, &core, &new)?))
            }
            _ => None,
        })
    }
}

fn interval(months: i32, days: i32, nanos: i64) -> ScalarValue {
    ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)))
}

/// The comparisons with the label time that the expression is, rows on the left; none where it is something else.
fn bounds(expr: &Expr) -> Vec<Bounded> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => bounded(left, *op, right).into_iter().collect(),
        Expr::Between(Between { expr, negated: false, low, high }) if mentions_now(low) || mentions_now(high) => {
            let row = expr.as_ref().clone();
            let part = |op, bound: &Expr| {
                bounded(&row, op, bound).unwrap_or_else(|| Bounded { row: row.clone(), op, bound: bound.clone() })
            };
            vec![part(Operator::GtEq, low), part(Operator::LtEq, high)]
        }
        _ => Vec::new(),
    }
}

fn bounded(left: &Expr, op: Operator, right: &Expr) -> Option<Bounded> {
    if let Some(aged) = aged(left, op, right).or_else(|| aged(right, op.swap()?, left)) {
        return Some(aged);
    }
    let of_row = |e: &Expr| !mentions_now(e) && !e.column_refs().is_empty();
    let of_time = |e: &Expr| mentions_now(e) && e.column_refs().is_empty();
    let (row, op, bound) = if of_row(left) && of_time(right) {
        (left, op, right)
    } else if of_time(left) && of_row(right) {
        (right, op.swap()?, left)
    } else {
        return None;
    };
    if !matches!(op, Operator::Gt | Operator::GtEq | Operator::Lt | Operator::LtEq) {
        return None;
    }
    // What was rounded for a coarser column is rounded again once the comparison is another.
    let bound = unrounded(bound).clone();
    if let Expr::BinaryExpr(BinaryExpr { left, op: sign, right }) = row
        && let Some(length) = length_of(right)
        && length.months == 0
        && is_now(plain(&bound))
    {
        let moved = match sign {
            Operator::Plus => bound - lit(interval(0, length.days, length.nanoseconds)),
            Operator::Minus => bound + lit(interval(0, length.days, length.nanoseconds)),
            _ => return Some(Bounded { row: row.clone(), op, bound }),
        };
        return Some(Bounded { row: left.as_ref().clone(), op, bound: moved });
    }
    Some(Bounded { row: row.clone(), op, bound })
}

/// An age against a length, `NOW() - ts < INTERVAL '1 day'`: `ts > NOW() - INTERVAL '1 day'`, where a month has 30 days.
fn aged(age: &Expr, op: Operator, length: &Expr) -> Option<Bounded> {
    let op = op.swap()?;
    if !matches!(op, Operator::Gt | Operator::GtEq | Operator::Lt | Operator::LtEq) {
        return None;
    }
    let inner = |e: &Expr| match e {
        Expr::ScalarFunction(f) if f.func.name() == LENGTH_OF_TIME => f.args.first().cloned(),
        _ => None,
    };
    let Expr::BinaryExpr(BinaryExpr { left: now, op: Operator::Minus, right: row }) = inner(age)? else { return None };
    let length = length_of(&inner(length)?)?;
    if !is_now(plain(&now)) || mentions_now(&row) || row.column_refs().is_empty() {
        return None;
    }
    let days = length.months.checked_mul(30)?.checked_add(length.days)?;
    Some(Bounded { row: *row, op, bound: *now - lit(interval(0, days, length.nanoseconds)) })
}

fn unrounded(expr: &Expr) -> &Expr {
    match expr {
        Expr::ScalarFunction(f) if ROUNDING.contains(&f.func.name()) => f.args.first().map_or(expr, unrounded),
        other => other,
    }
}

/// Without casts between timestamps and roundings.
fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(to) if matches!(to.field.data_type(), DataType::Timestamp(_, _)) => plain(&to.expr),
        other => match unrounded(other) {
            same if std::ptr::eq(same, other) => same,
            inner => plain(inner),
        },
    }
}

fn length_of(expr: &Expr) -> Option<IntervalMonthDayNano> {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) => Some(*v),
        Expr::Literal(ScalarValue::IntervalDayTime(Some(v)), _) => {
            Some(IntervalMonthDayNano::new(0, v.days, i64::from(v.milliseconds) * 1_000_000))
        }
        Expr::Literal(ScalarValue::IntervalYearMonth(Some(months)), _) => {
            Some(IntervalMonthDayNano::new(*months, 0, 0))
        }
        _ => None,
    }
}

/// The part of a bound that says where the window begins: `$NOW - interval`, or a calendar unit of it.
fn core(bound: &Expr) -> Option<(Expr, Start)> {
    match bound {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            let length = length_of(right)?;
            if is_now(plain(left)) {
                return Some((bound.clone(), Start::Before(length.months, length.days, length.nanoseconds)));
            }
            match core(left)? {
                (_, Start::Of(unit, 0, 0, 0)) => {
                    Some((bound.clone(), Start::Of(unit, length.months, length.days, length.nanoseconds)))
                }
                _ => None,
            }
        }
        Expr::ScalarFunction(f) if f.func.name() == "date_trunc" => {
            let [Expr::Literal(ScalarValue::Utf8(Some(unit)), _), inner] = f.args.as_slice() else { return None };
            let (months, days, nanos) = if is_now(plain(inner)) {
                (0, 0, 0)
            } else {
                match core(inner)? {
                    (_, Start::Before(months, days, nanos)) => (months, days, nanos),
                    _ => return None,
                }
            };
            Some((bound.clone(), Start::Of(unit.to_lowercase(), months, days, nanos)))
        }
        Expr::ScalarFunction(f) if ROUNDING.contains(&f.func.name()) => core(f.args.first()?),
        Expr::Cast(to) if matches!(to.field.data_type(), DataType::Timestamp(_, _)) => core(&to.expr),
        _ => None,
    }
}

/// The label time inside the core of a bound, with its casts.
fn now_of(core: &Expr) -> Option<Expr> {
    match core {
        e if is_now(plain(e)) => Some(e.clone()),
        Expr::BinaryExpr(BinaryExpr { left, .. }) => now_of(left),
        Expr::ScalarFunction(f) => f.args.last().and_then(now_of),
        _ => None,
    }
}

fn replaced(bound: &Expr, old: &Expr, new: &Expr) -> DfResult<Expr> {
    let done = bound.clone().transform_down(|e| {
        Ok(if e == *old { Transformed::new(new.clone(), true, TreeNodeRecursion::Jump) } else { Transformed::no(e) })
    })?;
    Ok(done.data)
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
