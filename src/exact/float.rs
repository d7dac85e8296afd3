//! Exact sums of floats.

use datafusion::arrow::datatypes::Float64Type;

use crate::exact::{Cell, Total, take};

/// From this magnitude on values are kept apart, scaled down, so that no partial sum can overflow.
const BIG: f64 = f64::from_bits((1023 + 500) << 52);
/// What big values are multiplied by: 2^-600. Exact, as they stay far from the subnormals.
const SHRINK: f64 = f64::from_bits((1023 - 600) << 52);
/// 2^600.
const GROW: f64 = f64::from_bits((1023 + 600) << 52);

/// A sum of `Float64` values.
///
/// The exact value is `sum(small) + 2^600 * sum(big)`. NaN and infinities are counted, not added: they govern the result
/// only while they are held.
#[derive(Debug, Clone, Default)]
pub struct FloatCell {
    small: Vec<f64>,
    big: Vec<f64>,
    nan: i64,
    positive: i64,
    negative: i64,
    count: i64,
}

impl FloatCell {
    fn put(&mut self, value: f64, times: i64) {
        self.count += times;
        if value.is_nan() {
            self.nan += times;
        } else if value.is_infinite() {
            *(if value > 0.0 { &mut self.positive } else { &mut self.negative }) += times;
        } else {
            // Subtracting is adding the negative, exactly: nothing stays behind.
            self.put_finite(if times > 0 { value } else { -value });
        }
    }

    /// Adds a part of a value that is counted elsewhere.
    pub(super) fn put_part(&mut self, part: f64) {
        self.put_finite(part);
    }

    /// The total divided by `count`.
    pub(super) fn mean_of(&self, count: i64) -> f64 {
        let (value, scale) = self.finite();
        #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
        let count = count as f64;
        self.special().unwrap_or(value / count * scale)
    }

    fn put_finite(&mut self, value: f64) {
        if value.abs() < BIG { grow(&mut self.small, value) } else { grow(&mut self.big, value * SHRINK) }
    }

    fn special(&self) -> Option<f64> {
        match (self.nan > 0, self.positive > 0, self.negative > 0) {
            (true, _, _) | (_, true, true) => Some(f64::NAN),
            (_, true, _) => Some(f64::INFINITY),
            (_, _, true) => Some(f64::NEG_INFINITY),
            _ => None,
        }
    }

    /// The sum of the finite values as `value * scale`: rounded once.
    fn finite(&self) -> (f64, f64) {
        if self.big.is_empty() {
            return (rounded(&self.small), 1.0);
        }
        // What is left of the big values is a multiple of 2^448: the small ones, shrunk, lose only digits far below.
        let mut parts = self.big.clone();
        for &small in &self.small {
            grow(&mut parts, small * SHRINK);
        }
        (rounded(&parts), GROW)
    }
}

impl Cell for FloatCell {
    type Arrow = Float64Type;

    fn add(&mut self, value: f64) {
        self.put(value, 1);
    }

    fn retract(&mut self, value: f64) {
        self.put(value, -1);
    }

    fn merge(&mut self, other: &Self) {
        other.small.iter().for_each(|&part| grow(&mut self.small, part));
        other.big.iter().for_each(|&part| grow(&mut self.big, part));
        self.nan += other.nan;
        self.positive += other.positive;
        self.negative += other.negative;
        self.count += other.count;
    }

    fn count(&self) -> i64 {
        self.count
    }

    fn total(&self) -> Total {
        let (value, scale) = self.finite();
        Total::Float(self.special().unwrap_or(value * scale))
    }

    fn mean(&self) -> Option<f64> {
        (self.count != 0).then(|| self.mean_of(self.count))
    }

    fn write(&self, out: &mut Vec<u8>) {
        for number in [self.count, self.nan, self.positive, self.negative, self.small.len() as i64] {
            out.extend(number.to_le_bytes());
        }
        for part in self.small.iter().chain(&self.big) {
            out.extend(part.to_le_bytes());
        }
    }

    fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut number = || take(&mut bytes).map(i64::from_le_bytes);
        let (count, nan, positive, negative) = (number()?, number()?, number()?, number()?);
        let small = usize::try_from(number()?).ok()?;
        let parts: Vec<f64> =
            bytes.chunks(8).map(|c| c.try_into().map(f64::from_le_bytes)).collect::<Result<_, _>>().ok()?;
        let (small, big) = parts.split_at_checked(small)?;
        Some(Self { small: small.to_vec(), big: big.to_vec(), nan, positive, negative, count })
    }
}

/// Adds a value to an expansion: its parts do not overlap, smallest first, none is zero.
fn grow(parts: &mut Vec<f64>, mut value: f64) {
    let mut kept = 0;
    for i in 0..parts.len() {
        let part = parts[i];
        let sum = value + part;
        let (large, little) = if value.abs() < part.abs() { (part, value) } else { (value, part) };
        let error = little - (sum - large);
        if error != 0.0 {
            parts[kept] = error;
            kept += 1;
        }
        value = sum;
    }
    parts.truncate(kept);
    if value != 0.0 {
        parts.push(value);
    }
}

/// The sum of the parts, rounded to nearest, ties to even.
fn rounded(parts: &[f64]) -> f64 {
    let Some((&top, mut rest)) = parts.split_last() else { return 0.0 };
    let mut high = top;
    let mut low = 0.0;
    while let Some((&part, below)) = rest.split_last() {
        let sum = high + part;
        low = part - (sum - high);
        (high, rest) = (sum, below);
        if low != 0.0 {
            break;
        }
    }
    // Exactly between two floats: the parts below decide.
    if let Some(&below) = rest.last()
        && ((low < 0.0 && below < 0.0) || (low > 0.0 && below > 0.0))
    {
        let doubled = low * 2.0;
        let moved = high + doubled;
        if doubled == moved - high {
            high = moved;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut cell = FloatCell::default();
        values.iter().for_each(|&v| cell.add(v));
        match cell.total() {
            Total::Float(total) => total,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn small_values_survive_large_ones() {
        assert_eq!(sum(&[1e17, 1.0, -1e17]), 1.0);
        assert_eq!(sum(&[1e100, 1.0, -1e100, 1e-100]), 1.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
    }

    #[test]
    fn sums_near_the_largest_float_do_not_overflow_on_the_way() {
        assert_eq!(sum(&[1e308, 1e308, -1e308]), 1e308);
        assert_eq!(sum(&[1e308, 1e308]), f64::INFINITY);
        let mut cell = FloatCell::default();
        cell.add(1e308);
        cell.add(1e308);
        assert_eq!(cell.mean(), Some(1e308));
        assert_eq!(sum(&[1e300, 3.0, -1e300]), 3.0);
    }

    #[test]
    fn what_left_leaves_no_trace() {
        let mut cell = FloatCell::default();
        for v in [1e17, 0.3, f64::NAN, f64::INFINITY] {
            cell.add(v);
        }
        for v in [f64::NAN, 1e17, f64::INFINITY] {
            cell.retract(v);
        }
        assert_eq!((cell.total(), cell.count()), (Total::Float(0.3), 1));
    }

    #[test]
    fn any_order_and_any_grouping_gives_the_same_bits() {
        let mut seed = 7_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let exponent = 900 + (seed >> 40) % 250;
            f64::from_bits((seed & (1 << 63)) | (exponent << 52) | (seed & ((1 << 52) - 1)))
        };
        let values: Vec<f64> = (0..500).map(|_| next()).collect();
        let mut reversed = values.clone();
        reversed.reverse();
        let (left, right) = values.split_at(123);
        let mut merged = FloatCell::default();
        for half in [right, left] {
            let mut cell = FloatCell::default();
            half.iter().for_each(|&v| cell.add(v));
            let mut bytes = Vec::new();
            cell.write(&mut bytes);
            merged.merge(&FloatCell::read(&bytes).unwrap());
        }
        assert_eq!(sum(&values).to_bits(), sum(&reversed).to_bits());
        assert_eq!(Total::Float(sum(&values)), merged.total());
    }
}
