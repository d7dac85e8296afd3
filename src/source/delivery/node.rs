//! The logical operator.

use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

/// What makes rows one delivery, and which of them is the first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub(in crate::source) struct FirstArrivalSpec {
    /// Columns of both inputs.
    pub ids: Vec<String>,
    /// Columns of the rows, none NULL: the least wins.
    pub order: Vec<String>,
    /// About how many rows there are.
    pub rows: u64,
}

/// The rows that arrived first, of each id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub(in crate::source) struct FirstArrival {
    ids: LogicalPlan,
    rows: LogicalPlan,
    pub spec: FirstArrivalSpec,
}

impl FirstArrival {
    /// The operator as a plan: `ids` has the id columns of the same rows that `rows` has.
    pub(in crate::source) fn plan(ids: LogicalPlan, rows: LogicalPlan, spec: FirstArrivalSpec) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(Self { ids, rows, spec }) })
    }
}

impl UserDefinedLogicalNodeCore for FirstArrival {
    fn name(&self) -> &str {
        "FirstArrival"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.ids, &self.rows]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.rows.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "FirstArrival: id=[{}], first by [{}]", self.spec.ids.join(", "), self.spec.order.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> DfResult<Self> {
        match <[LogicalPlan; 2]>::try_from(inputs) {
            Ok([ids, rows]) if exprs.is_empty() => Ok(Self { ids, rows, spec: self.spec.clone() }),
            _ => plan_err!("a first arrival has ids and rows, and no expressions"),
        }
    }
}
