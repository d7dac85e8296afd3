//! From a URI to the Parquet files it names: a file, a folder (recursively), or a glob.

use std::sync::Arc;

use datafusion::object_store::{ObjectMeta, ObjectStoreExt};
use futures::TryStreamExt;
use glob::{MatchOptions, Pattern};

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::source::store::{Location, Stores, store_error};

/// A file of a table. There may be a hundred thousand of them: what files have in common is held once, and what their path says is not
/// held at all.
#[derive(Debug, Clone)]
pub struct DataFile {
    /// The store's own pin.
    pub meta: Arc<ObjectMeta>,
    /// What stands before the object's path: `/`, or `s3://bucket/`.
    root: Arc<str>,
    /// Leading folders that name no partition.
    skipped: usize,
}

impl DataFile {
    /// What messages show.
    pub fn uri(&self) -> String {
        format!("{}{}", self.root, self.meta.location)
    }

    /// Hive partition values (`dt=2025-03-01`) of its folders, outermost first: name, and value as it is written.
    fn written(&self) -> impl Iterator<Item = (&str, &str)> {
        let path = self.meta.location.as_ref();
        let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
        let pairs = folders.split('/').skip(self.skipped).filter_map(|part| part.split_once('='));
        pairs.filter(|(name, _)| !name.is_empty())
    }

    /// The names of its Hive partitions.
    pub fn partitions(&self) -> impl Iterator<Item = &str> {
        self.written().map(|(name, _)| name)
    }

    /// The value of a Hive partition: `None` where no folder names it, or Hive's NULL.
    pub fn partition(&self, name: &str) -> Option<String> {
        let (_, value) = self.written().find(|(own, _)| *own == name)?;
        (value != HIVE_NULL).then(|| unescaped(value))
    }
}

/// All files that one URI names, in the order of their paths.
#[derive(Debug, Clone)]
pub struct Files {
    pub location: Location,
    pub files: Vec<DataFile>,
}

/// How Hive writes a NULL partition value.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Lists the files of `uri` (resolved). Folders shared with `base`, the config's own folder, are no Hive partitions.
///
/// # Errors
/// Bad input where nothing is there; a storage error where the store does not answer.
pub async fn list(stores: &Stores, uri: &str, base: &str) -> Result<Files> {
    let (fixed, pattern) = split_glob(uri);
    let location = stores.locate(fixed)?;
    let mut found: Vec<ObjectMeta> = match &pattern {
        // A folder is known by its slash: it need not be asked for as a file.
        None if uri.ends_with('/') => listed(&location).await?.into_iter().filter(|m| is_data(&location, m)).collect(),
        None => match location.store.head(&location.path).await {
            Ok(meta) => vec![meta],
            _ => listed(&location).await?.into_iter().filter(|m| is_data(&location, m)).collect(),
        },
        Some(pattern) => {
            let pattern = Pattern::new(pattern).map_err(|e| {
                Error::input(Finding::error(format!("`{uri}` is not a glob: {e}")).help("quote `[` as `[[]`"))
            })?;
            listed(&location).await?.into_iter().filter(|m| matches(&pattern, &location, m)).collect()
        }
    };
    found.sort_by(|a, b| a.location.cmp(&b.location));
    if found.is_empty() {
        let finding = Finding::error(format!("`{uri}` holds no Parquet file"))
            .help("a folder is searched for `*.parquet`, except names that start with `.` or `_`");
        return Err(Error::input(finding));
    }
    let pinned = stores.pin(&location, found)?;
    let skipped = shared_parts(base, &location);
    let root: Arc<str> = if location.is_local() { "/".into() } else { location.url.as_str().into() };
    let file = |meta| DataFile { meta, root: Arc::clone(&root), skipped };
    let files = pinned.into_iter().map(file).collect();
    Ok(Files { location, files })
}

/// Everything before the first path component that holds a wildcard, and the rest.
fn split_glob(uri: &str) -> (&str, Option<&str>) {
    match uri.find(['*', '?', '[']) {
        None => (uri, None),
        Some(wildcard) => {
            let cut = uri[..wildcard].rfind('/').map_or(0, |slash| slash + 1);
            (&uri[..cut], Some(&uri[cut..]))
        }
    }
}

async fn listed(location: &Location) -> Result<Vec<ObjectMeta>> {
    let prefix = (!location.path.as_ref().is_empty()).then_some(&location.path);
    location.store.list(prefix).try_collect().await.map_err(|e| store_error("list", &location.uri, e))
}

/// The path components of an object below its location.
fn below<'a>(location: &Location, meta: &'a ObjectMeta) -> Vec<&'a str> {
    let skip = location.path.parts().count();
    meta.location.as_ref().split('/').skip(skip).collect()
}

/// In a folder only `*.parquet` is data, and nothing whose name, or whose folder's, starts with `.` or `_`.
fn is_data(location: &Location, meta: &ObjectMeta) -> bool {
    let parts = below(location, meta);
    meta.location.as_ref().ends_with(".parquet") && !parts.iter().any(|p| p.starts_with(['.', '_']))
}

/// A glob takes the files it matches, and the Parquet files of the folders it matches.
fn matches(pattern: &Pattern, location: &Location, meta: &ObjectMeta) -> bool {
    let options =
        MatchOptions { require_literal_separator: true, require_literal_leading_dot: true, ..MatchOptions::new() };
    let parts = below(location, meta);
    let upto = |n: usize| parts[..n].join("/");
    if pattern.matches_with(&upto(parts.len()), options) {
        return true;
    }
    is_data(location, meta) && (1..parts.len()).any(|n| pattern.matches_with(&upto(n), options))
}

/// How many leading components a path shares with the config's folder: those name no partition.
fn shared_parts(base: &str, location: &Location) -> usize {
    if !location.is_local() {
        return 0;
    }
    let base = base.split('/').filter(|part| !part.is_empty());
    location.path.as_ref().split('/').zip(base).take_while(|(a, b)| a == b).count()
}

/// Hive escapes characters that a path can't hold as `%XX`.
fn unescaped(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    let bytes = value.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let code = (bytes[i] == b'%')
            .then(|| bytes.get(i + 1..i + 3))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(code.unwrap_or(bytes[i]));
        i += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_starts_at_the_component_with_the_first_wildcard() {
        assert_eq!(split_glob("/a/b/dt=*/x.parquet"), ("/a/b/", Some("dt=*/x.parquet")));
        assert_eq!(split_glob("s3://b/a/x.parquet"), ("s3://b/a/x.parquet", None));
    }

    #[test]
    fn hive_values_are_unescaped() {
        assert_eq!(unescaped("2025-03-01%2010%3A00"), "2025-03-01 10:00");
        assert_eq!(unescaped("50%"), "50%");
    }
}
