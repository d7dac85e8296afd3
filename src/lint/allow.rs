//! `-- backcast: allow(B201, B205)`: lints that a file says it knows of.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use crate::diagnostics;
use crate::finding::{Finding, Place, Severity};
use crate::sql::SqlText;

/// What a comment has to say, before the numbers.
const OPENING: &str = "backcast: allow(";

/// The numbers that a file allows, with where it does.
pub(super) struct Allowed {
    numbers: Vec<(String, Place)>,
}

impl Allowed {
    pub(super) fn read(text: &SqlText) -> Self {
        let tokens = Tokenizer::new(&GenericDialect {}, &text.text).tokenize_with_location().unwrap_or_default();
        let mut numbers = Vec::new();
        for token in tokens {
            let comment = match token.token {
                Token::Whitespace(
                    Whitespace::SingleLineComment { comment, .. } | Whitespace::MultiLineComment(comment),
                ) => comment,
                _ => continue,
            };
            let first = usize::try_from(token.span.start.line).unwrap_or(1);
            for (offset, line) in comment.lines().enumerate() {
                let Some((_, list)) = line.split_once(OPENING) else { continue };
                let Some((list, _)) = list.split_once(')') else { continue };
                for number in list.split(',').map(str::trim) {
                    numbers.push((number.to_string(), place(text, first + offset, number)));
                }
            }
        }
        Self { numbers }
    }

    pub(super) fn has(&self, code: &str) -> bool {
        self.numbers.iter().any(|(number, _)| number == code)
    }

    /// Numbers that are no lints.
    pub(super) fn mistaken(&self) -> Vec<Finding> {
        let mistaken = |(number, place): &(String, Place)| {
            let known = diagnostics::find(number);
            let reason = match known {
                Some(d) if d.severity == Severity::Error => format!("`{number}` is a refusal and can't be allowed"),
                Some(d) if d.number == number => return None,
                _ => format!("there is no lint `{number}` to allow"),
            };
            let finding = Finding::warning(reason).code(diagnostics::B209).at(place.clone());
            Some(match diagnostics::nearest(number) {
                Some(near) if known.is_none_or(|d| d.severity != Severity::Error) => {
                    finding.help(format!("did you mean `{near}`?"))
                }
                _ => finding.help("write the numbers of lints: `-- backcast: allow(B201)`"),
            })
        };
        self.numbers.iter().filter_map(mistaken).collect()
    }
}

/// The number in the line of the comment.
fn place(text: &SqlText, line: usize, number: &str) -> Place {
    let written = text.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let from = written.find(OPENING).unwrap_or(0);
    let at = written[from..].find(number).map_or(0, |i| from + i);
    let column = written[..at].chars().count() + 1;
    Place::of_line(&text.file, &text.text, line, column, number.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Allowed {
        Allowed::read(&SqlText { file: "v.sql".to_string(), text: text.to_string() })
    }

    #[test]
    fn comments_of_either_kind_allow_and_text_does_not() {
        let allowed = read(
            "-- why: backcast: allow(B201, B205): because\nSELECT 'backcast: allow(B206)' /* x\n backcast: allow(B204) */",
        );
        assert!(["B201", "B205", "B204"].iter().all(|n| allowed.has(n)));
        assert!(!allowed.has("B206"));
        assert!(allowed.mistaken().is_empty());
    }

    #[test]
    fn what_is_no_lint_is_told_with_its_place() {
        let allowed = read("SELECT 1\n  -- backcast: allow(B205, B299, B101)");
        let mistaken = allowed.mistaken();
        let places: Vec<_> = mistaken.iter().map(|f| f.place.as_ref().map(|p| (p.line, p.column, p.length))).collect();
        assert_eq!(places, [Some((2, 28, 4)), Some((2, 34, 4))]);
    }
}
