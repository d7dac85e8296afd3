//! The plan run over chosen rows, and the one value in its result.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, UInt32Array, new_null_array};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use serde_json::Value;

use crate::analysis::{Feature, View};
use crate::diff::cell_json;
use crate::replay::ViewValues;
use crate::replay::reference::{self, VisibleTable};
use crate::source::orderable;
use crate::sql::without_signed_zeros;
use crate::trace::asked::Bindings;
use crate::trace::rows::SourceRows;
use crate::trace::words::Words;

/// A view's value for one key: one value, and whether there is a row.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) own: ArrayRef,
    pub(super) found: bool,
}

impl Cell {
    pub(super) fn missing(feature: &Feature) -> Self {
        Self { own: new_null_array(&feature.data_type, 1), found: false }
    }

    /// With the feature's defaults.
    pub(super) fn filled(&self, feature: &Feature) -> DfResult<ArrayRef> {
        let values = ViewValues { columns: vec![Arc::clone(&self.own)], found: vec![self.found].into() };
        values.with_defaults(std::slice::from_ref(feature))?.pop().ok_or_else(|| internal_datafusion_err!("no value"))
    }

    pub(super) fn json(&self, feature: &Feature) -> DfResult<Value> {
        Ok(cell_json(&self.filled(feature)?, 0)?)
    }

    /// Whether the two are one value, to the bit; NULL is NULL, NaN is NaN.
    pub(super) fn is(&self, other: &Self) -> DfResult<bool> {
        if self.found != other.found || self.own.data_type() != other.own.data_type() {
            return Ok(false);
        }
        if self.own.is_null(0) || other.own.is_null(0) {
            return Ok(self.own.is_null(0) == other.own.is_null(0));
        }
        let (a, b) = (orderable(&self.own)?, orderable(&other.own)?);
        let converter = RowConverter::new(vec![SortField::new(a.data_type().clone())])?;
        let (a, b) = (converter.convert_columns(&[a])?, converter.convert_columns(&[b])?);
        Ok(a.row(0) == b.row(0))
    }
}

/// What is asked of a view, bound to the instant and the keys.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) view: &'a View,
    pub(super) feature: &'a Feature,
    pub(super) plan: &'a LogicalPlan,
    pub(super) bindings: &'a Bindings,
    pub(super) at: (i64, TimeUnit),
    pub(super) state: &'a SessionState,
    pub(super) words: &'a Words,
}

impl Question<'_> {
    /// The rows of a result, by their columns' names, that are of the keys.
    pub(super) fn own_rows(&self, names: &[String], columns: &[ArrayRef], rows: usize) -> DfResult<Vec<usize>> {
        let mut own: Vec<bool> = vec![true; rows];
        for (key, wanted) in self.view.keys.iter().zip(&self.bindings.keys) {
            let column = cast(column_named(names, columns, &key.column)?, &key.data_type)?;
            let (theirs, wanted) = (comparable(&column)?, comparable(&wanted.to_array()?)?);
            let converter = RowConverter::new(vec![SortField::new(theirs.data_type().clone())])?;
            let (theirs_rows, wanted) =
                (converter.convert_columns(&[Arc::clone(&theirs)])?, converter.convert_columns(&[wanted])?);
            for (row, own) in own.iter_mut().enumerate() {
                *own = *own && column.is_valid(row) && theirs_rows.row(row) == wanted.row(0);
            }
        }
        Ok((0..rows).filter(|&row| own[row]).collect())
    }

    /// The value in one row of a result; `None`: there is no row.
    pub(super) fn cell(&self, names: &[String], columns: &[ArrayRef], row: Option<usize>) -> DfResult<Cell> {
        let Some(row) = row.and_then(|row| u32::try_from(row).ok()) else { return Ok(Cell::missing(self.feature)) };
        let column = column_named(names, columns, &self.feature.column)?;
        let own = cast(&take(column, &UInt32Array::from(vec![row]), None)?, &self.feature.data_type)?;
        Ok(Cell { own, found: true })
    }

    /// The value over these rows of each source; `None` where it has several rows for the keys.
    pub(super) async fn over(&self, sources: &[SourceRows], rows: &[UInt32Array]) -> DfResult<Option<Cell>> {
        let visible: HashMap<usize, Arc<VisibleTable>> = sources
            .iter()
            .zip(rows)
            .map(|(s, rows)| (s.source, Arc::new(VisibleTable::new(Arc::clone(&s.raw), rows.clone()))))
            .collect();
        let plan = self.bindings.plan(self.plan.clone())?;
        let batch = reference::query(&plan, &visible, self.at, self.state).await?;
        let names: Vec<String> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
        match self.own_rows(&names, batch.columns(), batch.num_rows())?.as_slice() {
            [] => Ok(Some(Cell::missing(self.feature))),
            [row] => self.cell(&names, batch.columns(), Some(*row)).map(Some),
            _ => Ok(None),
        }
    }
}

/// As keys are compared: zeros have no sign.
pub(super) fn comparable(column: &ArrayRef) -> DfResult<ArrayRef> {
    orderable(&without_signed_zeros(column))
}

fn column_named<'a>(names: &[String], columns: &'a [ArrayRef], name: &str) -> DfResult<&'a ArrayRef> {
    let index = names.iter().position(|n| n == name);
    index.and_then(|i| columns.get(i)).ok_or_else(|| internal_datafusion_err!("no column {name}"))
}
