//! All label rows of a run: held, where memory allows, else read chunk by chunk.

use datafusion::prelude::SessionContext;

use crate::error::Result;
use crate::replay::Chunk;
use crate::source::{LabelTable, Labels};

/// The label rows, by position in the order of the dataset.
#[derive(Debug)]
pub(super) struct Spine {
    held: Option<Labels>,
    /// Ascending; empty where the rows are held.
    times: Vec<i64>,
}

impl Spine {
    /// Reads the label rows, or where they take more than this many bytes only their times.
    ///
    /// # Errors
    /// As [`LabelTable::read`].
    pub(super) async fn read(table: &LabelTable, most_bytes: u64, session: &SessionContext) -> Result<Self> {
        if table.memory() <= most_bytes {
            return Ok(Self { held: Some(table.read(session).await?), times: Vec::new() });
        }
        Ok(Self { held: None, times: table.read_times(session).await? })
    }

    /// Label times in nanoseconds, ascending.
    pub(super) fn times(&self) -> &[i64] {
        self.held.as_ref().map_or(&self.times, |labels| labels.times.values())
    }

    /// The label rows of a chunk.
    ///
    /// # Errors
    /// As [`LabelTable::read_between`], and label files that were changed since their times were read.
    pub(super) async fn chunk(&self, table: &LabelTable, chunk: &Chunk, session: &SessionContext) -> Result<Labels> {
        if let Some(labels) = &self.held {
            return Ok(labels.slice(chunk.rows.clone()));
        }
        let labels = table.read_between(chunk.from, chunk.until, session).await?;
        if labels.times.values().as_ref() != &self.times[chunk.rows.clone()] {
            return Err(crate::error::Error::storage(
                format!("read the labels of `{}`", table.table.files.location.uri),
                "they were changed while they were read",
            ));
        }
        Ok(labels)
    }
}
