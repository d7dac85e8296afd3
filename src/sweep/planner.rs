//! From the logical operator to the physical one.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use crate::sweep::exec::SweepExec;
use crate::sweep::members::functions_of;
use crate::sweep::node::Sweep;

/// Plans [`Sweep`].
#[derive(Debug)]
pub struct SweepPlanner;

#[async_trait]
impl ExtensionPlanner for SweepPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        state: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(sweep), [spine, events]) = (node.as_any().downcast_ref::<Sweep>(), physical_inputs) else {
            return Ok(None);
        };
        let schema = Arc::clone(node.schema().inner());
        let spec = Arc::new(sweep.spec.clone());
        let functions = Arc::new(functions_of(&spec, |name| state.aggregate_functions().get(name).cloned()));
        Ok(Some(Arc::new(SweepExec::new(Arc::clone(spine), Arc::clone(events), spec, schema, functions))))
    }
}
