//! A lower bound at every label time.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::create_physical_expr;

use crate::lookback::reads::Lower;
use crate::plan::with_fixed_shift;
use crate::source::time::{instants_ns, unit_ns};
use crate::sql::is_now;

/// Nothing bounds the reading.
pub const FROM_THE_BEGINNING: i64 = i64::MIN;
/// No event can matter: the bound is NULL.
pub const NOTHING: i64 = i64::MAX;

impl Lower {
    /// The first instant that matters at each label time; all nanoseconds since 1970. A bound that can't be computed bounds
    /// nothing.
    pub fn starts(&self, times: &[i64]) -> Vec<i64> {
        let each = |all: &[Self], pick: fn(i64, i64) -> i64| {
            let mut all = all.iter().map(|lower| lower.starts(times));
            let first = all.next().unwrap_or_else(|| vec![FROM_THE_BEGINNING; times.len()]);
            all.fold(first, |a, b| a.into_iter().zip(b).map(|(a, b)| pick(a, b)).collect())
        };
        match self {
            Self::Unbounded => vec![FROM_THE_BEGINNING; times.len()],
            Self::Latest(all) => each(all, i64::max),
            Self::Earliest(all) => each(all, i64::min),
            Self::At(expr) => evaluated(expr, times).unwrap_or_else(|_| vec![FROM_THE_BEGINNING; times.len()]),
        }
    }

    /// As [`Lower::starts`], at one label time.
    pub fn start(&self, time: i64) -> i64 {
        self.starts(&[time]).first().copied().unwrap_or(FROM_THE_BEGINNING)
    }
}

fn evaluated(expr: &Expr, times: &[i64]) -> DfResult<Vec<i64>> {
    let mut unit = TimeUnit::Microsecond;
    let now = Column::new_unqualified("now");
    let bound = expr
        .clone()
        .transform_up(|e| {
            if !is_now(&e) {
                return Ok(Transformed::no(e));
            }
            if let Expr::Placeholder(p) = &e
                && let Some(field) = &p.field
                && let DataType::Timestamp(own, _) = field.data_type()
            {
                unit = *own;
            }
            Ok(Transformed::yes(Expr::Column(now.clone())))
        })
        .data()?;
    let own = Expr::Column(now.clone());
    let bound = bound.transform_up(|e| with_fixed_shift(e, |e| (*e == own).then_some(unit))).data()?;
    let instant = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let nanoseconds: ArrayRef =
        Arc::new(datafusion::arrow::array::TimestampNanosecondArray::from(times.to_vec()).with_timezone("UTC"));
    let schema = Schema::new(vec![Field::new("now", DataType::Timestamp(unit, Some("UTC".into())), false)]);
    let ticks: Int64Array = times.iter().map(|t| t.div_euclid(unit_ns(unit))).collect();
    let now = datafusion::arrow::compute::cast(&ticks, schema.field(0).data_type())?;
    let physical = create_physical_expr(
        &bound,
        &DFSchema::try_from(schema.clone())?,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )?;
    let batch = RecordBatch::try_new(Arc::new(schema), vec![now])?;
    let values = physical.evaluate(&batch)?.into_array(nanoseconds.len())?;
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let values = match values.data_type() {
        DataType::Timestamp(_, _) => values,
        DataType::Date32 | DataType::Date64 => cast_with_options(&values, &instant, &strict)?,
        other => return Err(DataFusionError::Plan(format!("{other} is no bound on a time"))),
    };
    let starts = instants_ns(&values, 0)?;
    Ok((0..starts.len()).map(|i| if starts.is_null(i) { NOTHING } else { starts.value(i) }).collect())
}
