//! Words that DataFusion reads otherwise than PostgreSQL does, or does not know: refused with what to write instead.

use datafusion::sql::sqlparser::ast::{self, Spanned};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::diagnostics;
use crate::sql::postgres::{pattern, takes_pattern, written_pattern};
use crate::sql::refuse::last_part;

/// What is wrong with an expression.
pub(super) struct Unlike {
    pub(super) code: &'static str,
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) help: &'static str,
}

/// Functions that tell of the session, and not of the events.
const OF_THE_SESSION: [&str; 14] = [
    "version",
    "current_user",
    "session_user",
    "user",
    "current_database",
    "current_schema",
    "current_setting",
    "pg_typeof",
    "pg_sleep",
    "nextval",
    "currval",
    "txid_current",
    "inet_client_addr",
    "pg_backend_pid",
];

/// Functions without a counterpart, and what to write.
const UNKNOWN: [(&str, &str); 25] = [
    ("age", "subtract: `NOW() - ts`, or its `EXTRACT(EPOCH FROM ...)`"),
    ("format", "join texts with `||` or `concat`"),
    ("json_agg", "gather texts with `array_agg`"),
    ("json_build_object", "give the parts as columns of their own"),
    ("jsonb_agg", "gather texts with `array_agg`"),
    ("jsonb_array_elements", "take items by their index: `p -> 'items' -> 0`"),
    ("jsonb_array_elements_text", "take items by their index: `p -> 'items' ->> 0`"),
    ("jsonb_build_object", "give the parts as columns of their own"),
    ("jsonb_each", "take parts by their keys: `p -> 'key'`"),
    ("jsonb_each_text", "take parts by their keys: `p ->> 'key'`"),
    ("jsonb_object_agg", "gather texts with `array_agg`"),
    ("jsonb_object_keys", "ask for each key that counts: `jsonb_exists(p, 'key')`"),
    ("isfinite", "write `ts IS NOT NULL`: a timestamp of Parquet is never infinite"),
    ("justify_days", "take `EXTRACT(EPOCH FROM ...)` and divide"),
    ("justify_hours", "take `EXTRACT(EPOCH FROM ...)` and divide"),
    ("justify_interval", "take `EXTRACT(EPOCH FROM ...)` and divide"),
    ("make_interval", "write `INTERVAL '...'`, or `(n || ' days')::interval`"),
    ("make_timestamp", "write the text and cast it: `(...)::timestamp`"),
    ("make_timestamptz", "write the text and cast it: `(...)::timestamptz`"),
    ("mode", "count each value, and take the first by `ORDER BY count(*) DESC LIMIT 1` or `row_number()`"),
    ("percentile_disc", "take an item of the sorted values: `(array_agg(x ORDER BY x))[...]`, or `percentile_cont`"),
    ("regexp_matches", "write `regexp_match`, which gives the first match"),
    ("regexp_substr", "write `(regexp_match(x, '...'))[1]`"),
    ("to_number", "cast the text: `x::numeric`"),
    ("width_bucket", "write `CASE` or `floor((x - low) / (high - low) * buckets)::int + 1`"),
];

/// Parts of `EXTRACT` that can be given.
const PARTS: [&str; 22] = [
    "year",
    "years",
    "quarter",
    "month",
    "months",
    "week",
    "weeks",
    "day",
    "days",
    "doy",
    "dow",
    "isodow",
    "isoyear",
    "hour",
    "hours",
    "minute",
    "minutes",
    "second",
    "seconds",
    "epoch",
    "millisecond",
    "milliseconds",
];
const MORE_PARTS: [&str; 4] = ["microsecond", "microseconds", "nanosecond", "nanoseconds"];

/// What is wrong with this expression itself, not with what it is made of.
pub(super) fn unlike(expr: &ast::Expr) -> Option<Unlike> {
    let found = |code, span, message: String, help| Some(Unlike { code, span, message, help });
    match expr {
        ast::Expr::BinaryOp { op: ast::BinaryOperator::BitwiseXor, left, .. } => {
            let message = "`^` is a power in PostgreSQL, and combines bits in DataFusion".to_string();
            found(diagnostics::B156, left.span(), message, "write `power(x, y)`")
        }
        ast::Expr::SimilarTo { expr, .. } => {
            let message = "`SIMILAR TO` is read as a regular expression by DataFusion".to_string();
            found(diagnostics::B156, expr.span(), message, "write `LIKE`, or a regular expression: `x ~ '^(a|b).*$'`")
        }
        ast::Expr::Cast { expr, data_type: ast::DataType::JSON, .. } => {
            let message = "`json` keeps the text as it was given, which can't be replayed".to_string();
            found(diagnostics::B154, expr.span(), message, "write `::jsonb`")
        }
        ast::Expr::Extract { field, .. } => {
            let part = field.to_string().to_lowercase();
            let part = part.trim_matches('\'');
            if PARTS.contains(&part) || MORE_PARTS.contains(&part) {
                return None;
            }
            let help = "write it with `year`, `month`, `day`, `dow`, `doy`, `hour` or `epoch`";
            found(diagnostics::B157, expr.span(), format!("`EXTRACT({field} ...)` can't be replayed"), help)
        }
        ast::Expr::Identifier(ident) if ident.quote_style.is_none() => {
            let name = ident.value.to_lowercase();
            if !matches!(name.as_str(), "current_user" | "session_user") {
                return None;
            }
            of_the_session(&name, ident.span)
        }
        ast::Expr::Function(call) => {
            let name = last_part(&call.name);
            let span = call.name.span();
            if OF_THE_SESSION.contains(&name.as_str()) {
                return of_the_session(&name, span);
            }
            if let Some((_, help)) = UNKNOWN.iter().find(|(unknown, _)| *unknown == name) {
                return found(diagnostics::B157, span, format!("the function `{name}` can't be replayed"), help);
            }
            if takes_pattern(&name)
                && let Some(written) = written_pattern(call)
                && !written.contains('%')
                && pattern(&written).is_none()
            {
                let message = format!("the pattern `{written}` of `{name}` can't be replayed");
                let help =
                    "write it with YYYY, MM, DD, HH24, MI, SS, MS, US, IYYY, IW, ID and DDD, or as in C: `%Y-%m-%d`";
                return found(diagnostics::B156, span, message, help);
            }
            None
        }
        _ => None,
    }
}

fn of_the_session(name: &str, span: Span) -> Option<Unlike> {
    Some(Unlike {
        code: diagnostics::B159,
        span,
        message: format!("`{name}` tells of the session that asks, not of the events"),
        help: "write the value into the SQL, or leave it out",
    })
}
