//! Which label row stands for the same example as which snapshot row.
//!
//! Keys and time of both sides are brought to common types and encoded as bytes (Arrow's row format), and rows with
//! the same bytes form a group. Expected linear time; memory is the encoded keys of both sides and a few words a row.
//! Groups of more than one row on either side are paired as [`super`] documents, independent of the snapshot's order
//! as far as its rows can be told apart.

use std::collections::HashMap;

use datafusion::arrow::array::{ArrayRef, UInt64Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::row::{RowConverter, Rows as EncodedRows, SortField};

use super::common::common;
use super::{DiffError, DiffInput, FeaturePair};

/// A label row and the snapshot row that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub label: usize,
    pub legacy: usize,
}

#[derive(Debug)]
pub(super) struct Alignment {
    /// In the order of the label rows; each row of either side at most once.
    pub pairs: Vec<Pair>,
    /// Rows beyond the first of their keys and time, of both sides together.
    pub duplicates: u64,
}

/// The rows of one group; `first` and `count` suffice for most.
#[derive(Debug, Clone, Copy, Default)]
struct Members {
    first: usize,
    count: usize,
}

impl Members {
    fn add(&mut self, row: usize) {
        if self.count == 0 {
            self.first = row;
        }
        self.count += 1;
    }
}

pub(super) fn align(input: &DiffInput<'_>) -> Result<Alignment, DiffError> {
    let (labels, legacy) = encoded_keys(input)?;
    let mut groups: HashMap<&[u8], usize> = HashMap::with_capacity(labels.num_rows());
    let mut members: Vec<(Members, Members)> = Vec::with_capacity(labels.num_rows());
    let mut group_of = |bytes| {
        *groups.entry(bytes).or_insert_with(|| {
            members.push(Default::default());
            members.len() - 1
        })
    };
    let label_groups: Vec<usize> = labels.iter().map(|row| group_of(row.data())).collect();
    let legacy_groups: Vec<usize> = legacy.iter().map(|row| group_of(row.data())).collect();
    for (row, group) in label_groups.iter().enumerate() {
        members[*group].0.add(row);
    }
    for (row, group) in legacy_groups.iter().enumerate() {
        members[*group].1.add(row);
    }

    let beyond_first = |side: &Members| side.count.saturating_sub(1) as u64;
    let duplicates = members.iter().map(|(a, b)| beyond_first(a) + beyond_first(b)).sum();
    let mut pairs: Vec<Pair> = members
        .iter()
        .filter(|(a, b)| a.count == 1 && b.count == 1)
        .map(|(a, b)| Pair { label: a.first, legacy: b.first })
        .collect();
    let crowded = |group: &usize| {
        let (a, b) = &members[*group];
        a.count.min(b.count) > 0 && a.count.max(b.count) > 1
    };
    pair_duplicates(&input.features, &label_groups, &legacy_groups, crowded, &mut pairs)?;
    pairs.sort_unstable();
    Ok(Alignment { pairs, duplicates })
}

fn encoded_keys(input: &DiffInput<'_>) -> Result<(EncodedRows, EncodedRows), DiffError> {
    let mut columns: (Vec<ArrayRef>, Vec<ArrayRef>) = Default::default();
    let keys = input.key_names.iter().zip(&input.labels.keys).zip(&input.legacy.keys);
    let keys = keys.map(|((name, label), legacy)| (name.as_str(), label, legacy));
    for (name, label, legacy) in keys.chain([("time", &input.labels.time, &input.legacy.time)]) {
        let Some((label, legacy)) = common(label, legacy)? else {
            return Err(DiffError::KeyTypes {
                snapshot: input.snapshot.to_string(),
                key: name.to_string(),
                labels: label.data_type().clone(),
                legacy: legacy.data_type().clone(),
            });
        };
        columns.0.push(label);
        columns.1.push(legacy);
    }
    Ok(encode(&columns.0, &columns.1)?)
}

/// Columns of two sides, type by type the same, as comparable bytes.
fn encode(a: &[ArrayRef], b: &[ArrayRef]) -> Result<(EncodedRows, EncodedRows), ArrowError> {
    let converter = RowConverter::new(a.iter().map(|column| SortField::new(column.data_type().clone())).collect())?;
    Ok((converter.convert_columns(a)?, converter.convert_columns(b)?))
}

/// Adds the pairs of the groups that `crowded` picks.
fn pair_duplicates(
    features: &[FeaturePair],
    label_groups: &[usize],
    legacy_groups: &[usize],
    crowded: impl Fn(&usize) -> bool,
    pairs: &mut Vec<Pair>,
) -> Result<(), ArrowError> {
    let labels: Vec<usize> = (0..label_groups.len()).filter(|row| crowded(&label_groups[*row])).collect();
    let legacy: Vec<usize> = (0..legacy_groups.len()).filter(|row| crowded(&legacy_groups[*row])).collect();
    if labels.is_empty() {
        return Ok(());
    }
    let values = encoded_features(features, &labels, &legacy)?;
    let label_values = |at: usize| values.as_ref().map_or(&[][..], |(labels, _)| labels.row(at).data());
    let legacy_values = |at: usize| values.as_ref().map_or(&[][..], |(_, legacy)| legacy.row(at).data());

    let mut crowds: HashMap<usize, (Vec<usize>, Vec<usize>)> = HashMap::new();
    for (at, row) in labels.iter().enumerate() {
        crowds.entry(label_groups[*row]).or_default().0.push(at);
    }
    for (at, row) in legacy.iter().enumerate() {
        crowds.entry(legacy_groups[*row]).or_default().1.push(at);
    }
    for (mut ours, mut theirs) in crowds.into_values() {
        ours.sort_by_key(|at| label_values(*at));
        theirs.sort_by_key(|at| legacy_values(*at));
        let matched = pair_crowd(&ours, &theirs, |a, b| label_values(a).cmp(legacy_values(b)));
        pairs.extend(matched.into_iter().map(|(a, b)| Pair { label: labels[a], legacy: legacy[b] }));
    }
    Ok(())
}

/// Two ordered sides: equal ones first, then the rest as they stand.
fn pair_crowd(
    ours: &[usize],
    theirs: &[usize],
    order: impl Fn(usize, usize) -> std::cmp::Ordering,
) -> Vec<(usize, usize)> {
    let mut pairs = Vec::with_capacity(ours.len().min(theirs.len()));
    let mut left: (Vec<usize>, Vec<usize>) = Default::default();
    let (mut a, mut b) = (ours.iter().copied().peekable(), theirs.iter().copied().peekable());
    while let (Some(one), Some(other)) = (a.peek().copied(), b.peek().copied()) {
        let order = order(one, other);
        if order.is_eq() {
            pairs.push((one, other));
        } else if order.is_lt() {
            left.0.push(one);
        } else {
            left.1.push(other);
        }
        if order.is_le() {
            a.next();
        }
        if order.is_ge() {
            b.next();
        }
    }
    left.0.extend(a);
    left.1.extend(b);
    pairs.extend(left.0.into_iter().zip(left.1));
    pairs
}

/// The features of the given rows as bytes; those that have no common form are left out. `None` where none is left.
fn encoded_features(
    features: &[FeaturePair],
    labels: &[usize],
    legacy: &[usize],
) -> Result<Option<(EncodedRows, EncodedRows)>, ArrowError> {
    let picked = |rows: &[usize]| rows.iter().map(|row| *row as u64).collect::<UInt64Array>();
    let (labels, legacy) = (picked(labels), picked(legacy));
    let mut columns: (Vec<ArrayRef>, Vec<ArrayRef>) = Default::default();
    for pair in features {
        let (ours, theirs) = (take(&pair.replayed, &labels, None)?, take(&pair.legacy, &legacy, None)?);
        if let Some((ours, theirs)) = common(&ours, &theirs)? {
            columns.0.push(ours);
            columns.1.push(theirs);
        }
    }
    if columns.0.is_empty() { Ok(None) } else { encode(&columns.0, &columns.1).map(Some) }
}

#[cfg(test)]
#[path = "align_tests.rs"]
mod tests;
