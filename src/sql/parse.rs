//! The text of a `.sql` file as one query.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::diagnostics;
use crate::finding::{Finding, Place};
use crate::sql::declared::Declared;
use crate::sql::dialect::{self, Clauses};
use crate::sql::grammar::Grammar;
use crate::sql::{refuse, script};

/// A `.sql` file: its name for messages, and its text.
#[derive(Debug, Clone)]
pub struct SqlText {
    pub file: String,
    pub text: String,
}

impl SqlText {
    /// The place of a span of the parser; `None` for the empty span.
    pub fn place(&self, span: Span) -> Option<Place> {
        let (start, end) = (span.start, span.end);
        if start.line == 0 {
            return None;
        }
        let length = if end.line == start.line { end.column.saturating_sub(start.column) } else { u64::MAX };
        Some(self.place_at(start, length))
    }

    /// The text of a span that lies on one line.
    pub(super) fn slice(&self, span: Span) -> Option<String> {
        let place = self.place(span)?;
        Some(place.text.chars().skip(place.column - 1).take(place.length).collect())
    }

    /// The place of a span that DataFusion kept.
    pub fn place_of(&self, span: datafusion::common::Span) -> Option<Place> {
        let at = |l: datafusion::common::Location| Location::new(l.line, l.column);
        self.place(Span::new(at(span.start), at(span.end)))
    }

    fn place_at(&self, at: Location, length: u64) -> Place {
        let number = |n: u64| usize::try_from(n).unwrap_or(1).max(1);
        let mut place = Place::of_line(&self.file, &self.text, number(at.line), number(at.column), number(length));
        // What goes on in the next line is underlined to the end of this one.
        place.length =
            place.length.min((place.text.trim_end().chars().count() + 1).saturating_sub(place.column)).max(1);
        place
    }

    /// The start of the file, where nothing better is known.
    pub fn start(&self) -> Place {
        Place::of_line(&self.file, &self.text, 1, 1, 1)
    }
}

/// One feature query.
#[derive(Debug, Clone)]
pub struct Statement {
    pub text: SqlText,
    /// The name in `CREATE MATERIALIZED VIEW`.
    pub name: Option<String>,
    /// The column names given there, in order.
    pub columns: Vec<String>,
    /// Tables that the file declares beside its query.
    pub declared: Vec<Declared>,
    pub query: ast::Query,
    /// What the query says that is not in its syntax tree.
    pub clauses: Clauses,
}

/// How deep expressions and queries may nest.
const RECURSION_LIMIT: usize = 64;

/// Parses a file that holds one `SELECT`, or one `CREATE MATERIALIZED VIEW ... AS SELECT`, among what else [`script`]
/// takes, and refuses what can't be
/// replayed. `volatile` says which functions are not the same for the same input.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(mut text: SqlText, volatile: &dyn Fn(&str) -> bool) -> Result<Statement, Vec<Finding>> {
    if text.text.starts_with('\u{feff}') {
        text.text.remove(0);
    }
    let tokens = Tokenizer::new(&Grammar, &text.text).tokenize_with_location().map_err(|e| {
        vec![
            Finding::error(format!("SQL is malformed: {}", e.message))
                .code(diagnostics::B101)
                .at(text.place_at(e.location, 1)),
        ]
    })?;
    let script::Script { queries: mut tokens, declared } = script::script(&text, significant(tokens))?;
    if tokens.is_empty() {
        return Err(vec![
            Finding::error("the file holds no query")
                .code(diagnostics::B102)
                .at(text.start())
                .help("write one `SELECT` into it"),
        ]);
    }
    if let Some(finding) = refuse::unparsed(&text, &tokens) {
        return Err(vec![finding]);
    }
    let clauses = dialect::take(&text, &mut tokens).map_err(|finding| vec![finding])?;
    let last = tokens.last().map_or(Span::empty(), |t| t.span);
    let mut parser = Parser::new(&Grammar).with_recursion_limit(RECURSION_LIMIT).with_tokens_with_locations(tokens);
    let mut statements = Vec::new();
    let syntax = |error: String| vec![syntax_error(&text, &error, last)];
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.peek_token().token == Token::EOF {
            break;
        }
        let start = parser.peek_token().span;
        statements.push((start, parser.parse_statement().map_err(|e| syntax(e.to_string()))?));
        let next = parser.peek_token();
        if next.token != Token::EOF && next.token != Token::SemiColon {
            return Err(syntax(format!("Expected: end of statement, found: {}{}", next.token, next.span.start)));
        }
    }
    let one = "a view's file holds one `SELECT`, or one `CREATE MATERIALIZED VIEW ... AS SELECT`";
    let [(start, statement)] = statements.as_slice() else {
        let at = statements.get(1).map(|(span, _)| *span).unwrap_or(last);
        return Err(vec![
            Finding::error(format!("{} statements where one is wanted", statements.len()))
                .code(diagnostics::B103)
                .at(text.place(at))
                .help(one),
        ]);
    };
    let (name, columns, query) = match statement {
        ast::Statement::Query(query) => (None, Vec::new(), query),
        ast::Statement::CreateView(view) => {
            let name = view.name.0.last().and_then(ast::ObjectNamePart::as_ident).map(identifier);
            (name, view.columns.iter().map(|c| identifier(&c.name)).collect(), &view.query)
        }
        _ => {
            let finding = Finding::error("only a query can be replayed").code(diagnostics::B104);
            return Err(vec![finding.at(text.place(*start)).help(one)]);
        }
    };
    let mut query = query.as_ref().clone();
    let mut findings = dialect::call_windows(&text, &mut query);
    findings.extend(dialect::mark_joins(&text, &mut query, &clauses));
    if findings.is_empty() {
        findings = refuse::refuse(&text, &query, volatile);
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok(Statement { text, name, columns, declared, query, clauses })
}

/// Parses one boolean expression, such as a changelog's `deleted`.
///
/// # Errors
/// What the parser says.
pub fn parse_expression(text: &str) -> Result<ast::Expr, String> {
    let mut parser =
        Parser::new(&Grammar).with_recursion_limit(RECURSION_LIMIT).try_with_sql(text).map_err(|e| e.to_string())?;
    let expr = parser.parse_expr().map_err(|e| e.to_string())?;
    match parser.peek_token().token {
        Token::EOF => Ok(expr),
        other => Err(format!("`{other}` follows the expression")),
    }
}

/// An identifier as SQL means it: lower case unless quoted.
pub fn identifier(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

fn significant(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF)).collect()
}

/// Whether the token is this bare word.
pub(in crate::sql) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// Whether the token is this keyword.
pub(in crate::sql) fn is_keyword(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(w) if w.keyword == keyword)
}

/// The parser's message says where only in words: `... at Line: 3, Column: 7`.
fn syntax_error(text: &SqlText, message: &str, last: Span) -> Finding {
    let message = message.trim_start_matches("sql parser error: ");
    let (said, at) = match message.rsplit_once(" at Line: ") {
        Some((said, at)) => (said, at.split_once(", Column: ")),
        None => (message, None),
    };
    let at = at.and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
    let place = match at {
        Some((line, column)) => Place::of_line(&text.file, &text.text, line, column, 1),
        None => text.place(last).unwrap_or_else(|| text.start()),
    };
    Finding::error(format!("SQL is malformed: {said}")).code(diagnostics::B101).at(place)
}
