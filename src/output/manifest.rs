//! `manifest.json`: what a run read, what it wrote, with what.

use std::io::Write;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The manifest's version.
const FORMAT: u32 = 1;

/// A finished run. `I`: its inputs, of which there may be a hundred thousand; what writes a manifest gives them one after the other
/// ([`Listed`]), and what needs none reads past them ([`Outline`]).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest<I = Vec<InputEntry>> {
    pub format: u32,
    pub project: String,
    /// The command that made the run: `replay`, `diff` or `run`.
    pub command: String,
    pub generated_at: String,
    pub versions: Versions,
    /// SHA-256 of the config file's text and of the overrides.
    pub config_sha256: String,
    pub views: Vec<ViewEntry>,
    pub inputs: I,
    pub files: Vec<FileEntry>,
    /// Replayed values that are kept for the next run.
    #[serde(default)]
    pub chunks: Vec<ChunkEntry>,
    /// A hash over all that the run was made of: a run that would be made of the same has nothing to do.
    #[serde(default)]
    pub identity: Option<String>,
}

/// A manifest whose inputs were read past.
pub type Outline = Manifest<IgnoredAny>;

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

/// Inputs that are made while they are written.
#[derive(Clone, Copy)]
pub struct Listed<F>(F);

impl<F> std::fmt::Debug for Listed<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listed")
    }
}

impl<F: Fn() -> I, I: Iterator<Item = InputEntry>> Listed<F> {
    pub fn new(inputs: F) -> Self {
        Self(inputs)
    }
}

impl<F: Fn() -> I, I: Iterator<Item = InputEntry>> Serialize for Listed<F> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// A file of the run, by its path below the output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: String,
    pub rows: Option<u64>,
    pub bytes: u64,
    pub sha256: String,
}

impl<I: Serialize> Manifest<I> {
    /// The manifest's text: JSON whose last key is the SHA-256 of the rest, so that no change of it goes unseen.
    ///
    /// # Errors
    /// None but of serialisation.
    pub fn sealed(&self) -> std::io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.seal_to(&mut text)?;
        Ok(text)
    }

    /// Writes the manifest's text, which is not held.
    ///
    /// # Errors
    /// Of writing.
    pub fn seal_to(&self, to: impl Write) -> std::io::Result<()> {
        let mut sealer = Sealer { to, hasher: Hasher::default(), end: Vec::new() };
        serde_json::to_writer_pretty(&mut sealer, self)?;
        let Sealer { mut to, mut hasher, end } = sealer;
        hasher.update(&end);
        to.write_all(seal(&hasher.finish()).as_bytes())?;
        to.flush()
    }
}

/// Passes on all but the end of the text, in whose place the seal is to stand.
struct Sealer<W> {
    to: W,
    hasher: Hasher,
    end: Vec<u8>,
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.end.extend_from_slice(bytes);
        let passed = self.end.len().saturating_sub(END.len());
        self.hasher.update(&self.end[..passed]);
        self.to.write_all(&self.end[..passed])?;
        self.end.drain(..passed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// How a manifest ends without its own hash.
const END: &str = "\n}";

/// The key of the manifest's own hash, as it is written.
const SEAL: &str = ",\n  \"sha256\": \"";

/// How it ends with it.
fn seal(sha256: &str) -> String {
    format!("{SEAL}{sha256}\"{END}")
}

impl<I: DeserializeOwned> Manifest<I> {
    /// Reads a manifest's text.
    ///
    /// # Errors
    /// Why it is none of ours: cut short, changed, or of another version.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(text).map_err(|e| match e.classify() {
            serde_json::error::Category::Data => e.to_string(),
            _ => format!("it is no JSON: {e}"),
        })?;
        let own = text.len().checked_sub(seal(&sha256_hex(&[])).len()).map(|at| text.split_at(at));
        let (rest, own) = own
            .filter(|(_, own)| own.starts_with(SEAL.as_bytes()))
            .ok_or("it does not end with the `sha256` of its own text")?;
        let mut hasher = Hasher::default();
        hasher.update(rest);
        hasher.update(END.as_bytes());
        if own != seal(&hasher.finish()).as_bytes() {
            return Err("its text has been changed: it does not have its own `sha256`".to_string());
        }
        match manifest.format {
            FORMAT => Ok(manifest),
            other => Err(format!("its format is {other}, this version reads {FORMAT}")),
        }
    }
}

/// SHA-256 of bytes that come piece by piece.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// In lower-case hexadecimal.
    pub fn finish(self) -> String {
        use std::fmt::Write as _;
        self.0.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bit_of_a_manifest_can_be_flipped_unseen() {
        let file =
            FileEntry { path: "dataset/part-0.parquet".to_string(), rows: Some(3), bytes: 7, sha256: "ab".repeat(32) };
        let manifest = Manifest {
            format: FORMAT,
            project: "a project \u{e9}".to_string(),
            command: "run".to_string(),
            generated_at: "2026-01-01T00:00:00Z".to_string(),
            versions: Versions::current(),
            config_sha256: String::new(),
            views: Vec::new(),
            inputs: Vec::<InputEntry>::new(),
            files: vec![file],
            chunks: Vec::new(),
            identity: None,
        };
        let text = manifest.sealed().unwrap();
        let read: Manifest = Manifest::read(&text).unwrap();
        assert_eq!((read.project, read.files), (manifest.project, manifest.files));
        for byte in 0..text.len() {
            assert!(Outline::read(&text[..byte]).is_err(), "cut at {byte}");
            for bit in 0..8 {
                let mut flipped = text.clone();
                flipped[byte] ^= 1 << bit;
                assert!(Outline::read(&flipped).is_err(), "bit {bit} of byte {byte}");
            }
        }
    }
}
