//! A plan walked bottom up over the rows visible at T, so that every row of every operator is known by the events it comes from.
//!
//! Each operator is run by DataFusion itself, alone, over its inputs in memory with one more column: the row's position. What
//! comes out says which rows went in; what does not come out is told why. One rule per operator:
//!
//! | operator | an output row comes from | what is dropped, and why |
//! | --- | --- | --- |
//! | scan | its event | |
//! | filter | its input row | the first condition that does not hold, and by how much |
//! | projection, alias, sort, unnest, union | its input row | |
//! | aggregate | the rows of its group that an aggregate takes | not in its `FILTER`, NULL argument, not the chosen row of `first_value` |
//! | join | its two rows; one whose columns the value is not made of only makes it exist | no partner, or taken away by one (anti join) |
//! | window | its own row, where that does not give the value those ranked before it; of functions other than ranks, the whole partition | |
//! | limit | its input row | beyond the limit |
//!
//! Where a step has no rule (grouping sets, subqueries that are no joins), the walk stops and says so: the reasons found
//! below stay, nothing is claimed above. Whoever calls holds the value of the rows that are claimed against the engine's.
//!
//! Memory: all intermediate rows of one key at one instant, with their lineage.

mod aggregate;
mod asked;
mod conditions;
mod join;
mod relation;
mod rows;
mod window;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{concat, concat_batches};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DataFusionError};
use datafusion::common::{DFSchemaRef, internal_datafusion_err};
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::collect;
use futures::future::BoxFuture;

use crate::replay::reference::RawTable;
use crate::trace::asked::Bindings;
use crate::trace::cell::Question;
use crate::trace::spell::Speller;
use crate::trace::words::Words;
use asked::Asked;
pub(super) use relation::{Lineage, Rel};

/// One reading of a source: its visible rows, numbered from `offset` on.
#[derive(Debug)]
pub(super) struct ScanRows {
    pub(super) raw: Arc<RawTable>,
    pub(super) rows: Vec<u32>,
    pub(super) offset: u32,
    pub(super) source: String,
}

/// Why a visible event does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// It belongs to another key.
    OtherKey,
    /// A condition does not hold.
    Filtered {
        condition: String,
    },
    /// A bound of a window does not hold, by so many nanoseconds.
    Outside {
        condition: String,
        before: bool,
        by_ns: i64,
    },
    /// No aggregate's `FILTER` takes it; where that is a bound, how far it is off.
    NotInFilter {
        condition: String,
        outside: Option<(bool, i64)>,
    },
    NullArgument {
        argument: String,
    },
    /// Another row was chosen; where that is by rank, which rank this one has.
    NotLatest {
        by: String,
        rank: Option<String>,
    },
    NoPartner {
        with: Vec<String>,
        condition: String,
    },
    /// A row of another source takes it away: `NOT EXISTS`, `NOT IN`.
    TakenAway {
        by: Vec<String>,
        condition: String,
    },
    /// It takes rows of another source away.
    TakesAway {
        of: Vec<String>,
        condition: String,
    },
}

/// Why the walk went no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// The step has no rule.
    NoRule(String),
    Failed(DataFusionError),
}

impl From<DataFusionError> for Stop {
    fn from(error: DataFusionError) -> Self {
        Self::Failed(error)
    }
}

impl From<datafusion::arrow::error::ArrowError> for Stop {
    fn from(error: datafusion::arrow::error::ArrowError) -> Self {
        Self::Failed(error.into())
    }
}

/// Which rows a row comes from that was chosen by its rank, or behind an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranks {
    /// Itself.
    Chosen,
    /// Those before it, too: without them another would be the second.
    Before,
    /// All that it was ranked among.
    All,
}

type Walked<T = Rel> = Result<T, Stop>;

/// The walk, and what it has found so far.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) state: &'a SessionState,
    pub(super) bindings: &'a Bindings,
    pub(super) speller: Speller,
    pub(super) words: &'a Words,
    pub(super) scans: &'a [ScanRows],
    pub(super) ranks: Ranks,
    /// By event: why it is in no row any more. The last reason is the furthest one.
    pub(super) dropped: HashMap<u32, Why>,
    /// Steps of which is only known which events they read.
    pub(super) notes: BTreeSet<String>,
    next_scan: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(question: &'a Question<'a>, speller: Speller, scans: &'a [ScanRows], ranks: Ranks) -> Self {
        Self {
            state: question.state,
            bindings: question.bindings,
            speller,
            words: question.words,
            scans,
            ranks,
            dropped: HashMap::new(),
            notes: BTreeSet::new(),
            next_scan: 0,
        }
    }

    /// The plan's rows with their lineage, of which the value is `feature`.
    pub(super) async fn rows_of(&mut self, plan: &LogicalPlan, feature: &str) -> Walked {
        let own = plan.schema().columns().into_iter().filter(|column| column.name == feature);
        self.walk(plan, Asked::of(own)).await
    }

    fn walk<'b>(&'b mut self, plan: &'b LogicalPlan, asked: Asked) -> BoxFuture<'b, Walked> {
        Box::pin(async move {
            refuse_subqueries(plan)?;
            let below = |input: &LogicalPlan| asked.below(plan, input);
            match plan {
                LogicalPlan::TableScan(scan) => self.scan(scan).await,
                LogicalPlan::Filter(filter) => {
                    let input = self.walk(&filter.input, below(&filter.input)).await?;
                    self.filter(&input, &filter.predicate).await
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    let input = self.walk(&alias.input, below(&alias.input)).await?;
                    Ok(Rel { schema: Arc::clone(&alias.schema), ..input })
                }
                LogicalPlan::Projection(projection) => {
                    let input = self.walk(&projection.input, below(&projection.input)).await?;
                    self.projection(projection, &input).await
                }
                LogicalPlan::Sort(sort) => {
                    let input = self.walk(&sort.input, below(&sort.input)).await?;
                    self.sort(plan, sort, &input).await
                }
                LogicalPlan::Limit(limit) => {
                    let input = self.walk(&limit.input, below(&limit.input)).await?;
                    self.limit(limit, &input)
                }
                LogicalPlan::Aggregate(aggregate) => {
                    let input = self.walk(&aggregate.input, below(&aggregate.input)).await?;
                    self.aggregate(aggregate, &input).await
                }
                LogicalPlan::Join(join) => {
                    let left = self.walk(&join.left, below(&join.left)).await?;
                    let right = self.walk(&join.right, below(&join.right)).await?;
                    self.join(join, &left, &right, &asked).await
                }
                LogicalPlan::Window(window) => {
                    let input = self.walk(&window.input, below(&window.input)).await?;
                    self.window(window, &input).await
                }
                LogicalPlan::Union(union) => {
                    let mut inputs = Vec::with_capacity(union.inputs.len());
                    for input in &union.inputs {
                        inputs.push(self.walk(input, below(input)).await?);
                    }
                    union_of(&union.schema, inputs)
                }
                LogicalPlan::Unnest(unnest) => {
                    let input = self.walk(&unnest.input, below(&unnest.input)).await?;
                    self.passed_through(plan, &input).await
                }
                LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => self.constant(plan).await,
                other => {
                    let name = other.display().to_string();
                    Err(Stop::NoRule(name.split([':', ' ']).next().unwrap_or_default().to_string()))
                }
            }
        })
    }

    /// Notes why these rows are dropped.
    fn drop_rows<'r>(&mut self, rows: impl Iterator<Item = (&'r Lineage, Why)>) {
        for (lineage, why) in rows {
            for event in lineage.all() {
                self.dropped.insert(event, why.clone());
            }
        }
    }

    /// Runs an operator over inputs in memory.
    async fn run(&self, plan: LogicalPlan) -> DfResult<Ran> {
        let plan = self.bindings.plan(plan)?;
        let schema = Arc::clone(plan.schema());
        let physical = self.state.query_planner().create_physical_plan(&plan, self.state).await?;
        let arrow = physical.schema();
        let batches = collect(physical, self.state.task_ctx()).await?;
        let batch = concat_batches(&arrow, &batches)?;
        Ok(Ran { schema, rows: batch.num_rows(), columns: batch.columns().to_vec() })
    }

    /// The names of the sources that these readings read.
    fn sources(&self, scans: &BTreeSet<usize>) -> Vec<String> {
        let names: BTreeSet<&str> = scans.iter().map(|&s| self.scans[s].source.as_str()).collect();
        names.into_iter().map(ToString::to_string).collect()
    }
}

/// What an operator gave.
struct Ran {
    schema: DFSchemaRef,
    rows: usize,
    columns: Vec<ArrayRef>,
}

impl Ran {
    fn column(&self, column: &Column) -> DfResult<&ArrayRef> {
        let index = self.schema.index_of_column_by_name(column.relation.as_ref(), &column.name);
        index.and_then(|i| self.columns.get(i)).ok_or_else(|| internal_datafusion_err!("no column {column}"))
    }

    /// The columns of another schema, in its order.
    fn columns_of(&self, schema: &DFSchemaRef) -> DfResult<Vec<ArrayRef>> {
        schema.columns().iter().map(|c| Ok(Arc::clone(self.column(c)?))).collect()
    }

    /// The positions in an input that a row column holds; NULL: no row.
    fn positions(&self, row: &Column) -> DfResult<Vec<Option<usize>>> {
        let column = self.column(row)?.as_primitive::<Int64Type>();
        Ok((0..column.len())
            .map(|i| column.is_valid(i).then(|| usize::try_from(column.value(i)).ok()).flatten())
            .collect())
    }
}

fn union_of(schema: &DFSchemaRef, inputs: Vec<Rel>) -> Walked {
    let width = schema.fields().len();
    let column = |i: usize| -> Walked<ArrayRef> {
        let to = schema.field(i).data_type();
        let parts = inputs
            .iter()
            .map(|input| Ok(datafusion::arrow::compute::cast(&input.columns[i], to)?))
            .collect::<Walked<Vec<ArrayRef>>>()?;
        Ok(concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?)
    };
    Ok(Rel {
        schema: Arc::clone(schema),
        columns: (0..width).map(column).collect::<Walked<_>>()?,
        ranked: (0..width).map(|i| inputs.iter().any(|input| input.ranked[i])).collect(),
        scans: inputs.iter().flat_map(|input| input.scans.iter().copied()).collect(),
        lineage: inputs.into_iter().flat_map(|input| input.lineage).collect(),
    })
}

fn refuse_subqueries(plan: &LogicalPlan) -> Walked<()> {
    let is_subquery = |e: &Expr| {
        matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_))
    };
    for expr in plan.expressions() {
        if expr.exists(|e| Ok(is_subquery(e)))? {
            return Err(Stop::NoRule("a subquery that is no join".to_string()));
        }
    }
    Ok(())
}
