//! A scalar subquery with more than one row for one row of the outer query: an error where the value is looked at, as in SQL.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{ScalarValue, Span, internal_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use crate::error::DataFault;

/// The first argument, where the second, a number of rows, is at most 1.
pub(super) fn single(value: Expr, rows: Expr, span: Option<Span>) -> Expr {
    let place = span.map_or_else(String::new, |s| format!(" (line {}, column {})", s.start.line, s.start.column));
    let function = ScalarUDF::from(Single { signature: Signature::any(3, Volatility::Immutable) });
    Arc::new(function).call(vec![value, rows, lit(place)])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Single {
    signature: Signature,
}

impl ScalarUDFImpl for Single {
    fn name(&self) -> &str {
        "single_row"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        match args {
            [value, DataType::Int64, _] => Ok(value.clone()),
            _ => internal_err!("single_row takes a value, a number of rows and a place"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let [value, rows, place] = args.args.as_slice() else {
            return internal_err!("single_row takes three arguments");
        };
        let counted = rows.to_array(args.number_rows)?;
        let counts = counted.as_primitive::<Int64Type>();
        if let Some(count) = (0..counts.len()).filter(|&i| counts.is_valid(i)).map(|i| counts.value(i)).find(|n| *n > 1)
        {
            let place = match place {
                ColumnarValue::Scalar(ScalarValue::Utf8(Some(place))) => place.clone(),
                _ => String::new(),
            };
            let fault = format!("a scalar subquery{place} has {count} rows for one row; add an aggregate or `LIMIT 1`");
            return Err(DataFault(fault).into());
        }
        Ok(value.clone())
    }
}
