//! The operators whose output rows are input rows: scan, filter, projection, sort, limit, unnest; and constants.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, FetchType, Limit, LogicalPlan, Projection, SkipType, Sort, TableScan};

use super::conditions::Judged;
use super::relation::{Lineage, Rel, merged, row_column};
use super::{Ranks, Stop, Walk, Walked, Why};
use crate::analysis::marked_source;
use crate::trace::asked::mentions_key;

impl Walk<'_> {
    pub(super) async fn scan(&mut self, scan: &TableScan) -> Walked {
        if marked_source(scan).is_none() {
            return Err(Stop::NoRule(format!("a scan of `{}`", scan.table_name)));
        }
        let number = self.next_scan;
        self.next_scan += 1;
        let own = &self.scans[number];
        let picks = UInt32Array::from(own.rows.clone());
        let all = || (0..own.raw.schema.fields().len()).collect();
        let columns: Vec<usize> = scan.projection.clone().unwrap_or_else(all);
        let columns = columns
            .iter()
            .map(|&i| {
                let column = own.raw.columns[i].as_ref();
                let column = column.ok_or_else(|| internal_datafusion_err!("column {i} was not read"))?;
                Ok(take(column, &picks, None)?)
            })
            .collect::<DfResult<Vec<ArrayRef>>>()?;
        let lineage = (0..own.rows.len()).map(|i| Lineage::of(own.offset + u32::try_from(i).unwrap_or(0))).collect();
        let rel = Rel {
            schema: Arc::clone(&scan.projected_schema),
            ranked: vec![false; columns.len()],
            columns,
            lineage,
            scans: BTreeSet::from([number]),
        };
        match scan.filters.iter().cloned().reduce(Expr::and) {
            Some(filter) => self.filter(&rel, &filter).await,
            None => Ok(rel),
        }
    }

    pub(super) async fn filter(&mut self, input: &Rel, predicate: &Expr) -> Walked {
        let conjuncts = split_conjunction(predicate);
        let judged = match self.judge(input, &conjuncts).await {
            Ok(judged) => judged,
            // A condition may fail on a row that another one keeps away from it.
            Err(Stop::Failed(_)) if conjuncts.len() > 1 => self.judge(input, &[predicate]).await?,
            Err(stop) => return Err(stop),
        };
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for row in 0..input.rows() {
            // Of several conditions, whose row it is comes first, then what no nearer time would change.
            let failing = judged.iter().filter(|j| !j.holds[row]);
            let first = failing.min_by_key(|j| (!mentions_key(j.expr), j.distance.is_some()));
            match first {
                None => kept.push(row),
                Some(first) => dropped.push((row, why_filtered(input, first, row))),
            }
        }
        self.drop_rows(dropped.into_iter().map(|(row, why)| (&input.lineage[row], why)));
        Ok(input.taken(&kept)?)
    }

    pub(super) async fn projection(&mut self, projection: &Projection, input: &Rel) -> Walked {
        let row = row_column("in");
        let exprs: Vec<Expr> = projection.expr.iter().cloned().chain([Expr::Column(row.clone())]).collect();
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input.plan("in")?))?);
        let ran = self.run(plan).await?;
        let mut rel = placed(&ran.positions(&row)?, ran.columns[..projection.expr.len()].to_vec(), input);
        rel.schema = Arc::clone(&projection.schema);
        let ranked = |expr: &Expr| match unaliased(expr) {
            Expr::Column(c) => input.schema.maybe_index_of_column(c).is_some_and(|i| input.ranked[i]),
            _ => false,
        };
        rel.ranked = projection.expr.iter().map(ranked).collect();
        Ok(rel)
    }

    /// An operator that gives each input row any number of times, with its columns.
    pub(super) async fn passed_through(&mut self, plan: &LogicalPlan, input: &Rel) -> Walked {
        let ran = self.run(plan.with_new_exprs(plan.expressions(), vec![input.plan("in")?])?).await?;
        let columns = ran.columns_of(plan.schema())?;
        let mut rel = placed(&ran.positions(&row_column("in"))?, columns, input);
        rel.schema = Arc::clone(plan.schema());
        rel.ranked = vec![false; rel.columns.len()];
        Ok(rel)
    }

    pub(super) async fn sort(&mut self, plan: &LogicalPlan, sort: &Sort, input: &Rel) -> Walked {
        let all = LogicalPlan::Sort(Sort { fetch: None, ..sort.clone() });
        let mut rel = self.passed_through(&all, input).await?;
        rel.schema = Arc::clone(plan.schema());
        rel.ranked.clone_from(&input.ranked);
        match sort.fetch {
            Some(fetch) => self.cut(&rel, 0, Some(fetch)),
            None => Ok(rel),
        }
    }

    pub(super) fn limit(&mut self, limit: &Limit, input: &Rel) -> Walked {
        match (limit.get_skip_type()?, limit.get_fetch_type()?) {
            (SkipType::Literal(skip), FetchType::Literal(fetch)) => self.cut(input, skip, fetch),
            _ => Err(Stop::NoRule("a limit that is no number".to_string())),
        }
    }

    fn cut(&mut self, input: &Rel, skip: usize, fetch: Option<usize>) -> Walked {
        let end = fetch.map_or(input.rows(), |fetch| skip.saturating_add(fetch)).min(input.rows());
        let kept: Vec<usize> = (skip.min(end)..end).collect();
        let by = match (skip, fetch) {
            (0, Some(fetch)) => format!("LIMIT {fetch}"),
            (skip, Some(fetch)) => format!("LIMIT {fetch} OFFSET {skip}"),
            (skip, None) => format!("OFFSET {skip}"),
        };
        let cut = (0..input.rows()).filter(|row| !kept.contains(row));
        self.drop_rows(cut.map(|row| (&input.lineage[row], Why::NotLatest { by: by.clone(), rank: None })));
        let mut rel = input.taken(&kept)?;
        // Rows that are skipped make those after them be the ones.
        if self.ranks != Ranks::Chosen && skip > 0 {
            let skipped = merged(input.lineage[..skip.min(input.rows())].iter().map(|l| &l.value));
            for lineage in &mut rel.lineage {
                lineage.exists = merged([&lineage.exists, &skipped].into_iter());
            }
        }
        Ok(rel)
    }

    pub(super) async fn constant(&mut self, plan: &LogicalPlan) -> Walked {
        let ran = self.run(plan.clone()).await?;
        Ok(Rel {
            schema: Arc::clone(plan.schema()),
            ranked: vec![false; ran.columns.len()],
            columns: ran.columns,
            lineage: vec![Lineage::default(); ran.rows],
            scans: BTreeSet::new(),
        })
    }
}

/// Output rows that are input rows.
fn placed(positions: &[Option<usize>], columns: Vec<ArrayRef>, input: &Rel) -> Rel {
    let lineage = |p: &Option<usize>| p.map(|row| input.lineage[row].clone()).unwrap_or_default();
    Rel {
        schema: Arc::clone(&input.schema),
        columns,
        lineage: positions.iter().map(lineage).collect(),
        ranked: Vec::new(),
        scans: input.scans.clone(),
    }
}

fn why_filtered(input: &Rel, judged: &Judged, row: usize) -> Why {
    let condition = judged.text.clone();
    if mentions_key(judged.expr) {
        return Why::OtherKey;
    }
    if let Some((before, by_ns)) = judged.outside(row) {
        return Why::Outside { condition, before, by_ns };
    }
    let rank = judged.expr.column_refs().into_iter().find_map(|column| {
        let index = input.schema.maybe_index_of_column(column).filter(|&i| input.ranked[i])?;
        array_value_to_string(&input.columns[index], row).ok()
    });
    match rank {
        Some(rank) => Why::NotLatest { by: condition, rank: Some(rank) },
        None => Why::Filtered { condition },
    }
}

pub(super) fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}
