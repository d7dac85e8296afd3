//! A TOML document as a tree in which every key and value knows where it was written.
//!
//! The file and each `--set` are parsed into the same tree, so that later steps do not care which one a value
//! came from. Positions stay byte ranges until somebody asks for a [`Place`]. Lines that hold a value of
//! `[storage]` are never shown.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use toml_edit::{Datetime, Item, TableLike};

use super::values::may_hold_secret;
use crate::finding::{Finding, Place};

/// A text that keys and values were read from.
pub(super) struct Text {
    pub(super) file: String,
    pub(super) content: String,
    /// Byte ranges of values that may be secret.
    pub(super) secret: Vec<Range<usize>>,
}

/// A byte range of a text.
#[derive(Clone)]
pub(super) struct Spot {
    text: Arc<Text>,
    range: Range<usize>,
}

/// The content may hold secrets, so it is not shown.
impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}..{}", self.text.file, self.range.start, self.range.end)
    }
}

impl Spot {
    pub(super) fn new(text: &Arc<Text>, range: Range<usize>) -> Self {
        Self { text: Arc::clone(text), range }
    }

    /// The document as a whole: its first line, with nothing to underline.
    pub(super) fn whole(text: &Arc<Text>) -> Self {
        Self::new(text, 0..0)
    }

    pub(super) fn place(&self) -> Place {
        let Range { start, end } = self.range;
        let mut place = Place::of_bytes(&self.text.file, &self.text.content, start, end);
        let content = self.text.content.as_bytes();
        let line_start = content[..start.min(content.len())].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let line_end = content[line_start..].iter().position(|b| *b == b'\n').map_or(content.len(), |i| line_start + i);
        let hidden = self.text.secret.iter().any(|s| s.start < line_end.max(line_start + 1) && s.end > line_start);
        if hidden || start == end {
            place.text.clear();
        }
        place
    }
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    /// A value: the value. A table: its header, or its key where it has none.
    pub(super) spot: Spot,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Datetime(Datetime),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) spot: Spot,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|e| e.key == key).map(|e| &e.node)
    }

    /// The entries of a table, in the order written; nothing for any other value.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, as a message says it.
    pub(super) fn what(&self) -> &'static str {
        match &self.value {
            Value::Bool(_) => "a boolean",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Text(_) => "a string",
            Value::Datetime(_) => "a date or time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    pub(super) fn place(&self) -> Place {
        self.spot.place()
    }
}

/// Parses a whole file. The parser limits how deep it may nest, so that recursion over the tree is safe.
pub(super) fn parse(file: &str, content: &str) -> Result<Node, Box<Finding>> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let document = match toml_edit::Document::parse(content) {
        Ok(document) => document,
        Err(error) => return Err(Box::new(syntax_finding(file, content, &error))),
    };
    let mut secret = Vec::new();
    for (name, item) in document.as_table().iter() {
        secret_ranges(item, name == "storage", &mut secret);
    }
    let text = Arc::new(Text { file: file.to_string(), content: content.to_string(), secret });
    let entries = entries(document.as_table(), &text, &Spot::whole(&text));
    Ok(Node { spot: Spot::whole(&text), value: Value::Table(entries) })
}

fn syntax_finding(file: &str, content: &str, error: &toml_edit::TomlError) -> Finding {
    let span = error.span().unwrap_or(0..0);
    let mut place = Place::of_bytes(file, content, span.start, span.end);
    if may_be_secret(content, span.start, &place.text) {
        place.text.clear();
    }
    let message = error.message().trim();
    let message = if message.is_empty() { "cannot be read" } else { message };
    Finding::error(format!("invalid TOML: {message}")).at(place)
}

/// Whether a line of a text that does not parse could be part of `[storage]`. Rather too often than too seldom.
fn may_be_secret(content: &str, at: usize, line: &str) -> bool {
    let lower = line.to_lowercase();
    let before = content.get(..at).unwrap_or(content);
    let header = before.lines().rev().map(str::trim_start).find(|l| l.starts_with('['));
    if may_hold_secret(line.split_once('=').map_or(line, |(_, value)| value)) {
        return true;
    }
    header.is_some_and(|h| h.trim_start_matches(['[', ' ', '\t', '"', '\'']).starts_with("storage"))
        || ["storage", "secret", "token", "password", "access_key", "credential"].iter().any(|w| lower.contains(w))
}

/// `all` the values of an item, or only texts that look as if they held a password.
fn secret_ranges(item: &Item, all: bool, out: &mut Vec<Range<usize>>) {
    if let Some(table) = item.as_table_like() {
        table.iter().for_each(|(_, item)| secret_ranges(item, all, out));
    } else if let Some(tables) = item.as_array_of_tables() {
        tables.iter().flat_map(toml_edit::Table::iter).for_each(|(_, item)| secret_ranges(item, all, out));
    } else if let Some(items) = item.as_array().filter(|_| !all) {
        let texts = items.iter().filter(|item| item.as_str().is_some_and(may_hold_secret));
        out.extend(texts.filter_map(toml_edit::Value::span));
    }
    if item.is_value() && (all || item.as_str().is_some_and(may_hold_secret)) {
        out.extend(item.span());
    }
}

fn entries(table: &dyn TableLike, text: &Arc<Text>, parent: &Spot) -> Vec<Entry> {
    table
        .iter()
        .filter(|(_, item)| !item.is_none())
        .map(|(name, item)| {
            let key_span = table.key(name).and_then(toml_edit::Key::span);
            let spot = key_span.map_or_else(|| parent.clone(), |span| Spot::new(text, span));
            Entry { key: name.to_string(), node: node(item, text, &spot), spot }
        })
        .collect()
}

fn node(item: &Item, text: &Arc<Text>, key: &Spot) -> Node {
    let spot = item.span().map_or_else(|| key.clone(), |span| Spot::new(text, span));
    let value = match item {
        Item::None => Value::Table(Vec::new()),
        Item::Value(value) => return value_node(value, text, key),
        Item::Table(table) => Value::Table(entries(table, text, &spot)),
        Item::ArrayOfTables(tables) => Value::List(
            tables
                .iter()
                .map(|table| {
                    let spot = table.span().map_or_else(|| spot.clone(), |span| Spot::new(text, span));
                    Node { value: Value::Table(entries(table, text, &spot)), spot }
                })
                .collect(),
        ),
    };
    Node { spot, value }
}

/// A value, with spots in `text`; where it has no span of its own, `otherwise`.
pub(super) fn value_node(value: &toml_edit::Value, text: &Arc<Text>, otherwise: &Spot) -> Node {
    let spot = value.span().map_or_else(|| otherwise.clone(), |span| Spot::new(text, span));
    let value = match value {
        toml_edit::Value::String(v) => Value::Text(v.value().clone()),
        toml_edit::Value::Integer(v) => Value::Integer(*v.value()),
        toml_edit::Value::Float(v) => Value::Float(*v.value()),
        toml_edit::Value::Boolean(v) => Value::Bool(*v.value()),
        toml_edit::Value::Datetime(v) => Value::Datetime(*v.value()),
        toml_edit::Value::Array(items) => Value::List(items.iter().map(|item| value_node(item, text, &spot)).collect()),
        toml_edit::Value::InlineTable(table) => Value::Table(entries(table, text, &spot)),
    };
    Node { spot, value }
}
