//! The spine as plans see it: distinct observers as a table, and functions from an observer's number to its time.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use datafusion::common::{Column, exec_datafusion_err};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, col,
};

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
    /// The number of each observer's T among the timed observers.
    pub time_numbers: Int64Array,
    /// By key, in the type in which it is compared; no NULL. Empty for [`SpineKind::Timed`].
    pub keys: Vec<ArrayRef>,
    pub now_unit: TimeUnit,
}

/// A spine as a table.
#[derive(Debug, Clone)]
pub struct Spine {
    pub observers: Arc<Observers>,
    table: Arc<MemTable>,
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
        let none = || Int64Array::from(Vec::<i64>::new());
        let observers = |kind, keys| Observers { kind, times: none(), time_numbers: none(), keys, now_unit };
        let columns = keys.iter().map(datafusion::arrow::array::new_empty_array).collect();
        Ok(Self {
            keyed: Spine::new(observers(SpineKind::Keyed, columns))?,
            timed: Spine::new(observers(SpineKind::Timed, Vec::new()))?,
        })
    }
}

impl Spine {
    /// # Errors
    /// Only where Arrow can't make the table, which is a defect.
    pub fn new(observers: Observers) -> DfResult<Self> {
        let rows = observers.times.len();
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(rows).unwrap_or(i64::MAX)));
        let mut fields = vec![Field::new(OBSERVER, DataType::Int64, false)];
        let mut columns = vec![numbers];
        for (i, key) in observers.keys.iter().enumerate() {
            fields.push(Field::new(Self::key_name(i), key.data_type().clone(), false));
            columns.push(Arc::clone(key));
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        let batches = (0..rows).step_by(BATCH_ROWS).map(|at| batch.slice(at, BATCH_ROWS.min(rows - at))).collect();
        let table = Arc::new(MemTable::try_new(schema, vec![batches])?);
        Ok(Self { observers: Arc::new(observers), table })
    }

    pub fn kind(&self) -> SpineKind {
        self.observers.kind
    }

    /// The spine as a plan: the observer under the name `observer`, then the given expressions over [`key_column`]s and
    /// the observer.
    ///
    /// # Errors
    /// Where an expression names something else.
    pub fn plan(&self, alias: &str, observer: &str, mut exprs: Vec<Expr>) -> DfResult<LogicalPlan> {
        exprs.insert(0, col(OBSERVER).alias(observer));
        LogicalPlanBuilder::scan(alias, provider_as_source(Arc::clone(&self.table) as _), None)?.project(exprs)?.build()
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

    /// The label time of an observer in nanoseconds: `Int64`.
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
        ScalarUDF::from(OfObserver { answer, observers: Arc::clone(&self.observers), signature }).call(vec![observer])
    }
}

/// The unit of [`Spine::now_of`] something, if that is what an expression is.
pub(super) fn unit_of_label_time(expr: &Expr) -> Option<TimeUnit> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let function: &dyn std::any::Any = call.func.inner().as_ref();
    function.downcast_ref::<OfObserver>().filter(|f| f.answer == Answer::Now).map(|f| f.observers.now_unit)
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
    observers: Arc<Observers>,
    signature: Signature,
}

impl PartialEq for OfObserver {
    fn eq(&self, other: &Self) -> bool {
        self.answer == other.answer && Arc::ptr_eq(&self.observers, &other.observers)
    }
}

impl Eq for OfObserver {}

impl Hash for OfObserver {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.answer.hash(state);
        self.observers.kind.hash(state);
    }
}

impl ScalarUDFImpl for OfObserver {
    fn name(&self) -> &str {
        match (self.answer, self.observers.kind) {
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
            Answer::Now => DataType::Timestamp(self.observers.now_unit, Some("UTC".into())),
            Answer::Instant | Answer::TimeNumber => DataType::Int64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let numbers = arrays.first().and_then(|a| a.as_primitive_opt::<Int64Type>());
        let numbers = numbers.ok_or_else(|| exec_datafusion_err!("{} takes an observer", self.name()))?;
        let values = match self.answer {
            Answer::TimeNumber => take(&self.observers.time_numbers, numbers, None)?,
            Answer::Instant => take(&self.observers.times, numbers, None)?,
            Answer::Now => {
                let unit = unit_ns(self.observers.now_unit);
                let ticks: Int64Array = self.observers_ticks(numbers, unit)?;
                cast(&ticks, &DataType::Timestamp(self.observers.now_unit, Some("UTC".into())))?
            }
        };
        Ok(ColumnarValue::Array(values))
    }
}

impl OfObserver {
    fn observers_ticks(&self, numbers: &Int64Array, unit: i64) -> DfResult<Int64Array> {
        let instants = take(&self.observers.times, numbers, None)?;
        Ok(instants.as_primitive::<Int64Type>().unary(|t: i64| t.div_euclid(unit)))
    }
}
