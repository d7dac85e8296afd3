//! Timestamps that are written out and lie beyond what nanoseconds can hold (1677 to 2262), such as a `valid_to` in the year 9999.
//!
//! DataFusion 55 reads every timestamp that is written out in nanoseconds. These are read in microseconds, PostgreSQL's own
//! unit, so that they can stand beside columns of microseconds in `COALESCE`, `CASE` and the like.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, VisitorMut};

/// The digits of a second in microseconds.
const MICROSECONDS: u64 = 6;

/// Gives the timestamps beyond nanoseconds their unit.
#[derive(Debug)]
pub struct FarTimestamps;

impl VisitorMut for FarTimestamps {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        match expr {
            ast::Expr::TypedString(typed) => in_reach(&mut typed.data_type, &typed.value.value),
            ast::Expr::Cast { data_type, expr, .. } => {
                if let ast::Expr::Value(value) = expr.as_ref() {
                    in_reach(data_type, &value.value);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn in_reach(data_type: &mut ast::DataType, value: &ast::Value) {
    if let ast::DataType::Timestamp(precision @ None, _) = data_type
        && let ast::Value::SingleQuotedString(text) = value
        && is_far(text)
    {
        *precision = Some(MICROSECONDS);
    }
}

fn is_far(text: &str) -> bool {
    let text = ScalarValue::from(text);
    let fits = |unit| text.cast_to(&DataType::Timestamp(unit, None)).is_ok();
    !fits(TimeUnit::Nanosecond) && fits(TimeUnit::Microsecond)
}
