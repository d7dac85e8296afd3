//! Counts of a comparison, added up over its parts.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::DataType;

use super::feature::{Counted, Tally};
use super::quantile::Spread;
use super::series::{Hours, Series};
use super::{FeatureDiff, FeaturePair, Part, SchemaPair, SnapshotDiff, schema};

/// What one part counted.
#[derive(Debug, Default)]
pub(super) struct PartCounts {
    pub rows: u64,
    pub labels: u64,
    pub matched: u64,
    pub duplicates: u64,
    /// First and last second of the matched label rows.
    pub span: Option<(i64, i64)>,
    pub features: Vec<FeatureTotals>,
}

/// One side's column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub data_type: DataType,
    pub nulls: u64,
}

impl Column {
    fn of(array: &ArrayRef) -> Self {
        Self { data_type: array.data_type().clone(), nulls: array.logical_null_count() as u64 }
    }
}

/// One feature's counts.
#[derive(Debug)]
pub(super) struct FeatureTotals {
    feature: String,
    pub column: String,
    pub tally: Tally,
    spread: Spread,
    series: Series,
    pub replayed: Column,
    pub legacy: Column,
}

impl FeatureTotals {
    pub(super) fn new(pair: &FeaturePair, counted: &mut Counted, hours: &Hours) -> Self {
        Self {
            feature: pair.feature.clone(),
            column: pair.column.clone(),
            tally: counted.tally,
            spread: std::mem::take(&mut counted.spread),
            series: Series::of(hours, &counted.outcomes),
            replayed: Column::of(&pair.replayed),
            legacy: Column::of(&pair.legacy),
        }
    }

    fn merge(&mut self, other: Self) {
        self.tally.merge(other.tally);
        self.spread.merge(other.spread);
        self.series.merge(other.series);
        self.replayed.nulls += other.replayed.nulls;
        self.legacy.nulls += other.legacy.nulls;
    }
}

/// The parts of one comparison, added up. The order of the parts makes no difference.
#[derive(Debug, Default)]
pub struct Totals {
    counts: PartCounts,
}

impl Totals {
    /// Adds what a part counted, once: the part keeps its mismatches alone.
    pub fn add(&mut self, part: &mut Part) {
        let (own, other) = (&mut self.counts, std::mem::take(&mut part.counts));
        own.rows += other.rows;
        own.labels += other.labels;
        own.matched += other.matched;
        own.duplicates += other.duplicates;
        own.span = match (own.span, other.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        if own.features.is_empty() {
            own.features = other.features;
        } else {
            own.features.iter_mut().zip(other.features).for_each(|(own, other)| own.merge(other));
        }
    }

    /// The comparison as the report tells it, but for causes and worst cells.
    pub fn finish(self, snapshot: &str, schemas: SchemaPair<'_>, agreement_gate: f64) -> SnapshotDiff {
        let counts = self.counts;
        let unmatched = counts.rows > 0 && counts.labels > 0 && counts.matched == 0;
        let schema = schema::issues(schemas, &counts.features);
        let told = |feature: FeatureTotals| FeatureDiff {
            compared: feature.tally.compared(),
            equal: feature.tally.equal,
            within_tolerance: feature.tally.within_tolerance,
            mismatched: feature.tally.mismatched,
            null_only_in_snapshot: feature.tally.null_only_in_snapshot,
            null_only_in_replay: feature.tally.null_only_in_replay,
            not_comparable: feature.tally.not_comparable,
            agreement: feature.tally.agreement(),
            passed: feature.tally.passes(agreement_gate) && !unmatched,
            delta: feature.spread.finish(),
            by_time: feature.series.buckets(counts.span),
            causes: Vec::new(),
            unexplained: None,
            worst: Vec::new(),
            feature: feature.feature,
            column: feature.column,
        };
        SnapshotDiff {
            snapshot: snapshot.to_string(),
            rows: counts.rows,
            matched: counts.matched,
            only_in_snapshot: counts.rows - counts.matched,
            only_in_labels: counts.labels - counts.matched,
            duplicates: counts.duplicates,
            schema,
            features: counts.features.into_iter().map(told).collect(),
        }
    }
}
