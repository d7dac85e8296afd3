//! The operators of `jsonb`, planned.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::functions::{Function, function_of, is_text, marked};
use crate::diagnostics;
use crate::sql::refusal::Refusal;

#[derive(Debug)]
pub(in crate::sql) struct JsonOperators;

impl ExprPlanner for JsonOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let planned = match op {
            BinaryOperator::Arrow => step(left, right, Function::Get, schema)?,
            BinaryOperator::LongArrow => step(left, right, Function::GetText, schema)?,
            BinaryOperator::HashArrow => path(left, &right, Function::Get, schema)?,
            BinaryOperator::HashLongArrow => path(left, &right, Function::GetText, schema)?,
            BinaryOperator::Question => call(Function::Exists, vec![json(left, schema)?, right]),
            op => {
                refuse_operator(&op, &left, schema)?;
                return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
            }
        };
        Ok(PlannerResult::Planned(planned))
    }
}

fn call(function: Function, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction { func: function.udf(), args })
}

/// Operators of `jsonb` that are not planned, where the left side is text: DataFusion's own would be of arrays.
fn refuse_operator(op: &BinaryOperator, left: &Expr, schema: &DFSchema) -> DfResult<()> {
    use BinaryOperator::{ArrowAt, AtArrow, AtAt, AtQuestion, HashMinus, QuestionAnd, QuestionPipe};
    if matches!(op, AtArrow | ArrowAt | AtQuestion | AtAt | HashMinus | QuestionAnd | QuestionPipe)
        && is_text(&left.get_type(schema)?)
    {
        let help = "take the parts that count with `->>`, and compare these";
        return Err(Refusal::in_expr(left, diagnostics::B154, format!("`{op}` of jsonb can't be replayed"), help));
    }
    Ok(())
}

/// The left side as canonical text. A bare text column may stand for a `jsonb` one: retained logs hold it as text.
fn json(expr: Expr, schema: &DFSchema) -> DfResult<Expr> {
    let (_, field) = expr.to_field(schema)?;
    if marked(&field) {
        return Ok(expr);
    }
    if !is_text(field.data_type()) && *field.data_type() != DataType::Null {
        let message = format!("`->`, `->>` and `?` take JSON text, not {}", field.data_type());
        let help = "a field of a struct is `(column).field` or `column['field']`, an item of an array `column[1]`";
        return Err(Refusal::in_expr(&expr, diagnostics::B154, message, help));
    }
    let bare = matches!(&expr, Expr::Column(_))
        || matches!(&expr, Expr::Alias(alias) if matches!(alias.expr.as_ref(), Expr::Column(_)));
    if !bare {
        let help = "write `->` for all steps but the last, or cast the text: `(...)::jsonb`";
        return Err(Refusal::in_expr(&expr, diagnostics::B154, "the left side of `->` is text, not jsonb", help));
    }
    Ok(call(Function::Canonical, vec![expr]))
}

/// `left -> key`, `left ->> key`.
fn step(left: Expr, key: Expr, function: Function, schema: &DFSchema) -> DfResult<Expr> {
    let base = json(left, schema)?;
    let key_type = key.get_type(schema)?;
    if key_type.is_integer() {
        let key = match literal_integer(&key) {
            Some(index) => Expr::Literal(ScalarValue::Int64(Some(index)), None),
            None => cast(key, DataType::Int64),
        };
        return Ok(get(base, vec![key], function));
    }
    match literal_text(&key) {
        // The library takes a text that spells an integer for an index where it meets an array; PostgreSQL does so in
        // paths only, and finds nothing here.
        Some(text) if text.parse::<isize>().is_err() => {
            Ok(get(base, vec![Expr::Literal(ScalarValue::Utf8(Some(text)), None)], function))
        }
        _ if is_text(&key_type) || key_type == DataType::Null => {
            Ok(get(call(Function::Object, vec![base]), vec![key], function))
        }
        _ => {
            let message = format!("the right side of `->` is {key_type}: a key is text, an index an integer");
            let help = "write a key such as `'name'`, or an index such as `0`";
            Err(Refusal::in_expr(placed(&key, &base), diagnostics::B154, message, help))
        }
    }
}

/// `left #> path`, `left #>> path`.
fn path(left: Expr, path: &Expr, function: Function, schema: &DFSchema) -> DfResult<Expr> {
    let base = json(left, schema)?;
    let steps = match path {
        Expr::ScalarFunction(array) if array.func.name() == "make_array" => {
            array.args.iter().map(literal_text).collect()
        }
        other => literal_text(other).and_then(|text| {
            let inner = text.strip_prefix('{')?.strip_suffix('}')?;
            let plain = !inner.contains(['"', '\\', '{', '}']);
            let steps = inner.split(',').map(|s| s.trim().to_string());
            plain.then(|| if inner.is_empty() { Vec::new() } else { steps.collect() })
        }),
    };
    let steps: Vec<String> = steps.ok_or_else(|| {
        let help = "write steps such as `'{items,0,price}'` or `ARRAY['items', '0', 'price']`, or `->` for each";
        Refusal::in_expr(placed(path, &base), diagnostics::B154, "the path of `#>` can't be read", help)
    })?;
    let steps = steps.into_iter().map(|s| Expr::Literal(ScalarValue::Utf8(Some(s)), None)).collect();
    Ok(get(base, steps, function))
}

/// The call that walks from `base`; steps that are written out join those of `base`.
fn get(base: Expr, steps: Vec<Expr>, function: Function) -> Expr {
    let written = |steps: &[Expr]| steps.iter().all(|s| matches!(s, Expr::Literal(v, _) if !v.is_null()));
    match &base {
        Expr::ScalarFunction(inner)
            if function_of(&inner.func) == Some(Function::Get) && written(&inner.args[1..]) && written(&steps) =>
        {
            let mut args = inner.args.clone();
            args.extend(steps);
            call(function, args)
        }
        _ => call(function, std::iter::once(base).chain(steps).collect()),
    }
}

/// The right side, or the left where the right is a literal: the plan knows no place of these.
fn placed<'e>(right: &'e Expr, left: &'e Expr) -> &'e Expr {
    if right.column_refs().is_empty() { left } else { right }
}

fn literal_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(ToString::to_string),
        _ => None,
    }
}

/// `-1` is a negation until it is simplified.
fn literal_integer(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        Expr::Negative(inner) => literal_integer(inner)?.checked_neg(),
        _ => None,
    }
}
