//! From a path to a [`Config`], or to everything that is wrong with it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::tree::{Node, Spot, Text, Value};
use super::types::Config;
use super::{check, files, overrides, profile, read, rules, tree};
use crate::finding::{Finding, Place, nearest};

/// The file's usual name.
const FILE_NAME: &str = "backcast.toml";

/// Reads the file at `path` (or the `backcast.toml` in it, where it is a folder) and puts the overrides `set` over
/// it, each a `key=value`.
///
/// Gives the configuration and warnings, or all findings, of which at least one is an error.
pub fn load(path: &Path, set: &[String]) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_path_buf() };
    let name = path.display().to_string();
    let content = read_text(&path, &name).map_err(|finding| vec![*finding])?;
    let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
    let base = absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);

    let mut findings = Vec::new();
    let parsed = tree::parse(&name, &content).map_err(|finding| findings.push(*finding)).ok();
    let whole = parsed.is_some();
    let mut root = parsed.unwrap_or_else(|| empty(&name));
    findings.extend(set.iter().filter_map(|set| overrides::apply(&mut root, set).err().map(|finding| *finding)));
    if !whole {
        return Err(findings);
    }
    findings.extend(check::check(&root));
    let applied = profile::apply(&mut root);
    let mut config = read::read(&root, &path, &base, applied);
    config.set = set.iter().filter(|set| !about_running(set)).cloned().collect();
    findings.extend(rules::check(&config, &root));
    findings.extend(files::check(&config));
    sort(&mut findings, &name);
    if findings.iter().any(Finding::is_error) { Err(findings) } else { Ok((config, findings)) }
}

/// Whether an override says where and how something runs, or is secret.
fn about_running(set: &str) -> bool {
    ["output", "run", "storage", "lineage"].iter().any(|table| set.trim_start().starts_with(table))
}

fn empty(name: &str) -> Node {
    let text = Text { file: name.to_string(), content: String::new(), secret: Vec::new() };
    Node { spot: Spot::whole(&text.into()), value: Value::Table(Vec::new()) }
}

/// In the order of the file, then those of overrides.
fn sort(findings: &mut Vec<Finding>, file: &str) {
    findings.sort_by_key(|finding| match &finding.place {
        Some(place) if place.file == file => (1, place.line, place.column),
        Some(_) => (2, 0, 0),
        None => (0, 0, 0),
    });
    let mut seen = std::collections::HashSet::new();
    findings.retain(|finding| seen.insert(finding.to_string()));
}

fn read_text(path: &Path, name: &str) -> Result<String, Box<Finding>> {
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => not_found(path, name),
        kind => Finding::error(format!("cannot read `{name}`: {}", kind)).help("check that you may read it"),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
        let mut place = Place::of_bytes(name, &before, at, at);
        place.text.clear();
        Finding::error("the configuration is not UTF-8 text").at(place).help("save it as UTF-8").into()
    })
}

fn not_found(path: &Path, name: &str) -> Finding {
    let finding = Finding::error(format!("there is no configuration `{name}`"));
    let wanted = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let siblings = files::names_in(folder, |name| name.ends_with(".toml") && name != "Cargo.toml");
    match nearest(&wanted, siblings.iter().map(String::as_str)) {
        Some(near) => finding.help(format!("did you mean `{}`?", folder.join(near).display())),
        None => finding.help("name it as the command's last argument; README.md shows one"),
    }
}
