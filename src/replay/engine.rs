//! Which engine a view gets, and the replay of all views.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use crate::analysis::{Project, View};
use crate::diagnostics;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::monitor::Monitor;
use crate::plan::{Explosion, Lookback, Reading, RewriteOptions, Rewritten, Spines, normalised, rewrite_view};
use crate::replay::observers::LabelObservers;
use crate::replay::together::replay_together;
use crate::replay::values::ViewValues;
use crate::replay::{reference, set};
use crate::source::{Labels, Log, Redelivery, TiedCopies};
use crate::sql::now_unit;
use crate::sweep::TiedFirsts;

/// The engines, and `Auto`: the fastest that takes the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    #[default]
    Auto,
    Reference,
    Rewrite,
    Sweep,
}

impl Engine {
    /// The engine of this name; `None` also for `auto`, which runs nothing.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Reference, Self::Rewrite, Self::Sweep].into_iter().find(|engine| engine.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Reference => "reference",
            Self::Rewrite => "rewrite",
            Self::Sweep => "sweep",
        }
    }
}

/// The engine that a view gets, and why.
#[derive(Debug, Clone)]
pub struct EngineChoice {
    pub engine: Engine,
    pub reason: String,
    pub lookbacks: Vec<Lookback>,
    /// Of the rewrite engine's plan.
    pub readings: Vec<Reading>,
    pub explosions: Vec<Explosion>,
    /// The plan of the rewrite engine; not optimised.
    pub plan: Option<LogicalPlan>,
}

/// What a replay is told from outside the config.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayOptions {
    pub engine: Engine,
}

/// One view, replayed.
#[derive(Debug, Clone)]
pub struct ViewReplay {
    pub view: String,
    pub engine: Engine,
    pub reason: String,
    pub lookbacks: Vec<Lookback>,
    pub values: ViewValues,
}

/// All views, replayed.
#[derive(Debug, Clone)]
pub struct Replay {
    /// In dependency order, helpers left out.
    pub views: Vec<ViewReplay>,
    /// By feature of the project, one value per label row, defaults filled in.
    pub features: Vec<ArrayRef>,
}

/// Chooses the engine for a view over these spines.
///
/// # Errors
/// Bad input where a forced engine does not take the view.
pub fn choose(
    view: &View,
    logs: &[Log],
    spines: &Spines,
    times: Option<(i64, i64)>,
    session: &SessionContext,
    requested: Engine,
    redelivery: Redelivery,
) -> Result<EngineChoice> {
    let refused = |reason: &str| {
        Error::input(
            Finding::error(format!("view `{}` can't run on the engine `{}`: {reason}", view.name, requested.name()))
                .at(view.sql.start())
                .help("leave the choice to `--engine auto`"),
        )
    };
    let by_reference = |reason: String, lookbacks: Vec<Lookback>| EngineChoice {
        engine: Engine::Reference,
        reason,
        lookbacks,
        readings: Vec::new(),
        explosions: Vec::new(),
        plan: None,
    };
    let rewritten: Result<Rewritten, String> =
        normalised(view, &session.state()).map_err(|e| e.strip_backtrace()).and_then(|plan| {
            let own = matches!(requested, Engine::Auto | Engine::Sweep);
            let options =
                RewriteOptions { sweeping: own, redelivery: if own { redelivery } else { Redelivery::ByAllColumns } };
            rewrite_view(view, &plan, logs, spines, times, options).map_err(|e| e.to_string())
        });
    match (rewritten, requested) {
        (Ok(done), Engine::Reference) => Ok(by_reference("asked for".to_string(), done.lookbacks)),
        (Err(_), Engine::Reference) => Ok(by_reference("asked for".to_string(), Vec::new())),
        (Err(reason), Engine::Rewrite | Engine::Sweep) => Err(refused(&reason)),
        (Ok(done), Engine::Sweep) if done.sweeps == 0 || !done.stabs.is_empty() => Err(refused(&unswept(&done))),
        (Err(reason), _) => Ok(by_reference(format!("no rewrite: {reason}"), Vec::new())),
        (Ok(done), Engine::Auto | Engine::Sweep) if done.sweeps > 0 && done.stabs.is_empty() => Ok(EngineChoice {
            engine: Engine::Sweep,
            reason: "every aggregate over a source is swept".to_string(),
            lookbacks: done.lookbacks,
            readings: done.readings,
            explosions: done.explosions,
            plan: Some(done.plan),
        }),
        (Ok(done), _) => Ok(EngineChoice {
            engine: Engine::Rewrite,
            reason: match requested {
                Engine::Rewrite => "asked for".to_string(),
                _ => format!("every operator has a rewrite; no sweep: {}", unswept(&done)),
            },
            lookbacks: done.lookbacks,
            readings: done.readings,
            explosions: done.explosions,
            plan: Some(done.plan),
        }),
    }
}

/// Why not all of a view is swept.
fn unswept(rewritten: &Rewritten) -> String {
    match rewritten.stabs.first() {
        Some(reason) => reason.clone(),
        None => "it reads no source through an aggregate".to_string(),
    }
}

/// Replays every view of the project for every label row.
///
/// # Errors
/// Bad input, what the data breaks, or a failure of an engine.
pub async fn replay(
    project: &Project,
    labels: &Labels,
    session: &SessionContext,
    options: ReplayOptions,
    monitor: &dyn Monitor,
) -> Result<Replay> {
    let logs = &project.inputs.logs;
    let wanted: Vec<&View> = project.views.iter().filter(|v| !v.is_helper()).collect();
    let together = replay_together(&wanted, logs, labels, session, options, monitor).await?;
    let mut views = Vec::with_capacity(wanted.len());
    for (view, replayed) in wanted.into_iter().zip(together) {
        views.push(match replayed {
            Some(replayed) => replayed,
            None => replay_view(view, logs, labels, session, options, monitor).await?,
        });
    }
    Replay::new(project, views)
}

impl Replay {
    /// Of all views that have features, replayed for the same label rows; defaults are filled in.
    ///
    /// # Errors
    /// Only where Arrow can't choose between two arrays of one type, which is a defect.
    pub fn new(project: &Project, views: Vec<ViewReplay>) -> Result<Self> {
        let features = filled(project, &views)?;
        Ok(Self { views, features })
    }
}

/// Replays one view, which reads of `logs` the sources that its plan names, for every label row.
///
/// # Errors
/// Bad input, what the data breaks, or a failure of an engine.
pub async fn replay_view(
    view: &View,
    logs: &[Log],
    labels: &Labels,
    session: &SessionContext,
    options: ReplayOptions,
    monitor: &dyn Monitor,
) -> Result<ViewReplay> {
    // The unit that the view was planned for: of some of its labels a coarser one might do.
    let unit: TimeUnit = now_unit(session);
    let times = match (labels.times.values().first(), labels.times.values().last()) {
        (Some(&first), Some(&last)) => Some((first, last)),
        _ => None,
    };
    let failed = |e| Error::engine(format!("replay view `{}`", view.name), e);
    let observers = LabelObservers::new(labels, &view.keys, unit).map_err(failed)?;
    let spines = &observers.spines;
    let mut choice = choose(view, logs, spines, times, session, options.engine, Redelivery::ByTime)?;
    let mut done = match &choice.plan {
        Some(plan) => Some(set::run(view, plan.clone(), &observers, labels, session, monitor).await),
        None => None,
    };
    monitor.end();
    if matches!(&done, Some(Err(Error::Engine { source, .. })) if TiedCopies::is(source) || TiedFirsts::is(source)) {
        // Only the columns that were left out decide.
        choice = choose(view, logs, spines, times, session, options.engine, Redelivery::ByAllColumns)?;
        if let Some(plan) = &choice.plan {
            done = Some(set::run(view, plan.clone(), &observers, labels, session, monitor).await);
        }
        monitor.end();
    }
    // Redelivered rows that wait for each other do not spill, a sort of them does. What a sweep holds of one key for first values and
    // calls does not spill, joins and aggregates do.
    let redelivers = logs.iter().any(|log| !log.config.id.is_empty() && view.reads.contains(&log.config.name));
    let spilling = [(Engine::Auto, "redelivered rows do"), (Engine::Rewrite, "a sweep does")];
    for (engine, what) in spilling.into_iter().filter(|(engine, _)| *engine == Engine::Rewrite || redelivers) {
        if options.engine != Engine::Auto || !matches!(&done, Some(Err(Error::Memory { .. }))) {
            break;
        }
        choice = choose(view, logs, spines, times, session, engine, Redelivery::ByAllColumns)?;
        choice.reason = format!("{what} not fit the memory limit; {}", choice.reason);
        if let Some(plan) = &choice.plan {
            done = Some(set::run(view, plan.clone(), &observers, labels, session, monitor).await);
            monitor.end();
        }
    }
    // An expression that fails on a row which no label sees fails in no query of the law.
    if let Some(Err(e)) = &done
        && options.engine == Engine::Auto
        && (from_data(e) || from_planning(e))
    {
        let why = if from_data(e) { "the rewrite met rows that no label sees" } else { "the rewrite can't be run" };
        choice.engine = Engine::Reference;
        choice.reason = format!("{why}: {}", first_line(e));
        done = None;
    }
    let values = match done {
        Some(done) => done,
        None => {
            let rows: Vec<usize> = (0..labels.rows()).collect();
            monitor.begin(&format!("replaying {}", view.name), Some(labels.rows() as u64));
            reference::run(view, logs, labels, &rows, session, monitor).await
        }
    };
    monitor.end();
    Ok(ViewReplay {
        view: view.name.clone(),
        engine: choice.engine,
        reason: choice.reason,
        lookbacks: choice.lookbacks,
        values: values.map_err(|e| named_feature(e, view))?,
    })
}

/// Whether an expression failed on a value, not a rule about the view's rows.
fn from_data(error: &Error) -> bool {
    match error {
        Error::Input(findings) => findings.iter().all(|f| f.place.is_none()),
        Error::Engine { source, .. } => matches!(source.find_root(), DataFusionError::Execution(_)),
        _ => false,
    }
}

/// Whether DataFusion could not plan what was rewritten: the reference engine still has the answer.
fn from_planning(error: &Error) -> bool {
    let Error::Engine { source, .. } = error else { return false };
    matches!(
        source.find_root(),
        DataFusionError::Plan(_)
            | DataFusionError::SchemaError(_, _)
            | DataFusionError::Internal(_)
            | DataFusionError::NotImplemented(_)
    )
}

fn first_line(error: &Error) -> String {
    let text = match error {
        Error::Input(findings) => findings.first().map_or_else(String::new, |f| f.message.clone()),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_string()
}

/// The features of the project in order, defaults filled in.
fn filled(project: &Project, views: &[ViewReplay]) -> Result<Vec<ArrayRef>> {
    let mut features = Vec::with_capacity(project.features.len());
    for configured in &project.inputs.config.views {
        let Some(view) = project.view(&configured.name) else { continue };
        let Some(replayed) = views.iter().find(|v| v.view == view.name) else { continue };
        let columns = replayed
            .values
            .with_defaults(&view.features)
            .map_err(|e| Error::engine(format!("fill the defaults of view `{}`", view.name), e))?;
        features.extend(columns.into_iter().map(|c| Arc::clone(&c)));
    }
    debug_assert!(features.iter().all(|f| f.len() == features.first().map_or(0, |g| g.len())));
    Ok(features)
}

/// An error that names an aggregate also names the features that are made of it.
fn named_feature(error: Error, view: &View) -> Error {
    let Error::Input(findings) = error else { return error };
    let named = findings.into_iter().map(|finding| {
        if finding.place.is_some() {
            return finding;
        }
        let finding = finding.code(diagnostics::B125);
        let features = crate::analysis::features_of_aggregate(view, &finding.message);
        let place = features.first().map_or_else(|| view.sql.start(), |column| view.place_of(column));
        match features.as_slice() {
            [] => finding.at(place),
            names => {
                let names: Vec<String> = names.iter().map(|n| format!("`{}.{n}`", view.name)).collect();
                Finding { message: format!("{} (feature {})", finding.message, names.join(", ")), ..finding }
                    .at(place)
                    .help("sum a wider type: `SUM(CAST(x AS DOUBLE))` or a DECIMAL")
            }
        }
    });
    Error::Input(named.collect())
}
