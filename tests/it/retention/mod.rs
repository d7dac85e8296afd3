//! Retention: coverage as it is defined, what becomes of cells that are not covered, verdicts, what an audit finds, inventory.

mod audits;
mod coverage;
mod lookbacks;
mod models;
mod rowwise;
mod unrecoverable;

use datafusion::arrow::array::RecordBatch;

use crate::support::{Project, read_parquet};

/// The one file of a folder of the outputs.
fn output(project: &Project, folder: &str) -> RecordBatch {
    let parts: Vec<String> = project.outputs().into_iter().filter(|p| p.starts_with(&format!("{folder}/"))).collect();
    let [part] = parts.as_slice() else { panic!("not one file in {folder}: {parts:?}") };
    read_parquet(&project.path(&format!("out/{part}")))
}

fn report(project: &Project) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(project.path("out/report.json")).unwrap()).unwrap()
}

/// Text without its line breaks.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An instant as nanoseconds since 1970.
fn ns(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap()
}
