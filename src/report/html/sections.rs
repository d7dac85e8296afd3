//! The parts of the page, from what matters most to how it was done.

use super::markup::{Markup, bar, element, foldable, section, sparkline, table, text};
use crate::diff::{FeatureDiff, SnapshotDiff};
use crate::report::Report;
use crate::report::choices::chosen_alike;
use crate::report::text::{agreement, counted, keys, number, short_time, thousands, value};
use crate::report::verdict::worst_first;

pub(super) fn gates(report: &Report) -> Markup {
    let rows = report.gates.iter().map(|gate| {
        let (class, word) = if gate.passed { ("passed", "met") } else { ("failed", "not met") };
        vec![text(gate.gate.name()), element("span", class, [text(word)]), text(&gate.detail)]
    });
    section("Gates", table(&["Gate", "", "Detail"], rows.collect()).into_iter().collect())
}

pub(super) fn snapshot(snapshot: &SnapshotDiff) -> Markup {
    let sorted = worst_first(snapshot.features.iter().map(|feature| (snapshot, feature)));
    let features: Vec<&FeatureDiff> = sorted.into_iter().map(|(_, feature)| feature).collect();
    let rows = format!(
        "{} of {} matched with a label row; {} only in the snapshot, {} only in the labels, {}.",
        thousands(snapshot.matched),
        counted(snapshot.rows, "row", "rows"),
        thousands(snapshot.only_in_snapshot),
        thousands(snapshot.only_in_labels),
        counted(snapshot.duplicates, "duplicate", "duplicates"),
    );
    let mut parts = vec![element("p", "", [text(&rows)])];
    parts.extend(feature_table(&features));
    parts.extend(schema_table(snapshot));
    parts.extend(features.iter().filter_map(|feature| worst_cells(feature)));
    section(&format!("Snapshot {}", snapshot.snapshot), parts)
}

fn feature_table(features: &[&FeatureDiff]) -> Option<Markup> {
    let titles = [
        "Feature",
        "Legacy column",
        "Agreement",
        "#",
        "Compared #",
        "Equal #",
        "Within tolerance #",
        "Differ #",
        "NULL in snapshot only #",
        "NULL in replay only #",
        "Median Δ #",
        "p99 Δ #",
        "Max Δ #",
        "Mismatches over label time",
    ];
    let rows = features.iter().map(|feature| {
        let delta = |pick: fn(&crate::diff::Delta) -> f64| {
            text(&feature.delta.as_ref().map(pick).map(number).unwrap_or_default())
        };
        let class = if feature.passed { "passed" } else { "failed" };
        let differ = match feature.not_comparable {
            0 => thousands(feature.mismatched),
            rows => format!("{} not comparable", thousands(rows)),
        };
        vec![
            element("code", "", [text(&feature.feature)]),
            element("code", "", [text(&feature.column)]),
            feature.agreement.map(|share| bar(share, feature.passed)).unwrap_or_default(),
            element("span", class, [text(&agreement(feature))]),
            text(&thousands(feature.compared)),
            text(&thousands(feature.equal)),
            text(&thousands(feature.within_tolerance)),
            text(&differ),
            text(&thousands(feature.null_only_in_snapshot)),
            text(&thousands(feature.null_only_in_replay)),
            delta(|delta| delta.p50),
            delta(|delta| delta.p99),
            delta(|delta| delta.max),
            sparkline(&feature.by_time),
        ]
    });
    table(&titles, rows.collect())
}

fn schema_table(snapshot: &SnapshotDiff) -> Option<Markup> {
    let told = |side: &Option<String>| text(side.as_deref().unwrap_or("—"));
    let rows = snapshot.schema.iter().map(|issue| {
        vec![
            element("code", "", [text(&issue.column)]),
            text(issue.issue.name()),
            told(&issue.legacy),
            told(&issue.replayed),
        ]
    });
    let table = table(&["Column", "Issue", "Legacy", "Replayed"], rows.collect())?;
    Some(Markup::lines([element("h3", "", [text("Schema issues")]), table]))
}

fn worst_cells(feature: &FeatureDiff) -> Option<Markup> {
    let rows = feature.worst.iter().map(|cell| {
        vec![
            text(&keys(cell)),
            text(&cell.time.as_deref().map_or_else(|| "NULL".to_string(), short_time)),
            text(&value(&cell.legacy)),
            text(&value(&cell.replayed)),
            text(&cell.delta.map(number).unwrap_or_default()),
        ]
    });
    let table = table(&["Keys", "Label time", "Legacy #", "Replayed #", "Δ #"], rows.collect())?;
    let title = element("span", "", [text("Worst cells of "), element("code", "", [text(&feature.feature)])]);
    Some(foldable(title, table, !feature.passed))
}

pub(super) fn views(report: &Report) -> Markup {
    let rows = report.views.iter().map(|view| {
        let sources = view.sources.iter().map(|source| match &source.lookback {
            Some(lookback) => format!("{} ({lookback})", source.source),
            None => source.source.clone(),
        });
        vec![
            element("code", "", [text(&view.view)]),
            text(&view.engine),
            text(&view.reason),
            text(&view.keys.join(", ")),
            text(&sources.collect::<Vec<_>>().join(", ")),
        ]
    });
    let titles = ["View", "Engine", "Why", "Keys", "Sources (lookback)"];
    section("Views", table(&titles, rows.collect()).into_iter().collect())
}

pub(super) fn sources(report: &Report) -> Markup {
    let rows = report.sources.iter().map(|source| {
        let counts = [source.rows, source.null_times, source.redelivered].map(|count| text(&thousands(count)));
        [element("code", "", [text(&source.source)])].into_iter().chain(counts).collect()
    });
    let titles = ["Source", "Rows #", "With a NULL time, never visible #", "Redelivered #"];
    section("Sources", table(&titles, rows.collect()).into_iter().collect())
}

pub(super) fn notes(report: &Report) -> Markup {
    let rows = report.notes.iter().map(|note| vec![text(&note.subject), text(&note.note)]);
    section("Notes", table(&["About", "Note"], rows.collect()).into_iter().collect())
}

pub(super) fn outputs(report: &Report) -> Markup {
    let rows = report.outputs.iter().map(|output| {
        let rows = output.rows.map(thousands).unwrap_or_default();
        vec![text(&output.output), element("code", "", [text(&output.uri)]), text(&rows)]
    });
    section("Outputs", table(&["What", "Where", "Rows #"], rows.collect()).into_iter().collect())
}

pub(super) fn method(report: &Report) -> Markup {
    let mut sentences = vec![
        "The feature SQL was run as of every label's time over the rows that were visible then, and its values were \
         held against the snapshot's, matched on keys and time."
            .to_string(),
        "Agreement is the share of compared values that are equal or within tolerance; NULL equals NULL, and a NULL on \
         one side only differs. It is never rounded up. Δ is replayed minus legacy, and in the table of features the size of that."
            .to_string(),
    ];
    sentences.extend(report.self_check.map(|check| {
        format!(
            "{} ({}) were computed again by the reference engine: {}.",
            counted(check.rows, "label row", "label rows"),
            counted(check.cells, "cell", "cells"),
            counted(check.differences, "difference", "differences"),
        )
    }));
    sentences.extend(report.timings.iter().map(|timing| format!("{}: {:.1} s.", timing.phase, timing.seconds)));
    let alike = chosen_alike(&report.choices).into_iter().map(|group| {
        let whose = group.names.join(", ");
        vec![
            element("code", "", [text(&group.pattern)]),
            text(&group.value),
            text(&group.from.join(", ")),
            text(&whose),
        ]
    });
    let chosen = table(&["Key", "Value", "From", "Of"], alike.collect());
    let made = format!("Backcast {}, {}.", report.backcast, short_time(&report.generated_at));
    sentences.push(made);
    let mut parts: Vec<Markup> = sentences.iter().map(|sentence| element("p", "", [text(sentence)])).collect();
    parts
        .extend(chosen.map(|table| foldable(text("What the values depend on, and where it was chosen"), table, false)));
    section("Method", parts)
}
