//! The output folder: looked at before the long work, written to after it.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::TimeDelta;
use datafusion::object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::output::conditions;
use crate::output::file::{Content, NewFile, upload};
use crate::output::manifest::{FileEntry, Manifest, Outline, sha256_hex};
use crate::output::writer::{Right, interrupted, on_disk, synced};
use crate::source::{Location, store_error};

const MANIFEST: &str = "manifest.json";
/// The folders that belong to a run, whole.
const FOLDERS: [&str; 4] = ["dataset", "provenance", "dropped", "mismatches"];
/// Files that are written at once; those that go up in parts, one after the other.
const FILES_AT_ONCE: usize = 8;

/// An output folder as it was when the run began.
#[derive(Debug, Clone)]
pub struct OutputFolder {
    location: Location,
    /// The manifest that stood there.
    old: Option<Standing>,
    /// What an interrupted run was about to write.
    pending: Vec<String>,
    /// How far the store's clock is ahead of ours.
    clock: TimeDelta,
}

/// A manifest as it was found.
#[derive(Debug, Clone)]
struct Standing {
    manifest: Outline,
    /// Of its text.
    sha256: String,
    version: UpdateVersion,
}

/// What a commit did.
#[derive(Debug, Clone)]
pub struct Committed {
    pub uri: String,
    pub files: Vec<FileEntry>,
}

impl OutputFolder {
    /// Looks at the folder: what run it holds, whether all files in it are known, whether it can keep two runs apart.
    ///
    /// # Errors
    /// Bad input where it holds files that no run lists, or where the store ignores conditions; a storage error where it
    /// can't be read or written, or another run is writing there.
    pub async fn open(location: Location) -> Result<Self> {
        let mut folder = Self { location, old: None, pending: Vec::new(), clock: TimeDelta::zero() };
        if let Some((text, version)) = folder.read(MANIFEST).await? {
            let manifest = Outline::read(&text).map_err(|why| {
                Error::input(
                    Finding::error(format!(
                        "`{}` is not a manifest that this version reads: {why}",
                        folder.location.join(MANIFEST).uri
                    ))
                    .help(
                        "give another folder with --out, or remove this one: what the run was can't be told any more",
                    ),
                )
            })?;
            folder.old = Some(Standing { manifest, sha256: sha256_hex(&text), version });
        }
        if !folder.location.is_local() {
            folder.clock = conditions::kept(&folder.location).await?;
        }
        folder.pending = interrupted(&folder.location, folder.clock).await?;
        let known = folder.known();
        let mut strangers: Vec<String> =
            run_files(&folder.location).await?.into_iter().filter(|p| !known.contains(p)).collect();
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
        self.old.iter().any(|old| old.manifest.files.iter().any(|f| f.path.starts_with("dataset/")))
    }

    /// The run that stands there.
    pub fn standing(&self) -> Option<&Outline> {
        self.old.as_ref().map(|old| &old.manifest)
    }

    pub fn location(&self) -> &Location {
        &self.location
    }

    pub fn uri(&self) -> &str {
        &self.location.uri
    }

    fn known(&self) -> BTreeSet<String> {
        let old = self.old.iter().flat_map(|old| old.manifest.files.iter().map(|f| f.path.clone()));
        old.chain(self.pending.iter().cloned()).collect()
    }

    async fn read(&self, name: &str) -> Result<Option<(Vec<u8>, UpdateVersion)>> {
        let location = self.location.join(name);
        let failed = |e: StoreError| store_error("read", &location.uri, e);
        match location.store.get(&location.path).await {
            Ok(found) => {
                let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
                Ok(Some((found.bytes().await.map_err(failed)?.to_vec(), version)))
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
    pub async fn commit<I: Serialize>(
        self,
        files: Vec<NewFile>,
        manifest: impl FnOnce(Vec<FileEntry>) -> Manifest<I>,
    ) -> Result<Committed> {
        let entries: Vec<FileEntry> = files.iter().map(NewFile::entry).collect();
        let paths: BTreeSet<String> = entries.iter().map(|e| e.path.clone()).collect();
        let list = paths.iter().chain(&self.pending).cloned().collect();
        let right = Right::take(&self.location, list, self.clock).await?;
        if self.overtaken().await? {
            right.release().await?;
            return Err(self.lost());
        }
        self.write(files, &entries).await?;
        if self.location.is_local() {
            self.to_the_disk(&entries)?;
        }
        let manifest = manifest(entries.clone());
        if !right.stands().await? {
            return Err(self.lost());
        }
        self.replace_manifest(&manifest).await?;
        for path in self.known().iter().filter(|path| !paths.contains(*path)) {
            self.remove(path).await?;
        }
        right.release().await?;
        Ok(Committed { uri: self.location.uri.clone(), files: entries })
    }

    /// Writes small files some at once; large ones one by one; those whose names older runs share, the reports, last.
    async fn write(&self, files: Vec<NewFile>, entries: &[FileEntry]) -> Result<()> {
        let named = files.into_iter().zip(entries.iter().map(|e| self.location.join(&e.path)));
        let (by_hash, by_name): (Vec<_>, Vec<_>) = named.partition(|(file, _)| file.path.contains("{}"));
        for group in [by_hash, by_name] {
            let (small, large): (Vec<_>, Vec<_>) =
                group.into_iter().partition(|(file, _)| matches!(file.content, Content::Memory(_)));
            futures::stream::iter(small)
                .map(|(file, at)| async move { upload(&at, file.content).await })
                .buffer_unordered(FILES_AT_ONCE)
                .try_collect::<Vec<()>>()
                .await?;
            for (file, at) in large {
                upload(&at, file.content).await?;
            }
        }
        Ok(())
    }

    /// After a power failure a manifest may not stand before the files that it lists.
    fn to_the_disk(&self, entries: &[FileEntry]) -> Result<()> {
        let mut folders = BTreeSet::new();
        for entry in entries {
            let path = on_disk(&self.location.join(&entry.path))?;
            synced(&path)?;
            folders.extend(path.parent().map(Path::to_path_buf));
        }
        folders.iter().try_for_each(|folder| synced(folder))
    }

    /// Whether another run has committed since the folder was opened.
    async fn overtaken(&self) -> Result<bool> {
        let now = self.read(MANIFEST).await?.map(|(text, _)| sha256_hex(&text));
        Ok(now.as_ref() != self.old.as_ref().map(|old| &old.sha256))
    }

    fn lost(&self) -> Error {
        Error::storage(
            format!("commit to `{}`", self.location.uri),
            "another run has committed there, or taken over, meanwhile; its result stands, this one is not written",
        )
    }

    /// The one step by which the run comes to be: only where the manifest is still the one that was there at the beginning.
    async fn replace_manifest(&self, manifest: &Manifest<impl Serialize>) -> Result<()> {
        if self.location.is_local() {
            // The lock is ours, and the manifest was looked at under it.
            return self.rename_manifest(manifest);
        }
        let text = manifest.sealed().map_err(|e| Error::storage("write the manifest", e))?;
        let location = self.location.join(MANIFEST);
        let mode = self.old.as_ref().map_or(PutMode::Create, |old| PutMode::Update(old.version.clone()));
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = location.store.put_opts(&location.path, PutPayload::from(text.clone()), options).await;
        // What counts is what stands there: an answer may be lost, and a condition be ignored.
        let stands = self.read(MANIFEST).await?.is_some_and(|(found, _)| found == text);
        match put {
            _ if stands => Ok(()),
            Ok(_) | Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Err(self.lost()),
            Err(e) => Err(Error::storage(format!("write `{}`", location.uri), e)),
        }
    }

    fn rename_manifest(&self, manifest: &Manifest<impl Serialize>) -> Result<()> {
        let path = on_disk(&self.location.join(MANIFEST))?;
        let new = on_disk(&self.location.join(".backcast/manifest.new"))?;
        let failed = |e: std::io::Error| Error::storage(format!("write `{}`", path.display()), e);
        let file = std::fs::File::create(&new).map_err(failed)?;
        manifest.seal_to(std::io::BufWriter::new(file)).map_err(failed)?;
        synced(&new)?;
        std::fs::rename(&new, &path).map_err(failed)?;
        path.parent().map_or(Ok(()), synced)
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let location = self.location.join(name);
        match location.store.delete(&location.path).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::storage(format!("remove `{}`", location.uri), e)),
        }
    }
}

/// The manifest of a folder: `None` where there is none, and why not where it can't be read.
///
/// # Errors
/// A storage error where the store does not answer.
pub async fn read_manifest(output: &Location) -> Result<Option<std::result::Result<Manifest, String>>> {
    let folder = OutputFolder { location: output.clone(), old: None, pending: Vec::new(), clock: TimeDelta::zero() };
    Ok(folder.read(MANIFEST).await?.map(|(text, _)| Manifest::read(&text)))
}

/// Files below the run's own folders, by their paths below the output folder.
///
/// # Errors
/// A storage error where the store does not answer.
pub async fn run_files(output: &Location) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let location = output.join(folder);
        let objects: Vec<_> = location
            .store
            .list(Some(&location.path))
            .try_collect()
            .await
            .map_err(|e| Error::storage(format!("list `{}`", location.uri), e))?;
        let skip = output.path.parts().count();
        found.extend(objects.iter().map(|o| o.location.as_ref().split('/').skip(skip).collect::<Vec<_>>().join("/")));
    }
    Ok(found)
}
