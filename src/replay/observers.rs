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
}

impl LabelObservers {
    /// # Errors
    /// Keys that can't be cast to the type in which they are compared.
    pub fn new(labels: &Labels, keys: &[ViewKey], now_unit: TimeUnit) -> DfResult<Self> {
        let columns: Vec<ArrayRef> =
            keys.iter().map(|k| Ok(cast(&labels.keys[k.label], &k.data_type)?)).collect::<DfResult<_>>()?;
        let rows = labels.rows();
        let known = |row: usize| columns.iter().all(|c| has_value(c, row));
        // Labels are sorted by time: only where several share one may an observer be there already.
        let times = labels.times.values();
        let tied = times.windows(2).any(|pair| pair[0] == pair[1]);
        let mut parts: Vec<ArrayRef> = vec![Arc::new(labels.times.clone())];
        parts.extend(columns.iter().cloned());
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
        let mut time_numbers = Vec::with_capacity(times.len());
        for &time in times.values() {
            if distinct.last() != Some(&time) {
                distinct.push(time);
            }
            time_numbers.push(i64::try_from(distinct.len() - 1).unwrap_or(i64::MAX));
        }
        let keys = columns.iter().map(|c| Ok(take(c, &picks, None)?)).collect::<DfResult<Vec<_>>>()?;
        let timed_numbers = (0..distinct.len()).map(|i| i64::try_from(i).unwrap_or(i64::MAX));
        let timed = Observers {
            kind: SpineKind::Timed,
            time_numbers: Int64Array::from_iter_values(timed_numbers),
            times: Int64Array::from(distinct),
            keys: Vec::new(),
            now_unit,
        };
        let keyed =
            Observers { kind: SpineKind::Keyed, times, time_numbers: Int64Array::from(time_numbers), keys, now_unit };
        let spines = Spines { keyed: Spine::new(keyed)?, timed: Spine::new(timed)? };
        Ok(Self { spines, of_label, first_label })
    }
}
