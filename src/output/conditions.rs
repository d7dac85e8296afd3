//! Whether a store keeps the conditions of a write: found out, never assumed.
//!
//! Some stores accept `If-None-Match` and `If-Match` and write all the same. In such a store two runs could mix, so none is
//! begun there: an object of our own is made, made again, and replaced in vain before the long work.

use chrono::{TimeDelta, Utc};
use datafusion::object_store::{
    Error as StoreError, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion,
};

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::source::{Location, store_error};

/// Asks the store to write against a condition that does not hold. Gives how far its clock is ahead of ours.
///
/// # Errors
/// Bad input where it does, or can't take a condition at all; a storage error where it can't be written.
pub(super) async fn kept(folder: &Location) -> Result<TimeDelta> {
    let now = Utc::now().timestamp_nanos_opt().unwrap_or_default();
    let at = folder.join(&format!(".backcast/probe-{}-{now:x}", std::process::id()));
    let outcome = probe(&at).await;
    let _ = at.store.delete(&at.path).await;
    match outcome {
        Ok(Probed::Kept(clock)) => Ok(clock),
        Ok(Probed::Ignored(condition)) => Err(Error::input(
            Finding::error(format!(
                "the store of `{}` does not keep conditional writes: {condition}. Two runs could mix there, so none is begun",
                folder.uri
            ))
            .help("write to a store that does (S3, GCS, Azure, MinIO, SeaweedFS) or to a local folder, and copy the finished folder"),
        )),
        Err(e) => Err(store_error("write", &folder.uri, e)),
    }
}

enum Probed {
    Kept(TimeDelta),
    Ignored(&'static str),
}

async fn probe(at: &Location) -> std::result::Result<Probed, StoreError> {
    let first = match put(at, "1", PutMode::Create).await {
        Err(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => {
            return Ok(Probed::Ignored("it has no write that fails where the object exists"));
        }
        first => first?,
    };
    let clock = at.store.head(&at.path).await?.last_modified - Utc::now();
    match put(at, "22", PutMode::Create).await {
        Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {}
        Ok(_) => return Ok(Probed::Ignored("it replaced an object that was to be made only if absent")),
        Err(e) => return Err(e),
    }
    let version = UpdateVersion::from(first);
    match put(at, "333", PutMode::Update(version.clone())).await {
        Err(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => {
            return Ok(Probed::Ignored("it has no write that fails where the object has changed"));
        }
        second => second?,
    };
    match put(at, "4444", PutMode::Update(version)).await {
        Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(Probed::Kept(clock)),
        Ok(_) => Ok(Probed::Ignored("it replaced an object though it was another than the condition named")),
        Err(e) => Err(e),
    }
}

async fn put(at: &Location, text: &'static str, mode: PutMode) -> std::result::Result<PutResult, StoreError> {
    let options = PutOptions { mode, ..PutOptions::default() };
    at.store.put_opts(&at.path, PutPayload::from_static(text.as_bytes()), options).await
}
