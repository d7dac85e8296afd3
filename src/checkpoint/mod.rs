//! Values that were replayed once are kept beside the output, and found again: by a run that goes on after it was killed, and by
//! the next run, where nothing that they depend on has changed.
//!
//! What is kept is one view's values for the label rows of one chunk. It is found by its *address*: a hash over all that the values
//! depend on ([`Address`]). So nothing is ever looked up that could be stale, and nobody has to say what changed.
//!
//! A checkpoint is one object, written in one step, which ends with the hash of what stands before it ([`codec`]). One that was cut
//! short or damaged is as good as none: its values are replayed again.

mod address;
mod codec;
mod store;

pub use address::{Address, FileIdentity, view_address};
pub use codec::Saved;
pub use store::{Checkpoint, Checkpoints, Found};
