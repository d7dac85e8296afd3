//! A shelf on the session's disk: one temporary file, counted by its disk manager.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::resources_datafusion_err;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SpillFile, SpillWriter};
use datafusion::physical_plan::metrics::SpillMetrics;

use crate::sweep::shelf::Shelf;

/// The file goes with the shelf.
pub(super) struct DiskShelf {
    writer: Mutex<Writer>,
    reader: Mutex<File>,
    metrics: SpillMetrics,
    _file: Arc<dyn SpillFile>,
}

struct Writer {
    to: Box<dyn SpillWriter>,
    written: u64,
}

impl fmt::Debug for DiskShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskShelf").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

impl DiskShelf {
    pub(super) fn new(runtime: &RuntimeEnv, metrics: SpillMetrics) -> DfResult<Self> {
        let file = runtime.disk_manager.create_tmp_file("the events of a sweep")?;
        let path = file.path().ok_or_else(|| resources_datafusion_err!("a sweep spills to local files only"))?;
        let reader = File::open(path).map_err(DataFusionError::IoError)?;
        let writer = Writer { to: file.open_writer()?, written: 0 };
        metrics.spill_file_count.add(1);
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader), metrics, _file: file })
    }
}

impl Shelf for DiskShelf {
    fn put(&self, bytes: &[u8], events: usize) -> DfResult<u64> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.to.write_all(bytes).map_err(DataFusionError::IoError)?;
        let at = writer.written;
        writer.written += bytes.len() as u64;
        self.metrics.spilled_bytes.add(bytes.len());
        self.metrics.spilled_rows.add(events);
        Ok(at)
    }

    fn get(&self, at: u64, bytes: &mut [u8]) -> DfResult<()> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::Start(at)).map_err(DataFusionError::IoError)?;
        reader.read_exact(bytes).map_err(DataFusionError::IoError)
    }
}
