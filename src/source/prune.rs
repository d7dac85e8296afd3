//! What footers say a filter can't find: which row groups, and so which files, hold no row that passes.
//!
//! A Hive partition value says nothing of the event time, whatever its name is: only the statistics of the time column do. Where a
//! footer has none, the row group stays.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use crate::source::barrier::prunable;
use crate::source::footers::Stretch;
use crate::source::table::ParquetTable;
use crate::source::time::instants_ns;

/// Files, row groups and rows that a scan has to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    pub files: u64,
    pub row_groups: u64,
    pub rows: u64,
}

impl ParquetTable {
    /// All there is.
    pub fn whole(&self) -> Reach {
        let files = self.files.files.len() as u64;
        Reach { files, row_groups: self.footers.row_groups() as u64, rows: self.rows() }
    }

    /// What these filters leave.
    ///
    /// # Errors
    /// Filters over other columns than the table's.
    pub fn reached(&self, filters: &[Expr]) -> DfResult<Reach> {
        let mut reach = Reach::default();
        for (stretch, kept) in self.footers.stretches.iter().zip(self.kept(filters)?) {
            reach.row_groups += kept.iter().filter(|kept| **kept).count() as u64;
            reach.rows +=
                kept.iter().zip(stretch.rows.values()).map(|(kept, rows)| u64::from(*kept) * rows).sum::<u64>();
            reach.files += stretch.groups.iter().filter(|own| kept[(*own).clone()].contains(&true)).count() as u64;
        }
        Ok(reach)
    }

    /// The files of which these filters leave something, by number.
    ///
    /// # Errors
    /// Filters over other columns than the table's.
    pub fn files_reached(&self, filters: &[Expr]) -> DfResult<Vec<usize>> {
        let kept = self.kept(filters)?;
        let of = |(stretch, kept): (&Stretch, Vec<bool>)| {
            let files = stretch.files.clone().zip(stretch.groups.clone());
            files.filter(move |(_, own)| kept[own.clone()].contains(&true)).map(|(file, _)| file)
        };
        Ok(self.footers.stretches.iter().zip(kept).flat_map(of).collect())
    }

    /// The least and the most of a timestamp column in nanoseconds since 1970 (naive: as if UTC), by the footers; `None` where they
    /// don't say.
    pub fn time_range(&self, name: &str) -> Option<(i64, i64)> {
        let spans = self.spans(name)?.into_iter().map(|(low, high, _)| (low, high));
        spans.reduce(|(a, b), (low, high)| (a.min(low), b.max(high)))
    }

    /// For each row group that has rows: the least and the most value of a timestamp column in nanoseconds since 1970 (naive: as if
    /// UTC), and its rows; `None` where footers don't say.
    pub fn spans(&self, name: &str) -> Option<Vec<(i64, i64, u64)>> {
        let mut spans = Vec::new();
        self.each_stretch(name, |groups, column, rows| {
            let (least, most) = (instants(groups.min_values(column)?)?, instants(groups.max_values(column)?)?);
            for group in (0..rows.len()).filter(|&group| rows[group] > 0) {
                spans.push((known(&least, group)?, known(&most, group)?, rows[group]));
            }
            Some(())
        })?;
        Some(spans)
    }

    /// For each row group that has rows: the least value of a timestamp column in nanoseconds since 1970 (naive: as if UTC), and its
    /// rows; `None` where footers don't say.
    pub fn starts(&self, name: &str) -> Option<Vec<(i64, u64)>> {
        let mut starts = Vec::new();
        self.each_stretch(name, |groups, column, rows| {
            let least = instants(groups.min_values(column)?)?;
            for group in (0..rows.len()).filter(|&group| rows[group] > 0) {
                starts.push((known(&least, group)?, rows[group]));
            }
            Some(())
        })?;
        Some(starts)
    }

    /// Looks at a column stretch by stretch, where there are rows, until one says nothing.
    fn each_stretch(
        &self,
        name: &str,
        mut look: impl FnMut(&RowGroups<'_>, &Column, &[u64]) -> Option<()>,
    ) -> Option<()> {
        let schema = datafusion::catalog::TableProvider::schema(self);
        let column = Column::new_unqualified(name);
        let mut with_rows = self.footers.stretches.iter().filter(|s| s.rows.values().iter().any(|rows| *rows > 0));
        with_rows.try_for_each(|stretch| {
            let groups = RowGroups { table: self, schema: &schema, stretch };
            look(&groups, &column, stretch.rows.values())
        })
    }

    /// By stretch and row group, whether a row of it may pass all filters.
    fn kept(&self, filters: &[Expr]) -> DfResult<Vec<Vec<bool>>> {
        let schema = datafusion::catalog::TableProvider::schema(self);
        let stretches = self.footers.stretches.iter();
        let Some(filter) = filters.iter().filter_map(|f| prunable(f, &schema)).reduce(Expr::and) else {
            return Ok(stretches.map(|stretch| vec![true; stretch.row_groups()]).collect());
        };
        let named = DFSchema::try_from(schema.as_ref().clone())?;
        let filter =
            create_physical_expr(&filter, &named, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
        let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&schema)).try_build(filter)?;
        stretches.map(|stretch| predicate.prune(&RowGroups { table: self, schema: &schema, stretch })).collect()
    }
}

/// Nanoseconds since 1970.
fn instants(values: ArrayRef) -> Option<Int64Array> {
    instants_ns(&values, 0).ok()
}

fn known(values: &Int64Array, at: usize) -> Option<i64> {
    values.is_valid(at).then(|| values.value(at))
}

/// The row groups of a stretch of files.
pub(super) struct RowGroups<'a> {
    pub table: &'a ParquetTable,
    pub schema: &'a SchemaRef,
    pub stretch: &'a Stretch,
}

impl RowGroups<'_> {
    /// Extremes of a column, in the table's type; `None` where the files do not have it.
    fn typed(&self, column: &Column, values: Option<&ArrayRef>) -> Option<ArrayRef> {
        let values = values?;
        let wanted = self.schema.field_with_name(&column.name).ok()?.data_type();
        if values.data_type() == wanted { Some(Arc::clone(values)) } else { cast(values, wanted).ok() }
    }

    /// The value of a partition column, for each row group.
    fn partition(&self, column: &Column) -> Option<ArrayRef> {
        if self.stretch.schema.field_with_name(&column.name).is_ok() {
            return None;
        }
        let mut named = false;
        let files = self.table.files.files[self.stretch.files.clone()].iter().zip(&self.stretch.groups);
        let values: StringArray = files
            .flat_map(|(file, own)| {
                named |= file.partitions().any(|name| name == column.name);
                std::iter::repeat_n(file.partition(&column.name), own.len())
            })
            .collect();
        named.then(|| Arc::new(values) as ArrayRef)
    }
}

impl PruningStatistics for RowGroups<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        let own = self.stretch.column(&column.name);
        self.typed(column, own.and_then(|own| own.least.as_ref())).or_else(|| self.partition(column))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let own = self.stretch.column(&column.name);
        self.typed(column, own.and_then(|own| own.most.as_ref())).or_else(|| self.partition(column))
    }

    fn num_containers(&self) -> usize {
        self.stretch.row_groups()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let nulls = self.stretch.column(&column.name)?.nulls.as_ref()?;
        Some(Arc::new(nulls.clone()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.stretch.rows.clone()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
