//! The changes of meaning that a legacy system may have made: what each is called, its parameters, what it acts on.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use crate::cause::windows::Start;
use crate::source::time::rfc3339;

/// The length of a window, as SQL counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Length {
    Fixed {
        months: i32,
        days: i32,
        nanos: i64,
    },
    /// From the start of the current `hour`, `day`, `week`, `month`, `quarter` or `year`.
    Calendar(&'static str),
    /// No lower bound at all.
    Unbounded,
}

impl Length {
    pub(super) const fn nanos(nanos: i64) -> Self {
        Self::Fixed { months: 0, days: 0, nanos }
    }

    /// As the report shows it: ISO 8601, or in words.
    pub(super) fn shown(self) -> String {
        match self {
            Self::Fixed { months: 0, days, nanos } => {
                duration(i64::from(days).saturating_mul(DAY).saturating_add(nanos))
            }
            Self::Fixed { months, days, nanos } => crate::plan::iso(months, days, nanos),
            Self::Calendar(unit) => format!("calendar {unit}"),
            Self::Unbounded => "unbounded".to_string(),
        }
    }
}

pub(super) const SECOND: i64 = 1_000_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// An ISO 8601 duration of whole days, or of hours and below.
pub fn duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.saturating_abs();
    let text = if nanos % DAY == 0 && nanos != 0 {
        crate::plan::iso(0, i32::try_from(nanos / DAY).unwrap_or(i32::MAX), 0)
    } else {
        crate::plan::iso(0, 0, nanos)
    };
    format!("{sign}{text}")
}

/// The most that a length comes to, nanoseconds.
fn longest(length: Length) -> Option<i64> {
    Some(match length {
        Length::Fixed { months, days, nanos } => (i64::from(months) * 31 + i64::from(days)) * DAY + nanos,
        Length::Calendar("hour") => HOUR,
        Length::Calendar("day") => DAY,
        Length::Calendar("week") => 7 * DAY,
        Length::Calendar("month") => 31 * DAY,
        Length::Calendar("quarter") => 92 * DAY,
        Length::Calendar("year") => 366 * DAY,
        _ => return None,
    })
}

/// A winter's and a summer's instant, seconds since 1970.
const SEASONS: [i64; 2] = [1_736_899_200, 1_752_537_600];

/// What a zone's clocks are ahead of UTC at an instant of nanoseconds since 1970, in nanoseconds.
pub(super) fn offset_at(zone: Tz, instant: i64) -> i64 {
    offset(zone, instant.div_euclid(SECOND))
}

fn offset(zone: Tz, seconds: i64) -> i64 {
    let at = DateTime::from_timestamp(seconds, 0).unwrap_or_default().naive_utc();
    i64::from(zone.offset_from_utc_datetime(&at).fix().local_minus_utc()) * SECOND
}

/// How a source's timestamps were moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shift {
    /// Minutes that are added to each.
    Minutes(i32),
    /// Minutes that are added to each event time; arrivals stay.
    EventMinutes(i32),
    /// The clock's reading was taken for local time of this zone.
    ReadIn(Tz),
    /// The local time of this zone was taken for UTC.
    ShownIn(Tz),
}

/// How a legacy value came to hold what lay ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ahead {
    /// The whole view was computed that much later: windows move along.
    Moves,
    /// Windows begin where they should, and events that arrive up to the horizon count.
    Arrives,
    /// As [`Ahead::Arrives`], but by event time, before they had arrived.
    Happens,
}

/// Which of the two nearest numbers of so many digits is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// The nearer one.
    Nearest,
    Down,
    Up,
    /// The digits that follow are cut off.
    Zero,
}

impl Rounding {
    const ALL: [Self; 4] = [Self::Nearest, Self::Down, Self::Up, Self::Zero];

    /// As the report names it; the usual one has no name.
    fn shown(self) -> Option<&'static str> {
        match self {
            Self::Nearest => None,
            Self::Down => Some("down"),
            Self::Up => Some("up"),
            Self::Zero => Some("toward_zero"),
        }
    }
}

/// One named change of meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    WindowStart {
        inclusive: bool,
    },
    LabelTime {
        included: bool,
    },
    /// `from`: the window that is changed, as it is in the SQL; `None`: every window by its own alternative of this number.
    WindowLength {
        window: Option<usize>,
        step: usize,
        /// By window of the view; `None`: unchanged.
        lengths: Vec<Option<Length>>,
    },
    /// `inclusive`: what is exactly at the tile's start counts, though the SQL leaves out what is at the window's.
    Tiled {
        tile: i64,
        inclusive: bool,
    },
    Timezone {
        shift: Shift,
    },
    /// `at`: how long after the start of each period, UTC, the refresh is.
    Stale {
        period: i64,
        lag: i64,
        at: i64,
    },
    /// What had arrived by the last load counts, in windows that end at the label time. `at`: as of [`Change::Stale`].
    Loaded {
        period: i64,
        at: i64,
    },
    /// No horizon: everything that is in the log.
    FutureLeak {
        horizon: Option<i64>,
        ahead: Ahead,
    },
    /// What has arrived counts, though it is yet to happen.
    NotHidden,
    LateVisible,
    LateDropped {
        limit: i64,
    },
    DuplicatesCounted,
    DuplicatesRemoved,
    Truncated {
        first: i64,
    },
    NullsAsZero,
    /// Where the view has a row; what it has no row for stays NULL.
    NullsInRowsAsZero,
    MissingAsZero,
    MissingAsNull,
    Float32,
    Rounded {
        digits: i32,
        mode: Rounding,
    },
    Scaled {
        factor: f64,
    },
    /// The change in one of the sources that the view reads, by its number, and in no other.
    Of {
        source: usize,
        change: Box<Change>,
    },
}

/// What a change acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The label time.
    Instant,
    /// Sources or the view's plan: another replay.
    World,
    /// The number, after the fact.
    Value,
}

impl Change {
    /// The same in this source alone.
    pub(super) fn of(self, source: usize) -> Self {
        Self::Of { source, change: Box::new(self) }
    }

    /// The same in this source alone, or where none is named in all.
    pub(super) fn within(self, source: Option<usize>) -> Self {
        match source {
            Some(source) => self.of(source),
            None => self,
        }
    }

    /// What is changed, and in which source, where in one alone.
    pub(super) fn apart(&self) -> (&Self, Option<usize>) {
        match self {
            Self::Of { source, change } => (change, Some(*source)),
            other => (other, None),
        }
    }

    /// What it changes about a source; none where it leaves it as it is.
    pub(super) fn about(&self, source: usize) -> Option<&Self> {
        let (change, own) = self.apart();
        own.is_none_or(|own| own == source).then_some(change)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::WindowStart { inclusive: true } => "window_start_inclusive",
            Self::WindowStart { inclusive: false } => "window_start_exclusive",
            Self::LabelTime { included: true } => "label_time_included",
            Self::LabelTime { included: false } => "label_time_excluded",
            Self::WindowLength { .. } => "window_length",
            Self::Tiled { .. } => "tiled_window",
            Self::Timezone { .. } => "timezone",
            Self::Stale { .. } | Self::Loaded { .. } => "stale",
            Self::FutureLeak { .. } | Self::NotHidden => "future_leak",
            Self::LateVisible => "late_events_visible",
            Self::LateDropped { .. } => "late_events_dropped",
            Self::DuplicatesCounted => "duplicates_counted",
            Self::DuplicatesRemoved => "duplicates_removed",
            Self::Truncated { .. } => "truncated_history",
            Self::NullsAsZero | Self::NullsInRowsAsZero => "nulls_as_zero",
            Self::MissingAsZero => "missing_as_zero",
            Self::MissingAsNull => "missing_as_null",
            Self::Float32 => "float32",
            Self::Rounded { .. } => "rounded",
            Self::Scaled { .. } => "scaled",
            Self::Of { change, .. } => change.name(),
        }
    }

    pub fn layer(&self) -> Layer {
        match self {
            Self::Stale { .. } | Self::Loaded { .. } | Self::FutureLeak { ahead: Ahead::Moves, horizon: Some(_) } => {
                Layer::Instant
            }
            Self::NullsAsZero
            | Self::NullsInRowsAsZero
            | Self::MissingAsZero
            | Self::MissingAsNull
            | Self::Float32
            | Self::Rounded { .. }
            | Self::Scaled { .. } => Layer::Value,
            _ => Layer::World,
        }
    }

    /// How many numbers have to be right for it: what a simpler explanation has fewer of.
    pub fn freedom(&self) -> usize {
        match self {
            Self::Stale { lag, at, .. } => 1 + usize::from(*lag != 0) + usize::from(*at != 0),
            Self::Loaded { at, .. } => 2 + usize::from(*at != 0),
            Self::Tiled { inclusive, .. } => 1 + usize::from(*inclusive),
            Self::WindowLength { .. } | Self::LateDropped { .. } | Self::Truncated { .. } | Self::Scaled { .. } => 1,
            Self::Rounded { mode, .. } => 1 + usize::from(*mode != Rounding::Nearest),
            Self::FutureLeak { ahead, .. } => 1 + usize::from(*ahead == Ahead::Happens),
            Self::Timezone { shift } => 1 + usize::from(matches!(shift, Shift::EventMinutes(_))),
            Self::Of { change, .. } => 1 + change.freedom(),
            _ => 0,
        }
    }

    /// `sources`: names by number.
    pub fn parameters(&self, sources: &[String]) -> Value {
        let (own, source) = self.apart();
        let mut map = own.own_parameters();
        if let Some(name) = source.and_then(|source| sources.get(source)) {
            map.insert("source".to_string(), json!(name));
        }
        Value::Object(map)
    }

    fn own_parameters(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| {
            map.insert(key.to_string(), value);
        };
        match self {
            Self::WindowLength { window, lengths, .. } => {
                let named = match window {
                    Some(window) => lengths.get(*window).copied().flatten(),
                    None => lengths.iter().flatten().next().copied(),
                };
                put("length", json!(named.map(Length::shown)));
                let changed: Vec<Length> = lengths.iter().copied().flatten().collect();
                if window.is_none() && changed.iter().any(|length| *length != changed[0]) {
                    // None of them explains it by itself.
                    put("lengths", json!(changed.into_iter().map(Length::shown).collect::<Vec<_>>()));
                }
            }
            Self::Tiled { tile, inclusive } => {
                put("tile", json!(duration(*tile)));
                if *inclusive {
                    put("start", json!("inclusive"));
                }
            }
            Self::Timezone { shift } => match shift {
                Shift::Minutes(minutes) => put("offset_minutes", json!(minutes)),
                Shift::EventMinutes(minutes) => {
                    put("offset_minutes", json!(minutes));
                    put("times", json!("event_time"));
                }
                Shift::ReadIn(zone) => put("zone", json!(zone.name())),
                Shift::ShownIn(zone) => {
                    put("zone", json!(zone.name()));
                    put("read_as", json!("UTC"));
                }
            },
            Self::Stale { period, at, .. } | Self::Loaded { period, at } => {
                put("period", json!(duration(*period)));
                put("lag", json!(duration(if let Self::Stale { lag, .. } = self { *lag } else { 0 })));
                if *at != 0 {
                    put("at", json!(format!("{:02}:{:02}", at / HOUR, at % HOUR / MINUTE)));
                }
                if matches!(self, Self::Loaded { .. }) {
                    put("window", json!("stays"));
                }
            }
            Self::FutureLeak { horizon, ahead } => {
                put("horizon", horizon.map_or_else(|| json!("unbounded"), |h| json!(duration(h))));
                match ahead {
                    Ahead::Moves => put("window", json!("moves")),
                    Ahead::Arrives => {}
                    Ahead::Happens => put("by", json!("event_time")),
                }
            }
            Self::NotHidden => {
                put("horizon", json!("unbounded"));
                put("by", json!("arrival"));
            }
            Self::NullsInRowsAsZero => put("missing", json!("stays")),
            Self::LateDropped { limit } => put("limit", json!(duration(*limit))),
            Self::Truncated { first } => put("first", json!(rfc3339(*first))),
            Self::Rounded { digits, mode } => {
                put("digits", json!(digits));
                if let Some(mode) = mode.shown() {
                    put("mode", json!(mode));
                }
            }
            Self::Scaled { factor } => put("factor", json!(factor)),
            _ => {}
        }
        map
    }

    /// A change that no list of candidates has, by its name and [`parameters`](Self::parameters).
    pub(super) fn fitted(name: &str, parameters: &Value, sources: &[String]) -> Option<Self> {
        let text = |key: &str| parameters.get(key).and_then(Value::as_str);
        let change = match name {
            "truncated_history" => {
                Self::Truncated { first: DateTime::parse_from_rfc3339(text("first")?).ok()?.timestamp_nanos_opt()? }
            }
            "scaled" => Self::Scaled { factor: parameters.get("factor")?.as_f64()? },
            "rounded" => Self::Rounded {
                digits: i32::try_from(parameters.get("digits")?.as_i64()?).ok()?,
                mode: Rounding::ALL.into_iter().find(|mode| mode.shown() == text("mode"))?,
            },
            "float32" => Self::Float32,
            "nulls_as_zero" if text("missing").is_some() => Self::NullsInRowsAsZero,
            "nulls_as_zero" => Self::NullsAsZero,
            "missing_as_zero" => Self::MissingAsZero,
            "missing_as_null" => Self::MissingAsNull,
            "timezone" => {
                let zone: Tz = text("zone")?.parse().ok()?;
                Self::Timezone {
                    shift: if text("read_as").is_some() { Shift::ShownIn(zone) } else { Shift::ReadIn(zone) },
                }
            }
            _ => return None,
        };
        let source = match text("source") {
            Some(name) => Some(sources.iter().position(|source| source == name)?),
            None => None,
        };
        Some(change.within(source))
    }

    /// The same change of each window that it changes, where it changes several; at last the change itself.
    pub(super) fn by_window(&self) -> Vec<Self> {
        let mut all = Vec::new();
        if let Self::WindowLength { window: None, step, lengths } = self {
            let changed = (0..lengths.len()).filter(|window| lengths[*window].is_some());
            let own = |window| Self::WindowLength { window: Some(window), step: *step, lengths: lengths.clone() };
            all.extend(changed.map(own));
        }
        // Last: of two that explain the same, the one that names its window is taken.
        all.push(self.clone());
        all
    }

    /// Whether what it shows was not known at the label time, and how far ahead it looked, where a number says so.
    pub fn leaks(&self) -> Option<Option<i64>> {
        match self {
            Self::FutureLeak { horizon, .. } => Some(*horizon),
            Self::LateVisible | Self::NotHidden => Some(None),
            Self::Of { change, .. } => change.leaks(),
            Self::Stale { lag, .. } if *lag < 0 => Some(Some(-lag)),
            Self::Timezone { shift: Shift::Minutes(minutes) } if *minutes < 0 => {
                Some(Some(i64::from(-minutes) * MINUTE))
            }
            Self::Timezone { shift } => {
                let (zone, sign) = match shift {
                    Shift::ReadIn(zone) => (zone, -1),
                    Shift::ShownIn(zone) => (zone, 1),
                    Shift::Minutes(_) | Shift::EventMinutes(_) => return None,
                };
                let earliest = SEASONS.iter().map(|at| sign * offset(*zone, *at)).min().unwrap_or(0);
                (earliest < 0).then_some(Some(-earliest))
            }
            _ => None,
        }
    }

    /// By how much more it can move what a label time sees, back or ahead, nanoseconds; `None`: without bound. Changes of the label
    /// time itself move nothing.
    pub(super) fn widens(&self, starts: &[Start]) -> Option<i64> {
        match self {
            Self::Tiled { tile, .. } => Some(*tile),
            Self::WindowLength { window, lengths, .. } => {
                let changed = lengths.iter().enumerate().filter(|(at, _)| window.is_none_or(|w| w == *at));
                let longer = changed.filter_map(|(at, length)| Some((starts.get(at)?, (*length)?)));
                longer
                    .map(|(start, length)| Some((longest(length)? - start.shortest()).max(0)))
                    .try_fold(0, |most, own| Some(i64::max(most, own?)))
            }
            Self::Of { change, .. } => change.widens(starts),
            Self::Timezone { shift: Shift::Minutes(minutes) | Shift::EventMinutes(minutes) } => {
                Some(i64::from(minutes.abs()) * MINUTE)
            }
            Self::Timezone { .. } => Some(15 * HOUR),
            Self::FutureLeak { horizon, .. } => *horizon,
            _ => Some(0),
        }
    }

    /// The label time as this change has it.
    pub fn instant(&self, time: i64) -> i64 {
        match self {
            Self::Stale { period, lag, at } => refreshed(time, *period, *at).saturating_sub(*lag),
            Self::FutureLeak { horizon: Some(horizon), ahead: Ahead::Moves } => time.saturating_add(*horizon),
            _ => time,
        }
    }

    /// The instant by which, as this change has it, what counts has arrived.
    pub fn arrived(&self, time: i64) -> i64 {
        match self {
            Self::Loaded { period, at } => refreshed(time, *period, *at),
            other => other.instant(time),
        }
    }
}

/// The last refresh before an instant.
fn refreshed(time: i64, period: i64, at: i64) -> i64 {
    // Weeks begin on Monday; 1970 began on a Thursday.
    let origin = if period % (7 * DAY) == 0 { -3 * DAY } else { 0 } + at;
    time.saturating_sub(origin).div_euclid(period).saturating_mul(period).saturating_add(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap();
        let weekly = Change::Stale { period: 7 * DAY, lag: 0, at: 0 };
        assert_eq!(rfc3339(weekly.instant(at("2025-03-13T15:00:00Z"))), "2025-03-10T00:00:00Z");
        let nightly = Change::Stale { period: DAY, lag: 6 * HOUR, at: 0 };
        assert_eq!(rfc3339(nightly.instant(at("2025-03-13T15:00:00Z"))), "2025-03-12T18:00:00Z");
        let at_two = Change::Stale { period: DAY, lag: 0, at: 2 * HOUR };
        assert_eq!(rfc3339(at_two.instant(at("2025-03-13T01:59:59Z"))), "2025-03-12T02:00:00Z");
        assert_eq!(rfc3339(at_two.instant(at("2025-03-13T02:00:00Z"))), "2025-03-13T02:00:00Z");
    }

    #[test]
    fn durations_are_days_where_they_are_whole() {
        assert_eq!([DAY, HOUR, 0, -DAY].map(duration), ["P1D", "PT1H", "PT0S", "-P1D"]);
        assert_eq!(Length::Fixed { months: 1, days: 0, nanos: 0 }.shown(), "P1M");
    }
}
