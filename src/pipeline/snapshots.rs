//! The rows of the legacy snapshots, by time: held, where memory allows, else read chunk by chunk.

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::{concat_batches, filter_record_batch};
use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;

use crate::analysis::SnapshotTable;
use crate::error::{Error, Result};
use crate::replay::Chunk;
use crate::source::rows_between;
use crate::source::time::{instants_ns, plain_instants};

/// The rows of one snapshot.
#[derive(Debug)]
pub(super) struct SnapshotRows<'a> {
    pub snapshot: &'a SnapshotTable,
    held: Option<(RecordBatch, Int64Array)>,
}

impl<'a> SnapshotRows<'a> {
    /// Reads the snapshot, where it takes no more than this many bytes.
    ///
    /// # Errors
    /// As reading its files.
    pub(super) async fn open(snapshot: &'a SnapshotTable, most_bytes: u64, session: &SessionContext) -> Result<Self> {
        if snapshot.table.memory() > most_bytes {
            return Ok(Self { snapshot, held: None });
        }
        let batch = read(snapshot, session).await?;
        let instants = instants_ns(&column(snapshot, &batch, &snapshot.config.time)?, 0)
            .map_err(|e| Error::engine(format!("read snapshot `{}`", snapshot.config.name), e.into()))?;
        Ok(Self { snapshot, held: Some((batch, instants)) })
    }

    /// The rows that may match the label rows of a chunk. Each row is in one chunk: those without a time in the first.
    ///
    /// # Errors
    /// As reading its files.
    pub(super) async fn of(&self, chunk: &Chunk, session: &SessionContext) -> Result<RecordBatch> {
        let config = &self.snapshot.config;
        let failed = |e| Error::engine(format!("read snapshot `{}`", config.name), e);
        let Some((batch, instants)) = &self.held else {
            let range = (chunk.from, chunk.until);
            return rows_between(&self.snapshot.table, &config.time, config.timezone, range, session)
                .await
                .map_err(failed);
        };
        if (chunk.from, chunk.until) == (i64::MIN, i64::MAX) {
            return Ok(batch.clone());
        }
        let within = |row: usize| {
            if instants.is_null(row) {
                return chunk.from == i64::MIN;
            }
            let time = instants.value(row);
            time >= chunk.from && (time < chunk.until || chunk.until == i64::MAX)
        };
        let wanted: BooleanArray = (0..instants.len()).map(|row| Some(within(row))).collect();
        filter_record_batch(batch, &wanted).map_err(|e| failed(e.into()))
    }
}

/// A column of rows of the snapshot: plain, timestamps as instants.
///
/// # Errors
/// A column that is not there, or values that can't be read as instants.
pub(super) fn column(snapshot: &SnapshotTable, batch: &RecordBatch, name: &str) -> Result<ArrayRef> {
    let own = &snapshot.config.name;
    let array = batch.column_by_name(name).cloned();
    let array = array.ok_or_else(|| Error::storage(format!("read snapshot `{own}`"), format!("no column {name}")))?;
    plain_instants(&array, snapshot.config.timezone)
        .map_err(|e| Error::engine(format!("read `{name}` of snapshot `{own}`"), e.into()))
}

async fn read(snapshot: &SnapshotTable, session: &SessionContext) -> Result<RecordBatch> {
    let failed = |e| Error::engine(format!("read snapshot `{}`", snapshot.config.name), e);
    let frame = session.read_table(std::sync::Arc::clone(&snapshot.table) as _).map_err(failed)?;
    let batches = frame.collect().await.map_err(failed)?;
    concat_batches(&snapshot.table.schema(), &batches).map_err(|e| failed(e.into()))
}
