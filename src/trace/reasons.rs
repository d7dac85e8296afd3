//! Reasons as a word and as a sentence.

use crate::config::SourceKind;
use crate::source::Log;
use crate::source::time::rfc3339;
use crate::trace::attribute::Role;
use crate::trace::lineage::Why;
use crate::trace::rows::{SourceRows, Visibility, says_deleted};

/// Why an event counts or does not.
#[derive(Debug, Clone)]
pub(super) struct Reason {
    pub(super) word: &'static str,
    /// Without the condition.
    pub(super) brief: String,
    pub(super) condition: Option<String>,
    pub(super) off_ns: Option<i64>,
}

impl Reason {
    fn new(word: &'static str, why: impl Into<String>) -> Self {
        Self { word, brief: why.into(), condition: None, off_ns: None }
    }

    fn under(mut self, condition: &str) -> Self {
        self.condition = Some(condition.to_string());
        self
    }

    pub(super) fn sentence(&self) -> String {
        match &self.condition {
            Some(condition) => format!("{}: {condition}", self.brief),
            None => self.brief.clone(),
        }
    }

    fn off(mut self, ns: i64) -> Self {
        self.off_ns = Some(ns);
        self
    }
}

/// A length of time in its two largest units: `3 h 12 min`, `2 ms`.
pub fn span(ns: i64) -> String {
    const UNITS: [(u64, &str); 7] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "µs"),
        (1, "ns"),
    ];
    let ns = ns.unsigned_abs();
    let Some(first) = UNITS.iter().position(|(unit, _)| ns >= *unit) else { return "0 s".to_string() };
    let (unit, name) = UNITS[first];
    let mut text = format!("{} {name}", ns / unit);
    if let Some((next, name)) = UNITS.get(first + 1)
        && ns % unit / next > 0
    {
        text += &format!(" {} {name}", ns % unit / next);
    }
    text
}

/// Why a row is not visible at `time`; `None`: it is.
pub(super) fn of_visibility(rows: &SourceRows, row: usize, log: &Log, time: i64) -> Option<Reason> {
    let event = rows.event(row);
    let arrived = log.config.available_at.as_deref().unwrap_or(&log.config.time);
    Some(match rows.visibility[row] {
        Visibility::Visible => return None,
        Visibility::NoTime => Reason::new("null_time", format!("`{}` is NULL: never visible", log.config.time)),
        Visibility::NoArrival => Reason::new("null_time", format!("`{arrived}` is NULL: never visible")),
        Visibility::NotArrived => {
            let (event, available) = (event.unwrap_or(time), rows.available(row).unwrap_or(time));
            if event > time {
                let off = event.saturating_sub(time);
                Reason::new("after_label_time", format!("after T by {}", span(off))).off(off)
            } else {
                let off = available.saturating_sub(time);
                let late = span(available.saturating_sub(event));
                let seen = rfc3339(available);
                let why = if log.config.available_at.is_some() {
                    format!("arrived {} after T, {late} after it happened: visible from {seen}", span(off))
                } else {
                    format!("known {late} after it happened, {} after T: visible from {seen}", span(off))
                };
                Reason::new("arrived_late", why).off(off)
            }
        }
        Visibility::Tied => {
            Reason::new("tie_excluded", "known at exactly T, which `tie = \"exclude\"` leaves out").off(0)
        }
        Visibility::Future => {
            let off = event.unwrap_or(time).saturating_sub(time);
            let why = format!("stamped {} after T, and `future_events = \"hidden\"`", span(off));
            Reason::new("future_hidden", why).off(off)
        }
        Visibility::Redelivered { first } => {
            let at = rows.available(first).map(rfc3339).unwrap_or_default();
            Reason::new("redelivery", format!("redelivery of {}, which first arrived at {at}", id_of(rows, row, log)))
        }
        Visibility::Superseded { by } => {
            let at = rows.event(by).map(rfc3339).unwrap_or_default();
            let deletes = if says_deleted(&rows.raw, by) { ", which deletes it" } else { "" };
            Reason::new("superseded", format!("superseded by the version of {at}{deletes}"))
        }
        Visibility::Deleted => {
            let reason = Reason::new("deleted", format!("the last version of {} deletes it", id_of(rows, row, log)));
            reason.under(log.config.deleted.as_deref().unwrap_or_default())
        }
    })
}

fn id_of(rows: &SourceRows, row: usize, log: &Log) -> String {
    let part = |id: &String| {
        let column = log.schema.index_of(id).ok().and_then(|i| rows.raw.columns[i].as_ref());
        let value = column.and_then(|c| datafusion::arrow::util::display::array_value_to_string(c, row).ok());
        format!("{id}={}", value.unwrap_or_default())
    };
    let parts: Vec<String> = log.config.id.iter().map(part).collect();
    let whole = parts.join(", ");
    if log.config.kind == SourceKind::Changelog || parts.len() == 1 { whole } else { format!("({whole})") }
}

/// What a visible row has to do with the value.
pub(super) fn of_role(role: &Role) -> Reason {
    match role {
        Role::Counts => Reason::new("counts", "counts"),
        Role::Exists(why) => {
            let also = why.as_ref().map(of_why);
            let brief = match &also {
                Some(also) => format!("makes the view's row exist, but not its value: {}", also.brief),
                None => "makes the view's row exist; the value is not made of it".to_string(),
            };
            let (condition, off_ns) = also.map_or((None, None), |also| (also.condition, also.off_ns));
            Reason { word: "exists_only", brief, condition, off_ns }
        }
        Role::Unused => Reason::new("unused", "goes into a row that the value does not come from"),
        Role::Unknown => Reason::new("unknown", "visible; what it has to do with the value could not be attributed"),
        Role::Dropped(why) => of_why(why),
    }
}

pub(super) fn of_why(why: &Why) -> Reason {
    match why {
        Why::OtherKey => Reason::new("other_key", "belongs to another key"),
        Why::Filtered { condition } => Reason::new("filtered", "filtered").under(condition),
        Why::Outside { condition, before, by_ns } => outside("", *before, *by_ns).under(condition).off(*by_ns),
        Why::NotInFilter { condition, outside: Some((before, by_ns)) } => {
            outside("FILTER's ", *before, *by_ns).under(condition).off(*by_ns)
        }
        Why::NotInFilter { condition, outside: None } => {
            Reason::new("not_in_filter", "not in the aggregate's FILTER").under(condition)
        }
        Why::NullArgument { argument } => Reason::new("null_argument", "what is aggregated is NULL").under(argument),
        Why::NotLatest { by, rank } => {
            let rank = rank.as_ref().map_or_else(String::new, |rank| format!(", this one is number {rank}"));
            Reason::new("not_chosen", format!("another row is chosen{rank}")).under(by)
        }
        Why::NoPartner { with, condition } => {
            Reason::new("no_partner", format!("no row of {} joins it", listed(with))).under(condition)
        }
        Why::TakenAway { by, condition } => {
            Reason::new("taken_away", format!("a row of {} takes it away", listed(by))).under(condition)
        }
        Why::TakesAway { of, condition } => {
            Reason::new("takes_away", format!("takes rows of {} away", listed(of))).under(condition)
        }
    }
}

fn outside(of: &str, before: bool, by_ns: i64) -> Reason {
    let word = if before { "before_window" } else { "after_window" };
    let brief = match (before, by_ns) {
        (true, 0) => format!("exactly at the {of}window's start, which is not in it"),
        (false, 0) => format!("exactly at the {of}window's end, which is not in it"),
        (true, by) => format!("{} before the {of}window", span(by)),
        (false, by) => format!("{} after the {of}window", span(by)),
    };
    Reason::new(word, brief)
}

fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    if names.is_empty() { "the other side".to_string() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_told_in_two_units() {
        let told = [0, 2_000_000, 4_000_000_000, 11_520_000_000_000, 183_600_000_000_000, 1_500, -3_000_000_000];
        assert_eq!(told.map(span), ["0 s", "2 ms", "4 s", "3 h 12 min", "2 d 3 h", "1 µs 500 ns", "3 s"]);
    }
}
