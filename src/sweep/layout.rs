//! An event while it waits for its shard: a few 64-bit words in a row.
//!
//! ```text
//! word 0: the key's number (32 bits), flags (32 bits)     word 1, 2, …: more flags, one value per column that the sweep needs
//! flags: this column is not NULL, this filter holds
//! ```
//!
//! Values are kept as they are: integers and times as `i64`, floats as their bits, decimals as two words, texts as numbers. Events that are kept as
//! rows (see [`super::arena`]) have the start of their sort key and a reference.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, SchemaRef, UInt64Type};
use datafusion::common::exec_err;
use datafusion::error::Result as DfResult;

use crate::sweep::arena::RowRef;
use crate::sweep::interner::Interner;

/// Which word holds what.
#[derive(Debug)]
pub(super) struct Layout {
    words: usize,
    flags: Vec<Flag>,
    values: Vec<Value>,
    /// By order: the word of the start of the sort key.
    prefixes: Vec<usize>,
    /// The word of the number of the finer group.
    finer: Option<usize>,
    firsts: Option<usize>,
    members: Option<usize>,
}

/// Something that is so of an event, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    /// The column is not NULL.
    Valid(usize),
    /// The boolean column is true.
    Holds(usize),
}

/// A column's values.
#[derive(Debug)]
struct Value {
    column: usize,
    word: usize,
    encoding: Encoding,
    /// Of texts.
    interner: Interner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Integer,
    Unsigned,
    Decimal,
    Float,
    /// The number of a text.
    Text,
}

impl Encoding {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::UInt64 => Self::Unsigned,
            DataType::Decimal128(_, _) => Self::Decimal,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Float,
            text if Interner::takes(text) => Self::Text,
            _ => Self::Integer,
        }
    }
}

/// Flags that word 0 has room for.
const FIRST_FLAGS: usize = 32;

impl Layout {
    /// `columns`: whose values are needed; `orders`: how many sort keys; `finer`: whether there are finer groups; the rest: whether rows
    /// are kept.
    pub(super) fn new(
        events: &SchemaRef,
        columns: &[usize],
        flags: Vec<Flag>,
        orders: usize,
        finer: bool,
        firsts: bool,
        members: bool,
    ) -> Self {
        let mut words = 1 + flags.len().saturating_sub(FIRST_FLAGS).div_ceil(64);
        let mut next = |count: usize| {
            words += count;
            words - count
        };
        let values = columns.iter().map(|&column| {
            let encoding = Encoding::of(events.field(column).data_type());
            let word = next(if encoding == Encoding::Decimal { 2 } else { 1 });
            Value { column, word, encoding, interner: Interner::default() }
        });
        let values = values.collect();
        let prefixes = (0..orders).map(|_| next(1)).collect();
        let finer = finer.then(|| next(1));
        let firsts = firsts.then(|| next(1));
        let members = members.then(|| next(1));
        Self { words, flags, values, prefixes, finer, firsts, members }
    }

    /// Bytes held of texts.
    pub(super) fn extra_size(&self) -> usize {
        self.values.iter().map(|v| v.interner.size()).sum()
    }

    /// Words of one event.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// The word of a column's value, and how it is kept there.
    pub(super) fn value(&self, column: usize) -> (usize, Encoding) {
        let value =
            self.values.iter().find(|v| v.column == column).expect("a layout has the columns that are asked for");
        (value.word, value.encoding)
    }

    /// Where a flag is: word and bit.
    pub(super) fn flag(&self, flag: Flag) -> (usize, u32) {
        let at = self.flags.iter().position(|f| *f == flag).expect("a layout has the flags that are asked for");
        Self::flag_at(at)
    }

    fn flag_at(at: usize) -> (usize, u32) {
        let bit = |n: usize| u32::try_from(n).unwrap_or(0);
        match at.checked_sub(FIRST_FLAGS) {
            None => (0, bit(32 + at)),
            Some(at) => (1 + at / 64, bit(at % 64)),
        }
    }

    pub(super) fn prefix(&self, order: usize) -> usize {
        self.prefixes[order]
    }

    pub(super) fn finer(&self) -> usize {
        self.finer.unwrap_or_default()
    }

    pub(super) fn firsts(&self) -> usize {
        self.firsts.unwrap_or_default()
    }

    pub(super) fn members(&self) -> usize {
        self.members.unwrap_or_default()
    }

    /// The rows that a word of each event refers to. From then on it says which of these is the event's.
    pub(super) fn take_rows(&self, words: &mut [u64], word: usize) -> Vec<RowRef> {
        let events = words.chunks_exact_mut(self.words).enumerate();
        events.map(|(event, words)| RowRef::of(std::mem::replace(&mut words[word], event as u64))).collect()
    }

    /// Undoes [`Layout::take_rows`], for rows that are now a batch of this number.
    pub(super) fn number_rows(&self, words: &mut [u64], word: usize, batch: u32) {
        words.chunks_exact_mut(self.words).for_each(|event| event[word] |= u64::from(batch) << 32);
    }

    /// A batch whose events are to be written as words. `groups`, `prefixes` (by order), `finer` (numbers of groups) and the numbers of kept
    /// rows are by row of the batch.
    ///
    /// # Errors
    /// Types that the layout was not made for, which is a defect.
    pub(super) fn pages<'a>(
        &self,
        batch: &RecordBatch,
        groups: &'a [u32],
        prefixes: Vec<Vec<i64>>,
        finer: Option<Vec<u64>>,
        kept: &'a Kept,
    ) -> DfResult<Pages<'a>> {
        let mut pages = Pages {
            width: self.words,
            groups,
            always: vec![0; 1 + self.flags.len().saturating_sub(FIRST_FLAGS).div_ceil(64)],
            flags: Vec::new(),
            values: Vec::with_capacity(self.values.len() + prefixes.len()),
            decimals: Vec::new(),
            held: Vec::new(),
            kept,
        };
        for (at, flag) in self.flags.iter().enumerate() {
            let (word, bit) = Self::flag_at(at);
            let set = match *flag {
                Flag::Valid(column) => batch.column(column).logical_nulls().map(NullBuffer::into_inner),
                Flag::Holds(column) => {
                    let column = batch.column(column);
                    let Some(filter) = column.as_boolean_opt() else {
                        return exec_err!("a filter that is {}", column.data_type());
                    };
                    Some(filter.nulls().map_or_else(|| filter.values().clone(), |n| filter.values() & n.inner()))
                }
            };
            match set {
                Some(set) => pages.flags.push((word, bit, set)),
                None => pages.always[word] |= 1 << bit,
            }
        }
        for Value { column, word, encoding, interner } in &self.values {
            let array = batch.column(*column);
            let values = match encoding {
                Encoding::Text => ScalarBuffer::from(interner.numbers(array)?).into_inner(),
                Encoding::Integer => {
                    cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().inner().clone()
                }
                Encoding::Unsigned => array.as_primitive::<UInt64Type>().values().inner().clone(),
                Encoding::Float => {
                    cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().values().inner().clone()
                }
                Encoding::Decimal => {
                    pages.decimals.push((*word, array.as_primitive::<Decimal128Type>().values().clone()));
                    continue;
                }
            };
            pages.values.push((*word, ScalarBuffer::new(values, 0, array.len())));
        }
        for (word, prefixes) in self.prefixes.iter().zip(prefixes) {
            let rows = prefixes.len();
            pages.values.push((*word, ScalarBuffer::new(ScalarBuffer::from(prefixes).into_inner(), 0, rows)));
        }
        if let (Some(word), Some(finer)) = (self.finer, finer) {
            pages.values.push((word, ScalarBuffer::from(finer)));
        }
        pages.held.extend(self.firsts.map(|word| (word, kept.firsts)));
        pages.held.extend(self.members.map(|word| (word, kept.members)));
        Ok(pages)
    }
}

/// A batch whose columns are at hand as they are to be written.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    width: usize,
    groups: &'a [u32],
    /// By word, flags that all events have.
    always: Vec<u64>,
    flags: Vec<(usize, u32, BooleanBuffer)>,
    /// 64-bit values of any type, as their bits.
    values: Vec<(usize, ScalarBuffer<u64>)>,
    decimals: Vec<(usize, ScalarBuffer<i128>)>,
    /// Words that refer to kept rows, and the number of their batch.
    held: Vec<(usize, u32)>,
    kept: &'a Kept,
}

impl Pages<'_> {
    /// Writes the events at these rows, in that order, behind what is there.
    pub(super) fn write(&self, rows: &[u32], words: &mut Vec<u64>) {
        let start = words.len();
        words.resize(start + rows.len() * self.width, 0);
        let mut out = Out { words: &mut words[start..], width: self.width, rows };
        out.put(0, |row| u64::from(self.groups[row]) | self.always[0]);
        for (word, always) in self.always.iter().enumerate().skip(1) {
            out.put(word, |_| *always);
        }
        for (word, bit, set) in &self.flags {
            out.set(*word, *bit, set);
        }
        for (word, values) in &self.values {
            out.put(*word, |row| values[row]);
        }
        for (word, values) in &self.decimals {
            #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
            out.put(*word, |row| values[row] as u64);
            out.put(*word + 1, |row| (values[row] >> 64) as u64);
        }
        for (word, batch) in &self.held {
            out.put(*word, |row| self.kept.of(*batch, row));
        }
    }
}

/// Events being written, one column after another.
struct Out<'a> {
    words: &'a mut [u64],
    width: usize,
    rows: &'a [u32],
}

impl Out<'_> {
    fn put(&mut self, word: usize, value: impl Fn(usize) -> u64) {
        for (event, &row) in self.words.chunks_exact_mut(self.width).zip(self.rows) {
            event[word] = value(row as usize);
        }
    }

    fn set(&mut self, word: usize, bit: u32, set: &BooleanBuffer) {
        for (event, &row) in self.words.chunks_exact_mut(self.width).zip(self.rows) {
            event[word] |= u64::from(set.value(row as usize)) << bit;
        }
    }
}

/// Where a batch's events are held.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub firsts: u32,
    pub members: u32,
    /// By row of the batch, the row that is held; `None`: the same.
    pub rows: Option<Vec<u32>>,
}

impl Kept {
    fn of(&self, batch: u32, row: usize) -> u64 {
        let row = self.rows.as_ref().map_or_else(|| u32::try_from(row).unwrap_or(u32::MAX), |rows| rows[row]);
        u64::from(batch) << 32 | u64::from(row)
    }
}

/// Events in words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Events<'a> {
    words: &'a [u64],
    width: usize,
}

impl<'a> Events<'a> {
    pub(super) fn new(words: &'a [u64], layout: &Layout) -> Self {
        Self { words, width: layout.words }
    }

    pub(super) fn len(self) -> usize {
        self.words.len() / self.width
    }

    /// So many events from this one on.
    pub(super) fn part(self, start: usize, count: usize) -> Self {
        let end = (start + count).min(self.len());
        Self { words: &self.words[start * self.width..end * self.width], width: self.width }
    }

    /// An event's own.
    pub(super) fn words(self, event: u32) -> &'a [u64] {
        let start = event as usize * self.width;
        &self.words[start..start + self.width]
    }

    pub(super) fn word(self, event: u32, word: usize) -> u64 {
        self.words[event as usize * self.width + word]
    }

    pub(super) fn group(self, event: usize) -> u32 {
        u32::try_from(self.words[event * self.width] & u64::from(u32::MAX)).unwrap_or(0)
    }

    pub(super) fn integer(self, event: u32, word: usize) -> i64 {
        self.word(event, word).cast_signed()
    }

    pub(super) fn float(self, event: u32, word: usize) -> f64 {
        f64::from_bits(self.word(event, word))
    }

    pub(super) fn decimal(self, event: u32, word: usize) -> i128 {
        i128::from(self.integer(event, word + 1)) << 64 | i128::from(self.word(event, word))
    }

    pub(super) fn holds(self, event: u32, (word, bit): (usize, u32)) -> bool {
        self.word(event, word) >> bit & 1 == 1
    }

    pub(super) fn row(self, event: u32, word: usize) -> RowRef {
        RowRef::of(self.word(event, word))
    }
}
