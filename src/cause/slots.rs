//! What changes from one world to the next under a plan that stays: the rows of the sources, and where windows begin and end.
//!
//! A plan that was made over [`Slots`] reads its sources from [`SlotTable`]s and has each limit of a window as two comparisons,
//!
//! ```text
//! ts > $NOW - 1 day    =>    ts > window_after_0($NOW) AND ts >= window_from_0($NOW)
//! ```
//!
//! of which one holds whatever the row: which one, a world says, as it says what the other is of the label time. What a limit is, is an
//! expression of SQL, evaluated by DataFusion. No optimizer can see through it, so nothing in the plan depends on one world.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
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
use crate::plan::LateScan;
use crate::source::time::unit_ns;
use crate::sql::is_now;

/// Further from 1970 than any time of a row that is compared, in nanoseconds.
const FAR_NS: i64 = 8_000_000_000_000_000_000;
const ROWS_PER_BATCH: usize = 8192;

/// What one plan reads, for one world at a time.
#[derive(Debug, Default)]
pub(super) struct Slots {
    now: RwLock<Held>,
}

#[derive(Debug, Default, Clone)]
struct Held {
    /// By number of the source.
    rows: HashMap<usize, RecordBatch>,
    limits: Vec<Compiled>,
}

/// A limit as it is evaluated.
#[derive(Debug, Clone)]
pub(super) enum Compiled {
    At(Operator, Arc<dyn PhysicalExpr>),
    Nowhere,
}

impl Slots {
    /// From now on the plan is one of this world.
    pub(super) fn set(&self, rows: HashMap<usize, RecordBatch>, limits: Vec<Compiled>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Held { rows, limits };
    }

    fn batches(&self, source: usize) -> DfResult<Vec<RecordBatch>> {
        let rows = self.now.read().unwrap_or_else(PoisonError::into_inner).rows.get(&source).cloned();
        let rows = rows.ok_or_else(|| exec_datafusion_err!("no world has rows of source {source}"))?;
        let count = rows.num_rows();
        Ok((0..count).step_by(ROWS_PER_BATCH).map(|at| rows.slice(at, ROWS_PER_BATCH.min(count - at))).collect())
    }

    fn limit(&self, slot: usize) -> Option<Compiled> {
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
        let mut now = None;
        bound.apply(|e| {
            if is_now(e) {
                now = Some(e.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let now = now.ok_or_else(|| exec_datafusion_err!("`{bound}` does not depend on the label time"))?;
        let side = |op: Operator| {
            let signature = Signature::any(1, Volatility::Immutable);
            let data_type = data_type.clone();
            let function = SlotLimit { slot, op, data_type, slots: Arc::clone(slots), signature };
            binary_expr(row.clone(), op, ScalarUDF::from(function).call(vec![now.clone()]))
        };
        Ok(match lower {
            true => side(Operator::Gt).and(side(Operator::GtEq)),
            false => side(Operator::Lt).and(side(Operator::LtEq)),
        })
    })
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
    let schema = DFSchema::try_from(Schema::new(vec![Field::new("now", data_type, true)]))?;
    Ok(Compiled::At(*op, state.create_physical_expr(over_column, &schema)?))
}

/// One side of a window's limit, as a function of the label time.
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

impl Hash for SlotLimit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.slot, self.op).hash(state);
    }
}

impl SlotLimit {
    /// What every row is beyond.
    fn far(&self, rows: usize) -> DfResult<ArrayRef> {
        let DataType::Timestamp(unit, _) = &self.data_type else {
            return internal_err!("a window's limit is {}", self.data_type);
        };
        let far = FAR_NS / unit_ns(*unit);
        let far = if matches!(self.op, Operator::Gt | Operator::GtEq) { -far } else { far };
        Ok(cast(&Int64Array::from(vec![far; rows]), &self.data_type)?)
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
        let rows = args.number_rows;
        let values = match self.slots.limit(self.slot) {
            Some(Compiled::At(op, limit)) if op == self.op => {
                let [now] = args.args.as_slice() else { return internal_err!("{} takes one time", self.name()) };
                let now = now.to_array(rows)?;
                let schema = Arc::new(Schema::new(vec![Field::new("now", now.data_type().clone(), true)]));
                let batch = RecordBatch::try_new(schema, vec![now])?;
                cast(&limit.evaluate(&batch)?.into_array(rows)?, &self.data_type)?
            }
            Some(_) => self.far(rows)?,
            None => return internal_err!("no world has a limit number {}", self.slot),
        };
        Ok(ColumnarValue::Array(values))
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
