//! What conditions on the label time say about all label times at once: filters that prune a source, and lookbacks.
//!
//! A bound `ts > f(NOW())` with a monotone `f` can only hold where `ts > f(first label time)`. Monotone are `NOW()` itself,
//! `NOW()` plus or minus a constant interval, and `date_trunc` of these. Months are nearly so: clamping to a month's end keeps the order
//! of days, not that of times (29 March 14:00 less a month is later than 30 March 0:00 less a month), so the label times are taken wider
//! by some days for each. The filter is an addition: the condition itself stays and decides.
//!
//! A bound on a window bounds the times in it: `window_end > x` can only hold where `ts > x - size`.

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, cast,
};

use crate::plan::relation::{bind_time, mentions_time};
use crate::source::time::ticks_until;
use crate::source::within_reach;
use crate::sql::{ROUNDING, WindowCall, is_now, window_call};

/// Pruning bounds are this much wider than the label times: DataFusion 55 cuts digits off a literal when it brings it to the
/// unit of a coarser column.
const MARGIN_NS: i64 = 1_000_000_000;

/// Adds filters that no row within reach of a label time fails. Conditions may name columns that `plan` does not have: they say
/// nothing of it. `times`: first and last label time, nanoseconds.
pub(super) fn prune<'a>(
    plan: LogicalPlan,
    conditions: impl IntoIterator<Item = &'a Expr>,
    times: (i64, i64),
    unit: TimeUnit,
) -> DfResult<LogicalPlan> {
    let at = |instant: i64| -> Expr {
        let ticks = ticks_until(instant, unit);
        Expr::Literal(crate::source::timestamp(unit, ticks, Some("UTC".into())), None)
    };
    let mut filters = Vec::new();
    for condition in conditions.into_iter().flat_map(split_conjunction) {
        let Some((row, op, bound)) = sides(condition) else { continue };
        // Conditions on visibility use $INSTANT and are pruned by at the scan: only $NOW is bound here, the one that such bounds name.
        if !monotone(bound) || !row.column_refs().into_iter().all(|c| plan.schema().has_column(c)) {
            continue;
        }
        let ops: &[Operator] = match op {
            Operator::Eq => &[Operator::GtEq, Operator::LtEq],
            Operator::Gt | Operator::GtEq | Operator::Lt | Operator::LtEq => &[op],
            _ => &[],
        };
        for &op in ops {
            let of_time = match window_of(row) {
                Some(window) => time_bound(window, op, bound, plan.schema())?,
                None => None,
            };
            let (row, bound) = of_time.unwrap_or_else(|| (row.clone(), bound.clone()));
            let implied = implied(&row, op, &bound, plan.schema());
            let calendar = CALENDAR_DAYS.saturating_mul(DAY_NS).saturating_mul(calendar_shifts(&implied.bound));
            let margin = MARGIN_NS.saturating_add(implied.margin_ns).saturating_add(calendar);
            let extreme = match implied.op {
                Operator::Gt | Operator::GtEq => at(times.0.saturating_sub(margin)),
                _ => at(times.1.saturating_add(margin)),
            };
            let fixed = bind_time(implied.bound, &extreme, &extreme, &extreme)?;
            filters.push(within_reach(binary_expr(implied.row, implied.op, fixed)));
        }
    }
    match conjunction(filters) {
        Some(filter) => LogicalPlanBuilder::from(plan).filter(filter)?.build(),
        None => Ok(plan),
    }
}

/// What follows from a condition: `row op bound` where `op` is an inequality, at label times wider by the margin.
struct Implied {
    row: Expr,
    op: Operator,
    bound: Expr,
    margin_ns: i64,
}

const DAY_NS: i64 = 86_400_000_000_000;

/// An inequality that follows from the inequality `row op bound`, on a bare column where there is a way to one: that is what files
/// are pruned by.
///
/// * `ts + i > b`: `ts > b - i`; days may be lost on the way where `i` has months.
/// * `date_trunc(_, ts) >= b` and `CAST(ts AS DATE) >= b`: `ts >= b`, as neither is ever later than `ts`. (Before 1970 a cast
///   goes forward: hence the day.)
fn implied(row: &Expr, op: Operator, bound: &Expr, schema: &DFSchema) -> Implied {
    let lower = matches!(op, Operator::Gt | Operator::GtEq);
    let timestamp = |e: &Expr| e.get_type(schema).ok().filter(|t| matches!(t, DataType::Timestamp(_, Some(_))));
    let wider = |implied: Implied, days: i64| Implied { margin_ns: implied.margin_ns + days * DAY_NS, ..implied };
    match row {
        Expr::ScalarFunction(f) if lower && f.func.name() == "date_trunc" => {
            if let [Expr::Literal(_, _), ts] = f.args.as_slice() {
                return wider(implied(ts, Operator::GtEq, bound, schema), 1);
            }
        }
        Expr::Cast(to) if lower && to.field.data_type() == &DataType::Date32 => {
            if let Some(instant) = timestamp(&to.expr) {
                return wider(implied(&to.expr, Operator::GtEq, &cast(bound.clone(), instant), schema), 1);
            }
        }
        _ => {
            if let Some((ts, moved, months)) = moved(row, bound)
                && timestamp(ts).is_some()
                && timestamp(bound).is_some()
            {
                return wider(implied(ts, op, &moved, schema), if months { CALENDAR_DAYS } else { 0 });
            }
        }
    }
    Implied { row: row.clone(), op, bound: bound.clone(), margin_ns: 0 }
}

/// Months forward and as many months back end within so many days of where they began. Also: no two label times so far apart change
/// their order when both are moved by months, which takes four days at most to one.
const CALENDAR_DAYS: i64 = 10;

/// How many times a bound is moved by months.
fn calendar_shifts(bound: &Expr) -> i64 {
    match bound {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => {
            calendar_shifts(left) + calendar_shifts(right) + i64::from(is_interval(right) && has_months(right))
        }
        Expr::ScalarFunction(f) => f.args.iter().map(calendar_shifts).sum(),
        Expr::Cast(to) => calendar_shifts(&to.expr),
        _ => 0,
    }
}

fn has_months(interval: &Expr) -> bool {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) => v.months != 0,
        Expr::Literal(ScalarValue::IntervalDayTime(_), _) => false,
        _ => true,
    }
}

/// `ts + i` against a bound as `ts` against the bound without `i`, and whether `i` has months.
fn moved<'a>(row: &'a Expr, bound: &Expr) -> Option<(&'a Expr, Expr, bool)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = row else { return None };
    let back = match op {
        Operator::Plus => Operator::Minus,
        Operator::Minus => Operator::Plus,
        _ => return None,
    };
    let (ts, interval) = match (is_interval(left), is_interval(right)) {
        (false, true) => (left, right),
        (true, false) if *op == Operator::Plus => (right, left),
        _ => return None,
    };
    Some((ts, binary_expr(bound.clone(), back, interval.as_ref().clone()), has_months(interval)))
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
        Expr::Cast(to) => {
            matches!(to.field.data_type(), DataType::Date32 | DataType::Timestamp(_, Some(_))) && monotone(&to.expr)
        }
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
        let (row, bound) = match moved(row, bound) {
            Some((row, bound, false)) => (row, bound),
            _ => (row, bound.clone()),
        };
        let (row, size) = match window_call(uncast(row)) {
            Some(window) if window.end => (window.time, window.size),
            Some(window) => (window.time, IntervalMonthDayNano::ZERO),
            None => (row, IntervalMonthDayNano::ZERO),
        };
        if !matches!(op, Operator::Gt | Operator::GtEq) || uncast(row) != &Expr::Column(event_time.clone()) {
            return None;
        }
        let distance = distance(&bound)?;
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
pub fn iso(months: i32, days: i32, nanoseconds: i64) -> String {
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
