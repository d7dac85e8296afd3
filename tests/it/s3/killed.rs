//! A run into a bucket may be killed at any instant, and run again.

use std::time::{Duration, Instant};

use super::{Remote, project};
use crate::support::Rng;

/// Instants at which runs are killed, at least; as many again are on disk.
const KILLS: usize = 50;
const ARGS: [&str; 4] = ["run", "--quiet", "--set", "run.chunk=4 days"];

#[test]
fn runs_into_a_bucket_killed_at_random_instants_come_to_what_a_run_on_disk_gives() {
    let Some(remote) = Remote::new("killed", project(28)) else { return };
    let port = remote.server.port;
    let began = Instant::now();
    remote.run(port, &ARGS).exits_with(0);
    let takes = began.elapsed();
    remote.is_as_on_disk();
    let mut rng = Rng::new(77);
    let (mut kills, mut runs) = (0, 0);
    while kills < KILLS {
        // Each time something else: nothing of it was replayed before.
        let other = format!("views.v.features.n.when_missing={runs}");
        let args = [&ARGS[..], &["--fresh", "--set", &other]].concat();
        let mut args = args.as_slice();
        let kept: Vec<&str> = args.iter().copied().filter(|a| *a != "--fresh").collect();
        loop {
            let mut child = remote.start(port, args);
            let instant = takes.mul_f64(rng.below(1200) as f64 / 1000.0);
            let begun = Instant::now();
            while begun.elapsed() < instant && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(2));
            }
            if let Some(status) = child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0), "after {kills} kills");
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            args = kept.as_slice();
        }
        remote.local.backcast(&kept).exits_with(0);
        assert_eq!(remote.outputs(), remote.local.outputs().into_iter().collect(), "after {kills} kills");
        runs += 1;
    }
}
