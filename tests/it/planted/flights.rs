//! The flights of `fixtures/flights`, and a store that makes the features of four of their views in plain loops.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};

use super::cases::{Noise, Planted, named};
use super::legacy::{Feature, Length, Meaning, Of, Value};
use super::world::{DAY, Event, HOUR, MINUTE};
use super::{Store, zeros};
use crate::support::{Project, read_parquet};

/// 2013-02-01, midnight UTC: the first event.
const START: i64 = 1_359_676_800_000_000;

const fn feature(name: &'static str, hours: i64, view_hours: i64, of: Of) -> Feature {
    let (hours, view_hours) = (Some(hours), Some(view_hours));
    Feature { name, hours, view_hours, of, distinct: false, zero: false, delayed: false }
}

const fn count(name: &'static str, hours: i64, of: Of) -> Feature {
    Feature { zero: true, ..feature(name, hours, 168, of) }
}

const fn traffic(name: &'static str, hours: i64, of: Of) -> Feature {
    Feature { zero: matches!(of, Of::CountWithin(_)), delayed: true, ..feature(name, hours, 24, of) }
}

const GONE: Of = Of::CountWithin(0);
const CANCELLED: Of = Of::CountWithin(1);

const FEATURES: [Feature; 18] = [
    count("tail_delays.tail_arrivals_3d", 72, Of::Count),
    feature("tail_delays.tail_avg_arr_delay_3d", 72, 168, Of::AvgAmount),
    feature("tail_delays.tail_max_arr_delay_3d", 72, 168, Of::MaxAmount),
    count("tail_delays.tail_arrivals_7d", 168, Of::Count),
    feature("tail_delays.tail_avg_arr_delay_7d", 168, 168, Of::AvgAmount),
    feature("tail_delays.tail_max_arr_delay_7d", 168, 168, Of::MaxAmount),
    feature("tail_last_leg.tail_last_dest", 168, 168, Of::NewestKind),
    feature("tail_last_leg.tail_last_arr_delay", 168, 168, Of::NewestAmount),
    count("carrier_delay.carrier_flights_7d", 168, Of::Count),
    feature("carrier_delay.carrier_avg_arr_delay_7d", 168, 168, Of::AvgAmount),
    feature("carrier_delay.carrier_late_share_7d", 168, 168, Of::ShareWithin(15)),
    traffic("origin_traffic.departures_1h", 1, GONE),
    traffic("origin_traffic.departures_3h", 3, GONE),
    traffic("origin_traffic.departures_24h", 24, GONE),
    traffic("origin_traffic.cancellations_1h", 1, CANCELLED),
    traffic("origin_traffic.cancellations_3h", 3, CANCELLED),
    traffic("origin_traffic.cancellations_24h", 24, CANCELLED),
    traffic("origin_traffic.avg_dep_delay_3h", 3, Of::AvgAmount),
];

const VIEWS: [&str; 4] = ["tail_delays", "tail_last_leg", "carrier_delay", "origin_traffic"];

/// Which label key a view is asked by.
fn key_of(feature: &Feature) -> &'static str {
    match feature.name.split('_').next() {
        Some("tail") => "tailnum",
        Some("carrier") => "carrier",
        _ => "origin",
    }
}

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/flights").join(name)
}

/// A text that lives as long as the test.
fn lasting(text: &str, known: &mut HashMap<String, &'static str>) -> &'static str {
    known.entry(text.to_string()).or_insert_with(|| text.to_string().leak())
}

pub(super) struct Flights {
    /// By key column and key, the events of the source that its views read.
    events: HashMap<(&'static str, String), Vec<Event>>,
    labels: RecordBatch,
}

impl Flights {
    /// Every so manyth label row.
    pub(super) fn new(every: usize) -> Self {
        let labels = read_parquet(&fixtures("labels.parquet"));
        let picked = BooleanArray::from_iter((0..labels.num_rows()).map(|row| Some(row % every == 0)));
        let labels = datafusion::arrow::compute::filter_record_batch(&labels, &picked).unwrap();
        let mut days: Vec<PathBuf> = std::fs::read_dir(fixtures("events"))
            .unwrap()
            .map(|day| day.unwrap().path().join("part-0.parquet"))
            .collect();
        days.sort();
        let days: Vec<RecordBatch> = days.iter().map(|day| read_parquet(day)).collect();
        let rows = concat_batches(&days[0].schema(), &days).unwrap();
        let mut events: HashMap<(&'static str, String), Vec<Event>> = HashMap::new();
        let mut texts = HashMap::new();
        let [tails, carriers, origins, dests] =
            ["tailnum", "carrier", "origin", "dest"].map(|name| texts_of(&rows, name));
        let [times, known, ids] = ["event_timestamp", "known_at", "flight_id"].map(|name| numbers_of(&rows, name));
        let [late_in, late_out] = ["arr_delay", "dep_delay"].map(|name| amounts_of(&rows, name));
        let cancelled = rows.column_by_name("cancelled").unwrap().as_boolean().clone();
        for row in 0..rows.num_rows() {
            let event = Event {
                id: ids.value(row),
                user: 0,
                ts: times.value(row),
                arrived: times.value(row) + 5 * MINUTE,
                kind: lasting(dests.value(row), &mut texts),
                amount: late_out.is_valid(row).then(|| late_out.value(row)),
                qty: i64::from(cancelled.value(row)),
                again: false,
            };
            // Who has no arrival is never seen to arrive, and who has no delay does not count.
            if known.is_valid(row) && late_in.is_valid(row) {
                let arrival = Event { arrived: known.value(row), amount: Some(late_in.value(row)), ..event.clone() };
                for (key, column) in [("tailnum", &tails), ("carrier", &carriers)] {
                    if column.is_valid(row) {
                        events.entry((key, column.value(row).to_string())).or_default().push(arrival.clone());
                    }
                }
            }
            events.entry(("origin", origins.value(row).to_string())).or_default().push(event);
        }
        Self { events, labels }
    }
}

fn texts_of(rows: &RecordBatch, name: &str) -> StringArray {
    cast(rows.column_by_name(name).unwrap(), &DataType::Utf8).unwrap().as_string::<i32>().clone()
}

fn numbers_of(rows: &RecordBatch, name: &str) -> Int64Array {
    let column = rows.column_by_name(name).unwrap();
    let column = match column.data_type() {
        DataType::Timestamp(_, zone) => {
            cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone())).unwrap()
        }
        _ => Arc::clone(column),
    };
    cast(&column, &DataType::Int64).unwrap().as_primitive::<Int64Type>().clone()
}

fn amounts_of(rows: &RecordBatch, name: &str) -> Float64Array {
    cast(rows.column_by_name(name).unwrap(), &DataType::Float64).unwrap().as_primitive::<Float64Type>().clone()
}

impl Store for Flights {
    fn features(&self) -> &[Feature] {
        &FEATURES
    }

    fn values(&self, meaning: &Meaning, feature: &Feature) -> Vec<Value> {
        let key = key_of(feature);
        let (keys, times) = (texts_of(&self.labels, key), numbers_of(&self.labels, "label_ts"));
        let value = |row: usize| {
            let events = keys.is_valid(row).then(|| self.events.get(&(key, keys.value(row).to_string()))).flatten();
            let events: Vec<&Event> = events.into_iter().flatten().collect();
            meaning.value(feature, times.value(row), &events)
        };
        (0..self.labels.num_rows()).map(value).collect()
    }

    fn label_columns(&self) -> Vec<(&'static str, ArrayRef)> {
        let keys = ["tailnum", "carrier", "origin"];
        let keys = keys.map(|name| (name, Arc::new(texts_of(&self.labels, name)) as ArrayRef));
        let times = numbers_of(&self.labels, "label_ts");
        let times = TimestampMicrosecondArray::from_iter_values(times.values().iter().copied()).with_timezone("UTC");
        keys.into_iter().chain([("label_ts", Arc::new(times) as ArrayRef)]).collect()
    }

    fn project(&self) -> Project {
        let labels = RecordBatch::try_from_iter(self.label_columns()).unwrap();
        let keys = "keys = [\"tailnum\", \"carrier\", \"origin\"]\ntime = \"label_ts\"";
        let source = |name: &str, times: &str| {
            let uri = fixtures("events");
            format!(
                "[sources.{name}]\nuri = \"{}/\"\ntime = \"event_timestamp\"\n{times}\nid = [\"flight_id\"]\n\
                 since = \"2013-02-01T00:00:00Z\"",
                uri.display()
            )
        };
        let mut project = Project::new(keys, &labels)
            .config(&source("arrivals", "available_at = \"known_at\""))
            .config(&source("departures", "delay = \"5 minutes\""));
        for view in VIEWS {
            let sql = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("queries/flights/{view}.sql"));
            project = project.view_with(view, &zeros(&FEATURES, view), &std::fs::read_to_string(sql).unwrap());
        }
        project
    }
}

/// Everything that is planted.
pub(super) fn all() -> Vec<Planted> {
    let right = Meaning::default;
    let mut all: Vec<(Vec<&'static str>, &str, Meaning, Option<Noise>)> = Vec::new();
    let mut one = |cause, told, meaning| all.push((vec![cause], told, meaning, None));
    one("window_start_inclusive", "", Meaning { start_inclusive: true, ..right() });
    one("label_time_excluded", "", Meaning { label_time_excluded: true, ..right() });
    one("late_events_visible", "", Meaning { late_visible: true, ..right() });
    one("nulls_as_zero", "", Meaning { nulls_as_zero: true, ..right() });
    one("missing_as_zero", "", Meaning { missing_as_zero: true, ..right() });
    one("missing_as_null", "", Meaning { missing_as_null: true, ..right() });
    one("float32", "", Meaning { float32: true, ..right() });
    for (hours, length, told) in [
        (72, Length::Of(2 * DAY), "3 d: 2 d"),
        (168, Length::Of(6 * DAY), "7 d: 6 d"),
        (24, Length::CalendarDay, "24 h: the calendar day"),
        (3, Length::Of(4 * HOUR), "3 h: 4 h"),
        (1, Length::Of(2 * HOUR), "1 h: 2 h"),
    ] {
        one("window_length", told, Meaning { length: Some((hours, length)), ..right() });
    }
    for (tile, told) in [(5 * MINUTE, "5 min"), (HOUR, "1 h"), (DAY, "1 d")] {
        one("tiled_window", told, Meaning { tile: Some(tile), ..right() });
    }
    one("tiled_window", "1 h, its first instant left out", Meaning { tile: Some(HOUR), tile_open: true, ..right() });
    for (minutes, arrivals, told) in
        [(-300, false, "-300 min, event time"), (60, true, "60 min, both times"), (-300, true, "-300 min, both times")]
    {
        one("timezone", told, Meaning { shift: Some((minutes * MINUTE, arrivals)), ..right() });
    }
    for (period, lag, at, told) in [
        (HOUR, 0, 0, "hourly"),
        (DAY, 0, 0, "daily"),
        (DAY, 2 * HOUR, 0, "daily, 2 h late"),
        (6 * HOUR, 0, 0, "every 6 h"),
        (DAY, 0, 5 * HOUR, "daily at 05:00"),
    ] {
        one("stale", told, Meaning { stale: Some((period, lag)), stale_at: at, ..right() });
    }
    for (leak, told) in [(HOUR, "1 h"), (DAY, "1 d")] {
        one("future_leak", told, Meaning { leak, ..right() });
    }
    for (limit, told) in [(2 * HOUR, "2 h"), (6 * HOUR, "6 h")] {
        one("late_events_dropped", told, Meaning { late_limit: Some(limit), ..right() });
    }
    one("truncated_history", "2013-02-20", Meaning { first: Some(START + 19 * DAY), ..right() });
    for (digits, told) in [(0, "0 digits"), (1, "1 digits")] {
        one("rounded", told, Meaning { digits: Some(digits), ..right() });
    }
    for (factor, told) in [(60.0, "x 60"), (0.001, "x 0.001")] {
        one("scaled", told, Meaning { factor: Some(factor), ..right() });
    }
    let mut pair = |a, b, meaning| all.push((vec![a, b], "", meaning, None));
    pair("late_events_visible", "stale", Meaning { late_visible: true, stale: Some((DAY, 0)), ..right() });
    pair("nulls_as_zero", "stale", Meaning { nulls_as_zero: true, stale: Some((DAY, 0)), ..right() });
    pair("late_events_visible", "tiled_window", Meaning { late_visible: true, tile: Some(DAY), ..right() });
    pair("scaled", "stale", Meaning { factor: Some(60.0), stale: Some((HOUR, 0)), ..right() });
    all.push((Vec::new(), "nothing", right(), None));
    for (noise, told) in Noise::ALL {
        all.push((Vec::new(), told, right(), Some(noise)));
    }
    named(all.into_iter().map(|(causes, told, meaning, noise)| (causes, told.to_string(), meaning, noise)))
}

/// Some of each kind.
pub(super) fn some() -> Vec<Planted> {
    // Noise is searched to the end, which takes long: the other laboratory has it in small.
    let wanted =
        [("window_start_inclusive", ""), ("window_length", "3 d: 2 d"), ("tiled_window", "1 h"), ("stale", "daily")];
    let is = |p: &Planted| wanted.iter().any(|(cause, told)| p.causes.as_slice() == [*cause] && p.parameters == *told);
    all().into_iter().filter(is).collect()
}
