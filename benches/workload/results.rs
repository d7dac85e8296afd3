//! What was measured, as values; the JSON document is these.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::Cost;
use crate::work::{GROWTH_TARGET, LENGTHS_TARGET};

#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) format: u32,
    pub(crate) threads: usize,
    pub(crate) runs: u32,
    /// Backcast's limit.
    pub(crate) memory: Option<String>,
    /// Versions by engine.
    pub(crate) peers: BTreeMap<&'static str, String>,
    pub(crate) sizes: Vec<SizeResult>,
    pub(crate) growth: Vec<Growth>,
}

#[derive(Debug, Serialize)]
pub(crate) struct SizeResult {
    pub(crate) size: &'static str,
    pub(crate) events: u64,
    pub(crate) labels: u64,
    pub(crate) works: Vec<WorkResult>,
    pub(crate) lengths: Option<Goal>,
}

#[derive(Debug, Serialize)]
pub(crate) struct WorkResult {
    pub(crate) work: &'static str,
    pub(crate) title: &'static str,
    pub(crate) scan: Entry,
    pub(crate) backcast: Entry,
    pub(crate) peers: Vec<Entry>,
    /// Backcast's cost as a share of the best peer's, which may be one for CPU seconds and another for wall time.
    pub(crate) to_best_peer: Option<Goal>,
    /// Backcast's cost in scans.
    pub(crate) to_scan: Goal,
    /// Where the wall time of Backcast's last run went.
    pub(crate) phases: Vec<Phase>,
}

/// A part of a run, as its report has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) phase: String,
    pub(crate) seconds: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) engine: &'static str,
    /// Backcast's engine, or the peer's formulation.
    pub(crate) how: String,
    /// The least of all runs, and the largest peak.
    #[serde(flatten)]
    pub(crate) cost: Cost,
    pub(crate) runs: Vec<Cost>,
    /// How a peer's values compare with Backcast's.
    pub(crate) same: Option<Same>,
}

/// All cells are the same, but for the last bits of sums.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Same {
    pub(crate) cells: usize,
    pub(crate) largest_difference: f64,
}

/// Two ratios, and what they may be at most.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Goal {
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
    pub(crate) target: Option<f64>,
    pub(crate) met: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Growth {
    pub(crate) work: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    /// How many times as many events.
    pub(crate) events: f64,
    pub(crate) cost: Goal,
}

impl Entry {
    pub(crate) fn new(engine: &'static str, how: impl Into<String>, runs: Vec<Cost>) -> Self {
        let least = |of: fn(&Cost) -> f64| runs.iter().map(of).fold(f64::INFINITY, f64::min);
        let cost = Cost {
            cpu_seconds: least(|c| c.cpu_seconds),
            wall_seconds: least(|c| c.wall_seconds),
            peak_bytes: runs.iter().map(|c| c.peak_bytes).max().unwrap_or(0),
        };
        Self { engine, how: how.into(), cost, runs, same: None }
    }
}

impl Goal {
    pub(crate) fn new(of: Cost, to: Cost, target: Option<f64>) -> Self {
        let (cpu, wall) = (of.cpu_seconds / to.cpu_seconds, of.wall_seconds / to.wall_seconds);
        Self { cpu, wall, target, met: target.map(|t| cpu <= t && wall <= t) }
    }

    /// Against the least of several, each for itself.
    pub(crate) fn to_best(of: Cost, entries: &[Entry], target: Option<f64>) -> Option<Self> {
        let least = |f: fn(&Cost) -> f64| entries.iter().map(|e| f(&e.cost)).fold(f64::INFINITY, f64::min);
        let best =
            Cost { cpu_seconds: least(|c| c.cpu_seconds), wall_seconds: least(|c| c.wall_seconds), peak_bytes: 0 };
        (!entries.is_empty()).then(|| Self::new(of, best, target))
    }
}

impl SizeResult {
    pub(crate) fn new(size: &'static str, events: u64, labels: u64, works: Vec<WorkResult>) -> Self {
        let cost = |name| works.iter().find(|w| w.work == name).map(|w| w.backcast.cost);
        let lengths = cost("W3").zip(cost("W3d")).map(|(long, short)| Goal::new(long, short, Some(LENGTHS_TARGET)));
        Self { size, events, labels, works, lengths }
    }
}

/// How each workload's cost grows from a size to the next.
pub(crate) fn growth(sizes: &[SizeResult]) -> Vec<Growth> {
    let pairs = sizes
        .windows(2)
        .flat_map(|pair| pair[0].works.iter().zip(&pair[1].works).map(|both| (&pair[0], &pair[1], both)));
    pairs
        .map(|(small, large, (before, after))| {
            let events = large.events as f64 / small.events as f64;
            Growth {
                work: before.work,
                from: small.size,
                to: large.size,
                events,
                cost: Goal::new(after.backcast.cost, before.backcast.cost, Some(GROWTH_TARGET * events / 5.0)),
            }
        })
        .collect()
}
