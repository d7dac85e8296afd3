//! Events that wait outside of memory, for shards whose cells are made later.
//!
//! ```text
//! the spine's shards    [live][live][later][later][later]          live: their cells fit in memory together
//! events                 added  added  on the shelf, by shard
//! at the end            one shard after another: cells made, its events read back and added, its rows given out
//! ```
//!
//! What is on the shelf are the words of events (`layout.rs`), and the rows that first values and calls need of them.

use std::fmt;
use std::io::Cursor;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::buffer::{Buffer, MutableBuffer};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result as DfResult;

/// A place outside of memory.
pub trait Shelf: fmt::Debug + Send + Sync {
    /// Keeps these bytes, which are those of so many events, and says where.
    ///
    /// # Errors
    /// What the disk refuses.
    fn put(&self, bytes: &[u8], events: usize) -> DfResult<u64>;

    /// Reads bytes back.
    ///
    /// # Errors
    /// What the disk refuses.
    fn get(&self, at: u64, bytes: &mut [u8]) -> DfResult<()>;
}

/// How a sweep uses a shelf.
#[derive(Debug)]
pub(super) struct Shelving {
    pub shelf: Arc<dyn Shelf>,
    /// Shards with smaller numbers have their cells in memory from the beginning.
    pub live: usize,
    /// Bytes of rows and words that may wait in memory, where rows are held.
    pub room: usize,
}

/// Events of one shard on a shelf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    words: (u64, usize),
    rows: Option<(u64, usize)>,
}

impl Shelving {
    /// `columns`: what is held of the events beside their words.
    pub(super) fn put(&self, words: Vec<u64>, events: usize, columns: Vec<ArrayRef>) -> DfResult<Chunk> {
        let words = Buffer::from_vec(words);
        let at = self.shelf.put(words.as_slice(), events)?;
        let words = (at, words.len());
        if columns.is_empty() {
            return Ok(Chunk { words, rows: None });
        }
        let fields = columns.iter().enumerate();
        let fields = fields.map(|(i, c)| Field::new(format!("c{i}"), c.data_type().clone(), true)).collect::<Vec<_>>();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new(&mut bytes, &schema)?;
        writer.write(&RecordBatch::try_new(schema, columns)?)?;
        writer.finish()?;
        drop(writer);
        let at = self.shelf.put(&bytes, 0)?;
        Ok(Chunk { words, rows: Some((at, bytes.len())) })
    }

    pub(super) fn get(&self, chunk: Chunk) -> DfResult<(Vec<u64>, Vec<ArrayRef>)> {
        let (at, length) = chunk.words;
        let mut words = MutableBuffer::from_len_zeroed(length);
        self.shelf.get(at, words.as_slice_mut())?;
        let words = words.typed_data::<u64>().to_vec();
        let Some((at, length)) = chunk.rows else { return Ok((words, Vec::new())) };
        let mut bytes = vec![0; length];
        self.shelf.get(at, &mut bytes)?;
        let batch = StreamReader::try_new(Cursor::new(bytes), None)?.next();
        let batch = batch.ok_or_else(|| exec_datafusion_err!("rows on the shelf have gone"))??;
        Ok((words, batch.columns().to_vec()))
    }
}
