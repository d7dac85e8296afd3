//! The made-up data as Parquet files.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use datafusion::parquet::errors::ParquetError;

use crate::dataset::writer;
use crate::error::{Error, Result};
use crate::example::data::{DAY, Label, Payment, World};

/// All files, by path below the project's folder.
pub(super) fn files(world: &World) -> Result<Vec<(String, Vec<u8>)>> {
    let mut days: BTreeMap<i64, Vec<&Payment>> = BTreeMap::new();
    for payment in &world.payments {
        days.entry(payment.arrived_at.div_euclid(DAY)).or_default().push(payment);
    }
    let mut files = Vec::new();
    for (day, payments) in days {
        let date = chrono::DateTime::from_timestamp(day * DAY, 0).unwrap_or_default().date_naive();
        files.push((format!("data/payments/dt={date}/part-0.parquet"), written(&payment_columns(&payments))?));
    }
    let spine = label_columns(&world.labels);
    files.push(("data/labels.parquet".to_string(), written(&spine)?));
    let mut legacy = spine;
    legacy.extend(legacy_columns(&world.labels));
    files.push(("data/legacy_training_set.parquet".to_string(), written(&legacy)?));
    Ok(files)
}

type Columns = Vec<(&'static str, ArrayRef, bool)>;

fn written(columns: &Columns) -> Result<Vec<u8>> {
    let failed = |e: String| Error::storage("write the example's data", e);
    let batch = RecordBatch::try_from_iter_with_nullable(columns.clone()).map_err(|e| failed(e.to_string()))?;
    let write = || {
        let mut file = writer(&batch.schema(), Vec::new(), Some(&batch))?;
        file.write(&batch)?;
        file.into_inner()
    };
    write().map_err(|e: ParquetError| failed(e.to_string()))
}

fn times(seconds: impl Iterator<Item = i64>) -> ArrayRef {
    let micros: Vec<i64> = seconds.map(|s| s * 1_000_000).collect();
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}

fn integers(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn payment_columns(payments: &[&Payment]) -> Columns {
    vec![
        ("payment_id", integers(payments.iter().map(|p| p.id)), false),
        ("user_id", integers(payments.iter().map(|p| p.user)), false),
        ("paid_at", times(payments.iter().map(|p| p.paid_at)), false),
        ("arrived_at", times(payments.iter().map(|p| p.arrived_at)), false),
        ("amount", Arc::new(Float64Array::from_iter_values(payments.iter().map(|p| p.amount))), false),
    ]
}

fn label_columns(labels: &[Label]) -> Columns {
    vec![
        ("user_id", integers(labels.iter().map(|l| l.user)), false),
        ("label_time", times(labels.iter().map(|l| l.time)), false),
        ("fraud", Arc::new(labels.iter().map(|l| Some(l.fraud)).collect::<BooleanArray>()), false),
    ]
}

fn legacy_columns(labels: &[Label]) -> Columns {
    vec![
        ("payments_24h", integers(labels.iter().map(|l| l.legacy.payments_24h)), true),
        ("spent_7d", Arc::new(labels.iter().map(|l| l.legacy.spent_7d).collect::<Float64Array>()), true),
        ("largest_7d", Arc::new(labels.iter().map(|l| l.legacy.largest_7d).collect::<Float64Array>()), true),
    ]
}
