//! The command `trace`: one cell, from the config to its events.

use serde_json::Value;

use crate::analysis::{Feature, Project};
use crate::cause::Named;
use crate::config::{Config, resolve_uri};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::monitor::Monitor;
use crate::pipeline::prepare::open_in;
use crate::pipeline::standing::read;
use crate::trace::{Request, Trace, TraceOptions, time, trace as trace_cell, unit_of};

/// What was typed.
#[derive(Debug, Clone)]
pub struct Asked {
    pub feature: String,
    /// `name=value`.
    pub keys: Vec<String>,
    pub at: String,
}

/// Explains one cell.
///
/// # Errors
/// Bad arguments and bad input, all at once; failures of storage or engine.
pub async fn trace(config: Config, asked: &Asked, options: TraceOptions, monitor: &dyn Monitor) -> Result<Trace> {
    let at = time(&asked.at, config.labels.timezone)
        .map_err(|reason| Error::input(Finding::error(format!("`--at`: {reason}"))))?;
    let opened = open_in(config, unit_of(at)).await?;
    let request = Request::resolve(&opened.project, &asked.feature, &asked.keys, at)?;
    let named = named(&opened.project, request.feature(&opened.project)).await;
    trace_cell(&opened.project, &request, &opened.session, options, &named, monitor).await
}

/// The causes that the last run's report names for a feature, where there is one: what they give is computed anew.
async fn named(project: &Project, feature: &Feature) -> Vec<Named> {
    let inputs = &project.inputs;
    let output = inputs.stores.locate(&resolve_uri(&inputs.config.base, &inputs.config.output.uri));
    let Ok(Some(report)) = (match output {
        Ok(output) => read(&output, "report.json").await,
        Err(_) => return Vec::new(),
    }) else {
        return Vec::new();
    };
    let report: Value = serde_json::from_slice(&report).unwrap_or_default();
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let features = list(&report, "snapshots").into_iter().flat_map(|snapshot| list(&snapshot, "features"));
    let own = features.filter(|f| f.get("feature").and_then(Value::as_str) == Some(&feature.full_name()));
    let causes = own.flat_map(|f| list(&f, "causes"));
    let mut named: Vec<Named> = Vec::new();
    for cause in causes.filter_map(|cause| serde_json::from_value(cause).ok()) {
        if !named.contains(&cause) {
            named.push(cause);
        }
    }
    named
}
