//! Holds replayed features against the snapshots.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, TimestampNanosecondArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;

use crate::analysis::{Project, SnapshotTable};
use crate::dataset::natural_schema;
use crate::diff::{
    self, ColumnPair, DiffError, DiffInput, FeaturePair, Mismatches, Rows, SchemaPair, SnapshotDiff, Tolerance, Totals,
};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::pipeline::snapshots::column;
use crate::source::Labels;

/// Label rows with their features, and the rows of a snapshot that may match them.
pub(super) struct Sides<'a> {
    pub snapshot: &'a SnapshotTable,
    pub labels: &'a Labels,
    /// One per feature of the project.
    pub features: &'a [ArrayRef],
    /// One per feature of the project: the label rows where its value is covered.
    pub covered: &'a [BooleanArray],
    pub legacy: &'a RecordBatch,
}

/// What both schemas of a comparison are, and which of their columns are one.
pub(super) struct Schemas {
    dataset: Schema,
    snapshot: Arc<Schema>,
    columns: Vec<ColumnPair>,
}

impl Schemas {
    pub(super) fn of(project: &Project, snapshot: &SnapshotTable) -> Self {
        Self {
            dataset: natural_schema(&project.inputs.labels.schema(), &project.features),
            snapshot: snapshot.table.schema(),
            columns: column_pairs(project, snapshot),
        }
    }

    fn pair(&self) -> SchemaPair<'_> {
        SchemaPair { dataset: &self.dataset, snapshot: &self.snapshot, columns: &self.columns }
    }
}

impl Sides<'_> {
    /// Compares these rows with each other, for [`Totals`].
    ///
    /// # Errors
    /// Keys that can't be compared after all.
    pub(super) fn compare(&self, project: &Project) -> Result<diff::Part> {
        self.compared(project, diff::compare)
    }

    /// The cells of these rows, of which the label row and the snapshot row of one number were matched before.
    ///
    /// # Errors
    /// As [`Sides::compare`].
    pub(super) fn cells(&self, project: &Project) -> Result<Mismatches> {
        self.compared(project, diff::cells)
    }

    fn compared<T>(&self, project: &Project, how: fn(&DiffInput<'_>) -> Result<T, DiffError>) -> Result<T> {
        let Self { snapshot, labels, features, covered, legacy } = self;
        let config = &project.inputs.config;
        let (ours, theirs) = rows(snapshot, labels, legacy)?;
        let default = config.diff.tolerance;
        let pairs = snapshot
            .columns
            .iter()
            .map(|mapped| {
                let feature = &project.features[mapped.feature];
                let tolerance = feature.tolerance.unwrap_or(default);
                Ok(FeaturePair {
                    feature: feature.full_name(),
                    column: mapped.legacy.clone(),
                    replayed: Arc::clone(&features[mapped.feature]),
                    legacy: column(snapshot, legacy, &mapped.legacy)?,
                    tolerance: Tolerance { abs: tolerance.abs, rel: tolerance.rel },
                    covered: covered.get(mapped.feature).filter(|c| c.false_count() > 0).cloned(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let schemas = Schemas::of(project, snapshot);
        let input = DiffInput {
            snapshot: &snapshot.config.name,
            key_names: &config.labels.keys,
            labels: &ours,
            legacy: &theirs,
            features: pairs,
            schemas: schemas.pair(),
            agreement_gate: config.diff.agreement,
        };
        how(&input).map_err(|e| failed(project, snapshot, &e))
    }
}

fn failed(project: &Project, snapshot: &SnapshotTable, error: &DiffError) -> Error {
    let name = &snapshot.config.name;
    Error::input(
        Finding::error(format!("failed to compare with snapshot `{name}`: {error}"))
            .at(project.inputs.config.place(&format!("snapshots.{name}"))),
    )
}

/// The comparison of all label rows, as the report tells it.
pub(super) fn finished(project: &Project, snapshot: &SnapshotTable, totals: Totals) -> SnapshotDiff {
    let gate = project.inputs.config.diff.agreement;
    totals.finish(&snapshot.config.name, Schemas::of(project, snapshot).pair(), gate)
}

/// Keys and times of both sides.
fn rows(snapshot: &SnapshotTable, labels: &Labels, batch: &RecordBatch) -> Result<(Rows, Rows)> {
    let legacy = Rows {
        keys: snapshot.config.keys.iter().map(|k| column(snapshot, batch, k)).collect::<Result<_>>()?,
        time: column(snapshot, batch, &snapshot.config.time)?,
    };
    let times = TimestampNanosecondArray::from(labels.times.values().to_vec());
    let ours = Rows { keys: labels.keys.clone(), time: Arc::new(times.with_timezone("UTC")) };
    Ok((ours, legacy))
}

/// Which label row is which row of a snapshot that was read.
///
/// # Errors
/// Keys that can't be compared after all.
pub(super) fn matched_rows(
    project: &Project,
    snapshot: &SnapshotTable,
    labels: &Labels,
    batch: &RecordBatch,
) -> Result<Vec<(usize, usize)>> {
    let config = &project.inputs.config;
    let (ours, legacy) = rows(snapshot, labels, batch)?;
    let schema = snapshot.table.schema();
    let input = DiffInput {
        snapshot: &snapshot.config.name,
        key_names: &config.labels.keys,
        labels: &ours,
        legacy: &legacy,
        features: Vec::new(),
        schemas: SchemaPair { dataset: &schema, snapshot: &schema, columns: &[] },
        agreement_gate: config.diff.agreement,
    };
    diff::matched(&input).map_err(|e| failed(project, snapshot, &e))
}

/// Snapshot columns and the dataset columns that they are.
fn column_pairs(project: &Project, snapshot: &SnapshotTable) -> Vec<ColumnPair> {
    let labels = &project.inputs.config.labels;
    let pair = |legacy: &str, dataset: &str| ColumnPair { legacy: legacy.to_string(), dataset: dataset.to_string() };
    let keys = snapshot.config.keys.iter().zip(&labels.keys).map(|(legacy, own)| pair(legacy, own));
    let features = snapshot.columns.iter().map(|c| pair(&c.legacy, &project.features[c.feature].name));
    keys.chain([pair(&snapshot.config.time, &labels.time)]).chain(features).collect()
}
