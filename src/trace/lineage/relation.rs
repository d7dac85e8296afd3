//! An operator's result in memory, and which events each of its rows comes from.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::{Column, DFSchemaRef};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

/// The events that a row comes from, by their numbers, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lineage {
    /// Those that the row's values are made of.
    pub(crate) value: Arc<[u32]>,
    /// Those that only make the row exist.
    pub(crate) exists: Arc<[u32]>,
}

impl Lineage {
    pub(super) fn of(event: u32) -> Self {
        Self { value: Arc::new([event]), exists: Arc::default() }
    }

    pub(super) fn union<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        Self { value: merged(all.clone().map(|l| &l.value)), exists: merged(all.map(|l| &l.exists)) }
    }

    /// The same events, of which no value is made.
    pub(super) fn only_existing(&self) -> Self {
        Self { value: Arc::default(), exists: merged([&self.value, &self.exists].into_iter()) }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.value.iter().chain(self.exists.iter()).copied()
    }
}

pub(super) fn merged<'a>(parts: impl Iterator<Item = &'a Arc<[u32]>>) -> Arc<[u32]> {
    let mut events: Vec<u32> = parts.flat_map(|part| part.iter().copied()).collect();
    events.sort_unstable();
    events.dedup();
    events.into()
}

/// Rows with their lineage.
#[derive(Debug, Clone)]
pub(crate) struct Rel {
    pub(super) schema: DFSchemaRef,
    pub(super) columns: Vec<ArrayRef>,
    pub(super) lineage: Vec<Lineage>,
    /// By column: whether it is a rank among other rows, such as `row_number()`.
    pub(super) ranked: Vec<bool>,
    /// The readings of sources below.
    pub(super) scans: BTreeSet<usize>,
}

/// The column that holds a row's position in its relation.
pub(super) fn row_column(side: &str) -> Column {
    Column::new_unqualified(format!("__backcast_row_{side}"))
}

impl Rel {
    pub(super) fn rows(&self) -> usize {
        self.lineage.len()
    }

    /// As an input of an operator, with [`row_column`] at the end.
    pub(super) fn plan(&self, side: &str) -> DfResult<LogicalPlan> {
        let row = row_column(side);
        let mut fields: Vec<Field> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| Field::new(format!("c{i}"), c.data_type().clone(), true))
            .collect();
        fields.push(Field::new(&row.name, datafusion::arrow::datatypes::DataType::Int64, false));
        let numbers = Int64Array::from_iter_values((0..self.rows()).map(|r| i64::try_from(r).unwrap_or(i64::MAX)));
        let columns: Vec<ArrayRef> = self.columns.iter().cloned().chain([Arc::new(numbers) as ArrayRef]).collect();
        let schema = Arc::new(Schema::new(fields));
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
        let table = MemTable::try_new(schema, vec![vec![batch]])?;
        let named = self.schema.iter().enumerate().map(|(i, (qualifier, field))| {
            Expr::Column(Column::new_unqualified(format!("c{i}"))).alias_qualified(qualifier.cloned(), field.name())
        });
        let named = named.chain([Expr::Column(row.clone()).alias(&row.name)]);
        LogicalPlanBuilder::scan(format!("__rel_{side}"), provider_as_source(Arc::new(table)), None)?
            .project(named.collect::<Vec<_>>())?
            .build()
    }

    /// The rows at these positions, in this order.
    pub(super) fn taken(&self, rows: &[usize]) -> DfResult<Self> {
        let picks = UInt32Array::from_iter_values(rows.iter().filter_map(|&r| u32::try_from(r).ok()));
        Ok(Self {
            schema: Arc::clone(&self.schema),
            columns: self.columns.iter().map(|c| Ok(take(c, &picks, None)?)).collect::<DfResult<_>>()?,
            lineage: rows.iter().map(|&r| self.lineage[r].clone()).collect(),
            ranked: self.ranked.clone(),
            scans: self.scans.clone(),
        })
    }
}

/// For whoever called the walk.
impl Rel {
    pub(crate) fn names(&self) -> Vec<String> {
        self.schema.fields().iter().map(|f| f.name().clone()).collect()
    }

    pub(crate) fn columns(&self) -> &[ArrayRef] {
        &self.columns
    }

    pub(crate) fn lineages(&self) -> &[Lineage] {
        &self.lineage
    }
}
