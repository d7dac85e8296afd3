//! The two engines against each other, bit for bit: on seeded random worlds and views, and on every operator by name.
//!
//! `BACKCAST_FUZZ_SEEDS=100..400 cargo test --test it engines` runs other seeds than the usual ones. A failure prints the seed,
//! the config, the SQL and the first cell that differs.

mod cheap;
mod grammar;
mod grammar_correlated;
mod operators;
mod rules;
mod swept;
mod unnesting;
mod world;

use std::fmt::Write as _;
use std::ops::Range;

use backcast::replay::Engine;

use self::grammar::{Grammar, SHAPES};
use self::world::World;
use crate::support::{Project, Rng, first_difference};

/// Seeds of the usual run.
const SEEDS: Range<u64> = 0..26;
/// Random views of a seed, beside the helper and the view on views.
const VIEWS: usize = 4;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("BACKCAST_FUZZ_SEEDS") else { return SEEDS };
    let bounds = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    bounds.unwrap_or_else(|| panic!("BACKCAST_FUZZ_SEEDS is `{text}`, not like `0..100`"))
}

/// The project of a seed: a world, random views, a helper, and a view on them.
fn project_of(seed: u64) -> (Project, String) {
    let mut rng = Rng::new(seed);
    let mut project = World::new(&mut rng).project;
    let mut told = format!("seed {seed}\n");
    let mut add = |project: Project, name: &str, config: &str, sql: &str| {
        writeln!(told, "-- {name}\n{sql};\n").unwrap();
        project.view_with(name, config, sql)
    };
    let helper = Grammar::new(&mut rng, "helper").helper();
    project = add(project, "helper", "helper = true", &helper);
    let keyed = Grammar::new(&mut rng, "keyed");
    let keyed = format!("SELECT user_id, max(ts) AS latest FROM events{} GROUP BY user_id", {
        let recent = keyed.rng.one_in(2);
        if recent { " WHERE ts > NOW() - INTERVAL '3 days'" } else { "" }
    });
    project = add(project, "keyed", "", &keyed);
    for i in 0..VIEWS {
        let name = format!("v{i}");
        // Every shape has its turn within a few seeds.
        let turn = (usize::try_from(seed).unwrap() * VIEWS + i) % SHAPES.len();
        let (_, shape) = SHAPES[turn];
        let sql = shape(&mut Grammar::new(&mut rng, &name));
        project = add(project, &name, "", &sql);
    }
    let above = Grammar::new(&mut rng, "above").on_views("keyed", "latest", "helper");
    project = add(project, "above", "", &above);
    (project, told)
}

fn check(seed: u64) {
    let (project, sql) = project_of(seed);
    let told = || format!("{sql}{}", project.config_text());
    let by = |engine| project.by(engine).unwrap_or_else(|e| panic!("{engine:?} fails: {e}\n{}", told()));
    // No view of the grammar may be refused: a forced engine says so.
    let (reference, rewrite) = (by(Engine::Reference), by(Engine::Rewrite));
    if let Some(difference) = first_difference(&reference, &rewrite) {
        panic!("reference and rewrite differ: {difference}\n{}", told());
    }
    // The sweep, where a view is eligible.
    if let Some(difference) = first_difference(&reference, &by(Engine::Auto)) {
        panic!("reference and sweep differ: {difference}\n{}", told());
    }
}

/// A slice of the seeds, so that slices run side by side.
fn check_slice(slice: u64, of: u64) {
    for seed in seeds().filter(|seed| seed % of == slice) {
        check(seed);
    }
}

#[test]
fn random_views_over_random_logs_are_the_same_on_both_engines_first_slice() {
    check_slice(0, 4);
}

#[test]
fn random_views_over_random_logs_are_the_same_on_both_engines_second_slice() {
    check_slice(1, 4);
}

#[test]
fn random_views_over_random_logs_are_the_same_on_both_engines_third_slice() {
    check_slice(2, 4);
}

#[test]
fn random_views_over_random_logs_are_the_same_on_both_engines_last_slice() {
    check_slice(3, 4);
}
