//! Parquet files: zstd, row groups of a size that readers like. The same rows give the same bytes.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;

/// Rows in a row group.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Features are mostly floats, which no level makes much smaller: the one that costs least.
const ZSTD_LEVEL: i32 = 1;
/// Rows of a sample that tells how often values repeat.
const SAMPLE_ROWS: usize = 8 * 1024;
/// Texts of so few kinds stand in every page: the least and the most of them tell readers nothing.
const FEW_TEXTS: usize = 8;

/// A writer of one file. `first`: rows of it, which tell how its columns are best written.
///
/// # Errors
/// Types that Parquet can't hold.
pub fn writer<W: Write + Send>(schema: &SchemaRef, to: W, first: Option<&RecordBatch>) -> Result<ArrowWriter<W>> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // A Date64 is written as a Parquet date, which readers know as one.
        .set_coerce_types(schema.fields().iter().any(|f| f.data_type() == &DataType::Date64));
    for (field, column) in first.iter().flat_map(|first| schema.fields().iter().zip(first.columns())) {
        let Some((rows, distinct)) = sampled(column) else { continue };
        let path = || ColumnPath::from(field.name().as_str());
        // A dictionary of values that seldom repeat is as large as they are, and costs more than all else.
        if distinct * 2 > rows {
            properties = properties.set_column_dictionary_enabled(path(), false);
        }
        if distinct <= FEW_TEXTS && field.data_type().is_string() {
            properties = properties.set_column_statistics_enabled(path(), EnabledStatistics::None);
        }
    }
    ArrowWriter::try_new(to, Arc::clone(schema), Some(properties.build()))
}

/// Of the first rows of a plain column: how many there are, and how many different values.
fn sampled(column: &ArrayRef) -> Option<(usize, usize)> {
    let plain = !column.data_type().is_nested() && !matches!(column.data_type(), DataType::Dictionary(_, _));
    let sample = column.slice(0, column.len().min(SAMPLE_ROWS));
    let converter = RowConverter::new(vec![SortField::new(sample.data_type().clone())]).ok().filter(|_| plain)?;
    let rows = converter.convert_columns(std::slice::from_ref(&sample)).ok()?;
    let distinct: HashSet<_> = rows.iter().map(|row| row.data()).collect();
    Some((sample.len(), distinct.len()))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Float64Array, Int64Array, StringArray};
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[test]
    fn columns_whose_values_seldom_repeat_have_no_dictionary_and_few_texts_no_statistics() {
        let rows = 20_000;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("sum", Arc::new(Float64Array::from_iter_values((0..rows).map(|i| f64::from(i) / 7.0)))),
            ("count", Arc::new(Int64Array::from_iter_values((0..rows).map(|i| i64::from(i % 50))))),
            (
                "mark",
                Arc::new(StringArray::from_iter_values((0..rows).map(|i| if i % 3 > 0 { "exact" } else { "gap" }))),
            ),
            ("name.of", Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("user {i}"))))),
            ("nothing", Arc::new(Float64Array::new_null(usize::try_from(rows).unwrap()))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = writer(&batch.schema(), &mut bytes, Some(&batch)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let bytes = bytes::Bytes::from(bytes);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let group = reader.metadata().row_group(0).clone();
        let dictionary: Vec<bool> = group.columns().iter().map(|c| c.dictionary_page_offset().is_some()).collect();
        assert_eq!(dictionary, [false, true, true, false, true]);
        let statistics: Vec<bool> = group.columns().iter().map(|c| c.statistics().is_some()).collect();
        assert_eq!(statistics, [true, true, false, true, true]);
        let read: Vec<RecordBatch> = reader.with_batch_size(20_000).build().unwrap().map(|b| b.unwrap()).collect();
        assert_eq!(read, [batch]);
    }
}
