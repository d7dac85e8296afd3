//! The command `trace`: one cell, from the config to its events.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::monitor::Monitor;
use crate::pipeline::prepare::open_in;
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
    trace_cell(&opened.project, &request, &opened.session, options, monitor).await
}
