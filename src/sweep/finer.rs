//! Groups finer than the keys: which of them each observer sees.
//!
//! `GROUP BY user_id, kind` has a row per observer and kind. Which kinds there are only the events tell, so a first sweep gives
//! out the spine of a second, whose keys are `user_id` and `kind`:
//!
//! ```text
//! positions of a user     T1    T2    T3    T4
//! kind a                  [-----------)           intervals of one group, joined (`distinct.rs`)
//! kind b                        [---)     [---)
//! given out               a     a,b         b     a spine in which every row sees an event, and no more rows than the result has
//! ```
//!
//! Cost and memory are those of the events and of the result, not of all pairs of labels and events.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, new_empty_array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::exec_err;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

/// The groups seen so far, by number. NULLs are equal here, as `GROUP BY` has it.
pub(super) struct Finer {
    /// Of the events.
    columns: Vec<usize>,
    /// No values, by column.
    none: Vec<ArrayRef>,
    known: Mutex<Box<dyn GroupValues>>,
    /// By column and group, once all events are there.
    values: OnceLock<Vec<ArrayRef>>,
}

impl fmt::Debug for Finer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finer").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Finer {
    /// Groups by these columns of the events.
    ///
    /// # Errors
    /// Types that DataFusion does not group by.
    pub(super) fn new(columns: Vec<usize>, events: &SchemaRef) -> DfResult<Self> {
        let fields: Vec<_> = columns.iter().map(|&c| events.field(c).clone()).collect();
        let none = fields.iter().map(|field| new_empty_array(field.data_type())).collect();
        let known = new_group_values(Schema::new(fields).into(), &GroupOrdering::None)?;
        Ok(Self { columns, none, known: Mutex::new(known), values: OnceLock::new() })
    }

    fn known(&self) -> MutexGuard<'_, Box<dyn GroupValues>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By row, the number of its group.
    pub(super) fn numbers(&self, batch: &RecordBatch) -> DfResult<Vec<u64>> {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|&c| Arc::clone(batch.column(c))).collect();
        let mut numbers = Vec::with_capacity(batch.num_rows());
        let mut known = self.known();
        known.intern(&columns, &mut numbers)?;
        if u32::try_from(known.len()).is_err() {
            return exec_err!("there are more than 2^32 groups of `GROUP BY`");
        }
        Ok(numbers.into_iter().map(|n| n as u64).collect())
    }

    /// No more events will come.
    pub(super) fn seal(&self) -> DfResult<()> {
        if self.values.get().is_none() {
            let mut known = self.known();
            let values = match known.is_empty() {
                true => self.none.clone(),
                false => known.emit(EmitTo::All)?,
            };
            self.values.get_or_init(|| values);
        }
        Ok(())
    }

    /// The columns of groups by number, after [`Finer::seal`].
    pub(super) fn take(&self, numbers: &UInt32Array) -> DfResult<Vec<ArrayRef>> {
        let Some(values) = self.values.get() else {
            return exec_err!("groups are asked for before all events are there");
        };
        Ok(values.iter().map(|column| take(column, numbers, None)).collect::<Result<_, _>>()?)
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        let given: usize = self.values.get().into_iter().flatten().map(|column| column.get_array_memory_size()).sum();
        given + self.known().size()
    }
}
