//! Sums of integers and decimals: wider than any of them can overflow.

use datafusion::arrow::datatypes::{Decimal128Type, Int64Type, UInt64Type, i256};

use crate::exact::{Cell, Total, take};

macro_rules! integer_cell {
    ($(#[$doc:meta])* $name:ident, $arrow:ty, $native:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub struct $name {
            sum: i128,
            count: i64,
        }

        impl Cell for $name {
            type Arrow = $arrow;

            fn add(&mut self, value: $native) {
                self.sum += i128::from(value);
                self.count += 1;
            }

            fn retract(&mut self, value: $native) {
                self.sum -= i128::from(value);
                self.count -= 1;
            }

            fn merge(&mut self, other: &Self) {
                self.sum += other.sum;
                self.count += other.count;
            }

            fn count(&self) -> i64 {
                self.count
            }

            fn total(&self) -> Total {
                Total::Integer(self.sum)
            }

            fn mean(&self) -> Option<f64> {
                (self.count > 0).then(|| ratio(self.sum, self.count))
            }

            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.sum.to_le_bytes());
                out.extend(self.count.to_le_bytes());
            }

            fn read(mut bytes: &[u8]) -> Option<Self> {
                let sum = i128::from_le_bytes(take(&mut bytes)?);
                let count = i64::from_le_bytes(take(&mut bytes)?);
                bytes.is_empty().then_some(Self { sum, count })
            }
        }
    };
}

integer_cell!(
    /// A sum of `Int64`.
    IntegerCell, Int64Type, i64
);
integer_cell!(
    /// A sum of `UInt64`.
    UnsignedCell, UInt64Type, u64
);

/// `sum / count` within 1 ulp: whole part and rest apart, so that no digit is lost above 2^53.
pub fn ratio(sum: i128, count: i64) -> f64 {
    let count = i128::from(count);
    let (whole, rest) = (sum / count, sum % count);
    // A whole part of 2^53 or more leaves the rest below its last digit: one rounding of whole and rest together.
    #[expect(clippy::cast_precision_loss, reason = "rounding to the nearest float is what is wanted")]
    let (whole, rest, count) = (whole as f64, rest as f64, count as f64);
    whole + rest / count
}

/// A sum of `Decimal128`, in units of its scale.
#[derive(Debug, Clone)]
pub struct DecimalCell {
    sum: i256,
    count: i64,
}

impl Default for DecimalCell {
    fn default() -> Self {
        Self { sum: i256::ZERO, count: 0 }
    }
}

impl Cell for DecimalCell {
    type Arrow = Decimal128Type;

    // 2^127 times 2^63 values stay below 2^255: wrapping can't happen.
    fn add(&mut self, value: i128) {
        self.sum = self.sum.wrapping_add(i256::from_i128(value));
        self.count += 1;
    }

    fn retract(&mut self, value: i128) {
        self.sum = self.sum.wrapping_sub(i256::from_i128(value));
        self.count -= 1;
    }

    fn merge(&mut self, other: &Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.count += other.count;
    }

    fn count(&self) -> i64 {
        self.count
    }

    fn total(&self) -> Total {
        self.sum.to_i128().map_or(Total::TooWide, Total::Integer)
    }

    fn mean(&self) -> Option<f64> {
        None
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.sum.to_le_bytes());
        out.extend(self.count.to_le_bytes());
    }

    fn read(mut bytes: &[u8]) -> Option<Self> {
        let sum = i256::from_le_bytes(take(&mut bytes)?);
        let count = i64::from_le_bytes(take(&mut bytes)?);
        bytes.is_empty().then_some(Self { sum, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_large_integers_keeps_its_fraction() {
        let mut cell = IntegerCell::default();
        cell.add((1 << 60) + 1);
        cell.add(-(1 << 60));
        assert_eq!(cell.mean(), Some(0.5));
    }

    #[test]
    fn a_sum_beyond_64_bits_is_not_wrapped() {
        let mut cell = IntegerCell::default();
        cell.add(i64::MAX);
        cell.add(1);
        assert_eq!(cell.total(), Total::Integer(i128::from(i64::MAX) + 1));
        let mut bytes = Vec::new();
        cell.write(&mut bytes);
        assert_eq!(IntegerCell::read(&bytes).unwrap().total(), cell.total());
    }
}
