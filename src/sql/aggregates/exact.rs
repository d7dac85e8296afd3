//! `SUM` and `AVG` by exact sums (see [`crate::exact`]); an integer sum that does not fit its type is an error.
//!
//! Types are DataFusion's. What is not summed in integers, 64-bit floats or (for `SUM`) 128-bit decimals goes to
//! DataFusion's own function. `AVG` of integers sums integers, not floats made of them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::plan_err;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};

use crate::exact::{DecimalCell, FloatCell, IntegerCell, UnsignedCell};
use crate::sql::aggregates::exact_cells::{CellAccumulator, CellGroups, DistinctCells, Output};

/// `sum` or `avg`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ExactAggregate {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl ExactAggregate {
    /// Wraps DataFusion's function of that name.
    pub(super) fn new(inner: Arc<AggregateUDF>) -> Self {
        Self { inner, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn is_average(&self) -> bool {
        self.inner.name() == "avg"
    }

    /// Whether the sum is ours to make, and in which cells.
    fn kind(&self, argument: &DataType) -> Option<Kind> {
        match argument {
            DataType::Int64 => Some(Kind::Integer),
            DataType::UInt64 => Some(Kind::Unsigned),
            DataType::Float64 => Some(Kind::Float),
            DataType::Decimal128(_, _) if !self.is_average() => Some(Kind::Decimal),
            _ => None,
        }
    }

    fn output(&self, args: &AccumulatorArgs) -> Output {
        Output {
            average: self.is_average(),
            data_type: args.return_field.data_type().clone(),
            name: args.name.to_string(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Integer,
    Unsigned,
    Float,
    Decimal,
}

/// Builds `$make::<cell>` for the kind of the first argument, or takes `$other`.
macro_rules! by_kind {
    ($self:ident, $args:ident, $make:ident, $other:expr) => {
        match $args.expr_fields.first().and_then(|f| $self.kind(f.data_type())) {
            Some(Kind::Integer) => Ok(Box::new($make::<IntegerCell>::new($self.output(&$args)))),
            Some(Kind::Unsigned) => Ok(Box::new($make::<UnsignedCell>::new($self.output(&$args)))),
            Some(Kind::Float) => Ok(Box::new($make::<FloatCell>::new($self.output(&$args)))),
            Some(Kind::Decimal) => Ok(Box::new($make::<DecimalCell>::new($self.output(&$args)))),
            None => $other,
        }
    };
}

impl AggregateUDFImpl for ExactAggregate {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> DfResult<Vec<DataType>> {
        let [argument] = args else {
            return plan_err!("{} takes one argument, got {}", self.name(), args.len());
        };
        Ok(vec![match argument {
            t if t.is_signed_integer() || t.is_null() => DataType::Int64,
            t if t.is_unsigned_integer() => DataType::UInt64,
            t if t.is_floating() => DataType::Float64,
            t if t.is_decimal() || matches!(t, DataType::Duration(_)) => t.clone(),
            t @ DataType::Interval(_) if !self.is_average() => t.clone(),
            DataType::Dictionary(_, value) => return self.coerce_types(&[value.as_ref().clone()]),
            other => return plan_err!("{} takes numbers and durations, not {other}", self.name()),
        }])
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        match args {
            [t] if self.is_average() && t.is_integer() => Ok(DataType::Float64),
            _ => self.inner.return_type(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DfResult<Vec<FieldRef>> {
        match args.input_fields.first().and_then(|f| self.kind(f.data_type())) {
            Some(_) => Ok(vec![Arc::new(Field::new(format_state_name(args.name, "exact"), DataType::Binary, true))]),
            None => self.inner.state_fields(args),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        if args.is_distinct {
            return by_kind!(self, args, DistinctCells, self.inner.accumulator(args));
        }
        by_kind!(self, args, CellAccumulator, self.inner.accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        if args.is_distinct {
            return by_kind!(self, args, DistinctCells, self.inner.create_sliding_accumulator(args));
        }
        by_kind!(self, args, CellAccumulator, self.inner.create_sliding_accumulator(args))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        match args.expr_fields.first().and_then(|f| self.kind(f.data_type())) {
            Some(_) => !args.is_distinct,
            None => self.inner.groups_accumulator_supported(args),
        }
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn GroupsAccumulator>> {
        by_kind!(self, args, CellGroups, self.inner.create_groups_accumulator(args))
    }
}
