//! How long each part of a run took.

use std::time::{Duration, Instant};

use crate::report::Timing;

/// Parts by name, in the order in which they came first.
#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    last: Instant,
    laps: Vec<Timing>,
}

impl Clock {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { began: now, last: now, laps: Vec::new() }
    }

    /// What went by since the last call was for this.
    pub(super) fn lap(&mut self, phase: &str) -> Duration {
        let now = Instant::now();
        let took = now - self.last;
        self.last = now;
        match self.laps.iter_mut().find(|t| t.phase == phase) {
            Some(lap) => lap.seconds += took.as_secs_f64(),
            None => self.laps.push(Timing { phase: phase.to_string(), seconds: took.as_secs_f64() }),
        }
        took
    }

    pub(super) fn total(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn laps(&self) -> Vec<Timing> {
        self.laps.clone()
    }
}
