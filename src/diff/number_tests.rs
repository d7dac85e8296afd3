//! Numbers as numbers.

use super::*;

fn decimal(coefficient: i128, scale: i8) -> Number {
    Number::Decimal(i256::from_i128(coefficient), scale)
}

/// Every two numbers: `equals`, and whether the canonical bytes say the same.
fn equal(a: Number, b: Number) -> bool {
    let floats = matches!(a, Number::Float(_)) || matches!(b, Number::Float(_));
    assert_eq!(a.equals(b), b.equals(a), "{a:?} {b:?}");
    assert_eq!(a.equals(b), a.canonical(floats) == b.canonical(floats), "canonical of {a:?} {b:?}");
    a.equals(b)
}

#[test]
fn integers_beyond_2_to_the_53_are_not_rounded_to_equal_floats() {
    let two_53 = 1i128 << 53;
    assert!(equal(Number::Int(two_53), Number::Float(two_53 as f64)));
    assert!(!equal(Number::Int(two_53 + 1), Number::Float(two_53 as f64)));
    assert!(!equal(Number::Int(i128::from(u64::MAX)), Number::Float(u64::MAX as f64)));
    assert_eq!(Number::Int(two_53 + 1).minus(Number::Float(two_53 as f64)), Some(1.0));
}

#[test]
fn decimals_of_other_scales_are_equal_as_numbers() {
    assert!(equal(decimal(150, 2), decimal(15, 1)));
    assert!(equal(decimal(1500, 2), Number::Int(15)));
    assert!(equal(decimal(15, -2), Number::Int(1500)));
    assert!(!equal(decimal(1501, 2), Number::Int(15)));
    assert!(equal(decimal(0, 38), decimal(0, -10)));
    assert!(!equal(decimal(i128::MAX, -100), decimal(1, 100)));
    assert_eq!(decimal(1501, 2).minus(Number::Int(15)), Some(0.01));
}

#[test]
fn a_decimal_with_a_fraction_equals_its_nearest_float() {
    assert!(equal(decimal(10, 2), Number::Float(0.1)));
    assert!(!equal(decimal(30, 2), Number::Float(0.1 + 0.2)));
    assert!(!equal(decimal(10, 2), Number::Float(f64::from(0.1f32))));
    assert!(equal(decimal(125, 1), Number::Float(12.5)));
}

#[test]
fn a_whole_decimal_equals_only_the_float_that_is_it() {
    let two_53 = 1i128 << 53;
    assert!(equal(decimal(two_53 * 100, 2), Number::Float(two_53 as f64)));
    assert!(!equal(decimal((two_53 + 1) * 100, 2), Number::Float(two_53 as f64)));
    assert!(equal(Number::Decimal(whole(1e75).unwrap(), 0), Number::Float(1e75)));
}

#[test]
fn nan_equals_nan_and_zero_has_no_sign() {
    assert!(equal(Number::Float(f64::NAN), Number::Float(-f64::NAN)));
    assert!(equal(Number::Float(-0.0), Number::Int(0)));
    assert!(equal(Number::Float(-0.0), Number::Float(0.0)));
    assert!(!equal(Number::Float(f64::NAN), Number::Int(0)));
    assert!(!equal(Number::Float(f64::INFINITY), Number::Float(f64::MAX)));
    assert!(equal(Number::Float(f64::INFINITY), Number::Float(f64::INFINITY)));
}

#[test]
fn huge_whole_floats_are_the_integers_that_they_are() {
    for float in [2f64.powi(126), -2f64.powi(200), 1e38, 3.5e60, -2f64.powi(253) * 1.75 / 2.0] {
        assert_eq!(whole(float).map(|whole| whole.to_string().parse()), Some(Ok(float)));
    }
    assert_eq!(whole(2f64.powi(254)), None);
    assert_eq!(whole(0.5), None);
}

#[test]
fn differences_are_exact_before_they_are_rounded() {
    let large = i128::from(u64::MAX);
    assert_eq!(Number::Int(large).minus(Number::Int(large - 1)), Some(1.0));
    assert_eq!(Number::Float(f64::MAX).minus(Number::Float(-f64::MAX)), Some(f64::MAX));
    assert_eq!(Number::Float(f64::INFINITY).minus(Number::Int(1)), None);
    assert_eq!(Number::Float(2.5).minus(Number::Int(1)), Some(1.5));
}

#[test]
fn tolerance_is_the_greater_of_absolute_and_relative() {
    let tolerance = Tolerance { abs: 0.5, rel: 0.1 };
    assert!(within(tolerance, 0.5, 1.0, 1.5));
    assert!(!within(tolerance, 0.6, 1.0, 1.6));
    assert!(within(tolerance, -10.0, 100.0, 90.0));
    assert!(!within(Tolerance::default(), 0.0, 1.0, 1.0));
}

#[test]
fn canonical_bytes_order_as_the_numbers_do() {
    let ascending = [
        Number::Float(f64::NEG_INFINITY),
        Number::Int(-5),
        decimal(-45, 1),
        Number::Float(-0.5),
        Number::Int(0),
        Number::Float(0.25),
        decimal(3, 1),
        Number::Int(7),
        Number::Float(f64::INFINITY),
        Number::Float(f64::NAN),
    ];
    assert!(ascending.windows(2).all(|two| two[0].canonical(true) < two[1].canonical(true)));
}
