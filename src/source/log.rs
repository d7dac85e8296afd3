//! A retained raw log as rows that *live*: which instants each row counts at.
//!
//! [`Log::live`] turns a source into its canonical columns plus `from` and, where later rows can end a row, `until`:
//! both nanoseconds since 1970, and the row counts at an instant T iff `from <= T < until` (`until` NULL: for ever).
//!
//! * Visibility: `from` is the first nanosecond at which the row is visible: its arrival (plus 1 ns under
//!   `tie = "exclude"`), and not before its event time where `future_events = "hidden"`.
//! * Redelivery: of the visible rows with one id the first that arrived counts. Where visibility follows arrival, that is
//!   one row for good; where event time has a say, an earlier arrival that becomes visible later ends the row.
//! * Changelog: of the visible versions with one id the last by event time counts, so any row after it in that order ends
//!   it. Versions that say `deleted` are left out at the very end: they still end what they replace.
//!
//! Canonical columns: all timestamps are instants, shown in UTC. Naive ones are local time of the declared `timezone`. (If
//! they stayed naive, DataFusion would read them as local time of whatever zone they are compared with.)

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as DfResult;
use datafusion::functions_aggregate::min_max::min_udaf;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, SortExpr, TableSource, WindowFrame, WindowFrameBound,
    WindowFrameUnits, cast, lit, when,
};
use datafusion::prelude::SessionContext;
use tokio::sync::OnceCell;

use crate::config::{Config, FutureEvents, Source, SourceKind, Tie};
use crate::finding::Finding;
use crate::source::delivery::{FirstArrival, FirstArrivalSpec, Known, Repeats, is_plain_id, read_ids};
use crate::source::functions::{instant_ns, local_to_utc, order_key, within_reach};
use crate::source::table::{ParquetTable, column};
use crate::source::time::ticks_until;

/// The hidden column of a live plan that holds the first instant at which a row counts.
pub const FROM: &str = "__backcast_from";
/// The hidden column that holds the first instant at which it no longer does.
pub const UNTIL: &str = "__backcast_until";

/// The name of a source's raw table inside its own plan.
const RAW: &str = "__raw";
/// A local time is off its UTC reading by less than this.
pub(super) const WIDEST_OFFSET_NS: i64 = 36 * 3_600_000_000_000;

/// How redelivered rows are told apart, and rows that tie in an order of the SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// By ids and times alone, without a sort; fails with [`super::TiedCopies`] where that does not decide. First values by the SQL's own
    /// order: fails with `TiedFirsts` where that does not decide.
    ByTime,
    /// By all columns of the source, sorted.
    ByAllColumns,
}

/// One source, opened: its files listed, its columns checked.
#[derive(Debug, Clone)]
pub struct Log {
    pub config: Source,
    pub table: Arc<ParquetTable>,
    /// The canonical columns.
    pub schema: SchemaRef,
    /// `deleted` of a changelog, over the canonical columns.
    deleted: Option<Expr>,
    exclusive: bool,
    /// Rows that are read instead of the files', for a question about another history.
    rows: Option<(Arc<dyn TableProvider>, u64)>,
    /// Which ids are repeated, once that was asked for.
    repeats: Arc<OnceCell<Arc<Repeats>>>,
}

impl Log {
    /// Checks the source's configured columns against its files, all findings at once.
    ///
    /// # Errors
    /// The findings: columns that are not there, times that are no timestamps.
    pub fn new(config: &Config, source: &Source, table: ParquetTable) -> Result<Self, Vec<Finding>> {
        let raw = TableProvider::schema(&table);
        let what = format!("source `{}`", source.name);
        let mut findings = Vec::new();
        let mut place = |finding: Finding, key: &str| {
            findings.push(finding.at(config.place(&format!("sources.{}.{key}", source.name))));
        };
        let times = [("time", Some(&source.time)), ("available_at", source.available_at.as_ref())];
        for (key, name) in times.into_iter().filter_map(|(key, name)| Some((key, name?))) {
            match column(&raw, name, &what) {
                Err(finding) => place(finding, key),
                Ok(field) if !matches!(field.data_type(), DataType::Timestamp(_, _)) => place(
                    Finding::error(format!("column `{name}` of {what} is {}, not a timestamp", field.data_type()))
                        .help("name a timestamp column, or write the column as one"),
                    key,
                ),
                Ok(_) => {}
            }
        }
        for (i, id) in source.id.iter().enumerate() {
            if let Err(finding) = column(&raw, id, &what) {
                place(finding, &format!("id.{i}"));
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let fields: Vec<Field> = raw.fields().iter().map(|f| canonical_field(f)).collect();
        let schema = Arc::new(Schema::new(fields));
        let exclusive = config.labels.tie == Tie::Exclude;
        Ok(Self {
            config: source.clone(),
            table: Arc::new(table),
            schema,
            deleted: None,
            exclusive,
            rows: None,
            repeats: Arc::default(),
        })
    }

    /// Sets what `deleted` means: a boolean expression over the canonical columns.
    pub fn with_deleted(mut self, deleted: Expr) -> Self {
        self.deleted = Some(deleted);
        self
    }

    /// The same source over other rows, about `count` of them. They have the columns of its files, perhaps more after those, and
    /// `available_at` may be one of these.
    pub fn with_rows(mut self, rows: Arc<dyn TableProvider>, count: u64, available_at: Option<String>) -> Self {
        let fields: Vec<Field> = rows.schema().fields().iter().map(|f| canonical_field(f)).collect();
        self.schema = Arc::new(Schema::new(fields));
        self.rows = Some((rows, count));
        self.config.available_at = available_at.or(self.config.available_at);
        self.repeats = Arc::default();
        self
    }

    /// The same source under the other rule for events that are known at exactly T.
    pub fn with_tie(mut self, tie: Tie) -> Self {
        self.exclusive = tie == Tie::Exclude;
        self
    }

    fn raw_source(&self) -> Arc<dyn TableSource> {
        match &self.rows {
            Some((rows, _)) => provider_as_source(Arc::clone(rows)),
            None => provider_as_source(Arc::clone(&self.table) as _),
        }
    }

    /// The schema of the rows that are read.
    fn raw(&self) -> SchemaRef {
        match &self.rows {
            Some((rows, _)) => rows.schema(),
            None => TableProvider::schema(self.table.as_ref()),
        }
    }

    fn rows_held(&self) -> u64 {
        self.rows.as_ref().map_or_else(|| self.table.rows(), |(_, count)| *count)
    }

    fn available_at(&self) -> &str {
        self.config.available_at.as_deref().unwrap_or(&self.config.time)
    }

    fn hidden_future(&self) -> bool {
        self.config.future_events == FutureEvents::Hidden
            && (self.config.available_at.is_some() || self.config.delay_ns < 0)
    }

    /// Whether rows can stop to count: the live plan then has [`UNTIL`].
    pub fn has_until(&self) -> bool {
        match self.config.kind {
            SourceKind::Changelog => true,
            SourceKind::Log => !self.config.id.is_empty() && self.hidden_future(),
        }
    }

    /// The rows that may count at some instant (up to `latest_ns`, where it is given), with the columns `columns` (indices into
    /// [`Log::schema`]) under the qualifier `name`, then [`FROM`] and perhaps [`UNTIL`], unqualified.
    ///
    /// # Errors
    /// Only where a plan can't be built, which is a defect.
    pub fn live(
        &self,
        name: &TableReference,
        columns: &[usize],
        latest_ns: Option<i64>,
        redelivery: Redelivery,
    ) -> DfResult<LogicalPlan> {
        let hidden: &[&str] = if self.has_until() { &[FROM, UNTIL] } else { &[FROM] };
        let picked = columns.iter().map(|&i| {
            let field = self.schema.field(i).name();
            Expr::Column(Column::new_unqualified(field)).alias_qualified(Some(name.clone()), field)
        });
        let hidden = hidden.iter().map(|h| Expr::Column(Column::new_unqualified(*h)));
        let counted = match redelivery {
            Redelivery::ByTime if self.can_pass() => self.first_arrivals(columns, latest_ns)?,
            _ => self.counted(columns, latest_ns)?,
        };
        counted.project(picked.chain(hidden).collect::<Vec<_>>())?.build()
    }

    /// Whether redelivered rows can be told by their ids' hashes, and each id's row is the same at every instant.
    fn can_pass(&self) -> bool {
        let plain = |id: &String| self.schema.field_with_name(id).is_ok_and(|f| is_plain_id(f.data_type()));
        !self.config.id.is_empty() && !self.has_until() && self.config.id.iter().all(plain)
    }

    /// As [`Log::counted`], without a sort and without columns that are only read to tell tied rows apart.
    fn first_arrivals(&self, columns: &[usize], latest_ns: Option<i64>) -> DfResult<LogicalPlanBuilder> {
        let raw_schema = self.raw();
        let scan =
            || LogicalPlanBuilder::scan(RAW, self.raw_source(), None)?.filter(self.reachable(&raw_schema, latest_ns));
        let index = |name: &String| self.schema.index_of(name);
        let ids = self.config.id.iter().map(index).collect::<Result<Vec<usize>, _>>()?;
        let mut order = vec![self.available_at().to_string(), self.config.time.clone()];
        order.dedup();
        let times = order.iter().map(index).collect::<Result<Vec<usize>, _>>()?;
        let needed: BTreeSet<usize> = columns.iter().chain(&ids).chain(&times).copied().collect();
        let mut exprs: Vec<Expr> = needed.iter().map(|&i| self.canonical(i)).collect();
        exprs.push(self.from().alias(FROM));
        let rows = scan()?.project(exprs)?.build()?;
        let known = self.repeats.get().map(|r| Known(Arc::clone(r)));
        let all = match known {
            Some(_) => {
                let id = |&i: &usize| cast(lit(ScalarValue::Null), self.schema.field(i).data_type().clone());
                let named = ids.iter().map(|i| id(i).alias(self.schema.field(*i).name()));
                LogicalPlanBuilder::empty(false).project(named.collect::<Vec<_>>())?
            }
            None => scan()?.project(self.ids()?)?,
        };
        let spec = FirstArrivalSpec { ids: self.config.id.clone(), order, rows: self.rows_held(), known };
        Ok(LogicalPlanBuilder::from(FirstArrival::plan(all.build()?, rows, spec)))
    }

    /// The canonical id columns.
    fn ids(&self) -> DfResult<Vec<Expr>> {
        self.config.id.iter().map(|id| Ok(self.canonical(self.schema.index_of(id)?))).collect()
    }

    /// Canonical columns with the hidden ones, redelivery and versions resolved. Columns may be more than asked for.
    fn counted(&self, columns: &[usize], latest_ns: Option<i64>) -> DfResult<LogicalPlanBuilder> {
        let raw_schema = self.raw();
        let source = self.raw_source();
        let scan = LogicalPlanBuilder::scan(RAW, source, None)?.filter(self.reachable(&raw_schema, latest_ns))?;
        let ordered = !self.config.id.is_empty();
        // Ties between rows with one id are decided by all their values: then all columns are needed.
        let needed: Vec<usize> = if ordered { (0..self.schema.fields().len()).collect() } else { columns.to_vec() };
        let mut exprs: Vec<Expr> = needed.iter().map(|&i| self.canonical(i)).collect();
        exprs.push(self.from().alias(FROM));
        let plan = scan.project(exprs)?;
        if !ordered {
            return Ok(plan);
        }
        let ids: Vec<Expr> = self.config.id.iter().map(|id| Expr::Column(Column::new_unqualified(id))).collect();
        let unknown = ids.iter().cloned().map(Expr::is_null).reduce(Expr::or).unwrap_or_else(|| lit(false));
        let order = self.order();
        let plan = if self.has_until() {
            let ended = Expr::from(WindowFunction::new(min_udaf(), vec![Expr::Column(Column::new_unqualified(FROM))]))
                .partition_by(ids)
                .order_by(order)
                .window_frame(WindowFrame::new_bounds(
                    WindowFrameUnits::Rows,
                    WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
                    WindowFrameBound::Preceding(ScalarValue::UInt64(Some(1))),
                ))
                .build()?;
            let name = ended.schema_name().to_string();
            let until = when(unknown, lit(ScalarValue::Int64(None)))
                .otherwise(Expr::Column(Column::new_unqualified(name)))?
                .alias(UNTIL);
            let all = self.schema.fields().iter().map(|f| Expr::Column(Column::new_unqualified(f.name())));
            let from = Expr::Column(Column::new_unqualified(FROM));
            plan.window(vec![ended])?.project(all.chain([from, until]).collect::<Vec<_>>())?
        } else {
            let rank = row_number().partition_by(ids).order_by(order).build()?;
            let name = rank.schema_name().to_string();
            let first = Expr::Column(Column::new_unqualified(name)).eq(lit(1_u64));
            plan.window(vec![rank])?.filter(first.or(unknown))?
        };
        match &self.deleted {
            Some(deleted) => plan.filter(deleted.clone().is_not_true()),
            None => Ok(plan),
        }
    }

    /// Rows with both times, that arrive by `latest_ns` where it is given: what Parquet statistics can prune by.
    fn reachable(&self, raw: &Schema, latest_ns: Option<i64>) -> Expr {
        let available = raw_column(self.available_at());
        // Of two times, the one that is there would make the row count.
        let known = match self.available_at() == self.config.time {
            true => within_reach(available.clone().is_not_null()),
            false => raw_column(&self.config.time).is_not_null().and(available.clone().is_not_null()),
        };
        let (Ok(field), Some(latest_ns)) = (raw.field_with_name(self.available_at()), latest_ns) else { return known };
        let DataType::Timestamp(unit, zone) = field.data_type() else { return known };
        let local = zone.is_none() && self.config.timezone != Tz::UTC;
        let margin = if local { WIDEST_OFFSET_NS } else { 0 };
        let shift = if self.config.available_at.is_some() { 0 } else { self.config.delay_ns };
        let bound = ticks_until(latest_ns.saturating_sub(shift).saturating_add(margin), *unit);
        known.and(within_reach(available.lt_eq(lit(timestamp(*unit, bound, zone.clone())))))
    }

    /// Whether each row counts or not whatever the others are, and is read from the files.
    pub fn is_plain(&self) -> bool {
        self.config.kind == SourceKind::Log
            && self.config.id.is_empty()
            && self.deleted.is_none()
            && self.rows.is_none()
    }

    /// Events from an instant on; perhaps some before it.
    fn since(&self, raw: &Schema, earliest_ns: i64) -> Option<Expr> {
        let DataType::Timestamp(unit, zone) = raw.field_with_name(&self.config.time).ok()?.data_type() else {
            return None;
        };
        let bound = ticks_until(earliest_ns.saturating_sub(WIDEST_OFFSET_NS), *unit);
        Some(raw_column(&self.config.time).gt_eq(lit(timestamp(*unit, bound, zone.clone()))))
    }

    /// For each row group: the least and the most event time in it, and its rows; `None` where footers don't say.
    pub fn event_spans(&self) -> Option<Vec<(i64, i64, u64)>> {
        let spans = self.table.spans(&self.config.time)?;
        let margin = if self.config.timezone == Tz::UTC { 0 } else { WIDEST_OFFSET_NS };
        let wide = |(low, high, rows): (i64, i64, u64)| (low.saturating_sub(margin), high.saturating_add(margin), rows);
        Some(spans.into_iter().map(wide).collect())
    }

    /// The first instant at which a row is visible.
    fn from(&self) -> Expr {
        let tie = i64::from(self.exclusive);
        let shift = if self.config.available_at.is_some() { 0 } else { self.config.delay_ns };
        let arrival = instant_ns(self.instant(self.available_at()), shift.saturating_add(tie));
        if self.config.future_events == FutureEvents::Hidden {
            let event = instant_ns(self.instant(&self.config.time), 0);
            return datafusion::functions::core::expr_fn::greatest(vec![arrival, event]);
        }
        arrival
    }

    /// The order in which rows with one id win: the first is the one that counts.
    fn order(&self) -> Vec<SortExpr> {
        let exact = |name: &str| Expr::Column(Column::new_unqualified(name));
        let values = order_key(self.schema.fields().iter().map(|f| exact(f.name())).collect());
        let (event, available) = (exact(&self.config.time), exact(self.available_at()));
        match self.config.kind {
            SourceKind::Log => [available, event, values].map(|e| e.sort(true, true)).to_vec(),
            SourceKind::Changelog => [event, available, values].map(|e| e.sort(false, false)).to_vec(),
        }
    }

    /// A raw time column as an instant.
    fn instant(&self, name: &str) -> Expr {
        let index = self.schema.index_of(name).unwrap_or_default();
        self.instant_of(index)
    }

    fn instant_of(&self, index: usize) -> Expr {
        let raw = self.raw();
        let (from, to) = (raw.field(index), self.schema.field(index));
        let column = raw_column(from.name());
        match (from.data_type(), to.data_type()) {
            (DataType::Timestamp(_, None), DataType::Timestamp(_, Some(_))) if self.config.timezone != Tz::UTC => {
                local_to_utc(column, self.config.timezone)
            }
            (a, b) if a != b => cast(column, b.clone()),
            _ => column,
        }
    }

    fn canonical(&self, index: usize) -> Expr {
        self.instant_of(index).alias(self.schema.field(index).name())
    }

    pub fn has_deleted(&self) -> bool {
        self.deleted.is_some()
    }

    /// What `deleted` means, over the canonical columns.
    pub fn deleted(&self) -> Option<&Expr> {
        self.deleted.as_ref()
    }

    /// For each row group: an instant before which none of its rows arrived, and its rows; `None` where footers don't say.
    pub fn arrivals(&self) -> Option<Vec<(i64, u64)>> {
        let starts = self.table.starts(self.available_at())?;
        let shift = if self.config.available_at.is_some() { 0 } else { self.config.delay_ns };
        let margin = if self.config.timezone == Tz::UTC { 0 } else { WIDEST_OFFSET_NS };
        Some(starts.into_iter().map(|(at, rows)| (at.saturating_add(shift).saturating_sub(margin), rows)).collect())
    }

    /// Whether an event known at exactly T is visible at T.
    pub fn ties(&self) -> Tie {
        if self.exclusive { Tie::Exclude } else { Tie::Include }
    }

    /// The rows as they are, redelivered ones and old versions too, that arrive by `latest_ns` where it is given: the columns `columns`
    /// (indices into [`Log::schema`]), then event time and arrival in nanoseconds since 1970, then, where the source has
    /// `deleted`, whether it holds.
    ///
    /// # Errors
    /// Only where a plan can't be built, which is a defect.
    pub fn raw_rows(&self, columns: &[usize], latest_ns: Option<i64>) -> DfResult<LogicalPlan> {
        self.raw_rows_of(columns, latest_ns, None, None)
    }

    /// As [`Log::raw_rows`], perhaps without events before `earliest_ns`, and rows for which `keep` does not hold: a condition over
    /// the columns of [`Log::schema`].
    ///
    /// # Errors
    /// Only where a plan can't be built, which is a defect.
    pub fn raw_rows_of(
        &self,
        columns: &[usize],
        latest_ns: Option<i64>,
        earliest_ns: Option<i64>,
        keep: Option<&Expr>,
    ) -> DfResult<LogicalPlan> {
        let raw_schema = self.raw();
        let source = self.raw_source();
        let shift = if self.config.available_at.is_some() { 0 } else { self.config.delay_ns };
        let mut exprs: Vec<Expr> = columns.iter().map(|&i| self.canonical(i)).collect();
        exprs.push(instant_ns(self.instant(&self.config.time), 0).alias("__backcast_event"));
        exprs.push(instant_ns(self.instant(self.available_at()), shift).alias("__backcast_available"));
        let since = earliest_ns.and_then(|earliest| self.since(&raw_schema, earliest));
        let keep = keep.and_then(|keep| raw_condition(keep, &raw_schema, &self.schema));
        let wanted = [since, keep].into_iter().flatten();
        let rows = LogicalPlanBuilder::scan(RAW, source, None)?
            .filter(wanted.fold(self.reachable(&raw_schema, latest_ns), Expr::and))?
            .project(exprs)?;
        match &self.deleted {
            Some(deleted) => {
                let all = rows.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
                let deleted = cast(deleted.clone(), DataType::Boolean).alias("__backcast_deleted");
                rows.project(all.into_iter().chain([deleted]).collect::<Vec<_>>())?.build()
            }
            None => rows.build(),
        }
    }

    /// As [`Log::raw_rows`], the rows that `keep` takes (a condition over the columns of [`Log::schema`], unqualified), also those
    /// without times; near the given times where that is told. Then one more column, `Boolean`: whether `keep` holds.
    ///
    /// # Errors
    /// Only where a plan can't be built, which is a defect.
    pub fn rows_about(&self, columns: &[usize], keep: &Expr, near: Option<Near>) -> DfResult<LogicalPlan> {
        let raw_schema = TableProvider::schema(self.table.as_ref());
        let source = provider_as_source(Arc::clone(&self.table) as _);
        let shift = if self.config.available_at.is_some() { 0 } else { self.config.delay_ns };
        let scan = LogicalPlanBuilder::scan(RAW, source, None)?;
        let scan = match near.and_then(|near| self.near(&raw_schema, near)) {
            Some(near) => scan.filter(near)?,
            None => scan,
        };
        // The condition may name columns that are not asked for: all are there while it is looked at.
        let all: Vec<Expr> = (0..self.schema.fields().len()).map(|i| self.canonical(i)).collect();
        let times = [
            instant_ns(self.instant(&self.config.time), 0).alias("__backcast_event"),
            instant_ns(self.instant(self.available_at()), shift).alias("__backcast_available"),
        ];
        let rows = scan.project(all.into_iter().chain(times).collect::<Vec<_>>())?;
        let own = |i: &usize| Expr::Column(Column::new_unqualified(self.schema.field(*i).name()));
        let hidden = ["__backcast_event", "__backcast_available"].map(|n| Expr::Column(Column::new_unqualified(n)));
        let deleted = self.deleted.as_ref().map(|d| cast(d.clone(), DataType::Boolean).alias("__backcast_deleted"));
        let kept = keep.clone().is_true().alias("__backcast_kept");
        rows.project(columns.iter().map(own).chain(hidden).chain(deleted).chain([kept]).collect::<Vec<_>>())?.build()
    }

    /// What statistics can prune by; `None` where a time column has no unit to compare in.
    fn near(&self, raw: &Schema, near: Near) -> Option<Expr> {
        let at = |name: &str, instant: i64| -> Option<Expr> {
            let DataType::Timestamp(unit, zone) = raw.field_with_name(name).ok()?.data_type() else { return None };
            Some(lit(timestamp(*unit, ticks_until(instant, *unit), zone.clone())))
        };
        // Local times are off by less than a day and a half, coarse units by less than a second.
        let margin = WIDEST_OFFSET_NS;
        let shift = if self.config.available_at.is_some() { 0 } else { self.config.delay_ns };
        let (time, available) = (self.config.time.as_str(), self.available_at());
        let by = raw_column(time).lt_eq(at(time, near.latest_ns.saturating_add(margin))?);
        let seen = near.seen_ns.saturating_sub(shift).saturating_add(margin);
        let mut expr = by.or(raw_column(available).lt_eq(at(available, seen)?));
        if let Some(earliest) = near.earliest_ns {
            expr = expr.and(raw_column(time).gt_eq(at(time, earliest.saturating_sub(margin))?));
        }
        Some(expr.or(raw_column(time).is_null()))
    }

    /// Whether ids can be looked up by `=`: equal ids have equal bytes.
    pub fn has_plain_ids(&self) -> bool {
        let plain = |id: &String| self.schema.field_with_name(id).is_ok_and(|f| is_plain_id(f.data_type()));
        self.config.id.iter().all(plain)
    }

    /// What [`Log::counts`] counts, from the footers alone: `None` where they don't say.
    pub fn footer_counts(&self) -> Option<LogCounts> {
        let nulls = |name: &str| self.table.null_count(name);
        let (time, arrival) = (nulls(&self.config.time)?, nulls(self.available_at())?);
        // A row with both times NULL counts once: only where one column has none is the sum known.
        let null_times = if self.config.available_at.is_none() || arrival == 0 {
            time
        } else if time == 0 {
            arrival
        } else {
            return None;
        };
        let ids = self.config.id.iter().map(|id| nulls(id)).collect::<Option<Vec<_>>>()?;
        let null_ids = match ids.as_slice() {
            [] => 0,
            [one] => *one,
            several if several.iter().all(|n| *n == 0) => 0,
            _ => return None,
        };
        Some(LogCounts { rows: self.table.rows(), null_times, null_ids })
    }

    /// One row of counts over the whole log: `rows`, `null_times`, `null_ids`, all `Int64`.
    ///
    /// # Errors
    /// Only where a plan can't be built, which is a defect.
    pub fn counts(&self) -> DfResult<LogicalPlan> {
        use datafusion::functions_aggregate::expr_fn::count;
        let null = |name: &str| raw_column(name).is_null();
        let timeless = null(&self.config.time).or(null(self.available_at()));
        let idless = self.config.id.iter().map(|id| null(id)).reduce(Expr::or).unwrap_or_else(|| lit(false));
        let source = self.raw_source();
        LogicalPlanBuilder::scan(RAW, source, None)?
            .aggregate(
                Vec::<Expr>::new(),
                vec![
                    count(lit(1)).alias("rows"),
                    count(lit(1)).filter(timeless).build()?.alias("null_times"),
                    count(lit(1)).filter(idless).build()?.alias("null_ids"),
                ],
            )?
            .build()
    }

    /// Whether some row with times repeats the id of another; `None` where that was not found out.
    pub fn redelivers(&self) -> Option<bool> {
        self.repeats.get().map(|repeats| repeats.rows() > 0)
    }

    /// Whether some row of a log may have the id of another, for all that is known without its rows.
    pub fn may_redeliver(&self) -> bool {
        self.config.kind == SourceKind::Log && !self.config.id.is_empty() && self.redelivers() != Some(false)
    }

    /// How many rows repeat the id of another. What is found out about the ids is kept for [`Log::live`].
    ///
    /// # Errors
    /// What reading meets.
    pub async fn redelivered(&self, session: &SessionContext) -> DfResult<u64> {
        let time = [self.config.time.as_str(), self.available_at()];
        let timeless = time.iter().any(|name| self.table.null_count(name) != Some(0));
        let mut rows = LogicalPlanBuilder::scan(RAW, self.raw_source(), None)?;
        if timeless {
            rows = rows.filter(raw_column(time[0]).is_not_null().and(raw_column(time[1]).is_not_null()))?;
        }
        if !self.can_pass() {
            return count_repeated(rows.project(self.ids()?)?, &self.config.id, session).await;
        }
        let plan = rows.project(self.ids()?)?.build()?;
        let read = || async {
            let ids = session.execute_logical_plan(plan).await?.create_physical_plan().await?;
            Ok(Arc::new(read_ids(&ids, &self.config.id, self.table.rows(), &session.task_ctx()).await?))
        };
        let repeats: DfResult<&Arc<Repeats>> = self.repeats.get_or_try_init(read).await;
        Ok(repeats?.rows())
    }
}

/// Times of rows to look at, nanoseconds since 1970; a reading may be wider, never narrower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Near {
    /// Event time is not before this.
    pub earliest_ns: Option<i64>,
    /// Event time is not after this, unless the row had arrived by `seen_ns`.
    pub latest_ns: i64,
    pub seen_ns: i64,
}

/// How many rows repeat the id of another, by an aggregate: for ids whose bytes say too little.
async fn count_repeated(rows: LogicalPlanBuilder, names: &[String], session: &SessionContext) -> DfResult<u64> {
    use datafusion::functions_aggregate::expr_fn::{count, sum};
    let ids: Vec<Expr> = names.iter().map(|id| Expr::Column(Column::new_unqualified(id))).collect();
    let known = ids.iter().cloned().map(Expr::is_not_null).reduce(Expr::and).unwrap_or_else(|| lit(true));
    let plan = rows
        .filter(known)?
        .aggregate(ids, vec![count(lit(1)).alias("copies")])?
        .aggregate(Vec::<Expr>::new(), vec![sum(Expr::Column(Column::new_unqualified("copies")) - lit(1_i64))])?
        .build()?;
    let batches = session.execute_logical_plan(plan).await?.collect().await?;
    let count = batches.iter().find(|b| b.num_rows() > 0).map(|b| b.column(0).as_primitive::<Int64Type>());
    Ok(count.filter(|c| c.is_valid(0)).and_then(|c| u64::try_from(c.value(0)).ok()).unwrap_or(0))
}

/// Rows of a log, and those that lack something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCounts {
    pub rows: u64,
    /// Event time or arrival is NULL: never visible.
    pub null_times: u64,
    /// A part of the id is NULL.
    pub null_ids: u64,
}

fn raw_column(name: &str) -> Expr {
    Expr::Column(Column::new(Some(RAW), name))
}

/// A condition over columns of a log as one over the files'; `None` where these have other types.
fn raw_condition(condition: &Expr, raw: &Schema, canonical: &Schema) -> Option<Expr> {
    let same = |name: &str| {
        let data_type = |schema: &Schema| schema.field_with_name(name).ok().map(|f| f.data_type().clone());
        data_type(raw).is_some_and(|t| Some(t) == data_type(canonical))
    };
    if !condition.column_refs().iter().all(|column| same(&column.name)) {
        return None;
    }
    let named = condition.clone().transform_up(|e| {
        Ok(match e {
            Expr::Column(column) => Transformed::yes(raw_column(&column.name)),
            other => Transformed::no(other),
        })
    });
    named.data().ok()
}

fn canonical_field(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, Some("UTC".into())),
        other => other.clone(),
    };
    Field::new(field.name(), data_type, field.is_nullable())
}

/// A timestamp literal of `ticks` of `unit`.
pub fn timestamp(unit: TimeUnit, ticks: i64, zone: Option<Arc<str>>) -> ScalarValue {
    match unit {
        TimeUnit::Second => ScalarValue::TimestampSecond(Some(ticks), zone),
        TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(Some(ticks), zone),
        TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(ticks), zone),
        TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(Some(ticks), zone),
    }
}
