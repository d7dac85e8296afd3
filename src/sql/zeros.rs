//! 0.0 and -0.0 are one value wherever values are told apart, as SQL compares them: the groups of `GROUP BY`, `DISTINCT` rows and
//! arguments, `DISTINCT ON`, the partitions and the order of window functions.
//!
//! DataFusion 55 groups and joins the two as equal, and shows the one that came first; it counts them as two under
//! `COUNT(DISTINCT)`, and as two partitions or ranks in windows. Here such values lose the sign of zero first. What is only
//! selected, summed or sorted keeps it.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Distinct, DistinctOn, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, SortExpr, Volatility, Window,
};

use crate::sql::names::{named, with_windows};

/// Applies this to an analyzed plan and its subqueries.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub fn one_zero(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => in_aggregate(aggregate),
        LogicalPlan::Window(window) => in_window(window),
        LogicalPlan::Distinct(Distinct::All(input)) => in_rows(input),
        LogicalPlan::Distinct(Distinct::On(on)) => in_distinct_on(on),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// The array with every -0.0 as 0.0; other types as they are.
pub fn without_signed_zeros(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float32 => Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(|x| x + 0.0)),
        DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(|x| x + 0.0)),
        _ => Arc::clone(array),
    }
}

fn has_two_zeros(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Float32 | DataType::Float64))
}

pub fn unsigned_zero(expr: Expr) -> Expr {
    ScalarUDF::from(UnsignedZero { signature: Signature::any(1, Volatility::Immutable) }).call(vec![expr])
}

/// The expression with one zero, under its own name; `None` where nothing changes.
fn settled(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    match expr {
        Expr::Alias(alias) => {
            let inner = settled(&alias.expr, schema)?;
            Some(inner.alias_qualified(alias.relation.clone(), alias.name.clone()))
        }
        other => has_two_zeros(other, schema).then(|| unsigned_zero(other.clone())),
    }
}

fn in_aggregate(aggregate: Aggregate) -> DfResult<Transformed<LogicalPlan>> {
    let schema = Arc::clone(aggregate.input.schema());
    if let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() {
        // The members of a set have no names of their own: their columns change below.
        let columns: Vec<Expr> =
            sets.distinct_expr().into_iter().filter(|e| has_two_zeros(e, &schema)).cloned().collect();
        if columns.iter().any(|e| matches!(e, Expr::Column(_))) {
            let exprs = schema.columns().into_iter().map(|column| {
                let expr = Expr::Column(column.clone());
                if columns.contains(&expr) { named(unsigned_zero(expr), &column) } else { expr }
            });
            let exprs: Vec<Expr> = exprs.collect();
            let input = LogicalPlanBuilder::from(Arc::unwrap_or_clone(aggregate.input)).project(exprs)?.build()?;
            let rebuilt = Aggregate::try_new(input.into(), aggregate.group_expr, aggregate.aggr_expr)?;
            return Ok(Transformed::yes(LogicalPlan::Aggregate(rebuilt)));
        }
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let columns = aggregate.schema.columns();
    let mut changed = false;
    let groups: Vec<Expr> = aggregate
        .group_expr
        .iter()
        .zip(&columns)
        .map(|(expr, column)| match settled(expr, &schema) {
            Some(new) => {
                changed = true;
                if matches!(expr, Expr::Alias(_)) { new } else { named(new, column) }
            }
            None => expr.clone(),
        })
        .collect();
    let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
    for (expr, column) in aggregate.aggr_expr.iter().zip(&columns[aggregate.group_expr.len()..]) {
        let distinct = expr.clone().transform_down(|e| {
            let Expr::AggregateFunction(mut call) = e else { return Ok(Transformed::no(e)) };
            if !call.params.distinct || !call.params.args.iter().any(|a| has_two_zeros(a, &schema)) {
                return Ok(Transformed::no(Expr::AggregateFunction(call)));
            }
            let one = |e: &Expr| settled(e, &schema).unwrap_or_else(|| e.clone());
            call.params.args = call.params.args.iter().map(one).collect();
            call.params.order_by = ordered(&call.params.order_by, &schema);
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        })?;
        let renamed = distinct.transformed && !matches!(expr, Expr::Alias(_));
        changed |= distinct.transformed;
        calls.push(if renamed { distinct.data.alias(&column.name) } else { distinct.data });
    }
    if !changed {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    Ok(Transformed::yes(LogicalPlan::Aggregate(Aggregate::try_new(aggregate.input, groups, calls)?)))
}

fn ordered(order: &[SortExpr], schema: &DFSchema) -> Vec<SortExpr> {
    let one = |key: &SortExpr| SortExpr {
        expr: settled(&key.expr, schema).unwrap_or_else(|| key.expr.clone()),
        ..key.clone()
    };
    order.iter().map(one).collect()
}

fn in_window(window: Window) -> DfResult<Transformed<LogicalPlan>> {
    let schema = Arc::clone(window.input.schema());
    let columns = window.schema.columns();
    let own = schema.fields().len();
    let mut changed = false;
    let mut calls = Vec::with_capacity(window.window_expr.len());
    for (expr, column) in window.window_expr.iter().zip(&columns[own..]) {
        let inner = match expr {
            Expr::Alias(alias) => alias.expr.as_ref(),
            other => other,
        };
        let Expr::WindowFunction(call) = inner else {
            calls.push((inner.clone(), column.clone()));
            continue;
        };
        let mut call = call.as_ref().clone();
        let params = &mut call.params;
        let keys = params.order_by.iter().map(|key| &key.expr).chain(&params.partition_by);
        if keys.clone().any(|e| has_two_zeros(e, &schema)) {
            changed = true;
            params.order_by = ordered(&params.order_by, &schema);
            let one = |e: &Expr| settled(e, &schema).unwrap_or_else(|| e.clone());
            params.partition_by = params.partition_by.iter().map(one).collect();
        }
        calls.push((Expr::from(call), column.clone()));
    }
    if !changed {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    with_windows(Arc::unwrap_or_clone(window.input), calls).map(Transformed::yes)
}

fn in_rows(input: Arc<LogicalPlan>) -> DfResult<Transformed<LogicalPlan>> {
    let schema = Arc::clone(input.schema());
    let columns = schema.columns();
    if !columns.iter().any(|c| has_two_zeros(&Expr::Column(c.clone()), &schema)) {
        return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input))));
    }
    let exprs = columns.into_iter().map(|column| {
        let expr = Expr::Column(column.clone());
        if has_two_zeros(&expr, &schema) { named(unsigned_zero(expr), &column) } else { expr }
    });
    let exprs: Vec<Expr> = exprs.collect();
    let input = LogicalPlanBuilder::from(Arc::unwrap_or_clone(input)).project(exprs)?.build()?;
    Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::All(input.into()))))
}

fn in_distinct_on(on: DistinctOn) -> DfResult<Transformed<LogicalPlan>> {
    let schema = Arc::clone(on.input.schema());
    if !on.on_expr.iter().any(|e| has_two_zeros(e, &schema)) {
        return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::On(on))));
    }
    let one = |e: &Expr| settled(e, &schema).unwrap_or_else(|| e.clone());
    let keys: Vec<Expr> = on.on_expr.clone();
    let sort_expr = on.sort_expr.map(|order| {
        let key = |k: SortExpr| if keys.contains(&k.expr) { SortExpr { expr: one(&k.expr), ..k } } else { k };
        order.into_iter().map(key).collect()
    });
    let on_expr = keys.iter().map(one).collect();
    Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::On(DistinctOn { on_expr, sort_expr, ..on }))))
}

/// A float, with 0.0 for -0.0.
#[derive(Debug, PartialEq, Eq, Hash)]
struct UnsignedZero {
    signature: Signature,
}

impl ScalarUDFImpl for UnsignedZero {
    fn name(&self) -> &str {
        "unsigned_zero"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        Ok(args.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else {
            return datafusion::common::exec_err!("{} takes a float", self.name());
        };
        let unsigned = without_signed_zeros(array);
        if matches!(args.args.first(), Some(ColumnarValue::Scalar(_))) {
            let value = datafusion::common::ScalarValue::try_from_array(unsigned.as_ref() as &dyn Array, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(unsigned))
    }
}
