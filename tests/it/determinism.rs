//! Rule 8: values, order and bytes of the dataset depend on the input's rows alone.

use datafusion::arrow::array::RecordBatch;

use crate::support::{Project, Rng, first_difference, rows_at, table, write_parquet};

/// One of each kind of view; several of them leave ties, or sum floats in whatever order rows come.
const VIEWS: &[(&str, &str)] = &[
    (
        "sums",
        "SELECT user_id, sum(x) AS total, avg(x) AS mean, stddev(x) AS spread, median(x) AS middle, sum(DISTINCT x) AS once
         FROM events WHERE ts > NOW() - INTERVAL '3 days' GROUP BY user_id",
    ),
    (
        "ties",
        "SELECT user_id, first_value(kind ORDER BY ts) AS first_kind, last_value(x ORDER BY ts) AS last_x,
                array_agg(kind ORDER BY ts) AS kinds FROM events GROUP BY user_id",
    ),
    (
        "newest",
        "SELECT user_id, kind AS newest_kind, running FROM (
           SELECT user_id, kind, row_number() OVER (PARTITION BY user_id ORDER BY ts DESC) AS r,
                  sum(x) OVER (PARTITION BY user_id ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS running
           FROM events) WHERE r = 1",
    ),
    ("few", "SELECT user_id, count(*) AS among_few FROM (SELECT * FROM events ORDER BY ts DESC LIMIT 7) GROUP BY user_id"),
    (
        "joined",
        "SELECT e.user_id, sum(e.x * u.rate) AS weighted, max(u.tier) AS tier FROM events e LEFT JOIN users u
         ON u.user_id = e.user_id GROUP BY e.user_id",
    ),
    ("everyone", "SELECT sum(x) AS grand_total, count(DISTINCT user_id) AS users FROM events WHERE ts > NOW() - INTERVAL '1 day'"),
];

fn events() -> RecordBatch {
    let mut rng = Rng::new(7);
    let mut text = "id:i64 user_id:i64 ts:us@UTC seen:us@UTC kind:str x:f64\n".to_string();
    for i in 0..240 {
        let (day, hour, late) = (rng.range(1, 9), rng.range(0, 4), rng.range(0, 20));
        let id = if rng.one_in(5) { rng.range(0, 200).to_string() } else { i.to_string() };
        let kind = rng.pick(&["a", "b", "c", "-"]);
        let x = match rng.below(9) {
            0 => "1e17".to_string(),
            1 => "-1e17".to_string(),
            2 => "-".to_string(),
            _ => format!("{}", f64::from(i32::try_from(rng.range(-9999, 9999)).unwrap()) / 10.0),
        };
        let user = rng.range(1, 9);
        text += &format!("{id} {user} 2025-03-0{day}T0{hour}:00 2025-03-0{day}T{:02}:00 {kind} {x}\n", 4 + late % 20);
    }
    table(&text)
}

fn labels() -> RecordBatch {
    let mut rng = Rng::new(11);
    let mut text = "user_id:i64 at:us@UTC y:i64\n".to_string();
    for i in 0..60 {
        text += &format!("{} 2025-03-0{}T{:02}:00 {}\n", rng.range(1, 10), rng.range(2, 10), rng.range(0, 8), i % 7);
    }
    table(&text)
}

fn users() -> RecordBatch {
    table(
        "user_id:i64 ts:us@UTC         rate:f64 tier:str
         1           2025-03-01T00:00  0.1      a
         1           2025-03-04T00:00  0.3      b
         2           2025-03-02T00:00  1e-9     a
         3           2025-03-02T00:00  3        -
         4           2025-03-05T00:00  1e9      c",
    )
}

fn with_views(mut project: Project) -> Project {
    project = project.source("users", "kind = \"changelog\"\ntime = \"ts\"\nid = [\"user_id\"]", &users());
    for (name, sql) in VIEWS {
        project = project.view(name, sql);
    }
    project
}

const LABELS: &str = "keys = [\"user_id\"]\ntime = \"at\"";
const EVENTS: &str = "time = \"ts\"\navailable_at = \"seen\"\nid = [\"id\"]";

fn project() -> Project {
    with_views(Project::new(LABELS, &labels()).source("events", EVENTS, &events()))
}

/// The dataset's files, which are named by their bytes, and those bytes; nothing that an earlier run left is used.
fn written(project: &Project, args: &[&str]) -> Vec<(String, Vec<u8>)> {
    project.backcast(&[&["replay", "--quiet", "--fresh"], args].concat()).exits_with(0);
    let dataset = project.outputs().into_iter().filter(|p| p.starts_with("dataset/"));
    dataset.map(|p| (p.clone(), std::fs::read(project.path(&format!("out/{p}"))).unwrap())).collect()
}

#[track_caller]
fn assert_same(a: &[(String, Vec<u8>)], b: &[(String, Vec<u8>)]) {
    assert!(!a.is_empty());
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(a), names(b));
    assert!(a == b, "files of one name have other bytes");
}

#[test]
fn more_threads_give_the_same_bytes() {
    let project = project();
    let one = written(&project, &["--threads", "1"]);
    assert_same(&one, &written(&project, &["--threads", "2"]));
    assert_same(&one, &written(&project, &["--threads", "8"]));
}

#[test]
fn little_memory_gives_the_same_bytes() {
    let project = project();
    assert_same(&written(&project, &[]), &written(&project, &["--memory", "24MiB"]));
}

#[test]
fn chunks_of_any_length_give_the_same_bytes() {
    let project = project();
    let whole = written(&project, &[]);
    for length in ["5 hours", "1 day", "3 days"] {
        let set = format!("run.chunk={length}");
        assert_same(&whole, &written(&project, &["--set", &set]));
    }
}

#[test]
fn another_engine_gives_the_same_bytes() {
    let project = project();
    assert_same(&written(&project, &["--engine", "rewrite"]), &written(&project, &["--engine", "reference"]));
}

#[test]
fn a_second_run_gives_the_same_files() {
    let project = project();
    let first = written(&project, &[]);
    assert_same(&first, &written(&project, &[]));
}

#[test]
fn batches_of_any_size_give_the_same_values_and_give_back_their_memory() {
    let project = project();
    let set = ["run.memory=\"256 MiB\"", "run.threads=2"];
    let expected = project.with_batches_of(8192, &set);
    assert_eq!(expected.num_rows(), 60);
    for batch_rows in [1, 2, 7] {
        let got = project.with_batches_of(batch_rows, &set);
        assert_eq!(first_difference(&expected, &got), None, "batches of {batch_rows}");
    }
}

#[test]
fn shuffled_events_in_other_files_give_the_same_bytes() {
    let events = events();
    let mut rng = Rng::new(3);
    let mut order: Vec<usize> = (0..events.num_rows()).collect();
    rng.shuffle(&mut order);
    let parts: Vec<(String, RecordBatch)> = order
        .chunks(67)
        .enumerate()
        .map(|(i, rows)| (format!("{}/x.parquet", 9 - i), rows_at(&events, rows)))
        .collect();
    let files: Vec<(&str, RecordBatch)> = parts.iter().map(|(name, rows)| (name.as_str(), rows.clone())).collect();
    let split = with_views(Project::new(LABELS, &labels()).source_of_files("events", EVENTS, &files));
    assert_same(&written(&project(), &[]), &written(&split, &[]));
}

#[test]
fn order_and_files_of_label_rows_change_nothing() {
    let labels = labels();
    let mut order: Vec<usize> = (0..labels.num_rows()).collect();
    Rng::new(5).shuffle(&mut order);
    let project = project();
    let before = written(&project, &[]);
    std::fs::remove_file(project.path("labels.parquet")).unwrap();
    write_parquet(&project.path("labels.parquet/b.parquet"), &rows_at(&labels, &order[..13]));
    write_parquet(&project.path("labels.parquet/a.parquet"), &rows_at(&labels, &order[13..]));
    assert_same(&before, &written(&project, &[]));
}
