//! How much was written to disk because it did not fit the memory limit: every temporary file of a runtime is counted, whichever
//! operator asked for it, also those of an attempt that failed.

use std::fmt;
use std::io::{Result as IoResult, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use datafusion::error::Result as DfResult;
use datafusion::execution::disk_manager::{DiskManager, DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;
use serde::Serialize;

/// What went to disk up to one moment, or between two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spilled {
    pub files: u64,
    pub bytes: u64,
}

impl Spilled {
    /// What was added after `before`.
    pub fn since(self, before: Self) -> Self {
        Self { files: self.files.saturating_sub(before.files), bytes: self.bytes.saturating_sub(before.bytes) }
    }
}

/// The count of one runtime, as it grows.
#[derive(Debug, Default)]
pub struct Spills {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Spills {
    pub fn now(&self) -> Spilled {
        Spilled { files: self.files.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }
}

/// The operating system's temporary folder, with `spills` told of what goes there.
///
/// # Errors
/// Where DataFusion can't make its own manager of that folder.
pub(super) fn counted_files(spills: Arc<Spills>) -> DfResult<DiskManagerBuilder> {
    let files = Arc::new(DiskManager::builder().build()?);
    Ok(DiskManager::builder().with_mode(DiskManagerMode::Custom(Arc::new(Counted { files, spills }))))
}

struct Counted {
    files: Arc<DiskManager>,
    spills: Arc<Spills>,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("spills", &self.spills).finish_non_exhaustive()
    }
}

impl TempFileFactory for Counted {
    fn create_temp_file(&self, description: &str) -> DfResult<Arc<dyn SpillFile>> {
        let file = self.files.create_tmp_file(description)?;
        self.spills.files.fetch_add(1, Relaxed);
        Ok(Arc::new(CountedFile { file, spills: Arc::clone(&self.spills) }))
    }
}

struct CountedFile {
    file: Arc<dyn SpillFile>,
    spills: Arc<Spills>,
}

impl SpillFile for CountedFile {
    fn path(&self) -> Option<&Path> {
        self.file.path()
    }

    fn size(&self) -> Option<u64> {
        self.file.size()
    }

    fn read_stream(&self) -> DfResult<Pin<Box<dyn Stream<Item = DfResult<Bytes>> + Send>>> {
        self.file.read_stream()
    }

    fn open_writer(&self) -> DfResult<Box<dyn SpillWriter>> {
        Ok(Box::new(CountedWriter { to: self.file.open_writer()?, spills: Arc::clone(&self.spills) }))
    }
}

struct CountedWriter {
    to: Box<dyn SpillWriter>,
    spills: Arc<Spills>,
}

impl Write for CountedWriter {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        let written = self.to.write(bytes)?;
        self.spills.bytes.fetch_add(written as u64, Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.to.flush()
    }
}

impl SpillWriter for CountedWriter {
    fn finish(&mut self) -> DfResult<()> {
        self.to.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_goes_to_disk_is_counted_and_read_back() {
        let spills = Arc::<Spills>::default();
        let manager = Arc::new(counted_files(Arc::clone(&spills)).unwrap().build().unwrap());
        let file = manager.create_tmp_file("a test").unwrap();
        let before = spills.now();
        assert_eq!(before, Spilled { files: 1, bytes: 0 });
        let mut writer = file.open_writer().unwrap();
        writer.write_all(b"twelve bytes").unwrap();
        writer.finish().unwrap();
        assert_eq!(spills.now().since(before), Spilled { files: 0, bytes: 12 });
        let path = file.path().unwrap().to_path_buf();
        assert_eq!(std::fs::read(&path).unwrap(), b"twelve bytes");
        assert_eq!(file.size(), Some(12));
        drop((writer, file));
        assert!(!path.exists());
    }
}
