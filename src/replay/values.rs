//! What an engine found for a view, in the order of the label rows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array};
use datafusion::arrow::compute::{cast, interleave, is_null, kernels::zip::zip, take};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::internal_err;
use datafusion::error::Result as DfResult;

use crate::analysis::{Feature, View};
use crate::diagnostics;
use crate::error::Error;
use crate::finding::Finding;
use crate::source::time::rfc3339;
use crate::source::{Labels, plain_type};

/// The as-of values of one view for all label rows, before defaults.
#[derive(Debug, Clone)]
pub struct ViewValues {
    /// By feature of the view; plain types.
    pub columns: Vec<ArrayRef>,
    /// Whether the view has a row for the label row's keys at its time.
    pub found: BooleanArray,
}

impl ViewValues {
    /// From found rows: `rows[i]` is the position in `columns` of label row i's row.
    ///
    /// # Errors
    /// A type that is not the planned one, which is a defect: no value is ever cast to another type here.
    pub fn gather(columns: &[ArrayRef], rows: &UInt32Array, features: &[Feature]) -> DfResult<Self> {
        let found = (0..rows.len()).map(|i| Some(rows.is_valid(i))).collect();
        let columns = columns
            .iter()
            .zip(features)
            .map(|(column, feature)| planned(&take(column, rows, None)?, feature))
            .collect::<DfResult<_>>()?;
        Ok(Self { columns, found })
    }

    /// From parts of columns: `rows[i]` is the part and the row in it of label row i, the parts counted from 1; (0, 0) where there is
    /// none. A column's parts are let go of when it is done.
    ///
    /// # Errors
    /// As [`ViewValues::gather`].
    pub fn interleave(parts: Vec<Vec<ArrayRef>>, rows: &[(u32, u32)], features: &[Feature]) -> DfResult<Self> {
        let found: BooleanArray = rows.iter().map(|(part, _)| Some(*part > 0)).collect();
        let rows: Vec<(usize, usize)> = rows.iter().map(|(part, row)| (*part as usize, *row as usize)).collect();
        let columns = parts.into_iter().zip(features).map(|(parts, feature)| {
            let Some(part) = parts.first() else { return Ok(new_null_array(&feature.data_type, rows.len())) };
            let none = new_null_array(part.data_type(), 1);
            let parts: Vec<&dyn Array> = std::iter::once(&none).chain(&parts).map(AsRef::as_ref).collect();
            planned(&interleave(&parts, &rows)?, feature)
        });
        Ok(Self { columns: columns.collect::<DfResult<_>>()?, found })
    }

    /// The dataset's values: `when_missing` where there is no row, `when_null` where the row's value is NULL.
    ///
    /// # Errors
    /// Only where Arrow can't choose between two arrays of one type, which is a defect.
    pub fn with_defaults(&self, features: &[Feature]) -> DfResult<Vec<ArrayRef>> {
        let fill = |(column, feature): (&ArrayRef, &Feature)| -> DfResult<ArrayRef> {
            let mut filled = Arc::clone(column);
            if let Some(default) = &feature.when_null {
                let nulls = datafusion::arrow::compute::and(&is_null(column)?, &self.found)?;
                filled = zip(&nulls, &default.to_scalar()?, &filled)?;
            }
            if let Some(default) = &feature.when_missing {
                filled = zip(&self.found, &filled, &default.to_scalar()?)?;
            }
            Ok(filled)
        };
        self.columns.iter().zip(features).map(fill).collect()
    }
}

/// In the plain form of the type that was planned.
fn planned(column: &ArrayRef, feature: &Feature) -> DfResult<ArrayRef> {
    if plain_type(column.data_type()) != feature.data_type {
        return internal_err!("`{}` is {}, planned as {}", feature.name, column.data_type(), feature.data_type);
    }
    Ok(cast(column, &feature.data_type)?)
}

/// Whether the row is not NULL. (A column of type Null says of itself that it has no NULLs.)
pub(super) fn has_value(array: &dyn Array, row: usize) -> bool {
    array.data_type() != &DataType::Null && array.is_valid(row)
}

/// A view with several rows for a key that a label asks for.
pub(super) fn ambiguous(view: &View, labels: &Labels, row: usize, count: usize) -> Error {
    let key = |k: &crate::analysis::ViewKey| {
        let value = array_value_to_string(&labels.keys[k.label], row).unwrap_or_default();
        format!("{} = {value}", k.column)
    };
    let keys: Vec<String> = view.keys.iter().map(key).collect();
    let whose = if keys.is_empty() { String::new() } else { format!(" for {}", keys.join(", ")) };
    let at = rfc3339(labels.times.value(row));
    Error::input(
        Finding::error(format!("view `{}` has {count} rows{whose} at {at}, where one is wanted", view.name))
            .code(diagnostics::B124)
            .at(view.keys.first().map_or_else(|| view.sql.start(), |key| view.place_of(&key.column)))
            .help("group by the key, or keep one row per key"),
    )
}
