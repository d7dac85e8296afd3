//! A project in a folder of its own, run through the library or the binary.

use std::fmt::Write as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use backcast::config::{self, Config};
use backcast::dataset::natural;
use backcast::error::Error;
use backcast::finding::Finding;
use backcast::monitor::Silent;
use backcast::pipeline::{self, Prepared};
use backcast::replay::{Engine, Replay, ReplayOptions, replay};
use backcast::sql::{SessionOptions, new_session};
use datafusion::arrow::array::{Array, RecordBatch};
use tempfile::TempDir;

use crate::support::table::{read_parquet, shown_value, write_parquet};

/// Plans nest: their walks get a deep stack, as in the program.
const STACK_BYTES: usize = 64 << 20;

/// A folder with `backcast.toml`, events, labels and SQL.
pub(crate) struct Project {
    pub(crate) dir: TempDir,
    config: String,
}

impl Project {
    /// With this `[labels]` table (its `uri` is given), and label rows.
    pub(crate) fn new(labels_config: &str, labels: &RecordBatch) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_parquet(&dir.path().join("labels.parquet"), labels);
        let config = format!(
            "[project]\nname = \"test\"\n\n[output]\nuri = \"out\"\n\n[labels]\nuri = \"labels.parquet\"\n{labels_config}\n"
        );
        let project = Self { dir, config };
        project.write_config();
        project
    }

    /// Adds text to the config.
    pub(crate) fn config(mut self, text: &str) -> Self {
        writeln!(self.config, "\n{text}").unwrap();
        self.write_config();
        self
    }

    /// With the defaults of this feature system.
    pub(crate) fn profile(mut self, name: &str) -> Self {
        self.config = self.config.replacen("[project]\n", &format!("[project]\nprofile = \"{name}\"\n"), 1);
        self.write_config();
        self
    }

    /// Adds a source in one file; `config` is its table without `uri`.
    pub(crate) fn source(self, name: &str, config: &str, rows: &RecordBatch) -> Self {
        write_parquet(&self.path(&format!("{name}/part-0.parquet")), rows);
        self.config(&format!("[sources.{name}]\nuri = \"{name}/\"\n{config}"))
    }

    /// Adds a source whose files, by path below its folder, are these.
    pub(crate) fn source_of_files(self, name: &str, config: &str, files: &[(&str, RecordBatch)]) -> Self {
        for (file, rows) in files {
            write_parquet(&self.path(&format!("{name}/{file}")), rows);
        }
        self.config(&format!("[sources.{name}]\nuri = \"{name}/\"\n{config}"))
    }

    /// Adds a view; its config is the default.
    pub(crate) fn view(self, name: &str, sql: &str) -> Self {
        self.view_with(name, "", sql)
    }

    /// Adds a view; `config` is its table without `sql`.
    pub(crate) fn view_with(self, name: &str, config: &str, sql: &str) -> Self {
        self.write(&format!("{name}.sql"), sql);
        self.config(&format!("[views.{name}]\nsql = \"{name}.sql\"\n{config}"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn config_text(&self) -> &str {
        &self.config
    }

    fn write_config(&self) {
        self.write("backcast.toml", &self.config);
    }

    pub(crate) fn load(&self, set: &[&str]) -> Config {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        let loaded = config::load(&self.path("backcast.toml"), &set);
        loaded.unwrap_or_else(|findings| panic!("{}", Error::Input(findings))).0
    }

    /// The dataset by both engines, which have to agree, in the labels' order.
    pub(crate) fn dataset(&self) -> RecordBatch {
        self.try_dataset().unwrap_or_else(|e| panic!("{e}"))
    }

    /// As [`Project::dataset`], or the message of the error that both engines give.
    pub(crate) fn try_dataset(&self) -> Result<RecordBatch, String> {
        let [reference, auto] = [Engine::Reference, Engine::Auto].map(|engine| self.by(engine));
        match (reference, auto) {
            (Ok(reference), Ok(auto)) => {
                if let Some(difference) = first_difference(&reference, &auto) {
                    panic!("reference and auto differ: {difference}\n{}", self.config);
                }
                Ok(reference)
            }
            (Err(reference), Err(auto)) => {
                assert_eq!(reference, auto, "the engines give different errors");
                Err(reference)
            }
            (reference, auto) => panic!("one engine fails: reference {reference:?}, auto {auto:?}"),
        }
    }

    /// The dataset by one engine.
    pub(crate) fn by(&self, engine: Engine) -> Result<RecordBatch, String> {
        let config = self.load(&[]);
        run(|| async move {
            let prepared = pipeline::prepare(config, &Silent).await.map_err(|e| e.to_string())?;
            let replay = replayed(&prepared, engine).await?;
            Ok(dataset_of(&prepared, &replay))
        })
    }

    /// The dataset with these settings over the config, and this number of rows in a batch.
    pub(crate) fn with_batches_of(&self, batch_rows: usize, set: &[&str]) -> RecordBatch {
        self.swept_with_batches_of(batch_rows, set).0
    }

    /// As [`Project::with_batches_of`], and the engine of each view.
    pub(crate) fn swept_with_batches_of(&self, batch_rows: usize, set: &[&str]) -> (RecordBatch, Vec<&'static str>) {
        let config = self.load(set);
        run(|| async move {
            let mut prepared = pipeline::prepare(config, &Silent).await.unwrap();
            let options = SessionOptions { batch_rows, ..prepared.opened.options };
            let runtime = prepared.opened.session.runtime_env();
            prepared.opened.session = new_session(&options, Arc::clone(&runtime));
            let replay = replayed(&prepared, Engine::Auto).await.unwrap();
            assert_eq!(runtime.memory_pool.reserved(), 0, "memory is still held");
            (dataset_of(&prepared, &replay), replay.views.iter().map(|v| v.engine.name()).collect())
        })
    }

    /// Everything that is found about the project by `check`, and by a replay where `replays`.
    pub(crate) fn findings(&self, replays: bool) -> Vec<Finding> {
        let config = match config::load(&self.path("backcast.toml"), &[]) {
            Ok((config, _)) => config,
            Err(findings) => return findings,
        };
        let found = |error: Error| match error {
            Error::Input(findings) => findings,
            other => panic!("{other}"),
        };
        run(|| async move {
            let prepared = match pipeline::prepare(config, &Silent).await {
                Ok(prepared) => prepared,
                Err(error) => return found(error),
            };
            let mut findings = pipeline::check(&prepared.opened).await;
            if replays {
                let opened = &prepared.opened;
                let options = ReplayOptions::default();
                let done = replay(&opened.project, &prepared.labels, &opened.session, options, &Silent).await;
                findings.extend(done.err().map(found).unwrap_or_default());
            }
            findings
        })
    }

    /// Runs the binary in the project's folder.
    pub(crate) fn backcast(&self, args: &[&str]) -> Ran {
        backcast_in(self.dir.path(), args)
    }

    /// The paths below the folder `out`, sorted; without Backcast's own in `.backcast/`.
    pub(crate) fn outputs(&self) -> Vec<String> {
        let mut found = Vec::new();
        files_below(&self.path("out"), "", &mut found);
        found.retain(|path| !path.starts_with(".backcast/"));
        found.sort();
        found
    }

    /// The dataset that a run has written.
    pub(crate) fn written(&self) -> RecordBatch {
        let parts: Vec<String> = self.outputs().into_iter().filter(|p| p.starts_with("dataset/")).collect();
        let [part] = parts.as_slice() else { panic!("not one file of the dataset: {parts:?}") };
        read_parquet(&self.path(&format!("out/{part}")))
    }
}

fn files_below(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => files_below(&entry.path(), &format!("{name}/"), found),
            false => found.push(name),
        }
    }
}

/// Replays all views.
pub(crate) async fn replayed(prepared: &Prepared, engine: Engine) -> Result<Replay, String> {
    let opened = &prepared.opened;
    replay(&opened.project, &prepared.labels, &opened.session, ReplayOptions { engine }, &Silent)
        .await
        .map_err(|e| e.to_string())
}

/// Label rows with features.
pub(crate) fn dataset_of(prepared: &Prepared, replay: &Replay) -> RecordBatch {
    natural(&prepared.labels, &prepared.opened.project.features, &replay.features).unwrap()
}

/// Runs work on a runtime and a stack like the program's.
pub(crate) fn run<T: Send, F: Future<Output = T>>(work: impl FnOnce() -> F + Send) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().stack_size(STACK_BYTES);
        let done = worker.spawn_scoped(scope, || runtime.block_on(work())).unwrap().join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The first cell in which two datasets differ, to the bit, or in what else they do.
pub(crate) fn first_difference(a: &RecordBatch, b: &RecordBatch) -> Option<String> {
    if a.schema() != b.schema() {
        return Some(format!("schema {:?}\nagainst {:?}", a.schema(), b.schema()));
    }
    if a.num_rows() != b.num_rows() {
        return Some(format!("{} rows against {}", a.num_rows(), b.num_rows()));
    }
    for (i, field) in a.schema().fields().iter().enumerate() {
        let (x, y) = (a.column(i), b.column(i));
        if x.to_data() == y.to_data() {
            continue;
        }
        let row = (0..x.len()).find(|&row| x.slice(row, 1).to_data() != y.slice(row, 1).to_data());
        let row = row.expect("columns that differ have a cell that does");
        let whole = |batch: &RecordBatch| -> String {
            batch.columns().iter().map(|c| shown_value(c, row)).collect::<Vec<_>>().join(" | ")
        };
        return Some(format!(
            "`{}` in row {row}: {} against {}\n  {}\n  {}",
            field.name(),
            shown_value(x, row),
            shown_value(y, row),
            whole(a),
            whole(b)
        ));
    }
    None
}

/// What the binary did.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Stdout as the one JSON document that it has to be.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }

    #[track_caller]
    pub(crate) fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn complains_of(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "no `{part}` in stderr:\n{}", self.stderr);
        }
        self
    }
}

/// Runs the binary in a folder: the one that the tests were built with, or the one that `BACKCAST_BIN` names.
pub(crate) fn backcast_in(folder: &Path, args: &[&str]) -> Ran {
    let binary = std::env::var_os("BACKCAST_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_backcast").into());
    let mut command = Command::new(binary);
    let output = command.args(args).current_dir(folder).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
