//! The rows of a source that label rows of a sample can read, as they are in its files.
//!
//! Where the plan says by which keys it reads a source, only rows of the sample's keys are held, and rows that share an id
//! with one of them: which of several redeliveries counts must not depend on what is held.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::{cast, concat_batches, filter, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, DFSchema, HashMap, HashSet};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use crate::cause::candidates::FINEST_TILE;
use crate::cause::slots::SlotTable;
use crate::config::SourceKind;
use crate::source::time::{instants_ns, plain_instants};
use crate::source::{Log, is_asked_for, orderable, plain_type};

/// Which rows of a source a plan reads.
#[derive(Debug, Clone, Default)]
pub(super) enum Reach {
    #[default]
    All,
    /// Those for which one of these holds.
    Asked(Vec<Expr>),
}

impl Reach {
    /// The columns that have to equal a label's keys, in their order, where that is all there is to it.
    pub(super) fn keys(&self, count: usize) -> Option<Vec<String>> {
        let Self::Asked(all) = self else { return None };
        let [one] = all.as_slice() else { return None };
        let mut keys = None;
        for part in split_conjunction(one) {
            if is_asked_for(part)
                && let Expr::ScalarFunction(call) = part
            {
                let columns = call.args.iter().map(|arg| match arg {
                    Expr::Column(column) => Some(column.name.clone()),
                    _ => None,
                });
                keys = columns.collect::<Option<Vec<_>>>();
            }
        }
        keys.filter(|keys| keys.len() == count)
    }
}

/// By source, what a rewritten plan over [`SlotTable`]s reads.
pub(super) fn reaches(plan: &LogicalPlan) -> BTreeMap<usize, Reach> {
    let mut found = BTreeMap::new();
    let mut todo: Vec<(&LogicalPlan, Option<Expr>)> = vec![(plan, None)];
    while let Some((node, asked)) = todo.pop() {
        let asked = match node {
            LogicalPlan::Filter(filter) if is_asked_for(&filter.predicate) => {
                let mut conditions = vec![filter.predicate.clone()];
                // The range of the keys stands right below.
                let columns = filter.predicate.column_refs();
                let mut below = filter.input.as_ref();
                while let LogicalPlan::Filter(range) = below
                    && !range.predicate.column_refs().is_empty()
                    && range.predicate.column_refs().is_subset(&columns)
                {
                    conditions.push(range.predicate.clone());
                    below = range.input.as_ref();
                }
                conjunction(conditions)
            }
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source).ok();
                let table =
                    provider.as_ref().and_then(|p| (p.as_ref() as &dyn std::any::Any).downcast_ref::<SlotTable>());
                if let Some(table) = table {
                    let reach = found.entry(table.source).or_insert_with(|| Reach::Asked(Vec::new()));
                    match (asked.and_then(|a| bare(a, &table.schema)), reach) {
                        (Some(asked), Reach::Asked(all)) => {
                            if !all.contains(&asked) {
                                all.push(asked);
                            }
                        }
                        (_, reach) => *reach = Reach::All,
                    }
                }
                continue;
            }
            // Two sides of a join are two sources; a filter on one says nothing of the other.
            _ if node.inputs().len() > 1 && !matches!(node, LogicalPlan::Extension(_)) => None,
            _ => asked,
        };
        todo.extend(node.inputs().into_iter().map(|input| (input, asked.clone())));
    }
    found
}

/// The condition over the columns of the files, where they are what the plan has under their names.
fn bare(asked: Expr, schema: &SchemaRef) -> Option<Expr> {
    let as_in_files = |c: &&Column| {
        schema.field_with_name(&c.name).is_ok_and(|f| !matches!(f.data_type(), DataType::Timestamp(_, _)))
    };
    if !asked.column_refs().iter().all(as_in_files) {
        return None;
    }
    Some(unnormalize_col(asked))
}

/// What all of a source's rows say about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// How late rows arrived, in order, NULLs left out.
    pub lateness: Vec<i64>,
    /// The id of a row is that of another.
    pub redelivered: bool,
    /// Rows are equal in everything but their arrival.
    pub copies: bool,
    /// Some event is exactly where a tile of five minutes starts.
    pub on_tiles: bool,
}

/// A source's rows, with their times.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub rows: RecordBatch,
    pub event: Int64Array,
    /// When each could first be known; NULL: never.
    pub arrival: Int64Array,
    /// Where the source has no id: false for what equals an earlier row in all but its arrival.
    pub original: Option<BooleanArray>,
    /// Rows that share an id with others, by id; those of one id in the order in which the first counts where they arrive at once.
    repeated: Arc<Vec<Vec<u32>>>,
    pub facts: Arc<Facts>,
}

/// Whether two sources are the same rows of the same files.
pub(super) fn same_files(a: &Log, b: &Log) -> bool {
    a.config.uri == b.config.uri && TableProvider::schema(a.table.as_ref()) == TableProvider::schema(b.table.as_ref())
}

/// More than was to be held.
#[derive(Debug)]
pub(super) struct TooLarge;

/// All rows of a source's files; `None` where they take more than `most` bytes.
///
/// # Errors
/// As reading the files.
pub(super) async fn all_rows(log: &Log, most: u64, session: &SessionContext) -> DfResult<Option<RecordBatch>> {
    let batches = collect(log, None, None, most, session).await?;
    let schema = TableProvider::schema(log.table.as_ref());
    batches.map(|batches| Ok(concat_batches(&schema, &batches)?)).transpose()
}

impl Held {
    /// The rows within reach, where they take no more than `most` bytes.
    ///
    /// # Errors
    /// As reading the source's files.
    pub(super) async fn read(
        log: &Log,
        reach: &Reach,
        most: u64,
        session: &SessionContext,
    ) -> DfResult<Result<Self, TooLarge>> {
        let schema = TableProvider::schema(log.table.as_ref());
        let wanted = match reach {
            Reach::All => None,
            Reach::Asked(all) => all.iter().cloned().reduce(Expr::or),
        };
        let Some(mut batches) = collect(log, wanted.clone(), None, most, session).await? else {
            return Ok(Err(TooLarge));
        };
        if let Some(wanted) = wanted
            && !log.config.id.is_empty()
            && log.redelivers() != Some(false)
        {
            let ids = Ids::of(&batches, log)?;
            let own = physical(&wanted, &schema, &session.state())?;
            let used: u64 = batches.iter().map(|b| b.get_array_memory_size() as u64).sum();
            let others = Others { ids, own };
            let left = most.saturating_sub(used);
            let Some(others) = collect(log, None, Some(&others), left, session).await? else {
                return Ok(Err(TooLarge));
            };
            batches.extend(others);
        }
        let rows = concat_batches(&schema, &batches)?;
        Self::new(log, rows).map(Ok)
    }

    /// What rows of the source's files, all or some, tell.
    ///
    /// # Errors
    /// Where a column can't be rebuilt.
    pub(super) fn new(log: &Log, rows: RecordBatch) -> DfResult<Self> {
        let (event, arrival) = times(log, &rows)?;
        let mut held = Self { rows, event, arrival, original: None, repeated: Arc::default(), facts: Arc::default() };
        let late = held.event.iter().zip(held.arrival.iter());
        let mut lateness: Vec<i64> = late.filter_map(|(e, a)| Some(a?.saturating_sub(e?))).collect();
        lateness.sort_unstable();
        if log.may_redeliver() {
            held.repeated = Arc::new(held.deliveries(log)?);
        } else if log.config.kind == SourceKind::Log && log.config.id.is_empty() {
            let arrival = log.config.available_at.as_deref();
            let schema = held.rows.schema();
            let names = schema.fields().iter().map(|f| f.name().clone()).filter(|n| Some(n.as_str()) != arrival);
            let copies = held.groups(&held.columns(&names.collect::<Vec<_>>()))?;
            if !copies.is_empty() {
                let mut original = vec![true; held.rows.num_rows()];
                for copies in &copies {
                    copies.iter().for_each(|row| original[*row as usize] = false);
                    let first = copies.iter().min_by_key(|row| (held.arrival.value(**row as usize), **row));
                    first.iter().for_each(|row| original[**row as usize] = true);
                }
                held.original = Some(BooleanArray::from(original));
            }
        }
        held.facts = Arc::new(Facts {
            lateness,
            redelivered: !held.repeated.is_empty(),
            copies: held.original.is_some(),
            on_tiles: held.event.iter().flatten().any(|time| time % FINEST_TILE == 0),
        });
        Ok(held)
    }

    pub(super) fn columns(&self, names: &[String]) -> Vec<ArrayRef> {
        names.iter().filter_map(|name| self.rows.column_by_name(name).cloned()).collect()
    }

    /// Rows with both times that are equal in these columns, where there are several.
    fn groups(&self, columns: &[ArrayRef]) -> DfResult<Vec<Vec<u32>>> {
        let encoded = Encoded::new(columns)?;
        let mut first: HashMap<&[u8], u32> = HashMap::with_capacity(self.rows.num_rows());
        let mut several: HashMap<u32, Vec<u32>> = HashMap::new();
        for row in 0..u32::try_from(self.rows.num_rows()).unwrap_or(u32::MAX) {
            let at = row as usize;
            if self.event.is_null(at) || self.arrival.is_null(at) {
                continue;
            }
            let kept = *first.entry(encoded.rows.row(at).data()).or_insert(row);
            if kept != row {
                several.entry(kept).or_insert_with(|| vec![kept]).push(row);
            }
        }
        let mut several: Vec<Vec<u32>> = several.into_values().collect();
        several.sort_unstable();
        Ok(several)
    }

    /// Rows with one id, where there are several. A NULL in it is nobody's.
    fn deliveries(&self, log: &Log) -> DfResult<Vec<Vec<u32>>> {
        let ids = self.columns(&log.config.id);
        let mut all = self.groups(&ids)?;
        let nulls: Vec<_> = ids.iter().filter_map(|id| id.logical_nulls()).collect();
        all.retain(|rows| rows.iter().all(|row| nulls.iter().all(|nulls| nulls.is_valid(*row as usize))));
        let mut canonical = Vec::new();
        for column in self.rows.columns() {
            let naive = matches!(column.data_type(), DataType::Timestamp(_, None));
            canonical.push(if naive { plain_instants(column, log.config.timezone)? } else { Arc::clone(column) });
        }
        let values = if all.is_empty() { None } else { Some(Encoded::new(&canonical)?) };
        if let Some(values) = values {
            all.iter_mut().for_each(|rows| rows.sort_by_key(|row| values.rows.row(*row as usize)));
        }
        Ok(all)
    }

    /// When rows arrive, NULL where one with the same id arrived before: of those that arrive at once the one with the earlier event time
    /// counts, then by its other values.
    pub(super) fn first_deliveries(&self, event: &Int64Array, arrival: &Int64Array) -> Int64Array {
        if self.repeated.is_empty() {
            return arrival.clone();
        }
        let mut arrivals: Vec<Option<i64>> = arrival.iter().collect();
        for rows in self.repeated.iter() {
            for row in later(rows, event, arrival) {
                arrivals[row as usize] = None;
            }
        }
        Int64Array::from(arrivals)
    }

    /// Rows that deliver again what had arrived before.
    pub(super) fn repeats(&self) -> HashSet<u32> {
        self.repeated.iter().flat_map(|rows| later(rows, &self.event, &self.arrival)).collect()
    }

    /// Rows of which these repeat each other's ids.
    #[cfg(test)]
    pub(super) fn of(rows: RecordBatch, event: Int64Array, arrival: Int64Array, repeated: Vec<Vec<u32>>) -> Self {
        Self { rows, event, arrival, original: None, repeated: Arc::new(repeated), facts: Arc::default() }
    }

    /// The rows that are `kept`, and what shares an id with one of them.
    ///
    /// # Errors
    /// Only where Arrow can't filter a column, which is a defect.
    pub(super) fn kept(&self, mut kept: Vec<bool>) -> DfResult<Self> {
        for rows in self.repeated.iter() {
            if rows.iter().any(|row| kept[*row as usize]) {
                rows.iter().for_each(|row| kept[*row as usize] = true);
            }
        }
        let mask = BooleanArray::from(kept);
        let numbers = |array: &Int64Array| -> DfResult<Int64Array> {
            Ok(filter(array, &mask)?.as_primitive::<Int64Type>().clone())
        };
        let original = self.original.as_ref().map(|o| filter(o, &mask)).transpose()?;
        let mut next = 0;
        let number = |kept| {
            next += u32::from(kept);
            next - u32::from(kept)
        };
        let numbered: Vec<u32> = mask.values().iter().map(number).collect();
        let whole = self.repeated.iter().filter(|rows| rows.iter().all(|row| mask.value(*row as usize)));
        let repeated = whole.map(|rows| rows.iter().map(|row| numbered[*row as usize]).collect());
        Ok(Self {
            rows: filter_record_batch(&self.rows, &mask)?,
            event: numbers(&self.event)?,
            arrival: numbers(&self.arrival)?,
            original: original.map(|o| o.as_boolean().clone()),
            repeated: Arc::new(repeated.collect()),
            facts: Arc::clone(&self.facts),
        })
    }
}

/// Of rows with one id those that are not the first to arrive; all of them may never arrive.
fn later<'a>(rows: &'a [u32], event: &Int64Array, arrival: &Int64Array) -> impl Iterator<Item = u32> + 'a {
    let time = |times: &Int64Array, row: u32| times.is_valid(row as usize).then(|| times.value(row as usize));
    let arrived = rows.iter().filter(|row| time(arrival, **row).is_some());
    let first = arrived.min_by_key(|row| (time(arrival, **row), time(event, **row))).copied();
    rows.iter().copied().filter(move |row| Some(*row) != first)
}

/// Event times and arrivals, nanoseconds since 1970.
///
/// # Errors
/// Where the configured columns are no timestamps.
pub(super) fn times(log: &Log, rows: &RecordBatch) -> DfResult<(Int64Array, Int64Array)> {
    let time_of = |name: &str, shift: i64| -> DfResult<Int64Array> {
        let column = rows.column(rows.schema().index_of(name)?);
        Ok(instants_ns(&plain_instants(column, log.config.timezone)?, shift)?)
    };
    let arrival = match &log.config.available_at {
        Some(name) => time_of(name, 0)?,
        None => time_of(&log.config.time, log.config.delay_ns)?,
    };
    Ok((time_of(&log.config.time, 0)?, arrival))
}

/// Rows with an id that is held, though their keys are not.
struct Others {
    ids: Ids,
    own: Arc<dyn PhysicalExpr>,
}

/// Reads rows as they stream in; `None` where they take more than `most` bytes.
async fn collect(
    log: &Log,
    wanted: Option<Expr>,
    others: Option<&Others>,
    most: u64,
    session: &SessionContext,
) -> DfResult<Option<Vec<RecordBatch>>> {
    let mut frame = session.read_table(Arc::clone(&log.table) as _)?;
    if let Some(wanted) = wanted {
        frame = frame.filter(wanted)?;
    }
    let task = session.task_ctx();
    let mut stream = execute_stream(frame.create_physical_plan().await?, task)?;
    let (mut batches, mut used) = (Vec::new(), 0_u64);
    while let Some(mut batch) = stream.try_next().await? {
        if let Some(others) = others {
            let (own, known) = (holding(&others.own, &batch)?, others.ids.hold(&batch, log)?);
            let kept: Vec<bool> = own.iter().zip(&known).map(|(own, known)| !own && *known).collect();
            if !kept.contains(&true) {
                continue;
            }
            batch = filter_record_batch(&batch, &BooleanArray::from(kept))?;
        }
        used += batch.get_array_memory_size() as u64;
        if used > most {
            return Ok(None);
        }
        batches.push(batch);
    }
    Ok(Some(batches))
}

fn physical(expr: &Expr, schema: &SchemaRef, state: &SessionState) -> DfResult<Arc<dyn PhysicalExpr>> {
    state.create_physical_expr(expr.clone(), &DFSchema::try_from(Arc::clone(schema))?)
}

fn holding(condition: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> DfResult<Vec<bool>> {
    let held = condition.evaluate(rows)?.into_array(rows.num_rows())?;
    Ok(held.as_boolean().iter().map(|h| h == Some(true)).collect())
}

/// How many different keys there are.
///
/// # Errors
/// Keys that can't be compared.
pub(super) fn distinct(keys: &[ArrayRef]) -> DfResult<usize> {
    if keys.is_empty() {
        return Ok(1);
    }
    let encoded = Encoded::new(keys)?;
    let known: HashSet<&[u8]> = encoded.rows.iter().map(|row| row.data()).collect();
    Ok(known.len())
}

/// Values of columns as bytes that are equal where they are.
pub(super) struct Encoded {
    pub rows: datafusion::arrow::row::Rows,
}

impl Encoded {
    pub(super) fn new(columns: &[ArrayRef]) -> DfResult<Self> {
        let columns =
            columns.iter().map(|c| orderable(&cast(c, &plain_type(c.data_type()))?)).collect::<DfResult<Vec<_>>>()?;
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        Ok(Self { rows: RowConverter::new(fields)?.convert_columns(&columns)? })
    }
}

/// Ids of rows.
struct Ids(HashSet<Box<[u8]>>);

impl Ids {
    fn of(batches: &[RecordBatch], log: &Log) -> DfResult<Self> {
        let mut ids = HashSet::new();
        for batch in batches {
            let encoded = Self::encoded(batch, log)?;
            ids.extend(encoded.rows.iter().map(|row| Box::from(row.data())));
        }
        Ok(Self(ids))
    }

    fn encoded(batch: &RecordBatch, log: &Log) -> DfResult<Encoded> {
        let columns = log.config.id.iter().map(|id| Ok(Arc::clone(batch.column(batch.schema().index_of(id)?))));
        Encoded::new(&columns.collect::<DfResult<Vec<_>>>()?)
    }

    fn hold(&self, batch: &RecordBatch, log: &Log) -> DfResult<Vec<bool>> {
        Ok(Self::encoded(batch, log)?.rows.iter().map(|row| self.0.contains(row.data())).collect())
    }
}

/// The sources that a plan over markers reads, by number, each once.
pub(super) fn sources_of(plan: &LogicalPlan) -> Vec<usize> {
    let mut sources = Vec::new();
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            sources.extend(crate::analysis::marked_source(scan));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    sources.sort_unstable();
    sources.dedup();
    sources
}
