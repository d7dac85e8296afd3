//! The page as a whole: its parts in the order of reading, and the one way out.

use askama::Template;

use super::cards::{self, Card, GateTold};
use super::features::{self, Snapshot};
use super::gantt::{self, Gantt};
use super::method::{self, FindingTold, Table};
use super::policy::policy;
use crate::report::Report;
use crate::report::leaks;
use crate::report::shell::Project;
use crate::report::text::{clean, short_time};
use crate::report::verdict::verdict;

const STYLE: &str = include_str!("../../../templates/report/page.css");
const SCRIPT: &str = include_str!("../../../templates/report/page.js");

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page {
    policy: String,
    style: &'static str,
    script: &'static str,
    title: String,
    project: String,
    made: String,
    versions: String,
    /// The sections that there are: id and title.
    parts: Vec<(&'static str, &'static str)>,
    leakage_title: String,
    leaks: Vec<String>,
    /// What does not fit the first screen.
    more_leaks: Vec<String>,
    verdict: Headline,
    cards: Vec<Card>,
    gates: Vec<GateTold>,
    snapshots: Vec<Snapshot>,
    retention: Option<Gantt>,
    findings: Vec<FindingTold>,
    method: Vec<String>,
    tables: Vec<Table>,
}

/// Sentences on leakage that stand before the verdict; more would hide it.
const MOST_LEAKS: usize = 3;

struct Headline {
    class: &'static str,
    headline: String,
    sentences: Vec<String>,
}

/// The page's text.
pub(super) fn page(report: &Report) -> String {
    let retention = gantt::gantt(report);
    let parts = [
        ("leakage", "Leakage", !report.leakage.is_empty()),
        ("verdict", "Verdict", true),
        ("gates", "Gates", !report.gates.is_empty()),
        ("features", "Features", !report.snapshots.is_empty()),
        ("retention", "Retention", retention.is_some()),
        ("findings", "Warnings", !report.findings.is_empty()),
        ("method", "Method", true),
    ];
    let project = Project { config: report.config.as_deref(), set: &report.set };
    let mut leaks = leaks::told(report);
    let more_leaks = leaks.split_off(leaks.len().min(MOST_LEAKS));
    let today = report.retention.as_ref().and_then(|r| r.today.as_deref());
    let models = report.models.iter().map(|model| cards::model(model, today));
    let snapshots = report.snapshots.iter().enumerate();
    let page = Page {
        policy: policy(STYLE, SCRIPT),
        style: STYLE,
        script: SCRIPT,
        title: format!("Backcast: {}", clean(&report.project)),
        project: clean(&report.project),
        made: short_time(&report.generated_at),
        versions: versions(report),
        parts: parts.iter().filter(|(_, _, there)| *there).map(|(id, title, _)| (*id, *title)).collect(),
        leakage_title: cards::leakage_title(&report.leakage),
        leaks,
        more_leaks,
        verdict: headline(report),
        cards: models.chain(report.snapshots.iter().map(cards::snapshot)).collect(),
        gates: report.gates.iter().map(cards::gate).collect(),
        snapshots: snapshots.map(|(at, snapshot)| features::snapshot(at, snapshot, project)).collect(),
        retention,
        findings: method::findings(report),
        method: method::sentences(report),
        tables: method::tables(report),
    };
    visible(&page.render().expect("text is written to a string"))
}

fn headline(report: &Report) -> Headline {
    let verdict = verdict(report);
    // Each snapshot has a card of its own that tells its agreement.
    let told = usize::from(!report.snapshots.is_empty() && !verdict.sentences.is_empty());
    Headline {
        class: if verdict.passed { "good" } else { "failed" },
        headline: verdict.headline,
        sentences: verdict.sentences[told..].to_vec(),
    }
}

fn versions(report: &Report) -> String {
    let backcast = format!("Backcast {}", clean(&report.backcast));
    match &report.datafusion {
        Some(datafusion) => format!("Made by {backcast} with DataFusion {}.", clean(datafusion)),
        None => format!("Made by {backcast}."),
    }
}

/// A name in parts between which a narrow screen may break it.
pub(super) fn breakable(name: &str) -> impl Iterator<Item = &str> {
    name.split_inclusive(['.', '_'])
}

/// A sentence in parts, each with whether it is a name: what stands in backticks. Clean, as the sentence.
pub(super) fn words(sentence: &str) -> impl Iterator<Item = (bool, &str)> {
    // An odd backtick belongs to the text.
    let (paired, rest) = match sentence.matches('`').count() % 2 {
        0 => (sentence, ""),
        _ => sentence.split_at(sentence.rfind('`').unwrap_or(0)),
    };
    let parts = paired.split('`').enumerate().map(|(at, part)| (at % 2 == 1, part));
    parts.chain([(false, rest)]).filter(|(_, part)| !part.is_empty())
}

/// The page with each control and invisible character spelled out; lines stay.
fn visible(page: &str) -> String {
    let mut shown = String::with_capacity(page.len());
    for line in page.split_inclusive('\n') {
        let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
        shown.push_str(&clean(text));
        shown.push_str(end);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_backticks_are_parts_of_their_own() {
        let parts = |sentence| words(sentence).collect::<Vec<_>>();
        assert_eq!(
            parts("the worst is `a.b`: 3 differ"),
            [(false, "the worst is "), (true, "a.b"), (false, ": 3 differ")]
        );
        assert_eq!(parts("`a` and a ` alone"), [(true, "a"), (false, " and a "), (false, "` alone")]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn invisible_characters_are_spelled_out_and_lines_stay() {
        assert_eq!(visible("a\u{1b}b\n\u{202e}c\n"), "a\\u{1b}b\n\\u{202e}c\n");
    }
}
