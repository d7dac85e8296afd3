//! Tables for tests.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::prelude::SessionContext;
use tempfile::TempDir;

use crate::dataset;
use crate::source::{ParquetTable, Stores};
use crate::sql::{SessionOptions, new_runtime, new_session};

/// A table of a file for each batch, and a session to read it in. The folder is there for as long as its handle is.
pub(super) async fn table_of(
    files: impl IntoIterator<Item = RecordBatch>,
) -> (TempDir, Stores, Arc<ParquetTable>, SessionContext) {
    let dir = tempfile::tempdir().unwrap();
    for (number, batch) in files.into_iter().enumerate() {
        write(&dir.path().join(format!("{number}.parquet")), &batch);
    }
    let runtime = new_runtime(None).unwrap();
    let stores = Stores::new(Arc::clone(&runtime), &Default::default());
    let table = ParquetTable::open(&stores, &dir.path().display().to_string(), "", true, true).await.unwrap();
    (dir, stores, Arc::new(table), new_session(&SessionOptions::default(), runtime))
}

/// A file of one batch.
pub fn write(path: &Path, batch: &RecordBatch) {
    let to = std::fs::File::create(path).unwrap();
    let mut writer = dataset::writer(&batch.schema(), to, Some(batch)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}
