//! One cell explained down to the events.

mod cli;
mod found;
mod reach;
mod reasons;
mod shapes;
mod what_if;

use backcast::config;
use backcast::error::Error;
use backcast::monitor::Silent;
use backcast::pipeline::{self, Asked};
use backcast::trace::{Event, Trace, TraceOptions};

use crate::support::{Project, run};

/// The cell, or the message of the error.
fn try_trace(project: &Project, feature: &str, keys: &[&str], at: &str) -> Result<Trace, String> {
    let (config, _) = config::load(&project.path("backcast.toml"), &[]).map_err(|f| Error::Input(f).to_string())?;
    let asked = Asked {
        feature: feature.to_string(),
        keys: keys.iter().map(ToString::to_string).collect(),
        at: at.to_string(),
    };
    run(|| async move {
        let options = TraceOptions { replays: 6, ..TraceOptions::default() };
        pipeline::trace(config, &asked, options, &Silent).await.map_err(|e| e.to_string())
    })
}

fn trace(project: &Project, feature: &str, keys: &[&str], at: &str) -> Trace {
    try_trace(project, feature, keys, at).unwrap_or_else(|e| panic!("{e}"))
}

/// A trace of user `a`'s `v.x`.
fn traced(project: &Project, at: &str) -> Trace {
    trace(project, "v.x", &["user=a"], at)
}

/// Values of the column `n` of the events that count, smallest first.
fn counting(trace: &Trace) -> Vec<i64> {
    let mut values: Vec<i64> =
        trace.events.iter().filter(|e| e.counts == Some(true)).map(|e| e.values["n"].as_i64().unwrap()).collect();
    values.sort_unstable();
    values
}

/// The one event whose `n` is this.
#[track_caller]
fn event(trace: &Trace, n: i64) -> &Event {
    let mut found = trace.events.iter().filter(|e| e.values.get("n").and_then(serde_json::Value::as_i64) == Some(n));
    let event = found.next().unwrap_or_else(|| panic!("no event with n = {n} in {:#?}", trace.events));
    assert!(found.next().is_none(), "several events with n = {n}");
    event
}

/// Each event's `n` and reason, by `n`.
fn reasons(trace: &Trace) -> Vec<(i64, &'static str)> {
    let mut reasons: Vec<_> =
        trace.events.iter().map(|e| (e.values["n"].as_i64().unwrap_or_default(), e.reason)).collect();
    reasons.sort_unstable();
    reasons
}
