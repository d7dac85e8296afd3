//! From label rows to the distinct observers that a view is asked about.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, UInt32Array};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::HashMap;
use datafusion::error::Result as DfResult;

use crate::analysis::ViewKey;
use crate::plan::{Observers, Spine, SpineKind, Spines};
use crate::replay::values::has_value;
use crate::source::Labels;

/// The observers of one view, and which of them each label row is.
#[derive(Debug)]
pub struct LabelObservers {
    pub spines: Spines,
    /// By label row; `None` where a key is NULL: that matches nothing.
    pub of_label: Vec<Option<u32>>,
    /// By keyed observer, the first label row that is it.
    pub first_label: Vec<u32>,
    /// By timed observer, the first label row at its time.
    pub first_at: Vec<u32>,
}

/// What label rows of one time may differ in, beside their keys. By label row.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// The instant by which what it sees has arrived, nanoseconds since 1970.
    pub instants: Int64Array,
    /// Which of several meanings it goes by: they are told apart by the numbers of timed observers.
    pub meanings: Int64Array,
}

impl LabelObservers {
    /// # Errors
    /// Keys that can't be cast to the type in which they are compared.
    pub fn new(labels: &Labels, keys: &[ViewKey], now_unit: TimeUnit) -> DfResult<Self> {
        Self::of(labels, keys, now_unit, None)
    }

    /// As [`LabelObservers::new`], of label rows that see more or less than what is known at their time.
    ///
    /// # Errors
    /// As there.
    pub fn of(labels: &Labels, keys: &[ViewKey], now_unit: TimeUnit, outlook: Option<&Outlook>) -> DfResult<Self> {
        let columns: Vec<ArrayRef> =
            keys.iter().map(|k| Ok(cast(&labels.keys[k.label], &k.data_type)?)).collect::<DfResult<_>>()?;
        let rows = labels.rows();
        let known = |row: usize| columns.iter().all(|c| has_value(c, row));
        // Labels are sorted by time: only where several share one may an observer be there already.
        let times = labels.times.values();
        let tied = times.windows(2).any(|pair| pair[0] == pair[1]);
        let mut parts: Vec<ArrayRef> = vec![Arc::new(labels.times.clone())];
        parts.extend(columns.iter().cloned());
        if let Some(Outlook { instants, meanings }) = outlook {
            parts.extend([instants, meanings].map(|own| Arc::new(own.clone()) as ArrayRef));
        }
        let fields = parts.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        let converted = if tied { Some(converter.convert_columns(&parts)?) } else { None };
        let mut numbers: HashMap<&[u8], u32> = HashMap::default();
        let mut first_label: Vec<u32> = Vec::new();
        let mut of_label = Vec::with_capacity(rows);
        let mut add = |row: usize| {
            first_label.push(u32::try_from(row).unwrap_or(u32::MAX));
            u32::try_from(first_label.len() - 1).unwrap_or(u32::MAX)
        };
        for run in times.chunk_by(|a, b| a == b) {
            let start = of_label.len();
            numbers.clear();
            for row in start..start + run.len() {
                of_label.push(match &converted {
                    _ if !known(row) => None,
                    Some(converted) if run.len() > 1 => {
                        Some(*numbers.entry(converted.row(row).data()).or_insert_with(|| add(row)))
                    }
                    _ => Some(add(row)),
                });
            }
        }
        // Labels are sorted by time, so distinct times in the order of observers are sorted too.
        let picks = UInt32Array::from(first_label.clone());
        let times = Int64Array::from(take(&labels.times, &picks, None)?.to_data());
        let mut distinct: Vec<i64> = Vec::new();
        let mut first_at: Vec<u32> = Vec::new();
        let mut time_numbers = Vec::with_capacity(times.len());
        let own = |label: u32| outlook.map(|o| (o.instants.value(label as usize), o.meanings.value(label as usize)));
        let mut of_time: HashMap<(i64, i64), usize> = HashMap::default();
        for (&time, &label) in times.values().iter().zip(&first_label) {
            let same_time = distinct.last() == Some(&time);
            if !same_time {
                of_time.clear();
            }
            let own = own(label);
            let known = match own {
                Some(own) => of_time.get(&own).copied(),
                None => same_time.then(|| distinct.len() - 1),
            };
            let number = known.unwrap_or_else(|| {
                distinct.push(time);
                first_at.push(label);
                distinct.len() - 1
            });
            if let Some(own) = own {
                of_time.insert(own, number);
            }
            time_numbers.push(i64::try_from(number).unwrap_or(i64::MAX));
        }
        let keys = columns.iter().map(|c| Ok(take(c, &picks, None)?)).collect::<DfResult<Vec<_>>>()?;
        let timed_numbers = (0..distinct.len()).map(|i| i64::try_from(i).unwrap_or(i64::MAX));
        let instants = |labels: &[u32]| {
            outlook.map(|o| Int64Array::from_iter_values(labels.iter().map(|l| o.instants.value(*l as usize))))
        };
        let timed = Observers {
            kind: SpineKind::Timed,
            time_numbers: Int64Array::from_iter_values(timed_numbers),
            times: Int64Array::from(distinct),
            instants: instants(&first_at),
            keys: Vec::new(),
            now_unit,
        };
        let keyed = Observers {
            kind: SpineKind::Keyed,
            times,
            instants: instants(&first_label),
            time_numbers: Int64Array::from(time_numbers),
            keys,
            now_unit,
        };
        let spines = Spines { keyed: Spine::new(keyed)?, timed: Spine::new(timed)? };
        Ok(Self { spines, of_label, first_label, first_at })
    }
}
