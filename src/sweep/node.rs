//! The logical operator.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use datafusion::common::{DFSchemaRef, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::sweep::spec::SweepSpec;

/// Aggregates of the events that each observer of a spine sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sweep {
    pub spine: LogicalPlan,
    pub events: LogicalPlan,
    pub spec: SweepSpec,
    /// The observer, the groups, the aggregates.
    schema: Schema,
}

/// A schema that is left out of comparisons: it follows from the rest.
#[derive(Debug, Clone)]
struct Schema(DFSchemaRef);

impl PartialEq for Schema {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Schema {}

impl Hash for Schema {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PartialOrd for Sweep {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.spec.partial_cmp(&other.spec).filter(|o| *o != Ordering::Equal || self == other)
    }
}

impl Sweep {
    /// The operator as a plan, with the given output schema.
    pub fn plan(spine: LogicalPlan, events: LogicalPlan, spec: SweepSpec, schema: DFSchemaRef) -> LogicalPlan {
        let node = Self { spine, events, spec, schema: Schema(schema) };
        LogicalPlan::Extension(Extension { node: std::sync::Arc::new(node) })
    }
}

impl UserDefinedLogicalNodeCore for Sweep {
    fn name(&self) -> &str {
        "Sweep"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.spine, &self.events]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema.0
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Sweep: {}", self.spec)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> DfResult<Self> {
        match <[LogicalPlan; 2]>::try_from(inputs) {
            Ok([spine, events]) if exprs.is_empty() => Ok(Self { spine, events, ..self.clone() }),
            _ => plan_err!("a sweep has a spine and events, and no expressions"),
        }
    }
}
