//! What of a source's held rows a set of questions can see, so that an execution reads no more than it has to.

use datafusion::arrow::array::{Array, ArrayRef, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::common::HashMap;
use datafusion::error::Result as DfResult;

use crate::cause::held::{Encoded, Held};

/// A question about a source: by when what it sees has arrived, and the first event time that is read for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Look {
    pub time: i64,
    pub start: i64,
}

/// Rows that tell whether most are seen.
const GLANCE: usize = 1024;

/// Which rows have which values in columns that have to equal a label's keys.
#[derive(Debug)]
pub(super) struct ByKey {
    rows: HashMap<Box<[u8]>, Vec<u32>>,
}

/// What questions see.
pub(super) struct Sight<'a> {
    /// What they equal their keys with; none: every row.
    columns: &'a [String],
    /// By key, the questions in the order of their times, each with the first event time that it or a later one reads.
    looks: HashMap<Box<[u8]>, Vec<Look>>,
    margin: i64,
}

impl<'a> Sight<'a> {
    /// `keys`: what the columns have to equal in each question. Rows count as seen where a question could see them if it saw `margin`
    /// further back and ahead.
    ///
    /// # Errors
    /// Keys that can't be compared.
    pub(super) fn new(looks: &[Look], columns: &'a [String], keys: &[ArrayRef], margin: i64) -> DfResult<Self> {
        let encoded = if columns.is_empty() { None } else { Some(Encoded::new(keys)?) };
        let mut by_key: HashMap<Box<[u8]>, Vec<Look>> = HashMap::new();
        for (at, look) in looks.iter().enumerate() {
            let key = encoded.as_ref().map_or(&[][..], |encoded| encoded.rows.row(at).data());
            match by_key.get_mut(key) {
                Some(known) => known.push(*look),
                None => drop(by_key.insert(Box::from(key), vec![*look])),
            }
        }
        for looks in by_key.values_mut() {
            looks.sort_unstable();
            let mut start = i64::MAX;
            for look in looks.iter_mut().rev() {
                start = start.min(look.start);
                look.start = start;
            }
        }
        Ok(Self { columns, looks: by_key, margin })
    }

    fn sees(&self, held: &Held, row: usize, looks: &[Look]) -> bool {
        let event = held.event.value(row);
        let known = event.min(held.arrival.value(row)).saturating_sub(self.margin);
        let first = looks.partition_point(|look| look.time < known);
        looks.get(first).is_some_and(|look| look.start.saturating_sub(self.margin) <= event)
    }

    /// Whether most rows seem to be seen: then it costs more to take the others away.
    ///
    /// # Errors
    /// Columns that can't be compared.
    pub(super) fn sees_most(&self, held: &Held) -> DfResult<bool> {
        let count = held.rows.num_rows();
        let picked: Vec<usize> = (0..count).step_by(count.div_ceil(GLANCE).max(1)).collect();
        let rows = UInt32Array::from_iter_values(picked.iter().map(|row| u32::try_from(*row).unwrap_or(u32::MAX)));
        let columns = held.columns(self.columns);
        let columns: Vec<ArrayRef> = columns.iter().map(|c| Ok(take(c, &rows, None)?)).collect::<DfResult<_>>()?;
        let encoded = if columns.is_empty() { None } else { Some(Encoded::new(&columns)?) };
        let seen = |(at, row): (usize, &usize)| {
            let key = encoded.as_ref().map_or(&[][..], |encoded| encoded.rows.row(at).data());
            let timed = held.event.is_valid(*row) && held.arrival.is_valid(*row);
            timed && self.looks.get(key).is_some_and(|looks| self.sees(held, *row, looks))
        };
        Ok(picked.iter().enumerate().filter(|at| seen(*at)).count() * 2 > picked.len())
    }

    /// The rows that are seen, and what shares an id with one of them.
    ///
    /// # Errors
    /// Only where Arrow can't filter a column, which is a defect.
    pub(super) fn of(&self, held: &Held, rows: &ByKey) -> DfResult<Held> {
        let mut kept = vec![false; held.rows.num_rows()];
        for (key, looks) in &self.looks {
            for row in rows.rows.get(key).into_iter().flatten() {
                kept[*row as usize] = self.sees(held, *row as usize, looks);
            }
        }
        held.kept(kept)
    }
}

impl ByKey {
    /// The rows with both times, by these columns.
    ///
    /// # Errors
    /// Columns that can't be compared.
    pub(super) fn new(held: &Held, columns: &[String]) -> DfResult<Self> {
        let own = if columns.is_empty() { None } else { Some(Encoded::new(&held.columns(columns))?) };
        let mut rows: HashMap<Box<[u8]>, Vec<u32>> = HashMap::new();
        for row in 0..held.rows.num_rows() {
            if held.event.is_null(row) || held.arrival.is_null(row) {
                continue;
            }
            let key = own.as_ref().map_or(&[][..], |own| own.rows.row(row).data());
            let number = u32::try_from(row).unwrap_or(u32::MAX);
            match rows.get_mut(key) {
                Some(known) => known.push(number),
                None => drop(rows.insert(Box::from(key), vec![number])),
            }
        }
        Ok(Self { rows })
    }
}
