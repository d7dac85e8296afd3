//! Times in UTC cut down to the hour, the day, the week, the month, the quarter or the year, by arithmetic.
//!
//! ```text
//! date_trunc('week', ts)    =>    ts - (ts - a Monday) mod 7 days
//! ```
//!
//! DataFusion asks the calendar of a zone row by row; in UTC no clock is ever changed, and the same values cost a twentieth. What
//! `date_trunc` can't hold is left to it, and fails as it does there. Done last, to the plan that runs.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{Array, AsArray, Int64Array};
use datafusion::arrow::compute::{cast, max, min};
use datafusion::arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use crate::plan::shifts::with_expressions;
use crate::source::time::unit_ns;

const HOUR_NS: i64 = 3600 * 1_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;

/// What times are cut down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    /// Parts of one length, nanoseconds, one of which begins so long after 1970.
    Fixed { length: i64, begin: i64 },
    /// So many months, from January on.
    Months(u32),
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "hour" => Self::Fixed { length: HOUR_NS, begin: 0 },
            "day" => Self::Fixed { length: DAY_NS, begin: 0 },
            // A Monday.
            "week" => Self::Fixed { length: 7 * DAY_NS, begin: 4 * DAY_NS },
            "month" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" => Self::Months(12),
            _ => return None,
        })
    }

    /// The start of the part that a tick is in.
    fn start(self, tick: i64, unit_ns: i64) -> Option<i64> {
        match self {
            Self::Fixed { length, begin } => Some(tick - (tick - begin / unit_ns).rem_euclid(length / unit_ns)),
            Self::Months(months) => {
                let day = DAY_NS / unit_ns;
                let date = NaiveDate::from_epoch_days(i32::try_from(tick.div_euclid(day)).ok()?)?;
                let first = NaiveDate::from_ymd_opt(date.year(), date.month0() / months * months + 1, 1)?;
                Some(i64::from(first.to_epoch_days()) * day)
            }
        }
    }
}

/// The plan, with the same values.
///
/// # Errors
/// Only where a plan can't be built, which is a defect.
pub fn with_fixed_truncations(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    with_expressions(plan, |node| {
        let schema = merge_schema(&node.inputs());
        move |expr| Ok(with_fixed_truncation(expr, &schema))
    })
}

fn with_fixed_truncation(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::ScalarFunction(mut call) = expr else { return Transformed::no(expr) };
    let part = match call.args.as_slice() {
        [Expr::Literal(ScalarValue::Utf8(Some(to)) | ScalarValue::Utf8View(Some(to)), _), _] => Part::named(to),
        _ => None,
    };
    let in_utc = |time: &Expr| match time.get_type(schema) {
        Ok(DataType::Timestamp(_, Some(zone))) => zone.as_ref() == "UTC",
        _ => false,
    };
    match part {
        Some(part) if call.func.name() == "date_trunc" && in_utc(&call.args[1]) => {
            call.func = Arc::new(ScalarUDF::from(TruncateInUtc { plain: call.func, part }));
            Transformed::yes(Expr::ScalarFunction(call))
        }
        _ => Transformed::no(Expr::ScalarFunction(call)),
    }
}

/// `date_trunc` of timestamps in UTC.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TruncateInUtc {
    plain: Arc<ScalarUDF>,
    part: Part,
}

impl ScalarUDFImpl for TruncateInUtc {
    fn name(&self) -> &str {
        self.plain.name()
    }

    fn signature(&self) -> &Signature {
        self.plain.signature()
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        self.plain.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> DfResult<FieldRef> {
        self.plain.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let [_, ColumnarValue::Array(times)] = args.args.as_slice() else { return self.plain.invoke_with_args(args) };
        let DataType::Timestamp(unit, _) = *times.data_type() else { return self.plain.invoke_with_args(args) };
        let ticks = cast(times, &DataType::Int64)?;
        let ticks: &Int64Array = ticks.as_primitive();
        if !in_calendar(ticks, unit) {
            return self.plain.invoke_with_args(args);
        }
        let unit_ns = unit_ns(unit);
        // What stands under a NULL may be anything.
        let cut: Int64Array = ticks.unary_opt(|tick| self.part.start(tick, unit_ns));
        Ok(ColumnarValue::Array(cast(&cut, times.data_type())?))
    }
}

/// Whether the times, and the start of the year of each, are nanoseconds since 1970 in 64 bits: there `date_trunc` ends.
fn in_calendar(ticks: &Int64Array, unit: TimeUnit) -> bool {
    let held = |tick: i64| tick.checked_mul(unit_ns(unit)).is_some_and(|ns| ns >= i64::MIN + 366 * DAY_NS);
    min(ticks).is_none_or(held) && max(ticks).is_none_or(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::ArrayRef;
    use datafusion::arrow::datatypes::Field;
    use datafusion::config::ConfigOptions;

    fn cut(to: &str, ticks: Vec<Option<i64>>, unit: TimeUnit, by: &ScalarUDF) -> DfResult<ArrayRef> {
        let data_type = DataType::Timestamp(unit, Some("UTC".into()));
        let times = cast(&Int64Array::from(ticks), &data_type)?;
        let number_rows = times.len();
        let field = Arc::new(Field::new("t", data_type, true));
        let args = ScalarFunctionArgs {
            args: vec![ColumnarValue::Scalar(ScalarValue::from(to)), ColumnarValue::Array(times)],
            arg_fields: vec![Arc::new(Field::new("to", DataType::Utf8, false)), Arc::clone(&field)],
            number_rows,
            return_field: field,
            config_options: Arc::new(ConfigOptions::default()),
        };
        by.invoke_with_args(args)?.into_array(number_rows)
    }

    /// By name of the part, the function and the law.
    fn both(to: &str) -> (ScalarUDF, Arc<ScalarUDF>) {
        let plain = datafusion::functions::datetime::date_trunc();
        (ScalarUDF::from(TruncateInUtc { plain: Arc::clone(&plain), part: Part::named(to).unwrap() }), plain)
    }

    #[test]
    fn times_are_cut_as_by_the_calendar_before_and_after_1970() {
        let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
        for unit in units {
            let second = 1_000_000_000 / unit_ns(unit);
            // Every fifth day of two centuries, leap years and the turns of years among them; a tick before, at and after some hours.
            let starts = (-36_600..36_600).step_by(5).flat_map(|day| [0, 1, 23].map(|h| day * 24 + h));
            let ticks = starts.flat_map(|hour| [-1, 0, 1].map(|by| Some(hour * 3600 * second + by)));
            let ticks: Vec<Option<i64>> = ticks.chain([None]).collect();
            for to in ["hour", "DAY", "week", "month", "Quarter", "year"] {
                let (fixed, plain) = both(to);
                let (own, law) = (cut(to, ticks.clone(), unit, &fixed), cut(to, ticks.clone(), unit, &plain));
                assert_eq!(&own.unwrap(), &law.unwrap(), "{to} {unit:?}");
            }
        }
    }

    #[test]
    fn times_that_no_calendar_holds_fail_as_they_do_there() {
        let (fixed, plain) = both("day");
        // The last day of the year 9999.
        let far = vec![Some(0), Some(253_402_214_400_000_000)];
        let own = cut("day", far.clone(), TimeUnit::Microsecond, &fixed).unwrap_err().strip_backtrace();
        let law = cut("day", far, TimeUnit::Microsecond, &plain).unwrap_err().strip_backtrace();
        assert_eq!(own, law);
        assert_eq!(cut("day", Vec::new(), TimeUnit::Second, &fixed).unwrap().len(), 0);
        assert_eq!(cut("month", vec![None, None], TimeUnit::Second, &both("month").0).unwrap().null_count(), 2);
    }

    #[test]
    fn only_times_in_utc_are_taken() {
        let taken = |to: &str, zone: Option<&str>| {
            let field = Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into)), true);
            let schema = DFSchema::from_unqualified_fields(vec![field].into(), Default::default()).unwrap();
            let call = datafusion::functions::datetime::expr_fn::date_trunc(
                datafusion::logical_expr::lit(to),
                datafusion::logical_expr::col("ts"),
            );
            with_fixed_truncation(call, &schema).transformed
        };
        assert!(taken("hour", Some("UTC")) && taken("Day", Some("UTC")) && taken("month", Some("UTC")));
        assert!(!taken("minute", Some("UTC")) && !taken("nonsense", Some("UTC")));
        assert!(!taken("day", Some("Europe/Berlin")) && !taken("day", None));
    }
}
