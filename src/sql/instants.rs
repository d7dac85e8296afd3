//! Comparisons of timestamps of different units, made exact.
//!
//! DataFusion 55 casts both sides to the finer unit. Nanoseconds end in 2262, so a sentinel such as the year 9999 in a column of
//! microseconds can't be compared with a literal (which is nanoseconds) or with a label time that needs them: the cast fails.
//! Here the finer side is rounded to the coarser unit, which never fails and says the same:
//!
//! | SQL, `c` coarse, `f` fine | becomes |
//! | --- | --- |
//! | `c > f`, `c <= f` | `c > floor(f)`, `c <= floor(f)` |
//! | `c >= f`, `c < f` | `c >= ceil(f)`, `c < ceil(f)` |
//! | `c = f`, `c <> f` | `c = floor(f) AND c = ceil(f)`, `c <> floor(f) OR c <> ceil(f)` |
//!
//! Literals are read in microseconds where nanoseconds don't reach. `IN` lists, arithmetic and casts that are written out
//! stay as they are.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Int64Array};
use datafusion::arrow::compute::cast as cast_array;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, binary_expr, cast,
};

use crate::source::time::unit_ns;

/// The names of the functions that round a timestamp to a coarser unit; both are monotone.
pub const ROUNDING: [&str; 2] = ["instant_floor", "instant_ceil"];

/// Applies the table above to an analyzed plan and its subqueries.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub fn exact_comparisons(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    use datafusion::common::tree_node::{TransformedResult, TreeNode};
    plan.transform_up_with_subqueries(|plan| {
        let schema = match &plan {
            LogicalPlan::TableScan(scan) => scan.projected_schema.as_ref().clone(),
            other => merge_schema(&other.inputs()),
        };
        let names = NamePreserver::new(&plan);
        let rewritten = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|e| exact(e, &schema))?;
            Ok(if rewritten.transformed { rewritten.update_data(|e| name.restore(e)) } else { rewritten })
        })?;
        if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
    })
    .data()
}

/// One expression, after those that it is made of.
///
/// # Errors
/// Never: the signature is that of a step of a walk.
pub fn exact(expr: Expr, schema: &DFSchema) -> DfResult<Transformed<Expr>> {
    let compared = match &expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => compared(left, *op, right, schema),
        Expr::Between(Between { expr, negated, low, high }) => {
            let (above, below) =
                (compared(expr, Operator::GtEq, low, schema), compared(expr, Operator::LtEq, high, schema));
            if above.is_none() && below.is_none() {
                None
            } else {
                let above = above.unwrap_or_else(|| binary_expr(*expr.clone(), Operator::GtEq, *low.clone()));
                let below = below.unwrap_or_else(|| binary_expr(*expr.clone(), Operator::LtEq, *high.clone()));
                let inside = above.and(below);
                Some(if *negated { !inside } else { inside })
            }
        }
        _ => None,
    };
    Ok(compared.map_or_else(|| Transformed::no(expr), Transformed::yes))
}

/// A side of a comparison without the casts to finer units, its unit, and its zone.
struct Side {
    expr: Expr,
    unit: TimeUnit,
    zone: Option<Arc<str>>,
}

fn compared(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> Option<Expr> {
    if !is_comparison(op) || !matches!(left, Expr::Cast(_)) && !matches!(right, Expr::Cast(_)) {
        return None;
    }
    let (Some(a), Some(b)) = (side(left, schema), side(right, schema)) else { return None };
    // Casts to anything but nanoseconds reach further than any calendar.
    let nanoseconds = |e: &Expr| matches!(e.get_type(schema), Ok(DataType::Timestamp(TimeUnit::Nanosecond, _)));
    let uncast = |s: &Side, e: &Expr| s.expr != *e;
    if !nanoseconds(left) && !nanoseconds(right) || !uncast(&a, left) && !uncast(&b, right) {
        return None;
    }
    let zone = a.zone.clone().or_else(|| b.zone.clone());
    let shown = |s: Side| -> Expr {
        let data_type = DataType::Timestamp(s.unit, zone.clone());
        if s.zone == zone { s.expr } else { cast(s.expr, data_type) }
    };
    let (ua, ub) = (unit_ns(a.unit), unit_ns(b.unit));
    if ua == ub {
        return Some(binary_expr(shown(a), op, shown(b)));
    }
    let swapped = op.swap()?;
    let (coarse, op, fine) = if ua > ub { (a, op, b) } else { (b, swapped, a) };
    let unit = coarse.unit;
    let (coarse, fine) = (shown(coarse), shown(fine));
    let rounded = |up: bool| binary_expr(coarse.clone(), op, round(fine.clone(), unit, up));
    match op {
        Operator::Gt | Operator::LtEq => Some(rounded(false)),
        Operator::GtEq | Operator::Lt => Some(rounded(true)),
        Operator::Eq | Operator::IsNotDistinctFrom => Some(rounded(false).and(rounded(true))),
        Operator::NotEq | Operator::IsDistinctFrom => Some(rounded(false).or(rounded(true))),
        _ => None,
    }
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// `None` where the side is no timestamp in UTC or without a zone.
fn side(expr: &Expr, schema: &DFSchema) -> Option<Side> {
    let Ok(DataType::Timestamp(unit, zone)) = expr.get_type(schema) else { return None };
    if !is_utc(zone.as_ref()) {
        return None;
    }
    if let Some(literal) = literal(expr, zone.as_ref()) {
        return Some(literal);
    }
    if let Expr::Cast(outer) = expr
        && let Ok(DataType::Timestamp(from, zone)) = outer.expr.get_type(schema)
        && unit_ns(from) >= unit_ns(unit)
        && is_utc(zone.as_ref())
    {
        return side(&outer.expr, schema);
    }
    Some(Side { expr: expr.clone(), unit, zone })
}

fn is_utc(zone: Option<&Arc<str>>) -> bool {
    zone.is_none_or(|z| matches!(z.as_ref(), "UTC" | "+00:00" | "Z"))
}

/// Text or a timestamp that is cast: in microseconds where it has no finer digits.
fn literal(expr: &Expr, zone: Option<&Arc<str>>) -> Option<Side> {
    let mut inner = expr;
    while let Expr::Cast(cast) = inner {
        let DataType::Timestamp(_, zone) = cast.field.data_type() else { return None };
        if !is_utc(zone.as_ref()) {
            return None;
        }
        inner = &cast.expr;
    }
    let Expr::Literal(value, _) = inner else { return None };
    if value.is_null() || !matches!(value.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        return None;
    }
    let in_unit = |unit| value.cast_to(&DataType::Timestamp(unit, zone.cloned())).ok();
    let unit = TimeUnit::Microsecond;
    match in_unit(TimeUnit::Nanosecond) {
        Some(ScalarValue::TimestampNanosecond(Some(ticks), _)) if ticks % 1_000 != 0 => None,
        _ => {
            let expr = Expr::Literal(in_unit(unit)?, None);
            Some(Side { expr, unit, zone: zone.cloned() })
        }
    }
}

fn round(expr: Expr, unit: TimeUnit, up: bool) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::from(Rounded { up, unit, signature }).call(vec![expr])
}

/// A timestamp in a coarser unit: the last tick that is not after it, or the first that is not before it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounded {
    up: bool,
    unit: TimeUnit,
    signature: Signature,
}

impl ScalarUDFImpl for Rounded {
    fn name(&self) -> &str {
        ROUNDING[usize::from(self.up)]
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        match args {
            [DataType::Timestamp(_, zone)] => Ok(DataType::Timestamp(self.unit, zone.clone())),
            _ => plan_err!("{} takes a timestamp", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else { return plan_err!("{} takes a timestamp", self.name()) };
        let DataType::Timestamp(from, zone) = array.data_type() else {
            return plan_err!("{} takes a timestamp", self.name());
        };
        let ratio = unit_ns(self.unit) / unit_ns(*from).max(1);
        let ticks = cast_array(array, &DataType::Int64)?;
        let rounded: Int64Array = ticks.as_primitive::<Int64Type>().unary(|tick: i64| {
            let down = tick.div_euclid(ratio.max(1));
            if self.up && tick.rem_euclid(ratio.max(1)) != 0 { down + 1 } else { down }
        });
        let rounded = cast_array(&rounded, &DataType::Timestamp(self.unit, zone.clone()))?;
        if matches!(args.args.first(), Some(ColumnarValue::Scalar(_))) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(rounded.as_ref() as &dyn Array, 0)?));
        }
        Ok(ColumnarValue::Array(rounded))
    }
}
