//! `manifest.json`: what a run read, what it wrote, with what.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The manifest's version.
pub(super) const FORMAT: u32 = 1;

/// A finished run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub project: String,
    /// The command that made the run: `replay`, `diff` or `run`.
    pub command: String,
    pub generated_at: String,
    pub versions: Versions,
    /// SHA-256 of the config file's text and of the overrides.
    pub config_sha256: String,
    pub views: Vec<ViewEntry>,
    pub inputs: Vec<InputEntry>,
    pub files: Vec<FileEntry>,
    /// Replayed values that are kept for the next run.
    #[serde(default)]
    pub chunks: Vec<ChunkEntry>,
    /// A hash over all that the run was made of: a run that would be made of the same has nothing to do.
    #[serde(default)]
    pub identity: Option<String>,
}

/// One view's values for the label rows of a chunk, kept below the output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEntry {
    pub view: String,
    /// Label times; `None`: open.
    pub from: Option<String>,
    pub until: Option<String>,
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
    pub depends: Depends,
}

/// What values depend on, part by part, each as a hash: says what has changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Depends {
    /// The view and the views below it.
    pub sql: String,
    /// What the configuration says of labels and sources, the engine, and the versions.
    pub config: String,
    /// Keys and times of the label rows.
    pub labels: String,
    /// Files of the sources that are read.
    pub files: String,
}

impl Depends {
    /// What is another here, in words.
    pub fn changed_since(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            (self.sql != other.sql, "its SQL"),
            (self.config != other.config, "the configuration, the engine or the version"),
            (self.labels != other.labels, "the label rows"),
            (self.files != other.files, "the files of its sources"),
        ];
        parts.into_iter().filter(|(changed, _)| *changed).map(|(_, what)| what).collect()
    }
}

/// What made the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Versions {
    pub backcast: String,
    pub datafusion: String,
}

impl Versions {
    pub fn current() -> Self {
        Self { backcast: env!("CARGO_PKG_VERSION").to_string(), datafusion: datafusion::DATAFUSION_VERSION.to_string() }
    }
}

/// A view of the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ViewEntry {
    pub view: String,
    pub engine: Option<String>,
    pub sql_sha256: String,
}

/// An object that the run read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InputEntry {
    /// `labels`, `sources.NAME` or `snapshots.NAME`.
    pub input: String,
    pub uri: String,
    pub size: u64,
    pub etag: Option<String>,
    pub last_modified: String,
}

/// A file of the run, by its path below the output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: String,
    pub rows: Option<u64>,
    pub bytes: u64,
    pub sha256: String,
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
