//! The workload: a year of events and labels that ask about them. It depends on its size and seed alone.
//!
//! ```text
//! events/dt=2025-01-01/part-0.parquet    event_id, user_id, event_type, event_value, event_timestamp, ingested_at; by arrival
//! labels.parquet                         label_id, user_id, label_ts, label; in no order
//! workload.json                          size and seed, written last
//! ```
//!
//! What has to show where an answer is wrong:
//! * of the events, 95 % arrive within a minute, 4 % within an hour, 1 % within two days; one in 200 rows is a redelivery;
//! * a user has no two events at one time (redeliveries apart), so that the latest is one;
//! * of the labels, 1 % each stand on an event's time, on its time a day later, and on its arrival;
//! * a few users have most of the events, and half of the other labels ask about any user, also those without events.
//!
//! One day is held at a time on each thread, and all labels.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use datafusion::arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use serde_json::json;

use crate::rng::Rng;
use crate::{Failed, Result};

/// Rows and users of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) events: u64,
    pub(crate) labels: u64,
    pub(crate) users: u64,
    pub(crate) seed: u64,
}

const DAYS: u32 = 365;
/// 2025-01-01, in days since 1970: a Wednesday.
const FIRST_DAY: i64 = 20_089;
/// Microseconds, as all times here.
const SECOND: f64 = 1e6;
const HOUR: f64 = 3600.0 * SECOND;
const DAY: i64 = 86_400_000_000;
/// Rows between two redeliveries.
const ROWS_PER_REDELIVERY: u64 = 200;
/// How much less the user of the next rank does: rank^-0.8.
const ZIPF: f64 = 0.8;
const TYPES: [(&str, f64); 8] = [
    ("page_view", 0.42),
    ("search", 0.17),
    ("click", 0.16),
    ("add_to_cart", 0.09),
    ("login", 0.07),
    ("purchase", 0.05),
    ("share", 0.025),
    ("refund", 0.015),
];
const REFUND: usize = 7;
/// Counts changes of this file that change what it makes.
const VERSION: u32 = 1;

impl Shape {
    fn told(self) -> serde_json::Value {
        json!({
            "version": VERSION, "events": self.events, "labels": self.labels, "users": self.users,
            "days": DAYS, "seed": self.seed,
        })
    }

    /// Whether the workload in a folder is this one, and whole.
    pub(crate) fn is_in(self, folder: &Path) -> bool {
        let text = fs::read_to_string(folder.join("workload.json")).unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|found| found == self.told())
    }
}

/// Who acts: the user of each rank, and the share of all ranks up to it.
struct Users {
    of_rank: Vec<u32>,
    shares: Vec<f64>,
}

impl Users {
    fn new(shape: Shape) -> Self {
        let mut of_rank: Vec<u32> = (1..=u32::try_from(shape.users).expect("users are few")).collect();
        Rng::new(shape.seed, 0).shuffle(&mut of_rank);
        let mut sum = 0.0;
        let sums = (1..=shape.users).map(|rank| {
            sum += (rank as f64).powf(-ZIPF);
            sum
        });
        let mut shares: Vec<f64> = sums.collect();
        shares.iter_mut().for_each(|share| *share /= sum);
        Self { of_rank, shares }
    }

    fn draw(&self, rng: &mut Rng) -> i64 {
        let share = rng.unit();
        let rank = self.shares.partition_point(|s| *s <= share).min(self.of_rank.len() - 1);
        i64::from(self.of_rank[rank])
    }
}

/// When things happen within a day: quiet at night.
struct Clock([f64; 25]);

impl Clock {
    fn new() -> Self {
        let mut shares = [0.0; 25];
        for hour in 0..24 {
            let weight = 1.0 + 0.8 * (std::f64::consts::TAU * (hour as f64 - 9.0) / 24.0).sin();
            shares[hour + 1] = shares[hour] + weight / 24.0;
        }
        Self(shares)
    }

    fn draw(&self, rng: &mut Rng) -> i64 {
        let share = rng.unit() * self.0[24];
        let hour = self.0.partition_point(|s| *s <= share).clamp(1, 24) - 1;
        let within = (share - self.0[hour]) / (self.0[hour + 1] - self.0[hour]);
        // The last second of a day is left to times that are moved apart.
        (((hour as f64 + within) * HOUR) as i64).min(DAY - 1_000_000)
    }
}

/// Rows of all days before each day; weekends have more.
fn rows_before(shape: Shape) -> Vec<u64> {
    let weight = |day: u32| if matches!((i64::from(day) + FIRST_DAY + 4) % 7, 0 | 6) { 1.15 } else { 1.0 };
    let whole: f64 = (0..DAYS).map(weight).sum();
    let mut before = vec![0];
    let mut sum = 0.0;
    for day in 0..DAYS {
        sum += weight(day);
        before.push((sum / whole * shape.events as f64).round() as u64);
    }
    before
}

#[derive(Debug, Clone, Copy)]
struct Event {
    id: i64,
    user: i64,
    kind: usize,
    value: Option<f64>,
    time: i64,
    arrival: i64,
}

fn event(id: i64, user: i64, time: i64, rng: &mut Rng) -> Event {
    let mut share = rng.unit();
    let kind = TYPES.iter().position(|(_, p)| {
        share -= p;
        share < 0.0
    });
    let kind = kind.unwrap_or(0);
    let cents = (rng.normal(3.0, 1.1).exp() * 100.0).round();
    let value = if kind == REFUND { -cents } else { cents } / 100.0;
    let lag = match rng.unit() {
        p if p < 0.95 => rng.unit().powi(2) * 60.0 * SECOND,
        p if p < 0.99 => 60.0 * SECOND + rng.unit() * (HOUR - 60.0 * SECOND),
        _ => HOUR + rng.unit() * 47.0 * HOUR,
    };
    Event { id, user, kind, value: (!rng.one_in(50)).then_some(value), time, arrival: time + 1 + lag as i64 }
}

/// All rows of a day by arrival, redeliveries among them.
fn day_of(shape: Shape, day: u32, rows: u64, first_id: i64, users: &Users, clock: &Clock) -> Vec<Event> {
    let mut rng = Rng::new(shape.seed, 1 + u64::from(day));
    let start = (FIRST_DAY + i64::from(day)) * DAY;
    let distinct = rows - rows / ROWS_PER_REDELIVERY;
    let mut acts: Vec<(i64, i64)> =
        (0..distinct).map(|_| (users.draw(&mut rng), start + clock.draw(&mut rng))).collect();
    loop {
        acts.sort_unstable();
        let twice: Vec<usize> = (1..acts.len()).filter(|&i| acts[i] == acts[i - 1]).collect();
        if twice.is_empty() {
            break;
        }
        twice.into_iter().for_each(|i| acts[i].1 += rng.range(1, 900));
    }
    rng.shuffle(&mut acts);
    let mut all: Vec<Event> =
        (first_id..).zip(acts).map(|(id, (user, time))| event(id, user, time, &mut rng)).collect();
    for _ in 0..rows - distinct {
        let again = all[rng.below(distinct) as usize];
        all.push(Event { arrival: again.arrival + rng.range(1_000_000, 6 * HOUR as i64), ..again });
    }
    all.sort_by_key(|e| (e.arrival, e.id));
    all
}

/// A label's user and time.
type Asked = (i64, i64);

/// Labels on edges of a day's events.
fn edges(events: &[Event], count: u64, kind: u64, rng: &mut Rng) -> Vec<Asked> {
    let edge = |i: u64| {
        let event = events[rng.below(events.len() as u64) as usize];
        let time = match (kind + i) % 3 {
            0 => event.time,
            1 => event.time + DAY,
            _ => event.arrival,
        };
        (event.user, time)
    };
    if events.is_empty() { Vec::new() } else { (0..count).map(edge).collect() }
}

/// Makes a workload in a folder, replacing what is there.
///
/// # Errors
/// What the disk refuses.
pub(crate) fn generate(shape: Shape, folder: &Path, threads: usize) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Failed::io(folder, e)),
        _ => {}
    }
    fs::create_dir_all(folder).map_err(|e| Failed::io(folder, e))?;
    let (users, clock, before) = (Users::new(shape), Clock::new(), rows_before(shape));
    let rows = |day: u32| before[day as usize + 1] - before[day as usize];
    let mut ids = vec![1_i64];
    for day in 0..DAYS {
        let distinct = rows(day) - rows(day) / ROWS_PER_REDELIVERY;
        ids.push(ids[day as usize] + i64::try_from(distinct).expect("events are few"));
    }
    let on_edges = shape.labels / 100 * 3;
    let edges_before = |day: u32| on_edges * u64::from(day) / u64::from(DAYS);
    let next = AtomicU32::new(0);
    let done: Mutex<Vec<(u32, Vec<Asked>)>> = Mutex::default();
    let worker = || -> Result<()> {
        loop {
            let day = next.fetch_add(1, Ordering::Relaxed);
            if day >= DAYS {
                return Ok(());
            }
            let events = day_of(shape, day, rows(day), ids[day as usize], &users, &clock);
            let path = folder.join(format!("events/dt={}", date(day)));
            fs::create_dir_all(&path).map_err(|e| Failed::io(&path, e))?;
            write(&path.join("part-0.parquet"), std::iter::once(event_rows(&events)))?;
            let mut rng = Rng::new(shape.seed, 1000 + u64::from(day));
            let count = edges_before(day + 1) - edges_before(day);
            let on_edges = edges(&events, count, edges_before(day), &mut rng);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((day, on_edges));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|w| w.join().expect("a worker panicked"))
    })?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(day, _)| *day);
    let mut labels: Vec<Asked> = done.into_iter().flat_map(|(_, edges)| edges).collect();
    let mut rng = Rng::new(shape.seed, 2000);
    let end = FIRST_DAY * DAY + i64::from(DAYS) * DAY;
    while (labels.len() as u64) < shape.labels {
        let active = labels.len().is_multiple_of(2);
        let user = if active { users.draw(&mut rng) } else { 1 + rng.below(shape.users) as i64 };
        labels.push((user, rng.range(FIRST_DAY * DAY, end)));
    }
    rng.shuffle(&mut labels);
    let batches = (1_i64..).step_by(LABELS_PER_BATCH).zip(labels.chunks(LABELS_PER_BATCH));
    write(&folder.join("labels.parquet"), batches.map(|(id, rows)| label_rows(id, rows, &mut rng)))?;
    let path = folder.join("workload.json");
    fs::write(&path, format!("{:#}\n", shape.told())).map_err(|e| Failed::io(&path, e))
}

const LABELS_PER_BATCH: usize = 64 * 1024;

fn date(day: u32) -> String {
    let seconds = (FIRST_DAY as u64 + u64::from(day)) * 86_400;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()[..10].to_string()
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

fn event_rows(events: &[Event]) -> RecordBatch {
    let kinds = Int32Array::from_iter_values(events.iter().map(|e| e.kind as i32));
    let names = Arc::new(StringArray::from_iter_values(TYPES.iter().map(|(name, _)| name)));
    let kinds = DictionaryArray::try_new(kinds, names).expect("each kind has a name");
    let columns: [(&str, ArrayRef, bool); 6] = [
        ("event_id", Arc::new(Int64Array::from_iter_values(events.iter().map(|e| e.id))), true),
        ("user_id", Arc::new(Int64Array::from_iter_values(events.iter().map(|e| e.user))), true),
        ("event_type", Arc::new(kinds), true),
        ("event_value", Arc::new(events.iter().map(|e| e.value).collect::<Float64Array>()), true),
        ("event_timestamp", times(events.iter().map(|e| e.time)), true),
        ("ingested_at", times(events.iter().map(|e| e.arrival)), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

fn label_rows(first_id: i64, labels: &[Asked], rng: &mut Rng) -> RecordBatch {
    let ids = Int64Array::from_iter_values((first_id..).take(labels.len()));
    let outcomes = Int8Array::from_iter_values(labels.iter().map(|_| i8::from(rng.one_in(10))));
    let columns: [(&str, ArrayRef, bool); 4] = [
        ("label_id", Arc::new(ids), true),
        ("user_id", Arc::new(Int64Array::from_iter_values(labels.iter().map(|l| l.0))), true),
        ("label_ts", times(labels.iter().map(|l| l.1)), true),
        ("label", Arc::new(outcomes), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

fn write(path: &Path, batches: impl Iterator<Item = RecordBatch>) -> Result<()> {
    let failed = |e| Failed::new(format!("write `{}`: {e}", path.display()));
    let mut batches = batches.peekable();
    let Some(first) = batches.peek() else { return Ok(()) };
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let file = File::create(path).map_err(|e| Failed::io(path, e))?;
    let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties)).map_err(failed)?;
    for batch in batches {
        writer.write(&batch).map_err(failed)?;
    }
    writer.close().map(drop).map_err(failed)
}
