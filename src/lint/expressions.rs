//! Lints of single expressions, as the file writes them: B203, B204, B207, B208.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use crate::diagnostics;
use crate::finding::{Finding, Place};
use crate::lint::columns::{place, plain};
use crate::lint::{Subject, floats};
use crate::sql::mentions_now;

pub(super) fn lint(subject: &Subject) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut add = |finding: Finding| {
        // One text may be in the plan more than once.
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    };
    // A plan that can't be walked to its end is one of which nothing more is said.
    let _ = subject.written.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        if let LogicalPlan::Join(join) = node {
            for (left, right) in join.on.iter().filter(|(l, r)| floats::can_differ(l, r, &schema)) {
                add(floats::finding(place_or_start(subject, &[left, right], None)));
            }
        }
        node.apply_expressions(|expr| {
            let output = output_name(node, expr);
            expr.apply(|e| {
                look_at(subject, e, &schema, output.as_deref()).into_iter().for_each(&mut add);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    findings
}

fn look_at(subject: &Subject, expr: &Expr, schema: &DFSchema, output: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let at = || place_or_start(subject, &[left, right], output);
            if (is_comparison(*op) || *op == Operator::Minus) && zones_differ(left, right, schema) {
                findings.push(naive(at()));
            }
            let equality = [Operator::Eq, Operator::NotEq, Operator::IsDistinctFrom, Operator::IsNotDistinctFrom];
            if equality.contains(op) && floats::can_differ(left, right, schema) {
                findings.push(floats::finding(at()));
            }
            if *op == Operator::Divide && is_ratio(left, right, schema) {
                findings.push(
                    Finding::warning("integers are divided, which drops the fraction: 2 / 3 is 0")
                        .code(diagnostics::B207)
                        .at(at())
                        .help("cast one side: `CAST(a AS DOUBLE) / b`"),
                );
            }
        }
        Expr::Between(Between { expr, low, high, .. })
            if zones_differ(expr, low, schema) || zones_differ(expr, high, schema) =>
        {
            findings.push(naive(place_or_start(subject, &[expr, low, high], output)));
        }
        Expr::InList(list) if list.list.iter().any(|item| floats::can_differ(&list.expr, item, schema)) => {
            findings.push(floats::finding(place_or_start(subject, &[&list.expr], output)));
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated: true }) if may_give_null(&subquery.subquery) => {
            let column = subquery.subquery.schema().field(0).name();
            findings.push(
                Finding::warning(format!("`NOT IN` holds for no row once `{column}` is NULL in a single one"))
                    .code(diagnostics::B208)
                    .at(place_or_start(subject, &[expr], output))
                    .help(format!("add `WHERE {column} IS NOT NULL` to the subquery, or write `NOT EXISTS`")),
            );
        }
        _ => {}
    }
    findings
}

/// The column of the view that the expression is part of, where the operator is the one that names it.
fn output_name(node: &LogicalPlan, expr: &Expr) -> Option<String> {
    match node {
        LogicalPlan::Projection(_) => Some(expr.qualified_name().1),
        _ => None,
    }
}

fn place_or_start(subject: &Subject, exprs: &[&Expr], output: Option<&str>) -> Place {
    place(&subject.view.sql, exprs).unwrap_or_else(|| match output {
        Some(name) => subject.view.place_of(name),
        None => subject.view.sql.start(),
    })
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

fn naive(at: Place) -> Finding {
    Finding::warning("`NOW()` is an instant and is compared with a timestamp without a zone, which is taken for UTC")
        .code(diagnostics::B203)
        .at(at)
        .help("say which zone it is in: `t AT TIME ZONE 'America/New_York'`, or 'UTC'")
}

/// Whether one side is the label time, one has a zone and the other has none.
fn zones_differ(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    let zone = |e: &Expr| match e.get_type(schema) {
        Ok(DataType::Timestamp(_, zone)) => Some(zone.is_some()),
        _ => None,
    };
    let (Some(left_zone), Some(right_zone)) = (zone(left), zone(right)) else { return false };
    left_zone != right_zone && (mentions_now(left) || mentions_now(right))
}

/// Whether both are integers that come from data. Of `100 * a / b` the author knows.
fn is_ratio(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    let integer = |e: &Expr| e.get_type(schema).is_ok_and(|t| t.is_integer()) && !e.column_refs().is_empty();
    let scaled = |e: &Expr| {
        matches!(e, Expr::BinaryExpr(b) if b.op == Operator::Multiply
            && (matches!(*b.left, Expr::Literal(..)) || matches!(*b.right, Expr::Literal(..))))
    };
    integer(left) && integer(right) && !scaled(left)
}

/// Whether the subquery's column may be NULL, as far as its schema and its filters say.
fn may_give_null(plan: &LogicalPlan) -> bool {
    if !plan.schema().field(0).is_nullable() {
        return false;
    }
    let Some(column) = plan.schema().columns().into_iter().next() else { return false };
    let mut names = vec![column.name];
    let mut refused = false;
    let _ = plan.apply(|node| {
        if let LogicalPlan::Projection(projection) = node {
            // A name for a column, or a column under a name.
            let renamed = projection.expr.iter().filter(|e| names.contains(&e.qualified_name().1)).filter_map(plain);
            let renamed: Vec<String> = renamed.map(|c| c.name.clone()).collect();
            names.extend(renamed);
        }
        if let LogicalPlan::Filter(filter) = node {
            refused |= datafusion::logical_expr::utils::split_conjunction(&filter.predicate)
                .into_iter()
                .any(|condition| refuses_null(condition, &names));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    !refused
}

fn refuses_null(condition: &Expr, names: &[String]) -> bool {
    let among = |e: &Expr| plain(e).is_some_and(|c: &Column| names.contains(&c.name));
    match condition {
        Expr::IsNotNull(e) => among(e),
        Expr::BinaryExpr(b) => is_comparison(b.op) && (among(&b.left) || among(&b.right)),
        Expr::InList(list) => among(&list.expr),
        Expr::Between(between) => among(&between.expr),
        _ => false,
    }
}
