//! Relations of the two worlds.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::plan::spine::SpineKind;
use crate::sql::is_now;

/// The placeholder for the label time in nanoseconds since 1970, `Int64`: what visibility is compared with.
const INSTANT: &str = "$INSTANT";
/// The placeholder for the number of the timed observer, `Int64`: what a function asks for that is told by label time, one by one.
const MOMENT: &str = "$MOMENT";

/// What a rule makes of an operator.
#[derive(Debug, Clone)]
pub enum Relation {
    Live(Live),
    AsOf(AsOf),
}

/// Rows, and for which instants each counts.
#[derive(Debug, Clone)]
pub struct Live {
    /// The operator's own columns under their own names, and hidden ones.
    pub plan: LogicalPlan,
    /// The operator's own columns.
    pub columns: Vec<Column>,
    /// All have to hold at the instant. Over any column of `plan`, `$NOW`, `$INSTANT` and `$MOMENT`.
    pub conditions: Vec<Expr>,
    /// The sources that rows come from.
    pub reads: Vec<Read>,
}

/// A source read below a live relation.
#[derive(Debug, Clone)]
pub struct Read {
    /// Position in the project's logs.
    pub source: usize,
    /// Where its event time is to be found, if it is still there.
    pub event_time: Option<Column>,
}

/// Rows at the instants that labels ask about.
#[derive(Debug, Clone)]
pub struct AsOf {
    /// The operator's own columns under their own names, and the observer.
    pub plan: LogicalPlan,
    pub columns: Vec<Column>,
    pub observer: Column,
    /// Keyed: each observer has only rows that satisfy the binding that was asked for. Timed: every row at T.
    pub spine: SpineKind,
}

impl AsOf {
    pub fn observer(&self) -> Expr {
        Expr::Column(self.observer.clone())
    }
}

/// `$INSTANT` as an expression.
pub(super) fn instant_placeholder() -> Expr {
    integer_placeholder(INSTANT)
}

/// `$MOMENT` as an expression.
pub fn moment_placeholder() -> Expr {
    integer_placeholder(MOMENT)
}

fn integer_placeholder(name: &str) -> Expr {
    let field = datafusion::arrow::datatypes::Field::new(name, DataType::Int64, false);
    Expr::Placeholder(Placeholder::new_with_field(name.to_string(), Some(std::sync::Arc::new(field))))
}

pub(super) fn is_instant(expr: &Expr) -> bool {
    matches!(expr, Expr::Placeholder(p) if p.id == INSTANT)
}

fn is_moment(expr: &Expr) -> bool {
    matches!(expr, Expr::Placeholder(p) if p.id == MOMENT)
}

/// Replaces `$NOW`, `$INSTANT` and `$MOMENT`.
///
/// # Errors
/// Never in practice: the walk itself can't fail.
pub(super) fn bind_time(expr: Expr, now: &Expr, instant: &Expr, moment: &Expr) -> DfResult<Expr> {
    expr.transform_up(|e| {
        Ok(if is_now(&e) {
            Transformed::yes(now.clone())
        } else if is_instant(&e) {
            Transformed::yes(instant.clone())
        } else if is_moment(&e) {
            Transformed::yes(moment.clone())
        } else {
            Transformed::no(e)
        })
    })
    .data()
}

/// Whether the expression depends on the label time.
pub(super) fn mentions_time(expr: &Expr) -> bool {
    expr.exists(|e| Ok(is_now(e) || is_instant(e) || is_moment(e))).unwrap_or(true)
}
