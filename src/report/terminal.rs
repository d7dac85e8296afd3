//! The summary on a terminal: what a person reads in ten seconds. The verdict first, then the features from the worst
//! to the best, then what else there is to know, and where the rest is.

use std::collections::BTreeSet;

use anstyle::{AnsiColor, Style as Ansi};

use super::Report;
use super::causes::told;
use super::leaks;
use super::table::{Align, Table};
use super::text::{agreement, cell, clean, counted, number, short_time, shorten, thousands, width};
use super::verdict::{verdict, worst_first};
use crate::diff::{FeatureDiff, SchemaIssue, SnapshotDiff, Standing};

/// Reasons for which values of an earlier run were not used that are told.
const MOST_REASONS: usize = 4;
const MOST_FEATURES: usize = 40;
const MOST_ISSUES: usize = 8;
const MOST_LEAKS: usize = 5;
/// Room enough for a worst cell beside its feature, even where it has to be cut.
const ENOUGH_FOR_CELL: usize = 60;
const LEAST_FEATURE: usize = 12;
const BAR: usize = 10;

/// How the summary looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours; else nothing but text.
    pub color: bool,
    /// Columns to fit into; at least 40 are used.
    pub width: usize,
}

impl Style {
    pub(super) fn paint(self, style: Ansi, text: &str) -> String {
        if self.color && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    pub(super) fn good_or_bad(self, good: bool, text: &str) -> String {
        let color = if good { AnsiColor::Green } else { AnsiColor::Red };
        self.paint(color.on_default(), text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint(Ansi::new().dimmed(), text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint(Ansi::new().bold(), text)
    }

    /// A line of plain text, cut to the width.
    pub(super) fn fit(self, line: &str) -> String {
        shorten(line, self.width)
    }
}

/// The summary, with a newline at the end of each line.
pub fn summary(report: &Report, style: Style) -> String {
    let style = Style { width: style.width.max(40), ..style };
    let mut lines = Vec::new();
    head(report, style, &mut lines);
    for snapshot in &report.snapshots {
        lines.push(String::new());
        features(snapshot, style, &mut lines);
        issues(&snapshot.schema, style, &mut lines);
    }
    super::calendar::retention(report, style, &mut lines);
    views(report, style, &mut lines);
    notes(report, style, &mut lines);
    outputs(report, style, &mut lines);
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn head(report: &Report, style: Style, lines: &mut Vec<String>) {
    let verdict = verdict(report);
    let headline = style.fit(&format!("{} ({})", verdict.headline, clean(&report.project)));
    let color = if verdict.passed { AnsiColor::Green } else { AnsiColor::Red };
    lines.push(style.paint(color.on_default().bold(), &headline));
    leakage(report, style, lines);
    for sentence in &verdict.sentences {
        lines.extend(wrap(sentence, style.width));
    }
}

/// What must be known before anything else: legacy values that held what was not yet known.
fn leakage(report: &Report, style: Style, lines: &mut Vec<String>) {
    if report.leakage.is_empty() {
        return;
    }
    let features: BTreeSet<&str> = report.leakage.iter().map(|leak| leak.feature.as_str()).collect();
    let models: BTreeSet<&str> = report.leakage.iter().flat_map(|leak| &leak.models).map(String::as_str).collect();
    let hold = if features.len() == 1 { "feature holds" } else { "features hold" };
    let feeding = match models.len() {
        0 => String::new(),
        1 => ", feeding 1 model".to_string(),
        many => format!(", feeding {many} models"),
    };
    let head = format!("Leakage: {} {hold} what was not known at the label time{feeding}.", features.len());
    let bad = AnsiColor::Red.on_default().bold();
    lines.extend(wrap(&head, style.width).iter().map(|line| style.paint(bad, line)));
    let told = leaks::told(report);
    for sentence in told.iter().take(MOST_LEAKS) {
        lines.extend(wrap(sentence, style.width - 3).into_iter().map(|line| format!("   {line}")));
    }
    if told.len() > MOST_LEAKS {
        lines.push(style.dim(&format!("   and {} more in report.json", told.len() - MOST_LEAKS)));
    }
}

/// Breaks a text between words; a word longer than a line is cut.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let word = shorten(word, columns);
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(&word),
            Some(line) if width(line) + 1 + width(&word) <= columns => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

fn features(snapshot: &SnapshotDiff, style: Style, lines: &mut Vec<String>) {
    let mut rows = format!(
        "{}: {} of {} matched",
        clean(&snapshot.snapshot),
        thousands(snapshot.matched),
        counted(snapshot.rows, "row", "rows")
    );
    for (count, what) in [
        (snapshot.only_in_snapshot, "only in the snapshot"),
        (snapshot.only_in_labels, "only in the labels"),
        (snapshot.duplicates, "duplicates"),
    ] {
        if count > 0 {
            rows.push_str(&format!(", {} {what}", thousands(count)));
        }
    }
    lines.extend(wrap(&rows, style.width).iter().map(|line| style.bold(line)));
    let sorted = worst_first(snapshot.features.iter().map(|feature| (snapshot, feature)));
    let shown: Vec<&FeatureDiff> = sorted.iter().take(MOST_FEATURES).map(|(_, feature)| *feature).collect();
    if shown.is_empty() {
        return;
    }
    let mut table = feature_table(&shown, style);
    let room = style.width.saturating_sub(table.width() + 2);
    let longest = shown.iter().filter_map(|feature| feature.worst.first()).map(|worst| width(&cell(worst))).max();
    let cell_column = longest.is_some_and(|longest| room >= longest.clamp("worst cell".len(), ENOUGH_FOR_CELL));
    if !cell_column {
        table.fit(1, LEAST_FEATURE, style.width);
    }
    let painted = table.lines(|row, column, text| match row.checked_sub(1).and_then(|row| shown.get(row)) {
        None => style.dim(&text),
        Some(feature) if column == 0 || column == 2 => match feature.standing() {
            Standing::NotCompared => style.dim(&text),
            standing => style.good_or_bad(standing == Standing::Agrees, &text),
        },
        Some(_) => text,
    });
    for (row, line) in painted.into_iter().enumerate() {
        let worst = row.checked_sub(1).and_then(|row| shown.get(row)).and_then(|feature| feature.worst.first());
        match worst.map(cell) {
            _ if row == 0 && cell_column => lines.push(format!("{line}  {}", style.dim("worst cell"))),
            Some(worst) if cell_column => lines.push(format!("{line}  {}", shorten(&worst, room))),
            Some(worst) => {
                lines.push(line);
                lines.push(style.dim(&style.fit(&format!("     {worst}"))));
            }
            None => lines.push(line),
        }
        let feature = row.checked_sub(1).and_then(|row| shown.get(row));
        if let Some(cause) = feature.and_then(|feature| told(feature)) {
            let wrapped = wrap(&cause, style.width - 5);
            lines.extend(wrapped.into_iter().map(|line| format!("     {line}")));
        }
    }
    if sorted.len() > shown.len() {
        lines
            .push(style.dim(&format!("   and {} more in report.json", thousands((sorted.len() - shown.len()) as u64))));
    }
}

fn feature_table(features: &[&FeatureDiff], style: Style) -> Table {
    use Align::{Ends, Left, Right};
    let bars = style.width >= 100;
    let mut header = vec![(" ", Left), ("feature", Ends), ("agreement", Right), ("compared", Right), ("differ", Right)];
    header.extend([("NULL old/new", Right), ("max Δ", Right)]);
    let mut table = Table::new(&header);
    for feature in features {
        let percent = agreement(feature);
        let nulls = (feature.null_only_in_snapshot, feature.null_only_in_replay);
        table.push(vec![
            feature.standing().mark().to_string(),
            clean(&feature.feature),
            if bars { format!("{} {percent:>8}", bar(feature.agreement)) } else { percent },
            thousands(feature.compared),
            match feature.not_comparable {
                0 => thousands(feature.mismatched),
                rows => format!("{} not comparable", thousands(rows)),
            },
            if nulls == (0, 0) { String::new() } else { format!("{}/{}", thousands(nulls.0), thousands(nulls.1)) },
            feature.delta.map(|delta| number(delta.max)).unwrap_or_default(),
        ]);
    }
    table
}

/// A bar of [`BAR`] columns, full only where all agree.
fn bar(agreement: Option<f64>) -> String {
    let filled = (agreement.unwrap_or(0.0) * BAR as f64).floor().clamp(0.0, BAR as f64) as usize;
    "█".repeat(filled) + &"░".repeat(BAR - filled)
}

fn issues(issues: &[SchemaIssue], style: Style, lines: &mut Vec<String>) {
    if issues.is_empty() {
        return;
    }
    lines.push(style.bold(&format!("schema: {}", counted(issues.len() as u64, "issue", "issues"))));
    for issue in issues.iter().take(MOST_ISSUES) {
        lines.push(style.fit(&format!("   {}", issue_text(issue))));
    }
    if issues.len() > MOST_ISSUES {
        lines.push(style.dim(&format!("   and {} more in report.json", issues.len() - MOST_ISSUES)));
    }
}

fn issue_text(issue: &SchemaIssue) -> String {
    let kind = issue.issue.name();
    let column = clean(&issue.column);
    match (issue.legacy.as_deref().map(clean), issue.replayed.as_deref().map(clean)) {
        (Some(legacy), Some(replayed)) => format!("{column}: {kind}, {legacy} → {replayed}"),
        (Some(only), None) | (None, Some(only)) => format!("{column}: {kind}, {only}"),
        (None, None) => format!("{column}: {kind}"),
    }
}

fn views(report: &Report, style: Style, lines: &mut Vec<String>) {
    if report.views.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(style.bold("views"));
    let mut table = Table::new(&[("  view", Align::Left), ("engine", Align::Left), ("why", Align::Left)]);
    for view in &report.views {
        table.push(vec![format!("  {}", clean(&view.view)), clean(&view.engine), clean(&view.reason)]);
    }
    table.squeeze(2, 0, style.width);
    table.squeeze(0, LEAST_FEATURE, style.width);
    table.squeeze(1, LEAST_FEATURE, style.width);
    lines.extend(table.lines(|row, _, text| if row == 0 { style.dim(&text) } else { text }));
}

/// What was found kept from an earlier run, and why the rest was not.
fn reused(report: &Report) -> Option<String> {
    let views = || report.chunks.iter().flat_map(|chunk| &chunk.views);
    let (all, reused) = (views().count(), views().filter(|v| v.reused).count());
    if reused == 0 && views().all(|v| v.why.is_none()) {
        return None;
    }
    let parts = |count: usize| counted(count as u64, "part", "parts");
    let mut text = format!("kept from an earlier run: {} of {}", parts(reused), thousands(all as u64));
    let mut reasons: Vec<(&str, &str, usize)> = Vec::new();
    for view in views().filter(|v| !v.reused) {
        let why = view.why.as_deref().unwrap_or("new");
        match reasons.iter_mut().find(|(v, w, _)| (*v, *w) == (view.view.as_str(), why)) {
            Some((_, _, count)) => *count += 1,
            None => reasons.push((&view.view, why, 1)),
        }
    }
    let told = reasons.iter().take(MOST_REASONS);
    let told: Vec<String> =
        told.map(|(view, why, count)| format!("{} of `{}` ({why})", parts(*count), clean(view))).collect();
    if !told.is_empty() {
        text.push_str(&format!("; replayed: {}", told.join(", ")));
        if reasons.len() > MOST_REASONS {
            text.push_str(&format!(" and {} more", reasons.len() - MOST_REASONS));
        }
    }
    Some(text)
}

fn notes(report: &Report, style: Style, lines: &mut Vec<String>) {
    let mut notes: Vec<String> = reused(report).into_iter().collect();
    for source in &report.sources {
        let name = clean(&source.source);
        for (count, what) in
            [(source.null_times, "with a NULL time, never visible"), (source.redelivered, "redelivered")]
        {
            if count > 0 {
                notes.push(format!("{name}: {} {what}", counted(count, "row", "rows")));
            }
        }
    }
    notes.extend(report.notes.iter().map(|note| format!("{}: {}", clean(&note.subject), clean(&note.note))));
    if let Some(check) = report.self_check {
        let found = counted(check.differences, "difference", "differences");
        let rows = counted(check.rows, "row", "rows");
        notes.push(format!("self-check: {found} in {rows} ({} cells)", thousands(check.cells)));
    }
    if notes.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(style.bold("notes"));
    for note in notes {
        let wrapped = wrap(&note, style.width - 2);
        lines.extend(wrapped.into_iter().map(|line| format!("  {line}")));
    }
}

fn outputs(report: &Report, style: Style, lines: &mut Vec<String>) {
    let seconds: f64 = report.timings.iter().map(|timing| timing.seconds).sum();
    if report.outputs.is_empty() {
        return;
    }
    lines.push(String::new());
    let took = if seconds > 0.0 { format!(" in {seconds:.1} s") } else { String::new() };
    lines.push(style.bold(&format!("written{took}, {}", short_time(&report.generated_at))));
    for output in &report.outputs {
        let rows = output.rows.map(|rows| format!(" ({})", counted(rows, "row", "rows"))).unwrap_or_default();
        // A path is of use only as a whole: it may go beyond the width.
        lines.push(format!("  {}{rows}", clean(&output.uri)));
    }
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;
