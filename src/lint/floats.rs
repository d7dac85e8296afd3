//! B204: equality of floats, where two ways to the same number may end in different bits.
//!
//! Not told: a stored double against a literal, whole numbers (`avg(x) = 0`), what was rounded (`floor(x) = y`), the extreme
//! that a subquery takes of a column. Grouping by a float is not told either: each value is its own group, as written.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use crate::diagnostics;
use crate::finding::{Finding, Place};
use crate::lint::columns::plain;

pub(super) fn finding(at: Place) -> Finding {
    Finding::warning("floats are compared for equality: the last bit decides")
        .code(diagnostics::B204)
        .at(at)
        .help("compare within a tolerance (`abs(a - b) < 1e-9`), or round or cast both to a DECIMAL")
}

/// Whether two values that are meant to be equal may differ as floats.
pub(super) fn can_differ(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    let float = |e: &Expr| e.get_type(schema).ok().filter(DataType::is_floating);
    if float(left).is_none() && float(right).is_none() || [left, right].into_iter().any(is_exact) {
        return false;
    }
    match (number(left), number(right)) {
        (Some(_), Some(_)) => false,
        (None, None) => true,
        (Some(value), None) => differs_from(right, float(right), value),
        (None, Some(value)) => differs_from(left, float(left), value),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whether the digits are cut is the question")]
fn differs_from(expr: &Expr, data_type: Option<DataType>, literal: f64) -> bool {
    match data_type {
        Some(DataType::Float32 | DataType::Float16) => f64::from(literal as f32) != literal,
        Some(_) => plain(expr).is_none() && literal.fract() != 0.0,
        None => false,
    }
}

/// The number that is written out; NULL counts as 0.
fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Alias(alias) => number(&alias.expr),
        Expr::Cast(cast) => number(&cast.expr),
        Expr::Negative(inner) => number(inner).map(|n| -n),
        Expr::Literal(value, _) => match value.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(value)) => Some(value.unwrap_or(0.0)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the value was rounded, or is one that is stored.
fn is_exact(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_exact(&alias.expr),
        Expr::ScalarFunction(call) => matches!(call.name(), "floor" | "ceil" | "round" | "trunc"),
        Expr::ScalarSubquery(subquery) => {
            let mut extreme = false;
            let _ = subquery.subquery.apply(|node| {
                if let LogicalPlan::Aggregate(aggregate) = node {
                    extreme |= aggregate
                        .aggr_expr
                        .iter()
                        .any(|e| matches!(e, Expr::AggregateFunction(f) if matches!(f.func.name(), "min" | "max")));
                }
                Ok(TreeNodeRecursion::Continue)
            });
            extreme
        }
        _ => false,
    }
}
