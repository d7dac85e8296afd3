//! `NOW()` and its kin: functions that plan like DataFusion's but with PostgreSQL's types, and never run. In the normal
//! form of a plan each is the placeholder [`NOW`], which an engine replaces by the label time.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result as DfResult;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::prelude::SessionContext;

/// The placeholder for the label time.
pub const NOW: &str = "$NOW";

/// The functions, and what each is in terms of `NOW()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Instant,
    Date,
    Time,
    LocalTimestamp,
}

impl Part {
    const ALL: [(Self, &'static str, &'static [&'static str]); 4] = [
        (
            Self::Instant,
            "now",
            &["current_timestamp", "proctime", "transaction_timestamp", "statement_timestamp", "clock_timestamp"],
        ),
        (Self::Date, "current_date", &["today"]),
        (Self::Time, "current_time", &["localtime"]),
        (Self::LocalTimestamp, "localtimestamp", &[]),
    ];

    fn data_type(self, unit: TimeUnit) -> DataType {
        match self {
            Self::Instant => DataType::Timestamp(unit, Some("UTC".into())),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Nanosecond),
            Self::LocalTimestamp => DataType::Timestamp(unit, None),
        }
    }
}

/// All functions that mean the label time, for a session whose label times are in `unit`.
pub(super) fn functions(unit: TimeUnit) -> Vec<ScalarUDF> {
    Part::ALL
        .iter()
        .map(|(part, name, aliases)| {
            let aliases = aliases.iter().map(ToString::to_string).collect();
            let signature = Signature::nullary(Volatility::Stable);
            ScalarUDF::from(NowFunction { part: *part, name, aliases, unit, signature })
        })
        .collect()
}

/// The unit of the label time in a session.
pub fn now_unit(session: &SessionContext) -> TimeUnit {
    let now = session.udf(Part::ALL[0].1).and_then(|now| now.return_type(&[]));
    match now {
        Ok(DataType::Timestamp(unit, _)) => unit,
        _ => TimeUnit::Microsecond,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NowFunction {
    part: Part,
    name: &'static str,
    aliases: Vec<String>,
    unit: TimeUnit,
    signature: Signature,
}

impl ScalarUDFImpl for NowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(self.part.data_type(self.unit))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        exec_err!("{} was not bound to a label time", self.name)
    }
}

/// The label time as an expression of type `Timestamp(unit, "UTC")`.
pub fn now_placeholder(unit: TimeUnit) -> Expr {
    let field = Field::new(NOW, Part::Instant.data_type(unit), false);
    Expr::Placeholder(Placeholder::new_with_field(NOW.to_string(), Some(Arc::new(field))))
}

/// Whether the expression is the label time.
pub fn is_now(expr: &Expr) -> bool {
    matches!(expr, Expr::Placeholder(p) if p.id == NOW)
}

/// Whether the label time occurs in the expression.
pub fn mentions_now(expr: &Expr) -> bool {
    let mut found = false;
    let walked = expr.apply(|e| {
        found |= is_now(e);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found || walked.is_err()
}

/// Replaces the functions by the placeholder, in all expressions of the plan and of its subqueries.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub fn calls_to_placeholder(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    rewrite_expressions(plan, &|expr| {
        let Expr::ScalarFunction(call) = &expr else { return Ok(Transformed::no(expr)) };
        let Some(now) = (call.func.inner().as_ref() as &dyn std::any::Any).downcast_ref::<NowFunction>() else {
            return Ok(Transformed::no(expr));
        };
        let instant = now_placeholder(now.unit);
        Ok(Transformed::yes(match now.part {
            Part::Instant => instant,
            part => cast(instant, part.data_type(now.unit)),
        }))
    })
}

/// Replaces the placeholder by the label time.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub fn bind_now(plan: LogicalPlan, now: &ScalarValue) -> DfResult<LogicalPlan> {
    bind_placeholders(plan, &|id| (id == NOW).then(|| now.clone()))
}

/// Replaces the placeholders to which `value` gives a value.
///
/// # Errors
/// Where a plan can't be rebuilt.
pub fn bind_placeholders(plan: LogicalPlan, value: &dyn Fn(&str) -> Option<ScalarValue>) -> DfResult<LogicalPlan> {
    rewrite_expressions(plan, &|expr| {
        let bound = if let Expr::Placeholder(placeholder) = &expr { value(&placeholder.id) } else { None };
        Ok(bound.map_or_else(|| Transformed::no(expr), |bound| Transformed::yes(Expr::Literal(bound, None))))
    })
}

fn rewritten_with_name(
    expr: Expr,
    names: &NamePreserver,
    f: &dyn Fn(Expr) -> DfResult<Transformed<Expr>>,
) -> DfResult<Transformed<Expr>> {
    let name = names.save(&expr);
    let rewritten = expr.transform_up(f)?;
    Ok(if rewritten.transformed { rewritten.update_data(|e| name.restore(e)) } else { rewritten })
}

/// Applies `f` bottom up to every expression of the plan and of its subqueries, keeping the names of columns.
///
/// # Errors
/// What `f` fails with, and where a plan can't be rebuilt.
pub fn rewrite_expressions(
    plan: LogicalPlan,
    f: &dyn Fn(Expr) -> DfResult<Transformed<Expr>>,
) -> DfResult<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        let names = NamePreserver::new(&plan);
        let rewritten = plan.map_expressions(|expr| {
            match expr {
                // A set of groups has no name of its own: each of its items has.
                Expr::GroupingSet(set) => {
                    Expr::GroupingSet(set).map_children(|item| rewritten_with_name(item, &names, f))
                }
                expr => rewritten_with_name(expr, &names, f),
            }
        })?;
        // A join or aggregate keeps its schema through a change of expressions only when it is made anew.
        if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
    })
    .data()
}
