//! `jsonb` over text columns, with PostgreSQL's meaning.
//!
//! | SQL | becomes |
//! | --- | --- |
//! | `x::jsonb` | `jsonb(x)`: the one text that PostgreSQL writes for the value; an error where `x` is no JSON |
//! | `x -> 'a' -> 0` | `jsonb_get(jsonb(x), 'a', 0)`: the text of the part; NULL where it is not there |
//! | `x ->> 'a'` | `jsonb_get_text(jsonb(x), 'a')`: a string without its quotes; NULL also for JSON's null |
//! | `x #> '{a,0}'`, `x #>> ARRAY['a', '0']` | the same with a whole path |
//! | `x ? 'a'` | `jsonb_exists(jsonb(x), 'a')` |
//!
//! The walk into a value is `datafusion-functions-json`'s, over canonical text only: there its answers are PostgreSQL's. Its
//! union type is not used. A `jsonb` value is text whose field is marked ([`functions::marked`]), and text does not compare,
//! sort or concatenate as `jsonb` does: [`check_uses`] refuses what would.

mod canonical;
mod functions;
mod planner;
mod uses;

pub(super) use planner::JsonOperators;
pub use uses::check_uses;

use std::ops::ControlFlow;

use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{self, VisitorMut};

/// Puts the functions into a session.
pub(super) fn register(session: &SessionContext) {
    for function in functions::all() {
        session.register_udf(function);
    }
}

/// Turns `x::jsonb` into a call, everywhere in a query: DataFusion knows no such type.
#[derive(Debug)]
pub struct CallForJson;

impl VisitorMut for CallForJson {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        let (name, argument) = match expr {
            ast::Expr::Cast { kind, expr, data_type: ast::DataType::JSONB, .. } => match kind {
                ast::CastKind::TryCast | ast::CastKind::SafeCast => (functions::TRY_JSONB, expr.as_ref().clone()),
                ast::CastKind::Cast | ast::CastKind::DoubleColon => (functions::JSONB, expr.as_ref().clone()),
            },
            ast::Expr::TypedString(ast::TypedString { data_type: ast::DataType::JSONB, value, .. }) => {
                (functions::JSONB, ast::Expr::Value(value.clone()))
            }
            _ => return ControlFlow::Continue(()),
        };
        *expr = super::zones::call(name, vec![argument]);
        ControlFlow::Continue(())
    }
}
