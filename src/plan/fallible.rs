//! Expressions that fail on some values, kept above the stab.
//!
//! A live relation holds rows that no label sees. `100 / x` of such a row is in no query of the law, so where `x` is 0 it must not
//! be what ends a replay. Filters and projections with such expressions make the relation as-of first: then only rows that
//! are seen are asked. What can't be bound there (a key that the rows do not know) stays where it is, because every T with
//! every row would cost more than it is worth: if it fails, the view is replayed by the reference engine.
//!
//! ```text
//! Filter: 100 / x > 3    =>    Filter: ok
//!   live                         Projection: ..., backcast_seen(100 / x > 3) AS ok
//!                                  Join: spine, live
//! ```
//!
//! The function is there because the optimizer would take the filter below the join again.

use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::plan::rewriter::{Outcome, Rewriter};

/// Functions that fail on some values of the right type.
const PARSING: [&str; 17] = [
    "arrow_cast",
    "chr",
    "decode",
    "factorial",
    "from_unixtime",
    "make_date",
    "make_time",
    "to_char",
    "to_date",
    "to_local_time",
    "to_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
];

/// Whether the expression fails on some row. Where this errs, a view may go to the reference engine; no value changes.
pub(super) fn can_fail(expr: &Expr, schema: &DFSchema) -> bool {
    let fails = |e: &Expr| match e {
        Expr::BinaryExpr(BinaryExpr { op: Operator::Divide | Operator::Modulo, right, .. }) => {
            !is_known_divisor(right) && !e.get_type(schema).is_ok_and(|t| t.is_floating())
        }
        Expr::Cast(cast) => !cast.expr.get_type(schema).is_ok_and(|from| is_total(&from, cast.field.data_type())),
        Expr::ScalarFunction(call) => PARSING.contains(&call.func.name()),
        _ => false,
    };
    expr.exists(|e| Ok(fails(e))).unwrap_or(true)
}

fn is_known_divisor(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => {
            !value.is_null() && ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero != *value)
        }
        Expr::Cast(cast) => is_known_divisor(&cast.expr),
        _ => false,
    }
}

/// Whether the cast takes every value.
fn is_total(from: &DataType, to: &DataType) -> bool {
    let width = |t: &DataType| t.primitive_width().unwrap_or(0);
    let whole = |t: &DataType| t.is_integer() || *t == DataType::Boolean;
    let timed = |t: &DataType| matches!(t, DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64);
    from == to
        || *from == DataType::Null
        || to.is_string()
        || (to.is_floating() && (whole(from) || from.is_floating() || from.is_decimal()))
        || (from.is_signed_integer() && to.is_signed_integer() && width(from) <= width(to))
        || (from.is_unsigned_integer() && to.is_integer() && width(from) < width(to))
        || (whole(from) && to.is_decimal())
        || (timed(from) && (timed(to) || matches!(to, DataType::Time32(_) | DataType::Time64(_))))
        || (from.is_binary() && to.is_binary())
}

/// A filter that no optimizer takes any further down.
pub(super) fn filter_here(rewriter: &Rewriter, plan: LogicalPlan, predicate: Expr) -> Outcome<LogicalPlan> {
    let own: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let ok = Column::new_unqualified(rewriter.fresh("ok"));
    let seen = ScalarUDF::from(Seen { signature: Signature::any(1, Volatility::Volatile) });
    let marked = own.iter().cloned().chain([seen.call(vec![predicate]).alias(&ok.name)]);
    let plan = LogicalPlanBuilder::from(plan).project(marked.collect::<Vec<_>>())?;
    Ok(plan.filter(Expr::Column(ok))?.project(own)?.build()?)
}

/// Its argument, a condition.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Seen {
    signature: Signature,
}

impl ScalarUDFImpl for Seen {
    fn name(&self) -> &str {
        "backcast_seen"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let rows = args.number_rows;
        let Some(value) = args.args.into_iter().next() else {
            return datafusion::common::exec_err!("{} takes a condition", self.name());
        };
        // A volatile function has a value for every row.
        let array = value.into_array(rows)?;
        debug_assert_eq!(array.len(), rows);
        Ok(ColumnarValue::Array(array))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{Field, Schema, TimeUnit};
    use datafusion::logical_expr::{cast, col, lit};

    #[test]
    fn divisions_of_numbers_that_may_be_zero_and_casts_that_lose_values_can_fail() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, None);
        let fields = [("i", DataType::Int64), ("f", DataType::Float64), ("s", DataType::Utf8), ("t", time)];
        let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
        let schema = DFSchema::try_from(Schema::new(fields.to_vec())).unwrap();
        let failing = [
            lit(100_i64) / col("i"),
            col("i") % col("i"),
            cast(col("s"), DataType::Int64),
            cast(col("i"), DataType::Int32),
            cast(col("f"), DataType::Int64).gt(lit(1_i64)),
            col("i") / lit(0_i64),
        ];
        let total = [
            lit(1.0) / col("f"),
            col("i") / lit(2_i64),
            cast(col("i"), DataType::Float64),
            cast(col("t"), DataType::Date32),
            cast(col("i"), DataType::Utf8),
            col("i") + col("i"),
        ];
        assert!(failing.iter().all(|e| can_fail(e, &schema)));
        assert!(!total.iter().any(|e| can_fail(e, &schema)));
    }
}
