//! `--set key=value`: one value of the file replaced, or added.
//!
//! The key is a dotted path as TOML writes it (`sources."my-log".uri`), the value is TOML; what is not TOML is a
//! string without quotes. Relative paths stay relative to the file.

use std::sync::Arc;

use super::check::join;
use super::keys::ROOT;
use super::kind::{Kind, Table};
use super::places::FLAG;
use super::tree::{self, Entry, Node, Spot, Text, Value};
use super::values::may_hold_secret;
use crate::finding::{Finding, Place};

/// More segments than any key has.
const MAX_SEGMENTS: usize = 16;

/// Puts one override into the tree.
pub(super) fn apply(root: &mut Node, set: &str) -> Result<(), Box<Finding>> {
    let Some(at) = equals_sign(set) else {
        let shown = if may_be_secret(set) || set.contains(":/") { "…" } else { set };
        let place = Place::of_line(&format!("--set {shown}"), "", 1, 1, 1);
        return Err(Finding::error("an override has no value")
            .at(place)
            .help("write `--set key=value`, such as `--set run.threads=4`")
            .into());
    };
    let (key, value) = (&set[..at], &set[at + 1..]);
    let secret = may_be_secret(key) || may_hold_secret(value);
    let text = text_of(key, value, secret);
    let whole_key = Spot::new(&text, 0..key.trim_end().len().max(1));
    let segments: Vec<String> = match toml_edit::Key::parse(key) {
        Ok(keys) if (1..=MAX_SEGMENTS).contains(&keys.len()) => keys.iter().map(|key| key.get().to_string()).collect(),
        _ => {
            return Err(Finding::error("an override does not start with a key")
                .at(whole_key.place())
                .help("write `--set key=value` with a dotted key, such as `--set run.threads=4`")
                .into());
        }
    };
    let leaf = leaf(&text, &segments, set, value, secret)?;
    insert(root, &segments, &whole_key, leaf, "")
}

fn leaf(text: &Arc<Text>, segments: &[String], set: &str, value: &str, secret: bool) -> Result<Node, Box<Finding>> {
    let trimmed = value.trim();
    let start = text.content.len() - if secret { HIDDEN.len() } else { value.trim_start().len() };
    let spot = Spot::new(text, start..text.content.len());
    // The whole override is a TOML document where its value is TOML, and then positions fit.
    let parsed = tree::parse(&text.file, set).ok().and_then(|root| take(root, segments));
    let bare = || Node { spot: spot.clone(), value: Value::Text(trimmed.to_string()) };
    match parsed {
        Some(node) if is_text(segments) && !matches!(node.value, Value::Text(_) | Value::List(_) | Value::Table(_)) => {
            Ok(bare())
        }
        Some(node) if secret => Ok(Node { spot, ..node }),
        Some(node) => Ok(node),
        None if trimmed.starts_with(['[', '{', '"', '\'']) => {
            Err(Finding::error("an override has a value that is not TOML")
                .at(spot.place())
                .help("quote it for the shell, such as `--set 'labels.keys=[\"user_id\"]'`")
                .into())
        }
        None => Ok(bare()),
    }
}

const HIDDEN: &str = "…";

fn text_of(key: &str, value: &str, secret: bool) -> Arc<Text> {
    let content = format!("{key}={}", if secret { HIDDEN } else { value });
    Arc::new(Text { file: format!("{FLAG}{content}"), content, secret: Vec::new() })
}

fn may_be_secret(key: &str) -> bool {
    key.to_lowercase().contains("storage")
}

fn equals_sign(set: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in set.char_indices() {
        match (quote, c) {
            (None, '=') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

/// The node at a path, where it is all that the document holds.
fn take(mut root: Node, segments: &[String]) -> Option<Node> {
    for segment in segments {
        let Value::Table(entries) = root.value else { return None };
        let [entry] = <[Entry; 1]>::try_from(entries).ok()?;
        if entry.key != *segment {
            return None;
        }
        root = entry.node;
    }
    Some(root)
}

/// Whether the key at this path is written as a string and nothing else, so that quotes may be left out.
fn is_text(segments: &[String]) -> bool {
    let mut table: &'static Table = &ROOT;
    let mut segments = segments.iter();
    while let Some(key) = segments.next().and_then(|segment| table.key(segment)) {
        match &key.kind {
            Kind::Table(below) => table = below,
            Kind::Named(below) | Kind::Columns(below) => {
                segments.next();
                table = below;
            }
            Kind::Map(kind) => return segments.next().is_some() && matches!(kind, Kind::Text),
            kind => {
                return matches!(
                    kind,
                    Kind::Text | Kind::Uri | Kind::Word(_) | Kind::Duration { .. } | Kind::Size | Kind::Zone
                );
            }
        }
    }
    false
}

fn insert(node: &mut Node, segments: &[String], spot: &Spot, leaf: Node, path: &str) -> Result<(), Box<Finding>> {
    let Some((first, rest)) = segments.split_first() else {
        *node = leaf;
        return Ok(());
    };
    let what = node.what();
    let Value::Table(entries) = &mut node.value else {
        return Err(Finding::error(format!("`{path}` is {what}, and has no key `{first}`"))
            .at(spot.place())
            .help(format!("set the whole of it: `--set '{path}=…'`"))
            .into());
    };
    let at = entries.iter().position(|entry| entry.key == *first).unwrap_or_else(|| {
        let node = Node { spot: spot.clone(), value: Value::Table(Vec::new()) };
        entries.push(Entry { key: first.clone(), spot: spot.clone(), node });
        entries.len() - 1
    });
    let entry = &mut entries[at];
    if rest.is_empty() {
        entry.spot = spot.clone();
    }
    insert(&mut entry.node, rest, spot, leaf, &join(path, first))
}
