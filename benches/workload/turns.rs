//! The order of work: data, then each workload by all engines in turn, again and again.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::{Args, Format, GENERATE, SCAN, Size, VERIFY};
use crate::measure::{Cost, run};
use crate::peers::{Peer, found};
use crate::results::{Entry, Goal, Phase, Results, Same, SizeResult, WorkResult, growth};
use crate::table::table;
use crate::work::{WORKS, Work};
use crate::{Failed, Result};

/// Does what is asked, and prints what came of it.
///
/// # Errors
/// An engine that fails, or values that differ.
pub(crate) fn bench(args: &Args) -> Result<()> {
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
    let (peers, missing) = if args.no_peers { Default::default() } else { found(&args.python) };
    missing.iter().for_each(|reason| tell(reason));
    let mut sizes = args.sizes.clone();
    sizes.sort_by_key(|size| size.shape(args.seed).events);
    sizes.dedup();
    let turns = sizes.iter().map(|size| Turns::new(args, *size, threads, &peers)?.size_result());
    let sizes = turns.collect::<Result<Vec<_>>>()?;
    let growth = growth(&sizes);
    let results = Results {
        format: 1,
        threads,
        runs: args.runs,
        memory: args.memory.clone(),
        peers: peers.iter().map(|p| (p.name, p.version.clone())).collect(),
        sizes,
        growth,
    };
    let text = match args.format {
        Format::Human => table(&results),
        Format::Json => serde_json::to_string_pretty(&results).map_err(|e| Failed::new(e.to_string()))? + "\n",
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| Failed::new(format!("print: {e}")))
}

fn tell(text: &str) {
    eprintln!("{text}");
}

/// One size's workloads.
struct Turns<'a> {
    args: &'a Args,
    size: Size,
    threads: usize,
    peers: &'a [Peer],
    data: PathBuf,
}

impl<'a> Turns<'a> {
    fn new(args: &'a Args, size: Size, threads: usize, peers: &'a [Peer]) -> Result<Self> {
        let data = std::path::absolute(args.dir.join(size.name())).map_err(|e| Failed::io(&args.dir, e))?;
        Ok(Self { args, size, threads, peers, data })
    }

    fn size_result(&self) -> Result<SizeResult> {
        let shape = self.size.shape(self.args.seed);
        fs::create_dir_all(&self.data).map_err(|e| Failed::io(&self.data, e))?;
        if !shape.is_in(&self.data) {
            tell(&format!("making the data of size {} in {}", self.size.name(), self.data.display()));
            let numbers = [shape.events, shape.labels, shape.users, shape.seed, self.threads as u64];
            let mut step = own_step(GENERATE)?;
            step.arg(&self.data).args(numbers.map(|n| n.to_string()));
            // Its log can't be in the folder that it replaces.
            run(&mut step, &self.args.dir.join(format!("{}-generate", self.size.name())))?;
        }
        let wanted = |work: &&Work| self.args.work.is_empty() || self.args.work.iter().any(|name| name == work.name);
        let works = WORKS.iter().filter(wanted).map(|work| self.work_result(work));
        Ok(SizeResult::new(self.size.name(), shape.events, shape.labels, works.collect::<Result<_>>()?))
    }

    fn work_result(&self, work: &'static Work) -> Result<WorkResult> {
        let config = work.write_project(&self.data)?;
        let peers = work.peers.iter().filter_map(|(name, how)| {
            self.peers
                .iter()
                .find(|p| p.name == *name)
                .map(|peer| (peer, *how, self.log(work, name).with_extension("parquet")))
        });
        let peers: Vec<(&Peer, &str, PathBuf)> = peers.collect();
        let (mut scans, mut ours, mut theirs) = (Vec::new(), Vec::new(), vec![Vec::new(); peers.len()]);
        let mut same = Vec::new();
        for turn in 0..self.args.runs {
            tell(&format!("{} {}: run {} of {}", self.size.name(), work.name, turn + 1, self.args.runs));
            scans.push(self.scan(work)?);
            ours.push(self.replay(work, &config)?);
            for ((peer, _, out), costs) in peers.iter().zip(&mut theirs) {
                let mut command = peer.command(&self.args.python, work, &self.data, out, self.threads);
                costs.push(run(&mut command, &self.log(work, peer.name))?);
                if turn == 0 {
                    same.push(self.compared(work, peer, out)?);
                }
            }
        }
        let (engine, phases) = self.reported(work)?;
        let backcast = Entry::new("backcast", engine, ours);
        let mut entries = Vec::with_capacity(peers.len());
        for (((peer, how, _), costs), same) in peers.iter().zip(theirs).zip(same) {
            entries.push(Entry { same: Some(same), ..Entry::new(peer.name, *how, costs) });
        }
        let scan = Entry::new("datafusion", "scan", scans);
        Ok(WorkResult {
            work: work.name,
            title: work.title,
            to_best_peer: Goal::to_best(backcast.cost, &entries, work.target),
            to_scan: Goal::new(backcast.cost, scan.cost, None),
            scan,
            backcast,
            peers: entries,
            phases,
        })
    }

    fn scan(&self, work: &Work) -> Result<Cost> {
        let mut step = own_step(SCAN)?;
        step.arg(&self.data).arg(work.columns().join(",")).arg(self.threads.to_string());
        run(&mut step, &self.log(work, "scan"))
    }

    /// One whole run, into an empty folder.
    fn replay(&self, work: &Work, config: &Path) -> Result<Cost> {
        let out = work.dataset(&self.data);
        match fs::remove_dir_all(&out) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Failed::io(&out, e)),
            _ => {}
        }
        let mut command = Command::new(&self.args.binary);
        command.arg("replay").arg(config).args(["--format", "json", "--threads"]).arg(self.threads.to_string());
        if let Some(memory) = &self.args.memory {
            command.arg("--memory").arg(memory);
        }
        run(&mut command, &self.log(work, "backcast"))
    }

    /// Which of Backcast's engines it was, and where its time went.
    fn reported(&self, work: &Work) -> Result<(String, Vec<Phase>)> {
        let path = self.log(work, "backcast").with_extension("out");
        let said = fs::read_to_string(&path).map_err(|e| Failed::io(&path, e))?;
        let not_so = |e: serde_json::Error| Failed::new(format!("read the report of {}: {e}", work.name));
        let mut report: serde_json::Value = serde_json::from_str(&said).map_err(not_so)?;
        let engine = report["views"][0]["engine"].as_str().unwrap_or("?").to_string();
        let phases = serde_json::from_value(report["timings"].take()).map_err(not_so)?;
        Ok((engine, phases))
    }

    fn compared(&self, work: &Work, peer: &Peer, out: &Path) -> Result<Same> {
        let log = self.log(work, &format!("{}-verify", peer.name));
        let mut step = own_step(VERIFY)?;
        step.arg(work.dataset(&self.data).join("dataset")).arg(out).arg(work.features.join(","));
        run(&mut step, &log).map_err(|e| Failed::new(format!("{} of {} differs: {e}", work.name, peer.name)))?;
        let said = fs::read_to_string(log.with_extension("out")).map_err(|e| Failed::io(&log, e))?;
        let numbers = said.trim().split_once(' ').and_then(|(c, d)| Some((c.parse().ok()?, d.parse().ok()?)));
        let (cells, largest_difference) = numbers.ok_or_else(|| Failed::new("a comparison that says nothing"))?;
        Ok(Same { cells, largest_difference })
    }

    /// Where a process of this workload leaves what it says.
    fn log(&self, work: &Work, who: &str) -> PathBuf {
        self.data.join(format!("{}-{who}", work.name.to_lowercase()))
    }
}

/// This program again, for one step.
fn own_step(step: &str) -> Result<Command> {
    let own = std::env::current_exe().map_err(|e| Failed::new(format!("find this program: {e}")))?;
    let mut command = Command::new(own);
    command.arg(step);
    Ok(command)
}
