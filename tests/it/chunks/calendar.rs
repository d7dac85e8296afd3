//! Windows of months over label times at a month's end, where calendars do not keep the order of times.

use crate::support::{Project, table};

/// 29 March 23:45 less a month is 28 February 23:45, and 30 March 0:00 less a month is 28 February 0:00: the later label sees more.
#[test]
fn a_window_of_months_is_the_same_in_every_chunk_at_a_months_end() {
    let labels =
        "user_id:i64 at:us@UTC\n1 2025-03-29T10:00\n1 2025-03-29T23:45\n1 2025-03-30T00:00\n1 2025-03-31T15:00\n";
    let events = "user_id:i64 ts:us@UTC\n1 2025-02-28T14:55\n1 2025-02-28T23:30\n1 2025-02-27T01:00\n";
    let sql = "SELECT user_id, count(*) AS n FROM events WHERE ts > NOW() - INTERVAL '1 month' GROUP BY user_id";
    let project = Project::new(super::LABELS, &table(labels))
        .source("events", "time = \"ts\"\nsince = \"beginning\"", &table(events))
        .view("window", sql);
    let values = |args: &[&str]| {
        project.backcast(&[&["replay", "--quiet", "--fresh"], args].concat()).exits_with(0);
        let part = std::fs::read_dir(project.path("out/dataset")).unwrap().next().unwrap().unwrap().path();
        let read = crate::support::read_parquet(&part);
        let n = datafusion::arrow::array::AsArray::as_primitive::<datafusion::arrow::datatypes::Int64Type>(
            read.column_by_name("n").unwrap(),
        );
        n.iter().collect::<Vec<_>>()
    };
    let expected = [Some(2), None, Some(2), Some(1)];
    for engine in ["auto", "rewrite", "reference"] {
        for chunk in ["run.chunk=auto", "run.chunk=1 day", "run.chunk=1 hour"] {
            assert_eq!(values(&["--engine", engine, "--set", chunk]), expected, "{engine}, {chunk}");
        }
    }
}
