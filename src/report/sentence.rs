//! Causes in words: what the old system did, as the end of a sentence that begins with what it explains.
//!
//! A cause that this file does not know is told by its name, and parameters that a sentence has no place for follow in
//! brackets: nothing that was found is left out. All texts are clean.

use serde_json::{Map, Value};

use super::text::{clean, number, short_time, thousands, value};
use crate::diff::{Cause, CauseName, FeatureDiff};

/// A cause that leaves so little open, and breaks so little, is what the old system did: it is told by how far the feature then agrees.
const WHOLE: f64 = 0.95;
const CLEAN: f64 = 0.02;
/// A cause that breaks so much did not hold for all rows.
const SOME_ROWS: f64 = 0.1;

/// One cause of a feature as a sentence: "12 of 30 differences vanish once the window's start is inclusive." Of a cause that held for
/// some rows only: "Of the 12 rows that differ, all agree once values are those of the last refresh (every day); of the other rows it
/// does not hold: 96.02 % of them would then differ."
pub(super) fn cause_sentence(cause: &Cause, feature: &FeatureDiff) -> String {
    let all = feature.mismatched;
    let whole = cause.explains >= 1.0;
    if cause.breaks >= SOME_ROWS {
        // A refresh that failed for some, say.
        let agree = match cause.mismatches {
            _ if whole && all == 1 => "The 1 row that differs agrees".to_string(),
            _ if whole => format!("Of the {} rows that differ, all agree", thousands(all)),
            1 => format!("Of the {} rows that differ, 1 agrees", thousands(all)),
            some => format!("Of the {} rows that differ, {} agree", thousands(all), thousands(some)),
        };
        let others = share(cause.breaks);
        return format!(
            "{agree} once {}; of the other rows it does not hold: {others} of them would then differ.",
            cause_clause(cause)
        );
    }
    let verb = match cause.mismatches {
        _ if whole && all == 1 => "The difference vanishes".to_string(),
        _ if whole => format!("All {} differences vanish", thousands(all)),
        1 => format!("1 of {} differences vanishes", thousands(all)),
        some => format!("{} of {} differences vanish", thousands(some), thousands(all)),
    };
    let broken = match cause.breaks {
        none if none <= 0.0 => String::new(),
        some => format!(", but {} of those that agree would then differ", share(some)),
    };
    format!("{verb} once {}{broken}.", cause_clause(cause))
}

/// What a feature's main cause does: "Agrees on 99.2 % once the window's start is inclusive." where that is nearly all there is to it;
/// else how many of the differences it explains, and what it breaks.
pub(super) fn main_cause(feature: &FeatureDiff) -> Option<String> {
    let cause = feature.causes.first()?;
    if cause.explains < WHOLE || cause.breaks > CLEAN {
        return Some(cause_sentence(cause, feature));
    }
    let kept = (feature.compared - feature.mismatched) as f64 * (1.0 - cause.breaks);
    let agreeing = (kept + feature.mismatched as f64 * cause.explains) / feature.compared.max(1) as f64;
    Some(format!("Agrees on {} once {}.", share(agreeing), cause_clause(cause)))
}

/// What the old system did, after "once": "the window's start is inclusive". Of several causes, all of them.
pub(super) fn cause_clause(cause: &Cause) -> String {
    clause_of(&cause.cause, &cause.parameters)
}

/// As [`cause_clause`], of names and parameters.
pub(super) fn clause_of(cause: &CauseName, parameters: &Value) -> String {
    let own = |(name, own): (&str, &Value)| clause(name, own.as_object());
    let mut told: Vec<String> = cause.changes(parameters).into_iter().map(own).collect();
    let last = told.pop().unwrap_or_default();
    if told.is_empty() { last } else { format!("{}, and {last}", told.join(", ")) }
}

/// As [`cause_clause`], of a cause that shows what was not known at the label time, and says so.
pub fn leak_clause(cause: &Cause) -> String {
    let clause = cause_clause(cause);
    if clause.contains("(leakage)") { clause } else { format!("{clause} (leakage)") }
}

/// A leak's clause with how far ahead it looks, at most, unless it says so.
pub fn far_ahead(clause: &str, by: Option<i64>) -> String {
    match by {
        Some(by) if !clause.contains(&duration(&crate::cause::duration(by))) => {
            clause.replacen("(leakage)", &format!("(leakage, up to {} ahead)", at_most(by)), 1)
        }
        _ => clause.to_string(),
    }
}

/// A length of time in two units, rounded up; nanoseconds.
fn at_most(ns: i64) -> String {
    const UNITS: [(i64, &str); 4] = [
        (86_400_000_000_000, "day"),
        (3_600_000_000_000, "hour"),
        (60_000_000_000, "minute"),
        (1_000_000_000, "second"),
    ];
    // Up to two days in hours.
    let first = UNITS.iter().position(|(unit, name)| ns >= *unit * if *name == "day" { 2 } else { 1 });
    let Some((first, second)) = first.and_then(|at| Some((UNITS[at], UNITS.get(at + 1)?))) else {
        return duration(&crate::cause::duration(ns));
    };
    let parts = ns.div_euclid(second.0) + i64::from(ns % second.0 != 0);
    let each = first.0 / second.0;
    let told = [(parts / each, first.1), (parts % each, second.1)];
    let told = told.into_iter().filter(|(count, _)| *count > 0).map(|(count, unit)| plural(&count.to_string(), unit));
    told.collect::<Vec<_>>().join(" ")
}

/// A share of 0 to 1 in percent. Never rounded up to all, nor down to none.
pub(super) fn share(share: f64) -> String {
    if share >= 1.0 {
        return "100 %".to_string();
    }
    if share <= 0.0 {
        return "0 %".to_string();
    }
    // Binary fractions fall a little short of the decimal ones that are meant.
    match (share * 10_000.0 + 1e-6).floor().min(9_999.0) {
        0.0 => "<0.01 %".to_string(),
        hundredths => format!("{} %", number(hundredths / 100.0)),
    }
}

fn clause(name: &str, parameters: Option<&Map<String, Value>>) -> String {
    let mut given = Parameters { all: parameters, used: Vec::new() };
    let told = given.told(name).unwrap_or_else(|| {
        given.used.clear();
        format!("`{}` is assumed", clean(name))
    });
    match given.unused().as_slice() {
        [] => told,
        more => format!("{told} ({})", more.join(", ")),
    }
}

/// A cause's parameters, and which of them the sentence has told.
struct Parameters<'a> {
    all: Option<&'a Map<String, Value>>,
    used: Vec<&'static str>,
}

impl Parameters<'_> {
    /// The sentence's end; `None` for a cause, or parameters, of another kind.
    fn told(&mut self, name: &str) -> Option<String> {
        let plain = match name {
            "window_start_inclusive" => "the window's start is inclusive",
            "window_start_exclusive" => "the window's start is exclusive",
            "label_time_excluded" => "events at exactly the label time are left out",
            "label_time_included" => "events at exactly the label time count",
            "missing_as_zero" => "a missing row becomes 0",
            "missing_as_null" => "a missing row becomes NULL",
            "float32" => "the number is narrowed to 32 bits",
            _ => return self.measured(name),
        };
        Some(plain.to_string())
    }

    fn measured(&mut self, name: &str) -> Option<String> {
        Some(match name {
            "duplicates_counted" => format!("{} count each time", self.of_source("redelivered events")),
            "duplicates_removed" => format!("{} count only once", self.of_source("redelivered events")),
            "window_length" => match self.length("length").as_deref() {
                Some("unbounded") => "the window has no start".to_string(),
                Some(unit) if unit.starts_with("calendar ") => format!("the window is the {unit}"),
                Some(length) => format!("the window's length is {length}"),
                None => "the window has another length".to_string(),
            },
            "tiled_window" => {
                let tile = self.length("tile")?;
                let whole = if self.is("start", "inclusive") { ", whose first instant counts" } else { "" };
                format!("the window's start is rounded down to a tile of {tile}{whole}")
            }
            "timezone" => {
                let times = self.of_source("times");
                match (self.text("zone"), self.text("read_as")) {
                    (Some(zone), Some(read)) => format!("{times}, written in {zone}, are read as {read}"),
                    (Some(zone), None) => format!("{times} are read as those of {zone}"),
                    (None, _) => format!("{times} are shifted by {}", self.offset()?),
                }
            }
            "stale" => {
                let period = self.length("period")?;
                let every = period.strip_prefix("1 ").filter(|unit| !unit.contains(' ')).unwrap_or(&period);
                let every = self.text("at").map_or_else(|| every.to_string(), |at| format!("{every} at {at}"));
                let lag = self.length("lag").filter(|lag| !lag.starts_with("0 "));
                if self.is("window", "stays") {
                    return Some(format!("only events that the last load held count (every {every})"));
                }
                match lag.as_deref().map(|lag| lag.strip_prefix('-').ok_or(lag)) {
                    Some(Err(late)) => format!("values are those of the last refresh (every {every}, {late} late)"),
                    Some(Ok(ahead)) => {
                        format!("values are those of a refresh (every {every}) that saw {ahead} ahead (leakage)")
                    }
                    None => format!("values are those of the last refresh (every {every})"),
                }
            }
            "future_leak" => {
                let horizon = self.length("horizon").filter(|horizon| horizon != "unbounded");
                let ahead = horizon.map_or_else(|| "any time".to_string(), |horizon| format!("up to {horizon}"));
                let events = self.of_source("events");
                if self.is("by", "arrival") {
                    return Some(format!("{events} that had arrived count before they happen (leakage)"));
                }
                match (self.is("window", "moves"), self.is("by", "event_time")) {
                    (true, _) => format!(
                        "values are as of {} after the label time (leakage)",
                        ahead.trim_start_matches("up to ")
                    ),
                    (_, true) => {
                        format!("{events} that happened {ahead} after the label time count, arrived or not (leakage)")
                    }
                    _ => format!("{events} from {ahead} after the label time count (leakage)"),
                }
            }
            "nulls_as_zero" if self.is("missing", "stays") => {
                "NULL becomes 0 where the view has a row, a missing row stays NULL".to_string()
            }
            "nulls_as_zero" => "NULL becomes 0".to_string(),
            "late_events_visible" => {
                let events = self.of_source("events");
                format!("{events} count from when they happened, before they had arrived (leakage)")
            }
            "late_events_dropped" => {
                let events = self.of_source("events");
                format!("{events} that arrived more than {} late never count", self.length("limit")?)
            }
            "truncated_history" => {
                let events = self.of_source("events");
                format!("{events} before {} are gone", short_time(&self.text("first")?))
            }
            "rounded" => {
                let digits = match self.number("digits")? {
                    0.0 => "whole ones".to_string(),
                    1.0 => "1 digit after the point".to_string(),
                    digits if digits > 0.0 => format!("{} digits after the point", number(digits)),
                    digits => format!("multiples of {}", number(10f64.powf(-digits))),
                };
                let modes = [("down", " down"), ("up", " up"), ("toward_zero", " toward zero")];
                let mode = modes.iter().find(|(mode, _)| self.is("mode", mode)).map_or("", |(_, told)| told);
                format!("the number is rounded{mode} to {digits}")
            }
            "scaled" => format!("the number is multiplied by {}", self.factor()?),
            _ => return None,
        })
    }

    fn take(&mut self, name: &'static str) -> Option<&Value> {
        let value = self.all?.get(name).filter(|value| !value.is_null())?;
        self.used.push(name);
        Some(value)
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        self.take(name).map(value)
    }

    /// Whether a parameter is this; only then the sentence tells it.
    fn is(&mut self, name: &'static str, told: &str) -> bool {
        let is = self.all.and_then(|all| all.get(name)).is_some_and(|value| value == told);
        if is {
            self.used.push(name);
        }
        is
    }

    /// `times of `flights``; of all sources where none is named.
    fn of_source(&mut self, what: &str) -> String {
        self.text("source").map_or_else(|| what.to_string(), |source| format!("{what} of `{source}`"))
    }

    fn number(&mut self, name: &'static str) -> Option<f64> {
        self.take(name)?.as_f64()
    }

    fn length(&mut self, name: &'static str) -> Option<String> {
        self.take(name).map(|told| told.as_str().map_or_else(|| value(told), duration))
    }

    /// A factor as it was found, to the last digit.
    fn factor(&mut self) -> Option<String> {
        self.take("factor").map(value)
    }

    /// `-300` as `-5 hours`.
    fn offset(&mut self) -> Option<String> {
        let minutes = self.number("offset_minutes")?;
        let sign = if minutes < 0.0 { "-" } else { "+" };
        let (count, unit) = match minutes.abs() {
            hours if hours % 60.0 == 0.0 => (hours / 60.0, "hour"),
            minutes => (minutes, "minute"),
        };
        Some(format!("{sign}{}", plural(&number(count), unit)))
    }

    fn unused(&self) -> Vec<String> {
        let all = self.all.into_iter().flatten();
        let unused = all.filter(|(name, value)| !self.used.contains(&name.as_str()) && !value.is_null());
        unused.map(|(name, told)| format!("{}: {}", clean(name), value(told))).collect()
    }
}

fn plural(count: &str, unit: &str) -> String {
    format!("{count} {unit}{}", if count == "1" { "" } else { "s" })
}

/// An ISO 8601 duration in words: `P30D` as "30 days", `PT1H30M` as "1 hour 30 minutes". Other texts stay.
pub(super) fn duration(iso: &str) -> String {
    parts(iso).unwrap_or_else(|| clean(iso))
}

fn parts(iso: &str) -> Option<String> {
    let (sign, rest) = iso.strip_prefix('-').map_or(("", iso), |rest| ("-", rest));
    let rest = rest.strip_prefix('P')?;
    let (mut told, mut digits, mut of_day) = (Vec::new(), String::new(), false);
    for char in rest.chars() {
        let unit = match char {
            '0'..='9' | '.' => {
                digits.push(char);
                continue;
            }
            'T' if digits.is_empty() && !of_day => {
                of_day = true;
                continue;
            }
            'Y' if !of_day => "year",
            'M' if !of_day => "month",
            'W' if !of_day => "week",
            'D' if !of_day => "day",
            'H' if of_day => "hour",
            'M' if of_day => "minute",
            'S' if of_day => "second",
            _ => return None,
        };
        digits.parse::<f64>().ok()?;
        told.push(plural(&std::mem::take(&mut digits), unit));
    }
    (digits.is_empty() && !told.is_empty()).then(|| format!("{sign}{}", told.join(" ")))
}

#[cfg(test)]
#[path = "sentence_tests.rs"]
mod tests;
