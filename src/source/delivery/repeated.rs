//! Which ids may occur more than once, from their codes.
//!
//! ```text
//! id -> code of 40 bits (small integers: themselves; all else: a hash)
//!       9 bits: the part it goes to    31 bits: what is noted there
//! part by part, on all threads: a bitmap or a small hash table, in a core's cache, finds what was noted twice
//! repeated codes -> a bitmap with 16 slots for each
//! ```
//!
//! Four bytes per row while ids are counted, and next to nothing afterwards. Where that is more than the budget, parts
//! take turns: the ids are read several times.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::error::Result as DfResult;

const CODE_BITS: u32 = 40;
const PART_BITS: u32 = 9;
const PARTS: usize = 1 << PART_BITS;
/// Notes of one part that a thread keeps before it hands them over.
const NOTES: usize = 512;
/// Slots of the bitmap per repeated code: so many of the others pass for repeated.
const SLOTS_PER_CODE: u64 = 16;
const FEWEST_SLOTS: u64 = 1 << 12;

/// Ids that may be repeated.
#[derive(Debug)]
pub(in crate::source) struct Repeats {
    coder: Coder,
    bits: Vec<u64>,
    mask: u64,
    /// How many rows repeat the id of another.
    pub(super) rows: u64,
}

/// From ids to codes. Equal ids have equal codes.
#[derive(Debug)]
struct Coder {
    state: RandomState,
}

/// The codes of a batch, and the rows in which a part of the id is NULL.
struct Codes {
    codes: Vec<u64>,
    nulls: Option<NullBuffer>,
    /// Whether two ids may have one code.
    hashed: bool,
}

impl Coder {
    fn new() -> Self {
        Self { state: RandomState::with_seed(0x6261_636b) }
    }

    fn codes(&self, ids: &[ArrayRef]) -> DfResult<Codes> {
        let nulls = ids.iter().filter_map(Array::logical_nulls).filter(|n| n.null_count() > 0);
        let nulls = nulls.fold(None, |all: Option<NullBuffer>, n| NullBuffer::union(all.as_ref(), Some(&n)));
        if let [id] = ids
            && id.data_type().is_integer()
            && *id.data_type() != DataType::UInt64
        {
            let values = cast(id, &DataType::Int64)?;
            let codes: Vec<u64> =
                values.as_primitive::<Int64Type>().values().iter().map(|v| v.cast_unsigned()).collect();
            if codes.iter().all(|c| c >> CODE_BITS == 0) {
                return Ok(Codes { codes, nulls, hashed: false });
            }
            let codes = codes.into_iter().map(|c| if c >> CODE_BITS == 0 { c } else { mixed(c) >> (64 - CODE_BITS) });
            return Ok(Codes { codes: codes.collect(), nulls, hashed: true });
        }
        let mut codes = vec![0; ids.first().map_or(0, |id| id.len())];
        create_hashes(ids, &self.state, &mut codes)?;
        codes.iter_mut().for_each(|c| *c >>= 64 - CODE_BITS);
        Ok(Codes { codes, nulls, hashed: true })
    }
}

/// Every bit of the result depends on every bit of the value (the finaliser of splitmix64).
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Ids being counted: those of the parts whose turn it is.
#[derive(Debug)]
pub(super) struct Census {
    coder: Coder,
    turn: usize,
    turns: usize,
    parts: Vec<Mutex<Vec<Vec<u32>>>>,
    hashed: AtomicBool,
}

/// One thread's notes.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    census: &'a Census,
    parts: Vec<Vec<u32>>,
}

impl Census {
    /// Turn `turn` of `turns`.
    pub(super) fn new(turn: usize, turns: usize) -> Self {
        let parts = std::iter::repeat_with(Mutex::default).take(PARTS).collect();
        Self { coder: Coder::new(), turn, turns, parts, hashed: AtomicBool::new(false) }
    }

    /// How many turns keep this many rows within `budget` bytes.
    pub(super) fn turns(rows: u64, budget: u64) -> usize {
        usize::try_from(Self::bytes(rows).div_ceil(budget.max(1))).unwrap_or(PARTS).clamp(1, PARTS)
    }

    /// Bytes that so many rows take.
    pub(super) fn bytes(rows: u64) -> u64 {
        rows.saturating_mul(4)
    }

    pub(super) fn notes(&self) -> Notes<'_> {
        Notes { census: self, parts: vec![Vec::new(); PARTS] }
    }

    /// Of these parts, codes that were noted more than once, and how many notes were beyond the first of each. Frees the notes.
    pub(super) fn repeated(&self, parts: Range<usize>) -> (Vec<u64>, u64) {
        let (mut codes, mut seen) = (Vec::new(), Seen::default());
        for part in parts {
            let notes = std::mem::take(&mut *self.parts[part].lock().unwrap_or_else(PoisonError::into_inner));
            seen.begin(&notes);
            let again = notes.iter().flatten().filter(|note| seen.again(**note));
            codes.extend(again.map(|note| u64::from(*note) << PART_BITS | part as u64));
        }
        let beyond = codes.len() as u64;
        (codes, beyond)
    }

    /// The parts as so many ranges, for as many threads.
    pub(super) fn shares(threads: usize) -> impl Iterator<Item = Range<usize>> {
        let share = PARTS.div_ceil(threads.max(1));
        (0..PARTS).step_by(share).map(move |start| start..(start + share).min(PARTS))
    }

    /// Whether some codes are hashes: then two ids may have one.
    pub(super) fn is_hashed(&self) -> bool {
        self.hashed.load(Ordering::Relaxed)
    }
}

/// The notes of one part that were seen. Those of numbers given out one after the other lie close together, and have a bit each.
#[derive(Debug, Default)]
struct Seen {
    dense: bool,
    least: u32,
    bits: Vec<u64>,
    table: Vec<u32>,
}

/// Bits per note, at most.
const DENSE_BITS: usize = 64;

impl Seen {
    /// Forgets all, for these notes to come.
    fn begin(&mut self, notes: &[Vec<u32>]) {
        let count: usize = notes.iter().map(Vec::len).sum();
        let all = || notes.iter().flatten().copied();
        let (least, most) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        let span = (most - least) as usize + 1;
        (self.dense, self.least) = (span / DENSE_BITS <= count, least);
        if self.dense {
            self.bits.clear();
            self.bits.resize(span.div_ceil(64), 0);
        } else {
            // At most half full, so that a search ends.
            self.table.clear();
            self.table.resize((2 * count).next_power_of_two().max(2), NO_NOTE);
        }
    }

    /// Whether a note was there before.
    fn again(&mut self, note: u32) -> bool {
        if self.dense {
            let at = note - self.least;
            let (word, bit) = (&mut self.bits[at as usize / 64], 1 << (at % 64));
            let again = *word & bit != 0;
            *word |= bit;
            return again;
        }
        let slots = self.table.len();
        let mut slot = usize::try_from(mixed(u64::from(note))).unwrap_or(0) & (slots - 1);
        while self.table[slot] != NO_NOTE && self.table[slot] != note {
            slot = (slot + 1) & (slots - 1);
        }
        std::mem::replace(&mut self.table[slot], note) == note
    }
}

/// Notes have 31 bits.
const NO_NOTE: u32 = u32::MAX;

impl Notes<'_> {
    /// Takes in a batch of ids.
    pub(super) fn note(&mut self, ids: &[ArrayRef]) -> DfResult<()> {
        let Codes { codes, nulls, hashed } = self.census.coder.codes(ids)?;
        if hashed {
            self.census.hashed.store(true, Ordering::Relaxed);
        }
        for (row, code) in codes.into_iter().enumerate() {
            let part = usize::try_from(code).unwrap_or(0) & (PARTS - 1);
            let turn = self.census.turns == 1 || part % self.census.turns == self.census.turn;
            if !turn || nulls.as_ref().is_some_and(|n| n.is_null(row)) {
                continue;
            }
            let notes = &mut self.parts[part];
            if notes.capacity() == 0 {
                notes.reserve_exact(NOTES);
            }
            notes.push(u32::try_from(code >> PART_BITS).unwrap_or(0));
            if notes.len() == NOTES {
                self.hand_over(part);
            }
        }
        Ok(())
    }

    fn hand_over(&mut self, part: usize) {
        let notes = std::mem::take(&mut self.parts[part]);
        self.census.parts[part].lock().unwrap_or_else(PoisonError::into_inner).push(notes);
    }

    /// Hands all notes over.
    pub(super) fn end(mut self) {
        for part in (0..PARTS).filter(|&p| self.census.parts.len() > p) {
            if !self.parts[part].is_empty() {
                self.hand_over(part);
            }
        }
    }
}

impl Repeats {
    /// `repeated`: codes of [`Census::repeated`]; `rows`: how many rows repeat an id.
    pub(super) fn new(repeated: &[u64], rows: u64) -> Self {
        let slots = (repeated.len() as u64).saturating_mul(SLOTS_PER_CODE).max(FEWEST_SLOTS).next_power_of_two();
        let mut repeats = Self {
            coder: Coder::new(),
            bits: vec![0; usize::try_from(slots / 64).unwrap_or(usize::MAX)],
            mask: slots - 1,
            rows,
        };
        for &code in repeated {
            let (word, bit) = repeats.slot(code);
            repeats.bits[word] |= bit;
        }
        repeats
    }

    fn slot(&self, code: u64) -> (usize, u64) {
        let slot = mixed(code) & self.mask;
        (usize::try_from(slot / 64).unwrap_or(0), 1 << (slot % 64))
    }

    /// How many rows repeat the id of another.
    pub(in crate::source) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn bytes(&self) -> usize {
        self.bits.len() * 8
    }

    /// By row, whether its id may occur again: never where a part of it is NULL.
    pub(super) fn maybe(&self, ids: &[ArrayRef]) -> DfResult<Vec<bool>> {
        let Codes { codes, nulls, .. } = self.coder.codes(ids)?;
        let repeated = |code: u64| {
            let (word, bit) = self.slot(code);
            self.bits[word] & bit != 0
        };
        Ok(match nulls {
            None => codes.into_iter().map(repeated).collect(),
            Some(nulls) => codes.into_iter().enumerate().map(|(row, c)| nulls.is_valid(row) && repeated(c)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Int64Array, StringArray};

    use super::*;

    fn counted(ids: &[ArrayRef], turns: usize) -> (Repeats, u64) {
        let (mut codes, mut rows) = (Vec::new(), 0);
        for turn in 0..turns {
            let census = Census::new(turn, turns);
            let mut notes = census.notes();
            notes.note(ids).unwrap();
            notes.end();
            for share in Census::shares(3) {
                let (repeated, beyond) = census.repeated(share);
                codes.extend(repeated);
                rows += beyond;
            }
        }
        (Repeats::new(&codes, rows), rows)
    }

    #[test]
    fn no_repeated_id_is_missed_and_few_others_are_taken_for_one() {
        let all = (0..1000).chain([3, 500, 3]).map(Some).chain([None, None]);
        let narrow: ArrayRef = Arc::new(all.clone().collect::<Int64Array>());
        let wide: ArrayRef =
            Arc::new(all.clone().map(|v| v.map(|v: i64| i64::MIN + v * 7_919_000_000_007)).collect::<Int64Array>());
        let text: ArrayRef = Arc::new(all.map(|v| v.map(|v| format!("id {v}"))).collect::<StringArray>());
        for ids in [narrow, wide, text] {
            for turns in [1, 3, 512] {
                let (repeats, rows) = counted(&[Arc::clone(&ids)], turns);
                assert_eq!(rows, 3, "of {:?}", ids.data_type());
                let maybe = repeats.maybe(&[Arc::clone(&ids)]).unwrap();
                assert!(maybe[3] && maybe[500] && maybe[1000] && !maybe[1003] && !maybe[1004]);
                assert!(maybe.iter().filter(|m| **m).count() < 60);
            }
        }
    }

    #[test]
    fn turns_keep_within_the_budget() {
        assert_eq!(Census::turns(1_000, 4_000), 1);
        assert_eq!(Census::turns(1_001, 4_000), 2);
        assert_eq!(Census::turns(u64::MAX, 1), PARTS);
    }
}
