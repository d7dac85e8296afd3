//! Runs that go over chunks: what is found kept, what is replayed again, and runs that were stopped.

mod calendar;
mod killed;
mod reuse;
mod stopped;

use std::path::Path;

use datafusion::arrow::array::RecordBatch;
use serde_json::Value;

use crate::support::{Project, Rng, table};

const LABELS: &str = "keys = [\"user_id\"]\ntime = \"at\"";
const EVENTS: &str = "time = \"ts\"\navailable_at = \"seen\"\nsince = \"beginning\"";
const LATEST: &str =
    "SELECT user_id, last_value(kind ORDER BY ts) AS last_kind, avg(x) AS mean_x FROM events GROUP BY user_id";

fn window(days: u32) -> String {
    format!(
        "SELECT user_id, count(*) AS n, sum(x) AS total FROM events WHERE ts > NOW() - INTERVAL '{days} days' GROUP BY user_id"
    )
}

/// Events of a user in days 1 to 9 and label rows in days 2 to 9 of March 2025.
fn events(seed: u64, days: std::ops::Range<i64>) -> RecordBatch {
    let mut rng = Rng::new(seed);
    let mut text = "id:i64 user_id:i64 ts:us@UTC seen:us@UTC kind:str x:f64\n".to_string();
    for day in days {
        for i in 0..40 {
            let (hour, late) = (rng.range(0, 20), rng.range(0, 3));
            let kind = rng.pick(&["a", "b", "c", "-"]);
            text += &format!(
                "{} {} 2025-03-0{day}T{hour:02}:{:02} 2025-03-0{day}T{:02}:30 {kind} {}\n",
                day * 100 + i,
                rng.range(1, 9),
                rng.range(0, 30),
                hour + late,
                f64::from(i32::try_from(rng.range(-9999, 9999)).unwrap()) / 10.0
            );
        }
    }
    table(&text)
}

fn labels(days: std::ops::Range<i64>) -> RecordBatch {
    let mut rng = Rng::new(5);
    let mut text = "user_id:i64 at:us@UTC y:i64\n".to_string();
    for day in days {
        for i in 0..12 {
            text += &format!("{} 2025-03-0{day}T{:02}:00 {i}\n", rng.range(1, 10), rng.range(0, 24));
        }
    }
    table(&text)
}

/// A window of two days, one of half a day, and a view without one, in chunks of a day.
fn project() -> Project {
    let half = "SELECT user_id, max(x) AS top FROM events WHERE ts > NOW() - INTERVAL '12 hours' GROUP BY user_id";
    Project::new(LABELS, &labels(2..9))
        .source_of_files("events", EVENTS, &[("part-0.parquet", events(1, 1..5)), ("part-1.parquet", events(2, 5..9))])
        .view("window", &window(2))
        .view("half", half)
        .view("latest", LATEST)
        .config("[run]\nchunk = \"1 day\"")
}

/// As [`project`], with a legacy snapshot of which a part is wrong.
fn compared() -> Project {
    let project = project();
    project.backcast(&["replay", "--quiet", "--out", "legacy"]).exits_with(0);
    let parts = std::fs::read_dir(project.path("legacy/dataset")).unwrap();
    let part = parts.map(|p| p.unwrap().path()).next().unwrap();
    let right = crate::support::read_parquet(&part);
    let n = right.column_by_name("n").unwrap();
    let n: datafusion::arrow::array::Int64Array =
        datafusion::arrow::array::AsArray::as_primitive::<datafusion::arrow::datatypes::Int64Type>(n)
            .iter()
            .enumerate()
            .map(|(row, n)| n.map(|n| if row % 5 == 0 { n + 1 } else { n }))
            .collect();
    let mut columns = right.columns().to_vec();
    columns[right.schema().index_of("n").unwrap()] = std::sync::Arc::new(n);
    let wrong = RecordBatch::try_new(right.schema(), columns).unwrap();
    crate::support::write_parquet(&project.path("legacy.parquet"), &wrong);
    project.config(
        "[snapshots.old]\nuri = \"legacy.parquet\"\n\n[models.m]\nfeatures = [\"window.*\"]\nsnapshot = \"old\"",
    )
}

/// By view: in how many chunks its values were found kept, and in how many replayed.
fn told(report: &Value) -> Vec<(String, usize, usize)> {
    let mut told: Vec<(String, usize, usize)> = Vec::new();
    for view in report["chunks"].as_array().unwrap().iter().flat_map(|c| c["views"].as_array().unwrap()) {
        let (name, reused) = (view["view"].as_str().unwrap(), view["reused"].as_bool().unwrap());
        let own = match told.iter_mut().position(|(view, ..)| view == name) {
            Some(at) => &mut told[at],
            None => {
                told.push((name.to_string(), 0, 0));
                told.last_mut().unwrap()
            }
        };
        own.1 += usize::from(reused);
        own.2 += usize::from(!reused);
    }
    told
}

/// Why values were not found kept, each reason once.
fn reasons(report: &Value) -> Vec<String> {
    let views = report["chunks"].as_array().unwrap().iter().flat_map(|c| c["views"].as_array().unwrap());
    let mut all: Vec<String> = views.filter_map(|v| Some(v["why"].as_str()?.to_string())).collect();
    all.sort();
    all.dedup();
    all
}

/// All files of the output's tables, with their bytes, and the report but for what tells of this run alone.
fn outputs(out: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in ["dataset", "provenance", "mismatches/old"] {
        let Ok(files) = std::fs::read_dir(out.join(folder)) else { continue };
        for file in files.map(|f| f.unwrap().path()) {
            let name = format!("{folder}/{}", file.file_name().unwrap().to_str().unwrap());
            found.push((name, std::fs::read(&file).unwrap()));
        }
    }
    if let Ok(text) = std::fs::read_to_string(out.join("report.json")) {
        let mut report: Value = serde_json::from_str(&text).unwrap();
        let fields = report.as_object_mut().unwrap();
        for own in ["generated_at", "timings", "chunks", "self_check", "gates", "outputs", "retention", "choices"] {
            fields.remove(own);
        }
        found.push(("report.json".to_string(), report.to_string().into_bytes()));
    }
    found.sort();
    assert!(found.len() > 1, "{found:?}");
    found
}
