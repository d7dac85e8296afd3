//! What is told of all label rows, added up over parts of them, which come in the order of time: memory does not grow with their number.

use std::ops::Range;
use std::sync::Arc;

use crate::lookback::{FeatureLookback, Lower, NOTHING};
use crate::retention::coverage::{Cells, Coverage, FeatureCoverage, distinct, each_once, months_of, tally, worst};
use crate::retention::facts::SourceFacts;
use crate::retention::model::MonthCount;
use crate::retention::models::ModelInput;
use crate::retention::timeline::{WEEK_NS, complete_at, weeks_ahead};

/// Label rows of one part: all that there are of their times.
#[derive(Debug, Clone, Copy)]
pub struct PartOfRows<'a> {
    /// Label times, ascending, nanoseconds.
    pub times: &'a [i64],
    /// By feature.
    pub coverage: &'a [FeatureCoverage],
    /// By feature and label row: what the cell is.
    pub cells: &'a [Cells],
    /// By feature: the label rows whose value a snapshot has, where a cell of the part is not covered; `None` where no snapshot has the feature.
    pub legacy: &'a [Option<Vec<bool>>],
}

/// Rows by what they are, and from when on all are covered.
#[derive(Debug, Clone, Default)]
pub(super) struct RowSums {
    pub months: Vec<MonthCount>,
    /// The first covered label time.
    pub covered_from: Option<i64>,
    /// The first label time after which every row is covered.
    pub covered_since: Option<i64>,
    last_bad: Option<i64>,
}

/// [`RowSums`] of the rows of one part.
#[derive(Debug, Clone)]
struct PartSums {
    counts: [u64; 3],
    rows: RowSums,
}

impl PartSums {
    /// `months`: of the times, and the rows in each.
    fn of(times: &[i64], months: &[(String, Range<usize>)], cells: &[Coverage]) -> Self {
        let mut counts = [0; 3];
        let counted = months.iter().map(|(month, rows)| {
            let own @ [covered, truncated, gap] = tally(&cells[rows.clone()]);
            counts.iter_mut().zip(own).for_each(|(all, own)| *all += own);
            MonthCount { month: month.clone(), labels: rows.len() as u64, covered, truncated, gap }
        });
        let months = counted.collect();
        let last_bad = cells.iter().rposition(|c| !c.is_covered()).map(|row| times[row]);
        let since = last_bad.map_or(0, |bad| times.partition_point(|t| *t <= bad));
        let covered_from = cells.iter().position(|c| c.is_covered()).map(|row| times[row]);
        let rows = RowSums { months, covered_from, covered_since: times.get(since).copied(), last_bad };
        Self { counts, rows }
    }
}

impl RowSums {
    /// Adds the rows of a part that comes after those before.
    fn add(&mut self, part: &Self) {
        self.covered_from = self.covered_from.or(part.covered_from);
        if part.last_bad.is_some() {
            (self.last_bad, self.covered_since) = (part.last_bad, part.covered_since);
        }
        self.covered_since = self.covered_since.or(part.covered_since);
        for month in &part.months {
            match self.months.last_mut().filter(|last| last.month == month.month) {
                Some(last) => {
                    last.labels += month.labels;
                    last.covered += month.covered;
                    last.truncated += month.truncated;
                    last.gap += month.gap;
                }
                None => self.months.push(month.clone()),
            }
        }
    }
}

/// One feature over all label rows.
#[derive(Debug, Clone, Default)]
pub struct FeatureSums {
    /// Covered, truncated, gap.
    pub counts: [u64; 3],
    /// Rows of which it is certain what the feature is where the view has a row, but not whether it has one.
    pub uncertain: u64,
    pub(super) rows: RowSums,
}

impl FeatureSums {
    pub fn covered_from(&self) -> Option<i64> {
        self.rows.covered_from
    }

    /// The first label time from which on every row is covered.
    pub fn covered_since(&self) -> Option<i64> {
        self.rows.covered_since
    }

    pub fn by_month(&self) -> &[MonthCount] {
        &self.rows.months
    }
}

/// One feature over the label rows that a model is trained on.
#[derive(Debug, Clone, Default)]
pub(super) struct TrainingSums {
    pub rows: u64,
    pub bad: u64,
    pub truncated: u64,
    /// Rows that are not covered and that a snapshot has; `None` where none has the feature.
    pub had: Option<u64>,
}

/// One model over all label rows.
#[derive(Debug, Clone)]
pub(super) struct ModelSums {
    pub input: ModelInput,
    /// Rows after this instant are its training history.
    after: Option<i64>,
    /// By feature of the model.
    pub features: Vec<TrainingSums>,
    /// The worst of its features.
    pub rows: RowSums,
}

/// What expires of the events that label rows need.
#[derive(Debug, Clone)]
pub(super) struct ExpirySums {
    /// By source: the first event that a covered row needs.
    pub needed: Vec<i64>,
    /// Rows of which every feature is covered.
    pub covered: u64,
    /// By week from today on: covered rows that this week's delay loses.
    pub lost: Vec<u64>,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct RetentionSums<'a> {
    pub(super) lookbacks: &'a [FeatureLookback],
    pub(super) facts: &'a [SourceFacts],
    pub(super) today: i64,
    pub labels: u64,
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    pub features: Vec<FeatureSums>,
    pub(super) models: Vec<ModelSums>,
    pub(super) expiry: ExpirySums,
    /// By week, by source: from when on it will be complete.
    since: Vec<Vec<Option<i64>>>,
}

impl<'a> RetentionSums<'a> {
    /// `last`: the last label time; `today`: what the timeline counts from; nanoseconds.
    pub fn new(
        lookbacks: &'a [FeatureLookback],
        facts: &'a [SourceFacts],
        models: Vec<ModelInput>,
        last: Option<i64>,
        today: i64,
    ) -> Self {
        let model = |input: ModelInput| ModelSums {
            // The last 90 days before a label, not with the day before them.
            after: last.zip(input.training_history).map(|(last, history)| last.saturating_sub(history)),
            features: vec![TrainingSums::default(); input.features.len()],
            rows: RowSums::default(),
            input,
        };
        let weeks = weeks_ahead(facts, today);
        let at = |week: usize| today.saturating_add(i64::try_from(week).unwrap_or(0).saturating_mul(WEEK_NS));
        let since = (0..weeks).map(|week| facts.iter().map(|f| complete_at(f, at(week))).collect());
        Self {
            lookbacks,
            facts,
            today,
            labels: 0,
            first: None,
            last: None,
            features: vec![FeatureSums::default(); lookbacks.len()],
            models: models.into_iter().map(model).collect(),
            expiry: ExpirySums { needed: vec![NOTHING; facts.len()], covered: 0, lost: vec![0; weeks] },
            since: since.collect(),
        }
    }

    /// Adds label rows that come after those before.
    pub fn add(&mut self, part: PartOfRows<'_>) {
        let PartOfRows { times, coverage, cells, legacy } = part;
        self.labels += times.len() as u64;
        self.first = self.first.or(times.first().copied());
        self.last = times.last().copied().or(self.last);
        let months = months_of(times);
        let counted = each_once(cells, |own| PartSums::of(times, &months, own));
        for ((sums, own), part) in self.features.iter_mut().zip(coverage).zip(&counted) {
            sums.counts.iter_mut().zip(part.counts).for_each(|(all, own)| *all += own);
            if !Arc::ptr_eq(&own.there, &own.missing) {
                let rows = own.there.iter().zip(own.missing.iter());
                sums.uncertain +=
                    rows.filter(|(there, missing)| there.is_covered() && !missing.is_covered()).count() as u64;
            }
            sums.rows.add(&part.rows);
        }
        for model in &mut self.models {
            let begin = model.after.map_or(0, |after| times.partition_point(|t| *t <= after));
            for (sums, &feature) in model.features.iter_mut().zip(&model.input.features) {
                let own = &cells[feature][begin..];
                let [covered, truncated, gap] = tally(own);
                sums.rows += covered + truncated + gap;
                sums.bad += truncated + gap;
                sums.truncated += truncated;
                if let Some(has) = &legacy[feature] {
                    let bad = own.iter().zip(&has[begin..]).filter(|(cell, has)| !cell.is_covered() && **has);
                    *sums.had.get_or_insert(0) += bad.count() as u64;
                }
            }
            let own = distinct(model.input.features.iter().map(|feature| &cells[*feature]));
            model.rows.add(&PartSums::of(times, &months, &worst(&own, times.len())).rows);
        }
        self.add_expiry(times, coverage);
    }

    fn add_expiry(&mut self, times: &[i64], coverage: &[FeatureCoverage]) {
        // The first event that each row needs, by source.
        let mut needed: Vec<Vec<i64>> = self
            .facts
            .iter()
            .map(|f| if f.retention_ns.is_some() { vec![NOTHING; times.len()] } else { Vec::new() })
            .collect();
        let mut known: Vec<(&Lower, Vec<i64>)> = Vec::new();
        for (feature, own) in self.lookbacks.iter().zip(coverage) {
            for read in feature.reads.iter().filter(|read| self.facts[read.source].retention_ns.is_some()) {
                let at = known.iter().position(|(lower, _)| **lower == read.lower).unwrap_or_else(|| {
                    known.push((&read.lower, read.lower.starts(times)));
                    known.len() - 1
                });
                let rows = needed[read.source].iter_mut().zip(&known[at].1).zip(own.there.iter());
                for ((needed, &start), _) in rows.filter(|(_, cell)| cell.is_covered()) {
                    *needed = start.min(*needed);
                }
            }
        }
        for (first, own) in self.expiry.needed.iter_mut().zip(&needed) {
            *first = own.iter().copied().min().unwrap_or(NOTHING).min(*first);
        }
        let worst = worst(&distinct(coverage.iter().map(|c| &c.there)), times.len());
        for row in (0..times.len()).filter(|row| worst[*row].is_covered()) {
            self.expiry.covered += 1;
            let kept = |since: &Vec<Option<i64>>| {
                let sources = since.iter().zip(&needed).filter(|(_, needed)| !needed.is_empty());
                sources.into_iter().all(|(since, needed)| since.is_none_or(|since| needed[row] >= since))
            };
            // What is lost stays lost.
            let week = self.since.partition_point(kept);
            if let Some(lost) = self.expiry.lost.get_mut(week) {
                *lost += 1;
            }
        }
    }
}
