//! A table of the output, written part by part while its rows come in.
//!
//! What the files hold depends on the rows alone, to the byte: batches are cut anew at the same rows, however they came. Files wait for the
//! commit in memory while they are small, then in a temporary folder, so that a dataset of any size takes little of either.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::ArrowWriter;
use tempfile::NamedTempFile;

use crate::dataset;
use crate::error::{Error, Result};
use crate::output::file::{Content, NewFile};
use crate::output::manifest::Hasher;

/// Rows in one file.
const PART_ROWS: usize = 1_000_000;
/// Rows that are written at once.
const WRITE_ROWS: usize = 64 * 1024;
/// A file that is larger waits on disk.
const MEMORY_BYTES: usize = 4 << 20;
/// Batches on their way to the thread that encodes them.
const UNDER_WAY: usize = 2;

/// Encodes a table on a thread of its own.
pub struct Parts {
    folder: String,
    sender: SyncSender<RecordBatch>,
    thread: JoinHandle<Result<Vec<NewFile>>>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Parts {
    /// A table below `folder` of the output.
    ///
    /// # Errors
    /// Where there is no thread to be had.
    pub fn new(folder: &str, schema: SchemaRef) -> Result<Self> {
        let (sender, receiver) = sync_channel(UNDER_WAY);
        let name = folder.to_string();
        let thread = std::thread::Builder::new()
            .name(format!("write {folder}"))
            .spawn(move || encoded(&name, &schema, &receiver))
            .map_err(|e| Error::storage(format!("write {folder}/"), e))?;
        Ok(Self { folder: folder.to_string(), sender, thread })
    }

    /// Adds rows. Waits while the writer is behind.
    ///
    /// # Errors
    /// What stopped the writer.
    pub async fn add(self, batch: RecordBatch) -> Result<Self> {
        let sender = self.sender.clone();
        let sent = tokio::task::spawn_blocking(move || sender.send(batch).is_ok()).await;
        if matches!(sent, Ok(true)) {
            return Ok(self);
        }
        // The writer has stopped: it says why.
        let folder = self.folder.clone();
        self.finish().await?;
        Err(Error::storage(format!("write {folder}/"), "the writer has stopped"))
    }

    /// The files; at least one, if an empty one.
    ///
    /// # Errors
    /// Values that Parquet can't hold, or a full disk.
    pub async fn finish(self) -> Result<Vec<NewFile>> {
        let Self { folder, sender, thread } = self;
        drop(sender);
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(files)) => files,
            _ => Err(Error::storage(format!("write {folder}/"), "the writer has stopped")),
        }
    }
}

fn encoded(folder: &str, schema: &SchemaRef, batches: &Receiver<RecordBatch>) -> Result<Vec<NewFile>> {
    let failed = |e: datafusion::parquet::errors::ParquetError| Error::engine(format!("write {folder}/"), e.into());
    let mut files = Vec::new();
    let mut part: Option<ArrowWriter<Spool>> = None;
    let mut rows = 0;
    let mut waiting = Waiting::default();
    let mut open = true;
    while open {
        match batches.recv() {
            Ok(batch) => waiting.add(batch),
            Err(_) => open = false,
        }
        while let Some(batch) = waiting.next(schema, PART_ROWS - rows, !open).map_err(|e| failed(e.into()))? {
            let writer = match &mut part {
                Some(writer) => writer,
                none => none.insert(dataset::writer(schema, Spool::new(folder), Some(&batch)).map_err(failed)?),
            };
            writer.write(&batch).map_err(failed)?;
            rows += batch.num_rows();
            if rows == PART_ROWS {
                files.extend(part.take().map(|part| closed(folder, files.len(), part, rows)).transpose()?);
                rows = 0;
            }
        }
    }
    if part.is_none() && files.is_empty() {
        part = Some(dataset::writer(schema, Spool::new(folder), None).map_err(failed)?);
    }
    files.extend(part.take().map(|part| closed(folder, files.len(), part, rows)).transpose()?);
    Ok(files)
}

fn closed(folder: &str, number: usize, part: ArrowWriter<Spool>, rows: usize) -> Result<NewFile> {
    let spool = part.into_inner().map_err(|e| Error::engine(format!("write {folder}/"), e.into()))?;
    let content = spool.content().map_err(|e| Error::storage(format!("write {folder}/"), e))?;
    Ok(NewFile { path: format!("{folder}/part-{number:05}-{{}}.parquet"), rows: Some(rows as u64), content })
}

/// Rows that wait until there are enough of them to be written.
#[derive(Debug, Default)]
struct Waiting {
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl Waiting {
    fn add(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        if batch.num_rows() > 0 {
            self.batches.push(batch);
        }
    }

    /// The next rows to be written, no more than `room`; where `all` are there, also fewer than a write's worth.
    fn next(
        &mut self,
        schema: &SchemaRef,
        room: usize,
        all: bool,
    ) -> std::result::Result<Option<RecordBatch>, datafusion::arrow::error::ArrowError> {
        let wanted = WRITE_ROWS.min(room);
        if self.rows == 0 || (self.rows < wanted && !all) {
            return Ok(None);
        }
        let mut left = wanted.min(self.rows);
        self.rows -= left;
        let mut taken = Vec::new();
        let mut done = 0;
        for batch in &mut self.batches {
            let own = left.min(batch.num_rows());
            taken.push(batch.slice(0, own));
            left -= own;
            if own < batch.num_rows() {
                *batch = batch.slice(own, batch.num_rows() - own);
                break;
            }
            done += 1;
            if left == 0 {
                break;
            }
        }
        self.batches.drain(..done);
        concat_batches(schema, &taken).map(Some)
    }
}

/// Bytes of a file to be: hashed, in memory while they are few.
struct Spool {
    folder: String,
    memory: Vec<u8>,
    file: Option<BufWriter<NamedTempFile>>,
    bytes: u64,
    hash: Hasher,
}

impl Spool {
    fn new(folder: &str) -> Self {
        Self { folder: folder.to_string(), memory: Vec::new(), file: None, bytes: 0, hash: Hasher::default() }
    }

    fn content(self) -> io::Result<Content> {
        let Some(file) = self.file else { return Ok(Content::Memory(self.memory)) };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Content::File { path: file.into_temp_path(), bytes: self.bytes, sha256: self.hash.finish() })
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        } else {
            self.memory.extend_from_slice(bytes);
            if self.memory.len() > MEMORY_BYTES {
                let prefix = format!("backcast-{}-", self.folder.replace('/', "-"));
                let mut file = BufWriter::new(tempfile::Builder::new().prefix(&prefix).tempfile()?);
                file.write_all(&self.memory)?;
                self.memory = Vec::new();
                self.file = Some(file);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, Float64Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    fn table(rows: usize) -> RecordBatch {
        let schema =
            Schema::new(vec![Field::new("x", DataType::Float64, true), Field::new("s", DataType::Utf8, false)]);
        // Incompressible, so that a file is larger than what waits in memory.
        let mut z = 1u64;
        let x = Float64Array::from_iter((0..rows).map(|i| {
            z = z.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (i % 7 > 0).then_some((z >> 11) as f64)
        }));
        let s = StringArray::from_iter_values((0..rows).map(|i| format!("{}", i % 1000)));
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(x), Arc::new(s)]).unwrap()
    }

    async fn written(all: &RecordBatch, sizes: &[usize]) -> Vec<(String, Option<u64>, Vec<u8>)> {
        let mut parts = Parts::new("dataset", all.schema()).unwrap();
        let (mut at, mut sizes) = (0, sizes.iter().cycle());
        while at < all.num_rows() {
            let rows = (*sizes.next().unwrap()).min(all.num_rows() - at);
            parts = parts.add(all.slice(at, rows)).await.unwrap();
            at += rows;
        }
        let bytes = |content: Content| match content {
            Content::Memory(bytes) => bytes,
            Content::File { path, bytes, sha256 } => {
                let read = std::fs::read(&path).unwrap();
                assert_eq!((read.len() as u64, crate::output::sha256_hex(&read)), (bytes, sha256));
                read
            }
        };
        parts.finish().await.unwrap().into_iter().map(|f| (f.path, f.rows, bytes(f.content))).collect()
    }

    #[tokio::test]
    async fn files_do_not_depend_on_how_rows_came() {
        let all = table(PART_ROWS + WRITE_ROWS + 17);
        let files = written(&all, &[all.num_rows()]).await;
        assert_eq!(files.iter().map(|f| f.1).collect::<Vec<_>>(), [Some(1_000_000), Some(65_553)]);
        assert!(files[0].2.len() > MEMORY_BYTES && files[1].2.len() < MEMORY_BYTES);
        for sizes in [&[1000, 1, 0, 77_777][..], &[WRITE_ROWS], &[PART_ROWS]] {
            assert!(files == written(&all, sizes).await, "{sizes:?}");
        }
        let read: Vec<RecordBatch> = files
            .into_iter()
            .flat_map(|(_, _, bytes)| {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&bytes).unwrap();
                ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap()
            })
            .map(Result::unwrap)
            .collect();
        let read = concat_batches(&all.schema(), &read).unwrap();
        assert_eq!(read.column(0).to_data(), all.column(0).to_data());
        assert_eq!(read.column(1).to_data(), all.column(1).to_data());
    }

    #[tokio::test]
    async fn no_row_is_an_empty_file() {
        let files = written(&table(0), &[1]).await;
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].0.as_str(), files[0].1), ("dataset/part-00000-{}.parquet", Some(0)));
    }
}
