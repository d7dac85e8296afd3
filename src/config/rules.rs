//! What must hold between keys: references, names, and settings that exclude each other.
//!
//! A rule speaks only about values that are valid by themselves; the others have been told already.

use std::collections::BTreeMap;

use super::storage;
use super::tree::{Node, Value};
use super::types::{Config, Source, SourceKind};
use super::values::{check_uri, resolve_uri, without_secrets};
use crate::finding::{Finding, nearest};

pub(super) fn check(config: &Config, root: &Node) -> Vec<Finding> {
    let mut rules = Rules { config, root, findings: Vec::new() };
    rules.sources();
    rules.names();
    rules.view_keys();
    rules.features();
    rules.snapshots();
    rules.models();
    rules.dataset();
    rules.output();
    rules.storage();
    rules.findings
}

struct Rules<'a> {
    config: &'a Config,
    root: &'a Node,
    findings: Vec<Finding>,
}

impl Rules<'_> {
    fn tell(&mut self, finding: Finding, dotted: &str) {
        let place = self.config.place(dotted);
        self.findings.push(finding.at(place));
    }

    /// Whether a key of a named table is written.
    fn written(&self, table: &str, name: &str, key: &str) -> bool {
        self.root.get(table).and_then(|t| t.get(name)).and_then(|t| t.get(key)).is_some()
    }

    fn sources(&mut self) {
        for source in &self.config.sources {
            let written = |key: &str| self.written("sources", &source.name, key);
            let mut told = Vec::new();
            match source.kind {
                SourceKind::Changelog if !written("id") => told.push(("", no_id(source))),
                SourceKind::Changelog if self.empty_id(&source.name) => told.push(("id", no_id(source))),
                SourceKind::Log if written("deleted") && !self.invalid_kind(&source.name) => {
                    let message = format!("source `{}` is a log, and has `deleted`", source.name);
                    told.push((
                        "deleted",
                        Finding::error(message)
                            .help("deletes are for `kind = \"changelog\"`; filter a log's events in the SQL"),
                    ));
                }
                _ => {}
            }
            if written("delay") && written("available_at") {
                let message = format!("source `{}` has both `available_at` and `delay`", source.name);
                told.push((
                    "delay",
                    Finding::error(message).help("`delay` is for sources without such a column: keep one of them"),
                ));
            }
            let path = format!("sources.{}", source.name);
            for (key, finding) in told {
                self.tell(finding, &if key.is_empty() { path.clone() } else { format!("{path}.{key}") });
            }
        }
    }

    fn empty_id(&self, source: &str) -> bool {
        let id = self.root.get("sources").and_then(|t| t.get(source)).and_then(|t| t.get("id"));
        id.is_some_and(|id| matches!(&id.value, Value::List(items) if items.is_empty()))
    }

    /// Whether `kind` is written and is no word that is known.
    fn invalid_kind(&self, source: &str) -> bool {
        let kind = self.root.get("sources").and_then(|t| t.get(source)).and_then(|t| t.get("kind"));
        kind.is_some_and(|kind| !matches!(kind.text(), Some("log" | "changelog")))
    }

    /// Sources and views share the namespace of SQL; all names become file names somewhere.
    fn names(&mut self) {
        let config = self.config;
        let sources: Vec<&str> = config.sources.iter().map(|s| s.name.as_str()).collect();
        let views: Vec<&str> = config.views.iter().map(|v| v.name.as_str()).collect();
        for &name in views.iter().filter(|name| sources.contains(name)) {
            let finding = Finding::error(format!("`{name}` is both a source and a view"));
            self.tell(
                finding.help("SQL would not know which one is meant: give one of them another name"),
                &format!("views.{name}"),
            );
        }
        let tables = sources.iter().map(|n| ("sources", *n)).chain(views.iter().map(|n| ("views", *n)));
        self.case_only(tables.collect());
        self.case_only(config.snapshots.iter().map(|s| ("snapshots", s.name.as_str())).collect());
        self.case_only(config.models.iter().map(|m| ("models", m.name.as_str())).collect());
    }

    fn case_only(&mut self, names: Vec<(&str, &str)>) {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (table, name) in names {
            let first = *seen.entry(name.to_lowercase()).or_insert(name);
            if first != name {
                let finding = Finding::warning(format!("`{name}` and `{first}` differ only by case"));
                self.tell(finding.help("SQL without quotes does not tell them apart"), &format!("{table}.{name}"));
            }
        }
    }

    fn view_keys(&mut self) {
        let labels = &self.config.labels.keys;
        for view in &self.config.views {
            let keys = view.keys.as_deref().unwrap_or_default();
            for (i, (label, column)) in keys.iter().enumerate() {
                let path = format!("views.{}.keys.{label}", view.name);
                if !labels.is_empty() && !labels.contains(label) {
                    let known = || labels.iter().map(String::as_str);
                    let finding = Finding::error(format!("`{label}` is not one of the labels' keys"));
                    let otherwise = format!("the labels' keys are {}", list(known()));
                    let map = self.root.get("views").and_then(|t| t.get(&view.name)).and_then(|t| t.get("keys"));
                    let written = map.map(Node::entries).unwrap_or_default().iter().find(|e| e.key == *label);
                    let finding = finding.at(written.map(|e| e.spot.place()));
                    self.findings.push(or_near(finding, label, known(), &otherwise));
                }
                if let Some((before, _)) = keys[..i].iter().find(|(_, c)| c == column) {
                    let finding = Finding::error(format!(
                        "`{label}` and `{before}` are the same column `{column}` of view `{}`",
                        view.name
                    ));
                    self.tell(finding.help("map each label key to a column of its own"), &path);
                }
            }
        }
    }

    fn features(&mut self) {
        for view in self.config.views.iter().filter(|view| view.helper) {
            if !view.features.is_empty() {
                let finding =
                    Finding::warning(format!("view `{}` is a helper, so that its features are not used", view.name));
                self.tell(finding.help("remove `helper`, or the features"), &format!("views.{}.features", view.name));
            }
        }
    }

    fn snapshots(&mut self) {
        let labels = &self.config.labels;
        for snapshot in &self.config.snapshots {
            let path = format!("snapshots.{}", snapshot.name);
            let (have, want) = (snapshot.keys.len(), labels.keys.len());
            if have != want && have > 0 && want > 0 {
                let message = format!("snapshot `{}` has {have} keys, and the labels have {want}", snapshot.name);
                let help = format!(
                    "name a column for each of {}, in this order",
                    list(labels.keys.iter().map(String::as_str))
                );
                self.tell(Finding::error(message).help(help), &format!("{path}.keys"));
            }
            for (legacy, feature) in &snapshot.columns {
                self.feature(feature, &format!("{path}.columns.{legacy}"), false);
            }
        }
    }

    fn models(&mut self) {
        for model in &self.config.models {
            let path = format!("models.{}", model.name);
            for (i, feature) in model.features.iter().enumerate() {
                self.feature(feature, &format!("{path}.features.{i}"), true);
            }
            if let Some(snapshot) = &model.snapshot {
                self.snapshot(snapshot, &format!("{path}.snapshot"));
            }
        }
    }

    fn dataset(&mut self) {
        if let Some(snapshot) = &self.config.dataset.schema_of {
            self.snapshot(snapshot, "dataset.schema_of");
        }
    }

    /// A `view.column`; with `all`, also `view.*`.
    fn feature(&mut self, feature: &str, path: &str, all: bool) {
        if feature.trim().is_empty() {
            return;
        }
        let form = if all { "`view.column` or `view.*`" } else { "`view.column`" };
        let (view, column) = match feature.split_once('.') {
            Some((view, column)) if !view.is_empty() && !column.is_empty() && (all || column != "*") => (view, column),
            _ => {
                let finding = Finding::error(format!("`{feature}` is not a feature"));
                self.tell(finding.help(format!("write {form}")), path);
                return;
            }
        };
        let config = self.config;
        match config.views.iter().find(|v| v.name == view) {
            Some(view) if view.helper => {
                let message = format!("`{feature}`: view `{}` is a helper, and gives no features", view.name);
                self.tell(Finding::error(message).help("remove `helper` from the view"), path);
            }
            Some(_) => {}
            None => {
                let views = || config.views.iter().map(|v| v.name.as_str());
                let finding = Finding::error(format!("`{feature}`: there is no view `{view}`"));
                let finding = match nearest(view, views()) {
                    Some(near) => finding.help(format!("did you mean `{near}.{column}`?")),
                    None => finding.help(format!("the views are {}", list(views()))),
                };
                self.tell(finding, path);
            }
        }
    }

    fn snapshot(&mut self, name: &str, path: &str) {
        let snapshots = || self.config.snapshots.iter().map(|s| s.name.as_str());
        if snapshots().all(|snapshot| snapshot != name) {
            let finding = Finding::error(format!("there is no snapshot `{name}`"));
            let otherwise = match self.config.snapshots.len() {
                0 => format!("add `[snapshots.{name}]`"),
                _ => format!("the snapshots are {}", list(snapshots())),
            };
            self.tell(or_near(finding, name, snapshots(), &otherwise), path);
        }
    }

    /// What a run writes must not be among what the next one reads.
    fn output(&mut self) {
        let config = self.config;
        if check_uri(&config.output.uri).is_err() {
            return;
        }
        if config.output.uri.contains(['*', '?', '[']) {
            let finding = Finding::error(format!("`output.uri` is a glob: `{}`", without_secrets(&config.output.uri)));
            self.tell(finding.help("write one folder, such as `out/`"), "output.uri");
            return;
        }
        let folder = |uri: &str| format!("{}/", resolve_uri(&config.base, uri).trim_end_matches('/'));
        let output = folder(&config.output.uri);
        let labels = [("the labels".to_string(), &config.labels.uri)];
        let sources = config.sources.iter().map(|s| (format!("source `{}`", s.name), &s.uri));
        let snapshots = config.snapshots.iter().map(|s| (format!("snapshot `{}`", s.name), &s.uri));
        let inputs: Vec<_> = labels.into_iter().chain(sources).chain(snapshots).collect();
        for (what, uri) in inputs {
            if !uri.is_empty() && output.starts_with(&folder(uri)) {
                let finding = Finding::error(format!(
                    "the output `{}` lies in the folder of {what}",
                    without_secrets(&config.output.uri)
                ));
                self.tell(
                    finding.help("results would be read as input by the next run: write them elsewhere"),
                    "output.uri",
                );
            }
        }
    }

    fn storage(&mut self) {
        for name in self.config.storage.keys().filter(|name| !storage::is_known(name)) {
            let finding = Finding::error(format!("`[storage]` has an option that no object store knows: `{name}`"));
            let finding = or_near(
                finding,
                name,
                storage::USUAL.iter().copied(),
                "the names are object_store's, such as `aws_region`",
            );
            // Names are kept in lower case; the place is that of the name as written.
            let written = self.root.get("storage").map(Node::entries).unwrap_or_default();
            let place = written.iter().find(|e| e.key.to_lowercase() == *name).map(|e| e.spot.place());
            self.findings.push(finding.at(place));
        }
    }
}

fn no_id(source: &Source) -> Finding {
    Finding::error(format!("source `{}` is a changelog, and has no `id`", source.name))
        .help("add the columns that identify a row, such as `id = [\"user_id\"]`")
}

fn or_near<'a>(finding: Finding, name: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> Finding {
    match nearest(name, known) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help(otherwise),
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
