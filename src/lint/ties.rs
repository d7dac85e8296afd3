//! B206: a row is chosen by an order in which rows may tie.
//!
//! Looked at in the normal form, where only the columns that are needed are left: an order by all of what is read leaves no
//! tie that shows. `DISTINCT ON` is `first_value` there.

use std::collections::BTreeSet;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::expr::Sort as SortExpr;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFrame, WindowFrameUnits};
use datafusion::sql::sqlparser::ast::{self, Query, Spanned, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::diagnostics;
use crate::finding::{Finding, Place};
use crate::lint::Subject;
use crate::lint::columns::{place, plain};
use crate::lint::uniqueness::{Key, ViewKeys, columns_alone, keys};
use crate::source::Log;

/// More columns than this are no advice.
const MOST_ADVISED: usize = 2;

/// An order that chooses among rows.
struct Choice<'a> {
    /// Rows are chosen within these.
    within: &'a [Expr],
    order: &'a [SortExpr],
    /// What is taken of the rows; `None` where it is the rows themselves.
    taken: Option<&'a [Expr]>,
    input: &'a LogicalPlan,
    /// By `ORDER BY … LIMIT`, not by a function.
    limits: bool,
}

pub(super) fn lint(subject: &Subject, views: &mut ViewKeys) -> Vec<Finding> {
    let logs = &subject.project.inputs.logs;
    let mut findings = Vec::new();
    let mut told: BTreeSet<String> = BTreeSet::new();
    let _ = subject.own.apply_with_subqueries(|node| {
        for choice in choices(node) {
            let known = keys(choice.input, logs, views);
            let shown: Vec<String> = choice.order.iter().map(ToString::to_string).collect();
            if may_tie(&choice, &known) && told.insert(shown.join(", ")) {
                findings.push(finding(subject, &choice, logs, &known));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    views.add(subject.view, &subject.own, logs);
    findings
}

fn choices(node: &LogicalPlan) -> Vec<Choice<'_>> {
    match node {
        LogicalPlan::Sort(sort) if sort.fetch.is_some() => {
            vec![Choice { within: &[], order: &sort.expr, taken: None, input: &sort.input, limits: true }]
        }
        LogicalPlan::Limit(limit) if !is_ordered(&limit.input) => {
            vec![Choice { within: &[], order: &[], taken: None, input: &limit.input, limits: true }]
        }
        LogicalPlan::Window(window) => {
            let input = before_windows(&window.input);
            window.window_expr.iter().filter_map(|e| of_window(e, input)).collect()
        }
        LogicalPlan::Aggregate(aggregate) => {
            let of = |expr| of_aggregate(expr, &aggregate.group_expr, &aggregate.input);
            aggregate.aggr_expr.iter().filter_map(of).collect()
        }
        _ => Vec::new(),
    }
}

fn of_window<'a>(expr: &'a Expr, input: &'a LogicalPlan) -> Option<Choice<'a>> {
    let call = match expr {
        Expr::Alias(alias) => return of_window(&alias.expr, input),
        Expr::WindowFunction(call) => call,
        _ => return None,
    };
    let params = &call.params;
    let taken = match call.fun.name() {
        "row_number" | "ntile" => None,
        "rank" | "dense_rank" | "percent_rank" | "cume_dist" => return None,
        "lag" | "lead" => Some(params.args.get(..1)?),
        "first_value" | "last_value" | "nth_value" | "array_agg" | "string_agg" => Some(params.args.get(..1)?),
        // Which rows are in the frame.
        _ if params.window_frame.units == WindowFrameUnits::Rows && !is_everything(&params.window_frame) => None,
        _ => return None,
    };
    Some(Choice { within: &params.partition_by, order: &params.order_by, taken, input, limits: false })
}

fn is_everything(frame: &WindowFrame) -> bool {
    frame.start_bound.is_unbounded() && frame.end_bound.is_unbounded()
}

fn of_aggregate<'a>(expr: &'a Expr, within: &'a [Expr], input: &'a LogicalPlan) -> Option<Choice<'a>> {
    let call = match expr {
        Expr::Alias(alias) => return of_aggregate(&alias.expr, within, input),
        Expr::AggregateFunction(call) => call,
        _ => return None,
    };
    let listed = match call.func.name() {
        "first_value" | "last_value" | "nth_value" => false,
        "array_agg" | "string_agg" => true,
        _ => return None,
    };
    let params = &call.params;
    // A list without an order is put in the order of its values.
    if listed && (params.order_by.is_empty() || params.distinct) {
        return None;
    }
    Some(Choice { within, order: &params.order_by, taken: params.args.get(..1), input, limits: false })
}

/// The relation whose rows tie.
fn before_windows(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Window(window) => before_windows(&window.input),
        other => other,
    }
}

fn is_ordered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(p) => is_ordered(&p.input),
        LogicalPlan::SubqueryAlias(a) => is_ordered(&a.input),
        LogicalPlan::Limit(l) => is_ordered(&l.input),
        _ => false,
    }
}

fn may_tie(choice: &Choice, keys: &[Key]) -> bool {
    let decided = decided(choice);
    let alike = choice.taken.is_some_and(|taken| {
        let mut needed = taken.iter().flat_map(|e| e.column_refs());
        needed.all(|c| decided.contains(c))
    });
    !alike && !keys.iter().any(|key| key.is_subset(&decided))
}

/// The columns in which rows that tie agree.
fn decided(choice: &Choice) -> Key {
    let ordered = choice.order.iter().map(|s| &s.expr);
    choice.within.iter().chain(ordered).filter_map(plain).cloned().collect()
}

fn finding(subject: &Subject, choice: &Choice, logs: &[Log], known: &[Key]) -> Finding {
    let names = |exprs: &mut dyn Iterator<Item = &Expr>| {
        let each: Vec<String> = exprs.map(|e| plain(e).map_or_else(|| e.to_string(), |c| c.name.clone())).collect();
        each.join(", ")
    };
    let order = names(&mut choice.order.iter().map(|s| &s.expr));
    let within = names(&mut choice.within.iter());
    let of = if within.is_empty() { String::new() } else { format!(" of one `{within}`") };
    let message = if order.is_empty() {
        format!("a row{of} is chosen without an order")
    } else {
        format!("rows{of} may tie in `{order}`, and one of them is chosen")
    };
    let decided = decided(choice);
    // The last key is the whole row: it is no advice.
    let ids = known.split_last().map_or(&[][..], |(_, ids)| ids);
    let missing = ids.iter().map(|key| key.difference(&decided).map(|c| c.name.as_str()).collect::<Vec<_>>());
    let help = match missing.min_by_key(Vec::len).filter(|columns| columns.len() <= MOST_ADVISED) {
        Some(columns) => format!("order by `{}` too, as the live system would have to", columns.join("`, `")),
        None if logs.iter().any(|l| l.config.id.is_empty()) => {
            "order by more columns, and declare the `id` of the source, which tells its rows apart".to_string()
        }
        None => "order by more columns, until no two rows agree in all of them".to_string(),
    };
    Finding::warning(message).code(diagnostics::B206).at(where_it_stands(subject, choice)).help(help)
}

fn where_it_stands(subject: &Subject, choice: &Choice) -> Place {
    let text = &subject.view.sql;
    let ordered: Vec<&Expr> = choice.order.iter().map(|s| &s.expr).collect();
    let ordered_here = !ordered.is_empty() && choice.limits;
    let found = || text.place(first_choice(&subject.view.statement.query, ordered_here)?);
    place(text, &ordered).or_else(found).unwrap_or_else(|| {
        let within = columns_alone(choice.within).and_then(|key| key.into_iter().next());
        within.and_then(|c| text.place_of(c.spans().first()?)).unwrap_or_else(|| text.start())
    })
}

/// The first order with a LIMIT where it is `ordered`; else the first LIMIT without an order, or the first function that takes a row by its order.
fn first_choice(query: &Query, ordered: bool) -> Option<Span> {
    struct First {
        ordered: bool,
        span: Option<Span>,
    }
    impl Visitor for First {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> std::ops::ControlFlow<()> {
            match (&query.limit_clause, &query.order_by) {
                (Some(_), Some(order)) if self.ordered => {
                    self.span.get_or_insert(order.span());
                }
                (Some(limit), None) if !self.ordered => {
                    self.span.get_or_insert(limit.span());
                }
                _ => {}
            }
            std::ops::ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &ast::Expr) -> std::ops::ControlFlow<()> {
            if let ast::Expr::Function(call) = expr
                && !self.ordered
            {
                let name = call.name.to_string().to_lowercase();
                if matches!(name.as_str(), "row_number" | "first_value" | "last_value" | "lag" | "lead" | "ntile") {
                    self.span.get_or_insert(call.name.span());
                }
            }
            std::ops::ControlFlow::Continue(())
        }
    }
    let mut first = First { ordered, span: None };
    let _ = query.visit(&mut first);
    first.span.filter(|span| span.start.line > 0)
}
