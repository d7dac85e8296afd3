//! The walk: hands each operator to its rule, and does what rules have in common.
//!
//! | operator of DataFusion 55's logical plan | rule |
//! | --- | --- |
//! | `TableScan` | `scan`: live rows |
//! | `Filter`, `Projection`, `SubqueryAlias`, `Unnest` | their own: live stays live |
//! | `EmptyRelation`, `Values` | `constant` |
//! | `Join` | `join`: inner, left, right, full, semi, anti and mark joins; cross joins are inner ones without a condition |
//! | `Aggregate` | `aggregate`, and `grouping` for grouping sets |
//! | `Window` | `window` |
//! | `Sort`, `Limit` | `limit` |
//! | `Union` | `union` |
//! | `Distinct` | none: the optimizer has made an aggregate of it |
//! | `Subquery` | none: it is a join by now, or the view goes to the reference engine |
//! | `Repartition` (`DISTRIBUTE BY`) | none: DataFusion can't run it, and `check` says so |
//! | `RecursiveQuery` | none: refused before it is planned |
//! | `Extension` | none: no SQL makes one |
//! | `Statement`, `Explain`, `Analyze`, `Dml`, `Ddl`, `Copy`, `DescribeTable` | none: not a query, refused |

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::optimizer::{Optimizer, OptimizerRule};

use crate::analysis::View;
use crate::plan::bounds;
use crate::plan::derived::Derived;
use crate::plan::readings::{Bound, Explosion, Reading};
use crate::plan::relation::{AsOf, Live, Relation, bind_time, mentions_time};
use crate::plan::spine::{Spine, SpineKind, Spines};
use crate::plan::{
    aggregate, alias, conditional, constant, filter, join, keys, limit, projection, scan, union, unnest, window,
};
use crate::source::{Log, Redelivery};
pub(super) use crate::sql::{named, with_windows};

/// Why a plan can't be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum Unsupported {
    /// No rule takes the operator, for this reason.
    #[error("{0}")]
    Operator(String),
    /// A plan could not be built: a defect, but the reference engine still has the answer.
    #[error("DataFusion can't build the plan: {}", .0.strip_backtrace())]
    Plan(#[from] DataFusionError),
}

/// The outcome of a rule.
pub(super) type Outcome<T = Relation> = Result<T, Unsupported>;

/// Columns that have to equal the observer's keys: an expression over the operator's own columns, and the key's number.
pub(super) type Binding = Vec<(Expr, usize)>;

/// A view's plan for all observers.
#[derive(Debug, Clone)]
pub struct Rewritten {
    /// The observer's number (keyed), then the view's features in order. Not optimised.
    pub plan: LogicalPlan,
    pub lookbacks: Vec<Lookback>,
    /// How many aggregates are swept.
    pub sweeps: usize,
    /// For every place where rows are stabbed, why no sweep does it.
    pub stabs: Vec<String>,
    /// Each different one once.
    pub readings: Vec<Reading>,
    pub explosions: Vec<Explosion>,
}

/// How far before T the view reads in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookback {
    /// Position in the project's logs.
    pub source: usize,
    /// ISO 8601; `None` where nothing bounds it.
    pub duration: Option<String>,
}

/// Which operators beside DataFusion's own a rewrite may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewriteOptions {
    /// Whether aggregates may be swept.
    pub sweeping: bool,
    pub redelivery: Redelivery,
}

/// One rewrite under way.
pub(super) struct Rewriter<'a> {
    pub logs: &'a [Log],
    pub spines: &'a Spines,
    /// First and last label time, nanoseconds; `None` where labels were not read: then nothing is pruned.
    pub times: Option<(i64, i64)>,
    pub options: RewriteOptions,
    names: Cell<usize>,
    sweeps: Cell<usize>,
    stabs: RefCell<Vec<String>>,
    /// Why the aggregate that is next to be stabbed is not swept.
    unswept: RefCell<Option<String>>,
    lookbacks: RefCell<Vec<Lookback>>,
    readings: RefCell<Vec<Reading>>,
    pub explosions: RefCell<Vec<Explosion>>,
    pub derived: RefCell<Vec<Derived>>,
}

/// DataFusion's rules that would put work with `NOW()` below an operator that could do without.
const RULES_LEFT_OUT: [&str; 3] =
    ["common_sub_expression_eliminate", "extract_leaf_expressions", "push_down_leaf_projections"];

/// The view's plan after DataFusion's own optimizer, `NOW()` still open: subqueries are joins, `DISTINCT` aggregates,
/// filters stand at the sources.
///
/// # Errors
/// Where DataFusion can't optimise it.
pub fn normalise(plan: &LogicalPlan, state: &SessionState) -> Result<LogicalPlan, DataFusionError> {
    conditional::filter_windows(optimised(plan, state)?)
}

/// As [`normalise`], of a plan that asks for certain keys: the condition on them goes below `DISTINCT ON`, too.
///
/// # Errors
/// As [`normalise`].
pub fn normalise_asked(plan: &LogicalPlan, state: &SessionState) -> Result<LogicalPlan, DataFusionError> {
    let given = keys::given_by_groups(optimised(plan, state)?)?;
    let plan = if given.transformed { optimised(&given.data, state)? } else { given.data };
    conditional::filter_windows(plan)
}

/// A view's own plan, normalised.
///
/// # Errors
/// As [`normalise`].
pub fn normalised(view: &View, state: &SessionState) -> Result<LogicalPlan, DataFusionError> {
    conditional::filter_windows(as_written(view, state)?.clone())
}

/// As [`normalised`], with every aggregate as the SQL has it.
///
/// # Errors
/// As [`normalise`].
pub fn as_written<'a>(view: &'a View, state: &SessionState) -> Result<&'a LogicalPlan, DataFusionError> {
    view.optimised(|plan| optimised(plan, state))
}

fn optimised(plan: &LogicalPlan, state: &SessionState) -> Result<LogicalPlan, DataFusionError> {
    let mut state = state.clone();
    // A subquery that would be run apart from the plan can't see the observers: it has to be a join.
    state.config_mut().options_mut().optimizer.enable_physical_uncorrelated_scalar_subquery = false;
    let analyzed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> =
        state.optimizer().rules.iter().filter(|r| !RULES_LEFT_OUT.contains(&r.name())).map(Arc::clone).collect();
    Optimizer::with_rules(rules).optimize(analyzed, &state, |_, _| {})
}

/// Rewrites a normalised view plan for the observers of `spines`.
///
/// # Errors
/// The first operator that no rule takes, and why.
pub fn rewrite_view(
    view: &View,
    normalised: &LogicalPlan,
    logs: &[Log],
    spines: &Spines,
    times: Option<(i64, i64)>,
    options: RewriteOptions,
) -> Outcome<Rewritten> {
    let rewriter = Rewriter {
        logs,
        spines,
        times,
        options,
        names: Cell::new(0),
        sweeps: Cell::new(0),
        stabs: RefCell::new(Vec::new()),
        unswept: RefCell::new(None),
        lookbacks: RefCell::new(Vec::new()),
        readings: RefCell::new(Vec::new()),
        explosions: RefCell::new(Vec::new()),
        derived: RefCell::new(Vec::new()),
    };
    let schema = normalised.schema();
    let column = |name: &str| -> Outcome<Expr> {
        let index = schema
            .index_of_column_by_name(None, name)
            .or_else(|| schema.fields().iter().position(|f| f.name() == name));
        let index = index.ok_or_else(|| Unsupported::Operator(format!("column `{name}` got lost")))?;
        Ok(Expr::Column(Column::from(schema.qualified_field(index))))
    };
    let binding =
        view.keys.iter().enumerate().map(|(i, key)| Ok((column(&key.column)?, i))).collect::<Outcome<Binding>>()?;
    let features =
        view.features.iter().map(|f| Ok(column(&f.column)?.alias(&f.column))).collect::<Outcome<Vec<_>>>()?;
    let relation = rewriter.rewrite(normalised, &binding)?;
    let bound = rewriter.bind(relation, &binding)?;
    let observer = bound.observer().alias("__backcast_observer");
    let plan = LogicalPlanBuilder::from(bound.plan).project(std::iter::once(observer).chain(features))?.build()?;
    Ok(Rewritten {
        plan,
        lookbacks: rewriter.lookbacks.into_inner(),
        sweeps: rewriter.sweeps.get(),
        stabs: rewriter.stabs.into_inner(),
        readings: rewriter.readings.into_inner(),
        explosions: rewriter.explosions.into_inner(),
    })
}

impl Rewriter<'_> {
    /// The operator with all below it, in either world. Where the result is as-of and keyed, it satisfies `binding`.
    pub(super) fn rewrite(&self, plan: &LogicalPlan, binding: &Binding) -> Outcome {
        refuse_subqueries(plan)?;
        match plan {
            LogicalPlan::TableScan(node) => scan::rewrite(self, node, binding),
            LogicalPlan::Filter(node) => filter::rewrite(self, node, binding),
            LogicalPlan::Projection(node) => projection::rewrite(self, node, binding),
            LogicalPlan::SubqueryAlias(node) => alias::rewrite(self, node, binding),
            LogicalPlan::Aggregate(node) => aggregate::rewrite(self, node, binding),
            LogicalPlan::Join(node) => join::rewrite(self, node, binding),
            LogicalPlan::Window(node) => window::rewrite(self, node, binding),
            LogicalPlan::Sort(node) => limit::rewrite_sort(self, node, binding),
            LogicalPlan::Limit(node) => limit::rewrite(self, node),
            LogicalPlan::Union(node) => union::rewrite(self, node, binding),
            LogicalPlan::Unnest(node) => unnest::rewrite(self, node, binding),
            LogicalPlan::EmptyRelation(_) => Ok(constant::rewrite_empty(plan)),
            LogicalPlan::Values(node) => constant::rewrite_values(self, node),
            other => Err(Unsupported::Operator(format!("no rule for the operator `{}`", operator_name(other)))),
        }
    }

    /// Remembers that an aggregate is swept.
    pub(super) fn swept(&self) {
        self.sweeps.set(self.sweeps.get() + 1);
    }

    /// Remembers why the next rows to be stabbed are not swept.
    pub(super) fn not_swept(&self, reason: String) {
        self.unswept.replace(Some(reason));
    }

    /// A name that no other column has.
    pub(super) fn fresh(&self, stem: &str) -> String {
        let number = self.names.get();
        self.names.set(number + 1);
        format!("__backcast_{stem}{number}")
    }

    pub(super) fn spine(&self, kind: SpineKind) -> &Spine {
        match kind {
            SpineKind::Keyed => &self.spines.keyed,
            SpineKind::Timed => &self.spines.timed,
        }
    }

    /// `expr` with the label time of this observer.
    pub(super) fn at(&self, expr: Expr, spine: SpineKind, observer: &Expr) -> Outcome<Expr> {
        if !mentions_time(&expr) {
            return Ok(expr);
        }
        let spine = self.spine(spine);
        let of = |answer: fn(&Spine, Expr) -> Expr| answer(spine, observer.clone());
        Ok(bind_time(expr, &of(Spine::now_of), &of(Spine::instant_of), &of(Spine::time_number_of))?)
    }

    /// As-of with as much of the binding as there is: keyed where there is a binding, timed where not.
    pub(super) fn as_of(&self, relation: Relation, binding: &Binding) -> Outcome<AsOf> {
        match relation {
            Relation::AsOf(as_of) => Ok(as_of),
            Relation::Live(live) => self.stab(live, self.kind_of(binding), binding, JoinType::Inner),
        }
    }

    /// Whether a live relation may be taken to observers before it has to: where that does not give every row to every T.
    pub(super) fn stabs_early(&self, binding: &Binding) -> bool {
        !binding.is_empty() || self.spines.keyed.key_types().is_empty()
    }

    /// The operator below as an as-of relation: [`Rewriter::rewrite`], then [`Rewriter::as_of`].
    pub(super) fn as_of_below(&self, plan: &LogicalPlan, binding: &Binding) -> Outcome<AsOf> {
        self.as_of(self.rewrite(plan, binding)?, binding)
    }

    /// As-of and satisfying the binding: keyed where it is to the labels' keys.
    pub(super) fn bind(&self, relation: Relation, binding: &Binding) -> Outcome<AsOf> {
        if self.is_derived(binding) {
            return self.as_of(relation, binding);
        }
        match relation {
            Relation::Live(live) => self.stab(live, SpineKind::Keyed, binding, JoinType::Inner),
            Relation::AsOf(as_of) if as_of.spine == SpineKind::Keyed => Ok(as_of),
            Relation::AsOf(timed) => self.with_keys(timed, binding),
        }
    }

    /// What was bound to one part of a binding, bound to the rest of it too, where it is keyed by now.
    pub(super) fn narrow(&self, relation: Relation, rest: &Binding) -> Outcome {
        match relation {
            Relation::AsOf(rows) if rows.spine == SpineKind::Keyed => Ok(Relation::AsOf(self.restrict(rows, rest)?)),
            other => Ok(other),
        }
    }

    /// Restricts a keyed relation to rows that also satisfy these bindings.
    pub(super) fn restrict(&self, as_of: AsOf, binding: &Binding) -> Outcome<AsOf> {
        if binding.is_empty() {
            return Ok(as_of);
        }
        let on = as_of.observer();
        self.join_keys(as_of, binding, |spine, observer| {
            debug_assert_eq!(spine.kind(), SpineKind::Keyed);
            observer.eq(on)
        })
    }

    /// Rows at every T become rows of the observers whose keys they have.
    fn with_keys(&self, timed: AsOf, binding: &Binding) -> Outcome<AsOf> {
        let number = timed.observer();
        self.join_keys(timed, binding, |spine, observer| spine.time_number_of(observer).eq(number))
    }

    fn join_keys(&self, rows: AsOf, binding: &Binding, same_time: impl FnOnce(&Spine, Expr) -> Expr) -> Outcome<AsOf> {
        let spine = &self.spines.keyed;
        let observer = self.fresh("s");
        let (keys, mut on) = self.key_conditions(binding, &rows.plan)?;
        on.push(same_time(spine, Expr::Column(Column::new_unqualified(&observer))));
        let left = spine.plan(&self.fresh("spine"), &observer, keys)?;
        let joined = LogicalPlanBuilder::from(left).join_on(rows.plan, JoinType::Inner, on)?.build()?;
        self.finish(joined, rows.columns, &observer, SpineKind::Keyed)
    }

    /// Takes a live relation to observers: a join with the spine in which conditions see each observer's time.
    /// `JoinType::Left` keeps observers without any row.
    pub(super) fn stab(&self, live: Live, kind: SpineKind, binding: &Binding, join: JoinType) -> Outcome<AsOf> {
        let binding = &self.comparable(binding, &live.plan)?;
        self.note_stab(&live, binding);
        let reason = self.unswept.take().unwrap_or_else(|| "an operator needs the rows themselves".to_string());
        self.stabs.borrow_mut().push(reason);
        let observer = self.fresh("s");
        let (mut outputs, mut on) = self.key_conditions(binding, &live.plan)?;
        // What depends on the label time alone is computed once per observer, not once per pair.
        let mut computed: Vec<(Expr, String)> = Vec::new();
        for condition in &live.conditions {
            on.push(self.hoist(condition.clone(), &mut computed)?);
        }
        let own = Expr::Column(Spine::observer_column());
        for (expr, name) in computed {
            outputs.push(self.at(expr, kind, &own)?.alias(name));
        }
        let left = self.observers(kind, binding, &observer, outputs)?;
        let pruned = self.pruned(live.plan, &live.conditions)?;
        let joined = if on.is_empty() && join == JoinType::Inner {
            LogicalPlanBuilder::from(left).cross_join(pruned)?.build()?
        } else {
            // DataFusion wants a condition where a side keeps its rows.
            let on = if on.is_empty() { vec![lit(true)] } else { on };
            LogicalPlanBuilder::from(left).join_on(pruned, join, on)?.build()?
        };
        self.finish(joined, live.columns, &observer, kind)
    }

    /// Rows without those that fail one of the conditions at every label time.
    pub(super) fn pruned<'a>(
        &self,
        plan: LogicalPlan,
        conditions: impl IntoIterator<Item = &'a Expr>,
    ) -> Outcome<LogicalPlan> {
        Ok(match self.times {
            Some(times) => bounds::prune(plan, conditions, times, self.spines.timed.now_unit())?,
            None => plan,
        })
    }

    /// Keeps the operator's own columns and the observer.
    pub(super) fn finish(
        &self,
        plan: LogicalPlan,
        columns: Vec<Column>,
        observer: &str,
        spine: SpineKind,
    ) -> Outcome<AsOf> {
        let observer = Column::new_unqualified(observer);
        let kept = columns.iter().cloned().chain([observer.clone()]).map(Expr::Column);
        let plan = LogicalPlanBuilder::from(plan).project(kept.collect::<Vec<_>>())?.build()?;
        Ok(AsOf { plan, columns, observer, spine })
    }

    /// The spine's key columns that a binding needs, under fresh names, and the equalities with `rows`.
    fn key_conditions(&self, binding: &Binding, rows: &LogicalPlan) -> Outcome<(Vec<Expr>, Vec<Expr>)> {
        use datafusion::logical_expr::ExprSchemable;
        let mut outputs = Vec::new();
        let mut on = Vec::new();
        for (expr, key) in binding {
            let name = self.fresh("k");
            let (wanted, column) = self.key(*key);
            let have = expr.get_type(rows.schema())?;
            let expr = if have == wanted { expr.clone() } else { cast(expr.clone(), wanted) };
            outputs.push(column.alias(&name));
            on.push(Expr::Column(Column::new_unqualified(name)).eq(expr));
        }
        Ok((outputs, on))
    }

    /// Replaces the largest parts that depend on the label time and on no column by columns of the spine.
    fn hoist(&self, condition: Expr, computed: &mut Vec<(Expr, String)>) -> Outcome<Expr> {
        let hoisted = condition.transform_down(|expr| {
            if !mentions_time(&expr) {
                return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
            }
            if !expr.column_refs().is_empty() {
                return Ok(Transformed::no(expr));
            }
            let known = computed.iter().find(|(e, _)| *e == expr).map(|(_, name)| name.clone());
            let name = known.unwrap_or_else(|| {
                let name = self.fresh("x");
                computed.push((expr.clone(), name.clone()));
                name
            });
            let column = Expr::Column(Column::new_unqualified(name));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        });
        Ok(hoisted.data()?)
    }

    /// Remembers how these sources are read, and how far back.
    pub(super) fn note(&self, live: &Live, bound: &Bound) {
        let mut lookbacks = self.lookbacks.borrow_mut();
        let mut readings = self.readings.borrow_mut();
        for read in &live.reads {
            let duration = read.event_time.as_ref().and_then(|time| bounds::lookback(time, &live.conditions));
            let lookback = Lookback { source: read.source, duration };
            let reading = Reading { source: read.source, bound: bound.clone(), lookback: lookback.duration.clone() };
            if !lookbacks.contains(&lookback) {
                lookbacks.push(lookback);
            }
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
    }
}

/// Subqueries that DataFusion could not turn into joins.
fn refuse_subqueries(plan: &LogicalPlan) -> Outcome<()> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        found |= expr.exists(|e| {
            Ok(matches!(
                e,
                Expr::ScalarSubquery(_)
                    | Expr::InSubquery(_)
                    | Expr::Exists(_)
                    | Expr::SetComparison(_)
                    | Expr::OuterReferenceColumn(_, _)
            ))
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if found {
        return Err(Unsupported::Operator("a subquery that DataFusion can't turn into a join".to_string()));
    }
    Ok(())
}

/// The binding over an operator's input, where every column it names is one of `outputs`; `None` where one is not.
pub(super) fn substituted(binding: &Binding, outputs: &[(Column, Expr)]) -> Option<Binding> {
    binding
        .iter()
        .map(|(expr, key)| {
            let missing = expr.column_refs().into_iter().any(|c| !outputs.iter().any(|(name, _)| name == c));
            if missing {
                return None;
            }
            let replaced = expr.clone().transform_up(|e| {
                Ok(match &e {
                    Expr::Column(c) => match outputs.iter().find(|(name, _)| name == c) {
                        Some((_, input)) => Transformed::yes(input.clone()),
                        None => Transformed::no(e),
                    },
                    _ => Transformed::no(e),
                })
            });
            let replaced = replaced.data().ok()?;
            // A key that is a constant says nothing about rows below: it is compared where it is made.
            let about_rows = !mentions_time(&replaced) && !replaced.column_refs().is_empty();
            about_rows.then_some((replaced, *key))
        })
        .collect()
}

/// The part of the binding that can be said of an operator's input, and the rest of it as it was.
pub(super) fn substituted_partly(binding: &Binding, outputs: &[(Column, Expr)]) -> (Binding, Binding) {
    let (mut below, mut rest) = (Binding::new(), Binding::new());
    for wish in binding {
        match substituted(&vec![wish.clone()], outputs) {
            Some(one) => below.extend(one),
            None => rest.push(wish.clone()),
        }
    }
    (below, rest)
}

/// The columns that an expression names.
pub(super) fn columns_of(expr: &Expr) -> BTreeSet<Column> {
    expr.column_refs().into_iter().cloned().collect()
}

/// The expression without an alias.
pub(super) fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

fn operator_name(plan: &LogicalPlan) -> String {
    plan.display().to_string().split([':', ' ']).next().unwrap_or_default().to_string()
}
