//! The total order of floats: -0 before 0, NaN after all numbers and equal to itself, as in PostgreSQL.

/// The float as an integer that sorts as it does.
pub fn order_of_float(value: f64) -> i64 {
    let value = if value.is_nan() { f64::NAN.abs() } else { value };
    flip(value.to_bits().cast_signed())
}

/// The float that [`order_of_float`] was asked of, every NaN as one.
pub fn float_of_order(order: i64) -> f64 {
    f64::from_bits(flip(order).cast_unsigned())
}

/// Its own inverse.
fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_their_order_as_integers_and_come_back() {
        let floats = [f64::NEG_INFINITY, -1e300, -1.5, -5e-324, -0.0, 0.0, 5e-324, 1.5, 1e300, f64::INFINITY, f64::NAN];
        let orders: Vec<i64> = floats.iter().map(|f| order_of_float(*f)).collect();
        assert!(orders.is_sorted_by(|a, b| a < b));
        let back: Vec<u64> = orders.iter().map(|o| float_of_order(*o).to_bits()).collect();
        assert_eq!(back, floats.map(f64::to_bits));
        assert_eq!(order_of_float(-f64::NAN), order_of_float(f64::NAN));
    }
}
