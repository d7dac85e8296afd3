//! One schema for many files: Parquet footers read, columns matched by name, types brought together.
//!
//! A column that a file lacks is NULL there. Types that widen without loss are widened; any other pair of types is
//! refused with the two files that have them.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::object_store::ObjectStore;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::ParquetMetaData;
use futures::{FutureExt, StreamExt, TryStreamExt};

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::source::files::{DataFile, Files};
use crate::source::store::{Stores, store_cause};
use crate::source::widen::{finer, wider_decimal, wider_integer};

/// Footers are small: this many bytes from a file's end hold nearly all of them, in one request.
pub const FOOTER_BYTES: usize = 64 * 1024;
/// Footers fetched at once: each is one small request, most of whose time is spent waiting.
const FOOTERS_AT_ONCE: usize = 64;

/// Schemas that files may share: more are looked through for nothing.
const MOST_SHARED: usize = 16;

/// What the footers of a table's files say, file by file in the order of [`Files`].
#[derive(Debug, Clone)]
pub struct FileSchemas {
    pub schemas: Vec<SchemaRef>,
    pub rows: Vec<u64>,
    pub footers: Vec<Arc<ParquetMetaData>>,
}

/// Reads all footers; they stay in the runtime's cache for the scans to come.
///
/// # Errors
/// Bad input where a file is not Parquet; a storage error where it can't be read.
pub async fn read_footers(stores: &Stores, files: &Files) -> Result<FileSchemas> {
    let store = &files.location.store;
    let footers: Vec<Arc<ParquetMetaData>> = futures::stream::iter(&files.files)
        .map(|file| read_footer(stores, store.as_ref(), file))
        .buffered(FOOTERS_AT_ONCE)
        .try_collect()
        .await?;
    // Thousands of files have a handful of schemas.
    let mut different: Vec<SchemaRef> = Vec::new();
    let mut schemas: Vec<SchemaRef> = Vec::with_capacity(footers.len());
    for (footer, file) in footers.iter().zip(&files.files) {
        let own = arrow_schema(footer, file)?;
        let known = different.iter().find(|known| **known == own).map(Arc::clone);
        if known.is_none() && different.len() < MOST_SHARED {
            different.push(Arc::clone(&own));
        }
        schemas.push(known.unwrap_or(own));
    }
    let rows = footers.iter().map(|f| u64::try_from(f.file_metadata().num_rows()).unwrap_or(0)).collect();
    Ok(FileSchemas { schemas, rows, footers })
}

async fn read_footer(stores: &Stores, store: &dyn ObjectStore, file: &DataFile) -> Result<Arc<ParquetMetaData>> {
    let cache = stores.runtime().cache_manager.get_file_metadata_cache();
    let footer = DFParquetMetadata::new(store, &file.meta)
        .with_metadata_size_hint(Some(FOOTER_BYTES))
        .with_file_metadata_cache(Some(cache));
    // The reader of parquet 59 panics on a footer that says it is longer than its file.
    match std::panic::AssertUnwindSafe(footer.fetch_metadata()).catch_unwind().await {
        Ok(read) => read.map_err(|e| match store_cause(&e) {
            // The file may be as it should; it could not be had.
            Some(cause) => Error::storage(format!("read `{}`", file.uri), cause),
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
        Finding::error(format!("`{}` can't be read as Parquet: {cause}", file.uri))
            .help("remove or replace the file, or narrow the URI so that it is not read"),
    )
}

/// Brings the files' schemas together, first file's column order first. `plain` also decodes dictionaries and views.
///
/// # Errors
/// Two files whose types for one column have no common type.
pub fn merge(files: &Files, schemas: &[SchemaRef], plain: bool) -> Result<Schema> {
    let mut fields: Vec<(Field, usize)> = Vec::new();
    let mut findings = Vec::new();
    for (i, schema) in schemas.iter().enumerate() {
        let mut own = BTreeSet::new();
        for field in schema.fields() {
            if !own.insert(field.name()) {
                findings.push(
                    Finding::error(format!("`{}` has two columns named `{}`", files.files[i].uri, field.name()))
                        .help("rewrite the file with one of them under another name"),
                );
                continue;
            }
            let data_type = if plain { plain_type(field.data_type()) } else { field.data_type().clone() };
            let Some((known, first)) = fields.iter_mut().find(|(f, _)| f.name() == field.name()) else {
                // A column that is not in every file is NULL in the others.
                let nullable = field.is_nullable() || i > 0;
                fields.push((Field::new(field.name(), data_type, nullable), i));
                continue;
            };
            match common_type(known.data_type(), &data_type) {
                Some(common) => {
                    *known = Field::new(known.name(), common, known.is_nullable() || field.is_nullable());
                }
                None => findings.push(
                    Finding::error(format!(
                        "column `{}` is {} in `{}` but {} in `{}`",
                        field.name(),
                        known.data_type(),
                        files.files[*first].uri,
                        data_type,
                        files.files[i].uri
                    ))
                    .help("rewrite one of the files, or narrow the URI: the two types have no lossless common one"),
                ),
            }
        }
    }
    if !findings.is_empty() {
        return Err(Error::Input(findings));
    }
    let everywhere = |name: &str| schemas.iter().all(|s| s.field_with_name(name).is_ok());
    Ok(Schema::new(
        fields
            .into_iter()
            .map(|(f, _)| {
                let nullable = f.is_nullable() || !everywhere(f.name());
                f.with_nullable(nullable)
            })
            .collect::<Vec<_>>(),
    ))
}

/// The type without dictionaries and views, all the way down.
pub fn plain_type(data_type: &DataType) -> DataType {
    let inner = |f: &Arc<Field>| Arc::new(f.as_ref().clone().with_data_type(plain_type(f.data_type())));
    match data_type {
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(f) | DataType::ListView(f) => DataType::List(inner(f)),
        DataType::LargeList(f) | DataType::LargeListView(f) => DataType::LargeList(inner(f)),
        DataType::FixedSizeList(f, n) => DataType::FixedSizeList(inner(f), *n),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(f, sorted) => DataType::Map(inner(f), *sorted),
        other => other.clone(),
    }
}

/// The type that holds every value of both, where there is one.
fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{
        Binary, Date32, Date64, Decimal128, Float32, Float64, Int64, LargeBinary, LargeUtf8, Null, Timestamp, Utf8,
    };
    if a == b {
        return Some(a.clone());
    }
    let either = |t: &DataType| a == t || b == t;
    match (a, b) {
        (Null, other) | (other, Null) => Some(other.clone()),
        (DataType::Dictionary(_, v), other) | (other, DataType::Dictionary(_, v)) => {
            common_type(&plain_type(v), &plain_type(other))
        }
        (Timestamp(u, z), Timestamp(v, w)) if z.is_some() == w.is_some() => {
            let zone = if z == w { z.clone() } else { Some("UTC".into()) };
            Some(Timestamp(finer(*u, *v), zone))
        }
        (Decimal128(p, s), Decimal128(q, r)) => wider_decimal((*p, *s), (*q, *r)),
        (Date32, Date64) | (Date64, Date32) => Some(Date64),
        _ if a.is_integer() && b.is_integer() => Some(wider_integer(a, b)),
        _ if a.is_floating() && b.is_floating() => Some(Float64),
        // Integers up to 32 bits are exact as 64-bit floats.
        _ if (a.is_floating() && small_integer(b)) || (b.is_floating() && small_integer(a)) => Some(Float64),
        (Float32 | Float64, Int64) | (Int64, Float32 | Float64) => None,
        _ if a.is_string() && b.is_string() => Some(if either(&LargeUtf8) { LargeUtf8 } else { Utf8 }),
        _ if a.is_binary() && b.is_binary() => Some(if either(&LargeBinary) { LargeBinary } else { Binary }),
        _ => None,
    }
}

fn small_integer(t: &DataType) -> bool {
    t.is_integer() && t.primitive_width().is_some_and(|bytes| bytes <= 4)
}
