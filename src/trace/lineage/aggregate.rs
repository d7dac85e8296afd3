//! Aggregates: which rows of a group each function takes.
//!
//! A row counts where some function takes it. Where none takes any row of a group (`count(*) FILTER` of nothing), the group's
//! rows still make it exist: without them there would be no row, not a zero.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::logical_expr::expr::{AggregateFunction, NullTreatment};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder};

use super::relation::{Lineage, Rel, row_column};
use super::rows::unaliased;
use super::{Stop, Walk, Walked, Why};
use crate::plan::SKIP_NULL;
use crate::trace::cell::comparable;

/// Functions of several values that, as [`SKIP_NULL`] of one, take no notice of a row with a NULL among their arguments.
const SKIP_ANY_NULL: [&str; 13] = [
    "corr",
    "covar_pop",
    "covar_samp",
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
];

impl Walk<'_> {
    pub(super) async fn aggregate(&mut self, aggregate: &Aggregate, input: &Rel) -> Walked {
        if aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
            return Err(Stop::NoRule("grouping sets".to_string()));
        }
        let node = LogicalPlan::Aggregate(aggregate.clone());
        let ran = self.run(node.with_new_exprs(node.expressions(), vec![input.plan("in")?])?).await?;
        let columns = ran.columns_of(&aggregate.schema)?;
        let groups = self.groups(aggregate, input, &columns, ran.rows).await?;
        let takes = self.takes(aggregate, input, &groups, ran.rows).await?;
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); ran.rows];
        groups.iter().enumerate().for_each(|(row, &group)| members[group].push(row));
        let mut lineage = Vec::with_capacity(ran.rows);
        for rows in &members {
            let taken: Vec<usize> = rows.iter().copied().filter(|&row| takes[row].is_none()).collect();
            if taken.is_empty() {
                // No function takes a row: they only make the group.
                lineage.push(Lineage::union(rows.iter().map(|&row| &input.lineage[row])).only_existing());
            } else {
                lineage.push(Lineage::union(taken.iter().map(|&row| &input.lineage[row])));
            }
        }
        let dropped: Vec<(usize, Why)> =
            takes.into_iter().enumerate().filter_map(|(row, why)| Some((row, why?))).collect();
        self.drop_rows(dropped.into_iter().map(|(row, why)| (&input.lineage[row], why)));
        Ok(Rel {
            schema: Arc::clone(&aggregate.schema),
            ranked: vec![false; columns.len()],
            columns,
            lineage,
            scans: input.scans.clone(),
        })
    }

    /// By input row, the output row of its group.
    async fn groups(&self, aggregate: &Aggregate, input: &Rel, output: &[ArrayRef], rows: usize) -> Walked<Vec<usize>> {
        let count = aggregate.group_expr.len();
        if count == 0 {
            return Ok(vec![0; if rows == 1 { input.rows() } else { 0 }]);
        }
        let exprs = aggregate.group_expr.iter().enumerate().map(|(i, e)| e.clone().alias(format!("__group{i}")));
        let exprs: Vec<Expr> = exprs.chain([Expr::Column(row_column("in"))]).collect();
        let ran = self.run(LogicalPlanBuilder::from(input.plan("in")?).project(exprs)?.build()?).await?;
        let own: Vec<ArrayRef> = ran.columns[..count]
            .iter()
            .zip(output)
            .map(|(own, out)| Ok(cast(own, out.data_type())?))
            .collect::<Walked<_>>()?;
        let keys =
            |columns: &[ArrayRef]| -> Walked<Vec<ArrayRef>> { columns.iter().map(|c| Ok(comparable(c)?)).collect() };
        let (own, out) = (keys(&own)?, keys(&output[..count])?);
        let converter = RowConverter::new(out.iter().map(|c| SortField::new(c.data_type().clone())).collect())?;
        let (own, out) = (converter.convert_columns(&own)?, converter.convert_columns(&out)?);
        let numbers: HashMap<&[u8], usize> = (0..rows).map(|i| (out.row(i).data(), i)).collect();
        let unknown = || Stop::NoRule("groups that can't be told apart".to_string());
        (0..input.rows()).map(|i| numbers.get(own.row(i).data()).copied().ok_or_else(unknown)).collect()
    }

    /// By input row: why no function takes it; `None` where one does.
    async fn takes(
        &self,
        aggregate: &Aggregate,
        input: &Rel,
        groups: &[usize],
        rows: usize,
    ) -> Walked<Vec<Option<Why>>> {
        let mut why: Vec<Option<Why>> = vec![None; input.rows()];
        let mut taken = vec![aggregate.aggr_expr.is_empty(); input.rows()];
        for expr in &aggregate.aggr_expr {
            let Expr::AggregateFunction(call) = unaliased(expr) else {
                return Err(Stop::NoRule(format!("`{expr}`")));
            };
            for (row, reason) in self.takes_one(aggregate, call, input, groups, rows).await?.into_iter().enumerate() {
                match reason {
                    None => taken[row] = true,
                    Some(reason) => {
                        // Of several functions' reasons, the one that comes nearest to counting.
                        if why[row].as_ref().is_none_or(|known| nearness(&reason) < nearness(known)) {
                            why[row] = Some(reason);
                        }
                    }
                }
            }
        }
        Ok(why.into_iter().zip(taken).map(|(why, taken)| if taken { None } else { why }).collect())
    }

    async fn takes_one(
        &self,
        aggregate: &Aggregate,
        call: &AggregateFunction,
        input: &Rel,
        groups: &[usize],
        rows: usize,
    ) -> Walked<Vec<Option<Why>>> {
        let mut why: Vec<Option<Why>> = vec![None; input.rows()];
        if let Some(filter) = &call.params.filter {
            let conjuncts = split_conjunction(filter);
            let judged = match self.judge(input, &conjuncts).await {
                Ok(judged) => judged,
                Err(Stop::Failed(_)) if conjuncts.len() > 1 => self.judge(input, &[filter]).await?,
                Err(stop) => return Err(stop),
            };
            for (row, why) in why.iter_mut().enumerate() {
                let failing = judged.iter().filter(|j| !j.holds[row]).min_by_key(|j| j.distance.is_some());
                *why = failing.map(|j| Why::NotInFilter { condition: j.text.clone(), outside: j.outside(row) });
            }
        }
        let name = call.func.name();
        let chosen = matches!(name, "first_value" | "last_value");
        let skips_null = SKIP_NULL.contains(&name)
            || SKIP_ANY_NULL.contains(&name)
            || (chosen && call.params.null_treatment == Some(NullTreatment::IgnoreNulls));
        let arguments: Vec<&Expr> =
            call.params.args.iter().filter(|a| skips_null && !a.column_refs().is_empty()).collect();
        for argument in arguments {
            let known = argument.clone().is_not_null();
            let judged = self.judge(input, &[&known]).await?;
            let text = self.speller.spell(argument);
            for (row, why) in why.iter_mut().enumerate() {
                if why.is_none() && !judged[0].holds[row] {
                    *why = Some(Why::NullArgument { argument: text.clone() });
                }
            }
        }
        if chosen {
            let winners = self.chosen(aggregate, call, input, groups, rows).await?;
            let by = self.order_that_chose(aggregate, call);
            for (row, why) in why.iter_mut().enumerate() {
                if why.is_none() && winners[groups[row]] != Some(row) {
                    *why = Some(Why::NotLatest { by: by.clone(), rank: None });
                }
            }
        }
        Ok(why)
    }

    /// What chose one row of a group, as its author may have written it: the first key of the order that differs within a group.
    fn order_that_chose(&self, aggregate: &Aggregate, call: &AggregateFunction) -> String {
        let name = call.func.name();
        let groups: Vec<&Expr> = aggregate.group_expr.iter().map(unaliased).collect();
        let order = call.params.order_by.iter().find(|sort| !groups.contains(&&sort.expr)).map(|sort| {
            let descending = if sort.asc { "" } else { " DESC" };
            format!("ORDER BY {}{descending}", self.speller.spell(&sort.expr))
        });
        // `DISTINCT ON` is planned as `first_value`.
        if name == "first_value" && !self.words.has(name) && self.words.has("distinct") {
            let on: Vec<String> = groups.iter().map(|group| self.speller.spell(group)).collect();
            let order = order.map_or_else(String::new, |order| format!(" … {order}"));
            return format!("DISTINCT ON ({}){order}", on.join(", "));
        }
        order.map_or_else(|| name.to_string(), |order| format!("{name}(… {order})"))
    }

    /// By output row, the input row that `first_value` or `last_value` takes.
    async fn chosen(
        &self,
        aggregate: &Aggregate,
        call: &AggregateFunction,
        input: &Rel,
        groups: &[usize],
        rows: usize,
    ) -> Walked<Vec<Option<usize>>> {
        let mut params = call.params.clone();
        if params.null_treatment == Some(NullTreatment::IgnoreNulls) {
            let known = params.args[0].clone().is_not_null();
            params.filter = Some(Box::new(match params.filter {
                Some(filter) => filter.and(known),
                None => known,
            }));
        }
        params.args = vec![Expr::Column(row_column("in"))];
        let position = Expr::AggregateFunction(AggregateFunction { func: Arc::clone(&call.func), params });
        let node = Aggregate::try_new(
            Arc::new(input.plan("in")?),
            aggregate.group_expr.clone(),
            vec![position.alias("__chosen")],
        )?;
        let ran = self.run(LogicalPlan::Aggregate(node)).await?;
        if ran.rows != rows {
            return Err(Stop::NoRule("groups that can't be told apart".to_string()));
        }
        let chosen = ran.columns[aggregate.group_expr.len()].as_primitive::<Int64Type>();
        // Groups may come in another order than before: a chosen row says itself whose it is.
        let mut winners = vec![None; rows];
        for row in chosen.iter().flatten().filter_map(|row| usize::try_from(row).ok()) {
            if let Some(&group) = groups.get(row) {
                winners[group] = Some(row);
            }
        }
        Ok(winners)
    }
}

/// What is nearest to counting is told first.
fn nearness(why: &Why) -> u8 {
    match why {
        Why::NotLatest { .. } => 0,
        Why::NullArgument { .. } => 1,
        _ => 2,
    }
}
