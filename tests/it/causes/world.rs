//! A small log, label rows, and a legacy store that computes features from its own definition, row by row.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use serde_json::Value;

use crate::support::{Project, write_parquet};

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
/// 2025-03-01T00:00:00Z, a Saturday.
pub(super) const START: i64 = 1_740_787_200 * SECOND;

#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) user: i64,
    pub(super) at: i64,
    pub(super) seen: i64,
    pub(super) id: i64,
    pub(super) amount: f64,
}

/// Times in microseconds.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) events: Vec<Event>,
    pub(super) labels: Vec<(i64, i64)>,
}

pub(super) struct Lot(u64);

impl Lot {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound as u64) as i64
    }
}

const USERS: i64 = 12;

impl World {
    /// Twelve days of events; every fourth arrives minutes to hours late, every tenth is delivered twice. Some happen exactly at
    /// a label time, and exactly a day before one.
    pub(super) fn new(seed: u64) -> Self {
        let mut lot = Lot::new(seed);
        let labels: Vec<(i64, i64)> = (0..240)
            .map(|_| (1 + lot.below(USERS + 2), START + 5 * DAY + lot.below(7 * DAY / SECOND) * SECOND))
            .collect();
        let mut events = Vec::new();
        let mut add = |lot: &mut Lot, user: i64, at: i64, prompt: bool| {
            let late = if prompt || lot.below(4) > 0 { 0 } else { (1 + lot.below(5 * 60)) * MINUTE };
            let event =
                Event { user, at, seen: at + late, id: events.len() as i64, amount: lot.below(100_000) as f64 / 7.0 };
            events.push(event);
            if !prompt && lot.below(10) == 0 {
                events.push(Event { seen: event.seen + 30 * SECOND, ..event });
            }
        };
        for _ in 0..3000 {
            let (user, at) = (1 + lot.below(USERS), START + lot.below(13 * DAY / SECOND) * SECOND + 137);
            add(&mut lot, user, at, false);
        }
        for (i, (user, time)) in labels.iter().enumerate().filter(|(i, (user, _))| i % 3 == 0 && *user <= USERS) {
            add(&mut lot, *user, if i % 2 == 0 { *time } else { time - DAY }, true);
        }
        Self { events, labels }
    }

    /// Count and sum over `(start, end]`-like bounds given by `holds`, of events once each unless `copies`.
    pub(super) fn totals(&self, user: i64, copies: bool, holds: impl Fn(&Event) -> bool) -> (Option<i64>, Option<f64>) {
        let mut held: Vec<&Event> = self.events.iter().filter(|e| e.user == user && holds(e)).collect();
        if !copies {
            held.sort_by_key(|e| (e.id, e.seen));
            held.dedup_by_key(|e| e.id);
        }
        if held.is_empty() {
            return (None, None);
        }
        (Some(held.len() as i64), Some(held.iter().map(|e| e.amount).sum()))
    }

    /// The meaning of the view: what had arrived by T, of the last 24 hours.
    pub(super) fn right(&self, user: i64, t: i64) -> (Option<i64>, Option<f64>) {
        self.totals(user, false, |e| e.seen <= t && e.at > t - DAY)
    }

    /// The project, with a snapshot per legacy store.
    pub(super) fn project(&self, stores: &[(&str, &Store<'_>)], diff: &str) -> Project {
        let users: ArrayRef = Arc::new(Int64Array::from_iter_values(self.labels.iter().map(|l| l.0)));
        let times = TimestampMicrosecondArray::from_iter_values(self.labels.iter().map(|l| l.1)).with_timezone("UTC");
        let times: ArrayRef = Arc::new(times);
        let labels = batch(&[("user_id", Arc::clone(&users)), ("at", Arc::clone(&times))]);
        let micros = |f: fn(&Event) -> i64| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from_iter_values(self.events.iter().map(f)).with_timezone("UTC"))
        };
        let events = batch(&[
            ("user_id", Arc::new(Int64Array::from_iter_values(self.events.iter().map(|e| e.user)))),
            ("ts", micros(|e| e.at)),
            ("seen", micros(|e| e.seen)),
            ("id", Arc::new(StringArray::from_iter_values(self.events.iter().map(|e| format!("e{}", e.id))))),
            ("amount", Arc::new(Float64Array::from_iter_values(self.events.iter().map(|e| e.amount)))),
        ]);
        let mut project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
            .source("events", "time = \"ts\"\navailable_at = \"seen\"\nid = [\"id\"]", &events)
            .view(
                "spend",
                "SELECT user_id, COUNT(*) AS n, SUM(amount) AS total FROM events \
                 WHERE ts > NOW() - INTERVAL '24 hours' GROUP BY user_id",
            );
        let mut config =
            format!("[diff]\ntolerance = {{ rel = 1e-9 }}\n{diff}\n[models.m]\nfeatures = [\"spend.*\"]\n");
        for (name, store) in stores {
            let (n, total): (Vec<Option<i64>>, Vec<Option<f64>>) =
                self.labels.iter().map(|(user, t)| store(*user, *t)).unzip();
            let rows = batch(&[
                ("user_id", Arc::clone(&users)),
                ("at", Arc::clone(&times)),
                ("n", Arc::new(Int64Array::from(n))),
                ("total", Arc::new(Float64Array::from(total))),
            ]);
            write_parquet(&project.path(&format!("{name}.parquet")), &rows);
            let _ = write!(config, "[snapshots.{name}]\nuri = \"{name}.parquet\"\n");
        }
        project = project.config(&config);
        project
    }
}

/// A legacy store: count and sum for a user at a label time.
pub(super) type Store<'a> = dyn Fn(i64, i64) -> (Option<i64>, Option<f64>) + 'a;

pub(super) fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.iter().map(|(name, column)| (*name, Arc::clone(column), true)))
        .unwrap()
}

/// The report of a diff.
pub(super) fn report(project: &Project) -> Value {
    let ran = project.backcast(&["diff", "--format", "json"]);
    assert!([0, 3].contains(&ran.code), "{}", ran.stderr);
    ran.json()
}

/// The feature of a snapshot.
pub(super) fn feature<'a>(report: &'a Value, snapshot: &str, feature: &str) -> &'a Value {
    let snapshots = report["snapshots"].as_array().unwrap();
    let snapshot = snapshots.iter().find(|s| s["snapshot"] == snapshot).unwrap();
    snapshot["features"].as_array().unwrap().iter().find(|f| f["feature"] == feature).unwrap()
}
