//! Label times moved by a fixed length, without the calendar.
//!
//! ```text
//! label_time(observer) - INTERVAL '7 days'    =>    label_time(observer) - Duration(604800 s)
//! ```
//!
//! In UTC a day has 24 hours, so only months need a calendar, which costs many times what a subtraction does. Intervals so long
//! that a calendar might end first stay what they are. Done last, to the plan that runs: what is shown keeps the words of the SQL.

use datafusion::arrow::datatypes::{IntervalMonthDayNano, TimeUnit};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use crate::plan::rewriter::unaliased;
use crate::plan::spine::unit_of_label_time;
use crate::source::time::unit_ns;

const DAY_NS: i128 = 86_400 * 1_000_000_000;
/// Ten thousand years.
const LONGEST_NS: i128 = 10_000 * 366 * DAY_NS;

/// The plan, with the same values.
///
/// # Errors
/// Only where a plan can't be built, which is a defect.
pub fn with_fixed_shifts(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    with_expressions(plan, |node| {
        let below = label_times_below(node);
        move |expr| {
            with_fixed_shift(expr, |e| match e {
                Expr::Column(column) => below.iter().find(|(own, _)| own == column).map(|(_, unit)| *unit),
                other => unit_of_label_time(other),
            })
        }
    })
}

/// The plan with other expressions, made bottom up by what `at` gives for their node; columns keep their names, and nodes their schemas.
///
/// # Errors
/// What making them fails with.
pub(super) fn with_expressions<F>(plan: LogicalPlan, at: impl Fn(&LogicalPlan) -> F) -> DfResult<LogicalPlan>
where
    F: Fn(Expr) -> DfResult<Transformed<Expr>>,
{
    plan.transform_up_with_subqueries(|plan| {
        let names = NamePreserver::new(&plan);
        let made = at(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(&made)?.update_data(|e| name.restore(e)))
        })
    })
    .data()
}

/// The columns of a node's input that are label times: where several windows share one, the optimizer computes it once, below.
fn label_times_below(plan: &LogicalPlan) -> Vec<(Column, TimeUnit)> {
    let inputs = plan.inputs();
    let [LogicalPlan::Projection(input)] = inputs.as_slice() else { return Vec::new() };
    let columns = input.schema.columns().into_iter().zip(&input.expr);
    columns.filter_map(|(column, expr)| Some((column, unit_of_label_time(unaliased(expr))?))).collect()
}

/// One expression, if it moves a label time: `unit` knows these by their unit.
///
/// # Errors
/// None; as expressions are transformed.
pub fn with_fixed_shift(expr: Expr, unit: impl Fn(&Expr) -> Option<TimeUnit>) -> DfResult<Transformed<Expr>> {
    let Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = right.as_ref() else {
        return Ok(Transformed::no(expr));
    };
    let Some(unit) = unit(left) else { return Ok(Transformed::no(expr)) };
    Ok(match duration(*interval, unit) {
        Some(duration) => {
            let right = Box::new(Expr::Literal(duration, None));
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: left.clone(), op: *op, right }))
        }
        None => Transformed::no(expr),
    })
}

/// An interval as whole ticks of a unit, where it is that.
fn duration(interval: IntervalMonthDayNano, unit: TimeUnit) -> Option<ScalarValue> {
    let length = i128::from(interval.days) * DAY_NS + i128::from(interval.nanoseconds);
    let tick = i128::from(unit_ns(unit));
    // Each part is rounded on its own, so each has to be whole.
    if interval.months != 0 || length.abs() > LONGEST_NS || i128::from(interval.nanoseconds) % tick != 0 {
        return None;
    }
    let ticks = Some(i64::try_from(length / tick).ok()?);
    Some(match unit {
        TimeUnit::Second => ScalarValue::DurationSecond(ticks),
        TimeUnit::Millisecond => ScalarValue::DurationMillisecond(ticks),
        TimeUnit::Microsecond => ScalarValue::DurationMicrosecond(ticks),
        TimeUnit::Nanosecond => ScalarValue::DurationNanosecond(ticks),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(months: i32, days: i32, nanoseconds: i64) -> IntervalMonthDayNano {
        IntervalMonthDayNano { months, days, nanoseconds }
    }

    #[test]
    fn days_and_hours_are_fixed_lengths_and_months_are_not() {
        let micros = |i| duration(i, TimeUnit::Microsecond);
        assert_eq!(micros(interval(0, 7, 0)), Some(ScalarValue::DurationMicrosecond(Some(7 * 86_400_000_000))));
        assert_eq!(
            micros(interval(0, 1, -3_600_000_000_000)),
            Some(ScalarValue::DurationMicrosecond(Some(82_800_000_000)))
        );
        assert_eq!(micros(interval(1, 0, 0)), None);
        assert_eq!(micros(interval(0, 0, 1)), None);
        assert_eq!(duration(interval(0, 0, 1), TimeUnit::Nanosecond), Some(ScalarValue::DurationNanosecond(Some(1))));
        assert_eq!(micros(interval(0, i32::MAX, 0)), None);
    }
}
