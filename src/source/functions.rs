//! The scalar functions that a source's plan is made of. SQL can't name them.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, BinaryBuilder};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::exec_err;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::source::time;

/// `expr` (a naive timestamp, local time of `zone`) as an instant.
pub(super) fn local_to_utc(expr: Expr, zone: Tz) -> Expr {
    ScalarUDF::from(LocalToUtc { zone, signature: Signature::any(1, Volatility::Immutable) }).call(vec![expr])
}

/// `expr` (a timestamp, naive: UTC) plus `shift_ns` as nanoseconds since 1970, `Int64`, saturating.
pub fn instant_ns(expr: Expr, shift_ns: i64) -> Expr {
    ScalarUDF::from(InstantNs { shift_ns, signature: Signature::any(1, Volatility::Immutable) }).call(vec![expr])
}

/// The values as one binary that sorts as they do, column by column, ascending, NULL first.
pub fn order_key(exprs: Vec<Expr>) -> Expr {
    ScalarUDF::from(OrderKey { signature: Signature::variadic_any(Volatility::Immutable) }).call(exprs)
}

/// Whether the function is the one of [`order_key`].
pub fn is_order_key(function: &ScalarUDF) -> bool {
    function.name() == ORDER_KEY
}

/// The condition itself, with a mark: a row that fails it counts at no label time, as what says when rows count finds too. So it only
/// saves work, and may be left out.
pub fn within_reach(condition: Expr) -> Expr {
    ScalarUDF::from(WithinReach { signature: Signature::exact(vec![DataType::Boolean], Volatility::Immutable) })
        .call(vec![condition])
}

/// The condition that has the mark of [`within_reach`].
pub fn marked_within_reach(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == WITHIN_REACH => call.args.first(),
        _ => None,
    }
}

const WITHIN_REACH: &str = "within_reach";

#[derive(Debug, PartialEq, Eq, Hash)]
struct WithinReach {
    signature: Signature,
}

impl ScalarUDFImpl for WithinReach {
    fn name(&self) -> &str {
        WITHIN_REACH
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        args.args.into_iter().next().ok_or_else(|| datafusion::common::exec_datafusion_err!("no argument"))
    }
}

const ORDER_KEY: &str = "backcast_order_key";

#[derive(Debug, PartialEq, Eq, Hash)]
struct LocalToUtc {
    zone: Tz,
    signature: Signature,
}

impl ScalarUDFImpl for LocalToUtc {
    fn name(&self) -> &str {
        "backcast_local_to_utc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        match args {
            [DataType::Timestamp(unit, _)] => Ok(DataType::Timestamp(*unit, Some("UTC".into()))),
            _ => exec_err!("{} takes one timestamp", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let [array]: [ArrayRef; 1] = one(&args)?;
        Ok(ColumnarValue::Array(time::local_to_utc(&array, self.zone)?))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct InstantNs {
    shift_ns: i64,
    signature: Signature,
}

impl ScalarUDFImpl for InstantNs {
    fn name(&self) -> &str {
        "backcast_instant_ns"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let [array] = one(&args)?;
        Ok(ColumnarValue::Array(Arc::new(time::instants_ns(&array, self.shift_ns)?)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OrderKey {
    signature: Signature,
}

impl ScalarUDFImpl for OrderKey {
    fn name(&self) -> &str {
        ORDER_KEY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let arrays = arrays.iter().map(orderable).collect::<DfResult<Vec<_>>>()?;
        let fields = arrays.iter().map(|a| SortField::new(a.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?.convert_columns(&arrays)?;
        let mut keys = BinaryBuilder::with_capacity(rows.num_rows(), rows.size());
        for row in &rows {
            keys.append_value(row.data());
        }
        let keys = keys.finish();
        // A constant call over no column has one row, however many the batch has.
        if keys.len() == args.number_rows || args.number_rows == 0 {
            return Ok(ColumnarValue::Array(Arc::new(keys)));
        }
        exec_err!("{} got {} rows for {}", self.name(), keys.len(), args.number_rows)
    }
}

use datafusion::arrow::array::Array;

/// The array in a type whose rows can be ordered: maps, which have no order, by their text.
pub fn orderable(array: &ArrayRef) -> DfResult<ArrayRef> {
    if RowConverter::supports_fields(&[SortField::new(array.data_type().clone())]) {
        return Ok(Arc::clone(array));
    }
    Ok(cast_with_options(array, &DataType::Utf8, &CastOptions::default())?)
}

fn one(args: &ScalarFunctionArgs) -> DfResult<[ArrayRef; 1]> {
    let arrays = ColumnarValue::values_to_arrays(&args.args)?;
    let array = arrays.into_iter().next().ok_or_else(|| datafusion::common::exec_datafusion_err!("no argument"))?;
    if !matches!(
        array.data_type(),
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _)
    ) {
        return exec_err!("{} is not a timestamp", array.data_type());
    }
    Ok([array])
}
