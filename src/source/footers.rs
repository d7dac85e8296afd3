//! What the footers of many Parquet files say, without the footers themselves.
//!
//! A footer takes more than 10 kB in memory, and three years of hourly files are 26,000 of them. Of each is kept what pruning and
//! the audit ask for: rows and bytes of its row groups, and of each plain column the least, the most and the NULLs. These stand in
//! arrays over the row groups of a [`Stretch`] of files, some tens of bytes each. Scans read footers anew through the runtime's
//! cache, which holds as many as fit its limit.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, UInt64Array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::object_store::ObjectStore;
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use futures::{FutureExt, StreamExt, TryStreamExt};

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::source::files::{DataFile, Files};
use crate::source::store::{Stores, store_cause};

/// Footers are small: this many bytes from a file's end hold nearly all of them, in one request.
const FOOTER_BYTES: usize = 64 * 1024;
/// Footers fetched at once: each is one small request, most of whose time is spent waiting.
const FOOTERS_AT_ONCE: usize = 64;
/// Schemas that files may share: more are looked through for nothing.
const MOST_SHARED: usize = 16;
/// Files of a stretch, at most: so many footers are held while they are read.
const STRETCH_FILES: usize = 256;

/// What the footers of a table's files say, file by file in the order of [`Files`].
#[derive(Debug, Clone, Default)]
pub struct Footers {
    pub schemas: Vec<SchemaRef>,
    pub rows: Vec<u64>,
    pub(super) stretches: Vec<Stretch>,
}

/// Files one after the other that have one schema.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub files: Range<usize>,
    pub schema: SchemaRef,
    /// By file: its row groups, of those of the stretch.
    pub groups: Vec<Range<usize>>,
    /// By row group.
    pub rows: UInt64Array,
    /// By row group: its bytes, decoded.
    pub bytes: u64,
    /// Columns of a plain type.
    columns: HashMap<String, Extremes>,
}

/// A column by row group. A NULL is what the footer does not say.
#[derive(Debug, Clone)]
pub(super) struct Extremes {
    /// In the file's own type.
    pub least: Option<ArrayRef>,
    pub most: Option<ArrayRef>,
    pub nulls: Option<UInt64Array>,
}

impl Stretch {
    pub(super) fn column(&self, name: &str) -> Option<&Extremes> {
        self.columns.get(name)
    }

    pub(super) fn row_groups(&self) -> usize {
        self.rows.len()
    }

    fn of(first: usize, schema: SchemaRef, footers: &[Arc<ParquetMetaData>]) -> Self {
        let groups: Vec<&RowGroupMetaData> = footers.iter().flat_map(|footer| footer.row_groups()).collect();
        let whole = |number: i64| u64::try_from(number).unwrap_or(0);
        let mut columns = HashMap::new();
        if let Some(footer) = footers.first() {
            let parquet = footer.file_metadata().schema_descr();
            for field in schema.fields() {
                let Ok(converter) = StatisticsConverter::try_new(field.name(), &schema, parquet) else { continue };
                let converter = converter.with_missing_null_counts_as_zero(false);
                if converter.parquet_column_index().is_none() {
                    continue;
                }
                let each = || groups.iter().copied();
                let extremes = Extremes {
                    least: converter.row_group_mins(each()).ok().map(packed),
                    most: converter.row_group_maxes(each()).ok().map(packed),
                    nulls: converter.row_group_null_counts(each()).ok(),
                };
                columns.insert(field.name().clone(), extremes);
            }
        }
        let of_file = footers.iter().scan(0, |next, footer| {
            let from = *next;
            *next += footer.num_row_groups();
            Some(from..*next)
        });
        Self {
            files: first..first + footers.len(),
            schema,
            groups: of_file.collect(),
            rows: groups.iter().map(|g| Some(whole(g.num_rows()))).collect(),
            bytes: groups.iter().map(|g| whole(g.total_byte_size())).sum(),
            columns,
        }
    }
}

/// Without the room that its builder left.
fn packed(mut array: ArrayRef) -> ArrayRef {
    if let Some(own) = Arc::get_mut(&mut array) {
        own.shrink_to_fit();
    }
    array
}

impl Footers {
    /// The stretch of a file, and the row groups that are its own.
    pub(super) fn of_file(&self, file: usize) -> (&Stretch, Range<usize>) {
        let at = self.stretches.partition_point(|stretch| stretch.files.end <= file);
        let stretch = &self.stretches[at];
        (stretch, stretch.groups[file - stretch.files.start].clone())
    }

    pub(super) fn row_groups(&self) -> usize {
        self.stretches.iter().map(Stretch::row_groups).sum()
    }

    /// How often a plain column of a file is NULL; `None` where its footer doesn't say.
    pub(super) fn nulls(&self, file: usize, name: &str) -> Option<u64> {
        let (stretch, groups) = self.of_file(file);
        let nulls = stretch.column(name)?.nulls.as_ref()?;
        groups.map(|group| nulls.is_valid(group).then(|| nulls.value(group))).sum()
    }
}

/// Reads all footers; the first that fit stay in the runtime's cache for the scans to come. More would push those out, and with as many
/// files a scan would find none of them again.
///
/// # Errors
/// Bad input where a file is not Parquet; a storage error where it can't be read.
pub async fn read_footers(stores: &Stores, files: &Files) -> Result<Footers> {
    let store = &files.location.store;
    let read = files.files.iter().map(|file| async move {
        let footer = read_footer(store.as_ref(), file, stores.room_for_footers()).await?;
        stores.count_footer(footer.memory_size());
        Ok::<_, Error>(footer)
    });
    let mut read = std::pin::pin!(futures::stream::iter(read).buffered(FOOTERS_AT_ONCE));
    let mut found = Gathered::default();
    while let Some(footer) = read.try_next().await? {
        found.push(footer, &files.files[found.all.schemas.len()])?;
    }
    found.close();
    Ok(found.all)
}

/// Footers as they come in.
#[derive(Default)]
struct Gathered {
    all: Footers,
    /// Those of the stretch to come.
    held: Vec<Arc<ParquetMetaData>>,
    different: Vec<SchemaRef>,
}

impl Gathered {
    fn push(&mut self, footer: Arc<ParquetMetaData>, file: &DataFile) -> Result<()> {
        let schema = self.shared(arrow_schema(&footer, file)?);
        let goes_on = |before: &Arc<ParquetMetaData>| {
            self.all.schemas.last() == Some(&schema)
                && before.file_metadata().schema_descr() == footer.file_metadata().schema_descr()
        };
        if self.held.len() >= STRETCH_FILES || self.held.last().is_some_and(|before| !goes_on(before)) {
            self.close();
        }
        self.all.rows.push(u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0));
        self.all.schemas.push(schema);
        self.held.push(footer);
        Ok(())
    }

    /// Thousands of files have a handful of schemas.
    fn shared(&mut self, schema: SchemaRef) -> SchemaRef {
        if let Some(known) = self.different.iter().find(|known| **known == schema) {
            return Arc::clone(known);
        }
        if self.different.len() < MOST_SHARED {
            self.different.push(Arc::clone(&schema));
        }
        schema
    }

    fn close(&mut self) {
        let held = std::mem::take(&mut self.held);
        if let Some(schema) = self.all.schemas.last().filter(|_| !held.is_empty()) {
            let first = self.all.schemas.len() - held.len();
            self.all.stretches.push(Stretch::of(first, Arc::clone(schema), &held));
        }
    }
}

async fn read_footer(
    store: &dyn ObjectStore,
    file: &DataFile,
    cache: Option<Arc<FileMetadataCache>>,
) -> Result<Arc<ParquetMetaData>> {
    let footer = DFParquetMetadata::new(store, &file.meta)
        .with_metadata_size_hint(Some(FOOTER_BYTES))
        .with_file_metadata_cache(cache);
    // The reader of parquet 59 panics on a footer that says it is longer than its file.
    match std::panic::AssertUnwindSafe(footer.fetch_metadata()).catch_unwind().await {
        Ok(read) => read.map_err(|e| match store_cause(&e) {
            // The file may be as it should; it could not be had.
            Some(cause) => Error::storage(format!("read `{}`", file.uri()), cause),
            None => unreadable(file, &e),
        }),
        Err(_) => Err(unreadable(file, &"its footer is damaged")),
    }
}

fn arrow_schema(footer: &ParquetMetaData, file: &DataFile) -> Result<SchemaRef> {
    let metadata = footer.file_metadata();
    parquet_to_arrow_schema(metadata.schema_descr(), metadata.key_value_metadata())
        .map(Arc::new)
        .map_err(|e| unreadable(file, &e))
}

fn unreadable(file: &DataFile, cause: &dyn std::fmt::Display) -> Error {
    Error::input(
        Finding::error(format!("`{}` can't be read as Parquet: {cause}", file.uri()))
            .help("remove or replace the file, or narrow the URI so that it is not read"),
    )
}
