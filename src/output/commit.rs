//! The output folder: looked at before the long work, written to after it.

use std::collections::BTreeSet;

use datafusion::object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::output::file::{NewFile, upload};
use crate::output::manifest::{FORMAT, FileEntry, Manifest};
use crate::source::Location;

const MANIFEST: &str = "manifest.json";
const PENDING: &str = ".backcast-pending.json";
/// Encoded files are written in seconds: a writer on another host that has been at it for longer is gone.
const ABANDONED_MINUTES: i64 = 30;
/// The folders that belong to a run, whole.
const FOLDERS: [&str; 4] = ["dataset", "provenance", "dropped", "mismatches"];

/// An output folder as it was when the run began.
#[derive(Debug, Clone)]
pub struct OutputFolder {
    location: Location,
    /// The manifest that stood there, with its etag.
    old: Option<(Manifest, Option<String>)>,
    /// What an interrupted run was about to write.
    pending: Vec<String>,
    /// Whether an interrupted run left its list behind.
    left_behind: bool,
}

/// Who is writing to an output folder, and what: the lock of a commit, and the list that the next run cleans up by.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pending {
    host: String,
    process: u32,
    files: Vec<String>,
}

impl Pending {
    fn new(files: Vec<String>) -> Self {
        Self { host: host(), process: std::process::id(), files }
    }

    /// Whether the writer is known to be gone. Of another host only time can tell.
    fn abandoned(&self, age: chrono::TimeDelta) -> bool {
        if self.host == host() && cfg!(target_os = "linux") {
            return !std::path::Path::new(&format!("/proc/{}", self.process)).exists();
        }
        age > chrono::TimeDelta::minutes(ABANDONED_MINUTES)
    }
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| String::new(), |h| h.trim().to_string())
}

/// What a commit did.
#[derive(Debug, Clone)]
pub struct Committed {
    pub uri: String,
    pub files: Vec<FileEntry>,
}

impl OutputFolder {
    /// Looks at the folder: what run it holds, and whether all files in it are known.
    ///
    /// # Errors
    /// Bad input where it holds files that no run lists; a storage error where it can't be read.
    pub async fn open(location: Location) -> Result<Self> {
        let mut folder = Self { location, old: None, pending: Vec::new(), left_behind: false };
        if let Some((bytes, etag)) = folder.read(MANIFEST).await? {
            let manifest: Manifest =
                serde_json::from_slice(&bytes).ok().filter(|m: &Manifest| m.format == FORMAT).ok_or_else(|| {
                    Error::input(
                        Finding::error(format!(
                            "`{}` is not a manifest that this version reads",
                            folder.location.join(MANIFEST).uri
                        ))
                        .help("give another folder with --out, or remove this one"),
                    )
                })?;
            folder.old = Some((manifest, etag));
        }
        if let Some(pending) = folder.writer().await? {
            folder.pending = pending.files;
            folder.left_behind = true;
        }
        let known = folder.known();
        let mut strangers: Vec<String> = folder.listed().await?.into_iter().filter(|p| !known.contains(p)).collect();
        strangers.sort();
        if let Some(first) = strangers.first() {
            return Err(Error::input(
                Finding::error(format!(
                    "`{}` holds {} file(s) that no manifest lists, such as `{first}`",
                    folder.location.uri,
                    strangers.len()
                ))
                .help("remove them, or give another folder with --out: readers would take them for a part of the run"),
            ));
        }
        Ok(folder)
    }

    /// Whether the run that stands there has a dataset, which another commit would replace.
    pub fn holds_dataset(&self) -> bool {
        self.old.iter().any(|(m, _)| m.files.iter().any(|f| f.path.starts_with("dataset/")))
    }

    pub fn uri(&self) -> &str {
        &self.location.uri
    }

    fn known(&self) -> BTreeSet<String> {
        let old = self.old.iter().flat_map(|(m, _)| m.files.iter().map(|f| f.path.clone()));
        old.chain(self.pending.iter().cloned()).collect()
    }

    /// The list that an interrupted run left behind.
    ///
    /// # Errors
    /// A storage error where its writer is still at it.
    async fn writer(&self) -> Result<Option<Pending>> {
        let Some((bytes, _)) = self.read(PENDING).await? else { return Ok(None) };
        // A list that was itself cut short was written before any of its files.
        let Ok(pending) = serde_json::from_slice::<Pending>(&bytes) else {
            return Ok(Some(Pending { host: String::new(), process: 0, files: Vec::new() }));
        };
        let location = self.location.join(PENDING);
        let written = location.store.head(&location.path).await.map(|meta| meta.last_modified);
        let age = written.map_or_else(|_| chrono::TimeDelta::zero(), |at| chrono::Utc::now() - at);
        if pending.abandoned(age) {
            return Ok(Some(pending));
        }
        Err(Error::storage(
            format!("write to `{}`", self.location.uri),
            format!("process {} on `{}` is writing there; wait until it is done", pending.process, pending.host),
        ))
    }

    /// Files below the run's own folders.
    async fn listed(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for folder in FOLDERS {
            let location = self.location.join(folder);
            let objects: Vec<_> = location
                .store
                .list(Some(&location.path))
                .try_collect()
                .await
                .map_err(|e| Error::storage(format!("list `{}`", location.uri), e))?;
            let skip = self.location.path.parts().count();
            found.extend(
                objects.iter().map(|o| o.location.as_ref().split('/').skip(skip).collect::<Vec<_>>().join("/")),
            );
        }
        Ok(found)
    }

    async fn read(&self, name: &str) -> Result<Option<(Vec<u8>, Option<String>)>> {
        let location = self.location.join(name);
        let failed = |e: StoreError| Error::storage(format!("read `{}`", location.uri), e);
        match location.store.get(&location.path).await {
            Ok(found) => {
                let etag = found.meta.e_tag.clone();
                Ok(Some((found.bytes().await.map_err(failed)?.to_vec(), etag)))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed(e)),
        }
    }

    /// Writes the files and then the manifest, which `manifest` makes from their entries. Where the output folder has come
    /// to hold another manifest since it was opened, nothing is committed.
    ///
    /// # Errors
    /// A storage error; files written so far stay listed as pending and are removed by the next run.
    pub async fn commit(
        self,
        files: Vec<NewFile>,
        manifest: impl FnOnce(Vec<FileEntry>) -> Manifest,
    ) -> Result<Committed> {
        let entries: Vec<FileEntry> = files.iter().map(NewFile::entry).collect();
        let paths: BTreeSet<String> = entries.iter().map(|e| e.path.clone()).collect();
        let list = Pending::new(paths.iter().chain(&self.pending).cloned().collect());
        let list = serde_json::to_vec(&list).map_err(|e| Error::storage("list the new files", e))?;
        // Whoever makes this object is the only one that writes until it is gone.
        let mode =
            if self.left_behind && self.writer().await?.is_some() { PutMode::Overwrite } else { PutMode::Create };
        self.put(PENDING, list, mode).await?;
        if self.overtaken().await? {
            self.remove(PENDING).await?;
            return Err(self.lost());
        }
        for (file, entry) in files.into_iter().zip(&entries) {
            upload(&self.location.join(&entry.path), file.content).await?;
        }
        let text = serde_json::to_vec_pretty(&manifest(entries.clone()))
            .map_err(|e| Error::storage("write the manifest", e))?;
        let mode = if self.old.is_none() { PutMode::Create } else { PutMode::Overwrite };
        self.put(MANIFEST, text, mode).await?;
        let old = self.known();
        for path in old.iter().filter(|path| !paths.contains(*path)) {
            self.remove(path).await?;
        }
        self.remove(PENDING).await?;
        Ok(Committed { uri: self.location.uri.clone(), files: entries })
    }

    /// Whether another run has committed since the folder was opened.
    async fn overtaken(&self) -> Result<bool> {
        let now = self.read(MANIFEST).await?.map(|(_, etag)| etag);
        Ok(now != self.old.as_ref().map(|(_, etag)| etag.clone()))
    }

    fn lost(&self) -> Error {
        Error::storage(
            format!("commit to `{}`", self.location.uri),
            "another run is writing, or has committed, there meanwhile; its result stands, this one is not written",
        )
    }

    async fn put(&self, name: &str, bytes: Vec<u8>, mode: PutMode) -> Result<()> {
        let location = self.location.join(name);
        let options = PutOptions { mode, ..PutOptions::default() };
        match location.store.put_opts(&location.path, PutPayload::from(bytes), options).await {
            Ok(_) => Ok(()),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Err(self.lost()),
            Err(e) => Err(Error::storage(format!("write `{}`", location.uri), e)),
        }
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let location = self.location.join(name);
        match location.store.delete(&location.path).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::storage(format!("remove `{}`", location.uri), e)),
        }
    }
}
