//! Everything a configuration names, opened and checked, with all findings at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::TableReference;
use datafusion::prelude::SessionContext;

use crate::analysis::choices::choices;
use crate::analysis::features::Feature;
use crate::analysis::marker::SourceMarker;
use crate::analysis::snapshots::SnapshotTable;
use crate::analysis::views::{View, plan_views};
use crate::config::{Choice, Config, SourceKind, resolve_uri};
use crate::error::Error;
use crate::finding::Finding;
use crate::source::{LabelTable, Log, ParquetTable, Stores};
use crate::sql::parse_expression;

/// Labels, sources and snapshots: listed, footers read, columns checked.
#[derive(Debug, Clone)]
pub struct Inputs {
    pub config: Config,
    pub stores: Arc<Stores>,
    pub labels: LabelTable,
    /// In the order of the config.
    pub logs: Vec<Log>,
    snapshots: BTreeMap<String, Arc<ParquetTable>>,
}

/// Inputs with the views that are planned over them.
#[derive(Debug)]
pub struct Project {
    pub inputs: Inputs,
    /// In dependency order.
    pub views: Vec<View>,
    /// Of all views, in the order of the config and of each view's columns.
    pub features: Vec<Feature>,
    pub snapshots: Vec<SnapshotTable>,
}

impl Inputs {
    /// Opens what the config names. Findings of all inputs are told together; what could be opened is in the second
    /// part of the error's pair, so that views can still be checked.
    ///
    /// # Errors
    /// Findings for bad input, or the first storage failure.
    pub async fn open(config: Config, stores: Arc<Stores>, session: &SessionContext) -> Result<Self, Error> {
        let base = config.base.to_string_lossy().into_owned();
        let mut findings = Vec::new();
        let open = async |uri: &str, key: &str, plain: bool, hive: bool| {
            let resolved = resolve_uri(&config.base, uri);
            let opened = ParquetTable::open(&stores, &resolved, &base, plain, hive).await;
            opened.map_err(|e| placed(e, &config, key))
        };
        let labels = match open(&config.labels.uri, "labels.uri", false, false).await {
            Ok(table) => LabelTable::new(&config, table).map_err(|f| findings.extend(f)).ok(),
            Err(e) => bad_input(e, &mut findings)?,
        };
        let mut logs = Vec::new();
        for source in &config.sources {
            let table = match open(&source.uri, &format!("sources.{}.uri", source.name), true, true).await {
                Ok(table) => table,
                Err(e) => {
                    bad_input::<()>(e, &mut findings)?;
                    continue;
                }
            };
            match Log::new(&config, source, table).and_then(|log| with_deleted(log, &config, session)) {
                Ok(log) => logs.push(log),
                Err(found) => findings.extend(found),
            }
        }
        let mut snapshots = BTreeMap::new();
        for snapshot in &config.snapshots {
            match open(&snapshot.uri, &format!("snapshots.{}.uri", snapshot.name), false, false).await {
                Ok(table) => {
                    snapshots.insert(snapshot.name.clone(), Arc::new(table));
                }
                Err(e) => {
                    bad_input::<()>(e, &mut findings)?;
                }
            }
        }
        match labels {
            Some(labels) if findings.is_empty() => Ok(Self { config, stores, labels, logs, snapshots }),
            _ => {
                // Views are checked all the same, but for those over sources that could not be opened.
                register_sources(&logs, session)?;
                findings.extend(plan_views(&config, session, labels.as_ref(), &logs).await.err().unwrap_or_default());
                Err(Error::Input(findings))
            }
        }
    }
}

impl Project {
    /// Plans the views over the inputs, in `session`, and matches the snapshots with their features.
    ///
    /// # Errors
    /// Findings for bad input.
    pub async fn plan(inputs: Inputs, session: &SessionContext) -> Result<Self, Error> {
        register_sources(&inputs.logs, session)?;
        let config = &inputs.config;
        let views = plan_views(config, session, Some(&inputs.labels), &inputs.logs).await?;
        let features: Vec<Feature> = config
            .views
            .iter()
            .filter_map(|configured| views.iter().find(|v| v.name == configured.name))
            .flat_map(|v| v.features.iter().cloned())
            .collect();
        let mut findings = clashes(&inputs, &features);
        findings.extend(unknown_model_features(config, &views));
        let mut snapshots = Vec::new();
        for snapshot in &config.snapshots {
            let Some(table) = inputs.snapshots.get(&snapshot.name) else { continue };
            match SnapshotTable::new(config, snapshot, Arc::clone(table), Some(&inputs.labels), &features) {
                Ok(snapshot) => snapshots.push(snapshot),
                Err(found) => findings.extend(found),
            }
        }
        if findings.is_empty() { Ok(Self { inputs, views, features, snapshots }) } else { Err(Error::Input(findings)) }
    }

    /// What values depend on: every choice with its value and where that came from.
    pub fn choices(&self) -> Vec<Choice> {
        choices(&self.inputs.config, &self.features)
    }

    pub fn view(&self, name: &str) -> Option<&View> {
        self.views.iter().find(|v| v.name == name)
    }
}

/// Findings go to the list, other errors end the pass.
fn bad_input<T>(error: Error, findings: &mut Vec<Finding>) -> Result<Option<T>, Error> {
    match error {
        Error::Input(found) => {
            findings.extend(found);
            Ok(None)
        }
        other => Err(other),
    }
}

/// Findings about an input without a place of their own stand where the config names the input.
fn placed(error: Error, config: &Config, key: &str) -> Error {
    match error {
        Error::Input(findings) => Error::Input(
            findings.into_iter().map(|f| if f.place.is_none() { f.at(config.place(key)) } else { f }).collect(),
        ),
        other => other,
    }
}

fn register_sources(logs: &[Log], session: &SessionContext) -> Result<(), Error> {
    for (index, log) in logs.iter().enumerate() {
        let marker = SourceMarker { index, schema: Arc::clone(&log.schema) };
        session
            .register_table(TableReference::bare(log.config.name.as_str()), Arc::new(marker))
            .map_err(|e| Error::engine(format!("register source `{}`", log.config.name), e))?;
    }
    Ok(())
}

/// Plans a changelog's `deleted` over its columns.
fn with_deleted(log: Log, config: &Config, session: &SessionContext) -> Result<Log, Vec<Finding>> {
    let Some(text) = log.config.deleted.clone().filter(|_| log.config.kind == SourceKind::Changelog) else {
        return Ok(log);
    };
    let place = config.place(&format!("sources.{}.deleted", log.config.name));
    let refused = |reason: String| {
        let finding = Finding::error(format!("`deleted` of source `{}`: {reason}", log.config.name));
        vec![finding.at(place.clone()).help("write a condition over the source's columns, such as \"op = 'D'\"")]
    };
    let parsed = parse_expression(&text).map_err(refused)?;
    let schema = datafusion::common::DFSchema::try_from(log.schema.as_ref().clone())
        .map_err(|e| refused(e.strip_backtrace()))?;
    let expr = session
        .state()
        .create_logical_expr_from_sql_expr(
            datafusion::sql::sqlparser::ast::ExprWithAlias { expr: parsed, alias: None },
            &schema,
        )
        .map_err(|e| refused(e.strip_backtrace()))?;
    match datafusion::logical_expr::ExprSchemable::get_type(&expr, &schema) {
        Ok(DataType::Boolean) => Ok(log.with_deleted(expr)),
        Ok(other) => Err(refused(format!("is {other}, not a condition"))),
        Err(e) => Err(refused(e.strip_backtrace())),
    }
}

/// Dataset columns that share a name.
fn clashes(inputs: &Inputs, features: &[Feature]) -> Vec<Finding> {
    let labels = inputs.labels.schema();
    let mut findings = Vec::new();
    for (i, feature) in features.iter().enumerate() {
        let place = || inputs.config.place(&format!("views.{}", feature.view));
        let help = format!("set `prefix = \"{}_\"` on view `{}`", feature.view, feature.view);
        if labels.field_with_name(&feature.name).is_ok() {
            findings.push(
                Finding::error(format!("feature `{}` has the name of a label column", feature.full_name()))
                    .at(place())
                    .help(help),
            );
        } else if let Some(other) = features[..i].iter().find(|f| f.name == feature.name) {
            findings.push(
                Finding::error(format!(
                    "`{}` and `{}` would both be column `{}` of the dataset",
                    other.full_name(),
                    feature.full_name(),
                    feature.name
                ))
                .at(place())
                .help(help),
            );
        }
    }
    findings
}

fn unknown_model_features(config: &Config, views: &[View]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in &config.models {
        for (i, pattern) in model.features.iter().enumerate() {
            let Some((view, column)) = pattern.split_once('.') else { continue };
            let Some(view) = views.iter().find(|v| v.name == view) else { continue };
            if column != "*" && !view.features.iter().any(|f| f.column == column) {
                let names = view.features.iter().map(|f| f.column.as_str());
                findings.push(
                    Finding::error(format!("view `{}` has no feature `{column}`", view.name))
                        .at(config.place(&format!("models.{}.features.{i}", model.name)))
                        .nearest(column, names),
                );
            }
        }
    }
    findings
}
