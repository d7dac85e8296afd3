//! What a value means is decided by many small choices; here each has its value and where that came from.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::check::join;
use super::keys::ROOT;
use super::kind::{Kind, Table};
use super::tree::{Node, Value};
use super::{Literal, Places};

/// One choice that values depend on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choice {
    /// The dotted key, as TOML and `--set` write it.
    pub key: String,
    /// As TOML has it; `null` where nothing is set, and for NULL.
    pub value: Json,
    #[serde(flatten)]
    pub origin: Origin,
    /// The key with `*` for the names in it: choices with one pattern are about the same thing.
    #[serde(skip)]
    pub pattern: String,
    /// What stands for the `*`; of a feature, `view.column`.
    #[serde(skip)]
    pub name: Option<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    pub from: Layer,
    /// `file:line`, the `--set` flag, or the profile's name; `None` for a default.
    pub at: Option<String>,
}

/// The layers of a configuration, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    Flag,
    File,
    Profile,
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, &self.at) {
            (Layer::Profile, Some(name)) => write!(f, "profile {name}"),
            (Layer::Flag | Layer::File, Some(at)) => f.write_str(at),
            (Layer::Profile, None) => f.write_str("profile"),
            (Layer::Flag, None) => f.write_str("--set"),
            (Layer::File, None) => f.write_str("file"),
            (Layer::Default, _) => f.write_str("default"),
        }
    }
}

impl Literal {
    /// As a choice shows it. Floats that JSON can't hold are text.
    pub fn json(&self) -> Json {
        match self {
            Self::Bool(value) => json!(value),
            Self::Integer(value) => json!(value),
            Self::Float(value) if value.is_finite() => json!(value),
            Self::Float(value) => json!(value.to_string()),
            Self::String(value) | Self::Datetime(value) => json!(value),
        }
    }
}

/// A dotted key as TOML writes it, each segment quoted where it has to be.
pub fn dotted(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |path, segment| join(&path, segment))
}

/// The choices that keys alone make. Those about features need the views' columns, and are added by the analysis.
pub(super) fn choices(root: &Node, places: &Places) -> Vec<Choice> {
    let mut found = Found { places, choices: Vec::new() };
    found.table(&ROOT, Some(root), &At::default());
    found.choices
}

/// Where a table stands.
#[derive(Debug, Clone, Default)]
struct At {
    /// Quoted where TOML needs it.
    shown: String,
    /// Joined as it is.
    plain: String,
    pattern: String,
    name: Option<String>,
}

impl At {
    fn key(&self, name: &str) -> Self {
        Self {
            shown: join(&self.shown, name),
            plain: plain(&self.plain, name),
            pattern: plain(&self.pattern, name),
            ..self.clone()
        }
    }

    fn named(&self, name: &str) -> Self {
        Self { pattern: plain(&self.pattern, "*"), name: Some(name.to_string()), ..self.key(name) }
    }
}

fn plain(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

struct Found<'a> {
    places: &'a Places,
    choices: Vec<Choice>,
}

impl Found<'_> {
    fn table(&mut self, table: &'static Table, node: Option<&Node>, at: &At) {
        for key in table.keys {
            let below = node.and_then(|node| node.get(key.name));
            let at = at.key(key.name);
            match &key.kind {
                Kind::Table(table) => self.table(table, below, &at),
                Kind::Named(table) => {
                    for entry in below.map(Node::entries).unwrap_or_default() {
                        self.table(table, Some(&entry.node), &at.named(&entry.key));
                    }
                }
                _ if key.choice => {
                    let default = || key.default.map_or(Json::Null, |default| default.json());
                    self.choices.push(Choice {
                        key: at.shown,
                        value: below.map_or_else(default, |node| json_of(&node.value)),
                        origin: self.places.origin(&at.plain),
                        pattern: at.pattern,
                        name: at.name,
                    });
                }
                _ => {}
            }
        }
    }
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Integer(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Text(value) => json!(value),
        Value::Datetime(value) => json!(value.to_string()),
        Value::List(items) => items.iter().map(|item| json_of(&item.value)).collect(),
        Value::Table(entries) => {
            Json::Object(entries.iter().map(|e| (e.key.clone(), json_of(&e.node.value))).collect::<Map<_, _>>())
        }
    }
}
