//! What conditions on the label time say about all label times at once: filters that prune a source, and lookbacks.
//!
//! A bound `ts > f(NOW())` with a monotone `f` can only hold where `ts > f(first label time)`. Monotone are `NOW()` itself,
//! `NOW()` plus or minus a constant interval (calendar months too: clamping to a month's end keeps the order), and
//! `date_trunc` of these. The filter is an addition: the condition itself stays and decides.
//!
//! A bound on a window bounds the times in it: `window_end > x` can only hold where `ts > x - size`.

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, cast};

use crate::plan::relation::{bind_time, mentions_time};
use crate::source::time::ticks_until;
use crate::sql::{ROUNDING, WindowCall, is_now, window_call};

/// Pruning bounds are this much wider than the label times: DataFusion 55 cuts digits off a literal when it brings it to the
/// unit of a coarser column.
const MARGIN_NS: i64 = 1_000_000_000;

/// Adds filters that no row within reach of a label time fails. `times`: first and last label time, nanoseconds.
pub(super) fn prune(
    plan: LogicalPlan,
    conditions: &[Expr],
    times: (i64, i64),
    unit: TimeUnit,
) -> DfResult<LogicalPlan> {
    let at = |instant: i64| -> Expr {
        let ticks = ticks_until(instant, unit);
        Expr::Literal(crate::source::timestamp(unit, ticks, Some("UTC".into())), None)
    };
    let mut filters = Vec::new();
    for condition in conditions.iter().flat_map(split_conjunction) {
        let Some((row, op, bound)) = sides(condition) else { continue };
        let of_time = match window_of(row) {
            Some(window) => time_bound(window, op, bound, plan.schema())?,
            None => None,
        };
        let (row, bound) = &of_time.unwrap_or_else(|| (row.clone(), bound.clone()));
        // Conditions on visibility use $INSTANT and are pruned by at the scan: only $NOW is bound here.
        if !monotone(bound) {
            continue;
        }
        let extreme = match op {
            Operator::Gt | Operator::GtEq => at(times.0.saturating_sub(MARGIN_NS)),
            Operator::Lt | Operator::LtEq => at(times.1.saturating_add(MARGIN_NS)),
            _ => continue,
        };
        let fixed = bind_time(bound.clone(), &extreme, &extreme)?;
        filters.push(Expr::BinaryExpr(BinaryExpr::new(Box::new(row.clone()), op, Box::new(fixed))));
    }
    match conjunction(filters) {
        Some(filter) => LogicalPlanBuilder::from(plan).filter(filter)?.build(),
        None => Ok(plan),
    }
}

/// `row op bound`, the row's side first, where one side is of the row alone and the other of the label time alone.
pub(super) fn sides(condition: &Expr) -> Option<(&Expr, Operator, &Expr)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let timeless = |e: &Expr| !mentions_time(e) && !e.column_refs().is_empty();
    let rowless = |e: &Expr| mentions_time(e) && e.column_refs().is_empty();
    if timeless(left) && rowless(right) {
        Some((left, *op, right))
    } else if rowless(left) && timeless(right) {
        Some((right, op.swap()?, left))
    } else {
        None
    }
}

/// The window that is bounded, also where its unit is changed.
fn window_of(row: &Expr) -> Option<WindowCall<'_>> {
    match row {
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Timestamp(_, _)) => window_call(&cast.expr),
        other => window_call(other),
    }
}

/// The bound on the times in a window that a bound on the window implies: `start <= time < end`, and `end` is `start` plus the size.
fn time_bound(window: WindowCall, op: Operator, bound: &Expr, schema: &DFSchema) -> DfResult<Option<(Expr, Expr)>> {
    let size = Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(window.size)), None);
    let bound = match op {
        Operator::Gt | Operator::GtEq if window.end => bound.clone() - size,
        Operator::Lt | Operator::LtEq if !window.end => bound.clone() + size,
        _ => bound.clone(),
    };
    let (own, wanted) = (window.time.get_type(schema)?, bound.get_type(schema)?);
    let time = match (own == wanted, &wanted) {
        (true, _) => window.time.clone(),
        // Not every time is one of nanoseconds.
        (false, DataType::Timestamp(TimeUnit::Nanosecond, _)) => return Ok(None),
        (false, _) => cast(window.time.clone(), wanted),
    };
    Ok(Some((time, bound)))
}

/// Whether a later label time never gives an earlier value.
fn monotone(bound: &Expr) -> bool {
    match bound {
        e if is_now(e) => true,
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus | Operator::Minus, right }) => {
            monotone(left) && is_interval(right)
        }
        Expr::ScalarFunction(f) if ROUNDING.contains(&f.func.name()) => f.args.iter().all(monotone),
        Expr::ScalarFunction(f) if f.func.name() == "date_trunc" => {
            matches!(f.args.as_slice(), [Expr::Literal(_, _), inner] if monotone(inner))
        }
        _ => false,
    }
}

fn is_interval(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Literal(
            ScalarValue::IntervalMonthDayNano(Some(_))
                | ScalarValue::IntervalDayTime(Some(_))
                | ScalarValue::IntervalYearMonth(Some(_)),
            _
        )
    )
}

/// How far before the label time the conditions let this event time be, ISO 8601; `None` where nothing bounds it.
pub(super) fn lookback(event_time: &Column, conditions: &[Expr]) -> Option<String> {
    conditions.iter().flat_map(split_conjunction).find_map(|condition| {
        let (row, op, bound) = sides(condition)?;
        let (row, size) = match window_call(uncast(row)) {
            Some(window) if window.end => (window.time, window.size),
            Some(window) => (window.time, IntervalMonthDayNano::ZERO),
            None => (row, IntervalMonthDayNano::ZERO),
        };
        if !matches!(op, Operator::Gt | Operator::GtEq) || uncast(row) != &Expr::Column(event_time.clone()) {
            return None;
        }
        let distance = distance(bound)?;
        let days = distance.days.checked_add(size.days)?;
        Some(iso(distance.months, days, distance.nanoseconds.checked_add(size.nanoseconds)?))
    })
}

fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => uncast(&cast.expr),
        other => other,
    }
}

/// What is subtracted from the label time.
fn distance(bound: &Expr) -> Option<IntervalMonthDayNano> {
    match bound {
        e if is_now(e) => Some(IntervalMonthDayNano::ZERO),
        Expr::ScalarFunction(f) if ROUNDING.contains(&f.func.name()) => distance(f.args.first()?),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) if is_now(left) => match right.as_ref() {
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) => Some(*v),
            Expr::Literal(ScalarValue::IntervalDayTime(Some(v)), _) => {
                Some(IntervalMonthDayNano::new(0, v.days, i64::from(v.milliseconds) * 1_000_000))
            }
            Expr::Literal(ScalarValue::IntervalYearMonth(Some(months)), _) => {
                Some(IntervalMonthDayNano::new(*months, 0, 0))
            }
            _ => None,
        },
        _ => None,
    }
}

/// An ISO 8601 duration.
pub(super) fn iso(months: i32, days: i32, nanoseconds: i64) -> String {
    let mut text = String::from("P");
    let mut part = |n: i64, unit: &str| {
        if n != 0 {
            text.push_str(&format!("{n}{unit}"));
        }
    };
    part(i64::from(months / 12), "Y");
    part(i64::from(months % 12), "M");
    part(i64::from(days), "D");
    if nanoseconds != 0 {
        let seconds = nanoseconds / 1_000_000_000;
        let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        text.push('T');
        for (n, unit) in [(h, "H"), (m, "M")] {
            if n != 0 {
                text.push_str(&format!("{n}{unit}"));
            }
        }
        let rest = nanoseconds % 1_000_000_000;
        if rest != 0 {
            text.push_str(format!("{s}.{rest:09}").trim_end_matches('0'));
            text.push('S');
        } else if s != 0 {
            text.push_str(&format!("{s}S"));
        }
    }
    if text == "P" { "PT0S".to_string() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_as_iso_8601() {
        assert_eq!(iso(0, 1, 0), "P1D");
        assert_eq!(iso(14, 0, 0), "P1Y2M");
        assert_eq!(iso(0, 0, 24 * 3_600_000_000_000), "PT24H");
        assert_eq!(iso(0, 0, 90_500_000_000), "PT1M30.5S");
        assert_eq!(iso(0, 0, 0), "PT0S");
    }
}
