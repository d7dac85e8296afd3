//! Instants: RFC 3339 texts, or TOML date-times with an offset.

use chrono::{DateTime, Utc};
use toml_edit::Datetime;

use super::Wrong;

/// The instant of an RFC 3339 text; a space may stand for the `T`.
pub(in crate::config) fn instant(text: &str) -> Result<DateTime<Utc>, Wrong> {
    let trimmed = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(trimmed) {
        return Ok(at.with_timezone(&Utc));
    }
    let wrong = Wrong::new(format!("is not a timestamp: `{text}`"));
    let day_only = chrono::NaiveDate::parse_from_str(trimmed, "%Y-%m-%d").is_ok();
    let without_offset = DateTime::parse_from_rfc3339(&format!("{trimmed}Z")).is_ok();
    Err(if day_only {
        wrong.help(format!("write the time and offset too: `{trimmed}T00:00:00Z`"))
    } else if without_offset {
        wrong.help(format!("write the offset too: `{trimmed}Z`"))
    } else {
        wrong.help("write RFC 3339, such as `2025-03-02T10:00:00Z`")
    })
}

/// The instant of a TOML date-time. Dates, times and local date-times are none.
pub(in crate::config) fn instant_of_datetime(datetime: &Datetime) -> Result<DateTime<Utc>, Wrong> {
    let mut written = datetime.to_string();
    if let (Some(_), Some(time)) = (datetime.date, datetime.time)
        && time.second.is_none()
    {
        // TOML 1.1 lets seconds be left out, RFC 3339 does not: they stand right after `2025-03-02T10:00`.
        written.insert_str(written.len().min(16), ":00");
    }
    instant(&written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_part_of_an_instant() {
        assert_eq!(instant("2025-03-02T10:00:00Z"), instant("2025-03-02T12:00:00+02:00"));
        assert!(instant("2025-03-02T10:00:00").unwrap_err().help.unwrap().contains("`2025-03-02T10:00:00Z`"));
        assert!(instant("2025-03-02").unwrap_err().help.unwrap().contains("`2025-03-02T00:00:00Z`"));
        assert!(instant("yesterday").is_err());
        assert!(instant("2025-13-02T10:00:00Z").is_err());
    }

    #[test]
    fn a_toml_date_time_is_an_instant() {
        for text in ["2025-03-02T10:00:00Z", "2025-03-02 10:00:00Z", "2025-03-02T10:00Z", "2025-03-02T12:00+02:00"] {
            let datetime: Datetime = text.parse().unwrap();
            assert_eq!(instant_of_datetime(&datetime), instant("2025-03-02T10:00:00Z"), "{text}");
        }
        let local: Datetime = "2025-03-02T10:00:00".parse().unwrap();
        assert!(instant_of_datetime(&local).is_err());
    }
}
