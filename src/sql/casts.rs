//! Casts that DataFusion's names of columns leave out, told apart while a query is planned.
//!
//! DataFusion 55 names `max(CAST(ts AS DATE))` as it names `max(ts)`, and refuses an aggregate that has both. Where it does,
//! the query is planned once more with each cast inside an aggregate's arguments behind a function that has the type in its
//! name; then the functions are taken out again, and the columns keep the names that tell them apart.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{internal_err, plan_err};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{self, VisitorMut};

use crate::sql::now::rewrite_expressions;
use crate::sql::refuse::last_part;
use crate::sql::zones::call;

const NAME: &str = "cast_to";

/// The function for a session.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(CastTo { signature: Signature::any(2, Volatility::Immutable) })
}

/// Whether two columns came to have one name.
pub fn names_clash(error: &DataFusionError) -> bool {
    let message = error.find_root().strip_backtrace();
    message.contains("duplicate unqualified field name") || message.contains("require unique expression names")
}

/// Puts the casts in the arguments of aggregates behind the function.
#[derive(Debug)]
pub struct TellCastsApart<F> {
    is_aggregate: F,
    depth: usize,
}

impl<F: Fn(&str) -> bool> TellCastsApart<F> {
    pub fn new(is_aggregate: F) -> Self {
        Self { is_aggregate, depth: 0 }
    }

    fn aggregates(&self, expr: &ast::Expr) -> bool {
        matches!(expr, ast::Expr::Function(f)
            if f.over.is_none() && (self.is_aggregate)(&last_part(&f.name).to_ascii_lowercase()))
    }
}

impl<F: Fn(&str) -> bool> VisitorMut for TellCastsApart<F> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        self.depth += usize::from(self.aggregates(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        if self.aggregates(expr) {
            self.depth -= 1;
        } else if let ast::Expr::Cast { kind, data_type, .. } = expr
            && self.depth > 0
        {
            let told = ast::Value::SingleQuotedString(format!("{kind:?} {data_type}"));
            *expr = call(NAME, vec![expr.clone(), ast::Expr::Value(told.into())]);
        }
        ControlFlow::Continue(())
    }
}

/// Takes the functions out again.
///
/// # Errors
/// Where one of them names a column of the result, which is then not told apart by anything that was written; and where a plan
/// can't be rebuilt.
pub fn casts_as_written(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    if plan.schema().fields().iter().any(|f| f.name().contains(NAME)) {
        return plan_err!("two columns of the result have one name");
    }
    rewrite_expressions(plan, &|expr| match expr {
        Expr::ScalarFunction(mut call) if call.func.name() == NAME && !call.args.is_empty() => {
            Ok(Transformed::yes(call.args.swap_remove(0)))
        }
        other => Ok(Transformed::no(other)),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CastTo {
    signature: Signature,
}

impl ScalarUDFImpl for CastTo {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        match args {
            [cast, ..] => Ok(cast.clone()),
            [] => plan_err!("{NAME} takes a cast"),
        }
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        internal_err!("{NAME} only names a cast while a query is planned")
    }
}
