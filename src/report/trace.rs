//! One cell for people: the value and its sentence, the events that count, then those that do not, with why.

use anstyle::{AnsiColor, Style as Ansi};
use serde_json::{Map, Value};

use super::sentence::clause_of;
use super::table::{Align, Table};
use super::terminal::{Style, wrap};
use super::text::{clean, counted, number, short_time, shorten, thousands, value};
use crate::trace::{Event, Trace, WhatIf, span};

/// Events of a kind that are shown unless all are asked for.
const MOST_SHOWN: usize = 20;
/// Where there are more of all reasons: of each.
const MOST_OF_A_REASON: usize = 5;
const LEAST_WHY: usize = 34;
const LEAST_VALUES: usize = 12;
const MOST_VALUES: usize = 44;
/// Reasons stand beside their events where so much of an event's values is left, ...
const ENOUGH_VALUES: usize = 24;
/// ... and so far in below them elsewhere.
const BELOW: usize = 8;

/// The text, with a newline at the end of each line. `all`: every event that the trace has.
pub fn trace_text(trace: &Trace, all: bool, style: Style) -> String {
    let style = Style { width: style.width.max(60), ..style };
    let mut lines = Vec::new();
    head(trace, style, &mut lines);
    let (counting, others): (Vec<&Event>, Vec<&Event>) = trace.events.iter().partition(|e| e.counts == Some(true));
    let total = counting.len() as u64 + trace.omitted.counting;
    let verb = if total == 1 { "counts" } else { "count" };
    lines.push(String::new());
    lines.push(style.bold(&format!("{} {verb}", events(total))));
    let most = if all { usize::MAX } else { MOST_SHOWN };
    lines.extend(table(trace, &counting[..counting.len().min(most)], style));
    rest(counting.len().saturating_sub(most) as u64 + trace.omitted.counting, style, &mut lines);
    let total = others.len() as u64 + trace.omitted.not_counting;
    let verb = if total == 1 { "does" } else { "do" };
    lines.push(String::new());
    lines.push(style.bold(&format!("{} within reach {verb} not", events(total))));
    let most = if all || others.len() <= MOST_SHOWN { usize::MAX } else { MOST_OF_A_REASON };
    for group in grouped(&others) {
        let condition = condition_of(group[0]).map_or_else(String::new, |c| format!(": {}", clean(c)));
        let title = format!("{}{condition} ({})", title(group[0].reason), thousands(group.len() as u64));
        lines.extend(wrap(&title, style.width - 2).into_iter().map(|line| format!("  {}", style.dim(&line))));
        lines.extend(table(trace, &group[..group.len().min(most)], style));
        rest(group.len().saturating_sub(most) as u64, style, &mut lines);
    }
    if trace.omitted.not_counting > 0 {
        let omitted = thousands(trace.omitted.not_counting);
        lines.push(
            style.dim(&format!("  and {omitted} more, each further off than those of its reason: --all shows them")),
        );
    }
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
    what_if(trace, style, lines);
    let reaches = trace.sources.iter().map(|s| {
        let from = s.window_start.as_deref().map_or_else(|| "the beginning".to_string(), short_time);
        format!("{} from {from}", clean(&s.source))
    });
    let reaches: Vec<String> = reaches.collect();
    if !reaches.is_empty() {
        lines.extend(wrap(&format!("reads {}", reaches.join("; ")), style.width).iter().map(|line| style.dim(line)));
    }
    for source in trace.sources.iter().filter(|source| !source.covered) {
        let name = clean(&source.source);
        let told = match (&source.gap, &source.complete_from) {
            (Some([from, to]), _) => format!(
                "not covered: {name} lacks events from {} to {}, and some of them may have counted",
                short_time(from),
                short_time(to)
            ),
            (None, Some(from)) => format!(
                "not covered: {name} is complete from {} on, and events before it may have counted",
                short_time(from)
            ),
            (None, None) => format!("not covered: {name} holds no event"),
        };
        lines.extend(wrap(&told, style.width).iter().map(|line| style.paint(AnsiColor::Yellow.on_default(), line)));
    }
    if !trace.attribution.exact {
        for note in &trace.attribution.notes {
            let text = clean(note);
            lines.extend(wrap(&text, style.width).iter().map(|line| style.paint(AnsiColor::Yellow.on_default(), line)));
        }
    }
}

/// Other meanings that are told: of those that give a legacy value, and of the others.
const MOST_GIVING: usize = 8;
const MOST_OTHER: usize = 6;

/// What the value would be under the meanings that a legacy system may have had: the simplest of each kind and value.
fn what_if(trace: &Trace, style: Style, lines: &mut Vec<String>) {
    if trace.causes.is_empty() {
        if trace.snapshots.iter().any(|s| s.agrees == Some(false)) {
            lines.push(style.dim("no other meaning that applies to the view gives another value here"));
        }
        return;
    }
    let mut kinds: Vec<(&WhatIf, usize)> = Vec::new();
    for other in &trace.causes {
        match kinds.iter_mut().find(|(kind, _)| (&kind.cause, &kind.value) == (&other.cause, &other.value)) {
            Some((_, alike)) => *alike += 1,
            None => kinds.push((other, 0)),
        }
    }
    let (giving, others): (Vec<_>, Vec<_>) = kinds.into_iter().partition(|(kind, _)| !kind.gives.is_empty());
    let mut tell = |heading: &str, told: &[(&WhatIf, usize)], most: usize| {
        if told.is_empty() {
            return;
        }
        lines.extend(wrap(heading, style.width).into_iter().map(|line| style.bold(&line)));
        for (other, alike) in told.iter().take(most) {
            let more = match alike {
                0 => String::new(),
                1 => " (and so with 1 other parameter)".to_string(),
                many => format!(" (and so with {many} other parameters)"),
            };
            let found = if other.named { " (as the last run found)" } else { "" };
            let clause = clause_of(&other.cause, &other.parameters);
            let text = format!("{} once {clause}{found}{more}", value(&other.value));
            let wrapped = wrap(&text, style.width - 4);
            lines.extend(
                wrapped
                    .into_iter()
                    .enumerate()
                    .map(|(at, line)| format!("{}{line}", if at == 0 { "  " } else { "    " })),
            );
        }
        if told.len() > most {
            lines.push(style.dim(&format!("  and {} more: --format json lists them", told.len() - most)));
        }
    };
    tell("what would give a legacy value", &giving, MOST_GIVING);
    let heading = if giving.is_empty() {
        "no single other meaning gives a legacy value; it would be"
    } else {
        "otherwise it would be"
    };
    tell(heading, &others, MOST_OTHER);
    if !giving.is_empty() {
        lines.push(style.dim("one cell shows what may be the cause; `diff` tells what holds for the feature"));
    }
}

/// Events of one reason and condition together, the nearest first; reasons in a fixed order.
fn grouped<'a>(others: &[&'a Event]) -> Vec<Vec<&'a Event>> {
    let place = |event: &Event| REASONS.iter().position(|(word, _)| *word == event.reason).unwrap_or(REASONS.len());
    let mut sorted = others.to_vec();
    sorted.sort_by(|a, b| {
        let key = |e: &'a Event| (place(e), condition_of(e));
        let off = |e: &Event| e.off_seconds.map_or(0.0, f64::abs);
        key(a).cmp(&key(b)).then(off(a).total_cmp(&off(b)))
    });
    sorted.chunk_by(|a, b| a.reason == b.reason && condition_of(a) == condition_of(b)).map(<[&Event]>::to_vec).collect()
}

/// Reasons that the SQL has no part in; a condition that such an event would fail besides stands with the event.
const UNSEEN: [&str; 8] = [
    "arrived_late",
    "tie_excluded",
    "future_hidden",
    "redelivery",
    "superseded",
    "deleted",
    "null_time",
    "after_label_time",
];

/// The condition for which an event does not count.
fn condition_of(event: &Event) -> Option<&str> {
    event.condition.as_deref().filter(|_| !UNSEEN.contains(&event.reason))
}

/// Reasons as they are headed, in the order in which they are told.
const REASONS: [(&str, &str); 21] = [
    ("arrived_late", "arrived after T"),
    ("tie_excluded", "known at exactly T"),
    ("future_hidden", "stamped after T, and hidden"),
    ("redelivery", "redelivered"),
    ("superseded", "superseded by another version"),
    ("deleted", "deleted"),
    ("null_time", "without a time"),
    ("not_chosen", "another row is chosen"),
    ("null_argument", "NULL"),
    ("not_in_filter", "not in the aggregate's FILTER"),
    ("filtered", "filtered"),
    ("before_window", "before the window"),
    ("after_window", "after the window"),
    ("no_partner", "no partner"),
    ("taken_away", "taken away"),
    ("takes_away", "takes others away"),
    ("exists_only", "only makes the row exist"),
    ("unused", "in another row"),
    ("other_key", "of another key"),
    ("unknown", "visible, not attributed"),
    ("after_label_time", "after T"),
];

fn title(word: &'static str) -> &'static str {
    REASONS.iter().find(|(own, _)| *own == word).map_or(word, |(_, title)| title)
}

fn rest(count: u64, style: Style, lines: &mut Vec<String>) {
    if count > 0 {
        lines.push(style.dim(&format!("    and {} more: --all shows them", thousands(count))));
    }
}

/// The header and a line for each event; what does not fit of a reason goes on below.
fn table(trace: &Trace, events: &[&Event], style: Style) -> Vec<String> {
    if events.is_empty() {
        return Vec::new();
    }
    let several = trace.sources.len() > 1;
    let counting = events.iter().all(|e| e.counts == Some(true));
    let mut header = vec![("    event time", Align::Left), ("from T", Align::Right)];
    if several {
        header.push(("source", Align::Left));
    }
    header.push(("values", Align::Left));
    let replayed = |event: &Event| if counting { event.without.clone() } else { event.with.clone() };
    let shown = events.iter().any(|e| replayed(e).is_some());
    if shown {
        header.push((if counting { "without it" } else { "with it" }, Align::Right));
    }
    let whys: Vec<String> = events.iter().map(|e| if counting { String::new() } else { why(e) }).collect();
    let told = whys.iter().any(|why| !why.is_empty());
    let plain = header.len();
    let rows = |told: bool| -> Table {
        let mut header = header.clone();
        if told {
            header.push(("why not", Align::Left));
        }
        let mut table = Table::new(&header);
        for (event, why) in events.iter().zip(&whys) {
            let time = event.time.as_deref().map_or_else(|| "NULL".to_string(), short_time);
            let mut row = vec![format!("    {time}"), event.from_t.map(from_t).unwrap_or_default()];
            if several {
                row.push(clean(&event.source));
            }
            row.push(shorten(&values(trace, event), MOST_VALUES));
            if shown {
                row.push(replayed(event).map(|v| shorten(&value(&v), MOST_VALUES)).unwrap_or_default());
            }
            if told {
                row.push(why.clone());
            }
            table.push(row);
        }
        table
    };
    let at = if several { 3 } else { 2 };
    let mut table = rows(told);
    table.squeeze(plain, LEAST_WHY, style.width);
    table.squeeze(at, ENOUGH_VALUES, style.width);
    // Where there is no room for the reason beside the event it stands below it.
    let beside = told && table.width() <= style.width;
    if told && !beside {
        table = rows(false);
    }
    table.squeeze(at, LEAST_VALUES, style.width);
    if shown {
        table.squeeze(at + 1, LEAST_VALUES, style.width);
    }
    let (before, room) = if beside {
        let before = table.width_before(plain);
        (before, style.width.saturating_sub(before).max(LEAST_WHY))
    } else {
        (BELOW, style.width.saturating_sub(BELOW))
    };
    let whys: Vec<Vec<String>> = whys.iter().map(|why| wrap(why, room)).collect();
    let painted = table.lines(|row, column, text| match row.checked_sub(1).and_then(|row| events.get(row)) {
        None => style.dim(&text),
        Some(event) if column == 0 => match event.counts {
            Some(true) => style.paint(AnsiColor::Green.on_default(), &text),
            Some(false) => text,
            None => style.paint(AnsiColor::Yellow.on_default(), &text),
        },
        Some(_) if column == plain => whys[row - 1].first().cloned().unwrap_or_default(),
        Some(_) => text,
    });
    let mut lines = Vec::new();
    for (row, line) in painted.into_iter().enumerate() {
        lines.push(line);
        if let Some(more) = row.checked_sub(1).and_then(|row| whys.get(row)) {
            let more = more.iter().filter(|line| !line.is_empty()).skip(usize::from(beside));
            lines.extend(more.map(|rest| format!("{}{rest}", " ".repeat(before))));
        }
    }
    lines
}

/// What the reason's title and the event's time do not say already.
fn why(event: &Event) -> String {
    let brief = match &event.condition {
        Some(condition) if UNSEEN.contains(&event.reason) => clean(&format!("{}: {condition}", event.brief)),
        _ => clean(&event.brief),
    };
    if event.reason == "exists_only" {
        return brief.strip_prefix("makes the view's row exist, but not its value: ").unwrap_or(&brief).to_string();
    }
    if event.reason == "not_chosen" {
        return brief
            .strip_prefix("another row is chosen")
            .map_or(brief.clone(), |b| b.trim_start_matches(", ").to_string());
    }
    if !matches!(
        event.reason,
        "filtered"
            | "not_in_filter"
            | "null_argument"
            | "no_partner"
            | "taken_away"
            | "takes_away"
            | "after_label_time"
    ) {
        return brief;
    }
    brief.split_once("; also ").map_or_else(String::new, |(_, also)| format!("also {also}"))
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
