//! One case: a world and views over it, run on both engines.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use backcast::config;
use backcast::error::Error;
use backcast::monitor::Silent;
use backcast::pipeline::{self, Prepared};
use backcast::replay::{Engine, Replay, ReplayOptions, ViewReplay, replay};
use backcast::sql::{SessionOptions, new_runtime, new_session};
use datafusion::arrow::array::{ArrayRef, RecordBatch};

use super::grammar::node::Node;
use super::grammar::{Gen, ViewTree, printed};
use super::shapes::{Grammar, SHAPES};
use super::world::World;
use crate::support::{Project, Rng, dataset_of, first_difference, run};

/// Bytes of memory for a run that has to do with little.
const LITTLE: u64 = 96 << 10;
/// Composed views of a case, beside one of a shape.
const VIEWS: usize = 4;

/// A world and views over it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub world: World,
    pub views: Vec<ViewTree>,
}

/// What went wrong with a view.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub view: String,
    /// The same for failures that are thought to have one cause.
    pub kind: String,
    pub text: String,
}

/// What became of the views of a case.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Cells by view.
    pub compared: Vec<(String, usize)>,
    /// What is refused, or left to the reference engine: view and reason.
    pub refused: Vec<(String, String)>,
    pub failure: Option<Failure>,
}

impl Case {
    /// The case of a seed.
    pub(super) fn of(seed: u64, portable: bool) -> Self {
        let mut rng = Rng::new(seed);
        let world = World::new(&mut rng, portable);
        let mut grammar = Gen::new(&mut rng, portable);
        let mut views: Vec<ViewTree> = (0..VIEWS).map(|i| grammar.view(&format!("v{i}"))).collect();
        if !portable {
            // Every shape has its turn within a few seeds.
            let turn = usize::try_from(seed).unwrap() % SHAPES.len();
            let name = "shape".to_string();
            let sql = SHAPES[turn].1(&mut Grammar::new(&mut rng, &name));
            views.push(ViewTree { name, config: String::new(), query: Node::query(Vec::new(), &sql, Vec::new()) });
        }
        Self { world, views }
    }

    pub(super) fn project(&self) -> Project {
        let project = self.world.project();
        printed(&self.views).iter().fold(project, |project, (name, config, sql)| project.view_with(name, config, sql))
    }

    /// Config and SQL, for people.
    pub(super) fn told(&self) -> String {
        let views = printed(&self.views);
        let sql: Vec<String> = views.iter().map(|(name, _, sql)| format!("-- {name}\n{sql};\n")).collect();
        format!("{}\n{}", self.project().config_text(), sql.join("\n"))
    }

    /// Bytes of SQL: what shrinking makes less.
    pub(super) fn size(&self) -> usize {
        printed(&self.views).iter().map(|(_, _, sql)| sql.len() + 20).sum()
    }

    /// The case with this view and what it reads.
    pub(super) fn only(&self, view: &str) -> Self {
        let mut wanted = vec![view.to_string()];
        let mut views = Vec::new();
        for tree in self.views.iter().rev() {
            if wanted.contains(&tree.name) {
                let sql = self_text(tree);
                wanted.extend(self.views.iter().filter(|v| reads(&sql, &v.name)).map(|v| v.name.clone()));
                views.push(tree.clone());
            }
        }
        views.reverse();
        Self { world: self.world.clone(), views }
    }

    /// The case without these views and what reads them, and the names of these readers.
    fn without(&self, gone: &[String]) -> (Self, Vec<String>) {
        let mut out: Vec<String> = gone.to_vec();
        let mut views = Vec::new();
        for tree in &self.views {
            let sql = self_text(tree);
            if out.iter().any(|name| *name == tree.name || reads(&sql, name)) {
                out.push(tree.name.clone());
            } else {
                views.push(tree.clone());
            }
        }
        let readers = out.into_iter().filter(|name| !gone.contains(name)).collect();
        (Self { world: self.world.clone(), views }, readers)
    }

    /// The view whose file an error names, helpers counting as the view that they were made for.
    fn named_in(&self, error: &str) -> Vec<String> {
        let mut found = Vec::new();
        for tree in &self.views {
            let all = printed(std::slice::from_ref(tree));
            let named =
                |name: &str| error.contains(&format!("{name}.sql")) || error.contains(&format!("view `{name}`"));
            if all.iter().any(|(name, _, _)| named(name)) {
                found.push(tree.name.clone());
            }
        }
        found
    }

    /// Runs the case on both engines. What a view is refused for takes it out, with what reads it. With `keep`, the project
    /// of the views that were compared is left there.
    pub(super) fn run(&self, keep: Option<&Path>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut case = self.clone();
        while !case.views.is_empty() {
            let project = case.project();
            let done = catch_unwind(AssertUnwindSafe(|| both(&project)));
            let error = match done {
                Ok(Ok((reference, auto))) => {
                    case.compare(&reference, &auto, &mut outcome);
                    if let Some(folder) = keep {
                        self.keep_without_refused(folder, &outcome);
                    }
                    return outcome;
                }
                Ok(Err(error)) => error,
                Err(panic) => Stopped { refused: false, same: false, text: panic_text(panic.as_ref()) },
            };
            let named = case.named_in(&error.text);
            if !(error.refused || error.same) || named.is_empty() {
                let view = named.first().cloned().unwrap_or_else(|| "?".to_string());
                outcome.failure = Some(Failure { view, kind: kind_of(&error.text), text: error.text });
                return outcome;
            }
            let reason = if error.same { format!("fails on both: {}", error.text) } else { error.text.clone() };
            outcome.refused.extend(named.iter().map(|name| (name.clone(), reason.clone())));
            let (rest, readers) = case.without(&named);
            outcome.refused.extend(readers.into_iter().map(|name| (name, "reads one that is refused".to_string())));
            case = rest;
        }
        outcome
    }

    fn compare(&self, reference: &Values, auto: &Values, outcome: &mut Outcome) {
        for (name, (expected, engine, _)) in &reference.views {
            assert_eq!(*engine, Engine::Reference);
            for (_, (got, engine, reason)) in auto.views.iter().filter(|(n, _)| n == name) {
                if *engine == Engine::Reference {
                    outcome.refused.push((name.clone(), reason.clone()));
                    continue;
                }
                if let Some(difference) = first_difference(expected, got) {
                    let kind = format!("reference and {} differ", engine.name());
                    let text = format!("{name}: {kind}: {difference}");
                    outcome.failure.get_or_insert(Failure { view: name.clone(), kind, text });
                }
                outcome.compared.push((name.clone(), expected.num_rows() * expected.num_columns()));
            }
        }
    }

    /// Writes the project of what was compared into a folder, and what was refused apart.
    fn keep_without_refused(&self, folder: &Path, outcome: &Outcome) {
        let refused: Vec<String> = outcome.refused.iter().map(|(view, _)| view.clone()).collect();
        self.without(&refused).0.keep(folder);
        std::fs::create_dir_all(folder.join("refused")).unwrap();
        for (view, reason) in &outcome.refused {
            let tree = self.views.iter().find(|v| v.name == *view).expect("a view");
            let reason: String = reason.lines().map(|line| format!("-- {line}\n")).collect();
            std::fs::write(folder.join(format!("refused/{view}.sql")), reason + &self_text(tree)).unwrap();
        }
    }

    /// Writes the project into a folder.
    pub(super) fn keep(&self, folder: &Path) {
        let project = self.project();
        copy(project.dir.path(), folder);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn self_text(tree: &ViewTree) -> String {
    printed(std::slice::from_ref(tree)).into_iter().map(|(_, _, sql)| sql).collect()
}

fn reads(sql: &str, view: &str) -> bool {
    sql.contains(&format!(" {view} AS "))
}

/// Why a case did not get to its end.
struct Stopped {
    /// Before any data was read.
    refused: bool,
    /// Both engines say the same.
    same: bool,
    text: String,
}

/// By view: features, engine, and its reason.
struct Values {
    views: Vec<(String, (RecordBatch, Engine, String))>,
}

impl Values {
    fn of(prepared: &Prepared, replayed: &Replay) -> Self {
        let whole = dataset_of(prepared, replayed);
        let values = |view: &ViewReplay| {
            let features = &prepared.opened.project.view(&view.view).expect("a view").features;
            let columns = features.iter().map(|f| {
                let column: ArrayRef = Arc::clone(whole.column_by_name(&f.column).expect("a feature"));
                (f.column.clone(), column, true)
            });
            RecordBatch::try_from_iter_with_nullable(columns).unwrap()
        };
        let views = replayed.views.iter().map(|v| (v.view.clone(), (values(v), v.engine, v.reason.clone())));
        Self { views: views.collect() }
    }
}

/// All views by the reference engine, and by the rewrite where it takes them.
fn both(project: &Project) -> Result<(Values, Values), Stopped> {
    let stopped = |refused: bool, text: String| Stopped { refused, same: false, text };
    let (config, _) = config::load(&project.path("backcast.toml"), &[])
        .map_err(|findings| stopped(false, Error::Input(findings).to_string()))?;
    run(|| async move {
        let prepared = pipeline::prepare(config, &Silent).await.map_err(|e| stopped(true, e.to_string()))?;
        let opened = &prepared.opened;
        let by = async |engine| {
            replay(&opened.project, &prepared.labels, &opened.session, ReplayOptions { engine }, &Silent).await
        };
        let (reference, auto) = (by(Engine::Reference).await, by(Engine::Auto).await);
        match (reference, auto) {
            (Ok(reference), Ok(auto)) => {
                let mut other = Values::of(&prepared, &auto);
                // What was swept is rewritten too.
                if auto.views.iter().any(|v| v.engine == Engine::Sweep) {
                    let rewrite = by(Engine::Rewrite).await;
                    let rewrite = rewrite.map_err(|e| stopped(false, format!("only the plain rewrite fails: {e}")))?;
                    other.views.extend(Values::of(&prepared, &rewrite).views);
                    // And swept with so little memory that cells and events go to disk, where all else does with it.
                    let options = SessionOptions { memory: Some(LITTLE), batch_rows: 7, ..opened.options.clone() };
                    let runtime = new_runtime(options.memory).expect("a runtime");
                    let little = new_session(&options, Arc::clone(&runtime));
                    let auto = ReplayOptions { engine: Engine::Auto };
                    match replay(&opened.project, &prepared.labels, &little, auto, &Silent).await {
                        Ok(again) => other.views.extend(Values::of(&prepared, &again).views),
                        Err(Error::Memory { .. }) => {}
                        Err(e) => return Err(stopped(false, format!("only with little memory it fails: {e}"))),
                    }
                }
                Ok((Values::of(&prepared, &reference), other))
            }
            (Err(a), Err(b)) => {
                let (a, b) = (a.to_string(), b.to_string());
                let same = kind_of(&a) == kind_of(&b);
                let text = if same { a } else { format!("the engines fail in other ways: {a}\nagainst {b}") };
                Err(Stopped { refused: false, same, text })
            }
            (Err(e), Ok(_)) => Err(stopped(false, format!("only the reference fails: {e}"))),
            (Ok(_), Err(e)) => Err(stopped(false, format!("only the rewrite fails: {e}"))),
        }
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    format!("panic: {}", text.unwrap_or_default())
}

/// An error without the numbers in it, so that names made by the grammar are alike.
pub(super) fn kind_of(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_ascii_digit()).take(140).collect()
}
