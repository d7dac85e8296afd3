//! One cell explained down to the events: the as-of value, the legacy values, and every event within reach, with why it counts
//! or does not.
//!
//! ```text
//! replay    the value, by the view's own engine, for this one key and time
//! asked     the view's plan for one feature and one key; what its scans say of key and time
//! rows      the rows that those conditions take, with why each is visible at T or not
//! lineage   the plan walked over the visible rows: which make the value, why the others do not
//! check     the plan over the rows that count alone: it has to give the engine's value, else nothing is claimed
//! what if   the value without each event that counts, and with each that was not visible; and under the meanings that a legacy
//!           system may have had, where its value differs
//! ```
//!
//! Reads only: files are pruned by key conditions and time. Nothing here prints.

mod asked;
mod attribute;
mod cell;
mod events;
mod legacy;
mod lineage;
mod model;
mod reach;
mod reasons;
mod related;
mod request;
mod rows;
mod spell;
mod what_if;
mod words;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::prelude::SessionContext;
use serde_json::Map;

use crate::analysis::Project;
use crate::cause::Named;
use crate::config::SourceKind;
use crate::diff::cell_json;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::lookback::lookbacks;
use crate::monitor::Monitor;
use crate::replay::{Engine, ReplayOptions, replay_view};
use crate::source::time::{rfc3339, ticks_until};
use crate::source::{Labels, timestamp};
use crate::sql::now_unit;
use crate::trace::asked::{Bindings, Scan, asked, scans};
use crate::trace::attribute::attribute;
use crate::trace::cell::{Cell, Question};
use crate::trace::reach::{Reach, Retained};
use crate::trace::related::{links, related};
use crate::trace::rows::SourceRows;
use crate::trace::words::Words;
pub use model::{Attribution, Event, FORMAT, LabelMatch, Legacy, Omitted, SourceReach, Trace, WhatIf};
pub use reasons::span;
pub use request::{Request, time, unit_of};

/// How much is told.
#[derive(Debug, Clone, Copy)]
pub struct TraceOptions {
    pub engine: Engine,
    /// List all events within reach.
    pub all: bool,
    /// Events for which the value is computed without them, and events for which it is with them.
    pub replays: usize,
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self { engine: Engine::Auto, all: false, replays: 40 }
    }
}

/// Explains one cell. `named`: causes of the feature that are known from elsewhere.
///
/// # Errors
/// What replaying the view for this key and time meets, and failures of storage.
pub async fn trace(
    project: &Project,
    request: &Request,
    session: &SessionContext,
    options: TraceOptions,
    named: &[Named],
    monitor: &dyn Monitor,
) -> Result<Trace> {
    let feature = request.feature(project);
    let failed = |e| Error::engine(format!("trace `{}`", feature.full_name()), e);
    let Some(view) = project.view(&feature.view) else {
        return Err(Error::input(Finding::error(format!("there is no view `{}`", feature.view))));
    };
    let logs = &project.inputs.logs;
    let label = one_label(project, request).map_err(failed)?;
    let replayed = replay_view(view, logs, &label, session, ReplayOptions { engine: options.engine }, monitor).await?;
    let own = view.features.iter().position(|f| f.column == feature.column).unwrap_or_default();
    let value = Cell { own: Arc::clone(&replayed.values.columns[own]), found: replayed.values.found.value(0) };
    let filled = value.filled(feature).map_err(failed)?;
    monitor.begin("reading the events", None);
    let told = explained(project, request, view, feature, &value, session, options).await;
    monitor.end();
    let (sources, events, omitted, mut attribution) = told?;
    let snapshots = legacy::legacy(project, request, &filled, session).await?;
    monitor.begin("asking what the value would be", None);
    let causes = what_if::what_if(project, (view, feature), &label, &filled, (&snapshots, named), session).await;
    monitor.end();
    let (causes, too_large) = causes?;
    if too_large {
        attribution
            .notes
            .push("what the value would be is not told: the rows of the keys take too much memory".to_string());
    }
    let default = match () {
        () if !value.found && feature.when_missing.is_some() => Some("when_missing"),
        () if value.found && value.own.is_null(0) && feature.when_null.is_some() => Some("when_null"),
        () => None,
    };
    let keys = project.inputs.config.labels.keys.iter().zip(&request.keys);
    let keys = keys.filter_map(|(name, key)| Some((name, key.as_ref()?)));
    let keys = keys.map(|(name, key)| Ok((name.clone(), cell_json(key, 0)?))).collect::<DfResult<Map<_, _>>>();
    Ok(Trace {
        format: FORMAT,
        project: project.inputs.config.project.name.clone(),
        feature: feature.full_name(),
        view: view.name.clone(),
        data_type: feature.data_type.to_string(),
        keys: keys.map_err(failed)?,
        time: rfc3339(request.time),
        value: cell_json(&filled, 0).map_err(|e| failed(e.into()))?,
        own_value: cell_json(&value.own, 0).map_err(|e| failed(e.into()))?,
        found: value.found,
        filled_by: default,
        engine: replayed.engine.name().to_string(),
        labels: legacy::labels(project, request, session).await?,
        snapshots,
        causes,
        attribution,
        sources,
        events,
        omitted,
    })
}

/// A label row of its own, with nothing but keys and time. Keys that were not given are NULL: no view asks for them.
fn one_label(project: &Project, request: &Request) -> DfResult<Labels> {
    let schema = Arc::new(Schema::empty());
    let batch =
        RecordBatch::try_new_with_options(schema, Vec::new(), &RecordBatchOptions::new().with_row_count(Some(1)))?;
    let keys = request.keys.iter().enumerate();
    let key = |(i, key): (usize, &Option<ArrayRef>)| {
        key.clone().unwrap_or_else(|| new_null_array(&project.inputs.labels.key_type(i), 1))
    };
    Ok(Labels { batch, times: Int64Array::from(vec![request.time]), keys: keys.map(key).collect() })
}

type Told = (Vec<SourceReach>, Vec<Event>, Omitted, Attribution);

async fn explained(
    project: &Project,
    request: &Request,
    view: &crate::analysis::View,
    feature: &crate::analysis::Feature,
    value: &Cell,
    session: &SessionContext,
    options: TraceOptions,
) -> Result<Told> {
    let failed = |e| Error::engine(format!("trace `{}`", feature.full_name()), e);
    let logs = &project.inputs.logs;
    let unit = now_unit(session);
    let mut state = session.state();
    // One thread: rows keep their order.
    state.config_mut().options_mut().execution.target_partitions = 1;
    let now = timestamp(unit, ticks_until(request.time, unit), Some("UTC".into()));
    let key = |k: &crate::analysis::ViewKey| -> DfResult<ScalarValue> {
        let null = || new_null_array(&k.data_type, 1);
        let own = request.keys[k.label].clone().unwrap_or_else(null);
        ScalarValue::try_from_array(&cast(&own, &k.data_type)?, 0)
    };
    let keys = view.keys.iter().map(key).collect::<DfResult<Vec<_>>>().map_err(failed)?;
    let plan = asked(view, &feature.column, &keys, &state).map_err(failed)?;
    let bindings = Bindings { now, keys };
    let scans = scans(&plan, logs);
    let mut read: Vec<usize> = scans.iter().map(|s| s.source).collect();
    read.sort_unstable();
    read.dedup();
    let lookbacks = lookbacks(view, logs, &session.state());
    let lookback = lookbacks.iter().find(|own| own.feature == feature.full_name());
    let (mut sources, mut reaches, mut retained) = (Vec::new(), Vec::new(), Vec::new());
    for source in read {
        let own: Vec<&Scan> = scans.iter().filter(|s| s.source == source).collect();
        let known = Retained::of(source, project, (lookback, value.found), request.time).await?;
        let reach = Reach::of(&own, &bindings, request.time, known.earliest, session).await.map_err(failed)?;
        let mut columns: Vec<usize> = own.iter().flat_map(|s| s.columns.iter().copied()).collect();
        columns.sort_unstable();
        let keep = reach.keep.as_ref();
        let mut rows =
            rows::read((source, &logs[source]), &columns, keep, reach.near, session).await.map_err(failed)?;
        refuse_unknown_ids(project, &rows)?;
        rows.explain(request.time).map_err(failed)?;
        sources.push(rows);
        reaches.push(reach);
        retained.push(known);
    }
    let bound: Vec<bool> = reaches.iter().map(|reach: &Reach| reach.keep.is_some()).collect();
    let related = related(&links(&plan, &scans), &scans, &sources, &bound).map_err(failed)?;
    let words = Words::of(project, view);
    let at = (request.time, unit);
    let question = Question { view, feature, plan: &plan, bindings: &bindings, at, state: &state, words: &words };
    let names: Vec<String> = sources.iter().map(|s| logs[s.source].config.name.clone()).collect();
    let attributed = attribute(&question, &scans, &sources, &names, value).await.map_err(failed)?;
    let looked = events::Looked {
        question: &question,
        scans: &scans,
        sources: &sources,
        names: &names,
        logs,
        related: &related,
    };
    let listed = events::list(&looked, &attributed, value, &reaches, options).await.map_err(failed)?;
    let told = |((rows, reach), known): ((&SourceRows, &Reach), &Retained)| SourceReach {
        source: logs[rows.source].config.name.clone(),
        window_start: known.start.map(rfc3339),
        from: reach.near.earliest_ns.map(rfc3339),
        to: rfc3339(reach.near.latest_ns),
        complete_from: known.complete_from.map(rfc3339),
        coverage: known.coverage.name(),
        covered: known.coverage.is_covered(),
        gap: known.gap.map(|gap| [rfc3339(gap.from), rfc3339(gap.to)]),
        by_key: reach.keep.is_some(),
        rows: rows.near.iter().filter(|near| **near).count() as u64,
        counted: listed.counted(rows.source),
    };
    let sources: Vec<SourceReach> = sources.iter().zip(&reaches).zip(&retained).map(told).collect();
    let recomputed = attributed.recomputed.as_ref().map(|cell| cell.json(feature)).transpose().map_err(failed)?;
    let attribution = Attribution { exact: attributed.exact, recomputed, notes: attributed.notes };
    Ok((sources, listed.events, listed.omitted, attribution))
}

/// As every command refuses them.
fn refuse_unknown_ids(project: &Project, rows: &SourceRows) -> Result<()> {
    let log = &project.inputs.logs[rows.source];
    let unknown = rows.raw.identity.iter().filter(|id| id.is_none()).count();
    if log.config.kind != SourceKind::Changelog || unknown == 0 {
        return Ok(());
    }
    let name = &log.config.name;
    Err(Error::input(
        Finding::error(format!("changelog `{name}` has {unknown} rows of this key whose id is NULL"))
            .at(project.inputs.config.place(&format!("sources.{name}.id")))
            .help("a version must say whose version it is: remove these rows, or name other id columns"),
    ))
}
