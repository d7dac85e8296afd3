//! `EMIT ON WINDOW CLOSE`: a filter below the aggregate over a window.
//!
//! ```text
//! Aggregate: group by [user_id, window_end]  =>  Aggregate: group by [user_id, window_end]
//!   Projection: user_id, window_end(ts, …)         Filter: window_end <= $NOW AND arrived_by(seen, window_end)
//!     TableScan: events                              Projection: user_id, window_end(ts, …), seen
//!                                                      TableScan: events
//! ```
//!
//! A window's row is visible once `NOW()` has reached its end, and holds what had arrived by then: `tie` decides of an event that
//! arrives at the very end as it does of one that arrives at the label time. Of redelivered events the first that arrived counts, then as
//! later, so a row never changes. (But where `future_events = "hidden"`, an event may be put aside later for one that
//! had arrived first and was stamped in the future: refused with an `id`.)
//!
//! Taken: an aggregate by `window_start` or `window_end` of `TUMBLE` or `HOP`, over the event time of one log, with filters
//! and projections below and above.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, BooleanArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, ScalarValue, exec_err, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, Projection, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, SubqueryAlias, TableScan, Volatility, lit,
};

use crate::config::{FutureEvents, SourceKind, Tie};
use crate::diagnostics;
use crate::finding::Finding;
use crate::source::Log;
use crate::source::time::unit_ns;
use crate::sql::dialect::clauses::{Clauses, Refused};
use crate::sql::dialect::windows::window_call;
use crate::sql::parse::SqlText;
use crate::sql::{mentions_now, now_placeholder};

/// The hidden column of when a row arrived.
const ARRIVAL: &str = "__backcast_arrival";

/// Makes a plan one that shows closed windows only.
///
/// # Errors
/// A query in which that has no clear meaning.
pub fn closed_windows<'a>(
    plan: LogicalPlan,
    text: &SqlText,
    clauses: &Clauses,
    now_unit: TimeUnit,
    log_of: &dyn Fn(&TableScan) -> Option<&'a Log>,
) -> Result<LogicalPlan, Refused> {
    let Some(span) = clauses.on_close else { return Ok(plan) };
    let refused = |why: Why| match why {
        Why::Refused(code, message, help) => Finding::error(format!("`EMIT ON WINDOW CLOSE` {message}"))
            .code(code)
            .at(text.place(span))
            .help(help)
            .into(),
        Why::Plan(error) => Refused::Plan(error),
    };
    above(plan, &Closing { now_unit, log_of }).map_err(refused)
}

enum Why {
    Refused(&'static str, &'static str, &'static str),
    Plan(datafusion::error::DataFusionError),
}

impl From<datafusion::error::DataFusionError> for Why {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Self::Plan(error)
    }
}

const SHAPE: &str = "group one log's events by `window_start` or `window_end`: `SELECT k, window_end, count(*) FROM TUMBLE(events, ts, \
                     INTERVAL '1 hour') GROUP BY k, window_end EMIT ON WINDOW CLOSE`; do the rest in a view that reads this one, \
                     or drop the clause and write `WHERE window_end <= NOW()`, which lets late events in";

fn unclear(message: &'static str) -> Why {
    Why::Refused(diagnostics::B144, message, SHAPE)
}

struct Closing<'a, 'f> {
    now_unit: TimeUnit,
    log_of: &'f dyn Fn(&TableScan) -> Option<&'a Log>,
}

/// The operators above the aggregate.
fn above(plan: LogicalPlan, closing: &Closing) -> Result<LogicalPlan, Why> {
    if has_subquery(&plan)? {
        return Err(unclear("stands over a subquery in an expression"));
    }
    let below = match plan {
        LogicalPlan::Aggregate(aggregate) => return closed(aggregate, closing),
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            above(plan.inputs()[0].clone(), closing)?
        }
        LogicalPlan::Join(_) => return Err(unclear("stands over a join of windows")),
        LogicalPlan::Window(_) => return Err(unclear("stands over a window function")),
        LogicalPlan::TableScan(_) => return Err(unclear("stands over rows that no window groups")),
        LogicalPlan::Limit(_) | LogicalPlan::Sort(_) | LogicalPlan::Distinct(_) | LogicalPlan::Union(_) => {
            return Err(unclear("stands over a limit, an order, a DISTINCT or a union"));
        }
        _ => return Err(unclear("stands over an operator in which it has no clear meaning")),
    };
    let exprs = plan.expressions();
    Ok(plan.with_new_exprs(exprs, vec![below])?)
}

fn has_subquery(plan: &LogicalPlan) -> DfResult<bool> {
    let mut found = false;
    plan.apply_subqueries(|_| {
        found = true;
        Ok(TreeNodeRecursion::Stop)
    })?;
    Ok(found)
}

fn closed(aggregate: Aggregate, closing: &Closing) -> Result<LogicalPlan, Why> {
    if aggregate.aggr_expr.iter().chain(&aggregate.group_expr).any(mentions_now) {
        return Err(timed());
    }
    let input = Arc::unwrap_or_clone(aggregate.input);
    let end = aggregate
        .group_expr
        .iter()
        .find_map(|key| end_of(&key.clone().unalias(), key.clone().unalias(), &input))
        .ok_or_else(|| {
            unclear("needs `window_start` or `window_end` of `TUMBLE` or `HOP` among the columns that are grouped by")
        })?;
    let (input, tie) = arriving(input, &end.time, closing)?;
    let arrival = Expr::Column(Column::new_unqualified(ARRIVAL));
    let arrived = arrived_by().call(vec![arrival, end.at.clone(), lit(tie.0), lit(tie.1 == Tie::Exclude)]);
    let visible = end.at.lt_eq(now_placeholder(closing.now_unit));
    let input = LogicalPlanBuilder::from(input).filter(visible.and(arrived))?.build()?;
    Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), aggregate.group_expr, aggregate.aggr_expr)?))
}

fn timed() -> Why {
    let help = "a closed window does not change any more: write the condition on `NOW()` over window_start or window_end, into HAVING, \
                or into a view that reads this one";
    Why::Refused(diagnostics::B145, "stands over rows that change with `NOW()`", help)
}

/// The end of the window that a key is of.
struct End {
    /// Over the aggregate's input.
    at: Expr,
    /// What the window is of: a column of the scan.
    time: Column,
}

/// Looks down for where `expr`, a column of `plan`, comes from; `key` is its name over the aggregate's input.
fn end_of(expr: &Expr, key: Expr, plan: &LogicalPlan) -> Option<End> {
    if let Some(call) = window_call(expr) {
        let Expr::Column(time) = origin(call.time, plan)? else { return None };
        let size = Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(call.size)), None);
        return Some(End { at: if call.end { key } else { key + size }, time });
    }
    let Expr::Column(column) = expr else { return None };
    let (below, input) = step(column, plan)?;
    end_of(&below, key, input)
}

/// What a time is in terms of the scan.
fn origin(expr: &Expr, plan: &LogicalPlan) -> Option<Expr> {
    match (expr, plan) {
        (Expr::Column(column), LogicalPlan::TableScan(_)) => Some(Expr::Column(column.clone())),
        (Expr::Column(column), _) => {
            let (below, input) = step(column, plan)?;
            origin(&below, input)
        }
        _ => None,
    }
}

/// What a column of an operator is over its input.
fn step<'p>(column: &Column, plan: &'p LogicalPlan) -> Option<(Expr, &'p LogicalPlan)> {
    let at = |columns: Vec<Column>| columns.iter().position(|c| c == column);
    match plan {
        LogicalPlan::Projection(p) => Some((p.expr.get(at(p.schema.columns())?)?.clone().unalias(), p.input.as_ref())),
        LogicalPlan::SubqueryAlias(alias) => {
            let below = alias.input.schema().columns().get(at(alias.schema.columns())?)?.clone();
            Some((Expr::Column(below), alias.input.as_ref()))
        }
        LogicalPlan::Filter(filter) => Some((Expr::Column(column.clone()), filter.input.as_ref())),
        LogicalPlan::Join(join) => {
            let side = [&join.left, &join.right].into_iter().find(|side| side.schema().has_column(column))?;
            Some((Expr::Column(column.clone()), side.as_ref()))
        }
        _ => None,
    }
}

/// The relation with one more column, when a row arrived; and what is added to it, and the tie.
fn arriving(plan: LogicalPlan, time: &Column, closing: &Closing) -> Result<(LogicalPlan, (i64, Tie)), Why> {
    if has_subquery(&plan)? {
        return Err(unclear("stands over a subquery in an expression"));
    }
    let arrival = || Expr::Column(Column::new_unqualified(ARRIVAL));
    let unqualified = |plan: LogicalPlan| -> DfResult<LogicalPlan> {
        // The last column, whatever it is called by now.
        let mut columns = plan.schema().columns();
        let last = columns.pop();
        let exprs = columns.into_iter().map(Expr::Column).chain(last.map(|c| Expr::Column(c).alias(ARRIVAL)));
        LogicalPlanBuilder::from(plan).project(exprs.collect::<Vec<_>>())?.build()
    };
    match plan {
        LogicalPlan::TableScan(scan) => scanned(scan, time, closing),
        LogicalPlan::Filter(filter) => {
            // What names the label time may only name the window, which is the same for all rows of a group.
            let of_window = |e: &Expr| {
                e.column_refs().into_iter().all(|c| {
                    let column = Expr::Column(c.clone());
                    end_of(&column, column.clone(), &filter.input).is_some()
                })
            };
            if split_conjunction(&filter.predicate).into_iter().any(|e| mentions_now(e) && !of_window(e)) {
                return Err(timed());
            }
            let (input, tie) = arriving(Arc::unwrap_or_clone(filter.input), time, closing)?;
            Ok((LogicalPlanBuilder::from(input).filter(filter.predicate)?.build()?, tie))
        }
        LogicalPlan::Projection(projection) => {
            if projection.expr.iter().any(mentions_now) {
                return Err(timed());
            }
            let (input, tie) = arriving(Arc::unwrap_or_clone(projection.input), time, closing)?;
            let exprs = projection.expr.into_iter().chain([arrival()]).collect();
            Ok((LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?), tie))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let (input, tie) = arriving(Arc::unwrap_or_clone(alias.input), time, closing)?;
            let aliased = SubqueryAlias::try_new(Arc::new(input), alias.alias)?;
            Ok((unqualified(LogicalPlan::SubqueryAlias(aliased))?, tie))
        }
        // The numbers of `HOP` stand on the left.
        LogicalPlan::Join(join) if numbers(&join.left) && join.on.is_empty() && join.filter.is_none() => {
            let (input, tie) = arriving(Arc::unwrap_or_clone(join.right), time, closing)?;
            let joined = LogicalPlanBuilder::from(Arc::unwrap_or_clone(join.left)).cross_join(input)?.build()?;
            Ok((joined, tie))
        }
        LogicalPlan::Join(_) => Err(unclear("stands over windows of a join")),
        _ => Err(unclear("stands over windows of something else than one log's events")),
    }
}

fn numbers(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Values(_) => true,
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Projection(_) => numbers(plan.inputs()[0]),
        _ => false,
    }
}

fn scanned(scan: TableScan, time: &Column, closing: &Closing) -> Result<(LogicalPlan, (i64, Tie)), Why> {
    let log = (closing.log_of)(&scan)
        .ok_or_else(|| unclear("stands over windows of something else than one log's events"))?;
    let source = &log.config;
    if source.kind != SourceKind::Log {
        return Err(unclear("stands over windows of a changelog, whose rows are replaced"));
    }
    if time.name != source.time {
        return Err(unclear("stands over windows of a column that is not the source's event time"));
    }
    if !source.id.is_empty() && source.future_events == FutureEvents::Hidden {
        return Err(unclear(
            "stands over a log with `id` and hidden future events: an event may be replaced after its window closed",
        ));
    }
    let arrival = source.available_at.as_ref().unwrap_or(&source.time);
    let delay_ns = if source.available_at.is_some() { 0 } else { source.delay_ns };
    let column = Column::new(Some(scan.table_name.clone()), arrival);
    if !scan.projected_schema.has_column(&column) {
        return Err(unclear("stands over windows of rows whose arrival is not known"));
    }
    let columns: Vec<Expr> = scan.projected_schema.columns().into_iter().map(Expr::Column).collect();
    let arrival = Expr::Column(column).alias(ARRIVAL);
    let plan = LogicalPlanBuilder::from(LogicalPlan::TableScan(scan)).project(columns.into_iter().chain([arrival]))?;
    Ok((plan.build()?, (delay_ns, log.ties())))
}

/// `arrived_by(arrival, end, delay_ns, exclusive)`: whether the arrival, moved by the delay, is not after the end (before it, where
/// exclusive). Exact in any two units.
pub(super) fn arrived_by() -> ScalarUDF {
    ScalarUDF::from(ArrivedBy { signature: Signature::any(4, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrivedBy {
    signature: Signature,
}

impl ScalarUDFImpl for ArrivedBy {
    fn name(&self) -> &str {
        "arrived_by"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        match args {
            [DataType::Timestamp(_, _), DataType::Timestamp(_, _), DataType::Int64, DataType::Boolean] => {
                Ok(DataType::Boolean)
            }
            _ => plan_err!("arrived_by takes two timestamps, a delay and a tie"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let (
            ColumnarValue::Scalar(ScalarValue::Int64(Some(delay_ns))),
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(exclusive))),
        ) = (&args.args[2], &args.args[3])
        else {
            return exec_err!("arrived_by takes a delay and a tie that are written out");
        };
        let instants = |i: usize| -> DfResult<Vec<Option<i128>>> {
            let array = args.args[i].to_array(args.number_rows)?;
            let DataType::Timestamp(unit, _) = array.data_type() else {
                return exec_err!("arrived_by takes timestamps");
            };
            let ticks = cast(&array, &DataType::Int64)?;
            let ns = i128::from(unit_ns(*unit));
            Ok(ticks.as_primitive::<Int64Type>().iter().map(|t| t.map(|t| i128::from(t) * ns)).collect())
        };
        let by: BooleanArray = instants(0)?
            .into_iter()
            .zip(instants(1)?)
            .map(|(arrival, end)| {
                let (arrival, end) = (arrival? + i128::from(*delay_ns), end?);
                Some(if *exclusive { arrival < end } else { arrival <= end })
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(by)))
    }
}
