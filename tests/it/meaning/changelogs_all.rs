//! Rule 4 on every small changelog there is: up to three versions of a row, at four times, held against the rule in plain words.

use crate::support::{Project, shown, table};

/// Minutes at which things happen.
const TIMES: [usize; 4] = [0, 1, 2, 3];

/// A version of a row; in the order in which, of versions of one event time, the last is the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    event: usize,
    seen: usize,
    op: char,
    tier: char,
}

fn versions(tiers: &[char]) -> Vec<Version> {
    let mut all = Vec::new();
    for event in TIMES {
        for seen in TIMES {
            for op in ['D', 'I'] {
                all.extend(tiers.iter().map(|&tier| Version { event, seen, op, tier }));
            }
        }
    }
    all
}

/// Every log of three versions with one tier, and every one of two versions with two tiers.
fn logs() -> Vec<Vec<Version>> {
    let mut logs = Vec::new();
    let one = versions(&['x']);
    for (i, a) in one.iter().enumerate() {
        for (j, b) in one.iter().enumerate().skip(i) {
            logs.extend(one.iter().skip(j).map(|c| vec![*c, *a, *b]));
        }
    }
    let two = versions(&['x', 'y']);
    for (i, a) in two.iter().enumerate() {
        logs.extend(two.iter().skip(i).map(|b| vec![*b, *a]));
    }
    logs
}

/// What the rule says of one log: the row is shown by the version that it is.
fn expected(log: &[Version], at: usize, exclude: bool, hide_future: bool) -> String {
    let visible = log.iter().filter(|v| if exclude { v.seen < at } else { v.seen <= at });
    let row = visible.filter(|v| !hide_future || v.event <= at).max();
    match row {
        Some(v) if v.op != 'D' => format!("{}{}{}", v.event, v.seen, v.tier),
        _ => "NULL".to_string(),
    }
}

fn every_small_log(exclude: bool, hide_future: bool) {
    let logs = logs();
    let clock = |minute: usize| format!("2025-03-10T10:0{minute}");
    let mut rows = "user:i64 op:str ts:us@UTC seen:us@UTC tier:str\n".to_string();
    for (id, log) in logs.iter().enumerate() {
        for v in log {
            let tier = format!("{}{}{}", v.event, v.seen, v.tier);
            rows.push_str(&format!("{id} {} {} {} {tier}\n", v.op, clock(v.event), clock(v.seen)));
        }
    }
    let mut labels = "user:i64 at:us@UTC\n".to_string();
    for at in TIMES {
        for id in 0..logs.len() {
            labels.push_str(&format!("{id} {}\n", clock(at)));
        }
    }
    let tie = if exclude { "exclude" } else { "include" };
    let future = if hide_future { "hidden" } else { "visible" };
    let config = format!(
        "kind = \"changelog\"\ntime = \"ts\"\navailable_at = \"seen\"\nid = [\"user\"]\ndeleted = \"op = 'D'\"\n\
         future_events = \"{future}\""
    );
    let project = Project::new(&format!("keys = [\"user\"]\ntime = \"at\"\ntie = \"{tie}\""), &table(&labels))
        .source("users", &config, &table(&rows))
        .view("v", "SELECT \"user\", tier FROM users");
    // Labels are in the order of time, then key: the order in which they were written.
    let found = shown(&project.dataset(), "tier");
    for (at, of_time) in TIMES.iter().zip(found.chunks(logs.len())) {
        for (log, found) in logs.iter().zip(of_time) {
            assert_eq!(*found, expected(log, *at, exclude, hide_future), "at {at}: {log:?}");
        }
    }
}

#[test]
fn every_small_changelog_follows_the_rule() {
    every_small_log(false, false);
}

#[test]
fn every_small_changelog_follows_the_rule_where_ties_are_excluded() {
    every_small_log(true, false);
}

#[test]
fn every_small_changelog_follows_the_rule_where_future_events_are_hidden() {
    every_small_log(false, true);
    every_small_log(true, true);
}
