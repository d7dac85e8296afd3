//! Entities that no label asks about are skipped at the scan: a live source keeps the rows whose key columns hold keys of
//! some observer.
//!
//! ```text
//! TableScan: events    =>    Filter: is_asked_for(user_id) AND user_id >= 17 AND user_id <= 9481
//!                              live: events
//! ```
//!
//! The filter stands above redelivery and versions: rows with one id may have different keys, and which of them counts must not
//! depend on which keys are asked for. The optimizer moves it below where the key is part of the id. The range is what files and
//! row groups are pruned by. Only bare columns of the key's own type are filtered: nothing is computed here that could fail.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::{SortOptions, cast, max, min, sort_to_indices};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, lit,
};

use crate::plan::rewriter::{Binding, Outcome, Rewriter};
use crate::plan::spine::{Observers, Seats};
use crate::source::IS_ASKED_FOR;

/// The rows of a source that some observer may ask for.
pub(super) fn only_asked(rewriter: &Rewriter, plan: LogicalPlan, binding: &Binding) -> Outcome<LogicalPlan> {
    if rewriter.is_derived(binding) {
        return Ok(plan);
    }
    let spine = &rewriter.spines.keyed;
    let mut columns = Vec::new();
    let mut keys = Vec::new();
    for (expr, key) in binding {
        let data_type = &spine.key_types()[*key];
        let exact = !data_type.is_floating() && !data_type.is_nested();
        if exact && matches!(expr, Expr::Column(_)) && expr.get_type(plan.schema())? == *data_type {
            columns.push(expr.clone());
            keys.push(*key);
        }
    }
    if keys.is_empty() {
        return Ok(plan);
    }
    let mut builder = LogicalPlanBuilder::from(plan);
    let seats = Arc::clone(spine.seats());
    for (column, key) in columns.iter().zip(&keys) {
        let Some(observers) = seats.fixed() else { break };
        if let Some((least, most)) = range(&observers.keys[*key])? {
            builder = builder.filter(column.clone().gt_eq(lit(least)).and(column.clone().lt_eq(lit(most))))?;
        }
    }
    let asked = Arc::new(AskedBy { seats, keys, known: Mutex::default() });
    let call = ScalarUDF::from(IsAskedFor { asked, signature: Signature::variadic_any(Volatility::Immutable) });
    Ok(builder.filter(call.call(columns))?.build()?)
}

/// The keys of whoever sits on a spine.
#[derive(Debug)]
struct AskedBy {
    seats: Arc<Seats>,
    /// By number.
    keys: Vec<usize>,
    /// Of the last observers that were met.
    known: Mutex<Option<(Arc<Observers>, Arc<Asked>)>>,
}

impl AskedBy {
    fn keys_of(&self, observers: &Observers) -> Vec<ArrayRef> {
        self.keys.iter().map(|key| Arc::clone(&observers.keys[*key])).collect()
    }

    fn asked(&self) -> DfResult<Arc<Asked>> {
        let observers = self.seats.observers();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, asked)) = known.as_ref()
            && Arc::ptr_eq(of, &observers)
        {
            return Ok(Arc::clone(asked));
        }
        let asked = Arc::new(Asked::new(&self.keys_of(&observers))?);
        *known = Some((observers, Arc::clone(&asked)));
        Ok(asked)
    }
}

/// The least and the most of values without NULL, where there is one.
fn range(values: &ArrayRef) -> DfResult<Option<(ScalarValue, ScalarValue)>> {
    if fits_i64(values.data_type()) {
        let numbers = cast(values, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        let of = |number: i64| ScalarValue::Int64(Some(number)).cast_to(values.data_type());
        return min(numbers).zip(max(numbers)).map(|(least, most)| Ok((of(least)?, of(most)?))).transpose();
    }
    if values.is_empty() {
        return Ok(None);
    }
    let end = |descending| -> DfResult<ScalarValue> {
        let options = SortOptions { descending, nulls_first: false };
        let first = sort_to_indices(values, Some(options), Some(1))?;
        ScalarValue::try_from_array(values, first.value(0) as usize)
    };
    Ok(Some((end(false)?, end(true)?)))
}

/// Bits that a dense set of integers may take up for each of its members.
const BITS_PER_KEY: usize = 256;

/// Keys that observers have.
#[derive(Debug)]
enum Asked {
    /// One integer key whose values are near to each other: a bit for each, from `first` on.
    Dense {
        first: i64,
        bits: Vec<u64>,
    },
    Integers(HashSet<i64>),
    Rows(HashSet<Box<[u8]>>),
}

impl Asked {
    fn new(keys: &[ArrayRef]) -> DfResult<Self> {
        let [one] = keys else { return Self::rows(keys) };
        if !fits_i64(one.data_type()) {
            return Self::rows(keys);
        }
        let values = cast(one, &DataType::Int64)?;
        let values = values.as_primitive::<Int64Type>();
        let all = || values.values().iter().copied();
        let (Some(first), Some(last)) = (all().min(), all().max()) else { return Ok(Self::Integers(HashSet::new())) };
        let span = last.checked_sub(first).and_then(|s| usize::try_from(s).ok());
        match span {
            Some(span) if span / BITS_PER_KEY <= values.len() => {
                let mut bits = vec![0; span / 64 + 1];
                for value in all() {
                    let at = usize::try_from(value - first).unwrap_or_default();
                    bits[at / 64] |= 1 << (at % 64);
                }
                Ok(Self::Dense { first, bits })
            }
            _ => Ok(Self::Integers(all().collect())),
        }
    }

    fn rows(keys: &[ArrayRef]) -> DfResult<Self> {
        let rows = converter(keys)?.convert_columns(keys)?;
        Ok(Self::Rows(rows.iter().map(|r| r.data().into()).collect()))
    }

    /// For each row, whether it is one of these; false where a column is NULL.
    fn holds(&self, columns: &[ArrayRef]) -> DfResult<BooleanArray> {
        let integers = || cast(&columns[0], &DataType::Int64);
        Ok(match self {
            Self::Dense { first, bits } => {
                let has = |v: i64| {
                    let at = v.checked_sub(*first).and_then(|at| usize::try_from(at).ok());
                    at.and_then(|at| Some(bits.get(at / 64)? >> (at % 64) & 1 == 1)).unwrap_or(false)
                };
                let values = integers()?;
                let values = values.as_primitive::<Int64Type>();
                let held = BooleanBuffer::collect_bool(values.len(), |row| has(values.value(row)));
                let known = values.nulls().map_or_else(|| held.clone(), |nulls| &held & nulls.inner());
                BooleanArray::new(known, None)
            }
            Self::Integers(all) => {
                let has = |v| all.contains(&v);
                integers()?.as_primitive::<Int64Type>().iter().map(|v| Some(v.is_some_and(has))).collect()
            }
            Self::Rows(all) => {
                let rows = converter(columns)?.convert_columns(columns)?;
                rows.iter().map(|r| Some(all.contains(r.data()))).collect()
            }
        })
    }
}

fn fits_i64(data_type: &DataType) -> bool {
    data_type.is_integer() && *data_type != DataType::UInt64
}

fn converter(columns: &[ArrayRef]) -> DfResult<RowConverter> {
    Ok(RowConverter::new(columns.iter().map(|c| SortField::new(c.data_type().clone())).collect())?)
}

/// Whether key columns hold the keys of some observer.
#[derive(Debug)]
struct IsAskedFor {
    asked: Arc<AskedBy>,
    signature: Signature,
}

impl PartialEq for IsAskedFor {
    /// Views of the same labels and keys ask for the same, each over its own spine.
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.asked, &other.asked);
        if Arc::ptr_eq(a, b) {
            return true;
        }
        let (Some(own), Some(others)) = (a.seats.fixed(), b.seats.fixed()) else { return false };
        a.keys_of(&own) == b.keys_of(&others)
    }
}

impl Eq for IsAskedFor {}

impl Hash for IsAskedFor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.asked.keys.len().hash(state);
    }
}

impl ScalarUDFImpl for IsAskedFor {
    fn name(&self) -> &str {
        IS_ASKED_FOR
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let columns = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<DfResult<Vec<_>>>()?;
        Ok(ColumnarValue::Array(Arc::new(self.asked.asked()?.holds(&columns)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int64Array, StringArray};

    fn ints(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    fn held(keys: &[ArrayRef], columns: &[ArrayRef]) -> Vec<bool> {
        Asked::new(keys).unwrap().holds(columns).unwrap().iter().map(Option::unwrap).collect()
    }

    #[test]
    fn near_and_far_integers_are_found_and_null_is_not() {
        let asked = [Some(3), Some(-70), None, Some(4), Some(i64::MIN), Some(i64::MAX)];
        assert_eq!(held(&[ints(&[Some(-70), Some(3)])], &[ints(&asked)]), [true, true, false, false, false, false]);
        let far = [Some(i64::MIN), Some(3)];
        assert_eq!(held(&[ints(&far)], &[ints(&asked)]), [true, false, false, false, true, false]);
        assert_eq!(held(&[ints(&[])], &[ints(&asked)]), [false; 6]);
    }

    #[test]
    fn keys_of_two_columns_are_found_together() {
        let text = |values: &[Option<&str>]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
        let keys = [ints(&[Some(1), Some(2)]), text(&[Some("a"), Some("b")])];
        let columns = [ints(&[Some(1), Some(1), Some(2), None]), text(&[Some("a"), Some("b"), Some("b"), Some("a")])];
        assert_eq!(held(&keys, &columns), [true, false, true, false]);
    }

    #[test]
    fn the_range_of_keys_has_their_type() {
        let numbers = [i32::MIN, 7, -1].map(Some);
        let keys: ArrayRef = Arc::new(datafusion::arrow::array::Int32Array::from(numbers.to_vec()));
        let wanted = (ScalarValue::Int32(Some(i32::MIN)), ScalarValue::Int32(Some(7)));
        assert_eq!(range(&keys).unwrap(), Some(wanted));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["b", "", "a"]));
        assert_eq!(range(&text).unwrap(), Some((ScalarValue::from(""), ScalarValue::from("b"))));
        assert_eq!(range(&ints(&[])).unwrap(), None);
    }
}
