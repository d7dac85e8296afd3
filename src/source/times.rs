//! When a log's events are: by row group from the footers, or from the time column itself.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::common::pruning::PruningStatistics;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::ProjectionMask;
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
    pub file: usize,
    /// The row group's number in its file.
    pub group: usize,
    pub rows: u64,
    /// First and last event, nanoseconds since 1970; `None` where the footer does not say, or all are NULL.
    pub range: Option<(i64, i64)>,
}

impl Log {
    /// The event times in all row groups that have rows, in the order of the files.
    pub fn group_times(&self) -> Vec<GroupTimes> {
        let schema = TableProvider::schema(self.table.as_ref());
        let column = Column::new_unqualified(&self.config.time);
        let at = |values: &Option<Int64Array>, i: usize| {
            values.as_ref().filter(|v| i < v.len() && v.is_valid(i)).map(|v| v.value(i))
        };
        let mut times = Vec::with_capacity(self.table.footers.row_groups());
        for stretch in &self.table.footers.stretches {
            let groups = RowGroups { table: &self.table, schema: &schema, stretch };
            let instants = |values: Option<ArrayRef>| self.instants_of(&values?);
            let (first, last) = (instants(groups.min_values(&column)), instants(groups.max_values(&column)));
            for (file, own) in stretch.files.clone().zip(&stretch.groups) {
                let of = |(group, i): (usize, usize)| GroupTimes {
                    file,
                    group,
                    rows: stretch.rows.value(i),
                    range: at(&first, i).zip(at(&last, i)),
                };
                times.extend(own.clone().enumerate().map(of).filter(|times| times.rows > 0));
            }
        }
        times
    }

    fn instants_of(&self, values: &ArrayRef) -> Option<Int64Array> {
        let values = match values.data_type() {
            DataType::Timestamp(_, None) => local_to_utc(values, self.config.timezone).ok()?,
            _ => Arc::clone(values),
        };
        instants_ns(&values, 0).ok()
    }

    /// Reads the event times of some row groups of a file, nanoseconds since 1970; NULLs are passed over. `cache`: where footers are
    /// kept.
    ///
    /// # Errors
    /// What reading meets.
    pub async fn read_times(
        &self,
        file: usize,
        groups: &[usize],
        cache: Arc<FileMetadataCache>,
        each: &mut (dyn FnMut(i64) + Send),
    ) -> Result<()> {
        let data = &self.table.files.files[file];
        let failed = |e: &dyn std::fmt::Display| Error::storage(format!("read `{}`", data.uri()), e);
        let store = Arc::clone(&self.table.files.location.store);
        let own = PartitionedFile::new_from_meta(data.meta.as_ref().clone());
        let metrics = ExecutionPlanMetricsSet::new();
        let factory = CachedParquetFileReaderFactory::new(store, cache);
        let reader = factory.create_reader(0, own, None, &metrics);
        let reader: Box<dyn AsyncFileReader> = reader.map_err(|e| failed(&e))?;
        let opened = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(|e| failed(&e))?;
        let mask = ProjectionMask::columns(opened.parquet_schema(), [self.config.time.as_str()]);
        let mut batches =
            opened.with_row_groups(groups.to_vec()).with_projection(mask).build().map_err(|e| failed(&e))?;
        while let Some(batch) = batches.try_next().await.map_err(|e| failed(&e))? {
            let Some(column) = batch.columns().first() else { continue };
            let instants = plain_instants(column, self.config.timezone).map_err(|e| failed(&e))?;
            let times = instants_ns(&instants, 0).map_err(|e| failed(&e))?;
            times.iter().flatten().for_each(&mut *each);
        }
        Ok(())
    }
}
