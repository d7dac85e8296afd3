//! Which changes of meaning can apply to a view: derived from its windows and from its sources' rows, so that nobody has to
//! list them. What cannot make a difference is left out.

use std::collections::{HashMap, HashSet};

use chrono_tz::Tz;

use crate::cause::change::{Ahead, Change, DAY, HOUR, Length, MINUTE, SECOND, Shift, offset_at};
use crate::cause::held::Held;
use crate::cause::windows::{Start, Windows};
use crate::config::{FutureEvents, SourceKind, Tie};
use crate::source::Log;

/// Refresh periods, each with the lags that are tried. A negative lag is the end of the period: a leak.
const REFRESHES: [(i64, &[i64]); 14] = [
    (MINUTE, &[MINUTE]),
    (5 * MINUTE, &[5 * MINUTE]),
    (10 * MINUTE, &[10 * MINUTE]),
    (15 * MINUTE, &[5 * MINUTE, 15 * MINUTE]),
    (30 * MINUTE, &[5 * MINUTE, 15 * MINUTE, 30 * MINUTE]),
    (HOUR, &[5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, -HOUR]),
    (2 * HOUR, &[15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR]),
    (3 * HOUR, &[15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR]),
    (4 * HOUR, &[15 * MINUTE, 30 * MINUTE, HOUR, 4 * HOUR]),
    (6 * HOUR, &[15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR]),
    (8 * HOUR, &[15 * MINUTE, 30 * MINUTE, HOUR, 8 * HOUR]),
    (12 * HOUR, &[15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR]),
    (DAY, &[15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, -DAY]),
    (7 * DAY, &[HOUR, DAY, 7 * DAY, -7 * DAY]),
];

/// What clocks on Earth are ahead of UTC, in minutes, beside whole hours.
const ODD_OFFSETS: [i32; 13] = [-570, -210, 210, 270, 330, 345, 390, 525, 570, 630, 765, -150, -90];

const HORIZONS: [i64; 17] = [
    SECOND,
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    3 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
];

const LIMITS: [i64; 20] = [
    0,
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    3 * DAY,
    7 * DAY,
];

/// Every tile starts at a multiple of this.
pub(super) const FINEST_TILE: i64 = 5 * MINUTE;

const TILES: [i64; 8] = [DAY, HOUR, 15 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, 6 * HOUR, 12 * HOUR];

/// A row of `HOP` is put in no more windows than this.
const MOST_HOPS: i64 = 1000;

const LENGTHS: [i64; 24] = [
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    4 * HOUR,
    6 * HOUR,
    8 * HOUR,
    12 * HOUR,
    DAY,
    36 * HOUR,
    2 * DAY,
    3 * DAY,
    5 * DAY,
    7 * DAY,
    10 * DAY,
    14 * DAY,
    28 * DAY,
    30 * DAY,
    60 * DAY,
    90 * DAY,
    365 * DAY,
];

/// The offsets of [`Shift::Minutes`] that are tried, in both directions.
pub(super) fn offsets() -> Vec<i32> {
    let mut all: Vec<i32> = (-14..=14).filter(|h| *h != 0).map(|h| h * 60).collect();
    all.extend(ODD_OFFSETS.iter().flat_map(|m| [*m, -*m]));
    all.sort_by_key(|m| (m.abs(), *m));
    all.dedup();
    all
}

/// Changes of the label time, and shifts of all sources that come to the same: they cost no replay of their own.
pub(super) fn instants(windows: &Windows, shifts: bool) -> Vec<Change> {
    let mut all = Vec::new();
    for (period, lags) in REFRESHES {
        all.push(Change::Stale { period, lag: 0, at: 0 });
        all.extend(lags.iter().map(|lag| Change::Stale { period, lag: *lag, at: 0 }));
    }
    // Once a day at an hour of UTC; and what is published then with the data of the midnight before.
    let hours = (1..24).map(|hour| hour * HOUR);
    all.extend(hours.map(|at| Change::Stale { period: DAY, lag: 0, at }));
    all.extend((1..=6).map(|hour| Change::Stale { period: DAY, lag: hour * HOUR, at: hour * HOUR }));
    if shifts && !windows.calendar {
        all.extend(offsets().into_iter().map(|m| Change::Timezone { shift: Shift::Minutes(m) }));
    }
    all.extend(HORIZONS.map(|h| Change::FutureLeak { horizon: Some(h), ahead: Ahead::Moves }));
    all
}

/// What a warehouse held since its last load, asked for at the label time. Apart from the [`instants`]: what arrives by a time that is not the
/// label time's own is in another order, and costs a sweep more.
pub(super) fn loads() -> Vec<Change> {
    let periods = [HOUR, 6 * HOUR, 12 * HOUR, 7 * DAY].map(|period| Change::Loaded { period, at: 0 });
    periods.into_iter().chain((0..=6).map(|hour| Change::Loaded { period: DAY, at: hour * HOUR })).collect()
}

/// Which of the sources that a view reads have what.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    pub reads: Vec<usize>,
    /// Some of their rows arrive after their event time.
    pub late: Vec<usize>,
    /// Some of their rows arrive before their event time, and are hidden until then.
    pub hidden: Vec<usize>,
    /// Some ids come several times; rows without one do.
    pub redelivered: Vec<usize>,
    pub copies: Vec<usize>,
    /// Some event is exactly where a tile may start.
    pub on_tiles: bool,
    pub included: bool,
    /// Of sources that say when rows arrived, how late those were, in order.
    pub lateness: Vec<(usize, Vec<i64>)>,
}

impl Sources {
    pub(super) fn of(logs: &[Log], held: &HashMap<usize, Held>) -> Self {
        let mut reads: Vec<usize> = held.keys().copied().collect();
        reads.sort_unstable();
        let mut sources = Self { included: true, ..Self::default() };
        for &source in &reads {
            let (log, facts) = (&logs[source], &held[&source].facts);
            let lateness = &facts.lateness;
            if lateness.last().is_some_and(|late| *late > 0) {
                sources.late.push(source);
            }
            let hides = log.config.future_events == FutureEvents::Hidden;
            sources.hidden.extend((hides && lateness.first().is_some_and(|late| *late < 0)).then_some(source));
            sources.on_tiles |= facts.on_tiles;
            if log.config.available_at.is_some() {
                sources.lateness.push((source, lateness.clone()));
            }
            if log.config.kind == SourceKind::Log {
                sources.redelivered.extend(facts.redelivered.then_some(source));
                sources.copies.extend(facts.copies.then_some(source));
            }
            sources.included &= log.ties() == Tie::Include;
        }
        sources.reads = reads;
        sources
    }
}

/// Changes that take a replay each, the likelier and simpler first.
pub(super) fn worlds(windows: &Windows, sources: &Sources) -> Vec<Change> {
    let mut all = Vec::new();
    if !sources.late.is_empty() {
        all.push(Change::LateVisible);
        all.extend(of_each(&sources.late, &Change::LateVisible));
    }
    if !sources.hidden.is_empty() {
        all.push(Change::NotHidden);
        all.extend(of_each(&sources.hidden, &Change::NotHidden));
    }
    if windows.excludes_start {
        all.push(Change::WindowStart { inclusive: true });
    }
    if windows.includes_start {
        all.push(Change::WindowStart { inclusive: false });
    }
    if sources.included {
        all.push(Change::LabelTime { included: false });
    }
    if !sources.included || windows.end_excluded {
        all.push(Change::LabelTime { included: true });
    }
    for (having, change) in
        [(&sources.redelivered, Change::DuplicatesCounted), (&sources.copies, Change::DuplicatesRemoved)]
    {
        if !having.is_empty() {
            all.push(change.clone());
            all.extend(of_each(having, &change));
        }
    }
    all.extend(lengths(windows));
    if !windows.starts.is_empty() {
        let tiled = |inclusive| {
            let fitting = TILES.into_iter().filter(|tile| starts_off(windows, *tile));
            fitting.map(move |tile| Change::Tiled { tile, inclusive })
        };
        all.extend(tiled(false));
        if windows.excludes_start && sources.on_tiles {
            all.extend(tiled(true));
        }
    }
    all.extend(dropped(sources.lateness.iter().map(|(_, lateness)| lateness)));
    let arrives = !sources.lateness.is_empty();
    all.extend(leaks(arrives).into_iter().chain(event_shifts(windows, arrives)));
    all
}

/// Shifts of event times alone, where rows say when they arrived and a window asks for event times.
fn event_shifts(windows: &Windows, arrives: bool) -> impl Iterator<Item = Change> {
    let all = if arrives && !windows.starts.is_empty() { offsets() } else { Vec::new() };
    all.into_iter().map(|m| Change::Timezone { shift: Shift::EventMinutes(m) })
}

/// The change in each of several sources alone; of one it is the change itself.
fn of_each<'a>(sources: &'a [usize], change: &'a Change) -> impl Iterator<Item = Change> + 'a {
    let several = if sources.len() > 1 { sources } else { &[] };
    several.iter().map(|source| change.clone().of(*source))
}

/// Limits of lateness that some row keeps and some does not. `lateness`: by source, how late rows arrived, in order.
fn dropped<'a>(lateness: impl Iterator<Item = &'a Vec<i64>> + Clone) -> Vec<Change> {
    let least = lateness.clone().filter_map(|own| own.first()).min();
    let most = lateness.filter_map(|own| own.last()).max();
    let (Some(least), Some(most)) = (least, most) else { return Vec::new() };
    let within = |limit: &&i64| *limit >= least && *limit < most;
    LIMITS.iter().filter(within).map(|limit| Change::LateDropped { limit: *limit }).collect()
}

/// Whether a tile is not larger than every window.
fn starts_off(windows: &Windows, tile: i64) -> bool {
    windows.starts.iter().any(|start| match start {
        Start::Before(months, _, _) => *months != 0 || start.nanos().is_some_and(|n| n >= tile),
        Start::Of(..) | Start::Called { .. } => false,
    })
}

/// Shifts of all sources where calendars have a say, so that they are no changes of the label time.
pub(super) fn shifted_calendars(windows: &Windows) -> Vec<Change> {
    let all = if windows.calendar { offsets() } else { Vec::new() };
    all.into_iter().map(|m| Change::Timezone { shift: Shift::Minutes(m) }).collect()
}

/// What may be so in one source of several.
pub(super) fn single_sources(windows: &Windows, sources: &Sources) -> Vec<Change> {
    let mut all = Vec::new();
    if sources.reads.len() > 1 {
        for &source in &sources.reads {
            let own = sources.lateness.iter().filter(|(of, _)| *of == source).map(|(_, lateness)| lateness);
            let arrives = own.clone().next().is_some();
            let shift = |m| Change::Timezone { shift: Shift::Minutes(m) };
            let shifts = offsets().into_iter().map(shift).chain(event_shifts(windows, arrives));
            let changes = leaks(arrives).into_iter().chain(shifts);
            // Where no other source has late events, nothing else can be said of all.
            let dropped = if sources.late.len() > 1 { dropped(own) } else { Vec::new() };
            all.extend(changes.chain(dropped).map(|change| change.of(source)));
        }
    }
    all
}

/// Zones with summer time, the best known of those with the same clocks.
const ZONES: [Tz; 16] = [
    chrono_tz::America::New_York,
    chrono_tz::America::Chicago,
    chrono_tz::America::Denver,
    chrono_tz::America::Los_Angeles,
    chrono_tz::America::Anchorage,
    chrono_tz::America::Halifax,
    chrono_tz::America::St_Johns,
    chrono_tz::America::Santiago,
    chrono_tz::Europe::London,
    chrono_tz::Europe::Berlin,
    chrono_tz::Europe::Athens,
    chrono_tz::Asia::Jerusalem,
    chrono_tz::Africa::Cairo,
    chrono_tz::Australia::Sydney,
    chrono_tz::Australia::Adelaide,
    chrono_tz::Pacific::Auckland,
];

/// Zones that moved timestamps by so many minutes at some of these instants, and by others at others.
pub(super) fn zones(minutes: i32, source: Option<usize>, instants: &[i64]) -> Vec<Change> {
    let by = i64::from(minutes) * MINUTE;
    let mut all = Vec::new();
    for zone in ZONES {
        let offsets: Vec<i64> = instants.iter().map(|at| offset_at(zone, *at)).collect();
        if offsets.iter().all(|o| *o == offsets[0]) {
            continue;
        }
        for (shift, sign) in [(Shift::ReadIn(zone), -1), (Shift::ShownIn(zone), 1)] {
            if offsets.iter().any(|o| sign * o == by) {
                all.push(Change::Timezone { shift }.within(source));
            }
        }
    }
    all
}

/// Events that arrive, or happen where that `differs`, at any time or up to a horizon.
fn leaks(differs: bool) -> Vec<Change> {
    let mut all = vec![Change::FutureLeak { horizon: None, ahead: Ahead::Arrives }];
    all.extend(HORIZONS.iter().map(|h| Change::FutureLeak { horizon: Some(*h), ahead: Ahead::Arrives }));
    if differs {
        all.extend(HORIZONS.iter().map(|h| Change::FutureLeak { horizon: Some(*h), ahead: Ahead::Happens }));
    }
    all
}

/// Other lengths: of all windows at once, each by its own alternative of the same number.
fn lengths(windows: &Windows) -> Vec<Change> {
    let by_window: Vec<Vec<Length>> = windows.starts.iter().map(alternatives).collect();
    let most = by_window.iter().map(Vec::len).max().unwrap_or(0);
    let at = |step: usize| by_window.iter().map(|own| own.get(step).copied()).collect();
    let mut all: Vec<Change> =
        (0..most).map(|step| Change::WindowLength { window: None, step, lengths: at(step) }).collect();
    // What is asked of windows by their length changes with them: `window_end > NOW() - INTERVAL '1 hour'`.
    for size in windows.starts.iter().filter(|s| matches!(s, Start::Called { .. })).filter_map(Start::nanos) {
        let alike = |start: &Start| start.nanos() == Some(size);
        if windows.starts.iter().filter(|start| alike(start)).count() < 2 {
            continue;
        }
        for length in alternatives(&Start::Called { hop: None, size }) {
            let lengths = windows.starts.iter().map(|start| alike(start).then_some(length)).collect();
            let change = Change::WindowLength { window: None, step: most + all.len(), lengths };
            all.push(change);
        }
    }
    all
}

/// What a window may have been instead, the likelier first.
fn alternatives(start: &Start) -> Vec<Length> {
    let days = |days: i32| Length::Fixed { months: 0, days, nanos: 0 };
    let months = |months: i32| Length::Fixed { months, days: 0, nanos: 0 };
    let mut all = Vec::new();
    let (months_of, nanos) = match start {
        Start::Of(unit, 0, 0, 0) => {
            all.extend(match unit.as_str() {
                "hour" => vec![Length::nanos(HOUR)],
                "day" => vec![Length::nanos(DAY), Length::nanos(2 * DAY)],
                "week" => vec![days(7)],
                "month" => vec![months(1), days(30), days(28), days(31)],
                "quarter" => vec![months(3), days(90)],
                "year" => vec![months(12), days(365)],
                _ => Vec::new(),
            });
            return all;
        }
        Start::Of(_, m, d, n) => {
            all.push(Length::Fixed { months: *m, days: *d, nanos: *n });
            return all;
        }
        Start::Before(m, d, n) => (*m, i64::from(*d) * DAY + n),
        Start::Called { hop, size } => {
            let fits = |length: &Length| match (hop, length) {
                (None, Length::Fixed { months: 0, .. }) => true,
                (Some(hop), Length::Fixed { months: 0, days, nanos }) => {
                    let nanos = i64::from(*days) * DAY + nanos;
                    nanos % hop == 0 && nanos / hop <= MOST_HOPS
                }
                _ => false,
            };
            let mut all = alternatives(&Start::Before(0, 0, *size));
            // The next and the last multiple of the hop come first.
            all.splice(0..0, hop.iter().flat_map(|hop| [size - hop, size + hop]).map(Length::nanos));
            all.retain(|length| fits(length) && ![Length::nanos(*size), Length::nanos(0)].contains(length));
            let mut known = HashSet::new();
            all.retain(|length| known.insert(*length));
            return all;
        }
    };
    match (months_of, nanos) {
        (0, DAY) => all.push(Length::Calendar("day")),
        (0, HOUR) => all.push(Length::Calendar("hour")),
        (0, n) if n == 7 * DAY => all.push(Length::Calendar("week")),
        (0, n) if (28 * DAY..=31 * DAY).contains(&n) => {
            all.extend([months(1), Length::Calendar("month")]);
            all.extend([28, 30, 31].into_iter().map(days));
        }
        (0, n) if (89 * DAY..=92 * DAY).contains(&n) => {
            all.extend([months(3), Length::Calendar("quarter"), days(90), days(91), days(92)]);
        }
        (0, n) if (364 * DAY..=366 * DAY).contains(&n) => {
            all.extend([months(12), Length::Calendar("year"), days(364), days(365), days(366)]);
        }
        (1, 0) => all.extend([days(30), days(31), days(28), Length::Calendar("month"), days(29)]),
        (3, 0) => all.extend([days(90), days(91), days(92), Length::Calendar("quarter")]),
        (12, 0) => all.extend([days(365), days(360), days(366), Length::Calendar("year")]),
        _ => {}
    }
    let whole = i64::from(months_of) * 30 * DAY + nanos;
    let unit = if whole > 2 * DAY {
        DAY
    } else if whole > 2 * HOUR {
        HOUR
    } else {
        MINUTE
    };
    let near = [whole - unit, whole + unit, 2 * whole, whole / 2].into_iter();
    let mut common: Vec<i64> = LENGTHS.iter().copied().filter(|l| *l * 5 >= whole && *l <= whole * 5).collect();
    common.sort_by_key(|l| ((*l as f64 / whole.max(1) as f64).ln().abs() * 1e9) as i64);
    for nanos in near.chain(common.into_iter().take(12)).filter(|n| *n > 0) {
        all.push(Length::nanos(nanos));
    }
    // The calendar's units that are no longer than a few of the window.
    let units = [("day", DAY / 2, 3 * DAY), ("week", 3 * DAY, 21 * DAY), ("month", 10 * DAY, 62 * DAY)];
    let fitting = units.iter().filter(|(_, least, most)| (*least..=*most).contains(&whole));
    all.extend(fitting.map(|(unit, ..)| Length::Calendar(unit)));
    all.push(Length::Unbounded);
    let own = Length::Fixed { months: months_of, days: 0, nanos };
    let same = |a: Length, b: Length| match (a, b) {
        (Length::Fixed { months: m, days: d, nanos: n }, Length::Fixed { months: p, days: e, nanos: o }) => {
            m == p && i64::from(d) * DAY + n == i64::from(e) * DAY + o
        }
        (a, b) => a == b,
    };
    let mut different: Vec<Length> = Vec::new();
    for length in all {
        if !same(length, own) && !different.iter().any(|d| same(*d, length)) {
            different.push(length);
        }
    }
    different
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_first_held_against_the_calendar_day() {
        let found = alternatives(&Start::Before(0, 1, 0));
        assert_eq!(found[0], Length::Calendar("day"));
        assert!(found.contains(&Length::nanos(25 * HOUR)) && found.contains(&Length::Unbounded));
        assert!(!found.iter().any(|l| l.shown() == "P1D"), "its own length is no alternative: {found:?}");
    }

    #[test]
    fn thirty_days_are_held_against_months() {
        let found = alternatives(&Start::Before(0, 30, 0));
        assert_eq!(found[..2], [Length::Fixed { months: 1, days: 0, nanos: 0 }, Length::Calendar("month")]);
        let of_month = alternatives(&Start::Before(1, 0, 0));
        assert_eq!(of_month[0].shown(), "P30D");
    }

    #[test]
    fn each_window_has_its_own_alternatives() {
        let windows = Windows { starts: vec![Start::Before(0, 1, 0), Start::Before(0, 0, HOUR)], ..Windows::default() };
        let Change::WindowLength { lengths, .. } = &lengths(&windows)[0] else { panic!("no length") };
        assert_eq!(lengths, &[Some(Length::Calendar("day")), Some(Length::Calendar("hour"))]);
    }

    #[test]
    fn every_real_offset_is_tried_in_both_directions() {
        let all = offsets();
        for minutes in [60, -60, 330, -330, 345, 525, 765, 840, -720, -570, 570] {
            assert!(all.contains(&minutes), "{minutes}");
        }
        assert!(!all.contains(&0));
    }

    #[test]
    fn only_zones_whose_clocks_changed_and_fit_are_tried() {
        let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap();
        let spring = [at("2025-03-01T00:00:00Z"), at("2025-03-20T00:00:00Z")];
        let read_in = |zone| Change::Timezone { shift: Shift::ReadIn(zone) };
        assert!(zones(300, None, &spring).contains(&read_in(chrono_tz::America::New_York)));
        assert!(!zones(300, None, &spring).contains(&read_in(chrono_tz::Europe::Berlin)));
        assert_eq!(zones(300, None, &spring[..1]), []);
    }

    #[test]
    fn a_view_without_windows_has_none_to_change() {
        let sources = Sources { reads: vec![0], included: true, ..Sources::default() };
        let mut names: Vec<&str> = worlds(&Windows::default(), &sources).iter().map(Change::name).collect();
        names.dedup();
        assert_eq!(names, ["label_time_excluded", "future_leak"]);
    }
}
