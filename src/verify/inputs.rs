//! The inputs that the manifest lists, against what is there now.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::object_store::path::Path;
use datafusion::object_store::{Error as StoreError, ObjectMeta, ObjectStoreExt};
use futures::StreamExt;

use crate::error::Result;
use crate::output::{InputEntry, Manifest};
use crate::source::{Location, Stores};
use crate::verify::model::{InputChange, InputsVerified};

/// Inputs asked for at once.
const AT_ONCE: usize = 32;

/// What is there now: by input, the objects that its URI names, by their URI. Empty where no config says so.
pub type Present = BTreeMap<String, BTreeMap<String, Arc<ObjectMeta>>>;

/// Holds all inputs against what is there now; those that `present` lacks are asked for one by one.
///
/// # Errors
/// None of its own: what can't be read is told as such.
pub async fn check_inputs(manifest: &Manifest, stores: &Stores, present: &Present) -> Result<InputsVerified> {
    let mut verified = InputsVerified { listed: manifest.inputs.len(), ..InputsVerified::default() };
    let mut found: Vec<Option<InputChange>> = futures::stream::iter(&manifest.inputs)
        .map(|entry| check(entry, stores, present.get(&entry.input).and_then(|own| own.get(&entry.uri))))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut listed: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for entry in &manifest.inputs {
        listed.entry(&entry.input).or_default().insert(&entry.uri);
    }
    for (input, objects) in present {
        // What the run did not read at all, such as snapshots by `replay`, has no new files.
        let Some(listed) = listed.get(input.as_str()) else { continue };
        for uri in objects.keys().filter(|uri| !listed.contains(uri.as_str())) {
            found.push(Some(InputChange {
                input: input.clone(),
                uri: uri.clone(),
                change: "new",
                detail: "was not there, or not read".to_string(),
            }));
        }
    }
    verified.changes = found.into_iter().flatten().collect();
    verified.changes.sort();
    Ok(verified)
}

async fn check(entry: &InputEntry, stores: &Stores, listed: Option<&Arc<ObjectMeta>>) -> Option<InputChange> {
    let told = |change, detail: String| {
        Some(InputChange { input: entry.input.clone(), uri: entry.uri.clone(), change, detail })
    };
    let meta = match listed {
        Some(meta) => Arc::clone(meta),
        None => {
            let at = match locate(stores, &entry.uri) {
                Ok(at) => at,
                Err(e) => return told("unreadable", e.to_string()),
            };
            match at.store.head(&at.path).await {
                Ok(meta) => Arc::new(meta),
                Err(StoreError::NotFound { .. }) => return told("gone", "is not there any more".to_string()),
                Err(e) => return told("unreadable", e.to_string()),
            }
        }
    };
    if meta.size != entry.size {
        return told("changed", format!("had {} bytes, has {}", entry.size, meta.size));
    }
    let now = meta.last_modified.to_rfc3339();
    let same = match (&entry.etag, &meta.e_tag) {
        (Some(then), Some(now)) => then == now,
        _ => entry.last_modified == now,
    };
    if same { None } else { told("changed", format!("was written {}, then {now}", entry.last_modified)) }
}

/// As the manifest has it: a store and an object's path, not a path as people write it.
fn locate(stores: &Stores, uri: &str) -> Result<Location> {
    let mut at = stores.locate(uri)?;
    if at.is_local()
        && let Ok(path) = Path::parse(uri.trim_start_matches('/'))
    {
        at.path = path;
    }
    Ok(at)
}
