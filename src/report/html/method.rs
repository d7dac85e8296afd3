//! How it was done: definitions, engines and why, the self-check, what was read, what the values depend on, findings.

use crate::finding::{Finding, Place, Severity};
use crate::report::choices::chosen_alike;
use crate::report::sentence::duration;
use crate::report::text::{clean, counted, thousands};
use crate::report::{Report, ViewSource};

/// A warning or note on the input. All texts are clean.
#[derive(Debug)]
pub(super) struct FindingTold {
    pub class: &'static str,
    pub kind: &'static str,
    /// Its number, under which `explain` has more.
    pub code: Option<&'static str>,
    pub message: String,
    pub place: Option<String>,
    pub shown: Option<Shown>,
    pub help: Option<String>,
}

/// A line of a file with what is meant in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub before: String,
    pub marked: String,
    pub after: String,
}

/// A plain table.
#[derive(Debug)]
pub(super) struct Table {
    pub id: &'static str,
    pub title: &'static str,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub title: &'static str,
    /// Numbers stand at the right.
    pub number: bool,
}

impl Table {
    /// A title that ends in `#` is that of a column of numbers; no table where there is no row.
    fn of(id: &'static str, title: &'static str, columns: &[&'static str], rows: Vec<Vec<String>>) -> Option<Self> {
        let columns = columns.iter().map(|title| match title.strip_suffix(" #") {
            Some(title) => Column { title, number: true },
            None => Column { title, number: false },
        });
        (!rows.is_empty()).then(|| Self { id, title, columns: columns.collect(), rows })
    }

    pub(super) fn cells<'a>(&'a self, row: &'a [String]) -> impl Iterator<Item = (&'a Column, &'a String)> {
        self.columns.iter().zip(row)
    }
}

pub(super) fn findings(report: &Report) -> Vec<FindingTold> {
    report.findings.iter().map(finding).collect()
}

fn finding(finding: &Finding) -> FindingTold {
    let (class, kind) = match finding.severity {
        Severity::Error => ("bad", "Error"),
        Severity::Warning => ("warn", "Warning"),
        Severity::Note => ("idle", "Note"),
    };
    let place = finding.place.as_ref();
    FindingTold {
        class,
        kind,
        code: finding.code,
        message: clean(&finding.message),
        place: place.map(|place| format!("{}:{}:{}", clean(&place.file), place.line, place.column)),
        shown: place.and_then(shown),
        help: finding.help.as_deref().map(clean),
    }
}

fn shown(place: &Place) -> Option<Shown> {
    let chars: Vec<char> = place.text.chars().collect();
    let start = place.column.saturating_sub(1).min(chars.len());
    let end = (start + place.length).min(chars.len());
    let text = |part: &[char]| clean(&part.iter().map(|c| if *c == '\t' { ' ' } else { *c }).collect::<String>());
    let (before, marked, after) = (text(&chars[..start]), text(&chars[start..end]), text(&chars[end..]));
    (!chars.is_empty()).then(|| Shown { before: before.trim_start().to_string(), marked, after })
}

/// What the numbers mean, and the self-check.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    if report.views.is_empty() && report.self_check.is_none() && report.retention.is_some() {
        return vec![
            "No feature was computed: lookbacks come from the SQL, what is retained from listings, footers and, where these do not \
             suffice, the times of events."
                .to_string(),
        ];
    }
    let mut sentences =
        vec!["The feature SQL was run as of every label's time, over the rows that were visible then.".to_string()];
    if !report.snapshots.is_empty() {
        sentences.push(
            "Its values were held against the snapshot's, matched on keys and time. Agreement is the share of compared \
             values that are equal or within tolerance; NULL equals NULL, and a NULL on one side only differs. Δ is \
             replayed minus legacy; in the tables and charts of features, the size of that."
                .to_string(),
        );
        sentences.push(
            "A cause is a named other meaning of the same SQL: the rows that differ were replayed under it, and a sample \
             of those that agree. The simplest that suffices comes first."
                .to_string(),
        );
    }
    sentences.push(match report.self_check {
        Some(check) => format!(
            "Self-check: {} ({}) were computed again by the reference engine, one plain query per label time: {}.",
            counted(check.rows, "label row", "label rows"),
            counted(check.cells, "cell", "cells"),
            counted(check.differences, "difference", "differences"),
        ),
        None => "No self-check against the reference engine was part of this.".to_string(),
    });
    sentences
}

pub(super) fn tables(report: &Report) -> Vec<Table> {
    let views = report.views.iter().map(|view| {
        let sources: Vec<String> = view.sources.iter().map(lookback).collect();
        vec![
            clean(&view.view),
            clean(&view.engine),
            clean(&view.reason),
            clean(&view.keys.join(", ")),
            clean(&sources.join(", ")),
        ]
    });
    let sources = report.sources.iter().map(|source| {
        let counts = [source.rows, source.null_times, source.redelivered].map(thousands);
        [clean(&source.source)].into_iter().chain(counts).collect()
    });
    let notes = report.notes.iter().map(|note| vec![clean(&note.subject), clean(&note.note)]);
    let choices = chosen_alike(&report.choices).into_iter().map(|group| {
        let of = group.names.join(", ");
        [group.pattern, group.value, group.from.join(", "), of].iter().map(|text| clean(text)).collect()
    });
    let outputs = report
        .outputs
        .iter()
        .map(|output| vec![clean(&output.output), clean(&output.uri), output.rows.map(thousands).unwrap_or_default()]);
    let timings = report.timings.iter().map(|t| vec![clean(&t.phase), format!("{:.1} s", t.seconds)]);
    [
        Table::of(
            "views",
            "Views and engines",
            &["View", "Engine", "Why", "Keys", "Sources (lookback)"],
            views.collect(),
        ),
        Table::of(
            "sources",
            "Sources",
            &["Source", "Rows #", "With a NULL time, never visible #", "Redelivered #"],
            sources.collect(),
        ),
        Table::of("notes", "Notes", &["About", "Note"], notes.collect()),
        Table::of("choices", "What the values depend on", &["Key", "Value", "Chosen by", "Of"], choices.collect()),
        Table::of("outputs", "Outputs", &["What", "Where", "Rows #"], outputs.collect()),
        Table::of("timings", "Time taken", &["Part", "Took #"], timings.collect()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn lookback(source: &ViewSource) -> String {
    match &source.lookback {
        Some(lookback) => format!("{} ({})", source.source, duration(lookback)),
        None => source.source.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_does_not_claim_to_have_run_sql() {
        let mut report = crate::report::samples::retained();
        report.views.clear();
        assert!(sentences(&report).concat().starts_with("No feature was computed"));
        assert!(sentences(&Report::new("p", "0", "now")).concat().starts_with("The feature SQL was run"));
    }

    #[test]
    fn a_finding_shows_its_line_with_what_is_meant() {
        let sql = "SELECT a\n\tFROM t WHERE x = 1.5\n";
        let place = Place::of_bytes("q.sql", sql, 23, 30);
        let told = finding(&Finding::warning("floats are compared").code("B204").at(place).help("give a range"));
        assert_eq!(told.place.as_deref(), Some("q.sql:2:15"));
        let shown = told.shown.unwrap();
        assert_eq!((&*shown.before, &*shown.marked, &*shown.after), ("FROM t WHERE ", "x = 1.5", ""));
    }

    #[test]
    fn a_place_beyond_its_line_is_no_failure() {
        let place = Place { file: "q".to_string(), line: 1, column: 9, length: 4, text: "abc".to_string() };
        assert_eq!(
            shown(&place).unwrap(),
            Shown { before: "abc".to_string(), marked: String::new(), after: String::new() }
        );
    }
}
