//! The old feature store: features in plain loops, with its own idea of what they mean.

use super::world::{DAY, Event, HOUR};

/// What one feature is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Null,
    Number(f64),
    Text(&'static str),
}

/// The views' features. All windows are `(NOW() - length, NOW()]` of the event time, where they have a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Feature {
    pub name: &'static str,
    /// Hours; none: all that was ever visible.
    pub hours: Option<i64>,
    /// The longest of its view: a view with several windows has its row as long as that has one.
    pub view_hours: Option<i64>,
    pub of: Of,
    /// Whether the source of its view tells redelivered rows.
    pub distinct: bool,
    /// Whether a user without a row has 0.
    pub zero: bool,
    /// Whether arrival is event time and so much more, so that it moves along.
    pub delayed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Count,
    SumAmount,
    AvgAmount,
    MaxAmount,
    SumQty,
    LastAmount,
    LastKind,
    /// The last to arrive.
    NewestAmount,
    NewestKind,
    /// Events with this quantity, and the share with at least this amount.
    CountWithin(i64),
    ShareWithin(i64),
}

/// A feature of the view `activity`, whose longest window has 30 days.
const fn feature(name: &'static str, hours: i64, of: Of) -> Feature {
    Feature { name, hours: Some(hours), view_hours: Some(720), of, distinct: true, zero: false, delayed: false }
}

const fn other(name: &'static str, hours: Option<i64>, of: Of) -> Feature {
    Feature { hours, view_hours: hours, ..feature(name, 0, of) }
}

pub(super) const FEATURES: [Feature; 11] = [
    Feature { zero: true, ..feature("activity.n_24h", 24, Of::Count) },
    feature("activity.avg_24h", 24, Of::AvgAmount),
    feature("activity.amount_7d", 168, Of::SumAmount),
    feature("activity.max_7d", 168, Of::MaxAmount),
    feature("activity.n_30d", 720, Of::Count),
    feature("activity.qty_30d", 720, Of::SumQty),
    other("life.n_life", None, Of::Count),
    other("life.amount_life", None, Of::SumAmount),
    other("latest.last_amount", None, Of::LastAmount),
    other("latest.last_kind", None, Of::LastKind),
    Feature { distinct: false, ..other("raw.n_raw_7d", Some(168), Of::Count) },
];

pub(super) const VIEWS: [(&str, &str); 4] = [
    (
        "activity",
        "SELECT user_id,
            COUNT(*) FILTER (WHERE ts > NOW() - INTERVAL '24 hours') AS n_24h,
            AVG(amount) FILTER (WHERE ts > NOW() - INTERVAL '24 hours') AS avg_24h,
            SUM(amount) FILTER (WHERE ts > NOW() - INTERVAL '7 days') AS amount_7d,
            MAX(amount) FILTER (WHERE ts > NOW() - INTERVAL '7 days') AS max_7d,
            COUNT(*) AS n_30d,
            SUM(qty) AS qty_30d
         FROM events WHERE ts > NOW() - INTERVAL '30 days' GROUP BY user_id",
    ),
    ("life", "SELECT user_id, COUNT(*) AS n_life, SUM(amount) AS amount_life FROM events GROUP BY user_id"),
    (
        "latest",
        "SELECT user_id, amount AS last_amount, kind AS last_kind FROM (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY ts DESC, event_id DESC) AS newest FROM events
         ) WHERE newest = 1",
    ),
    (
        "raw",
        "SELECT user_id, COUNT(*) AS n_raw_7d FROM deliveries WHERE ts > NOW() - INTERVAL '7 days' GROUP BY user_id",
    ),
];

/// What the store does otherwise. The default is right.
#[derive(Debug, Clone, Default)]
pub(super) struct Meaning {
    pub start_inclusive: bool,
    pub label_time_excluded: bool,
    /// Windows of so many hours are of another length.
    pub length: Option<(i64, Length)>,
    /// Windows start at a multiple of this.
    pub tile: Option<i64>,
    /// And do not hold it.
    pub tile_open: bool,
    /// Event times, and arrivals too where `true`, are off by this.
    pub shift: Option<(i64, bool)>,
    /// As of `floor(T, period) - lag`; periods start so long after midnight.
    pub stale: Option<(i64, i64)>,
    pub stale_at: i64,
    /// That is when rows were loaded; windows end at T.
    pub loaded: bool,
    /// Events that arrive (happen, where `leak_by_event`) this long after T count.
    pub leak: i64,
    pub leak_by_event: bool,
    /// As of so much later.
    pub ahead: i64,
    pub late_visible: bool,
    /// Events that arrive later than this never count.
    pub late_limit: Option<i64>,
    pub duplicates_counted: bool,
    pub duplicates_removed: bool,
    /// Events before this are gone.
    pub first: Option<i64>,
    pub nulls_as_zero: bool,
    pub missing_as_zero: bool,
    pub missing_as_null: bool,
    pub float32: bool,
    pub digits: Option<i32>,
    /// Rounded is not to the nearest.
    pub rounding: Rounding,
    pub factor: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Rounding {
    #[default]
    Nearest,
    Down,
    Up,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Length {
    Of(i64),
    /// From midnight of the day (UTC).
    CalendarDay,
}

impl Meaning {
    /// The value of a feature at a label row, event by event.
    pub(super) fn value(&self, feature: &Feature, at: i64, events: &[&Event]) -> Value {
        let refreshed = |(period, lag)| (at - self.stale_at).div_euclid(period) * period + self.stale_at - lag;
        let loaded = self.stale.map_or(at, refreshed) + self.ahead;
        let now = if self.loaded { at } else { loaded };
        let visible = self.visible(feature, loaded, events);
        let is_there = visible.iter().any(|e| self.in_window(e, feature.view_hours, now));
        let rows: Vec<&Event> = visible.iter().copied().filter(|e| self.in_window(e, feature.hours, now)).collect();
        self.told(feature, is_there, &rows)
    }

    fn visible<'a>(&self, feature: &Feature, now: i64, events: &[&'a Event]) -> Vec<&'a Event> {
        let shift = self.shift.map_or(0, |(by, arrivals)| if arrivals || feature.delayed { by } else { 0 });
        let distinct = if feature.distinct { !self.duplicates_counted } else { self.duplicates_removed };
        let seen = |e: &Event| {
            let known = if self.late_visible || self.leak_by_event { e.ts } else { e.arrived } + shift;
            let in_time = if self.label_time_excluded { known < now } else { known <= now + self.leak };
            let kept = self.late_limit.is_none_or(|limit| e.arrived - e.ts <= limit)
                && self.first.is_none_or(|first| e.ts >= first);
            in_time && kept && !(distinct && e.again)
        };
        events.iter().copied().filter(|e| seen(e)).collect()
    }

    fn in_window(&self, event: &Event, hours: Option<i64>, now: i64) -> bool {
        let Some(hours) = hours else { return true };
        let ts = event.ts + self.shift.map_or(0, |(by, _)| by);
        let mut start = now - hours * HOUR;
        if let Some((of, length)) = self.length
            && of == hours
        {
            start = match length {
                Length::Of(length) => now - length,
                Length::CalendarDay => return ts >= now.div_euclid(DAY) * DAY,
            };
        }
        if let Some(tile) = self.tile {
            let start = start.div_euclid(tile) * tile;
            return if self.tile_open { ts > start } else { ts >= start };
        }
        if self.start_inclusive { ts >= start } else { ts > start }
    }

    fn told(&self, feature: &Feature, is_there: bool, rows: &[&Event]) -> Value {
        if !is_there {
            let zero = (feature.zero || self.missing_as_zero) && !self.missing_as_null;
            let text = matches!(feature.of, Of::LastKind | Of::NewestKind);
            return if zero && !text { Value::Number(0.0) } else { Value::Null };
        }
        let amounts: Vec<f64> = rows.iter().filter_map(|e| e.amount).collect();
        let sum = (!amounts.is_empty()).then(|| amounts.iter().sum::<f64>());
        let last = rows.iter().max_by_key(|e| (e.ts, e.id));
        let newest = rows.iter().max_by_key(|e| (e.arrived, e.id));
        let number = match feature.of {
            Of::LastKind => return last.map_or(Value::Null, |e| Value::Text(e.kind)),
            Of::NewestKind => return newest.map_or(Value::Null, |e| Value::Text(e.kind)),
            Of::NewestAmount => newest.and_then(|e| e.amount),
            Of::CountWithin(qty) => Some(rows.iter().filter(|e| e.qty == qty).count() as f64),
            Of::ShareWithin(least) => {
                let share = amounts.iter().filter(|a| **a >= least as f64).count() as f64;
                (!amounts.is_empty()).then(|| share / amounts.len() as f64)
            }
            Of::Count => Some(rows.len() as f64),
            Of::SumQty => (!rows.is_empty()).then(|| rows.iter().map(|e| e.qty as f64).sum()),
            Of::SumAmount => sum,
            Of::AvgAmount => sum.map(|s| s / amounts.len() as f64),
            Of::MaxAmount => amounts.iter().copied().reduce(f64::max),
            Of::LastAmount => last.and_then(|e| e.amount),
        };
        match number {
            None if self.nulls_as_zero => Value::Number(0.0),
            None => Value::Null,
            Some(number) => Value::Number(self.written(number)),
        }
    }

    fn written(&self, mut number: f64) -> f64 {
        if let Some(factor) = self.factor {
            number *= factor;
        }
        if let Some(digits) = self.digits {
            let scale = 10f64.powi(digits);
            let whole = match self.rounding {
                Rounding::Nearest => (number * scale).round(),
                Rounding::Down => (number * scale).floor(),
                Rounding::Up => (number * scale).ceil(),
            };
            number = whole / scale;
        }
        if self.float32 { f64::from(number as f32) } else { number }
    }
}
