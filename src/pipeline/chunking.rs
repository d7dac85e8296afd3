//! How label rows are cut into chunks, and what that costs: what lies before a chunk's label rows is read for the chunk before, too.

use serde::Serialize;

use crate::analysis::{Feature, Project};
use crate::config::Config;
use crate::lookback::{FROM_THE_BEGINNING, FeatureLookback, NOTHING, SourceRead};
use crate::replay::{Weights, in_effect};

/// Where memory is not limited, chunks are cut as if this much were allowed.
const MEMORY: u64 = 4 << 30;
/// The share of the memory for the rows of a chunk.
const CHUNK_SHARE: u64 = 2;

/// How a view's chunks are told before a row is read: label rows are taken to be spread evenly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChunkPlan {
    pub chunks: u64,
    /// Of label time, in hours.
    pub hours: f64,
    /// By source: how often each of its events is read, about.
    pub rereads: Vec<Reread>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reread {
    pub source: String,
    /// Once would be least.
    pub times: f64,
    /// Whether each chunk reads it from the beginning.
    pub from_the_beginning: bool,
}

/// The memory that a run may use.
pub(super) fn memory(config: &Config) -> u64 {
    config.run.memory.unwrap_or(MEMORY)
}

/// What decides where chunks are cut. `last`: the last label time.
pub(super) fn weights(project: &Project, lookbacks: &[FeatureLookback], last: Option<i64>) -> Weights {
    let labels = &project.inputs.labels;
    let own = labels.memory() / labels.table.rows().max(1) + 64;
    // Values as they come from the engine, as they are kept, and as they are written.
    let width = |f: &Feature| f.data_type.primitive_width().map_or(64, |bytes| bytes as u64) * 3 + 4;
    let row = own + project.features.iter().map(width).sum::<u64>();
    let most_rows = memory(&project.inputs.config) / CHUNK_SHARE / row;
    let reads = || lookbacks.iter().flat_map(|l| l.reads.iter().chain(&l.presence));
    Weights {
        lookback: last.and_then(|last| reach(project, reads(), last)),
        most_rows: usize::try_from(most_rows).unwrap_or(usize::MAX).max(1),
    }
}

/// How far back these readings go before a label time, in nanoseconds; `None` where one reads from the beginning. So does every reading of
/// a log with ids, whatever its window: any earlier row may be the one that a later one repeats.
fn reach<'a>(project: &Project, mut reads: impl Iterator<Item = &'a SourceRead>, time: i64) -> Option<i64> {
    reads.try_fold(0, |most, read| match read.lower.start(time) {
        _ if !project.inputs.logs[read.source].config.id.is_empty() => None,
        FROM_THE_BEGINNING => None,
        NOTHING => Some(most),
        start => Some(most.max(time.saturating_sub(start))),
    })
}

/// The chunks of a view with these lookbacks, where there are several. `all`: the lookbacks of all views, which share their chunks.
pub(super) fn chunk_plan(project: &Project, own: &[FeatureLookback], all: &[FeatureLookback]) -> Option<ChunkPlan> {
    let labels = &project.inputs.labels;
    let (first, last) = labels.time_range()?;
    let rows = usize::try_from(labels.table.rows()).unwrap_or(usize::MAX);
    let span = last.saturating_sub(first).max(1);
    let largest = |length: i64| (rows as f64 * (length as f64 / span as f64).min(1.0)).ceil() as usize;
    let length = in_effect(project.inputs.config.run.chunk, weights(project, all, Some(last)), rows, largest)?;
    let chunks = last.div_euclid(length) - first.div_euclid(length) + 1;
    if chunks < 2 {
        return None;
    }
    let logs = project.inputs.logs.iter().enumerate();
    let rereads = logs.filter_map(|(source, log)| {
        let reads = || own.iter().flat_map(|l| l.reads.iter().chain(&l.presence)).filter(|r| r.source == source);
        reads().next()?;
        let reach = reach(project, reads(), last);
        let times = match reach {
            // The first chunk reads what lies before all labels, the last nearly everything.
            None => (chunks as f64 + 1.0) / 2.0,
            Some(back) => (span as f64 + back as f64 * chunks as f64) / (span as f64 + back as f64),
        };
        Some(Reread { source: log.config.name.clone(), times, from_the_beginning: reach.is_none() })
    });
    let hours = length as f64 / 3.6e12;
    Some(ChunkPlan { chunks: u64::try_from(chunks).unwrap_or(0), hours, rereads: rereads.collect() })
}
