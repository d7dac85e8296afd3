//! Two runs at one folder, lost answers, careless stores.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::memory::InMemory;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
};
use futures::stream::BoxStream;

use super::*;
use crate::output::writer::{Right, interrupted};
use crate::source::Location;

fn store(store: Arc<dyn ObjectStore>) -> Location {
    let url = ObjectStoreUrl::parse("memory://bucket").unwrap();
    Location { uri: "memory://bucket/out".to_string(), url, store, path: Path::from("out") }
}

fn disk(folder: &std::path::Path) -> Location {
    Location {
        uri: folder.display().to_string(),
        url: ObjectStoreUrl::local_filesystem(),
        store: Arc::new(LocalFileSystem::new()),
        path: Path::from_absolute_path(folder).unwrap(),
    }
}

/// A run's files; those of two runs differ in all bytes.
fn files(run: &str) -> Vec<NewFile> {
    let part =
        |i: usize| NewFile::memory(format!("dataset/part-{i}-{{}}.parquet"), Some(1), format!("{run} {i}").into());
    let mut files: Vec<NewFile> = (0..5).map(part).collect();
    files.push(NewFile::memory("report.json", None, format!("report of {run}").into()));
    files
}

fn manifest(run: &str, files: Vec<FileEntry>) -> Manifest {
    Manifest {
        format: 1,
        project: run.to_string(),
        command: "run".to_string(),
        generated_at: String::new(),
        versions: Versions::current(),
        config_sha256: String::new(),
        views: Vec::new(),
        inputs: Vec::new(),
        files,
        chunks: Vec::new(),
        identity: None,
    }
}

async fn commit(folder: OutputFolder, run: &str) -> crate::error::Result<Committed> {
    folder.commit(files(run), |entries| manifest(run, entries)).await
}

/// Asserts that the folder holds exactly this run.
async fn holds(at: &Location, run: &str) {
    let text = at.store.get(&at.join("manifest.json").path).await.unwrap().bytes().await.unwrap();
    let manifest: Manifest = Manifest::read(&text).unwrap();
    assert_eq!(manifest.project, run);
    for file in &manifest.files {
        let bytes = at.store.get(&at.join(&file.path).path).await.unwrap().bytes().await.unwrap();
        assert_eq!(sha256_hex(&bytes), file.sha256, "{}", file.path);
    }
    let mut listed = run_files(at).await.unwrap();
    let mut own: Vec<String> =
        manifest.files.iter().map(|f| f.path.clone()).filter(|p| p.starts_with("dataset")).collect();
    listed.sort();
    own.sort();
    assert_eq!(listed, own);
    let again = OutputFolder::open(at.clone()).await.unwrap();
    assert!(again.holds_dataset());
}

#[tokio::test]
async fn of_two_runs_the_first_to_commit_stands_and_the_other_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for at in [disk(folder.path()), store(Arc::new(InMemory::new()))] {
        for round in 0..2 {
            let first = OutputFolder::open(at.clone()).await.unwrap();
            let second = OutputFolder::open(at.clone()).await.unwrap();
            commit(second, &format!("second {round}")).await.unwrap();
            let error = commit(first, "first").await.unwrap_err().to_string();
            assert!(error.contains("another run has committed there"), "{error}");
            holds(&at, &format!("second {round}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_runs_that_commit_at_the_same_instant_one_wins_and_nothing_mixes() {
    let folder = tempfile::tempdir().unwrap();
    for at in [disk(folder.path()), store(Arc::new(InMemory::new()))] {
        for round in 0..25 {
            let mut opened = Vec::new();
            for _ in 0..4 {
                opened.push(OutputFolder::open(at.clone()).await.unwrap());
            }
            let runs: Vec<_> = opened
                .into_iter()
                .enumerate()
                .map(|(i, folder)| {
                    let run = format!("{round}/{i}");
                    tokio::spawn(async move { (commit(folder, &run).await, run) })
                })
                .collect();
            let mut winners = Vec::new();
            for run in runs {
                match run.await.unwrap() {
                    (Ok(_), run) => winners.push(run),
                    (Err(error), _) => {
                        let error = error.to_string();
                        assert!(error.contains("another run") || error.contains("is writing there"), "{error}");
                    }
                }
            }
            assert_eq!(winners.len(), 1, "{winners:?}");
            holds(&at, &winners[0]).await;
        }
    }
}

#[tokio::test]
async fn a_run_that_is_killed_leaves_files_that_the_next_one_removes() {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk(folder.path());
    let opened = OutputFolder::open(disk.clone()).await.unwrap();
    // Dropped in the middle, as by a kill: the lock of the system goes with it.
    let killed = opened.commit(files("killed"), |_| -> Manifest { panic!("killed") });
    assert!(tokio::spawn(killed).await.unwrap_err().is_panic());
    assert_eq!(run_files(&disk).await.unwrap().len(), 5);
    commit(OutputFolder::open(disk.clone()).await.unwrap(), "next").await.unwrap();
    holds(&disk, "next").await;
}

#[tokio::test]
async fn while_one_writes_another_is_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    for at in [disk(folder.path()), store(Arc::new(InMemory::new()))] {
        let right = Right::take(&at, vec!["dataset/x".to_string()], chrono::TimeDelta::zero()).await.unwrap();
        let error = OutputFolder::open(at.clone()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("process {} on", std::process::id())), "{error}");
        right.release().await.unwrap();
        OutputFolder::open(at).await.unwrap();
    }
}

/// As if the writer were of another machine, which this one can't ask.
async fn elsewhere(at: &Location) {
    let writer = at.join(".backcast/writer.json");
    let text = at.store.get(&writer.path).await.unwrap().bytes().await.unwrap();
    let mut found: serde_json::Value = serde_json::from_slice(&text).unwrap();
    found["host"] = "elsewhere".into();
    at.store.put(&writer.path, PutPayload::from(found.to_string().into_bytes())).await.unwrap();
}

#[tokio::test]
async fn a_silent_writer_on_another_host_is_replaced_by_one_of_those_who_try() {
    let at = store(Arc::new(InMemory::new()));
    std::mem::forget(Right::take(&at, vec!["dataset/x".to_string()], chrono::TimeDelta::zero()).await.unwrap());
    elsewhere(&at).await;
    let (soon, later) = (chrono::TimeDelta::seconds(60), chrono::TimeDelta::seconds(600));
    assert!(interrupted(&at, soon).await.is_err(), "it may be alive");
    assert!(Right::take(&at, Vec::new(), soon).await.is_err());
    assert_eq!(interrupted(&at, later).await.unwrap(), ["dataset/x"]);
    let (one, other) = tokio::join!(Right::take(&at, Vec::new(), later), Right::take(&at, Vec::new(), later));
    let taken: Vec<Right> = [one, other].into_iter().flatten().collect();
    // The second sees a writer that is alive, by its process if by nothing else.
    assert_eq!(taken.len(), 1);
    assert!(taken[0].stands().await.unwrap());
}

#[tokio::test]
async fn a_writer_that_was_taken_for_gone_does_not_commit() {
    let at = store(Arc::new(InMemory::new()));
    let opened = OutputFolder::open(at.clone()).await.unwrap();
    let error = opened
        .commit(files("late"), |entries| {
            futures::executor::block_on(elsewhere(&at));
            manifest("late", entries)
        })
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("taken over"), "{error}");
    assert!(at.store.get(&at.join("manifest.json").path).await.is_err());
}

#[tokio::test]
async fn a_store_that_ignores_a_condition_is_refused_before_the_work() {
    let odd = |oddity| store(Arc::new(Odd { inner: InMemory::new(), oddity, on: AtomicBool::new(true) }));
    for (oddity, said) in [
        (Oddity::CreatesAnyway, "made only if absent"),
        (Oddity::ReplacesAnyway, "another than the condition named"),
        (Oddity::KnowsNoConditions, "no write that fails where the object exists"),
    ] {
        let at = odd(oddity);
        let error = OutputFolder::open(at.clone()).await.unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("help"), "{error}");
        use futures::TryStreamExt;
        let left: Vec<ObjectMeta> = at.store.list(None).try_collect().await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test]
async fn a_manifest_whose_answer_was_lost_is_seen_to_stand() {
    let odd = Arc::new(Odd { inner: InMemory::new(), oddity: Oddity::LosesAnswers, on: AtomicBool::new(false) });
    let at = store(Arc::clone(&odd) as Arc<dyn ObjectStore>);
    for run in ["first", "second"] {
        let opened = OutputFolder::open(at.clone()).await.unwrap();
        odd.on.store(true, Ordering::Relaxed);
        commit(opened, run).await.unwrap();
        odd.on.store(false, Ordering::Relaxed);
        holds(&at, run).await;
    }
}

#[tokio::test]
async fn a_condition_that_begins_to_be_ignored_is_found_out_by_reading_back() {
    let odd = Arc::new(Odd { inner: InMemory::new(), oddity: Oddity::WritesElse, on: AtomicBool::new(false) });
    let at = store(Arc::clone(&odd) as Arc<dyn ObjectStore>);
    let opened = OutputFolder::open(at.clone()).await.unwrap();
    odd.on.store(true, Ordering::Relaxed);
    let error = commit(opened, "mine").await.unwrap_err().to_string();
    assert!(error.contains("this one is not written"), "{error}");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oddity {
    CreatesAnyway,
    ReplacesAnyway,
    KnowsNoConditions,
    /// Of conditional writes: done, and an error is given.
    LosesAnswers,
    /// As if somebody else's manifest came after ours.
    WritesElse,
}

/// A store that is not as it should be.
#[derive(Debug)]
struct Odd {
    inner: InMemory,
    oddity: Oddity,
    on: AtomicBool,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("odd")
    }
}

#[async_trait]
impl ObjectStore for Odd {
    async fn put_opts(&self, at: &Path, payload: PutPayload, mut options: PutOptions) -> StoreResult<PutResult> {
        if !self.on.load(Ordering::Relaxed) {
            return self.inner.put_opts(at, payload, options).await;
        }
        let conditional = options.mode != PutMode::Overwrite;
        match (self.oddity, &options.mode) {
            (Oddity::CreatesAnyway, PutMode::Create) | (Oddity::ReplacesAnyway, PutMode::Update(_)) => {
                options.mode = PutMode::Overwrite;
            }
            (Oddity::KnowsNoConditions, PutMode::Create | PutMode::Update(_)) => {
                return Err(StoreError::NotImplemented {
                    operation: "put".to_string(),
                    implementer: "odd".to_string(),
                });
            }
            (Oddity::WritesElse, _) if at.as_ref().ends_with("manifest.json") => {
                return self.inner.put_opts(at, PutPayload::from_static(b"{}"), options).await;
            }
            _ => {}
        }
        let done = self.inner.put_opts(at, payload, options).await;
        if self.oddity == Oddity::LosesAnswers && conditional && done.is_ok() {
            return Err(StoreError::Generic { store: "odd", source: "connection reset".into() });
        }
        done
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.inner.get_opts(at, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
