//! `CREATE SOURCE` and `CREATE TABLE` in a view's file: what the team said the columns are, held against the Parquet.
//!
//! Only names and types of columns count. What else a declaration says (connectors, formats, watermarks, keys) is for the
//! system that ran it; here `backcast.toml` says how a source is read. A column of the Parquet need not be declared, and a
//! table that is no source is left alone: a query that reads it fails by itself.

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use crate::diagnostics;
use crate::finding::{Finding, nearest};
use crate::sql::parse::{SqlText, is_word};

/// A declared table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Without its schema.
    pub name: String,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    family: Family,
    /// The type as it was written.
    written: String,
    name_span: Span,
    type_span: Span,
    /// `AS expr`: the source need not hold it.
    generated: bool,
}

/// What a type name promises, as far as it changes what SQL means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Family {
    Text,
    Integer,
    Float,
    Decimal,
    Timestamp,
    Date,
    Time,
    Interval,
    Boolean,
    Json,
    Binary,
    List(Box<Family>),
    Struct(Vec<(String, Family)>),
    /// A type of which nothing is known: anything may stand for it.
    Unknown,
}

impl Declared {
    /// What is declared and not so, where `schema` is the source's.
    pub fn findings(&self, text: &SqlText, schema: &SchemaRef) -> Vec<Finding> {
        let mut findings = Vec::new();
        for column in &self.columns {
            let Some(field) = schema.fields().iter().find(|f| *f.name() == column.name) else {
                if !column.generated {
                    findings.push(self.missing(column, text, schema));
                }
                continue;
            };
            if !column.family.holds(field.data_type()) {
                findings.push(
                    Finding::error(format!(
                        "`{}` of `{}` is declared `{}`, but its Parquet holds {}",
                        column.name,
                        self.name,
                        column.written,
                        field.data_type()
                    ))
                    .code(diagnostics::B153)
                    .at(text.place(column.type_span))
                    .help(
                        "a value of another type can compute otherwise: declare what is there, and cast in the query",
                    ),
                );
            }
        }
        findings
    }

    fn missing(&self, column: &Column, text: &SqlText, schema: &SchemaRef) -> Finding {
        let name = &column.name;
        let finding =
            Finding::error(format!("`{name}` is declared for `{}`, but its Parquet has no such column", self.name))
                .code(diagnostics::B152)
                .at(text.place(column.name_span));
        match nearest(name, schema.fields().iter().map(|f| f.name().as_str())) {
            Some(near) if near.eq_ignore_ascii_case(name) => {
                finding.help(format!("unquoted names are lower case in SQL: write `\"{near}\"`"))
            }
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => {
                finding.help("remove it from the declaration, or let the source's `uri` name the files that hold it")
            }
        }
    }
}

impl Family {
    /// By the name's words in lower case, such as `double precision`.
    fn of(words: &str) -> Self {
        match words {
            "varchar" | "character varying" | "text" | "string" | "char" | "character" | "bpchar" | "name" => {
                Self::Text
            }
            "smallint" | "int" | "integer" | "bigint" | "int2" | "int4" | "int8" | "smallserial" | "serial"
            | "bigserial" => Self::Integer,
            "real" | "float" | "float4" | "float8" | "double" | "double precision" => Self::Float,
            "numeric" | "decimal" | "dec" => Self::Decimal,
            "timestamp" | "timestamptz" | "timestamp with time zone" | "timestamp without time zone" => Self::Timestamp,
            "date" => Self::Date,
            "time" | "time without time zone" => Self::Time,
            "interval" => Self::Interval,
            "boolean" | "bool" => Self::Boolean,
            "json" | "jsonb" => Self::Json,
            "bytea" => Self::Binary,
            _ => Self::Unknown,
        }
    }

    /// Whether values of this Arrow type mean in SQL what the declared type means.
    fn holds(&self, found: &DataType) -> bool {
        if let DataType::Dictionary(_, value) = found {
            return self.holds(value);
        }
        match self {
            Self::Unknown => true,
            Self::Text | Self::Json => found.is_string(),
            Self::Integer => found.is_integer(),
            Self::Float => found.is_floating(),
            Self::Decimal => found.is_decimal(),
            Self::Timestamp => matches!(found, DataType::Timestamp(_, _)),
            Self::Date => matches!(found, DataType::Date32 | DataType::Date64),
            Self::Time => matches!(found, DataType::Time32(_) | DataType::Time64(_)),
            Self::Interval => matches!(found, DataType::Interval(_) | DataType::Duration(_)),
            Self::Boolean => *found == DataType::Boolean,
            Self::Binary => found.is_binary() || matches!(found, DataType::FixedSizeBinary(_)),
            Self::List(item) => match found {
                DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) => item.holds(f.data_type()),
                _ => false,
            },
            Self::Struct(fields) => match found {
                DataType::Struct(there) => fields.iter().all(|(name, family)| {
                    there.iter().any(|f| f.name().eq_ignore_ascii_case(name) && family.holds(f.data_type()))
                }),
                _ => false,
            },
        }
    }
}

/// Words that end the type of a column.
const CONSTRAINTS: [&str; 13] = [
    "primary",
    "not",
    "null",
    "default",
    "as",
    "references",
    "unique",
    "check",
    "constraint",
    "generated",
    "collate",
    "include",
    "header",
];
/// First words of entries that are no columns.
const TABLE_CONSTRAINTS: [&str; 8] =
    ["primary", "watermark", "unique", "constraint", "foreign", "check", "exclude", "like"];

/// Reads `CREATE [OR REPLACE] SOURCE|TABLE [IF NOT EXISTS] name [(columns…)] …`, up to the end of the columns.
///
/// # Errors
/// Where it has no name, or its parentheses do not close.
pub(super) fn declaration(text: &SqlText, statement: &[TokenWithSpan]) -> Result<Declared, Finding> {
    let malformed = |at: usize, expected: &str| {
        let span = statement.get(at).or(statement.last()).map_or(Span::empty(), |t| t.span);
        Finding::error(format!("SQL is malformed: expected {expected}"))
            .at(text.place(span))
            .help("write `CREATE SOURCE name (column type, ...)`, or leave the declaration out: it is only checked")
    };
    let word = |i: usize, w: &str| statement.get(i).is_some_and(|t| is_word(&t.token, w));
    let kind = statement.iter().position(|t| is_word(&t.token, "source") || is_word(&t.token, "table")).unwrap_or(0);
    let mut at = kind + 1;
    if word(at, "if") && word(at + 1, "not") && word(at + 2, "exists") {
        at += 3;
    }
    let mut name = identifier_at(statement, at).ok_or_else(|| malformed(at, "a name"))?;
    at += 1;
    while statement.get(at).is_some_and(|t| t.token == Token::Period) {
        name = identifier_at(statement, at + 1).ok_or_else(|| malformed(at + 1, "a name"))?;
        at += 2;
    }
    if statement.get(at).is_none_or(|t| t.token != Token::LParen) {
        return Ok(Declared { name, columns: Vec::new() });
    }
    let inside = closing(statement, at).ok_or_else(|| malformed(statement.len(), "`)` after the columns"))?;
    let mut columns = Vec::new();
    for entry in separated(&statement[at + 1..inside]) {
        if let [TokenWithSpan { token: Token::Mul, .. }] = entry {
            continue;
        }
        let bare = |w: &&str| entry.first().is_some_and(|t| is_word(&t.token, w));
        if entry.is_empty() || TABLE_CONSTRAINTS.iter().any(bare) {
            continue;
        }
        let start = statement.iter().position(|t| t.span == entry[0].span).unwrap_or(at);
        columns.push(column(text, entry).ok_or_else(|| malformed(start, "a column and its type"))?);
    }
    Ok(Declared { name, columns })
}

fn column(text: &SqlText, entry: &[TokenWithSpan]) -> Option<Column> {
    let name = identifier_at(entry, 0)?;
    let end = type_end(entry);
    let of_type = &entry[1..end];
    let (first, last) = match (of_type.first(), of_type.last()) {
        (Some(first), Some(last)) => (first.span, last.span),
        // A generated column may leave its type out.
        _ if entry.get(1).is_some_and(|t| is_word(&t.token, "as")) => (entry[0].span, entry[0].span),
        _ => return None,
    };
    let type_span = Span::new(first.start, last.end);
    Some(Column {
        name,
        family: family(of_type),
        written: text.slice(type_span).unwrap_or_default(),
        name_span: entry[0].span,
        type_span,
        generated: entry[end..].iter().any(|t| is_word(&t.token, "as") || is_word(&t.token, "generated")),
    })
}

/// Where the type ends that starts after the column's name.
fn type_end(entry: &[TokenWithSpan]) -> usize {
    let mut depth = 0_usize;
    for (i, token) in entry.iter().enumerate().skip(1) {
        match &token.token {
            Token::LParen | Token::Lt => depth += 1,
            Token::RParen | Token::Gt => depth = depth.saturating_sub(1),
            Token::ShiftRight => depth = depth.saturating_sub(2),
            t if depth == 0 && CONSTRAINTS.iter().any(|w| is_word(t, w)) => return i,
            _ => {}
        }
    }
    entry.len()
}

fn family(tokens: &[TokenWithSpan]) -> Family {
    let brackets = tokens.iter().rposition(|t| t.token == Token::LBracket);
    if let Some(at) = brackets.filter(|_| tokens.last().is_some_and(|t| t.token == Token::RBracket)) {
        return Family::List(Box::new(family(&tokens[..at])));
    }
    if tokens.first().is_some_and(|t| is_word(&t.token, "struct")) {
        let inner = tokens.get(2..).unwrap_or_default();
        // `>>` closes two types and is one token: the outer type takes it, the inner one is left without.
        let closed = inner.last().is_some_and(|t| matches!(t.token, Token::Gt | Token::ShiftRight));
        let inner = &inner[..inner.len() - usize::from(closed)];
        let fields = separated(inner).into_iter().filter(|f| f.len() > 1);
        return Family::Struct(
            fields.filter_map(|f| identifier_at(f, 0).map(|name| (name, family(&f[1..])))).collect(),
        );
    }
    let mut words = Vec::new();
    let mut depth = 0_usize;
    for token in tokens {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(w) if depth == 0 => words.push(w.value.to_lowercase()),
            _ => {}
        }
    }
    if words.first().is_some_and(|w| w == "interval") {
        return Family::Interval;
    }
    Family::of(&words.join(" "))
}

/// The tokens between commas that stand in no parentheses or angle brackets.
fn separated(tokens: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let mut parts = Vec::new();
    let (mut depth, mut angles, mut start) = (0_usize, 0_usize, 0);
    for (i, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            // Only in a type: elsewhere `<` compares.
            Token::Lt if i > 0 && is_word(&tokens[i - 1].token, "struct") => angles += 1,
            Token::Gt => angles = angles.saturating_sub(1),
            Token::ShiftRight => angles = angles.saturating_sub(2),
            Token::Comma if depth == 0 && angles == 0 => {
                parts.push(&tokens[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

/// The parenthesis that closes the one at `open`.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => return Some(i),
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The identifier, in lower case unless quoted.
fn identifier_at(tokens: &[TokenWithSpan], at: usize) -> Option<String> {
    match &tokens.get(at)?.token {
        Token::Word(w) if w.quote_style.is_some() => Some(w.value.clone()),
        Token::Word(w) => Some(w.value.to_lowercase()),
        _ => None,
    }
}
