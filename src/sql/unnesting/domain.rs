//! The domain of a subquery: the distinct values of the outer columns that it names.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use crate::sql::unnesting::Unnester;
use crate::sql::unnesting::references::replace_outer;
use crate::sql::unnesting::rows::{alias, column, project, same};

/// The outer query of a subquery, as far as the subquery knows it.
#[derive(Debug)]
pub(super) struct Domain<'a> {
    pub unnester: &'a Unnester,
    /// The plan that has the outer columns.
    pub outer: &'a LogicalPlan,
    pub columns: &'a [Column],
}

/// Rows for each row of the domain: an operator's own columns, and the domain's, which are called `keys`.
#[derive(Debug)]
pub(super) struct Dependent {
    pub plan: LogicalPlan,
    pub keys: Vec<Column>,
}

impl Domain<'_> {
    /// The domain's rows, under names of their own.
    pub(super) fn rows(&self) -> DfResult<Dependent> {
        let name = self.unnester.fresh("domain");
        let keys = self.columns.iter().map(|c| column(c).alias(self.unnester.fresh("k"))).collect();
        let values = project(self.outer.clone(), keys)?;
        let plan = alias(LogicalPlan::Distinct(Distinct::All(Arc::new(values))), &name)?;
        let keys = plan.schema().columns();
        Ok(Dependent { plan, keys })
    }

    /// The expression with the domain's columns for the outer ones.
    pub(super) fn bind(&self, expr: Expr, keys: &[Column]) -> DfResult<Expr> {
        replace_outer(expr, &|c| Some(column(&keys[self.columns.iter().position(|own| own == c)?])))
    }
}

/// That two dependent relations speak of the same row of the domain.
pub(super) fn together<'a>(a: &'a [Column], b: &'a [Column]) -> impl Iterator<Item = Expr> + 'a {
    a.iter().zip(b).map(|(a, b)| same(column(a), column(b)))
}
