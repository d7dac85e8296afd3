//! Feature views: their SQL planned in dependency order, their keys matched with the label keys.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, SchemaError, TableReference};
use datafusion::datasource::ViewTable;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, Volatility};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{self, ObjectName, VisitMut, VisitorMut};

use crate::analysis::counts::missing_is_zero;
use crate::analysis::features::{Feature, is_null_of_a_number, scalar_of};
use crate::analysis::keys::comparable_type;
use crate::analysis::marker::marked_source;
use crate::config::{self, Config, Literal};
use crate::diagnostics;
use crate::finding::{Finding, Place, nearest};
use crate::source::{LabelTable, Log, plain_type};
use crate::sql::{
    CallForJson, CallForZones, PostgresWords, Refusal, Refused, SqlText, Statement, TellCastsApart,
    calls_to_placeholder, casts_as_written, check_uses, closed_windows, count_copies, exact_comparisons,
    lengths_as_in_postgres, name_subqueries, names_clash, nearest_rows, now_unit, one_zero, output_span, parse,
    relation_span, repeated_output, settle_ties, unnest,
};

/// A feature view, planned.
#[derive(Debug, Clone)]
pub struct View {
    pub name: String,
    /// The name in its `CREATE MATERIALIZED VIEW`, where it is another.
    pub alias: Option<String>,
    pub sql: SqlText,
    /// The file as one query: what stands where.
    pub statement: Statement,
    plan: LogicalPlan,
    /// The plan as it is optimised, once that was asked for; shared by copies of the view.
    optimised: Arc<OnceLock<LogicalPlan>>,
    pub keys: Vec<ViewKey>,
    /// Empty for a helper.
    pub features: Vec<Feature>,
    /// Sources and views it names, by their names in the config.
    pub reads: Vec<String>,
}

/// A column of the view that has to equal a label key.
#[derive(Debug, Clone)]
pub struct ViewKey {
    /// Position in `labels.keys`.
    pub label: usize,
    pub label_name: String,
    pub column: String,
    /// The type in which the two are compared.
    pub data_type: DataType,
}

impl View {
    /// Normal form: `NOW()` is a placeholder, no tie is open; sources are markers.
    pub fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// The same view by another plan.
    pub fn with_plan(self, plan: LogicalPlan) -> Self {
        Self { plan, optimised: Arc::default(), ..self }
    }

    /// What `optimise` makes of the plan. It is called once: the sessions of a project optimise alike.
    ///
    /// # Errors
    /// Those of `optimise`.
    pub fn optimised(&self, optimise: impl FnOnce(&LogicalPlan) -> DfResult<LogicalPlan>) -> DfResult<&LogicalPlan> {
        match self.optimised.get() {
            Some(known) => Ok(known),
            None => {
                let made = optimise(&self.plan)?;
                Ok(self.optimised.get_or_init(|| made))
            }
        }
    }

    /// Where the SQL says what `column` is; the start of the file where that can't be told.
    pub fn place_of(&self, column: &str) -> Place {
        place_of(&self.statement, column)
    }

    pub fn is_helper(&self) -> bool {
        self.features.is_empty()
    }
}

fn place_of(statement: &Statement, column: &str) -> Place {
    let span = output_span(&statement.query, &statement.columns, column);
    let place = span.and_then(|span| statement.text.place(span));
    place.map_or_else(|| statement.text.start(), with_its_parentheses)
}

/// The parser's spans of calls end before `*)` and `)`: the place goes on to where its parentheses close.
fn with_its_parentheses(mut place: Place) -> Place {
    let letters: Vec<char> = place.text.chars().collect();
    let start = place.column.saturating_sub(1).min(letters.len());
    let mut end = (start + place.length).min(letters.len());
    let depth =
        |end: usize| letters[start..end].iter().fold(0_i32, |n, c| n + i32::from(*c == '(') - i32::from(*c == ')'));
    let opens = letters.get(end) == Some(&'(');
    if opens || depth(end) > 0 {
        end += usize::from(opens);
        while end < letters.len() && depth(end) > 0 {
            end += 1;
        }
    }
    place.length = end.saturating_sub(start).max(1);
    place
}

/// A parsed view, not planned yet.
struct Parsed<'a> {
    config: &'a config::View,
    statement: Statement,
    reads: Vec<String>,
}

/// Plans all views of the config over the sources `logs`, which are registered in `session`. Views over other sources of the
/// config are only parsed.
///
/// # Errors
/// Everything wrong with any of them.
pub(super) async fn plan_views(
    config: &Config,
    session: &SessionContext,
    labels: Option<&LabelTable>,
    logs: &[Log],
) -> Result<Vec<View>, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut parsed = Vec::new();
    for view in &config.views {
        match read_view(view, config, session) {
            Ok(statement) => parsed.push(Parsed { config: view, statement, reads: Vec::new() }),
            Err(found) => findings.extend(found),
        }
    }
    let names = names_of(config, &parsed, &mut findings);
    // A view that could not be parsed is still a view: reading it is no second mistake.
    for view in &mut parsed {
        match references(view, &names) {
            Ok(reads) => view.reads = reads,
            Err(found) => findings.extend(found),
        }
    }
    findings.extend(parsed.iter().flat_map(|view| undeclared(view, logs)));
    if !findings.is_empty() {
        return Err(findings);
    }
    let order = dependency_order(&parsed, config).map_err(|finding| vec![finding])?;
    let read_by_views: BTreeSet<&str> = parsed.iter().flat_map(|p| p.reads.iter().map(String::as_str)).collect();
    let mut views = Vec::new();
    let opened = |name: &str| logs.iter().any(|log| log.config.name == name);
    let mut broken: BTreeSet<String> =
        config.sources.iter().map(|s| s.name.clone()).filter(|name| !opened(name)).collect();
    for index in order {
        let view = &parsed[index];
        // What reads a view that failed would only fail for the same reason.
        if view.reads.iter().any(|r| broken.contains(r)) {
            broken.insert(view.config.name.clone());
            continue;
        }
        match plan_view(view, config, session, (labels, logs), read_by_views.contains(view.config.name.as_str())).await
        {
            Ok(view) => views.push(view),
            Err(found) => {
                broken.insert(view.config.name.clone());
                findings.extend(found);
            }
        }
    }
    if findings.is_empty() { Ok(views) } else { Err(findings) }
}

fn read_view(view: &config::View, config: &Config, session: &SessionContext) -> Result<Statement, Vec<Finding>> {
    let text = std::fs::read_to_string(&view.sql_path).map_err(|e| {
        let place = config.place(&format!("views.{}.sql", view.name));
        vec![Finding::error(format!("failed to read `{}`: {e}", view.sql_path.display())).at(place)]
    })?;
    let state = session.state();
    let volatile = |name: &str| {
        state.scalar_functions().get(name).is_some_and(|f| f.signature().volatility == Volatility::Volatile)
    };
    parse(SqlText { file: shown_path(view), text }, &volatile)
}

/// What the view's file declares of sources and is not so.
fn undeclared(view: &Parsed, logs: &[Log]) -> Vec<Finding> {
    let statement = &view.statement;
    let of = |name: &str| logs.iter().find(|log| log.config.name == name);
    statement
        .declared
        .iter()
        .filter_map(|d| of(&d.name).map(|log| d.findings(&statement.text, &log.schema)))
        .flatten()
        .collect()
}

/// The path as a person in the current folder would write it.
fn shown_path(view: &config::View) -> String {
    let path = &view.sql_path;
    let relative = std::env::current_dir().ok().and_then(|cwd| path.strip_prefix(cwd).ok().map(ToOwned::to_owned));
    relative.unwrap_or_else(|| path.clone()).display().to_string()
}

/// Every name SQL may use, with the name in the config that it means.
fn names_of(config: &Config, parsed: &[Parsed], findings: &mut Vec<Finding>) -> HashMap<String, String> {
    let mut names: HashMap<String, String> = HashMap::new();
    names.extend(config.sources.iter().map(|s| (s.name.clone(), s.name.clone())));
    names.extend(config.views.iter().map(|v| (v.name.clone(), v.name.clone())));
    for view in parsed {
        let Some(alias) = &view.statement.name else { continue };
        if let Some(other) = names.insert(alias.clone(), view.config.name.clone()).filter(|n| *n != view.config.name) {
            findings.push(
                Finding::error(format!(
                    "view `{}` creates `{alias}`, which is the name of `{other}`",
                    view.config.name
                ))
                .code(diagnostics::B121)
                .at(view.statement.text.start())
                .help("rename one of the two"),
            );
        }
    }
    names
}

/// The sources and views that a query reads, by their names in the config.
fn references(view: &Parsed, names: &HashMap<String, String>) -> Result<Vec<String>, Vec<Finding>> {
    let statement = ast::Statement::Query(Box::new(view.statement.query.clone()));
    let wrapped = DfStatement::Statement(Box::new(statement));
    let (tables, _) = datafusion::sql::resolve::resolve_table_references(&wrapped, true).map_err(|e| {
        vec![Finding::error(e.strip_backtrace()).code(diagnostics::B117).at(view.statement.text.start())]
    })?;
    let mut reads = Vec::new();
    let mut findings = Vec::new();
    for table in tables {
        match names.get(table.table()) {
            Some(name) if !reads.contains(name) => reads.push(name.clone()),
            Some(_) => {}
            None => findings.push(unknown_table(view, &table, names)),
        }
    }
    if findings.is_empty() { Ok(reads) } else { Err(findings) }
}

/// Where a view reads another.
fn relation_place(reader: &Parsed, read: &config::View) -> Option<Place> {
    let span = relation_span(&reader.statement.query, &|name| name == read.name)?;
    reader.statement.text.place(span)
}

fn unknown_table(view: &Parsed, table: &TableReference, names: &HashMap<String, String>) -> Finding {
    let place = relation_span(&view.statement.query, &|name| name == table.table());
    let place = place.and_then(|span| view.statement.text.place(span));
    let finding = Finding::error(format!("there is no source or view `{}`", table.table()))
        .code(diagnostics::B115)
        .at(place.unwrap_or_else(|| view.statement.text.start()));
    let mut known: Vec<&str> = names.keys().map(String::as_str).collect();
    known.sort_unstable();
    match nearest(table.table(), known.iter().copied()) {
        Some(near) if near.eq_ignore_ascii_case(table.table()) => {
            finding.help(format!("unquoted names are lower case in SQL: write `\"{near}\"`"))
        }
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help(format!("declare it as a source; known are {}", known.join(", "))),
    }
}

/// Views before those that read them.
fn dependency_order(parsed: &[Parsed], config: &Config) -> Result<Vec<usize>, Finding> {
    fn visit(index: usize, parsed: &[Parsed], path: &mut Vec<usize>, done: &mut Vec<usize>) -> Result<(), Vec<usize>> {
        if done.contains(&index) {
            return Ok(());
        }
        if let Some(start) = path.iter().position(|&i| i == index) {
            return Err(path[start..].iter().copied().chain([index]).collect());
        }
        path.push(index);
        for name in &parsed[index].reads {
            if let Some(next) = parsed.iter().position(|p| p.config.name == *name) {
                visit(next, parsed, path, done)?;
            }
        }
        path.pop();
        done.push(index);
        Ok(())
    }
    let mut done = Vec::new();
    for index in 0..parsed.len() {
        visit(index, parsed, &mut Vec::new(), &mut done).map_err(|cycle| {
            let reading = relation_place(&parsed[cycle[0]], parsed[cycle[1]].config)
                .or_else(|| config.place(&format!("views.{}.sql", parsed[cycle[0]].config.name)));
            let names: Vec<&str> = cycle.iter().map(|&i| parsed[i].config.name.as_str()).collect();
            Finding::error(format!("views read each other in a cycle: {}", names.join(" -> ")))
                .code(diagnostics::B120)
                .at(reading)
                .help("let one of them read the sources instead")
        })?;
    }
    Ok(done)
}

/// DataFusion says of some columns of one name itself that they are.
fn unplanned(view: &Parsed, error: &DataFusionError) -> Finding {
    let text = &view.statement.text;
    let twice = error.find_root().strip_backtrace().contains("require unique expression names");
    match repeated_output(&view.statement.query).filter(|_| twice) {
        Some((name, span)) => {
            named_twice(&view.config.name, &name).at(text.place(span).unwrap_or_else(|| text.start()))
        }
        None => planning_finding(&view.statement, error),
    }
}

fn named_twice(view: &str, column: &str) -> Finding {
    Finding::error(format!("view `{view}` has two columns named `{column}`"))
        .code(diagnostics::B119)
        .help("give one of them another name with AS")
}

async fn plan_view(
    view: &Parsed<'_>,
    config: &Config,
    session: &SessionContext,
    (labels, logs): (Option<&LabelTable>, &[Log]),
    read_by_views: bool,
) -> Result<View, Vec<Finding>> {
    let text = &view.statement.text;
    let plan = plan_query(&view.statement, session, logs).await.map_err(|refused| match refused {
        Refused::Because(finding) => vec![*finding],
        Refused::Plan(e) => vec![unplanned(view, &e)],
    })?;
    let name = view.config.name.clone();
    let alias = view.statement.name.clone().filter(|alias| *alias != name);
    let mut seen = BTreeSet::new();
    let twice: Vec<Finding> = plan
        .schema()
        .fields()
        .iter()
        .filter(|f| !seen.insert(f.name().clone()))
        .map(|f| named_twice(&name, f.name()).at(place_of(&view.statement, f.name())))
        .collect();
    if !twice.is_empty() {
        return Err(twice);
    }
    for known_as in std::iter::once(&name).chain(&alias) {
        let table = ViewTable::new(plan.clone(), None);
        session
            .register_table(TableReference::bare(known_as.as_str()), Arc::new(table))
            .map_err(|e| vec![planning_finding(&view.statement, &e)])?;
    }
    let mut findings = Vec::new();
    let keys = match labels {
        Some(labels) => view_keys(view, config, labels, &plan, &mut findings),
        None => Vec::new(),
    };
    let helper = view.config.helper || (keys.is_empty() && read_by_views);
    let features = if helper { Vec::new() } else { features(view, config, &plan, &keys, &mut findings) };
    if helper && let Some(feature) = view.config.features.first() {
        findings.push(
            Finding::error(format!("helper view `{name}` gives no features, so `{}` can't be set", feature.name))
                .at(config.place(&format!("views.{name}.features.{}", feature.name)))
                .help("remove the table, or give the view keys"),
        );
    }
    if findings.is_empty() {
        let sql = text.clone();
        let statement = view.statement.clone();
        Ok(View {
            name,
            alias,
            sql,
            statement,
            plan,
            optimised: Arc::default(),
            keys,
            features,
            reads: view.reads.clone(),
        })
    } else {
        Err(findings)
    }
}

/// Plans the query over the tables of `session`, `NOW()` as the placeholder, and nothing else changed: types are not yet
/// coerced, ties are open.
///
/// # Errors
/// What DataFusion can't plan.
pub async fn plan_as_written(statement: &Statement, session: &SessionContext) -> Result<LogicalPlan, DataFusionError> {
    let mut query = ast::Statement::Query(Box::new(statement.query.clone()));
    let _ = query.visit(&mut Unqualify);
    let _ = query.visit(&mut CallForZones);
    let _ = query.visit(&mut CallForJson);
    let _ = query.visit(&mut PostgresWords);
    let state = session.state();
    let planned = match state.statement_to_plan(DfStatement::Statement(Box::new(query.clone()))).await {
        Err(clash) if names_clash(&clash) => {
            let _ = query.visit(&mut TellCastsApart::new(|name: &str| state.aggregate_functions().contains_key(name)));
            let told_apart = state.statement_to_plan(DfStatement::Statement(Box::new(query))).await;
            told_apart.and_then(casts_as_written).map_err(|_| clash)?
        }
        planned => planned?,
    };
    check_uses(&planned)?;
    let planned = lengths_as_in_postgres(count_copies(planned)?)?;
    let plan = if statement.columns.is_empty() { planned } else { renamed(planned, &statement.columns)? };
    calls_to_placeholder(plan)
}

/// Plans the query and puts the plan in normal form.
async fn plan_query(statement: &Statement, session: &SessionContext, logs: &[Log]) -> Result<LogicalPlan, Refused> {
    let plan = plan_as_written(statement, session).await?;
    let settled = settle_ties(name_subqueries(plan)?)?;
    let (text, clauses) = (&statement.text, &statement.clauses);
    let joined = nearest_rows(settled, text, clauses)?;
    let log_of = |scan: &TableScan| marked_source(scan).and_then(|index| logs.get(index));
    let settled = unnest(closed_windows(joined, text, clauses, now_unit(session), &log_of)?)?;
    // Only the analyzed plan has the types that values will have.
    let state = session.state();
    let analyzed = state.analyzer().execute_and_check(settled, state.config_options(), |_, _| {})?;
    Ok(one_zero(exact_comparisons(analyzed)?)?)
}

/// `CREATE MATERIALIZED VIEW v (a, b) AS ...` names the first columns.
fn renamed(plan: LogicalPlan, names: &[String]) -> Result<LogicalPlan, DataFusionError> {
    if names.len() > plan.schema().fields().len() {
        return datafusion::common::plan_err!(
            "the view names {} columns but its query has {}",
            names.len(),
            plan.schema().fields().len()
        );
    }
    let columns = plan.schema().columns();
    let exprs = columns.into_iter().enumerate().map(|(i, column)| match names.get(i) {
        Some(name) => Expr::Column(column).alias(name),
        None => Expr::Column(column),
    });
    LogicalPlanBuilder::from(plan.clone()).project(exprs.collect::<Vec<_>>())?.build()
}

/// `public.events` and `lake.public.events` are the source `events`: sources have no schemas.
struct Unqualify;

impl VisitorMut for Unqualify {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if relation.0.len() > 1
            && let Some(last) = relation.0.pop()
        {
            relation.0 = vec![last];
        }
        ControlFlow::Continue(())
    }
}

/// What DataFusion's planner says, at the place it says it of.
fn planning_finding(statement: &Statement, error: &DataFusionError) -> Finding {
    if let Some(refusal) = Refusal::of(error) {
        return refusal.finding(statement);
    }
    let text = &statement.text;
    let diagnostic = error.diagnostic();
    let place = diagnostic.and_then(|d| d.span).and_then(|span| text.place_of(span));
    let message = error.find_root().strip_backtrace();
    let message = ["Error during planning: ", "Schema error: ", "This feature is not implemented: "]
        .iter()
        .fold(message.as_str(), |m, prefix| m.strip_prefix(prefix).unwrap_or(m))
        .trim_end_matches('.')
        .to_string();
    let code = match error.find_root() {
        DataFusionError::SchemaError(e, _)
            if matches!(e.as_ref(), SchemaError::FieldNotFound { .. } | SchemaError::AmbiguousReference { .. }) =>
        {
            diagnostics::B116
        }
        _ => diagnostics::B117,
    };
    let finding = Finding::error(format!("the SQL can't be planned: {message}")).code(code);
    let finding = finding.at(place.unwrap_or_else(|| text.start()));
    match diagnostic.and_then(|d| d.helps.first()) {
        Some(help) => finding.help(help.message.clone()),
        None => finding,
    }
}

fn view_keys(
    view: &Parsed,
    config: &Config,
    labels: &LabelTable,
    plan: &LogicalPlan,
    findings: &mut Vec<Finding>,
) -> Vec<ViewKey> {
    let name = &view.config.name;
    let schema = plan.schema();
    let given: Vec<(String, String)> = match &view.config.keys {
        Some(keys) => keys.clone(),
        None => {
            let has = |key: &&String| schema.fields().iter().any(|f| f.name() == key.as_str());
            config.labels.keys.iter().filter(has).map(|key| (key.clone(), key.clone())).collect()
        }
    };
    let mut keys = Vec::new();
    for (label_name, column) in given {
        let place = config.place(&format!("views.{name}.keys.{label_name}"));
        let Some(label) = config.labels.keys.iter().position(|k| *k == label_name) else { continue };
        let Some(field) = schema.fields().iter().find(|f| *f.name() == column) else {
            let names = schema.fields().iter().map(|f| f.name().as_str());
            findings.push(
                Finding::error(format!("view `{name}` has no column `{column}`"))
                    .code(diagnostics::B122)
                    .at(place)
                    .nearest(&column, names),
            );
            continue;
        };
        let (ours, theirs) = (labels.key_type(label), field.data_type());
        match comparable_type(&ours, theirs) {
            Some(data_type) => keys.push(ViewKey { label, label_name, column, data_type }),
            None => findings.push(
                Finding::error(format!(
                    "label key `{label_name}` is {ours} but `{column}` of view `{name}` is {theirs}: they can't be compared"
                ))
                .code(diagnostics::B123)
                .at(place_of(&view.statement, &column))
                .help(format!("cast it in the view: `CAST({column} AS ...)`")),
            ),
        }
    }
    keys
}

fn features(
    view: &Parsed,
    config: &Config,
    plan: &LogicalPlan,
    keys: &[ViewKey],
    findings: &mut Vec<Finding>,
) -> Vec<Feature> {
    let name = &view.config.name;
    let fields = plan.schema().fields();
    let is_key = |column: &str| keys.iter().any(|k| k.column == column);
    for set in &view.config.features {
        let place = config.place(&format!("views.{name}.features.{}", set.name));
        let finding = if is_key(&set.name) {
            Finding::error(format!("`{}` is a key of view `{name}`, not a feature", set.name)).help("remove the table")
        } else if fields.iter().any(|f| *f.name() == set.name) {
            continue;
        } else {
            let names = fields.iter().map(|f| f.name().as_str()).filter(|n| !is_key(n));
            Finding::error(format!("view `{name}` has no feature `{}`", set.name)).nearest(&set.name, names)
        };
        findings.push(finding.at(place));
    }
    let prefix = view.config.prefix.as_deref().unwrap_or("");
    let mut features = Vec::new();
    for (index, field) in fields.iter().enumerate().filter(|(_, f)| !is_key(f.name())) {
        let data_type = plain_type(field.data_type());
        if matches!(data_type, DataType::Interval(_)) {
            findings.push(
                Finding::error(format!("feature `{name}.{}` is an interval, which Parquet can't hold", field.name()))
                    .code(diagnostics::B158)
                    .at(place_of(&view.statement, field.name()))
                    .help("give its seconds: `EXTRACT(EPOCH FROM ...)`"),
            );
            continue;
        }
        let set = view.config.features.iter().find(|f| f.name == *field.name());
        let mut default = |key: &str, literal: Option<&Literal>| {
            let value = scalar_of(literal?, &data_type);
            value
                .map_err(|reason| {
                    let place = config.place(&format!("views.{name}.features.{}.{key}", field.name()));
                    findings.push(Finding::error(format!("`{key}` of `{name}.{}`: {reason}", field.name())).at(place));
                })
                .ok()
        };
        let when_missing = match set.and_then(|s| s.when_missing.as_ref()) {
            Some(literal) if is_null_of_a_number(literal, &data_type) => None,
            Some(literal) => default("when_missing", Some(literal)),
            None if missing_is_zero(plan, index, config.project.missing) => {
                scalar_of(&Literal::Integer(0), &data_type).ok()
            }
            None => None,
        };
        let when_null = default("when_null", set.and_then(|s| s.when_null.as_ref()));
        features.push(Feature {
            view: name.clone(),
            column: field.name().clone(),
            name: format!("{prefix}{}", field.name()),
            data_type,
            when_missing,
            when_null,
            tolerance: set.and_then(|s| s.tolerance),
        });
    }
    features
}
