//! A lower bound for people: an ISO 8601 duration before the label time, `unbounded`, or the day it starts at.

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::lookback::bounds::interval;
use crate::lookback::evaluate::{FROM_THE_BEGINNING, NOTHING};
use crate::lookback::reads::{Lower, SourceRead};
use crate::source::time::rfc3339;
use crate::sql::{ROUNDING, is_now};

/// How far back a reading reaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Reach {
    /// ISO 8601, `unbounded`, or `since` and an instant.
    pub text: String,
    /// At [`REFERENCE`], nanoseconds: what reaches are compared by.
    at_reference: i64,
}

/// Where lookbacks are compared with each other: midnight after a short month, so that a day's and a month's start reach back as far as
/// they can.
const REFERENCE: i64 = 1_740_787_199_999_999_000;

/// The reading of `source` that reaches back furthest.
pub fn widest<'a>(reads: impl IntoIterator<Item = &'a SourceRead>, source: usize) -> Option<Reach> {
    let own = reads.into_iter().filter(|r| r.source == source);
    own.map(|r| r.lower.reach()).min_by_key(|reach| reach.at_reference)
}

/// The reading that reaches back furthest, of whatever source.
pub fn widest_of<'a>(reads: impl IntoIterator<Item = &'a SourceRead>) -> Option<Reach> {
    reads.into_iter().map(|r| r.lower.reach()).min_by_key(|reach| reach.at_reference)
}

impl Lower {
    pub fn reach(&self) -> Reach {
        let at_reference = self.start(REFERENCE);
        let of = |all: &[Self], pick: fn(&i64, &i64) -> bool| {
            let mut reaches = all.iter().map(Self::reach);
            let first = reaches.next();
            first.map(|first| reaches.fold(first, |a, b| if pick(&b.at_reference, &a.at_reference) { b } else { a }))
        };
        let made = match self {
            Self::Unbounded => None,
            Self::Latest(all) => of(all, i64::gt),
            Self::Earliest(all) => of(all, i64::lt),
            Self::At(expr) => Some(Reach { text: text_of(expr, at_reference), at_reference }),
        };
        made.unwrap_or(Reach { text: "unbounded".to_string(), at_reference: FROM_THE_BEGINNING })
    }
}

fn text_of(expr: &Expr, at_reference: i64) -> String {
    if at_reference == FROM_THE_BEGINNING {
        return "unbounded".to_string();
    }
    match distance(expr) {
        Some(back) => iso_8601(back),
        None if at_reference == NOTHING => "PT0S".to_string(),
        None if !crate::sql::mentions_now(expr) => format!("since {}", rfc3339(at_reference)),
        // As a length at one instant: the shape of the bound is not known.
        None => iso_8601(IntervalMonthDayNano::new(0, 0, REFERENCE.saturating_sub(at_reference))),
    }
}

/// What is subtracted from the label time, at most.
fn distance(expr: &Expr) -> Option<IntervalMonthDayNano> {
    match expr {
        e if is_now(e) => Some(IntervalMonthDayNano::ZERO),
        Expr::Cast(to) => match to.field.data_type() {
            DataType::Date32 => added(distance(&to.expr)?, IntervalMonthDayNano::new(0, 1, 0)),
            DataType::Timestamp(_, _) => distance(&to.expr),
            _ => None,
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => added(distance(left)?, interval(right)?),
        Expr::ScalarFunction(f) if ROUNDING.contains(&f.func.name()) => distance(f.args.first()?),
        Expr::ScalarFunction(f) if f.func.name() == "date_trunc" => {
            let [Expr::Literal(unit, _), inner] = f.args.as_slice() else { return None };
            added(distance(inner)?, unit_of(unit)?)
        }
        _ => None,
    }
}

fn added(a: IntervalMonthDayNano, b: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let nanoseconds = a.nanoseconds.checked_add(b.nanoseconds)?;
    Some(IntervalMonthDayNano::new(a.months.checked_add(b.months)?, a.days.checked_add(b.days)?, nanoseconds))
}

fn unit_of(unit: &ScalarValue) -> Option<IntervalMonthDayNano> {
    const SECOND: i64 = 1_000_000_000;
    let unit = unit.to_string().to_lowercase();
    Some(match unit.as_str() {
        "second" => IntervalMonthDayNano::new(0, 0, SECOND),
        "minute" => IntervalMonthDayNano::new(0, 0, 60 * SECOND),
        "hour" => IntervalMonthDayNano::new(0, 0, 3600 * SECOND),
        "day" => IntervalMonthDayNano::new(0, 1, 0),
        "week" => IntervalMonthDayNano::new(0, 7, 0),
        "month" => IntervalMonthDayNano::new(1, 0, 0),
        "quarter" => IntervalMonthDayNano::new(3, 0, 0),
        "year" => IntervalMonthDayNano::new(12, 0, 0),
        _ => return None,
    })
}

fn iso_8601(length: IntervalMonthDayNano) -> String {
    crate::plan::iso(length.months, length.days, length.nanoseconds)
}
