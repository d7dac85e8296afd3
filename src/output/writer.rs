//! Who may write to an output folder: one at a time, for as long as it lives.
//!
//! On disk the writer holds a lock of the operating system on `.backcast/lock`, which ends with its process whatever ends
//! that. In an object store it makes the object `.backcast/writer.json`, if there is none, and writes it anew every few
//! seconds: one that falls silent is gone, and the next run takes its place by one conditional write, so of two that try only
//! one succeeds. Before the manifest the writer makes sure that the place is still its own.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::common::runtime::SpawnedTask;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::{
    Error as StoreError, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::source::Location;

const LOCK: &str = ".backcast/lock";
const WRITER: &str = ".backcast/writer.json";
/// A writer says so often that it is alive ...
const BEAT: Duration = Duration::from_secs(20);
/// ... and is gone when it has not for so long.
const SILENT_SECONDS: i64 = 180;

/// What a writer leaves for others to read: who it is, and the files that it is about to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Writer {
    /// Of no two writers the same.
    token: String,
    host: String,
    /// The boot and the process namespace in which `process` means something.
    boot: String,
    process: u32,
    /// Tells a process from a later one with its number.
    started: String,
    beats: u64,
    pub(super) files: Vec<String>,
}

impl Writer {
    fn new(files: Vec<String>) -> Self {
        let process = std::process::id();
        let now = Utc::now().timestamp_nanos_opt().unwrap_or_default();
        let salt = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), now);
        Self {
            token: format!("{}-{process}-{now:x}-{salt:x}", host()),
            host: host(),
            boot: boot(),
            process,
            started: started(process).unwrap_or_default(),
            beats: 0,
            files,
        }
    }

    fn text(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::storage("list the new files", e))
    }

    /// Whether the writer is known to be gone. Of one elsewhere only its silence tells.
    fn gone(&self, silent: TimeDelta) -> bool {
        let here = !self.boot.is_empty() && self.host == host() && self.boot == boot();
        if here && !self.started.is_empty() {
            return started(self.process).as_ref() != Some(&self.started);
        }
        silent > TimeDelta::seconds(SILENT_SECONDS)
    }
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| String::new(), |h| h.trim().to_string())
}

/// The machine's boot and our process namespace; empty where the system does not tell.
fn boot() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").map(|n| n.display().to_string()).unwrap_or_default();
    if boot.is_empty() || namespace.is_empty() { String::new() } else { format!("{} {namespace}", boot.trim()) }
}

/// When a process started, in ticks since the boot; `None` where there is no such process.
fn started(process: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold blanks.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(ToString::to_string)
}

/// The right to write to a folder, until it is dropped or [`Right::release`]d.
#[derive(Debug)]
pub(super) enum Right {
    /// The open file is the lock.
    Disk {
        _lock: File,
        folder: Location,
    },
    Store {
        held: Arc<Held>,
        _beats: SpawnedTask<()>,
    },
}

/// The writer object as it was last written.
#[derive(Debug)]
pub(super) struct Held {
    at: Location,
    state: Mutex<(Writer, UpdateVersion)>,
}

impl Held {
    /// Writes the object anew where it still is ours; whether it was.
    async fn beat(&self) -> Result<bool> {
        let mut state = self.state.lock().await;
        let next = Writer { beats: state.0.beats + 1, ..state.0.clone() };
        match put(&self.at, next.text()?, PutMode::Update(state.1.clone())).await {
            Ok(put) => {
                *state = (next, put.into());
                Ok(true)
            }
            Err(error) => {
                // The write may have arrived though its answer did not.
                let refused = matches!(
                    error,
                    StoreError::Precondition { .. } | StoreError::AlreadyExists { .. } | StoreError::NotFound { .. }
                );
                match read_writer(&self.at).await? {
                    Some((found, version)) if found == next => {
                        *state = (next, version);
                        Ok(true)
                    }
                    Some((found, _)) if !refused && found == state.0 => {
                        Err(Error::storage(format!("write `{}`", self.at.uri), error))
                    }
                    _ => Ok(false),
                }
            }
        }
    }
}

impl Right {
    /// Takes the right to write; `left` is what an interrupted run was about to write, to be listed on.
    ///
    /// # Errors
    /// A storage error where another is writing.
    pub(super) async fn take(folder: &Location, files: Vec<String>, clock: TimeDelta) -> Result<Self> {
        let at = folder.join(WRITER);
        if folder.is_local() {
            let lock = lock(folder)?.ok_or_else(|| busy(folder, None))?;
            let mut files = files;
            files.extend(left(&at).await.map(|w| w.files).unwrap_or_default());
            put(&at, Writer::new(files).text()?, PutMode::Overwrite)
                .await
                .map_err(|e| Error::storage(format!("write `{}`", at.uri), e))?;
            synced(&on_disk(&at)?)?;
            return Ok(Self::Disk { _lock: lock, folder: folder.clone() });
        }
        let mut writer = Writer::new(files);
        let mut mode = PutMode::Create;
        // What stands there may go away, or be taken over by another, between two looks at it.
        for _ in 0..3 {
            match put(&at, writer.text()?, mode.clone()).await {
                Ok(done) => return Ok(Self::held(at, writer, done.into())),
                Err(e) => match (read_writer(&at).await?, e) {
                    (Some((found, version)), _) if found == writer => return Ok(Self::held(at, writer, version)),
                    (Some((found, version)), StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                        if !found.gone(silence(&at, clock).await) {
                            return Err(busy(folder, Some(&found)));
                        }
                        writer.files.extend(found.files);
                        mode = PutMode::Update(version);
                    }
                    (None, StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                        mode = PutMode::Create;
                    }
                    (_, e) => return Err(Error::storage(format!("write `{}`", at.uri), e)),
                },
            }
        }
        Err(busy(folder, None))
    }

    fn held(at: Location, writer: Writer, version: UpdateVersion) -> Self {
        let held = Arc::new(Held { at, state: Mutex::new((writer, version)) });
        let beating = Arc::clone(&held);
        let beats = SpawnedTask::spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                // A beat that fails is tried again; one that comes too late is found out before the manifest.
                let _ = beating.beat().await;
            }
        });
        Self::Store { held, _beats: beats }
    }

    /// Whether the right is still ours.
    pub(super) async fn stands(&self) -> Result<bool> {
        match self {
            Self::Disk { .. } => Ok(true),
            Self::Store { held, .. } => held.beat().await,
        }
    }

    /// Gives the right back, with nothing left to be cleaned up.
    pub(super) async fn release(self) -> Result<()> {
        let at = match &self {
            Self::Disk { folder, .. } => folder.join(WRITER),
            Self::Store { held, .. } => {
                if !held.beat().await? {
                    return Ok(());
                }
                held.at.clone()
            }
        };
        match at.store.delete(&at.path).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::storage(format!("remove `{}`", at.uri), e)),
        }
    }
}

/// The files that an interrupted run was about to write.
///
/// # Errors
/// A storage error where a writer is still at it.
pub(super) async fn interrupted(folder: &Location, clock: TimeDelta) -> Result<Vec<String>> {
    let at = folder.join(WRITER);
    if folder.is_local() {
        let found = left(&at).await;
        return if is_free(folder)? {
            Ok(found.map(|w| w.files).unwrap_or_default())
        } else {
            Err(busy(folder, found.as_ref()))
        };
    }
    match read_writer(&at).await? {
        Some((found, _)) if !found.gone(silence(&at, clock).await) => Err(busy(folder, Some(&found))),
        Some((found, _)) => Ok(found.files),
        None => Ok(Vec::new()),
    }
}

fn busy(folder: &Location, writer: Option<&Writer>) -> Error {
    let who = writer.map_or_else(
        || "another run is writing there".to_string(),
        |w| format!("process {} on `{}` is writing there", w.process, w.host),
    );
    Error::storage(format!("write to `{}`", folder.uri), format!("{who}; wait until it is done"))
}

/// How long the object has not been written, by the store's clock.
async fn silence(at: &Location, clock: TimeDelta) -> TimeDelta {
    let written: Option<DateTime<Utc>> = at.store.head(&at.path).await.ok().map(|meta| meta.last_modified);
    written.map_or_else(TimeDelta::zero, |written| Utc::now() + clock - written)
}

/// What stands on disk; one that was itself cut short was written before any of its files.
async fn left(at: &Location) -> Option<Writer> {
    read_writer(at).await.ok().flatten().map(|(writer, _)| writer)
}

async fn read_writer(at: &Location) -> Result<Option<(Writer, UpdateVersion)>> {
    let failed = |e: StoreError| Error::storage(format!("read `{}`", at.uri), e);
    let found = match at.store.get(&at.path).await {
        Ok(found) => found,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
    let bytes = found.bytes().await.map_err(failed)?;
    let writer = serde_json::from_slice(&bytes).map_err(|e| {
        Error::input(
            Finding::error(format!("`{}` is not what a run writes there: {e}", at.uri))
                .help("remove it, if no run is writing to this folder"),
        )
    })?;
    Ok(Some((writer, version)))
}

async fn put(at: &Location, bytes: Vec<u8>, mode: PutMode) -> std::result::Result<PutResult, StoreError> {
    let options = PutOptions { mode, ..PutOptions::default() };
    at.store.put_opts(&at.path, PutPayload::from(bytes), options).await
}

/// Waits until a file, or a folder's entries, are on the disk.
pub(super) fn synced(path: &Path) -> Result<()> {
    if path.is_dir() && !cfg!(unix) {
        return Ok(());
    }
    let failed = |e: std::io::Error| Error::storage(format!("write `{}`", path.display()), e);
    File::open(path).and_then(|file| file.sync_all()).map_err(failed)
}

/// Where a location is on disk.
pub(super) fn on_disk(location: &Location) -> Result<PathBuf> {
    LocalFileSystem::new()
        .path_to_filesystem(&location.path)
        .map_err(|e| Error::storage(format!("write to `{}`", location.uri), e))
}

/// The lock of a folder on disk, made where there is none; `None` where another has it.
fn lock(folder: &Location) -> Result<Option<File>> {
    let path = on_disk(&folder.join(LOCK))?;
    let failed = |e: std::io::Error| Error::storage(format!("lock `{}`", path.display()), e);
    std::fs::create_dir_all(path.parent().expect("a file in a folder")).map_err(failed)?;
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// Whether nobody has the lock of a folder on disk; nothing is made.
fn is_free(folder: &Location) -> Result<bool> {
    let path = on_disk(&folder.join(LOCK))?;
    match File::options().append(true).open(&path).map(|file| file.try_lock()) {
        Ok(Ok(())) => Ok(true),
        Ok(Err(TryLockError::WouldBlock)) => Ok(false),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Ok(Err(TryLockError::Error(e))) | Err(e) => Err(Error::storage(format!("lock `{}`", path.display()), e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_of_this_boot_is_gone_with_its_process() {
        let mut writer = Writer::new(Vec::new());
        let never_silent = TimeDelta::zero();
        assert!(!writer.gone(TimeDelta::days(1)), "it is us");
        writer.started = "0".to_string();
        assert!(writer.gone(never_silent), "another process has its number");
        writer.process = u32::MAX;
        assert!(writer.gone(never_silent));
    }

    #[test]
    fn a_writer_elsewhere_is_gone_when_it_has_long_been_silent() {
        let writer = Writer { host: "elsewhere".to_string(), process: u32::MAX, ..Writer::new(Vec::new()) };
        assert!(!writer.gone(TimeDelta::seconds(SILENT_SECONDS)));
        assert!(writer.gone(TimeDelta::seconds(SILENT_SECONDS + 1)));
        let namespace = Writer { boot: "another".to_string(), host: host(), ..writer };
        assert!(!namespace.gone(TimeDelta::zero()), "a process number of another container says nothing");
    }
}
