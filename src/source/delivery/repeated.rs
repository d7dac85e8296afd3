//! Which ids may occur more than once, from their hashes.

use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::error::Result as DfResult;

/// Slots per expected row: one in about 16 rows falls on a slot that another id took.
const SLOTS_PER_ROW: u64 = 16;
const FEWEST_SLOTS: u64 = 1 << 12;
const MOST_SLOTS: u64 = 1 << 33;

/// Two bits per slot.
#[derive(Debug)]
pub(super) struct Repeated {
    once: Vec<AtomicU64>,
    twice: Vec<AtomicU64>,
    mask: u64,
    state: RandomState,
}

impl Repeated {
    pub(super) fn new(rows: u64) -> Self {
        let slots = Self::slots(rows);
        let words = usize::try_from(slots / 64).unwrap_or(usize::MAX);
        let empty = || std::iter::repeat_with(|| AtomicU64::new(0)).take(words).collect();
        Self { once: empty(), twice: empty(), mask: slots - 1, state: RandomState::with_seed(0x6261_636b) }
    }

    fn slots(rows: u64) -> u64 {
        rows.saturating_mul(SLOTS_PER_ROW).clamp(FEWEST_SLOTS, MOST_SLOTS).next_power_of_two()
    }

    /// Bytes that [`Repeated::new`] takes.
    pub(super) fn size(rows: u64) -> usize {
        usize::try_from(Self::slots(rows) / 4).unwrap_or(usize::MAX)
    }

    /// Takes in a batch of ids.
    pub(super) fn note(&self, ids: &[ArrayRef]) -> DfResult<()> {
        for slot in self.slots_of(ids)?.into_iter().flatten() {
            let (word, bit) = at(slot);
            if self.once[word].fetch_or(bit, Ordering::Relaxed) & bit != 0 {
                self.twice[word].fetch_or(bit, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// By row, whether its id may occur again. To be asked when all ids are noted.
    pub(super) fn maybe(&self, ids: &[ArrayRef]) -> DfResult<Vec<bool>> {
        let repeated = |slot: u64| {
            let (word, bit) = at(slot);
            self.twice[word].load(Ordering::Relaxed) & bit != 0
        };
        Ok(self.slots_of(ids)?.into_iter().map(|slot| slot.is_some_and(repeated)).collect())
    }

    /// By row, the slot of its id; `None` where a part of it is NULL.
    fn slots_of(&self, ids: &[ArrayRef]) -> DfResult<Vec<Option<u64>>> {
        let rows = ids.first().map_or(0, |id| id.len());
        let mut hashes = vec![0; rows];
        create_hashes(ids, &self.state, &mut hashes)?;
        let nulls: Vec<_> = ids.iter().filter_map(Array::logical_nulls).filter(|n| n.null_count() > 0).collect();
        let known = |row: usize| nulls.iter().all(|n| n.is_valid(row));
        Ok(hashes.into_iter().enumerate().map(|(row, hash)| known(row).then_some(hash & self.mask)).collect())
    }
}

fn at(slot: u64) -> (usize, u64) {
    (usize::try_from(slot / 64).unwrap_or(usize::MAX), 1 << (slot % 64))
}
