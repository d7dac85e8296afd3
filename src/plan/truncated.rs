//! Times cut down to the hour or the day in UTC, without the calendar.
//!
//! ```text
//! date_trunc('hour', ts)    =>    date_trunc('hour', ts as if it had no zone)
//! ```
//!
//! DataFusion asks the calendar of the zone row by row, and takes arithmetic where there is no zone: the same values for a twentieth of the
//! cost. What the calendar could not hold is left to it, and fails as it does there. Done last, to the plan that runs.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Int64Array};
use datafusion::arrow::compute::{cast, max, min};
use datafusion::arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, exec_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use crate::source::time::unit_ns;

/// What has the same length every time, in UTC.
const FIXED: [&str; 2] = ["hour", "day"];
const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// The plan, with the same values.
///
/// # Errors
/// Only where a plan can't be built, which is a defect.
pub fn with_fixed_truncations(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        let names = NamePreserver::new(&plan);
        let schema = merge_schema(&plan.inputs());
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let fixed = expr.transform_up(|e| Ok(with_fixed_truncation(e, &schema)))?;
            Ok(fixed.update_data(|e| name.restore(e)))
        })
    })
    .data()
}

fn with_fixed_truncation(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::ScalarFunction(mut call) = expr else { return Transformed::no(expr) };
    let to = match call.args.as_slice() {
        [Expr::Literal(ScalarValue::Utf8(Some(to)) | ScalarValue::Utf8View(Some(to)), _), _] => to.to_lowercase(),
        _ => String::new(),
    };
    let in_utc = |time: &Expr| match time.get_type(schema) {
        Ok(DataType::Timestamp(_, Some(zone))) => zone.as_ref() == "UTC",
        _ => false,
    };
    if call.func.name() != "date_trunc" || !FIXED.contains(&to.as_str()) || !in_utc(&call.args[1]) {
        return Transformed::no(Expr::ScalarFunction(call));
    }
    call.func = Arc::new(ScalarUDF::from(TruncateInUtc { plain: call.func }));
    Transformed::yes(Expr::ScalarFunction(call))
}

/// `date_trunc` of timestamps in UTC, to what has the same length every time.
#[derive(Debug)]
struct TruncateInUtc {
    plain: Arc<ScalarUDF>,
}

impl PartialEq for TruncateInUtc {
    fn eq(&self, other: &Self) -> bool {
        self.plain == other.plain
    }
}

impl Eq for TruncateInUtc {}

impl Hash for TruncateInUtc {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.plain.hash(state);
    }
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

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let [_, ColumnarValue::Array(times)] = args.args.as_slice() else { return self.plain.invoke_with_args(args) };
        let DataType::Timestamp(unit, _) = *times.data_type() else { return self.plain.invoke_with_args(args) };
        let in_utc = times.data_type().clone();
        let ticks = cast(times, &DataType::Int64)?;
        if !in_calendar(ticks.as_primitive(), unit) {
            return self.plain.invoke_with_args(args);
        }
        // By way of numbers: a time without zone that gets one would be asked of the calendar.
        let plain = DataType::Timestamp(unit, None);
        args.args[1] = ColumnarValue::Array(cast(&ticks, &plain)?);
        args.arg_fields[1] = Arc::new(args.arg_fields[1].as_ref().clone().with_data_type(plain.clone()));
        args.return_field = Arc::new(args.return_field.as_ref().clone().with_data_type(plain));
        match self.plain.invoke_with_args(args)? {
            ColumnarValue::Array(cut) => Ok(ColumnarValue::Array(cast(&cast(&cut, &DataType::Int64)?, &in_utc)?)),
            ColumnarValue::Scalar(cut) => exec_err!("date_trunc gave {cut} for a column"),
        }
    }
}

/// Whether the times, and the start of the day of each, are nanoseconds since 1970 in 64 bits: there `date_trunc` ends.
fn in_calendar(ticks: &Int64Array, unit: TimeUnit) -> bool {
    let held = |tick: i64| tick.checked_mul(unit_ns(unit)).is_some_and(|ns| ns >= i64::MIN + DAY_NS);
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

    #[test]
    fn times_are_cut_as_by_the_calendar_before_and_after_1970() {
        let plain = datafusion::functions::datetime::date_trunc();
        let fixed = ScalarUDF::from(TruncateInUtc { plain: Arc::clone(&plain) });
        let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
        for unit in units {
            let second = 1_000_000_000 / unit_ns(unit);
            // Some days and hours from 1970, a tick before, at and after each.
            let starts = [-40_000, -1, 0, 1, 20_000].into_iter().flat_map(|day| [0, 1, 23].map(|h| day * 24 + h));
            let ticks = starts.flat_map(|hour| [-1, 0, 1].map(|by| Some(hour * 3600 * second + by)));
            let ticks: Vec<Option<i64>> = ticks.chain([None]).collect();
            for to in ["hour", "DAY"] {
                let (own, law) = (cut(to, ticks.clone(), unit, &fixed), cut(to, ticks.clone(), unit, &plain));
                assert_eq!(&own.unwrap(), &law.unwrap(), "{to} {unit:?}");
            }
        }
    }

    #[test]
    fn times_that_no_calendar_holds_fail_as_they_do_there() {
        let plain = datafusion::functions::datetime::date_trunc();
        let fixed = ScalarUDF::from(TruncateInUtc { plain: Arc::clone(&plain) });
        // The last day of the year 9999.
        let far = vec![Some(0), Some(253_402_214_400_000_000)];
        let own = cut("day", far.clone(), TimeUnit::Microsecond, &fixed).unwrap_err().strip_backtrace();
        let law = cut("day", far, TimeUnit::Microsecond, &plain).unwrap_err().strip_backtrace();
        assert_eq!(own, law);
        assert_eq!(cut("day", Vec::new(), TimeUnit::Second, &fixed).unwrap().len(), 0);
    }

    #[test]
    fn only_what_has_one_length_in_utc_is_taken() {
        let taken = |to: &str, zone: Option<&str>| {
            let field = Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into)), true);
            let schema = DFSchema::from_unqualified_fields(vec![field].into(), Default::default()).unwrap();
            let call = datafusion::functions::datetime::expr_fn::date_trunc(
                datafusion::logical_expr::lit(to),
                datafusion::logical_expr::col("ts"),
            );
            with_fixed_truncation(call, &schema).transformed
        };
        assert!(taken("hour", Some("UTC")) && taken("Day", Some("UTC")));
        assert!(!taken("week", Some("UTC")) && !taken("month", Some("UTC")));
        assert!(!taken("day", Some("Europe/Berlin")) && !taken("day", None));
    }
}
