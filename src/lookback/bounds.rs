//! What a condition says of event times: `ts > NOW() - INTERVAL '1 day'` bounds the reading whose event time `ts` is.
//!
//! | condition | events matter from |
//! | --- | --- |
//! | `ts > b`, `ts >= b`, `ts = b`, `ts BETWEEN b AND …` | `b` |
//! | `date_trunc(_, ts) >= b`, `CAST(ts AS DATE) >= b`, a window's start | `b`: none of them is later than `ts` |
//! | `ts + i > b`, `ts - i > b` | `b - i`, `b + i`; four days earlier where `i` has months, as days may be lost on the way |
//! | `window_end > b` | `b` less the window's size |
//! | `x AND y`, `x OR y` | the later, the earlier of the two |
//!
//! `b` is over `NOW()` alone or a constant. Anything else bounds nothing.

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::Between;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, binary_expr, cast};

use crate::lookback::reads::Lower;
use crate::sql::{ROUNDING, window_call};

/// Months forward and as many back end within so many days of where they began.
const CALENDAR_DAYS: i32 = 4;

/// What a column is made of: for each scan whose event time it is, an expression over [`event_time`].
pub(super) type Times = Vec<(usize, Expr)>;

/// The event time inside of an expression.
pub(super) fn event_time() -> Expr {
    Expr::Column(Column::new_unqualified("__backcast_event_time"))
}

/// The bounds that hold where the condition is true, by scan; `times` says of which event time a column is made.
pub(super) fn bounds_of(condition: &Expr, times: &dyn Fn(&Column) -> Times) -> Vec<(usize, Lower)> {
    match condition {
        Expr::Alias(alias) => bounds_of(&alias.expr, times),
        Expr::IsTrue(inner) => bounds_of(inner, times),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let mut all = bounds_of(left, times);
            all.extend(bounds_of(right, times));
            all
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            either(by_scan(bounds_of(left, times)), by_scan(bounds_of(right, times)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if rowless(right) {
                comparison(left, *op, right, times)
            } else if rowless(left) {
                op.swap().map_or_else(Vec::new, |op| comparison(right, op, left, times))
            } else {
                Vec::new()
            }
        }
        Expr::Between(Between { expr, negated: false, low, .. }) if rowless(low) => {
            comparison(expr, Operator::GtEq, low, times)
        }
        _ => Vec::new(),
    }
}

/// One of several sets of bounds holds.
pub(super) fn either(a: Vec<(usize, Lower)>, b: Vec<(usize, Lower)>) -> Vec<(usize, Lower)> {
    let b = by_scan(b);
    by_scan(a)
        .into_iter()
        .filter_map(|(scan, lower)| {
            let (_, other) = b.iter().find(|(s, _)| *s == scan)?;
            Some((scan, lower.or(other.clone())))
        })
        .collect()
}

/// All bounds of a scan as one.
fn by_scan(bounds: Vec<(usize, Lower)>) -> Vec<(usize, Lower)> {
    let mut all: Vec<(usize, Lower)> = Vec::new();
    for (scan, lower) in bounds {
        match all.iter_mut().find(|(s, _)| *s == scan) {
            Some((_, own)) => *own = own.clone().and(&lower),
            None => all.push((scan, lower)),
        }
    }
    all
}

fn rowless(expr: &Expr) -> bool {
    expr.column_refs().is_empty() && !matches!(expr, Expr::Literal(value, _) if value.is_null())
}

fn comparison(row: &Expr, op: Operator, bound: &Expr, times: &dyn Fn(&Column) -> Times) -> Vec<(usize, Lower)> {
    if !matches!(op, Operator::Gt | Operator::GtEq | Operator::Eq | Operator::IsNotDistinctFrom) {
        return Vec::new();
    }
    // Later than an instant of the coarser unit: that is so before the rounding, too.
    let row = if op == Operator::Gt { rounded_up(row).unwrap_or(row) } else { row };
    let lower = |(scan, row): (usize, Expr)| Some((scan, Lower::At(implied(&row, bound)?)));
    of_event_time(row, times).into_iter().filter_map(lower).collect()
}

/// The expression over the event time in place of a column that is one: for each such column and its scan. Other columns stay, and
/// [`implied`] goes past none but the number of a `HOP`'s window.
pub(super) fn of_event_time(row: &Expr, times: &dyn Fn(&Column) -> Times) -> Times {
    use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
    let put = |column: &Column, made: &Expr| {
        let replaced = row.clone().transform_up(|e| {
            let is_it = matches!(&e, Expr::Column(c) if c == column);
            Ok(if is_it { Transformed::yes(made.clone()) } else { Transformed::no(e) })
        });
        replaced.data().ok()
    };
    let mut columns: Vec<&Column> = row.column_refs().into_iter().collect();
    columns.sort_unstable();
    let made = |column: &&Column| {
        let of = times(column);
        of.into_iter().filter_map(|(scan, made)| Some((scan, put(column, &made)?))).collect::<Vec<_>>()
    };
    columns.iter().flat_map(made).collect()
}

/// What is rounded up to a coarser unit.
fn rounded_up(row: &Expr) -> Option<&Expr> {
    match row {
        Expr::Alias(alias) => rounded_up(&alias.expr),
        Expr::ScalarFunction(f) if f.func.name() == ROUNDING[1] => f.args.first(),
        _ => None,
    }
}

/// What `row >= bound` says of the event time in `row`.
fn implied(row: &Expr, bound: &Expr) -> Option<Expr> {
    if *row == event_time() {
        return Some(bound.clone());
    }
    if let Some(window) = window_call(row) {
        let bound = if window.end { moved(bound, Operator::Minus, window.size) } else { bound.clone() };
        return implied(window.time, &bound);
    }
    match row {
        Expr::Alias(alias) => implied(&alias.expr, bound),
        Expr::Cast(to) if keeps_or_floors(to.field.data_type()) => implied(&to.expr, bound),
        Expr::ScalarFunction(f) if f.func.name() == "date_trunc" => match f.args.as_slice() {
            [Expr::Literal(_, _), ts] => implied(ts, bound),
            _ => None,
        },
        Expr::ScalarFunction(f) if f.func.name() == "date_bin" => match f.args.as_slice() {
            [Expr::Literal(_, _), ts] | [Expr::Literal(_, _), ts, Expr::Literal(_, _)] => implied(ts, bound),
            _ => None,
        },
        Expr::ScalarFunction(f) if f.func.name() == ROUNDING[0] => implied(f.args.first()?, bound),
        // No unit is coarser than a second.
        Expr::ScalarFunction(f) if f.func.name() == ROUNDING[1] => {
            implied(f.args.first()?, &moved(bound, Operator::Minus, IntervalMonthDayNano::new(0, 0, 1_000_000_000)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (ts, shift, back) = match (interval(left), interval(right), op) {
                (None, Some(shift), Operator::Plus) => (left, shift, Operator::Minus),
                (None, Some(shift), Operator::Minus) => (left, shift, Operator::Plus),
                (Some(shift), None, Operator::Plus) => (right, shift, Operator::Minus),
                _ => return None,
            };
            let mut bound = moved(bound, back, shift);
            if shift.months != 0 {
                bound = moved(&bound, Operator::Minus, IntervalMonthDayNano::new(0, CALENDAR_DAYS, 0));
            }
            implied(ts, &bound)
        }
        _ => None,
    }
}

/// The bound, so much later or earlier.
fn moved(bound: &Expr, op: Operator, by: IntervalMonthDayNano) -> Expr {
    binary_expr(instant(bound), op, Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(by)), None))
}

/// Types to which an instant is cast without going forward: UTC in another unit, or its day.
fn keeps_or_floors(to: &DataType) -> bool {
    match to {
        DataType::Date32 => true,
        DataType::Timestamp(_, zone) => zone.as_deref().is_none_or(|z| matches!(z, "UTC" | "+00:00" | "Z")),
        _ => false,
    }
}

/// A bound as an instant: hours can't be taken from a date.
fn instant(bound: &Expr) -> Expr {
    match bound {
        Expr::Cast(to) if matches!(to.field.data_type(), DataType::Date32) => {
            cast(bound.clone(), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
        }
        Expr::Literal(ScalarValue::Date32(_), _) => {
            cast(bound.clone(), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
        }
        other => other.clone(),
    }
}

/// An interval that is written out.
pub(super) fn interval(expr: &Expr) -> Option<IntervalMonthDayNano> {
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
