//! Conditions looked at one by one: which rows each takes, and how far off the others are.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlanBuilder, Operator};

use super::relation::Rel;
use super::{Stop, Walk, Walked};
use crate::source::instant_ns;
use crate::sql::mentions_now;

/// One condition over the rows of a relation.
pub(super) struct Judged<'e> {
    pub(super) expr: &'e Expr,
    pub(super) text: String,
    pub(super) holds: Vec<bool>,
    /// Of a bound on time: whether the rows that fail lie before it, and how far each row is from it.
    pub(super) distance: Option<(bool, Vec<Option<i64>>)>,
}

impl Judged<'_> {
    /// How far off a row is that fails.
    pub(super) fn outside(&self, row: usize) -> Option<(bool, i64)> {
        let (before, by) = self.distance.as_ref()?;
        by[row].map(|by| (*before, by))
    }
}

impl Walk<'_> {
    /// Looks at each condition for each row. One that fails on a row which another keeps away is looked at as a whole.
    pub(super) async fn judge<'e>(&self, input: &Rel, conditions: &[&'e Expr]) -> Walked<Vec<Judged<'e>>> {
        let mut judged = Vec::with_capacity(conditions.len());
        for condition in conditions {
            judged.push(self.judge_one(input, condition).await?);
        }
        Ok(judged)
    }

    async fn judge_one<'e>(&self, input: &Rel, condition: &'e Expr) -> Walked<Judged<'e>> {
        let bound = bound_on_time(condition, &input.schema);
        let mut exprs = vec![condition.clone().alias("__holds")];
        if let Some((row, bound, _)) = &bound {
            exprs.push(instant_ns((*row).clone(), 0).alias("__row_time"));
            exprs.push(instant_ns((*bound).clone(), 0).alias("__bound"));
        }
        let plan = LogicalPlanBuilder::from(input.plan("in")?).project(exprs)?.build()?;
        let ran = self.run(plan).await?;
        if ran.rows != input.rows() {
            return Err(Stop::NoRule("a condition that changes the number of rows".to_string()));
        }
        let holds = ran.columns[0].as_boolean();
        let holds = (0..holds.len()).map(|i| holds.is_valid(i) && holds.value(i)).collect();
        let distance = bound.map(|(_, _, before)| {
            let [row, bound] = [1, 2].map(|i| ran.columns[i].as_primitive::<Int64Type>());
            let by = |i: usize| {
                (row.is_valid(i) && bound.is_valid(i))
                    .then(|| row.value(i).saturating_sub(bound.value(i)).saturating_abs())
            };
            (before, (0..row.len()).map(by).collect())
        });
        Ok(Judged { expr: condition, text: self.speller.spell(condition), holds, distance })
    }
}

/// The row's time, the bound, and whether rows that fail lie before it.
fn bound_on_time<'e>(condition: &'e Expr, schema: &DFSchema) -> Option<(&'e Expr, &'e Expr, bool)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let (row, bound, mirrored) = match (mentions_now(left), mentions_now(right)) {
        (false, true) => (left, right, false),
        (true, false) => (right, left, true),
        _ => return None,
    };
    let before = match op {
        Operator::Gt | Operator::GtEq => !mirrored,
        Operator::Lt | Operator::LtEq => mirrored,
        _ => return None,
    };
    let is_time = |e: &Expr| e.get_type(schema).is_ok_and(|t| matches!(t, DataType::Timestamp(_, _)));
    (is_time(row) && is_time(bound) && !row.column_refs().is_empty()).then_some((row.as_ref(), bound.as_ref(), before))
}
