//! Each value against what [`keys`](super::keys) says about it: known, of the right type, within its range.
//!
//! Nothing here looks at two keys together; that is for [`rules`](super::rules).

use super::keys::ROOT;
use super::kind::{Key, Kind, Table};
use super::tree::{Node, Value};
use super::values::{self, Wrong};
use crate::finding::{Finding, nearest};

/// All that is wrong with single keys and values.
pub(super) fn check(root: &Node) -> Vec<Finding> {
    let mut checker = Checker { findings: Vec::new() };
    checker.table(&ROOT, root, "");
    checker.findings
}

/// What a key of the tree should be: the key itself, and the kind of its value.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    key: &'a Key,
    kind: &'a Kind,
}

struct Checker {
    findings: Vec<Finding>,
}

impl Checker {
    fn table(&mut self, table: &'static Table, node: &Node, path: &str) {
        let mut meant = Vec::new();
        for entry in node.entries() {
            let path = join(path, &entry.key);
            match table.key(&entry.key) {
                Some(key) => self.value(Wanted { key, kind: &key.kind }, &entry.node, &path),
                None => {
                    self.findings.push(unknown(table, &entry.key, &path, &entry.node).at(entry.spot.place()));
                    meant.extend(nearest(&entry.key, table.keys.iter().map(|key| key.name)));
                }
            }
        }
        // A key that is there with a mistake in its name is not told a second time, as missing.
        for key in table.keys.iter().filter(|key| key.required && !meant.contains(&key.name)) {
            let written = node.get(key.name);
            if written.is_none_or(|node| matches!(key.kind, Kind::Named(_)) && is_empty_table(node)) {
                self.findings.push(missing(key, path).at(written.unwrap_or(node).place()));
            }
        }
    }

    fn value(&mut self, wanted: Wanted<'_>, node: &Node, path: &str) {
        if !takes_type(wanted.kind, node) {
            self.findings.push(wrong_type(wanted, node, path).at(node.place()));
            return;
        }
        match wanted.kind {
            Kind::Table(table) => self.table(table, node, path),
            Kind::Named(table) | Kind::Columns(table) => {
                let plain = matches!(wanted.kind, Kind::Named(_));
                for entry in node.entries() {
                    let path = join(path, &entry.key);
                    if let Err(wrong) = check_name(&entry.key, plain) {
                        self.findings.push(told(&path, wrong).at(entry.spot.place()));
                    }
                    if matches!(entry.node.value, Value::Table(_)) {
                        self.table(table, &entry.node, &path);
                    } else {
                        let finding = Finding::error(format!("`{path}` is {}, and must be a table", entry.node.what()))
                            .help(format!("write `[{path}]`, and its keys below it"));
                        self.findings.push(finding.at(entry.node.place()));
                    }
                }
            }
            Kind::Map(kind) => {
                for entry in node.entries() {
                    let path = join(path, &entry.key);
                    self.value(Wanted { kind, ..wanted }, &entry.node, &path);
                    if entry.key.is_empty() {
                        self.findings
                            .push(Finding::error(format!("`{path}` has an empty name")).at(entry.spot.place()));
                    }
                }
            }
            Kind::List(item, min) => self.list(Wanted { kind: item, ..wanted }, *min, node, path),
            Kind::Either(kinds) => {
                let kind = alternative(kinds, node);
                let scalar = check_scalar(kind, node);
                match (kind, scalar) {
                    (Kind::Word(_), Err(wrong)) => {
                        let message = format!("is `{}`, and must be {}", node.text().unwrap_or(""), wanted.kind.want());
                        self.findings.push(told(path, Wrong { message, ..wrong }).at(node.place()));
                    }
                    _ => self.value(Wanted { kind, ..wanted }, node, path),
                }
            }
            Kind::Interval => self.interval(node, path),
            kind => {
                if let Err(wrong) = check_scalar(kind, node) {
                    self.findings.push(told(path, wrong).at(node.place()));
                }
            }
        }
    }

    fn list(&mut self, wanted: Wanted<'_>, min: usize, node: &Node, path: &str) {
        let items = node.items();
        if items.len() < min {
            let finding = Finding::error(format!("`{path}` is empty"))
                .help(format!("write `{} = {}`", wanted.key.name, wanted.key.example));
            self.findings.push(finding.at(node.place()));
        }
        for (i, item) in items.iter().enumerate() {
            self.value(wanted, item, &format!("{path}.{i}"));
            if let Some(text) = item.text()
                && items[..i].iter().any(|before| before.text() == Some(text))
            {
                self.findings.push(Finding::error(format!("`{path}` names `{text}` twice")).at(item.place()));
            }
        }
    }

    fn interval(&mut self, node: &Node, path: &str) {
        let [from, to] = node.items() else {
            let finding =
                Finding::error(format!("`{path}` has {} items, and must have 2: from and to", node.items().len()))
                    .help("write `[\"2025-03-02T10:00:00Z\", \"2025-03-02T16:00:00Z\"]`");
            self.findings.push(finding.at(node.place()));
            return;
        };
        let mut instants = Vec::new();
        for (i, node) in [from, to].into_iter().enumerate() {
            match instant_of(node) {
                Ok(at) => instants.push(at),
                Err(wrong) => self.findings.push(told(&format!("{path}.{i}"), wrong).at(node.place())),
            }
        }
        if let [from, to] = instants[..]
            && from >= to
        {
            let finding = Finding::error(format!("`{path}` ends at or before its start"))
                .help("a gap is from (inclusive) to (exclusive), and not empty");
            self.findings.push(finding.at(node.place()));
        }
    }
}

fn check_scalar(kind: &Kind, node: &Node) -> Result<(), Wrong> {
    let text = node.text().unwrap_or("");
    match kind {
        Kind::Text if text.trim().is_empty() => Err(Wrong { message: "is empty".to_string(), help: None }),
        Kind::Uri => values::check_uri(text),
        Kind::Word(words) if !words.contains(&text) => Err(Wrong {
            message: format!("is `{text}`, and must be {}", kind.want()),
            help: nearest(text, words.iter().copied()).map(|near| format!("did you mean `{near}`?")),
        }),
        Kind::Duration { zero } => match values::duration_ns(text)? {
            0 if !zero => Err(Wrong {
                message: format!("is zero: `{text}`"),
                help: Some("write a length such as `6 hours`, or leave the key out".to_string()),
            }),
            _ => Ok(()),
        },
        Kind::Size => values::size_bytes(text).map(drop),
        Kind::Zone => values::zone(text).map(drop),
        Kind::Instant => instant_of(node).map(drop),
        Kind::Integer(min) => match node.value {
            Value::Integer(n) if n < *min => {
                Err(Wrong { message: format!("is {n}, and must be at least {min}"), help: None })
            }
            _ => Ok(()),
        },
        Kind::Number(min, max) => match number_of(node) {
            Some(n) if !n.is_finite() => Err(Wrong { message: format!("is {n}, and must be finite"), help: None }),
            Some(n) if (*min..=*max).contains(&n) => Ok(()),
            Some(n) if *max < f64::MAX => {
                Err(Wrong { message: format!("is {n}, and must be from {min} to {max}"), help: None })
            }
            Some(n) => Err(Wrong { message: format!("is {n}, and must be at least {min}"), help: None }),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The number of an integer or a float.
pub(super) fn number_of(node: &Node) -> Option<f64> {
    match node.value {
        Value::Float(n) => Some(n),
        // Tolerances and shares: integers that a float cannot hold make no sense there.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        Value::Integer(n) => Some(n as f64),
        _ => None,
    }
}

/// The instant of a text or a TOML date-time.
pub(super) fn instant_of(node: &Node) -> Result<chrono::DateTime<chrono::Utc>, Wrong> {
    match &node.value {
        Value::Text(text) => values::instant(text),
        Value::Datetime(datetime) => values::instant_of_datetime(datetime),
        _ => Err(Wrong {
            message: format!("is {}, and must be a timestamp", node.what()),
            help: Some("write RFC 3339, such as `2025-03-02T10:00:00Z`".to_string()),
        }),
    }
}

fn takes_type(kind: &Kind, node: &Node) -> bool {
    match (kind, &node.value) {
        (Kind::Either(kinds), _) => kinds.iter().any(|kind| takes_type(kind, node)),
        (
            Kind::Text | Kind::Uri | Kind::Word(_) | Kind::Duration { .. } | Kind::Size | Kind::Zone | Kind::Instant,
            Value::Text(_),
        )
        | (Kind::Instant, Value::Datetime(_))
        | (Kind::Bool, Value::Bool(_))
        | (Kind::Integer(_) | Kind::Number(..), Value::Integer(_))
        | (Kind::Number(..), Value::Float(_))
        | (Kind::Interval | Kind::List(..), Value::List(_))
        | (Kind::Setting, Value::Text(_) | Value::Integer(_) | Value::Bool(_))
        | (Kind::Map(_) | Kind::Table(_) | Kind::Named(_) | Kind::Columns(_), Value::Table(_)) => true,
        (Kind::Scalar, value) => !matches!(value, Value::List(_) | Value::Table(_)),
        _ => false,
    }
}

/// The alternative that a value was meant for: the first that takes it, or the one to complain about.
fn alternative<'a>(kinds: &'a [Kind], node: &Node) -> &'a Kind {
    let typed = || kinds.iter().filter(|kind| takes_type(kind, node));
    let near_word = |kind: &&Kind| match kind {
        Kind::Word(words) => node.text().is_some_and(|text| nearest(text, words.iter().copied()).is_some()),
        _ => false,
    };
    typed()
        .find(|kind| check_scalar(kind, node).is_ok())
        .or_else(|| typed().find(near_word))
        .or_else(|| typed().next_back())
        .unwrap_or(&kinds[0])
}

/// Names of sources, views, snapshots and models become table names, folders and parts of dotted names.
fn check_name(name: &str, plain: bool) -> Result<(), Wrong> {
    if name.trim().is_empty() {
        return Err(Wrong { message: "has an empty name".to_string(), help: None });
    }
    match name.chars().find(|c| !(c.is_alphanumeric() || "_-".contains(*c))) {
        Some(c) if plain => Err(Wrong {
            message: format!(
                "has {} in its name",
                if c == ' ' { "a space".to_string() } else { format!("`{}`", c.escape_debug()) }
            ),
            help: Some("names are letters, digits, `_` and `-`".to_string()),
        }),
        _ => Ok(()),
    }
}

fn told(path: &str, wrong: Wrong) -> Finding {
    let finding = Finding::error(format!("`{path}` {}", wrong.message));
    match wrong.help {
        Some(help) => finding.help(help),
        None => finding,
    }
}

fn unknown(table: &'static Table, name: &str, path: &str, node: &Node) -> Finding {
    let inside = path.strip_suffix(&quoted(name)).and_then(|p| p.strip_suffix('.'));
    let finding = match inside {
        Some(inside) => Finding::error(format!("unknown key `{name}` in `[{inside}]`")),
        None if matches!(node.value, Value::Table(_)) => Finding::error(format!("unknown table `[{path}]`")),
        None => Finding::error(format!("unknown key `{name}`")),
    };
    let known = || table.keys.iter().map(|key| key.name);
    if let Some(near) = nearest(name, known()) {
        return finding.help(format!("did you mean `{near}`?"));
    }
    let elsewhere = ROOT.keys.iter().find_map(|top| match top.kind {
        Kind::Table(t) if t.key(name).is_some() => Some(format!("`[{}]`", top.name)),
        Kind::Named(t) if t.key(name).is_some() => Some(format!("`[{}.NAME]`", top.name)),
        _ => None,
    });
    match elsewhere {
        Some(table) => finding.help(format!("`{name}` is a key of {table}")),
        None => {
            finding.help(format!("known here: {}", known().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")))
        }
    }
}

fn missing(key: &Key, path: &str) -> Finding {
    match key.kind {
        Kind::Table(table) => {
            let required: Vec<String> =
                table.keys.iter().filter(|k| k.required).map(|k| format!("`{}`", k.name)).collect();
            Finding::error(format!("missing table `[{}]`", key.name)).help(format!(
                "add `[{}]` with {}",
                key.name,
                required.join(", ")
            ))
        }
        Kind::Named(table) => {
            let required: Vec<String> =
                table.keys.iter().filter(|k| k.required).map(|k| format!("`{}`", k.name)).collect();
            Finding::error(format!("missing table `[{}.NAME]`", key.name)).help(format!(
                "add `[{}.NAME]` with {}, under a name of yours",
                key.name,
                required.join(", ")
            ))
        }
        _ => Finding::error(format!("missing key `{}` in `[{path}]`", key.name))
            .help(format!("add `{} = {}`", key.name, key.example)),
    }
}

fn wrong_type(wanted: Wanted<'_>, node: &Node, path: &str) -> Finding {
    let finding = Finding::error(format!("`{path}` is {}, and must be {}", node.what(), wanted.kind.want()));
    let name = wanted.key.name;
    match &wanted.key.kind {
        Kind::Table(_) if wanted.key.example.is_empty() => {
            finding.help(format!("write `[{name}]`, and its keys below it"))
        }
        Kind::Named(_) | Kind::Columns(_) => finding.help(format!("write `[{path}.NAME]`, and its keys below it")),
        _ => finding.help(format!("write `{name} = {}`", wanted.key.example)),
    }
}

fn is_empty_table(node: &Node) -> bool {
    matches!(&node.value, Value::Table(entries) if entries.is_empty())
}

/// A dotted path with one more segment, quoted where TOML needs it.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { quoted(key) } else { format!("{path}.{}", quoted(key)) }
}

fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { key.to_string() } else { format!("\"{}\"", key.escape_debug()) }
}
