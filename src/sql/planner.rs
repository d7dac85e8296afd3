//! DataFusion's physical planner with the operators that Backcast brings.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result as DfResult;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};

use crate::source::DeliveryPlanner;
use crate::sweep::SweepPlanner;

/// Plans sweeps and first arrivals too.
#[derive(Debug)]
pub(super) struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let own = vec![Arc::new(SweepPlanner) as _, Arc::new(DeliveryPlanner) as _];
        DefaultPhysicalPlanner::with_extension_planners(own).create_physical_plan(plan, session).await
    }
}
