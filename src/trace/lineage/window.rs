//! Window functions: a row with more columns.
//!
//! A rank says which row is chosen, and the row it chooses is what counts; where that gives another value alone, as of a second row, with
//! those that are ranked before it. Of other functions is known only which rows they
//! may read: those of the partition, and that is what is told.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, UInt64Type};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Window};

use super::relation::{Lineage, Rel, row_column};
use super::rows::unaliased;
use super::{Ranks, Stop, Walk, Walked};
use crate::source::orderable;

const RANKS: [&str; 3] = ["row_number", "rank", "dense_rank"];
/// Rows that are ranked later come from the whole partition, or from themselves.
const MOST_BEFORE: u64 = 1000;

impl Walk<'_> {
    pub(super) async fn window(&mut self, window: &Window, input: &Rel) -> Walked {
        let node = LogicalPlan::Window(window.clone());
        let ran = self.run(node.with_new_exprs(node.expressions(), vec![input.plan("in")?])?).await?;
        let columns = ran.columns_of(&window.schema)?;
        let positions: Vec<usize> = ran.positions(&row_column("in"))?.into_iter().flatten().collect();
        if positions.len() != input.rows() {
            return Err(Stop::NoRule("a window function that changes the number of rows".to_string()));
        }
        let mut lineage: Vec<Lineage> = positions.iter().map(|&row| input.lineage[row].clone()).collect();
        let mut ranked = input.ranked.clone();
        for (number, expr) in window.window_expr.iter().enumerate() {
            let Expr::WindowFunction(call) = unaliased(expr) else {
                return Err(Stop::NoRule(format!("`{expr}`")));
            };
            let name = call.fun.name();
            let is_rank = RANKS.contains(&name);
            ranked.push(is_rank);
            let ranks = match (is_rank, self.ranks) {
                (true, Ranks::Chosen) => continue,
                (true, Ranks::Before) => columns.get(input.columns.len() + number).cloned(),
                _ => None,
            };
            if !is_rank {
                let told = if self.words.has(name) { format!("`{name}`") } else { "a window function".to_string() };
                self.notes.insert(format!(
                    "{told} reads other rows of its partition: which of them its value comes from is not told, so all count"
                ));
            } else if ranks.is_none() {
                self.notes.insert(format!("`{name}` ranks rows of a partition: all that it was held against count"));
            }
            self.with_partitions(call, input, &positions, ranks.as_ref(), &mut lineage).await?;
        }
        Ok(Rel { schema: Arc::clone(&window.schema), columns, lineage, ranked, scans: input.scans.clone() })
    }

    /// Adds the events of each row's whole partition, or of those in it that are ranked no later.
    async fn with_partitions(
        &self,
        call: &WindowFunction,
        input: &Rel,
        positions: &[usize],
        ranks: Option<&ArrayRef>,
        lineage: &mut [Lineage],
    ) -> Walked<()> {
        let exprs = call.params.partition_by.iter().enumerate().map(|(i, e)| e.clone().alias(format!("__part{i}")));
        let exprs: Vec<Expr> = exprs.chain([Expr::Column(row_column("in"))]).collect();
        let count = exprs.len() - 1;
        let ran = self.run(LogicalPlanBuilder::from(input.plan("in")?).project(exprs)?.build()?).await?;
        let keys = ran.columns[..count].iter().map(orderable).collect::<Result<Vec<ArrayRef>, _>>()?;
        let mut members: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        let mut key_of: Vec<Vec<u8>> = vec![Vec::new(); input.rows()];
        if count > 0 {
            let fields = keys.iter().map(|k| SortField::new(k.data_type().clone())).collect();
            let rows = RowConverter::new(fields)?.convert_columns(&keys)?;
            (0..input.rows()).for_each(|row| key_of[row] = rows.row(row).data().to_vec());
        }
        for (row, key) in key_of.iter().enumerate() {
            members.entry(key.clone()).or_default().push(row);
        }
        let Some(ranks) = ranks else {
            let unions: HashMap<&Vec<u8>, Lineage> = members
                .iter()
                .map(|(key, rows)| (key, Lineage::union(rows.iter().map(|&row| &input.lineage[row]))))
                .collect();
            for (own, &row) in lineage.iter_mut().zip(positions) {
                if let Some(all) = unions.get(&key_of[row]) {
                    *own = Lineage::union([own.clone(), all.clone()].iter());
                }
            }
            return Ok(());
        };
        let ranks = cast(ranks, &DataType::UInt64)?;
        let ranks = ranks.as_primitive::<UInt64Type>();
        // By input row.
        let rank_of: HashMap<usize, u64> =
            positions.iter().enumerate().map(|(at, &row)| (row, ranks.value(at))).collect();
        for (own, &row) in lineage.iter_mut().zip(positions) {
            // What is chosen by its rank is chosen among the first.
            let Some(rank) = rank_of.get(&row).copied().filter(|rank| *rank <= MOST_BEFORE) else { continue };
            let Some(partition) = members.get(&key_of[row]) else { continue };
            let before = partition.iter().filter(|other| rank_of.get(other).is_some_and(|other| *other <= rank));
            let before: Vec<&Lineage> = before.map(|&other| &input.lineage[other]).collect();
            *own = Lineage::union(std::iter::once(&own.clone()).chain(before));
        }
        Ok(())
    }
}
