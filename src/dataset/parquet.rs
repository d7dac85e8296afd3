//! Parquet files in memory: zstd, row groups of a size that readers like. The same rows give the same bytes.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::properties::WriterProperties;

/// Rows in a row group.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Good compression at a speed that a disk does not outrun.
const ZSTD_LEVEL: i32 = 3;

/// One file that holds the batch.
///
/// # Errors
/// Types that Parquet can't hold.
pub fn encode(batch: &RecordBatch) -> Result<Vec<u8>> {
    encode_batches(&batch.schema(), std::iter::once(Ok(batch.clone())))
}

/// One file that holds all batches.
///
/// # Errors
/// Types that Parquet can't hold, or the first error of the batches.
pub fn encode_batches(schema: &SchemaRef, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // A Date64 is written as a Parquet date, which readers know as one.
        .set_coerce_types(schema.fields().iter().any(|f| f.data_type() == &DataType::Date64))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), std::sync::Arc::clone(schema), Some(properties))?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    writer.into_inner()
}
