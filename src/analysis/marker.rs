//! The table that stands for a source while SQL is planned. It can't be scanned: an engine puts rows in its place.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_err;
use datafusion::datasource::{TableType, source_as_provider};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, TableScan};
use datafusion::physical_plan::ExecutionPlan;

/// A source by its number in [`crate::analysis::Inputs::logs`].
#[derive(Debug)]
pub struct SourceMarker {
    pub index: usize,
    pub schema: SchemaRef,
}

#[async_trait]
impl TableProvider for SourceMarker {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        internal_err!("source number {} was planned but not bound", self.index)
    }
}

/// The number of the source that a scan reads, where it reads one.
pub fn marked_source(scan: &TableScan) -> Option<usize> {
    let provider = source_as_provider(&scan.source).ok()?;
    (provider.as_ref() as &dyn std::any::Any).downcast_ref::<SourceMarker>().map(|marker| marker.index)
}
