//! Holds the tables of docs/sql.md and README.md true: every row of [`super::rows`] is run on both engines, and the tables are made
//! from what the program does and says. `UPDATE_DOCS=1 cargo test --test it dialect` writes them.

use std::fmt::Write as _;
use std::path::Path;

use backcast::pipeline;
use backcast::replay::Engine;

use super::rows::{GROUPS, Mapped, Outcome, Refused, Taken};
use crate::support::{Project, run, shown, table};

fn project() -> Project {
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00");
    let events = table(
        "user_id:i64 ts:us@UTC               kind:str x:i64 amount:f64 name:str payload:str
         1           2025-03-08T09:30        view     5     1.5        Ab_c     {\"a\":{\"b\":[1,2]},\"n\":2.50}
         1           2025-03-10T10:00:00.25  buy      7     2.5        x-1-y    {\"n\":3}
         1           2025-03-10T11:00        buy      2     -          -        {}",
    );
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels).source("events", "time = \"ts\"", &events)
}

/// The whole query that a row stands for.
fn query(sql: &str) -> String {
    match sql.strip_prefix("agg ") {
        Some(expression) => format!("SELECT user_id, {expression} AS v FROM events GROUP BY user_id"),
        None if sql.contains("AS v") || sql.contains(".v FROM") => sql.to_string(),
        None => format!("SELECT user_id, {sql} AS v FROM events WHERE kind = 'view'"),
    }
}

/// Every row that gives a value, with its number: group, and row in the group.
fn taken() -> impl Iterator<Item = (String, &'static str, &'static str)> {
    let rows =
        GROUPS.iter().enumerate().flat_map(|(g, group)| group.rows.iter().enumerate().map(move |(r, row)| (g, r, row)));
    rows.filter_map(|(g, r, (_, sql, outcome))| match outcome {
        Taken(value) | Mapped(value, _) => Some((format!("r{g}_{r}"), *sql, *value)),
        Refused(_) => None,
    })
}

/// All rows that give a value, as views of one project.
fn all_taken() -> Project {
    taken().fold(project(), |project, (name, sql, _)| {
        project.view_with(&name, &format!("prefix = \"{name}_\""), &query(sql))
    })
}

#[test]
fn every_row_that_is_taken_gives_its_value_on_both_engines() {
    let dataset = all_taken().dataset();
    let wrong: Vec<String> = taken()
        .filter_map(|(name, sql, value)| {
            let found = shown(&dataset, &format!("{name}_v"));
            (found != [value]).then(|| format!("{sql}\n   gives {found:?}, not {value:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the program says of a row that it refuses: number, reason, way out.
fn refusal(sql: &str) -> (String, String, String) {
    let ran = project().view("w", &query(sql)).backcast(&["check"]);
    assert_eq!(ran.code, 2, "{sql} is not refused:\n{}", ran.stdout);
    let first = ran.stdout.lines().next().unwrap_or_default();
    let (label, message) = first.split_once(": ").unwrap_or(("", first));
    let code = label.strip_prefix("error[").and_then(|l| l.strip_suffix(']')).unwrap_or_default();
    assert!(ran.stdout.contains("--> w.sql:"), "{sql}: no place in\n{}", ran.stdout);
    let help = ran.stdout.lines().find_map(|l| l.trim().strip_prefix("= help: ")).unwrap_or_default();
    (code.to_string(), message.to_string(), help.to_string())
}

/// Engine by view.
fn engines() -> Vec<(String, String)> {
    let project = all_taken();
    let config = backcast::config::load(&project.path("backcast.toml"), &[]).unwrap().0;
    run(|| async move {
        let opened = pipeline::open(config).await.unwrap();
        let explained = pipeline::explain(&opened, None, Engine::Auto).unwrap();
        explained.into_iter().map(|e| (e.view.view, e.view.engine)).collect()
    })
}

fn code(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("`{}`", one_line.replace('|', "\\|"))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn example(sql: &str) -> String {
    code(sql.strip_prefix("agg ").unwrap_or(sql))
}

/// The tables of docs/sql.md.
fn reference_tables() -> String {
    let engines = engines();
    let mut out = String::new();
    for (g, group) in GROUPS.iter().enumerate() {
        write!(out, "\n### {}\n\n", group.title).unwrap();
        out.push_str("| SQL | example | becomes | engine |\n| --- | --- | --- | --- |\n");
        for (r, (name, sql, outcome)) in group.rows.iter().enumerate() {
            let becomes = match outcome {
                Taken(_) => "itself",
                Mapped(_, what) => what,
                Refused(_) => continue,
            };
            let view = format!("r{g}_{r}");
            let engine = engines.iter().find(|(v, _)| *v == view).map_or("", |(_, engine)| engine.as_str());
            writeln!(out, "| {} | {} | {} | {engine} |", cell(name), example(sql), cell(becomes)).unwrap();
        }
        let refused: Vec<_> = group.rows.iter().filter(|(_, _, o)| matches!(o, Refused(_))).collect();
        if refused.is_empty() {
            continue;
        }
        out.push_str("\n| refused | example | why | instead |\n| --- | --- | --- | --- |\n");
        for (name, sql, outcome) in refused {
            let Refused(expected) = outcome else { continue };
            let (number, why, instead) = refusal(sql);
            assert_eq!(number, *expected, "{sql}");
            let number = if number.is_empty() { String::new() } else { format!(" ({number})") };
            writeln!(out, "| {}{number} | {} | {} | {} |", cell(name), example(sql), cell(&why), cell(&instead))
                .unwrap();
        }
    }
    out
}

/// The table of README.md: names only.
fn overview_table() -> String {
    let mut out = "\n| | taken | mapped | refused |\n| --- | --- | --- | --- |\n".to_string();
    for group in GROUPS {
        let names = |wanted: fn(&Outcome) -> bool| {
            let names: Vec<String> =
                group.rows.iter().filter(|(_, _, o)| wanted(o)).map(|(name, _, _)| cell(name)).collect();
            names.join(", ")
        };
        writeln!(
            out,
            "| {} | {} | {} | {} |",
            group.title,
            names(|o| matches!(o, Taken(_))),
            names(|o| matches!(o, Mapped(_, _))),
            names(|o| matches!(o, Refused(_)))
        )
        .unwrap();
    }
    out
}

const BEGIN: &str = "<!-- made by `UPDATE_DOCS=1 cargo test --test it dialect`: begin -->\n";
const END: &str = "<!-- end -->";

/// Holds the text between the markers to what was made, or writes it.
fn holds(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{file} has no line `{BEGIN}`"));
    let (written, after) = rest.split_once(END).unwrap_or_else(|| panic!("{file} has no line `{END}`"));
    let made = format!("{made}\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    let line = written.lines().zip(made.lines()).find(|(a, b)| a != b);
    assert!(
        written == made,
        "{file} is not what the program does: run `UPDATE_DOCS=1 cargo test --test it dialect`; first difference: {line:?}"
    );
}

#[test]
fn docs_sql_says_what_the_program_does() {
    holds("docs/sql.md", &reference_tables());
}

#[test]
fn readme_says_what_the_program_does() {
    holds("README.md", &overview_table());
}
