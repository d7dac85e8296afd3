//! How a rewritten plan reads its sources: what `explain` tells, and where a view explodes.

use datafusion::logical_expr::Expr;

use crate::plan::relation::{Live, Read, mentions_time};
use crate::plan::rewriter::{Binding, Rewriter, columns_of};

/// One reading of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Position in the project's logs.
    pub source: usize,
    pub bound: Bound,
    /// How far before T, ISO 8601; `None` where nothing bounds it.
    pub lookback: Option<String>,
}

/// Which rows of a source meet which label times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Those of the label's keys, in these expressions.
    Keys(Vec<String>),
    /// Those that the other side of a join asks for, in these expressions.
    Asked(Vec<String>),
    /// Those that rows of the other side of a join look up.
    LookedUp,
    /// All rows at every label time.
    All,
}

/// Rows of which every one is held against every row of something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explosion {
    /// Rows that join these sources, at every label time, for all keys.
    AllKeys(Vec<usize>),
    /// As-of rows that look up rows of these sources by no equality.
    Unequal(Vec<usize>),
    /// Rows of the first sources with rows of the second, by no equality.
    Product(Vec<usize>, Vec<usize>),
}

fn sources(reads: &[Read]) -> Vec<usize> {
    let mut all: Vec<usize> = reads.iter().map(|r| r.source).collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl Rewriter<'_> {
    /// Live rows are swept: every row meets its keys' label times at once, and nothing explodes.
    pub(super) fn note_swept(&self, live: &Live, binding: &Binding) {
        let shown = || binding.iter().map(|(expr, _)| expr.to_string()).collect();
        self.note(
            live,
            &if binding.is_empty() {
                Bound::All
            } else if self.is_derived(binding) {
                Bound::Asked(shown())
            } else {
                Bound::Keys(shown())
            },
        );
    }

    /// Live rows were taken to observers by this binding.
    pub(super) fn note_stab(&self, live: &Live, binding: &Binding) {
        self.note_swept(live, binding);
        if binding.is_empty() && !live.reads.is_empty() {
            self.explodes(Explosion::AllKeys(sources(&live.reads)));
        }
    }

    /// Live rows are looked up under these conditions of a join.
    pub(super) fn note_look_up(&self, live: &Live, conditions: &[Expr]) {
        self.note(live, &Bound::LookedUp);
        if !live.reads.is_empty() && !conditions.iter().any(equality) {
            self.explodes(Explosion::Unequal(sources(&live.reads)));
        }
    }

    /// Two live relations were joined under these conditions.
    pub(super) fn note_product(&self, left: &Live, right: &Live, conditions: &[Expr]) {
        if !left.reads.is_empty() && !right.reads.is_empty() && !conditions.iter().any(equality) {
            self.explodes(Explosion::Product(sources(&left.reads), sources(&right.reads)));
        }
    }

    fn explodes(&self, explosion: Explosion) {
        let mut all = self.explosions.borrow_mut();
        if !all.contains(&explosion) {
            all.push(explosion);
        }
    }
}

/// Whether two sides meet by hashing: `a = b`, each of rows.
fn equality(condition: &Expr) -> bool {
    use datafusion::logical_expr::Operator;
    matches!(condition, Expr::BinaryExpr(e) if matches!(e.op, Operator::Eq | Operator::IsNotDistinctFrom)
        && !mentions_time(condition) && !columns_of(&e.left).is_empty() && !columns_of(&e.right).is_empty())
}
