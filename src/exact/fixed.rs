//! Exact float sums in fixed point: integers of one common unit, so that adding and taking out costs one instruction.
//!
//! A [`Scale`] takes the values whose digits lie between its unit and 2^93 units: with 2^33 of them a sum stays below 2^127.
//! Others go to a [`FloatCell`] beside it. The total is the same to the bit, whichever way a value took.

use crate::exact::{Cell, FloatCell, Total};

/// The unit of fixed-point sums: 2^`exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    exponent: i32,
}

/// Bits of a value above the unit.
const WIDTH: i32 = 93;
/// Totals from 2^-900 to 2^900 are normal floats, so that scaling them is exact.
const EXPONENTS: (i32, i32) = (-900, 700);

impl Scale {
    /// A unit that suits values like these: as much room above the largest as below the smallest digit.
    pub fn suiting(values: impl IntoIterator<Item = f64>) -> Self {
        let mut span: Option<(i32, i32)> = None;
        for value in values {
            if let Some((digits, exponent)) = parts(value).filter(|(digits, _)| *digits != 0) {
                let low = exponent + digits.unsigned_abs().trailing_zeros().cast_signed();
                let high = exponent + 64 - digits.unsigned_abs().leading_zeros().cast_signed();
                let (l, h) = span.unwrap_or((low, high));
                span = Some((l.min(low), h.max(high)));
            }
        }
        let (low, high) = span.unwrap_or((-52, 1));
        let room = (WIDTH - (high - low)).max(0) / 2;
        Self { exponent: (low - room).clamp(EXPONENTS.0, EXPONENTS.1) }
    }

    /// The value in units; `None` where it does not fit.
    pub fn units(self, value: f64) -> Option<i128> {
        let (digits, exponent) = parts(value)?;
        let shift = exponent - self.exponent;
        if shift >= 0 {
            (shift <= WIDTH - 53).then(|| i128::from(digits) << shift)
        } else {
            let fits = digits == 0 || digits.trailing_zeros().cast_signed() >= -shift;
            fits.then(|| if digits == 0 { 0 } else { i128::from(digits >> -shift) })
        }
    }

    /// The float nearest to `units`, ties to even.
    pub fn float(self, units: i128) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "the one rounding")]
        let rounded = units as f64;
        rounded * power_of_two(self.exponent)
    }

    /// Adds `units` to a sum of floats, exactly. The sum's count does not change.
    pub fn add_to(self, cell: &mut FloatCell, units: i128) {
        const DIGITS: u32 = 43;
        let sign = if units < 0 { -1.0 } else { 1.0 };
        let mut rest = units.unsigned_abs();
        let mut exponent = self.exponent;
        while rest != 0 {
            let low = rest & ((1 << DIGITS) - 1);
            #[expect(clippy::cast_precision_loss, reason = "43 bits fit a float")]
            cell.put_part(sign * low as f64 * power_of_two(exponent));
            rest >>= DIGITS;
            exponent += DIGITS.cast_signed();
        }
    }

    /// The total of fixed-point units and what did not fit them.
    pub fn total(self, units: i128, others: Option<&FloatCell>) -> f64 {
        let Some(others) = others else { return self.float(units) };
        let mut cell = others.clone();
        self.add_to(&mut cell, units);
        match cell.total() {
            Total::Float(total) => total,
            _ => f64::NAN,
        }
    }

    /// The total divided by `count`, which counts the others too; as [`FloatCell`] does it.
    pub fn mean(self, units: i128, others: Option<&FloatCell>, count: i64) -> f64 {
        match others {
            None => {
                #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
                let count = count as f64;
                self.float(units) / count
            }
            Some(others) => {
                let mut cell = others.clone();
                self.add_to(&mut cell, units);
                cell.mean_of(count)
            }
        }
    }
}

/// A finite value as `digits * 2^exponent`.
fn parts(value: f64) -> Option<(i64, i32)> {
    if !value.is_finite() {
        return None;
    }
    let bits = value.to_bits();
    let biased = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    let fraction = (bits & ((1 << 52) - 1)).cast_signed();
    let (digits, exponent) = if biased == 0 { (fraction, -1074) } else { (fraction | (1 << 52), biased - 1075) };
    Some((if bits >> 63 == 1 { -digits } else { digits }, exponent))
}

fn power_of_two(exponent: i32) -> f64 {
    2.0_f64.powi(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(values: &[f64]) -> (f64, f64, f64, f64) {
        let scale = Scale::suiting(values.iter().take(3).copied());
        let (mut units, mut others, mut plain) = (0_i128, None::<FloatCell>, FloatCell::default());
        for &value in values {
            plain.add(value);
            match scale.units(value) {
                Some(n) => units += n,
                None => others.get_or_insert_default().add(value),
            }
        }
        let count = plain.count();
        let Total::Float(total) = plain.total() else { panic!("no float") };
        (scale.total(units, others.as_ref()), total, scale.mean(units, others.as_ref(), count), plain.mean().unwrap())
    }

    #[test]
    fn fixed_point_and_expansions_give_the_same_bits() {
        let mut seed = 11_u64;
        let mut next = |spread: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let exponent = 1023 - spread / 2 + (seed >> 33) % (spread + 1);
            f64::from_bits((seed & (1 << 63)) | (exponent << 52) | (seed >> 12))
        };
        for spread in [0, 3, 40, 60, 120, 600, 1900] {
            for length in [1, 2, 5, 300] {
                let values: Vec<f64> = (0..length).map(|_| next(spread)).collect();
                let (total, wanted, mean, wanted_mean) = sums(&values);
                assert_eq!(total.to_bits(), wanted.to_bits(), "spread {spread}, {length} values");
                assert_eq!(mean.to_bits(), wanted_mean.to_bits(), "spread {spread}, {length} values");
            }
        }
    }

    #[test]
    fn zeros_subnormals_and_specials_are_the_same_too() {
        for values in [
            &[0.0, -0.0][..],
            &[-0.0],
            &[5e-324, 1.0],
            &[5e-324],
            &[1e-310, 2e-310, -1e-310],
            &[1e308, 1e308, -1e308],
            &[1.0, f64::NAN],
            &[f64::INFINITY, 1.0],
            &[f64::INFINITY, f64::NEG_INFINITY],
            &[0.1, 0.2, 0.3, -0.6],
            &[1e17, 1.0, -1e17],
        ] {
            let (total, wanted, mean, wanted_mean) = sums(values);
            assert!(total.to_bits() == wanted.to_bits() || total.is_nan() && wanted.is_nan(), "{values:?}");
            assert!(mean.to_bits() == wanted_mean.to_bits() || mean.is_nan() && wanted_mean.is_nan(), "{values:?}");
        }
    }
}
