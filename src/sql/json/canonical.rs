//! JSON text as PostgreSQL's `jsonb` writes it: one text for one value.
//!
//! Of a key that occurs twice the last counts; keys are ordered by length, then bytes; numbers are exact decimals without
//! exponents; strings hold no escape that is not needed; one blank after `:` and `,`. A part of such a text is such a text.

use std::fmt::Write as _;

/// Values nested deeper than this are refused: what walks the text later has a limit of its own, and says nothing there.
const DEPTH_LIMIT: usize = 150;
/// The most digits that PostgreSQL's `numeric` has before and after the point.
const DIGITS_BEFORE: i64 = 131_072;
const DIGITS_AFTER: i64 = 16_383;

/// The canonical text.
///
/// # Errors
/// Why the text is no JSON, or none that `jsonb` can hold.
pub(super) fn canonical(text: &str) -> Result<String, String> {
    let mut reader = Reader { text, at: 0 };
    let mut out = String::with_capacity(text.len());
    reader.value(&mut out, 0)?;
    reader.blanks();
    if reader.at < text.len() { Err(reader.unexpected("the end")) } else { Ok(out) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, expected: &str) -> String {
        match self.text[self.at..].chars().next() {
            Some(found) => format!("expected {expected} at byte {}, found `{found}`", self.at + 1),
            None => format!("expected {expected}, found the end of the text"),
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, out: &mut String, depth: usize) -> Result<(), String> {
        if depth > DEPTH_LIMIT {
            return Err(format!("it nests deeper than {DEPTH_LIMIT} levels"));
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(out, depth),
            Some(b'[') => self.array(out, depth),
            Some(b'"') => {
                let text = self.string()?;
                quote(&text, out);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(out),
            _ => {
                let rest = &self.text[self.at..];
                let Some(word) = ["true", "false", "null"].into_iter().find(|w| rest.starts_with(w)) else {
                    return Err(self.unexpected("a value"));
                };
                self.at += word.len();
                out.push_str(word);
                Ok(())
            }
        }
    }

    fn object(&mut self, out: &mut String, depth: usize) -> Result<(), String> {
        self.at += 1;
        let mut members: Vec<(String, String)> = Vec::new();
        self.blanks();
        if !self.eat(b'}') {
            loop {
                self.blanks();
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected("a key in quotes"));
                }
                let key = self.string()?;
                self.blanks();
                if !self.eat(b':') {
                    return Err(self.unexpected("`:`"));
                }
                let mut value = String::new();
                self.value(&mut value, depth + 1)?;
                members.push((key, value));
                self.blanks();
                if self.eat(b'}') {
                    break;
                }
                if !self.eat(b',') {
                    return Err(self.unexpected("`,` or `}`"));
                }
            }
        }
        members.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes())));
        out.push('{');
        for (i, (key, value)) in members.iter().enumerate() {
            // The sort is stable, so the last of equal keys is the one that came last.
            if members.get(i + 1).is_some_and(|(next, _)| next == key) {
                continue;
            }
            if !out.ends_with('{') {
                out.push_str(", ");
            }
            quote(key, out);
            out.push_str(": ");
            out.push_str(value);
        }
        out.push('}');
        Ok(())
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Result<(), String> {
        self.at += 1;
        out.push('[');
        self.blanks();
        if !self.eat(b']') {
            loop {
                self.value(out, depth + 1)?;
                self.blanks();
                if self.eat(b']') {
                    break;
                }
                if !self.eat(b',') {
                    return Err(self.unexpected("`,` or `]`"));
                }
                out.push_str(", ");
            }
        }
        out.push(']');
        Ok(())
    }

    /// The value of the string that starts here.
    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut value = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            value.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => {
                    self.at += 1;
                    value.push(self.escaped()?);
                }
                _ => return Err(self.unexpected("`\"`")),
            }
        }
    }

    /// The character that the escape after a backslash stands for.
    fn escaped(&mut self) -> Result<char, String> {
        let found = self.peek();
        let plain = match found {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.code_point();
            }
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn code_point(&mut self) -> Result<char, String> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let second = self.hex()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err("a `\\u` escape is half of a pair".to_string());
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        match char::from_u32(code) {
            Some('\0') => Err("`\\u0000` can't be held by text".to_string()),
            Some(c) => Ok(c),
            None => Err("a `\\u` escape is half of a pair".to_string()),
        }
    }

    fn hex(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
        let code = code.ok_or_else(|| self.unexpected("four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn digits(&mut self) -> &str {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn number(&mut self, out: &mut String) -> Result<(), String> {
        let negative = self.eat(b'-');
        let start = self.at;
        let whole = self.digits().to_string();
        if whole.is_empty() {
            return Err(self.unexpected("a digit"));
        }
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(format!("a number starts with 0 at byte {}", start + 1));
        }
        let fraction = match self.eat(b'.') {
            true => self.digits().to_string(),
            false => String::new(),
        };
        if fraction.is_empty() && self.text.as_bytes()[self.at - 1] == b'.' {
            return Err(self.unexpected("a digit"));
        }
        let mut exponent = 0_i64;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            let down = self.eat(b'-');
            if !down {
                self.eat(b'+');
            }
            let digits = self.digits();
            // So many digits are out of range whatever they are.
            let size = if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(i64::MAX / 4)) };
            let size = size.ok_or_else(|| self.unexpected("a digit"))?;
            exponent = if down { -size } else { size };
        }
        decimal(negative, &whole, &fraction, exponent, out).ok_or_else(|| "a number is out of range".to_string())
    }
}

/// Writes `whole.fraction * 10^exponent` as PostgreSQL's `numeric` does: without an exponent, all given digits kept.
fn decimal(negative: bool, whole: &str, fraction: &str, exponent: i64, out: &mut String) -> Option<()> {
    let digits = format!("{whole}{fraction}");
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX / 4);
    let zero = digits.bytes().all(|b| b == b'0');
    let scale = (length(fraction) - exponent).max(0);
    // Where the point comes to stand, in digits from the left.
    let point = length(whole) + exponent;
    if scale > DIGITS_AFTER || (!zero && point > DIGITS_BEFORE) {
        return None;
    }
    if negative && !zero {
        out.push('-');
    }
    let at = |i: i64| usize::try_from(i).ok().and_then(|i| digits.as_bytes().get(i)).map_or('0', |b| char::from(*b));
    let before: String = if zero { String::new() } else { (0..point).map(at).skip_while(|c| *c == '0').collect() };
    out.push_str(if before.is_empty() { "0" } else { &before });
    if scale > 0 {
        out.push('.');
        out.extend((point..point + scale).map(at));
    }
    Some(())
}

/// The text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote(text, &mut out);
    out
}

/// Writes a string with its quotes.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn text_is_what_postgres_writes() {
        // Right sides as printed by PostgreSQL's `jsonb`.
        for (given, written) in [
            (r#" {"b":1 , "a" : [1,2 ,{}],"aa":null} "#, r#"{"a": [1, 2, {}], "b": 1, "aa": null}"#),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a": 3, "b": 2}"#),
            (r#"{"ab":1,"c":2}"#, r#"{"c": 2, "ab": 1}"#),
            (r#""\u00e9\/\n\u0001\ud83d\ude00 \"\\""#, "\"é/\\n\\u0001😀 \\\"\\\\\""),
            ("1.50", "1.50"),
            ("1e2", "100"),
            ("1.5E+1", "15"),
            ("1.25e1", "12.5"),
            ("12e-3", "0.012"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("-1.0e-2", "-0.010"),
            ("0e-5", "0.00000"),
            ("0.00e1", "0.0"),
            ("0.001e2", "0.1"),
            ("0.001e5", "100"),
            ("123456789012345678901234567890.1", "123456789012345678901234567890.1"),
            ("[]", "[]"),
            ("true", "true"),
            ("\"\"", "\"\""),
        ] {
            assert_eq!(canonical(given).as_deref(), Ok(written), "{given}");
            assert_eq!(canonical(written).as_deref(), Ok(written), "a canonical text stays as it is");
        }
    }

    #[test]
    fn what_is_no_json_is_told() {
        for given in [
            "",
            "{",
            "{a: 1}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1,]",
            "[1 2]",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "nul",
            "NaN",
            "Infinity",
            "'a'",
            "\"a",
            "\"\\x\"",
            "\"\\u00g0\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\u0000\"",
            "\"\n\"",
            "1 2",
            "{}x",
            "1e200000",
            "1e-20000",
            "1e99999999999999999999",
        ] {
            assert!(canonical(given).is_err(), "{given}: {:?}", canonical(given));
        }
    }

    #[test]
    fn deep_text_is_refused_and_not_followed() {
        assert!(canonical(&"[".repeat(1_000_000)).is_err());
        let deep = format!("{}1{}", "[".repeat(150), "]".repeat(150));
        assert_eq!(canonical(&deep), Ok(deep));
    }
}
