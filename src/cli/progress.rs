//! Progress on a terminal's stderr: one bar per stage, with rows per second and the time that is left.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use crate::monitor::Monitor;

/// Shows stages as bars; silent where stderr is no terminal, or when asked to be.
#[derive(Debug)]
pub(super) struct Progress {
    bars: bool,
    notes: bool,
    current: Mutex<Option<ProgressBar>>,
    chunks: Mutex<Chunks>,
}

/// How far a run is that goes over chunks.
#[derive(Debug, Default)]
struct Chunks {
    /// Number, counted from 0, and how many there are.
    now: Option<(usize, usize)>,
    began: Option<Instant>,
    /// How long those before took.
    took: Vec<Duration>,
}

impl Chunks {
    fn next(&mut self, number: usize, all: usize) {
        let now = Instant::now();
        self.took.extend(self.began.map(|began| now - began).filter(|_| number > 0));
        (self.now, self.began) = (Some((number, all)), Some(now));
    }

    /// What stands before each stage; empty where there is one chunk alone.
    fn text(&self) -> String {
        let Some((number, all)) = self.now.filter(|(_, all)| *all > 1) else { return String::new() };
        // Chunks that were found kept took no time: they say nothing of those that are left.
        let longest = self.took.iter().max().copied().unwrap_or_default();
        let worked: Vec<&Duration> = self.took.iter().filter(|took| **took * 10 > longest).collect();
        let each = worked.iter().copied().sum::<Duration>() / u32::try_from(worked.len().max(1)).unwrap_or(1);
        let left = each * u32::try_from(all - number).unwrap_or(u32::MAX);
        match left.as_secs() {
            0 => format!("chunk {}/{all}: ", number + 1),
            seconds => format!(
                "chunk {}/{all}, {} left: ",
                number + 1,
                humantime::format_duration(Duration::from_secs(seconds))
            ),
        }
    }
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            bars: !quiet && std::io::stderr().is_terminal(),
            notes: !quiet,
            current: Mutex::new(None),
            chunks: Mutex::default(),
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Option<ProgressBar>) -> T) -> T {
        f(&mut self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Takes the bar off the screen, whatever the stage.
    pub(super) fn clear(&self) {
        if let Some(bar) = self.with(Option::take) {
            bar.finish_and_clear();
        }
    }
}

impl Monitor for Progress {
    fn begin(&self, stage: &str, total: Option<u64>) {
        tracing::info!(target: "backcast", stage, total, "begin");
        if !self.bars {
            return;
        }
        let (bar, template) = match total {
            Some(total) => {
                (ProgressBar::new(total), "{msg} [{bar:16}] {human_pos}/{human_len} rows, {per_sec}, {eta} left")
            }
            None => (ProgressBar::new_spinner(), "{msg} {spinner} {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let per_second = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
            };
            bar.set_style(style.with_key("per_sec", per_second).progress_chars("=> "));
        }
        let chunk = self.chunks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).text();
        bar.set_message(format!("{chunk}{stage}"));
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Some(old) = self.with(|current| current.replace(bar)) {
            old.finish_and_clear();
        }
    }

    fn advance(&self, steps: u64) {
        self.with(|current| {
            if let Some(bar) = current {
                bar.inc(steps);
            }
        });
    }

    fn end(&self) {
        self.clear();
    }

    fn chunk(&self, done: usize, all: usize) {
        self.chunks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next(done, all);
    }

    fn note(&self, message: &str) {
        tracing::info!(target: "backcast", message, "note");
        if !self.notes {
            return;
        }
        self.with(|current| match current {
            Some(bar) => bar.println(format!("note: {message}")),
            None => anstream::eprintln!("note: {message}"),
        });
    }
}
