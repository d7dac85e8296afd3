//! What a view's values for some label rows depend on, as one hash.

use std::collections::BTreeSet;
use std::fmt;

use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::error::Result as DfResult;
use serde_json::{Value, json};

use crate::analysis::{Project, View};
use crate::config::without_secrets;
use crate::output::{Depends, Hasher, sha256_hex};
use crate::replay::Engine;
use crate::source::{DataFile, Labels};

/// To be raised with every change to what values mean, or to how they are kept.
const MEANING: u32 = 2;

/// Where the values of a view for a chunk are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    hash: String,
    pub depends: Depends,
}

impl Address {
    fn new(view: &str, depends: Depends) -> Self {
        let Depends { sql, config, labels, files } = &depends;
        Self { hash: digest(&json!([MEANING, view, sql, config, labels, files])), depends }
    }

    pub fn as_str(&self) -> &str {
        &self.hash
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        let none = String::new;
        Self::new(text, Depends { sql: none(), config: none(), labels: none(), files: none() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hash)
    }
}

fn digest(value: &Value) -> String {
    sha256_hex(value.to_string().as_bytes())
}

/// An input file as it was listed: another size, etag or time of change makes it another file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileIdentity {
    source: String,
    uri: String,
    size: u64,
    etag: Option<String>,
    modified: String,
}

impl FileIdentity {
    pub fn new(source: &str, file: &DataFile) -> Self {
        Self {
            source: source.to_string(),
            uri: without_secrets(&file.uri()),
            size: file.meta.size,
            etag: file.meta.e_tag.clone(),
            modified: file.meta.last_modified.to_rfc3339(),
        }
    }

    fn json(&self) -> Value {
        json!([self.source, self.uri, self.size, self.etag, self.modified])
    }
}

/// The address of a view's values: its SQL and that of the views below it, what the configuration says of labels and sources, the
/// keys and times of the label rows, and the files that are read for them.
///
/// # Errors
/// Keys that have no order, which is a defect.
pub fn view_address(
    project: &Project,
    view: &View,
    labels: &Labels,
    files: &BTreeSet<FileIdentity>,
    engine: Engine,
) -> DfResult<Address> {
    let config = &project.inputs.config;
    let (views, sources) = below(project, view);
    let views: Vec<Value> = views.iter().map(|v| json!([v.name, v.alias, v.sql.text])).collect();
    let sources: Vec<Value> = config
        .sources
        .iter()
        .filter(|s| sources.contains(&s.name))
        .map(|s| {
            let times = [format!("{:?}", s.kind), format!("{:?}", s.future_events), s.timezone.to_string()];
            json!([s.name, s.time, s.available_at, s.delay_ns, s.id, s.deleted, times])
        })
        .collect();
    let keys: Vec<Value> =
        view.keys.iter().map(|k| json!([k.label, k.label_name, k.column, k.data_type.to_string()])).collect();
    let features: Vec<Value> = view.features.iter().map(|f| json!([f.column, f.data_type.to_string()])).collect();
    let versions = [env!("CARGO_PKG_VERSION"), datafusion::DATAFUSION_VERSION];
    let config = json!([versions, engine.name(), format!("{:?}", config.labels.tie), sources, keys, features]);
    let files: Vec<Value> = files.iter().map(FileIdentity::json).collect();
    let depends = Depends {
        sql: digest(&json!(views)),
        config: digest(&config),
        labels: spine(labels, view)?,
        files: digest(&json!(files)),
    };
    Ok(Address::new(&view.name, depends))
}

/// The view and all views below it, in dependency order, and the names of their sources.
fn below<'a>(project: &'a Project, view: &View) -> (Vec<&'a View>, BTreeSet<String>) {
    let mut wanted: BTreeSet<String> = BTreeSet::from([view.name.clone()]);
    let mut views = Vec::new();
    for candidate in project.views.iter().rev() {
        if wanted.contains(&candidate.name) {
            wanted.extend(candidate.reads.iter().cloned());
            views.push(candidate);
        }
    }
    views.reverse();
    (views, wanted)
}

/// The keys that the view asks for and the label times, in their order.
fn spine(labels: &Labels, view: &View) -> DfResult<String> {
    let mut hash = Hasher::default();
    hash.update(&u64::try_from(labels.rows()).unwrap_or(u64::MAX).to_le_bytes());
    labels.times.values().iter().for_each(|time| hash.update(&time.to_le_bytes()));
    if !view.keys.is_empty() {
        let columns: Vec<_> = view.keys.iter().map(|k| std::sync::Arc::clone(&labels.keys[k.label])).collect();
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
        for row in &rows {
            let bytes = row.data();
            hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(bytes);
        }
    }
    Ok(hash.finish())
}
