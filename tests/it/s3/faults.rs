//! Throttled, cut, slow, dead: tried again, within bounds, and never a wrong or short dataset.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use datafusion::object_store::path::Path;
use datafusion::object_store::{ObjectStoreExt, PutPayload};

use super::proxy::{Fault, Proxy};
use super::{Remote, block_on, project, storage};

#[test]
fn throttling_resets_and_lost_connections_are_tried_again_and_change_nothing() {
    let Some(remote) = Remote::new("faulty", project(28)) else { return };
    let proxy = remote.proxy(|request| match (request.number % 10, request.method.as_str()) {
        (1 | 2, _) => Fault::SlowDown,
        (4, "GET") => Fault::CutAfter(700),
        (6, "GET" | "HEAD") => Fault::Dropped,
        (8, "GET") => Fault::CutAfter(0),
        _ => Fault::None,
    });
    let ran = remote.run(proxy.port, &["run", "--format", "json"]).exits_with(0);
    remote.is_as_on_disk();
    let (requests, retries, _) = storage(&ran);
    assert!(retries > 5 && retries < requests, "{retries} of {requests}");
    let report = ran.json();
    let notes = report["notes"].as_array().unwrap();
    assert!(notes.iter().any(|n| n["subject"] == "storage"), "{notes:?}");
    remote.run(remote.server.port, &["verify", "--sample", "40"]).exits_with(0);
}

#[test]
fn slow_answers_are_waited_for() {
    let Some(remote) = Remote::new("slow", project(4)) else { return };
    let proxy = remote.proxy(|request| {
        if request.method == "GET" && request.number % 3 == 0 {
            Fault::Slow(Duration::from_millis(60))
        } else {
            Fault::None
        }
    });
    remote.run(proxy.port, &["run"]).exits_with(0);
    remote.is_as_on_disk();
}

#[test]
fn a_store_that_is_dead_ends_with_an_error_in_time() {
    let Some(remote) = Remote::new("dead", project(2)) else { return };
    let began = Instant::now();
    let proxy = remote.proxy(|_| Fault::SlowDown);
    let limits = ["--set", "storage.max_retries=\"3\"", "--set", "storage.retry_timeout=\"5s\""];
    let args = |command: &'static str| [&[command][..], &limits].concat();
    remote.run(proxy.port, &args("run")).exits_with(1).complains_of(&["SlowDown", "after 3 retries"]);
    // Nobody listens there.
    let unused = Proxy::new(1, Duration::ZERO, |_| Fault::None).port;
    std::thread::sleep(Duration::from_millis(50));
    remote.run(unused, &args("run")).exits_with(1).complains_of(&["failed to list"]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let bad = remote.run(proxy.port, &["run", "--set", "storage.retry_timeout=\"soon\""]).exits_with(2);
    bad.complains_of(&["`[storage]` `retry_timeout` is `soon`", "such as 60s"]);
}

#[test]
fn a_store_that_dies_in_the_middle_leaves_no_run() {
    let Some(remote) = Remote::new("dying", project(6)) else { return };
    for after in [3, 9, 14, 20] {
        let proxy = remote.proxy(move |request| if request.number >= after { Fault::SlowDown } else { Fault::None });
        let args = ["run", "--set", "storage.max_retries=\"1\"", "--set", "storage.retry_timeout=\"2s\""];
        let ran = remote.run(proxy.port, &args);
        assert!(ran.code == 1, "after {after}: {} {}", ran.stdout, ran.stderr);
        assert!(!remote.outputs().contains("manifest.json"));
    }
    remote.run(remote.server.port, &["run"]).exits_with(0);
    remote.is_as_on_disk();
}

#[test]
fn an_object_that_is_replaced_while_a_run_reads_it_stops_the_run() {
    let Some(remote) = Remote::new("replaced", project(4)) else { return };
    // Too large to come whole with its footer.
    let mut rng = crate::support::Rng::new(9);
    let rows: String = (0..40_000)
        .map(|_| format!("{} 2025-03-09T{:02}:00 {}.5\n", rng.range(1, 9), rng.range(0, 24), rng.range(0, 1 << 40)))
        .collect();
    let file = remote.local.path("events/dt=2025-03-09/large.parquet");
    crate::support::write_parquet(&file, &crate::support::table(&format!("user_id:i64 ts:us@UTC x:f64\n{rows}")));
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.len() > 400_000, "{}", bytes.len());
    let path = Path::from("replaced/events/dt=2025-03-09/large.parquet");
    let store = remote.server.store();
    block_on(store.put(&path, PutPayload::from(bytes.clone()))).unwrap();
    let before = remote.run(remote.server.port, &["run"]).exits_with(0);
    assert!(before.stderr.is_empty(), "{}", before.stderr);
    let outputs = remote.outputs();
    // The footer was read: what comes now is of another object, with the same bytes but one.
    let replaced = AtomicBool::new(false);
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let proxy = remote.proxy(move |request| {
        if request.is_of("GET", "large.parquet")
            && count.fetch_add(1, Ordering::Relaxed) == 1
            && !replaced.swap(true, Ordering::Relaxed)
        {
            let mut other = bytes.clone();
            other[1000] ^= 1;
            block_on(store.put(&path, PutPayload::from(other))).unwrap();
        }
        Fault::None
    });
    let ran = remote.run(proxy.port, &["run", "--fresh"]).exits_with(1);
    assert!(seen.load(Ordering::Relaxed) >= 2);
    ran.complains_of(&[
        "s3://backcast/replaced/events/dt=2025-03-09/large.parquet` was replaced while the run read it",
        "run again",
    ]);
    assert_eq!(remote.outputs(), outputs, "the old run stands");
}
