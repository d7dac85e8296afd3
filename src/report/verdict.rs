//! The verdict: what a reader must know if nothing else is read.

use super::text::{agreement, clean, counted, number, short_time, thousands};
use super::{GateKind, Report};
use crate::diff::{FeatureDiff, SnapshotDiff};

/// The verdict on a run. All texts are clean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub passed: bool,
    /// `Done: every gate met`, `Gate not met: agreement`.
    pub headline: String,
    /// Which feature is worst and how bad; what was replayed.
    pub sentences: Vec<String>,
}

pub(super) fn verdict(report: &Report) -> Verdict {
    let failed: Vec<_> = report.gates.iter().filter(|gate| !gate.passed).collect();
    let headline = match failed.as_slice() {
        [] if report.gates.is_empty() => "Done".to_string(),
        [] => "Done: every gate met".to_string(),
        [one] => format!("Gate not met: {}", one.gate.name()),
        more => format!("Gates not met: {}", more.iter().map(|gate| gate.gate.name()).collect::<Vec<_>>().join(", ")),
    };
    let mut sentences: Vec<String> = agreement_sentence(&report.snapshots).into_iter().collect();
    // What agreement has to say has been said; the other gates speak for themselves.
    let others = failed.iter().filter(|gate| gate.gate != GateKind::Agreement || sentences.is_empty());
    sentences.extend(others.map(|gate| clean(&gate.detail)).collect::<Vec<_>>());
    sentences.extend(super::calendar::sentence(report));
    sentences.extend(labels_sentence(report));
    Verdict { passed: failed.is_empty(), headline, sentences }
}

/// Features of all snapshots, worst first: those that failed, then by agreement.
pub(super) fn worst_first<'a>(
    features: impl Iterator<Item = (&'a SnapshotDiff, &'a FeatureDiff)>,
) -> Vec<(&'a SnapshotDiff, &'a FeatureDiff)> {
    let mut features: Vec<_> = features.collect();
    let share = |feature: &FeatureDiff| feature.agreement.unwrap_or(if feature.passed { 2.0 } else { -1.0 });
    features.sort_by(|(_, a), (_, b)| a.passed.cmp(&b.passed).then(share(a).total_cmp(&share(b))));
    features
}

/// How the features of these snapshots agree, and which is the worst. Clean.
pub(super) fn agreement_sentence(snapshots: &[SnapshotDiff]) -> Option<String> {
    let pairs = snapshots.iter().flat_map(|snapshot| snapshot.features.iter().map(move |f| (snapshot, f)));
    let features = worst_first(pairs);
    let (snapshot, worst) = features.first()?;
    let all = counted(features.len() as u64, "feature", "features");
    let failed = features.iter().filter(|(_, feature)| !feature.passed).count() as u64;
    let compared: u64 = features.iter().map(|(_, feature)| feature.compared).sum();
    if failed == 0 && worst.mismatched == 0 {
        return Some(if compared == 0 {
            format!("Nothing was compared: no value of {all} has a counterpart in a snapshot.")
        } else {
            format!("All {} compared values of {all} agree.", thousands(compared))
        });
    }
    let which = match (failed, worst.passed) {
        (0, _) if features.len() == 1 => "The one feature agrees well enough:".to_string(),
        (0, _) => format!("All {all} agree well enough; the least is"),
        (_, _) => {
            let verb = if failed == 1 { "does" } else { "do" };
            format!("{} of {all} {verb} not agree well enough; the worst is", thousands(failed))
        }
    };
    Some(format!("{which} `{}` in `{}`: {}.", clean(&worst.feature), clean(&snapshot.snapshot), how_bad(worst)))
}

fn how_bad(feature: &FeatureDiff) -> String {
    if feature.compared == 0 {
        return match feature.not_comparable {
            0 => "no row could be matched".to_string(),
            rows => format!("its type cannot be compared ({})", counted(rows, "row", "rows")),
        };
    }
    let by = feature.delta.filter(|delta| delta.max > 0.0).map(|delta| format!(" by up to {}", number(delta.max)));
    format!(
        "{} agree, {} of {} differ{}",
        agreement(feature),
        thousands(feature.mismatched),
        thousands(feature.compared),
        by.unwrap_or_default()
    )
}

/// How many label rows there are, and from when to when. Clean.
pub(super) fn labels_sentence(report: &Report) -> Option<String> {
    let labels = report.labels.as_ref()?;
    let rows = counted(labels.rows, "label row", "label rows");
    Some(match (&labels.first, &labels.last) {
        (Some(first), Some(last)) => format!("{rows}, {} to {}.", short_time(first), short_time(last)),
        _ => format!("{rows}."),
    })
}
