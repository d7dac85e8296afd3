//! Lints: SQL that can be replayed and is likely to mean something else than its author thinks. Never errors.
//!
//! Each lint is silent where it is not sure. Each stands in the file whose SQL it is about, once per cause, and can be
//! silenced there, for the whole view:
//!
//! ```sql
//! -- backcast: allow(B201): an arrival is known after it happened
//! ```
//!
//! Lints look at two plans of a view. *As written* is the plan of its own file, other views being tables: what it says has
//! a place in the file. The *normal form* of [`crate::plan::normalise`], views inlined, has filters at the sources.

mod allow;
mod bounds;
mod columns;
mod counts;
mod expressions;
mod floats;
mod reads;
mod ties;
mod uniqueness;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use crate::analysis::{Project, SourceMarker, View, plan_as_written};
use crate::finding::Finding;
use crate::lint::allow::Allowed;
use crate::plan::{normalise, normalised};
use crate::sql::{SessionOptions, SqlText, new_session};

/// A view as the lints look at it.
struct Subject<'a> {
    project: &'a Project,
    view: &'a View,
    allowed: Allowed,
    /// Its own file's plan, other views as tables; types not coerced.
    written: LogicalPlan,
    /// The same, normalised.
    own: LogicalPlan,
    /// Views inlined, normalised.
    whole: LogicalPlan,
}

/// All lints of all views, by view and place.
pub async fn lint(project: &Project, session: &SessionContext, options: &SessionOptions) -> Vec<Finding> {
    let Ok(tables) = tables_of(project, session, options) else { return Vec::new() };
    let mut subjects: BTreeMap<&str, Subject> = BTreeMap::new();
    let mut keys = uniqueness::ViewKeys::default();
    let mut findings = Vec::new();
    for view in &project.views {
        let allowed = Allowed::read(&view.sql);
        let mut found = allowed.mistaken();
        // What can't be looked at is not judged: the SQL itself was planned before, and runs.
        if let Ok(subject) = subject(project, view, allowed, &tables, session).await {
            found.extend(expressions::lint(&subject));
            found.extend(ties::lint(&subject, &mut keys));
            found.extend(bounds::lint(&subject, &subjects));
            found.extend(counts::lint(&subject));
            found.retain(|finding| !finding.code.is_some_and(|code| subject.allowed.has(code)));
            subjects.insert(&view.name, subject);
        }
        found.sort_by_key(|f| f.place.as_ref().map(|p| (p.line, p.column)));
        findings.extend(found);
    }
    findings
}

/// Whether a view's file says that it knows of this lint.
pub fn is_allowed(text: &SqlText, code: &str) -> bool {
    Allowed::read(text).has(code)
}

async fn subject<'a>(
    project: &'a Project,
    view: &'a View,
    allowed: Allowed,
    tables: &SessionContext,
    session: &SessionContext,
) -> DfResult<Subject<'a>> {
    let written = plan_as_written(&view.statement, tables).await?;
    let own = normalise(&written, &tables.state())?;
    let whole = normalised(view, &session.state())?;
    Ok(Subject { project, view, allowed, written, own, whole })
}

/// A session in which sources and views are tables alike.
fn tables_of(project: &Project, session: &SessionContext, options: &SessionOptions) -> DfResult<SessionContext> {
    let tables = new_session(options, session.runtime_env());
    for (index, log) in project.inputs.logs.iter().enumerate() {
        let marker = SourceMarker { index, schema: Arc::clone(&log.schema) };
        tables.register_table(TableReference::bare(log.config.name.as_str()), Arc::new(marker))?;
    }
    for view in &project.views {
        let fields: Vec<_> = view.plan().schema().fields().iter().map(Arc::clone).collect();
        let schema = Arc::new(Schema::new(fields));
        for name in std::iter::once(&view.name).chain(&view.alias) {
            let table = EmptyTable::new(Arc::clone(&schema));
            tables.register_table(TableReference::bare(name.as_str()), Arc::new(table))?;
        }
    }
    Ok(tables)
}
