//! A view's file as a team deploys it, taken apart: the statements with a query, the declarations of tables, and what does
//! not change a value.
//!
//! | statement | what becomes of it |
//! | --- | --- |
//! | `SELECT …`, `CREATE [OR REPLACE] [MATERIALIZED] VIEW … AS …` | the query |
//! | `CREATE SOURCE` or `TABLE` with columns | a declaration, held against the source's Parquet ([`Declared`]) |
//! | `COMMENT`, `GRANT`, `CREATE INDEX`, `DROP … IF EXISTS`, `SET`, `BEGIN`, … | skipped |
//! | `SET` of what changes the meaning of a query, writes, user-defined functions, `ALTER` | refused |
//!
//! It works on tokens: the parser does not read RisingWave's declarations, and what is skipped need not be read at all.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::diagnostics;
use crate::finding::Finding;
use crate::sql::declared::{Declared, declaration};
use crate::sql::parse::{SqlText, is_word};

/// The statements of a file.
#[derive(Debug)]
pub(super) struct Script {
    /// The tokens of all statements that hold a query, with semicolons between them.
    pub(super) queries: Vec<TokenWithSpan>,
    pub(super) declared: Vec<Declared>,
}

/// What is to be done with a statement.
enum Kind {
    Query,
    Declaration,
    Skipped,
    Refused(Finding),
}

/// Takes a file apart.
///
/// # Errors
/// Statements that no replay can honour, and declarations that can't be read.
pub(super) fn script(text: &SqlText, tokens: Vec<TokenWithSpan>) -> Result<Script, Vec<Finding>> {
    let mut script = Script { queries: Vec::new(), declared: Vec::new() };
    let mut findings = Vec::new();
    for statement in tokens.split(|t| t.token == Token::SemiColon).filter(|s| !s.is_empty()) {
        match kind(text, statement) {
            Kind::Query => {
                if let Some(last) = script.queries.last() {
                    let span = last.span;
                    script.queries.push(TokenWithSpan { token: Token::SemiColon, span });
                }
                let start = script.queries.len();
                script.queries.extend_from_slice(without_data(statement));
                question_marks(&mut script.queries[start..]);
            }
            Kind::Declaration => match declaration(text, statement) {
                Ok(declared) => script.declared.push(declared),
                Err(finding) => findings.push(finding),
            },
            Kind::Skipped => {}
            Kind::Refused(finding) => findings.push(finding),
        }
    }
    if findings.is_empty() { Ok(script) } else { Err(findings) }
}

/// The statement without PostgreSQL's `WITH [NO] DATA` at its end.
fn without_data(statement: &[TokenWithSpan]) -> &[TokenWithSpan] {
    let ends_with = |words: &[&str]| {
        statement.len() > words.len()
            && statement[statement.len() - words.len()..].iter().zip(words).all(|(t, w)| is_word(&t.token, w))
    };
    for words in [&["with", "data"][..], &["with", "no", "data"]] {
        if ends_with(words) {
            return &statement[..statement.len() - words.len()];
        }
    }
    statement
}

/// The tokenizer takes every `?` for a parameter; between an operand and a text it is the operator of jsonb.
fn question_marks(statement: &mut [TokenWithSpan]) {
    for i in 1..statement.len().saturating_sub(1) {
        let operand = matches!(
            statement[i - 1].token,
            Token::Word(_) | Token::RParen | Token::RBracket | Token::SingleQuotedString(_)
        );
        let text = matches!(statement[i + 1].token, Token::SingleQuotedString(_));
        if operand && text && statement[i].token == Token::Placeholder("?".to_string()) {
            statement[i].token = Token::Question;
        }
    }
}

fn kind(text: &SqlText, statement: &[TokenWithSpan]) -> Kind {
    let word = |i: usize, w: &str| statement.get(i).is_some_and(|t| is_word(&t.token, w));
    let any = |i: usize, words: &[&str]| words.iter().any(|w| word(i, w));
    let holds = |w: &str| statement.iter().any(|t| is_word(&t.token, w));
    let refused = |message: &str, help: &str| {
        Kind::Refused(Finding::error(message).code(diagnostics::B150).at(text.place(statement[0].span)).help(help))
    };
    let elsewhere = "keep it in a file of its own: a view's file says what the feature is";
    if any(0, &["comment", "grant", "revoke", "begin", "commit", "start", "end", "flush", "analyze", "reset", "wait"]) {
        return Kind::Skipped;
    }
    if word(0, "set") {
        return setting(text, statement);
    }
    if word(0, "drop") {
        if statement.windows(2).any(|two| is_word(&two[0].token, "if") && is_word(&two[1].token, "exists")) {
            return Kind::Skipped;
        }
        return refused(
            "`DROP` changes the database, and a replay has none",
            "write `DROP ... IF EXISTS`, or leave it out",
        );
    }
    if any(0, &["insert", "update", "delete", "merge", "truncate", "copy"]) {
        return refused("a statement that writes can't be replayed: a feature view only reads", elsewhere);
    }
    if word(0, "alter") {
        return match holds("owner") || holds("parallelism") || holds("rate_limit") || holds("source_rate_limit") {
            true => Kind::Skipped,
            false => refused("`ALTER` changes what was created elsewhere", "write the definition as it is now"),
        };
    }
    if !word(0, "create") {
        return Kind::Query;
    }
    let mut at = 1;
    if word(at, "or") && word(at + 1, "replace") {
        at += 2;
    }
    while any(at, &["temp", "temporary", "unlogged", "external", "foreign", "global", "local"]) {
        at += 1;
    }
    if any(at, &["source", "table"]) {
        return match statement.iter().any(|t| is_word(&t.token, "select")) {
            true => refused(
                "`CREATE TABLE ... AS` keeps the rows of one moment, which a replay can't know",
                "create a (materialized) view, or declare the table as a source",
            ),
            false => Kind::Declaration,
        };
    }
    if any(at, &["function", "aggregate", "procedure"]) {
        return refused(
            "a function of your own can't be replayed",
            "write its expression into the query, or keep its results as a source",
        );
    }
    if word(at, "sink") && holds("select") {
        return refused("the query of a sink is no feature view", "create a view, and the sink `FROM` it");
    }
    if any(
        at,
        &["index", "unique", "sink", "schema", "connection", "secret", "database", "user", "role", "subscription"],
    ) {
        return Kind::Skipped;
    }
    Kind::Query
}

/// Settings that change what a query means, with the one value that a replay has.
const MEANINGFUL: [(&str, &[&str]); 4] = [
    ("timezone", &["utc", "etc/utc", "gmt", "default", "0"]),
    ("datestyle", &["iso", "iso, mdy", "iso, ymd", "default"]),
    ("intervalstyle", &["postgres", "default"]),
    ("standard_conforming_strings", &["on", "true", "default"]),
];

fn setting(text: &SqlText, statement: &[TokenWithSpan]) -> Kind {
    let mut words: Vec<String> = statement[1..]
        .iter()
        .filter_map(|t| match &t.token {
            Token::Word(w) => Some(w.value.to_lowercase()),
            Token::SingleQuotedString(s) => Some(s.to_lowercase()),
            Token::Number(n, _) => Some(n.clone()),
            _ => None,
        })
        .filter(|w| !matches!(w.as_str(), "session" | "local" | "to"))
        .collect();
    // `SET TIME ZONE x` is `SET timezone = x`.
    if words.first().is_some_and(|w| w == "time") && words.get(1).is_some_and(|w| w == "zone") {
        words.splice(..2, ["timezone".to_string()]);
    }
    let Some((name, value)) = words.split_first() else { return Kind::Skipped };
    let value = value.join(", ");
    match MEANINGFUL.iter().find(|(known, allowed)| known == name && !allowed.contains(&value.as_str())) {
        None => Kind::Skipped,
        Some((_, allowed)) => Kind::Refused(
            Finding::error(format!("`{name}` is `{}` in every replay, not `{value}`", allowed[0]))
                .code(diagnostics::B151)
                .at(text.place(statement[0].span))
                .help(match *name == *"timezone" {
                    true => "remove the setting, and write the zone where it counts: `ts AT TIME ZONE 'Europe/Berlin'`",
                    false => "remove the setting, and write what it does into the query",
                }),
        ),
    }
}
