//! What a run found, as one value, and the forms in which it is told: JSON for machines, a summary for the
//! terminal, a page for people.
//!
//! Reports see values, never plans or storage; nothing here prints or writes a file. Whatever comes from data or
//! configuration (keys, values, names, reasons) is made harmless by the form that tells it: control characters never
//! reach a terminal, markup never reaches a page.

mod calendar;
mod causes;
mod choices;
mod html;
mod json;
mod leaks;
mod model;
#[cfg(test)]
mod samples;
mod sentence;
mod shell;
mod table;
mod terminal;
mod text;
mod trace;
mod verdict;

pub use choices::{ChosenAlike, choices_text, chosen_alike};
pub use html::html;
pub use json::json;
pub use model::{
    ChunkReport, ChunkView, FORMAT, Gate, GateKind, LabelsReport, Leak, ModelFeature, ModelReport, Note, OutputReport,
    Report, SelfCheck, SourceCounts, Timing, Verdict, ViewReport, ViewSource,
};
pub use sentence::{far_ahead, leak_clause};
pub use terminal::{Style, summary};
pub use text::{counted, freeze_ends, size, thousands};
pub use trace::trace_text;
