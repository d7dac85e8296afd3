//! One cell for people: the value and its sentence, the events that count, then those that do not, with why.

use anstyle::{AnsiColor, Style as Ansi};
use serde_json::{Map, Value};

use super::table::{Align, Table};
use super::terminal::{Style, wrap};
use super::text::{clean, counted, number, short_time, shorten, thousands, value};
use crate::trace::{Event, Trace, span};

/// Events of a kind that are shown unless all are asked for.
const MOST_SHOWN: usize = 20;
const LEAST_WHY: usize = 24;
const MOST_VALUES: usize = 36;

/// The text, with a newline at the end of each line. `all`: every event that the trace has.
pub fn trace_text(trace: &Trace, all: bool, style: Style) -> String {
    let style = Style { width: style.width.max(60), ..style };
    let mut lines = Vec::new();
    head(trace, style, &mut lines);
    let (counting, others): (Vec<&Event>, Vec<&Event>) = trace.events.iter().partition(|e| e.counts == Some(true));
    let title = format!("{} count", events(counting.len() as u64 + trace.omitted.counting));
    section(trace, &title, &counting, trace.omitted.counting, (all, style), &mut lines);
    let title = format!("{} within reach do not", events(others.len() as u64 + trace.omitted.not_counting));
    section(trace, &title, &others, trace.omitted.not_counting, (all, style), &mut lines);
    foot(trace, style, &mut lines);
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn events(count: u64) -> String {
    counted(count, "event", "events")
}

fn keys(keys: &Map<String, Value>) -> String {
    keys.iter().map(|(name, key)| format!("{}={}", clean(name), value(key))).collect::<Vec<_>>().join(", ")
}

fn head(trace: &Trace, style: Style, lines: &mut Vec<String>) {
    lines.push(style.bold(&style.fit(&format!("{} = {}", clean(&trace.feature), value(&trace.value)))));
    let whose = if trace.keys.is_empty() { String::new() } else { format!(" for {}", keys(&trace.keys)) };
    let mut sentence = format!("as of T = {}{whose} (engine {})", short_time(&trace.time), trace.engine);
    match trace.filled_by {
        Some("when_missing") => sentence += "; the view has no row, and `when_missing` says what that is",
        Some(default) => sentence += &format!("; the view's own value is NULL, and `{default}` says what that is"),
        None if !trace.found => sentence += "; the view has no row for these keys",
        None => {}
    }
    lines.extend(wrap(&sentence, style.width));
    for legacy in &trace.snapshots {
        let name = format!("{}.{}", clean(&legacy.snapshot), clean(&legacy.column));
        let (color, verdict) = match legacy.agrees {
            Some(true) => (AnsiColor::Green, "agrees".to_string()),
            Some(false) => match legacy.delta {
                Some(delta) => (AnsiColor::Red, format!("differs: replayed less legacy is {}", number(delta))),
                None => (AnsiColor::Red, "differs".to_string()),
            },
            None => (AnsiColor::Red, "can't be compared".to_string()),
        };
        let whose = if trace.snapshots.iter().filter(|s| s.snapshot == legacy.snapshot).count() > 1 {
            format!(" ({})", keys(&legacy.keys))
        } else {
            String::new()
        };
        let line = style.fit(&format!("legacy {name} = {}: {verdict}{whose}", value(&legacy.value)));
        lines.push(style.paint(color.on_default(), &line));
    }
    let labels = &trace.labels;
    if labels.rows == 0 {
        let why = if labels.rows_of_keys == 0 {
            "no label row has these keys: this cell is in no dataset".to_string()
        } else {
            let near: Vec<String> = labels.nearest.iter().map(|t| short_time(t)).collect();
            format!("no label row has these keys at this time; the nearest are at {}", near.join(", "))
        };
        lines.extend(wrap(&why, style.width).iter().map(|line| style.paint(AnsiColor::Yellow.on_default(), line)));
    } else if trace.snapshots.is_empty() {
        lines.push(style.dim("no snapshot has this feature at these keys and this time"));
    }
    for cause in &trace.causes {
        let parameters = if cause.parameters.is_empty() { String::new() } else { format!(" ({})", keys(&cause.parameters)) };
        let agrees = if cause.agrees_with.is_empty() {
            String::new()
        } else {
            format!(", as in {}", clean(&cause.agrees_with.join(", ")))
        };
        lines.push(style.fit(&format!("under {}{parameters}: {}{agrees}", clean(&cause.cause), value(&cause.value))));
    }
    let reaches = trace.sources.iter().map(|s| {
        let from = s.window_start.as_deref().map_or_else(|| "the beginning".to_string(), short_time);
        format!("{} from {from}", clean(&s.source))
    });
    let reaches: Vec<String> = reaches.collect();
    if !reaches.is_empty() {
        lines.extend(wrap(&format!("reads {}", reaches.join("; ")), style.width).iter().map(|line| style.dim(line)));
    }
    if !trace.attribution.exact {
        for note in &trace.attribution.notes {
            let text = clean(note);
            lines.extend(wrap(&text, style.width).iter().map(|line| style.paint(AnsiColor::Yellow.on_default(), line)));
        }
    }
}

fn section(
    trace: &Trace,
    title: &str,
    events: &[&Event],
    omitted: u64,
    (all, style): (bool, Style),
    lines: &mut Vec<String>,
) {
    lines.push(String::new());
    lines.push(style.bold(title));
    if events.is_empty() {
        return;
    }
    let shown = if all { events } else { &events[..events.len().min(MOST_SHOWN)] };
    let several = trace.sources.len() > 1;
    let counting = events.iter().all(|e| e.counts == Some(true));
    let mut header = vec![("  event time", Align::Left), ("from T", Align::Right)];
    if several {
        header.push(("source", Align::Left));
    }
    header.push(("values", Align::Left));
    if counting {
        header.push(("without it", Align::Right));
    } else {
        header.extend([("with it", Align::Right), ("why not", Align::Left)]);
    }
    let mut table = Table::new(&header);
    for event in shown {
        let time = event.time.as_deref().map_or_else(|| "NULL".to_string(), short_time);
        let mut row = vec![format!("  {time}"), event.from_t.map(from_t).unwrap_or_default()];
        if several {
            row.push(clean(&event.source));
        }
        row.push(shorten(&values(trace, event), MOST_VALUES));
        let other = if counting { &event.without } else { &event.with };
        row.push(other.as_ref().map(|v| shorten(&value(v), MOST_VALUES)).unwrap_or_default());
        if !counting {
            row.push(clean(&event.why));
        }
        table.push(row);
    }
    let value_column = if several { 3 } else { 2 };
    let last = header.len() - 1;
    if counting {
        table.squeeze(value_column, 8, style.width);
    } else {
        // What does not fit of a reason goes on below.
        table.squeeze(last, LEAST_WHY, style.width);
        table.squeeze(value_column, 8, style.width);
    }
    let room = style.width.saturating_sub(table.width_before(last));
    let whys: Vec<Vec<String>> = shown.iter().map(|e| wrap(&clean(&e.why), room.max(LEAST_WHY))).collect();
    let painted = table.lines(|row, column, text| {
        if row == 0 {
            return style.dim(&text);
        }
        match shown.get(row - 1).and_then(|e| e.counts) {
            Some(true) if column == 0 => style.paint(AnsiColor::Green.on_default(), &text),
            None if column == 0 => style.paint(AnsiColor::Yellow.on_default(), &text),
            _ if !counting && column == last => {
                whys[row - 1].first().cloned().unwrap_or_default()
            }
            _ => text,
        }
    });
    for (row, line) in painted.into_iter().enumerate() {
        lines.push(line);
        if let (false, Some(more)) = (counting, row.checked_sub(1).and_then(|row| whys.get(row))) {
            let indent = " ".repeat(table.width_before(last));
            lines.extend(more.iter().skip(1).map(|rest| format!("{indent}{rest}")));
        }
    }
    let rest = (events.len() - shown.len()) as u64 + omitted;
    if rest > 0 {
        lines.push(style.dim(&format!("  and {} more: --all shows them", thousands(rest))));
    }
}

/// `T - 3 h 12 min`.
fn from_t(ns: i64) -> String {
    match ns {
        0 => "T".to_string(),
        ns if ns < 0 => format!("T - {}", span(ns)),
        ns => format!("T + {}", span(ns)),
    }
}

/// What the event holds, without the keys that were asked for.
fn values(trace: &Trace, event: &Event) -> String {
    let asked = |name: &String, v: &Value| trace.keys.get(name).is_some_and(|key| value(key) == value(v));
    let own = event.values.iter().filter(|(name, v)| !asked(name, v)).chain(&event.id);
    own.map(|(name, v)| format!("{}={}", clean(name), value(v))).collect::<Vec<_>>().join(" ")
}

fn foot(trace: &Trace, style: Style, lines: &mut Vec<String>) {
    lines.push(String::new());
    let check = if trace.attribution.exact {
        "checked: the events that count give this value alone".to_string()
    } else {
        "not attributed: which events the value comes from is not known for certain".to_string()
    };
    lines.push(if trace.attribution.exact { style.dim(&check) } else { style.paint(Ansi::new().bold(), &check) });
    if trace.attribution.exact {
        for note in &trace.attribution.notes {
            lines.extend(wrap(&clean(note), style.width).iter().map(|line| style.dim(line)));
        }
    }
    if trace.omitted.unrelated > 0 {
        let rows = counted(trace.omitted.unrelated, "row", "rows");
        lines.push(style.dim(&format!("{rows} of sources that the key does not bind meet no row of it: not listed")));
    }
}
