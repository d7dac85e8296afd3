//! Which of two events comes first.
//!
//! The first sort key as a 64-bit integer decides most comparisons. Only where it ties, the rows are encoded and compared
//! whole: one by one as long as ties are rare in a batch, else the batch at once.

use std::cmp::Ordering;
use std::sync::atomic;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_empty_array};
use datafusion::arrow::compute::{SortOptions, cast};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int64Type, SchemaRef, UInt64Type,
};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::error::Result as DfResult;

use crate::source::orderable;
use crate::sweep::arena::{Arena, Held};
use crate::sweep::best::Rank;
use crate::sweep::bounds::is_ordered_integer;
use crate::sweep::spec::OrderKey;

/// An order of events.
#[derive(Debug)]
pub(super) struct Order {
    /// Among the orders of the arena.
    number: usize,
    /// Of the events, of the arena.
    keys: Vec<(usize, usize, SortOptions)>,
    converter: RowConverter,
    /// Events whose prefixes are equal are equal.
    exact: bool,
    /// Columns of the arena in which events that are equal by the keys may still differ.
    values: Vec<usize>,
}

/// So many ties in one batch are compared row by row.
const RARE: u32 = 128;

impl Order {
    /// `nulls`: whether the first key may be NULL; `values`: columns in which equal events have to be equal too, as no key settles
    /// which of them comes first.
    pub(super) fn new(
        number: usize,
        keys: &[OrderKey],
        nulls: bool,
        values: &[&String],
        events: &SchemaRef,
        arena: &Arena,
    ) -> DfResult<Self> {
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for key in keys {
            let column = events.index_of(&key.event)?;
            let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
            let data_type = orderable(&new_empty_array(events.field(column).data_type()))?.data_type().clone();
            fields.push(SortField::new_with_options(data_type, options));
            columns.push((column, arena.position(column), options));
        }
        let exact = match columns.as_slice() {
            [(column, _, _)] => !nulls && is_exact(events.field(*column).data_type()),
            // Events that differ in nothing.
            [] => true,
            _ => false,
        };
        let values = values.iter().map(|name| Ok(arena.position(events.index_of(name)?))).collect::<DfResult<_>>()?;
        Ok(Self { number, keys: columns, converter: RowConverter::new(fields)?, exact, values })
    }

    /// For each row an integer that is less only where the row comes before.
    pub(super) fn prefixes(&self, batch: &RecordBatch) -> DfResult<Vec<i64>> {
        match self.keys.first() {
            Some(&(column, _, options)) => prefixes(batch.column(column), options),
            None => Ok(vec![0; batch.num_rows()]),
        }
    }

    /// How the first of two rows with equal prefixes stands to the second.
    pub(super) fn compare(&self, (a, i): (&Held, u32), (b, j): (&Held, u32)) -> DfResult<Rank> {
        let order = if self.exact { Ordering::Equal } else { self.encoded(a, i)?.cmp(&self.encoded(b, j)?) };
        Ok(match order {
            Ordering::Less => Rank::Before,
            Ordering::Equal if !self.same_values((a, i), (b, j)) => Rank::Tied,
            _ => Rank::NotBefore,
        })
    }

    fn same_values(&self, (a, i): (&Held, u32), (b, j): (&Held, u32)) -> bool {
        let one = |held: &Held, column: usize, row: u32| held.columns[column].slice(row as usize, 1).to_data();
        self.values.iter().all(|&column| one(a, column, i) == one(b, column, j))
    }

    fn encoded(&self, held: &Held, row: u32) -> DfResult<Vec<u8>> {
        let columns = |at: usize, rows: usize| {
            let of = |&(_, held_at, _): &(usize, usize, SortOptions)| orderable(&held.columns[held_at].slice(at, rows));
            self.keys.iter().map(of).collect::<DfResult<Vec<ArrayRef>>>()
        };
        let all = &held.encoded[self.number];
        if all.get().is_none() {
            if held.ties[self.number].fetch_add(1, atomic::Ordering::Relaxed) < RARE {
                let one = self.converter.convert_columns(&columns(row as usize, 1)?)?;
                return Ok(one.row(0).data().to_vec());
            }
            let rows = held.columns.first().map_or(0, Array::len);
            held.encode(self.number, self.converter.convert_columns(&columns(0, rows)?)?);
        }
        Ok(all.get().map_or_else(Vec::new, |rows| rows.row(row as usize).data().to_vec()))
    }
}

fn is_exact(data_type: &DataType) -> bool {
    is_ordered_integer(data_type)
        || matches!(data_type, DataType::UInt64 | DataType::Boolean | DataType::Float32 | DataType::Float64)
}

/// Types whose rows Arrow sorts as SQL does.
pub fn is_sortable(data_type: &DataType) -> bool {
    is_exact(data_type)
        || matches!(
            data_type,
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::Decimal128(_, _)
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Duration(_)
        )
}

fn prefixes(array: &ArrayRef, options: SortOptions) -> DfResult<Vec<i64>> {
    let mut found: Vec<i64> = match array.data_type() {
        t if is_ordered_integer(t) => cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().values().iter().map(|v| signed(*v)).collect(),
        DataType::Float64 => array
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .map(|v| total_order(v.to_bits().cast_signed()))
            .collect(),
        DataType::Float32 => {
            let bits = |v: &f32| i64::from(v.to_bits().cast_signed()) << 32;
            array.as_primitive::<Float32Type>().values().iter().map(|v| total_order(bits(v))).collect()
        }
        DataType::Decimal128(_, _) => {
            let near = |v: &i128| i64::try_from(*v).unwrap_or(if *v < 0 { i64::MIN } else { i64::MAX });
            array.as_primitive::<Decimal128Type>().values().iter().map(near).collect()
        }
        DataType::Boolean => array.as_boolean().values().iter().map(i64::from).collect(),
        DataType::Utf8 => array.as_string::<i32>().iter().map(|v| start_of(v.unwrap_or_default())).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(|v| start_of(v.unwrap_or_default())).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(|v| start_of(v.unwrap_or_default())).collect(),
        _ => return Ok(vec![0; array.len()]),
    };
    if options.descending {
        found.iter_mut().for_each(|v| *v = !*v);
    }
    if let Some(nulls) = array.logical_nulls() {
        let null = if options.nulls_first { i64::MIN } else { i64::MAX };
        found.iter_mut().zip(&nulls).filter(|(_, valid)| !valid).for_each(|(v, _)| *v = null);
    }
    Ok(found)
}

fn signed(value: u64) -> i64 {
    (value ^ (1 << 63)).cast_signed()
}

/// The bits of a float as an integer in the order of `total_cmp`.
fn total_order(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// The first eight bytes; what is shorter is filled with zeros.
fn start_of(text: &str) -> i64 {
    let mut start = [0; 8];
    let length = text.len().min(8);
    start[..length].copy_from_slice(&text.as_bytes()[..length]);
    signed(u64::from_be_bytes(start))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Float64Array, StringArray, UInt64Array};

    use super::*;

    fn sorted(array: &ArrayRef) {
        for (descending, nulls_first) in [(false, false), (false, true), (true, false), (true, true)] {
            let options = SortOptions { descending, nulls_first };
            let converter =
                RowConverter::new(vec![SortField::new_with_options(array.data_type().clone(), options)]).unwrap();
            let rows = converter.convert_columns(&[Arc::clone(array)]).unwrap();
            let prefixes = prefixes(array, options).unwrap();
            for i in 0..array.len() {
                for j in 0..array.len() {
                    if prefixes[i] < prefixes[j] {
                        assert!(rows.row(i) < rows.row(j), "{options:?}: {i} and {j} of {array:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_prefix_never_contradicts_the_whole_row() {
        let floats =
            [None, Some(-0.0), Some(0.0), Some(f64::NAN), Some(-f64::NAN), Some(-1e300), Some(5e-324), Some(2.5)];
        let floats: Float64Array = floats.into_iter().collect();
        sorted(&cast(&floats, &DataType::Float32).unwrap());
        sorted(&(Arc::new(floats) as ArrayRef));
        sorted(&(Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX), Some(1 << 63)])) as ArrayRef));
        let texts = vec![Some(""), None, Some("\0"), Some("abcdefgh"), Some("abcdefghi"), Some("ü"), Some("b")];
        sorted(&(Arc::new(StringArray::from(texts)) as ArrayRef));
        let decimals =
            datafusion::arrow::array::Decimal128Array::from(vec![Some(i128::MIN / 4), Some(7), None, Some(1 << 99)]);
        sorted(&(Arc::new(decimals.with_precision_and_scale(38, 2).unwrap()) as ArrayRef));
    }
}
