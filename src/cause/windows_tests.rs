//! Plans with other windows, before and after.

use datafusion::arrow::datatypes::{Field, Schema, TimeUnit};
use datafusion::logical_expr::{LogicalPlanBuilder, col};

use super::*;
use crate::cause::change::HOUR;
use crate::sql::now_placeholder;

fn now() -> Expr {
    now_placeholder(TimeUnit::Microsecond)
}

fn ago(days: i32) -> Expr {
    now() - lit(interval(0, days, 0))
}

fn plan(condition: Expr) -> LogicalPlan {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Schema::new(vec![Field::new("ts", time, true), Field::new("n", DataType::Int64, true)]);
    let rows = datafusion::logical_expr::logical_plan::builder::table_scan(Some("events"), &schema, None).unwrap();
    LogicalPlanBuilder::from(rows.build().unwrap()).filter(condition).unwrap().build().unwrap()
}

#[track_caller]
fn becomes(before: Expr, change: &Rewindow, after: &str) {
    let plan = plan(before);
    let windows = Windows::of(&plan);
    let rewritten = windows.rewrite(plan, change).unwrap();
    let shown = rewritten.to_string();
    let filter = shown.lines().next().unwrap().replace("events.", "");
    assert_eq!(filter.trim(), format!("Filter: {after}"));
}

#[test]
fn the_start_is_flipped_on_either_side() {
    let flip = Rewindow::Start { inclusive: true };
    becomes(col("ts").gt(ago(1)), &flip, &format!("ts >= $NOW - {}", shown_interval(1)));
    becomes(ago(1).lt(col("ts")), &flip, &format!("ts >= $NOW - {}", shown_interval(1)));
    becomes(
        col("ts").gt_eq(ago(1)),
        &Rewindow::Start { inclusive: false },
        &format!("ts > $NOW - {}", shown_interval(1)),
    );
}

fn shown_interval(days: i32) -> String {
    lit(interval(0, days, 0)).to_string()
}

#[test]
fn what_is_no_window_stays() {
    let flip = Rewindow::Start { inclusive: true };
    becomes(col("n").gt(lit(1_i64)), &flip, "n > Int64(1)");
    becomes(col("ts").lt_eq(now()), &flip, "ts <= $NOW");
}

#[test]
fn a_length_is_replaced_where_its_window_is() {
    let both = col("ts").gt(ago(1)).or(col("ts").gt(ago(7)));
    let lengths = Rewindow::Lengths(vec![Some(Length::Calendar("day")), None]);
    becomes(both, &lengths, &format!("ts >= date_trunc(Utf8(\"day\"), $NOW) OR ts > $NOW - {}", shown_interval(7)));
    becomes(col("ts").gt(ago(1)), &Rewindow::Lengths(vec![Some(Length::Unbounded)]), "ts IS NOT NULL");
}

#[test]
fn an_interval_beside_the_column_is_a_window_too() {
    let moved = (col("ts") + lit(interval(0, 1, 0))).gt(now());
    assert_eq!(Windows::of(&plan(moved.clone())).starts, [Start::Before(0, 1, 0)]);
    let two = Rewindow::Lengths(vec![Some(Length::Fixed { months: 0, days: 2, nanos: 0 })]);
    becomes(moved, &two, &format!("ts > $NOW - {}", shown_interval(2)));
}

#[test]
fn between_has_a_start_and_an_end() {
    let between = col("ts").between(ago(1), now());
    let windows = Windows::of(&plan(between.clone()));
    assert!(windows.includes_start && windows.end_included && !windows.excludes_start);
    becomes(
        between,
        &Rewindow::Start { inclusive: false },
        &format!("ts > $NOW - {} AND ts <= $NOW", shown_interval(1)),
    );
}

#[test]
fn a_tile_rounds_the_start_down() {
    for (inclusive, op) in [(false, ">"), (true, ">=")] {
        let plan = plan(col("ts").gt(ago(1)));
        let tiled = Rewindow::Tiled { tile: HOUR, inclusive };
        let tiled = Windows::of(&plan).rewrite(plan, &tiled).unwrap().to_string();
        assert!(tiled.contains(&format!("ts {op} date_bin(")) && tiled.contains("$NOW - "), "{tiled}");
    }
}

#[test]
fn calendars_are_noticed() {
    let trunc = date_trunc(lit("day"), now());
    let windows = Windows::of(&plan(col("ts").gt_eq(trunc)));
    assert!(windows.calendar);
    assert_eq!(windows.starts, [Start::Of("day".to_string(), 0, 0, 0)]);
    assert!(!Windows::of(&plan(col("ts").gt(ago(1)))).calendar);
}

#[test]
fn an_age_is_a_window_too() {
    let aged = |op: Operator| {
        let length = |e: Expr| lengths(e);
        binary_expr(length(now() - col("ts")), op, length(lit(interval(1, 1, 0))))
    };
    let tile = Rewindow::Start { inclusive: true };
    becomes(aged(Operator::Lt), &tile, &format!("ts >= $NOW - {}", shown_interval(31)));
    becomes(
        aged(Operator::LtEq),
        &Rewindow::Start { inclusive: false },
        &format!("ts > $NOW - {}", shown_interval(31)),
    );
    // Older than a day: an end, not a start.
    let windows = Windows::of(&plan(aged(Operator::Gt)));
    assert_eq!(windows.starts, []);
}

/// The function that ages are compared by, as it stands in plans.
fn lengths(of: Expr) -> Expr {
    let compared = binary_expr(of, Operator::Eq, lit(interval(0, 1, 0)));
    let plan = crate::sql::lengths_as_in_postgres(plan(compared)).unwrap();
    let LogicalPlan::Filter(filter) = plan else { panic!("no filter") };
    let Expr::BinaryExpr(compared) = filter.predicate else { panic!("no comparison") };
    *compared.left
}
