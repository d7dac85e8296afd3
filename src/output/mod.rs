//! What a run leaves behind: files, then the manifest that makes them a run.
//!
//! The protocol, so that a reader never meets half a run:
//!
//! 1. Everything is computed and encoded before the first write.
//! 2. `.backcast-pending.json` is made, if it is not there: who writes, and the list of files about to be written. Of two
//!    runs at once one makes it; the other stops, and has written nothing. So does one that finds another manifest than
//!    when it began. A list whose writer is gone is taken over.
//! 3. The files are written. Names of data hold a hash of its bytes: no data of an older run is overwritten. The two
//!    reports, whose names are fixed, come last.
//! 4. `manifest.json` is written in one step. From here on the new run stands.
//! 5. Files that the old manifest or a list of an interrupted run names, and the new manifest does not, are removed.
//!
//! Files that nobody lists are not ours: with any in its folders a run is refused before the long work.

mod commit;
mod file;
mod manifest;
mod parts;

pub use commit::{Committed, OutputFolder};
pub use file::{Content, NewFile, upload};
pub use parts::Parts;
pub use manifest::{ChunkEntry, Depends, FileEntry, InputEntry, Manifest, Versions, ViewEntry, sha256_hex};
