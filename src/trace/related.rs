//! Rows of sources that the key does not bind, such as a table of shops that events name: which of them may meet a row of the key.
//!
//! Where a join compares a column of such a source with one of a source that is bound, a row with none of the values that the bound rows
//! have meets none of them, whatever its time and whatever else is asked of it.

use std::collections::HashSet;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::{can_cast_types, cast};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Join, JoinType, LogicalPlan, Operator};

use crate::analysis::marked_source;
use crate::trace::asked::Scan;
use crate::trace::cell::comparable;
use crate::trace::rows::SourceRows;

/// A column of a reading: the reading's number, and the column's position in the source.
type Origin = (usize, usize);

/// Columns that a join holds to be equal.
pub(super) type Link = (Origin, Origin);

/// The equalities of the plan's joins between columns of its readings, which are `scans`.
pub(super) fn links(plan: &LogicalPlan, scans: &[Scan]) -> Vec<Link> {
    let mut walk = Links { scans, next: 0, found: Vec::new() };
    walk.origins(plan);
    walk.found
}

struct Links<'a> {
    scans: &'a [Scan],
    next: usize,
    found: Vec<Link>,
}

impl Links<'_> {
    /// By column of the operator, the column of a reading that it is.
    fn origins(&mut self, plan: &LogicalPlan) -> Vec<Option<Origin>> {
        let inputs: Vec<Vec<Option<Origin>>> = plan.inputs().into_iter().map(|input| self.origins(input)).collect();
        let nothing = || vec![None; plan.schema().fields().len()];
        match (plan, inputs.as_slice()) {
            (LogicalPlan::TableScan(scan), _) => {
                let number = self.next;
                let own = self.scans.get(number).filter(|own| marked_source(scan) == Some(own.source));
                let Some(own) = own else { return nothing() };
                self.next += 1;
                own.columns.iter().map(|column| Some((number, *column))).collect()
            }
            (LogicalPlan::Projection(projection), [input]) => {
                projection.expr.iter().map(|expr| origin(expr, &projection.input, input)).collect()
            }
            (LogicalPlan::Aggregate(aggregate), [input]) => {
                let mut all = nothing();
                let groups = aggregate.group_expr.iter().map(|expr| origin(expr, &aggregate.input, input));
                all.iter_mut().zip(groups).for_each(|(own, group)| *own = group);
                all
            }
            (LogicalPlan::Window(_), [input]) => {
                let mut all = nothing();
                all.iter_mut().zip(input).for_each(|(own, below)| *own = *below);
                all
            }
            (LogicalPlan::Join(join), [left, right]) => {
                self.note(join, left, right);
                let mut all = match join.join_type {
                    JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left.clone(),
                    JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.clone(),
                    _ => left.iter().chain(right).copied().collect(),
                };
                all.resize(plan.schema().fields().len(), None);
                all
            }
            (LogicalPlan::Union(_), _) => nothing(),
            (_, [input]) if input.len() == plan.schema().fields().len() => input.clone(),
            _ => nothing(),
        }
    }

    fn note(&mut self, join: &Join, left: &[Option<Origin>], right: &[Option<Origin>]) {
        // `NOT IN`: a NULL meets every row.
        if join.null_aware {
            return;
        }
        let side = |expr: &Expr| origin(expr, &join.left, left).or_else(|| origin(expr, &join.right, right));
        let equal = |expr: &Expr| match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => Some((side(left)?, side(right)?)),
            _ => None,
        };
        let on = join.on.iter().filter_map(|(a, b)| Some((side(a)?, side(b)?)));
        let filters = join.filter.iter().flat_map(split_conjunction).filter_map(equal);
        self.found.extend(on.chain(filters));
    }
}

fn origin(expr: &Expr, input: &LogicalPlan, origins: &[Option<Origin>]) -> Option<Origin> {
    match expr {
        Expr::Alias(alias) => origin(&alias.expr, input, origins),
        Expr::Column(column) => origins.get(input.schema().maybe_index_of_column(column)?).copied().flatten(),
        _ => None,
    }
}

/// By source, which of its rows may meet a row of the key; none where no join tells, or where the key binds it.
pub(super) fn related(
    links: &[Link],
    scans: &[Scan],
    sources: &[SourceRows],
    bound: &[bool],
) -> DfResult<Vec<Option<Vec<bool>>>> {
    let place = |scan: usize| scans.get(scan).and_then(|scan| sources.iter().position(|s| s.source == scan.source));
    let mut related: Vec<Option<Vec<bool>>> = vec![None; sources.len()];
    // Of a source that is read several times, one reading says nothing of another.
    let once = |at: usize| scans.iter().filter(|scan| scan.source == sources[at].source).count() == 1;
    for _ in 0..sources.len() {
        let mut told = false;
        for (a, b) in links {
            for ((from, from_column), (to, to_column)) in [(a, b), (b, a)] {
                let (Some(from), Some(to)) = (place(*from), place(*to)) else { continue };
                let known = bound[from] || related[from].is_some();
                if from == to || bound[to] || related[to].is_some() || !known || !once(to) {
                    continue;
                }
                let columns = [&sources[from].raw.columns[*from_column], &sources[to].raw.columns[*to_column]];
                let [Some(theirs), Some(own)] = columns else { continue };
                related[to] = meeting(theirs, related[from].as_deref(), own)?;
                told = true;
            }
        }
        if !told {
            break;
        }
    }
    Ok(related)
}

/// Which values are among those of the other side's rows; `None` where they can't be compared.
fn meeting(theirs: &ArrayRef, counted: Option<&[bool]>, own: &ArrayRef) -> DfResult<Option<Vec<bool>>> {
    if !can_cast_types(theirs.data_type(), own.data_type()) {
        return Ok(None);
    }
    let theirs = cast(theirs, own.data_type())?;
    let (theirs, own) = (comparable(&theirs)?, comparable(own)?);
    let converter = RowConverter::new(vec![SortField::new(own.data_type().clone())])?;
    let encoded = |column: &ArrayRef| converter.convert_columns(std::slice::from_ref(column));
    let (their_rows, own_rows) = (encoded(&theirs)?, encoded(&own)?);
    let counts = |row: &usize| theirs.is_valid(*row) && counted.is_none_or(|counted| counted[*row]);
    let known: HashSet<OwnedRow> = (0..theirs.len()).filter(counts).map(|row| their_rows.row(row).owned()).collect();
    Ok(Some((0..own.len()).map(|row| known.contains(&own_rows.row(row).owned())).collect()))
}
