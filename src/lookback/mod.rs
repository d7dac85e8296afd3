//! How far before the label time each feature reads in each source, and which of its columns: from the SQL alone.
//!
//! ```text
//! SELECT user_id, count(*) FILTER (WHERE ts > NOW() - INTERVAL '1 day') AS n FROM events
//! WHERE ts > NOW() - INTERVAL '90 days' GROUP BY user_id
//!
//! n: its value reads events after NOW() - 1 day; whether there is a row at all depends on events after NOW() - 90 days
//! ```
//!
//! A lower bound is a function of the label time, kept as the SQL has it (`NOW() - INTERVAL '1 month'`,
//! `date_trunc('day', NOW())`) and evaluated at each T, never turned into a fixed length. Bounds are taken through projections,
//! filters, joins, `FILTER`, `CASE` and views on views. In doubt there is none: what nothing bounds reads from the beginning.
//!
//! The invariant: no event of a source before a feature's bound can change the feature's value at T where the view has a row
//! for the label (`reads`), nor whether it has one (`presence`). `presence` is empty where it makes no difference: where a row without any
//! event in the windows gives what no row gives. That is so of sums and the like, and of a count whose `when_missing` is 0.
//!
//! Redelivered events are taken to repeat their event time. Rows that only arrive late are bounded by their event time, too.

mod bounds;
mod empty;
mod evaluate;
mod reads;
mod shown;
mod walk;

use std::collections::BTreeSet;

use datafusion::execution::SessionState;

use crate::analysis::{Feature, View};
use crate::source::Log;

pub use evaluate::{FROM_THE_BEGINNING, NOTHING};
pub use reads::{Lower, SourceRead};
pub use shown::{Reach, widest, widest_of};

/// What one feature reads.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureLookback {
    /// `view.column`.
    pub feature: String,
    /// What the value depends on, where the view has a row.
    pub reads: Vec<SourceRead>,
    /// What else decides whether the view has a row at all, where that makes a difference.
    pub presence: Vec<SourceRead>,
    /// Why nothing could be said, so that everything counts as read from the beginning.
    pub unknown: Option<String>,
}

/// The lookbacks of a view's features, in their order.
pub fn lookbacks(view: &View, logs: &[Log], state: &SessionState) -> Vec<FeatureLookback> {
    let planned = crate::plan::as_written(view, state).map_err(|e| e.strip_backtrace());
    let walked = planned.and_then(|plan| walk::walk(plan, logs).map(|relation| (plan, relation)));
    match walked.and_then(|(plan, relation)| walk::features(view, plan, &relation)) {
        Ok(features) => features,
        Err(reason) => {
            let all = everything(view, logs);
            let unknown = |f: &Feature| FeatureLookback {
                feature: f.full_name(),
                reads: all.clone(),
                presence: Vec::new(),
                unknown: Some(reason.clone()),
            };
            view.features.iter().map(unknown).collect()
        }
    }
}

/// All columns of all sources below the view, from the beginning.
fn everything(view: &View, logs: &[Log]) -> Vec<SourceRead> {
    let mut sources = BTreeSet::new();
    // The signature is that of a walk that may fail; this one does not.
    let _ = view.plan().apply_with_subqueries(|node| {
        if let datafusion::logical_expr::LogicalPlan::TableScan(scan) = node {
            sources.extend(crate::analysis::marked_source(scan));
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    });
    let whole = |source: usize| SourceRead {
        source,
        lower: Lower::Unbounded,
        columns: (0..logs[source].schema.fields().len()).collect(),
    };
    sources.into_iter().map(whole).collect()
}
