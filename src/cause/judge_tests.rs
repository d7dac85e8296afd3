//! What holds and what is chance.

use super::*;
use crate::cause::change::Change;

/// A small seeded generator.
struct Lot(u64);

impl Lot {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

fn numbers(mismatched: bool, x: f64, y: f64) -> Row {
    Row { seat: 0, mismatched, informs: x != 0.0, agrees: x == y, x: Some(x), y: Some(y), void: false }
}

fn judged(rows: &[Row]) -> Judgement {
    judge(rows, 0.0, &Values { fits: &|i, j| rows[i].x == rows[j].y, has: None, replayed: true })
}

#[test]
fn a_change_that_explains_all_and_breaks_nothing_holds() {
    let mut rows = vec![numbers(true, 1.0, 1.0); 3];
    rows.extend(vec![numbers(false, 0.0, 0.0); 100]);
    let found = judged(&rows);
    assert_eq!((found.explained, found.broken), (3, 0));
    assert!(found.holds(200, 1), "{found:?}");
}

#[test]
fn one_row_alone_proves_nothing_among_many_hypotheses() {
    let mut rows = vec![numbers(true, 1.0, 1.0)];
    rows.extend(vec![numbers(false, 0.0, 0.0); 64]);
    assert!(!judged(&rows).holds(200, 1));
}

#[test]
fn noise_is_not_explained_by_what_moves_every_second_row() {
    let mut lot = Lot(7);
    for _ in 0..200 {
        let rows: Vec<Row> = (0..128)
            .map(|i| {
                let x = if lot.below(2) == 0 { 1.0 } else { 0.0 };
                let y = if i % 2 == 0 { [1.0, -1.0][lot.below(2) as usize] } else { 0.0 };
                numbers(i % 2 == 0, x, y)
            })
            .collect();
        let found = judged(&rows);
        assert!(!found.holds(1, 1), "{found:?}");
    }
}

#[test]
fn noise_where_the_cause_acts_most_is_chance_all_the_same() {
    // Large counts are hit by noise, and by the change: in the agreeing rows neither does anything.
    let mut lot = Lot(11);
    let mut rows: Vec<Row> = (0..64)
        .map(|_| numbers(true, [1.0, 2.0, 3.0][lot.below(3) as usize], [1.0, 2.0, 3.0][lot.below(3) as usize]))
        .collect();
    rows.extend(vec![numbers(false, 0.0, 0.0); 64]);
    assert!(!judged(&rows).holds(1, 1));
}

#[test]
fn a_refresh_that_failed_for_some_rows_holds_though_it_breaks_the_others() {
    let mut lot = Lot(3);
    let mut rows: Vec<Row> = (0..12).map(|i| numbers(true, f64::from(i % 5 + 1), f64::from(i % 5 + 1))).collect();
    rows.extend(
        (0..500).map(|_| numbers(false, [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 7.0, 9.0][lot.below(8) as usize], 0.0)),
    );
    let found = judged(&rows);
    assert!(found.breaks() > 0.8 && found.holds(200, 1), "{found:?}");
}

#[test]
fn where_all_rows_differ_alike_nothing_tells_a_cause_from_a_constant() {
    let alike = vec![numbers(true, 1.0, 1.0); 100];
    assert!(!judged(&alike).holds(1, 1));
    let mixed: Vec<Row> = (0..100).map(|i| numbers(true, f64::from(i % 5 + 1), f64::from(i % 5 + 1))).collect();
    assert!(judged(&mixed).holds(500, 1));
}

#[test]
fn values_that_are_no_numbers_are_held_against_the_values_of_other_rows() {
    // Texts: the cause gives the legacy value, which is another in each row.
    let row =
        |mismatched| Row { seat: 0, mismatched, informs: mismatched, agrees: true, x: None, y: None, void: false };
    let mut rows = vec![row(true); 10];
    rows.extend(vec![row(false); 50]);
    assert!(judge(&rows, 0.0, &Values { fits: &|i, j| i == j, has: None, replayed: true }).holds(200, 1));
    // All legacy values are the same, and so are the cause's: NULL, say. Agreeing rows tell that this is no chance.
    assert!(judge(&rows, 0.0, &Values { fits: &|_, _| true, has: None, replayed: true }).holds(200, 1));
}

/// Rows of a feature by their replayed, legacy and counterfactual values, held against values.
fn judged_by_values(values: &[(f64, f64, f64)]) -> Judgement {
    let row = |(replayed, legacy, other): &(f64, f64, f64)| {
        let mut row = numbers(replayed != legacy, other - replayed, legacy - replayed);
        row.informs |= row.mismatched && row.agrees;
        row
    };
    let rows: Vec<Row> = values.iter().map(row).collect();
    let fits = |i: usize, j: usize| values[i].2 == values[j].1;
    let has = |i: usize, j: usize| values[i].0 == values[j].1;
    judge(&rows, 0.0, &Values { fits: &fits, has: Some(&has), replayed: true })
}

#[test]
fn what_empties_a_feature_that_is_hardly_ever_anything_explains_no_permutation() {
    let mut lot = Lot(5);
    let mut rare = |_: usize| if lot.below(16) == 0 { 1.0 + lot.below(3) as f64 } else { 0.0 };
    let replayed: Vec<f64> = (0..1200).map(&mut rare).collect();
    let elsewhere: Vec<f64> = (0..1200).map(&mut rare).collect();
    // Of each value as many as there were, at other rows.
    let moved: Vec<f64> = (0..1200).map(|row| replayed[(row * 7 + 5) % 1200]).collect();
    let rows = |legacy: &[f64], other: &dyn Fn(usize) -> f64| -> Vec<(f64, f64, f64)> {
        (0..1200).map(|row| (replayed[row], legacy[row], other(row))).collect()
    };
    let empty = judged_by_values(&rows(&moved, &|_| 0.0));
    assert!(empty.explains() > 0.4 && empty.breaks() < 0.01 && empty.chance > 0.4, "{empty:?}");
    assert!(!empty.holds(1, 1), "{empty:?}");
    let other = judged_by_values(&rows(&moved, &|row| elsewhere[row]));
    assert!(other.explains() > 0.3 && !other.holds(1, 1), "{other:?}");
    // Where the values are those of the other meaning, or what is gone is what it takes away, it is a cause all the same.
    let right = judged_by_values(&rows(&elsewhere, &|row| elsewhere[row]));
    assert!(right.explains() == 1.0 && right.holds(1000, 1), "{right:?}");
    let late: Vec<f64> = (0..1200).map(|row| if row % 3 == 0 { 0.0 } else { replayed[row] }).collect();
    let gone = judged_by_values(&rows(&late, &|row| late[row]));
    assert!(gone.explains() == 1.0 && gone.holds(1000, 1), "{gone:?}");
}

#[test]
fn a_null_that_no_number_could_change_does_not_speak_for_a_cause() {
    let void = Row { void: true, ..Row::default() };
    let mut lot = Lot(13);
    // All values are off by one; the cause makes that change in every third row.
    let mut rows: Vec<Row> = (0..300).map(|_| numbers(true, if lot.below(3) == 0 { 1.0 } else { 0.0 }, 1.0)).collect();
    rows.extend(vec![void; 60]);
    assert!(!judged(&rows).holds(1, 1), "{:?}", judged(&rows));
    // What fails on most of the numbers that it changes is no change of numbers, though a replay might be right about so many.
    let mut rows: Vec<Row> =
        (1..=60).map(|i| numbers(true, f64::from(i), f64::from(i) + if i % 4 == 0 { 0.0 } else { 0.5 })).collect();
    rows.extend(vec![numbers(false, 0.0, 0.0); 60]);
    let of_numbers =
        |rows: &[Row]| judge(rows, 0.0, &Values { fits: &|i, j| rows[i].x == rows[j].y, has: None, replayed: false });
    assert!(judged(&rows).holds(1, 1), "{:?}", judged(&rows));
    assert!(!of_numbers(&rows).holds(1, 1));
}

#[test]
fn the_tail_is_exact_where_all_are_explained() {
    assert!((log_tail(3, 3, 0.1) - 3.0 * 0.1_f64.ln()).abs() < 1e-12);
    assert_eq!(log_tail(1, 10, 0.1), 0.0);
}

#[test]
fn every_cause_of_the_config_has_a_change_of_that_name() {
    use crate::cause::change::{Ahead, Rounding, Shift};
    let changes = [
        Change::WindowStart { inclusive: true },
        Change::WindowStart { inclusive: false },
        Change::LabelTime { included: false },
        Change::LabelTime { included: true },
        Change::WindowLength { window: None, step: 0, lengths: vec![] },
        Change::Tiled { tile: 1, inclusive: false },
        Change::Timezone { shift: Shift::Minutes(60) },
        Change::Stale { period: 1, lag: 0, at: 0 },
        Change::FutureLeak { horizon: None, ahead: Ahead::Arrives },
        Change::LateVisible,
        Change::LateDropped { limit: 0 },
        Change::DuplicatesCounted,
        Change::DuplicatesRemoved,
        Change::NullsAsZero,
        Change::MissingAsZero,
        Change::MissingAsNull,
        Change::Truncated { first: 0 },
        Change::Float32,
        Change::Rounded { digits: 2, mode: Rounding::Nearest },
        Change::Scaled { factor: 2.0 },
    ];
    assert_eq!(changes.iter().map(Change::name).collect::<Vec<_>>(), crate::config::CAUSES);
}
