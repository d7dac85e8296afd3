//! Conditions of a plan as SQL for people: `NOW()` for the label time, no casts that only make types meet, and no names and functions that
//! only planning has made.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use crate::sql::{LENGTH_OF_TIME, ROUNDING, is_now};

/// Functions that planning puts around a value, and that are not shown.
const SILENT: [&str; 1] = ["unsigned_zero"];

/// Writes expressions; columns with their table where a plan reads several.
#[derive(Debug, Clone)]
pub(super) struct Speller {
    qualified: bool,
    /// What columns that planning has named are, as text.
    meant: Arc<HashMap<String, String>>,
}

impl Speller {
    pub(super) fn of(plan: &LogicalPlan) -> Self {
        fn leaves(plan: &LogicalPlan) -> usize {
            match plan.inputs().as_slice() {
                [] => 1,
                inputs => inputs.iter().map(|input| leaves(input)).sum(),
            }
        }
        let mut speller = Self { qualified: leaves(plan) > 1, meant: Arc::default() };
        speller.learn(plan);
        speller
    }

    /// Learns what columns are that nobody named: those with names of our own, and calls of aggregates and window functions.
    fn learn(&mut self, plan: &LogicalPlan) {
        plan.inputs().into_iter().for_each(|input| self.learn(input));
        let mut found: Vec<(String, String)> = Vec::new();
        let mut call = |expr: &Expr| found.push((expr.schema_name().to_string(), self.spell(expr)));
        match plan {
            LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.iter().for_each(&mut call),
            LogicalPlan::Window(window) => window.window_expr.iter().for_each(&mut call),
            LogicalPlan::Projection(projection) => {
                for expr in &projection.expr {
                    if let Expr::Alias(alias) = expr
                        && is_made(&alias.name)
                    {
                        found.push((alias.name.clone(), self.enclosed(&alias.expr)));
                    }
                }
            }
            _ => {}
        }
        Arc::make_mut(&mut self.meant).extend(found);
    }

    pub(super) fn spell(&self, expr: &Expr) -> String {
        match expr {
            Expr::Alias(alias) => self.spell(&alias.expr),
            Expr::Column(column) => match (self.meant.get(&column.name), &column.relation) {
                (Some(text), _) => text.clone(),
                (None, Some(relation)) if self.qualified && is_a_name(relation.table()) => {
                    format!("{}.{}", relation.table(), column.name)
                }
                _ => short_name(&column.name).replace("count(Int64(1))", "count(*)"),
            },
            Expr::Literal(value, _) => literal(value),
            now if is_now(now) => "NOW()".to_string(),
            Expr::Placeholder(placeholder) => placeholder.id.clone(),
            Expr::BinaryExpr(binary) => self.binary(binary),
            Expr::Not(inner) => format!("NOT {}", self.enclosed(inner)),
            Expr::Negative(inner) => format!("-{}", self.enclosed(inner)),
            Expr::IsNull(inner) => format!("{} IS NULL", self.enclosed(inner)),
            Expr::IsNotNull(inner) => format!("{} IS NOT NULL", self.enclosed(inner)),
            Expr::IsTrue(inner) => format!("{} IS TRUE", self.enclosed(inner)),
            Expr::IsNotTrue(inner) => format!("{} IS NOT TRUE", self.enclosed(inner)),
            Expr::IsFalse(inner) => format!("{} IS FALSE", self.enclosed(inner)),
            Expr::IsNotFalse(inner) => format!("{} IS NOT FALSE", self.enclosed(inner)),
            Expr::Between(between) => {
                let not = if between.negated { " NOT" } else { "" };
                let [of, low, high] = [&between.expr, &between.low, &between.high].map(|e| self.enclosed(e));
                format!("{of}{not} BETWEEN {low} AND {high}")
            }
            Expr::InList(list) => {
                let not = if list.negated { " NOT" } else { "" };
                let items: Vec<String> = list.list.iter().map(|e| self.spell(e)).collect();
                format!("{}{not} IN ({})", self.enclosed(&list.expr), items.join(", "))
            }
            Expr::Like(like) => {
                let not = if like.negated { " NOT" } else { "" };
                let word = if like.case_insensitive { "ILIKE" } else { "LIKE" };
                format!("{}{not} {word} {}", self.enclosed(&like.expr), self.enclosed(&like.pattern))
            }
            Expr::Cast(cast) if only_meets(cast.field.data_type(), &cast.expr) => self.spell(&cast.expr),
            Expr::Cast(cast) => format!("CAST({} AS {})", self.spell(&cast.expr), sql_type(cast.field.data_type())),
            Expr::TryCast(cast) => {
                format!("TRY_CAST({} AS {})", self.spell(&cast.expr), sql_type(cast.field.data_type()))
            }
            Expr::ScalarFunction(call) if is_silent(call.name()) && !call.args.is_empty() => self.spell(&call.args[0]),
            // Of the windows of TUMBLE and HOP.
            Expr::ScalarFunction(call) if matches!(call.name(), "window_start" | "window_end") => {
                call.name().to_string()
            }
            // `EMIT ON WINDOW CLOSE`.
            Expr::ScalarFunction(call) if call.name() == "arrived_by" && call.args.len() == 4 => {
                let [arrived, end] = [0, 1].map(|at| self.spell(&call.args[at]));
                format!("{arrived} <= {end}")
            }
            Expr::ScalarFunction(call) => {
                let args: Vec<String> = call.args.iter().map(|e| self.spell(e)).collect();
                format!("{}({})", call.name(), args.join(", "))
            }
            Expr::AggregateFunction(call) => {
                let args: Vec<String> = call.params.args.iter().map(|e| self.spell(e)).collect();
                let distinct = if call.params.distinct { "DISTINCT " } else { "" };
                let args = if call.func.name() == "count" && args == ["1"] { "*".to_string() } else { args.join(", ") };
                let filter = call.params.filter.as_ref();
                let filter = filter.map_or_else(String::new, |f| format!(" FILTER (WHERE {})", self.spell(f)));
                format!("{}({distinct}{args}){filter}", call.func.name())
            }
            Expr::WindowFunction(call) => {
                let args: Vec<String> = call.params.args.iter().map(|e| self.spell(e)).collect();
                format!("{}({})", call.fun.name(), args.join(", "))
            }
            Expr::Case(case) => {
                let mut text = "CASE".to_string();
                if let Some(of) = &case.expr {
                    text += &format!(" {}", self.spell(of));
                }
                for (when, then) in &case.when_then_expr {
                    text += &format!(" WHEN {} THEN {}", self.spell(when), self.spell(then));
                }
                if let Some(other) = &case.else_expr {
                    text += &format!(" ELSE {}", self.spell(other));
                }
                text + " END"
            }
            other => other.to_string(),
        }
    }

    fn enclosed(&self, expr: &Expr) -> String {
        let text = self.spell(expr);
        match bare(expr) {
            Expr::BinaryExpr(_) | Expr::Between(_) | Expr::InList(_) | Expr::Like(_) => format!("({text})"),
            _ => text,
        }
    }

    fn binary(&self, BinaryExpr { left, op, right }: &BinaryExpr) -> String {
        // A length of time is compared by its nanoseconds.
        let length = |expr: &Expr| match bare(expr) {
            Expr::Literal(ScalarValue::Int64(Some(ns)), _) => Some(interval(0, 0, *ns)),
            Expr::Literal(ScalarValue::Decimal128(Some(ns), _, 0), _) => Some(interval(0, 0, i64::try_from(*ns).ok()?)),
            _ => None,
        };
        match (is_length(left), length(right), length(left), is_length(right)) {
            (true, Some(right), _, _) => return format!("{} {op} {right}", self.spell(left)),
            (_, _, Some(left), true) => return format!("{left} {op} {}", self.spell(right)),
            _ => {}
        }
        let side = |expr: &Expr, is_right: bool| {
            let text = self.spell(expr);
            match bare(expr) {
                Expr::BinaryExpr(inner)
                    if inner.op.precedence() < op.precedence()
                        || (is_right && inner.op.precedence() == op.precedence()) =>
                {
                    format!("({text})")
                }
                _ => text,
            }
        };
        let op_text = match op {
            Operator::NotEq => "<>".to_string(),
            other => other.to_string(),
        };
        format!("{} {op_text} {}", side(left, false), side(right, true))
    }
}

/// Whether planning has made this column's name: it is one of ours, or the text of a call.
fn is_made(name: &str) -> bool {
    name.starts_with("__") || name.contains('(')
}

/// Whether somebody wrote this name.
fn is_a_name(table: &str) -> bool {
    !table.starts_with("__") && !matches!(table, "left" | "right")
}

fn is_silent(function: &str) -> bool {
    SILENT.contains(&function) || ROUNDING.contains(&function) || function == LENGTH_OF_TIME
}

fn is_length(expr: &Expr) -> bool {
    matches!(bare(expr), Expr::ScalarFunction(call) if call.name() == LENGTH_OF_TIME)
}

/// A type as SQL calls it.
fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_string(),
        DataType::Int8 => "TINYINT".to_string(),
        DataType::Int16 => "SMALLINT".to_string(),
        DataType::Int32 => "INT".to_string(),
        DataType::Int64 => "BIGINT".to_string(),
        DataType::Float32 => "REAL".to_string(),
        DataType::Float64 => "DOUBLE".to_string(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".to_string(),
        DataType::Date32 | DataType::Date64 => "DATE".to_string(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_string(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_string(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".to_string(),
        DataType::Interval(_) => "INTERVAL".to_string(),
        other => other.to_string(),
    }
}

/// A window function's column is named by all of it; the call says enough.
fn short_name(name: &str) -> &str {
    let ends = [" PARTITION BY [", " ORDER BY ["].into_iter().filter_map(|clause| name.find(clause));
    ends.min().map_or(name, |end| &name[..end])
}

/// Without aliases and casts that are not shown.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        Expr::Cast(cast) if only_meets(cast.field.data_type(), &cast.expr) => bare(&cast.expr),
        other => other,
    }
}

/// A cast that the planner adds so that two types meet: of literals, and to times and numbers of another width.
fn only_meets(to: &DataType, of: &Expr) -> bool {
    match of {
        Expr::Literal(_, _) | Expr::Placeholder(_) => !matches!(to, DataType::Date32 | DataType::Date64),
        _ => matches!(to, DataType::Timestamp(_, _)),
    }
}

fn literal(value: &ScalarValue) -> String {
    if value.is_null() {
        return "NULL".to_string();
    }
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        ScalarValue::IntervalMonthDayNano(Some(v)) => interval(v.months, v.days, v.nanoseconds),
        ScalarValue::IntervalDayTime(Some(v)) => {
            interval(0, v.days, i64::from(v.milliseconds).saturating_mul(1_000_000))
        }
        ScalarValue::IntervalYearMonth(Some(months)) => interval(*months, 0, 0),
        ScalarValue::Date32(_) | ScalarValue::Date64(_) => format!("DATE '{value}'"),
        ScalarValue::TimestampSecond(..)
        | ScalarValue::TimestampMillisecond(..)
        | ScalarValue::TimestampMicrosecond(..)
        | ScalarValue::TimestampNanosecond(..) => {
            let shown = value
                .to_array()
                .ok()
                .and_then(|array| datafusion::arrow::util::display::array_value_to_string(&array, 0).ok());
            format!("TIMESTAMP '{}'", shown.unwrap_or_default())
        }
        other => other.to_string(),
    }
}

fn interval(months: i32, days: i32, nanoseconds: i64) -> String {
    let mut parts = Vec::new();
    let mut part = |count: i64, one: &str| {
        if count != 0 {
            parts.push(format!("{count} {one}{}", if count.abs() == 1 { "" } else { "s" }));
        }
    };
    part(i64::from(months), "month");
    part(i64::from(days), "day");
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    part(seconds / 3600, "hour");
    part(seconds / 60 % 60, "minute");
    if rest == 0 {
        part(seconds % 60, "second");
    } else {
        let fraction = format!("{:09}", rest.unsigned_abs());
        parts.push(format!("{}.{} seconds", seconds % 60, fraction.trim_end_matches('0')));
    }
    if parts.is_empty() { "INTERVAL '0'".to_string() } else { format!("INTERVAL '{}'", parts.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::now_placeholder;
    use datafusion::arrow::datatypes::{IntervalMonthDayNano, TimeUnit};
    use datafusion::logical_expr::{cast, col, lit};

    fn spelled(expr: &Expr) -> String {
        Speller { qualified: false, meant: Arc::default() }.spell(expr)
    }

    #[test]
    fn conditions_read_as_they_were_written() {
        let day = Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, 1, 0))), None);
        let bound = now_placeholder(TimeUnit::Microsecond) - day;
        assert_eq!(spelled(&col("t.ts").gt(bound)), "ts > NOW() - INTERVAL '1 day'");
        assert_eq!(spelled(&col("a").eq(lit("it's")).or(col("b").is_null())), "a = 'it''s' OR b IS NULL");
        assert_eq!(spelled(&(col("a") * (col("b") + lit(1)))), "a * (b + 1)");
        assert_eq!(spelled(&col("a").not_eq(lit(1)).and(col("x").or(col("y")))), "a <> 1 AND (x OR y)");
        assert_eq!(spelled(&Expr::Not(Box::new(col("cancelled")))), "NOT cancelled");
        assert_eq!(spelled(&cast(col("a"), DataType::Date32)), "CAST(a AS DATE)");
        assert_eq!(interval(1, 0, 3_661_500_000_000), "INTERVAL '1 month 1 hour 1 minute 1.5 seconds'");
    }
}
