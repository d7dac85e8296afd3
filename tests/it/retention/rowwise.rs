//! Coverage, label row by label row, on random logs and configurations: held against a plain evaluation of the definition, with its own
//! calendar.

use std::sync::Arc;

use chrono::{DateTime, Months, Utc};
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};

use super::{ns, output};
use crate::support::{Project, Rng, shown};

const MINUTE: i64 = 60_000_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
const SEEDS: u64 = 12;
/// Seeds from here on have a log in which most events of some hours are missing.
const THIN_SEEDS: std::ops::Range<u64> = SEEDS..SEEDS + 4;
const HOUR: i64 = 60 * MINUTE;

/// Column, SQL of its window's start, and whether it reads the column that came late.
const FEATURES: [(&str, &str, bool); 5] = [
    ("day", "NOW() - INTERVAL '1 day'", false),
    ("late_week", "NOW() - INTERVAL '7 days'", true),
    ("month", "NOW() - INTERVAL '1 month'", false),
    ("today", "date_trunc('day', NOW())", false),
    ("late_last_month", "date_trunc('month', NOW()) - INTERVAL '1 month'", true),
];

fn utc(time: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(time)
}

/// The start of a feature's window (inclusive), by the calendar.
fn start(feature: &str, time: i64) -> i64 {
    let at = utc(time);
    let month_before =
        |at: DateTime<Utc>| at.checked_sub_months(Months::new(1)).unwrap().timestamp_nanos_opt().unwrap();
    match feature {
        "day" => time - DAY,
        "late_week" => time - 7 * DAY,
        "month" => month_before(at),
        "today" => time.div_euclid(DAY) * DAY,
        _ => month_before(format!("{}-01T00:00:00Z", at.format("%Y-%m")).parse().unwrap()),
    }
}

struct World {
    labels: Vec<i64>,
    /// By file; the first `old` files lack `amount`.
    files: Vec<Vec<i64>>,
    old: usize,
    declared: Vec<(i64, i64)>,
    /// `None`: the first event; `Some(i64::MIN)`: the beginning.
    since: Option<i64>,
    max_silence: Option<i64>,
    delay: i64,
    /// Where most events were lost, with `thin = "gap"`.
    thin: Option<(i64, i64)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0xC0FE);
        let base = ns("2025-01-20T00:00:00Z");
        let mut labels: Vec<i64> = (0..80).map(|_| base + rng.range(0, 60 * 24 * 12) * 5 * MINUTE).collect();
        labels.sort_unstable();
        let thin = THIN_SEEDS.contains(&seed).then(|| {
            let from = base + rng.range(8 * 24, 50 * 24) * HOUR + rng.range(0, 60) * MINUTE;
            (from, from + rng.range(8 * 60, 70 * 60) * MINUTE)
        });
        // Stretches with an event every hour or so, and pauses; or an event every other minute but for those that were lost.
        let (mut events, mut at) = (Vec::new(), base - rng.range(0, 40) * DAY);
        while at < base + 65 * DAY {
            match thin {
                Some((from, to)) if (from..to).contains(&at) && !rng.one_in(10) => {}
                _ => events.push(at),
            }
            at += match thin {
                Some(_) => rng.range(1, 5) * MINUTE,
                None if rng.one_in(60) => rng.range(60, 60 * 30) * MINUTE,
                None => rng.range(1, 120) * MINUTE,
            };
        }
        let many = 1 + rng.below(5);
        let files: Vec<Vec<i64>> = events.chunks(events.len().div_ceil(many)).map(<[i64]>::to_vec).collect();
        let declared = (0..rng.below(4)).map(|_| {
            let from = base + rng.range(-20 * 24, 60 * 24) * 60 * MINUTE;
            (from, from + rng.range(1, 40) * 15 * MINUTE)
        });
        let declared = declared.collect();
        let since = match rng.below(4) {
            0 => Some(i64::MIN),
            1 => None,
            _ => Some(base + rng.range(-40 * 24, 30 * 24) * 60 * MINUTE),
        };
        Self {
            labels,
            old: rng.below(files.len()),
            files,
            declared,
            since,
            max_silence: rng.one_in(2).then(|| rng.range(3, 20) * 60 * MINUTE),
            delay: rng.choose(&[0, 0, 3 * 60 * MINUTE]),
            thin,
        }
    }

    fn project(&self) -> Project {
        let micros = |times: &[i64]| -> ArrayRef {
            Arc::new(
                TimestampMicrosecondArray::from(times.iter().map(|t| t / 1000).collect::<Vec<_>>())
                    .with_timezone("UTC"),
            )
        };
        let users = |rows: usize| -> ArrayRef { Arc::new(Int64Array::from(vec![1; rows])) };
        let labels = [("user_id", users(self.labels.len())), ("at", micros(&self.labels))];
        let files = self.files.iter().enumerate().map(|(i, times)| {
            let mut columns = vec![("user_id", users(times.len())), ("ts", micros(times))];
            if i >= self.old {
                columns.push(("amount", Arc::new(Float64Array::from(vec![1.0; times.len()]))));
            }
            (format!("{i}.parquet"), RecordBatch::try_from_iter(columns).unwrap())
        });
        let files: Vec<(String, RecordBatch)> = files.collect();
        let files: Vec<(&str, RecordBatch)> = files.iter().map(|(name, rows)| (name.as_str(), rows.clone())).collect();
        let mut source = format!("time = \"ts\"\ndelay = \"{} minutes\"\n", self.delay / MINUTE);
        match self.since {
            Some(i64::MIN) => source.push_str("since = \"beginning\"\n"),
            Some(at) => source.push_str(&format!("since = \"{}\"\n", utc(at).to_rfc3339())),
            None => {}
        }
        if let Some(longest) = self.max_silence {
            source.push_str(&format!("max_silence = \"{} minutes\"\n", longest / MINUTE));
        }
        if self.thin.is_some() {
            source.push_str("thin = \"gap\"\n");
        }
        let shown = |(a, b): &(i64, i64)| format!("[\"{}\", \"{}\"]", utc(*a).to_rfc3339(), utc(*b).to_rfc3339());
        source.push_str(&format!("gaps = [{}]", self.declared.iter().map(shown).collect::<Vec<_>>().join(", ")));
        let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &RecordBatch::try_from_iter(labels).unwrap())
            .source_of_files("events", &source, &files);
        FEATURES.iter().fold(project, |project, (name, start, late)| {
            let value = if *late { "sum(amount)" } else { "max(ts)" };
            let sql = format!("SELECT user_id, {value} AS {name} FROM events WHERE ts >= {start} GROUP BY user_id");
            project.view(&format!("v_{name}"), &sql)
        })
    }

    /// The thin stretches that were found: the one that there is, with about its bounds.
    fn found(&self, report: &serde_json::Value) -> Vec<(i64, i64)> {
        let gaps = report["retention"]["sources"][0]["gaps"].as_array().unwrap().iter();
        let thin = gaps.filter(|gap| gap["kind"] == "thin");
        let found: Vec<(i64, i64)> =
            thin.map(|gap| (ns(gap["from"].as_str().unwrap()), ns(gap["to"].as_str().unwrap()))).collect();
        assert_eq!(found.len(), usize::from(self.thin.is_some()), "{found:?}");
        for ((from, to), (lost_from, lost_to)) in found.iter().zip(self.thin) {
            assert!((from - lost_from).abs() <= HOUR && (to - lost_to).abs() <= HOUR, "{found:?}, {:?}", self.thin);
        }
        found
    }

    /// What the definition says of a cell: events from `start` on, up to what is seen at `time`.
    fn word(&self, events: &[i64], thin: &[(i64, i64)], start: i64, time: i64, late: bool) -> &'static str {
        let since = self.since.unwrap_or(events[0]);
        if start < since {
            return "truncated";
        }
        let seen = time - self.delay;
        let meets = |from: i64, to: i64| from <= seen && to > start;
        let mut gap = self.declared.iter().chain(thin).any(|(from, to)| meets(*from, *to));
        if late {
            gap |= self.files[..self.old].iter().any(|file| meets(file[0], file[file.len() - 1] + 1));
        }
        if let Some(longest) = self.max_silence {
            // After one event and before the next there is none.
            gap |= events.windows(2).any(|pair| pair[1] - pair[0] > longest && meets(pair[0] + 1, pair[1]));
            let (last, until) = (events[events.len() - 1], self.labels[self.labels.len() - 1]);
            gap |= until - last > longest && meets(last + 1, until + 1);
        }
        if gap { "gap" } else { "exact" }
    }
}

#[test]
fn coverage_is_what_the_definition_says_row_by_row() {
    let mut words = std::collections::BTreeMap::<String, usize>::new();
    let mut met_thin = 0;
    for seed in 0..THIN_SEEDS.end {
        let world = World::new(seed);
        let project = world.project();
        let report = project.backcast(&["replay", "--format", "json"]).exits_with(0).json();
        let (events, thin) = (world.files.concat(), world.found(&report));
        let provenance = output(&project, "provenance");
        for (name, _, late) in FEATURES {
            let cells = shown(&provenance, name);
            assert_eq!(cells.len(), world.labels.len());
            for (cell, time) in cells.iter().zip(&world.labels) {
                let expected = world.word(&events, &thin, start(name, *time), *time, late);
                met_thin += usize::from(expected != world.word(&events, &[], start(name, *time), *time, late));
                // Whether the view has a row says nothing of whether that is certain.
                let cell = if cell == "missing" { "exact" } else { cell.as_str() };
                assert_eq!(cell, expected, "seed {seed}: `{name}` at {}", utc(*time));
                *words.entry(cell.to_string()).or_default() += 1;
            }
        }
    }
    assert!(met_thin > 50, "{met_thin}");
    assert!(words.len() == 3 && words.values().all(|count| *count > 100), "{words:?}");
}
