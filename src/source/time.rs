//! Timestamps of any unit and zone as instants.
//!
//! An instant is an `i64` of nanoseconds since 1970 UTC. Times outside 1677 to 2262 saturate: they stay before, or
//! after, every label time, which is all that a comparison with a label time needs.

use std::cell::Cell;
use std::sync::Arc;

use chrono::{DateTime, Duration, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, PrimitiveArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowTimestampType, DataType, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::arrow::error::ArrowError;

use crate::source::schema::plain_type;

/// Nanoseconds in one tick of the unit.
pub fn unit_ns(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// The instants of a timestamp column (naive: UTC), plus `shift_ns`; NULL stays NULL.
///
/// # Errors
/// Where the column holds no timestamps.
pub fn instants_ns(array: &dyn Array, shift_ns: i64) -> Result<Int64Array, ArrowError> {
    let DataType::Timestamp(unit, _) = array.data_type() else {
        return Err(ArrowError::InvalidArgumentError(format!("{} is not a timestamp", array.data_type())));
    };
    let ticks = cast(array, &DataType::Int64)?;
    let factor = unit_ns(*unit);
    Ok(ticks.as_primitive::<Int64Type>().unary(|t: i64| t.saturating_mul(factor).saturating_add(shift_ns)))
}

/// The latest tick of `unit` that is not after the instant.
pub fn ticks_until(instant_ns: i64, unit: TimeUnit) -> i64 {
    instant_ns.div_euclid(unit_ns(unit))
}

/// A naive timestamp column, read as local time of `zone`, as instants with zone UTC, same unit.
///
/// A local time that occurs twice is the first of the two; one that does not exist moves forward by the gap.
///
/// # Errors
/// Where the column holds no timestamps.
pub fn local_to_utc(array: &ArrayRef, zone: Tz) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => Ok(shifted::<TimestampSecondType>(array, zone)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Ok(shifted::<TimestampMillisecondType>(array, zone)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Ok(shifted::<TimestampMicrosecondType>(array, zone)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Ok(shifted::<TimestampNanosecondType>(array, zone)),
        other => Err(ArrowError::InvalidArgumentError(format!("{other} is not a timestamp"))),
    }
}

/// Instants as the clocks of `zone` show them: naive timestamps, same unit. The other way is [`local_to_utc`].
///
/// # Errors
/// Where the column holds no timestamps.
pub fn utc_to_local(array: &ArrayRef, zone: Tz) -> Result<ArrayRef, ArrowError> {
    let DataType::Timestamp(unit, _) = array.data_type() else {
        return Err(ArrowError::InvalidArgumentError(format!("{} is not a timestamp", array.data_type())));
    };
    let per_second = 1_000_000_000 / unit_ns(*unit);
    let shown = |tick: i64| {
        let offset = DateTime::from_timestamp(tick.div_euclid(per_second), 0)
            .map_or(0, |t| i64::from(zone.offset_from_utc_datetime(&t.naive_utc()).fix().local_minus_utc()));
        tick.saturating_add(offset * per_second)
    };
    let ticks = cast(array, &DataType::Int64)?;
    let local: Int64Array = ticks.as_primitive::<Int64Type>().unary(shown);
    cast(&local, &DataType::Timestamp(*unit, None))
}

/// A column in its plain type; timestamps as instants in UTC, naive ones read as local time of `zone`.
///
/// # Errors
/// Types that can't be made plain.
pub fn plain_instants(array: &ArrayRef, zone: Tz) -> Result<ArrayRef, ArrowError> {
    let array = cast(array, &plain_type(array.data_type()))?;
    match array.data_type() {
        DataType::Timestamp(_, None) => local_to_utc(&array, zone),
        DataType::Timestamp(unit, Some(_)) => cast(&array, &DataType::Timestamp(*unit, Some("UTC".into()))),
        _ => Ok(array),
    }
}

fn shifted<T: ArrowTimestampType>(array: &ArrayRef, zone: Tz) -> ArrayRef {
    let per_second = 1_000_000_000 / unit_ns(T::UNIT);
    // Offsets change on quarters of an hour only: the last quarter's is kept.
    let known = Cell::new(None::<(i64, i64)>);
    let utc: PrimitiveArray<T> = array.as_primitive::<T>().unary(|local| {
        let quarter = local.div_euclid(per_second * 900);
        let offset = match known.get() {
            Some((at, offset)) if at == quarter => offset,
            _ => offset_seconds(quarter * 900, zone),
        };
        known.set(Some((quarter, offset)));
        local.saturating_sub(offset * per_second)
    });
    Arc::new(utc.with_timezone("UTC"))
}

/// What `zone` is ahead of UTC at a local time (seconds since 1970 on the local clock), in seconds. Zones change their
/// offset on quarters of an hour only.
fn offset_seconds(local_seconds: i64, zone: Tz) -> i64 {
    let Some(local) = DateTime::from_timestamp(local_seconds, 0).map(|t| t.naive_utc()) else { return 0 };
    match resolve(zone, local) {
        Some(offset) => offset,
        // In a gap: the offset that held before it moves the time forward.
        None => (1..=96)
            .filter_map(|quarters| local.checked_sub_signed(Duration::minutes(15 * quarters)))
            .find_map(|before| resolve(zone, before))
            .unwrap_or(0),
    }
}

fn resolve(zone: Tz, local: NaiveDateTime) -> Option<i64> {
    let seconds = |o: <Tz as TimeZone>::Offset| i64::from(o.fix().local_minus_utc());
    match zone.offset_from_local_datetime(&local) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => Some(seconds(offset)),
        MappedLocalTime::None => None,
    }
}

/// An instant as RFC 3339 in UTC, with as many fractional digits as it needs.
pub fn rfc3339(instant_ns: i64) -> String {
    let seconds = instant_ns.div_euclid(1_000_000_000);
    let nanos = u32::try_from(instant_ns.rem_euclid(1_000_000_000)).unwrap_or(0);
    let time = DateTime::from_timestamp(seconds, nanos).unwrap_or_default();
    time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::TimestampSecondArray;

    fn local(zone: Tz, text: &str) -> String {
        let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp();
        let array: ArrayRef = Arc::new(TimestampSecondArray::from(vec![naive]));
        let utc = local_to_utc(&array, zone).unwrap();
        rfc3339(instants_ns(&utc, 0).unwrap().value(0))
    }

    #[test]
    fn a_local_time_that_occurs_twice_is_the_first() {
        assert_eq!(local(chrono_tz::America::New_York, "2025-11-02 01:30:00"), "2025-11-02T05:30:00Z");
    }

    #[test]
    fn a_local_time_that_does_not_exist_moves_forward() {
        assert_eq!(local(chrono_tz::America::New_York, "2025-03-09 02:30:00"), "2025-03-09T07:30:00Z");
        assert_eq!(local(chrono_tz::America::New_York, "2025-03-09 03:00:00"), "2025-03-09T07:00:00Z");
        assert_eq!(local(chrono_tz::Pacific::Apia, "2011-12-30 12:00:00"), "2011-12-30T22:00:00Z");
    }

    #[test]
    fn clocks_show_summer_time() {
        let noon = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp();
        let utc: ArrayRef =
            Arc::new(TimestampSecondArray::from(vec![noon("2025-01-01T12:00:00Z"), noon("2025-07-01T12:00:00Z")]));
        let local = utc_to_local(&utc, chrono_tz::America::New_York).unwrap();
        let local = instants_ns(&local, 0).unwrap();
        assert_eq!(rfc3339(local.value(0)), "2025-01-01T07:00:00Z");
        assert_eq!(rfc3339(local.value(1)), "2025-07-01T08:00:00Z");
    }

    #[test]
    fn far_sentinels_saturate_instead_of_wrapping() {
        let array = TimestampSecondArray::from(vec![253_402_300_799, i64::MIN]);
        let ns = instants_ns(&array, 5).unwrap();
        assert_eq!((ns.value(0), ns.value(1)), (i64::MAX, i64::MIN + 5));
    }

    #[test]
    fn ticks_round_down_before_1970_too() {
        assert_eq!(ticks_until(-1, TimeUnit::Second), -1);
        assert_eq!(ticks_until(1_999, TimeUnit::Microsecond), 1);
    }
}
