//! What would be done with each view, without doing it.

use serde::Serialize;

use crate::analysis::View;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::lint::lint;
use crate::lookback::lookbacks;
use crate::pipeline::chunking::{ChunkPlan, chunk_plan};
use crate::pipeline::cost::{self, ReadReport, ScanReport};
use crate::pipeline::prepare::Opened;
use crate::pipeline::reported::choice_report;
use crate::pipeline::retained::{all_lookbacks, source_reaches};
use crate::plan::shown;
use crate::replay::Engine;
use crate::report::ViewReport;
use crate::retention::SourceReach;

/// One view, explained. Order of views is the order in which they depend on each other.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    #[serde(flatten)]
    pub view: ViewReport,
    pub file: String,
    pub reads: Vec<String>,
    pub helper: bool,
    pub features: Vec<ExplainedFeature>,
    /// How each reading of a source is bound; none for the reference engine.
    pub bindings: Vec<ReadReport>,
    /// How much of its sources the plan has to scan.
    pub scans: Vec<ScanReport>,
    /// Where label rows are cut into chunks: how many, and what is read more than once.
    pub chunks: Option<ChunkPlan>,
    /// Where it explodes; and what the lints say of it, see [`explain_lints`].
    pub findings: Vec<Finding>,
    /// The plan that answers for all label times at once; `None` for the reference engine.
    pub plan: Option<String>,
}

/// A feature and its type.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedFeature {
    pub feature: String,
    pub column: String,
    pub data_type: String,
    /// How far before the label time its value depends on each source.
    pub lookback: Vec<SourceReach>,
    /// How far back a source decides whether the view has a row at all, where that makes a difference.
    pub presence: Vec<SourceReach>,
}

/// Explains all views, or the one that is named.
///
/// # Errors
/// A view that is not there; a forced engine that does not take a view.
pub fn explain(opened: &Opened, only: Option<&str>, engine: Engine) -> Result<Vec<Explained>> {
    let project = &opened.project;
    let views: Vec<&View> = project.views.iter().filter(|v| only.is_none_or(|name| name == v.name)).collect();
    if let (Some(name), true) = (only, views.is_empty()) {
        let names = project.views.iter().map(|v| v.name.as_str());
        return Err(Error::input(Finding::error(format!("there is no view `{name}`")).nearest(name, names)));
    }
    views.into_iter().map(|view| explain_one(opened, view, engine)).collect()
}

/// Adds to each view what the lints say of its file.
pub async fn explain_lints(opened: &Opened, views: &mut [Explained]) {
    let findings = lint(&opened.project, &opened.session, &opened.options).await;
    for view in views {
        let own = |f: &&Finding| f.place.as_ref().is_some_and(|p| p.file == view.file);
        view.findings.extend(findings.iter().filter(own).cloned());
    }
}

fn explain_one(opened: &Opened, view: &View, engine: Engine) -> Result<Explained> {
    let project = &opened.project;
    let planned = cost::planned(opened, view, engine)?;
    let lookbacks = lookbacks(view, &project.inputs.logs, &opened.session.state());
    let features = view.features.iter().zip(&lookbacks).map(|(f, lookback)| ExplainedFeature {
        feature: f.full_name(),
        column: f.name.clone(),
        data_type: f.data_type.to_string(),
        lookback: source_reaches(project, &lookback.reads),
        presence: source_reaches(project, &lookback.presence),
    });
    let features = features.collect();
    Ok(Explained {
        view: choice_report(project, view, &planned.choice, &lookbacks),
        file: view.sql.file.clone(),
        reads: view.reads.clone(),
        helper: view.is_helper(),
        features,
        bindings: planned.reads,
        scans: planned.scans,
        chunks: chunk_plan(project, &lookbacks, &all_lookbacks(project, &opened.session)),
        findings: planned.warnings,
        plan: planned.plan.as_ref().map(shown),
    })
}
