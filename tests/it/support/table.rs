//! Small tables from text, and Parquet files of them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::compute::{CastOptions, cast_with_options, concat_batches, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A table from text. The first line names the columns, each `name:type`; values are separated by blanks, `-` is NULL,
/// `_` in text is a blank. A name with `!` after it is a column without NULLs.
///
/// Types: `i8` to `i64`, `u64`, `f32`, `f64`, `str`, `bool`, `date`, `dict` (text in a dictionary), `dec` (10 digits, 2 of
/// them after the point), and `s`, `ms`, `us`, `ns` for timestamps: naive, or with a zone as in `us@UTC`. Times are local
/// to their zone.
pub(crate) fn table(text: &str) -> RecordBatch {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let header: Vec<&str> = lines.next().expect("a header").split_whitespace().collect();
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split_whitespace().collect()).collect();
    for row in &rows {
        assert_eq!(row.len(), header.len(), "{row:?} does not fit {header:?}");
    }
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (i, column) in header.iter().enumerate() {
        let (name, type_name) = column.split_once(':').expect("name:type");
        let data_type = type_of(type_name);
        let values: Vec<Option<String>> = rows.iter().map(|r| (r[i] != "-").then(|| r[i].replace('_', " "))).collect();
        fields.push(Field::new(name.trim_end_matches('!'), data_type.clone(), !name.ends_with('!')));
        columns.push(parsed(values, &data_type));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn parsed(values: Vec<Option<String>>, data_type: &DataType) -> ArrayRef {
    let timed = matches!(data_type, DataType::Timestamp(_, _));
    let seconds = |text: String| if timed && is_hour_and_minute(&text) { format!("{text}:00") } else { text };
    let text: StringArray = values.into_iter().map(|v| v.map(seconds)).collect();
    cast_with_options(&text, data_type, &CastOptions { safe: false, ..CastOptions::default() }).unwrap()
}

/// A time without seconds, such as `2025-03-10T12:00`.
fn is_hour_and_minute(time: &str) -> bool {
    time.split_once('T').is_some_and(|(_, clock)| clock.len() == 5)
}

fn type_of(name: &str) -> DataType {
    let (name, zone) = match name.split_once('@') {
        Some((name, zone)) => (name, Some(zone.into())),
        None => (name, None),
    };
    match name {
        "i8" => DataType::Int8,
        "i16" => DataType::Int16,
        "i32" => DataType::Int32,
        "i64" => DataType::Int64,
        "u64" => DataType::UInt64,
        "f32" => DataType::Float32,
        "f64" => DataType::Float64,
        "str" => DataType::Utf8,
        "bool" => DataType::Boolean,
        "date" => DataType::Date32,
        "dec" => DataType::Decimal128(10, 2),
        "dict" => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        "s" => DataType::Timestamp(TimeUnit::Second, zone),
        "ms" => DataType::Timestamp(TimeUnit::Millisecond, zone),
        "us" => DataType::Timestamp(TimeUnit::Microsecond, zone),
        "ns" => DataType::Timestamp(TimeUnit::Nanosecond, zone),
        other => panic!("no type `{other}`"),
    }
}

/// The table with one more column.
pub(crate) fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new(name, column.data_type().clone(), true));
    let columns = batch.columns().iter().cloned().chain([column]).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// The rows at these positions.
pub(crate) fn rows_at(batch: &RecordBatch, rows: &[usize]) -> RecordBatch {
    let picks = UInt32Array::from_iter_values(rows.iter().map(|&r| u32::try_from(r).unwrap()));
    take_record_batch(batch, &picks).unwrap()
}

/// Writes a Parquet file, and its folder.
pub(crate) fn write_parquet(path: &Path, batch: &RecordBatch) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// Reads a Parquet file.
pub(crate) fn read_parquet(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// A column's values as text, NULL as `NULL`.
pub(crate) fn shown(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column `{name}` in {:?}", batch.schema()));
    (0..column.len()).map(|row| shown_value(column, row)).collect()
}

/// One value as text, NULL as `NULL`.
pub(crate) fn shown_value(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) { "NULL".to_string() } else { array_value_to_string(column, row).unwrap() }
}
