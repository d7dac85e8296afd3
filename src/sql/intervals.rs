//! Lengths of time as in PostgreSQL, where DataFusion 55 computes otherwise and says nothing.
//!
//! | SQL | DataFusion | here, as in PostgreSQL |
//! | --- | --- | --- |
//! | `NOW() - ts > INTERVAL '1 day'` | compares months, then days, then the rest: false for 50 hours | compares lengths; a month has 30 days |
//! | `CURRENT_DATE - INTERVAL '12 hours'` | a date: the hours are lost | a timestamp |
//! | `EXTRACT(EPOCH FROM NOW() - ts)` | whole seconds | with their fraction |
//! | `EXTRACT(HOUR FROM NOW() - ts)` | all hours | the hours beside the days |
//! | `EXTRACT(SECOND FROM ts)` | whole seconds | with their fraction |
//! | `n * INTERVAL '1 day'` | an error | months, days and the rest, each `n` times |
//! | `ROUND(decimal, 2)` | changes its type while it is optimised | one type |

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int32Array, Int64Array, PrimitiveArray,
};
use datafusion::arrow::compute::cast as cast_array;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit,
};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, exec_err, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// The function that makes a length of time comparable.
pub const LENGTH_OF_TIME: &str = "length_of_time";

const DAY_NS: i64 = 86_400_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// Applies the table above to the plan and its subqueries.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub fn lengths_as_in_postgres(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let rewritten = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|e| rewrite(e, &schema))?;
            Ok(if rewritten.transformed { rewritten.update_data(|e| name.restore(e)) } else { rewritten })
        })?;
        if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
    })
    .data()
}

fn rewrite(expr: Expr, schema: &DFSchema) -> DfResult<Transformed<Expr>> {
    let of = |e: &Expr| e.get_type(schema).unwrap_or(DataType::Null);
    match expr {
        Expr::BinaryExpr(mut binary) if compares(binary.op) => {
            let compared = comparable(of(&binary.left), of(&binary.right));
            if compared {
                *binary.left = span(std::mem::take(&mut binary.left));
                *binary.right = span(std::mem::take(&mut binary.right));
            }
            Ok(changed(Expr::BinaryExpr(binary), compared))
        }
        Expr::Between(mut between) => {
            let value = of(&between.expr);
            let compared = comparable(value.clone(), of(&between.low)) || comparable(value, of(&between.high));
            if compared {
                *between.expr = span(std::mem::take(&mut between.expr));
                *between.low = span(std::mem::take(&mut between.low));
                *between.high = span(std::mem::take(&mut between.high));
            }
            Ok(changed(Expr::Between(between), compared))
        }
        Expr::BinaryExpr(mut binary) if matches!(binary.op, Operator::Plus | Operator::Minus) => {
            let dated = |date: &Expr, interval: &Expr| {
                matches!(of(date), DataType::Date32) && is_interval(&of(interval)) && !is_of_days(interval)
            };
            let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
            if dated(&binary.left, &binary.right) {
                *binary.left = cast(*std::mem::take(&mut binary.left), timestamp);
            } else if dated(&binary.right, &binary.left) {
                *binary.right = cast(*std::mem::take(&mut binary.right), timestamp);
            } else {
                return Ok(Transformed::no(Expr::BinaryExpr(binary)));
            }
            Ok(Transformed::yes(Expr::BinaryExpr(binary)))
        }
        Expr::ScalarFunction(call) if call.func.name() == "date_part" && call.args.len() == 2 => {
            let part = Part::of(&call.args[0], &of(&call.args[1]))?;
            Ok(match part {
                Some(part) => {
                    let func = Arc::new(ScalarUDF::from(LengthFunction::new(Kind::Part(part))));
                    let args = call.args.into_iter().skip(1).collect();
                    Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
                }
                None => Transformed::no(Expr::ScalarFunction(call)),
            })
        }
        // The coercion of the digits to 32 bits hides them from the rule that gives the type.
        Expr::ScalarFunction(mut call) if call.func.name() == "round" && call.args.len() == 2 => {
            let digits = match &call.args[1] {
                Expr::Literal(ScalarValue::Int64(Some(digits)), _) => i32::try_from(*digits).ok(),
                _ => None,
            };
            if let Some(digits) = digits {
                call.args[1] = Expr::Literal(ScalarValue::Int32(Some(digits)), None);
            }
            Ok(changed(Expr::ScalarFunction(call), digits.is_some()))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// `interval * integer`, which DataFusion does not plan.
#[derive(Debug)]
pub(super) struct TimesInterval;

impl ExprPlanner for TimesInterval {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> DfResult<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::Multiply {
            return Ok(PlannerResult::Original(expr));
        }
        let types = (expr.left.get_type(schema)?, expr.right.get_type(schema)?);
        let (interval, times) = match types {
            (DataType::Interval(_), n) if n.is_integer() => (expr.left, expr.right),
            (n, DataType::Interval(_)) if n.is_integer() => (expr.right, expr.left),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let func = Arc::new(ScalarUDF::from(LengthFunction::new(Kind::Times)));
        let args = vec![interval, cast(times, DataType::Int64)];
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction { func, args })))
    }
}

fn changed(expr: Expr, yes: bool) -> Transformed<Expr> {
    if yes { Transformed::yes(expr) } else { Transformed::no(expr) }
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}

/// Whether the two have a length, and one of them is no plain number of ticks.
fn comparable(a: DataType, b: DataType) -> bool {
    let length = |t: &DataType| is_interval(t) || matches!(t, DataType::Duration(_));
    length(&a) && length(&b) && (is_interval(&a) || is_interval(&b))
}

/// Whether an interval is written out, and holds months and whole days only.
fn is_of_days(interval: &Expr) -> bool {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) => v.nanoseconds % DAY_NS == 0,
        Expr::Literal(ScalarValue::IntervalYearMonth(_), _) => true,
        _ => false,
    }
}

#[expect(clippy::boxed_local, reason = "expressions hold their operands boxed")]
fn span(expr: Box<Expr>) -> Expr {
    let func = Arc::new(ScalarUDF::from(LengthFunction::new(Kind::Span)));
    Expr::ScalarFunction(ScalarFunction { func, args: vec![*expr] })
}

/// A part that DataFusion gives otherwise than PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Epoch,
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
}

impl Part {
    fn of(name: &Expr, data_type: &DataType) -> DfResult<Option<Self>> {
        let Expr::Literal(name, _) = name else { return Ok(None) };
        let name = name.try_as_str().flatten().unwrap_or_default().trim_matches(['\'', '"']).to_lowercase();
        let length = is_interval(data_type) || matches!(data_type, DataType::Duration(_));
        let part = match name.as_str() {
            "epoch" => Self::Epoch,
            "second" | "seconds" if !matches!(data_type, DataType::Date32 | DataType::Date64) => Self::Second,
            _ if !length => return Ok(None),
            "minute" | "minutes" => Self::Minute,
            "hour" | "hours" => Self::Hour,
            "day" | "days" => Self::Day,
            "month" | "months" => Self::Month,
            "year" | "years" => Self::Year,
            other => return plan_err!("`{other}` of a length of time: take EXTRACT(EPOCH FROM ...) and divide"),
        };
        Ok(Some(part))
    }

    fn is_fraction(self) -> bool {
        matches!(self, Self::Epoch | Self::Second)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// The length in nanoseconds, for comparisons.
    Span,
    Part(Part),
    /// An interval a whole number of times.
    Times,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LengthFunction {
    kind: Kind,
    signature: Signature,
}

impl LengthFunction {
    fn new(kind: Kind) -> Self {
        let arguments = if kind == Kind::Times { 2 } else { 1 };
        Self { kind, signature: Signature::any(arguments, Volatility::Immutable) }
    }

    fn result(&self) -> DataType {
        match self.kind {
            Kind::Span => DataType::Decimal128(38, 0),
            Kind::Times => DataType::Interval(IntervalUnit::MonthDayNano),
            Kind::Part(part) if part.is_fraction() => DataType::Float64,
            Kind::Part(_) => DataType::Int32,
        }
    }
}

impl ScalarUDFImpl for LengthFunction {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Span => LENGTH_OF_TIME,
            Kind::Times => "interval_times",
            Kind::Part(Part::Epoch) => "extract_epoch",
            Kind::Part(Part::Second) => "extract_second",
            Kind::Part(Part::Minute) => "extract_minute",
            Kind::Part(Part::Hour) => "extract_hour",
            Kind::Part(Part::Day) => "extract_day",
            Kind::Part(Part::Month) => "extract_month",
            Kind::Part(Part::Year) => "extract_year",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(self.result())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> DfResult<FieldRef> {
        let nullable = args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.result(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        if self.kind == Kind::Times {
            return times(&args.args[0], &args.args[1], args.number_rows);
        }
        let array = args.args[0].to_array(1)?;
        let made: ArrayRef = match self.kind {
            Kind::Span => {
                let lengths = lengths(&array)?.into_iter().map(|l| l.map(Length::nanoseconds));
                Arc::new(lengths.collect::<Decimal128Array>().with_precision_and_scale(38, 0)?)
            }
            Kind::Part(part) => part_of(part, &array)?,
            Kind::Times => return exec_err!("intervals are multiplied above"),
        };
        match &args.args[0] {
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(made)),
            ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)),
        }
    }
}

fn times(interval: &ColumnarValue, times: &ColumnarValue, rows: usize) -> DfResult<ColumnarValue> {
    let scalar = [interval, times].iter().all(|v| matches!(v, ColumnarValue::Scalar(_)));
    let rows = if scalar { 1 } else { rows };
    let intervals = cast_array(&interval.to_array(rows)?, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let times = cast_array(&times.to_array(rows)?, &DataType::Int64)?;
    let product = |v: IntervalMonthDayNano, n: i64| {
        let small = |part: i32| i64::from(part).checked_mul(n).and_then(|p| i32::try_from(p).ok());
        match (small(v.months), small(v.days), v.nanoseconds.checked_mul(n)) {
            (Some(months), Some(days), Some(ns)) => Ok(IntervalMonthDayNano::new(months, days, ns)),
            _ => exec_err!("an interval {n} times is out of range"),
        }
    };
    let pairs = intervals.as_primitive::<IntervalMonthDayNanoType>().iter().zip(times.as_primitive::<Int64Type>());
    let products: PrimitiveArray<IntervalMonthDayNanoType> =
        pairs.map(|(v, n)| v.zip(n).map(|(v, n)| product(v, n)).transpose()).collect::<DfResult<_>>()?;
    if scalar {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&products, 0)?));
    }
    Ok(ColumnarValue::Array(Arc::new(products)))
}

/// A length as PostgreSQL's `interval` holds it.
#[derive(Debug, Clone, Copy)]
struct Length {
    months: i32,
    days: i64,
    nanoseconds: i64,
}

impl Length {
    fn nanoseconds(self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(DAY_NS) + i128::from(self.nanoseconds)
    }

    fn whole(self, part: Part) -> i64 {
        match part {
            Part::Year => i64::from(self.months / 12),
            Part::Month => i64::from(self.months % 12),
            Part::Day => self.days,
            Part::Hour => self.nanoseconds / (3600 * SECOND_NS),
            _ => self.nanoseconds / (60 * SECOND_NS) % 60,
        }
    }

    /// A year has 365.25 days here, though 12 months have 360.
    fn epoch(self) -> f64 {
        let days = i128::from(self.days) + i128::from(self.months % 12) * 30;
        let whole = i128::from(self.months / 12) * i128::from(DAY_NS) * 1461 / 4;
        seconds(whole + days * i128::from(DAY_NS) + i128::from(self.nanoseconds))
    }
}

/// Nanoseconds as seconds, rounded once where they are whole microseconds below 2^53.
#[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
fn seconds(ns: i128) -> f64 {
    if ns % 1000 == 0 { (ns / 1000) as f64 / 1e6 } else { ns as f64 / 1e9 }
}

fn lengths(array: &ArrayRef) -> DfResult<Vec<Option<Length>>> {
    match array.data_type() {
        DataType::Interval(_) => {
            let array = cast_array(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let array = array.as_primitive::<IntervalMonthDayNanoType>();
            let length = |v: IntervalMonthDayNano| Length {
                months: v.months,
                days: i64::from(v.days),
                nanoseconds: v.nanoseconds,
            };
            Ok(array.iter().map(|v| v.map(length)).collect())
        }
        DataType::Duration(unit) => {
            let ticks = cast_array(array, &DataType::Int64)?;
            let per_day = DAY_NS / tick(*unit);
            let length = |v: i64| Length { months: 0, days: v / per_day, nanoseconds: v % per_day * tick(*unit) };
            Ok(ticks.as_primitive::<Int64Type>().iter().map(|v| v.map(length)).collect())
        }
        DataType::Null => Ok(vec![None; array.len()]),
        other => exec_err!("{other} is no length of time"),
    }
}

/// Nanoseconds of a tick.
fn tick(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => SECOND_NS,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

fn part_of(part: Part, array: &ArrayRef) -> DfResult<ArrayRef> {
    let instant = match array.data_type() {
        DataType::Timestamp(unit, _) | DataType::Time64(unit) => Some(tick(*unit)),
        DataType::Time32(unit) => Some(tick(*unit)),
        DataType::Date32 | DataType::Date64 => Some(DAY_NS),
        _ => None,
    };
    if let Some(tick) = instant {
        let ticks: Int64Array = match array.data_type() {
            DataType::Date32 | DataType::Date64 => {
                let days = cast_array(&cast_array(array, &DataType::Date32)?, &DataType::Int32)?;
                cast_array(&days, &DataType::Int64)?.as_primitive::<Int64Type>().clone()
            }
            DataType::Time32(_) => {
                cast_array(&cast_array(array, &DataType::Int32)?, &DataType::Int64)?.as_primitive::<Int64Type>().clone()
            }
            _ => cast_array(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
        };
        let of = |v: i64| {
            let ns = i128::from(v) * i128::from(tick);
            seconds(if part == Part::Second { ns.rem_euclid(60 * i128::from(SECOND_NS)) } else { ns })
        };
        return Ok(Arc::new(ticks.unary::<_, Float64Type>(of)));
    }
    let lengths = lengths(array)?.into_iter();
    Ok(match part {
        Part::Epoch => Arc::new(lengths.map(|l| l.map(Length::epoch)).collect::<Float64Array>()),
        Part::Second => {
            let of = |l: Length| seconds(i128::from(l.nanoseconds % (60 * SECOND_NS)));
            Arc::new(lengths.map(|l| l.map(of)).collect::<Float64Array>())
        }
        part => {
            let of = |l: Length| i32::try_from(l.whole(part)).ok();
            Arc::new(lengths.map(|l| l.and_then(of)).collect::<Int32Array>())
        }
    })
}
