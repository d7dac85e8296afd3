//! The set-at-a-time engine: runs a rewritten plan once for all observers.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt32Array, new_empty_array};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use crate::analysis::View;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::replay::observers::LabelObservers;
use crate::replay::values::{ViewValues, ambiguous};
use crate::source::Labels;

/// No row was found for the observer.
const NONE: u32 = u32::MAX;

/// Runs `plan` (observer, then the view's features).
///
/// # Errors
/// What the data breaks, several rows for one observer, or a failure of the engine.
pub(super) async fn run(
    view: &View,
    plan: LogicalPlan,
    observers: &LabelObservers,
    labels: &Labels,
    session: &SessionContext,
    monitor: &dyn Monitor,
) -> Result<ViewValues> {
    let failed = |e| Error::engine(format!("replay view `{}`", view.name), e);
    let state = session.state();
    let optimized = state.optimize(&plan).map_err(failed)?;
    let physical = state.query_planner().create_physical_plan(&optimized, &state).await.map_err(failed)?;
    let mut stream = execute_stream(physical, state.task_ctx()).map_err(failed)?;
    let mut row_of: Vec<u32> = vec![NONE; observers.first_label.len()];
    let mut twice: BTreeMap<usize, usize> = BTreeMap::new();
    let mut batches: Vec<Vec<ArrayRef>> = vec![Vec::new(); view.features.len()];
    let mut rows: usize = 0;
    while let Some(batch) = stream.try_next().await.map_err(failed)? {
        for (i, number) in batch.column(0).as_primitive::<Int64Type>().iter().enumerate() {
            let Some(observer) = number.and_then(|n| usize::try_from(n).ok()).filter(|n| *n < row_of.len()) else {
                continue;
            };
            if row_of[observer] == NONE {
                row_of[observer] = u32::try_from(rows + i).unwrap_or(NONE);
            } else {
                *twice.entry(observer).or_insert(1) += 1;
            }
        }
        for (column, parts) in batch.columns()[1..].iter().zip(&mut batches) {
            parts.push(std::sync::Arc::clone(column));
        }
        rows += batch.num_rows();
        monitor.advance(batch.num_rows() as u64);
    }
    if let Some((&observer, &count)) = twice.first_key_value() {
        return Err(ambiguous(view, labels, observers.first_label[observer] as usize, count));
    }
    let columns = batches
        .iter()
        .zip(&view.features)
        .map(|(parts, feature)| match parts.as_slice() {
            [] => Ok(new_empty_array(&feature.data_type)),
            parts => concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>()),
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| failed(e.into()))?;
    let picks: UInt32Array = observers
        .of_label
        .iter()
        .map(|observer| observer.map(|o| row_of[o as usize]).filter(|row| *row != NONE))
        .collect();
    ViewValues::gather(&columns, &picks, &view.features).map_err(failed)
}
