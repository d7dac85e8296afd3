//! The logical operator.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::source::delivery::repeated::Repeats;

/// What makes rows one delivery, and which of them is the first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub(in crate::source) struct FirstArrivalSpec {
    /// Columns of both inputs.
    pub ids: Vec<String>,
    /// Columns of the rows, none NULL: the least wins.
    pub order: Vec<String>,
    /// About how many rows there are.
    pub rows: u64,
    /// What is known of the ids already: then they are not read again.
    pub known: Option<Known>,
}

/// Repeated ids, compared by where they are held.
#[derive(Debug, Clone)]
pub(in crate::source) struct Known(pub Arc<Repeats>);

impl Known {
    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for Known {}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.address().partial_cmp(&other.address())
    }
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
