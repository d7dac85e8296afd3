//! What `verify` found, as a value: its JSON, and its text.

use std::fmt::Write as _;

use serde::Serialize;

/// All that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    pub format: u32,
    pub uri: String,
    /// Whether files, and the sample where one was taken, are as they should be.
    pub intact: bool,
    /// What the manifest says of the run; `null` where there is none that can be read.
    pub run: Option<RunVerified>,
    pub files: FilesVerified,
    pub inputs: InputsVerified,
    pub sample: Option<SampleVerified>,
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct RunVerified {
    pub project: String,
    pub command: String,
    pub generated_at: String,
    pub backcast: String,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct FilesVerified {
    pub listed: usize,
    /// Read and hashed.
    pub bytes: u64,
    pub damages: Vec<Damage>,
}

/// A file that is not as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Damage {
    pub path: String,
    /// `manifest`, `missing`, `size`, `hash` or `stranger`.
    pub damage: &'static str,
    pub detail: String,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct InputsVerified {
    pub listed: usize,
    pub changes: Vec<InputChange>,
}

/// An input that is not as the run read it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct InputChange {
    /// `labels`, `sources.NAME` or `snapshots.NAME`.
    pub input: String,
    pub uri: String,
    /// `changed`, `gone`, `new` or `unreadable`.
    pub change: &'static str,
    pub detail: String,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct SampleVerified {
    /// Label rows that were computed anew.
    pub rows: usize,
    /// Values, label columns and provenance of these.
    pub cells: usize,
    pub differences: usize,
    /// The first of them.
    pub examples: Vec<String>,
}

/// As many lines of one kind are printed.
const SHOWN: usize = 10;

impl Verified {
    /// Whether the inputs are as the run read them.
    pub fn inputs_stand(&self) -> bool {
        self.inputs.changes.is_empty()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(run) = &self.run {
            let _ = writeln!(text, "{}: {} of {}, {}", self.uri, run.command, run.project, run.generated_at);
        } else {
            let _ = writeln!(text, "{}", self.uri);
        }
        let files = &self.files;
        let mb = files.bytes as f64 / 1e6;
        match files.damages.len() {
            0 => {
                let _ = writeln!(text, "files    {} listed, all there with their hash ({mb:.1} MB read)", files.listed);
            }
            n => {
                let _ = writeln!(text, "files    {} listed, {n} not as they were:", files.listed);
                lines(&mut text, files.damages.iter().map(|d| format!("{}: {} ({})", d.path, d.detail, d.damage)));
            }
        }
        let inputs = &self.inputs;
        match inputs.changes.len() {
            0 => {
                let _ = writeln!(text, "inputs   {} listed, all as the run read them", inputs.listed);
            }
            n => {
                let _ = writeln!(text, "inputs   {} listed, {n} not as the run read them:", inputs.listed);
                lines(
                    &mut text,
                    inputs.changes.iter().map(|c| format!("{} {}: {} {}", c.change, c.input, c.uri, c.detail)),
                );
            }
        }
        if let Some(sample) = &self.sample {
            let _ = match sample.differences {
                0 => writeln!(
                    text,
                    "sample   {} label rows computed anew by the reference engine: all {} cells equal",
                    sample.rows, sample.cells
                ),
                n => writeln!(
                    text,
                    "sample   {} label rows computed anew by the reference engine: {n} of {} cells differ:",
                    sample.rows, sample.cells
                ),
            };
            lines(&mut text, sample.examples.iter().cloned());
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        let verdict = match (self.intact, self.inputs_stand()) {
            (true, true) => "intact",
            (true, false) => "intact; a new run may give another result",
            (false, _) => "damaged: run again, or restore the files",
        };
        let _ = writeln!(text, "{verdict}");
        text
    }
}

fn lines(text: &mut String, all: impl ExactSizeIterator<Item = String>) {
    let more = all.len().saturating_sub(SHOWN);
    for line in all.take(SHOWN) {
        let _ = writeln!(text, "  {line}");
    }
    if more > 0 {
        let _ = writeln!(text, "  and {more} more: `--format json` lists all");
    }
}
