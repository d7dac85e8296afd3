//! Events that are held as rows while they may be asked for: those that come first somewhere, those that calls need.

use std::ops::DerefMut;
use std::sync::{Mutex, PoisonError};

use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::common::HashSet;
use datafusion::error::{DataFusionError, Result as DfResult};

use crate::sweep::arena::{Arena, RowRef};
use crate::sweep::best::{Best, Rank};
use crate::sweep::layout::Kept;
use crate::sweep::order::Order;
use crate::sweep::track::Track;

/// Of several events that an order does not tell apart one is asked for, and they differ: more columns have to be read.
#[derive(Debug, thiserror::Error)]
#[error("events that tie for the first place have different values")]
pub struct TiedFirsts;

impl TiedFirsts {
    /// Whether an error is this one.
    pub fn is(error: &DataFusionError) -> bool {
        matches!(error.find_root(), DataFusionError::External(inner) if inner.is::<Self>())
    }
}

/// So many ties are remembered.
const MOST_TIES: usize = 1 << 20;

/// The rows of one sweep, or of one of its shards.
#[derive(Debug)]
pub(super) struct Rows {
    /// For first values.
    pub firsts: Arena,
    /// For calls.
    pub members: Arena,
    /// Events that came first somewhere, beside others that the order does not tell from them: by order.
    ties: Vec<Mutex<HashSet<RowRef>>>,
}

impl Rows {
    /// `firsts` and `members`: columns of the events; `orders`: how many there are of first values.
    pub(super) fn new(firsts: Vec<usize>, orders: usize, members: Vec<usize>) -> Self {
        let ties = std::iter::repeat_with(Mutex::default).take(orders).collect();
        Self { firsts: Arena::new(firsts, orders), members: Arena::new(members, 0), ties }
    }

    /// No rows, of the same columns; compacted once they take so many bytes.
    pub(super) fn none(&self, limit: usize) -> Self {
        let none = Self::new(self.firsts.columns().to_vec(), self.ties.len(), self.members.columns().to_vec());
        none.firsts.compact_from(limit);
        none
    }

    pub(super) fn bytes(&self) -> usize {
        self.firsts.bytes() + self.members.bytes()
    }

    /// Holds the events at these rows of the batch.
    pub(super) fn keep(&self, batch: &RecordBatch, rows: &[u32], firsts: bool, members: bool) -> DfResult<Kept> {
        let mut kept = Kept::default();
        if !firsts && !members {
            return Ok(kept);
        }
        let part = (rows.len() * 2 < batch.num_rows()).then(|| {
            let mut held = vec![0; batch.num_rows()];
            for (at, row) in (0..).zip(rows) {
                held[*row as usize] = at;
            }
            kept.rows = Some(held);
            UInt32Array::from(rows.to_vec())
        });
        if firsts {
            kept.firsts = self.firsts.put(batch, part.as_ref())?;
        }
        if members {
            kept.members = self.members.put(batch, part.as_ref())?;
        }
        Ok(kept)
    }

    /// Which of two events comes first. Remembers those that the order does not tell apart though they differ.
    pub(super) fn rank<'a>(
        &'a self,
        order: &'a Order,
        number: usize,
    ) -> impl Fn(RowRef, RowRef) -> DfResult<Rank> + 'a {
        move |a, b| {
            let (of_a, of_b) = (self.firsts.get(a.batch), self.firsts.get(b.batch));
            let rank = order.compare((&of_a, a.row), (&of_b, b.row))?;
            if rank == Rank::Tied {
                let mut ties = self.ties[number].lock().unwrap_or_else(PoisonError::into_inner);
                ties.extend([a, b]);
                if ties.len() > MOST_TIES {
                    return Err(DataFusionError::External(Box::new(TiedFirsts)));
                }
            }
            Ok(rank)
        }
    }

    /// The events, where none of them was chosen among others that differ.
    pub(super) fn untied(&self, order: usize, rows: Vec<RowRef>) -> DfResult<Vec<RowRef>> {
        let ties = self.ties[order].lock().unwrap_or_else(PoisonError::into_inner);
        if !ties.is_empty() && rows.iter().any(|row| ties.contains(row)) {
            return Err(DataFusionError::External(Box::new(TiedFirsts)));
        }
        Ok(rows)
    }

    /// Lets go of events that come first nowhere any more. `tracks` are all that refer to them.
    pub(super) fn compact(&self, tracks: &mut [impl DerefMut<Target = Vec<Track>>]) -> DfResult<()> {
        let mut firsts: Vec<&mut Best> = Vec::new();
        for track in tracks.iter_mut().flat_map(|tracks| tracks.iter_mut()) {
            if let Track::Best(best) = track {
                firsts.push(best);
            }
        }
        let mut live = self.firsts.live();
        firsts.iter_mut().flat_map(|b| b.rows()).for_each(|row| live.mark(*row));
        let live = live.ranked();
        self.firsts.keep(&live)?;
        firsts.iter_mut().flat_map(|b| b.rows()).for_each(|row| *row = live.compacted(*row));
        for ties in &self.ties {
            let mut ties = ties.lock().unwrap_or_else(PoisonError::into_inner);
            *ties = ties.iter().filter(|row| live.has(**row)).map(|row| live.compacted(*row)).collect();
        }
        Ok(())
    }

    /// Lets go of all.
    pub(super) fn clear(&self) {
        self.firsts.clear();
        self.members.clear();
    }
}
