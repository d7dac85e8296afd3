//! B201, no upper bound on event time, and B202, no lower bound: one finding per view and source.
//!
//! A view that reads another is not told what the other is told. A helper's rows are judged where they are used.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics;
use crate::finding::{Finding, Place};
use crate::lint::Subject;
use crate::lint::reads::{Read, reads};
use crate::sql::relation_span;

/// `others` are the views before this one in dependency order.
pub(super) fn lint(subject: &Subject, others: &BTreeMap<&str, Subject>) -> Vec<Finding> {
    if subject.view.is_helper() {
        return Vec::new();
    }
    let logs = &subject.project.inputs.logs;
    let whole = reads(&subject.whole, logs);
    let direct = reads(&subject.own, logs);
    let mut findings = Vec::new();
    for (code, unbounded) in [(diagnostics::B201, above as fn(&Read) -> bool), (diagnostics::B202, below)] {
        let sources: BTreeSet<usize> = whole.iter().filter(|r| unbounded(r)).map(|r| r.source).collect();
        for source in sources {
            let name = &logs[source].config.name;
            let by_itself = direct.iter().any(|r| r.source == source && unbounded(r));
            let through = if by_itself { None } else { culprit(subject, others, name, code) };
            if !by_itself && through.is_none() {
                continue;
            }
            let picked = whole.iter().filter(|r| r.source == source && unbounded(r)).all(|r| r.picked);
            let at = place(subject, through.unwrap_or(name));
            let said = match through {
                Some(view) => format!("`{name}`, read through `{view}`,"),
                None => format!("`{name}`"),
            };
            let time = &logs[source].config.time;
            findings.push(
                match code {
                    diagnostics::B201 => future(&said, time, name),
                    _ => lookback(&said, time, picked),
                }
                .code(code)
                .at(at),
            );
        }
    }
    findings
}

fn above(read: &Read) -> bool {
    !read.above
}

fn below(read: &Read) -> bool {
    !read.below
}

fn future(source: &str, time: &str, name: &str) -> Finding {
    Finding::warning(format!("{source} has no upper bound on `{time}`: events that are dated in the future enter"))
        .help(format!("add `AND {time} <= NOW()`, or set `future_events = \"hidden\"` in [sources.{name}]"))
}

/// Where rows are picked by an order, all history is what is meant: a note.
fn lookback(source: &str, time: &str, picked: bool) -> Finding {
    let help = format!("add a lower bound, such as `{time} > NOW() - INTERVAL '90 days'`");
    if picked {
        let message = format!("{source} is searched back to its first event: nothing bounds `{time}` from below");
        Finding::note(message).help(help)
    } else {
        let message = format!(
            "{source} has no lower bound on `{time}`: a value depends on every event since the first, retained or not"
        );
        Finding::warning(message).help(help)
    }
}

/// The helper through which the source comes, unless a view on the way is told already, or allows it.
fn culprit<'a>(subject: &'a Subject, others: &'a BTreeMap<&str, Subject>, source: &str, code: &str) -> Option<&'a str> {
    subject.view.reads.iter().map(String::as_str).find(|name| is_open(name, others, source, code))
}

/// Whether the view is a helper that reads the source with no view in between that answers for itself.
fn is_open(name: &str, others: &BTreeMap<&str, Subject>, source: &str, code: &str) -> bool {
    let Some(other) = others.get(name) else { return false };
    let reads = &other.view.reads;
    other.view.is_helper()
        && !other.allowed.has(code)
        && reads.iter().any(|r| r == source || is_open(r, others, source, code))
}

/// The name in the query's FROM that stands for the source or view.
fn place(subject: &Subject, name: &str) -> Place {
    let alias = subject.project.view(name).and_then(|v| v.alias.clone());
    let wanted = |relation: &str| relation == name || Some(relation) == alias.as_deref();
    let text = &subject.view.sql;
    relation_span(&subject.view.statement.query, &wanted)
        .and_then(|span| text.place(span))
        .unwrap_or_else(|| text.start())
}
