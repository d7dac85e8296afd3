//! Numbers of any two types, compared as the numbers that they are.
//!
//! * Integers and decimals of any width and scale: exactly.
//! * Float against float: as f64 (a float32 is widened, so it differs from the f64 that it was narrowed from). NaN
//!   equals NaN, and 0.0 equals -0.0.
//! * Integer against float: exactly; 2^53 + 1 is not the float 2^53.
//! * Decimal against float: a whole decimal exactly; one with a fraction equals the float nearest to it, for no float
//!   holds 0.1 and what a decimal column became in a float column is its nearest float.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Float64Array, Int64Array, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Float64Type, Int64Type, UInt64Type, i256,
};
use datafusion::arrow::error::ArrowError;

use super::Tolerance;

/// Integers below this in magnitude have an f64 each.
pub(super) const EXACT_IN_F64: i128 = 1 << 53;

/// One number that is not NULL.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Int(i128),
    /// `coefficient * 10^-scale`.
    Decimal(i256, i8),
    Float(f64),
}

/// A column of numbers, widened to one of few types without loss.
#[derive(Debug, Clone)]
pub(super) enum Numbers {
    I64(Int64Array),
    U64(UInt64Array),
    F64(Float64Array),
    D128(Decimal128Array, i8),
    D256(Decimal256Array, i8),
}

impl Numbers {
    /// `None` where the column does not hold numbers.
    pub(super) fn of(array: &ArrayRef) -> Result<Option<Self>, ArrowError> {
        use DataType::{
            Decimal32, Decimal64, Decimal128, Decimal256, Float16, Float32, Float64, Int8, Int16, Int32, Int64, UInt8,
            UInt16, UInt32, UInt64,
        };
        let numbers = match array.data_type() {
            Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 => {
                Self::I64(cast(array, &Int64)?.as_primitive::<Int64Type>().clone())
            }
            UInt64 => Self::U64(array.as_primitive::<UInt64Type>().clone()),
            Float16 | Float32 | Float64 => Self::F64(cast(array, &Float64)?.as_primitive::<Float64Type>().clone()),
            Decimal32(_, scale) | Decimal64(_, scale) => {
                let wide = cast(array, &Decimal128(DECIMAL128_MAX_PRECISION, *scale))?;
                Self::D128(wide.as_primitive::<Decimal128Type>().clone(), *scale)
            }
            Decimal128(_, scale) => Self::D128(array.as_primitive::<Decimal128Type>().clone(), *scale),
            Decimal256(_, scale) => Self::D256(array.as_primitive::<Decimal256Type>().clone(), *scale),
            _ => return Ok(None),
        };
        Ok(Some(numbers))
    }

    /// The number in a row; without meaning where it is NULL.
    pub(super) fn at(&self, row: usize) -> Number {
        match self {
            Self::I64(values) => Number::Int(values.value(row).into()),
            Self::U64(values) => Number::Int(values.value(row).into()),
            Self::F64(values) => Number::Float(values.value(row)),
            Self::D128(values, scale) => Number::Decimal(i256::from_i128(values.value(row)), *scale),
            Self::D256(values, scale) => Number::Decimal(values.value(row), *scale),
        }
    }

    /// Floats and decimals have tolerance, integers have not.
    pub(super) fn has_tolerance(&self) -> bool {
        !matches!(self, Self::I64(_) | Self::U64(_))
    }
}

impl Number {
    pub(super) fn equals(self, other: Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => floats_equal(a, b),
            (Self::Int(int), Self::Float(float)) | (Self::Float(float), Self::Int(int)) => {
                whole(float).is_some_and(|whole| whole == i256::from_i128(int))
            }
            (Self::Decimal(a, a_scale), Self::Decimal(b, b_scale)) => decimals_equal(a, a_scale, b, b_scale),
            (Self::Decimal(a, scale), Self::Int(b)) | (Self::Int(b), Self::Decimal(a, scale)) => {
                decimals_equal(a, scale, i256::from_i128(b), 0)
            }
            (Self::Decimal(a, scale), Self::Float(float)) | (Self::Float(float), Self::Decimal(a, scale)) => {
                if trimmed(a, scale).1 > 0 {
                    float == decimal_to_f64(a, scale)
                } else {
                    whole(float).is_some_and(|whole| decimals_equal(a, scale, whole, 0))
                }
            }
        }
    }

    /// `self - other`, exact before it is rounded to an f64 wherever neither is a float with a fraction. `None` where
    /// either is not finite; a difference beyond the range of f64 is its greatest value.
    pub(super) fn minus(self, other: Self) -> Option<f64> {
        let difference = match (self, other) {
            (Self::Int(a), Self::Int(b)) => (a - b) as f64,
            (Self::Float(a), Self::Float(b)) if !a.is_finite() || !b.is_finite() => return None,
            (Self::Float(a), Self::Float(b)) => a - b,
            (Self::Float(float), _) | (_, Self::Float(float)) if !float.is_finite() => return None,
            (a, b) => match (a.exact(), b.exact()) {
                (Some((a, a_scale)), Some((b, b_scale))) => {
                    exact_minus(a, a_scale, b, b_scale).unwrap_or(self.to_f64() - other.to_f64())
                }
                _ => self.to_f64() - other.to_f64(),
            },
        };
        Some(difference.clamp(f64::MIN, f64::MAX))
    }

    /// The nearest f64.
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Decimal(coefficient, scale) => decimal_to_f64(coefficient, scale),
            Self::Float(float) => float,
        }
    }

    /// As coefficient and scale; `None` for floats that are not whole.
    fn exact(self) -> Option<(i256, i8)> {
        match self {
            Self::Int(int) => Some((i256::from_i128(int), 0)),
            Self::Decimal(coefficient, scale) => Some((coefficient, scale)),
            Self::Float(float) => whole(float).map(|whole| (whole, 0)),
        }
    }

    /// The same bytes for equal numbers, ordered as the numbers are as far as f64 tells them apart. With
    /// `beside_floats`, decimals with a fraction become their nearest float, as [`Number::equals`] has it.
    pub(super) fn canonical(self, beside_floats: bool) -> [u8; 43] {
        let approximate = self.to_f64();
        let mut bytes = [0; 43];
        bytes[..8].copy_from_slice(&ordered_bits(approximate));
        match self.exact().map(|(coefficient, scale)| trimmed(coefficient, scale)) {
            Some((coefficient, scale)) if !(beside_floats && scale > 0) => {
                bytes[8] = 1;
                bytes[9..41].copy_from_slice(&coefficient.to_be_bytes());
                bytes[41..].copy_from_slice(&scale.to_be_bytes());
            }
            // The approximation is the number; a whole one is told exactly, for a whole decimal may equal it.
            _ => {
                if let Some((coefficient, scale)) = whole(approximate).map(|whole| trimmed(whole, 0)) {
                    bytes[8] = 1;
                    bytes[9..41].copy_from_slice(&coefficient.to_be_bytes());
                    bytes[41..].copy_from_slice(&scale.to_be_bytes());
                }
            }
        }
        bytes
    }
}

/// True where two numbers that differ by `difference` agree all the same.
pub(super) fn within(tolerance: Tolerance, difference: f64, a: f64, b: f64) -> bool {
    let allowed = tolerance.abs.max(tolerance.rel * a.abs().max(b.abs()));
    allowed > 0.0 && difference.abs() <= allowed
}

pub(super) fn floats_equal(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// One NaN and one zero, so that equal floats have equal bits.
pub(super) fn one_form(float: f64) -> f64 {
    if float.is_nan() {
        f64::NAN
    } else if float == 0.0 {
        0.0
    } else {
        float
    }
}

/// Bits that order as unsigned bytes as floats do: infinities at the ends, NaN last.
fn ordered_bits(float: f64) -> [u8; 8] {
    let bits = one_form(float).to_bits();
    let flip = if bits >> 63 == 1 { u64::MAX } else { 1 << 63 };
    (bits ^ flip).to_be_bytes()
}

/// A float as the integer that it is, where it is one (and below 2^254).
fn whole(float: f64) -> Option<i256> {
    if !float.is_finite() || float.fract() != 0.0 || float.abs() >= 2f64.powi(254) {
        return None;
    }
    if float.abs() < 2f64.powi(126) {
        return Some(i256::from_i128(float as i128));
    }
    // A float this large is its 53 bits, shifted left.
    let bits = float.to_bits();
    let mantissa = (bits & ((1 << 52) - 1)) | 1 << 52;
    let shift = u8::try_from((bits >> 52 & 0x7ff).checked_sub(1075)?).ok()?;
    let magnitude = i256::from_i128(mantissa.into()) << shift;
    Some(if float < 0.0 { magnitude.wrapping_neg() } else { magnitude })
}

fn decimals_equal(a: i256, a_scale: i8, b: i256, b_scale: i8) -> bool {
    if a_scale == b_scale {
        return a == b;
    }
    if a == i256::ZERO || b == i256::ZERO {
        return a == b;
    }
    // What overflows when scaled up is larger than anything that did not have to be.
    matches!(at_common_scale(a, a_scale, b, b_scale), Some((a, b, _)) if a == b)
}

fn exact_minus(a: i256, a_scale: i8, b: i256, b_scale: i8) -> Option<f64> {
    let (a, b, scale) = at_common_scale(a, a_scale, b, b_scale)?;
    Some(decimal_to_f64(a.checked_sub(b)?, scale))
}

/// Both coefficients at the greater of two scales; `None` where one would overflow.
fn at_common_scale(a: i256, a_scale: i8, b: i256, b_scale: i8) -> Option<(i256, i256, i8)> {
    let scale = a_scale.max(b_scale);
    let raised = |coefficient: i256, from: i8| {
        let power = u32::try_from(i32::from(scale) - i32::from(from)).ok()?;
        coefficient.checked_mul(i256::from_i128(10).checked_pow(power)?)
    };
    Some((raised(a, a_scale)?, raised(b, b_scale)?, scale))
}

/// Without trailing zeros, so that equal decimals have one form; a whole number has a scale of 0 or less.
fn trimmed(mut coefficient: i256, scale: i8) -> (i256, i16) {
    let mut scale = i16::from(scale);
    if coefficient == i256::ZERO {
        return (coefficient, 0);
    }
    let ten = i256::from_i128(10);
    while let (Some(quotient), Some(i256::ZERO)) = (coefficient.checked_div(ten), coefficient.checked_rem(ten)) {
        coefficient = quotient;
        scale -= 1;
    }
    (coefficient, scale)
}

/// The f64 nearest to a decimal.
fn decimal_to_f64(coefficient: i256, scale: i8) -> f64 {
    if let Some(small) = coefficient.to_i128().filter(|small| small.abs() <= EXACT_IN_F64)
        && (0..=22).contains(&scale)
    {
        // Both are exact in f64, so the quotient is rounded once.
        return small as f64 / 10f64.powi(scale.into());
    }
    format!("{coefficient}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
#[path = "number_tests.rs"]
mod tests;
