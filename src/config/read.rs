//! The tree as a [`Config`]: defaults filled in, texts turned into what they mean.
//!
//! Reading never fails. What is missing or wrong has been told by [`check`](super::check) and reads as nothing,
//! so that the rules can still look at all the rest; a configuration with errors is never handed out.

use std::path::Path;

use chrono_tz::Tz;

use super::check::{instant_of, number_of};
use super::choices;
use super::keys::ROOT;
use super::kind::{self, Kind, Table};
use super::profile::{Applied, Missing};
use super::tree::{Node, Value};
use super::types::{
    Causes, Chunk, Config, Dataset, Diff, FeatureConfig, FutureEvents, Labels, Lineage, Literal, Model, Output,
    Project, Rhythm, Run, Since, Snapshot, Source, SourceKind, Thin, Tie, Tolerance, Unrecoverable, View,
};
use super::{Places, values};

pub(super) fn read(root: &Node, path: &Path, base: &Path, profile: Option<Applied>) -> Config {
    let reader = Reader { node: Some(root), table: &ROOT };
    let missing = profile.as_ref().map_or(Missing::Null, |applied| applied.profile.missing);
    let places = Places::of(root, profile);
    let labels = labels(reader.table("labels"));
    Config {
        path: path.to_path_buf(),
        base: base.to_path_buf(),
        project: Project { name: reader.table("project").text_or_empty("name"), missing },
        sources: reader.named("sources").map(|(name, r)| source(name, r)).collect(),
        views: reader.named("views").map(|(name, r)| view(name, r, base)).collect(),
        snapshots: reader.named("snapshots").map(|(name, r)| snapshot(name, r, &labels)).collect(),
        models: reader.named("models").map(|(name, r)| model(name, r)).collect(),
        diff: diff(reader.table("diff")),
        dataset: dataset(reader.table("dataset")),
        output: Output { uri: reader.table("output").text_or_empty("uri") },
        run: run(reader.table("run")),
        lineage: reader.node("lineage").map(|_| {
            let table = reader.table("lineage");
            Lineage { uri: table.text_or_empty("uri"), namespace: table.text_or_empty("namespace") }
        }),
        storage: reader.node("storage").map(storage).unwrap_or_default(),
        choices: choices::choices(root, &places),
        places,
        labels,
        set: Vec::new(),
    }
}

/// A table of the tree together with its description.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: Option<&'a Node>,
    table: &'static Table,
}

impl<'a> Reader<'a> {
    fn node(&self, name: &str) -> Option<&'a Node> {
        self.node.and_then(|node| node.get(name))
    }

    fn default(&self, name: &str) -> Option<kind::Default> {
        self.table.key(name).and_then(|key| key.default)
    }

    fn text(&self, name: &str) -> Option<String> {
        let written = self.node(name).and_then(Node::text).filter(|text| !text.trim().is_empty());
        written.map(str::to_string).or_else(|| match self.default(name) {
            Some(kind::Default::Text(text)) => Some(text.to_string()),
            _ => None,
        })
    }

    fn text_or_empty(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    fn bool(&self, name: &str) -> bool {
        match (self.node(name).map(|node| &node.value), self.default(name)) {
            (Some(Value::Bool(value)), _) => *value,
            (_, Some(kind::Default::Bool(value))) => value,
            _ => false,
        }
    }

    fn count(&self, name: &str) -> Option<usize> {
        let written = self.node(name).and_then(|node| match node.value {
            Value::Integer(n) => usize::try_from(n).ok(),
            _ => None,
        });
        written.or_else(|| match self.default(name) {
            Some(kind::Default::Integer(n)) => usize::try_from(n).ok(),
            _ => None,
        })
    }

    fn number(&self, name: &str) -> f64 {
        let written = self.node(name).and_then(number_of);
        written.unwrap_or(match self.default(name) {
            Some(kind::Default::Float(n)) => n,
            _ => 0.0,
        })
    }

    fn duration(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| values::duration_ns(&text).ok())
    }

    fn zone(&self, name: &str) -> Option<Tz> {
        self.text(name).and_then(|text| values::zone(&text).ok())
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.node(name).map(texts).unwrap_or_default()
    }

    /// Name = text, in the order written.
    fn pairs(&self, name: &str) -> Option<Vec<(String, String)>> {
        let entries = self.node(name)?.entries();
        Some(entries.iter().filter_map(|e| Some((e.key.clone(), e.node.text()?.to_string()))).collect())
    }

    /// The table at a key; where it is not written, one with nothing but defaults.
    fn table(&self, name: &str) -> Reader<'a> {
        let table = match self.table.key(name).map(|key| &key.kind) {
            Some(Kind::Table(table) | Kind::Named(table) | Kind::Columns(table)) => table,
            _ => self.table,
        };
        Reader { node: self.node(name), table }
    }

    /// The tables below a key, by name, in the order written.
    fn named(&self, name: &str) -> impl Iterator<Item = (String, Reader<'a>)> + use<'a> {
        let Reader { node, table } = self.table(name);
        let entries = node.map(Node::entries).unwrap_or_default();
        entries.iter().map(move |entry| (entry.key.clone(), Reader { node: Some(&entry.node), table }))
    }
}

fn texts(node: &Node) -> Vec<String> {
    node.items().iter().filter_map(Node::text).map(str::to_string).collect()
}

fn labels(r: Reader<'_>) -> Labels {
    Labels {
        uri: r.text_or_empty("uri"),
        keys: r.texts("keys"),
        time: r.text_or_empty("time"),
        tie: match r.text("tie").as_deref() {
            Some("exclude") => Tie::Exclude,
            _ => Tie::Include,
        },
        timezone: r.zone("timezone").unwrap_or(Tz::UTC),
    }
}

fn source(name: String, r: Reader<'_>) -> Source {
    let gaps = r.node("gaps").map(Node::items).unwrap_or_default().iter();
    Source {
        name,
        uri: r.text_or_empty("uri"),
        kind: match r.text("kind").as_deref() {
            Some("changelog") => SourceKind::Changelog,
            _ => SourceKind::Log,
        },
        time: r.text_or_empty("time"),
        available_at: r.text("available_at"),
        delay_ns: r.duration("delay").unwrap_or(0),
        id: r.texts("id"),
        deleted: r.text("deleted"),
        future_events: match r.text("future_events").as_deref() {
            Some("hidden") => FutureEvents::Hidden,
            _ => FutureEvents::Visible,
        },
        timezone: r.zone("timezone").unwrap_or(Tz::UTC),
        since: r.node("since").and_then(|node| match node.text() {
            Some("beginning") => Some(Since::Beginning),
            _ => instant_of(node).ok().map(Since::At),
        }),
        retention: r.duration("retention"),
        gaps: gaps
            .filter_map(|gap| match gap.items() {
                [from, to] => Some((instant_of(from).ok()?, instant_of(to).ok()?)),
                _ => None,
            })
            .collect(),
        max_silence: r.duration("max_silence"),
        thin: match r.text("thin").as_deref() {
            Some("gap") => Some(Thin::Gap),
            Some("warn") => Some(Thin::Warn),
            _ => None,
        },
        rhythm: rhythm(r.table("rhythm")),
    }
}

fn view(name: String, r: Reader<'_>, base: &Path) -> View {
    let sql = r.text_or_empty("sql");
    View {
        name,
        sql_path: values::resolve_uri(base, &sql).into(),
        sql,
        keys: r.pairs("keys"),
        helper: r.bool("helper"),
        prefix: r.text("prefix"),
        features: r.named("features").map(|(name, r)| feature(name, r)).collect(),
    }
}

fn feature(name: String, r: Reader<'_>) -> FeatureConfig {
    FeatureConfig {
        name,
        when_missing: r.node("when_missing").and_then(literal),
        when_null: r.node("when_null").and_then(literal),
        tolerance: r.node("tolerance").map(|_| tolerance(r.table("tolerance"))),
    }
}

fn literal(node: &Node) -> Option<Literal> {
    match &node.value {
        Value::Bool(value) => Some(Literal::Bool(*value)),
        Value::Integer(value) => Some(Literal::Integer(*value)),
        Value::Float(value) => Some(Literal::Float(*value)),
        Value::Text(value) => Some(Literal::String(value.clone())),
        Value::Datetime(value) => Some(Literal::Datetime(value.to_string())),
        Value::List(_) | Value::Table(_) => None,
    }
}

fn tolerance(r: Reader<'_>) -> Tolerance {
    Tolerance { abs: r.number("abs"), rel: r.number("rel") }
}

fn snapshot(name: String, r: Reader<'_>, labels: &Labels) -> Snapshot {
    Snapshot {
        name,
        uri: r.text_or_empty("uri"),
        keys: r.node("keys").map_or_else(|| labels.keys.clone(), texts),
        time: r.text("time").unwrap_or_else(|| labels.time.clone()),
        columns: r.pairs("columns").unwrap_or_default(),
        timezone: r.zone("timezone").unwrap_or(labels.timezone),
    }
}

fn rhythm(r: Reader<'_>) -> Rhythm {
    Rhythm { odds: r.number("odds"), share: r.number("share"), weeks: r.count("weeks").unwrap_or(1) }
}

fn model(name: String, r: Reader<'_>) -> Model {
    Model {
        name,
        features: r.texts("features"),
        snapshot: r.text("snapshot"),
        training_history: r.duration("training_history"),
    }
}

fn diff(r: Reader<'_>) -> Diff {
    let causes = match r.node("causes") {
        Some(node) if matches!(node.value, Value::List(_)) => Causes::Only(texts(node)),
        _ if r.bool("causes") => Causes::All,
        _ => Causes::None,
    };
    Diff {
        agreement: r.number("agreement"),
        tolerance: tolerance(r.table("tolerance")),
        causes,
        sample: r.count("sample").unwrap_or(0),
    }
}

fn dataset(r: Reader<'_>) -> Dataset {
    Dataset {
        schema_of: r.text("schema_of"),
        unrecoverable: match r.text("unrecoverable").as_deref() {
            Some("legacy") => Some(Unrecoverable::Legacy),
            Some("null") => Some(Unrecoverable::Null),
            Some("keep") => Some(Unrecoverable::Keep),
            Some("drop") => Some(Unrecoverable::Drop),
            Some("fail") => Some(Unrecoverable::Fail),
            _ => None,
        },
    }
}

fn run(r: Reader<'_>) -> Run {
    Run {
        memory: r.text("memory").and_then(|text| values::size_bytes(&text).ok()),
        threads: r.count("threads"),
        chunk: r.duration("chunk").map_or(Chunk::Auto, Chunk::Every),
    }
}

fn storage(node: &Node) -> std::collections::BTreeMap<String, String> {
    let value = |node: &Node| match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    };
    node.entries().iter().filter_map(|e| Some((e.key.to_lowercase(), value(&e.node)?))).collect()
}
