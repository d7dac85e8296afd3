//! The results as a table for people.

use std::fmt::Write as _;

use crate::results::{Entry, Goal, Results, SizeResult, WorkResult};

/// Width of the first column.
const NAME: usize = 38;

pub(crate) fn table(results: &Results) -> String {
    let mut out = String::new();
    let peers: Vec<String> = results.peers.iter().map(|(name, version)| format!("{name} {version}")).collect();
    for size in &results.sizes {
        let limit = results.memory.as_ref().map_or_else(String::new, |m| format!("; --memory {m}"));
        let beside = if peers.is_empty() { String::new() } else { format!("; beside {}", peers.join(", ")) };
        line(
            &mut out,
            &format!(
                "{}: {} events, {} labels; {} threads, least of {} runs{limit}{beside}",
                size.size,
                thousands(size.events),
                thousands(size.labels),
                results.threads,
                results.runs
            ),
        );
        of_size(&mut out, size);
    }
    if !results.growth.is_empty() {
        line(&mut out, &format!("{:NAME$}{:>9}{:>9}", "", "CPU", "wall"));
    }
    for grown in &results.growth {
        let cost = told(&grown.cost);
        let name = format!("{} from {} to {}, {:.0} x the events", grown.work, grown.from, grown.to, grown.events);
        line(&mut out, &format!("{name:NAME$}{cost}"));
    }
    out
}

fn of_size(out: &mut String, size: &SizeResult) {
    let head = ["CPU s", "wall s", "peak MB"].map(|h| format!("{h:>9}")).concat();
    line(out, &format!("\n{:NAME$}{head}  {:>9}  of the best peer's", "", "scans"));
    line(out, &format!("{:NAME$}{:27}  {:>9}{:>9}{:>9}", "", "", "CPU", "CPU", "wall"));
    for work in &size.works {
        line(out, &format!("{} {}", work.work, work.title));
        line(out, &entry(&work.scan, "a scan of the columns", ""));
        let name = format!("backcast, {}", work.backcast.how);
        let to_peer = work.to_best_peer.as_ref().map_or_else(String::new, told);
        line(out, &entry(&work.backcast, &name, &format!("{:>9.1}{to_peer}", work.to_scan.cpu)));
        for peer in &work.peers {
            line(out, &entry(peer, &format!("{}, {}", peer.engine, peer.how), ""));
        }
        let phases: Vec<String> = work.phases.iter().map(|p| format!("{} {:.2}", p.phase, p.seconds)).collect();
        line(out, &format!("  its last run's wall time: {}", phases.join(", ")));
        if let Some(text) = same(work) {
            line(out, &text);
        }
    }
    if let Some(lengths) = &size.lengths {
        line(out, &format!("{:NAME$}{:38}{}", "W3 in times of W3d", "", told(lengths)));
    }
    out.push('\n');
}

fn entry(entry: &Entry, name: &str, ratios: &str) -> String {
    let cost = entry.cost;
    let megabytes = cost.peak_bytes as f64 / 1e6;
    format!(
        "  {name:width$}{:>9.2}{:>9.2}{megabytes:>9.0}  {ratios}",
        cost.cpu_seconds,
        cost.wall_seconds,
        width = NAME - 2
    )
}

fn told(goal: &Goal) -> String {
    let met = match (goal.target, goal.met) {
        (Some(target), Some(true)) => format!("  target {target}: met"),
        (Some(target), _) => format!("  target {target}: missed"),
        _ => String::new(),
    };
    format!("{:>9.2}{:>9.2}{met}", goal.cpu, goal.wall)
}

fn same(work: &WorkResult) -> Option<String> {
    let compared: Vec<_> = work.peers.iter().filter_map(|p| p.same.map(|s| (p.engine, s))).collect();
    let (_, first) = compared.first()?;
    let names: Vec<&str> = compared.iter().map(|(name, _)| *name).collect();
    let largest = compared.iter().map(|(_, s)| s.largest_difference).fold(0.0, f64::max);
    let sums = if largest > 0.0 { format!("; sums differ by {largest:.1e} at most") } else { String::new() };
    Some(format!("  same values as {}: {} cells each{sums}", names.join(", "), thousands(first.cells as u64)))
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{}", text.trim_end_matches(' '));
}
