//! A subquery in an expression: joined with the input of the operator that holds it, and a column in its place.
//!
//! | call | join | value |
//! | --- | --- | --- |
//! | scalar subquery | left | its column; more than one row is an error where the value is looked at |
//! | `EXISTS` | mark | the mark |
//! | `x IN q`, `x op ANY q` | mark where `x op y`, and where that is NULL | true, else NULL, else false |
//! | `x op ALL q` | mark where `x op y` is false, and where it is NULL | false, else NULL, else true |
//!
//! As a condition of a filter by itself, `EXISTS` and `IN` are a semi join and `NOT EXISTS` and `NOT IN` an anti join. `NOT IN`
//! keeps a row only where no comparison is true or NULL.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, ExprSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::functions_aggregate::expr_fn::{count, first_value};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, JoinType, LogicalPlan, Operator, Subquery, binary_expr, lit, when,
};

use crate::sql::unnesting::domain::Domain;
use crate::sql::unnesting::pull::{Pulled, only_whether, only_which_values};
use crate::sql::unnesting::references::{first_span, references, replace_columns, replace_outer, resolved};
use crate::sql::unnesting::rows::{alias, at_most_one, column, join, project, same};
use crate::sql::unnesting::single::single;
use crate::sql::unnesting::{Level, Unnester};

/// The input of an operator that holds subqueries.
#[derive(Debug)]
pub(super) struct Scope {
    /// As it is: subqueries see its columns.
    pub input: LogicalPlan,
    /// Joined with the subqueries so far: the same rows and columns, and more columns.
    pub plan: LogicalPlan,
    pub level: Level,
}

/// A subquery as a relation beside its outer query.
struct Related {
    plan: LogicalPlan,
    /// The subquery's columns.
    columns: Vec<Column>,
    /// Which rows an outer row sees.
    conditions: Vec<Expr>,
}

impl Scope {
    pub(super) fn new(input: LogicalPlan, level: Level) -> Self {
        Self { plan: input.clone(), input, level }
    }
}

impl Unnester {
    /// The expression with a column in the place of every subquery.
    pub(super) fn replaced(&self, expr: Expr, scope: &mut Scope) -> DfResult<Expr> {
        expr.transform_up(|e| {
            Ok(match e {
                Expr::ScalarSubquery(subquery) => Transformed::yes(self.scalar(subquery, scope)?),
                Expr::Exists(exists) => {
                    let query = self.existing(&exists, scope)?;
                    let mark = self.mark(query, scope, |_| Ok(None))?;
                    Transformed::yes(if exists.negated { !mark } else { mark })
                }
                Expr::InSubquery(within) => {
                    let negated = within.negated;
                    let found = self.compared(any_equal(within), scope)?;
                    Transformed::yes(if negated { !found } else { found })
                }
                Expr::SetComparison(comparison) => Transformed::yes(self.compared(comparison, scope)?),
                other => Transformed::no(other),
            })
        })
        .data()
    }

    /// A condition of a filter: done by a join (`None`), or what is left of it.
    pub(super) fn condition(&self, condition: Expr, scope: &mut Scope) -> DfResult<Option<Expr>> {
        match condition {
            Expr::Not(inner) if matches!(*inner, Expr::Exists(_) | Expr::InSubquery(_)) => {
                let negated = match *inner {
                    Expr::Exists(e) => Expr::Exists(Exists { negated: !e.negated, ..e }),
                    Expr::InSubquery(e) => Expr::InSubquery(InSubquery { negated: !e.negated, ..e }),
                    other => other,
                };
                self.condition(negated, scope)
            }
            Expr::Exists(exists) => {
                let query = self.existing(&exists, scope)?;
                if scope.level == Level::Top && references(&query)?.is_empty() {
                    let subquery = Subquery { subquery: query.into(), ..exists.subquery };
                    return Ok(Some(Expr::Exists(Exists { subquery, ..exists })));
                }
                let related = self.related(query, &scope.input)?;
                let kind = if exists.negated { JoinType::LeftAnti } else { JoinType::LeftSemi };
                scope.plan = join(scope.plan.clone(), related.plan, kind, related.conditions)?;
                Ok(None)
            }
            Expr::InSubquery(within) => {
                let query = self.values(&within.subquery, scope)?;
                if scope.level == Level::Top && references(&query)?.is_empty() {
                    let subquery = Subquery { subquery: query.into(), ..within.subquery };
                    return Ok(Some(Expr::InSubquery(InSubquery { subquery, ..within })));
                }
                let value = self.replaced(*within.expr, scope)?;
                let related = self.related(query, &scope.input)?;
                let equal = value.eq(column(&related.columns[0]));
                let nullable = nullable(&equal, scope, &related)?;
                let (kind, found) = match (within.negated, nullable) {
                    (false, _) => (JoinType::LeftSemi, equal),
                    (true, false) => (JoinType::LeftAnti, equal),
                    (true, true) => (JoinType::LeftAnti, equal.is_not_false()),
                };
                let conditions = related.conditions.into_iter().chain([found]).collect();
                scope.plan = join(scope.plan.clone(), related.plan, kind, conditions)?;
                Ok(None)
            }
            other => self.replaced(other, scope).map(Some),
        }
    }

    fn existing(&self, exists: &Exists, scope: &Scope) -> DfResult<LogicalPlan> {
        self.inside(only_whether(exists.subquery.subquery.as_ref().clone()), &scope.input, Level::Inner)
    }

    fn values(&self, subquery: &Subquery, scope: &Scope) -> DfResult<LogicalPlan> {
        self.inside(only_which_values(subquery.subquery.as_ref().clone()), &scope.input, Level::Inner)
    }

    fn scalar(&self, subquery: Subquery, scope: &mut Scope) -> DfResult<Expr> {
        let one = at_most_one(&subquery.subquery);
        let span = first_span(&subquery.subquery);
        let query = self.inside(subquery.subquery.as_ref().clone(), &scope.input, Level::Inner)?;
        if one && scope.level == Level::Top && references(&query)?.is_empty() {
            return Ok(Expr::ScalarSubquery(Subquery { subquery: query.into(), ..subquery }));
        }
        let outer = resolved(&query, &scope.input)?;
        if one {
            if !outer.is_empty()
                && let Some(value) = self.grouped(&query, &outer, scope)?
            {
                return Ok(value);
            }
            let related = self.by_domain(&query, &scope.input, &outer)?;
            scope.plan = join(scope.plan.clone(), related.plan, JoinType::Left, related.conditions)?;
            return Ok(column(&related.columns[0]));
        }
        // One row for each row of the domain, which knows how many there were.
        let (rows, values, keys) = match outer.is_empty() {
            true => {
                let beside = self.by_domain(&query, &scope.input, &outer)?;
                (beside.plan, beside.columns, Vec::new())
            }
            false => Domain { unnester: self, outer: &scope.input, columns: &outer }.renamed(&query)?,
        };
        let value = column(&values[0]);
        let first = first_value(value.clone(), vec![value.sort(true, true)]).alias("__c0");
        let counted = Aggregate::try_new(
            rows.into(),
            keys.iter().map(column).collect(),
            vec![first, count(lit(1)).alias("__rows")],
        )?;
        let name = self.fresh("query");
        let own = keys.iter().map(|k| column(k).alias(&k.name));
        let exprs = own.chain(["__c0", "__rows"].map(|c| column(&Column::new_unqualified(c)))).collect();
        let plan = alias(project(LogicalPlan::Aggregate(counted), exprs)?, &name)?;
        let of = |c: &str| Column::new(Some(name.as_str()), c);
        let conditions = outer.iter().zip(&keys).map(|(o, k)| same(column(o), column(&of(&k.name)))).collect();
        scope.plan = join(scope.plan.clone(), plan, JoinType::Left, conditions)?;
        Ok(single(column(&of("__c0")), column(&of("__rows")), span))
    }

    /// `x op ANY q` or `x op ALL q` with SQL's three values.
    fn compared(&self, comparison: SetComparison, scope: &mut Scope) -> DfResult<Expr> {
        let SetComparison { expr, subquery, op, quantifier } = comparison;
        let query = self.values(&subquery, scope)?;
        let compare = |y: &Column| binary_expr(expr.as_ref().clone(), op, column(y));
        let mut unknown = expr.nullable(scope.plan.schema()).unwrap_or(true);
        let decisive = self.mark(query.clone(), scope, |(y, nullable)| {
            let test = compare(y);
            unknown |= nullable;
            Ok(Some(match quantifier {
                SetQuantifier::Any => test,
                SetQuantifier::All => test.is_false(),
            }))
        })?;
        let found = quantifier == SetQuantifier::Any;
        let mut value = when(decisive, lit(found));
        if unknown {
            let null = self.mark(query, scope, |(y, _)| Ok(Some(compare(y).is_null())))?;
            value = value.when(null, lit(ScalarValue::Boolean(None)));
        }
        value.otherwise(lit(!found))
    }

    /// Whether the subquery has a row for which the condition over its first column holds.
    fn mark(
        &self,
        query: LogicalPlan,
        scope: &mut Scope,
        condition: impl FnOnce((&Column, bool)) -> DfResult<Option<Expr>>,
    ) -> DfResult<Expr> {
        let related = self.related(query, &scope.input)?;
        let mut conditions = related.conditions;
        if let Some(first) = related.columns.first() {
            let nullable = related.plan.schema().field_from_column(first)?.is_nullable();
            conditions.extend(condition((first, nullable))?);
        }
        let kept = scope.plan.schema().columns();
        let marked = join(scope.plan.clone(), related.plan, JoinType::LeftMark, conditions)?;
        let name = Column::new_unqualified(self.fresh("mark"));
        let mark = marked.schema().columns().pop().map(|mark| column(&mark).alias(&name.name));
        scope.plan = project(marked, kept.iter().map(column).chain(mark).collect())?;
        Ok(column(&name))
    }

    /// The subquery beside `outer`: by moving its conditions up where that does, by a domain otherwise.
    fn related(&self, query: LogicalPlan, outer: &LogicalPlan) -> DfResult<Related> {
        let columns = resolved(&query, outer)?;
        match self.pull(&query, &columns)? {
            Some(pulled) => self.beside(pulled, &query, &columns),
            None => self.by_domain(&query, outer, &columns),
        }
    }

    fn by_domain(&self, query: &LogicalPlan, outer: &LogicalPlan, columns: &[Column]) -> DfResult<Related> {
        if columns.is_empty() {
            return self.beside(Pulled { plan: query.clone(), conditions: Vec::new() }, query, columns);
        }
        let domain = Domain { unnester: self, outer, columns };
        let (plan, values, keys) = domain.renamed(query)?;
        let conditions = columns.iter().zip(&keys).map(|(o, k)| same(column(o), column(k))).collect();
        Ok(Related { plan, columns: values, conditions })
    }

    fn beside(&self, pulled: Pulled, query: &LogicalPlan, outer: &[Column]) -> DfResult<Related> {
        let name = self.fresh("query");
        let own = query.schema().columns();
        let mut values: Vec<Expr> = own.iter().enumerate().map(|(i, c)| column(c).alias(format!("__c{i}"))).collect();
        if values.is_empty() {
            values.push(lit(1).alias("__c0"));
        }
        let count = values.len();
        let Pulled { plan, conditions } = self.above(pulled, values)?;
        let plan = alias(plan, &name)?;
        let mut moved = Vec::with_capacity(conditions.len());
        for condition in conditions {
            let here = replace_columns(condition, &mut |c| Expr::Column(Column::new(Some(name.as_str()), &c.name)))?;
            moved.push(replace_outer(here, &|c| outer.contains(c).then(|| column(c)))?);
        }
        let columns = plan.schema().columns().into_iter().take(count).collect();
        Ok(Related { plan, columns, conditions: moved })
    }
}

fn any_equal(within: InSubquery) -> SetComparison {
    SetComparison::new(within.expr, within.subquery, Operator::Eq, SetQuantifier::Any)
}

/// Whether a comparison of the two sides may be NULL.
fn nullable(comparison: &Expr, scope: &Scope, related: &Related) -> DfResult<bool> {
    comparison.nullable(&scope.plan.schema().join(related.plan.schema())?)
}
