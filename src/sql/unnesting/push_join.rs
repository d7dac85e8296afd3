//! Joins in a subquery, for many outer rows at once.
//!
//! ```text
//! Left Join: a.k = b.k AND b.x > outer(u.x)          Left Join: a.k = b.k AND b.x > d.k0 AND d.k0 IS NOT DISTINCT FROM d2.k0
//!   Filter: a.y = outer(u.y)                   =>      dependent a, d.k0, d.k1
//!   Filter: b.y < outer(u.y)                           dependent b, d2.k0, d2.k1
//! ```

use std::sync::Arc;

use datafusion::common::{Column, NullEquality};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan, when};

use crate::sql::unnesting::domain::{Dependent, Domain, together};
use crate::sql::unnesting::pull::looks_outside;
use crate::sql::unnesting::rows::{column, join, only, project, same};

impl Domain<'_> {
    pub(super) fn push_join(&self, node: &Join) -> DfResult<Dependent> {
        let conditions = conditions(node);
        let looks = (looks_outside(&node.left, self.columns)?, looks_outside(&node.right, self.columns)?);
        let free = |side: &Arc<LogicalPlan>| Dependent { plan: side.as_ref().clone(), keys: Vec::new() };
        let (left, right) = match node.join_type {
            // Conditions alone look outside: the domain comes last.
            JoinType::Inner if looks == (false, false) => {
                let (out, own) = conditions.into_iter().partition(|c| self.names(c));
                let rows = join(node.left.as_ref().clone(), node.right.as_ref().clone(), JoinType::Inner, own)?;
                return self.for_all(rows, out);
            }
            JoinType::Inner => (
                if looks.0 { self.push(&node.left)? } else { free(&node.left) },
                if looks.1 { self.push(&node.right)? } else { free(&node.right) },
            ),
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                (self.push(&node.left)?, if looks.1 { self.push(&node.right)? } else { free(&node.right) })
            }
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                (if looks.0 { self.push(&node.left)? } else { free(&node.left) }, self.push(&node.right)?)
            }
            JoinType::Full => (self.push(&node.left)?, self.push(&node.right)?),
        };
        let right_leads = match node.join_type {
            JoinType::Inner => left.keys.is_empty(),
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => true,
            _ => false,
        };
        let lead = if right_leads { &right.keys } else { &left.keys };
        let mut on: Vec<Expr> = together(&left.keys, &right.keys).collect();
        for condition in conditions {
            on.push(self.bind(condition, lead)?);
        }
        let keys = lead.clone();
        let other = if right_leads { left.keys.clone() } else { right.keys.clone() };
        let joined = join(left.plan, right.plan, node.join_type, on)?;
        let columns = node.schema.columns();
        match node.join_type {
            JoinType::Full => self.full(joined, &columns, &keys, &other),
            JoinType::LeftMark | JoinType::RightMark => {
                // The mark is called after the first relation of the side that is looked through.
                let last = joined.schema().columns().pop();
                let own = columns.iter().map(|c| match &last {
                    Some(mark) if c.name == mark.name && columns.last() == Some(c) => {
                        column(mark).alias_qualified(c.relation.clone(), &c.name)
                    }
                    _ => column(c),
                });
                let plan = project(joined.clone(), own.chain(keys.iter().map(column)).collect())?;
                Ok(Dependent { plan, keys })
            }
            _ => Ok(Dependent { plan: only(joined, columns.iter().chain(&keys))?, keys }),
        }
    }

    /// A row without a match has its own side's keys alone.
    fn full(&self, joined: LogicalPlan, columns: &[Column], left: &[Column], right: &[Column]) -> DfResult<Dependent> {
        let mut exprs: Vec<Expr> = columns.iter().map(column).collect();
        let mut keys = Vec::with_capacity(left.len());
        for (l, r) in left.iter().zip(right) {
            let key = Column::new_unqualified(self.unnester.fresh("k"));
            let either = when(column(l).is_not_null(), column(l)).otherwise(column(r))?;
            exprs.push(either.alias(&key.name));
            keys.push(key);
        }
        Ok(Dependent { plan: project(joined, exprs)?, keys })
    }
}

/// All conditions of a join.
pub(super) fn conditions(node: &Join) -> Vec<Expr> {
    let equal = |(l, r): &(Expr, Expr)| match node.null_equality {
        NullEquality::NullEqualsNothing => l.clone().eq(r.clone()),
        NullEquality::NullEqualsNull => same(l.clone(), r.clone()),
    };
    let rest = node.filter.clone().map(split_conjunction_owned).unwrap_or_default();
    node.on.iter().map(equal).chain(rest).collect()
}
