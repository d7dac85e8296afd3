//! What has to be kept of events for the aggregates that are asked for, each thing once.

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::exec_err;
use datafusion::error::Result as DfResult;

use crate::sweep::layout::{Flag, Layout};
use crate::sweep::spec::{Argument, Function, OrderKey, SweepAggregate, SweepSpec};
use crate::sweep::windows::CompiledWindow;

/// What is kept for each position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quantity {
    pub kind: Kind,
    pub window: usize,
    /// Events where it is NULL do not count.
    pub argument: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Count,
    /// How many different values.
    Distinct,
    /// Which finer groups.
    Groups,
    Integers,
    Wide,
    Floats,
    Minimum,
    Maximum,
    /// The first event by the order of this number.
    First(usize),
    /// All events.
    Members,
}

/// Positions of an aggregate's quantities.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub count: usize,
    /// The same as `count` where nothing else is needed.
    pub value: usize,
}

impl Kind {
    /// Bytes of a position's cell, and of what the finished values take.
    pub(super) fn cell_bytes(self) -> usize {
        match self {
            Self::Count | Self::Distinct | Self::Groups | Self::Members => 8,
            Self::Integers | Self::Floats | Self::Minimum | Self::Maximum | Self::First(_) => 16,
            Self::Wide => 32,
        }
    }

    /// Whether what is kept depends on the argument's value.
    pub(super) fn has_value(self) -> bool {
        !matches!(self, Self::Count | Self::Groups | Self::First(_) | Self::Members)
    }
}

/// What has to be known of events while they wait.
pub(super) fn layout(
    windows: &[CompiledWindow],
    quantities: &[Quantity],
    events: &SchemaRef,
    orders: usize,
    members: bool,
) -> Layout {
    let (mut columns, mut flags) = (Vec::new(), Vec::new());
    for window in windows {
        flags.extend(window.filter.map(Flag::Holds));
        for bound in &window.bounds {
            columns.push(bound.event);
            flags.push(Flag::Valid(bound.event));
        }
    }
    for quantity in quantities {
        flags.extend(quantity.argument.map(Flag::Valid));
        columns.extend(quantity.argument.filter(|_| quantity.kind.has_value()));
    }
    columns.sort_unstable();
    columns.dedup();
    let mut distinct: Vec<Flag> = Vec::new();
    for flag in flags {
        if !distinct.contains(&flag) {
            distinct.push(flag);
        }
    }
    let finer = quantities.iter().any(|q| q.kind == Kind::Groups);
    Layout::new(events, &columns, distinct, orders, finer, orders > 0, members)
}

/// The columns that aggregates take from the events that come first by an order.
pub(super) fn values_of<'a>(spec: &'a SweepSpec, order: &[OrderKey]) -> Vec<&'a String> {
    let of = |a: &'a SweepAggregate| match &a.function {
        Function::First { order: own, .. } if own == order => a.argument.as_ref(),
        _ => None,
    };
    spec.aggregates.iter().filter_map(of).collect()
}

/// The columns of events that are held: for first values, for calls.
pub(super) fn held_columns(spec: &SweepSpec, events: &SchemaRef) -> DfResult<(Vec<usize>, Vec<usize>)> {
    let (mut firsts, mut calls): (Vec<&String>, Vec<&String>) = (Vec::new(), Vec::new());
    for aggregate in &spec.aggregates {
        match &aggregate.function {
            Function::First { order, .. } => {
                firsts.extend(aggregate.argument.iter().chain(order.iter().map(|key| &key.event)));
            }
            Function::Call(call) => {
                calls.extend(call.arguments.iter().filter_map(|a| match a {
                    Argument::Column(name) => Some(name),
                    Argument::Literal { .. } => None,
                }));
                calls.extend(call.order.iter().map(|key| &key.event));
            }
            _ => {}
        }
    }
    let numbers = |names: Vec<&String>| -> DfResult<Vec<usize>> {
        let mut numbers = names.into_iter().map(|n| Ok(events.index_of(n)?)).collect::<DfResult<Vec<usize>>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    };
    Ok((numbers(firsts)?, numbers(calls)?))
}

/// An order of first values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderOf {
    pub keys: Vec<OrderKey>,
    /// Whether the first may be NULL.
    pub nulls: bool,
    pub settled: bool,
}

/// Which quantities an aggregate needs; new ones are added.
pub(super) fn plan(
    aggregate: &SweepAggregate,
    events: &SchemaRef,
    quantities: &mut Vec<Quantity>,
    orders: &mut Vec<OrderOf>,
) -> DfResult<Plan> {
    let argument = aggregate.argument.as_ref().map(|a| events.index_of(a)).transpose()?;
    let window = aggregate.window;
    let data_type = argument.map(|a| events.field(a).data_type());
    let nullable = argument.is_none_or(|a| events.field(a).is_nullable());
    let mut add = |kind: Kind, argument: Option<usize>| {
        let quantity = Quantity { kind, window, argument };
        quantities.iter().position(|q| *q == quantity).unwrap_or_else(|| {
            quantities.push(quantity);
            quantities.len() - 1
        })
    };
    let value = match (&aggregate.function, data_type) {
        (Function::Call(_), _) => {
            let value = add(Kind::Members, None);
            return Ok(Plan { count: value, value });
        }
        (Function::First { order, ignore_nulls, settled }, Some(_)) => {
            let skipped = argument.filter(|_| *ignore_nulls && nullable);
            let first = order.first().map(|key| events.index_of(&key.event)).transpose()?;
            let nulls = first.is_some_and(|f| events.field(f).is_nullable() && skipped != Some(f));
            let order = OrderOf { keys: order.clone(), nulls, settled: *settled };
            let number = orders.iter().position(|o| *o == order).unwrap_or_else(|| {
                orders.push(order);
                orders.len() - 1
            });
            let value = add(Kind::First(number), skipped);
            return Ok(Plan { count: value, value });
        }
        (Function::Count, _) => None,
        (Function::CountDistinct, Some(_)) => {
            let value = add(Kind::Distinct, argument);
            return Ok(Plan { count: value, value });
        }
        (_, None) => return exec_err!("`{}` has no argument", aggregate.name),
        (Function::Sum | Function::Average, Some(t)) if t.is_floating() => Some(Kind::Floats),
        (Function::Sum | Function::Average, Some(DataType::Decimal128(precision, _))) if *precision > NARROW_DIGITS => {
            Some(Kind::Wide)
        }
        (Function::Sum | Function::Average, Some(_)) => Some(Kind::Integers),
        (Function::Minimum, Some(_)) => Some(Kind::Minimum),
        (Function::Maximum, Some(_)) => Some(Kind::Maximum),
    };
    let count = add(Kind::Count, argument.filter(|_| nullable));
    let value = value.map_or(count, |kind| add(kind, argument));
    Ok(Plan { count, value })
}

/// Decimals of so many digits are below 2^94, as [`Track::Integers`] wants it.
const NARROW_DIGITS: u8 = 28;
