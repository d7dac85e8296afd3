//! Changes of the number after the fact: no replay, the same comparison of cells.
//!
//! A change may have more than one reading (which way a half is rounded, multiplied or divided): a value agrees where one of
//! them does.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::{and, cast, is_null, not};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;

use crate::analysis::Feature;
use crate::cause::change::{Change, Layer, Rounding};

/// Units and powers of ten by which a number may be off.
const FACTORS: [f64; 18] = [
    1000.0,
    100.0,
    10.0,
    1e6,
    1e9,
    60.0,
    3600.0,
    86_400.0,
    24.0,
    7.0,
    1440.0,
    1.609_344,
    3.6,
    1.852,
    2.204_622_621_848_775_8,
    0.453_592_37,
    0.3048,
    1024.0,
];

/// By how much, at most, the order of adding changes a sum.
const LAST_BITS: f64 = 1e-12;

/// The readings of `column` under a value change; `found` tells where the view has a row. Empty where it does not apply.
///
/// # Errors
/// Only where Arrow can't choose between two arrays of one type, which is a defect.
pub(super) fn changed(
    change: &Change,
    feature: &Feature,
    column: &ArrayRef,
    found: &BooleanArray,
) -> DfResult<Vec<ArrayRef>> {
    let zero = || ScalarValue::new_zero(column.data_type());
    let null = || ScalarValue::try_from(column.data_type());
    let numeric = column.data_type().is_numeric();
    Ok(match change {
        Change::NullsInRowsAsZero if numeric => {
            vec![zip(&and(&is_null(column)?, found)?, &zero()?.to_scalar()?, column)?]
        }
        Change::NullsAsZero if numeric => vec![zip(&is_null(column)?, &zero()?.to_scalar()?, column)?],
        Change::MissingAsZero if numeric => vec![zip(&not(found)?, &zero()?.to_scalar()?, column)?],
        Change::MissingAsNull if feature.when_missing.is_some() => {
            vec![zip(&not(found)?, &null()?.to_scalar()?, column)?]
        }
        Change::Float32 if column.data_type().is_floating() || column.data_type().is_decimal() => {
            vec![cast(&cast(column, &DataType::Float32)?, &DataType::Float64)?]
        }
        Change::Rounded { digits, mode } if column.data_type().is_floating() || column.data_type().is_decimal() => {
            let values = floats(column)?;
            let all = |by: &dyn Fn(f64) -> f64| -> ArrayRef { Arc::new(values.unary::<_, Float64Type>(by)) };
            let mut readings = match mode {
                Rounding::Nearest => vec![all(&|v| rounded(v, *digits)), all(&|v| to_even(v, *digits))],
                _ => vec![all(&|v| cut(v, *digits, *mode))],
            };
            // Where a sum is within its last bits of where it would be rounded otherwise, another order of adding may have crossed that. Where
            // numbers have no more digits by their nature, they are no sums of others that do.
            let exact = |v: f64| rounded(v, *digits) == v;
            let few = values.iter().flatten().filter(|v| exact(*v)).count() * 2 <= values.len();
            let off = |v: f64, bits: f64| if few || !exact(v) { cut(v * (1.0 + bits), *digits, *mode) } else { v };
            readings.extend([-LAST_BITS, LAST_BITS].map(|bits| all(&|v| off(v, bits))));
            readings
        }
        Change::Scaled { factor } if numeric => {
            let values = floats(column)?;
            let (factor, inverse) = (*factor, 1.0 / *factor);
            let inverse = if inverse.round() != 0.0 && (inverse - inverse.round()).abs() < 1e-9 * inverse.abs() {
                inverse.round()
            } else {
                inverse
            };
            let multiplied: Float64Array = values.unary(|v| v * factor);
            let divided: Float64Array = values.unary(|v| v / inverse);
            let whole: Int64Array = multiplied.unary(|v| v.round() as i64);
            let mut readings: Vec<ArrayRef> = vec![Arc::new(multiplied), Arc::new(divided)];
            // A decimal's product is a decimal, which is the nearest of so few digits.
            if column.data_type().is_decimal() {
                let decimal: Float64Array = readings[0].as_primitive::<Float64Type>().unary(nearest_decimal);
                readings.push(Arc::new(decimal));
            }
            // An integer's unit changes to an integer.
            if column.data_type().is_integer() {
                readings.push(Arc::new(whole));
            }
            readings
        }
        _ => Vec::new(),
    })
}

/// The readings of what a replay gave under the one of these changes that is of the number, if one is.
///
/// # Errors
/// As [`changed`].
pub(super) fn readings(
    changes: &[Change],
    feature: &Feature,
    column: &ArrayRef,
    found: &BooleanArray,
) -> DfResult<Vec<ArrayRef>> {
    match changes.iter().find(|change| change.layer() == Layer::Value) {
        Some(change) => changed(change, feature, column, found),
        None => Ok(vec![Arc::clone(column)]),
    }
}

pub(super) fn floats(column: &ArrayRef) -> DfResult<Float64Array> {
    Ok(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// Halves away from zero.
pub(super) fn rounded(value: f64, digits: i32) -> f64 {
    let power = 10_f64.powi(digits);
    let scaled = (value * power).round() / power;
    if scaled.is_finite() { scaled } else { value }
}

/// The decimal that is next in the direction of the mode.
fn cut(value: f64, digits: i32, mode: Rounding) -> f64 {
    let by = match mode {
        Rounding::Nearest => return rounded(value, digits),
        Rounding::Down => f64::floor,
        Rounding::Up => f64::ceil,
        Rounding::Zero => f64::trunc,
    };
    let power = 10_f64.powi(digits);
    let next = by(value * power) / power;
    if next.is_finite() { next } else { value }
}

/// Whether the change makes another number of any of these, and one that a simpler change does not make; as of [`changed`].
pub(super) fn acts(change: &Change, column: &ArrayRef, found: &BooleanArray) -> bool {
    let missing = || found.has_false();
    match change {
        Change::Rounded { digits, .. } => {
            floats(column).is_ok_and(|values| values.iter().flatten().any(|v| rounded(v, *digits) != v))
        }
        Change::NullsAsZero => column.null_count() > 0,
        Change::MissingAsZero | Change::MissingAsNull => missing(),
        Change::NullsInRowsAsZero => {
            missing() && found.iter().zip(0..).any(|(f, row)| f == Some(true) && column.is_null(row))
        }
        _ => true,
    }
}

/// The nearest decimal; halves to even.
fn to_even(value: f64, digits: i32) -> f64 {
    // Away from a half there is but one nearest decimal.
    let scaled = (value * 10_f64.powi(digits)).abs();
    if digits >= 0 && scaled < 1e9 && (scaled.fract() - 0.5).abs() > 1e-4 {
        return rounded(value, digits);
    }
    match usize::try_from(digits) {
        Ok(digits) if value.is_finite() => format!("{value:.digits$}").parse().unwrap_or(value),
        _ => value,
    }
}

/// The nearest number of 15 digits: all that a double holds for certain.
fn nearest_decimal(value: f64) -> f64 {
    if value.is_finite() { format!("{value:.14e}").parse().unwrap_or(value) } else { value }
}

/// The value changes that the legacy values of the mismatching rows leave possible: `pairs` of (counterfactual, legacy).
pub(super) fn candidates(feature: &Feature, legacy: &ArrayRef, rows: &[usize], mismatched: &[usize]) -> Vec<Change> {
    let mut found = Vec::new();
    if !feature.data_type.is_numeric() {
        if feature.when_missing.is_some() {
            found.push(Change::MissingAsNull);
        }
        return found;
    }
    let Ok(values) = floats(legacy) else { return found };
    let of = |rows: &[usize]| -> Vec<f64> {
        rows.iter().filter(|&&r| values.is_valid(r)).map(|&r| values.value(r)).collect()
    };
    let (all, differing) = (of(rows), of(mismatched));
    if differing.contains(&0.0) {
        found.extend([Change::MissingAsZero, Change::NullsAsZero, Change::NullsInRowsAsZero]);
    }
    if feature.when_missing.is_some() && mismatched.iter().any(|&r| values.is_null(r)) {
        found.push(Change::MissingAsNull);
    }
    if !feature.data_type.is_floating() && !feature.data_type.is_decimal() {
        return found;
    }
    let fractional = |v: &f64| v.is_finite() && v.fract() != 0.0;
    if !differing.is_empty() && all.iter().all(|v| !v.is_finite() || f64::from(*v as f32) == *v) {
        found.push(Change::Float32);
    }
    if !differing.is_empty() {
        // The fewest digits that hold every legacy value; a few more, where all happen to end early.
        let fits = |digits: i32, v: &f64| {
            let nearest = rounded(*v, digits);
            (nearest - v).abs() <= v.abs() * 1e-12 || f64::from(nearest as f32) == *v || to_even(*v, digits) == *v
        };
        let fewest = (0..=8).find(|d| all.iter().filter(|v| v.is_finite()).all(|v| fits(*d, v)));
        if let Some(fewest) = fewest.filter(|d| *d > 0 || differing.iter().any(|v| !fractional(v))) {
            let mode = |mode| Change::Rounded { digits: fewest, mode };
            found.extend([Rounding::Nearest, Rounding::Down, Rounding::Up].map(mode));
            // Of numbers that are not negative that is down.
            if all.iter().any(|v| *v <= 0.0) {
                found.push(mode(Rounding::Zero));
            }
        }
    }
    found
}

/// The factor by which most legacy values are off: a known one where it fits, else the ratio itself, where it is that of different values.
pub(super) fn factor(values: &[(f64, f64)]) -> Option<f64> {
    let usable = values
        .iter()
        .filter(|(value, legacy)| value.is_finite() && legacy.is_finite() && *value != 0.0 && *legacy != 0.0);
    let mut ratios: Vec<(f64, f64)> = usable.map(|(value, legacy)| (legacy / value, *legacy)).collect();
    if ratios.len() < 3 {
        return None;
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (median, first) = ratios[ratios.len() / 2];
    // An integer's unit is rounded: a ratio of small numbers is a rough one, a known factor may still be meant.
    let near = |a: f64, b: f64, slack: f64| (a - b).abs() <= slack * b.abs();
    let constant = || ratios.iter().filter(|(ratio, _)| near(*ratio, median, 1e-6));
    if near(median, 1.0, 1e-6) || constant().count() * 10 < ratios.len() * 7 {
        return None;
    }
    let known = FACTORS.iter().flat_map(|f| [*f, 1.0 / f]).flat_map(|f| [f, -f]).chain([-1.0]);
    let several = constant().any(|(_, legacy)| !near(*legacy, first, 1e-6));
    known.into_iter().find(|k| near(median, *k, 1e-6)).or(several.then_some(median))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_factor_is_taken_for_the_ratio() {
        let off =
            |by: f64| -> Vec<(f64, f64)> { (1..20).map(|i| (f64::from(i) * 0.7, f64::from(i) * 0.7 * by)).collect() };
        assert_eq!(factor(&off(60.0)), Some(60.0));
        assert_eq!(factor(&off(0.001)), Some(1.0 / 1000.0));
        assert_eq!(factor(&off(1.0)), None);
        assert_eq!(factor(&off(-1.0)), Some(-1.0));
        let fitted = factor(&off(1.2345)).unwrap();
        assert!((fitted - 1.2345).abs() < 1e-9);
        // One value may be another by any factor.
        assert_eq!((factor(&[(4.0, 1.0); 9]), factor(&[(60.0, 1.0); 9])), (None, Some(1.0 / 60.0)));
    }

    #[test]
    fn ratios_without_a_rule_are_no_factor() {
        let pairs: Vec<(f64, f64)> = (1..50).map(|i| (f64::from(i), f64::from(i * i % 17 + 1))).collect();
        assert_eq!(factor(&pairs), None);
    }

    #[test]
    fn numbers_are_cut_in_one_direction() {
        assert_eq!([1.29, -1.21].map(|v| cut(v, 1, Rounding::Down)), [1.2, -1.3]);
        assert_eq!([1.21, -1.29].map(|v| cut(v, 1, Rounding::Up)), [1.3, -1.2]);
        assert_eq!([1.29, -1.29].map(|v| cut(v, 1, Rounding::Zero)), [1.2, -1.2]);
        let column = |values: [f64; 2]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
        let down = Change::Rounded { digits: 1, mode: Rounding::Down };
        let all = BooleanArray::from(vec![true, true]);
        assert!(acts(&down, &column([0.5, 0.25]), &all) && !acts(&down, &column([0.5, 3.0]), &all));
        let some = BooleanArray::from(vec![true, false]);
        let nulls: ArrayRef = Arc::new(Float64Array::from(vec![None, None]));
        assert!(acts(&Change::NullsInRowsAsZero, &nulls, &some) && !acts(&Change::NullsInRowsAsZero, &nulls, &all));
        assert!(acts(&Change::MissingAsZero, &nulls, &some) && !acts(&Change::MissingAsZero, &nulls, &all));
    }

    #[test]
    fn halves_are_rounded_both_ways() {
        assert_eq!((rounded(0.125, 2), to_even(0.125, 2)), (0.13, 0.12));
        assert_eq!(rounded(-2.5, 0), -3.0);
        let written = |v: f64, digits: usize| format!("{v:.digits$}").parse::<f64>().unwrap();
        for i in 1..20_000 {
            let value = f64::from(i) * 0.000_37 + 1.0 / f64::from(i);
            assert_eq!(to_even(value, 3), written(value, 3), "{value}");
        }
    }
}
