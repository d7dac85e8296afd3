//! Joins of every kind: which rows of the two sides make each output row.

use std::sync::Arc;

use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan};

use super::asked::Asked;
use super::relation::{Lineage, Rel, merged, row_column};
use super::{Walk, Walked, Why};

/// The rows of the left and of the right side that make an output row.
type Pair = (Option<usize>, Option<usize>);

impl Walk<'_> {
    pub(super) async fn join(&mut self, join: &Join, left: &Rel, right: &Rel, asked: &Asked) -> Walked {
        let condition = self.condition(join);
        let node = LogicalPlan::Join(join.clone());
        let (l, r) = (row_column("left"), row_column("right"));
        let ran =
            self.run(node.with_new_exprs(node.expressions(), vec![left.plan("left")?, right.plan("right")?])?).await?;
        let columns = ran.columns_of(&join.schema)?;
        let positions = |row| ran.positions(row);
        let only_existing = [&join.left, &join.right].map(|input| asked.only_existing(join, input));
        let own = |rel: &Rel, row: Option<usize>, side: usize| {
            let own = row.map(|row| rel.lineage[row].clone()).unwrap_or_default();
            if only_existing[side] { own.only_existing() } else { own }
        };
        let pairs = match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                positions(&l)?.into_iter().zip(positions(&r)?).collect()
            }
            _ => self.matches(join, left, right).await?,
        };
        let met = |side: fn(&Pair) -> Pair, rows: usize| {
            let mut met: Vec<Vec<usize>> = vec![Vec::new(); rows];
            for (own, other) in pairs.iter().map(side) {
                if let (Some(own), Some(other)) = (own, other) {
                    met[own].push(other);
                }
            }
            met
        };
        let of_left = met(|p| *p, left.rows());
        let of_right = met(|p| (p.1, p.0), right.rows());
        // Partners of a semi join, and of a mark, are told by what they let through.
        let with_partners = |rel: &Rel, other: &Rel, row: usize, partners: &[usize]| {
            let all = std::iter::once(&rel.lineage[row]).chain(partners.iter().map(|&p| &other.lineage[p]));
            Lineage::union(all.collect::<Vec<_>>().into_iter())
        };
        let lineage: Vec<Lineage> = match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                let both = |&(a, b): &Pair| Lineage::union([own(left, a, 0), own(right, b, 1)].iter());
                pairs.iter().map(both).collect()
            }
            JoinType::LeftSemi | JoinType::LeftMark | JoinType::LeftAnti => {
                let rows = positions(&l)?.into_iter().flatten();
                rows.map(|row| with_partners(left, right, row, &of_left[row])).collect()
            }
            JoinType::RightSemi | JoinType::RightMark | JoinType::RightAnti => {
                let rows = positions(&r)?.into_iter().flatten();
                rows.map(|row| with_partners(right, left, row, &of_right[row])).collect()
            }
        };
        let (left_names, right_names) = (self.sources(&left.scans), self.sources(&right.scans));
        let lonely = |with: &[String]| match with {
            // The windows of HOP, or other rows that are written out: to meet none is to fail the condition.
            [] => Why::Filtered { condition: condition.clone() },
            with => Why::NoPartner { with: with.to_vec(), condition: condition.clone() },
        };
        let keeps_left = matches!(join.join_type, JoinType::Left | JoinType::Full | JoinType::LeftMark);
        let keeps_right = matches!(join.join_type, JoinType::Right | JoinType::Full | JoinType::RightMark);
        let anti = match join.join_type {
            JoinType::LeftAnti => Some((left, right, &of_left, &of_right, &left_names, &right_names)),
            JoinType::RightAnti => Some((right, left, &of_right, &of_left, &right_names, &left_names)),
            _ => None,
        };
        let mut dropped: Vec<(&Lineage, Why)> = Vec::new();
        if let Some((kept, other, of_kept, of_other, kept_names, other_names)) = anti {
            for row in (0..kept.rows()).filter(|&row| !of_kept[row].is_empty() || join.null_aware) {
                let why = Why::TakenAway { by: other_names.clone(), condition: condition.clone() };
                dropped.push((&kept.lineage[row], why));
            }
            for (row, partners) in of_other.iter().enumerate() {
                let why = if partners.is_empty() {
                    lonely(kept_names)
                } else {
                    Why::TakesAway { of: kept_names.clone(), condition: condition.clone() }
                };
                dropped.push((&other.lineage[row], why));
            }
        } else {
            for row in (0..left.rows()).filter(|&row| of_left[row].is_empty() && !keeps_left) {
                dropped.push((&left.lineage[row], lonely(&right_names)));
            }
            for row in (0..right.rows()).filter(|&row| of_right[row].is_empty() && !keeps_right) {
                dropped.push((&right.lineage[row], lonely(&left_names)));
            }
        }
        // A row whose events go on in another row is none of the dropped.
        let alive = merged(lineage.iter().flat_map(|l| [&l.value, &l.exists]));
        dropped.retain(|(lineage, _)| lineage.all().any(|event| alive.binary_search(&event).is_err()));
        self.drop_rows(dropped.into_iter());
        let mut ranked = Vec::with_capacity(columns.len());
        for column in join.schema.columns() {
            let of = |rel: &Rel| rel.schema.maybe_index_of_column(&column).is_some_and(|i| rel.ranked[i]);
            ranked.push(of(left) || of(right));
        }
        Ok(Rel {
            schema: Arc::clone(&join.schema),
            columns,
            lineage,
            ranked,
            scans: left.scans.union(&right.scans).copied().collect(),
        })
    }

    /// All pairs that satisfy the join's condition.
    async fn matches(&self, join: &Join, left: &Rel, right: &Rel) -> Walked<Vec<Pair>> {
        let inner = Join::try_new(
            Arc::new(left.plan("left")?),
            Arc::new(right.plan("right")?),
            join.on.clone(),
            join.filter.clone(),
            JoinType::Inner,
            join.join_constraint,
            join.null_equality,
            false,
        )?;
        let ran = self.run(LogicalPlan::Join(inner)).await?;
        let (left, right) = (ran.positions(&row_column("left"))?, ran.positions(&row_column("right"))?);
        Ok(left.into_iter().zip(right).collect())
    }

    fn condition(&self, join: &Join) -> String {
        let equal = join.on.iter().map(|(l, r)| format!("{} = {}", self.speller.spell(l), self.speller.spell(r)));
        let filter = join.filter.iter().map(|f: &Expr| self.speller.spell(f));
        equal.chain(filter).collect::<Vec<_>>().join(" AND ")
    }
}
