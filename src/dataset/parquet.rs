//! Parquet files: zstd, row groups of a size that readers like. The same rows give the same bytes.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::schema::types::ColumnPath;

/// Rows in a row group.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Good compression at a speed that a disk does not outrun.
const ZSTD_LEVEL: i32 = 3;

/// A writer of one file.
///
/// # Errors
/// Types that Parquet can't hold.
pub fn writer<W: Write + Send>(schema: &SchemaRef, to: W) -> Result<ArrowWriter<W>> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // A Date64 is written as a Parquet date, which readers know as one.
        .set_coerce_types(schema.fields().iter().any(|f| f.data_type() == &DataType::Date64));
    // Sums, means and instants seldom repeat: a dictionary of them is as large as they are, and costs more than all else.
    let seldom_repeats = |t: &DataType| t.is_floating() || matches!(t, DataType::Timestamp(_, _));
    for field in schema.fields().iter().filter(|f| seldom_repeats(f.data_type())) {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false);
    }
    ArrowWriter::try_new(to, Arc::clone(schema), Some(properties.build()))
}
