//! Several views of one source: one scan of it, and the values of each alone.

use std::sync::Mutex;

use backcast::monitor::{Monitor, Silent};
use backcast::pipeline;
use backcast::replay::{Engine, ReplayOptions, replay};

use crate::support::{Project, Rng, dataset_of, first_difference, run, table};

const LABELS: &str = "keys = [\"user_id\"]\ntime = \"at\"";
const EVENTS: &str = "time = \"ts\"\nsince = \"beginning\"";

/// Views whose windows, columns and aggregates differ; of the last, users have two rows.
const VIEWS: &[(&str, &str)] = &[
    (
        "day",
        "SELECT user_id, count(*) AS n_day, sum(x) AS x_day FROM events WHERE ts > NOW() - INTERVAL '1 day' GROUP BY user_id",
    ),
    ("week", "SELECT user_id, max(y) AS y_week FROM events WHERE ts > NOW() - INTERVAL '7 days' GROUP BY user_id"),
    ("ever", "SELECT user_id, count(DISTINCT kind) AS kinds FROM events GROUP BY user_id"),
    ("last", "SELECT user_id, last_value(x ORDER BY ts) AS last_x FROM events GROUP BY user_id"),
    ("all", "SELECT count(*) AS everyone FROM events WHERE ts > NOW() - INTERVAL '2 hours' AND kind = 'a'"),
];

/// The stages that were told.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Monitor for Heard {
    fn begin(&self, stage: &str, _total: Option<u64>) {
        self.0.lock().unwrap().push(stage.to_string());
    }

    fn advance(&self, _steps: u64) {}

    fn end(&self) {}

    fn chunk(&self, _done: usize, _all: usize) {}

    fn note(&self, _message: &str) {}
}

fn project(rows: usize) -> Project {
    project_of(rows, EVENTS)
}

fn project_of(rows: usize, config: &str) -> Project {
    let mut rng = Rng::new(17);
    let mut text = "id:i64 user_id:i64 ts:us@UTC kind:str x:f64 y:i64\n".to_string();
    for number in 0..rows {
        // Now and then an id comes again, with other values, later or earlier.
        let id = if rng.one_in(20) {
            rng.range(0, 1 + i64::try_from(number).unwrap())
        } else {
            i64::try_from(number).unwrap()
        };
        // Times tie now and then: then a latest value needs columns that are not read at first.
        let (day, hour, minute) = (rng.range(1, 28), rng.range(0, 24), rng.range(0, 6) * 10);
        let kind = rng.pick(&["a", "b", "c", "-"]);
        text += &format!(
            "{id} {} 2025-03-{day:02}T{hour:02}:{minute:02} {kind} {} {}\n",
            rng.range(1, 30),
            f64::from(i32::try_from(rng.range(-9999, 9999)).unwrap()) / 10.0,
            rng.range(0, 100)
        );
    }
    let mut labels = "user_id:i64 at:us@UTC\n".to_string();
    for _ in 0..200 {
        labels += &format!("{} 2025-03-{:02}T{:02}:00\n", rng.range(1, 32), rng.range(2, 28), rng.range(0, 24));
    }
    let events = table(&text);
    let parts: Vec<_> = (0..4).map(|i| events.slice(i * rows / 4, rows / 4)).collect();
    let names = ["0.parquet", "1.parquet", "2.parquet", "3.parquet"];
    let files: Vec<_> = names.into_iter().zip(parts).collect();
    Project::new(LABELS, &table(&labels)).source_of_files("events", config, &files)
}

#[test]
fn views_that_share_a_scan_have_the_values_of_the_other_engines() {
    let project = VIEWS.iter().fold(project(4000), |project, (name, sql)| project.view(name, sql));
    let reference = project.by(Engine::Reference).unwrap();
    for engine in [Engine::Sweep, Engine::Auto, Engine::Rewrite] {
        assert_eq!(first_difference(&reference, &project.by(engine).unwrap()), None, "{engine:?}");
    }
}

#[test]
fn a_view_that_fails_beside_others_says_why_as_it_does_alone() {
    let twice = "SELECT user_id, x AS twice FROM (SELECT user_id, last_value(x ORDER BY ts) AS x FROM events GROUP BY user_id) CROSS JOIN (VALUES (1), (2)) AS v(i)";
    let project = project(400).view("day", VIEWS[0].1).view("ever", VIEWS[2].1).view("twice", twice);
    let error = project.by(Engine::Auto).unwrap_err().to_string();
    assert!(error.contains("`twice`") && error.contains("2 rows"), "{error}");
}

/// What a run knows of a log's ids, it knows before any view is replayed.
#[test]
fn views_over_a_log_with_ids_share_its_scan_too() {
    let events = format!("{EVENTS}\nid = [\"id\"]");
    let project = VIEWS.iter().fold(project_of(4000, &events), |project, (name, sql)| project.view(name, sql));
    let reference = project.by(Engine::Reference).unwrap();
    let without = VIEWS.iter().fold(self::project(4000), |project, (name, sql)| project.view(name, sql));
    assert!(first_difference(&reference, &without.by(Engine::Reference).unwrap()).is_some(), "no row is a redelivery");
    let config = project.load(&[]);
    let (swept, heard) = run(|| async move {
        let prepared = pipeline::prepare(config, &Silent).await.unwrap();
        let opened = &prepared.opened;
        let repeated = opened.project.inputs.logs[0].redelivered(&opened.session).await.unwrap();
        assert!(repeated > 50, "{repeated}");
        let heard = Heard::default();
        let options = ReplayOptions { engine: Engine::Sweep };
        let replayed = replay(&opened.project, &prepared.labels, &opened.session, options, &heard).await.unwrap();
        (dataset_of(&prepared, &replayed), heard.0.into_inner().unwrap())
    });
    assert_eq!(first_difference(&reference, &swept), None);
    // A view that has to be told apart by columns that are not read at first is replayed by itself after that.
    assert_eq!(heard[0], "replaying day, week, ever, last, all");
}
