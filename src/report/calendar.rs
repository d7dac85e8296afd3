//! Retention on a terminal: sources, features that are not covered everywhere, models, and a small calendar.

use super::Report;
use super::model::{ModelReport, Verdict};
use super::table::{Align, Table};
use super::terminal::{Style, wrap};
use super::text::{clean, counted, day_or_now, freeze_ends, percent, short_time, size, thousands};
use crate::retention::{FeatureRetention, GapKind, RetentionReport, SourceRetention, TimelineEntry};

const MOST_FEATURES: usize = 20;
const MOST_LINES: usize = 6;
/// Weeks of delay that are drawn.
const MOST_WEEKS: usize = 12;
const BAR: u64 = 20;
const LEAST_FEATURE: usize = 12;

/// `audit` tells all of it; `run` only what is out of the ordinary.
pub(super) fn retention(report: &Report, style: Style, lines: &mut Vec<String>) {
    let today = report.retention.as_ref().and_then(|r| r.today.as_deref());
    models(&report.models, today, style, lines);
    let Some(retention) = &report.retention else { return };
    let whole = report.snapshots.is_empty() && report.self_check.is_none();
    if whole {
        sources(retention, style, lines);
    }
    stretches(retention, style, lines);
    features(retention, style, whole, lines);
    calendar(retention, style, lines);
}

fn models(models: &[ModelReport], today: Option<&str>, style: Style, lines: &mut Vec<String>) {
    if models.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(style.bold("models"));
    for model in models {
        let (mark, word) = match model.verdict {
            Verdict::Retrain => ("✓", "retrain".to_string()),
            Verdict::Fallback => ("~", "fallback to legacy values".to_string()),
            Verdict::Freeze => {
                let ends = freeze_ends(model.until.as_deref(), today);
                ("✗", format!("freeze {}", ends.as_deref().unwrap_or("with no end in sight")))
            }
        };
        let line = format!("{mark}  {}: {word}", clean(&model.model));
        lines.push(style.good_or_bad(model.verdict != Verdict::Freeze, &style.fit(&line)));
        let short: Vec<_> = model.features.iter().filter(|f| f.verdict != Verdict::Retrain).collect();
        for feature in short.iter().take(MOST_LINES) {
            let text = format!("{}: {}", clean(&feature.feature), clean(&feature.reason));
            lines.extend(wrap(&text, style.width - 5).into_iter().map(|l| style.dim(&format!("     {l}"))));
        }
        if short.len() > MOST_LINES {
            lines.push(style.dim(&format!("     and {} more in report.json", short.len() - MOST_LINES)));
        }
    }
}

fn sources(retention: &RetentionReport, style: Style, lines: &mut Vec<String>) {
    use Align::{Left, Right};
    lines.push(String::new());
    lines.push(style.bold("sources"));
    let header = [
        ("  source", Left),
        ("files", Right),
        ("bytes", Right),
        ("rows", Right),
        ("first", Left),
        ("last", Left),
        ("expires", Left),
    ];
    let mut table = Table::new(&header);
    let time =
        |t: &Option<String>| t.as_deref().map_or_else(|| "—".to_string(), |t| short_time(t).chars().take(16).collect());
    for s in &retention.sources {
        table.push(vec![
            format!("  {}", clean(&s.source)),
            thousands(s.files),
            size(s.bytes),
            thousands(s.rows),
            time(&s.first),
            time(&s.last),
            s.expires.as_deref().map_or_else(|| "—".to_string(), |t| t.chars().take(10).collect()),
        ]);
    }
    table.squeeze(0, LEAST_FEATURE, style.width);
    lines.extend(table.lines(|row, _, text| if row == 0 { style.dim(&text) } else { text }));
    let read = format!("  read to find this out: {}", size(retention.bytes_read));
    lines.push(style.dim(&read));
}

/// What is out of the ordinary in the sources.
fn stretches(retention: &RetentionReport, style: Style, lines: &mut Vec<String>) {
    for source in &retention.sources {
        let told = of_source(source);
        if told.is_empty() {
            continue;
        }
        lines.push(String::new());
        lines.push(style.bold(&format!("{}: events that may be missing", clean(&source.source))));
        for line in told.iter().take(MOST_LINES * 2) {
            lines.extend(wrap(line, style.width - 2).into_iter().map(|l| format!("  {l}")));
        }
        if told.len() > MOST_LINES * 2 {
            lines.push(style.dim(&format!("  and {} more in report.json", told.len() - MOST_LINES * 2)));
        }
    }
}

fn of_source(source: &SourceRetention) -> Vec<String> {
    let between = |from: &str, to: &str| format!("{} to {}", short_time(from), short_time(to));
    let kind = |kind: GapKind| match kind {
        GapKind::Declared => "declared gap",
        GapKind::Silent => "silent",
        GapKind::Thin => "thin",
    };
    let mut told: Vec<String> =
        source.gaps.iter().map(|g| format!("gap: {} ({})", between(&g.from, &g.to), kind(g.kind))).collect();
    told.extend(source.warnings.iter().map(|w| {
        let events = counted(w.events, "event", "events");
        format!(
            "looks {}: {}, {events} where {} are usual",
            kind(w.kind),
            between(&w.from, &w.to),
            thousands(w.expected)
        )
    }));
    if let (Some(first), Some(last)) = (source.missing_partitions.first(), source.missing_partitions.last()) {
        let count = counted(source.missing_partitions.len() as u64, "partition", "partitions");
        let which = if first == last { clean(first) } else { format!("{} to {}", clean(first), clean(last)) };
        told.push(format!("{count} not there: {which}"));
    }
    told.extend(source.schema_changes.iter().map(|c| {
        let at = c.at.as_deref().map_or_else(String::new, |at| format!(" from {} on", short_time(at)));
        format!("column {} {}{at}", clean(&c.column), c.change)
    }));
    told.extend(source.notes.iter().map(|n| clean(n)));
    told
}

fn features(retention: &RetentionReport, style: Style, whole: bool, lines: &mut Vec<String>) {
    let mut shown: Vec<&FeatureRetention> =
        retention.features.iter().filter(|f| whole || f.covered < f.labels).collect();
    if shown.is_empty() {
        return;
    }
    shown.sort_by_key(|f| f.covered);
    lines.push(String::new());
    lines.push(style.bold(if whole { "coverage" } else { "features that are not covered everywhere" }));
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("  feature", Left),
        ("lookback", Left),
        ("covered", Right),
        ("truncated", Right),
        ("gap", Right),
        ("legacy", Right),
        ("covered from", Left),
    ]);
    for f in shown.iter().take(MOST_FEATURES) {
        table.push(vec![
            format!("  {}", clean(&f.feature)),
            clean(&f.lookback),
            percent(f.covered, f.labels),
            thousands(f.truncated),
            thousands(f.gap),
            thousands(f.legacy),
            f.covered_from.as_deref().map_or_else(|| "never".to_string(), short_time),
        ]);
    }
    table.squeeze(0, LEAST_FEATURE, style.width);
    lines.extend(table.lines(|row, _, text| if row == 0 { style.dim(&text) } else { text }));
    if shown.len() > MOST_FEATURES {
        lines.push(style.dim(&format!("  and {} more in report.json", shown.len() - MOST_FEATURES)));
    }
    let doubtful =
        retention.features.iter().filter_map(|f| Some((f, f.presence.as_ref()?))).filter(|(_, p)| p.uncertain > 0);
    for (feature, presence) in doubtful.take(MOST_LINES) {
        let text = format!(
            "{}: whether a label has a row at all reads {}; without one, {} would not be certain (see docs/retention.md)",
            clean(&feature.feature),
            clean(&presence.lookback),
            counted(presence.uncertain, "label row", "label rows")
        );
        lines.extend(wrap(&text, style.width - 2).into_iter().map(|l| style.dim(&format!("  {l}"))));
    }
}

/// One line per thing that happens, with its day where that is to come; weeks of delay with a bar of the label rows that are still covered.
fn calendar(retention: &RetentionReport, style: Style, lines: &mut Vec<String>) {
    let told = |e: &&TimelineEntry| e.what != "today";
    let entries: Vec<&TimelineEntry> = retention.timeline.iter().filter(told).collect();
    if entries.is_empty() {
        return;
    }
    lines.push(String::new());
    let today = retention
        .today
        .as_deref()
        .map_or_else(String::new, |t| format!(", from {}", t.chars().take(10).collect::<String>()));
    lines.push(style.bold(&format!("calendar{today}")));
    let most = entries.iter().filter_map(|e| Some(e.labels? + e.lost?)).max().unwrap_or(0);
    let mut weeks = 0;
    for entry in &entries {
        let day = format!("{:<10}", day_or_now(&entry.at, retention.today.as_deref()));
        match entry.labels {
            Some(labels) => {
                weeks += 1;
                if weeks > MOST_WEEKS {
                    continue;
                }
                let filled = (labels * BAR).checked_div(most).unwrap_or(0);
                let bar: String = (0..BAR).map(|i| if i < filled { '█' } else { '░' }).collect();
                let kept = counted(labels, "label row", "label rows");
                lines.push(style.fit(&format!("  {day}  {bar}  {kept} still covered")));
            }
            // What is to be done is told in full.
            None => {
                let told = wrap(&clean(&entry.detail), style.width.saturating_sub(day.len() + 4));
                lines.extend(told.into_iter().enumerate().map(|(i, part)| {
                    let line = format!("  {}  {part}", if i == 0 { day.clone() } else { " ".repeat(day.len()) });
                    if entry.what == "deadline" { style.bold(&line) } else { line }
                }));
            }
        }
    }
    if weeks > MOST_WEEKS {
        lines.push(style.dim(&format!("  and {} more weeks in report.json", weeks - MOST_WEEKS)));
    }
}

/// What is not covered, in a sentence for the head of the summary.
pub(super) fn sentence(report: &Report) -> Option<String> {
    let retention = report.retention.as_ref()?;
    let features = &retention.features;
    let sum = |of: fn(&FeatureRetention) -> u64| features.iter().map(of).sum::<u64>();
    let uncovered = sum(|f| f.truncated + f.gap);
    if uncovered == 0 {
        return None;
    }
    let of = features.iter().filter(|f| f.covered < f.labels).count() as u64;
    let cells = format!(
        "{} of {} cells, in {}, are not covered by retained events ({} truncated, {} in gaps)",
        thousands(uncovered),
        thousands(sum(|f| f.labels)),
        counted(of, "feature", "features"),
        thousands(sum(|f| f.truncated)),
        thousands(sum(|f| f.gap))
    );
    let legacy = sum(|f| f.legacy);
    let rest = match (legacy, retention.dropped) {
        (0, 0) => String::new(),
        (0, rows) => format!("; {} left out", counted(rows, "label row", "label rows")),
        (n, _) => format!("; {} of them have the snapshot's value", thousands(n)),
    };
    Some(format!("{cells}{rest}."))
}
