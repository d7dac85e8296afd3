//! What a source still holds: from listing and footers, and from the times of its events where footers do not suffice.

use chrono_tz::Tz;
use datafusion::arrow::datatypes::DataType;
use futures::StreamExt;

use crate::config::{FutureEvents, Since, SourceKind, Thin};
use crate::error::{Error, Result};
use crate::lookback::FROM_THE_BEGINNING;
use crate::retention::activity::{Activity, DAY_NS, HOUR_NS, Span};
use crate::retention::model::{DayReport, Gap, GapKind, Judgement, SchemaChange, SourceRetention};
use crate::retention::rhythm::{Judged, judge};
use crate::source::time::rfc3339;
use crate::source::{GroupTimes, Log, Stores};

/// Time columns read at once.
const READ_AT_ONCE: usize = 4;
/// Missing partitions that are listed.
const MOST_PARTITIONS: usize = 400;

/// The times in one file.
#[derive(Debug, Clone, Copy)]
pub struct FileTimes {
    pub first: i64,
    pub last: i64,
}

/// What is known of a source.
#[derive(Debug, Clone)]
pub struct SourceFacts {
    /// From when on the log is complete, nanoseconds; [`FROM_THE_BEGINNING`] where nothing happened before it.
    pub since: i64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    /// What counts against coverage.
    pub gaps: Vec<Gap>,
    /// Columns that some files lack, and when those files' events are.
    pub late_columns: Vec<(usize, Vec<Span>)>,
    pub files: Vec<FileTimes>,
    pub retention_ns: Option<i64>,
    /// What an event's arrival is after its time, at least; 0 where a column says so.
    shift_ns: i64,
    pub report: SourceRetention,
}

impl SourceFacts {
    /// The latest event time that a label time can see in a log in order.
    pub fn latest_seen(&self, time: i64) -> i64 {
        time.saturating_sub(self.shift_ns)
    }

    #[cfg(test)]
    pub(super) fn of_nothing() -> Self {
        Self {
            since: FROM_THE_BEGINNING,
            first: None,
            last: None,
            gaps: Vec::new(),
            late_columns: Vec::new(),
            files: Vec::new(),
            retention_ns: None,
            shift_ns: 0,
            report: SourceRetention::default(),
        }
    }
}

/// Which time columns are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// None: what footers do not tell is not judged.
    Nothing,
    /// Those of row groups whose footers do not say from when to when their events are.
    Unknown,
    /// Those too of row groups that span more than an hour, or than `max_silence`.
    Long,
}

impl Reading {
    /// Those that what is configured of a source asks for.
    pub fn as_configured(log: &Log) -> Self {
        let asked = log.config.max_silence.is_some() || log.config.thin == Some(Thin::Gap);
        if asked { Self::Long } else { Self::Unknown }
    }
}

/// What is known of a source. `until`: the last label time.
///
/// # Errors
/// What reading a time column meets.
pub async fn facts(log: &Log, stores: &Stores, until: Option<i64>, reading: Reading) -> Result<SourceFacts> {
    let config = &log.config;
    let before = stores.bytes_read();
    let files = &log.table.files.files;
    let mut report = SourceRetention {
        source: config.name.clone(),
        files: files.len() as u64,
        bytes: log.table.bytes(),
        rows: log.table.rows(),
        retention: config.retention.map(crate::retention::timeline::iso_days),
        ..SourceRetention::default()
    };
    let mut activity = Activity::new(config.max_silence);
    let mut times: Vec<Option<FileTimes>> = vec![None; files.len()];
    let mut wanted: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut without = None;
    for GroupTimes { file, group, rows, range } in log.group_times() {
        if range.is_none() && without.replace(file) != Some(file) {
            report.files_without_statistics += 1;
        }
        let long = range.is_none_or(|(first, last)| last.saturating_sub(first) > activity.finest_ns());
        if let Some((first, last)) = range {
            times[file] = Some(widened(times[file], first, last));
        }
        let reads = match reading {
            Reading::Nothing => false,
            Reading::Unknown => range.is_none(),
            Reading::Long => long,
        };
        if reads {
            report.row_groups_read += 1;
            match wanted.last_mut().filter(|(last, _)| *last == file) {
                Some((_, groups)) => groups.push(group),
                None => wanted.push((file, vec![group])),
            }
        } else {
            report.row_groups_not_read += u64::from(long);
            if let Some((first, last)) = range {
                activity.events(first, last, rows);
            }
        }
    }
    let finest = activity.finest_ns();
    let read = futures::stream::iter(wanted)
        .map(|(file, groups)| (file, groups, stores.runtime().cache_manager.get_file_metadata_cache()))
        .map(|(file, groups, cache)| async move {
            let mut own = Activity::new(Some(finest));
            log.read_times(file, &groups, cache, &mut |time| own.event(time)).await.map(|()| (file, own))
        })
        .buffered(READ_AT_ONCE);
    let mut read = std::pin::pin!(read);
    while let Some(done) = read.next().await {
        let (file, own) = done.map_err(|e: Error| e)?;
        if let (Some(first), Some(last)) = (own.first(), own.last()) {
            times[file] = Some(widened(times[file], first, last));
        }
        activity.merge(&own);
    }
    report.bytes_read = log.table.footer_bytes + stores.bytes_read() - before;
    let known: Vec<FileTimes> = times.iter().flatten().copied().collect();
    let first = known.iter().map(|f| f.first).min();
    let last = known.iter().map(|f| f.last).max();
    let since = match config.since {
        Some(Since::Beginning) => FROM_THE_BEGINNING,
        Some(Since::At(at)) => nanoseconds(at),
        // Without any event nothing is known to be complete.
        None => first.unwrap_or(i64::MAX),
    };
    report.first = first.map(rfc3339);
    report.last = last.map(rfc3339);
    report.since = match config.since {
        Some(Since::Beginning) => Some("beginning".to_string()),
        Some(Since::At(at)) => Some(rfc3339(nanoseconds(at))),
        None => first.map(rfc3339),
    };
    let gaps = gaps(log, &activity, last, until, &mut report);
    report.gaps.clone_from(&gaps);
    let late_columns = schema_changes(log, &times, &mut report);
    report.missing_partitions = missing_partitions(log);
    report.days = days(&activity, report.bytes, report.rows);
    notes(log, reading, &mut report);
    let shift_ns = match (&config.available_at, config.future_events) {
        (None, _) => config.delay_ns.saturating_add(i64::from(log.ties() == crate::config::Tie::Exclude)),
        _ => 0,
    };
    let shift_ns = if config.future_events == FutureEvents::Hidden { shift_ns.max(0) } else { shift_ns };
    Ok(SourceFacts {
        since,
        first,
        last,
        gaps,
        late_columns,
        files: known,
        retention_ns: config.retention,
        shift_ns,
        report,
    })
}

fn widened(known: Option<FileTimes>, first: i64, last: i64) -> FileTimes {
    known.map_or(FileTimes { first, last }, |k| FileTimes { first: k.first.min(first), last: k.last.max(last) })
}

fn nanoseconds(time: chrono::DateTime<chrono::Utc>) -> i64 {
    time.timestamp_nanos_opt().unwrap_or(if time.timestamp() < 0 { i64::MIN + 1 } else { i64::MAX })
}

/// The gaps that count; judgements that do not go to the report as warnings.
fn gaps(
    log: &Log,
    activity: &Activity,
    last: Option<i64>,
    until: Option<i64>,
    report: &mut SourceRetention,
) -> Vec<Gap> {
    let config = &log.config;
    let mut gaps: Vec<Gap> =
        config.gaps.iter().map(|(from, to)| gap(nanoseconds(*from), nanoseconds(*to), GapKind::Declared)).collect();
    if let Some(longest) = config.max_silence {
        let silent = |span: Span| Gap {
            // The event before the silence is there.
            span: Span { from: span.from.saturating_add(1), to: span.to },
            ..gap(span.from, span.to, GapKind::Silent)
        };
        gaps.extend(activity.silences(longest).into_iter().map(silent));
        // Of a log without any event all is silence.
        let last = last.unwrap_or(i64::MIN);
        if let Some(until) = until
            && until.saturating_sub(last) > longest
        {
            gaps.push(silent(Span { from: last, to: until.saturating_add(1) }));
        }
    } else if let (Some(last), Some(until)) = (last, until)
        && config.kind == SourceKind::Log
    {
        let within = activity.silences(HOUR_NS).into_iter().map(|s| s.to.saturating_sub(s.from)).max();
        let after = until.saturating_sub(last);
        if after > within.unwrap_or(0).max(DAY_NS) {
            report.notes.push(format!(
                "the last label row is {} after the last event, longer than any silence before: windows that reach past it may lack \
                 events (`max_silence` makes that a gap)",
                crate::retention::timeline::iso_days(after / HOUR_NS * HOUR_NS)
            ));
        }
    }
    for judged in judge(activity, config.rhythm) {
        match judged.kind {
            GapKind::Thin if config.thin == Some(Thin::Gap) => {
                gaps.push(gap(judged.span.from, judged.span.to, GapKind::Thin));
            }
            // Silence has been judged by the number that was given.
            GapKind::Silent if config.max_silence.is_some() => {}
            _ => report.warnings.push(judgement(&judged)),
        }
    }
    gaps.sort_by_key(|g| g.span);
    gaps
}

fn gap(from: i64, to: i64, kind: GapKind) -> Gap {
    Gap { from: rfc3339(from), to: rfc3339(to), kind, span: Span { from, to } }
}

fn judgement(judged: &Judged) -> Judgement {
    Judgement {
        from: rfc3339(judged.span.from),
        to: rfc3339(judged.span.to),
        kind: judged.kind,
        events: judged.events.round() as u64,
        expected: judged.expected.round() as u64,
        span: judged.span,
    }
}

/// Columns that are not the same in all files; those that some lack, with the times of these files.
fn schema_changes(log: &Log, times: &[Option<FileTimes>], report: &mut SourceRetention) -> Vec<(usize, Vec<Span>)> {
    let footers = &log.table.footers;
    let files = &log.table.files.files;
    let first = |file: usize| times[file].map_or(i64::MIN, |t| t.first);
    let mut order: Vec<usize> = (0..files.len()).filter(|i| footers.rows[*i] > 0).collect();
    order.sort_by_key(|i| (first(*i), *i));
    let shown = |file: usize| times[file].map(|t| rfc3339(t.first));
    let mut late = Vec::new();
    for (index, column) in log.schema.fields().iter().enumerate() {
        let name = column.name();
        if log.table.partition_names().iter().any(|p| p == name) {
            continue;
        }
        let type_in = |file: usize| footers.schemas[file].field_with_name(name).ok().map(|f| f.data_type().clone());
        let mut lacking: Vec<Span> = Vec::new();
        let mut before: Option<Option<DataType>> = None;
        for &file in &order {
            let here = type_in(file);
            if here.is_none() {
                let span = times[file].map_or(Span { from: i64::MIN, to: i64::MAX }, |t| Span {
                    from: t.first,
                    to: t.last.saturating_add(1),
                });
                match lacking.last_mut() {
                    Some(own) if own.to >= span.from => own.to = own.to.max(span.to),
                    _ => lacking.push(span),
                }
            }
            if let Some(before) = &before
                && *before != here
            {
                let change = match (before, &here) {
                    (None, _) => "added",
                    (_, None) => "removed",
                    _ => "type",
                };
                report.schema_changes.push(SchemaChange {
                    column: name.clone(),
                    change: change.to_string(),
                    at: shown(file),
                    file: crate::config::without_secrets(&files[file].uri()),
                    before: before.as_ref().map(ToString::to_string),
                    after: here.as_ref().map(ToString::to_string),
                });
            }
            before = Some(here);
        }
        if !lacking.is_empty() {
            late.push((index, lacking));
        }
    }
    late
}

/// Partitions by day or hour that are not there between the first and the last, but for those whose day of the week is missing
/// around them too.
fn missing_partitions(log: &Log) -> Vec<String> {
    let files = &log.table.files.files;
    let mut missing = Vec::new();
    for name in log.table.partition_names() {
        let values = files.iter().filter_map(|f| f.partition(name));
        let Some(days) = values.map(|value| day_of(&value)).collect::<Option<std::collections::BTreeSet<i64>>>() else {
            continue;
        };
        let (Some(first), Some(last)) = (days.first(), days.last()) else { continue };
        let there = |day: i64| days.contains(&day);
        let whole_weeks = days.len() as i64 >= 2;
        for day in (*first..=*last).filter(|d| !there(*d)) {
            let around = [day - 7, day + 7].into_iter().filter(|d| d >= first && d <= last);
            let rests = around.clone().count() > 0 && around.into_iter().all(|d| !there(d));
            if whole_weeks && !rests && missing.len() < MOST_PARTITIONS {
                missing.push(format!("{name}={}", rfc3339(day * DAY_NS).chars().take(10).collect::<String>()));
            }
        }
    }
    missing
}

/// The day that a partition value names: `2025-03-01`, or `20250301`.
fn day_of(value: &str) -> Option<i64> {
    let parsed = chrono::NaiveDate::parse_from_str(value, "%Y-%m-%d");
    let parsed = parsed.or_else(|_| chrono::NaiveDate::parse_from_str(value, "%Y%m%d")).ok()?;
    Some(parsed.signed_duration_since(chrono::NaiveDate::default()).num_days())
}

fn days(activity: &Activity, bytes: u64, rows: u64) -> Vec<DayReport> {
    let share = |events: f64| if rows == 0 { 0 } else { (events / rows as f64 * bytes as f64).round() as u64 };
    let day = |(day, events): (i64, f64)| DayReport {
        day: rfc3339(day.saturating_mul(DAY_NS)).chars().take(10).collect(),
        rows: events.round() as u64,
        bytes: share(events),
    };
    activity.days().into_iter().map(day).collect()
}

fn notes(log: &Log, reading: Reading, report: &mut SourceRetention) {
    let config = &log.config;
    if report.files_without_statistics > 0 {
        let what = if reading == Reading::Nothing { "they were not looked into" } else { "their time column was read" };
        report.notes.push(format!(
            "{} of {} files have no statistics of `{}` in their footers: {what}",
            report.files_without_statistics, report.files, config.time
        ));
    }
    if config.kind == SourceKind::Changelog {
        report.deletes = deletes(log);
        match (&config.deleted, report.deletes) {
            (None, _) => {
                report.notes.push("no `deleted` is declared: a row that was deleted counts for ever".to_string())
            }
            (Some(_), Some(false)) => report
                .notes
                .push("no version in any file is a delete: tombstones may not have been retained".to_string()),
            _ => {}
        }
    }
    if report.rows == 0 {
        report.notes.push("holds no row".to_string());
    }
    if config.timezone != Tz::UTC && report.row_groups_not_read > 0 {
        report
            .notes
            .push(format!("times are local to {}: bounds from footers are off where clocks change", config.timezone));
    }
}

/// Whether a changelog may hold a delete, by the footers: `Some(false)` where they rule it out.
fn deletes(log: &Log) -> Option<bool> {
    let deleted = log.deleted()?;
    let plain = |c: &datafusion::common::Column| {
        log.schema.field_with_name(&c.name).is_ok_and(|f| !matches!(f.data_type(), DataType::Timestamp(_, _)))
    };
    if !deleted.column_refs().into_iter().all(plain) {
        return None;
    }
    let reached = log.table.reached(std::slice::from_ref(deleted)).ok()?;
    (reached.rows == 0).then_some(false)
}
