//! Snapshots of stores that go wrong in known ways: is the cause found, first, with its parameter, and nothing where there is
//! nothing?
//!
//! The old store is written in plain loops ([`legacy`]) and shares nothing with Backcast. What is found is judged by the same
//! loops: a parameter is right where they give the legacy values under it; another name is as good only where it has no
//! more parameters and gives the same values.

mod cases;
mod flights;
mod judge;
mod legacy;
mod world;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use serde_json::Value as Json;

use self::cases::{Noise, Planted};
use self::judge::{Judgement, judge};
use self::legacy::{FEATURES, Feature, Meaning, Of, VIEWS, Value};
use self::world::{Event, Label, event_table, events, label_columns, labels};
use crate::support::{Project, Rng, write_parquet};

const USERS: i64 = 40;

/// An old store: label rows, and what it makes of them.
trait Store {
    fn features(&self) -> &[Feature];

    /// By label row, under a meaning.
    fn values(&self, meaning: &Meaning, feature: &Feature) -> Vec<Value>;

    /// The keys and times of the label rows.
    fn label_columns(&self) -> Vec<(&'static str, ArrayRef)>;

    /// Everything but the snapshots.
    fn project(&self) -> Project;

    /// What a snapshot holds, by feature.
    fn legacy(&self, planted: &Planted) -> Vec<Vec<Value>> {
        let mut values: Vec<Vec<Value>> = self.features().iter().map(|f| self.values(&planted.meaning, f)).collect();
        let numbers = |values: &mut Vec<Vec<Value>>, change: &mut dyn FnMut(&mut f64)| {
            for value in values.iter_mut().flatten() {
                if let Value::Number(number) = value {
                    change(number);
                }
            }
        };
        match planted.noise {
            None => {}
            Some(Noise::OneIn(one_in)) => {
                let mut rng = Rng::new(u64::try_from(one_in).unwrap());
                numbers(&mut values, &mut |number| {
                    if rng.one_in(one_in) {
                        *number += rng.choose(&[-1.0, 1.0]) * rng.range(1, 60) as f64;
                    }
                });
            }
            Some(Noise::Shuffled) => values.iter_mut().for_each(|own| Rng::new(17).shuffle(own)),
            Some(Noise::Moved(rows)) => values.iter_mut().for_each(|own| own.rotate_right(rows)),
            Some(Noise::OffByOne) => numbers(&mut values, &mut |number| *number += 1.0),
        }
        values
    }
}

/// The log, the label rows and each label row's events.
struct Lab {
    events: Vec<Event>,
    labels: Vec<Label>,
}

impl Lab {
    fn new(seed: u64, event_count: usize, label_count: usize) -> Self {
        let mut rng = Rng::new(seed);
        let events = events(&mut rng, USERS, event_count);
        let labels = labels(&mut rng, &events, USERS, label_count);
        Self { events, labels }
    }
}

impl Store for Lab {
    fn features(&self) -> &[Feature] {
        &FEATURES
    }

    fn values(&self, meaning: &Meaning, feature: &Feature) -> Vec<Value> {
        let mut by_user: HashMap<i64, Vec<&Event>> = HashMap::new();
        for event in &self.events {
            by_user.entry(event.user).or_default().push(event);
        }
        let value = |label: &Label| {
            let events = by_user.get(&label.user).map_or(&[][..], Vec::as_slice);
            meaning.value(feature, label.at, events)
        };
        self.labels.iter().map(value).collect()
    }

    fn label_columns(&self) -> Vec<(&'static str, ArrayRef)> {
        label_columns(&self.labels)
    }

    fn project(&self) -> Project {
        let label_rows = RecordBatch::try_from_iter(label_columns(&self.labels)).unwrap();
        let rows = event_table(&self.events);
        let times = "time = \"ts\"\navailable_at = \"arrived\"\nsince = \"beginning\"";
        let mut project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &label_rows)
            .source("events", &format!("{times}\nid = [\"event_id\"]"), &rows)
            .source("deliveries", times, &rows);
        for (view, sql) in VIEWS {
            project = project.view_with(view, &zeros(&FEATURES, view), sql);
        }
        project
    }
}

/// What the configuration says of a view's features.
fn zeros(features: &[Feature], view: &str) -> String {
    let zeros = features.iter().filter(|f| f.zero && f.name.split('.').next() == Some(view));
    zeros.fold(String::new(), |mut config, f| {
        writeln!(config, "[views.{}]\nwhen_missing = 0", f.name.replace('.', ".features.")).unwrap();
        config
    })
}

/// The store's project with a snapshot for each plant.
fn project(store: &dyn Store, all: &[Planted]) -> Project {
    let mut project = store.project().config("[diff]\ntolerance = { rel = 1e-9 }");
    for planted in all {
        let values = store.legacy(planted);
        let columns = store.features().iter().zip(&values).map(|(f, values)| (column_name(f), column(f, values)));
        let snapshot = RecordBatch::try_from_iter(store.label_columns().into_iter().chain(columns)).unwrap();
        let file = format!("legacy/{}.parquet", planted.snapshot);
        write_parquet(&project.path(&file), &snapshot);
        project = project.config(&format!("[snapshots.{}]\nuri = \"{file}\"", planted.snapshot));
    }
    project
}

fn column_name(feature: &Feature) -> &'static str {
    feature.name.rsplit('.').next().unwrap()
}

fn column(feature: &Feature, values: &[Value]) -> ArrayRef {
    match feature.of {
        Of::LastKind | Of::NewestKind => Arc::new(StringArray::from_iter(values.iter().map(|v| match v {
            Value::Text(text) => Some(*text),
            _ => None,
        }))),
        _ => Arc::new(Float64Array::from_iter(values.iter().map(|v| match v {
            Value::Number(number) => Some(*number),
            _ => None,
        }))),
    }
}

/// The feature's entry in the report.
fn reported<'a>(report: &'a Json, snapshot: &str, feature: &str) -> &'a Json {
    let named = |list: &'a Json, key: &str, name: &str| -> &'a Json {
        let found = list.as_array().unwrap().iter().find(|entry| entry[key] == name);
        found.unwrap_or_else(|| panic!("no {key} `{name}`"))
    };
    named(&named(&report["snapshots"], "snapshot", snapshot)["features"], "feature", feature)
}

/// Judges every feature of every snapshot.
fn judged(store: &dyn Store, all: &[Planted]) -> Vec<(Planted, Vec<(&'static str, Judgement)>)> {
    let ran = project(store, all).backcast(&["diff", "--format", "json"]);
    assert!(ran.code == 0 || ran.code == 3, "{}", ran.stderr);
    let report = ran.json();
    let right: Vec<Vec<Value>> = store.features().iter().map(|f| store.values(&Meaning::default(), f)).collect();
    all.iter()
        .map(|planted| {
            let legacy = store.legacy(planted);
            let one = |(i, feature): (usize, &Feature)| {
                let entry = reported(&report, &planted.snapshot, feature.name);
                (feature.name, judge(store, planted, i, (&right[i], &legacy[i]), entry))
            };
            (planted.clone(), store.features().iter().enumerate().map(one).collect())
        })
        .collect()
}

/// `BACKCAST_PLANTED=all` plants everything (minutes; quicker with `BACKCAST_BIN` set to a release build) and writes the tables
/// into docs/causes.md; without it, some of everything.
fn everything() -> bool {
    std::env::var("BACKCAST_PLANTED").is_ok_and(|v| v == "all")
}

/// Plants, and holds what is found against it.
fn plant(store: &dyn Store, planted: &[Planted], test: &str) {
    let judged = judged(store, planted);
    let table = judge::table(&judged);
    println!("{table}");
    let wrong = judge::defects(&judged);
    if everything() {
        judge::write_table(&table, test);
        println!("{}", wrong.join("\n"));
    } else {
        assert!(wrong.is_empty(), "{table}\n{}", wrong.join("\n"));
    }
}

#[test]
fn what_is_planted_is_found_first_and_nothing_where_there_is_nothing() {
    let lab = Lab::new(1, 6_000, if everything() { 700 } else { 400 });
    let planted = if everything() { cases::all() } else { cases::some() };
    plant(&lab, &planted, "planted::what");
}

#[test]
fn on_flights_what_is_planted_is_found_first() {
    let flights = flights::Flights::new(if everything() { 4 } else { 24 });
    let planted = if everything() { flights::all() } else { flights::some() };
    plant(&flights, &planted, "planted::on_flights");
}
