//! Which rows of a source are within a cell's reach, and whether those that its value is made of are all retained.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;

use crate::analysis::Project;
use crate::error::Result;
use crate::lookback::{FROM_THE_BEGINNING, FeatureLookback, NOTHING};
use crate::retention::{Coverage, Reading, Span, facts, reached};
use crate::source::{Near, instant_ns};
use crate::trace::asked::{Bindings, Scan};

/// Events beyond the window's bounds, and after T, are looked at for as long as the window is, but no less than this,
const LEAST_MARGIN_NS: i64 = 3_600_000_000_000;
/// and no more than this.
const MOST_MARGIN_NS: i64 = 31 * 86_400_000_000_000;
/// Where there is no window: so far after T.
const MARGIN_NS: i64 = 86_400_000_000_000;

/// Which rows of a source are worth to be read.
pub(super) struct Reach {
    /// Over the source's columns; `None`: the key says nothing of some reading.
    pub(super) keep: Option<Expr>,
    pub(super) near: Near,
}

impl Reach {
    /// `earliest`: where the widest window starts, if the scans do not say that.
    pub(super) async fn of(
        scans: &[&Scan],
        bindings: &Bindings,
        time: i64,
        earliest: Option<i64>,
        session: &SessionContext,
    ) -> DfResult<Self> {
        let mut keep: Option<Expr> = None;
        let mut by_key = true;
        for scan in scans {
            match scan.keys.iter().cloned().reduce(Expr::and) {
                Some(own) => {
                    let own = bindings.expr(own)?;
                    keep = Some(keep.map_or(own.clone(), |keep| keep.or(own)));
                }
                None => by_key = false,
            }
        }
        let mut start = None;
        for scan in scans {
            let mut own: Option<i64> = None;
            for bound in &scan.earliest {
                own = own.max(instant(bindings.expr(bound.clone())?, session).await?);
            }
            start = match (start, own) {
                (None, own) => Some(own),
                (Some(Some(a)), Some(b)) => Some(Some(a.min(b))),
                _ => Some(None),
            };
        }
        let start = start.flatten().filter(|start| *start != FROM_THE_BEGINNING).or(earliest);
        let margin = start.map_or(MARGIN_NS, |start| time.saturating_sub(start).clamp(LEAST_MARGIN_NS, MOST_MARGIN_NS));
        let near = Near {
            earliest_ns: start.map(|start| start.saturating_sub(margin)),
            latest_ns: time.saturating_add(margin),
            seen_ns: time,
        };
        Ok(Self { keep: keep.filter(|_| by_key), near })
    }
}

/// The instant that a constant expression is; `None` where it is no time.
async fn instant(expr: Expr, session: &SessionContext) -> DfResult<Option<i64>> {
    let plan = LogicalPlanBuilder::empty(true).project([instant_ns(expr, 0).alias("at")])?.build()?;
    let batches = session.execute_logical_plan(plan).await?.collect().await?;
    let column = batches.iter().find(|b| b.num_rows() > 0).map(|b| b.column(0).as_primitive::<Int64Type>().clone());
    Ok(column.filter(|c| c.is_valid(0)).map(|c| c.value(0)))
}

/// What is retained of what a cell reads of one source, by the feature's lookback: what `audit` and provenance go by.
pub(super) struct Retained {
    /// From when on events count for the value; `None`: from the beginning.
    pub(super) start: Option<i64>,
    /// The same, or where that is earlier from when on they decide whether there is a row.
    pub(super) earliest: Option<i64>,
    /// From when on the log is complete; `None`: from the beginning, or there is no event.
    pub(super) complete_from: Option<i64>,
    pub(super) coverage: Coverage,
    /// What is missing of it.
    pub(super) gap: Option<Span>,
}

impl Retained {
    /// `found`: whether the view has a row for the cell; where it has none, what decides that counts, too.
    pub(super) async fn of(
        source: usize,
        project: &Project,
        (lookback, found): (Option<&FeatureLookback>, bool),
        time: i64,
    ) -> Result<Self> {
        let log = &project.inputs.logs[source];
        let facts = facts(log, &project.inputs.stores, Some(time), Reading::as_configured(log)).await?;
        let complete_from = Some(facts.since).filter(|since| ![FROM_THE_BEGINNING, i64::MAX].contains(since));
        let mut own =
            Self { start: Some(NOTHING), earliest: Some(NOTHING), complete_from, coverage: Coverage::Exact, gap: None };
        let Some(lookback) = lookback else { return Ok(Self { start: None, earliest: None, ..own }) };
        let reads = lookback.reads.iter().map(|read| (read, true));
        let presence = lookback.presence.iter().map(|read| (read, !found));
        for (read, counts) in reads.chain(presence).filter(|(read, _)| read.source == source) {
            let (start, coverage, gap) = reached(read, &facts, time);
            let start = Some(start).filter(|start| *start != FROM_THE_BEGINNING);
            own.earliest = own.earliest.min(start);
            if counts {
                own.start = own.start.min(start);
                own.gap = own.gap.or(gap);
                own.coverage = own.coverage.max(coverage);
            }
        }
        // Of what is not read at all nothing is to be told.
        let told = |start: Option<i64>| start.filter(|start| *start != NOTHING);
        Ok(Self { start: told(own.start), earliest: told(own.earliest), ..own })
    }
}
