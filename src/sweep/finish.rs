//! The rows of a shard's observers, once all events are there.

use std::sync::{Arc, PoisonError};

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{cast, take};
use datafusion::common::{HashMap, exec_datafusion_err};
use datafusion::error::Result as DfResult;

use crate::sweep::arena::RowRef;
use crate::sweep::finer::Finer;
use crate::sweep::members::CompiledCall;
use crate::sweep::quantities::{Kind, Quantity};
use crate::sweep::rows::Rows;
use crate::sweep::shelf::Shelving;
use crate::sweep::spec::Function;
use crate::sweep::sweeper::Sweeper;
use crate::sweep::totals::{Totals, result};
use crate::sweep::track::Track;

/// Asks for memory: so many bytes in all. Fails where there is not so much.
pub type Reserve<'a> = &'a mut dyn FnMut(usize) -> DfResult<()>;

impl Sweeper {
    /// The rows of one shard's observers: observer, groups, finer groups, aggregates. Frees its cells. After [`Sweeper::seal`].
    ///
    /// `reserve` is asked for what a shard takes whose events are on the shelf, and for the rows of finer groups. Where it refuses, nothing is lost: the shard can be
    /// finished later.
    ///
    /// # Errors
    /// An integer sum that does not fit its type, too little memory, or what the shelf refuses.
    pub fn finish(&self, shard: usize, reserve: Reserve<'_>) -> DfResult<RecordBatch> {
        match &self.shelving {
            Some(shelving) if !self.is_live(shard) => {
                let rows = self.rows.none(shelving.room);
                let done = self
                    .add_shelved(shelving, shard, &rows, reserve)
                    .and_then(|()| self.rows_of(shard, &rows, reserve));
                self.shards[shard].tracks.lock().unwrap_or_else(PoisonError::into_inner).clear();
                done
            }
            _ => {
                self.add_waiting(shard)?;
                self.rows_of(shard, &self.rows, reserve)
            }
        }
    }

    /// Makes a shard's cells of what is on the shelf.
    fn add_shelved(&self, shelving: &Shelving, shard: usize, rows: &Rows, reserve: Reserve<'_>) -> DfResult<()> {
        let cells = self.cell_bytes(shard);
        reserve(cells)?;
        let chunks = self.shards[shard].shelved.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for chunk in chunks {
            let words = self.take_down(shelving, chunk, rows)?;
            self.add_all(shard, &words, rows)?;
            if rows.firsts.wants_compaction() {
                rows.compact(&mut [self.tracks(shard)])?;
            }
            let extra: usize = self.tracks(shard).iter().map(Track::extra_size).sum();
            reserve(cells + extra + rows.bytes() + 8 * words.len())?;
        }
        Ok(())
    }

    fn rows_of(&self, shard: usize, rows: &Rows, reserve: Reserve<'_>) -> DfResult<RecordBatch> {
        let (start, end) = (self.positions.shards[shard], self.positions.shards[shard + 1]);
        if let Some(finer) = &self.finer {
            return self.groups_of(shard, finer, reserve);
        }
        let tracks = std::mem::take(&mut *self.tracks(shard));
        let keys = self.positions.ranges.partition_point(|r| r.end <= start)..;
        let keys: Vec<(u32, u32)> = self.positions.ranges[keys]
            .iter()
            .take_while(|r| r.start < end)
            .map(|r| (r.start.max(start) - start, r.end.min(end) - start))
            .collect();
        let (mut totals, mut firsts, mut members) = (Vec::new(), HashMap::new(), HashMap::new());
        for (q, track) in tracks.into_iter().enumerate() {
            totals.push(match (track, self.quantities[q].kind) {
                (Track::Best(best), Kind::First(order)) => {
                    let found = best.finish(&keys, &rows.rank(&self.orders[order], order))?;
                    firsts.insert(q, rows.untied(order, found)?);
                    Totals::Events
                }
                (Track::Members(all), _) => {
                    members.insert(q, all);
                    Totals::Events
                }
                (other, _) => Totals::new(other, &keys),
            });
        }
        if let Some((whole, piece)) = self.whole_pieces(shard) {
            totals.iter_mut().zip(whole).for_each(|(own, whole)| own.include(whole, piece));
        }
        let own = self.quantities.iter().position(|q| *q == Quantity { kind: Kind::Count, window: 0, argument: None });
        let own = own.map(|q| &totals[q]);
        let there = |p: usize| self.spec.keeps_empty || own.is_some_and(|t| t.count(p) > 0);
        let kept: Vec<usize> = (0..(end - start) as usize).filter(|&p| there(p)).collect();
        let picks: UInt32Array = kept.iter().map(|&p| self.positions.rows[start as usize + p]).collect();
        let mut columns = self.of_spine(&picks)?;
        let mut called: HashMap<usize, ArrayRef> = HashMap::new();
        for (q, all) in &members {
            let theirs: Vec<usize> = (0..self.plans.len()).filter(|&a| self.plans[a].value == *q).collect();
            let calls: Vec<&CompiledCall> = theirs.iter().filter_map(|&a| self.calls[a].as_ref()).collect();
            let values = all.values(&keys, &kept, &rows.members, &calls, self.threads)?;
            called.extend(theirs.into_iter().zip(values));
        }
        for (a, (aggregate, plan)) in self.spec.aggregates.iter().zip(&self.plans).enumerate() {
            let data_type = self.output.field(columns.len()).data_type();
            let array = match (&aggregate.function, &aggregate.argument, firsts.get(&plan.value), called.remove(&a)) {
                (Function::First { .. }, Some(argument), Some(found), _) => {
                    let held = rows.firsts.position(self.events.index_of(argument)?);
                    let found: Vec<RowRef> = kept.iter().map(|&p| found[p]).collect();
                    rows.firsts.gather(held, self.events.field_with_name(argument)?.data_type(), &found)?
                }
                (_, _, _, Some(values)) => values,
                _ => result(aggregate, &totals[plan.count], &totals[plan.value], &kept, data_type)?,
            };
            columns.push(if array.data_type() == data_type { array } else { cast(&array, data_type)? });
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.output), columns)?)
    }

    /// The rows of one shard's observers and the finer groups that they see.
    fn groups_of(&self, shard: usize, finer: &Finer, reserve: Reserve<'_>) -> DfResult<RecordBatch> {
        let start = self.positions.shards[shard];
        let mut tracks = self.tracks(shard);
        let rows: usize = tracks.iter_mut().map(|t| if let Track::Distinct(seen) = t { seen.rows() } else { 0 }).sum();
        let width: usize = self.output.fields().iter().map(|f| f.data_type().primitive_width().unwrap_or(16)).sum();
        drop(tracks);
        reserve(rows * (width + 2 * size_of::<u32>()))?;
        let tracks = std::mem::take(&mut *self.tracks(shard));
        let (mut picks, mut numbers) = (Vec::new(), Vec::new());
        for track in tracks {
            let Track::Distinct(seen) = track else { continue };
            for (number, from, to) in seen.intervals() {
                let number = u32::try_from(number).map_err(|_| exec_datafusion_err!("group {number} is none"))?;
                picks.extend((from..to).map(|p| self.positions.rows[(start + p) as usize]));
                numbers.resize(picks.len(), number);
            }
        }
        let mut columns = self.of_spine(&UInt32Array::from(picks))?;
        for values in finer.take(&UInt32Array::from(numbers))? {
            let data_type = self.output.field(columns.len()).data_type();
            columns.push(if values.data_type() == data_type { values } else { cast(&values, data_type)? });
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.output), columns)?)
    }

    /// The observer and the groups, of these rows of the spine.
    fn of_spine(&self, rows: &UInt32Array) -> DfResult<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.output.fields().len());
        for name in std::iter::once(&self.spec.observer).chain(&self.spec.groups) {
            let column = self.spine.column_by_name(name);
            let column = column.ok_or_else(|| exec_datafusion_err!("the spine has no column `{name}`"))?;
            columns.push(cast(&take(column, rows, None)?, self.output.field(columns.len()).data_type())?);
        }
        Ok(columns)
    }

    /// What counts in a piece of a cut key as a whole, and the piece's number.
    fn whole_pieces(&self, shard: usize) -> Option<(&[Totals], usize)> {
        let number = u32::try_from(shard).ok()?;
        let cut = self.positions.cuts.iter().position(|cut| cut.shards().contains(&number))?;
        let first = self.positions.cuts[cut].shards().start;
        Some((self.cut_totals[cut].get()?, (number - first) as usize))
    }
}
