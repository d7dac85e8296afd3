//! Words and numbers for people, and data made harmless.
//!
//! An agreement is never rounded up: "100 %" means that every compared value agrees.

use serde_json::Value;

use crate::diff::{FeatureDiff, WorstCell};
pub use crate::monitor::thousands;

/// Data as it may be shown: control characters, line breaks, and the invisible ones that reorder text are spelled out.
pub(super) fn clean(data: &str) -> String {
    let mut shown = String::with_capacity(data.len());
    for char in data.chars() {
        match char {
            '\n' | '\r' | '\t' => shown.extend(char.escape_default()),
            char if char.is_control() || is_invisible(char) => shown.extend(char.escape_unicode()),
            char => shown.push(char),
        }
    }
    shown
}

/// Zero-width characters, separators of lines, and those that change the direction of text.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || ('\u{e0000}'..='\u{e007f}').contains(&char)
}

/// Columns that a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(char: char) -> usize {
    match u32::from(char) {
        0x300..=0x36f | 0x1ab0..=0x1aff | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The text in at most `columns`, with `…` where it was cut.
pub(super) fn shorten(text: &str, columns: usize) -> String {
    if width(text) <= columns { text.to_string() } else { cut(text.chars(), columns).into_iter().collect() }
}

/// As [`shorten`], but what is cut is the beginning: names that begin alike differ at their ends.
pub(super) fn shorten_front(text: &str, columns: usize) -> String {
    if width(text) <= columns { text.to_string() } else { cut(text.chars().rev(), columns).into_iter().rev().collect() }
}

/// As many of the characters as `columns` hold beside a `…`, and that.
fn cut(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut taken = 1;
    let fits = |char: &char| {
        taken += char_width(*char);
        taken <= columns
    };
    chars.take_while(fits).chain((columns > 0).then_some('…')).collect()
}

/// Bytes as people read them, rounded down.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    for (unit, of) in UNITS {
        if bytes >= of {
            return format!("{}.{} {unit}", bytes / of, bytes % of * 10 / of);
        }
    }
    format!("{bytes} B")
}

/// `1 row`, `2,000 rows`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}

/// A share in percent, rounded down to two digits: `100 %` only where the whole is reached.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "—".to_string();
    }
    if part >= whole {
        return "100 %".to_string();
    }
    match u128::from(part) * 10_000 / u128::from(whole) {
        0 if part > 0 => "<0.01 %".to_string(),
        hundredths => format!("{}.{:02} %", hundredths / 100, hundredths % 100),
    }
}

/// The agreement of a feature in percent; a dash where nothing was compared.
pub(super) fn agreement(feature: &FeatureDiff) -> String {
    percent(feature.equal + feature.within_tolerance, feature.compared)
}

/// A measured number, short: thousands separated, some four digits, exponents for the very large and small.
pub(super) fn number(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 {
        return "0".to_string();
    }
    if !(1e-3..1e12).contains(&size) {
        return format!("{number:.2e}");
    }
    let sign = if number < 0.0 { "-" } else { "" };
    let places = if size < 1.0 { 6 } else { 3 };
    let fixed = format!("{size:.places$}");
    let (whole, fraction) = fixed.split_once('.').unwrap_or((&fixed, ""));
    let fraction = fraction.trim_end_matches('0');
    let whole = whole.parse().map_or_else(|_| whole.to_string(), thousands);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A cell's value, clean.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_string(),
        Value::String(text) => clean(text),
        other => clean(&other.to_string()),
    }
}

/// A time without what it does not need: `2013-03-01T10:00:00Z` as `2013-03-01 10:00Z`.
pub(super) fn short_time(rfc3339: &str) -> String {
    let short = match rfc3339.strip_suffix(":00Z") {
        Some(minutes) if minutes.matches(':').count() == 1 => format!("{minutes}Z"),
        _ => rfc3339.to_string(),
    };
    clean(&short.replacen('T', " ", 1))
}

/// The day of something that happens, or `now` where it has come to pass: only what lies ahead has a date.
pub(super) fn day_or_now(at: &str, today: Option<&str>) -> String {
    if has_come(at, today) { "now".to_string() } else { short_day(at) }
}

fn has_come(at: &str, today: Option<&str>) -> bool {
    let instant = |text: &str| chrono::DateTime::parse_from_rfc3339(text).ok();
    matches!((instant(at), today.and_then(instant)), (Some(at), Some(today)) if at <= today)
}

/// The day of a time, clean.
pub(super) fn short_day(rfc3339: &str) -> String {
    short_time(rfc3339).chars().take(10).collect()
}

/// When a freeze ends, in words; `None`: it is not known. A day gone by is one that the label rows given do not reach: it takes newer ones.
pub fn freeze_ends(until: Option<&str>, today: Option<&str>) -> Option<String> {
    let until = until?;
    let reached = if has_come(until, today) { "the labels reach " } else { "" };
    Some(format!("until {reached}{}", short_day(until)))
}

/// The keys of a cell, clean: `tail_num=N1, origin=JFK`.
pub(super) fn keys(cell: &WorstCell) -> String {
    let keys: Vec<String> = cell.keys.iter().map(|(name, key)| format!("{}={}", clean(name), value(key))).collect();
    keys.join(", ")
}

/// A cell on one line, clean: keys @ time, legacy → replayed.
pub(super) fn cell(cell: &WorstCell) -> String {
    let time = cell.time.as_deref().map_or_else(|| "NULL".to_string(), short_time);
    format!("{} @ {time}: {} → {}", keys(cell), value(&cell.legacy), value(&cell.replayed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agreement_is_never_rounded_up() {
        assert_eq!(percent(9_999_999, 10_000_000), "99.99 %");
        assert_eq!(percent(u64::MAX - 1, u64::MAX), "99.99 %");
        assert_eq!(percent(10, 10), "100 %");
        assert_eq!(percent(1, 1_000_000), "<0.01 %");
        assert_eq!(percent(0, 10), "0.00 %");
        assert_eq!(percent(0, 0), "—");
    }

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(clean("a\u{1b}[31mred\u{7}\n"), "a\\u{1b}[31mred\\u{7}\\n");
        assert_eq!(clean("\u{9b}2J \u{202e}txt\u{200b}"), "\\u{9b}2J \\u{202e}txt\\u{200b}");
        assert_eq!(clean("Zürich → 東京"), "Zürich → 東京");
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }

    #[test]
    fn a_text_is_cut_to_its_columns() {
        assert_eq!(shorten("departures", 10), "departures");
        assert_eq!(shorten("departures", 5), "depa…");
        assert_eq!(shorten("東京駅", 5), "東京…");
        assert_eq!(shorten("東京駅", 4), "東…");
        assert_eq!(shorten("ab", 0), "");
        assert_eq!(shorten_front("departures", 10), "departures");
        assert_eq!(shorten_front("departures", 5), "…ures");
        assert_eq!(shorten_front("東京駅", 4), "…駅");
        assert_eq!(shorten_front("ab", 0), "");
    }

    #[test]
    fn numbers_are_short() {
        let told = [0.0, 14.0, -1204.5, 0.015625, 1e-9, 3e15].map(number);
        assert_eq!(told, ["0", "14", "-1,204.5", "0.015625", "1.00e-9", "3.00e15"]);
    }

    #[test]
    fn whole_minutes_lose_their_seconds() {
        assert_eq!(short_time("2013-03-01T10:00:00Z"), "2013-03-01 10:00Z");
        assert_eq!(short_time("2013-03-01T10:00:07Z"), "2013-03-01 10:00:07Z");
        assert_eq!(short_time("2013-03-01T00:00:00Z"), "2013-03-01 00:00Z");
    }
}
