//! The sample that every run compares with the reference: late label rows of long logs are in it, and what is wrong there is found.

use std::sync::Arc;
use std::time::Duration;

use backcast::config;
use backcast::monitor::Silent;
use backcast::pipeline::{self, Prepared};
use backcast::replay::{Engine, Replay, ReplayOptions, SelfCheck, replay, self_check};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::{concat, nullif};

use crate::support::{Project, Rng, run, table};

/// Two hundred days with fifty events each, and a label row every six hours, in the order of time.
fn project(config: &str) -> Project {
    let mut rng = Rng::new(41);
    let mut events = "id:i64 user_id:i64 ts:us@UTC x:f64\n".to_string();
    let day = |n: i64| format!("2025-{:02}-{:02}", 1 + n / 28, 1 + n % 28);
    for n in 0..200 {
        for at in 0..50 {
            let time = format!("{}T{:02}:{:02}", day(n), rng.range(0, 24), rng.range(0, 60));
            events += &format!("{} {} {time} {}\n", n * 50 + at, rng.range(1, 6), rng.range(0, 99));
        }
    }
    let mut labels = "user_id:i64 at:us@UTC\n".to_string();
    for n in 1..200 {
        for hour in [0, 6, 12, 18] {
            labels += &format!("{} {}T{hour:02}:00\n", rng.range(1, 7), day(n));
        }
    }
    let labels_config = "keys = [\"user_id\"]\ntime = \"at\"";
    Project::new(labels_config, &table(&labels)).source("events", config, &table(&events))
}

const RECENT: &str = "SELECT user_id, count(*) AS n, sum(x) AS total, max(x) AS largest FROM events
    WHERE ts > NOW() - INTERVAL '2 days' GROUP BY user_id";
const LATEST: &str = "SELECT user_id, last_value(x ORDER BY ts, x) AS last_x FROM events GROUP BY user_id";
const EVERYONE: &str = "SELECT user_id, count(*) AS n, sum(x) / (SELECT sum(x) FROM events) AS share FROM events
    WHERE ts > NOW() - INTERVAL '1 day' GROUP BY user_id";

/// What the check says of a replay whose first features are NULL from label row `from` on.
fn checked(project: &Project, from: Option<usize>, spent: Duration) -> (SelfCheck, usize) {
    let config = config::load(&project.path("backcast.toml"), &[]).unwrap().0;
    run(|| async move {
        let Prepared { opened, labels, .. } = pipeline::prepare(config, &Silent).await.unwrap();
        let options = ReplayOptions { engine: Engine::Auto };
        let mut replayed: Replay = replay(&opened.project, &labels, &opened.session, options, &Silent).await.unwrap();
        if let Some(from) = from {
            let column: &mut ArrayRef = &mut replayed.views[0].values.columns[0];
            let all = datafusion::arrow::array::BooleanArray::from(vec![true; column.len() - from]);
            let late = nullif(&column.slice(from, column.len() - from), &all).unwrap();
            *column = concat(&[column.slice(0, from).as_ref(), late.as_ref()]).unwrap();
        }
        let check = self_check(&opened.project, &labels, &replayed, &opened.session, spent, &Silent).await.unwrap();
        (check, Arc::clone(&replayed.features[0]).len())
    })
}

#[test]
fn what_is_wrong_in_the_last_label_rows_alone_is_found() {
    for view in [RECENT, LATEST, EVERYONE] {
        let project = project("time = \"ts\"").view("v", view);
        let (sound, rows) = checked(&project, None, Duration::from_secs(60));
        assert_eq!((sound.differences, sound.examples.len()), (0, 0), "{:?}", sound.examples);
        assert!(sound.rows >= 64, "{} rows", sound.rows);
        let (wrong, _) = checked(&project, Some(rows - 6), Duration::from_secs(60));
        assert!(wrong.differences >= 4, "{} of {} cells differ", wrong.differences, wrong.cells);
    }
}

#[test]
fn a_check_without_any_time_still_looks_at_some_rows() {
    for (source, view) in
        [("time = \"ts\"", RECENT), ("time = \"ts\"\nid = [\"id\"]", RECENT), ("time = \"ts\"", LATEST)]
    {
        let (check, _) = checked(&project(source).view("v", view), None, Duration::ZERO);
        assert!(check.rows >= 8 && check.rows < 100, "{} rows", check.rows);
        assert_eq!(check.differences, 0, "{:?}", check.examples);
    }
}

#[test]
fn a_log_with_ids_is_checked_as_a_whole() {
    let project = project("time = \"ts\"\nid = [\"id\"]").view("v", RECENT);
    let (sound, rows) = checked(&project, None, Duration::from_secs(60));
    assert_eq!(sound.differences, 0, "{:?}", sound.examples);
    assert!(checked(&project, Some(rows / 2), Duration::from_secs(60)).0.differences > 0);
}
