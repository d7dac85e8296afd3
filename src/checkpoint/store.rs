//! Checkpoints in the output folder.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::DataType;
use datafusion::object_store::{Error as StoreError, ObjectMeta, ObjectStoreExt};
use futures::TryStreamExt;

use crate::checkpoint::address::Address;
use crate::checkpoint::codec::{Saved, decode, encode};
use crate::error::{Error, Result};
use crate::output::{Content, Depends, upload};
use crate::source::Location;

/// Below the output folder.
const FOLDER: &str = ".backcast/chunks";
const ENDING: &str = ".chunk";

/// An object that holds the values of a view for a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub view: String,
    pub depends: Depends,
    /// Below the output folder.
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
}

impl Checkpoint {
    fn new(address: &Address, view: &str, path: String, rows: u64, (bytes, sha256): (u64, String)) -> Self {
        Self { view: view.to_string(), depends: address.depends.clone(), path, rows, bytes, sha256 }
    }
}

/// What is kept at an address.
#[derive(Debug)]
pub enum Found {
    Values(Saved),
    Nothing,
    /// An object that is not what was written.
    Damaged,
}

/// The checkpoints of an output folder, and those that this run made or used.
#[derive(Debug)]
pub struct Checkpoints {
    output: Location,
    /// Whether what is there is not to be used.
    fresh: bool,
    used: BTreeMap<Address, Checkpoint>,
}

impl Checkpoints {
    pub fn new(output: Location, fresh: bool) -> Self {
        Self { output, fresh, used: BTreeMap::new() }
    }

    fn path(address: &Address) -> String {
        format!("{FOLDER}/{address}{ENDING}")
    }

    /// From here on what is there may be used: this run made it.
    pub fn trust(&mut self) {
        self.fresh = false;
    }

    /// Looks for values of these types for so many label rows.
    ///
    /// # Errors
    /// A storage error, other than that nothing is there.
    pub async fn load(&mut self, address: &Address, view: &str, types: &[DataType], rows: usize) -> Result<Found> {
        if self.fresh {
            return Ok(Found::Nothing);
        }
        let path = Self::path(address);
        let at = self.output.join(&path);
        let failed = |e: StoreError| Error::storage(format!("read `{}`", at.uri), e);
        let bytes = match at.store.get(&at.path).await {
            Ok(found) => found.bytes().await.map_err(failed)?,
            Err(StoreError::NotFound { .. }) => return Ok(Found::Nothing),
            Err(e) => return Err(failed(e)),
        };
        let Some((saved, sha256)) = decode(&bytes, address, types, rows) else { return Ok(Found::Damaged) };
        let size = bytes.len() as u64;
        self.note(address, Checkpoint::new(address, view, path, rows as u64, (size, sha256)));
        Ok(Found::Values(saved))
    }

    /// Keeps values.
    ///
    /// # Errors
    /// A storage error.
    pub async fn save(&mut self, address: &Address, view: &str, saved: &Saved) -> Result<()> {
        let path = Self::path(address);
        let at = self.output.join(&path);
        let rows = saved.values.found.len() as u64;
        let (bytes, sha256) = encode(address, view, saved, !at.is_local())
            .map_err(|e| Error::storage(format!("write `{}`", at.uri), e))?;
        let size = bytes.len() as u64;
        upload(&at, Content::Memory(bytes)).await?;
        self.note(address, Checkpoint::new(address, view, path, rows, (size, sha256)));
        Ok(())
    }

    fn note(&mut self, address: &Address, checkpoint: Checkpoint) {
        self.used.insert(address.clone(), checkpoint);
    }

    /// What this run made or used at an address.
    pub fn used(&self, address: &Address) -> Option<&Checkpoint> {
        self.used.get(address)
    }

    async fn listed(&self) -> Result<Vec<ObjectMeta>> {
        let at = self.output.join(FOLDER);
        let all: Vec<_> = at
            .store
            .list(Some(&at.path))
            .try_collect()
            .await
            .map_err(|e: StoreError| Error::storage(format!("list `{}`", at.uri), e))?;
        Ok(all.into_iter().filter(|o| o.location.filename().is_some_and(|name| name.ends_with(ENDING))).collect())
    }

    /// Removes what this run had no use for: its values stand in the output now.
    ///
    /// # Errors
    /// A storage error.
    pub async fn clear_others(&self) -> Result<()> {
        let own = |name: &str| self.used.keys().any(|address| name.strip_suffix(ENDING) == Some(address.as_str()));
        for object in self.listed().await? {
            if object.location.filename().is_some_and(|name| !own(name)) {
                match self.output.store.delete(&object.location).await {
                    Ok(()) | Err(StoreError::NotFound { .. }) => {}
                    Err(e) => return Err(Error::storage(format!("remove `{}`", object.location), e)),
                }
            }
        }
        Ok(())
    }
}
