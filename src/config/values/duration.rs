//! Fixed lengths of time, such as `1h 30m`. A day is 24 hours; months and years have no fixed length and are refused.

use super::Wrong;

const UNITS: &[(&[&str], i64)] = &[
    (&["ns", "nsec", "nanosecond", "nanoseconds"], 1),
    (&["us", "µs", "μs", "usec", "microsecond", "microseconds"], 1_000),
    (&["ms", "msec", "millisecond", "milliseconds"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000_000_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
    (&["w", "week", "weeks"], 604_800_000_000_000),
];

const EXAMPLE: &str = "write whole numbers with units, such as `6 hours`, `1h 30m` or `400 days`";

/// The nanoseconds of a duration, never negative.
pub(in crate::config) fn duration_ns(text: &str) -> Result<i64, Wrong> {
    let bad = || Wrong::new(format!("is not a duration: `{text}`")).help(EXAMPLE);
    let mut rest = text.trim();
    if rest.starts_with('-') {
        return Err(Wrong::new(format!("is negative: `{text}`")).help("a duration is 0 or longer"));
    }
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err(bad());
        }
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() && after.is_empty() {
            return Err(Wrong::new(format!("has a number without a unit: `{text}`")).help(EXAMPLE));
        }
        let length = unit_ns(unit, text)?.ok_or_else(bad)?;
        let part = number.parse::<i64>().ok().and_then(|n| n.checked_mul(length));
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(|| {
            Wrong::new(format!("is too long: `{text}`")).help("the longest duration is about 106000 days")
        })?;
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    Ok(total)
}

fn unit_ns(unit: &str, text: &str) -> Result<Option<i64>, Wrong> {
    let lower = unit.to_lowercase();
    let calendar = match lower.as_str() {
        "month" | "months" | "mo" => Some("a month"),
        "m" if unit == "M" => Some("a month"),
        "y" | "yr" | "yrs" | "year" | "years" => Some("a year"),
        "quarter" | "quarters" => Some("a quarter"),
        _ => None,
    };
    if let Some(what) = calendar {
        return Err(Wrong::new(format!("has no fixed length: `{text}`, as {what} is not always as long"))
            .help("write days, such as `30 days` or `365 days`"));
    }
    Ok(UNITS.iter().find(|(names, _)| names.contains(&lower.as_str())).map(|(_, ns)| *ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sums_of_whole_units() {
        let hour = 3_600_000_000_000;
        for (text, want) in [
            ("0s", 0),
            ("0", 0),
            ("6 hours", 6 * hour),
            ("1h 30m", hour + hour / 2),
            ("1h30m", hour + hour / 2),
            ("1 day, 1 hour", 25 * hour),
            ("400 days", 400 * 24 * hour),
            ("90s", 90_000_000_000),
            ("1 week", 168 * hour),
            ("250ms", 250_000_000),
            ("5 µs", 5_000),
            (" 7 Days ", 168 * hour),
        ] {
            assert_eq!(duration_ns(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn months_and_years_have_no_fixed_length() {
        for text in ["1 month", "2 months", "1M", "1y", "3 years", "1 day 1 month"] {
            let wrong = duration_ns(text).unwrap_err();
            assert!(wrong.message.contains("no fixed length"), "{text}: {}", wrong.message);
            assert!(wrong.help.unwrap().contains("write days"));
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in
            ["", " ", "-1 day", "5", "1h 5", "hours", "1.5h", "6 parsecs", "1h-30m", "99999999999 weeks", "１h", "1h ½"]
        {
            assert!(duration_ns(text).is_err(), "{text}");
        }
    }
}
