//! The floor: DataFusion decodes the columns that a workload needs, and nothing is made of them.

use std::path::Path;

use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::prelude::{ParquetReadOptions, SessionConfig};
use futures::StreamExt;

use crate::{Failed, Result};

/// Scans these columns of a workload's events, and its labels.
///
/// # Errors
/// What DataFusion refuses.
pub(crate) fn scan(folder: &Path, columns: &[&str], threads: usize) -> Result<()> {
    let failed = |e: datafusion::error::DataFusionError| Failed::new(format!("scan: {e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.map_err(|e| Failed::new(format!("start the runtime: {e}")))?;
    runtime.block_on(async {
        let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads));
        for (name, columns) in [("events/", columns), ("labels.parquet", &["label_id", "user_id", "label_ts"])] {
            let path = folder.join(name);
            let table = session.read_parquet(path.to_string_lossy().as_ref(), ParquetReadOptions::default()).await;
            let wanted = table.and_then(|t| t.select_columns(columns)).map_err(failed)?;
            let plan = wanted.create_physical_plan().await.map_err(failed)?;
            let streams = execute_stream_partitioned(plan, session.task_ctx()).map_err(failed)?;
            let tasks: Vec<_> = streams
                .into_iter()
                .map(|mut stream| {
                    tokio::spawn(async move {
                        while let Some(batch) = stream.next().await {
                            batch?;
                        }
                        Ok(())
                    })
                })
                .collect();
            for task in tasks {
                task.await.map_err(|e| Failed::new(format!("scan: {e}")))?.map_err(failed)?;
            }
        }
        Ok(())
    })
}
