//! From the cells of a shard to values: prefix sums over each key's positions, then each aggregate's result.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, i256};
use datafusion::common::{HashMap, exec_err};
use datafusion::error::{DataFusionError, Result as DfResult};

use crate::error::DataFault;
use crate::exact::{Cell, FloatCell, Scale, float_of_order, ratio};
use crate::sweep::spec::{Function, SweepAggregate};
use crate::sweep::track::Track;

/// One quantity at every position of a shard.
#[derive(Debug)]
pub(super) enum Totals {
    Counts(Vec<i64>),
    Integers(Vec<i128>),
    Wide(Vec<i256>),
    Floats {
        scale: Scale,
        units: Vec<i128>,
        others: HashMap<u32, FloatCell>,
    },
    Extremes {
        best: Vec<i64>,
        largest: bool,
    },
    /// Made elsewhere, of the events themselves.
    Events,
}

impl Totals {
    /// `keys`: the ranges of positions, in order; they meet, and end with the last position.
    pub(super) fn new(track: Track, keys: &[(u32, u32)]) -> Self {
        match track {
            Track::Count(mut cells) => {
                prefix_sums(&mut cells, keys, |a, b| a + b);
                Self::Counts(cells)
            }
            Track::Distinct(distinct) => {
                let mut cells = distinct.finish(keys.last().map_or(0, |key| key.1 as usize), keys);
                prefix_sums(&mut cells, keys, |a, b| a + b);
                Self::Counts(cells)
            }
            Track::Integers(mut cells) => {
                prefix_sums(&mut cells, keys, |a, b| a + b);
                Self::Integers(cells)
            }
            Track::Wide(mut cells) => {
                prefix_sums(&mut cells, keys, i256::wrapping_add);
                Self::Wide(cells)
            }
            Track::Floats { scale, mut units, others } => {
                prefix_sums(&mut units, keys, i128::wrapping_add);
                Self::Floats { scale, units, others: running(&others, keys) }
            }
            Track::Extremes(extremes) => {
                let found = keys.iter().flat_map(|&key| (key.0..key.1).map(move |p| (key, p)));
                let best = found.map(|(key, position)| extremes.at(key, position)).collect();
                Self::Extremes { best, largest: extremes.largest() }
            }
            Track::Best(_) | Track::Members(_) => Self::Events,
        }
    }

    /// Adds, at every position, what counts at all of them: cell `at` of `whole`.
    pub(super) fn include(&mut self, whole: &Self, at: usize) {
        match (self, whole) {
            (Self::Counts(cells), Self::Counts(whole)) => cells.iter_mut().for_each(|c| *c += whole[at]),
            (Self::Integers(cells), Self::Integers(whole)) => cells.iter_mut().for_each(|c| *c += whole[at]),
            (Self::Wide(cells), Self::Wide(whole)) => cells.iter_mut().for_each(|c| *c = c.wrapping_add(whole[at])),
            (Self::Floats { units, others, .. }, Self::Floats { units: whole, others: rest, .. }) => {
                units.iter_mut().for_each(|c| *c = c.wrapping_add(whole[at]));
                if let Some(rest) = u32::try_from(at).ok().and_then(|at| rest.get(&at)) {
                    let positions = u32::try_from(units.len()).unwrap_or(u32::MAX);
                    (0..positions).for_each(|p| others.entry(p).or_default().merge(rest));
                }
            }
            (Self::Extremes { best, largest }, Self::Extremes { best: whole, .. }) => {
                let better = |c: &mut i64| *c = if *largest { whole[at].max(*c) } else { whole[at].min(*c) };
                best.iter_mut().for_each(better);
            }
            _ => {}
        }
    }

    /// The count at a position; 0 for what counts nothing.
    pub(super) fn count(&self, position: usize) -> i64 {
        match self {
            Self::Counts(counts) => counts[position],
            _ => 0,
        }
    }
}

fn prefix_sums<T: Copy>(cells: &mut [T], keys: &[(u32, u32)], add: impl Fn(T, T) -> T) {
    for &(start, end) in keys {
        for position in start as usize + 1..end as usize {
            cells[position] = add(cells[position - 1], cells[position]);
        }
    }
}

/// The sum of the differences up to each position, where there are any.
fn running(differences: &HashMap<u32, FloatCell>, keys: &[(u32, u32)]) -> HashMap<u32, FloatCell> {
    let mut sums = HashMap::default();
    if differences.is_empty() {
        return sums;
    }
    for &(start, end) in keys {
        let mut sum: Option<FloatCell> = None;
        for position in start..end {
            if let Some(difference) = differences.get(&position) {
                sum.get_or_insert_default().merge(difference);
            }
            if let Some(sum) = &sum {
                sums.insert(position, sum.clone());
            }
        }
    }
    sums
}

/// The aggregate at the positions `kept`: NULL (or 0, for a count) where no value counts.
pub(super) fn result(
    aggregate: &SweepAggregate,
    counts: &Totals,
    values: &Totals,
    kept: &[usize],
    data_type: &DataType,
) -> DfResult<ArrayRef> {
    let there = |p: usize| counts.count(p) > 0;
    let overflow = || DataFusionError::from(DataFault(format!("`{}` overflows {data_type}", aggregate.name)));
    let average = aggregate.function == Function::Average;
    let array: ArrayRef = match values {
        Totals::Counts(counts) => Arc::new(Int64Array::from_iter_values(kept.iter().map(|&p| counts[p]))),
        Totals::Integers(sums) if average => {
            Arc::new(kept.iter().map(|&p| there(p).then(|| ratio(sums[p], counts.count(p)))).collect::<Float64Array>())
        }
        Totals::Integers(sums) => match data_type {
            DataType::Int64 => {
                let fits = |p: usize| i64::try_from(sums[p]).map_err(|_| overflow());
                let sums = kept.iter().map(|&p| there(p).then(|| fits(p)).transpose());
                Arc::new(sums.collect::<DfResult<Int64Array>>()?)
            }
            DataType::UInt64 => {
                let fits = |p: usize| u64::try_from(sums[p]).map_err(|_| overflow());
                let sums = kept.iter().map(|&p| there(p).then(|| fits(p)).transpose());
                Arc::new(sums.collect::<DfResult<UInt64Array>>()?)
            }
            &DataType::Decimal128(precision, _) => {
                let limit = 10_i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);
                let fits = |p: usize| Some(sums[p]).filter(|v| -limit < *v && *v < limit).ok_or_else(overflow);
                decimals(kept.iter().map(|&p| there(p).then(|| fits(p)).transpose()), data_type)?
            }
            other => return exec_err!("a sum of integers as {other}"),
        },
        Totals::Wide(sums) => {
            let DataType::Decimal128(precision, _) = data_type else {
                return exec_err!("a sum of decimals as {data_type}");
            };
            let limit = 10_i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX);
            let fits = |p: usize| sums[p].to_i128().filter(|v| -limit < *v && *v < limit).ok_or_else(overflow);
            decimals(kept.iter().map(|&p| there(p).then(|| fits(p)).transpose()), data_type)?
        }
        Totals::Events => return exec_err!("`{}` is no number of its events", aggregate.name),
        Totals::Floats { scale, units, others } => {
            let value = |p: usize| {
                let other = u32::try_from(p).ok().and_then(|p| others.get(&p));
                match average {
                    true => scale.mean(units[p], other, counts.count(p)),
                    false => scale.total(units[p], other),
                }
            };
            Arc::new(kept.iter().map(|&p| there(p).then(|| value(p))).collect::<Float64Array>())
        }
        Totals::Extremes { best, .. } if data_type.is_floating() => {
            Arc::new(kept.iter().map(|&p| there(p).then(|| float_of_order(best[p]))).collect::<Float64Array>())
        }
        Totals::Extremes { best, .. } => {
            Arc::new(kept.iter().map(|&p| there(p).then(|| best[p])).collect::<Int64Array>())
        }
    };
    Ok(if array.data_type() == data_type { array } else { cast(&array, data_type)? })
}

fn decimals(values: impl Iterator<Item = DfResult<Option<i128>>>, data_type: &DataType) -> DfResult<ArrayRef> {
    let values = values.collect::<DfResult<Decimal128Array>>()?;
    Ok(Arc::new(values.with_data_type(data_type.clone())))
}
