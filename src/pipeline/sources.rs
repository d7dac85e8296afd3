//! What is counted, and refused, about sources before their rows are used.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use crate::analysis::Project;
use crate::config::SourceKind;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::report::SourceCounts;
use crate::source::{Log, LogCounts};

/// Counts rows without times in every source that a view reads.
///
/// # Errors
/// A changelog with a NULL id; what reading meets.
pub(super) async fn count_sources(project: &Project, session: &SessionContext) -> Result<Vec<SourceCounts>> {
    let mut counts = Vec::new();
    let mut findings = Vec::new();
    for log in &project.inputs.logs {
        let name = &log.config.name;
        if !project.views.iter().any(|v| v.reads.contains(name)) {
            continue;
        }
        let counted = match log.footer_counts() {
            Some(counted) => counted,
            None => count(log, session).await?,
        };
        if log.config.kind == SourceKind::Changelog && counted.null_ids > 0 {
            findings.push(
                Finding::error(format!("changelog `{name}` has {} rows whose id is NULL", counted.null_ids))
                    .at(project.inputs.config.place(&format!("sources.{name}.id")))
                    .help("a version must say whose version it is: remove these rows, or name other id columns"),
            );
        }
        let redelivered = match log.config.kind {
            SourceKind::Log if !log.config.id.is_empty() => {
                log.redelivered(session).await.map_err(|e| failed_to_count(log, e))?
            }
            _ => 0,
        };
        let (rows, null_times) = (counted.rows, counted.null_times);
        counts.push(SourceCounts { source: name.clone(), rows, null_times, redelivered });
    }
    if findings.is_empty() { Ok(counts) } else { Err(Error::Input(findings)) }
}

async fn count(log: &Log, session: &SessionContext) -> Result<LogCounts> {
    let [rows, null_times, null_ids] = one_row(log, log.counts(), session).await?;
    Ok(LogCounts { rows, null_times, null_ids })
}

fn failed_to_count(log: &Log, error: DataFusionError) -> Error {
    Error::engine(format!("count the rows of source `{}`", log.config.name), error)
}

/// The numbers in the one row that the plan gives; NULL is 0.
async fn one_row<const N: usize>(log: &Log, plan: DfResult<LogicalPlan>, session: &SessionContext) -> Result<[u64; N]> {
    let failed = |e| failed_to_count(log, e);
    let frame = session.execute_logical_plan(plan.map_err(failed)?).await.map_err(failed)?;
    let batches = frame.collect().await.map_err(failed)?;
    let row = batches.iter().find(|b| b.num_rows() > 0);
    Ok(std::array::from_fn(|column| {
        let value =
            row.map(|b| b.column(column).as_primitive::<Int64Type>()).filter(|c| c.is_valid(0)).map(|c| c.value(0));
        value.and_then(|v| u64::try_from(v).ok()).unwrap_or(0)
    }))
}
