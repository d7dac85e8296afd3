//! Derived spines: the keys that one side of a join is asked for, taken from the other side.
//!
//! ```text
//! SELECT l.user_id, m.rate FROM last_merchant l JOIN merchant_rate m ON m.merchant_id = l.merchant_id
//!
//! Join: m.merchant_id = l.merchant_id             Join: m.merchant_id = l.merchant_id AND m.s = time_number(l.observer)
//!   last_merchant: by user_id                       last_merchant: (observer, user_id, merchant_id)
//!   Aggregate: [merchant_id], [avg(x)]       =>     Aggregate: [s, merchant_id], [avg(x)]
//!     orders                                          Join: k = orders.merchant_id, from <= T(s)
//!                                                       Distinct: time_number(observer) AS s, merchant_id AS k
//!                                                         last_merchant: (observer, user_id, merchant_id)
//!                                                       orders
//! ```
//!
//! The label keys bind `last_merchant`, and nothing binds `merchant_rate`: it would be evaluated for all merchants at all T.
//! So the bound side *leads*: its distinct (T, join key) are what the other side is evaluated for.
//!
//! * **By T, not by observer.** What a view holds at T is the same for every observer with that T, so a derived spine numbers
//!   T as the timed spine does. It never holds more rows than the lead has observers times keys, nor than T times keys: many
//!   users who share merchants at one T ask for each merchant once. A derived relation is therefore a timed one with rows left out.
//! * **A filter, not a promise.** Rows that are asked for are all there and right; others may be there or not, and those of keys
//!   nobody asked for may be anything. The join itself compares the keys again. So a rule may drop any part of the binding.
//! * **The price** is that the lead is computed twice. It leads only where it is bound itself, or is a few rows at each T, and the other
//!   side would have to be taken to all T: a live side is looked up as it is.
//! * NULL asks for nothing. Joins on `IS NOT DISTINCT FROM` and null-aware ones derive nothing, nor do float keys: which floats
//!   are one group and which are equal is not the same question.
//!
//! Keys of derived spines are numbered after the labels' keys, so that one [`Binding`] type serves both.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::NullEquality;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder};

use crate::plan::relation::{AsOf, mentions_time};
use crate::plan::rewriter::{Binding, Outcome, Rewriter, columns_of};
use crate::plan::spine::{Spine, SpineKind};

/// What a side is asked for.
#[derive(Debug)]
pub(super) struct Derived {
    /// [`Spine::observer_column`], a number of the timed spine, and [`Spine::key_column`]s; not distinct.
    rows: LogicalPlan,
    types: Vec<DataType>,
    /// The number of the first of its keys in bindings.
    first: usize,
}

impl Rewriter<'_> {
    /// Whether the binding is to keys that a join asks for, not to the labels'.
    pub(super) fn is_derived(&self, binding: &Binding) -> bool {
        binding.first().is_some_and(|(_, key)| *key >= self.spines.keyed.key_types().len())
    }

    /// The spine that a live relation is taken to under this binding.
    pub(super) fn kind_of(&self, binding: &Binding) -> SpineKind {
        if binding.is_empty() || self.is_derived(binding) { SpineKind::Timed } else { SpineKind::Keyed }
    }

    /// Whether rows satisfy the binding that they were asked for.
    pub(super) fn is_bound(&self, rows: &AsOf, binding: &Binding) -> bool {
        rows.spine == SpineKind::Keyed || self.is_derived(binding)
    }

    /// The binding of a join's other side to what these rows ask of it: `pairs` are equalities, this side's expression first. Empty
    /// where none can be used.
    pub(super) fn ask(&self, rows: &AsOf, pairs: &[(Expr, Expr)]) -> Outcome<Binding> {
        let usable = pairs.iter().filter_map(|(own, other)| {
            let of_rows = |e: &Expr| !mentions_time(e) && !columns_of(e).is_empty();
            let data_type = own.get_type(rows.plan.schema()).ok().filter(groups_as_it_compares)?;
            (of_rows(own) && of_rows(other)).then_some((own, other, data_type))
        });
        let usable: Vec<(&Expr, &Expr, DataType)> = usable.collect();
        if usable.is_empty() {
            return Ok(Binding::new());
        }
        let time = self.spine(rows.spine).time_number_of(rows.observer());
        let mut exprs = vec![time.alias(Spine::observer_column().name)];
        exprs.extend(usable.iter().enumerate().map(|(i, (own, _, _))| (*own).clone().alias(Spine::key_name(i))));
        let known = conjunction(usable.iter().map(|(own, _, _)| (*own).clone().is_not_null()));
        let mut plan = LogicalPlanBuilder::from(rows.plan.clone());
        if let Some(known) = known {
            plan = plan.filter(known)?;
        }
        let plan = plan.project(exprs)?.build()?;
        let mut all = self.derived.borrow_mut();
        let first = all.last().map_or(self.spines.keyed.key_types().len(), |d: &Derived| d.first + d.types.len());
        let binding = usable.iter().enumerate().map(|(i, (_, other, _))| ((*other).clone(), first + i)).collect();
        let types = usable.into_iter().map(|(_, _, data_type)| data_type).collect();
        all.push(Derived { rows: plan, types, first });
        Ok(binding)
    }

    /// The type in which a key is compared, and its column inside [`Rewriter::observers`].
    pub(super) fn key(&self, key: usize) -> (DataType, Expr) {
        if let Some(own) = self.spines.keyed.key_types().get(key) {
            return (own.clone(), Spine::key_column(key));
        }
        let all = self.derived.borrow();
        let derived = all.iter().rev().find(|d| d.first <= key).expect("a key number is given out with its spine");
        (derived.types[key - derived.first].clone(), Spine::key_column(key - derived.first))
    }

    /// The binding without what a derived spine can't be asked for: where a cast would be needed, values that differ could
    /// become equal, and rows would be found twice.
    pub(super) fn comparable(&self, binding: &Binding, rows: &LogicalPlan) -> Outcome<Binding> {
        if !self.is_derived(binding) {
            return Ok(binding.clone());
        }
        let mut kept = Binding::new();
        for (expr, key) in binding {
            if expr.get_type(rows.schema())? == self.key(*key).0 {
                kept.push((expr.clone(), *key));
            }
        }
        Ok(kept)
    }

    /// The observers as a plan: each once, with the keys of the binding. As [`Spine::plan`] otherwise.
    pub(super) fn observers(
        &self,
        kind: SpineKind,
        binding: &Binding,
        observer: &str,
        exprs: Vec<Expr>,
    ) -> Outcome<LogicalPlan> {
        let alias = self.fresh("spine");
        if !self.is_derived(binding) {
            return Ok(self.spine(kind).plan(&alias, observer, exprs)?);
        }
        let all = self.derived.borrow();
        let first = binding.iter().map(|(_, key)| *key).min().unwrap_or_default();
        let derived = all.iter().rev().find(|d| d.first <= first).expect("a key number is given out with its spine");
        // Two rows that differ in a key that is not used here are one.
        let mut used: Vec<usize> = binding.iter().map(|(_, key)| key - derived.first).collect();
        used.sort_unstable();
        used.dedup();
        let columns =
            std::iter::once(Expr::Column(Spine::observer_column())).chain(used.into_iter().map(Spine::key_column));
        let plan = LogicalPlanBuilder::from(derived.rows.clone()).project(columns)?.distinct()?.alias(alias)?;
        let own = Expr::Column(Spine::observer_column()).alias(observer);
        Ok(plan.project(std::iter::once(own).chain(exprs))?.build()?)
    }
}

/// Whether a type's values are one group exactly where they are equal.
fn groups_as_it_compares(data_type: &DataType) -> bool {
    !data_type.is_floating() && !data_type.is_nested() && !data_type.is_null()
}

/// The join's equalities that can ask: this side's expression first.
pub(super) fn pairs(join: &Join, lead_is_left: bool) -> Vec<(Expr, Expr)> {
    if join.null_aware || join.null_equality != NullEquality::NullEqualsNothing {
        return Vec::new();
    }
    let turned = |(l, r): &(Expr, Expr)| if lead_is_left { (l.clone(), r.clone()) } else { (r.clone(), l.clone()) };
    join.on.iter().map(turned).collect()
}

/// Whether the plan stays in the validity world: then it is looked up as it is.
pub(super) fn stays_live(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) | LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Projection(node) => !node.expr.iter().any(mentions_time) && stays_live(&node.input),
        LogicalPlan::Filter(node) => stays_live(&node.input),
        LogicalPlan::SubqueryAlias(node) => stays_live(&node.input),
        LogicalPlan::Unnest(node) => stays_live(&node.input),
        LogicalPlan::Sort(node) => node.fetch.is_none() && stays_live(&node.input),
        LogicalPlan::Join(node) => {
            node.join_type == datafusion::logical_expr::JoinType::Inner
                && stays_live(&node.left)
                && stays_live(&node.right)
        }
        _ => false,
    }
}

/// Rows at one T that are still few.
const FEW: usize = 1000;

/// Whether the plan has a few rows at each T, whatever the data.
pub(super) fn is_few(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(node) => is_few(&node.input),
        LogicalPlan::Filter(node) => is_few(&node.input),
        LogicalPlan::SubqueryAlias(node) => is_few(&node.input),
        LogicalPlan::Aggregate(node) => node.group_expr.is_empty() || is_few(&node.input),
        LogicalPlan::Sort(node) => node.fetch.is_some_and(|n| n <= FEW) || is_few(&node.input),
        LogicalPlan::Limit(node) => {
            let fetch = node.get_fetch_type();
            matches!(fetch, Ok(datafusion::logical_expr::FetchType::Literal(Some(n))) if n <= FEW)
                || is_few(&node.input)
        }
        _ => false,
    }
}
