//! What changes from one world to the next under a plan that stays: the rows of the sources, and where windows begin and end.
//!
//! A plan that was made over [`Slots`] reads its sources from [`SlotTable`]s and has each limit of a window as two comparisons,
//!
//! ```text
//! ts > $NOW - 1 day    =>    ts > window_after_0($MOMENT) AND ts >= window_from_0($MOMENT)
//! ```
//!
//! of which one holds whatever the row: which one, and what the other is, is told for each moment (a label time, under a meaning), so that
//! observers of several worlds can be asked for together. What a limit is, is an expression of SQL, evaluated by DataFusion. No
//! optimizer can see through it, so nothing in the plan depends on one world.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{cast, concat, take};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, exec_datafusion_err, internal_err};
use datafusion::datasource::TableType;
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, binary_expr, col,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;

use crate::cause::windows::{Limit, Windows};
use crate::plan::{LateScan, moment_placeholder, with_fixed_shift};
use crate::source::time::{instants_ns, unit_ns};
use crate::sql::is_now;

/// Further from 1970 than any time of a row that is compared, in nanoseconds.
const FAR_NS: i64 = 8_000_000_000_000_000_000;
const ROWS_PER_BATCH: usize = 8192;

/// What one plan reads, for one execution at a time.
#[derive(Debug, Default)]
pub(super) struct Slots {
    now: RwLock<Held>,
}

#[derive(Debug, Default, Clone)]
struct Held {
    /// By number of the source.
    rows: HashMap<usize, RecordBatch>,
    /// By slot.
    limits: Arc<Vec<Sides>>,
}

/// A limit at every moment: what a row's time has to be beyond, and what it has to reach. One of the two is out of the way.
#[derive(Debug, Clone)]
pub(super) struct Sides {
    beyond: ArrayRef,
    reach: ArrayRef,
}

/// A limit as it is evaluated.
#[derive(Debug, Clone)]
pub(super) enum Compiled {
    At(Operator, Arc<dyn PhysicalExpr>),
    Nowhere,
}

impl Slots {
    /// From now on the plan is one of these rows and limits.
    pub(super) fn set(&self, rows: HashMap<usize, RecordBatch>, limits: Arc<Vec<Sides>>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Held { rows, limits };
    }

    fn batches(&self, source: usize) -> DfResult<Vec<RecordBatch>> {
        let rows = self.now.read().unwrap_or_else(PoisonError::into_inner).rows.get(&source).cloned();
        let rows = rows.ok_or_else(|| exec_datafusion_err!("no world has rows of source {source}"))?;
        let count = rows.num_rows();
        Ok((0..count).step_by(ROWS_PER_BATCH).map(|at| rows.slice(at, ROWS_PER_BATCH.min(count - at))).collect())
    }

    fn limit(&self, slot: usize) -> Option<Sides> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).limits.get(slot).cloned()
    }
}

/// The plan with its windows' limits in slots, and what they are in the SQL.
///
/// # Errors
/// Where the plan can't be rebuilt.
pub(super) fn slotted(plan: LogicalPlan, slots: &Arc<Slots>) -> DfResult<(LogicalPlan, Vec<Limit>)> {
    Windows::slotted(plan, &|row, slot, limit| {
        let Limit::At(op, bound) = limit else { return internal_err!("a window of SQL has a limit") };
        let lower = matches!(op, Operator::Gt | Operator::GtEq);
        let data_type = bound.get_type(&DFSchema::empty())?;
        let side = |op: Operator| {
            let signature = Signature::any(1, Volatility::Immutable);
            let data_type = data_type.clone();
            let function = SlotLimit { slot, op, data_type, slots: Arc::clone(slots), signature };
            binary_expr(row.clone(), op, ScalarUDF::from(function).call(vec![moment_placeholder()]))
        };
        Ok(match lower {
            true => side(Operator::Gt).and(side(Operator::GtEq)),
            false => side(Operator::Lt).and(side(Operator::LtEq)),
        })
    })
}

/// A limit at moments: `groups` are numbers of moments, with the limit that each has and the label times. All moments are in one group.
///
/// # Errors
/// Where a limit can't be evaluated, or is of another type than it is in the SQL.
pub(super) fn sides(limit: &Limit, groups: &[(Vec<u32>, Compiled, ArrayRef)]) -> DfResult<Sides> {
    let Limit::At(op, bound) = limit else { return internal_err!("a window of SQL has a limit") };
    let data_type = bound.get_type(&DFSchema::empty())?;
    let lower = matches!(op, Operator::Gt | Operator::GtEq);
    let (mut beyond, mut reach): (Vec<ArrayRef>, Vec<ArrayRef>) = Default::default();
    let mut place = vec![0_u32; groups.iter().map(|(moments, _, _)| moments.len()).sum()];
    let mut at = 0_u32;
    for (moments, limit, times) in groups {
        for moment in moments {
            place[*moment as usize] = at;
            at += 1;
        }
        let out_of_the_way = far(&data_type, lower, moments.len())?;
        let (strict, values) = match limit {
            Compiled::At(op, limit) if lower == matches!(op, Operator::Gt | Operator::GtEq) => {
                let schema = Arc::new(Schema::new(vec![Field::new("now", times.data_type().clone(), true)]));
                let batch = RecordBatch::try_new(schema, vec![Arc::clone(times)])?;
                let values = cast(&limit.evaluate(&batch)?.into_array(moments.len())?, &data_type)?;
                (matches!(op, Operator::Gt | Operator::Lt), values)
            }
            Compiled::At(op, _) => return internal_err!("a limit `{op}` is in the place of one on the other side"),
            Compiled::Nowhere => (true, Arc::clone(&out_of_the_way)),
        };
        let (own, other) = if strict { (&mut beyond, &mut reach) } else { (&mut reach, &mut beyond) };
        own.push(values);
        other.push(out_of_the_way);
    }
    let place = UInt32Array::from(place);
    let all = |parts: &[ArrayRef]| -> DfResult<ArrayRef> {
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(take(&concat(&parts)?, &place, None)?)
    };
    Ok(Sides { beyond: all(&beyond)?, reach: all(&reach)? })
}

/// Values of this type that every row's time is beyond.
fn far(data_type: &DataType, lower: bool, rows: usize) -> DfResult<ArrayRef> {
    let DataType::Timestamp(unit, _) = data_type else { return internal_err!("a window's limit is {data_type}") };
    let far = FAR_NS / unit_ns(*unit);
    Ok(cast(&Int64Array::from(vec![if lower { -far } else { far }; rows]), data_type)?)
}

impl Sides {
    /// Of a window's start: the first time that a row may have at each moment, nanoseconds; one less than any where it has none.
    ///
    /// # Errors
    /// Never: both are timestamps.
    pub(super) fn starts(&self) -> DfResult<Vec<i64>> {
        let [beyond, reach] = [instants_ns(&self.beyond, 0)?, instants_ns(&self.reach, 0)?];
        let start = |(a, b): (Option<i64>, Option<i64>)| a.unwrap_or(i64::MIN).max(b.unwrap_or(i64::MIN));
        Ok(beyond.iter().zip(&reach).map(start).collect())
    }
}

/// The limit as an expression over one column `now`.
///
/// # Errors
/// Where DataFusion can't plan it.
pub(super) fn compiled(limit: &Limit, state: &SessionState) -> DfResult<Compiled> {
    let Limit::At(op, bound) = limit else { return Ok(Compiled::Nowhere) };
    let mut data_type = None;
    let over_column = bound.clone().transform_up(|e| match &e {
        Expr::Placeholder(p) if is_now(&e) => {
            data_type = p.field.as_ref().map(|f| f.data_type().clone());
            Ok(Transformed::yes(col("now")))
        }
        _ => Ok(Transformed::no(e)),
    });
    let over_column = over_column.data()?;
    let data_type = data_type.ok_or_else(|| exec_datafusion_err!("`{bound}` does not depend on the label time"))?;
    let unit = match &data_type {
        DataType::Timestamp(unit, _) => Some(*unit),
        _ => None,
    };
    // Without the calendar where it can be.
    let over_column =
        over_column.transform_up(|e| with_fixed_shift(e, |e| unit.filter(|_| *e == col("now")))).data()?;
    let schema = DFSchema::try_from(Schema::new(vec![Field::new("now", data_type, true)]))?;
    Ok(Compiled::At(*op, state.create_physical_expr(over_column, &schema)?))
}

/// One side of a window's limit, as a function of the moment.
#[derive(Debug)]
struct SlotLimit {
    slot: usize,
    /// How rows are compared with it.
    op: Operator,
    data_type: DataType,
    slots: Arc<Slots>,
    signature: Signature,
}

impl PartialEq for SlotLimit {
    fn eq(&self, other: &Self) -> bool {
        self.slot == other.slot && self.op == other.op && Arc::ptr_eq(&self.slots, &other.slots)
    }
}

impl Eq for SlotLimit {}

/// Whether the expression is one side of a window's limit.
pub(super) fn is_limit(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => {
            (call.func.inner().as_ref() as &dyn std::any::Any).downcast_ref::<SlotLimit>().is_some()
        }
        _ => false,
    }
}

impl Hash for SlotLimit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.slot, self.op).hash(state);
    }
}

impl ScalarUDFImpl for SlotLimit {
    fn name(&self) -> &str {
        match self.op {
            Operator::Gt => "window_after",
            Operator::GtEq => "window_from",
            Operator::Lt => "window_before",
            _ => "window_until",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let [moments] = args.args.as_slice() else { return internal_err!("{} takes one moment", self.name()) };
        let Some(limit) = self.slots.limit(self.slot) else {
            return internal_err!("no world has a limit number {}", self.slot);
        };
        let side = if matches!(self.op, Operator::Gt | Operator::Lt) { &limit.beyond } else { &limit.reach };
        Ok(ColumnarValue::Array(take(side, &moments.to_array(args.number_rows)?, None)?))
    }
}

/// A source's rows in whatever world it is.
#[derive(Debug)]
pub(super) struct SlotTable {
    pub source: usize,
    pub schema: SchemaRef,
    pub slots: Arc<Slots>,
}

#[async_trait]
impl TableProvider for SlotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let (source, slots) = (self.source, Arc::clone(&self.slots));
        LateScan::plan("SlotScan", &self.schema, projection, Arc::new(move || slots.batches(source)))
    }
}
