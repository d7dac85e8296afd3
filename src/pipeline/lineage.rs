//! A command's work, told to lineage before and after it.

use chrono::Utc;

use crate::config::{Config, Lineage, resolve_uri};
use crate::error::{Error, Result};
use crate::lineage::{Dataset, Event, Job, Outcome, RunId, Sink, named, send};
use crate::monitor::Monitor;
use crate::output::{Manifest, read_manifest};
use crate::pipeline::prepare::session_options;
use crate::pipeline::run::{Ran, RunOptions, run};
use crate::pipeline::stop::Stop;
use crate::source::{Files, Stores, list, merge, read_footers};
use crate::sql::new_runtime;

/// As [`run`], with the events that `[lineage]` asks for. What can't be told is noted, and changes nothing.
///
/// # Errors
/// As [`run`].
pub async fn run_told(
    config: Config,
    config_text: &str,
    options: RunOptions,
    stop: &Stop,
    monitor: &dyn Monitor,
) -> Result<Ran> {
    let Some(lineage) = config.lineage.clone() else {
        return Box::pin(run(config, config_text, options, stop, monitor)).await;
    };
    let asked = config.clone();
    let told = Told::new(&asked, &lineage, options.work.name(), monitor);
    let inputs = told.inputs().await;
    told.tell(Outcome::Start, &inputs, &told.outputs()).await;
    let ran = Box::pin(run(config, config_text, options, stop, monitor)).await;
    match &ran {
        Err(Error::Interrupted) => told.tell(Outcome::Abort, &inputs, &told.outputs()).await,
        Ok(_) => told.tell(Outcome::Complete, &inputs, &told.written().await).await,
        Err(e) => told.tell(Outcome::Fail(short(e)), &inputs, &told.outputs()).await,
    }
    ran
}

/// The error, without what a terminal would show around it; nor more of it than a service takes.
fn short(error: &Error) -> String {
    error.to_string().chars().take(2000).collect()
}

/// What every event of one run shares.
struct Told<'a> {
    config: &'a Config,
    sink: Sink,
    job: Job,
    run: RunId,
    stores: Option<Stores>,
    monitor: &'a dyn Monitor,
}

impl<'a> Told<'a> {
    fn new(config: &'a Config, lineage: &Lineage, command: &str, monitor: &'a dyn Monitor) -> Self {
        let uri = match lineage.uri.contains("://") {
            true => lineage.uri.clone(),
            false => resolve_uri(&config.base, &lineage.uri),
        };
        let job = Job {
            namespace: lineage.namespace.clone(),
            name: format!("{}.{command}", config.project.name),
            parent: std::env::var("OPENLINEAGE_PARENT_ID").ok(),
        };
        let runtime = new_runtime(session_options(config).memory).ok();
        let stores = runtime.map(|runtime| Stores::new(runtime, &config.storage));
        Self { config, sink: Sink::new(&uri), job, run: RunId::now(), stores, monitor }
    }

    async fn tell(&self, outcome: Outcome, inputs: &[Dataset], outputs: &[Dataset]) {
        let event = Event { at: Utc::now(), run: &self.run, job: &self.job, outcome, inputs, outputs };
        if let Err(why) = send(&self.sink, &event.json()).await {
            self.monitor.note(&format!("lineage could not be told: {why}"));
            tracing::warn!(%why, "lineage could not be told");
        }
    }

    /// Every input by its URI, with the columns of its first file.
    async fn inputs(&self) -> Vec<Dataset> {
        let config = self.config;
        let uris = std::iter::once(&config.labels.uri)
            .chain(config.sources.iter().map(|s| &s.uri))
            .chain(config.snapshots.iter().map(|s| &s.uri));
        let mut inputs: Vec<Dataset> = Vec::new();
        for uri in uris {
            let resolved = resolve_uri(&config.base, uri);
            let dataset = named(&resolved);
            if inputs.iter().any(|i| (&i.namespace, &i.name) == (&dataset.namespace, &dataset.name)) {
                continue;
            }
            inputs.push(self.with_schema(dataset, &resolved).await);
        }
        inputs
    }

    /// Without columns where they can't be had: the run itself will say why.
    async fn with_schema(&self, dataset: Dataset, uri: &str) -> Dataset {
        let Some(stores) = &self.stores else { return dataset };
        let base = self.config.base.display().to_string();
        let Ok(mut files) = list(stores, uri, &base).await else { return dataset };
        files.files.truncate(1);
        self.first_schema(stores, &files).await.map_or(dataset.clone(), |schema| dataset.with_schema(&schema))
    }

    async fn first_schema(&self, stores: &Stores, files: &Files) -> Option<datafusion::arrow::datatypes::Schema> {
        let footers = read_footers(stores, files).await.ok()?;
        merge(files, &footers.schemas, false).ok()
    }

    fn out(&self) -> String {
        resolve_uri(&self.config.base, &self.config.output.uri)
    }

    /// Where the run will write.
    fn outputs(&self) -> Vec<Dataset> {
        vec![named(&self.out())]
    }

    /// What it wrote, by the manifest: each of its tables, and the run as a whole.
    async fn written(&self) -> Vec<Dataset> {
        let Some(stores) = &self.stores else { return self.outputs() };
        let Ok(output) = stores.locate(&self.out()) else { return self.outputs() };
        let Ok(Some(Ok(manifest))) = read_manifest(&output).await else { return self.outputs() };
        let mut written = self.outputs();
        for folder in tables(&manifest) {
            let own = || manifest.files.iter().filter(|f| f.path.starts_with(&format!("{folder}/")));
            let uri = format!("{}/{folder}/", self.out().trim_end_matches('/'));
            let mut dataset = self.with_schema(named(&uri), &uri).await;
            dataset.rows = Some(own().filter_map(|f| f.rows).sum());
            dataset.bytes = Some(own().map(|f| f.bytes).sum());
            written.push(dataset);
        }
        written
    }
}

/// The folders of Parquet files, each once.
fn tables(manifest: &Manifest) -> Vec<String> {
    let parquet = manifest.files.iter().filter(|f| f.path.ends_with(".parquet"));
    let mut folders: Vec<String> =
        parquet.filter_map(|f| f.path.rsplit_once('/')).map(|(folder, _)| folder.to_string()).collect();
    folders.sort();
    folders.dedup();
    folders
}
