//! A view planned once and replayed many times: for label rows, and over tables, that change from one replay to the next.
//!
//! Only the set-at-a-time engines plan so. What the plan says of the data must hold for all of it: tables that give no
//! statistics and take no filters are the caller's part. One replay at a time.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::prelude::SessionContext;

use crate::analysis::View;
use crate::error::{Error, Result};
use crate::monitor::Silent;
use crate::plan::Spines;
use crate::replay::engine::{Engine, choose};
use crate::replay::observers::LabelObservers;
use crate::replay::set;
use crate::replay::values::ViewValues;
use crate::source::{Labels, Log, Redelivery};
use crate::sql::now_unit;

/// A planned view.
pub struct PreparedReplay {
    view: View,
    spines: Spines,
    rewritten: LogicalPlan,
    physical: Arc<dyn ExecutionPlan>,
    session: SessionContext,
}

/// The same session, but each rule of the optimizer is tried once: a second pass finds little, and costs as much as an execution.
fn quick(session: &SessionContext) -> SessionContext {
    let mut state = session.state();
    state.config_mut().options_mut().optimizer.max_passes = 1;
    SessionContext::new_with_state(state)
}

impl fmt::Debug for PreparedReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedReplay").field("view", &self.view.name).finish_non_exhaustive()
    }
}

impl PreparedReplay {
    /// Plans `view`; `None` where it takes the reference engine.
    ///
    /// # Errors
    /// Where DataFusion can't plan what was rewritten.
    pub async fn new(view: &View, logs: &[Log], session: &SessionContext) -> Result<Option<Self>> {
        let keys: Vec<DataType> = view.keys.iter().map(|key| key.data_type.clone()).collect();
        let spines = Spines::changing(&keys, now_unit(session));
        let choice = choose(view, logs, &spines, None, session, Engine::Auto, Redelivery::ByTime)?;
        let Some(plan) = choice.plan else { return Ok(None) };
        let physical = match set::physical(view, &plan, &quick(session)).await {
            Ok(physical) => physical,
            Err(_) => set::physical(view, &plan, session).await?,
        };
        let (view, session) = (view.clone(), session.clone());
        Ok(Some(Self { view, spines, rewritten: plan, physical, session }))
    }

    /// The plan for whatever label rows; not optimised.
    pub fn rewritten(&self) -> &LogicalPlan {
        &self.rewritten
    }

    /// The values for these label rows, over the rows that the tables hold now.
    ///
    /// # Errors
    /// As one replay by this plan; no other engine is tried.
    pub async fn run(&self, labels: &Labels, observers: &LabelObservers) -> Result<ViewValues> {
        self.spines.seat(&observers.spines);
        let physical = reset_plan_states(Arc::clone(&self.physical))
            .map_err(|e| Error::engine(format!("replay view `{}`", self.view.name), e))?;
        set::answer(&self.view, physical, observers, labels, &self.session, &Silent).await
    }
}
