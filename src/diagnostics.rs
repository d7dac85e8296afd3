//! Every refusal and lint of SQL: its number, its title, and its page in `docs/diagnostics/`, which the program can print.
//!
//! To add one: a line in the table below, and the page. `tests/it/diagnostics.rs` says what is missing, runs the page's
//! examples, and writes the index (`UPDATE_INDEX=1 cargo test --test it diagnostics`).
//!
//! B1xx are refusals: errors. B2xx are lints: never errors. A number is never given to anything else.

use crate::finding::Severity;

/// One kind of finding about SQL.
#[derive(Debug, Clone, Copy)]
pub struct Diagnostic {
    pub number: &'static str,
    pub severity: Severity,
    /// One line, as the index has it.
    pub title: &'static str,
    /// The page, Markdown.
    pub page: &'static str,
}

macro_rules! diagnostics {
    ($($number:ident $severity:ident $title:literal)*) => {
        $(pub const $number: &str = stringify!($number);)*

        /// All of them, by number.
        pub const ALL: &[Diagnostic] = &[$(Diagnostic {
            number: $number,
            severity: Severity::$severity,
            title: $title,
            page: include_str!(concat!("../docs/diagnostics/", stringify!($number), ".md")),
        }),*];
    };
}

diagnostics! {
    B101 Error "the SQL is malformed"
    B102 Error "the file holds no query"
    B103 Error "several statements where one is wanted"
    B104 Error "only a query can be replayed"
    B105 Error "a table as of another time, or of processing time"
    B106 Error "a recursive CTE"
    B108 Error "`FOR UPDATE` or `FOR SHARE`"
    B109 Error "`SELECT INTO`"
    B110 Error "a table function"
    B112 Error "a sample"
    B113 Error "a function gives another value at every call"
    B114 Error "a parameter without a value"
    B115 Error "a source or view that is not there"
    B116 Error "a column that is not there, or could be one of two"
    B117 Error "the SQL can't be planned"
    B118 Error "the SQL can be planned and can't be run"
    B119 Error "two columns of one name"
    B120 Error "views read each other in a cycle"
    B121 Error "two things of one name"
    B122 Error "a key column that is not there"
    B123 Error "a key that can't be compared with the label key"
    B124 Error "two rows for one key"
    B125 Error "the data breaks an expression"
    B140 Error "an argument that `TUMBLE` or `HOP` can't take"
    B141 Error "a window of months"
    B142 Error "a window size that is no multiple of the hop"
    B143 Error "`EMIT` elsewhere than at the end"
    B144 Error "`EMIT ON WINDOW CLOSE` without a clear meaning"
    B145 Error "`EMIT ON WINDOW CLOSE` over rows that change with `NOW()`"
    B146 Error "a condition that is no ASOF join's"
    B147 Error "a condition on the right side alone, outside an inner ASOF join"
    B148 Error "an ASOF join of another form"
    B150 Error "a statement that changes data or definitions"
    B151 Error "a setting that changes what a query means"
    B152 Error "a declared column that is not there"
    B153 Error "a declared type that is another"
    B154 Error "an operator or cast of JSON that can't be replayed"
    B155 Error "a jsonb value is compared, ordered or grouped"
    B156 Error "SQL that means another thing in DataFusion"
    B157 Error "a function without a counterpart"
    B158 Error "an interval as a feature"
    B159 Error "a function that tells of the session"
    B160 Error "`RIGHT JOIN` or `FULL JOIN … USING`"
    B165 Error "a subquery names a column that is not there any more"
    B166 Error "a subquery over both sides of an outer join"
    B167 Error "grouping sets or a computed limit in a correlated subquery"
    B168 Error "an aggregate of the outer query in a subquery"
    B169 Error "a correlated subquery where none can stand"
    B201 Warning "no upper bound: future-dated events enter"
    B202 Warning "an unbounded lookback"
    B203 Warning "NOW() is compared with a naive timestamp"
    B204 Warning "floats are compared for equality"
    B205 Warning "a count that is NULL where it should be 0"
    B206 Warning "a row chosen by an order with ties"
    B207 Warning "a ratio of integers drops its fraction"
    B208 Warning "`NOT IN` over a column that may be NULL"
    B209 Warning "an `allow` that allows nothing"
    B220 Warning "all rows at every label time"
    B221 Warning "rows are looked up by no equality"
    B222 Warning "two logs are joined by no equality"
}

/// The diagnostic of a number, in any case.
pub fn find(number: &str) -> Option<&'static Diagnostic> {
    ALL.iter().find(|d| d.number.eq_ignore_ascii_case(number))
}

/// Whether the text has the form of a number: `B204`.
pub fn is_number(text: &str) -> bool {
    matches!(text.as_bytes(), [b'B' | b'b', digits @ ..] if digits.len() == 3 && digits.iter().all(u8::is_ascii_digit))
}

/// The number that there is, nearest to one that there is not.
pub fn nearest(number: &str) -> Option<&'static str> {
    let value = |n: &str| n.get(1..).and_then(|digits| digits.parse::<i32>().ok());
    let wanted = value(number)?;
    ALL.iter().min_by_key(|d| value(d.number).map_or(i32::MAX, |n| (n - wanted).abs())).map(|d| d.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_and_say_how_bad_it_is() {
        assert!(ALL.windows(2).all(|w| w[0].number < w[1].number));
        for diagnostic in ALL {
            assert!(is_number(diagnostic.number), "{}", diagnostic.number);
            assert_eq!(diagnostic.number.starts_with("B1"), diagnostic.severity == Severity::Error);
        }
    }

    #[test]
    fn an_unknown_number_has_a_nearest() {
        assert_eq!(nearest("B100"), Some("B101"));
        assert_eq!(nearest("b212").map(|n| &n[..2]), Some("B2"));
        assert!(find("b204").is_some());
        assert!(!is_number("B20") && !is_number("V204") && !is_number("B2044"));
    }
}
