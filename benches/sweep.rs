//! The sweep's algorithm alone: arrays in, arrays out, on one thread. `just bench-sweep`, or `just bench-sweep hot_key`.
//!
//! One time is that of a whole sweep: the spine taken in, all events, the results given out. Per second: events.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use backcast::sql::{SessionOptions, new_runtime, new_session};
use backcast::sweep::{
    Argument, Bound, Call, Comparison, Function, Functions, KeyPair, OrderKey, SweepAggregate, SweepSpec, Sweeper,
    Window,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

const EVENTS: usize = 200_000;
const OBSERVERS: usize = 10_000;
const KEYS: i64 = 5_000;
/// Seconds.
const YEAR: i64 = 365 * DAY;
const DAY: i64 = 86_400;
const BATCH_ROWS: usize = 8192;
/// Windows of a spine: each has its own bound.
const WINDOWS: usize = 16;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 1) as i64 % n
    }
}

/// Whose events they are.
#[derive(Clone, Copy)]
enum Keys {
    Even,
    /// Half of all events are of one key, and so are half of the observers.
    Hot,
}

impl Keys {
    fn draw(self, rng: &mut Rng) -> i64 {
        match self {
            Self::Hot if rng.below(2) == 0 => 0,
            _ => rng.below(KEYS),
        }
    }
}

struct Input {
    spine: RecordBatch,
    events: Vec<RecordBatch>,
}

fn ints(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn input(keys: Keys) -> Input {
    let mut rng = Rng(11);
    let mut times: Vec<i64> = (0..OBSERVERS).map(|_| rng.below(YEAR)).collect();
    times.sort_unstable();
    let mut spine = vec![
        ("o".to_string(), ints((0..).take(OBSERVERS))),
        ("key".to_string(), ints((0..OBSERVERS).map(|_| keys.draw(&mut rng)))),
        ("t".to_string(), ints(times.iter().copied())),
    ];
    // From a day on, ever longer.
    spine.extend((0..WINDOWS).map(|w| (start(w), ints(times.iter().map(|t| t - DAY * (w * w + 1) as i64)))));
    let mut batch = |rows: usize| {
        let columns = [
            ("k", ints((0..rows).map(|_| keys.draw(&mut rng)))),
            ("at", ints((0..rows).map(|_| rng.below(YEAR)))),
            ("x", Arc::new(Float64Array::from_iter_values((0..rows).map(|_| rng.below(1_000_000) as f64 / 100.0)))),
            ("n", ints((0..rows).map(|_| rng.below(50)))),
        ];
        RecordBatch::try_from_iter(columns).expect("columns of one length")
    };
    let events = (0..EVENTS).step_by(BATCH_ROWS).map(|done| batch(BATCH_ROWS.min(EVENTS - done))).collect();
    Input { spine: RecordBatch::try_from_iter(spine).expect("columns of one length"), events }
}

fn start(window: usize) -> String {
    format!("start{window}")
}

/// These functions in each of so many windows that end at the label time.
fn spec(windows: usize, functions: &[(Function, Option<&str>, DataType)]) -> (SweepSpec, SchemaRef) {
    let bound = |op, spine: String| Bound { event: "at".to_string(), op, spine };
    let mut fields = vec![Field::new("o", DataType::Int64, false)];
    let mut aggregates = Vec::new();
    for window in 0..windows {
        for (i, (function, argument, data_type)) in functions.iter().enumerate() {
            let name = format!("a{window}_{i}");
            fields.push(Field::new(&name, data_type.clone(), true));
            aggregates.push(SweepAggregate {
                function: function.clone(),
                argument: argument.map(str::to_string),
                window: window + 1,
                name,
            });
        }
    }
    let own = Window { bounds: vec![bound(Comparison::LessOrEqual, "t".to_string())], filter: None };
    let narrower = (0..windows).map(|w| Window { bounds: vec![bound(Comparison::Greater, start(w))], filter: None });
    let spec = SweepSpec {
        observer: "o".to_string(),
        keys: vec![KeyPair { event: "k".to_string(), spine: "key".to_string(), null_is_equal: false }],
        windows: std::iter::once(own).chain(narrower).collect(),
        groups: Vec::new(),
        finer: Vec::new(),
        aggregates,
        keeps_empty: false,
    };
    (spec, Arc::new(Schema::new(fields)))
}

fn known_functions() -> Functions {
    let session = new_session(&SessionOptions::default(), new_runtime(None).expect("a runtime"));
    session.state().aggregate_functions().iter().map(|(name, f)| (name.clone(), Arc::clone(f))).collect()
}

/// The rows that a sweep gives.
fn sweep(input: &Input, (spec, output): &(SweepSpec, SchemaRef), functions: &Functions) -> usize {
    let (spec, output) = (spec.clone(), Arc::clone(output));
    let sweeper = Sweeper::new(spec, &input.spine, &input.events[0].schema(), output, functions).expect("a sound spec");
    for batch in &input.events {
        sweeper.apply(batch).expect("sound events");
    }
    sweeper.seal().expect("sound events");
    let finish = |shard| sweeper.finish(shard, &mut |_| Ok(())).expect("sums that fit");
    (0..sweeper.shards()).map(|shard| finish(shard).num_rows()).sum()
}

fn sums() -> Vec<(Function, Option<&'static str>, DataType)> {
    vec![
        (Function::Count, None, DataType::Int64),
        (Function::Sum, Some("n"), DataType::Int64),
        (Function::Sum, Some("x"), DataType::Float64),
        (Function::Average, Some("x"), DataType::Float64),
    ]
}

fn extremes() -> Vec<(Function, Option<&'static str>, DataType)> {
    vec![(Function::Minimum, Some("x"), DataType::Float64), (Function::Maximum, Some("x"), DataType::Float64)]
}

fn latest() -> Vec<(Function, Option<&'static str>, DataType)> {
    let key = |event: &str, descending| OrderKey { event: event.to_string(), descending, nulls_first: false };
    let order = vec![key("at", true), key("x", false)];
    vec![(Function::First { order, ignore_nulls: false, settled: true }, Some("x"), DataType::Float64)]
}

fn distinct() -> Vec<(Function, Option<&'static str>, DataType)> {
    let arguments = vec![Argument::Column("n".to_string())];
    let call =
        Call { function: "count".to_string(), arguments, order: Vec::new(), distinct: true, ignore_nulls: false };
    vec![(Function::Call(call), None, DataType::Int64)]
}

fn sweeps(c: &mut Criterion) {
    let functions = known_functions();
    let (even, hot) = (input(Keys::Even), input(Keys::Hot));
    let mut group = c.benchmark_group("sweep");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let all = [sums(), extremes()].concat();
    for windows in [1, 4, WINDOWS] {
        let asked = spec(windows, &all);
        group.bench_function(BenchmarkId::new("windows", windows), |b| {
            b.iter(|| black_box(sweep(&even, &asked, &functions)));
        });
    }
    let cases = [("sums", sums()), ("extremes", extremes()), ("latest_value", latest()), ("distinct", distinct())];
    for (name, asked) in cases {
        let asked = spec(1, &asked);
        group.bench_function(name, |b| b.iter(|| black_box(sweep(&even, &asked, &functions))));
    }
    for (name, asked) in [("all", all), ("latest_value", latest())] {
        let asked = spec(1, &asked);
        group.bench_function(BenchmarkId::new("hot_key", name), |b| {
            b.iter(|| black_box(sweep(&hot, &asked, &functions)));
        });
    }
    group.finish();
}

criterion_group!(benches, sweeps);
criterion_main!(benches);
