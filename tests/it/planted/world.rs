//! A log with all that legacy systems get wrong in it: events that arrive late, twice, on the edges of windows, or are NULL.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};

use crate::support::Rng;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// 2025-02-03, a Monday, midnight UTC.
pub(super) const START: i64 = 1_738_540_800 * SECOND;
/// Days of events; labels begin after 40 of them.
pub(super) const DAYS: i64 = 100;

/// Times are microseconds since 1970.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub id: i64,
    pub user: i64,
    pub ts: i64,
    pub arrived: i64,
    pub kind: &'static str,
    pub amount: Option<f64>,
    pub qty: i64,
    /// Whether an equal row with this id arrived before.
    pub again: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    pub user: i64,
    pub at: i64,
}

/// Sorted by nothing in particular.
pub(super) fn events(rng: &mut Rng, users: i64, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for id in 0..i64::try_from(count).unwrap() {
        // Half of all events belong to a quarter of the users.
        let user = if rng.one_in(2) { rng.range(0, users / 4) } else { rng.range(0, users) };
        // Quiet at night.
        let hour = loop {
            let hour = rng.range(0, 24);
            if (7..23).contains(&hour) || rng.one_in(6) {
                break hour;
            }
        };
        let ts = START + rng.range(0, DAYS) * DAY + hour * HOUR + rng.range(0, HOUR);
        let late = match rng.below(10) {
            0..=5 => rng.range(0, 5 * SECOND),
            6..=7 => rng.range(5 * SECOND, 10 * MINUTE),
            8 => rng.range(10 * MINUTE, 3 * HOUR),
            _ => rng.range(3 * HOUR, 30 * HOUR),
        };
        let cents = |rng: &mut Rng| rng.range(1, 40_000) as f64 / 100.0;
        let amount = if rng.one_in(8) { None } else { Some(cents(rng)) };
        let kind = rng.pick(&["view", "buy", "return"]);
        let event = Event { id, user, ts, arrived: ts + late, kind, amount, qty: rng.range(1, 9), again: false };
        if rng.one_in(12) {
            let arrived = event.arrived + rng.range(1, 20 * HOUR);
            events.push(Event { arrived, again: true, ..event.clone() });
        }
        events.push(event);
    }
    rng.shuffle(&mut events);
    events
}

/// A third at random; the others where an event arrives, or falls out of a window of one, seven or thirty days.
pub(super) fn labels(rng: &mut Rng, events: &[Event], users: i64, count: usize) -> Vec<Label> {
    let mut labels = Vec::new();
    let (first, last) = (START + 40 * DAY, START + (DAYS - 1) * DAY);
    while labels.len() < count {
        let event = &events[rng.below(events.len())];
        let label = match rng.below(9) {
            // A few users have no event at all.
            0..=2 => Label { user: rng.range(0, users + 3), at: rng.range(first, last) },
            3..=5 => Label { user: event.user, at: event.arrived },
            6 => Label { user: event.user, at: event.ts + DAY },
            7 => Label { user: event.user, at: event.ts + 7 * DAY },
            _ => Label { user: event.user, at: event.ts + 30 * DAY },
        };
        if (first..last).contains(&label.at) && !labels.iter().any(|l: &Label| (l.user, l.at) == (label.user, label.at))
        {
            labels.push(label);
        }
    }
    labels
}

pub(super) fn event_table(events: &[Event]) -> RecordBatch {
    let numbers = |of: fn(&Event) -> i64| Arc::new(Int64Array::from_iter_values(events.iter().map(of))) as ArrayRef;
    RecordBatch::try_from_iter(vec![
        ("event_id", numbers(|e| e.id)),
        ("user_id", numbers(|e| e.user)),
        ("ts", instants(events.iter().map(|e| e.ts))),
        ("arrived", instants(events.iter().map(|e| e.arrived))),
        ("kind", Arc::new(StringArray::from_iter_values(events.iter().map(|e| e.kind)))),
        ("amount", Arc::new(Float64Array::from_iter(events.iter().map(|e| e.amount)))),
        ("qty", numbers(|e| e.qty)),
    ])
    .unwrap()
}

pub(super) fn label_columns(labels: &[Label]) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("user_id", Arc::new(Int64Array::from_iter_values(labels.iter().map(|l| l.user)))),
        ("at", instants(labels.iter().map(|l| l.at))),
    ]
}

fn instants(of: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(of).with_timezone("UTC"))
}
