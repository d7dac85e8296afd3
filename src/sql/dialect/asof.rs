//! ASOF joins as window functions and ordinary joins.
//!
//! ```text
//! Join: a.k = b.k AND a.t >= b.t (ASOF)
//!   a                                   =>   Projection: a.*, b.*
//!   b                                          Join: a.k = b.k AND a.t >= b.t AND (a.t < next OR next IS NULL)
//!                                                a
//!                                                Window: lead(b.t) OVER (PARTITION BY b.k ORDER BY b.t, b.* DESC) AS next
//!                                                  Filter: b.k IS NOT NULL AND b.t IS NOT NULL
//!                                                    b
//! ```
//!
//! Each row of the right side stands for the times from its own to the next row's. Of rows with one time only the last of the window's
//! order stands for any, and that is the one with the smallest values. (`>` moves the ends: `a.t > b.t AND a.t <= next`. For `<=`
//! and `<` the order is turned round.) NULL keys and times match nothing.
//!
//! As in RisingWave the condition has one inequality and at least one equality between the two sides. A condition on the
//! right side alone applies before the nearest row is chosen; one on the left side alone is taken for inner joins only.
//! WHERE over an inner ASOF join may not name the right side alone: RisingWave's optimizer moves such a condition below the join,
//! where it changes which row is chosen.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result as DfResult;
use datafusion::functions_window::lead_lag::lead_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, ExprSchemable, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder,
    Operator, cast,
};

use crate::diagnostics;
use crate::finding::Finding;
use crate::sql::dialect::clauses::{Clauses, Refused, marked};
use crate::sql::mentions_now;
use crate::sql::parse::SqlText;
use crate::sql::ties::whole_row;

/// Puts ordinary joins in the place of ASOF joins.
///
/// # Errors
/// Conditions that have no meaning as an ASOF join, or more than one.
pub fn nearest_rows(plan: LogicalPlan, text: &SqlText, clauses: &Clauses) -> Result<LogicalPlan, Refused> {
    if clauses.asof.is_empty() {
        return Ok(plan);
    }
    let place = |number: usize| clauses.asof.get(number).and_then(|span| text.place(*span));
    let mut refusal: Option<(usize, Refusal)> = None;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Filter(filter) = node {
            refusal = refusal.take().or_else(|| moved_below(filter));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Join(join) = node else { return Ok(Transformed::no(node)) };
        let Some(number) = number_of(&join) else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
        match Conditions::read(&join) {
            Ok(conditions) => Ok(Transformed::yes(conditions.join(join, number)?)),
            Err(why) => {
                refusal.get_or_insert((number, why));
                Ok(Transformed::no(LogicalPlan::Join(join)))
            }
        }
    });
    let plan = rewritten.data()?;
    match refusal {
        Some((number, why)) => Err(Finding::error(why.message).code(why.code).at(place(number)).help(why.help).into()),
        None => Ok(plan),
    }
}

struct Refusal {
    code: &'static str,
    message: String,
    help: &'static str,
}

fn shape(message: &str) -> Refusal {
    Refusal {
        code: diagnostics::B146,
        message: message.to_string(),
        help: "write `a ASOF JOIN b ON a.k = b.k AND a.t >= b.t`, and other conditions into the sides: `(SELECT … WHERE …) AS b`",
    }
}

/// The number of the ASOF join that the join is.
fn number_of(join: &Join) -> Option<usize> {
    join.filter.as_ref().and_then(|filter| split_conjunction(filter).into_iter().find_map(marked))
}

/// What the condition of an ASOF join says.
struct Conditions {
    /// Left side, right side.
    keys: Vec<(Expr, Expr)>,
    left_time: Expr,
    op: Operator,
    right_time: Expr,
    /// On one side alone.
    left: Vec<Expr>,
    right: Vec<Expr>,
}

/// Which sides an expression names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    None,
    Left,
    Right,
    Both,
}

impl Conditions {
    fn read(join: &Join) -> Result<Self, Refusal> {
        let named = |expr: &Expr| {
            let columns = expr.column_refs();
            let of = |side: &LogicalPlan| columns.iter().any(|c| side.schema().has_column(c));
            match (of(&join.left), of(&join.right)) {
                (false, false) => Named::None,
                (true, false) => Named::Left,
                (false, true) => Named::Right,
                (true, true) => Named::Both,
            }
        };
        let (mut keys, mut times) = (Vec::new(), Vec::new());
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let subquery = |e: &Expr| {
            let inside = e.exists(|e| Ok(matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_))));
            inside.unwrap_or(true)
        };
        for part in join.filter.iter().flat_map(split_conjunction).filter(|part| marked(part).is_none()) {
            if subquery(part) {
                return Err(shape("an ASOF join has a subquery in its condition"));
            }
            match named(part) {
                Named::None | Named::Right => right.push(part.clone()),
                Named::Left if join.join_type == JoinType::Inner => left.push(part.clone()),
                Named::Left => {
                    return Err(shape("an ASOF LEFT JOIN has a condition on its left side alone"));
                }
                Named::Both => {
                    let Expr::BinaryExpr(BinaryExpr { left: a, op, right: b }) = part else {
                        return Err(shape("an ASOF join has a condition on both sides that is no comparison"));
                    };
                    let (a, op, b) = match (named(a), named(b), op.swap()) {
                        (Named::Left, Named::Right, _) => (a, *op, b),
                        (Named::Right, Named::Left, Some(swapped)) => (b, swapped, a),
                        _ => return Err(shape("an ASOF join has a condition that mixes its sides")),
                    };
                    match op {
                        Operator::Eq => keys.push((a.as_ref().clone(), b.as_ref().clone())),
                        Operator::Gt | Operator::GtEq | Operator::Lt | Operator::LtEq => {
                            times.push((a.as_ref().clone(), op, b.as_ref().clone()));
                        }
                        _ => return Err(shape("an ASOF join compares its sides by other than =, >=, >, <= and <")),
                    }
                }
            }
        }
        if keys.is_empty() {
            return Err(shape("an ASOF join needs an equality between its sides"));
        }
        if times.len() != 1 {
            let message = format!("an ASOF join needs one inequality between its sides, and has {}", times.len());
            return Err(shape(&message));
        }
        let (left_time, op, right_time) = times.remove(0);
        Ok(Self { keys, left_time, op, right_time, left, right })
    }

    fn join(self, join: Join, number: usize) -> DfResult<LogicalPlan> {
        let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
        let left = filtered(Arc::unwrap_or_clone(join.left), self.left)?;
        let right = Arc::unwrap_or_clone(join.right);
        // The right side is cut up by what is compared: a text key that is compared as a number is one key for `1` and `01`.
        let keys: Vec<(Expr, Expr)> = self
            .keys
            .into_iter()
            .map(|(a, b)| Ok((a.clone(), compared(b, right.schema(), &a, left.schema())?)))
            .collect::<DfResult<_>>()?;
        let time = compared(self.right_time, right.schema(), &self.left_time, left.schema())?;
        let known = keys.iter().map(|(_, key)| key.clone().is_not_null()).chain([time.clone().is_not_null()]);
        let right = filtered(right, self.right.into_iter().chain(known).collect())?;
        let upwards = matches!(self.op, Operator::Gt | Operator::GtEq);
        let order = vec![time.clone().sort(upwards, true), whole_row(right.schema()).sort(false, false)];
        let next = Expr::from(WindowFunction::new(lead_udwf(), vec![time.clone()]))
            .partition_by(keys.iter().map(|(_, key)| key.clone()).collect())
            .order_by(order)
            .build()?;
        let name = format!("__backcast_next{number}");
        let call = next.schema_name().to_string();
        let own: Vec<Expr> = right.schema().columns().into_iter().map(Expr::Column).collect();
        let right = LogicalPlanBuilder::from(right)
            .window(vec![next])?
            .project(own.into_iter().chain([Expr::Column(Column::new_unqualified(call)).alias(&name)]))?
            .build()?;
        let next = Expr::Column(Column::new_unqualified(name));
        let until = match self.op {
            Operator::GtEq => Operator::Lt,
            Operator::Gt => Operator::LtEq,
            Operator::LtEq => Operator::Gt,
            _ => Operator::GtEq,
        };
        let binary = |a: &Expr, op, b: Expr| Expr::BinaryExpr(BinaryExpr::new(Box::new(a.clone()), op, Box::new(b)));
        let mut on: Vec<Expr> = keys.into_iter().map(|(a, b)| a.eq(b)).collect();
        on.push(binary(&self.left_time, self.op, time));
        on.push(binary(&self.left_time, until, next.clone()).or(next.is_null()));
        LogicalPlanBuilder::from(left).join_on(right, join.join_type, on)?.project(columns)?.build()
    }
}

fn filtered(plan: LogicalPlan, conditions: Vec<Expr>) -> DfResult<LogicalPlan> {
    match conjunction(conditions) {
        Some(condition) => LogicalPlanBuilder::from(plan).filter(condition)?.build(),
        None => Ok(plan),
    }
}

/// `expr` in the type in which it is compared with `other`. Timestamps stay as they are: each unit orders them alike.
fn compared(expr: Expr, schema: &DFSchema, other: &Expr, others: &DFSchema) -> DfResult<Expr> {
    let (own, theirs) = (expr.get_type(schema)?, other.get_type(others)?);
    if own == theirs || matches!((&own, &theirs), (DataType::Timestamp(_, _), DataType::Timestamp(_, _))) {
        return Ok(expr);
    }
    Ok(match comparison_coercion(&own, &theirs) {
        Some(common) if common != own => cast(expr, common),
        _ => expr,
    })
}

/// The inner ASOF join below a filter whose right side alone a part of the filter names.
fn moved_below(filter: &Filter) -> Option<(usize, Refusal)> {
    split_conjunction(&filter.predicate).into_iter().find_map(|part| {
        let columns: HashSet<Column> = part.column_refs().into_iter().cloned().collect();
        let number = if columns.is_empty() { None } else { reached(&filter.input, part, &columns) };
        number.map(|number| {
            let message = "a condition outside an inner ASOF join names its right side alone".to_string();
            let help = "RisingWave applies it before the nearest row is chosen: write it into ON, or into the right side. \
                        To drop rows after the choice, use `ASOF LEFT JOIN`";
            (number, Refusal { code: diagnostics::B147, message, help })
        })
    })
}

/// The ASOF join whose right side RisingWave's optimizer would move the condition into, where that changes what is chosen.
fn reached(plan: &LogicalPlan, part: &Expr, columns: &HashSet<Column>) -> Option<usize> {
    let within = |side: &LogicalPlan| columns.iter().all(|c| side.schema().has_column(c));
    match plan {
        LogicalPlan::Filter(filter) => reached(&filter.input, part, columns),
        LogicalPlan::Join(join) => {
            let right = within(&join.right);
            if right
                && join.join_type == JoinType::Inner
                && let Some(number) = number_of(join)
            {
                return Conditions::read(join).ok().filter(|on| !on.indifferent(part, columns)).map(|_| number);
            }
            match join.join_type {
                JoinType::Inner | JoinType::Left if within(&join.left) => reached(&join.left, part, columns),
                JoinType::Inner | JoinType::Right if right => reached(&join.right, part, columns),
                _ => None,
            }
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let pairs =
                alias.schema.columns().into_iter().zip(alias.input.schema().columns().into_iter().map(Expr::Column));
            below(&alias.input, part, pairs.collect())
        }
        LogicalPlan::Projection(projection) => {
            let exprs = projection.expr.iter().map(|e| e.clone().unalias());
            below(&projection.input, part, projection.schema.columns().into_iter().zip(exprs).collect())
        }
        LogicalPlan::Aggregate(aggregate) => {
            let keys = aggregate.group_expr.iter().map(|e| e.clone().unalias());
            below(&aggregate.input, part, aggregate.schema.columns().into_iter().zip(keys).collect())
        }
        _ => None,
    }
}

/// The condition over the columns of an operator's input.
fn below(input: &LogicalPlan, part: &Expr, outputs: Vec<(Column, Expr)>) -> Option<usize> {
    let known = part.column_refs().into_iter().all(|c| outputs.iter().any(|(name, _)| name == c));
    if !known {
        return None;
    }
    let part = part.clone().transform_up(|e| {
        let found = match &e {
            Expr::Column(c) => outputs.iter().find(|(name, _)| name == c).map(|(_, expr)| expr.clone()),
            _ => None,
        };
        Ok(found.map_or_else(|| Transformed::no(e), Transformed::yes))
    });
    let part = part.data().ok()?;
    let columns: HashSet<Column> = part.column_refs().into_iter().cloned().collect();
    if columns.is_empty() { None } else { reached(input, &part, &columns) }
}

impl Conditions {
    /// Whether the condition on the right side chooses the same row before and after: on keys alone, or a bound on the time that
    /// leaves the nearest rows in.
    fn indifferent(&self, part: &Expr, columns: &HashSet<Column>) -> bool {
        let key = |c: &Column| self.keys.iter().any(|(_, key)| *key == Expr::Column(c.clone()));
        if columns.iter().all(key) {
            return true;
        }
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = part else { return false };
        let free = |e: &Expr| e.column_refs().is_empty() && (mentions_now(e) || matches!(e, Expr::Literal(_, _)));
        let op = if **left == self.right_time && free(right) {
            Some(*op)
        } else if **right == self.right_time && free(left) {
            op.swap()
        } else {
            None
        };
        match self.op {
            Operator::Gt | Operator::GtEq => matches!(op, Some(Operator::Gt | Operator::GtEq)),
            _ => matches!(op, Some(Operator::Lt | Operator::LtEq)),
        }
    }
}
