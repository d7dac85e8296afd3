//! The tables of a world: random rows, with all that makes replays hard in them.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, Int64Builder, ListBuilder, RecordBatch, StringArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use crate::support::{Rng, rows_at, with_column};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Days at which calendars do something, midnight UTC: ends of months (one in a leap year) and changes of the clock.
const DAYS: [(i64, &str); 5] = [
    (1_709_164_800, "UTC"),              // 2024-02-29
    (1_743_379_200, "Europe/Berlin"),    // 2025-03-31, the day after Berlin's clocks went forward
    (1_741_564_800, "America/New_York"), // 2025-03-10, the day after New York's did
    (1_762_041_600, "America/New_York"), // 2025-11-02, the day on which they go back
    (1_735_689_600, "Asia/Kathmandu"),   // 2025-01-01, UTC+05:45
];

pub(super) struct Times {
    base: i64,
    zone: &'static str,
    /// Whether other databases have to hold the same values.
    portable: bool,
}

impl Times {
    pub(super) fn new(rng: &mut Rng, portable: bool) -> Self {
        let (midnight, zone) = rng.choose(&DAYS);
        let hour = rng.choose(&[0, 0, 9 * HOUR, 15 * HOUR + 17 * MINUTE]);
        Self { base: midnight * SECOND + hour, zone, portable }
    }

    fn unit(&self, rng: &mut Rng) -> TimeUnit {
        let all = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
        if self.portable { all[1 + rng.below(2)] } else { all[rng.below(4)] }
    }

    fn float(&self, rng: &mut Rng) -> f64 {
        match rng.below(14) {
            0..=5 if self.portable => f64::from(i32::try_from(rng.range(-500, 2000)).unwrap()) / 8.0,
            0 => 1e17,
            1 => -1e17,
            2 => 0.1,
            3 => -0.0,
            4 if rng.one_in(4) => f64::NAN,
            5 if rng.one_in(4) => f64::INFINITY,
            _ => f64::from(i32::try_from(rng.range(-500, 2000)).unwrap()) / 8.0,
        }
    }

    /// An event time: mostly in the last days, often on the very same instants.
    fn event(&self, rng: &mut Rng) -> i64 {
        let back = match rng.below(6) {
            0 => rng.range(0, 45) * DAY,
            1 => rng.range(0, 72) * HOUR,
            2 => rng.range(0, 6) * HOUR,
            3 => rng.range(0, 300) * MINUTE,
            4 => rng.range(-2, 3) * DAY,
            _ => rng.range(0, 3 * 24 * 3600) * SECOND,
        };
        self.base - back
    }

    /// When it arrived: at once, late, or much later.
    fn arrival(event: i64, rng: &mut Rng) -> i64 {
        event
            + match rng.below(6) {
                0 | 1 => 0,
                2 => rng.range(1, 120) * SECOND,
                3 => rng.range(1, 5) * HOUR,
                4 => rng.range(1, 4) * DAY,
                _ => -rng.range(1, 20) * HOUR, // stamped in the future
            }
    }
}

fn unit_ns(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => SECOND,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

fn timestamps(instants: &[Option<i64>], unit: TimeUnit, zone: Option<&str>) -> ArrayRef {
    let ticks: Int64Array = instants.iter().map(|t| t.map(|t| t.div_euclid(unit_ns(unit)))).collect();
    cast(&ticks, &DataType::Timestamp(unit, zone.map(Into::into))).unwrap()
}

fn integers(values: &[Option<i64>], data_type: &DataType) -> ArrayRef {
    cast(&Int64Array::from(values.to_vec()), data_type).unwrap()
}

fn texts(values: &[Option<&str>], rng: &mut Rng) -> ArrayRef {
    let text: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    if rng.one_in(4) { cast(&text, &dictionary).unwrap() } else { text }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn some_or_null<T>(value: T, rng: &mut Rng, nulls: usize) -> Option<T> {
    if rng.one_in(nulls) { None } else { Some(value) }
}

/// A key type: two integers wide apart are one key.
fn key_type(rng: &mut Rng) -> DataType {
    rng.choose(&[DataType::Int32, DataType::Int64, DataType::Int64, DataType::UInt32])
}

/// Rows, and the instants at which something happens to them.
pub(super) struct Made {
    /// By path below the source's folder.
    pub files: Vec<(String, RecordBatch)>,
    pub config: String,
    pub instants: Vec<i64>,
}

/// The rows in up to three files, in any order, in folders of these.
fn files(rows: &RecordBatch, folders: &[&str], rng: &mut Rng) -> Vec<(String, RecordBatch)> {
    let count = folders.len() * (1 + rng.below(3));
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut order: Vec<usize> = (0..rows.num_rows()).collect();
    rng.shuffle(&mut order);
    for row in order {
        parts[rng.below(count)].push(row);
    }
    let path = |i: usize| format!("{}part-{i}.parquet", folders[i % folders.len()]);
    parts.iter().enumerate().map(|(i, part)| (path(i), rows_at(rows, part))).collect()
}

pub(super) fn events(times: &Times, rng: &mut Rng) -> Made {
    let count = 60 + rng.below(60);
    let mut event: Vec<i64> = Vec::new();
    let mut arrival: Vec<i64> = Vec::new();
    let mut id: Vec<Option<i64>> = Vec::new();
    let mut user: Vec<Option<i64>> = Vec::new();
    for i in 0..count {
        // One in four is another delivery of a row before it, at the same or another time.
        let again = (i > 0 && rng.one_in(4)).then(|| rng.below(i));
        let at = again.map_or_else(|| times.event(rng), |r| event[r]);
        event.push(if again.is_some() && rng.one_in(3) { at - HOUR } else { at });
        arrival.push(match again {
            Some(r) if rng.one_in(2) => arrival[r],
            _ => Times::arrival(at, rng),
        });
        id.push(again.map_or_else(|| some_or_null(i64::try_from(i).unwrap(), rng, 12), |r| id[r]));
        user.push(again.map_or_else(|| some_or_null(rng.range(1, 6), rng, 15), |r| user[r]));
    }
    let (event_unit, arrival_unit) = (times.unit(rng), times.unit(rng));
    let column = |instants: &[i64], unit, rng: &mut Rng| {
        let instants: Vec<Option<i64>> = instants.iter().map(|t| some_or_null(*t, rng, 30)).collect();
        let zone = rng.choose(&[Some("UTC"), Some("UTC"), None, Some("+05:45"), Some("America/New_York")]);
        timestamps(&instants, unit, zone)
    };
    let mut values = |f: &mut dyn FnMut(&mut Rng) -> Option<i64>| (0..count).map(|_| f(rng)).collect::<Vec<_>>();
    let qty = values(&mut |r| some_or_null(r.range(-5, 50), r, 9));
    let price = values(&mut |r| some_or_null(r.range(0, 100_000), r, 9));
    let flag: BooleanArray =
        values(&mut |r| some_or_null(r.range(0, 2), r, 9)).iter().map(|v| v.map(|v| v == 1)).collect();
    let amount: Float64Array = (0..count).map(|_| some_or_null(times.float(rng), rng, 8)).collect();
    let kind: Vec<Option<&str>> =
        (0..count).map(|_| some_or_null(rng.pick(&["buy", "view", "return", ""]), rng, 10)).collect();
    let shop: Vec<Option<&str>> = (0..count).map(|_| some_or_null(rng.pick(&["n", "s"]), rng, 20)).collect();
    let rows = batch(vec![
        ("event_id", integers(&id, &DataType::Int64)),
        ("user_id", integers(&user, &key_type(rng))),
        ("shop", texts(&shop, rng)),
        ("ts", column(&event, event_unit, rng)),
        ("seen", column(&arrival, arrival_unit, rng)),
        ("kind", texts(&kind, rng)),
        ("amount", Arc::new(amount)),
        ("qty", integers(&qty, &DataType::Int64)),
        ("price", cast(&integers(&price, &DataType::Decimal128(14, 0)), &DataType::Decimal128(16, 2)).unwrap()),
        ("flag", Arc::new(flag)),
    ]);
    let mut config = "time = \"ts\"\n".to_string();
    match rng.below(4) {
        0 => config += "delay = \"30 minutes\"\n",
        1 => {}
        _ => config += "available_at = \"seen\"\n",
    }
    if !rng.one_in(3) {
        config += "id = [\"event_id\"]\n";
    }
    if rng.one_in(2) {
        config += "future_events = \"hidden\"\n";
    }
    if rng.one_in(2) {
        config += &format!("timezone = \"{}\"\n", times.zone);
    }
    let partitioned = rng.one_in(2);
    let region: Vec<Option<&str>> = (0..count).map(|_| some_or_null(rng.pick(&["eu", "us"]), rng, 20)).collect();
    let files = if partitioned {
        files(&rows, &["region=eu/", "region=us/"], rng)
    } else {
        files(&with_column(&rows, "region", texts(&region, rng)), &[""], rng)
    };
    Made { files, config, instants: [event, arrival].concat() }
}

pub(super) fn clicks(times: &Times, rng: &mut Rng) -> Made {
    let count = 30 + rng.below(30);
    let event: Vec<Option<i64>> = (0..count).map(|_| some_or_null(times.event(rng), rng, 25)).collect();
    let user: Vec<Option<i64>> = (0..count).map(|_| some_or_null(rng.range(1, 7), rng, 15)).collect();
    let dwell: Vec<Option<i64>> = (0..count).map(|_| some_or_null(rng.range(0, 90), rng, 8)).collect();
    let page: Vec<Option<&str>> =
        (0..count).map(|_| some_or_null(rng.pick(&["home", "cart", "faq"]), rng, 9)).collect();
    let mut tags = ListBuilder::new(Int64Builder::new());
    for _ in 0..count {
        for _ in 0..rng.below(4) {
            tags.values().append_option(some_or_null(rng.range(0, 5), rng, 6));
        }
        tags.append(!rng.one_in(6));
    }
    let unit = times.unit(rng);
    let zone = rng.choose(&[None, None, Some("UTC")]);
    let rows = batch(vec![
        ("user_id", integers(&user, &key_type(rng))),
        ("ts", timestamps(&event, unit, zone)),
        ("page", texts(&page, rng)),
        ("dwell", integers(&dwell, &DataType::Int32)),
        ("tags", Arc::new(tags.finish())),
    ]);
    let mut config = format!("time = \"ts\"\ntimezone = \"{}\"\n", times.zone);
    if rng.one_in(2) {
        config += "delay = \"10 minutes\"\n";
    }
    Made { files: files(&rows, &[""], rng), config, instants: event.into_iter().flatten().collect() }
}

pub(super) fn profiles(times: &Times, rng: &mut Rng) -> Made {
    let count = 15 + rng.below(20);
    let updated: Vec<i64> = (0..count).map(|_| times.event(rng)).collect();
    let loaded: Vec<i64> = updated.iter().map(|t| Times::arrival(*t, rng)).collect();
    let user: Vec<Option<i64>> = (0..count).map(|_| Some(rng.range(1, 6))).collect();
    let op: Vec<Option<&str>> = (0..count).map(|_| Some(rng.pick(&["U", "U", "I", "D"]))).collect();
    let tier: Vec<Option<&str>> = (0..count).map(|_| some_or_null(rng.pick(&["free", "paid"]), rng, 8)).collect();
    let score: Float64Array = (0..count).map(|_| some_or_null(times.float(rng), rng, 8)).collect();
    let some = |instants: &[i64]| instants.iter().map(|t| Some(*t)).collect::<Vec<_>>();
    let unit = times.unit(rng);
    let rows = batch(vec![
        ("user_id", integers(&user, &key_type(rng))),
        ("updated", timestamps(&some(&updated), unit, Some("UTC"))),
        ("loaded", timestamps(&some(&loaded), unit, rng.choose(&[None, Some("UTC")]))),
        ("op", texts(&op, rng)),
        ("tier", texts(&tier, rng)),
        ("score", Arc::new(score)),
    ]);
    let mut config =
        "kind = \"changelog\"\ntime = \"updated\"\nid = [\"user_id\"]\ndeleted = \"op = 'D'\"\n".to_string();
    if rng.one_in(2) {
        config += "available_at = \"loaded\"\n";
        if rng.one_in(2) {
            config += "future_events = \"hidden\"\n";
        }
    }
    Made { files: files(&rows, &[""], rng), config, instants: [updated, loaded].concat() }
}

/// Label times where something changes: on events and arrivals, on window edges, and one tick beside.
pub(super) fn labels(times: &Times, edges: &[i64], rng: &mut Rng) -> (RecordBatch, String) {
    let unit = if rng.one_in(3) { TimeUnit::Microsecond } else { times.unit(rng) };
    let mut at: Vec<i64> = Vec::new();
    for _ in 0..10 {
        let edge = edges[rng.below(edges.len())];
        let after = rng.choose(&[0, 0, 0, HOUR, 2 * HOUR, DAY, 3 * DAY, 30 * MINUTE, 10 * MINUTE]);
        at.push(edge + after + rng.range(-1, 2) * unit_ns(unit));
    }
    at.push(times.base);
    at.push(times.base + rng.range(-3, 30) * HOUR);
    let mut user: Vec<Option<i64>> = (0..at.len()).map(|_| some_or_null(rng.range(1, 7), rng, 12)).collect();
    let mut shop: Vec<Option<&str>> = (0..at.len()).map(|_| some_or_null(rng.pick(&["n", "s"]), rng, 12)).collect();
    for _ in 0..3 {
        let twin = rng.below(at.len());
        at.push(at[twin]);
        user.push(if rng.one_in(2) { user[twin] } else { Some(rng.range(1, 6)) });
        shop.push(shop[twin]);
    }
    let y: Vec<Option<i64>> = (0..at.len()).map(|_| some_or_null(rng.range(0, 2), rng, 8)).collect();
    let at: Vec<Option<i64>> = at.into_iter().map(Some).collect();
    let local = rng.one_in(4);
    let rows = batch(vec![
        ("user_id", integers(&user, &key_type(rng))),
        ("shop", texts(&shop, rng)),
        ("at", timestamps(&at, unit, if local { None } else { Some("UTC") })),
        ("y", integers(&y, &DataType::Int16)),
    ]);
    let tie = rng.pick(&["include", "exclude"]);
    let zone = if local { times.zone } else { "UTC" };
    let config = format!("keys = [\"user_id\", \"shop\"]\ntime = \"at\"\ntie = \"{tie}\"\ntimezone = \"{zone}\"");
    (rows, config)
}
