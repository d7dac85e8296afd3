//! What is planted: each cause alone with several parameters, pairs, nothing, and noise.

use super::legacy::{Length, Meaning, Rounding};
use super::world::{DAY, HOUR, MINUTE, SECOND, START};

/// A snapshot of a store that goes wrong in a known way.
#[derive(Debug, Clone)]
pub(super) struct Planted {
    pub snapshot: String,
    /// None: it is right; one or two otherwise.
    pub causes: Vec<&'static str>,
    /// As people would write it.
    pub parameters: String,
    pub meaning: Meaning,
    pub noise: Option<Noise>,
}

/// What no meaning makes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Noise {
    /// One number in so many gets something at random.
    OneIn(usize),
    /// The values of every label row are those of another.
    Shuffled,
    /// They are those of the label row so many before.
    Moved(usize),
    /// Every number is off by one.
    OffByOne,
}

impl Noise {
    pub(super) const ALL: [(Self, &'static str); 6] = [
        (Self::OneIn(200), "noise in 1 of 200"),
        (Self::OneIn(20), "noise in 1 of 20"),
        (Self::OneIn(3), "noise in 1 of 3"),
        (Self::Shuffled, "values shuffled"),
        (Self::Moved(1), "values of the row before"),
        (Self::OffByOne, "all off by one"),
    ];
}

/// A single wrong meaning, and its parameter in words.
type Single = (&'static str, String, Meaning);

pub(super) fn singles() -> Vec<Single> {
    let right = Meaning::default;
    let mut all: Vec<Single> = vec![
        ("window_start_inclusive", String::new(), Meaning { start_inclusive: true, ..right() }),
        ("label_time_excluded", String::new(), Meaning { label_time_excluded: true, ..right() }),
        ("late_events_visible", String::new(), Meaning { late_visible: true, ..right() }),
        ("duplicates_counted", String::new(), Meaning { duplicates_counted: true, ..right() }),
        ("duplicates_removed", String::new(), Meaning { duplicates_removed: true, ..right() }),
        ("nulls_as_zero", String::new(), Meaning { nulls_as_zero: true, ..right() }),
        ("missing_as_zero", String::new(), Meaning { missing_as_zero: true, ..right() }),
        ("missing_as_null", String::new(), Meaning { missing_as_null: true, ..right() }),
        ("float32", String::new(), Meaning { float32: true, ..right() }),
    ];
    let lengths = [
        (24, Length::CalendarDay, "24 h: the calendar day"),
        (24, Length::Of(48 * HOUR), "24 h: 48 h"),
        (24, Length::Of(25 * HOUR), "24 h: 25 h"),
        (168, Length::Of(6 * DAY), "7 d: 6 d"),
        (720, Length::Of(28 * DAY), "30 d: 28 d"),
        (720, Length::Of(31 * DAY), "30 d: 31 d"),
    ];
    for (hours, length, told) in lengths {
        all.push(("window_length", told.to_string(), Meaning { length: Some((hours, length)), ..right() }));
    }
    for (tile, told) in [(5 * MINUTE, "5 min"), (15 * MINUTE, "15 min"), (HOUR, "1 h"), (DAY, "1 d")] {
        all.push(("tiled_window", told.to_string(), Meaning { tile: Some(tile), ..right() }));
    }
    for (minutes, arrivals) in [(120, false), (-300, false), (330, false), (60, true), (-480, true)] {
        let of = if arrivals { "both times" } else { "event time" };
        let shift = Some((minutes * MINUTE, arrivals));
        all.push(("timezone", format!("{minutes} min, {of}"), Meaning { shift, ..right() }));
    }
    for (period, lag, told) in [
        (HOUR, 0, "hourly"),
        (DAY, 0, "daily"),
        (DAY, 2 * HOUR, "daily, 2 h late"),
        (6 * HOUR, 30 * MINUTE, "every 6 h, 30 min late"),
        (15 * MINUTE, 0, "every 15 min"),
    ] {
        all.push(("stale", told.to_string(), Meaning { stale: Some((period, lag)), ..right() }));
    }
    for hour in [2, 5] {
        let told = format!("daily at {hour:02}:00");
        all.push(("stale", told, Meaning { stale: Some((DAY, 0)), stale_at: hour * HOUR, ..right() }));
    }
    for (leak, told) in [(HOUR, "1 h"), (DAY, "1 d"), (7 * DAY, "7 d")] {
        all.push(("future_leak", told.to_string(), Meaning { leak, ..right() }));
    }
    for (limit, told) in [(10 * MINUTE, "10 min"), (3 * HOUR, "3 h"), (30 * SECOND, "30 s")] {
        all.push(("late_events_dropped", told.to_string(), Meaning { late_limit: Some(limit), ..right() }));
    }
    for days in [20, 45] {
        let first = Some(START + days * DAY);
        all.push(("truncated_history", format!("day {days}"), Meaning { first, ..right() }));
    }
    let first = Some(START + 38 * DAY + 5 * HOUR + 13 * MINUTE);
    all.push(("truncated_history", "day 38, 05:13".to_string(), Meaning { first, ..right() }));
    for digits in [0, 1] {
        all.push(("rounded", format!("{digits} digits"), Meaning { digits: Some(digits), ..right() }));
    }
    for (rounding, told) in [(Rounding::Down, "0 digits, down"), (Rounding::Up, "0 digits, up")] {
        all.push(("rounded", told.to_string(), Meaning { digits: Some(0), rounding, ..right() }));
    }
    for factor in [100.0, 0.001, 0.92] {
        all.push(("scaled", format!("x {factor}"), Meaning { factor: Some(factor), ..right() }));
    }
    all.push((
        "stale",
        "every 3 h, 15 min late".to_string(),
        Meaning { stale: Some((3 * HOUR, 15 * MINUTE)), ..right() },
    ));
    for (hour, told) in [(0, "loaded daily"), (4, "loaded daily at 04:00")] {
        let stale = Some((DAY, 0));
        all.push(("stale", told.to_string(), Meaning { stale, stale_at: hour * HOUR, loaded: true, ..right() }));
    }
    all
}

/// Two at once, where neither hides the other.
pub(super) fn pairs() -> Vec<(Vec<&'static str>, String, Meaning)> {
    let right = Meaning::default;
    let cut = || Meaning { first: Some(START + 45 * DAY), ..right() };
    let pair = |a, b, meaning| (vec![a, b], String::new(), meaning);
    vec![
        pair("late_events_visible", "stale", Meaning { late_visible: true, stale: Some((DAY, 0)), ..right() }),
        pair(
            "duplicates_counted",
            "window_start_inclusive",
            Meaning { duplicates_counted: true, start_inclusive: true, ..right() },
        ),
        pair(
            "duplicates_counted",
            "late_events_visible",
            Meaning { duplicates_counted: true, late_visible: true, ..right() },
        ),
        pair("scaled", "stale", Meaning { factor: Some(100.0), stale: Some((HOUR, 0)), ..right() }),
        pair("float32", "late_events_visible", Meaning { float32: true, late_visible: true, ..right() }),
        pair(
            "duplicates_counted",
            "timezone",
            Meaning { duplicates_counted: true, shift: Some((120 * MINUTE, false)), ..right() },
        ),
        pair("late_events_visible", "tiled_window", Meaning { late_visible: true, tile: Some(HOUR), ..right() }),
        pair(
            "label_time_excluded",
            "window_length",
            Meaning { label_time_excluded: true, length: Some((24, Length::Of(48 * HOUR))), ..right() },
        ),
        pair("nulls_as_zero", "stale", Meaning { nulls_as_zero: true, stale: Some((DAY, 0)), ..right() }),
        pair(
            "missing_as_zero",
            "late_events_visible",
            Meaning { missing_as_zero: true, late_visible: true, ..right() },
        ),
        pair("future_leak", "duplicates_counted", Meaning { leak: DAY, duplicates_counted: true, ..right() }),
        pair("rounded", "stale", Meaning { digits: Some(1), stale: Some((6 * HOUR, 0)), ..right() }),
        pair("duplicates_counted", "tiled_window", Meaning { duplicates_counted: true, tile: Some(HOUR), ..right() }),
        pair("late_events_dropped", "future_leak", Meaning { late_limit: Some(10 * MINUTE), leak: DAY, ..right() }),
        pair("late_events_dropped", "tiled_window", Meaning { late_limit: Some(3 * HOUR), tile: Some(DAY), ..right() }),
        pair("truncated_history", "duplicates_counted", Meaning { duplicates_counted: true, ..cut() }),
        pair("truncated_history", "late_events_visible", Meaning { late_visible: true, ..cut() }),
        pair("truncated_history", "stale", Meaning { stale: Some((6 * HOUR, 0)), ..cut() }),
        pair("truncated_history", "window_length", Meaning { length: Some((24, Length::Of(48 * HOUR))), ..cut() }),
    ]
}

/// Everything that the lab plants.
pub(super) fn all() -> Vec<Planted> {
    let singles = singles().into_iter().map(|(c, p, m)| (vec![c], p, m, None));
    let pairs = pairs().into_iter().map(|(c, p, m)| (c, p, m, None));
    let nothing = [(Vec::new(), "nothing".to_string(), Meaning::default(), None)];
    let noise = Noise::ALL.map(|(noise, told)| (Vec::new(), told.to_string(), Meaning::default(), Some(noise)));
    named(singles.chain(pairs).chain(nothing).chain(noise))
}

/// Plants, each with a snapshot of its own: causes, parameters, meaning, noise.
pub(super) fn named(all: impl Iterator<Item = (Vec<&'static str>, String, Meaning, Option<Noise>)>) -> Vec<Planted> {
    let planted = |(i, (causes, parameters, meaning, noise)): (usize, (Vec<&'static str>, String, Meaning, _))| {
        let name = if causes.is_empty() { "none".to_string() } else { causes.join("_") };
        Planted { snapshot: format!("s{i:02}_{name}"), causes, parameters, meaning, noise }
    };
    all.enumerate().map(planted).collect()
}

/// Some of each kind.
pub(super) fn some() -> Vec<Planted> {
    let all = all();
    let (singles, pairs) = (singles().len(), pairs().len());
    let picked = |i: usize| match i {
        i if i < singles => i % 6 == 0,
        // The last ones are searched to the end, which takes long: `causes::sources` has such in small.
        i if i < singles + pairs => (i - singles) % 5 == 1 && i < singles + pairs - 4,
        i => [0, 2, 4].contains(&(i - singles - pairs)),
    };
    all.into_iter().enumerate().filter(|(i, _)| picked(*i)).map(|(_, planted)| planted).collect()
}
