//! Aggregates that add floats up in the order rows come (variance, correlation, quantile sketches), made independent of
//! that order: rows are held until the end, sorted by value, and then given to DataFusion's own function.
//!
//! Memory: all the argument values of a group, until it is done.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::UInt32Array;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{concat, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{ScalarValue, exec_datafusion_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

/// A function whose result would depend on the order of rows.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ByValue {
    inner: Arc<AggregateUDF>,
}

impl ByValue {
    pub(super) fn new(inner: Arc<AggregateUDF>) -> Self {
        Self { inner }
    }
}

impl AggregateUDFImpl for ByValue {
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

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn default_value(&self, data_type: &DataType) -> DfResult<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DfResult<Vec<FieldRef>> {
        let list = |(i, f): (usize, &FieldRef)| {
            let item = Field::new_list_field(f.data_type().clone(), true);
            Arc::new(Field::new(
                format_state_name(args.name, &format!("values {i}")),
                DataType::new_list(item.data_type().clone(), true),
                true,
            ))
        };
        Ok(args.input_fields.iter().enumerate().map(list).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        Ok(Box::new(Held {
            inner: Arc::clone(&self.inner),
            columns: vec![Vec::new(); args.exprs.len()],
            args: OwnedArgs::new(&args),
        }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        self.accumulator(args)
    }
}

/// [`AccumulatorArgs`] that own what they name.
struct OwnedArgs {
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl OwnedArgs {
    fn new(args: &AccumulatorArgs) -> Self {
        Self {
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_string(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        }
    }

    fn borrowed(&self) -> AccumulatorArgs<'_> {
        AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        }
    }
}

/// The argument values of one group.
struct Held {
    inner: Arc<AggregateUDF>,
    args: OwnedArgs,
    /// By argument, the batches that came.
    columns: Vec<Vec<ArrayRef>>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({})", self.args.name)
    }
}

impl Held {
    fn concatenated(&self) -> DfResult<Vec<ArrayRef>> {
        let whole = |(batches, field): (&Vec<ArrayRef>, &FieldRef)| match batches.as_slice() {
            [] => Ok(datafusion::arrow::array::new_empty_array(field.data_type())),
            [one] => Ok(Arc::clone(one)),
            many => Ok(concat(&many.iter().map(AsRef::as_ref).collect::<Vec<_>>())?),
        };
        self.columns.iter().zip(&self.args.expr_fields).map(whole).collect()
    }
}

impl Accumulator for Held {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        for (column, value) in self.columns.iter_mut().zip(values) {
            // A slice would keep the whole batch that it was cut from.
            let all: UInt32Array = (0..u32::try_from(value.len()).unwrap_or(u32::MAX)).collect();
            column.push(take(value, &all, None)?);
        }
        Ok(())
    }

    /// Rows leave a window in the order in which they came.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let whole = self.concatenated()?;
        for ((column, all), gone) in self.columns.iter_mut().zip(whole).zip(values) {
            let kept = all.len().saturating_sub(gone.len());
            *column = vec![all.slice(all.len() - kept, kept)];
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        let columns = self.concatenated()?;
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
        let mut order: Vec<u32> = (0..u32::try_from(rows.num_rows())
            .map_err(|_| exec_datafusion_err!("over 2^32 rows in a group"))?)
            .collect();
        order.sort_unstable_by(|&a, &b| rows.row(a as usize).cmp(&rows.row(b as usize)));
        let order = UInt32Array::from(order);
        let sorted = columns.iter().map(|c| Ok(take(c, &order, None)?)).collect::<DfResult<Vec<_>>>()?;
        let mut inner = self.inner.accumulator(self.args.borrowed())?;
        inner.update_batch(&sorted)?;
        inner.evaluate()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.columns.iter().flatten().map(|a| a.get_array_memory_size()).sum::<usize>()
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let columns = self.concatenated()?;
        Ok(columns.into_iter().map(|c| SingleRowListArrayBuilder::new(c).build_list_scalar()).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        for (column, state) in self.columns.iter_mut().zip(states) {
            let lists = state.as_list_opt::<i32>().ok_or_else(|| exec_datafusion_err!("held values are not lists"))?;
            column.extend((0..lists.len()).filter(|&i| lists.is_valid(i)).map(|i| lists.value(i)));
        }
        Ok(())
    }
}
