//! The list of events: which are told, in which order, and what the value would be without or with each.

use datafusion::arrow::array::UInt32Array;
use datafusion::error::Result as DfResult;
use serde_json::{Map, Value};

use crate::diff::cell_json;
use crate::source::Log;
use crate::source::time::rfc3339;
use crate::trace::asked::Scan;
use crate::trace::attribute::{Attributed, Role, Roles, walk};
use crate::trace::cell::{Cell, Question};
use crate::trace::lineage::{Ranks, Why};
use crate::trace::model::{Event, Omitted};
use crate::trace::reasons::{Reason, of_role, of_visibility, of_why};
use crate::trace::rows::{SourceRows, Visibility};
use crate::trace::{Reach, TraceOptions};

/// Events that are listed, of those that count and of those that do not.
const MOST_LISTED: usize = 200;

/// What was looked at.
pub(super) struct Looked<'a> {
    pub(super) question: &'a Question<'a>,
    pub(super) scans: &'a [Scan],
    pub(super) sources: &'a [SourceRows],
    pub(super) names: &'a [String],
    pub(super) logs: &'a [Log],
    /// By source that the key does not bind, which of its rows may meet a row of the key; none where that is not known.
    pub(super) related: &'a [Option<Vec<bool>>],
}

/// The events within reach.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) events: Vec<Event>,
    pub(super) omitted: Omitted,
    /// By source.
    counted: Vec<(usize, u64)>,
}

impl Listed {
    pub(super) fn counted(&self, source: usize) -> u64 {
        self.counted.iter().find(|(s, _)| *s == source).map_or(0, |(_, n)| *n)
    }
}

/// A row on its way to the list.
struct Candidate {
    source: usize,
    row: usize,
    counts: Option<bool>,
    reason: Reason,
    /// Nanoseconds: how little would have to change for it to count.
    off: u64,
    from_t: Option<i64>,
    visible: bool,
    /// How many of its reason are nearer.
    turn: usize,
}

pub(super) async fn list(
    looked: &Looked<'_>,
    attributed: &Attributed,
    value: &Cell,
    reaches: &[Reach],
    options: TraceOptions,
) -> DfResult<Listed> {
    let time = looked.question.at.0;
    let if_seen = if_all_were_seen(looked).await;
    let mut candidates = Vec::new();
    let mut listed = Listed::default();
    for (at, rows) in looked.sources.iter().enumerate() {
        for row in (0..rows.len()).filter(|&row| rows.near[row]) {
            let role = attributed.roles.get(&(at, row)).unwrap_or(&Role::Unused);
            let hypothetical = if_seen.as_ref().and_then(|roles| roles.get(&(at, row)));
            let visible = rows.visibility[row] == Visibility::Visible;
            let told = if visible { Some(role) } else { hypothetical };
            // Rows that have nothing to do with the key are not within its reach.
            let by_key = reaches[at].keep.is_some();
            let meets = looked.related[at].as_ref().is_none_or(|related| related[row]);
            match told {
                Some(Role::Dropped(Why::OtherKey)) if by_key => continue,
                Some(Role::Counts | Role::Exists(_)) => {}
                _ if !meets => {
                    listed.omitted.unrelated += 1;
                    continue;
                }
                Some(Role::Dropped(Why::OtherKey | Why::NoPartner { .. })) if !by_key => {
                    listed.omitted.unrelated += 1;
                    continue;
                }
                _ => {}
            }
            candidates.push(candidate(looked, (at, row), role, hypothetical, time));
        }
    }
    replay_unknown(looked, &mut candidates, value, options.replays).await?;
    for (at, rows) in looked.sources.iter().enumerate() {
        let counts = |c: &&Candidate| c.source == at && c.counts == Some(true);
        listed.counted.push((rows.source, candidates.iter().filter(counts).count() as u64));
    }
    let (mut counting, mut others): (Vec<Candidate>, Vec<Candidate>) =
        candidates.into_iter().partition(|c| c.counts == Some(true));
    let most = if options.all { usize::MAX } else { MOST_LISTED };
    for (kind, omitted) in
        [(&mut counting, &mut listed.omitted.counting), (&mut others, &mut listed.omitted.not_counting)]
    {
        nearest_of_each_reason(kind);
        *omitted = kind.len().saturating_sub(most) as u64;
        kind.truncate(most);
    }
    let what_if = what_if(looked, &counting, &others, options.replays).await;
    let events = counting.iter().chain(&others).zip(what_if);
    let mut events = events.map(|(c, what_if)| event(looked, c, what_if)).collect::<DfResult<Vec<_>>>()?;
    // By time, latest first; those without one at the end. (A stable sort: the same every time.)
    events.sort_by_key(|e| (e.counts != Some(true), std::cmp::Reverse(e.from_t)));
    listed.events = events;
    Ok(listed)
}

/// The nearest of every reason first, then the second nearest of each, and so on: many of one kind push out none of another.
fn nearest_of_each_reason(candidates: &mut [Candidate]) {
    candidates.sort_by_key(|c| (c.reason.word, c.off, c.from_t.map_or(u64::MAX, i64::unsigned_abs), c.source, c.row));
    let mut before: Option<&'static str> = None;
    let mut number = 0_usize;
    for candidate in candidates.iter_mut() {
        number = if before == Some(candidate.reason.word) { number + 1 } else { 0 };
        before = Some(candidate.reason.word);
        candidate.turn = number;
    }
    candidates.sort_by_key(|c| c.turn);
}

/// The roles if every row that was read were visible: what else keeps an unseen event from counting.
async fn if_all_were_seen(looked: &Looked<'_>) -> Option<Roles> {
    let all: Vec<UInt32Array> = looked
        .sources
        .iter()
        .map(|s| UInt32Array::from_iter_values(0..u32::try_from(s.len()).unwrap_or(u32::MAX)))
        .collect();
    let walked = walk(looked.question, looked.scans, looked.sources, &all, looked.names, Ranks::Chosen).await.ok()?;
    walked.cell.is_some().then_some(walked.roles)
}

fn candidate(
    looked: &Looked<'_>,
    (at, row): (usize, usize),
    role: &Role,
    hypothetical: Option<&Role>,
    time: i64,
) -> Candidate {
    let rows = &looked.sources[at];
    let from_t = rows.event(row).map(|event| event.saturating_sub(time));
    match of_visibility(rows, row, &looked.logs[rows.source], time) {
        None => {
            let reason = of_role(role);
            let counts = match role {
                Role::Counts => Some(true),
                Role::Unknown => None,
                _ => Some(false),
            };
            let off = reason.off_ns.map_or(0, i64::unsigned_abs);
            Candidate { source: at, row, counts, reason, off, from_t, visible: true, turn: 0 }
        }
        Some(mut reason) => {
            // Of one that is not seen, what the SQL would say of it too. (Which of several rows would be chosen is no reason.)
            let mut off = reason.off_ns.map_or(0, i64::unsigned_abs);
            if let Some(Role::Dropped(why)) = hypothetical
                && !matches!(why, Why::NotLatest { .. } | Why::OtherKey)
            {
                let also = of_why(why);
                reason.brief = format!("{}; also {}", reason.brief, also.brief);
                off = off.max(also.off_ns.map_or(0, i64::unsigned_abs));
                reason.condition = reason.condition.or(also.condition);
            }
            Candidate { source: at, row, counts: Some(false), reason, off, from_t, visible: false, turn: 0 }
        }
    }
}

/// Where the plan could not be walked: an event counts if the value changes without it.
async fn replay_unknown(looked: &Looked<'_>, candidates: &mut [Candidate], value: &Cell, most: usize) -> DfResult<()> {
    let mut unknown: Vec<&mut Candidate> = candidates.iter_mut().filter(|c| c.counts.is_none()).collect();
    unknown.sort_by_key(|c| (c.from_t.map_or(u64::MAX, i64::unsigned_abs), c.source, c.row));
    for candidate in unknown.into_iter().take(most) {
        let Ok(Some(without)) = without(looked, candidate.source, candidate.row).await else { continue };
        if without.is(value)? {
            candidate.reason.brief = "visible; without it alone the value is the same".to_string();
        } else {
            candidate.counts = Some(true);
            candidate.reason = of_role(&Role::Counts);
        }
    }
    Ok(())
}

/// In the order of the events: the value without each of those that count or matter, with each that is not seen.
async fn what_if(looked: &Looked<'_>, counting: &[Candidate], others: &[Candidate], most: usize) -> Vec<Option<Cell>> {
    let mut done = Vec::with_capacity(counting.len() + others.len());
    let (mut left, mut added) = (0, 0);
    for candidate in counting.iter().chain(others) {
        let matters = candidate.counts == Some(true) || matches!(candidate.reason.word, "exists_only" | "takes_away");
        let rows = &looked.sources[candidate.source];
        let addable = !matches!(
            rows.visibility[candidate.row],
            Visibility::Visible | Visibility::Superseded { .. } | Visibility::Deleted | Visibility::NoTime
        );
        let cell = if candidate.visible && matters && left < most {
            left += 1;
            without(looked, candidate.source, candidate.row).await.ok().flatten()
        } else if addable && added < most {
            added += 1;
            with(looked, candidate.source, candidate.row).await.ok().flatten()
        } else {
            None
        };
        done.push(cell);
    }
    done
}

async fn without(looked: &Looked<'_>, source: usize, row: usize) -> DfResult<Option<Cell>> {
    let mut rows: Vec<UInt32Array> = looked.sources.iter().map(SourceRows::visible).collect();
    rows[source] = rows[source].values().iter().copied().filter(|&r| r as usize != row).collect::<Vec<u32>>().into();
    looked.question.over(looked.sources, &rows).await
}

async fn with(looked: &Looked<'_>, source: usize, row: usize) -> DfResult<Option<Cell>> {
    let mut rows: Vec<UInt32Array> = looked.sources.iter().map(SourceRows::visible).collect();
    rows[source] = looked.sources[source].as_if_arrived(row, looked.question.at.0);
    looked.question.over(looked.sources, &rows).await
}

fn event(looked: &Looked<'_>, candidate: &Candidate, what_if: Option<Cell>) -> DfResult<Event> {
    let rows = &looked.sources[candidate.source];
    let log = &looked.logs[rows.source];
    let row = candidate.row;
    let column = |name: &str| -> DfResult<Option<Value>> {
        let column = log.schema.index_of(name).ok().and_then(|i| rows.raw.columns[i].as_ref());
        column.map(|c| Ok(cell_json(c, row)?)).transpose()
    };
    let mut id = Map::new();
    for name in &log.config.id {
        id.extend(column(name)?.map(|value| (name.clone(), value)));
    }
    let mut values = Map::new();
    let mut read: Vec<usize> =
        looked.scans.iter().filter(|s| s.source == rows.source).flat_map(|s| s.columns.iter().copied()).collect();
    read.sort_unstable();
    read.dedup();
    for index in read {
        let name = log.schema.field(index).name();
        // A tie is decided by all columns: those that nobody wrote are not told.
        let told = !looked.question.words.may_name(name)
            || *name == log.config.time
            || Some(name) == log.config.available_at.as_ref()
            || id.contains_key(name);
        if !told {
            values.extend(column(name)?.map(|value| (name.clone(), value)));
        }
    }
    let what_if = what_if.map(|cell| cell.json(looked.question.feature)).transpose()?;
    let (without, with) = if candidate.visible { (what_if, None) } else { (None, what_if) };
    let seconds = |ns: i64| ns as f64 / 1e9;
    Ok(Event {
        source: log.config.name.clone(),
        time: rows.event(row).map(rfc3339),
        seconds: candidate.from_t.map(seconds),
        available_at: rows.available(row).map(rfc3339),
        id,
        values,
        counts: candidate.counts,
        reason: candidate.reason.word,
        why: candidate.reason.sentence(),
        brief: candidate.reason.brief.clone(),
        condition: candidate.reason.condition.clone(),
        off_seconds: candidate.reason.off_ns.map(seconds),
        without,
        with,
        from_t: candidate.from_t,
    })
}
