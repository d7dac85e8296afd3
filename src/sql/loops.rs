//! Nested loop joins within a memory limit, kept from panics and from wrong rows.
//!
//! Where the left input of a nested loop join does not fit the memory limit, DataFusion 55 executes it a second time, spills it, and
//! joins it chunk by chunk. That has three flaws. A plan that was executed once may not be executed again as it is: a
//! repartitioning panics. Each partition of the right input decides by itself which left rows have no partner, so that such rows come
//! several times (apache/datafusion#22641). And where the last chunk ends with the input, right rows without a partner are lost
//! (apache/datafusion#24745). Inner joins look at no row that has no partner.
//!
//! So the left input stands behind [`ReadAgain`]. That of an inner join is executed again in its first state; that of
//! another join is refused as too large for the limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::JoinType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ReplaceChildrenOptions,
};

use crate::source::operator::one_input;

/// The rule that puts left inputs behind [`ReadAgain`]; the last of all.
pub(super) fn rule() -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    Arc::new(LeftInputsReadAgain)
}

#[derive(Debug)]
struct LeftInputsReadAgain;

impl PhysicalOptimizerRule for LeftInputsReadAgain {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() else { return Ok(Transformed::no(node)) };
            if join.left().is::<ReadAgain>() {
                return Ok(Transformed::no(node));
            }
            let may = *join.join_type() == JoinType::Inner;
            let left: Arc<dyn ExecutionPlan> = Arc::new(ReadAgain::new(Arc::clone(join.left()), may));
            let (right, options) =
                (Arc::clone(join.right()), ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep));
            Ok(Transformed::yes(node.replace_children(vec![left, right], options)?))
        })
        .data()
    }

    fn name(&self) -> &str {
        "left_inputs_read_again"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An input that may be executed a second time, or says why not.
#[derive(Debug)]
struct ReadAgain {
    input: Arc<dyn ExecutionPlan>,
    /// Whether a second time gives what is right.
    may: bool,
    /// The input was executed.
    read: AtomicBool,
}

impl ReadAgain {
    fn new(input: Arc<dyn ExecutionPlan>, may: bool) -> Self {
        Self { input, may, read: AtomicBool::new(false) }
    }
}

impl DisplayAs for ReadAgain {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "ReadAgain: {}", if self.may { "spilled where it does not fit" } else { "in memory only" })
    }
}

impl ExecutionPlan for ReadAgain {
    one_input!("ReadAgain", input, |this, input| Self::new(input, this.may));

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        if !self.read.swap(true, Ordering::AcqRel) {
            return self.input.execute(partition, context);
        }
        if !self.may {
            let text = "one side of a join by a condition that is no equality has to be held whole, and does not fit";
            return Err(DataFusionError::ResourcesExhausted(text.to_string()));
        }
        reset_plan_states(Arc::clone(&self.input))?.execute(partition, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::common::tree_node::TreeNodeRecursion;
    use datafusion::datasource::MemTable;
    use datafusion::physical_plan::collect;
    use datafusion::prelude::SessionContext;

    use crate::sql::{SessionOptions, new_runtime, new_session};

    const ROWS: i64 = 300;
    const LIMITS: [u64; 2] = [384, 512];

    fn session(memory: Option<u64>, threads: usize) -> SessionContext {
        let options = SessionOptions { threads, memory, batch_rows: 64, ..SessionOptions::default() };
        let session = new_session(&options, new_runtime(memory).unwrap());
        let table = |from: i64, step: usize, rows: i64| {
            let batch = |part: i64| {
                let keys: ArrayRef =
                    Arc::new((from..from + rows).filter(|k| k % 4 == part).step_by(step).collect::<Int64Array>());
                RecordBatch::try_from_iter([("k", keys)]).unwrap()
            };
            let parts: Vec<_> = (0..4).map(|part| vec![batch(part)]).collect();
            Arc::new(MemTable::try_new(parts[0][0].schema(), parts).unwrap())
        };
        // The larger one is on the left, where its size is not known for what `GROUP BY` does.
        session.register_table("l", table(0, 1, ROWS)).unwrap();
        session.register_table("r", table(ROWS / 2, 2, 3 * ROWS)).unwrap();
        session
    }

    /// The rows of a join, and the plan.
    async fn joined(session: &SessionContext, join: &str, columns: &str) -> DfResult<(String, Arc<dyn ExecutionPlan>)> {
        let sql = format!(
            "SELECT {columns} FROM (SELECT k, count(*) AS n, repeat('x', 4000 + max(k) % 200) AS a, min(k) AS b FROM l GROUP BY k) l {join} JOIN r \
             ON l.k < r.k AND r.k < l.k + l.n + 3 AND length(l.a) < r.k + 4200"
        );
        let plan = session.sql(&sql).await?.create_physical_plan().await?;
        let rows = collect(Arc::clone(&plan), session.task_ctx()).await?;
        let text = pretty_format_batches(&rows)?.to_string();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        Ok((lines.join("\n"), plan))
    }

    fn again(plan: &Arc<dyn ExecutionPlan>) -> Vec<bool> {
        let mut found = Vec::new();
        let _ = plan.apply(|node| {
            found.extend(node.downcast_ref::<ReadAgain>().map(|again| again.may));
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }

    #[tokio::test]
    async fn joins_within_a_limit_give_the_rows_that_they_give_without_or_say_that_they_do_not_fit() {
        const BOTH: &str = "l.k, l.n, l.a, l.b, r.k";
        let joins = [
            ("INNER", BOTH),
            ("LEFT", BOTH),
            ("RIGHT", BOTH),
            ("FULL", BOTH),
            ("LEFT SEMI", "l.k, l.n, l.a, l.b"),
            ("LEFT ANTI", "l.k, l.n, l.a, l.b"),
            ("RIGHT SEMI", "r.k"),
            ("RIGHT ANTI", "r.k"),
        ];
        for threads in [1, 3] {
            for (join, columns) in joins {
                let (expected, _) = joined(&session(None, threads), join, columns).await.unwrap();
                let (mut spilled, mut refused) = (0, 0);
                for kib in LIMITS {
                    let session = session(Some(kib << 10), threads);
                    match joined(&session, join, columns).await {
                        Ok((rows, plan)) => {
                            assert_eq!(rows, expected, "{join} in {kib} KiB on {threads} threads");
                            assert_eq!(again(&plan), [join == "INNER"]);
                            spilled += spills(&plan);
                        }
                        Err(e) => {
                            let exhausted = matches!(e.find_root(), DataFusionError::ResourcesExhausted(_));
                            assert!(exhausted, "{join} in {kib} KiB on {threads} threads: {e}");
                            refused += usize::from(e.to_string().contains("has to be held whole"));
                        }
                    }
                }
                // What spills is read again; FULL is refused by DataFusion itself.
                assert_eq!(spilled > 0, join == "INNER", "{join} on {threads} threads");
                assert_eq!(refused > 0, !["INNER", "FULL"].contains(&join), "{join} on {threads} threads");
            }
        }
    }

    fn spills(plan: &Arc<dyn ExecutionPlan>) -> usize {
        let mut spills = 0;
        let _ = plan.apply(|node| {
            if node.is::<NestedLoopJoinExec>() {
                spills += node.metrics().and_then(|m| m.spill_count()).unwrap_or(0);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        spills
    }
}
