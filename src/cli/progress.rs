//! Progress on a terminal's stderr: one bar per stage, with rows per second and the time that is left.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use crate::monitor::Monitor;

/// Shows stages as bars; silent where stderr is no terminal, or when asked to be.
#[derive(Debug)]
pub(super) struct Progress {
    bars: bool,
    notes: bool,
    current: Mutex<Option<ProgressBar>>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        Self { bars: !quiet && std::io::stderr().is_terminal(), notes: !quiet, current: Mutex::new(None) }
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
        if !self.bars {
            return;
        }
        let (bar, template) = match total {
            Some(total) => {
                (ProgressBar::new(total), "{msg:30!} [{bar:16}] {human_pos}/{human_len} rows, {per_sec}, {eta} left")
            }
            None => (ProgressBar::new_spinner(), "{msg:30!} {spinner} {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let per_second = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
            };
            bar.set_style(style.with_key("per_sec", per_second).progress_chars("=> "));
        }
        bar.set_message(stage.to_string());
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

    fn note(&self, message: &str) {
        if !self.notes {
            return;
        }
        self.with(|current| match current {
            Some(bar) => bar.println(format!("note: {message}")),
            None => anstream::eprintln!("note: {message}"),
        });
    }
}
