//! The spine as plans see it: distinct observers as a table, and functions from an observer's number to its time.
//!
//! A plan is about the observers it was made for, and what it says may depend on them; or it is made for [`Spines::changing`], says
//! nothing of observers, and is executed for one set of them after the other.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, exec_datafusion_err};
use datafusion::datasource::{MemTable, TableType, provider_as_source};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, col,
};
use datafusion::physical_plan::ExecutionPlan;

use crate::plan::late::LateScan;
use crate::source::time::unit_ns;

/// Whether observers are distinct (keys, T) or distinct T.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpineKind {
    Keyed,
    Timed,
}

/// Distinct observers: position is number.
#[derive(Debug)]
pub struct Observers {
    pub kind: SpineKind,
    /// T in nanoseconds since 1970.
    pub times: Int64Array,
    /// What has arrived by then is visible, nanoseconds since 1970, where that is not T.
    pub instants: Option<Int64Array>,
    /// The number of each observer's T among the timed observers.
    pub time_numbers: Int64Array,
    /// By key, in the type in which it is compared; no NULL. Empty for [`SpineKind::Timed`].
    pub keys: Vec<ArrayRef>,
    pub now_unit: TimeUnit,
}

/// A spine as a table.
#[derive(Debug, Clone)]
pub struct Spine {
    kind: SpineKind,
    now_unit: TimeUnit,
    key_types: Vec<DataType>,
    seats: Arc<Seats>,
    table: Arc<dyn TableProvider>,
}

/// The observers that a plan is executed for.
#[derive(Debug)]
pub(super) struct Seats {
    taken: RwLock<Arc<Observers>>,
    /// Whether they stay the same for as long as the plan does.
    fixed: bool,
}

impl Seats {
    pub(super) fn observers(&self) -> Arc<Observers> {
        Arc::clone(&self.taken.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The observers, where a plan may depend on them.
    pub(super) fn fixed(&self) -> Option<Arc<Observers>> {
        self.fixed.then(|| self.observers())
    }
}

/// The two spines of one view.
#[derive(Debug, Clone)]
pub struct Spines {
    pub keyed: Spine,
    pub timed: Spine,
}

/// Rows per batch of a spine's table.
const BATCH_ROWS: usize = 8192;
const OBSERVER: &str = "observer";

impl Spines {
    /// Spines without observers, for plans that are only looked at: keys of these types.
    ///
    /// # Errors
    /// As [`Spine::new`].
    pub fn empty(keys: &[DataType], now_unit: TimeUnit) -> DfResult<Self> {
        let [keyed, timed] = nobody(keys, now_unit);
        Ok(Self { keyed: Spine::new(keyed)?, timed: Spine::new(timed)? })
    }

    /// Spines for one set of observers after the other, none to begin with; their keys are of these types.
    pub fn changing(keys: &[DataType], now_unit: TimeUnit) -> Self {
        let [keyed, timed] = nobody(keys, now_unit).map(Spine::changing);
        Self { keyed, timed }
    }

    /// From now on plans over these changing spines are executed for the observers of `others`.
    pub fn seat(&self, others: &Self) {
        for (own, other) in [(&self.keyed, &others.keyed), (&self.timed, &others.timed)] {
            debug_assert!(!own.seats.fixed && own.key_types == other.key_types && own.now_unit == other.now_unit);
            *own.seats.taken.write().unwrap_or_else(PoisonError::into_inner) = other.seats.observers();
        }
    }
}

fn nobody(keys: &[DataType], now_unit: TimeUnit) -> [Observers; 2] {
    let none = || Int64Array::from(Vec::<i64>::new());
    let observers =
        |kind, keys| Observers { kind, times: none(), instants: None, time_numbers: none(), keys, now_unit };
    let columns = keys.iter().map(datafusion::arrow::array::new_empty_array).collect();
    [observers(SpineKind::Keyed, columns), observers(SpineKind::Timed, Vec::new())]
}

impl Observers {
    fn schema(&self) -> SchemaRef {
        let keys = self.keys.iter().enumerate();
        let keys = keys.map(|(i, key)| Field::new(Spine::key_name(i), key.data_type().clone(), false));
        Arc::new(Schema::new(
            std::iter::once(Field::new(OBSERVER, DataType::Int64, false)).chain(keys).collect::<Vec<_>>(),
        ))
    }

    /// As a table, in batches.
    fn rows(&self) -> DfResult<Vec<RecordBatch>> {
        let rows = self.times.len();
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(rows).unwrap_or(i64::MAX)));
        let columns = std::iter::once(numbers).chain(self.keys.iter().map(Arc::clone)).collect();
        let batch = RecordBatch::try_new(self.schema(), columns)?;
        Ok((0..rows).step_by(BATCH_ROWS).map(|at| batch.slice(at, BATCH_ROWS.min(rows - at))).collect())
    }
}

impl Spine {
    /// # Errors
    /// Only where Arrow can't make the table, which is a defect.
    pub fn new(observers: Observers) -> DfResult<Self> {
        let table = MemTable::try_new(observers.schema(), vec![observers.rows()?])?;
        Ok(Self::over(observers, true, |_| Arc::new(table)))
    }

    fn changing(observers: Observers) -> Self {
        let schema = observers.schema();
        Self::over(observers, false, |seats| Arc::new(SeatTable { schema, seats: Arc::clone(seats) }))
    }

    fn over(observers: Observers, fixed: bool, table: impl FnOnce(&Arc<Seats>) -> Arc<dyn TableProvider>) -> Self {
        let (kind, now_unit) = (observers.kind, observers.now_unit);
        let key_types = observers.keys.iter().map(|key| key.data_type().clone()).collect();
        let seats = Arc::new(Seats { taken: RwLock::new(Arc::new(observers)), fixed });
        Self { kind, now_unit, key_types, table: table(&seats), seats }
    }

    pub fn kind(&self) -> SpineKind {
        self.kind
    }

    pub fn now_unit(&self) -> TimeUnit {
        self.now_unit
    }

    /// By key, the type in which it is compared.
    pub fn key_types(&self) -> &[DataType] {
        &self.key_types
    }

    pub(super) fn seats(&self) -> &Arc<Seats> {
        &self.seats
    }

    /// The spine as a plan: the observer under the name `observer`, then the given expressions over [`key_column`]s and
    /// the observer.
    ///
    /// # Errors
    /// Where an expression names something else.
    pub fn plan(&self, alias: &str, observer: &str, mut exprs: Vec<Expr>) -> DfResult<LogicalPlan> {
        exprs.insert(0, col(OBSERVER).alias(observer));
        LogicalPlanBuilder::scan(alias, provider_as_source(Arc::clone(&self.table)), None)?.project(exprs)?.build()
    }

    /// Key number `index` inside [`Spine::plan`].
    pub fn key_column(index: usize) -> Expr {
        col(Self::key_name(index))
    }

    /// The name of [`Spine::key_column`].
    pub fn key_name(index: usize) -> String {
        format!("key{index}")
    }

    /// The observer's own column inside [`Spine::plan`].
    pub fn observer_column() -> Column {
        Column::new_unqualified(OBSERVER)
    }

    /// The label time of an observer: `Timestamp(unit, "UTC")`.
    pub fn now_of(&self, observer: Expr) -> Expr {
        self.call(Answer::Now, observer)
    }

    /// The instant by which what an observer sees has arrived, in nanoseconds: `Int64`. The label time, mostly.
    pub fn instant_of(&self, observer: Expr) -> Expr {
        self.call(Answer::Instant, observer)
    }

    /// The timed observer with the same T: `Int64`.
    pub fn time_number_of(&self, observer: Expr) -> Expr {
        match self.kind() {
            SpineKind::Timed => observer,
            SpineKind::Keyed => self.call(Answer::TimeNumber, observer),
        }
    }

    fn call(&self, answer: Answer, observer: Expr) -> Expr {
        let signature = Signature::any(1, Volatility::Immutable);
        let (kind, now_unit, seats) = (self.kind, self.now_unit, Arc::clone(&self.seats));
        ScalarUDF::from(OfObserver { answer, kind, now_unit, seats, signature }).call(vec![observer])
    }
}

/// The unit of [`Spine::now_of`] something, if that is what an expression is.
pub(super) fn unit_of_label_time(expr: &Expr) -> Option<TimeUnit> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let function: &dyn std::any::Any = call.func.inner().as_ref();
    function.downcast_ref::<OfObserver>().filter(|f| f.answer == Answer::Now).map(|f| f.now_unit)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Answer {
    Now,
    Instant,
    TimeNumber,
}

/// A lookup by the observer's number; NULL gives NULL.
#[derive(Debug)]
struct OfObserver {
    answer: Answer,
    kind: SpineKind,
    now_unit: TimeUnit,
    seats: Arc<Seats>,
    signature: Signature,
}

impl PartialEq for OfObserver {
    fn eq(&self, other: &Self) -> bool {
        self.answer == other.answer && Arc::ptr_eq(&self.seats, &other.seats)
    }
}

impl Eq for OfObserver {}

impl Hash for OfObserver {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.answer.hash(state);
        self.kind.hash(state);
    }
}

impl ScalarUDFImpl for OfObserver {
    fn name(&self) -> &str {
        match (self.answer, self.kind) {
            (Answer::Now, SpineKind::Keyed) => "label_time",
            (Answer::Now, SpineKind::Timed) => "label_time_timed",
            (Answer::Instant, SpineKind::Keyed) => "label_instant",
            (Answer::Instant, SpineKind::Timed) => "label_instant_timed",
            (Answer::TimeNumber, _) => "label_time_number",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(match self.answer {
            Answer::Now => DataType::Timestamp(self.now_unit, Some("UTC".into())),
            Answer::Instant | Answer::TimeNumber => DataType::Int64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let numbers = arrays.first().and_then(|a| a.as_primitive_opt::<Int64Type>());
        let numbers = numbers.ok_or_else(|| exec_datafusion_err!("{} takes an observer", self.name()))?;
        let observers = self.seats.observers();
        let values = match self.answer {
            Answer::TimeNumber => take(&observers.time_numbers, numbers, None)?,
            Answer::Instant => take(observers.instants.as_ref().unwrap_or(&observers.times), numbers, None)?,
            Answer::Now => {
                let unit = unit_ns(self.now_unit);
                let instants = take(&observers.times, numbers, None)?;
                let ticks: Int64Array = instants.as_primitive::<Int64Type>().unary(|t: i64| t.div_euclid(unit));
                cast(&ticks, &DataType::Timestamp(self.now_unit, Some("UTC".into())))?
            }
        };
        Ok(ColumnarValue::Array(values))
    }
}

/// The table of spines that change.
#[derive(Debug)]
struct SeatTable {
    schema: SchemaRef,
    seats: Arc<Seats>,
}

#[async_trait]
impl TableProvider for SeatTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let seats = Arc::clone(&self.seats);
        LateScan::plan("SeatScan", &self.schema, projection, Arc::new(move || seats.observers().rows()))
    }
}
