//! A scan that takes only the filters it was given when it was planned.
//!
//! DataFusion hands filters from above down to Parquet scans, to skip row groups by their statistics. In 55 it does so with any
//! cast inside: `CAST(ts AS TIME) < TIME '12:00'` is tested on the smallest and largest `ts`, as if the time of day grew
//! with `ts`, and rows are lost. So nothing is handed through here, and [`prunable`] alone says what statistics may decide.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};

use crate::source::functions::marked_within_reach;
use crate::source::operator::one_input;

/// The part of a filter that Parquet statistics may decide, over the columns of `schema`: comparisons of a bare column with a
/// literal of its own type, and tests for NULL.
pub(super) fn prunable(filter: &Expr, schema: &Schema) -> Option<Expr> {
    if let Some(condition) = marked_within_reach(filter) {
        return prunable(condition, schema);
    }
    match filter {
        Expr::IsNull(e) | Expr::IsNotNull(e) if bare(e, schema).is_some() => Some(filter.clone()),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (prunable(left, schema), prunable(right, schema)) {
                (Some(l), Some(r)) => Some(l.and(r)),
                (one, other) => one.or(other),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (column, op, literal) = match (left.as_ref(), right.as_ref()) {
                (column, Expr::Literal(literal, _)) => (column, *op, literal),
                (Expr::Literal(literal, _), column) => (column, op.swap()?, literal),
                _ => return None,
            };
            let comparison = matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
            let (name, data_type) = bare(column, schema)?;
            let literal = same_instant(literal, &data_type)?;
            let column = Expr::Column(Column::new_unqualified(name));
            comparison.then(|| {
                Expr::BinaryExpr(BinaryExpr::new(Box::new(column), op, Box::new(Expr::Literal(literal, None))))
            })
        }
        _ => None,
    }
}

/// A column, or one that is only given the zone UTC: its name and its type in the table.
fn bare(expr: &Expr, schema: &Schema) -> Option<(String, DataType)> {
    match expr {
        Expr::Column(column) => {
            let field = schema.field_with_name(&column.name).ok()?;
            Some((column.name.clone(), field.data_type().clone()))
        }
        Expr::Cast(cast) => {
            let (name, data_type) = bare(&cast.expr, schema)?;
            match (&data_type, cast.field.data_type()) {
                (DataType::Timestamp(u, _), DataType::Timestamp(v, Some(zone))) if u == v && zone.as_ref() == "UTC" => {
                    Some((name, data_type))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The literal in the column's type; a timestamp may differ in its zone only.
fn same_instant(literal: &ScalarValue, data_type: &DataType) -> Option<ScalarValue> {
    if literal.data_type() == *data_type {
        return Some(literal.clone());
    }
    match (literal.data_type(), data_type) {
        (DataType::Timestamp(u, Some(_)), DataType::Timestamp(v, zone)) if u == *v => {
            let ticks = match literal {
                ScalarValue::TimestampSecond(t, _)
                | ScalarValue::TimestampMillisecond(t, _)
                | ScalarValue::TimestampMicrosecond(t, _)
                | ScalarValue::TimestampNanosecond(t, _) => (*t)?,
                _ => return None,
            };
            Some(crate::source::timestamp(u, ticks, zone.clone()))
        }
        _ => None,
    }
}

/// Hands rows up and no filter down.
#[derive(Debug, Clone)]
pub(super) struct Barrier {
    input: Arc<dyn ExecutionPlan>,
}

impl Barrier {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input }
    }
}

impl DisplayAs for Barrier {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Barrier")
    }
}

impl ExecutionPlan for Barrier {
    one_input!("Barrier", input, |_, input| Self::new(input));

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{Field, TimeUnit};
    use datafusion::logical_expr::{cast, col, lit};

    #[test]
    fn only_bare_columns_against_their_own_type_are_decided_by_statistics() {
        let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("ts", naive.clone(), true)]);
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let at = |zone: Option<&str>| lit(ScalarValue::TimestampMicrosecond(Some(5), zone.map(Into::into)));
        assert_eq!(prunable(&col("n").gt(lit(3_i64)), &schema), Some(col("n").gt(lit(3_i64))));
        assert_eq!(prunable(&lit(3_i64).gt(col("n")), &schema), Some(col("n").lt(lit(3_i64))));
        assert_eq!(prunable(&cast(col("ts"), utc).lt(at(Some("UTC"))), &schema), Some(col("ts").lt(at(None))));
        assert_eq!(prunable(&col("n").gt(lit(3.5)), &schema), None);
        let time = cast(col("ts"), DataType::Time64(TimeUnit::Nanosecond));
        assert_eq!(prunable(&time.lt(lit(ScalarValue::Time64Nanosecond(Some(1)))), &schema), None);
        let both = col("n").gt(lit(3_i64)).and(col("n").gt(lit(3.5)));
        assert_eq!(prunable(&both, &schema), Some(col("n").gt(lit(3_i64))));
    }
}
