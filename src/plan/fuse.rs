//! An aggregate over live rows as a [`Sweep`]: stabbing and grouping in one operator.
//!
//! ```text
//! Aggregate: [user_id], [count(*)]      =>    Sweep: keys=[e1 = k2], w0=[e3 <= x4 AND e5 > x6], aggr=[count(*) in w0]
//!   live: events                                spine: observer, k2, T AS x4, T - 1 day AS x6
//!     counts while from <= T, ts > T - 1 day    Projection: user_id AS e1, from AS e3, ts AS e5
//! ```
//!
//! Groups finer than the keys (`GROUP BY user_id, kind`) are keys of a sweep whose spine is that of another one, which finds what
//! groups each observer sees:
//!
//! ```text
//! Sweep: keys=[e1 = k2, e7 = g8], w0=[...], aggr=[count(*) in w0]
//!   Sweep: keys=[e1 = k2], w0=[...], groups=[e7 AS g8]
//!     spine
//!     Projection: user_id AS e1, kind AS e7, ...
//!   Projection: user_id AS e1, kind AS e7, ...
//! ```
//!
//! It takes an aggregate whose groups are not made of the label time (or that has none), whose conditions compare something of the
//! row with something of the label time, and whose functions the sweep knows. All else is stabbed first, for a reason.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::functions::expr_fn::coalesce;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, NullTreatment, WindowFunction};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, SortExpr,
    Window as WindowPlan, cast, lit,
};

use crate::plan::bounds::sides;
use crate::plan::fallible::can_fail;
use crate::plan::relation::{AsOf, Live, mentions_time};
use crate::plan::rewriter::{Binding, Outcome, Rewriter, named, unaliased};
use crate::plan::spine::{Spine, SpineKind};
use crate::source::{Redelivery, is_order_key};
use crate::sweep::{
    Argument, Bound, Call, Comparison, Function, KeyPair, OrderKey, Sweep, SweepAggregate, SweepSpec, Window,
    is_ordered_integer, is_sortable, literal,
};

/// Why an aggregate is not swept.
type Reason = String;

/// The aggregate as a sweep, or the reason why not. `binding` holds below the aggregate.
pub(super) fn fuse(
    rewriter: &Rewriter,
    aggregate: &Aggregate,
    live: &Live,
    binding: &Binding,
) -> Outcome<Result<AsOf, Reason>> {
    fuse_rows(rewriter, aggregate, live, binding, aggregate.group_expr.is_empty())
}

/// The rows that `call`, a `row_number()`, numbers 1, as a sweep:
///
/// ```text
/// Filter: n = 1                                                    =>   n = 1 and the columns of
///   Window: row_number() PARTITION BY user_id ORDER BY ts DESC AS n       Sweep: first(each column ORDER BY ts DESC)
/// ```
pub(super) fn fuse_first(
    rewriter: &Rewriter,
    window: &WindowPlan,
    call: &WindowFunction,
    live: &Live,
    binding: &Binding,
) -> Outcome<Result<AsOf, Reason>> {
    let columns = window.schema.columns();
    let own = window.input.schema().columns();
    let mut groups: Vec<Expr> = Vec::new();
    for group in &call.params.partition_by {
        if !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    let first = |column: &Column| {
        let args = vec![Expr::Column(column.clone())];
        let order = call.params.order_by.clone();
        let call = AggregateFunction::new_udf(first_value_udaf(), args, false, None, order, None);
        Expr::AggregateFunction(call).alias(rewriter.fresh("v"))
    };
    let values: Vec<Expr> = own.iter().map(first).collect();
    let number = groups.len();
    let aggregate = Aggregate::try_new(Arc::clone(&window.input), groups, values)?;
    let mut rows = match fuse_rows(rewriter, &aggregate, live, binding, false)? {
        Ok(rows) => rows,
        Err(reason) => return Ok(Err(reason)),
    };
    let swept = aggregate.schema.columns();
    let mut exprs: Vec<Expr> =
        swept[number..].iter().zip(&own).map(|(value, column)| named(Expr::Column(value.clone()), column)).collect();
    exprs.push(named(lit(1_u64), &columns[own.len()]));
    exprs.push(rows.observer());
    rows.plan = LogicalPlanBuilder::from(rows.plan).project(exprs)?.build()?;
    rows.columns = columns;
    Ok(Ok(rows))
}

/// `keeps_empty`: whether an observer that sees nothing has a row.
fn fuse_rows(
    rewriter: &Rewriter,
    aggregate: &Aggregate,
    live: &Live,
    binding: &Binding,
    keeps_empty: bool,
) -> Outcome<Result<AsOf, Reason>> {
    let global = aggregate.group_expr.is_empty();
    let binding = &if global { Binding::new() } else { rewriter.comparable(binding, &live.plan)? };
    let kind = rewriter.kind_of(binding);
    let observer = rewriter.fresh("s");
    let mut parts = Parts { rewriter, live, kind, events: Vec::new(), spine: Vec::new(), bounds: Vec::new() };
    let built = parts.spec(aggregate, binding, &observer)?;
    let built = match built {
        Ok(built) => built,
        Err(reason) => return Ok(Err(reason)),
    };
    let Swept { spec, fields, finer } = built;
    let spec = SweepSpec { keeps_empty, ..spec };
    let Parts { events, spine: outputs, .. } = parts;
    // Events that no observer sees are swept over too.
    if let Some((expr, _)) = events.iter().find(|(expr, _)| can_fail(expr, live.plan.schema())) {
        return Ok(Err(format!("`{expr}` may fail on a row that no label sees")));
    }
    let spine = rewriter.observers(kind, binding, &observer, outputs)?;
    let pruned = rewriter.pruned(live.plan.clone(), &live.conditions)?;
    let events = events.into_iter().map(|(expr, name)| expr.alias(name));
    let events = LogicalPlanBuilder::from(pruned).project(events.collect::<Vec<_>>())?.build()?;
    if let Some(reason) = uncomparable(&spec, &spine, &events) {
        return Ok(Err(reason));
    }
    rewriter.note_swept(live, binding);
    let plan = match finer.is_empty() {
        true => Sweep::plan(spine, events, spec, schema_of(fields)?),
        false => by_finer_groups(spine, events, spec, fields, finer)?,
    };
    Ok(Ok(rewriter.finish(plan, aggregate.schema.columns(), &observer, kind)?))
}

/// A sweep as [`Parts`] describe it.
struct Swept {
    /// The keys of finer groups are there, but not in the spine.
    spec: SweepSpec,
    fields: Fields,
    /// The keys of finer groups, and their fields in the aggregate's schema.
    finer: Vec<(KeyPair, usize)>,
}

fn schema_of(fields: Fields) -> Outcome<Arc<DFSchema>> {
    Ok(Arc::new(DFSchema::new_with_metadata(fields, Default::default())?))
}

/// The sweep over a spine that has each observer once per finer group. Without aggregates, that spine is all there is.
fn by_finer_groups(
    spine: LogicalPlan,
    events: LogicalPlan,
    spec: SweepSpec,
    fields: Fields,
    finer: Vec<(KeyPair, usize)>,
) -> Outcome<LogicalPlan> {
    let finer_keys = |k: &KeyPair| finer.iter().any(|(key, _)| key.event == k.event);
    let seen = SweepSpec {
        observer: spec.observer.clone(),
        keys: spec.keys.iter().filter(|k| !finer_keys(k)).cloned().collect(),
        windows: vec![spec.windows[0].clone()],
        groups: Vec::new(),
        finer: finer.iter().map(|(key, _)| key.event.clone()).collect(),
        aggregates: Vec::new(),
        keeps_empty: false,
    };
    if spec.aggregates.is_empty() {
        let (groups, columns) = result_of_groups(&spec, fields, &finer);
        return seen_groups(spine, &events, SweepSpec { groups, ..seen }, columns);
    }
    let (groups, columns) = spine_of_groups(&spine, &events, &spec, &finer)?;
    let seen = seen_groups(spine, &events, SweepSpec { groups, ..seen }, columns)?;
    Ok(Sweep::plan(seen, events, spec, schema_of(fields)?))
}

/// What is handed on of the spine, and all columns, where the groups themselves are the result.
fn result_of_groups(spec: &SweepSpec, fields: Fields, finer: &[(KeyPair, usize)]) -> (Vec<String>, Fields) {
    let groups = spec.groups.iter().zip(&fields[1..]);
    let groups = groups.filter(|(name, _)| finer.iter().all(|(key, _)| key.spine != **name));
    let (groups, columns): (Vec<String>, Fields) = groups.map(|(name, field)| (name.clone(), field.clone())).unzip();
    let finer = finer.iter().map(|(_, at)| fields[*at].clone());
    (groups, std::iter::once(fields[0].clone()).chain(columns).chain(finer).collect())
}

/// The same, where the groups are the spine of a sweep: it reads all that the spine had, and the groups by their keys' names.
fn spine_of_groups(
    spine: &LogicalPlan,
    events: &LogicalPlan,
    spec: &SweepSpec,
    finer: &[(KeyPair, usize)],
) -> Outcome<(Vec<String>, Fields)> {
    let all = spine.schema().fields().iter().map(|f| f.name().clone());
    let groups: Vec<String> = all.filter(|name| *name != spec.observer).collect();
    let mut columns = Fields::new();
    for name in std::iter::once(&spec.observer).chain(&groups) {
        columns.push((None, Arc::clone(spine.schema().field_with_unqualified_name(name)?)));
    }
    for (key, _) in finer {
        let field = events.schema().field_with_unqualified_name(&key.event)?;
        columns.push((None, Arc::new(field.as_ref().clone().with_name(&key.spine))));
    }
    Ok((groups, columns))
}

/// The sweep that finds which groups each observer sees. It reads what it needs of the events.
fn seen_groups(spine: LogicalPlan, events: &LogicalPlan, seen: SweepSpec, columns: Fields) -> Outcome<LogicalPlan> {
    let read = seen.event_columns().into_iter().map(|name| Expr::Column(Column::new_unqualified(name)));
    let read = LogicalPlanBuilder::from(events.clone()).project(read.collect::<Vec<_>>())?.build()?;
    Ok(Sweep::plan(spine, read, seen, schema_of(columns)?))
}

/// Fields with their qualifiers, as a plan's schema has them.
type Fields = Vec<(Option<TableReference>, Arc<Field>)>;

/// The two sides of a sweep as they grow: expressions, and the names under which the spec knows them.
struct Parts<'a, 'r> {
    rewriter: &'a Rewriter<'r>,
    live: &'a Live,
    kind: SpineKind,
    events: Vec<(Expr, String)>,
    spine: Vec<Expr>,
    /// What bounds are of the label time, and the spine's columns for them.
    bounds: Vec<(Expr, String)>,
}

impl Parts<'_, '_> {
    fn spec(&mut self, aggregate: &Aggregate, binding: &Binding, observer: &str) -> Outcome<Result<Swept, Reason>> {
        let mut keys = Vec::new();
        let mut key_columns = Vec::new();
        for (expr, key) in binding {
            let (wanted, column) = self.rewriter.key(*key);
            // Equal floats may have different bits.
            if wanted.is_floating() || wanted.is_nested() {
                return Ok(Err(format!("its key `{expr}` is {wanted}")));
            }
            let have = expr.get_type(self.live.plan.schema())?;
            let expr = if have == wanted { expr.clone() } else { cast(expr.clone(), wanted) };
            let spine = self.rewriter.fresh("k");
            self.spine.push(column.alias(&spine));
            key_columns.push(spine.clone());
            keys.push(KeyPair { event: self.event(expr), spine, null_is_equal: false });
        }
        let mut fields: Fields = vec![(None, Arc::new(Field::new(observer, DataType::Int64, false)))];
        let (mut groups, mut finer) = (Vec::new(), Vec::<(KeyPair, usize)>::new());
        let own = |i: usize| {
            let (qualifier, field) = aggregate.schema.qualified_field(i);
            (qualifier.cloned(), Arc::clone(field))
        };
        for (i, group) in aggregate.group_expr.iter().enumerate() {
            match binding.iter().position(|(expr, _)| expr == unaliased(group)) {
                Some(key) => groups.push(key_columns[key].clone()),
                None => match self.finer(unaliased(group))? {
                    Ok(key) => {
                        groups.push(key.spine.clone());
                        finer.push((key, fields.len()));
                    }
                    Err(reason) => return Ok(Err(reason)),
                },
            }
            fields.push(own(i));
        }
        keys.extend(finer.iter().map(|(key, _)| key.clone()));
        let mut windows = Vec::new();
        match self.window(&self.live.conditions.clone())? {
            Ok(window) => windows.push(window),
            Err(reason) => return Ok(Err(reason)),
        }
        let mut aggregates = Vec::new();
        for (i, expr) in aggregate.aggr_expr.iter().enumerate() {
            match self.aggregate(unaliased(expr), &keys, &mut windows)? {
                Ok(swept) => aggregates.push(swept),
                Err(reason) => return Ok(Err(reason)),
            }
            fields.push(own(aggregate.group_expr.len() + i));
        }
        let observer = observer.to_string();
        let keeps_empty = aggregate.group_expr.is_empty();
        let spec = SweepSpec { observer, keys, windows, groups, finer: Vec::new(), aggregates, keeps_empty };
        Ok(Ok(Swept { spec, fields, finer }))
    }

    /// The key of a group that no label key is bound to.
    fn finer(&mut self, group: &Expr) -> Outcome<Result<KeyPair, Reason>> {
        if mentions_time(group) {
            return Ok(Err(format!("it groups by `{group}`, which is made of the label time")));
        }
        let data_type = group.get_type(self.live.plan.schema())?;
        if data_type.is_floating() || data_type.is_nested() || data_type.is_null() {
            return Ok(Err(format!("it groups by `{group}`, which is {data_type}")));
        }
        let null_is_equal = group.nullable(self.live.plan.schema())?;
        Ok(Ok(KeyPair { event: self.event(group.clone()), spine: self.rewriter.fresh("g"), null_is_equal }))
    }

    /// The name of an expression over the event.
    fn event(&mut self, expr: Expr) -> String {
        if let Some((_, name)) = self.events.iter().find(|(e, _)| *e == expr) {
            return name.clone();
        }
        let name = self.rewriter.fresh("e");
        self.events.push((expr, name.clone()));
        name
    }

    /// The spine's column of an expression over the label time. Equal bounds share one: so equal windows are one window.
    fn bound(&mut self, bound: Expr) -> Outcome<String> {
        if let Some((_, name)) = self.bounds.iter().find(|(e, _)| *e == bound) {
            return Ok(name.clone());
        }
        let name = self.rewriter.fresh("x");
        let own = Expr::Column(Spine::observer_column());
        self.spine.push(self.rewriter.at(bound.clone(), self.kind, &own)?.alias(&name));
        self.bounds.push((bound, name.clone()));
        Ok(name)
    }

    /// Conditions with the label time as bounds, those without as a filter.
    fn window(&mut self, conditions: &[Expr]) -> Outcome<Result<Window, Reason>> {
        let mut window = Window::default();
        let mut timeless = Vec::new();
        for condition in conditions.iter().flat_map(split_conjunction) {
            if !mentions_time(condition) {
                timeless.push(condition.clone());
                continue;
            }
            let Some(bounds) = comparisons(condition) else {
                return Ok(Err(format!("`{}` compares no row with a label time", condition)));
            };
            for (row, op, bound) in bounds {
                let spine = self.bound(bound)?;
                let event = self.event(row);
                let bound = Bound { event, op, spine };
                if !window.bounds.contains(&bound) {
                    window.bounds.push(bound);
                }
            }
        }
        window.filter = conjunction(timeless).map(|filter| self.event(filter));
        Ok(Ok(window))
    }

    fn aggregate(
        &mut self,
        expr: &Expr,
        keys: &[KeyPair],
        windows: &mut Vec<Window>,
    ) -> Outcome<Result<SweepAggregate, Reason>> {
        let refused = || Ok(Err(format!("no sweep knows `{expr}`")));
        let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return refused() };
        let sorted = params.order_by.iter().map(|key| &key.expr);
        if params.args.iter().chain(sorted).any(mentions_time) {
            return Ok(Err(format!("`{expr}` makes values of the label time")));
        }
        let Some((function, argument)) = self.function(func.name(), params, keys)? else { return refused() };
        let window = match &params.filter {
            None => 0,
            Some(filter) => match self.window(std::slice::from_ref(filter.as_ref()))? {
                Ok(window) => windows.iter().position(|w| *w == window).unwrap_or_else(|| {
                    windows.push(window);
                    windows.len() - 1
                }),
                Err(reason) => return Ok(Err(reason)),
            },
        };
        Ok(Ok(SweepAggregate { function, argument, window, name: expr.schema_name().to_string() }))
    }

    /// The function and the name of its argument; `None` where no sweep knows it.
    fn function(
        &mut self,
        name: &str,
        params: &AggregateFunctionParams,
        keys: &[KeyPair],
    ) -> Outcome<Option<(Function, Option<String>)>> {
        let ignore_nulls = params.null_treatment == Some(NullTreatment::IgnoreNulls);
        let distinct = params.distinct && !matches!(name, "min" | "max");
        if let [argument] = params.args.as_slice()
            && distinct
            && name == "count"
            && is_countable(&argument.get_type(self.live.plan.schema())?)
        {
            return Ok(Some((Function::CountDistinct, Some(self.event(argument.clone())))));
        }
        if let [argument] = params.args.as_slice()
            && !distinct
        {
            let data_type = argument.get_type(self.live.plan.schema())?;
            let native = is_ordered_integer(&data_type) || matches!(data_type, DataType::Float32 | DataType::Float64);
            let function = match (name, &data_type) {
                ("count", _) => {
                    let always = matches!(argument, Expr::Literal(value, _) if !value.is_null());
                    return Ok(Some((Function::Count, (!always).then(|| self.event(argument.clone())))));
                }
                ("sum", DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Decimal128(_, _)) => {
                    Some(Function::Sum)
                }
                ("avg", DataType::Int64 | DataType::UInt64 | DataType::Float64) => Some(Function::Average),
                ("bool_and", DataType::Boolean) => Some(Function::Minimum),
                ("bool_or", DataType::Boolean) => Some(Function::Maximum),
                ("min", _) if native => Some(Function::Minimum),
                ("max", _) if native => Some(Function::Maximum),
                ("min" | "max", t) if is_sortable(t) => {
                    let event = self.event(argument.clone());
                    let order = vec![OrderKey { event, descending: name == "max", nulls_first: false }];
                    Some(Function::First { order, ignore_nulls: true, settled: true })
                }
                ("first_value" | "last_value", _) => {
                    let (order, settled) = self.whole_order(&params.order_by, name == "last_value", keys);
                    Some(Function::First { order, ignore_nulls, settled })
                }
                _ => None,
            };
            if let Some(function) = function {
                return Ok(Some((function, Some(self.event(argument.clone())))));
            }
        }
        if !CALLED.contains(&name) {
            return Ok(None);
        }
        let mut arguments = Vec::with_capacity(params.args.len());
        for argument in &params.args {
            arguments.push(match argument {
                Expr::Literal(value, _) => {
                    let (text, data_type) = (value.to_string(), value.data_type().to_string());
                    if literal(&text, &data_type).ok().as_ref() != Some(value) {
                        return Ok(None);
                    }
                    Argument::Literal { value: text, data_type }
                }
                other => Argument::Column(self.event(other.clone())),
            });
        }
        let order = params.order_by.iter().map(|key| OrderKey {
            event: self.event(key.expr.clone()),
            descending: !key.asc,
            nulls_first: key.nulls_first,
        });
        let order = order.collect();
        let function = name.to_string();
        Ok(Some((Function::Call(Call { function, arguments, order, distinct: params.distinct, ignore_nulls }), None)))
    }

    /// Sort keys as columns of the event: the key that settles ties is every column in turn. Columns that came before, and
    /// those that all events of a label key share, decide nothing. Ties are rare and mostly of equal values, so at first they are
    /// left open, and the columns that would settle them are not read: then the second value is false.
    fn whole_order(&mut self, order: &[SortExpr], reversed: bool, keys: &[KeyPair]) -> (Vec<OrderKey>, bool) {
        let mut whole: Vec<OrderKey> = Vec::new();
        let mut settled = true;
        for SortExpr { expr, asc, nulls_first } in order {
            let exprs = match expr {
                Expr::ScalarFunction(f)
                    if is_order_key(&f.func)
                        && !whole.is_empty()
                        && self.rewriter.options.redelivery == Redelivery::ByTime =>
                {
                    settled = false;
                    continue;
                }
                Expr::ScalarFunction(f) if is_order_key(&f.func) => {
                    // Ascending with NULL first; the other way round with NULL last.
                    f.args.iter().map(|arg| (arg, *asc, *asc)).collect()
                }
                other => vec![(other, *asc, *nulls_first)],
            };
            for (expr, asc, nulls_first) in exprs {
                let event = self.event(expr.clone());
                if whole.iter().all(|k| k.event != event) && keys.iter().all(|k| k.event != event) {
                    whole.push(OrderKey { event, descending: asc == reversed, nulls_first: nulls_first != reversed });
                }
            }
        }
        (whole, settled)
    }
}

/// Whether values of this type are equal where their 64 bits are, or are texts.
fn is_countable(data_type: &DataType) -> bool {
    is_ordered_integer(data_type)
        || matches!(data_type, DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Functions whose result does not depend on the order in which they see rows, or whose order is settled.
const CALLED: [&str; 35] = [
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "max",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

/// A condition as comparisons of the row with the label time, all of which have to hold.
fn comparisons(condition: &Expr) -> Option<Vec<(Expr, Comparison, Expr)>> {
    if let Expr::Between(between) = condition
        && !between.negated
    {
        let low = between.expr.as_ref().clone().gt_eq(between.low.as_ref().clone());
        let high = between.expr.as_ref().clone().lt_eq(between.high.as_ref().clone());
        return Some([comparisons(&low)?, comparisons(&high)?].concat());
    }
    // A version that nothing ended: `until IS NULL OR until > T`.
    if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) = condition
        && let (Expr::IsNull(ended), Expr::BinaryExpr(BinaryExpr { left: end, op: Operator::Gt, right: bound })) =
            (left.as_ref(), right.as_ref())
        && ended == end
        && crate::plan::relation::is_instant(bound)
    {
        let end = coalesce(vec![end.as_ref().clone(), lit(ScalarValue::Int64(Some(i64::MAX)))]);
        return Some(vec![(end, Comparison::Greater, bound.as_ref().clone())]);
    }
    let (row, op, bound) = sides(condition)?;
    let compared = |op| (row.clone(), op, bound.clone());
    Some(match op {
        Operator::Lt => vec![compared(Comparison::Less)],
        Operator::LtEq => vec![compared(Comparison::LessOrEqual)],
        Operator::Gt => vec![compared(Comparison::Greater)],
        Operator::GtEq => vec![compared(Comparison::GreaterOrEqual)],
        Operator::Eq => vec![compared(Comparison::LessOrEqual), compared(Comparison::GreaterOrEqual)],
        _ => return None,
    })
}

/// Why the two sides of a bound can't be compared as integers.
fn uncomparable(spec: &SweepSpec, spine: &LogicalPlan, events: &LogicalPlan) -> Option<Reason> {
    let type_of = |plan: &LogicalPlan, name: &str| {
        let field = plan.schema().field_with_unqualified_name(name).ok()?;
        Some(field.data_type().clone())
    };
    for bound in spec.windows.iter().flat_map(|w| &w.bounds) {
        let (event, own) = (type_of(events, &bound.event)?, type_of(spine, &bound.spine)?);
        let same = match (&event, &own) {
            (DataType::Timestamp(a, x), DataType::Timestamp(b, y)) => a == b && x.is_some() == y.is_some(),
            (a, b) => a == b,
        };
        if !same || !is_ordered_integer(&event) {
            return Some(format!("{event} is compared with {own}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::col;

    #[test]
    fn an_equality_with_the_label_time_is_two_bounds() {
        let now = crate::sql::now_placeholder(datafusion::arrow::datatypes::TimeUnit::Microsecond);
        let ops = |e: Expr| comparisons(&e).map(|c| c.into_iter().map(|(_, op, _)| op).collect::<Vec<_>>());
        assert_eq!(ops(col("a").eq(now.clone())), Some(vec![Comparison::LessOrEqual, Comparison::GreaterOrEqual]));
        assert_eq!(ops(now.clone().gt(col("a"))), Some(vec![Comparison::Less]));
        assert_eq!(ops(col("a").gt(now.clone()).or(col("b").gt(now))), None);
    }
}
