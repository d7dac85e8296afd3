//! What may be retrained, and when.
//!
//! | decision | a feature's label rows of the last `training_history` |
//! | --- | --- |
//! | retrain | are all covered, and where the feature was compared it agrees |
//! | fallback | are not, or it does not agree, but a snapshot has what is missing |
//! | freeze | are not, and no snapshot has them |
//!
//! A model's decision is the worst of its features'. A freeze ends on the first day by which as much covered label history exists as
//! the model is trained on; it has no end where a lookback is unbounded, or where events are deleted before they could be used.

use crate::lookback::FeatureLookback;
use crate::monitor::thousands;
use crate::retention::activity::DAY_NS;
use crate::retention::facts::SourceFacts;
use crate::retention::model::ModelMonths;
use crate::retention::sums::{ModelSums, RetentionSums, TrainingSums};
use crate::retention::timeline::{complete_from, iso_days, reach_at};
use crate::source::time::rfc3339;

/// What a model is trained on.
#[derive(Debug, Clone)]
pub struct ModelInput {
    pub model: String,
    /// Positions in the list of all features.
    pub features: Vec<usize>,
    /// Nanoseconds; all labels where it is not known.
    pub training_history: Option<i64>,
}

/// Worse ones come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    Retrain,
    Fallback,
    Freeze,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FeatureDecision {
    /// Position in the list of all features.
    pub feature: usize,
    pub decision: Decision,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ModelDecision {
    pub model: String,
    pub decision: Decision,
    /// The first day on which a freeze ends, RFC 3339.
    pub until: Option<String>,
    pub features: Vec<FeatureDecision>,
    pub months: ModelMonths,
    /// Nanoseconds since 1970.
    pub trainable_from: Option<i64>,
}

/// A decision per model. `agreement`, by feature: whether it agrees with the snapshots, and how well; `None` where it was not compared.
pub fn verdicts(sums: &RetentionSums<'_>, agreement: &[Option<(bool, String)>]) -> Vec<ModelDecision> {
    sums.models.iter().map(|model| decide(model, sums, agreement)).collect()
}

fn decide(model: &ModelSums, sums: &RetentionSums<'_>, agreement: &[Option<(bool, String)>]) -> ModelDecision {
    let (input, facts, lookbacks) = (&model.input, sums.facts, sums.lookbacks);
    let features: Vec<FeatureDecision> = input
        .features
        .iter()
        .zip(&model.features)
        .map(|(feature, rows)| of_feature(*feature, rows, input, sums, &agreement[*feature]))
        .collect();
    let decision = features.iter().map(|f| f.decision).max().unwrap_or(Decision::Retrain);
    let history = input.training_history.unwrap_or_else(|| match (sums.first, sums.last) {
        (Some(first), Some(last)) => last - first,
        _ => 0,
    });
    let first_day = |feature: usize| enough_from(&lookbacks[feature], facts, history);
    let latest = |features: &mut dyn Iterator<Item = usize>| {
        features.map(first_day).try_fold(i64::MIN, |latest, day| day.map(|day| latest.max(day)))
    };
    let frozen = features.iter().filter(|f| f.decision == Decision::Freeze).map(|f| f.feature).collect::<Vec<_>>();
    let until = if decision == Decision::Freeze { latest(&mut frozen.into_iter()) } else { None };
    let trainable = latest(&mut input.features.iter().copied());
    let trainable = trainable.map(|t| if t == i64::MIN { sums.first.unwrap_or(0) } else { t });
    ModelDecision {
        model: input.model.clone(),
        decision,
        until: until.filter(|t| *t != i64::MIN).map(|t| rfc3339(day_after(t))),
        months: ModelMonths {
            model: input.model.clone(),
            covered_from: model.rows.covered_since.map(rfc3339),
            trainable_from: trainable.map(|t| rfc3339(day_after(t))),
            by_month: model.rows.months.clone(),
        },
        features,
        trainable_from: trainable.map(day_after),
    }
}

/// The first midnight that is not before the instant.
fn day_after(time: i64) -> i64 {
    let day = time.div_euclid(DAY_NS);
    if time.rem_euclid(DAY_NS) == 0 { time } else { (day + 1).saturating_mul(DAY_NS) }
}

/// When as much covered label history exists, from when on that is not lost again; `None`: never.
fn enough_from(lookback: &FeatureLookback, facts: &[SourceFacts], history: i64) -> Option<i64> {
    let from = complete_from(&lookback.reads, facts)?;
    if from == i64::MIN {
        return Some(from);
    }
    for read in &lookback.reads {
        let Some(retention) = facts[read.source].retention_ns else { continue };
        let reach = reach_at(std::slice::from_ref(read), read.source, from)?;
        if reach.saturating_add(history) > retention {
            return None;
        }
    }
    Some(from.saturating_add(history))
}

fn of_feature(
    feature: usize,
    sums: &TrainingSums,
    model: &ModelInput,
    all: &RetentionSums<'_>,
    agreement: &Option<(bool, String)>,
) -> FeatureDecision {
    let TrainingSums { bad, truncated, had, .. } = sums;
    let rows = thousands(sums.rows);
    let history = model.training_history.map_or_else(String::new, |h| format!(" of the last {}", days(h)));
    let (decision, reason) = match (*bad, agreement) {
        (0, Some((true, how))) => (Decision::Retrain, format!("all {rows} label rows{history} are covered; {how}")),
        (0, Some((false, how))) => {
            (Decision::Fallback, format!("all {rows} label rows{history} are covered, but {how}"))
        }
        (0, None) if sums.rows == 0 => (Decision::Retrain, "there is no label row".to_string()),
        (0, None) => {
            let covered = format!("all {rows} label rows{history} are covered; not compared with a snapshot");
            (Decision::Retrain, covered)
        }
        (count, _) => {
            let kinds = match (*truncated, count - truncated) {
                (_, 0) => "truncated".to_string(),
                (0, _) => "gap".to_string(),
                (t, g) => format!("{} truncated, {} gap", thousands(t), thousands(g)),
            };
            let why = why(&all.lookbacks[feature], all.facts);
            let text = format!("{} of {rows} label rows{history} are not covered ({kinds}){why}", thousands(count));
            match had {
                Some(had) if *had == count => (Decision::Fallback, format!("{text}; a snapshot has them")),
                Some(had) => (Decision::Freeze, format!("{text}; a snapshot has {} of them", thousands(*had))),
                None => (Decision::Freeze, format!("{text}; no snapshot has the feature")),
            }
        }
    };
    FeatureDecision { feature, decision, reason }
}

/// Where the log of each reading begins, and how far back it is read.
fn why(lookback: &FeatureLookback, facts: &[SourceFacts]) -> String {
    let mut sources: Vec<usize> = lookback.reads.iter().map(|r| r.source).collect();
    sources.sort_unstable();
    sources.dedup();
    let told = |source: &usize| {
        let reach = crate::lookback::widest(&lookback.reads, *source)?;
        let facts = &facts[*source];
        let from = match facts.report.since.as_deref() {
            Some("beginning") => "complete".to_string(),
            Some(since) => format!("complete since {since}"),
            None => "not known to hold any event".to_string(),
        };
        let gaps = match facts.gaps.len() {
            0 => String::new(),
            1 => " but for a gap".to_string(),
            many => format!(" but for {many} gaps"),
        };
        let back =
            if reach.text == "unbounded" { "from the beginning".to_string() } else { format!("{} back", reach.text) };
        Some(format!("`{}` is read {back} and is {from}{gaps}", facts.report.source))
    };
    let all: Vec<String> = sources.iter().filter_map(told).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join("; ")) }
}

fn days(nanoseconds: i64) -> String {
    match (nanoseconds / DAY_NS, nanoseconds % DAY_NS) {
        (1, 0) => "day".to_string(),
        (days, 0) => format!("{days} days"),
        _ => iso_days(nanoseconds),
    }
}
