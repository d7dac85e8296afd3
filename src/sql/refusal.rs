//! A refusal that is found while DataFusion plans, carried through its errors.

use std::fmt;

use datafusion::common::{DataFusionError, Span};
use datafusion::logical_expr::Expr;

/// What is refused, why, and what to write instead.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
    pub help: String,
    /// Where it stands in the SQL, as far as the plan knows.
    pub span: Option<Span>,
}

impl Refusal {
    /// Of something in this expression.
    pub(super) fn in_expr(
        expr: &Expr,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> DataFusionError {
        use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
        let mut span = None;
        let _ = expr.apply(|e| match e {
            Expr::Column(column) if column.spans().first().is_some() => {
                span = column.spans().first();
                Ok(TreeNodeRecursion::Stop)
            }
            _ => Ok(TreeNodeRecursion::Continue),
        });
        DataFusionError::External(Box::new(Self { code, message: message.into(), help: help.into(), span }))
    }

    /// The refusal that an error carries.
    pub fn of(error: &DataFusionError) -> Option<&Self> {
        match error.find_root() {
            DataFusionError::External(inner) => inner.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
