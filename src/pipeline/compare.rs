//! Holds replayed features against the snapshots.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;

use crate::analysis::{Project, SnapshotTable};
use crate::dataset::natural_schema;
use crate::diff::{ColumnPair, Diff, DiffInput, FeaturePair, Rows, SchemaPair, Tolerance, diff, matched};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::monitor::Monitor;
use crate::source::Labels;
use crate::source::time::plain_instants;

/// Compares `features` (one per feature of the project) with every snapshot, where they are `covered`.
///
/// # Errors
/// What reading a snapshot meets, or keys that can't be compared after all.
pub(super) async fn compare(
    project: &Project,
    labels: &Labels,
    features: &[ArrayRef],
    covered: &[BooleanArray],
    session: &SessionContext,
    monitor: &dyn Monitor,
) -> Result<Vec<Diff>> {
    let mut diffs = Vec::with_capacity(project.snapshots.len());
    for snapshot in &project.snapshots {
        monitor.begin(&format!("diffing {}", snapshot.config.name), Some(snapshot.table.rows()));
        let compared = compare_one(project, snapshot, labels, features, covered, session).await;
        monitor.end();
        diffs.push(compared?);
    }
    Ok(diffs)
}

async fn compare_one(
    project: &Project,
    snapshot: &SnapshotTable,
    labels: &Labels,
    features: &[ArrayRef],
    covered: &[BooleanArray],
    session: &SessionContext,
) -> Result<Diff> {
    let config = &project.inputs.config;
    let name = &snapshot.config.name;
    let batch = read(snapshot, session).await?;
    let column = |column: &str| -> Result<ArrayRef> {
        let array = batch.column_by_name(column).cloned();
        let array =
            array.ok_or_else(|| Error::storage(format!("read snapshot `{name}`"), format!("no column {column}")))?;
        plain_instants(&array, snapshot.config.timezone)
            .map_err(|e| Error::engine(format!("read `{column}` of snapshot `{name}`"), e.into()))
    };
    let (ours, legacy) = sides(snapshot, labels, &batch)?;
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
                legacy: column(&mapped.legacy)?,
                tolerance: Tolerance { abs: tolerance.abs, rel: tolerance.rel },
                covered: covered.get(mapped.feature).filter(|c| c.false_count() > 0).cloned(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let dataset = natural_schema(&project.inputs.labels.schema(), &project.features);
    let columns = column_pairs(project, snapshot);
    let legacy_schema = snapshot.table.schema();
    let input = DiffInput {
        snapshot: name,
        key_names: &config.labels.keys,
        labels: &ours,
        legacy: &legacy,
        features: pairs,
        schemas: SchemaPair { dataset: &dataset, snapshot: &legacy_schema, columns: &columns },
        agreement_gate: config.diff.agreement,
    };
    diff(input).map_err(|e| {
        Error::input(
            Finding::error(format!("failed to compare with snapshot `{name}`: {e}"))
                .at(config.place(&format!("snapshots.{name}"))),
        )
    })
}

/// Keys and times of both sides.
fn sides(snapshot: &SnapshotTable, labels: &Labels, batch: &RecordBatch) -> Result<(Rows, Rows)> {
    let name = &snapshot.config.name;
    let column = |column: &str| -> Result<ArrayRef> {
        let array = batch.column_by_name(column).cloned();
        let array =
            array.ok_or_else(|| Error::storage(format!("read snapshot `{name}`"), format!("no column {column}")))?;
        plain_instants(&array, snapshot.config.timezone)
            .map_err(|e| Error::engine(format!("read `{column}` of snapshot `{name}`"), e.into()))
    };
    let legacy = Rows {
        keys: snapshot.config.keys.iter().map(|k| column(k)).collect::<Result<_>>()?,
        time: column(&snapshot.config.time)?,
    };
    let times = datafusion::arrow::array::TimestampNanosecondArray::from(labels.times.values().to_vec());
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
    let (ours, legacy) = sides(snapshot, labels, batch)?;
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
    matched(&input).map_err(|e| Error::input(Finding::error(format!("failed to match a snapshot: {e}"))))
}

/// Snapshot columns and the dataset columns that they are.
fn column_pairs(project: &Project, snapshot: &SnapshotTable) -> Vec<ColumnPair> {
    let labels = &project.inputs.config.labels;
    let pair = |legacy: &str, dataset: &str| ColumnPair { legacy: legacy.to_string(), dataset: dataset.to_string() };
    let keys = snapshot.config.keys.iter().zip(&labels.keys).map(|(legacy, own)| pair(legacy, own));
    let features = snapshot.columns.iter().map(|c| pair(&c.legacy, &project.features[c.feature].name));
    keys.chain([pair(&snapshot.config.time, &labels.time)]).chain(features).collect()
}

pub(super) async fn read(snapshot: &SnapshotTable, session: &SessionContext) -> Result<RecordBatch> {
    let failed = |e| Error::engine(format!("read snapshot `{}`", snapshot.config.name), e);
    let frame = session.read_table(Arc::clone(&snapshot.table) as _).map_err(failed)?;
    let batches = frame.collect().await.map_err(failed)?;
    concat_batches(&snapshot.table.schema(), &batches).map_err(|e| failed(e.into()))
}
