//! When a log's events are: by row group from the footers, or from the time column itself.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::common::pruning::PruningStatistics;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::TryStreamExt;

use crate::error::{Error, Result};
use crate::source::log::Log;
use crate::source::prune::RowGroups;
use crate::source::time::{instants_ns, local_to_utc, plain_instants};

/// What a footer says of the event times in a row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupTimes {
    pub rows: u64,
    /// First and last event, nanoseconds since 1970; `None` where the footer does not say, or all are NULL.
    pub range: Option<(i64, i64)>,
    /// Bytes of the time column.
    pub bytes: u64,
}

impl Log {
    /// The event times in a file, by row group.
    pub fn group_times(&self, file: usize) -> Vec<GroupTimes> {
        let schema = TableProvider::schema(self.table.as_ref());
        let groups = RowGroups { table: &self.table, schema: &schema, file };
        let column = Column::new_unqualified(&self.config.time);
        let instants = |values: Option<ArrayRef>| self.instants_of(&values?);
        let (first, last) = (instants(groups.min_values(&column)), instants(groups.max_values(&column)));
        let at = |values: &Option<Int64Array>, i: usize| {
            values.as_ref().filter(|v| i < v.len() && v.is_valid(i)).map(|v| v.value(i))
        };
        let footer = &self.table.footers.footers[file];
        let leaf = self.time_leaf(file);
        footer
            .row_groups()
            .iter()
            .enumerate()
            .map(|(i, group)| GroupTimes {
                rows: u64::try_from(group.num_rows()).unwrap_or(0),
                range: at(&first, i).zip(at(&last, i)),
                bytes: leaf.map_or(0, |leaf| u64::try_from(group.column(leaf).compressed_size()).unwrap_or(0)),
            })
            .collect()
    }

    fn time_leaf(&self, file: usize) -> Option<usize> {
        let columns = self.table.footers.footers[file].file_metadata().schema_descr().columns();
        columns.iter().position(|c| c.path().parts() == [self.config.time.clone()])
    }

    fn instants_of(&self, values: &ArrayRef) -> Option<Int64Array> {
        let values = match values.data_type() {
            DataType::Timestamp(_, None) => local_to_utc(values, self.config.timezone).ok()?,
            _ => Arc::clone(values),
        };
        instants_ns(&values, 0).ok()
    }

    /// Reads the event times of some row groups of a file, nanoseconds since 1970; NULLs are passed over.
    ///
    /// # Errors
    /// What reading meets.
    pub async fn read_times(&self, file: usize, groups: &[usize], each: &mut (dyn FnMut(i64) + Send)) -> Result<()> {
        let data = &self.table.files.files[file];
        let failed = |e: &dyn std::fmt::Display| Error::storage(format!("read `{}`", data.uri), e);
        let footer = Arc::clone(&self.table.footers.footers[file]);
        let mask = ProjectionMask::columns(footer.file_metadata().schema_descr(), [self.config.time.as_str()]);
        let metadata = ArrowReaderMetadata::try_new(footer, ArrowReaderOptions::new()).map_err(|e| failed(&e))?;
        let store = Arc::clone(&self.table.files.location.store);
        let own = PartitionedFile::new_from_meta(data.meta.clone());
        let metrics = ExecutionPlanMetricsSet::new();
        let reader = DefaultParquetFileReaderFactory::new(store).create_reader(0, own, None, &metrics);
        let reader: Box<dyn AsyncFileReader> = reader.map_err(|e| failed(&e))?;
        let mut batches = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata)
            .with_row_groups(groups.to_vec())
            .with_projection(mask)
            .build()
            .map_err(|e| failed(&e))?;
        while let Some(batch) = batches.try_next().await.map_err(|e| failed(&e))? {
            let Some(column) = batch.columns().first() else { continue };
            let instants = plain_instants(column, self.config.timezone).map_err(|e| failed(&e))?;
            let times = instants_ns(&instants, 0).map_err(|e| failed(&e))?;
            times.iter().flatten().for_each(&mut *each);
        }
        Ok(())
    }
}
