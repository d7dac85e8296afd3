//! One cell under every meaning that can apply to its view: what its value would be.
//!
//! Nothing is concluded: one value may be had in many ways. What a legacy system did is told by all of a feature's differences.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::prelude::SessionContext;
use serde::Deserialize;
use serde_json::Value;

use crate::analysis::{Feature, Project, View};
use crate::cause::candidates::{self, Sources};
use crate::cause::case::{Hypothesis, Panel, part};
use crate::cause::change::{Change, Layer};
use crate::cause::held::{Held, sources_of};
use crate::cause::lab::{self, Lab};
use crate::cause::windows::Windows;
use crate::cause::{MOST_BYTES, one_partition, unread, values};
use crate::diff::CauseName;
use crate::error::{Error, Result};
use crate::source::Labels;

/// A cause as a report names it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Named {
    pub cause: CauseName,
    #[serde(default)]
    pub parameters: Value,
}

/// What the value would be.
#[derive(Debug, Clone)]
pub struct Otherwise {
    pub cause: CauseName,
    pub parameters: Value,
    /// Whether it is one of those that were named.
    pub named: bool,
    /// One value.
    pub value: ArrayRef,
}

/// The values of one feature for the one label row of `label`: under each of the causes that are `named`, whether one change or several, then
/// under each change that can apply, those with fewer parameters first. `legacy`: what old systems have there. `None` where the rows of the
/// keys are too many to hold.
///
/// # Errors
/// As reading a source.
pub async fn otherwise(
    project: &Project,
    view: &View,
    feature: &Feature,
    label: &Labels,
    (legacy, named): (&[ArrayRef], &[Named]),
    session: &SessionContext,
) -> Result<Option<Vec<Otherwise>>> {
    let logs = &project.inputs.logs;
    let failed = |e| Error::engine(format!("trace `{}`", feature.full_name()), e);
    let single = one_partition(session);
    let sources = sources_of(view.plan());
    let reaches = lab::reach(view, logs, &sources, label, vec![0], &single);
    let mut held = HashMap::new();
    for source in &sources {
        let log = &logs[*source];
        let reach = reaches.get(source).cloned().unwrap_or_default();
        match Held::read(log, &reach, MOST_BYTES, &single).await.map_err(|e| unread(log, e))? {
            Ok(rows) => held.insert(*source, rows),
            Err(_) => return Ok(None),
        };
    }
    let facts = Sources::of(logs, &held);
    let mut windows = Windows::of(view.plan());
    windows.calendar |= view.features.iter().any(|f| f.data_type.is_temporal());
    let threads = session.state().config().target_partitions();
    let instants: Vec<Change> = candidates::instants(&windows, true).into_iter().chain(candidates::loads()).collect();
    let mut worlds = candidates::worlds(&windows, &facts);
    worlds.extend(candidates::shifted_calendars(&windows));
    worlds.extend(candidates::single_sources(&windows, &facts));
    let names: Vec<String> = logs.iter().map(|log| log.config.name.clone()).collect();
    let known: Vec<&Change> = instants.iter().chain(&worlds).collect();
    let named: Vec<Hypothesis> = named.iter().filter_map(|named| meant(named, &known, &names)).collect();
    let lab = Arc::new(Lab::new(view, logs, held, windows, &Arc::new(label.clone()), &single, threads));
    let panel = Panel::new(std::iter::once(0));
    // All changes of the label time in one replay, each other world in one of its own.
    let moments: Vec<Hypothesis> =
        std::iter::once(Vec::new()).chain(instants.iter().map(|change| vec![change.clone()])).collect();
    let mut grids: Vec<(Hypothesis, Vec<Hypothesis>)> = vec![(Vec::new(), moments)];
    grids.extend(worlds.iter().map(|change| (vec![change.clone()], vec![Vec::new()])));
    grids.extend(named.iter().map(|changes| (part(changes, Layer::World), vec![part(changes, Layer::Instant)])));
    let slot = view.features.iter().position(|f| f.column == feature.column).unwrap_or_default();
    let mut answers = lab.answers(&panel, &grids).await.into_iter();
    let mut all = Vec::new();
    let mut tell = |changes: &[&Change], named: bool, value: ArrayRef| {
        let freedom = changes.iter().map(|change| change.freedom()).sum::<usize>();
        let (cause, parameters) = CauseName::of(changes.iter().map(|c| (c.name(), c.parameters(&names))).collect());
        all.push(((!named, freedom), Otherwise { cause, parameters, named, value }));
    };
    if let Some(first) = answers.next().flatten() {
        let column = &first.columns[slot];
        for change in number_changes(feature, legacy) {
            let own = (column.slice(0, 1), first.found.slice(0, 1));
            for value in values::changed(&change, feature, &own.0, &own.1).map_err(failed)? {
                tell(&[&change], false, value);
            }
        }
        for (at, change) in instants.iter().enumerate().filter(|(at, _)| at + 1 < column.len()) {
            tell(&[change], false, column.slice(at + 1, 1));
        }
    }
    for (change, answer) in worlds.iter().zip(answers.by_ref()) {
        if let Some(answer) = answer {
            tell(&[change], false, answer.columns[slot].slice(0, 1));
        }
    }
    for (changes, answer) in named.iter().zip(answers) {
        let Some(answer) = answer else { continue };
        let (column, found) = (answer.columns[slot].slice(0, 1), answer.found.slice(0, 1));
        for value in values::readings(changes, feature, &column, &found).map_err(failed)? {
            tell(&changes.iter().collect::<Vec<_>>(), true, value);
        }
    }
    all.sort_by_key(|(order, _)| *order);
    Ok(Some(all.into_iter().map(|(_, told)| told).collect()))
}

/// The changes that a report means: one of those that are `known` for the view, or one that was fitted.
fn meant(named: &Named, known: &[&Change], sources: &[String]) -> Option<Hypothesis> {
    let one = |(name, parameters): (&str, &Value)| {
        let resolved = known.iter().flat_map(|change| change.by_window());
        let mut alike = resolved.filter(|change| change.name() == name && change.parameters(sources) == *parameters);
        alike.next().or_else(|| Change::fitted(name, parameters, sources))
    };
    named.cause.changes(&named.parameters).into_iter().map(one).collect()
}

/// Changes of the number that the legacy values leave possible.
fn number_changes(feature: &Feature, legacy: &[ArrayRef]) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    for column in legacy {
        for change in values::candidates(feature, column, &[0], &[0]) {
            if !all.contains(&change) {
                all.push(change);
            }
        }
    }
    all
}
