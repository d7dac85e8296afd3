//! Instants, exactly: nanoseconds since 1970 in 128 bits hold any Arrow timestamp of any unit.
//!
//! Formatting is done here rather than by chrono, which ends at the year 262142: a far sentinel date in a snapshot
//! must be told, not fail the run.

use datafusion::arrow::datatypes::TimeUnit;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Nanoseconds in one tick of a unit.
pub(super) fn nanos_per_tick(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// Whole seconds since 1970, rounded down, of a tick count of any unit.
pub(super) fn floor_seconds(ticks: i64, unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => ticks,
        TimeUnit::Millisecond => ticks.div_euclid(1_000),
        TimeUnit::Microsecond => ticks.div_euclid(1_000_000),
        TimeUnit::Nanosecond => ticks.div_euclid(1_000_000_000),
    }
}

/// RFC 3339 in UTC with as many digits as the fraction needs (none, 3, 6 or 9); years beyond four digits are written
/// in ISO 8601's signed form.
pub(super) fn rfc3339(nanos: i128) -> String {
    let seconds = nanos.div_euclid(NANOS_PER_SECOND);
    let fraction = nanos.rem_euclid(NANOS_PER_SECOND);
    // An i64 of seconds is the widest that any unit holds.
    let seconds = i64::try_from(seconds).unwrap_or(if seconds < 0 { i64::MIN } else { i64::MAX });
    let date = date(seconds.div_euclid(SECONDS_PER_DAY));
    format!("{date}T{}Z", clock(seconds.rem_euclid(SECONDS_PER_DAY), fraction))
}

/// `HH:MM:SS` with as many digits as the fraction needs.
pub(super) fn clock(second_of_day: i64, fraction_nanos: i128) -> String {
    let (hours, minutes, seconds) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let fraction = match fraction_nanos {
        0 => String::new(),
        n if n % 1_000_000 == 0 => format!(".{:03}", n / 1_000_000),
        n if n % 1_000 == 0 => format!(".{:06}", n / 1_000),
        n => format!(".{n:09}"),
    };
    format!("{hours:02}:{minutes:02}:{seconds:02}{fraction}")
}

/// `YYYY-MM-DD` of a count of days since 1970-01-01.
pub(super) fn date(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    if (0..=9999).contains(&year) {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:+07}-{month:02}-{day:02}")
    }
}

/// Year, month and day of a count of days since 1970-01-01, in the proleptic Gregorian calendar.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
pub(super) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of the first of a month; the inverse of [`civil_from_days`] there.
pub(super) fn days_from_month(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(rfc3339(1_709_210_096_120_000_000), "2024-02-29T12:34:56.120Z");
        assert_eq!(rfc3339(253_402_300_799_000_001_000), "9999-12-31T23:59:59.000001Z");
    }

    #[test]
    fn far_dates_are_written_too() {
        assert_eq!(rfc3339(253_402_300_800_000_000_000), "+010000-01-01T00:00:00Z");
        assert_eq!(rfc3339(i128::from(i64::MAX) * 1_000_000_000), "+292277026596-12-04T15:30:07Z");
        assert!(rfc3339(i128::from(i64::MIN) * 1_000_000_000).starts_with("-292277022657-01-27"));
    }

    #[test]
    fn the_calendar_agrees_with_chrono_on_every_day_of_two_centuries() {
        let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in -40_000..40_000 {
            let expected = epoch + chrono::TimeDelta::days(days);
            assert_eq!(date(days), expected.to_string());
        }
    }

    #[test]
    fn a_month_starts_on_its_first_day() {
        for year in [-5, 0, 1900, 1970, 2000, 2024, 2025] {
            for month in 1..=12 {
                assert_eq!(civil_from_days(days_from_month(year, month)), (year, month, 1));
            }
        }
    }
}
