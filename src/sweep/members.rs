//! The events themselves, for functions that no cell can hold: DataFusion's own accumulators see what counts at a position.
//!
//! An event is listed at the O(log n) nodes of the tree that cover its interval, so memory is O(events log n), whatever the
//! windows. What counts at a position stands on the way from its leaf to the root. Time is that of the pairs, without a join.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::{concat, take};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{HashMap, ScalarValue, exec_datafusion_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::AggregateUDF;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use crate::source::orderable;
use crate::sweep::arena::{Arena, RowRef};
use crate::sweep::spec::{Argument, Call, Function, SweepSpec};
use crate::sweep::track::Interval;

/// Aggregate functions by name.
pub type Functions = HashMap<String, Arc<AggregateUDF>>;

/// Which events count at each node. A key with the positions `start..end` has the nodes `2 * start..2 * end`.
#[derive(Debug)]
pub(super) struct Members {
    rows: Vec<RowRef>,
    /// By node: the last entry of its list.
    heads: Vec<u32>,
    /// An event, and the entry before.
    entries: Vec<(u32, u32)>,
}

const END: u32 = u32::MAX;
/// Positions that one thread evaluates calls at, at least.
const MANY: usize = if cfg!(test) { 8 } else { 4096 };

impl Members {
    pub(super) fn new(positions: usize) -> Self {
        Self { rows: Vec::new(), heads: vec![END; 2 * positions], entries: Vec::new() }
    }

    pub(super) fn add(&mut self, at: Interval, row: RowRef) -> DfResult<()> {
        let too_many = |_| exec_datafusion_err!("a sweep holds over 2^32 events");
        let member = u32::try_from(self.rows.len()).map_err(too_many)?;
        self.rows.push(row);
        let (start, end) = at.key;
        let (base, leaves) = (2 * start as usize, (end - start) as usize);
        let (mut from, mut to) = ((at.from - start) as usize + leaves, (at.to - start) as usize + leaves);
        while from < to {
            if from % 2 == 1 {
                self.list(base + from, member)?;
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                self.list(base + to, member)?;
            }
            from /= 2;
            to /= 2;
        }
        Ok(())
    }

    fn list(&mut self, node: usize, member: u32) -> DfResult<()> {
        let entry = u32::try_from(self.entries.len()).ok().filter(|e| *e != END);
        let entry = entry.ok_or_else(|| exec_datafusion_err!("a sweep lists over 2^32 events"))?;
        self.entries.push((member, self.heads[node]));
        self.heads[node] = entry;
        Ok(())
    }

    /// The members at a position of a key, each once, in any order.
    fn at(&self, (start, end): (u32, u32), position: u32, found: &mut Vec<u32>) {
        found.clear();
        let mut node = (position - start + (end - start)) as usize;
        while node > 0 {
            let mut entry = self.heads[2 * start as usize + node];
            while entry != END {
                let (member, before) = self.entries[entry as usize];
                found.push(member);
                entry = before;
            }
            node /= 2;
        }
    }

    /// Bytes held beside the heads.
    pub(super) fn extra_size(&self) -> usize {
        self.rows.capacity() * size_of::<RowRef>() + self.entries.capacity() * 8
    }

    /// The values of `calls` at the positions `kept`, by call. Many positions, as those of a hot key, are shared out to `threads`.
    pub(super) fn values(
        &self,
        keys: &[(u32, u32)],
        kept: &[usize],
        arena: &Arena,
        calls: &[&CompiledCall],
        threads: usize,
    ) -> DfResult<Vec<ArrayRef>> {
        let prepared = calls.iter().map(|c| c.prepare(&self.rows, arena)).collect::<DfResult<Vec<_>>>()?;
        let share = kept.len().div_ceil(threads.max(1)).max(MANY);
        if kept.len() <= share {
            return self.part(keys, kept, &prepared);
        }
        let parts: Vec<DfResult<Vec<ArrayRef>>> = std::thread::scope(|scope| {
            let prepared = &prepared;
            let parts: Vec<_> =
                kept.chunks(share).map(|part| scope.spawn(move || self.part(keys, part, prepared))).collect();
            let ended = || Err(exec_datafusion_err!("a thread of a sweep ended"));
            parts.into_iter().map(|part| part.join().unwrap_or_else(|_| ended())).collect()
        });
        let parts = parts.into_iter().collect::<DfResult<Vec<_>>>()?;
        let call = |number: usize| {
            let arrays: Vec<&dyn Array> = parts.iter().map(|part| part[number].as_ref()).collect();
            Ok(concat(&arrays)?)
        };
        (0..calls.len()).map(call).collect()
    }

    /// The values at some positions, one after the other.
    fn part(&self, keys: &[(u32, u32)], kept: &[usize], calls: &[Prepared<'_>]) -> DfResult<Vec<ArrayRef>> {
        let mut values: Vec<Vec<ScalarValue>> = vec![Vec::with_capacity(kept.len()); calls.len()];
        let mut keys = keys.iter().copied().peekable();
        let (mut members, mut before) = (Vec::new(), None::<Vec<u32>>);
        for &position in kept {
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            while keys.next_if(|key| key.1 <= position).is_some() {}
            let key = *keys.peek().ok_or_else(|| exec_datafusion_err!("position {position} has no key"))?;
            self.at(key, position, &mut members);
            // Observers between two events see the same.
            let same = before.as_ref() == Some(&members);
            for (call, values) in calls.iter().zip(&mut values) {
                let value = match values.last().filter(|_| same) {
                    Some(last) => last.clone(),
                    None => call.evaluate(&members)?,
                };
                values.push(value);
            }
            if !same {
                before = Some(members.clone());
            }
        }
        calls.iter().zip(values).map(|(call, values)| call.finish(values)).collect()
    }
}

/// A call of an aggregate function over columns of an arena.
#[derive(Debug)]
pub(super) struct CompiledCall {
    expr: AggregateFunctionExpr,
    schema: SchemaRef,
}

impl CompiledCall {
    /// `columns`: the events' columns that are held.
    pub(super) fn new(
        call: &Call,
        name: &str,
        events: &SchemaRef,
        columns: &[usize],
        functions: &Functions,
    ) -> DfResult<Self> {
        let schema: SchemaRef =
            Arc::new(Schema::new(columns.iter().map(|&c| events.field(c).clone()).collect::<Vec<_>>()));
        let function = functions.get(&call.function).cloned();
        let function = function.ok_or_else(|| exec_datafusion_err!("no function `{}` is known", call.function))?;
        let column =
            |name: &str| -> DfResult<Arc<dyn PhysicalExpr>> { Ok(Arc::new(Column::new(name, schema.index_of(name)?))) };
        let argument = |a: &Argument| -> DfResult<Arc<dyn PhysicalExpr>> {
            Ok(match a {
                Argument::Column(name) => column(name)?,
                Argument::Literal { value, data_type } => Arc::new(Literal::new(literal(value, data_type)?)),
            })
        };
        let order = call.order.iter().map(|key| {
            let options =
                datafusion::arrow::compute::SortOptions { descending: key.descending, nulls_first: key.nulls_first };
            Ok(PhysicalSortExpr { expr: column(&key.event)?, options })
        });
        let arguments = call.arguments.iter().map(argument).collect::<DfResult<Vec<_>>>()?;
        let expr = AggregateExprBuilder::new(function, arguments)
            .order_by(order.collect::<DfResult<Vec<_>>>()?)
            .schema(Arc::clone(&schema))
            .alias(name)
            .with_ignore_nulls(call.ignore_nulls)
            .with_distinct(call.distinct)
            .build()?;
        Ok(Self { expr, schema })
    }

    fn prepare<'a>(&'a self, rows: &[RowRef], arena: &Arena) -> DfResult<Prepared<'a>> {
        let fields = self.schema.fields().iter().enumerate();
        let columns = fields.map(|(i, f)| arena.gather(i, f.data_type(), rows)).collect::<DfResult<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let schema: Vec<_> = self.schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(schema)), columns, &options)?;
        let array = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(&batch)?.into_array(rows.len());
        let order = self.expr.order_bys();
        let sorted = order.iter().map(|o| orderable(&array(&o.expr)?)).collect::<DfResult<Vec<_>>>()?;
        let mut ranks = Vec::new();
        if !sorted.is_empty() {
            let field =
                |(a, o): (&ArrayRef, &PhysicalSortExpr)| SortField::new_with_options(a.data_type().clone(), o.options);
            let converter = RowConverter::new(sorted.iter().zip(order).map(field).collect())?;
            let encoded = converter.convert_columns(&sorted)?;
            let mut by_rank: Vec<usize> = (0..rows.len()).collect();
            by_rank.sort_unstable_by(|&a, &b| encoded.row(a).cmp(&encoded.row(b)));
            ranks = vec![0_u32; rows.len()];
            for (rank, row) in by_rank.into_iter().enumerate() {
                ranks[row] = u32::try_from(rank).unwrap_or(u32::MAX);
            }
        }
        // As DataFusion's own operator does: the arguments, then the sort keys.
        let inputs = self.expr.expressions().into_iter().chain(order.iter().map(|o| Arc::clone(&o.expr)));
        let inputs = inputs.map(|e| array(&e)).collect::<DfResult<Vec<_>>>()?;
        Ok(Prepared { call: self, inputs, ranks })
    }
}

/// A call with the values of all members of a shard.
struct Prepared<'a> {
    call: &'a CompiledCall,
    inputs: Vec<ArrayRef>,
    /// By member, its place in the call's order; empty without one.
    ranks: Vec<u32>,
}

impl Prepared<'_> {
    fn evaluate(&self, members: &[u32]) -> DfResult<ScalarValue> {
        let mut rows = members.to_vec();
        if !self.ranks.is_empty() {
            rows.sort_unstable_by_key(|&m| self.ranks[m as usize]);
        }
        let rows = UInt32Array::from(rows);
        let mut accumulator = self.call.expr.create_accumulator()?;
        let taken = self.inputs.iter().map(|a| Ok(take(a, &rows, None)?)).collect::<DfResult<Vec<_>>>()?;
        accumulator.update_batch(&taken)?;
        accumulator.evaluate()
    }

    fn finish(&self, values: Vec<ScalarValue>) -> DfResult<ArrayRef> {
        if values.is_empty() {
            return Ok(datafusion::arrow::array::new_empty_array(self.call.expr.field().data_type()));
        }
        ScalarValue::iter_to_array(values)
    }
}

/// A constant from its text.
pub fn literal(value: &str, data_type: &str) -> DfResult<ScalarValue> {
    let data_type: DataType = data_type.parse().map_err(|e| exec_datafusion_err!("`{data_type}` is no type: {e}"))?;
    ScalarValue::try_from_string(value.to_string(), &data_type)
}

/// The functions that a spec calls by name.
pub(super) fn functions_of(spec: &SweepSpec, known: impl Fn(&str) -> Option<Arc<AggregateUDF>>) -> Functions {
    let called = spec.aggregates.iter().filter_map(|a| match &a.function {
        Function::Call(call) => Some(&call.function),
        _ => None,
    });
    called.filter_map(|name| Some((name.clone(), known(name)?))).collect()
}
