//! Whole comparisons, from arrays to what report.json says.

use std::sync::Arc;

use datafusion::arrow::array::{Float64Array, Int64Array, StringArray, TimestampSecondArray, UInt64Array};
use datafusion::arrow::compute::take;
use serde_json::json;

use super::*;

/// A small seeded generator: the same numbers in every run.
pub(super) struct Seeded(u64);

impl Seeded {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    /// 0..rows in any order.
    pub(super) fn shuffled(&mut self, rows: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rows).collect();
        for at in (1..rows).rev() {
            order.swap(at, self.below(at as u64 + 1) as usize);
        }
        order
    }
}

pub(super) fn picked(array: &ArrayRef, rows: &[usize]) -> ArrayRef {
    take(array, &rows.iter().map(|row| *row as u64).collect::<UInt64Array>(), None).unwrap()
}

pub(super) fn rows(keys: Vec<Option<i64>>, seconds: Vec<i64>) -> Rows {
    Rows {
        keys: vec![Arc::new(Int64Array::from(keys))],
        time: Arc::new(TimestampSecondArray::from(seconds).with_timezone("UTC")),
    }
}

pub(super) fn pair(name: &str, replayed: ArrayRef, legacy: ArrayRef) -> FeaturePair {
    FeaturePair {
        feature: format!("view.{name}"),
        column: name.to_string(),
        replayed,
        legacy,
        tolerance: Tolerance::default(),
        covered: None,
    }
}

/// What report.json says, and the mismatching cells.
#[derive(Debug)]
pub(super) struct Diff {
    pub(super) snapshot: SnapshotDiff,
    pub(super) mismatches: Mismatches,
}

/// Holds all label rows against a snapshot, in one part.
pub(super) fn diff(input: &DiffInput<'_>) -> Result<Diff, DiffError> {
    let mut part = super::compare(input)?;
    let mut totals = Totals::default();
    totals.add(&mut part);
    let mut snapshot = totals.finish(input.snapshot, input.schemas, input.agreement_gate);
    for (at, feature) in snapshot.features.iter_mut().enumerate() {
        let mut worst = Worst::default();
        worst.add(&part.mismatches, at, 0)?;
        feature.worst = worst.finish();
    }
    Ok(Diff { snapshot, mismatches: part.mismatches })
}

pub(super) fn try_compare(labels: &Rows, legacy: &Rows, features: Vec<FeaturePair>) -> Result<Diff, DiffError> {
    let schema = Schema::empty();
    let key_names: Vec<String> = (0..labels.keys.len()).map(|at| format!("k{at}")).collect();
    diff(&DiffInput {
        snapshot: "march",
        key_names: &key_names,
        labels,
        legacy,
        features,
        schemas: SchemaPair { dataset: &schema, snapshot: &schema, columns: &[] },
        agreement_gate: 0.995,
    })
}

pub(super) fn compare(labels: &Rows, legacy: &Rows, features: Vec<FeaturePair>) -> Diff {
    try_compare(labels, legacy, features).unwrap()
}

fn ints(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

fn floats(values: Vec<Option<f64>>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

#[test]
fn a_snapshot_is_told_in_the_fields_of_format_1() {
    let labels = rows(vec![Some(1), Some(2), Some(3)], vec![0, 60, 3600]);
    let legacy = rows(vec![Some(3), Some(1), Some(2), Some(9)], vec![3600, 0, 60, 0]);
    let feature = pair("x", ints(vec![Some(10), Some(20), None]), ints(vec![Some(5), Some(10), Some(17), Some(0)]));
    let found = compare(&labels, &legacy, vec![feature]);
    let expected = json!({
        "snapshot": "march", "rows": 4, "matched": 3, "only_in_snapshot": 1, "only_in_labels": 0, "duplicates": 0,
        "schema": [],
        "features": [{
            "feature": "view.x", "column": "x", "compared": 3, "equal": 1, "within_tolerance": 0, "mismatched": 2,
            "null_only_in_snapshot": 0, "null_only_in_replay": 1, "not_comparable": 0,
            "agreement": 1.0 / 3.0, "passed": false,
            "delta": {"max": 3.0, "mean": 1.5, "p50": 0.0, "p95": 3.0, "p99": 3.0},
            "by_time": [
                {"from": "1970-01-01T00:00:00Z", "compared": 2, "mismatched": 1},
                {"from": "1970-01-01T01:00:00Z", "compared": 1, "mismatched": 1},
            ],
            "causes": [], "unexplained": null,
            "worst": [
                {"keys": {"k0": 2}, "time": "1970-01-01T00:01:00Z", "legacy": 17, "replayed": 20, "delta": 3.0},
                {"keys": {"k0": 3}, "time": "1970-01-01T01:00:00Z", "legacy": 5, "replayed": null, "delta": null},
            ],
        }],
    });
    // As text, for the order of fields counts too.
    let told = serde_json::to_string_pretty(&found.snapshot).unwrap();
    assert_eq!(told, serde_json::to_string_pretty(&expected).unwrap());
}

#[test]
fn a_shuffled_copy_agrees_everywhere() {
    let mut random = Seeded::new(1);
    for round in 0..50 {
        let count = 1 + random.below(80) as usize;
        // Few keys and times, so that there are duplicates of every kind.
        let keys = (0..count).map(|_| (random.below(5) > 0).then(|| random.below(6) as i64)).collect();
        let labels = rows(keys, (0..count).map(|_| random.below(3) as i64 * 3600).collect());
        let x = ints((0..count).map(|_| (random.below(4) > 0).then(|| random.below(3) as i64)).collect());
        let numbers = [f64::NAN, -0.0, 0.0, 1.5, f64::INFINITY];
        let y = floats((0..count).map(|_| Some(numbers[random.below(5) as usize])).collect());
        let order = random.shuffled(count);
        let legacy = Rows { keys: vec![picked(&labels.keys[0], &order)], time: picked(&labels.time, &order) };
        let features =
            vec![pair("x", Arc::clone(&x), picked(&x, &order)), pair("y", Arc::clone(&y), picked(&y, &order))];
        let found = compare(&labels, &legacy, features);
        assert_eq!((found.snapshot.matched, found.mismatches.rows()), (count as u64, 0), "round {round}");
        assert_eq!((found.snapshot.only_in_labels, found.snapshot.only_in_snapshot), (0, 0));
        assert!(found.snapshot.features.iter().all(|feature| feature.agreement == Some(1.0) && feature.passed));
    }
}

#[test]
fn counts_agree_with_a_naive_loop() {
    let mut random = Seeded::new(2);
    let tolerance = Tolerance { abs: 0.25, rel: 0.1 };
    for _ in 0..50 {
        let count = 1 + random.below(200) as usize;
        let mut value = || match random.below(12) {
            0 => None,
            1 => Some(f64::NAN),
            2 => Some(f64::INFINITY),
            n => Some(n as f64 / 4.0),
        };
        let (ours, theirs): (Vec<_>, Vec<_>) = (0..count).map(|_| (value(), value())).unzip();
        let covered: Vec<bool> = (0..count).map(|_| random.below(5) > 0).collect();
        let (mut equal, mut near, mut differ) = (0, 0, 0);
        for ((a, b), _) in ours.iter().zip(&theirs).zip(&covered).filter(|(_, covered)| **covered) {
            match (a, b) {
                (None, None) => equal += 1,
                (Some(a), Some(b)) if a == b || a.is_nan() && b.is_nan() => equal += 1,
                (Some(a), Some(b)) if (a - b).abs() <= 0.25f64.max(0.1 * a.max(*b)) && (a - b).is_finite() => near += 1,
                _ => differ += 1,
            }
        }
        let keys = rows((0..count).map(|key| Some(key as i64)).collect(), vec![0; count]);
        let order = random.shuffled(count);
        let legacy = Rows { keys: vec![picked(&keys.keys[0], &order)], time: picked(&keys.time, &order) };
        let mut feature = pair("x", floats(ours), picked(&floats(theirs), &order));
        feature.tolerance = tolerance;
        feature.covered = Some(covered.into());
        let found = compare(&keys, &legacy, vec![feature]);
        let feature = &found.snapshot.features[0];
        assert_eq!((feature.equal, feature.within_tolerance, feature.mismatched), (equal, near, differ));
        assert_eq!(feature.compared, equal + near + differ);
        let by_time: u64 = feature.by_time.iter().map(|bucket| bucket.mismatched).sum();
        assert_eq!((by_time, found.mismatches.rows() as u64), (differ, differ));
    }
}

#[test]
fn the_order_of_the_snapshot_changes_nothing() {
    let mut random = Seeded::new(3);
    let count = 60;
    let labels = rows((0..count).map(|_| Some(random.below(8) as i64)).collect(), vec![0; count]);
    let legacy = rows((0..count).map(|_| Some(random.below(8) as i64)).collect(), vec![0; count]);
    let x = ints((0..count).map(|_| Some(random.below(4) as i64)).collect());
    let y = ints((0..count).map(|_| Some(random.below(4) as i64)).collect());
    let whole = compare(&labels, &legacy, vec![pair("x", Arc::clone(&x), Arc::clone(&y))]).snapshot;
    assert!(whole.features[0].mismatched > 0 && whole.only_in_labels > 0);
    for _ in 0..10 {
        let order = random.shuffled(count);
        let legacy = Rows { keys: vec![picked(&legacy.keys[0], &order)], time: picked(&legacy.time, &order) };
        assert_eq!(compare(&labels, &legacy, vec![pair("x", Arc::clone(&x), picked(&y, &order))]).snapshot, whole);
    }
}

#[test]
fn rows_that_were_matched_need_no_second_match() {
    let mut random = Seeded::new(4);
    let mut differing = 0;
    for _ in 0..20 {
        let count = 1 + random.below(60) as usize;
        let mut numbers = |bound: u64| (0..count).map(|_| Some(random.below(bound) as i64)).collect::<Vec<_>>();
        let (labels, legacy) = (rows(numbers(12), vec![0; count]), rows(numbers(12), vec![0; count]));
        let (x, y) = (ints(numbers(3)), ints(numbers(3)));
        let feature = |x: ArrayRef, y: ArrayRef, covered: BooleanArray| {
            vec![FeaturePair { covered: Some(covered), ..pair("x", x, y) }]
        };
        let covered: BooleanArray = (0..count).map(|_| Some(random.below(5) > 0)).collect();
        let whole = compare(&labels, &legacy, feature(Arc::clone(&x), Arc::clone(&y), covered.clone())).mismatches;
        let (ours, theirs): (Vec<usize>, Vec<usize>) = whole.matched().unzip();
        let side =
            |side: &Rows, of: &[usize]| Rows { keys: vec![picked(&side.keys[0], of)], time: picked(&side.time, of) };
        let schema = Schema::empty();
        let covered = ours.iter().map(|row| Some(covered.value(*row))).collect();
        let gathered = cells(&DiffInput {
            snapshot: "march",
            key_names: &["k0".to_string()],
            labels: &side(&labels, &ours),
            legacy: &side(&legacy, &theirs),
            features: feature(picked(&x, &ours), picked(&y, &theirs), covered),
            schemas: SchemaPair { dataset: &schema, snapshot: &schema, columns: &[] },
            agreement_gate: 0.995,
        });
        let gathered = gathered.unwrap();
        let told = |cells: &Mismatches| {
            let compared = cells.compared(0);
            (compared.mismatched().collect::<Vec<_>>(), compared.agreeing().collect::<Vec<_>>())
        };
        assert_eq!(told(&gathered), told(&whole));
        assert!(gathered.matched().all(|(label, legacy)| label == legacy));
        differing += gathered.rows();
    }
    assert!(differing > 50, "{differing}");
}

#[test]
fn rows_without_coverage_are_not_compared() {
    let labels = rows(vec![Some(1), Some(2), Some(3)], vec![0, 0, 0]);
    let mut feature = pair("x", ints(vec![Some(1), Some(9), Some(9)]), ints(vec![Some(1), Some(2), Some(3)]));
    feature.covered = Some(BooleanArray::from(vec![Some(true), Some(false), None]));
    let found = compare(&labels, &labels, vec![feature]).snapshot;
    assert_eq!((found.features[0].compared, found.features[0].agreement), (1, Some(1.0)));
    assert!(found.features[0].passed);
}

#[test]
fn a_feature_passes_at_the_gate_and_fails_below_it() {
    let labels = rows((0..200).map(Some).collect(), vec![0; 200]);
    let with_wrong = |wrong: i64| {
        let replayed = ints((0..200).map(|row| Some(if row < wrong { -1 } else { row })).collect());
        compare(&labels, &labels, vec![pair("x", replayed, ints((0..200).map(Some).collect()))]).snapshot.passed()
    };
    assert!(with_wrong(1));
    assert!(!with_wrong(2));
}

#[test]
fn types_without_a_common_order_fail_with_a_schema_issue() {
    let labels = rows(vec![Some(1), Some(2)], vec![0, 0]);
    let legacy: ArrayRef = Arc::new(StringArray::from(vec!["1", "2"]));
    let found = compare(&labels, &labels, vec![pair("x", ints(vec![Some(1), Some(2)]), legacy)]).snapshot;
    let feature = &found.features[0];
    assert_eq!((feature.compared, feature.not_comparable, feature.agreement), (0, 2, None));
    assert!(!feature.passed && feature.by_time.is_empty() && feature.delta.is_none());
    assert_eq!((found.schema.len(), found.schema[0].issue), (1, IssueKind::Type));
    assert_eq!(found.schema[0].legacy.as_deref(), Some("Utf8"));
}

#[test]
fn two_sides_with_rows_of_which_none_match_do_not_pass() {
    let (labels, legacy) = (rows(vec![Some(1)], vec![0]), rows(vec![Some(1)], vec![1]));
    let found = compare(&labels, &legacy, vec![pair("x", ints(vec![None]), ints(vec![None]))]).snapshot;
    assert_eq!((found.matched, found.features[0].agreement, found.features[0].passed), (0, None, false));
}

#[test]
fn an_empty_snapshot_holds_nothing_against_a_feature() {
    let (labels, legacy) = (rows(vec![Some(1)], vec![0]), rows(vec![], vec![]));
    let found = compare(&labels, &legacy, vec![pair("x", ints(vec![None]), ints(vec![]))]).snapshot;
    assert_eq!((found.only_in_labels, found.features[0].passed), (1, true));
}

#[test]
fn columns_of_unequal_length_are_refused() {
    let labels = rows(vec![Some(1)], vec![0]);
    let error = try_compare(&labels, &labels, vec![pair("x", ints(vec![]), ints(vec![None]))]).unwrap_err();
    assert!(error.to_string().contains("replayed `view.x` has 0 values for 1 rows"), "{error}");
}
