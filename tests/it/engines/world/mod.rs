//! A random world: logs with ties, late arrivals, redelivery, NULLs and future events; a changelog; label rows on the edges.
//!
//! | table | columns |
//! | --- | --- |
//! | `events` | `event_id`, `user_id`, `shop`, `ts`, `seen`, `kind`, `amount` (f64), `qty` (i64), `price` (decimal), `flag`, `region` (a column, or Hive folders) |
//! | `clicks` | `user_id`, `ts`, `page`, `dwell` (i32), `tags` (list); no id, `ts` often naive local time |
//! | `profiles` | `user_id`, `updated`, `loaded`, `op`, `tier`, `score` (f64); a changelog |
//! | labels | `user_id`, `shop`, `at`, `y` |

mod tables;

use std::fmt::Write as _;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;

use self::tables::{Made, Times, clicks, events, labels, profiles};
use crate::support::{Project, Rng, rows_at};

/// Tables that a seed made, and that may be made smaller.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub labels: RecordBatch,
    labels_config: String,
    sources: Vec<Source>,
}

#[derive(Debug, Clone)]
struct Source {
    name: &'static str,
    config: String,
    /// By path below the source's folder.
    files: Vec<(String, RecordBatch)>,
}

impl World {
    /// The world of a seed. `portable`: with values that other databases hold too.
    pub(super) fn new(rng: &mut Rng, portable: bool) -> Self {
        let times = Times::new(rng, portable);
        let made =
            [("events", events(&times, rng)), ("clicks", clicks(&times, rng)), ("profiles", profiles(&times, rng))];
        let edges: Vec<i64> = made.iter().flat_map(|(_, m)| m.instants.iter().copied()).collect();
        let (labels, labels_config) = labels(&times, &edges, rng);
        let source = |(name, made): (&'static str, Made)| Source { name, config: made.config, files: made.files };
        Self { labels, labels_config, sources: made.into_iter().map(source).collect() }
    }

    /// A project without views.
    pub(super) fn project(&self) -> Project {
        let project = Project::new(&self.labels_config, &self.labels);
        self.sources.iter().fold(project, |project, source| {
            let files: Vec<(&str, RecordBatch)> =
                source.files.iter().map(|(p, rows)| (p.as_str(), rows.clone())).collect();
            project.source_of_files(source.name, &source.config, &files)
        })
    }

    pub(super) fn keep_labels(&mut self, rows: &[usize]) {
        self.labels = rows_at(&self.labels, rows);
    }

    /// Files of all sources.
    pub(super) fn files(&self) -> usize {
        self.sources.iter().map(|s| s.files.len()).sum()
    }

    fn file(&mut self, file: usize) -> &mut RecordBatch {
        let mut all = self.sources.iter_mut().flat_map(|s| s.files.iter_mut());
        &mut all.nth(file).expect("a file").1
    }

    pub(super) fn rows_of(&self, file: usize) -> usize {
        let mut all = self.sources.iter().flat_map(|s| s.files.iter());
        all.nth(file).expect("a file").1.num_rows()
    }

    pub(super) fn keep_rows(&mut self, file: usize, rows: &[usize]) {
        let batch = self.file(file);
        *batch = rows_at(batch, rows);
    }

    /// Rows of all tables.
    pub(super) fn rows(&self) -> usize {
        (0..self.files()).map(|file| self.rows_of(file)).sum::<usize>() + self.labels.num_rows()
    }

    /// The tables as text.
    pub(super) fn told(&self) -> String {
        let shown = |rows: &RecordBatch| pretty_format_batches(std::slice::from_ref(rows)).unwrap();
        let mut told = format!("labels\n{}\n", shown(&self.labels));
        for source in &self.sources {
            for (path, rows) in source.files.iter().filter(|(_, rows)| rows.num_rows() > 0) {
                writeln!(told, "{}/{path}\n{}", source.name, shown(rows)).unwrap();
            }
        }
        told
    }
}
