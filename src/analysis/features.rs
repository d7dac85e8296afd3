//! Features: the columns of a view that are no keys, their types and their defaults.

use datafusion::arrow::compute::CastOptions;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use crate::config::{Literal, Tolerance};

/// One column of the dataset that a view gives.
#[derive(Debug, Clone)]
pub struct Feature {
    pub view: String,
    /// The view's own name for it.
    pub column: String,
    /// The dataset's name: the view's `prefix`, then the column.
    pub name: String,
    pub data_type: DataType,
    /// The value where the view has no row: as the config says, or of a count as its profile does.
    pub when_missing: Option<ScalarValue>,
    /// The value where the view's own value is NULL.
    pub when_null: Option<ScalarValue>,
    pub tolerance: Option<Tolerance>,
}

impl Feature {
    /// `view.column`, as everything outside the dataset names it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.view, self.column)
    }
}

/// `"null"` for a number: NULL, where a profile would make it 0. (For text it is text.)
pub(super) fn is_null_of_a_number(literal: &Literal, data_type: &DataType) -> bool {
    data_type.is_numeric() && *literal == Literal::String("null".to_string())
}

/// A value of the config in the feature's type, without loss.
///
/// # Errors
/// Why it does not fit.
pub fn scalar_of(literal: &Literal, data_type: &DataType) -> Result<ScalarValue, String> {
    let refused = || format!("{} does not fit the type {data_type}", shown(literal));
    let value = match (literal, data_type) {
        (Literal::Bool(v), DataType::Boolean) => return Ok(ScalarValue::Boolean(Some(*v))),
        (Literal::Bool(_), _) | (_, DataType::Boolean) => return Err(refused()),
        (Literal::Integer(v), t) if t.is_numeric() => ScalarValue::Int64(Some(*v)),
        (Literal::Float(v), t) if t.is_floating() => ScalarValue::Float64(Some(*v)),
        // Decimals from the text, so that 0.1 is 0.1.
        (Literal::Float(v), t) if t.is_decimal() => ScalarValue::Utf8(Some(v.to_string())),
        (Literal::String(v), t) if t.is_string() || t.is_temporal() => ScalarValue::Utf8(Some(v.clone())),
        (Literal::Datetime(v), t) if t.is_temporal() => ScalarValue::Utf8(Some(v.clone())),
        _ => return Err(refused()),
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = value.cast_to_with_options(data_type, &options).map_err(|_| refused())?;
    if cast.is_null() { Err(refused()) } else { Ok(cast) }
}

fn shown(literal: &Literal) -> String {
    match literal {
        Literal::Bool(v) => v.to_string(),
        Literal::Integer(v) => v.to_string(),
        Literal::Float(v) => v.to_string(),
        Literal::String(v) => format!("\"{v}\""),
        Literal::Datetime(v) => v.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_take_the_features_type_or_are_refused() {
        assert_eq!(scalar_of(&Literal::Integer(0), &DataType::Float64).unwrap(), ScalarValue::Float64(Some(0.0)));
        let decimal = ScalarValue::Decimal128(Some(10), 10, 2);
        assert_eq!(scalar_of(&Literal::Float(0.1), &DataType::Decimal128(10, 2)).unwrap(), decimal);
        assert!(scalar_of(&Literal::Integer(300), &DataType::Int8).is_err());
        assert!(scalar_of(&Literal::Float(0.5), &DataType::Int64).is_err());
        assert!(scalar_of(&Literal::String("x".into()), &DataType::Int64).is_err());
    }
}
