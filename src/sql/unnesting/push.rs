//! The dependent join of a domain with a subquery, pushed down through the subquery's operators.
//!
//! | operator | for many outer rows at once |
//! | --- | --- |
//! | filter | the same; over rows that do not look outside, the join with the domain on its conditions |
//! | projection, alias, unnest | the domain's columns are carried along |
//! | aggregate | grouped by the domain's columns too; without `GROUP BY` every row of the domain gets a group |
//! | window | partitioned by the domain's columns too |
//! | `LIMIT`, `OFFSET` | row numbers within a row of the domain |
//! | `DISTINCT`, `DISTINCT ON` | within a row of the domain |
//! | union | of the dependent inputs |
//! | joins | `push_join.rs` |
//! | `VALUES`, `SELECT` without `FROM` | a row for each row of the domain |

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, ExprFunctionExt, JoinType, Limit, LogicalPlan, LogicalPlanBuilder,
    Projection, SortExpr, SubqueryAlias, Union, Values, Window, lit,
};

use crate::sql::names::with_windows;
use crate::sql::unnesting::domain::{Dependent, Domain, together};
use crate::sql::unnesting::pull::{looks_outside, names, parted};
use crate::sql::unnesting::references::{outer_columns, replace_outer};
use crate::sql::unnesting::refusal;
use crate::sql::unnesting::rows::{alias, column, count, filter, join, only, project, unaliased, under, with_column};

impl Domain<'_> {
    pub(super) fn push(&self, plan: &LogicalPlan) -> DfResult<Dependent> {
        if !looks_outside(plan, self.columns)? {
            return self.for_all(plan.clone(), Vec::new());
        }
        match plan {
            LogicalPlan::Filter(node) => {
                if !looks_outside(&node.input, self.columns)? {
                    let (out, own) = parted(node.predicate.clone(), self.columns);
                    return self.for_all(filter(node.input.as_ref().clone(), own)?, out);
                }
                let below = self.push(&node.input)?;
                let predicate = self.bind(node.predicate.clone(), &below.keys)?;
                Ok(Dependent { plan: filter(below.plan, vec![predicate])?, keys: below.keys })
            }
            LogicalPlan::Projection(node) => self.push_projection(node),
            LogicalPlan::SubqueryAlias(node) => {
                let below = self.push(&node.input)?;
                let own = node.input.schema().columns().into_iter().zip(node.schema.columns());
                let exprs = own.map(|(inner, outer)| under(column(&inner), &outer));
                let exprs = exprs.chain(below.keys.iter().map(column)).collect();
                Ok(Dependent { plan: project(below.plan, exprs)?, keys: below.keys })
            }
            LogicalPlan::Subquery(node) => self.push(&node.subquery),
            // Without a limit an order says nothing.
            LogicalPlan::Sort(node) => match node.fetch {
                None => self.push(&node.input),
                Some(fetch) => self.first(&node.input, &node.expr, 0, Some(fetch)),
            },
            LogicalPlan::Limit(node) => self.push_limit(node),
            LogicalPlan::Aggregate(node) => self.push_aggregate(node, plan),
            LogicalPlan::Window(node) => self.push_window(node),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let below = self.push(input)?;
                let columns = input.schema().columns();
                let rows = only(below.plan, columns.iter().chain(&below.keys))?;
                Ok(Dependent { plan: LogicalPlan::Distinct(Distinct::All(Arc::new(rows))), keys: below.keys })
            }
            LogicalPlan::Distinct(Distinct::On(node)) => self.push_distinct_on(node),
            LogicalPlan::Union(node) => self.push_union(node),
            LogicalPlan::Join(node) => self.push_join(node),
            LogicalPlan::Unnest(node) => {
                let below = self.push(&node.input)?;
                let builder = LogicalPlanBuilder::from(below.plan);
                let builder = builder.unnest_columns_with_options(node.exec_columns.clone(), node.options.clone())?;
                Ok(Dependent { plan: builder.build()?, keys: below.keys })
            }
            LogicalPlan::Values(node) => self.push_values(node),
            other => {
                let shown = other.display().to_string();
                let name = shown.split([':', ' ']).next().unwrap_or_default();
                Err(refusal::operator(&format!("`{name}`"), plan))
            }
        }
    }

    /// Rows that are the same for every row of the domain, where the conditions hold.
    pub(super) fn for_all(&self, plan: LogicalPlan, conditions: Vec<Expr>) -> DfResult<Dependent> {
        let domain = self.rows()?;
        if matches!(&plan, LogicalPlan::EmptyRelation(empty) if empty.produce_one_row) && conditions.is_empty() {
            return Ok(domain);
        }
        let conditions = conditions.into_iter().map(|c| self.bind(c, &domain.keys)).collect::<DfResult<_>>()?;
        Ok(Dependent { plan: join(domain.plan, plan, JoinType::Inner, conditions)?, keys: domain.keys })
    }

    fn push_projection(&self, node: &Projection) -> DfResult<Dependent> {
        let below = self.push(&node.input)?;
        let mut exprs = Vec::with_capacity(node.expr.len() + below.keys.len());
        for (expr, name) in node.expr.iter().zip(node.schema.columns()) {
            exprs.push(under(self.bind(expr.clone(), &below.keys)?, &name));
        }
        exprs.extend(below.keys.iter().map(column));
        Ok(Dependent { plan: project(below.plan, exprs)?, keys: below.keys })
    }

    fn push_limit(&self, limit: &Limit) -> DfResult<Dependent> {
        let (Some(skip), Some(fetch)) = (count(limit.skip.as_deref()), count(limit.fetch.as_deref())) else {
            return Err(refusal::operator("a LIMIT or OFFSET that is no number", &limit.input));
        };
        let skip = skip.unwrap_or(0);
        let again = |input: &Arc<LogicalPlan>| {
            LogicalPlan::Limit(Limit { input: Arc::clone(input), skip: limit.skip.clone(), fetch: limit.fetch.clone() })
        };
        match limit.input.as_ref() {
            LogicalPlan::Sort(sort) => {
                let fetch = match (fetch, sort.fetch) {
                    (Some(a), Some(b)) => Some(a.min(b.saturating_sub(skip))),
                    (None, Some(b)) => Some(b.saturating_sub(skip)),
                    (a, None) => a,
                };
                self.first(&sort.input, &sort.expr, skip, fetch)
            }
            // A limit above columns that are computed or renamed row by row is one below them.
            LogicalPlan::Projection(node) => {
                let input = Arc::new(again(&node.input));
                let below = Projection::try_new_with_schema(node.expr.clone(), input, Arc::clone(&node.schema))?;
                self.push(&LogicalPlan::Projection(below))
            }
            LogicalPlan::SubqueryAlias(node) => {
                let below = SubqueryAlias::try_new(Arc::new(again(&node.input)), node.alias.clone())?;
                self.push(&LogicalPlan::SubqueryAlias(below))
            }
            // Ties are settled: rows without an order have no columns to tell them apart.
            _ => self.first(&limit.input, &[], skip, fetch),
        }
    }

    /// Rows `skip + 1` to `skip + fetch` of the order, for every row of the domain.
    fn first(&self, input: &LogicalPlan, order: &[SortExpr], skip: usize, fetch: Option<usize>) -> DfResult<Dependent> {
        let columns = input.schema().columns();
        let below = self.push(input)?;
        let mut bound = Vec::with_capacity(order.len());
        for key in order {
            bound.push(SortExpr { expr: self.bind(key.expr.clone(), &below.keys)?, ..key.clone() });
        }
        let rank = Column::new_unqualified(self.unnester.fresh("rank"));
        let partition = below.keys.iter().map(column).collect();
        let number = row_number().partition_by(partition);
        // An empty order is none: DataFusion takes an empty list for one, and has no frame for it.
        let number = if bound.is_empty() { number.build()? } else { number.order_by(bound).build()? };
        let ranked = with_windows(below.plan, vec![(number, rank.clone())])?;
        let literal = |n: usize| lit(ScalarValue::UInt64(u64::try_from(n).ok()));
        let mut kept = vec![column(&rank).gt(literal(skip))];
        kept.extend(fetch.map(|n| column(&rank).lt_eq(literal(skip.saturating_add(n)))));
        let plan = only(filter(ranked, kept)?, columns.iter().chain(&below.keys))?;
        Ok(Dependent { plan, keys: below.keys })
    }

    fn push_aggregate(&self, node: &Aggregate, plan: &LogicalPlan) -> DfResult<Dependent> {
        if node.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
            return Err(refusal::operator("GROUPING SETS, ROLLUP or CUBE", plan));
        }
        self.refuse_outer_aggregates(node, plan)?;
        let columns = node.schema.columns();
        let (group_columns, aggregate_columns) = columns.split_at(node.group_expr.len());
        let (below, there) = match node.group_expr.is_empty() {
            true => self.keep_all(&node.input)?,
            false => (self.push(&node.input)?, None),
        };
        let mut groups: Vec<Expr> = below.keys.iter().map(column).collect();
        for (expr, name) in node.group_expr.iter().zip(group_columns) {
            groups.push(under(self.bind(expr.clone(), &below.keys)?, name));
        }
        let mut aggregates = Vec::with_capacity(node.aggr_expr.len());
        for (expr, name) in node.aggr_expr.iter().zip(aggregate_columns) {
            let bound = self.bind(unaliased(expr.clone()), &below.keys)?;
            let bound = match &there {
                Some(there) => only_where(bound, there, plan)?,
                None => bound,
            };
            aggregates.push(under(bound, name));
        }
        let aggregate = Aggregate::try_new(Arc::new(below.plan), groups, aggregates)?;
        Ok(Dependent { plan: LogicalPlan::Aggregate(aggregate), keys: below.keys })
    }

    /// Every row of the domain with its rows of the input, at least one: where there is none, the column that is returned is
    /// NULL. So an aggregate without GROUP BY has a value for nothing, too.
    fn keep_all(&self, input: &LogicalPlan) -> DfResult<(Dependent, Option<Column>)> {
        let there = Column::new_unqualified(self.unnester.fresh("there"));
        let domain = self.rows()?;
        let (rows, conditions) = match self.unnester.pull(input, self.columns)? {
            Some(pulled) => {
                let bound = pulled.conditions.into_iter().map(|c| self.bind(c, &domain.keys));
                (pulled.plan, bound.collect::<DfResult<Vec<_>>>()?)
            }
            None => {
                let below = self.push(input)?;
                let conditions = together(&domain.keys, &below.keys).collect();
                (below.plan, conditions)
            }
        };
        let marked = with_column(rows, lit(true).alias(&there.name))?;
        let plan = join(domain.plan, marked, JoinType::Left, conditions)?;
        Ok((Dependent { plan, keys: domain.keys }, Some(there)))
    }

    fn refuse_outer_aggregates(&self, node: &Aggregate, plan: &LogicalPlan) -> DfResult<()> {
        for expr in &node.aggr_expr {
            let Expr::AggregateFunction(call) = unaliased(expr.clone()) else { continue };
            let own = call.params.args.iter().chain(call.params.filter.as_deref());
            let inner = own.clone().any(|e| !e.column_refs().is_empty());
            if !inner && own.flat_map(outer_columns).next().is_some() {
                let shown = replace_outer(expr.clone(), &|c| Some(column(c)))?;
                return Err(refusal::outer_aggregate(&shown.to_string(), plan));
            }
        }
        Ok(())
    }

    fn push_window(&self, node: &Window) -> DfResult<Dependent> {
        let below = self.push(&node.input)?;
        let columns = node.schema.columns();
        let own = node.input.schema().fields().len();
        let mut calls = Vec::with_capacity(node.window_expr.len());
        for (expr, name) in node.window_expr.iter().zip(&columns[own..]) {
            let mut bound = self.bind(unaliased(expr.clone()), &below.keys)?;
            if let Expr::WindowFunction(call) = &mut bound {
                call.params.partition_by.extend(below.keys.iter().map(column));
            }
            calls.push((bound, name.clone()));
        }
        let plan = only(with_windows(below.plan, calls)?, columns.iter().chain(&below.keys))?;
        Ok(Dependent { plan, keys: below.keys })
    }

    fn push_distinct_on(&self, node: &DistinctOn) -> DfResult<Dependent> {
        let below = self.push(&node.input)?;
        let bind = |e: &Expr| self.bind(e.clone(), &below.keys);
        let keys = || below.keys.iter().map(column);
        let on = keys().map(Ok).chain(node.on_expr.iter().map(bind)).collect::<DfResult<Vec<_>>>()?;
        let mut select = Vec::with_capacity(node.select_expr.len() + below.keys.len());
        for (expr, name) in node.select_expr.iter().zip(node.schema.columns()) {
            select.push(under(bind(expr)?, &name));
        }
        select.extend(keys());
        let mut order: Vec<SortExpr> = keys().map(|k| k.sort(true, true)).collect();
        for key in node.sort_expr.iter().flatten() {
            order.push(SortExpr { expr: bind(&key.expr)?, ..key.clone() });
        }
        let rebuilt = DistinctOn::try_new(on, select, Some(order), Arc::new(below.plan.clone()))?;
        Ok(Dependent { plan: LogicalPlan::Distinct(Distinct::On(rebuilt)), keys: below.keys })
    }

    fn push_union(&self, node: &Union) -> DfResult<Dependent> {
        let columns = node.schema.columns();
        let keys = self.key_names();
        let parts = node.inputs.iter().map(|input| {
            let below = self.push(input)?;
            let own = input.schema().columns();
            let named = own.iter().zip(&columns).map(|(from, to)| column(from).alias(&to.name));
            let exprs = named.chain(below.keys.iter().zip(&keys).map(|(k, name)| column(k).alias(name)));
            Ok(Arc::new(project(below.plan, exprs.collect())?))
        });
        let parts = parts.collect::<DfResult<Vec<_>>>()?;
        self.united(LogicalPlan::Union(Union::try_new_with_loose_types(parts)?), &columns, &keys)
    }

    fn push_values(&self, node: &Values) -> DfResult<Dependent> {
        let columns = node.schema.columns();
        let types = node.schema.fields();
        let keys = self.key_names();
        let parts = node.values.iter().map(|row| {
            let domain = self.rows()?;
            let mut exprs = Vec::with_capacity(row.len() + domain.keys.len());
            for ((value, name), field) in row.iter().zip(&columns).zip(types) {
                let bound = self.bind(value.clone(), &domain.keys)?;
                exprs.push(datafusion::logical_expr::cast(bound, field.data_type().clone()).alias(&name.name));
            }
            exprs.extend(domain.keys.iter().zip(&keys).map(|(k, name)| column(k).alias(name)));
            Ok(Arc::new(project(domain.plan, exprs)?))
        });
        let mut parts = parts.collect::<DfResult<Vec<_>>>()?;
        let rows = match parts.len() {
            1 => parts.remove(0).as_ref().clone(),
            _ => LogicalPlan::Union(Union::try_new_with_loose_types(parts)?),
        };
        self.united(rows, &columns, &keys)
    }

    fn key_names(&self) -> Vec<String> {
        self.columns.iter().map(|_| self.unnester.fresh("k")).collect()
    }

    /// Columns by position under the operator's names, and after them the keys.
    fn united(&self, rows: LogicalPlan, columns: &[Column], keys: &[String]) -> DfResult<Dependent> {
        let fields = rows.schema().columns();
        let keys: Vec<Column> = keys.iter().map(Column::new_unqualified).collect();
        let exprs = fields.iter().zip(columns.iter().chain(&keys)).map(|(from, to)| under(column(from), to)).collect();
        Ok(Dependent { plan: project(rows, exprs)?, keys })
    }

    /// The dependent rows under names of their own: `__c0`, `__c1`, … the operator's, `__k0`, … the domain's.
    pub(super) fn renamed(&self, query: &LogicalPlan) -> DfResult<(LogicalPlan, Vec<Column>, Vec<Column>)> {
        let name = self.unnester.fresh("query");
        let below = self.push(query)?;
        let own = query.schema().columns();
        let values = own.iter().enumerate().map(|(i, c)| column(c).alias(format!("__c{i}")));
        let keys = below.keys.iter().map(|k| column(k).alias(self.unnester.fresh("k")));
        let plan = alias(project(below.plan, values.chain(keys).collect())?, &name)?;
        let mut columns = plan.schema().columns();
        let keys = columns.split_off(own.len());
        Ok((plan, columns, keys))
    }

    /// Whether an expression names a column of the domain.
    pub(super) fn names(&self, expr: &Expr) -> bool {
        names(expr, self.columns)
    }
}

/// The aggregate over the rows where `there` is true.
fn only_where(expr: Expr, there: &Column, plan: &LogicalPlan) -> DfResult<Expr> {
    let Expr::AggregateFunction(AggregateFunction { func, mut params }) = expr else {
        return Err(refusal::operator(&format!("`{expr}`"), plan));
    };
    params.filter = Some(Box::new(match params.filter {
        Some(filter) => column(there).and(*filter),
        None => column(there),
    }));
    Ok(Expr::AggregateFunction(AggregateFunction { func, params }))
}
