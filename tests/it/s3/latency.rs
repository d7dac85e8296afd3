//! What each request's latency costs: little, since many are under way at once.

use std::time::{Duration, Instant};

use super::proxy::{Fault, Proxy};
use super::{Remote, project, storage};

const OBJECTS: i64 = 600;

/// How long a run takes, and how many requests it makes, where each takes so long.
fn timed(remote: &Remote, latency: Duration) -> (Duration, u32) {
    let proxy = Proxy::new(remote.server.port, latency, |_| Fault::None);
    let began = Instant::now();
    let ran = remote.run(proxy.port, &["run", "--fresh", "--format", "json"]).exits_with(0);
    let (requests, retries, _) = storage(&ran);
    assert_eq!(retries, 0);
    (began.elapsed(), u32::try_from(requests).unwrap())
}

#[test]
fn latency_costs_little_on_a_log_of_many_objects() {
    let Some(remote) = Remote::new("latency", project(OBJECTS)) else { return };
    let (none, requests) = timed(&remote, Duration::ZERO);
    assert!(i64::from(requests) <= OBJECTS + 40, "{requests} requests");
    let latency = Duration::from_millis(50);
    let (with, requests) = timed(&remote, latency);
    // One after the other they would take requests x latency longer; a machine at work may take its time.
    let more = with.saturating_sub(none);
    assert!(more < latency * requests / 4, "{more:?} more for {requests} requests");
}
