//! Every subquery that looks at its outer query, and every LATERAL, as plain joins.
//!
//! DataFusion 55 takes subqueries apart that compare for equality and end in an aggregate; others it plans and can't run, or
//! refuses. Here all of them are unnested, after Neumann and Kemper, "Unnesting Arbitrary Queries" (BTW 2015), and Neumann,
//! "Improving Unnesting of Complex Queries" (BTW 2025): the *domain* D is the set of distinct values of the outer columns that
//! the subquery names; the dependent join of D with the subquery is pushed down through the subquery's operators until
//! nothing below it looks outside; and the result, which has a part per row of D, is joined with the outer query again.
//!
//! ```sql
//! SELECT u.user_id, (SELECT count(*) FROM events e WHERE e.user_id = u.user_id AND e.ts > u.since) AS n FROM users u
//! ```
//! ```text
//! Projection: u.user_id, (subquery) AS n          Projection: u.user_id, q.c0 AS n
//!   TableScan: u                                    Left Join: u.user_id, u.since IS NOT DISTINCT FROM q.k0, q.k1
//!   subquery:                                         TableScan: u
//!     Aggregate: [], [count(*)]               =>      Aggregate: [d.k0, d.k1], [count(*) FILTER (WHERE there)]
//!       Filter: e.user_id = outer(u.user_id)            Left Join: e.user_id = d.k0 AND e.ts > d.k1
//!               AND e.ts > outer(u.since)                 D: distinct u.user_id AS k0, u.since AS k1
//!         TableScan: e                                    TableScan: e, true AS there
//! ```
//!
//! | file | concern |
//! | --- | --- |
//! | `references.rs` | which outer columns a subquery names, and whose they are |
//! | `operators.rs` | the operators that hold subqueries |
//! | `calls.rs` | a scalar subquery, EXISTS, IN, ANY and ALL as joins with the input of their operator |
//! | `lateral.rs` | LATERAL, and subqueries in join conditions |
//! | `pull.rs` | conditions that can simply move up into the join: no domain is needed |
//! | `grouped.rs` | an aggregate whose rows are found by equality: groups instead of a domain |
//! | `domain.rs`, `push.rs`, `push_join.rs`, `rows.rs` | the domain, and the dependent join pushed down |
//! | `single.rs` | the error of a scalar subquery with more than one row |
//!
//! It runs on the plan as SQL gives it, inside out, after ties are settled: an order has been made complete by the subquery's
//! own columns then, so a domain's columns have no say in it. Uncorrelated subqueries stay where DataFusion runs them right:
//! scalar ones of one row at most in SELECT lists and filters, IN and EXISTS as conditions of their own.
//!
//! Invariant: the plan's columns keep their names and types. Nothing is left that names an outer column, or it is refused
//! (`refusal.rs`): B165 to B169.

mod calls;
mod domain;
mod grouped;
mod lateral;
mod operators;
mod pull;
mod push;
mod push_join;
mod references;
mod refusal;
mod rows;
mod single;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use datafusion::common::DFSchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::LogicalPlan;


use references::has_subquery;

/// Turns the plan's correlated subqueries and lateral joins into joins.
///
/// # Errors
/// A [`Refusal`] as an external error, or where a plan can't be built.
pub fn unnest(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    if !has_work(&plan)? {
        return Ok(plan);
    }
    let unnester = Unnester { names: Cell::new(0), around: RefCell::new(Vec::new()) };
    let done = unnester.unnest(plan, Level::Top)?;
    references::refuse_left_over(&done)?;
    Ok(done)
}

fn has_work(plan: &LogicalPlan) -> DfResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Subquery(_));
        node.apply_expressions(|expr| {
            found |= has_subquery(expr);
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// Where an operator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// In the view's own query: what DataFusion runs right may stay.
    Top,
    /// In a subquery: all that it holds becomes joins, since its operators will be taken apart.
    Inner,
}

/// One pass, which hands out names that no other column or relation has.
#[derive(Debug)]
struct Unnester {
    names: Cell<usize>,
    /// The columns of the queries around the one at hand, the outermost first.
    around: RefCell<Vec<DFSchemaRef>>,
}

impl Unnester {
    fn fresh(&self, stem: &str) -> String {
        let number = self.names.get();
        self.names.set(number + 1);
        format!("__{stem}{number}")
    }

    /// The plan unnested, as a query that `outer` is around.
    fn inside(&self, plan: LogicalPlan, outer: &LogicalPlan, level: Level) -> DfResult<LogicalPlan> {
        self.around.borrow_mut().push(Arc::clone(outer.schema()));
        let done = self.unnest(plan, level);
        self.around.borrow_mut().pop();
        done
    }
}
