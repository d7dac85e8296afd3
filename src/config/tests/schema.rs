//! The JSON Schema that is shipped.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::config::json_schema;
use crate::config::keys::ROOT;
use crate::config::kind::{Kind, Table};

/// To update the file: `UPDATE_SCHEMA=1 cargo test schema`.
#[test]
fn the_shipped_schema_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("backcast.schema.json");
    let wanted = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let shipped = fs::read_to_string(&path).unwrap_or_default();
    assert!(shipped == wanted, "backcast.schema.json is out of date: run `UPDATE_SCHEMA=1 cargo test schema`");
}

fn known(table: &Table, path: &str, out: &mut BTreeSet<String>) {
    for key in table.keys {
        let path = format!("{path}/{}", key.name);
        out.insert(path.clone());
        match &key.kind {
            Kind::Table(below) => known(below, &path, out),
            Kind::Named(below) | Kind::Columns(below) => known(below, &format!("{path}/*"), out),
            _ => {}
        }
    }
}

fn properties(schema: &Value, path: &str, out: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        out.insert(path.clone());
        properties(property, &path, out);
        properties(&property["additionalProperties"], &format!("{path}/*"), out);
    }
}

#[test]
fn the_schema_has_the_keys_that_validation_knows() {
    let (mut by_validation, mut by_schema) = (BTreeSet::new(), BTreeSet::new());
    known(&ROOT, "", &mut by_validation);
    properties(&json_schema(), "", &mut by_schema);
    assert_eq!(by_validation, by_schema);
    assert!(by_schema.contains("/views/*/features/*/tolerance/rel"));
}

/// Every default and example is a value that validation takes.
#[test]
fn examples_and_defaults_are_valid() {
    fn check(table: &Table, path: &str, problems: &mut Vec<String>) {
        for key in table.keys {
            let path = format!("{path}{}", key.name);
            assert!(key.doc.chars().next().is_some_and(|c| c.is_uppercase() || c.is_lowercase()), "{path}");
            match &key.kind {
                Kind::Table(below) => check(below, &format!("{path}."), problems),
                Kind::Named(below) | Kind::Columns(below) => check(below, &format!("{path}.x."), problems),
                _ => {
                    let set = format!("{path}={}", key.example);
                    let findings = Project::new(MINIMAL).load(&[&set]).err().unwrap_or_default();
                    let expected = ["does not exist", "missing key", "no view", "no snapshot", "is a log", "no `id`"];
                    problems.extend(
                        findings
                            .iter()
                            .filter(|f| !expected.iter().any(|text| f.message.contains(text)))
                            .map(|f| format!("{set}: {f}")),
                    );
                }
            }
        }
    }
    let mut problems = Vec::new();
    check(&ROOT, "", &mut problems);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
