//! Numbers, pages and index of the diagnostics held in step, and the examples of the pages run.
//!
//! After a number was added: `UPDATE_INDEX=1 cargo test --test it diagnostics` writes the index.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use backcast::diagnostics::{ALL, Diagnostic};
use backcast::finding::{Finding, Severity};

use crate::support::{Project, table};

const INDEX_MARK: &str = "<!-- index -->\n";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// As [`project`], with so many rows of labels and events that comparing each with each is worth a warning.
fn large_project(sql: &str, config: &str) -> Project {
    let mut labels = "user_id:i64 at:us@UTC\n".to_string();
    let mut events = "event_id:i64 user_id:i64 ts:us@UTC arrived_at:us@UTC kind:str amount:f64\n".to_string();
    for i in 0..12_000 {
        let at = format!("2025-03-10T{:02}:{:02}:{:02}", i / 3600, i / 60 % 60, i % 60);
        labels += &format!("{} {at}\n", i % 100);
        events += &format!("{i} {} {at} {at} buy {i}\n", i % 100);
    }
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &table(&labels))
        .source("events", "time = \"ts\"\navailable_at = \"arrived_at\"\nid = [\"event_id\"]", &table(&events))
        .view_with("v", config, sql)
}

/// The view `v` with this SQL over the sources of docs/diagnostics/README.md; `config` goes below its table.
fn project(sql: &str, config: &str) -> Project {
    let events = table(
        "event_id:i64 user_id:i64 ts:us@UTC arrived_at:us@UTC kind:str amount:f64 quantity:i64 checksum:i64
        1 1 2025-03-10T10:00 2025-03-10T10:01 buy 10.5 1 9223372036854775807
        2 1 2025-03-10T11:00 2025-03-10T11:01 return 10.5 1 9223372036854775807",
    );
    let users = table("user_id:i64 changed_at:us@UTC plan:str op:str\n 1 2025-03-01T10:00 pro U");
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00"))
        .source("events", "time = \"ts\"\navailable_at = \"arrived_at\"\nid = [\"event_id\"]", &events)
        .source(
            "users",
            "kind = \"changelog\"\ntime = \"changed_at\"\nid = [\"user_id\"]\ndeleted = \"op = 'D'\"",
            &users,
        )
        .view_with("v", config, sql)
}

/// The block of a page whose opening line is ```` ```KIND ```` or that and ` run`; and whether it is.
fn block(diagnostic: &Diagnostic, kind: &str) -> Option<(String, bool)> {
    let mut lines = diagnostic.page.lines();
    let opening = format!("```{kind}");
    let running = format!("{opening} run");
    let runs = lines.find(|line| *line == opening || *line == running)? == running;
    let text: Vec<&str> = lines.take_while(|line| *line != "```").collect();
    Some((text.join("\n"), runs))
}

/// What is found in one of the two examples of a page.
fn findings(diagnostic: &Diagnostic, which: &str) -> Result<Vec<Finding>, String> {
    let page = format!("docs/diagnostics/{}.md", diagnostic.number);
    let (sql, runs) =
        block(diagnostic, &format!("sql {which}")).ok_or(format!("{page} has no block ```sql {which}"))?;
    let config = block(diagnostic, &format!("toml {which}")).map_or_else(String::new, |(text, _)| text);
    let project = if diagnostic.number.starts_with("B22") { large_project } else { project };
    Ok(project(&sql, &config).findings(runs))
}

fn codes(findings: &[Finding]) -> BTreeSet<&str> {
    findings.iter().map(|f| f.code.unwrap_or("a finding without a number")).collect()
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_page_has_an_example_that_gives_its_number_and_one_that_gives_none() {
    let mut wrong = Vec::new();
    for diagnostic in ALL {
        let number = diagnostic.number;
        for (which, wanted) in [("bad", BTreeSet::from([number])), ("good", BTreeSet::new())] {
            match findings(diagnostic, which) {
                Err(reason) => wrong.push(reason),
                Ok(found) if codes(&found) != wanted => {
                    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
                    wrong.push(format!(
                        "the {which} example of {number} gives {:?}:\n{}",
                        codes(&found),
                        shown.join("\n")
                    ));
                }
                Ok(found) => wrong.extend(found.iter().filter_map(|f| lacking(f, diagnostic))),
            }
        }
    }
    none(&wrong);
}

/// Each finding has a caret and a way out, and is as bad as the registry says or less.
fn lacking(finding: &Finding, diagnostic: &Diagnostic) -> Option<String> {
    let said = |what: &str| Some(format!("{}: {what}\n{finding}", diagnostic.number));
    match &finding.place {
        None => return said("has no place"),
        Some(place) if place.text.is_empty() && diagnostic.number != "B102" => return said("has no caret"),
        Some(place) if place.length == 0 => return said("has an empty caret"),
        Some(_) => {}
    }
    if finding.severity < diagnostic.severity {
        return said("is worse than the registry says");
    }
    // What DataFusion or the parser says of syntax and plans may be all that there is to say.
    let terse = ["B101", "B117", "B122", "B116"];
    if finding.help.is_none() && !terse.contains(&diagnostic.number) { said("has no way out") } else { None }
}

#[test]
fn every_page_opens_with_its_number_and_title_and_says_why() {
    let mut wrong = Vec::new();
    for d in ALL {
        let path = format!("docs/diagnostics/{}.md", d.number);
        let heading = format!("# {}: {}\n", d.number, d.title);
        if !d.page.starts_with(&heading) {
            wrong.push(format!("{path} does not open with `{}`, as src/diagnostics.rs has it", heading.trim_end()));
        }
        for part in ["\n## Example\n", "\n## Why\n", "\n## Instead\n"] {
            if !d.page.contains(part) {
                wrong.push(format!("{path} has no `{}`", part.trim()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_page_and_every_number_in_the_code_is_in_the_registry() {
    let known = |number: &str| ALL.iter().any(|d| d.number == number);
    let mut wrong = Vec::new();
    for entry in fs::read_dir(root().join("docs/diagnostics")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let number = name.trim_end_matches(".md");
        if number != "README" && !known(number) {
            wrong.push(format!("docs/diagnostics/{name} has no line in src/diagnostics.rs"));
        }
    }
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for given in text.split(".code(\"").skip(1) {
            let number = given.split('"').next().unwrap_or_default();
            if !known(number) {
                let file = file.strip_prefix(root()).unwrap().display();
                wrong.push(format!(
                    "{file} gives `{number}`: add `{number} Error \"title\"` to src/diagnostics.rs, and docs/diagnostics/{number}.md"
                ));
            }
        }
    }
    none(&wrong);
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_index_lists_every_number() {
    let path = root().join("docs/diagnostics/README.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, index) = text.split_once(INDEX_MARK).expect("the mark of the index");
    let mut wanted = String::from("\n| number | what it is about |\n| --- | --- |\n");
    for d in ALL {
        wanted += &format!("| [{0}]({0}.md) | {1} |\n", d.number, d.title);
    }
    if std::env::var_os("UPDATE_INDEX").is_some() {
        fs::write(&path, format!("{before}{INDEX_MARK}{wanted}")).unwrap();
        return;
    }
    assert_eq!(index, wanted, "run `UPDATE_INDEX=1 cargo test --test it diagnostics`");
}

#[test]
fn explain_prints_a_page_without_a_config() {
    let dir = tempfile::tempdir().unwrap();
    let ran = crate::support::backcast_in(dir.path(), &["explain", "b206"]).exits_with(0);
    assert_eq!(ran.stdout, backcast::diagnostics::find("B206").unwrap().page);
    let json = crate::support::backcast_in(dir.path(), &["explain", "B206", "--format", "json"]).exits_with(0).json();
    assert_eq!((&json["code"], &json["severity"]), (&"B206".into(), &"warning".into()));
    crate::support::backcast_in(dir.path(), &["explain", "B199"])
        .exits_with(2)
        .complains_of(&["`B199`", "`backcast explain B2"]);
    assert!(ALL.iter().all(|d| d.severity != Severity::Note));
}
