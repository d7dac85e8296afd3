//! A plan as text for people: DataFusion's own, with intervals in ISO 8601.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::plan::bounds::iso;
use crate::source::marked_within_reach;

/// How DataFusion 55 writes an interval literal.
const OPEN: &str = "IntervalMonthDayNano(\"IntervalMonthDayNano { months: ";
const CLOSE: &str = " }\")";

/// The plan, one operator a line, indented by depth. Marks of filters are left out.
pub fn shown(plan: &LogicalPlan) -> String {
    let plain = plan.clone().transform_up(|node| node.map_expressions(unmarked)).data();
    short_intervals(&plain.as_ref().unwrap_or(plan).display_indent().to_string())
}

fn unmarked(expr: Expr) -> DfResult<Transformed<Expr>> {
    expr.transform_up(|expr| {
        Ok(match marked_within_reach(&expr) {
            Some(condition) => Transformed::yes(condition.clone()),
            None => Transformed::no(expr),
        })
    })
}

fn short_intervals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        let (before, after) = (&rest[..start], &rest[start + OPEN.len()..]);
        let parsed = after.find(CLOSE).and_then(|end| Some((interval(&after[..end])?, end)));
        out.push_str(before);
        match parsed {
            Some((duration, end)) => {
                out.push_str(&duration);
                rest = &after[end + CLOSE.len()..];
            }
            None => {
                out.push_str(OPEN);
                rest = after;
            }
        }
    }
    out + rest
}

/// `0, days: 7, nanoseconds: 0` as `P7D`.
fn interval(text: &str) -> Option<String> {
    let (months, rest) = text.split_once(", days: ")?;
    let (days, nanoseconds) = rest.split_once(", nanoseconds: ")?;
    Some(iso(months.parse().ok()?, days.parse().ok()?, nanoseconds.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_shown_in_iso_8601() {
        let text = format!("a > now() - {OPEN}0, days: 7, nanoseconds: 0{CLOSE} AND b");
        assert_eq!(short_intervals(&text), "a > now() - P7D AND b");
        assert_eq!(short_intervals(&format!("{OPEN}x")), format!("{OPEN}x"));
    }
}
