//! What would be done with each view, without doing it.

use datafusion::arrow::datatypes::DataType;
use serde::Serialize;

use crate::analysis::View;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::lint::lint;
use crate::pipeline::prepare::Opened;
use crate::pipeline::reported::choice_report;
use crate::plan::{Spines, shown};
use crate::replay::{Engine, choose};
use crate::report::ViewReport;
use crate::source::Reading;

/// One view, explained. Order of views is the order in which they depend on each other.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    #[serde(flatten)]
    pub view: ViewReport,
    pub file: String,
    pub reads: Vec<String>,
    pub helper: bool,
    pub features: Vec<ExplainedFeature>,
    /// What the lints say of it, see [`explain_lints`].
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
        view.findings = findings.iter().filter(own).cloned().collect();
    }
}

fn explain_one(opened: &Opened, view: &View, engine: Engine) -> Result<Explained> {
    let project = &opened.project;
    let failed = |e| Error::engine(format!("explain view `{}`", view.name), e);
    let keys: Vec<DataType> = view.keys.iter().map(|k| k.data_type.clone()).collect();
    let spines = Spines::empty(&keys, opened.options.now_unit).map_err(failed)?;
    let choice = choose(view, &project.inputs.logs, &spines, None, &opened.session, engine, Reading::Lean)?;
    let plan = match &choice.plan {
        Some(plan) => {
            let optimized = opened.session.state().optimize(plan).map_err(failed)?;
            Some(shown(&optimized))
        }
        None => None,
    };
    let features = view.features.iter().map(|f| ExplainedFeature {
        feature: f.full_name(),
        column: f.name.clone(),
        data_type: f.data_type.to_string(),
    });
    Ok(Explained {
        view: choice_report(project, view, &choice),
        file: view.sql.file.clone(),
        reads: view.reads.clone(),
        helper: view.is_helper(),
        features: features.collect(),
        findings: Vec::new(),
        plan,
    })
}
