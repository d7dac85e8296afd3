//! DuckDB and Polars, where Python has them: the formulations of `queries/bench/peers`.

use std::path::Path;
use std::process::Command;

use crate::work::{Work, repository};

/// An engine that Python has.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) version: String,
}

/// The peers that this Python has, and why the others are left out.
pub(crate) fn found(python: &str) -> (Vec<Peer>, Vec<String>) {
    let (mut peers, mut missing) = (Vec::new(), Vec::new());
    for name in ["duckdb", "polars"] {
        let asked = Command::new(python).args(["-c", &format!("import {name}; print({name}.__version__)")]).output();
        match asked {
            Ok(said) if said.status.success() => {
                let version = String::from_utf8_lossy(&said.stdout).trim().to_string();
                peers.push(Peer { name, version });
            }
            Ok(_) => missing.push(format!("{name} is left out: `{python}` has no package `{name}`")),
            Err(e) => missing.push(format!("{name} is left out: `{python}` can't be run: {e}")),
        }
    }
    (peers, missing)
}

impl Peer {
    /// The process that answers a workload.
    pub(crate) fn command(&self, python: &str, work: &Work, data: &Path, out: &Path, threads: usize) -> Command {
        let mut command = Command::new(python);
        command.arg(repository().join(format!("queries/bench/peers/{}_peer.py", self.name)));
        command.arg(work.name).arg(data).arg(out).arg(threads.to_string());
        command
    }
}
