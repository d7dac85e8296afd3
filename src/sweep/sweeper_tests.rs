//! The algorithm against plain loops: ties, NULLs, NaN, -0.0, values that cancel, irregular bounds, a hot key; whatever the
//! batches and threads.

use std::sync::{Arc, Mutex};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use datafusion::common::ScalarValue;

use super::Sweeper;
use crate::exact::order_of_float;
use crate::exact::{Cell, FloatCell, Total};
use crate::sql::{SessionOptions, new_runtime, new_session};
use crate::sweep::members::{Functions, functions_of};
use crate::sweep::shelf::Shelf;
use crate::sweep::spec::{
    Argument, Bound, Call, Comparison, Function, KeyPair, OrderKey, SweepAggregate, SweepSpec, Window,
};

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn int(&mut self, n: u64) -> i64 {
        i64::try_from(self.below(n)).unwrap()
    }

    /// Half of all rows have key 0.
    fn key(&mut self) -> Option<i64> {
        match self.below(20) {
            0..10 => Some(0),
            19 => None,
            n => Some(i64::try_from(n % 6).unwrap()),
        }
    }
}

#[derive(Debug, Clone)]
struct Event {
    k: Option<i64>,
    at: i64,
    ts: Option<i64>,
    x: Option<f64>,
    n: Option<i64>,
    s: Option<&'static str>,
}

const FLOATS: [f64; 12] = [0.0, -0.0, f64::NAN, 1e17, -1e17, 0.1, 0.2, 1e300, -1e300, 5e-324, f64::INFINITY, 3.0];
const TEXTS: [&str; 7] = ["", "a", "view", "a long text", "a long text too", "z", "ü"];

fn event(rng: &mut Rng) -> Event {
    let wild = rng.below(6) == 0;
    let float = if wild { FLOATS[usize::try_from(rng.below(12)).unwrap()] } else { rng.int(1000) as f64 / 8.0 };
    Event {
        k: rng.key(),
        at: rng.int(100),
        ts: (rng.below(15) > 0).then(|| rng.int(30)),
        x: (rng.below(8) > 0).then_some(float),
        n: (rng.below(8) > 0).then(|| rng.int(9) - 4),
        s: (rng.below(5) > 0).then(|| TEXTS[usize::try_from(rng.below(7)).unwrap()]),
    }
}

fn events(rows: &[Event]) -> RecordBatch {
    let int = |f: fn(&Event) -> Option<i64>| Arc::new(rows.iter().map(f).collect::<Int64Array>()) as ArrayRef;
    RecordBatch::try_from_iter_with_nullable([
        ("k", int(|e| e.k), true),
        ("at", int(|e| Some(e.at)), false),
        ("ts", int(|e| e.ts), true),
        ("x", Arc::new(rows.iter().map(|e| e.x).collect::<Float64Array>()) as ArrayRef, true),
        ("n", int(|e| e.n), true),
        ("s", Arc::new(rows.iter().map(|e| e.s).collect::<StringArray>()) as ArrayRef, true),
    ])
    .unwrap()
}

/// An observer: key, T, T - 20, and a bound that does not grow.
type Observer = (Option<i64>, i64, i64, Option<i64>);

fn spine(rows: &[Observer]) -> RecordBatch {
    let int = |f: fn(&Observer) -> Option<i64>| Arc::new(rows.iter().map(f).collect::<Int64Array>()) as ArrayRef;
    let numbers = Arc::new(Int64Array::from_iter_values(0..i64::try_from(rows.len()).unwrap())) as ArrayRef;
    RecordBatch::try_from_iter_with_nullable([
        ("o", numbers, false),
        ("key", int(|r| r.0), true),
        ("t", int(|r| Some(r.1)), false),
        ("low", int(|r| Some(r.2)), false),
        ("odd", int(|r| r.3), true),
    ])
    .unwrap()
}

/// Whether an event counts, by window.
fn counts(window: usize, event: &Event, observer: &Observer) -> bool {
    let own = event.k.is_some() && event.k == observer.0 && event.at <= observer.1;
    own && match window {
        0 => true,
        1 => event.ts.is_some_and(|ts| ts > observer.2),
        _ => event.ts.zip(observer.3).is_some_and(|(ts, odd)| ts >= odd),
    }
}

fn key(event: &str, descending: bool) -> OrderKey {
    OrderKey { event: event.to_string(), descending, nulls_first: !descending }
}

/// The latest by `ts`, the smallest row where it ties.
fn latest_first() -> Vec<OrderKey> {
    [("ts", true), ("at", false), ("x", false), ("n", false), ("s", false)].map(|(c, d)| key(c, d)).to_vec()
}

fn call(function: &str, argument: &str, order: Vec<OrderKey>, distinct: bool) -> Function {
    let arguments = vec![Argument::Column(argument.to_string())];
    Function::Call(Call { function: function.to_string(), arguments, order, distinct, ignore_nulls: false })
}

fn functions() -> Vec<(Function, Option<&'static str>, DataType)> {
    let latest = |ignore_nulls| Function::First { order: latest_first(), ignore_nulls, settled: true };
    let list = DataType::new_list(DataType::Int64, true);
    vec![
        (Function::Count, None, DataType::Int64),
        (Function::Count, Some("s"), DataType::Int64),
        (Function::Sum, Some("x"), DataType::Float64),
        (Function::Average, Some("x"), DataType::Float64),
        (Function::Minimum, Some("x"), DataType::Float64),
        (Function::Maximum, Some("x"), DataType::Float64),
        (Function::Sum, Some("n"), DataType::Int64),
        (latest(false), Some("s"), DataType::Utf8),
        (latest(false), Some("x"), DataType::Float64),
        (latest(true), Some("s"), DataType::Utf8),
        (
            Function::First { order: vec![key("s", false)], ignore_nulls: true, settled: true },
            Some("s"),
            DataType::Utf8,
        ),
        (call("count", "s", Vec::new(), true), None, DataType::Int64),
        (Function::CountDistinct, Some("s"), DataType::Int64),
        (Function::CountDistinct, Some("n"), DataType::Int64),
        (call("array_agg", "n", [vec![key("ts", false)], latest_first()].concat(), false), None, list),
    ]
}

const WINDOWS: usize = 3;

/// Functions that hold no rows: keys may be cut.
const NUMBERS: std::ops::Range<usize> = 0..7;

fn spec() -> (SweepSpec, SchemaRef) {
    spec_of(0..functions().len())
}

fn spec_of(picked: std::ops::Range<usize>) -> (SweepSpec, SchemaRef) {
    let bound = |event: &str, op, spine: &str| Bound { event: event.to_string(), op, spine: spine.to_string() };
    let mut fields = vec![Field::new("o", DataType::Int64, false)];
    let mut aggregates = Vec::new();
    for window in 0..WINDOWS {
        for (i, (function, argument, data_type)) in
            functions().into_iter().enumerate().filter(|(i, _)| picked.contains(i))
        {
            let name = format!("a{window}_{i}");
            fields.push(Field::new(&name, data_type, true));
            aggregates.push(SweepAggregate { function, argument: argument.map(str::to_string), window, name });
        }
    }
    let window = |bounds| Window { bounds, filter: None };
    let spec = SweepSpec {
        observer: "o".to_string(),
        keys: vec![KeyPair { event: "k".to_string(), spine: "key".to_string(), null_is_equal: false }],
        windows: vec![
            window(vec![bound("at", Comparison::LessOrEqual, "t")]),
            window(vec![bound("ts", Comparison::Greater, "low")]),
            window(vec![bound("ts", Comparison::GreaterOrEqual, "odd")]),
        ],
        groups: Vec::new(),
        finer: Vec::new(),
        aggregates,
        keeps_empty: false,
    };
    (spec, Arc::new(Schema::new(fields)))
}

/// A value to the bit; every NaN the same.
fn float(value: f64) -> String {
    if value.is_nan() { "NaN".to_string() } else { format!("{value:e} {:x}", value.to_bits()) }
}

fn shown(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".to_string();
    }
    match array.data_type() {
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            format!("{:?}", list.as_primitive::<Int64Type>().iter().collect::<Vec<_>>())
        }
        _ => ScalarValue::try_from_array(array, row).unwrap().to_string(),
    }
}

/// One observer's values in one window, by plain loops.
fn plain(all: &[Event], window: usize, observer: &Observer) -> Vec<String> {
    let seen: Vec<&Event> = all.iter().filter(|e| counts(window, e, observer)).collect();
    let or_null = |v: Option<String>| v.unwrap_or_else(|| "NULL".to_string());
    let mut cell = FloatCell::default();
    seen.iter().filter_map(|e| e.x).for_each(|x| cell.add(x));
    let total = match cell.total() {
        Total::Float(v) if cell.count() > 0 => Some(float(v)),
        _ => None,
    };
    let by_order = |e: &&&Event| order_of_float(e.x.unwrap());
    let extreme = |e: Option<&&Event>| or_null(e.map(|e| float(e.x.unwrap())));
    let with_x = || seen.iter().filter(|e| e.x.is_some());
    let whole = |e: &Event| (e.at, e.x.map(order_of_float), e.n, e.s);
    let latest = |e: &&&Event| (std::cmp::Reverse(e.ts.map_or(i64::MIN, |t| t)), whole(e));
    let mut listed = seen.clone();
    listed.sort_by_key(|e| (e.ts, whole(e)));
    let ns: Vec<Option<i64>> = listed.iter().map(|e| e.n).collect();
    let sum = seen.iter().filter_map(|e| e.n).reduce(|a, b| a + b);
    let mut texts: Vec<&str> = seen.iter().filter_map(|e| e.s).collect();
    let with_s = texts.len();
    texts.sort_unstable();
    texts.dedup();
    let first = seen.iter().min_by_key(latest);
    vec![
        seen.len().to_string(),
        with_s.to_string(),
        or_null(total),
        or_null(cell.mean().map(float)),
        extreme(with_x().min_by_key(by_order)),
        extreme(with_x().max_by_key(by_order)),
        or_null(sum.map(|v| v.to_string())),
        or_null(first.and_then(|e| e.s).map(str::to_string)),
        or_null(first.and_then(|e| e.x).map(float)),
        or_null(seen.iter().filter(|e| e.s.is_some()).min_by_key(latest).and_then(|e| e.s).map(str::to_string)),
        or_null(texts.first().map(|t| (*t).to_string())),
        texts.len().to_string(),
        texts.len().to_string(),
        seen.iter().filter_map(|e| e.n).collect::<std::collections::HashSet<_>>().len().to_string(),
        if ns.is_empty() { "NULL".to_string() } else { format!("{ns:?}") },
    ]
}

/// The spec as another machine gets it.
fn sent(spec: &SweepSpec) -> SweepSpec {
    let told = serde_json::to_string(spec).unwrap();
    let read: SweepSpec = serde_json::from_str(&told).unwrap();
    assert_eq!(read, *spec, "{told}");
    read
}

fn known_functions(spec: &SweepSpec) -> Functions {
    let session = new_session(&SessionOptions::default(), new_runtime(None).unwrap());
    let state = session.state();
    functions_of(spec, |name| state.aggregate_functions().get(name).cloned())
}

fn swept(sweeper: &Sweeper) -> Vec<(i64, Vec<String>)> {
    sweeper.seal().unwrap();
    let batches = (0..sweeper.shards()).map(|s| sweeper.finish(s, &mut |_| Ok(())).unwrap()).collect::<Vec<_>>();
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();
    let observers = all.column(0).as_primitive::<Int64Type>();
    let row = |row: usize| (observers.value(row), all.columns()[1..].iter().map(|c| shown(c, row)).collect());
    let mut rows: Vec<(i64, Vec<String>)> = (0..all.num_rows()).map(row).collect();
    rows.sort_unstable();
    rows
}

/// A shelf in memory, which knows what it was given.
#[derive(Debug, Default)]
struct Drawer(Mutex<(Vec<u8>, usize)>);

impl Shelf for Drawer {
    fn put(&self, bytes: &[u8], events: usize) -> datafusion::error::Result<u64> {
        let mut drawer = self.0.lock().unwrap();
        let at = drawer.0.len();
        drawer.0.extend_from_slice(bytes);
        drawer.1 += events;
        Ok(u64::try_from(at).unwrap())
    }

    fn get(&self, at: u64, bytes: &mut [u8]) -> datafusion::error::Result<()> {
        let at = usize::try_from(at).unwrap();
        bytes.copy_from_slice(&self.0.lock().unwrap().0[at..at + bytes.len()]);
        Ok(())
    }
}

fn world(seed: u64) -> (Vec<Event>, Vec<Observer>) {
    let mut rng = Rng(seed * 7919 + 1);
    let all: Vec<Event> = (0..600).map(|_| event(&mut rng)).collect();
    let mut times: Vec<i64> = (0..120).map(|_| rng.int(110)).collect();
    times.sort_unstable();
    let odd = |rng: &mut Rng| (rng.below(6) > 0).then(|| rng.int(30));
    (all, times.into_iter().map(|t| (rng.key(), t, t / 3 - 20, odd(&mut rng))).collect())
}

/// What plain loops find of these functions.
fn wanted(all: &[Event], observers: &[Observer], picked: &std::ops::Range<usize>) -> Vec<(i64, Vec<String>)> {
    let seeing = observers.iter().enumerate().filter(|(_, o)| all.iter().any(|e| counts(0, e, o)));
    let values = |o: &Observer| (0..WINDOWS).flat_map(|w| plain(all, w, o)[picked.clone()].to_vec()).collect();
    seeing.map(|(i, o)| (i64::try_from(i).unwrap(), values(o))).collect()
}

fn apply_all(sweeper: &Sweeper, all: &[Event], batch_rows: usize, threads: usize) {
    let batches: Vec<RecordBatch> = all.chunks(batch_rows).map(events).collect();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let batches = &batches;
            scope.spawn(move || {
                for batch in batches.iter().skip(thread).step_by(threads) {
                    sweeper.apply(batch).unwrap();
                }
            });
        }
    });
}

const RUNS: [(usize, usize); 6] = [(1, 1), (2, 2), (7, 3), (7, 8), (8192, 1), (100, 4)];

#[test]
fn a_sweep_gives_what_plain_loops_give_for_any_batches_and_threads() {
    let schema = events(&[]).schema();
    for picked in [0..functions().len(), NUMBERS] {
        let (spec, output) = spec_of(picked.clone());
        let spec = sent(&spec);
        let functions = known_functions(&spec);
        for seed in 0..4_u64 {
            let (all, observers) = world(seed);
            let wanted = wanted(&all, &observers, &picked);
            assert!(wanted.len() > 50);
            for (batch_rows, threads) in RUNS {
                let sweeper =
                    Sweeper::new(spec.clone(), &spine(&observers), &schema, Arc::clone(&output), &functions).unwrap();
                let sweeper = sweeper.with_threads(threads);
                assert_eq!(sweeper.positions.cuts.is_empty(), picked != NUMBERS, "the hot key is cut where it can be");
                apply_all(&sweeper, &all, batch_rows, threads);
                assert_eq!(swept(&sweeper), wanted, "seed {seed}, {batch_rows} rows, {threads} threads, {picked:?}");
            }
        }
    }
}

#[test]
fn a_sweep_over_a_shelf_gives_the_same() {
    let schema = events(&[]).schema();
    for picked in [0..functions().len(), NUMBERS] {
        let (spec, output) = spec_of(picked.clone());
        let functions = known_functions(&spec);
        let (all, observers) = world(5);
        let wanted = wanted(&all, &observers, &picked);
        for (batch_rows, threads) in RUNS {
            let whole =
                Sweeper::new(spec.clone(), &spine(&observers), &schema, Arc::clone(&output), &functions).unwrap();
            for bytes in [0, 4_000, 30_000, 1 << 20] {
                let shelf = Arc::new(Drawer::default());
                let sweeper =
                    Sweeper::new(spec.clone(), &spine(&observers), &schema, Arc::clone(&output), &functions).unwrap();
                let sweeper = sweeper.with_shelf(Arc::clone(&shelf) as _, bytes);
                assert!(sweeper.size() <= whole.size());
                apply_all(&sweeper, &all, batch_rows, threads);
                let case = format!("{bytes} bytes, {batch_rows} rows, {threads} threads, {picked:?}");
                assert_eq!(swept(&sweeper), wanted, "{case}");
                // What is refused for lack of memory can be asked for again.
                assert_eq!(swept_again(&sweeper), picked != NUMBERS || bytes < 1 << 20, "{case}");
                assert_eq!(shelf.0.lock().unwrap().1 > 0, picked != NUMBERS || bytes < 1 << 20, "{case}");
            }
        }
    }
}

/// Whether a shard that has events on the shelf can be finished after it was refused.
fn swept_again(sweeper: &Sweeper) -> bool {
    let finished = (0..sweeper.shards()).filter(|&shard| {
        let refused = sweeper.finish(shard, &mut |_| datafusion::common::resources_err!("no memory")).is_err();
        refused && sweeper.finish(shard, &mut |_| Ok(())).unwrap().num_rows() > 0
    });
    finished.count() > 0
}

#[test]
fn what_was_a_large_value_in_a_window_leaves_no_trace() {
    let (spec, output) = spec();
    let functions = known_functions(&spec);
    let row = |at, x| Event { k: Some(1), at, ts: Some(at), x: Some(x), n: None, s: None };
    let all = vec![row(0, 1e17), row(0, -3e16), row(30, 0.1), row(31, 0.2)];
    // The second sees what came after 10 only.
    let observers = vec![(Some(1), 5, -15, None), (Some(1), 35, 10, None)];
    let schema = events(&[]).schema();
    let sweeper = Sweeper::new(spec, &spine(&observers), &schema, output, &functions).unwrap();
    sweeper.apply(&events(&all)).unwrap();
    let rows = swept(&sweeper);
    let sum_in_window = functions_per_window() + 2;
    assert_eq!(rows[0].1[sum_in_window], float(7e16));
    assert_eq!(rows[1].1[sum_in_window], float(0.1 + 0.2));
}

fn functions_per_window() -> usize {
    functions().len()
}

/// The latest `x` by `ts` alone, of events with `ts` and `x`.
fn latest_value(all: &[(i64, f64)]) -> Result<String, datafusion::error::DataFusionError> {
    let first = Function::First { order: vec![key("ts", true)], ignore_nulls: false, settled: false };
    let aggregate =
        SweepAggregate { function: first, argument: Some("x".to_string()), window: 0, name: "v".to_string() };
    let spec = SweepSpec { aggregates: vec![aggregate], ..spec().0 };
    let output = Schema::new(vec![Field::new("o", DataType::Int64, false), Field::new("v", DataType::Float64, true)]);
    let schema = events(&[]).schema();
    let observers = spine(&[(Some(1), 50, 0, None)]);
    let sweeper = Sweeper::new(spec, &observers, &schema, Arc::new(output), &Functions::default())?;
    for &(ts, x) in all {
        sweeper.apply(&events(&[Event { k: Some(1), at: 0, ts: Some(ts), x: Some(x), n: None, s: None }]))?;
    }
    sweeper.seal()?;
    Ok(shown(sweeper.finish(0, &mut |_| Ok(()))?.column(1), 0))
}

#[test]
fn a_tie_that_no_key_settles_is_refused_only_where_it_is_first_and_values_differ() {
    assert_eq!(latest_value(&[(3, 1.5), (4, 2.5), (3, 9.0)]).unwrap(), float(2.5));
    assert_eq!(latest_value(&[(4, 2.5), (4, 2.5), (3, 9.0)]).unwrap(), float(2.5));
    // Beaten ties are none.
    assert_eq!(latest_value(&[(3, 1.5), (3, 2.5), (4, 7.0)]).unwrap(), float(7.0));
    for tied in [[(4, 1.5), (4, 2.5), (3, 9.0)], [(3, 9.0), (4, 0.0), (4, -0.0)]] {
        let refused = latest_value(&tied).unwrap_err();
        assert!(crate::sweep::TiedFirsts::is(&refused), "{refused}");
    }
}

/// Finer groups, and then sums of them, by plain loops: observer, `s`, `n`, count, sum of `n` since `low`.
fn wanted_by_group(all: &[Event], observers: &[Observer]) -> Vec<(i64, Vec<String>)> {
    let mut rows = Vec::new();
    for (number, observer) in (0..).zip(observers) {
        let mut groups = std::collections::BTreeMap::<_, (i64, Option<i64>)>::new();
        for event in all.iter().filter(|e| counts(0, e, observer)) {
            let (count, sum) = groups.entry((event.s, event.n)).or_default();
            *count += 1;
            if counts(1, event, observer)
                && let Some(n) = event.n
            {
                *sum = Some(sum.unwrap_or(0) + n);
            }
        }
        let or_null = |v: Option<String>| v.unwrap_or_else(|| "NULL".to_string());
        rows.extend(groups.into_iter().map(|((s, n), (count, sum))| {
            let [n, sum] = [n, sum].map(|v| or_null(v.map(|v| v.to_string())));
            (number, vec![or_null(s.map(str::to_string)), n, count.to_string(), sum])
        }));
    }
    rows.sort_unstable();
    rows
}

#[test]
fn groups_finer_than_the_keys_are_those_that_plain_loops_find() {
    let (plain, _) = spec_of(0..0);
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    let own = [Field::new("o", DataType::Int64, false), int("key"), int("t"), int("low")];
    let finer = [Field::new("g_s", DataType::Utf8, true), int("g_n")];
    let first = SweepSpec {
        windows: plain.windows[..1].to_vec(),
        groups: ["key", "t", "low"].map(str::to_string).to_vec(),
        finer: ["s", "n"].map(str::to_string).to_vec(),
        ..plain.clone()
    };
    let divided: SchemaRef = Arc::new(Schema::new([own.as_slice(), finer.as_slice()].concat()));
    let key = |event: &str| KeyPair { event: event.to_string(), spine: format!("g_{event}"), null_is_equal: true };
    let of = |function, argument: Option<&str>, window| SweepAggregate {
        function,
        argument: argument.map(str::to_string),
        window,
        name: "a".to_string(),
    };
    let second = SweepSpec {
        keys: [plain.keys.clone(), vec![key("s"), key("n")]].concat(),
        windows: plain.windows[..2].to_vec(),
        groups: ["g_s", "g_n"].map(str::to_string).to_vec(),
        aggregates: vec![of(Function::Count, None, 0), of(Function::Sum, Some("n"), 1)],
        ..plain
    };
    let output: SchemaRef = Arc::new(Schema::new(
        [&own[..1], finer.as_slice(), &[Field::new("count", DataType::Int64, true), int("sum")]].concat(),
    ));
    let schema = events(&[]).schema();
    let functions = Functions::default();
    for seed in 0..3_u64 {
        let (mut all, observers) = world(seed);
        if seed == 2 {
            all.clear();
        }
        let wanted = wanted_by_group(&all, &observers);
        let with_null = |column: usize| wanted.iter().any(|(_, row)| row[column] == "NULL");
        assert!(all.is_empty() || with_null(0) && with_null(1));
        for (batch_rows, threads) in RUNS {
            for bytes in [None, Some(0), Some(30_000)] {
                let make = |spec: &SweepSpec, spine: &RecordBatch, output: &SchemaRef| {
                    let sweeper = Sweeper::new(spec.clone(), spine, &schema, Arc::clone(output), &functions).unwrap();
                    let sweeper = match bytes {
                        Some(bytes) => sweeper.with_shelf(Arc::new(Drawer::default()), bytes),
                        None => sweeper,
                    };
                    apply_all(&sweeper, &all, batch_rows, threads);
                    sweeper
                };
                let seen = make(&first, &spine(&observers), &divided);
                seen.seal().unwrap();
                let shards = (0..seen.shards()).map(|s| seen.finish(s, &mut |_| Ok(())).unwrap()).collect::<Vec<_>>();
                let divided = concat_batches(&divided, &shards).unwrap();
                assert_eq!(divided.num_rows(), wanted.len(), "no more rows than the result has");
                let sweeper = make(&second, &divided, &output);
                assert_eq!(swept(&sweeper), wanted, "seed {seed}, {batch_rows} rows, {threads} threads, {bytes:?}");
            }
        }
    }
}
