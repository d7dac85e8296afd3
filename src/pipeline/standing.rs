//! Whether a run that would be made again already stands: same command, configuration, SQL, inputs and version.

use datafusion::object_store::{Error as StoreError, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::analysis::Project;
use crate::config::without_secrets;
use crate::error::{Error, Result};
use crate::output::{Hasher, Outline, sha256_hex};
use crate::replay::Engine;
use crate::source::{Location, ParquetTable};
use crate::verify::check_file;

/// A run that stands and would not become another.
#[derive(Debug, Clone)]
pub struct Standing {
    pub uri: String,
    pub generated_at: String,
    /// The report as it was written.
    pub report: Value,
    /// And as it was told to people.
    pub summary: String,
    pub passed: bool,
}

/// What the last run told, for the next one to tell again.
const LAST: &str = ".backcast/last.json";

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    identity: String,
    report: Value,
    summary: String,
}

/// A hash over all that a run is made of. `today` is part of it where a source's events expire: what is told of that changes by the day.
pub(super) fn identity(project: &Project, command: &str, engine: Engine, config_text: &str) -> String {
    let inputs = &project.inputs;
    let expires = inputs.config.sources.iter().any(|s| s.retention.is_some());
    let today = expires.then(|| chrono::Utc::now().date_naive().to_string());
    // Their hash: there may be a hundred thousand.
    let files = |table: &ParquetTable| {
        let mut hasher = Hasher::default();
        for f in &table.files.files {
            let file = json!([without_secrets(&f.uri()), f.meta.size, f.meta.e_tag, f.meta.last_modified.to_rfc3339()]);
            hasher.update(file.to_string().as_bytes());
        }
        hasher.finish()
    };
    let sources: Vec<_> = inputs.logs.iter().map(|log| (log.config.name.as_str(), files(&log.table))).collect();
    let snapshots: Vec<_> = project.snapshots.iter().map(|s| (s.config.name.as_str(), files(&s.table))).collect();
    let views: Vec<_> = project.views.iter().map(|v| (v.name.as_str(), v.sql.text.as_str())).collect();
    let all = json!({
        "command": command,
        "engine": engine.name(),
        "versions": [env!("CARGO_PKG_VERSION"), datafusion::DATAFUSION_VERSION],
        "config": config_text,
        "base": inputs.config.base.display().to_string(),
        "views": views,
        "labels": files(&inputs.labels.table),
        "sources": sources,
        "snapshots": snapshots,
        "today": today,
    });
    sha256_hex(all.to_string().as_bytes())
}

/// The run that stands, where it has this identity and all its files are whole; else, where a file is not, which one.
///
/// # Errors
/// A storage error.
pub(super) async fn standing(
    output: &Location,
    manifest: Option<&Outline>,
    identity: &str,
) -> Result<Result<Standing, Option<String>>> {
    let Some(manifest) = manifest.filter(|m| m.identity.as_deref() == Some(identity)) else { return Ok(Err(None)) };
    for file in &manifest.files {
        if check_file(output, file).await?.1.is_some() {
            return Ok(Err(Some(file.path.clone())));
        }
    }
    let told = match read(output, LAST).await? {
        Some(bytes) => serde_json::from_slice::<Told>(&bytes).ok().filter(|told| told.identity == identity),
        None => None,
    };
    let Some(Told { report, summary, .. }) = told else { return Ok(Err(None)) };
    let gates = report.get("gates").and_then(Value::as_array);
    let passed = gates.is_some_and(|gates| gates.iter().all(|g| g.get("passed") == Some(&Value::Bool(true))));
    Ok(Ok(Standing { uri: output.uri.clone(), generated_at: manifest.generated_at.clone(), report, summary, passed }))
}

/// A file of the output; `None` where there is none.
///
/// # Errors
/// A storage error.
pub(super) async fn read(output: &Location, path: &str) -> Result<Option<Vec<u8>>> {
    let at = output.join(path);
    let failed = |e: StoreError| Error::storage(format!("read `{}`", at.uri), e);
    match at.store.get(&at.path).await {
        Ok(found) => Ok(Some(found.bytes().await.map_err(failed)?.to_vec())),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

/// Keeps what a committed run told.
///
/// # Errors
/// A storage error.
pub(super) async fn keep(output: &Location, identity: &str, report: &str, summary: String) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| Error::storage(format!("write `{}`", output.join(LAST).uri), e);
    let report = serde_json::from_str(report).map_err(|e| failed(&e))?;
    let told = Told { identity: identity.to_string(), report, summary };
    let bytes = serde_json::to_vec(&told).map_err(|e| failed(&e))?;
    let at = output.join(LAST);
    at.store.put(&at.path, PutPayload::from(bytes)).await.map_err(|e| failed(&e))?;
    Ok(())
}
