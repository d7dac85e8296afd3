//! Every file that the manifest lists, read in pieces and hashed; and files that it does not list.

use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use datafusion::object_store::{Error as StoreError, ObjectStoreExt};
use futures::{StreamExt, TryStreamExt};

use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::output::{FileEntry, Hasher, Manifest, run_files};
use crate::source::Location;
use crate::verify::model::{Damage, FilesVerified};

/// Files read at once.
const FILES_AT_ONCE: usize = 4;
/// Bytes asked for in one request, and held of one file.
const PIECE_BYTES: u64 = 8 << 20;

/// Holds all files against the manifest.
///
/// # Errors
/// A storage error where the store does not answer; what is damaged is no error.
pub async fn check_files<I>(output: &Location, manifest: &Manifest<I>, monitor: &dyn Monitor) -> Result<FilesVerified> {
    monitor.begin("hashing files", Some(manifest.files.len() as u64));
    let checked: Result<Vec<(u64, Option<Damage>)>> = futures::stream::iter(manifest.files.iter().cloned())
        .map(|file| {
            let output = output.clone();
            // Hashing is work: each file on a thread of its own.
            SpawnedTask::spawn(async move { check_file(&output, &file).await }).join()
        })
        .buffer_unordered(FILES_AT_ONCE)
        .map(|done| {
            monitor.advance(1);
            done.map_err(|e| Error::storage("hash a file", e))?
        })
        .try_collect()
        .await;
    monitor.end();
    let mut verified = FilesVerified { listed: manifest.files.len(), ..FilesVerified::default() };
    for (bytes, damage) in checked? {
        verified.bytes += bytes;
        verified.damages.extend(damage);
    }
    let strangers = run_files(output).await?.into_iter().filter(|p| !manifest.files.iter().any(|f| f.path == *p));
    verified.damages.extend(strangers.map(|path| Damage {
        path,
        damage: "stranger",
        detail: "no manifest lists it, but readers of the folder would take it for a part of the run".to_string(),
    }));
    verified.damages.sort();
    Ok(verified)
}

/// Values that were kept for later runs: those that are gone or damaged are told, and computed anew when they are wanted.
///
/// # Errors
/// A storage error where the store does not answer.
pub async fn check_chunks(output: &Location, manifest: &Manifest) -> Result<Option<String>> {
    let entries = manifest.chunks.iter().map(|c| FileEntry {
        path: c.path.clone(),
        rows: Some(c.rows),
        bytes: c.bytes,
        sha256: c.sha256.clone(),
    });
    let checked: Vec<(u64, Option<Damage>)> = futures::stream::iter(entries)
        .map(|entry| {
            let output = output.clone();
            async move { check_file(&output, &entry).await }
        })
        .buffer_unordered(FILES_AT_ONCE)
        .try_collect()
        .await?;
    let damaged = checked.iter().filter(|(_, damage)| damage.is_some()).count();
    Ok((damaged > 0).then(|| {
        format!(
            "{damaged} of {} chunks kept for later runs are gone or damaged: a run that wants them computes them anew",
            checked.len()
        )
    }))
}

/// The bytes that were read, and what is wrong with the file.
///
/// # Errors
/// A storage error where the store does not answer.
pub async fn check_file(output: &Location, file: &FileEntry) -> Result<(u64, Option<Damage>)> {
    let at = output.join(&file.path);
    let damaged = |damage, detail: String| Some(Damage { path: file.path.clone(), damage, detail });
    let failed = |e: StoreError| Error::storage(format!("read `{}`", at.uri), e);
    let size = match at.store.head(&at.path).await {
        Ok(meta) => meta.size,
        Err(StoreError::NotFound { .. }) => return Ok((0, damaged("missing", "it is not there".to_string()))),
        Err(e) => return Err(failed(e)),
    };
    if size != file.bytes {
        let detail = format!("it has {size} bytes, the manifest says {}", file.bytes);
        return Ok((0, damaged("size", detail)));
    }
    let store = Arc::clone(&at.store);
    let mut hash = Hasher::default();
    let mut from = 0;
    while from < size {
        let to = size.min(from + PIECE_BYTES);
        match store.get_range(&at.path, from..to).await {
            Ok(bytes) => hash.update(&bytes),
            Err(StoreError::NotFound { .. }) => return Ok((from, damaged("missing", "it is not there".to_string()))),
            Err(e) => return Err(failed(e)),
        }
        from = to;
    }
    let found = hash.finish();
    if found != file.sha256 {
        let detail = format!("its SHA-256 is {}…, the manifest says {}…", &found[..12], start(&file.sha256));
        return Ok((size, damaged("hash", detail)));
    }
    Ok((size, None))
}

/// The first digits; of a manifest that somebody wrote, there may be fewer.
fn start(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
