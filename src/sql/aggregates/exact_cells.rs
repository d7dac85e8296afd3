//! DataFusion's accumulators over exact cells: one cell, a cell per group, a cell of distinct values.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BinaryBuilder, BooleanArray, PrimitiveArray,
};
use datafusion::arrow::datatypes::{ArrowNativeType, DataType, ToByteSlice};
use datafusion::common::{ScalarValue, exec_datafusion_err, exec_err};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use crate::error::DataFault;
use crate::exact::{Cell, Total};

/// What an aggregate gives: a sum or an average, its type, and its name for errors.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub average: bool,
    pub data_type: DataType,
    pub name: String,
}

impl Output {
    fn scalar(&self, cell: &impl Cell) -> DfResult<ScalarValue> {
        if cell.count() == 0 {
            return ScalarValue::try_from(&self.data_type);
        }
        if self.average {
            return Ok(ScalarValue::Float64(cell.mean()));
        }
        match (cell.total(), &self.data_type) {
            (Total::Float(v), DataType::Float64) => Ok(ScalarValue::Float64(Some(v))),
            (Total::Integer(v), DataType::Int64) => {
                Ok(ScalarValue::Int64(Some(i64::try_from(v).map_err(|_| self.overflow())?)))
            }
            (Total::Integer(v), DataType::UInt64) => {
                Ok(ScalarValue::UInt64(Some(u64::try_from(v).map_err(|_| self.overflow())?)))
            }
            (Total::Integer(v), DataType::Decimal128(precision, scale)) => {
                let limit = 10_i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX);
                if v <= -limit || v >= limit {
                    return Err(self.overflow());
                }
                Ok(ScalarValue::Decimal128(Some(v), *precision, *scale))
            }
            _ => Err(self.overflow()),
        }
    }

    fn array<C: Cell>(&self, cells: &[C]) -> DfResult<ArrayRef> {
        if cells.is_empty() {
            return Ok(datafusion::arrow::array::new_empty_array(&self.data_type));
        }
        if self.data_type == DataType::Float64 {
            use datafusion::arrow::array::Float64Array;
            return Ok(Arc::new(Float64Array::from_iter(cells.iter().map(|cell| {
                match (cell.count(), cell.total()) {
                    (0, _) => None,
                    _ if self.average => cell.mean(),
                    (_, Total::Float(v)) => Some(v),
                    _ => None,
                }
            }))));
        }
        ScalarValue::iter_to_array(cells.iter().map(|cell| self.scalar(cell)).collect::<DfResult<Vec<_>>>()?)
    }

    fn overflow(&self) -> DataFusionError {
        DataFault(format!("`{}` overflows {}", self.name, self.data_type)).into()
    }
}

fn values<C: Cell>(arrays: &[ArrayRef]) -> DfResult<&PrimitiveArray<C::Arrow>> {
    let array = arrays.first().ok_or_else(|| exec_datafusion_err!("an aggregate without an argument"))?;
    array
        .as_primitive_opt::<C::Arrow>()
        .ok_or_else(|| exec_datafusion_err!("{} where {} was planned", array.data_type(), C::Arrow::DATA_TYPE))
}

fn states(arrays: &[ArrayRef]) -> DfResult<&BinaryArray> {
    let array = arrays.first().and_then(|a| a.as_binary_opt::<i32>());
    array.ok_or_else(|| exec_datafusion_err!("partial sums are not binary"))
}

fn restored<C: Cell>(bytes: &[u8]) -> DfResult<C> {
    C::read(bytes).ok_or_else(|| exec_datafusion_err!("a partial sum of {} bytes is damaged", bytes.len()))
}

fn stored<'a, C: Cell>(cells: impl IntoIterator<Item = &'a C>) -> ArrayRef {
    let mut builder = BinaryBuilder::new();
    let mut bytes = Vec::new();
    for cell in cells {
        bytes.clear();
        cell.write(&mut bytes);
        builder.append_value(&bytes);
    }
    Arc::new(builder.finish())
}

/// One sum; rows may leave it.
#[derive(Debug)]
pub(super) struct CellAccumulator<C> {
    cell: C,
    output: Output,
}

impl<C: Cell> CellAccumulator<C> {
    pub(super) fn new(output: Output) -> Self {
        Self { cell: C::default(), output }
    }
}

impl<C: Cell> Accumulator for CellAccumulator<C> {
    fn update_batch(&mut self, arrays: &[ArrayRef]) -> DfResult<()> {
        values::<C>(arrays)?.iter().flatten().for_each(|v| self.cell.add(v));
        Ok(())
    }

    fn retract_batch(&mut self, arrays: &[ArrayRef]) -> DfResult<()> {
        values::<C>(arrays)?.iter().flatten().for_each(|v| self.cell.retract(v));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        self.output.scalar(&self.cell)
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let mut bytes = Vec::new();
        self.cell.write(&mut bytes);
        Ok(vec![ScalarValue::Binary(Some(bytes))])
    }

    fn merge_batch(&mut self, arrays: &[ArrayRef]) -> DfResult<()> {
        for bytes in states(arrays)?.iter().flatten() {
            self.cell.merge(&restored(bytes)?);
        }
        Ok(())
    }
}

/// A cell per group.
#[derive(Debug)]
pub(super) struct CellGroups<C> {
    cells: Vec<C>,
    output: Output,
}

impl<C: Cell> CellGroups<C> {
    pub(super) fn new(output: Output) -> Self {
        Self { cells: Vec::new(), output }
    }
}

/// Whether an aggregate's FILTER lets the row in.
pub(super) fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|f| f.is_valid(row) && f.value(row))
}

impl<C: Cell> GroupsAccumulator for CellGroups<C> {
    fn update_batch(
        &mut self,
        arrays: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> DfResult<()> {
        self.cells.resize(total_groups, C::default());
        for (row, (value, &group)) in values::<C>(arrays)?.iter().zip(groups).enumerate() {
            if let Some(value) = value.filter(|_| passes(filter, row)) {
                self.cells[group].add(value);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> DfResult<ArrayRef> {
        let cells = emit.take_needed(&mut self.cells);
        self.output.array(&cells)
    }

    fn state(&mut self, emit: EmitTo) -> DfResult<Vec<ArrayRef>> {
        Ok(vec![stored(&emit.take_needed(&mut self.cells))])
    }

    fn merge_batch(&mut self, arrays: &[ArrayRef], groups: &[usize], total_groups: usize) -> DfResult<()> {
        self.cells.resize(total_groups, C::default());
        for (bytes, &group) in states(arrays)?.iter().zip(groups) {
            if let Some(bytes) = bytes {
                self.cells[group].merge(&restored(bytes)?);
            }
        }
        Ok(())
    }

    fn convert_to_state(&self, arrays: &[ArrayRef], filter: Option<&BooleanArray>) -> DfResult<Vec<ArrayRef>> {
        let cells: Vec<C> = values::<C>(arrays)?
            .iter()
            .enumerate()
            .map(|(row, value)| {
                let mut cell = C::default();
                if let Some(value) = value.filter(|_| passes(filter, row)) {
                    cell.add(value);
                }
                cell
            })
            .collect();
        Ok(vec![stored(&cells)])
    }

    fn size(&self) -> usize {
        // A float cell holds one to three parts on the heap.
        self.cells.capacity() * (size_of::<C>() + 3 * size_of::<f64>())
    }
}

/// A sum of distinct values, with how often each is held, so that rows may leave.
#[derive(Debug)]
pub(super) struct DistinctCells<C: Cell> {
    held: HashMap<Vec<u8>, (<C::Arrow as ArrowPrimitiveType>::Native, i64)>,
    output: Output,
}

impl<C: Cell> DistinctCells<C> {
    pub(super) fn new(output: Output) -> Self {
        Self { held: HashMap::new(), output }
    }

    fn put(&mut self, value: <C::Arrow as ArrowPrimitiveType>::Native, times: i64) {
        // Minus zero equals zero, and every NaN is the same NaN.
        let zero = <C::Arrow as ArrowPrimitiveType>::Native::default();
        let value = if value == zero { zero } else { value };
        let key = if value.is_ne(value) { Vec::new() } else { value.to_byte_slice().to_vec() };
        let entry = self.held.entry(key).or_insert((value, 0));
        entry.1 += times;
    }

    fn cell(&self) -> C {
        let mut cell = C::default();
        self.held.values().filter(|(_, times)| *times > 0).for_each(|(value, _)| cell.add(*value));
        cell
    }
}

use datafusion::arrow::array::ArrowNativeTypeOp;

impl<C: Cell> Accumulator for DistinctCells<C> {
    fn update_batch(&mut self, arrays: &[ArrayRef]) -> DfResult<()> {
        values::<C>(arrays)?.iter().flatten().for_each(|v| self.put(v, 1));
        Ok(())
    }

    fn retract_batch(&mut self, arrays: &[ArrayRef]) -> DfResult<()> {
        values::<C>(arrays)?.iter().flatten().for_each(|v| self.put(v, -1));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        self.output.scalar(&self.cell())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.held.capacity() * 64
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let held = self.held.values().filter(|(_, times)| *times > 0);
        Ok(vec![ScalarValue::Binary(Some(held.flat_map(|(value, _)| value.to_byte_slice().to_vec()).collect()))])
    }

    fn merge_batch(&mut self, arrays: &[ArrayRef]) -> DfResult<()> {
        let width = <C::Arrow as ArrowPrimitiveType>::Native::get_byte_width();
        for bytes in states(arrays)?.iter().flatten() {
            if bytes.len() % width != 0 {
                return exec_err!("a set of distinct values of {} bytes is damaged", bytes.len());
            }
            let buffer = datafusion::arrow::buffer::Buffer::from(bytes);
            let scalars = datafusion::arrow::buffer::ScalarBuffer::<<C::Arrow as ArrowPrimitiveType>::Native>::new(
                buffer,
                0,
                bytes.len() / width,
            );
            scalars.iter().for_each(|value| self.put(*value, 1));
        }
        Ok(())
    }
}
