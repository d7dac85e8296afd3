//! The first screen: leakage, the verdict per model and per snapshot in words, the gates.

use crate::diff::SnapshotDiff;
use crate::report::text::{clean, counted, freeze_ends, thousands};
use crate::report::verdict::agreement_sentence;
use crate::report::{Gate, GateKind, Leak, ModelReport, Verdict};

/// The verdict on a model or a snapshot.
#[derive(Debug)]
pub(super) struct Card {
    /// `good`, `warn` or `bad`.
    pub class: &'static str,
    /// `Model` or `Snapshot`.
    pub kind: &'static str,
    pub name: String,
    pub word: String,
    pub sentence: String,
    pub reasons: Vec<Reason>,
}

/// Why a feature has its verdict.
#[derive(Debug)]
pub(super) struct Reason {
    pub feature: String,
    pub class: &'static str,
    pub word: &'static str,
    pub reason: String,
}

/// A gate, met or not.
#[derive(Debug)]
pub(super) struct GateTold {
    pub class: &'static str,
    pub mark: &'static str,
    pub name: &'static str,
    pub word: &'static str,
    pub detail: String,
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Retrain => "good",
        Verdict::Fallback => "warn",
        Verdict::Freeze => "bad",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Retrain => "retrain",
        Verdict::Fallback => "fallback",
        Verdict::Freeze => "freeze",
    }
}

/// `today`: the day that the timeline counts from.
pub(super) fn model(model: &ModelReport, today: Option<&str>) -> Card {
    let all = counted(model.features.len() as u64, "feature", "features");
    let with = |verdict| model.features.iter().filter(|feature| feature.verdict == verdict).count() as u64;
    let are = |count| format!("{} of {all} {}", thousands(count), if count == 1 { "is" } else { "are" });
    let (word, sentence) = match model.verdict {
        Verdict::Retrain => (
            "Retrain on replayed features".to_string(),
            format!("The retained events cover the whole training history, for {all}."),
        ),
        Verdict::Fallback => (
            "Fall back on legacy values".to_string(),
            format!(
                "{} either not covered by the retained events or not in agreement with the snapshot, which has the values.",
                are(with(Verdict::Fallback))
            ),
        ),
        Verdict::Freeze => {
            let missing =
                format!("{} neither covered by the retained events nor in a snapshot.", are(with(Verdict::Freeze)));
            match freeze_ends(model.until.as_deref(), today) {
                Some(ends) => {
                    (format!("Freeze {ends}"), format!("{missing} From then on, enough covered label history exists."))
                }
                None => (
                    "Freeze".to_string(),
                    format!("{missing} No day is known by which enough covered label history will exist."),
                ),
            }
        }
    };
    let reasons = model.features.iter().map(|feature| Reason {
        feature: clean(&feature.feature),
        class: class(feature.verdict),
        word: self::word(feature.verdict),
        reason: clean(&feature.reason),
    });
    Card {
        class: class(model.verdict),
        kind: "Model",
        name: clean(&model.model),
        word,
        sentence,
        reasons: reasons.collect(),
    }
}

pub(super) fn snapshot(snapshot: &SnapshotDiff) -> Card {
    let (all, passed) = (snapshot.features.len(), snapshot.features.iter().filter(|feature| feature.passed).count());
    let word = match all {
        0 => "No feature to compare".to_string(),
        _ => {
            let verb = if all == 1 { "feature agrees" } else { "features agree" };
            format!("{} of {} {verb} well enough", thousands(passed as u64), thousands(all as u64))
        }
    };
    Card {
        class: if passed == all { "good" } else { "bad" },
        kind: "Snapshot",
        name: clean(&snapshot.snapshot),
        word,
        sentence: agreement_sentence(std::slice::from_ref(snapshot)).unwrap_or_default(),
        reasons: Vec::new(),
    }
}

pub(super) fn gate(gate: &Gate) -> GateTold {
    let (class, mark, word) = if gate.passed { ("good", "✓", "met") } else { ("bad", "✗", "not met") };
    let name = match gate.gate {
        GateKind::Agreement => "Agreement",
        GateKind::Retention => "Retention",
        GateKind::SelfCheck => "Self-check",
    };
    GateTold { class, mark, name, word, detail: clean(&gate.detail) }
}

/// The headline over the sentences on leakage.
pub(super) fn leakage_title(leaks: &[Leak]) -> String {
    let mut features: Vec<(&str, &str)> = leaks.iter().map(|leak| (&*leak.snapshot, &*leak.feature)).collect();
    features.sort_unstable();
    features.dedup();
    let features = counted(features.len() as u64, "legacy feature", "legacy features");
    format!("Leakage: values of {features} can only be had with events that were not yet known")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ModelFeature;
    use crate::report::samples::flawed;

    fn of(verdict: Verdict, until: Option<&str>) -> Card {
        let feature = |verdict| ModelFeature {
            feature: "a.b".to_string(),
            verdict,
            reason: "covered from 2013-02-08 on".to_string(),
        };
        let report = ModelReport {
            model: "fraud".to_string(),
            verdict,
            until: until.map(str::to_string),
            features: vec![feature(Verdict::Retrain), feature(verdict)],
        };
        model(&report, Some("2026-06-01T00:00:00Z"))
    }

    #[test]
    fn a_model_has_its_verdict_in_words() {
        let told = |card: &Card| format!("{}. {}", card.word, card.sentence);
        assert_eq!(
            told(&of(Verdict::Retrain, None)),
            "Retrain on replayed features. The retained events cover the whole training history, for 2 features."
        );
        assert_eq!(
            told(&of(Verdict::Fallback, None)),
            "Fall back on legacy values. 1 of 2 features is either not covered by the retained events or not in agreement with \
             the snapshot, which has the values."
        );
        assert_eq!(
            told(&of(Verdict::Freeze, Some("2026-12-01T00:00:00Z"))),
            "Freeze until 2026-12-01. 1 of 2 features is neither covered by the retained events nor in a snapshot. \
             From then on, enough covered label history exists."
        );
        assert_eq!(of(Verdict::Freeze, Some("2026-05-01T00:00:00Z")).word, "Freeze until the labels reach 2026-05-01");
        assert!(
            of(Verdict::Freeze, None)
                .sentence
                .ends_with("No day is known by which enough covered label history will exist.")
        );
    }

    #[test]
    fn a_snapshot_has_its_verdict_in_words() {
        let card = snapshot(&flawed().snapshots[0]);
        assert_eq!((card.class, card.word.as_str()), ("bad", "2 of 3 features agree well enough"));
        assert!(card.sentence.contains("the worst is `origin_load.dep_1h`"), "{}", card.sentence);
    }
}
