//! `MIN` and `MAX` of floats in one total order: -0 before 0, NaN after all numbers, as in PostgreSQL.
//!
//! DataFusion 55 compares in the order rows come, and a NaN replaces whatever is held: the result would depend on threads and
//! files. Other types, which have no such values, go to its own functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature,
};

use crate::exact::order_of_float;
use crate::sql::aggregates::exact_cells::passes;

/// `min` or `max`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Extreme {
    inner: Arc<AggregateUDF>,
}

impl Extreme {
    pub(super) fn new(inner: Arc<AggregateUDF>) -> Self {
        Self { inner }
    }

    fn order(&self, args: &AccumulatorArgs) -> Option<Order> {
        let data_type = args.return_field.data_type();
        data_type.is_floating().then(|| Order { largest: self.inner.name() == "max", data_type: data_type.clone() })
    }
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, args: &[DataType]) -> DfResult<Vec<DataType>> {
        self.inner.coerce_types(args)
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        self.inner.return_type(args)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DfResult<Vec<FieldRef>> {
        if args.return_field.data_type().is_floating() {
            let name = format_state_name(args.name, self.name());
            return Ok(vec![Arc::new(Field::new(name, args.return_field.data_type().clone(), true))]);
        }
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        match self.order(&args) {
            Some(order) => Ok(Box::new(Held { order, sliding: false, values: BTreeMap::new() })),
            None => self.inner.accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        match self.order(&args) {
            Some(order) => Ok(Box::new(Held { order, sliding: true, values: BTreeMap::new() })),
            None => self.inner.create_sliding_accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.order(&args).is_some() || self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn GroupsAccumulator>> {
        match self.order(&args) {
            Some(order) => Ok(Box::new(Groups { order, best: Vec::new() })),
            None => self.inner.create_groups_accumulator(args),
        }
    }
}

/// Which of two floats wins, and the type they come in.
#[derive(Debug, Clone)]
struct Order {
    largest: bool,
    data_type: DataType,
}

impl Order {
    fn better(&self, value: f64, than: f64) -> bool {
        let (a, b) = (order_of_float(value), order_of_float(than));
        if self.largest { a > b } else { a < b }
    }

    fn values(arrays: &[ArrayRef]) -> DfResult<Float64Array> {
        let array = arrays.first().ok_or_else(|| datafusion::common::exec_datafusion_err!("no argument"))?;
        Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
    }

    /// Narrower floats were widened, so nothing is lost on the way back.
    fn array(&self, values: Vec<Option<f64>>) -> DfResult<ArrayRef> {
        let wide: ArrayRef = Arc::new(Float64Array::from(values));
        Ok(cast(&wide, &self.data_type)?)
    }
}

/// One extreme. Where rows may leave, each value with how often it is held; else the best alone.
#[derive(Debug)]
struct Held {
    order: Order,
    sliding: bool,
    values: BTreeMap<i64, (f64, i64)>,
}

impl Held {
    fn put(&mut self, arrays: &[ArrayRef], times: i64) -> DfResult<()> {
        for value in Order::values(arrays)?.iter().flatten() {
            let key = order_of_float(value);
            if !self.sliding {
                if self.best().is_none_or(|best| self.order.better(value, best)) {
                    self.values = BTreeMap::from([(key, (value, 1))]);
                }
                continue;
            }
            let held = self.values.entry(key).or_insert((value, 0));
            held.1 += times;
            if held.1 <= 0 {
                self.values.remove(&key);
            }
        }
        Ok(())
    }

    fn best(&self) -> Option<f64> {
        let end = if self.order.largest { self.values.last_key_value() } else { self.values.first_key_value() };
        end.map(|(_, (value, _))| *value)
    }
}

impl Accumulator for Held {
    fn update_batch(&mut self, arrays: &[ArrayRef]) -> DfResult<()> {
        self.put(arrays, 1)
    }

    fn retract_batch(&mut self, arrays: &[ArrayRef]) -> DfResult<()> {
        self.put(arrays, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        self.sliding
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        ScalarValue::try_from_array(&self.order.array(vec![self.best()])?, 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.values.len() * 40
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        self.put(states, 1)
    }
}

/// An extreme per group.
#[derive(Debug)]
struct Groups {
    order: Order,
    best: Vec<Option<f64>>,
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        arrays: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> DfResult<()> {
        self.best.resize(total_groups, None);
        for (row, (value, &group)) in Order::values(arrays)?.iter().zip(groups).enumerate() {
            let Some(value) = value.filter(|_| passes(filter, row)) else {
                continue;
            };
            if self.best[group].is_none_or(|held| self.order.better(value, held)) {
                self.best[group] = Some(value);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> DfResult<ArrayRef> {
        let best = emit.take_needed(&mut self.best);
        self.order.array(best)
    }

    fn state(&mut self, emit: EmitTo) -> DfResult<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total_groups: usize) -> DfResult<()> {
        self.update_batch(states, groups, None, total_groups)
    }

    fn convert_to_state(&self, arrays: &[ArrayRef], filter: Option<&BooleanArray>) -> DfResult<Vec<ArrayRef>> {
        let values = Order::values(arrays)?;
        let kept = values.iter().enumerate().map(|(row, value)| value.filter(|_| passes(filter, row))).collect();
        Ok(vec![self.order.array(kept)?])
    }

    fn size(&self) -> usize {
        self.best.capacity() * size_of::<Option<f64>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_one_order_whatever_comes_first() {
        let sorted = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, f64::MIN_POSITIVE, 2.0, f64::INFINITY, f64::NAN];
        assert!(sorted.windows(2).all(|pair| order_of_float(pair[0]) < order_of_float(pair[1])));
        assert_eq!(order_of_float(f64::NAN), order_of_float(-f64::NAN));
    }
}
