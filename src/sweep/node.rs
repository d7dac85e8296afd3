//! The logical operator.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, LogicalPlanBuilder, Projection, UserDefinedLogicalNodeCore,
};

use crate::sweep::spec::SweepSpec;

/// Aggregates of the events that each observer of a spine sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sweep {
    pub spine: LogicalPlan,
    pub events: LogicalPlan,
    pub spec: SweepSpec,
    /// The observer, the groups, the finer groups, the aggregates.
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
        LogicalPlan::Extension(Extension { node: Arc::new(node) })
    }
}

/// The plan without aggregates that nothing reads, and whether there were any. For optimised plans: columns are left out by
/// projections that stand right above a sweep. What the events' side then reads in vain, the optimizer finds.
///
/// # Errors
/// Only where a plan can't be built, which is a defect.
pub fn without_unread(plan: LogicalPlan) -> DfResult<Transformed<LogicalPlan>> {
    plan.transform_up(|plan| {
        let LogicalPlan::Projection(projection) = &plan else { return Ok(Transformed::no(plan)) };
        let LogicalPlan::Extension(extension) = projection.input.as_ref() else { return Ok(Transformed::no(plan)) };
        let Some(sweep) = extension.node.as_any().downcast_ref::<Sweep>() else { return Ok(Transformed::no(plan)) };
        let read: HashSet<&Column> = projection.expr.iter().flat_map(Expr::column_refs).collect();
        match sweep.only(&read)? {
            Some(sweep) => {
                let projection = Projection::try_new(projection.expr.clone(), Arc::new(sweep))?;
                Ok(Transformed::yes(LogicalPlan::Projection(projection)))
            }
            None => Ok(Transformed::no(plan)),
        }
    })
}

impl Sweep {
    /// With the aggregates among these columns only; `None` where that is all of them.
    fn only(&self, read: &HashSet<&Column>) -> DfResult<Option<LogicalPlan>> {
        let columns = self.schema.0.columns();
        let first = columns.len() - self.spec.aggregates.len();
        let kept: Vec<usize> = (0..columns.len()).filter(|i| *i < first || read.contains(&columns[*i])).collect();
        if kept.len() == columns.len() {
            return Ok(None);
        }
        let fields = kept.iter().map(|&i| {
            let (qualifier, field) = self.schema.0.qualified_field(i);
            (qualifier.cloned(), Arc::clone(field))
        });
        let schema = DFSchema::new_with_metadata(fields.collect(), self.schema.0.metadata().clone())?;
        let aggregates = kept.iter().filter(|i| **i >= first).map(|i| self.spec.aggregates[*i - first].clone());
        let spec = SweepSpec { aggregates: aggregates.collect(), ..self.spec.clone() };
        let events = spec.event_columns().into_iter().map(|name| Expr::Column(Column::new_unqualified(name)));
        let events = LogicalPlanBuilder::from(self.events.clone()).project(events.collect::<Vec<_>>())?.build()?;
        Ok(Some(Self::plan(self.spine.clone(), events, spec, Arc::new(schema))))
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
