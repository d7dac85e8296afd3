//! From a config to planned views and label rows at hand.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::TimeUnit;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

use crate::analysis::{Inputs, Project};
use crate::config::Config;
use crate::dataset::{Conform, natural_schema};
use crate::diagnostics;
use crate::error::Result;
use crate::finding::Finding;
use crate::lint::lint;
use crate::monitor::Monitor;
use crate::pipeline::cost;
use crate::pipeline::spine::Spine;
use crate::replay::reference;
use crate::source::{Labels, Stores, exact_unit};
use crate::sql::{SessionOptions, Spills, new_counting_runtime, new_session};

/// A project whose SQL is planned; no row was read.
pub struct Opened {
    pub project: Arc<Project>,
    pub session: SessionContext,
    pub options: SessionOptions,
    /// What did not fit the memory limit so far.
    pub spills: Arc<Spills>,
    /// How the dataset takes a snapshot's schema, where the config asks for it.
    pub conform: Option<Conform>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("project", &self.project).finish_non_exhaustive()
    }
}

/// A project with its label rows.
#[derive(Debug)]
pub struct Prepared {
    pub opened: Opened,
    pub labels: Labels,
}

/// No machine has more; each partition of each operator costs memory.
const MOST_THREADS: usize = 1024;

/// What the config and the command line say about resources.
pub(super) fn session_options(config: &Config) -> SessionOptions {
    let default = SessionOptions::default();
    SessionOptions {
        threads: config.run.threads.unwrap_or(default.threads).clamp(1, MOST_THREADS),
        memory: config.run.memory,
        ..default
    }
}

/// Opens everything and plans every view. Reads listings and footers only.
///
/// # Errors
/// All findings at once.
pub async fn open(config: Config) -> Result<Opened> {
    open_in(config, SessionOptions::default().now_unit).await
}

/// As [`open`], with `NOW()` in this unit.
pub(super) async fn open_in(config: Config, now_unit: TimeUnit) -> Result<Opened> {
    let options = SessionOptions { now_unit, ..session_options(&config) };
    let (runtime, spills) = new_counting_runtime(options.memory)?;
    let stores = Arc::new(Stores::new(Arc::clone(&runtime), &config.storage));
    let session = new_session(&options, runtime);
    let inputs = Inputs::open(config, stores, &session).await?;
    plan(inputs, options, (session, spills)).await
}

async fn plan(
    inputs: Inputs,
    options: SessionOptions,
    (session, spills): (SessionContext, Arc<Spills>),
) -> Result<Opened> {
    let project = Project::plan(inputs, &session).await?;
    let mut findings = Vec::new();
    for view in &project.views {
        let planned = reference::dry_run(view, &project.inputs.logs, &session, options.now_unit).await;
        if let Err(e) = planned {
            findings.push(
                Finding::error(format!("DataFusion can't run the SQL of view `{}`: {}", view.name, first_line(&e)))
                    .code(diagnostics::B118)
                    .at(view.sql.start())
                    .help("rewrite the subquery or expression that it names, for instance as a join"),
            );
        }
    }
    if !findings.is_empty() {
        return Err(findings.into());
    }
    let conform = conform(&project)?;
    Ok(Opened { project: Arc::new(project), session, options, spills, conform })
}

fn first_line(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    text.lines().next().unwrap_or_default().to_string()
}

fn conform(project: &Project) -> Result<Option<Conform>> {
    let config = &project.inputs.config;
    let Some(name) = &config.dataset.schema_of else { return Ok(None) };
    let Some(snapshot) = project.snapshots.iter().find(|s| s.config.name == *name) else { return Ok(None) };
    let natural = natural_schema(&project.inputs.labels.schema(), &project.features);
    Ok(Some(Conform::plan(config, snapshot, &natural, &project.features)?))
}

/// Findings that are no errors: lints of the SQL, what has no effect yet, what the dataset leaves out.
pub async fn check(opened: &Opened) -> Vec<Finding> {
    let mut findings = lint(&opened.project, &opened.session, &opened.options).await;
    findings.extend(check_config(opened));
    findings
}

fn check_config(opened: &Opened) -> Vec<Finding> {
    let config = &opened.project.inputs.config;
    let mut findings: Vec<Finding> = Vec::new();
    if let Some(conform) = &opened.conform {
        let natural = natural_schema(&opened.project.inputs.labels.schema(), &opened.project.features);
        for name in conform.left_out(&natural) {
            findings.push(
                Finding::warning(format!(
                    "`{name}` is not in the schema of the snapshot, so the dataset leaves it out"
                ))
                .at(config.place("dataset.schema_of")),
            );
        }
    }
    for view in opened.project.views.iter().filter(|v| v.keys.is_empty() && !v.is_helper()) {
        let columns: Vec<&str> = view.features.iter().map(|f| f.column.as_str()).collect();
        findings.push(
            Finding::note(format!("view `{}` has no label key, so it gives its one row to every label row", view.name))
                .at(config.place(&format!("views.{}", view.name)))
                .help(format!(
                    "if one of {} is a key, say so: keys = {{ label_key = \"column\" }}",
                    columns.join(", ")
                )),
        );
    }
    findings.extend(cost::warnings(opened));
    for snapshot in &opened.project.snapshots {
        if snapshot.columns.is_empty() {
            findings.push(
                Finding::warning(format!("no column of snapshot `{}` is a feature", snapshot.config.name))
                    .at(config.place(&format!("snapshots.{}", snapshot.config.name)))
                    .help("map them: columns = { legacy_name = \"view.feature\" }"),
            );
        }
    }
    findings
}

/// Reads the label rows, or their times where the rows take more than this many bytes, and plans the views for the unit that the times
/// need.
///
/// # Errors
/// What reading the labels meets.
pub(super) async fn with_spine(opened: Opened, most_bytes: u64, monitor: &dyn Monitor) -> Result<(Opened, Spine)> {
    let labels = &opened.project.inputs.labels;
    monitor.begin("reading labels", Some(labels.table.rows()));
    let read = Spine::read(labels, most_bytes, &opened.session).await;
    monitor.end();
    let spine = read?;
    Ok((for_unit(opened, exact_unit(spine.times())).await?, spine))
}

/// Opens, reads the labels, and plans the views for the unit that the label times need.
///
/// # Errors
/// All findings at once, or what reading the labels meets.
pub async fn prepare(config: Config, monitor: &dyn Monitor) -> Result<Prepared> {
    let opened = open(config).await?;
    let labels = &opened.project.inputs.labels;
    monitor.begin("reading labels", Some(labels.table.rows()));
    let read = labels.read(&opened.session).await;
    monitor.end();
    let labels = read?;
    Ok(Prepared { opened: for_unit(opened, labels.now_unit()).await?, labels })
}

/// Views planned for the unit in which label times are exact.
async fn for_unit(opened: Opened, unit: TimeUnit) -> Result<Opened> {
    if unit != TimeUnit::Nanosecond {
        return Ok(opened);
    }
    // NOW() has to be exact, so the views are planned anew with its finer type.
    let options = SessionOptions { now_unit: TimeUnit::Nanosecond, ..opened.options };
    let session = new_session(&options, Arc::clone(&opened.session.runtime_env()));
    plan(opened.project.inputs.clone(), options, (session, opened.spills)).await
}
