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
    /// The numbers of the rows with this key.
    pub(super) fn of(&self, key: &[u8]) -> &[u32] {
        self.rows.get(key).map_or(&[], Vec::as_slice)
    }

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;
    use crate::cause::sample::Lots;

    /// Rows with a number, a key of two columns, and two times of which some are NULL.
    fn held(lots: &mut Lots, count: usize) -> Held {
        let number = Int64Array::from_iter_values(0..i64::try_from(count).unwrap());
        let user: Int64Array = (0..count).map(|_| Some(lots.below(4)).filter(|user| *user > 0)).collect();
        let kind: StringArray = (0..count).map(|_| Some(if lots.below(2) == 0 { "a" } else { "b" })).collect();
        let event: Int64Array = (0..count).map(|_| Some(lots.below(100)).filter(|t| *t > 2)).collect();
        let arrival = event.iter().map(|t| Some(t? + lots.below(30) - 5).filter(|t| t % 17 != 0)).collect();
        let columns = [("number", Arc::new(number) as ArrayRef), ("user", Arc::new(user)), ("kind", Arc::new(kind))];
        let pair = u32::try_from(count / 2).unwrap();
        Held::of(RecordBatch::try_from_iter(columns).unwrap(), event, arrival, vec![vec![0, pair]])
    }

    fn numbers(held: &Held) -> Vec<i64> {
        held.rows.column(0).as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn what_is_seen_is_what_plain_loops_find() {
        let mut lots = Lots::new();
        let (mut some, mut most) = (0, 0);
        for round in 0..200 {
            let held = held(&mut lots, 40);
            let columns: Vec<String> =
                ["user", "kind"][..usize::try_from(round % 3).unwrap()].iter().map(ToString::to_string).collect();
            let asked = 1 + usize::try_from(lots.below(6)).unwrap();
            let looks: Vec<Look> = (0..asked)
                .map(|_| {
                    let time = lots.below(130);
                    Look { time, start: if lots.below(5) == 0 { i64::MIN } else { time - lots.below(40) } }
                })
                .collect();
            let user: Int64Array = (0..asked).map(|_| Some(lots.below(4)).filter(|user| *user > 0)).collect();
            let kind: StringArray = (0..asked).map(|_| Some(if lots.below(2) == 0 { "a" } else { "b" })).collect();
            let keys: Vec<ArrayRef> = vec![Arc::new(user.clone()), Arc::new(kind.clone())];
            let keys = &keys[..columns.len()];
            let margin = [0, 7][usize::try_from(round % 2).unwrap()];

            let own = |row: usize, name: &str| held.rows.column_by_name(name).unwrap().slice(row, 1);
            let equal = |row: usize, at: usize| {
                columns.iter().zip(keys).all(|(name, key)| own(row, name).to_data() == key.slice(at, 1).to_data())
            };
            let sees = |row: usize, at: usize| {
                let (event, arrival) = (held.event.value(row), held.arrival.value(row));
                let Look { time, start } = looks[at];
                event.min(arrival) - margin <= time && start.saturating_sub(margin) <= event
            };
            let timed = |row: usize| held.event.is_valid(row) && held.arrival.is_valid(row);
            let mut seen: Vec<bool> =
                (0..40).map(|row| timed(row) && (0..asked).any(|at| equal(row, at) && sees(row, at))).collect();
            let sight = Sight::new(&looks, &columns, keys, margin).unwrap();
            let count = seen.iter().filter(|seen| **seen).count();
            assert_eq!(sight.sees_most(&held).unwrap(), count * 2 > 40, "round {round}");
            // Either row of a pair brings the other.
            let pair = seen[0] || seen[20];
            (seen[0], seen[20]) = (pair, pair);
            let expected: Vec<i64> = (0..40).filter(|row| seen[usize::try_from(*row).unwrap()]).collect();
            let found = sight.of(&held, &ByKey::new(&held, &columns).unwrap()).unwrap();
            assert_eq!(numbers(&found), expected, "round {round}");
            some += usize::from(!expected.is_empty() && expected.len() < 40);
            most += usize::from(count * 2 > 40);
        }
        assert!(some > 100 && most > 10, "{some}, {most}");
    }
}
