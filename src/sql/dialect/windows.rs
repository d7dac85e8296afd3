//! `window_start` and `window_end`: the functions that `TUMBLE` and `HOP` become.
//!
//! `window_start(time, hop, size, offset, n)` is the start of the n-th last window that holds the time: the last multiple of `hop`
//! after 1970-01-01 plus `offset` that is not after the time, less n hops. `window_end` is that plus `size`. All in integers of
//! the finest unit among the time's and the intervals', so no digit is lost; days are 24 hours. The result has the time's
//! type (of a date: a naive timestamp), in a finer unit where the intervals need it. NULL stays NULL, and so does a window beyond
//! what the type can hold, as in RisingWave.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type, IntervalMonthDayNano, TimeUnit};
use datafusion::common::{ScalarValue, internal_err, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::source::time::unit_ns;
use crate::sql::dialect::interval::length_ns;

/// The two functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let function = |end| ScalarUDF::from(WindowBound { end, signature: Signature::any(5, Volatility::Immutable) });
    vec![function(false), function(true)]
}

/// A call of one of the functions.
#[derive(Debug, Clone, Copy)]
pub struct WindowCall<'a> {
    /// Whether it gives the end.
    pub end: bool,
    pub time: &'a Expr,
    pub size: IntervalMonthDayNano,
    /// How far apart windows begin, nanoseconds; `None` where each ends where the next begins (`TUMBLE`).
    pub hop: Option<i64>,
}

impl WindowCall<'_> {
    /// Nanoseconds.
    pub fn size_ns(&self) -> Option<i64> {
        i64::try_from(length_ns(self.size)?).ok()
    }
}

/// The places of a call's arguments.
pub(super) const TIME: usize = 0;
pub(super) const HOP: usize = 1;
pub(super) const SIZE: usize = 2;

/// The call that the expression is.
pub fn window_call(expr: &Expr) -> Option<WindowCall<'_>> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let bound = (call.func.inner().as_ref() as &dyn std::any::Any).downcast_ref::<WindowBound>()?;
    match call.args.as_slice() {
        [time, hop, Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(size)), _), _, n] => {
            let hop = match (n, hop) {
                (Expr::Literal(..), _) => None,
                (_, Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(hop)), _)) => {
                    Some(i64::try_from(length_ns(*hop)?).ok()?)
                }
                _ => return None,
            };
            Some(WindowCall { end: bound.end, time, size: *size, hop })
        }
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowBound {
    end: bool,
    signature: Signature,
}

/// Hop, size and offset in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    hop: i128,
    size: i128,
    offset: i128,
}

impl Lengths {
    fn new(scalars: [Option<&ScalarValue>; 3]) -> DfResult<Self> {
        let length = |scalar: Option<&ScalarValue>| match scalar {
            Some(ScalarValue::IntervalMonthDayNano(Some(value))) => length_ns(*value),
            _ => None,
        };
        match scalars.map(length) {
            [Some(hop), Some(size), Some(offset)] if hop > 0 && size > 0 => Ok(Self { hop, size, offset }),
            _ => plan_err!("a window's sizes are positive intervals that are written out"),
        }
    }

    /// The coarsest unit in which all are whole numbers, but not coarser than `than`.
    fn unit(&self, than: TimeUnit) -> TimeUnit {
        let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond];
        let whole = |unit: &TimeUnit| {
            let ns = i128::from(unit_ns(*unit));
            ns <= i128::from(unit_ns(than)) && [self.hop, self.size, self.offset].iter().all(|n| n % ns == 0)
        };
        units.into_iter().find(whole).unwrap_or(TimeUnit::Nanosecond)
    }

    /// The start (or end) of the n-th last window that holds the time; all in `unit`.
    fn bound(&self, time: i128, n: i128, unit: TimeUnit, end: bool) -> Option<i64> {
        let ns = i128::from(unit_ns(unit));
        let (hop, size, offset) = (self.hop / ns, self.size / ns, self.offset / ns);
        let start = (time - offset).div_euclid(hop) * hop + offset - n * hop;
        i64::try_from(if end { start + size } else { start }).ok()
    }
}

fn result_type(time: &DataType, lengths: &Lengths) -> DfResult<DataType> {
    match time {
        DataType::Timestamp(unit, zone) => Ok(DataType::Timestamp(lengths.unit(*unit), zone.clone())),
        DataType::Date32 | DataType::Date64 | DataType::Null => {
            Ok(DataType::Timestamp(lengths.unit(TimeUnit::Microsecond), None))
        }
        other => plan_err!("the time column of a window is a timestamp or a date, not {other}"),
    }
}

impl ScalarUDFImpl for WindowBound {
    fn name(&self) -> &str {
        if self.end { "window_end" } else { "window_start" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        internal_err!("the type of {} depends on its intervals", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> DfResult<FieldRef> {
        let scalar = |i: usize| args.scalar_arguments.get(i).copied().flatten();
        let lengths = Lengths::new([scalar(1), scalar(2), scalar(3)])?;
        let time = args.arg_fields.first().map_or(&DataType::Null, |f| f.data_type());
        Ok(Arc::new(Field::new(self.name(), result_type(time, &lengths)?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let scalar = |i: usize| match args.args.get(i) {
            Some(ColumnarValue::Scalar(value)) => Some(value),
            _ => None,
        };
        let lengths = Lengths::new([scalar(1), scalar(2), scalar(3)])?;
        let DataType::Timestamp(unit, _) = args.return_field.data_type() else {
            return internal_err!("{} gives a timestamp", self.name());
        };
        let time = args.args[0].to_array(args.number_rows)?;
        let time = match time.data_type() {
            DataType::Timestamp(_, _) => time,
            _ => cast(&time, &DataType::Timestamp(TimeUnit::Second, None))?,
        };
        let DataType::Timestamp(from, _) = time.data_type() else {
            return internal_err!("{} takes a timestamp", self.name());
        };
        let finer = i128::from(unit_ns(*from) / unit_ns(*unit));
        let time = cast(&time, &DataType::Int64)?;
        let hops = cast(&args.args[4].to_array(args.number_rows)?, &DataType::Int64)?;
        let (time, hops) = (time.as_primitive::<Int64Type>(), hops.as_primitive::<Int64Type>());
        let bounds: Int64Array = time
            .iter()
            .zip(hops.iter())
            .map(|(time, n)| lengths.bound(i128::from(time?) * finer, i128::from(n?), *unit, self.end))
            .collect();
        let bounds = cast(&bounds, args.return_field.data_type())?;
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) && !bounds.is_empty() {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&bounds, 0)?));
        }
        Ok(ColumnarValue::Array(bounds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_downwards_from_1970_too() {
        let lengths = Lengths { hop: 10_000, size: 30_000, offset: 3_000 };
        assert_eq!(lengths.unit(TimeUnit::Second), TimeUnit::Microsecond);
        let start = |time, n| lengths.bound(time, n, TimeUnit::Microsecond, false);
        assert_eq!([start(3, 0), start(12, 0), start(13, 0)], [Some(3), Some(3), Some(13)]);
        assert_eq!([start(2, 0), start(-7, 0), start(-8, 0)], [Some(-7), Some(-7), Some(-17)]);
        assert_eq!([start(2, 1), start(2, 2)], [Some(-17), Some(-27)]);
        assert_eq!(lengths.bound(2, 2, TimeUnit::Microsecond, true), Some(3));
    }

    #[test]
    fn a_window_that_the_type_can_not_hold_is_null() {
        let lengths = Lengths { hop: 10, size: 10, offset: 0 };
        let bound = |time: i64, end| lengths.bound(i128::from(time), 0, TimeUnit::Nanosecond, end);
        assert_eq!(bound(i64::MAX, true), None);
        assert_eq!(bound(i64::MAX, false), Some(i64::MAX - 7));
        assert_eq!(bound(i64::MIN, false), None);
    }
}
