//! What a run leaves behind: files, then the manifest that makes them a run.
//!
//! The protocol, so that a reader never meets half a run, and two runs never mix:
//!
//! 1. Before the long work the folder is looked at: which manifest stands there, whether anybody is writing, and whether the
//!    store keeps the conditions of a write (`conditions.rs`). One that does not is refused.
//! 2. Everything is computed and encoded before the first write.
//! 3. The right to write is taken (`writer.rs`): a lock on disk, an object made only if absent in a store. With it stands the
//!    list of files about to be written. Of two runs at once one gets it; the other stops, and has written nothing. So does one
//!    that finds another manifest than when it began. The right of a writer that is gone is taken over, its list with it.
//! 4. The files are written. Names of data hold a hash of its bytes: no data of an older run is overwritten. The two
//!    reports, whose names are fixed, come last. On disk all of it is synced.
//! 5. `manifest.json` is written in one step: if absent, or if it still is the one that stood at the beginning; renamed on
//!    disk. What then stands there is read back. From here on the new run stands.
//! 6. Files that the old manifest or a list of an interrupted run names, and the new manifest does not, are removed.
//!
//! Files that nobody lists are not ours: with any in its folders a run is refused before the long work.

mod commit;
mod conditions;
mod file;
mod manifest;
mod parts;
mod writer;

#[cfg(test)]
mod commit_tests;

pub use commit::{Committed, OutputFolder, read_manifest, run_files};
pub use file::{Content, NewFile, upload};
pub use manifest::{
    ChunkEntry, Depends, FileEntry, Hasher, InputEntry, Listed, Manifest, Outline, Versions, ViewEntry, sha256_hex,
};
pub use parts::Parts;
