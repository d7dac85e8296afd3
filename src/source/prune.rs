//! What footers say a filter can't find: which row groups, and so which files, hold no row that passes.
//!
//! A Hive partition value says nothing of the event time, whatever its name is: only the statistics of the time column do. Where a
//! footer has none, the row group stays.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, StringArray, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use crate::source::barrier::prunable;
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
        let groups = |i: usize| self.footers.footers[i].num_row_groups() as u64;
        let count = self.files.files.len();
        Reach { files: count as u64, row_groups: (0..count).map(groups).sum(), rows: self.rows() }
    }

    /// What these filters leave.
    ///
    /// # Errors
    /// Filters over other columns than the table's.
    pub fn reached(&self, filters: &[Expr]) -> DfResult<Reach> {
        let mut reach = Reach::default();
        for (i, kept) in self.groups_kept(filters)?.into_iter().enumerate() {
            let groups = self.footers.footers[i].row_groups();
            let left = kept.iter().zip(groups).filter(|(kept, _)| **kept);
            let rows: u64 = left.clone().map(|(_, g)| u64::try_from(g.num_rows()).unwrap_or(0)).sum();
            reach.row_groups += left.count() as u64;
            reach.rows += rows;
            reach.files += u64::from(kept.iter().any(|k| *k));
        }
        Ok(reach)
    }

    /// The files of which these filters leave something, by number.
    ///
    /// # Errors
    /// Filters over other columns than the table's.
    pub fn files_reached(&self, filters: &[Expr]) -> DfResult<Vec<usize>> {
        let kept = self.groups_kept(filters)?;
        Ok((0..kept.len()).filter(|&file| kept[file].contains(&true)).collect())
    }

    /// The least and the most of a timestamp column in nanoseconds since 1970 (naive: as if UTC), by the footers; `None` where they
    /// don't say.
    pub fn time_range(&self, name: &str) -> Option<(i64, i64)> {
        let schema = datafusion::catalog::TableProvider::schema(self);
        let column = Column::new_unqualified(name);
        let mut range: Option<(i64, i64)> = None;
        for file in (0..self.files.files.len()).filter(|i| self.footers.rows[*i] > 0) {
            let groups = RowGroups { table: self, schema: &schema, file };
            let ends = [groups.min_values(&column)?, groups.max_values(&column)?];
            let [least, most] = ends.map(|values| instants_ns(&values, 0).ok().filter(|v| v.null_count() == 0));
            let (least, most) = (least?, most?);
            for (&low, &high) in least.values().iter().zip(most.values()) {
                range = Some(range.map_or((low, high), |(a, b)| (a.min(low), b.max(high))));
            }
        }
        range
    }

    /// For each row group that has rows: the least and the most value of a timestamp column in nanoseconds since 1970 (naive: as if
    /// UTC), and its rows; `None` where footers don't say.
    pub fn spans(&self, name: &str) -> Option<Vec<(i64, i64, u64)>> {
        let schema = datafusion::catalog::TableProvider::schema(self);
        let column = Column::new_unqualified(name);
        let mut spans = Vec::new();
        for file in (0..self.files.files.len()).filter(|i| self.footers.rows[*i] > 0) {
            let groups = RowGroups { table: self, schema: &schema, file };
            let ends = [groups.min_values(&column)?, groups.max_values(&column)?];
            let [least, most] = ends.map(|values| instants_ns(&values, 0).ok().filter(|v| v.null_count() == 0));
            let rows = self.footers.footers[file].row_groups().iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0));
            let both = least?.values().iter().copied().zip(most?.values().iter().copied()).collect::<Vec<_>>();
            spans.extend(both.into_iter().zip(rows).map(|((low, high), rows)| (low, high, rows)));
        }
        Some(spans)
    }

    /// For each row group that has rows: the least value of a timestamp column in nanoseconds since 1970 (naive: as if UTC), and its
    /// rows; `None` where footers don't say.
    pub fn starts(&self, name: &str) -> Option<Vec<(i64, u64)>> {
        let schema = datafusion::catalog::TableProvider::schema(self);
        let column = Column::new_unqualified(name);
        let mut starts = Vec::new();
        for file in (0..self.files.files.len()).filter(|i| self.footers.rows[*i] > 0) {
            let least = RowGroups { table: self, schema: &schema, file }.min_values(&column)?;
            let least = instants_ns(&least, 0).ok().filter(|v| v.null_count() == 0)?;
            let rows = self.footers.footers[file].row_groups().iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0));
            starts.extend(least.values().iter().copied().zip(rows));
        }
        Some(starts)
    }

    /// By file and row group, whether a row of it may pass all filters.
    pub(super) fn groups_kept(&self, filters: &[Expr]) -> DfResult<Vec<Vec<bool>>> {
        let schema = datafusion::catalog::TableProvider::schema(self);
        let all = || self.footers.footers.iter().map(|f| vec![true; f.num_row_groups()]).collect();
        let Some(filter) = filters.iter().filter_map(|f| prunable(f, &schema)).reduce(Expr::and) else {
            return Ok(all());
        };
        let named = DFSchema::try_from(schema.as_ref().clone())?;
        let filter =
            create_physical_expr(&filter, &named, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
        let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&schema)).try_build(filter)?;
        let by_file = |file| predicate.prune(&RowGroups { table: self, schema: &schema, file });
        (0..self.files.files.len()).map(by_file).collect()
    }
}

/// The row groups of one file.
pub(super) struct RowGroups<'a> {
    pub table: &'a ParquetTable,
    pub schema: &'a SchemaRef,
    pub file: usize,
}

impl RowGroups<'_> {
    /// A statistic of a column, in the table's type; `None` where the footer does not have it.
    fn of(
        &self,
        column: &Column,
        get: impl Fn(&StatisticsConverter<'_>, &Self) -> Option<ArrayRef>,
    ) -> Option<ArrayRef> {
        let footers = &self.table.footers;
        let converter = StatisticsConverter::try_new(
            &column.name,
            &footers.schemas[self.file],
            footers.footers[self.file].file_metadata().schema_descr(),
        );
        let converter = converter.ok()?.with_missing_null_counts_as_zero(false);
        converter.parquet_column_index()?;
        get(&converter, self)
    }

    fn typed(&self, column: &Column, values: &ArrayRef) -> Option<ArrayRef> {
        let wanted = self.schema.field_with_name(&column.name).ok()?.data_type();
        if values.data_type() == wanted { Some(Arc::clone(values)) } else { cast(values, wanted).ok() }
    }

    /// The value of a partition column, for each row group.
    fn partition(&self, column: &Column) -> Option<ArrayRef> {
        let file = &self.table.files.files[self.file];
        let is_file_column = self.table.footers.schemas[self.file].field_with_name(&column.name).is_ok();
        let (_, value) = file.partitions.iter().find(|(name, _)| *name == column.name && !is_file_column)?;
        Some(Arc::new(StringArray::from(vec![value.clone()?; self.num_containers()])))
    }
}

impl PruningStatistics for RowGroups<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        let groups = self.table.footers.footers[self.file].row_groups();
        let least = self.of(column, |c, this| this.typed(column, &c.row_group_mins(groups).ok()?));
        least.or_else(|| self.partition(column))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let groups = self.table.footers.footers[self.file].row_groups();
        let most = self.of(column, |c, this| this.typed(column, &c.row_group_maxes(groups).ok()?));
        most.or_else(|| self.partition(column))
    }

    fn num_containers(&self) -> usize {
        self.table.footers.footers[self.file].num_row_groups()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let groups = self.table.footers.footers[self.file].row_groups();
        self.of(column, |c, _| c.row_group_null_counts(groups).ok().map(|n| Arc::new(n) as ArrayRef))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let groups = self.table.footers.footers[self.file].row_groups().iter();
        let rows: UInt64Array = groups.map(|g| u64::try_from(g.num_rows()).ok()).collect();
        Some(Arc::new(rows))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
