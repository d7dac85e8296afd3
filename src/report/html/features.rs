//! One snapshot's features: the rows of the table, and the details of those that differ.

use crate::diff::{FeatureDiff, IssueKind, SchemaIssue, SnapshotDiff, Standing};
use crate::report::html::series::{Series, series};
use crate::report::sentence::{cause_sentence, main_cause, share};
use crate::report::shell::{Project, trace_command};
use crate::report::text::{agreement, clean, counted, keys, number, short_time, shorten, thousands, value};
use crate::report::verdict::worst_first;

/// Of a value that is a long text or list; report.json has the whole.
const MOST_COLUMNS: usize = 60;

/// A snapshot. All texts are clean.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Unique in the page.
    pub id: String,
    pub name: String,
    /// What became of its rows, in words.
    pub rows: String,
    pub features: Vec<Feature>,
    pub schema: Vec<Issue>,
}

/// A feature: what its row shows, and its details.
#[derive(Debug)]
pub(super) struct Feature {
    pub id: String,
    pub feature: String,
    /// The legacy column, where it has another name.
    pub column: Option<String>,
    /// `good`, `bad` or `idle`.
    pub class: &'static str,
    pub mark: &'static str,
    /// What the mark says.
    pub word: &'static str,
    /// What the filter knows of it.
    pub tags: String,
    /// Percent of the bar that is filled, rounded down.
    pub bar: Option<String>,
    pub agreement: String,
    pub differ: String,
    pub compared: String,
    pub largest: String,
    pub sort_share: String,
    pub sort_differ: u64,
    pub sort_compared: u64,
    pub sort_delta: String,
    pub series: Option<Series>,
    /// The first cause, or that there is none.
    pub main_cause: Option<String>,
    pub causes: Vec<Told>,
    /// What no cause explains.
    pub unexplained: Option<String>,
    pub counts: Vec<(&'static str, String)>,
    pub deltas: Vec<DeltaBar>,
    pub worst: Vec<Cell>,
    /// Whether its details are to be seen at once.
    pub open: bool,
}

impl Feature {
    /// Whether there is more to say than its row does.
    pub(super) fn has_card(&self) -> bool {
        self.sort_differ > 0 || !self.causes.is_empty()
    }
}

/// A cause: in a sentence, and by its name.
#[derive(Debug)]
pub(super) struct Told {
    pub sentence: String,
    pub name: String,
}

/// One number of the spread of deltas.
#[derive(Debug)]
pub(super) struct DeltaBar {
    pub what: &'static str,
    pub size: String,
    /// Percent of the largest.
    pub width: String,
}

/// A cell that differs.
#[derive(Debug)]
pub(super) struct Cell {
    pub keys: String,
    pub time: String,
    pub legacy: String,
    pub replayed: String,
    pub delta: String,
    /// The command that shows its events.
    pub trace: Option<String>,
}

/// A schema issue.
#[derive(Debug)]
pub(super) struct Issue {
    pub column: String,
    pub told: &'static str,
    pub legacy: String,
    pub replayed: String,
}

/// The snapshot that is number `at` of the page; `project`: whose.
pub(super) fn snapshot(at: usize, snapshot: &SnapshotDiff, project: Project<'_>) -> Snapshot {
    let id = format!("s{}", at + 1);
    let sorted = worst_first(snapshot.features.iter().map(|feature| (snapshot, feature)));
    let features = sorted.iter().enumerate().map(|(row, (_, told))| {
        let mut told = feature(format!("{id}f{}", row + 1), told, project);
        // The worst shows what there is to see of each.
        told.open = at == 0 && row == 0 && told.class == "bad";
        told
    });
    Snapshot {
        name: clean(&snapshot.snapshot),
        rows: rows(snapshot),
        features: features.collect(),
        schema: snapshot.schema.iter().map(issue).collect(),
        id,
    }
}

fn rows(snapshot: &SnapshotDiff) -> String {
    let rows = counted(snapshot.rows, "row", "rows");
    let mut told = format!("{} of {rows} matched with a label row", thousands(snapshot.matched));
    for (count, what) in
        [(snapshot.only_in_snapshot, "only in the snapshot"), (snapshot.only_in_labels, "only in the labels")]
    {
        if count > 0 {
            told.push_str(&format!("; {} {what}", thousands(count)));
        }
    }
    if snapshot.duplicates > 0 {
        told.push_str(&format!("; {}", counted(snapshot.duplicates, "duplicate", "duplicates")));
    }
    told + "."
}

fn feature(id: String, feature: &FeatureDiff, project: Project<'_>) -> Feature {
    let mark = feature.standing().mark();
    let (class, word) = match feature.standing() {
        Standing::BelowGate => ("bad", "below the gate"),
        Standing::NotCompared => ("idle", "not compared"),
        Standing::Agrees => ("good", "agrees well enough"),
    };
    let differs = feature.mismatched > 0 || feature.not_comparable > 0;
    let unexplained = differs && feature.unexplained.is_none_or(|share| share > 0.0);
    let tags = [(!feature.passed, "failed"), (differs, "differs"), (unexplained, "unexplained")];
    let column = (feature.feature.rsplit('.').next() != Some(&feature.column)).then(|| clean(&feature.column));
    let differ = match feature.not_comparable {
        0 => thousands(feature.mismatched),
        rows => format!("{} not comparable", thousands(rows)),
    };
    let size = |of: fn(&crate::diff::Delta) -> f64| feature.delta.as_ref().map(of);
    Feature {
        id,
        feature: clean(&feature.feature),
        column,
        class,
        mark,
        word,
        tags: tags.iter().filter(|(is, _)| *is).map(|(_, tag)| *tag).collect::<Vec<_>>().join(" "),
        bar: feature.agreement.map(|share| ((share.clamp(0.0, 1.0) * 100.0).floor()).to_string()),
        agreement: agreement(feature),
        differ,
        compared: thousands(feature.compared),
        largest: size(|delta| delta.max).map(number).unwrap_or_default(),
        sort_share: feature.agreement.map_or(if feature.passed { "2" } else { "-1" }.to_string(), |s| s.to_string()),
        sort_differ: feature.mismatched + feature.not_comparable,
        sort_compared: feature.compared,
        sort_delta: size(|delta| delta.max).map(|max| max.to_string()).unwrap_or_default(),
        series: series(&feature.by_time),
        main_cause: main_cause(feature).or_else(|| not_explained(feature)),
        causes: feature
            .causes
            .iter()
            .map(|cause| Told { sentence: cause_sentence(cause, feature), name: clean(&cause.label()) })
            .collect(),
        unexplained: not_explained(feature),
        counts: counts(feature),
        deltas: deltas(feature),
        worst: feature.worst.iter().map(|worst| cell(&feature.feature, worst, project)).collect(),
        open: false,
    }
}

/// What no cause explains, in words; nothing where all is explained, or where causes were not looked for.
fn not_explained(feature: &FeatureDiff) -> Option<String> {
    let unexplained = feature.unexplained.filter(|unexplained| *unexplained > 0.0 && feature.mismatched > 0)?;
    Some(if unexplained >= 1.0 {
        "No cause that Backcast knows explains these differences.".to_string()
    } else {
        format!("{} of the differences are explained by none of these.", share(unexplained))
    })
}

fn counts(feature: &FeatureDiff) -> Vec<(&'static str, String)> {
    let always = [("Compared", feature.compared), ("Equal", feature.equal)];
    let some = [
        ("Within tolerance", feature.within_tolerance),
        ("Differ", feature.mismatched),
        ("of these, NULL in the snapshot only", feature.null_only_in_snapshot),
        ("of these, NULL in the replay only", feature.null_only_in_replay),
        ("Not comparable", feature.not_comparable),
    ];
    let some = some.into_iter().filter(|(_, count)| *count > 0);
    always.into_iter().chain(some).map(|(what, count)| (what, thousands(count))).collect()
}

fn deltas(feature: &FeatureDiff) -> Vec<DeltaBar> {
    let Some(delta) = feature.delta.filter(|delta| delta.max > 0.0) else { return Vec::new() };
    let bars = [
        ("Half at most", delta.p50),
        ("95 % at most", delta.p95),
        ("99 % at most", delta.p99),
        ("Largest", delta.max),
        ("Mean", delta.mean),
    ];
    bars.into_iter()
        .map(|(what, size)| DeltaBar {
            what,
            size: number(size),
            width: format!("{:.1}", (size / delta.max).clamp(0.0, 1.0) * 100.0),
        })
        .collect()
}

fn cell(feature: &str, worst: &crate::diff::WorstCell, project: Project<'_>) -> Cell {
    Cell {
        keys: keys(worst),
        time: worst.time.as_deref().map_or_else(|| "NULL".to_string(), short_time),
        legacy: shorten(&value(&worst.legacy), MOST_COLUMNS),
        replayed: shorten(&value(&worst.replayed), MOST_COLUMNS),
        delta: worst.delta.map(number).unwrap_or_default(),
        trace: trace_command(feature, worst, project),
    }
}

fn issue(issue: &SchemaIssue) -> Issue {
    let told = match issue.issue {
        IssueKind::Missing => "the snapshot lacks it",
        IssueKind::Extra => "only the snapshot has it",
        IssueKind::Renamed => "renamed",
        IssueKind::Type => "another type",
        IssueKind::Nullability => "NULLs on one side only",
        IssueKind::Timezone => "another time zone",
        IssueKind::Order => "columns in another order",
    };
    let side = |side: &Option<String>| side.as_deref().map_or_else(|| "—".to_string(), clean);
    Issue { column: clean(&issue.column), told, legacy: side(&issue.legacy), replayed: side(&issue.replayed) }
}
