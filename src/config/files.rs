//! Whether the local files and folders that the configuration names exist. Other places are not asked.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::types::Config;
use super::values::{check_uri, is_local, resolve_uri};
use crate::finding::{Finding, nearest};

/// Folders with more entries than this are not searched to the end for a like name.
const MAX_NAMES: usize = 10_000;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let labels = [("labels.uri".to_string(), &config.labels.uri)];
    let sources = config.sources.iter().map(|s| (format!("sources.{}.uri", s.name), &s.uri));
    let snapshots = config.snapshots.iter().map(|s| (format!("snapshots.{}.uri", s.name), &s.uri));
    for (key, uri) in labels.into_iter().chain(sources).chain(snapshots) {
        if check_uri(uri).is_ok() && is_local(uri) {
            let path = PathBuf::from(fixed_part(&resolve_uri(&config.base, uri)));
            if let Some(finding) = missing(&path, uri, |_| true) {
                findings.push(finding.at(config.place(&key)));
            }
        }
    }
    for view in config.views.iter().filter(|view| !view.sql.is_empty()) {
        let key = format!("views.{}.sql", view.name);
        if let Some(finding) = sql_file(&view.sql, &view.sql_path) {
            findings.push(finding.at(config.place(&key)));
        }
    }
    findings
}

fn sql_file(sql: &str, path: &Path) -> Option<Finding> {
    let first = sql.split_whitespace().next().unwrap_or("").to_lowercase();
    if sql.contains('\n') || (sql.contains(' ') && ["select", "with", "create"].contains(&first.as_str())) {
        return Some(
            Finding::error("`sql` holds a query, and must be the path of a file")
                .help("put the query into a file, and its path here"),
        );
    }
    if path.is_dir() {
        return Some(Finding::error(format!("`{sql}` is a folder, and must be a file of SQL")));
    }
    missing(path, sql, |name| Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("sql")))
}

/// What to say where there is nothing at a path. `wanted` picks the names that may have been meant.
fn missing(path: &Path, written: &str, wanted: impl Fn(&str) -> bool) -> Option<Finding> {
    let error = fs::metadata(path).err()?;
    if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
        return Some(Finding::error(format!("`{written}` cannot be read: {}", error.kind())));
    }
    // The first part that is missing says more than the last.
    let mut absent = path;
    while let Some(parent) = absent.parent().filter(|parent| !parent.exists()) {
        absent = parent;
    }
    let name = absent.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = absent.parent().unwrap_or(Path::new("/"));
    let finding = Finding::error(format!("`{written}` does not exist"));
    let at_end = absent == path;
    let names = names_in(folder, |name| !at_end || wanted(name));
    Some(match nearest(&name, names.iter().map(String::as_str)) {
        Some(near) => finding.help(format!("there is no `{name}` in `{}`; did you mean `{near}`?", folder.display())),
        None => finding.help(format!("there is no `{name}` in `{}`", folder.display())),
    })
}

/// The names in a folder that `wanted` picks, in order.
pub(super) fn names_in(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.take(MAX_NAMES).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.') && wanted(name)).collect();
    names.sort();
    names
}

/// The part of a path before its first glob: a folder that must exist.
fn fixed_part(path: &str) -> &str {
    match path.find(['*', '?', '[']) {
        // A name may hold such a character and mean it.
        Some(_) if Path::new(path).exists() => path,
        Some(glob) => path[..glob].rfind('/').map_or("/", |slash| &path[..=slash]),
        None => path,
    }
}
