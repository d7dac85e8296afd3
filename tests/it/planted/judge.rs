//! Whether what was found is what was planted.

use std::fmt::Write as _;
use std::sync::Mutex;

use serde_json::Value as Json;

use super::Store;
use super::cases::Planted;
use super::legacy::{Length, Meaning, Rounding, Value};
use super::world::{DAY, HOUR, MINUTE, SECOND};

/// Fewer differing rows than this can show nothing.
const ENOUGH: usize = 12;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Judgement {
    /// Nothing, or too little, differs, and nothing is named.
    Silent,
    /// The planted cause is first, and its parameters give the legacy values.
    Found,
    /// Another, not more complicated cause is first, which gives the same values.
    Equivalent(String),
    /// Nothing is named.
    Missed { mismatched: usize },
    /// What is named does not give the values.
    Wrong(String),
    /// Something is named where nothing can be.
    FalseAlarm(String),
}

/// `values`: the right ones and the snapshot's; `entry`: the feature in the report.
pub(super) fn judge(
    store: &dyn Store,
    planted: &Planted,
    feature: usize,
    values: (&[Value], &[Value]),
    entry: &Json,
) -> Judgement {
    let (right, legacy) = values;
    let differing: Vec<usize> = (0..right.len()).filter(|&i| !agrees(right[i], legacy[i])).collect();
    assert_eq!(entry["mismatched"], differing.len(), "{} {}", planted.snapshot, entry["feature"]);
    let causes = entry["causes"].as_array().unwrap();
    let Some(first) = causes.first() else {
        let nothing = planted.causes.is_empty() || differing.len() < ENOUGH;
        return if nothing { Judgement::Silent } else { Judgement::Missed { mismatched: differing.len() } };
    };
    let told =
        format!("{} {} explains {} breaks {}", first["cause"], first["parameters"], first["explains"], first["breaks"]);
    if planted.causes.is_empty() || differing.is_empty() {
        return Judgement::FalseAlarm(told);
    }
    let (names, meanings) = meanings_of(first, store.features()[feature].hours);
    let given = |meaning: &Meaning| {
        let found = store.values(meaning, &store.features()[feature]);
        differing.iter().filter(|&&i| agrees(found[i], legacy[i])).count()
    };
    let given = meanings.iter().map(given).max().unwrap();
    // A pair may need but one of its causes in a feature.
    let alike = names.iter().all(|n| planted.causes.contains(&n.as_str()));
    let reproduces = given * 1000 >= differing.len() * 985;
    match (reproduces, alike) {
        (true, true) => Judgement::Found,
        (true, false) if names.len() <= planted.causes.len() => Judgement::Equivalent(told),
        _ => Judgement::Wrong(format!("{told}; gives {given} of {}", differing.len())),
    }
}

fn agrees(a: Value, b: Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        (a, b) => a == b,
    }
}

/// The cause's names, and the stores that have them: what a name leaves open is tried either way.
fn meanings_of(cause: &Json, hours: Option<i64>) -> (Vec<String>, Vec<Meaning>) {
    let mut meaning = Meaning::default();
    let parameters = &cause["parameters"];
    let names: Vec<String> = match &cause["cause"] {
        Json::String(name) => {
            set(&mut meaning, name, parameters, hours);
            vec![name.clone()]
        }
        both => {
            let names: Vec<String> = both.as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_string()).collect();
            names.iter().for_each(|name| set(&mut meaning, name, &parameters[name], hours));
            names
        }
    };
    let meanings = match meaning.shift {
        Some((by, _)) => {
            [false, true].map(|arrivals| Meaning { shift: Some((by, arrivals)), ..meaning.clone() }).to_vec()
        }
        None => vec![meaning],
    };
    (names, meanings)
}

fn set(meaning: &mut Meaning, name: &str, parameters: &Json, hours: Option<i64>) {
    let text = |key: &str| parameters[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {parameters} of {name}"));
    let duration = |key: &str| micros(text(key));
    match name {
        "window_start_inclusive" => meaning.start_inclusive = true,
        "label_time_excluded" => meaning.label_time_excluded = true,
        "window_length" => {
            let length = match text("length") {
                "calendar day" => Length::CalendarDay,
                fixed => Length::Of(micros(fixed)),
            };
            meaning.length = Some((hours.unwrap_or_default(), length));
        }
        "tiled_window" => {
            meaning.tile = Some(duration("tile"));
            meaning.tile_open = parameters["start"] != "inclusive";
        }
        "timezone" => {
            // No zone is planted: one by name has to be wrong.
            let minutes = parameters["offset_minutes"].as_i64().unwrap_or(0);
            meaning.shift = Some((minutes * MINUTE, false));
        }
        "stale" => {
            meaning.stale = Some((duration("period"), duration("lag")));
            let at = parameters["at"].as_str().and_then(|at| at.split_once(':'));
            meaning.stale_at =
                at.map_or(0, |(h, m)| h.parse::<i64>().unwrap() * HOUR + m.parse::<i64>().unwrap() * MINUTE);
            meaning.loaded = parameters["window"] == "stays";
        }
        "future_leak" => {
            let horizon = if text("horizon") == "unbounded" { 1000 * DAY } else { duration("horizon") };
            match parameters["window"] == "moves" {
                true => meaning.ahead = horizon,
                false => meaning.leak = horizon,
            }
            meaning.leak_by_event = parameters["by"] == "event_time";
        }
        "late_events_visible" => meaning.late_visible = true,
        "late_events_dropped" => meaning.late_limit = Some(duration("limit")),
        "duplicates_counted" => meaning.duplicates_counted = true,
        "duplicates_removed" => meaning.duplicates_removed = true,
        "nulls_as_zero" => {
            meaning.nulls_as_zero = true;
            meaning.missing_as_zero |= parameters["missing"] != "stays";
        }
        "missing_as_zero" => meaning.missing_as_zero = true,
        "missing_as_null" => meaning.missing_as_null = true,
        "truncated_history" => {
            let first = chrono::DateTime::parse_from_rfc3339(text("first")).unwrap();
            meaning.first = Some(first.timestamp_micros());
        }
        "float32" => meaning.float32 = true,
        "rounded" => {
            meaning.digits = Some(i32::try_from(parameters["digits"].as_i64().unwrap()).unwrap());
            meaning.rounding = match parameters["mode"].as_str() {
                Some("down") => Rounding::Down,
                Some("up") => Rounding::Up,
                _ => Rounding::Nearest,
            };
        }
        "scaled" => meaning.factor = Some(parameters["factor"].as_f64().unwrap()),
        other => panic!("no cause is called `{other}`"),
    }
}

/// Microseconds of an ISO 8601 duration of days and smaller units.
fn micros(iso: &str) -> i64 {
    let (negative, text) = iso.strip_prefix('-').map_or((false, iso), |rest| (true, rest));
    let (days, time) = text.strip_prefix('P').unwrap().split_once('T').unwrap_or((text.strip_prefix('P').unwrap(), ""));
    let mut total = 0.0;
    for (part, units) in
        [(days, &[('W', 7 * DAY), ('D', DAY)][..]), (time, &[('H', HOUR), ('M', MINUTE), ('S', SECOND)])]
    {
        let mut digits = String::new();
        for c in part.chars() {
            match units.iter().find(|(unit, _)| *unit == c) {
                Some((_, unit)) => total += std::mem::take(&mut digits).parse::<f64>().unwrap() * *unit as f64,
                None => digits.push(c),
            }
        }
        assert!(digits.is_empty(), "{iso}");
    }
    let total = total.round() as i64;
    if negative { -total } else { total }
}

/// One row per plant: in how many features it shows, and how it was told there.
pub(super) fn table(judged: &[(Planted, Vec<(&'static str, Judgement)>)]) -> String {
    let mut table = String::from(
        "| planted | parameters | shows in | found first | as good | missed | wrong | false alarms |\n|---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for (planted, features) in judged {
        let count = |of: fn(&Judgement) -> bool| features.iter().filter(|(_, j)| of(j)).count();
        let name = if planted.causes.is_empty() { "none".to_string() } else { planted.causes.join(" + ") };
        writeln!(
            table,
            "| {name} | {} | {} | {} | {} | {} | {} | {} |",
            planted.parameters,
            features.len() - count(|j| matches!(j, Judgement::Silent | Judgement::FalseAlarm(_))),
            count(|j| *j == Judgement::Found),
            count(|j| matches!(j, Judgement::Equivalent(_))),
            count(|j| matches!(j, Judgement::Missed { .. })),
            count(|j| matches!(j, Judgement::Wrong(_))),
            count(|j| matches!(j, Judgement::FalseAlarm(_))),
        )
        .unwrap();
    }
    table
}

/// Everything that is not as it should be.
pub(super) fn defects(judged: &[(Planted, Vec<(&'static str, Judgement)>)]) -> Vec<String> {
    let bad = |j: &Judgement| !matches!(j, Judgement::Silent | Judgement::Found | Judgement::Equivalent(_));
    let all = judged.iter().flat_map(|(p, features)| features.iter().map(move |(f, j)| (p, f, j)));
    all.filter(|(_, _, j)| bad(j)).map(|(p, f, j)| format!("{} {f}: {j:?}", p.snapshot)).collect()
}

const END: &str = "<!-- end -->";
/// Two tests write into one file.
static WRITING: Mutex<()> = Mutex::new(());

/// Puts the table of `test` into docs/causes.md.
pub(super) fn write_table(table: &str, test: &str) {
    let begin = format!("<!-- made by `BACKCAST_PLANTED=all cargo test --test it {test}`: begin -->");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/causes.md");
    let _alone = WRITING.lock().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(&begin).expect("the place of the table");
    let (_, after) = rest.split_once(END).expect("the end of the table");
    std::fs::write(path, format!("{before}{begin}\n\n{table}\n{END}{after}")).unwrap();
}
