//! `TUMBLE` and `HOP` in FROM, as subqueries.
//!
//! ```text
//! TUMBLE(events, ts, INTERVAL '1 hour') AS t
//!     (SELECT *, window_start(ts, 1 hour, 1 hour, 0, 0) AS window_start, window_end(…) AS window_end FROM events) AS t
//!
//! HOP(events, ts, INTERVAL '1 hour', INTERVAL '3 hours') AS t
//!     (SELECT events.*, window_start(ts, 1 hour, 3 hours, 0, hop) AS window_start, window_end(…) AS window_end
//!      FROM (VALUES (0), (1), (2)) AS hops (hop), events WHERE ts IS NOT NULL) AS t
//! ```
//!
//! Windows are `[start, end)`, counted from 1970-01-01 plus the offset. As in RisingWave, `TUMBLE` keeps a row without a time, with NULL
//! as its window, and `HOP` does not; the hop has to divide the size; the columns are known under the table's name where there is no
//! alias. Months have no length and are refused (RisingWave takes them for 30 days).

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::sql::sqlparser::ast::{self, Expr, ObjectName, Spanned, TableFactor, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::diagnostics;
use crate::finding::Finding;
use crate::sql::dialect::interval::{length_ns, value_of};
use crate::sql::parse::SqlText;
use crate::sql::refuse::last_part;

/// One event is in at most so many windows: `HOP` makes a row for each.
const MOST_WINDOWS: i128 = 10_000;
/// The table of window numbers that `HOP` joins to its rows.
pub(super) const HOPS: &str = "__backcast_hops";

/// Puts subqueries in the place of `TUMBLE` and `HOP`; what is wrong with them is told.
pub(in crate::sql) fn call_windows(text: &SqlText, query: &mut ast::Query) -> Vec<Finding> {
    let mut calls = Calls { text, findings: Vec::new() };
    let _ = query.visit(&mut calls);
    calls.findings
}

struct Calls<'a> {
    text: &'a SqlText,
    findings: Vec<Finding>,
}

impl VisitorMut for Calls<'_> {
    type Break = ();

    // Before the visit of its parts: a table that is an argument is visited as a table then.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table {
            name,
            alias,
            args: Some(args),
            version: None,
            sample: None,
            with_ordinality: false,
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let hop = match last_part(name).as_str() {
            "tumble" => false,
            "hop" => true,
            _ => return ControlFlow::Continue(()),
        };
        let parts: Option<Vec<&Expr>> = args.args.iter().map(argument).collect();
        match Windows::read(self.text, name, parts.as_deref(), hop) {
            Ok(windows) => *factor = windows.subquery(alias.take()),
            Err(finding) => self.findings.push(*finding),
        }
        ControlFlow::Continue(())
    }
}

fn argument(arg: &ast::FunctionArg) -> Option<&Expr> {
    match arg {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// One call, read.
struct Windows {
    table: TableFactor,
    /// The table's own name, where it has one.
    name: Option<ast::Ident>,
    time: Expr,
    hop: IntervalMonthDayNano,
    size: IntervalMonthDayNano,
    offset: IntervalMonthDayNano,
    /// How many windows a row is in; `None` for `TUMBLE`.
    hops: Option<usize>,
}

impl Windows {
    fn read(text: &SqlText, name: &ObjectName, args: Option<&[&Expr]>, hopping: bool) -> Result<Self, Box<Finding>> {
        let form = if hopping {
            "write `HOP(table, time_column, hop_size, window_size)`, and perhaps an offset: `HOP(events, ts, INTERVAL '1 hour', INTERVAL '1 day')`"
        } else {
            "write `TUMBLE(table, time_column, window_size)`, and perhaps an offset: `TUMBLE(events, ts, INTERVAL '1 hour')`"
        };
        let refused = |at: &dyn Spanned, message: String, help: &str| {
            let span = if at.span().start.line == 0 { name.span() } else { at.span() };
            Box::new(Finding::error(message).code(diagnostics::B140).at(text.place(span)).help(help))
        };
        let sizes = if hopping { 2 } else { 1 };
        let (table, time, rest) = match args {
            Some([table, time, rest @ ..]) if rest.len() == sizes || rest.len() == sizes + 1 => (*table, *time, rest),
            _ => return Err(refused(name, format!("`{name}` has not the arguments that it takes"), form)),
        };
        let (table, own_name) = table_of(table).ok_or_else(|| {
            refused(table, format!("the first argument of `{name}` is the name of a table or view"), form)
        })?;
        if !matches!(time, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            let help = "compute the time in a CTE or view, and name its column here";
            return Err(refused(time, format!("the second argument of `{name}` is the name of a time column"), help));
        }
        let mut lengths = Vec::new();
        for arg in rest {
            let help = "write an interval out: `INTERVAL '1 hour'`";
            let Some(value) = value_of(arg) else {
                return Err(refused(
                    *arg,
                    format!("a size or offset of `{name}` is no interval that is written out"),
                    help,
                ));
            };
            let Some(length) = length_ns(value) else {
                let message = "a window of months has no fixed length";
                let help = "group by `date_trunc('month', t)`, or write the length in days: RisingWave takes a month for 30 days";
                return Err(Box::new(
                    Finding::error(message).code(diagnostics::B141).at(text.place(place_of(arg, name))).help(help),
                ));
            };
            if lengths.len() < sizes && length <= 0 {
                let help = "no window holds an event then: write a length above zero, such as `INTERVAL '1 hour'`";
                return Err(refused(*arg, format!("a size of `{name}` is not positive"), help));
            }
            lengths.push((value, length));
        }
        let (hop, size) = (lengths[0], lengths[sizes - 1]);
        if size.1 % hop.1 != 0 {
            let message = format!("the window size of `{name}` is no multiple of its hop size");
            let help = "RisingWave refuses it too: `HOP(table, time_column, hop_size, window_size)`, the hop first";
            return Err(Box::new(
                Finding::error(message).code(diagnostics::B142).at(text.place(place_of(rest[0], name))).help(help),
            ));
        }
        let hops = size.1 / hop.1;
        if hops > MOST_WINDOWS {
            let help = "make the hop longer: each event becomes a row for each of its windows";
            return Err(refused(rest[0], format!("`{name}` would put each event in {hops} windows"), help));
        }
        let hops = hopping.then(|| usize::try_from(hops).unwrap_or(usize::MAX));
        let offset = lengths.get(sizes).map_or(IntervalMonthDayNano::new(0, 0, 0), |offset| offset.0);
        Ok(Self { table, name: own_name, time: time.clone(), hop: hop.0, size: size.0, offset, hops })
    }

    fn subquery(self, alias: Option<ast::TableAlias>) -> TableFactor {
        let written = |i: IntervalMonthDayNano| {
            format!("INTERVAL '{} months {} days {} nanoseconds'", i.months, i.days, i.nanoseconds)
        };
        let sizes = [self.hop, self.size, self.offset].map(written).join(", ");
        let select = |wildcard: &str, hop: &str| {
            let bound = |name: &str| format!("{name}(__backcast_time, {sizes}, {hop}) AS {name}");
            format!("SELECT {wildcard}, {}, {}", bound("window_start"), bound("window_end"))
        };
        let query = match self.hops {
            None => format!("{} FROM __backcast_table", select("*", "0")),
            Some(hops) => {
                let numbers: Vec<String> = (0..hops).map(|i| format!("({i})")).collect();
                format!(
                    "{} FROM (VALUES {}) AS {HOPS} (__backcast_hop), __backcast_table
                     WHERE __backcast_time IS NOT NULL",
                    select("__backcast_rows.*", "__backcast_hop"),
                    numbers.join(", ")
                )
            }
        };
        let rows = self.name.clone().unwrap_or_else(|| ast::Ident::new("__backcast_rows"));
        let mut query = template(&query);
        let mut fill = Fill { time: self.time, table: Some(self.table), rows };
        let _ = query.visit(&mut fill);
        let alias = alias
            .or_else(|| self.name.map(|name| ast::TableAlias { explicit: true, name, columns: Vec::new(), at: None }));
        TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None }
    }
}

fn place_of(expr: &Expr, name: &ObjectName) -> datafusion::sql::sqlparser::tokenizer::Span {
    if expr.span().start.line == 0 { name.span() } else { expr.span() }
}

/// The table that an argument names, and its own name.
fn table_of(expr: &Expr) -> Option<(TableFactor, Option<ast::Ident>)> {
    let parts = match expr {
        Expr::Identifier(ident) => vec![ident.clone()],
        Expr::CompoundIdentifier(parts) => parts.clone(),
        Expr::Subquery(query) => {
            let name = ast::Ident::new("__backcast_rows");
            let alias = ast::TableAlias { explicit: true, name, columns: Vec::new(), at: None };
            let subquery = query.clone();
            return Some((TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None }, None));
        }
        _ => return None,
    };
    let name = parts.last().cloned();
    let table = TableFactor::Table {
        name: ObjectName::from(parts),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
    Some((table, name))
}

/// Parses text of our own. Its tokens have no places: what the user wrote keeps its own.
fn template(sql: &str) -> ast::Query {
    let tokens: Vec<Token> = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let mut parser = Parser::new(&GenericDialect {}).with_tokens(tokens);
    *parser.parse_query().expect("the text is our own, and well-formed")
}

/// Puts the user's table and time column into a template.
struct Fill {
    time: Expr,
    table: Option<TableFactor>,
    rows: ast::Ident,
}

impl VisitorMut for Fill {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<()> {
        if let Some(ast::SelectItem::QualifiedWildcard(kind, _)) = select.projection.first_mut()
            && kind.to_string() == "__backcast_rows.*"
        {
            *kind = ast::SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![self.rows.clone()]));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let ours = matches!(factor, TableFactor::Table { name, .. } if last_part(name) == "__backcast_table");
        if ours && let Some(table) = self.table.take() {
            *factor = table;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Identifier(ident) if ident.value == "__backcast_time") {
            *expr = self.time.clone();
        }
        ControlFlow::Continue(())
    }
}

/// A call of a function.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|e| ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e))).collect();
    Expr::Function(ast::Function {
        name: ObjectName::from(vec![ast::Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: ast::FunctionArguments::None,
        args: ast::FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A number as a literal.
pub(super) fn number(n: usize) -> Expr {
    Expr::value(ast::Value::Number(n.to_string(), false))
}
