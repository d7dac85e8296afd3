//! A file to be written: in memory, or waiting on disk where it is too large to be held.

use std::fs::File;
use std::io::Read;

use datafusion::object_store::{Error as StoreError, MultipartUpload, ObjectStoreExt, PutPayload};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tempfile::TempPath;

use crate::error::{Error, Result};
use crate::output::manifest::{FileEntry, sha256_hex};
use crate::source::Location;

/// What is larger goes up in parts.
const PART_BYTES: u64 = 8 << 20;
/// Parts that are on their way at once, and held in memory.
const PARTS_AT_ONCE: usize = 4;
/// S3 takes no more parts of one object.
const MOST_PARTS: u64 = 10_000;

/// A file to be written, by its path without the hash of its bytes.
#[derive(Debug)]
pub struct NewFile {
    /// Below the output folder; `{}` stands for the hash.
    pub path: String,
    pub rows: Option<u64>,
    pub content: Content,
}

/// The bytes of a file.
#[derive(Debug)]
pub enum Content {
    Memory(Vec<u8>),
    /// A temporary file that holds them, and is removed with this value.
    File {
        path: TempPath,
        bytes: u64,
        sha256: String,
    },
}

impl NewFile {
    pub fn memory(path: impl Into<String>, rows: Option<u64>, bytes: Vec<u8>) -> Self {
        Self { path: path.into(), rows, content: Content::Memory(bytes) }
    }

    pub(super) fn entry(&self) -> FileEntry {
        let (bytes, sha256) = match &self.content {
            Content::Memory(bytes) => (bytes.len() as u64, sha256_hex(bytes)),
            Content::File { bytes, sha256, .. } => (*bytes, sha256.clone()),
        };
        FileEntry { path: self.path.replace("{}", &sha256[..12]), rows: self.rows, bytes, sha256 }
    }
}

/// Writes the content, in one request where it is small, else in parts of which few are held at once. An object appears
/// whole or not at all.
///
/// # Errors
/// A storage error; the parts of an upload that was begun are given up.
pub async fn upload(to: &Location, content: Content) -> Result<()> {
    let failed = |e: StoreError| Error::storage(format!("write `{}`", to.uri), e);
    match content {
        Content::Memory(bytes) if bytes.len() as u64 <= PART_BYTES => {
            to.store.put(&to.path, PutPayload::from(bytes)).await.map(|_| ()).map_err(failed)
        }
        Content::Memory(bytes) => {
            let total = bytes.len() as u64;
            in_parts(to, total, std::io::Cursor::new(bytes)).await
        }
        Content::File { path, bytes, .. } => {
            let file = File::open(&path).map_err(|e| Error::storage(format!("read `{}`", path.display()), e))?;
            in_parts(to, bytes, file).await
        }
    }
}

async fn in_parts(to: &Location, bytes: u64, from: impl Read + Send + 'static) -> Result<()> {
    let failed = |e: StoreError| Error::storage(format!("write `{}`", to.uri), e);
    if bytes <= PART_BYTES {
        let (_, whole) = part(from, PART_BYTES + 1, to).await?;
        as_promised(to, bytes, whole.len() as u64)?;
        return to.store.put(&to.path, PutPayload::from(whole)).await.map(|_| ()).map_err(failed);
    }
    let mut upload = to.store.put_multipart(&to.path).await.map_err(failed)?;
    match put_parts(to, bytes, from, upload.as_mut()).await {
        Ok(()) => upload.complete().await.map(|_| ()).map_err(failed),
        Err(error) => {
            // What is left of it is the store's to clean up where even this fails.
            let _ = upload.abort().await;
            Err(error)
        }
    }
}

async fn put_parts(
    to: &Location,
    bytes: u64,
    mut from: impl Read + Send + 'static,
    upload: &mut dyn MultipartUpload,
) -> Result<()> {
    let failed = |e: StoreError| Error::storage(format!("write `{}`", to.uri), e);
    let size = PART_BYTES.max(bytes.div_ceil(MOST_PARTS));
    let mut under_way = FuturesUnordered::new();
    let mut sent = 0;
    loop {
        let bytes_read;
        (from, bytes_read) = part(from, size, to).await?;
        if bytes_read.is_empty() {
            break;
        }
        sent += bytes_read.len() as u64;
        under_way.push(upload.put_part(PutPayload::from(bytes_read)));
        if under_way.len() >= PARTS_AT_ONCE {
            under_way.next().await.transpose().map_err(failed)?;
        }
    }
    while let Some(done) = under_way.next().await {
        done.map_err(failed)?;
    }
    as_promised(to, bytes, sent)
}

/// The next bytes, `size` of them unless the end comes first; read where blocking does no harm.
async fn part<R: Read + Send + 'static>(mut from: R, size: u64, to: &Location) -> Result<(R, Vec<u8>)> {
    let failed = |e: std::io::Error| Error::storage(format!("read what is to become `{}`", to.uri), e);
    tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        from.by_ref().take(size).read_to_end(&mut bytes)?;
        Ok((from, bytes))
    })
    .await
    .map_err(|e| failed(e.into()))?
    .map_err(failed)
}

/// A temporary file that changed under our hands is not what the manifest will list.
fn as_promised(to: &Location, promised: u64, read: u64) -> Result<()> {
    if promised == read {
        return Ok(());
    }
    Err(Error::storage(format!("write `{}`", to.uri), format!("its {promised} bytes have become {read}")))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use datafusion::execution::object_store::ObjectStoreUrl;
    use datafusion::object_store::memory::InMemory;
    use datafusion::object_store::path::Path;

    use super::*;

    fn place() -> Location {
        let url = ObjectStoreUrl::local_filesystem();
        Location { uri: "mem/x".to_string(), url, store: Arc::new(InMemory::new()), path: Path::from("x") }
    }

    async fn stored(at: &Location) -> Vec<u8> {
        at.store.get(&at.path).await.unwrap().bytes().await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn content_of_any_size_arrives_as_it_is() {
        for size in [0, 1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES + 3] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
            let at = place();
            upload(&at, Content::Memory(bytes.clone())).await.unwrap();
            assert!(stored(&at).await == bytes, "{size} bytes from memory");

            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&bytes).unwrap();
            let content = Content::File { path: file.into_temp_path(), bytes: size, sha256: sha256_hex(&bytes) };
            let at = place();
            upload(&at, content).await.unwrap();
            assert!(stored(&at).await == bytes, "{size} bytes from a file");
        }
    }

    #[tokio::test]
    async fn a_temporary_file_that_lost_its_end_is_not_written() {
        for (left, promised) in [(10, 11), (3 * PART_BYTES, 3 * PART_BYTES + 1)] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&vec![7; usize::try_from(left).unwrap()]).unwrap();
            let content = Content::File { path: file.into_temp_path(), bytes: promised, sha256: "0".repeat(64) };
            let at = place();
            let error = upload(&at, content).await.unwrap_err().to_string();
            assert!(error.contains(&format!("its {promised} bytes have become {left}")), "{error}");
            assert!(at.store.get(&at.path).await.is_err(), "half an object was left");
        }
    }
}
