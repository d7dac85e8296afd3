//! Whether a finished run still is what it was: its manifest, its files, its inputs, and a sample of its values.
//!
//! Three questions with three answers. A file of the run that is gone, short or changed, or one that no manifest lists: the
//! run is *damaged*. An input that is another than the run read, or is gone, or is new: the run is what it was, but a new one would
//! give something else. A sample that the reference engine computes otherwise: the values are wrong, or the inputs, the config
//! or the SQL have changed.
//!
//! Nothing is written, and no file is held in memory whole.

mod cells;
mod files;
mod inputs;
mod model;

pub use cells::{Expected, compare_cells, positions, read_table};
pub use files::{check_chunks, check_file, check_files};
pub use inputs::{Present, check_inputs};
pub use model::{Damage, FilesVerified, InputChange, InputsVerified, RunVerified, SampleVerified, Verified};
