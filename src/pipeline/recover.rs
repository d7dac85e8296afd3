//! What becomes of cells whose events are not covered: `dataset.unrecoverable`.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, RecordBatch, StringArray, UInt32Array, UInt64Array, new_null_array,
};
use datafusion::arrow::compute::{filter_record_batch, kernels::zip::zip, take};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;

use crate::analysis::{Project, SnapshotTable};
use crate::config::Unrecoverable;
use crate::dataset::lossless;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::pipeline::compare::matched_rows;
use crate::replay::Replay;
use crate::retention::{Cells, Coverage, covered, each_once};
use crate::source::Labels;
use crate::source::time::plain_instants;

use super::retained::found;

/// What snapshots have of the cells that are not covered.
#[derive(Debug, Default)]
pub(super) struct Legacy {
    /// By feature: the label rows whose value a snapshot has; `None` where no snapshot has the feature.
    pub has: Vec<Option<Vec<bool>>>,
    /// By feature, in its type: the value, where `has`.
    values: Vec<Option<ArrayRef>>,
}

/// What a cell of the dataset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Exact,
    Truncated,
    Gap,
    /// The snapshot's value.
    Legacy,
    /// The view has no row, and that is certain.
    Missing,
}

impl Mark {
    fn name(self) -> &'static str {
        match self {
            Self::Exact => Coverage::Exact.name(),
            Self::Truncated => Coverage::Truncated.name(),
            Self::Gap => Coverage::Gap.name(),
            Self::Legacy => "legacy",
            Self::Missing => "missing",
        }
    }
}

/// The dataset's features, what each cell is, and which label rows are left out.
#[derive(Debug)]
pub(super) struct Recovered {
    pub features: Vec<ArrayRef>,
    /// By feature and label row; features that are alike share theirs.
    pub marks: Vec<Arc<Vec<Mark>>>,
    /// Label rows that stay; `None`: all.
    pub kept: Option<BooleanArray>,
    /// By feature: cells taken from a snapshot.
    pub legacy: Vec<u64>,
    /// Whether a cell that is not covered is to fail, and there is one.
    pub refused: bool,
}

impl Recovered {
    pub(super) fn dropped(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.false_count() as u64)
    }
}

/// Finds in the snapshots what cells that are not covered could be taken from, first snapshot first. `batches`: by snapshot, the rows
/// that may match these label rows.
pub(super) fn legacy(project: &Project, labels: &Labels, cells: &[Cells], batches: &[RecordBatch]) -> Result<Legacy> {
    let mut legacy = Legacy { has: vec![None; cells.len()], values: vec![None; cells.len()] };
    let short: Vec<bool> = each_once(cells, |own| own.iter().any(|c| !c.is_covered()));
    for (snapshot, batch) in project.snapshots.iter().zip(batches) {
        let columns: Vec<_> = snapshot.columns.iter().filter(|c| short[c.feature]).collect();
        if columns.is_empty() {
            continue;
        }
        let mut rows: Vec<Option<u64>> = vec![None; labels.rows()];
        for (label, row) in matched_rows(project, snapshot, labels, batch)? {
            rows[label] = Some(row as u64);
        }
        for column in columns {
            let i = column.feature;
            let taken = values(project, snapshot, batch, &column.legacy, i, &rows, &cells[i])?;
            let here = BooleanArray::from(rows.iter().map(Option::is_some).collect::<Vec<_>>());
            let failed = |e| Error::engine("take values from a snapshot", e);
            let (has, own) = match (legacy.has[i].take(), legacy.values[i].take()) {
                (Some(has), Some(own)) => {
                    let known = BooleanArray::from(has.clone());
                    let both = zip(&known, &own, &taken).map_err(|e| failed(e.into()))?;
                    (has.iter().zip(here.values().iter()).map(|(a, b)| *a || b).collect(), both)
                }
                _ => (here.values().iter().collect(), taken),
            };
            legacy.has[i] = Some(has);
            legacy.values[i] = Some(own);
        }
    }
    Ok(legacy)
}

/// The legacy column by label row, in the feature's type; NULL where it is not needed.
fn values(
    project: &Project,
    snapshot: &SnapshotTable,
    batch: &RecordBatch,
    column: &str,
    feature: usize,
    rows: &[Option<u64>],
    cells: &[Coverage],
) -> Result<ArrayRef> {
    let feature = &project.features[feature];
    let name = &snapshot.config.name;
    let failed = |e: ArrowError| Error::engine(format!("read snapshot `{name}`"), e.into());
    let array =
        batch.column_by_name(column).cloned().unwrap_or_else(|| new_null_array(&DataType::Null, batch.num_rows()));
    let array = plain_instants(&array, snapshot.config.timezone).map_err(failed)?;
    let wanted = rows.iter().zip(cells).map(|(row, cell)| row.filter(|_| !cell.is_covered()));
    let wanted: UInt64Array = wanted.collect();
    let taken = take(&array, &wanted, None).map_err(failed)?;
    lossless(&taken, &feature.data_type).map_err(|row| {
        let value = datafusion::arrow::util::display::array_value_to_string(&taken, row).unwrap_or_default();
        Error::input(
            Finding::error(format!(
                "`{column}` of snapshot `{name}` has {value}, which the type {} of feature `{}` can't hold: it can't stand in where events are not covered",
                feature.data_type,
                feature.full_name()
            ))
            .at(project.inputs.config.place("dataset.unrecoverable"))
            .help("cast the feature in its view to the legacy type, or set `dataset.unrecoverable` to \"keep\" or \"null\""),
        )
    })
}

/// Applies `dataset.unrecoverable`.
pub(super) fn recover(project: &Project, replay: &Replay, cells: &[Cells], legacy: &Legacy) -> Result<Recovered> {
    let policy = project.inputs.config.dataset.unrecoverable.unwrap_or(Unrecoverable::Legacy);
    let failed = |e: ArrowError| Error::engine("fill cells that are not covered", e.into());
    let rows = cells.first().map_or(0, |own| own.len());
    let mut kept = vec![true; rows];
    let mut recovered =
        Recovered { features: Vec::new(), marks: Vec::new(), kept: None, legacy: vec![0; cells.len()], refused: false };
    let short: Vec<bool> = each_once(cells, |own| own.iter().any(|c| !c.is_covered()));
    for (i, (own, values)) in cells.iter().zip(&replay.features).enumerate() {
        let mut marks = match (0..i).find(|&j| alike(project, cells, i, j)) {
            // What a snapshot stands in for is each feature's own.
            Some(j) if recovered.legacy[j] == 0 => Arc::clone(&recovered.marks[j]),
            _ => Arc::new(marks(own, found(replay, &project.features[i].view))),
        };
        let mut values = Arc::clone(values);
        if short[i] {
            match (policy, &legacy.has.get(i).cloned().flatten(), legacy.values.get(i).cloned().flatten()) {
                (Unrecoverable::Legacy, Some(has), Some(taken)) => {
                    let replaced: Vec<bool> = own.iter().zip(has).map(|(c, has)| !c.is_covered() && *has).collect();
                    for (mark, _) in Arc::make_mut(&mut marks).iter_mut().zip(&replaced).filter(|(_, r)| **r) {
                        *mark = Mark::Legacy;
                        recovered.legacy[i] += 1;
                    }
                    values = zip(&BooleanArray::from(replaced), &taken, &values).map_err(failed)?;
                }
                (Unrecoverable::Null, _, _) => {
                    let nothing = new_null_array(values.data_type(), values.len());
                    values = zip(&covered(own), &values, &nothing).map_err(failed)?;
                }
                (Unrecoverable::Drop, _, _) => {
                    for (kept, cell) in kept.iter_mut().zip(own.iter()) {
                        *kept &= cell.is_covered();
                    }
                }
                (Unrecoverable::Fail, _, _) => recovered.refused = true,
                _ => {}
            }
        }
        recovered.features.push(values);
        recovered.marks.push(marks);
    }
    if kept.contains(&false) {
        recovered.kept = Some(BooleanArray::from(kept));
    }
    Ok(recovered)
}

/// Whether two features are of one view and have the same cells.
fn alike(project: &Project, cells: &[Cells], i: usize, j: usize) -> bool {
    project.features[i].view == project.features[j].view && Arc::ptr_eq(&cells[i], &cells[j])
}

/// What cells are before anything stands in for them. `found`: where the view has a row.
fn marks(cells: &[Coverage], found: Option<&BooleanArray>) -> Vec<Mark> {
    let mark = |cell: Coverage, found: bool| match (cell, found) {
        (Coverage::Exact, true) => Mark::Exact,
        (Coverage::Exact, false) => Mark::Missing,
        (Coverage::Truncated, _) => Mark::Truncated,
        (Coverage::Gap, _) => Mark::Gap,
    };
    match found {
        Some(found) => cells.iter().zip(found.values().iter()).map(|(cell, found)| mark(*cell, found)).collect(),
        None => cells.iter().map(|cell| mark(*cell, true)).collect(),
    }
}

/// Label keys, label time and, per feature, what each cell is.
#[derive(Debug)]
pub(super) struct Provenance<'a> {
    recovered: &'a Recovered,
    /// Columns of the labels.
    own: Vec<usize>,
    labels: &'a Labels,
    pub schema: SchemaRef,
    /// Label rows, in the dataset's order.
    pub rows: Vec<u32>,
}

impl<'a> Provenance<'a> {
    /// Of the rows of the dataset, or of those that it leaves out.
    pub(super) fn new(project: &Project, labels: &'a Labels, recovered: &'a Recovered, left_out: bool) -> Result<Self> {
        let config = &project.inputs.config.labels;
        let mut names: Vec<&str> = config.keys.iter().map(String::as_str).collect();
        if !names.contains(&config.time.as_str()) {
            names.push(&config.time);
        }
        let schema = labels.batch.schema();
        let index = |name: &&str| schema.index_of(name).map_err(|e| Error::engine("write the provenance", e.into()));
        let own = names.iter().map(index).collect::<Result<Vec<_>>>()?;
        let keys = own.iter().map(|i| schema.field(*i).clone());
        let features = project.features.iter().map(|f| Field::new(&f.name, DataType::Utf8, false));
        let fields: Vec<Field> = keys.chain(features).collect();
        let stays = |row: &u32| recovered.kept.as_ref().is_none_or(|kept| kept.value(*row as usize)) != left_out;
        let all = u32::try_from(labels.rows()).unwrap_or(u32::MAX);
        Ok(Self {
            recovered,
            own,
            labels,
            schema: Arc::new(Schema::new(fields)),
            rows: (0..all).filter(stays).collect(),
        })
    }

    /// The table of some of [`Provenance::rows`].
    pub(super) fn batch(&self, rows: &[u32]) -> std::result::Result<RecordBatch, ArrowError> {
        let wanted = UInt32Array::from(rows.to_vec());
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for index in &self.own {
            columns.push(take(self.labels.batch.column(*index), &wanted, None)?);
        }
        columns.extend(each_once(&self.recovered.marks, |marks| {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| marks[*row as usize].name()))) as ArrayRef
        }));
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// The rows that stay.
pub(super) fn kept(batch: &RecordBatch, recovered: &Recovered) -> datafusion::error::Result<RecordBatch> {
    Ok(match &recovered.kept {
        None => batch.clone(),
        Some(kept) => filter_record_batch(batch, kept)?,
    })
}
