//! Intervals that are written out: the sizes of windows.

use datafusion::arrow::compute::kernels::cast_utils::{
    IntervalParseConfig, IntervalUnit, parse_interval_month_day_nano_config,
};
use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::sql::sqlparser::ast;

const DAY_NS: i128 = 86_400_000_000_000;

/// The interval's value; `None` where it is none that is written out.
pub(super) fn value_of(expr: &ast::Expr) -> Option<IntervalMonthDayNano> {
    let (text, unit) = match expr {
        ast::Expr::Nested(inner) => return value_of(inner),
        ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => return negated(value_of(expr)?),
        ast::Expr::Interval(ast::Interval {
            value,
            leading_field,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        }) => (text_of(value)?, leading_field.as_ref().map(ToString::to_string)),
        ast::Expr::Cast { expr, data_type: ast::DataType::Interval { fields: None, precision: None }, .. } => {
            (text_of(expr)?, None)
        }
        _ => return None,
    };
    let text = unit.map_or_else(|| text.clone(), |unit| format!("{text} {unit}"));
    parse_interval_month_day_nano_config(&text, IntervalParseConfig::new(IntervalUnit::Second)).ok()
}

fn text_of(expr: &ast::Expr) -> Option<String> {
    match expr {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::SingleQuotedString(text) => Some(text.clone()),
            ast::Value::Number(number, _) => Some(number.to_string()),
            _ => None,
        },
        ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => Some(format!("-{}", text_of(expr)?)),
        _ => None,
    }
}

fn negated(value: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let (months, days) = (value.months.checked_neg()?, value.days.checked_neg()?);
    Some(IntervalMonthDayNano::new(months, days, value.nanoseconds.checked_neg()?))
}

/// Its length; days are 24 hours. Months have none.
pub(super) fn length_ns(value: IntervalMonthDayNano) -> Option<i128> {
    (value.months == 0).then(|| i128::from(value.days) * DAY_NS + i128::from(value.nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(sql: &str) -> Option<i128> {
        length_ns(value_of(&crate::sql::parse_expression(sql).unwrap())?)
    }

    #[test]
    fn intervals_are_read_in_the_forms_that_postgres_has() {
        let hour = 3_600_000_000_000;
        for sql in
            ["INTERVAL '1 hour'", "INTERVAL '1' HOUR", "'1 hour'::interval", "INTERVAL '3600'", "(INTERVAL '60 min')"]
        {
            assert_eq!(length(sql), Some(hour), "{sql}");
        }
        for sql in ["INTERVAL '-1 hour'", "-INTERVAL '1 hour'", "INTERVAL '-3600 seconds'"] {
            assert_eq!(length(sql), Some(-hour), "{sql}");
        }
        assert_eq!(length("INTERVAL '1 day 1 hour'"), Some(25 * hour));
        assert_eq!(length("INTERVAL '1 month'"), None);
        assert_eq!(length("INTERVAL '1 hour' * 2"), None);
        assert_eq!(length("x"), None);
    }
}
