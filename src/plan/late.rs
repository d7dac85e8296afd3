//! A scan whose rows are known when it is executed, not before: it gives no statistics and takes no filters, so that nothing in
//! the plan above it depends on them.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use crate::source::operator::no_input;

/// Gives the rows, with all columns.
type LateRows = Arc<dyn Fn() -> DfResult<Vec<RecordBatch>> + Send + Sync>;

/// One partition of rows that are asked for at each execution.
pub struct LateScan {
    name: &'static str,
    projection: Vec<usize>,
    rows: LateRows,
    properties: Arc<PlanProperties>,
}

impl LateScan {
    /// The scan of these columns of `schema`.
    ///
    /// # Errors
    /// Columns that the schema does not have.
    pub fn plan(
        name: &'static str,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
        rows: LateRows,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(schema.project(&projection)?)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(Self { name, projection, rows, properties: Arc::new(properties) }))
    }
}

impl fmt::Debug for LateScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.name).field("projection", &self.projection).finish_non_exhaustive()
    }
}

impl DisplayAs for LateScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: projection={:?}", self.name, self.projection)
    }
}

impl ExecutionPlan for LateScan {
    fn name(&self) -> &'static str {
        self.name
    }

    no_input!();

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let projection = self.projection.clone();
        let batches = (self.rows)()?.into_iter().map(move |batch| Ok(batch.project(&projection)?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(self.properties.eq_properties.schema()),
            futures::stream::iter(batches),
        )))
    }
}
