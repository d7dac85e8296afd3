//! Legacy snapshots, opened and matched with features; not read.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;

use crate::analysis::features::Feature;
use crate::analysis::keys::comparable_type;
use crate::config::{self, Config};
use crate::finding::Finding;
use crate::source::{LabelTable, ParquetTable, column};

/// One snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotTable {
    pub config: config::Snapshot,
    pub table: Arc<ParquetTable>,
    /// The columns that are held against features.
    pub columns: Vec<MappedColumn>,
}

/// A legacy column and the feature it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedColumn {
    pub legacy: String,
    /// Position in the list of all features.
    pub feature: usize,
}

impl SnapshotTable {
    /// Checks keys, time and mapped columns against the snapshot's schema and the features.
    ///
    /// # Errors
    /// Columns that are not there, on either side, and keys that can't be compared with the labels'.
    pub fn new(
        config: &Config,
        snapshot: &config::Snapshot,
        table: Arc<ParquetTable>,
        labels: Option<&LabelTable>,
        features: &[Feature],
    ) -> Result<Self, Vec<Finding>> {
        let schema = table.schema();
        let what = format!("snapshot `{}`", snapshot.name);
        let place = |key: &str| config.place(&format!("snapshots.{}.{key}", snapshot.name));
        let mut findings = Vec::new();
        for (i, key) in snapshot.keys.iter().enumerate() {
            match column(&schema, key, &what) {
                Err(finding) => findings.push(finding.at(place(&format!("keys.{i}")))),
                Ok(field) => {
                    let ours = labels.map(|l| l.key_type(i));
                    if ours.as_ref().is_some_and(|t| comparable_type(t, field.data_type()).is_none()) {
                        let ours = ours.unwrap_or(DataType::Null);
                        findings.push(
                            Finding::error(format!(
                                "key `{key}` of {what} is {}, the label key is {ours}: they can't be compared",
                                field.data_type()
                            ))
                            .at(place(&format!("keys.{i}")))
                            .help("name the columns in the order of the label keys, or rewrite the snapshot"),
                        );
                    }
                }
            }
        }
        match column(&schema, &snapshot.time, &what) {
            Err(finding) => findings.push(finding.at(place("time"))),
            Ok(field) if !matches!(field.data_type(), DataType::Timestamp(_, _)) => findings.push(
                Finding::error(format!("time `{}` of {what} is {}, not a timestamp", snapshot.time, field.data_type()))
                    .at(place("time")),
            ),
            Ok(_) => {}
        }
        let mut columns = Vec::new();
        for (legacy, feature) in &snapshot.columns {
            let at = place(&format!("columns.{legacy}"));
            if let Err(finding) = column(&schema, legacy, &what) {
                findings.push(finding.at(at.clone()));
            }
            match features.iter().position(|f| f.full_name() == *feature) {
                Some(feature) => columns.push(MappedColumn { legacy: legacy.clone(), feature }),
                None => {
                    let names: Vec<String> = features.iter().map(Feature::full_name).collect();
                    findings.push(
                        Finding::error(format!("there is no feature `{feature}`"))
                            .at(at)
                            .nearest(feature, names.iter().map(String::as_str)),
                    );
                }
            }
        }
        let own = |name: &str| snapshot.keys.iter().any(|k| k == name) || name == snapshot.time;
        for field in schema.fields().iter().filter(|f| !own(f.name())) {
            let taken = |i: usize| columns.iter().any(|c| c.feature == i);
            if columns.iter().any(|c| c.legacy == *field.name()) {
                continue;
            }
            if let Some(feature) = features.iter().position(|f| f.name == *field.name()).filter(|&i| !taken(i)) {
                columns.push(MappedColumn { legacy: field.name().clone(), feature });
            }
        }
        if findings.is_empty() { Ok(Self { config: snapshot.clone(), table, columns }) } else { Err(findings) }
    }
}
