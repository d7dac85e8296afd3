//! What an expression gives where the windows below it hold nothing.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{ColumnarValue, Expr};
use datafusion::physical_expr::create_physical_expr;

use crate::sql::mentions_now;

/// The expression's value where its columns have these; `None` where one has no known value, or it depends on more.
pub(super) fn constant(expr: &Expr, value: &dyn Fn(&Column) -> Option<ScalarValue>) -> Option<ScalarValue> {
    if mentions_now(expr) {
        return None;
    }
    let mut unknown = false;
    let bound = expr.clone().transform_up(|e| {
        let Expr::Column(column) = &e else { return Ok(Transformed::no(e)) };
        Ok(match value(column) {
            Some(value) => Transformed::yes(Expr::Literal(value, None)),
            None => {
                unknown = true;
                Transformed::no(e)
            }
        })
    });
    let bound = bound.data().ok()?;
    if unknown {
        return None;
    }
    let physical =
        create_physical_expr(&bound, &DFSchema::empty(), &ExecutionProps::new(), &PhysicalPlanningContext::default());
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).ok()?;
    match physical.ok()?.evaluate(&row).ok()? {
        ColumnarValue::Scalar(value) => Some(value),
        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0).ok(),
    }
}

/// What an aggregate gives over no rows.
pub(super) fn of_aggregate(function: &str, data_type: &DataType) -> Option<ScalarValue> {
    const ZERO: [&str; 3] = ["count", "approx_distinct", "regr_count"];
    const NULL: [&str; 29] = [
        "approx_median",
        "approx_percentile_cont",
        "array_agg",
        "avg",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bool_and",
        "bool_or",
        "corr",
        "covar",
        "covar_pop",
        "first_value",
        "last_value",
        "max",
        "mean",
        "median",
        "min",
        "percentile_cont",
        "regr_avgx",
        "regr_avgy",
        "regr_intercept",
        "regr_slope",
        "stddev",
        "stddev_pop",
        "string_agg",
        "sum",
        "var",
        "var_pop",
    ];
    if ZERO.contains(&function) {
        ScalarValue::new_zero(data_type).ok()
    } else if NULL.contains(&function) {
        ScalarValue::try_new_null(data_type).ok()
    } else {
        None
    }
}
