//! As-of values for label rows: which engine, the run of it, and its results in the order of the labels.
//!
//! * [`reference`] does literally what the law says, one label time after the other. It is what all else is held against.
//! * [`set`] runs the as-of rewrite for all label times at once.
//!
//! Both give [`ViewValues`]: a column per feature with one value per label row, and which label rows the view has a row
//! for. Defaults (`when_missing`, `when_null`) are filled in after that, in one place.

mod chunks;
mod engine;
mod narrow;
mod observers;
mod prepared;
pub mod reference;
mod self_check;
mod set;
mod together;
mod values;

pub use chunks::{Chunk, Weights, chunks, in_effect};
pub use engine::{Engine, EngineChoice, Replay, ReplayOptions, ViewReplay, choose, replay, replay_view};
pub use observers::{LabelObservers, Outlook};
pub use prepared::PreparedReplay;
pub use self_check::{SelfCheck, self_check};
pub use set::optimized;
pub use together::replay_together;
pub use values::ViewValues;
