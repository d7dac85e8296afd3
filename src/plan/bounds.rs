//! What conditions on the label time say about all label times at once: filters that prune a source, and lookbacks.
//!
//! A bound `ts > f(NOW())` with a monotone `f` can only hold where `ts > f(first label time)`. Monotone are `NOW()` itself,
//! `NOW()` plus or minus a constant interval (calendar months too: clamping to a month's end keeps the order), and
//! `date_trunc` of these. The filter is an addition: the condition itself stays and decides.

use datafusion::arrow::datatypes::TimeUnit;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator};

use crate::plan::relation::{bind_time, mentions_time};
use crate::source::time::ticks_until;
use crate::sql::{ROUNDING, is_now};

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
        if !matches!(op, Operator::Gt | Operator::GtEq) || uncast(row) != &Expr::Column(event_time.clone()) {
            return None;
        }
        iso_distance(bound)
    })
}

fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => uncast(&cast.expr),
        other => other,
    }
}

/// What is subtracted from the label time, ISO 8601.
fn iso_distance(bound: &Expr) -> Option<String> {
    match bound {
        e if is_now(e) => Some("PT0S".to_string()),
        Expr::ScalarFunction(f) if ROUNDING.contains(&f.func.name()) => iso_distance(f.args.first()?),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) if is_now(left) => match right.as_ref() {
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) => Some(iso(v.months, v.days, v.nanoseconds)),
            Expr::Literal(ScalarValue::IntervalDayTime(Some(v)), _) => {
                Some(iso(0, v.days, i64::from(v.milliseconds) * 1_000_000))
            }
            Expr::Literal(ScalarValue::IntervalYearMonth(Some(months)), _) => Some(iso(*months, 0, 0)),
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
