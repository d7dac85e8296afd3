//! Data that is hard on a sweep: a hot key, times that tie, values that cancel or poison a sum. The same bits as the rewrite
//! and the reference, whatever the threads and batches.

use backcast::replay::Engine;

use super::operators::chosen;
use crate::support::{Project, Rng, first_difference, shown, table};

/// All of them are swept. `ts` is filled in.
const VIEWS: &[(&str, &str)] = &[
    (
        "sums",
        "SELECT user_id, count(*) AS n, sum(x) AS total, avg(x) AS mean, min(x) AS smallest, max(x) AS largest,
                sum(x) FILTER (WHERE ts > NOW() - INTERVAL '1 hour') AS total_1h,
                avg(x) FILTER (WHERE ts > NOW() - INTERVAL '6 hours') AS mean_6h,
                min(x) FILTER (WHERE ts >= NOW() - INTERVAL '6 hours') AS smallest_6h,
                max(x) FILTER (WHERE ts <= NOW() - INTERVAL '6 hours') AS largest_before,
                sum(i) FILTER (WHERE ts > NOW() - INTERVAL '1 hour') AS whole_1h
         FROM events WHERE ts > NOW() - INTERVAL '2 days' GROUP BY user_id",
    ),
    (
        "lifetime",
        "SELECT user_id, sum(x) AS ever, avg(i) AS mean_ever,
                count(*) FILTER (WHERE ts >= date_trunc('day', NOW())) AS today FROM events GROUP BY user_id",
    ),
    (
        "latest",
        "SELECT user_id, last_value(x ORDER BY ts) AS last_x, first_value(kind ORDER BY ts) AS first_kind,
                last_value(kind ORDER BY ts) IGNORE NULLS AS last_kind FROM events GROUP BY user_id",
    ),
    (
        "lists",
        "SELECT user_id, count(DISTINCT kind) AS kinds, array_agg(x ORDER BY ts) AS listed, stddev(i) AS spread,
                median(x) AS middle FROM events WHERE ts > NOW() - INTERVAL '12 hours' GROUP BY user_id",
    ),
    (
        "by_kind",
        "SELECT user_id, count(*) AS groups, max(n) AS most_of_a_kind, max(last_x) AS latest_of_kinds, sum(ever) AS of_kinds,
                array_agg(kind ORDER BY kind) AS listed_kinds
         FROM (SELECT user_id, kind, i % 3 AS rest, count(*) AS n, last_value(x ORDER BY ts) AS last_x, max(x) AS ever,
               count(DISTINCT i) FILTER (WHERE ts > NOW() - INTERVAL '1 hour') AS lately
               FROM events WHERE ts > NOW() - INTERVAL '1 day' GROUP BY user_id, kind, i % 3) GROUP BY user_id",
    ),
    (
        "kind_of_all",
        "SELECT count(*) AS kinds_of_all, sum(n) AS n_of_all FROM (SELECT kind, count(*) AS n FROM events
         WHERE ts > NOW() - INTERVAL '6 hours' GROUP BY kind)",
    ),
    (
        "everyone",
        "SELECT count(*) AS all_of_them, sum(x) AS grand_total FROM events WHERE ts > NOW() - INTERVAL '6 hours'",
    ),
];

/// What floats can do to a sum, beside common values.
const WILD: [&str; 10] = ["1e17", "-1e17", "NaN", "inf", "-inf", "-0.0", "1e308", "-1e308", "5e-324", "0.1"];

/// Half of all events are user 1's; there are 24 times of day, so most of them tie; some come late, some twice.
fn events() -> String {
    let mut rng = Rng::new(23);
    let mut text = "id:i64 user_id:i64 ts:us@UTC seen:us@UTC kind:str x:f64 i:i64\n".to_string();
    for id in 0..360 {
        let user = if rng.one_in(2) { 1 } else { rng.range(2, 9) };
        let (day, hour) = (rng.range(1, 4), rng.range(0, 8) * 3);
        let late = if rng.one_in(4) { rng.range(0, 20) } else { 0 };
        let x = match rng.below(12) {
            0 => rng.pick(&WILD).to_string(),
            1 => "-".to_string(),
            _ => format!("{}", rng.range(-9999, 9999) as f64 / 100.0),
        };
        let (kind, i) = (rng.pick(&["a", "b", "c", "-"]), rng.range(-50, 50));
        for copy in 0..1 + i64::from(rng.one_in(6)) {
            let seen = hour + late + copy;
            let (arrival_day, hour_of_it) = (day + seen / 24, seen % 24);
            text += &format!(
                "{id} {user} 2025-03-{day:02}T{hour:02}:00 2025-03-{arrival_day:02}T{hour_of_it:02}:00 {kind} {x} {i}\n"
            );
        }
    }
    text
}

/// A third of them user 1's, at times of events and between them; some rows are there twice.
fn labels() -> String {
    let mut rng = Rng::new(29);
    let mut text = "user_id:i64 at:us@UTC\n".to_string();
    for _ in 0..60 {
        let user = if rng.one_in(3) { 1 } else { rng.range(1, 10) };
        let row = format!("{user} 2025-03-0{}T{:02}:00\n", rng.range(1, 6), rng.range(0, 24));
        text += &row;
        if rng.one_in(8) {
            text += &row;
        }
    }
    text
}

fn project() -> Project {
    let source = "time = \"ts\"\navailable_at = \"seen\"\nid = [\"id\"]";
    let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &table(&labels()));
    let project = project.source("events", source, &table(&events()));
    VIEWS.iter().fold(project, |project, (name, sql)| project.view(name, sql))
}

#[track_caller]
fn assert_all_swept(project: &Project) {
    for (view, engine, reason) in chosen(project) {
        assert_eq!(engine, "sweep", "{view}: {reason}");
    }
}

#[test]
fn hard_data_has_the_same_bits_on_every_engine() {
    let project = project();
    assert_all_swept(&project);
    let reference = project.by(Engine::Reference).unwrap();
    for engine in [Engine::Rewrite, Engine::Sweep] {
        assert_eq!(first_difference(&reference, &project.by(engine).unwrap()), None, "{engine:?}");
    }
    // The data holds what it is meant to.
    let (total, mean) = (shown(&reference, "total").join(" "), shown(&reference, "total_1h").join(" "));
    for wanted in ["NaN", "inf", "NULL"] {
        assert!(total.contains(wanted) || mean.contains(wanted), "no {wanted} in {total} {mean}");
    }
}

#[test]
fn hard_data_is_swept_to_the_same_bits_by_any_threads_in_any_batches() {
    let project = project();
    assert_all_swept(&project);
    let expected = project.by(Engine::Rewrite).unwrap();
    let runs = [1, 2, 7, 8192].map(|batch_rows| (batch_rows, 2)).into_iter().chain((1..=8).map(|threads| (7, threads)));
    for (batch_rows, threads) in runs {
        let set = format!("run.threads={threads}");
        let got = project.with_batches_of(batch_rows, &[&set]);
        assert_eq!(first_difference(&expected, &got), None, "batches of {batch_rows}, {threads} threads");
    }
}

#[test]
fn what_left_a_window_leaves_no_trace_in_its_sums() {
    let events = table(
        "user_id:i64 ts:us@UTC         x:f64
         1           2025-03-01T00:00  1e17
         1           2025-03-01T01:00  0.1
         1           2025-03-01T02:00  -1e17
         1           2025-03-01T03:00  NaN
         1           2025-03-01T04:00  0.2
         1           2025-03-01T05:00  inf
         1           2025-03-01T07:00  0.1
         1           2025-03-01T08:00  0.2",
    );
    let labels = table(
        "user_id:i64 at:us@UTC
         1           2025-03-01T02:30
         1           2025-03-01T03:30
         1           2025-03-01T04:30
         1           2025-03-01T05:30
         1           2025-03-01T06:30
         1           2025-03-01T08:30",
    );
    let project =
        Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels).source("events", "time = \"ts\"", &events).view(
            "last_hours",
            "SELECT user_id, sum(x) FILTER (WHERE ts > NOW() - INTERVAL '3 hours') AS total_3h,
                    sum(x) FILTER (WHERE ts > NOW() - INTERVAL '90 minutes') AS total_90m,
                    avg(x) FILTER (WHERE ts > NOW() - INTERVAL '90 minutes') AS mean_90m FROM events GROUP BY user_id",
        );
    assert_all_swept(&project);
    let swept = project.by(Engine::Sweep).unwrap();
    assert_eq!(first_difference(&project.dataset(), &swept), None);
    // 1e17 + 0.1 - 1e17 is 0.1, added up exactly; one at a time it were 0. An event that is as old as its window is long is out.
    assert_eq!(shown(&swept, "total_3h"), ["0.1", "NaN", "NaN", "NaN", "inf", "0.30000000000000004"]);
    assert_eq!(shown(&swept, "total_90m"), ["-1e17", "NaN", "0.2", "inf", "NULL", "0.2"]);
    assert_eq!(shown(&swept, "mean_90m")[5], "0.2");
}
