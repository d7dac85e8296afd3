//! The spine: label rows, in the order in which the dataset has them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array, new_empty_array};
use datafusion::arrow::compute::{cast, concat_batches, take, take_record_batch};
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;

use chrono_tz::Tz;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::source::between::rows_between;
use crate::source::functions::orderable;
use crate::source::log::WIDEST_OFFSET_NS;
use crate::source::schema::plain_type;
use crate::source::table::{ParquetTable, column};
use crate::source::time::{instants_ns, plain_instants};

/// The label files, opened and checked, not read.
#[derive(Debug, Clone)]
pub struct LabelTable {
    pub table: Arc<ParquetTable>,
    keys: Vec<String>,
    time: String,
    timezone: Tz,
}

/// All label rows, sorted by label time, keys, other columns; NULL first.
#[derive(Debug, Clone)]
pub struct Labels {
    /// Every column of the label files, as it is there.
    pub batch: RecordBatch,
    /// Label times in nanoseconds since 1970, no NULL.
    pub times: Int64Array,
    /// Key columns in the order of the config: plain types, timestamps as instants.
    pub keys: Vec<ArrayRef>,
}

impl LabelTable {
    /// Checks keys and time against the files' schema.
    ///
    /// # Errors
    /// Columns that are not there, a time that is no timestamp, keys that can't be compared.
    pub fn new(config: &Config, table: ParquetTable) -> Result<Self, Vec<Finding>> {
        let labels = &config.labels;
        let schema = table.schema();
        let mut findings = Vec::new();
        for (i, key) in labels.keys.iter().enumerate() {
            let place = config.place(&format!("labels.keys.{i}"));
            match column(&schema, key, "the label table") {
                Err(finding) => findings.push(finding.at(place)),
                Ok(field) if plain_type(field.data_type()).is_nested() => findings.push(
                    Finding::error(format!("label key `{key}` is {}, which is no key", field.data_type()))
                        .help("name a column of numbers, text, dates or times")
                        .at(place),
                ),
                Ok(_) => {}
            }
        }
        let place = config.place("labels.time");
        match column(&schema, &labels.time, "the label table") {
            Err(finding) => findings.push(finding.at(place)),
            Ok(field) if !matches!(field.data_type(), DataType::Timestamp(_, _)) => findings.push(
                Finding::error(format!("label time `{}` is {}, not a timestamp", labels.time, field.data_type()))
                    .help("name a timestamp column, or write the column as one")
                    .at(place),
            ),
            Ok(_) => {}
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        Ok(Self {
            table: Arc::new(table),
            keys: labels.keys.clone(),
            time: labels.time.clone(),
            timezone: labels.timezone,
        })
    }

    pub fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    /// The type that key number `index` has when it is compared.
    pub fn key_type(&self, index: usize) -> DataType {
        let schema = self.schema();
        let field = schema.field_with_name(&self.keys[index]).map_or(DataType::Null, |f| f.data_type().clone());
        match plain_type(&field) {
            DataType::Timestamp(unit, _) => DataType::Timestamp(unit, Some("UTC".into())),
            other => other,
        }
    }

    /// The first and the last label time, nanoseconds, by the footers; wider where local times are in a zone.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        let (first, last) = self.table.time_range(&self.time)?;
        let schema = self.schema();
        let naive = matches!(schema.field_with_name(&self.time).ok()?.data_type(), DataType::Timestamp(_, None));
        let margin = if naive && self.timezone != Tz::UTC { WIDEST_OFFSET_NS } else { 0 };
        Some((first.saturating_sub(margin), last.saturating_add(margin)))
    }

    /// Reads and sorts all label rows.
    ///
    /// # Errors
    /// Label times that are NULL, or outside the years 1678 to 2261.
    pub async fn read(&self, session: &SessionContext) -> Result<Labels> {
        let reading = |e| Error::engine("read the labels", e);
        let frame = session.read_table(Arc::clone(&self.table) as _).map_err(reading)?;
        let batches = frame.collect().await.map_err(reading)?;
        let batch = concat_batches(&self.schema(), &batches).map_err(|e| reading(e.into()))?;
        self.sorted(&batch)
    }

    /// Reads and sorts the label rows of a range of times, nanoseconds; the second bound is not in it.
    ///
    /// # Errors
    /// As [`LabelTable::read`].
    pub async fn read_between(&self, from: i64, until: i64, session: &SessionContext) -> Result<Labels> {
        let read = rows_between(&self.table, &self.time, self.timezone, (from, until), session).await;
        self.sorted(&read.map_err(|e| Error::engine("read the labels", e))?)
    }

    /// About how many bytes the label rows take in memory, by the footers.
    pub fn memory(&self) -> u64 {
        self.table.memory()
    }

    fn sorted(&self, batch: &RecordBatch) -> Result<Labels> {
        let reading = |e| Error::engine("read the labels", e);
        let time = self.instants(batch, &self.time)?;
        if time.null_count() > 0 {
            return Err(Error::input(self.null_times(time.null_count())));
        }
        let times = instants_ns(&time, 0).map_err(|e| reading(e.into()))?;
        if let Some(row) = times.values().iter().position(|&t| t == i64::MAX || t == i64::MIN) {
            let shown = datafusion::arrow::util::display::array_value_to_string(&time, row).unwrap_or_default();
            return Err(Error::input(
                Finding::error(format!("label time `{}` is {shown}, outside the years 1678 to 2261", self.time))
                    .help("correct or remove the label row"),
            ));
        }
        let keys = self.keys.iter().map(|key| self.instants(batch, key)).collect::<Result<Vec<_>>>()?;
        let order = self.order(batch, &times, &keys).map_err(reading)?;
        let sorted = |array: &dyn Array| take(array, &order, None).map_err(|e| reading(e.into()));
        Ok(Labels {
            batch: take_record_batch(batch, &order).map_err(|e| reading(e.into()))?,
            times: Int64Array::from(sorted(&times)?.to_data()),
            keys: keys.iter().map(|k| sorted(k)).collect::<Result<_>>()?,
        })
    }

    /// The label times alone, ascending, nanoseconds.
    ///
    /// # Errors
    /// As [`LabelTable::read`].
    pub async fn read_times(&self, session: &SessionContext) -> Result<Vec<i64>> {
        let reading = |e| Error::engine("read the label times", e);
        let frame = session.read_table(Arc::clone(&self.table) as _).map_err(reading)?;
        let time = datafusion::logical_expr::Expr::Column(datafusion::common::Column::new_unqualified(&self.time));
        let batches = frame.select(vec![time]).map_err(reading)?.collect().await.map_err(reading)?;
        let mut times = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
        for batch in &batches {
            let instants = instants_ns(&self.instants(batch, &self.time)?, 0).map_err(|e| reading(e.into()))?;
            if instants.null_count() > 0 {
                return Err(Error::input(self.null_times(instants.null_count())));
            }
            times.extend_from_slice(instants.values());
        }
        times.sort_unstable();
        Ok(times)
    }

    /// A column in its plain type, timestamps as instants in UTC.
    fn instants(&self, batch: &RecordBatch, name: &str) -> Result<ArrayRef> {
        let failed = |e: datafusion::arrow::error::ArrowError| Error::engine("read the labels", e.into());
        let Some(array) = batch.column_by_name(name) else { return Ok(new_empty_array(&DataType::Null)) };
        plain_instants(array, self.timezone).map_err(failed)
    }

    fn order(
        &self,
        batch: &RecordBatch,
        times: &Int64Array,
        keys: &[ArrayRef],
    ) -> datafusion::error::Result<UInt32Array> {
        let rows = u32::try_from(batch.num_rows())
            .map_err(|_| datafusion::common::exec_datafusion_err!("more than 2^32 label rows"))?;
        let mut sorted: Vec<(i64, u32)> = times.values().iter().copied().zip(0..rows).collect();
        sorted.sort_unstable();
        // Few label rows share their time: only those are compared by all their columns.
        let runs: Vec<&mut [(i64, u32)]> = sorted.chunk_by_mut(|a, b| a.0 == b.0).filter(|run| run.len() > 1).collect();
        if !runs.is_empty() {
            let tied = UInt32Array::from_iter_values(runs.iter().flat_map(|run| run.iter().map(|(_, row)| *row)));
            let mut columns: Vec<ArrayRef> = Vec::new();
            for key in keys {
                columns.push(take(key, &tied, None)?);
            }
            for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
                if field.name() != &self.time && !self.keys.contains(field.name()) {
                    let array = take(array, &tied, None)?;
                    columns.push(orderable(&cast(&array, &plain_type(array.data_type()))?)?);
                }
            }
            let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
            let sortable = RowConverter::new(fields)?.convert_columns(&columns)?;
            let mut next = 0;
            for run in runs {
                let mut order: Vec<usize> = (next..next + run.len()).collect();
                order.sort_by(|&a, &b| sortable.row(a).cmp(&sortable.row(b)));
                for (place, at) in run.iter_mut().zip(&order) {
                    place.1 = tied.value(*at);
                }
                next += order.len();
            }
        }
        Ok(UInt32Array::from_iter_values(sorted.into_iter().map(|(_, row)| row)))
    }

    fn null_times(&self, count: usize) -> Finding {
        let has_null = |file: &usize| self.table.footers.nulls(*file, &self.time) != Some(0);
        let first = (0..self.table.files.files.len()).find(has_null).unwrap_or(0);
        let file = self.table.files.files.get(first).map_or_else(String::new, |f| f.uri());
        Finding::error(format!("{count} label rows have no label time: `{}` is NULL, first in `{file}`", self.time))
            .help("remove these rows from the labels: without a time there is no as-of value")
    }
}

impl Labels {
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// The unit in which every label time is exact.
    pub fn now_unit(&self) -> TimeUnit {
        exact_unit(self.times.values())
    }

    /// Some of the rows, by position, without copying them.
    pub fn slice(&self, rows: std::ops::Range<usize>) -> Self {
        let (from, count) = (rows.start, rows.len());
        Self {
            batch: self.batch.slice(from, count),
            times: self.times.slice(from, count),
            keys: self.keys.iter().map(|key| key.slice(from, count)).collect(),
        }
    }
}

/// The unit in which all of these times, nanoseconds, are exact: microseconds, or nanoseconds where one needs them.
pub fn exact_unit(times: &[i64]) -> TimeUnit {
    if times.iter().all(|t| t % 1_000 == 0) { TimeUnit::Microsecond } else { TimeUnit::Nanosecond }
}
