//! A set of Parquet files as a DataFusion table: columns by name, Hive partitions as text columns.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::source::barrier::{Barrier, prunable};
use crate::source::files::{Files, list};
use crate::source::footers::{Footers, read_footers};
use crate::source::keyed::few_asked;
use crate::source::schema::merge;
use crate::source::store::Stores;

/// Files of a store that one scan reads at once, at least.
const FILES_AT_ONCE: usize = 16;

/// Parquet files that are one table. Reads only the columns and row groups that a plan needs.
pub struct ParquetTable {
    pub files: Files,
    pub footers: Footers,
    /// Bytes that were read of the files to know their footers.
    pub footer_bytes: u64,
    /// File columns, then Hive partition columns (text).
    schema: SchemaRef,
    parts: TableSchema,
    partition_names: Vec<String>,
}

impl fmt::Debug for ParquetTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetTable").field("location", &self.files.location.uri).finish_non_exhaustive()
    }
}

impl ParquetTable {
    /// The Hive partition columns.
    pub fn partition_names(&self) -> &[String] {
        &self.partition_names
    }

    /// Lists the files of `uri` and reads their footers. `plain` decodes dictionaries and views; `hive` adds the
    /// partition columns.
    ///
    /// # Errors
    /// As [`list`], [`read_footers`] and [`merge`]; and a name that is a column in one file, a partition of another.
    pub async fn open(stores: &Stores, uri: &str, base: &str, plain: bool, hive: bool) -> Result<Self> {
        let files = list(stores, uri, base).await?;
        let before = stores.bytes_read();
        let footers = read_footers(stores, &files).await?;
        let footer_bytes = stores.bytes_read() - before;
        let file_schema = merge(&files, &footers.schemas, plain)?;
        let partition_names = if hive { partition_names(&files, &footers.schemas)? } else { Vec::new() };
        let partitions =
            partition_names.iter().map(|name| Arc::new(Field::new(name, DataType::Utf8, true))).collect::<Vec<_>>();
        let parts = TableSchema::builder(Arc::new(file_schema)).with_table_partition_cols(partitions).build();
        let schema = Arc::clone(parts.table_schema());
        Ok(Self { files, footers, footer_bytes, schema, parts, partition_names })
    }

    pub fn rows(&self) -> u64 {
        self.footers.rows.iter().sum()
    }

    /// How often a plain column is NULL, by the footers; `None` where they don't say. A file that lacks the column counts
    /// with all its rows; a partition column is NULL where Hive says so.
    pub fn null_count(&self, name: &str) -> Option<u64> {
        let footers = &self.footers;
        let of_file = |file: usize| {
            if self.partition_names.iter().any(|n| n == name) {
                let value = self.files.files[file].partition(name);
                return Some(if value.is_none() { footers.rows[file] } else { 0 });
            }
            let there = footers.schemas[file].field_with_name(name).is_ok();
            if there { footers.nulls(file, name) } else { Some(footers.rows[file]) }
        };
        (0..footers.rows.len()).map(of_file).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.files.files.iter().map(|f| f.meta.size).sum()
    }

    /// About how many bytes the rows take in memory, by the footers.
    pub fn memory(&self) -> u64 {
        self.footers.stretches.iter().map(|stretch| stretch.bytes).sum::<u64>().saturating_mul(2)
    }

    /// The partitions that a scan has at the most. Behind a network it mostly waits: more files than threads are read at once.
    pub(super) fn most_partitions(&self, threads: usize) -> usize {
        if self.files.location.is_local() { threads } else { threads.max(FILES_AT_ONCE) }
    }

    pub(super) fn partitioned_file(&self, index: usize) -> PartitionedFile {
        let file = &self.files.files[index];
        let values = self.partition_names.iter().map(|name| ScalarValue::Utf8(file.partition(name))).collect();
        PartitionedFile::new_from_meta(file.meta.as_ref().clone()).with_partition_values(values)
    }
}

/// The Hive partition columns: names in folders that are no column of any file.
fn partition_names(files: &Files, schemas: &[SchemaRef]) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let mut findings = Vec::new();
    for file in &files.files {
        for name in file.partitions() {
            if names.iter().any(|known| known == name) {
                continue;
            }
            let holders = schemas.iter().filter(|s| s.field_with_name(name).is_ok()).count();
            if holders == 0 {
                names.push(name.to_string());
            } else if holders < schemas.len() {
                findings.push(
                    Finding::error(format!("`{name}` is a column of some files and only a folder of others"))
                        .help(format!("`{}` has it as a folder: write it into every file, or into none", file.uri())),
                );
            }
        }
    }
    findings.dedup_by(|a, b| a.message == b.message);
    if findings.is_empty() { Ok(names) } else { Err(Error::Input(findings)) }
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let options = state.default_table_options().parquet;
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let reader = CachedParquetFileReaderFactory::new(Arc::clone(&self.files.location.store), cache);
        let mut source = ParquetSource::new(self.parts.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(reader));
        let kept = self.files_reached(filters)?;
        let asked = few_asked(self, state, &kept, filters, &source).await?;
        source = source.with_pushdown_filters(asked.is_some());
        // The keys come first: of columns that the rest tests, only what they leave is decoded then.
        let tests = asked.into_iter().chain(filters.iter().filter_map(|f| prunable(f, &self.schema)));
        if let Some(filter) = tests.reduce(Expr::and) {
            let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        // A scan has at least one file; its row groups are skipped when it is opened.
        let kept = if kept.is_empty() { vec![0] } else { kept };
        let files: Vec<PartitionedFile> = kept.iter().map(|&i| self.partitioned_file(i)).collect();
        let groups = FileGroup::new(files).split_files(self.most_partitions(state.config().target_partitions()));
        let rows = usize::try_from(kept.iter().map(|&i| self.footers.rows[i]).sum::<u64>());
        let rows = rows.map_or(Precision::Absent, Precision::Exact);
        let rows = if kept.len() == self.files.files.len() { rows } else { rows.to_inexact() };
        let bytes = usize::try_from(self.bytes()).map_or(Precision::Absent, Precision::Inexact);
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = rows;
        statistics.total_byte_size = bytes;
        let config = FileScanConfigBuilder::new(self.files.location.url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(Arc::new(Barrier::new(DataSourceExec::from_data_source(config))))
    }

    fn statistics(&self) -> Option<Statistics> {
        None
    }
}

/// The named column of `schema`, or a finding with the nearest names.
pub fn column<'a>(schema: &'a Schema, name: &str, what: &str) -> std::result::Result<&'a Field, Finding> {
    schema.field_with_name(name).map_err(|_| {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let finding = Finding::error(format!("{what} has no column `{name}`")).nearest(name, names.iter().copied());
        if finding.help.is_some() {
            return finding;
        }
        let shown = names.iter().take(12).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        finding.help(format!("its columns are {shown}{}", if names.len() > 12 { ", …" } else { "" }))
    })
}
