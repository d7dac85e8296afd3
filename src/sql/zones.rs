//! `AT TIME ZONE` as in PostgreSQL: of an instant, what the clocks of the zone show; of a naive timestamp, the instant at which
//! they show it. (DataFusion 55 only changes the zone that an instant is shown in, and the unit to nanoseconds.)

use std::ops::ControlFlow;
use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{self, VisitorMut};

use crate::source::time::{local_to_utc, utc_to_local};

/// The function that `AT TIME ZONE` is planned as.
const NAME: &str = "at_time_zone";

/// The function for a session.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(AtTimeZone { signature: Signature::any(2, Volatility::Immutable) })
}

/// Turns `x AT TIME ZONE z` into a call of the function, everywhere in a query.
#[derive(Debug)]
pub struct CallForZones;

impl VisitorMut for CallForZones {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        if let ast::Expr::AtTimeZone { timestamp, time_zone } = expr {
            let args = vec![timestamp.as_ref().clone(), time_zone.as_ref().clone()];
            *expr = call(NAME, args);
        }
        ControlFlow::Continue(())
    }
}

/// The call of a function.
pub(super) fn call(name: &str, args: Vec<ast::Expr>) -> ast::Expr {
    let argument = |e| ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e));
    ast::Expr::Function(ast::Function {
        name: ast::ObjectName::from(vec![ast::Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: ast::FunctionArguments::None,
        args: ast::FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(argument).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AtTimeZone {
    signature: Signature,
}

impl AtTimeZone {
    fn result(of: &DataType) -> DfResult<DataType> {
        match of {
            DataType::Timestamp(unit, Some(_)) => Ok(DataType::Timestamp(*unit, None)),
            DataType::Timestamp(unit, None) => Ok(DataType::Timestamp(*unit, Some("UTC".into()))),
            DataType::Date32 | DataType::Null => Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            other => plan_err!("AT TIME ZONE takes a timestamp, not {other}"),
        }
    }
}

/// The zone, which has to be written out.
fn zone(value: Option<&ScalarValue>) -> DfResult<Tz> {
    match value.and_then(|v| v.try_as_str().flatten()) {
        Some(name) => match name.parse() {
            Ok(zone) => Ok(zone),
            Err(_) => plan_err!("there is no time zone `{name}`: write an IANA name such as `Europe/Berlin`"),
        },
        None => plan_err!("AT TIME ZONE takes the name of a zone, written out"),
    }
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        Self::result(args.first().unwrap_or(&DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> DfResult<FieldRef> {
        zone(args.scalar_arguments.get(1).copied().flatten())?;
        let of = args.arg_fields.first().map_or(&DataType::Null, |f| f.data_type());
        Ok(Arc::new(Field::new(NAME, Self::result(of)?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let zone = match args.args.get(1) {
            Some(ColumnarValue::Scalar(value)) => zone(Some(value))?,
            _ => zone(None)?,
        };
        let arrays = ColumnarValue::values_to_arrays(&args.args[..1])?;
        let array: ArrayRef = match arrays[0].data_type() {
            DataType::Timestamp(_, _) => Arc::clone(&arrays[0]),
            _ => cast(&arrays[0], &DataType::Timestamp(TimeUnit::Microsecond, None))?,
        };
        let aware = matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
        let moved = if aware { utc_to_local(&array, zone)? } else { local_to_utc(&array, zone)? };
        if args.args[0].data_type() == DataType::Null || matches!(args.args[0], ColumnarValue::Scalar(_)) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(moved.as_ref() as &dyn Array, 0)?));
        }
        Ok(ColumnarValue::Array(moved))
    }
}
