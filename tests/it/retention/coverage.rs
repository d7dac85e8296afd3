//! Each label row's coverage equals the one computed row by row from the definition.

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use std::sync::Arc;

use super::{ns, output, report};
use crate::support::{Project, Rng, shown, table};

const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;

fn micros(times: &[i64]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(times.iter().map(|t| t / 1000).collect::<Vec<_>>()).with_timezone("UTC"))
}

struct World {
    labels: Vec<(i64, i64)>,
    events: Vec<(i64, i64)>,
    gaps: Vec<(i64, i64)>,
    since: i64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let base = ns("2025-03-01T00:00:00Z");
        let quarter = |rng: &mut Rng, from: i64, to: i64| base + rng.range(from * 96, to * 96) * HOUR / 4;
        let mut labels: Vec<(i64, i64)> = (0..60).map(|_| (rng.range(0, 4), quarter(&mut rng, 0, 40))).collect();
        labels.sort_by_key(|(user, time)| (*time, *user));
        let events = (0..80).map(|_| (rng.range(0, 4), quarter(&mut rng, -5, 40))).collect();
        let gaps = (0..rng.below(4)).map(|_| {
            let from = quarter(&mut rng, 0, 40);
            (from, from + rng.range(1, 30) * HOUR / 2)
        });
        let gaps = gaps.collect();
        Self { labels, events, gaps, since: quarter(&mut rng, -4, 12) }
    }

    fn project(&self) -> Project {
        let column = |rows: &[(i64, i64)], pick: fn(&(i64, i64)) -> i64| rows.iter().map(pick).collect::<Vec<i64>>();
        let labels: [(&str, ArrayRef); 2] = [
            ("user_id", Arc::new(Int64Array::from(column(&self.labels, |r| r.0)))),
            ("at", micros(&column(&self.labels, |r| r.1))),
        ];
        let events: [(&str, ArrayRef); 3] = [
            ("user_id", Arc::new(Int64Array::from(column(&self.events, |r| r.0)))),
            ("ts", micros(&column(&self.events, |r| r.1))),
            ("amount", Arc::new(Float64Array::from(vec![1.0; self.events.len()]))),
        ];
        let shown = |t: i64| chrono::DateTime::from_timestamp_nanos(t).to_rfc3339();
        let gaps: Vec<String> =
            self.gaps.iter().map(|(a, b)| format!("[\"{}\", \"{}\"]", shown(*a), shown(*b))).collect();
        let source = format!("time = \"ts\"\nsince = \"{}\"\ngaps = [{}]", shown(self.since), gaps.join(", "));
        Project::new("keys = [\"user_id\"]\ntime = \"at\"", &RecordBatch::try_from_iter(labels).unwrap())
            .source("events", &source, &RecordBatch::try_from_iter(events).unwrap())
            .view_with(
                "v",
                "features.day = { when_missing = 0 }",
                "SELECT user_id, count(*) FILTER (WHERE ts > NOW() - INTERVAL '1 day') AS day, \
                 count(*) FILTER (WHERE ts > NOW() - INTERVAL '1 day') AS day_or_null, sum(amount) AS week \
                 FROM events WHERE ts > NOW() - INTERVAL '7 days' GROUP BY user_id",
            )
    }

    /// By the definition: a window of this length before T.
    fn window(&self, time: i64, length: i64) -> &'static str {
        let start = time - length;
        if start < self.since {
            "truncated"
        } else if self.gaps.iter().any(|(from, to)| *from <= time && *to > start) {
            "gap"
        } else {
            "exact"
        }
    }

    fn worst(a: &'static str, b: &'static str) -> &'static str {
        ["truncated", "gap", "exact"].into_iter().find(|w| *w == a || *w == b).unwrap()
    }
}

#[test]
fn provenance_says_of_each_cell_what_the_definition_says() {
    for seed in 0..8 {
        let world = World::new(seed);
        let project = world.project();
        project.backcast(&["replay"]).exits_with(0);
        let provenance = output(&project, "provenance");
        assert_eq!(provenance.num_rows(), world.labels.len());
        let columns = ["day", "day_or_null", "week"].map(|name| shown(&provenance, name));
        let users = shown(&provenance, "user_id");
        for (row, (user, time)) in world.labels.iter().enumerate() {
            assert_eq!(users[row], user.to_string(), "seed {seed}, row {row}");
            let there = world.events.iter().any(|(u, t)| u == user && *t <= *time && *t > time - 7 * DAY);
            let (day, week) = (world.window(*time, DAY), world.window(*time, 7 * DAY));
            let or_missing = |word: &'static str| if word == "exact" && !there { "missing" } else { word };
            // Where there is no row, only the week tells that there is none: but for what gives 0, or NULL, either way.
            let day_or_null = if there { day } else { World::worst(day, week) };
            let expected = [or_missing(day), or_missing(day_or_null), or_missing(week)];
            let own = [&columns[0][row], &columns[1][row], &columns[2][row]];
            assert_eq!(own, expected, "seed {seed}, row {row}: user {user} at {time}");
        }
    }
}

#[test]
fn totals_are_those_of_the_cells() {
    let world = World::new(3);
    let project = world.project().config("[snapshots.old]\nuri = \"labels.parquet\"");
    project.backcast(&["run"]).exits_with(0);
    let provenance = output(&project, "provenance");
    let report = report(&project);
    for feature in report["retention"]["features"].as_array().unwrap() {
        let name = feature["feature"].as_str().unwrap().trim_start_matches("v.");
        let cells = shown(&provenance, name);
        let count = |word: &str| cells.iter().filter(|c| *c == word).count();
        assert_eq!(feature["labels"], cells.len());
        assert_eq!(feature["covered"], count("exact") + count("missing"), "{name}");
        assert_eq!((&feature["truncated"], &feature["gap"]), (&count("truncated").into(), &count("gap").into()));
        assert_eq!(feature["missing"], count("missing"));
        let months = feature["by_month"].as_array().unwrap();
        assert_eq!(months.iter().map(|m| m["labels"].as_u64().unwrap()).sum::<u64>(), cells.len() as u64);
        let first = cells.iter().position(|c| c == "exact" || c == "missing").map(|row| world.labels[row].1);
        assert_eq!(feature["covered_from"].as_str().map(ns), first);
    }
    let lookbacks: Vec<&str> =
        report["retention"]["features"].as_array().unwrap().iter().map(|f| f["lookback"].as_str().unwrap()).collect();
    assert_eq!(lookbacks, ["P1D", "P1D", "P7D"]);
}

#[test]
fn a_month_is_a_month_of_the_calendar() {
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-28T00:00\n 1 2025-03-31T00:00\n 1 2025-04-01T00:00");
    let events = table("user_id:i64 ts:us@UTC\n 1 2025-02-28T00:00\n 1 2025-03-27T00:00");
    let project =
        Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels).source("events", "time = \"ts\"", &events).view(
            "v",
            "SELECT user_id, max(ts) AS month FROM events WHERE ts >= NOW() - INTERVAL '1 month' GROUP BY user_id",
        );
    project.backcast(&["replay"]).exits_with(0);
    // A month before both the 28th and the 31st of March is the 28th of February.
    assert_eq!(shown(&output(&project, "provenance"), "month"), ["exact", "exact", "exact"]);
    let project = project.view(
        "d",
        "SELECT user_id, min(ts) AS days FROM events WHERE ts >= NOW() - INTERVAL '31 days' GROUP BY user_id",
    );
    project.backcast(&["replay"]).exits_with(0);
    assert_eq!(shown(&output(&project, "provenance"), "days"), ["truncated", "exact", "exact"]);
}

#[test]
fn a_column_that_appears_late_is_a_gap_for_the_features_that_read_it() {
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00\n 1 2025-03-20T12:00");
    let early = table("user_id:i64 ts:us@UTC\n 1 2025-03-01T12:00\n 1 2025-03-09T12:00");
    let late = table("user_id:i64 ts:us@UTC amount:f64\n 1 2025-03-12T12:00 1\n 1 2025-03-19T12:00 2");
    let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source_of_files("events", "time = \"ts\"", &[("a.parquet", early), ("b.parquet", late)])
        .view(
            "v",
            "SELECT user_id, max(ts) AS latest, sum(amount) AS total FROM events WHERE ts > NOW() - INTERVAL '5 days' GROUP BY user_id",
        );
    project.backcast(&["replay"]).exits_with(0);
    let provenance = output(&project, "provenance");
    assert_eq!(shown(&provenance, "latest"), ["exact", "exact"]);
    assert_eq!(shown(&provenance, "total"), ["gap", "exact"]);
}
