//! What there is, from config, listings and footers: sources, views, features, models, snapshots, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use datafusion::catalog::TableProvider;
use serde::Serialize;

use crate::config::{SourceKind, without_secrets};
use crate::pipeline::prepare::Opened;
use crate::pipeline::retained::model_inputs;
use crate::report::{counted, size};
use crate::source::ParquetTable;
use crate::source::time::rfc3339;

/// Everything that a configuration names. Lists are in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    pub project: String,
    pub sources: Vec<SourceItem>,
    pub views: Vec<ViewItem>,
    pub features: Vec<FeatureItem>,
    pub models: Vec<ModelItem>,
    pub snapshots: Vec<SnapshotItem>,
    /// From what is needed to what needs it; nodes are `source:`, `view:`, `feature:`, `model:` and `snapshot:` with a name.
    pub edges: Vec<Edge>,
    /// Features that no model needs.
    pub unused_features: Vec<String>,
    /// Views in the order in which to migrate them: what others read first, then those that the fewest models depend on.
    pub migration: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableItem {
    pub uri: String,
    pub format: &'static str,
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
    /// First and last time by the footers; `None` where they do not say.
    pub first: Option<String>,
    pub last: Option<String>,
    pub schema: Vec<ColumnItem>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnItem {
    pub column: String,
    pub data_type: String,
    pub nullable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceItem {
    pub source: String,
    /// `log` or `changelog`.
    pub kind: &'static str,
    #[serde(flatten)]
    pub table: TableItem,
    pub read_by: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewItem {
    pub view: String,
    pub file: String,
    pub reads: Vec<String>,
    pub read_by: Vec<String>,
    pub keys: Vec<String>,
    pub helper: bool,
    pub features: Vec<String>,
    pub models: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeatureItem {
    pub feature: String,
    pub data_type: String,
    pub models: Vec<String>,
    pub snapshots: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelItem {
    pub model: String,
    pub features: Vec<String>,
    pub snapshot: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotItem {
    pub snapshot: String,
    #[serde(flatten)]
    pub table: TableItem,
    /// The last label time in it.
    pub cutoff: Option<String>,
    pub features: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    pub from: String,
    pub to: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub view: String,
    /// Models that need one of its features, or a feature of a view that reads it.
    pub models: Vec<String>,
}

/// Takes stock of a project.
pub fn inventory(opened: &Opened) -> Inventory {
    let project = &opened.project;
    let config = &project.inputs.config;
    let models: Vec<(String, Vec<String>)> = model_inputs(project)
        .into_iter()
        .map(|m| (m.model, m.features.iter().map(|f| project.features[*f].full_name()).collect()))
        .collect();
    let needing = |feature: &str| -> Vec<String> {
        let own = models.iter().filter(|(_, features)| features.iter().any(|f| f == feature));
        own.map(|(model, _)| model.clone()).collect()
    };
    let readers = |name: &str| -> Vec<String> {
        project.views.iter().filter(|v| v.reads.iter().any(|r| r == name)).map(|v| v.name.clone()).collect()
    };
    let views: Vec<&crate::analysis::View> = config.views.iter().filter_map(|v| project.view(&v.name)).collect();
    let mut dependents: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    // A view is read by views after it.
    for view in project.views.iter().rev() {
        let mut own: BTreeSet<String> = view.features.iter().flat_map(|f| needing(&f.full_name())).collect();
        own.extend(readers(&view.name).iter().filter_map(|r| dependents.get(r.as_str())).flatten().cloned());
        dependents.insert(&view.name, own);
    }
    let of = |view: &str| dependents.get(view).map(|m| m.iter().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let features: Vec<FeatureItem> = project
        .features
        .iter()
        .enumerate()
        .map(|(i, f)| FeatureItem {
            feature: f.full_name(),
            data_type: f.data_type.to_string(),
            models: needing(&f.full_name()),
            snapshots: project
                .snapshots
                .iter()
                .filter(|s| s.columns.iter().any(|c| c.feature == i))
                .map(|s| s.config.name.clone())
                .collect(),
        })
        .collect();
    Inventory {
        project: config.project.name.clone(),
        sources: project
            .inputs
            .logs
            .iter()
            .map(|log| SourceItem {
                source: log.config.name.clone(),
                kind: if log.config.kind == SourceKind::Log { "log" } else { "changelog" },
                table: table(&log.config.uri, &log.table, &log.config.time),
                read_by: readers(&log.config.name),
            })
            .collect(),
        views: views
            .iter()
            .map(|v| ViewItem {
                view: v.name.clone(),
                file: v.sql.file.clone(),
                reads: v.reads.clone(),
                read_by: readers(&v.name),
                keys: v.keys.iter().map(|k| k.label_name.clone()).collect(),
                helper: v.is_helper(),
                features: v.features.iter().map(|f| f.full_name()).collect(),
                models: of(&v.name),
            })
            .collect(),
        unused_features: features.iter().filter(|f| f.models.is_empty()).map(|f| f.feature.clone()).collect(),
        edges: edges(opened, &models),
        migration: migration(opened, &of),
        models: config
            .models
            .iter()
            .zip(&models)
            .map(|(m, (model, features))| ModelItem {
                model: model.clone(),
                features: features.clone(),
                snapshot: m.snapshot.clone(),
            })
            .collect(),
        snapshots: project
            .snapshots
            .iter()
            .map(|s| {
                let table = table(&s.config.uri, &s.table, &s.config.time);
                SnapshotItem {
                    snapshot: s.config.name.clone(),
                    cutoff: table.last.clone(),
                    table,
                    features: s.columns.iter().map(|c| project.features[c.feature].full_name()).collect(),
                }
            })
            .collect(),
        features,
    }
}

fn table(uri: &str, table: &ParquetTable, time: &str) -> TableItem {
    let range = table.time_range(time);
    let column = |f: &datafusion::arrow::datatypes::FieldRef| ColumnItem {
        column: f.name().clone(),
        data_type: f.data_type().to_string(),
        nullable: f.is_nullable(),
    };
    TableItem {
        uri: without_secrets(uri),
        format: "parquet",
        files: table.files.files.len() as u64,
        bytes: table.bytes(),
        rows: table.rows(),
        first: range.map(|(first, _)| rfc3339(first)),
        last: range.map(|(_, last)| rfc3339(last)),
        schema: TableProvider::schema(table).fields().iter().map(column).collect(),
    }
}

fn edges(opened: &Opened, models: &[(String, Vec<String>)]) -> Vec<Edge> {
    let project = &opened.project;
    let mut edges = Vec::new();
    for view in &project.views {
        for name in &view.reads {
            let kind = if project.view(name).is_some() { "view" } else { "source" };
            edges.push(Edge { from: format!("{kind}:{name}"), to: format!("view:{}", view.name) });
        }
        for feature in &view.features {
            let name = feature.full_name();
            edges.push(Edge { from: format!("view:{}", view.name), to: format!("feature:{name}") });
            let needing = models.iter().filter(|(_, features)| features.contains(&name));
            edges.extend(needing.map(|(m, _)| Edge { from: format!("feature:{name}"), to: format!("model:{m}") }));
        }
    }
    for model in &project.inputs.config.models {
        if let Some(snapshot) = &model.snapshot {
            edges.push(Edge { from: format!("snapshot:{snapshot}"), to: format!("model:{}", model.name) });
        }
    }
    edges.sort();
    edges.dedup();
    edges
}

/// Of the views whose inputs have been migrated, always the one that the fewest models depend on; then by name.
fn migration(opened: &Opened, models: &dyn Fn(&str) -> Vec<String>) -> Vec<Step> {
    let views = &opened.project.views;
    let mut left: BTreeSet<&str> = views.iter().map(|v| v.name.as_str()).collect();
    let mut steps = Vec::with_capacity(views.len());
    while !left.is_empty() {
        let free = views.iter().filter(|v| left.contains(v.name.as_str()));
        let free = free.filter(|v| !v.reads.iter().any(|r| left.contains(r.as_str())));
        let Some(next) = free.min_by_key(|v| (models(&v.name).len(), v.name.as_str())) else { break };
        left.remove(next.name.as_str());
        steps.push(Step { view: next.name.clone(), models: models(&next.name) });
    }
    steps
}

impl Inventory {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n\nsources\n", self.project);
        let list = |names: &[String]| if names.is_empty() { "nothing".to_string() } else { names.join(", ") };
        let range = |t: &TableItem| match (&t.first, &t.last) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "times not in the footers".to_string(),
        };
        let table = |t: &TableItem| {
            let (files, rows) = (counted(t.files, "file", "files"), counted(t.rows, "row", "rows"));
            format!("{}: {files}, {}, {rows}, {}", t.uri, size(t.bytes), range(t))
        };
        let features = |count: usize| counted(count as u64, "feature", "features");
        let mut line = |line: String| text.push_str(&format!("{line}\n"));
        for s in &self.sources {
            line(format!("  {} ({}) {}", s.source, s.kind, table(&s.table)));
            let columns: Vec<String> = s.table.schema.iter().map(|c| format!("{} {}", c.column, c.data_type)).collect();
            line(format!("    columns  {}", columns.join(", ")));
            line(format!("    read by  {}", list(&s.read_by)));
        }
        line("\nviews".to_string());
        for v in &self.views {
            let helper = if v.helper { ", a helper" } else { "" };
            line(format!("  {} ({}{helper})", v.view, v.file));
            line(format!("    reads    {}", list(&v.reads)));
            line(format!("    read by  {}", list(&v.read_by)));
            line(format!("    features {}", list(&v.features)));
            line(format!("    models   {}", list(&v.models)));
        }
        if !self.models.is_empty() {
            line("\nmodels".to_string());
        }
        for m in &self.models {
            let snapshot = m.snapshot.as_deref().map_or_else(String::new, |s| format!(", trained on snapshot {s}"));
            line(format!("  {}: {}{snapshot}", m.model, features(m.features.len())));
        }
        if !self.snapshots.is_empty() {
            line("\nsnapshots".to_string());
        }
        for s in &self.snapshots {
            let cutoff = s.cutoff.as_deref().unwrap_or("not known");
            line(format!("  {} {}; cutoff {cutoff}; {}", s.snapshot, table(&s.table), features(s.features.len())));
        }
        if !self.models.is_empty() {
            line(format!("\nfeatures that no model needs: {}", list(&self.unused_features)));
        }
        line("\norder of migration".to_string());
        for (i, step) in self.migration.iter().enumerate() {
            let models = match step.models.len() {
                1 => "1 model depends on it".to_string(),
                count => format!("{count} models depend on it"),
            };
            line(format!("  {}. {} ({models})", i + 1, step.view));
        }
        text
    }

    fn nodes(&self) -> BTreeSet<&str> {
        self.edges.iter().flat_map(|e| [e.from.as_str(), e.to.as_str()]).collect()
    }

    /// The dependency graph in Graphviz DOT.
    pub fn dot(&self) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        let mut text = String::from("digraph inventory {\n  rankdir=LR;\n  node [shape=box];\n");
        for node in self.nodes() {
            let shape = match node.split_once(':').map(|(kind, _)| kind) {
                Some("source") => "cylinder",
                Some("feature") => "plaintext",
                Some("model") => "component",
                Some("snapshot") => "folder",
                _ => "box",
            };
            let label = node.split_once(':').map_or(node, |(_, name)| name);
            let _ = writeln!(text, "  {} [label={}, shape={shape}];", quoted(node), quoted(label));
        }
        for edge in &self.edges {
            let _ = writeln!(text, "  {} -> {};", quoted(&edge.from), quoted(&edge.to));
        }
        text + "}\n"
    }

    /// The dependency graph in Mermaid.
    pub fn mermaid(&self) -> String {
        let nodes: Vec<&str> = self.nodes().into_iter().collect();
        let number = |name: &str| nodes.iter().position(|n| *n == name).unwrap_or_default();
        let mut text = String::from("flowchart LR\n");
        for (i, node) in nodes.iter().enumerate() {
            let (kind, name) = node.split_once(':').unwrap_or(("", node));
            let name: String =
                name.chars().map(|c| if matches!(c, '"' | '<' | '>' | '`') { '\'' } else { c }).collect();
            let (open, close) = match kind {
                "source" => ("[(", ")]"),
                "feature" => ("([", "])"),
                "model" => ("{{", "}}"),
                "snapshot" => ("[/", "/]"),
                _ => ("[", "]"),
            };
            let _ = writeln!(text, "  n{i}{open}\"{name}\"{close}");
        }
        for edge in &self.edges {
            let _ = writeln!(text, "  n{} --> n{}", number(&edge.from), number(&edge.to));
        }
        text
    }
}
