//! From a failing case to a small one that fails in the same way: fewer views, label rows and events, simpler SQL.

use std::time::{Duration, Instant};

use super::case::{Case, Failure};

/// How long a case is made smaller.
const PATIENCE: Duration = Duration::from_secs(240);

struct Shrinking {
    case: Case,
    failure: Failure,
    until: Instant,
}

/// The smallest case found that fails as `failure` says.
pub(super) fn shrunk(case: &Case, failure: Failure) -> (Case, Failure) {
    let until = Instant::now() + PATIENCE;
    // A case that panics does so at each attempt.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let small = smallest(case, failure, until);
    std::panic::set_hook(hook);
    small
}

fn smallest(case: &Case, failure: Failure, until: Instant) -> (Case, Failure) {
    let mut work = Shrinking { case: case.clone(), failure, until };
    if work.failure.view != "?" {
        let only = work.case.only(&work.failure.view);
        work.takes(only);
    }
    work.fewer_labels();
    loop {
        let before = (work.case.size(), work.case.world.rows());
        work.simpler_views();
        work.fewer_labels();
        work.fewer_rows();
        if (work.case.size(), work.case.world.rows()) == before || Instant::now() > work.until {
            return (work.case, work.failure);
        }
    }
}

impl Shrinking {
    /// Whether the smaller case fails too; then it is the one to go on with.
    fn takes(&mut self, smaller: Case) -> bool {
        if Instant::now() > self.until {
            return false;
        }
        let failure = smaller.run(None).failure.filter(|f| f.kind == self.failure.kind);
        let Some(failure) = failure else { return false };
        self.case = smaller;
        self.failure = failure;
        true
    }

    fn simpler_views(&mut self) {
        let mut view = 0;
        while view < self.case.views.len() {
            if self.case.views.len() > 1 {
                let mut fewer = self.case.clone();
                fewer.views.remove(view);
                if self.takes(fewer) {
                    continue;
                }
            }
            let size = self.case.size();
            let smaller = self.case.views[view].query.smaller();
            let found = smaller.into_iter().any(|query| {
                let mut next = self.case.clone();
                next.views[view].query = query;
                next.size() < size && self.takes(next)
            });
            if !found {
                view += 1;
            }
        }
    }

    fn fewer_labels(&mut self) {
        self.fewer(|case| case.world.labels.num_rows(), |case, rows| case.world.keep_labels(rows));
    }

    fn fewer_rows(&mut self) {
        for file in 0..self.case.world.files() {
            self.fewer(|case| case.world.rows_of(file), |case, rows| case.world.keep_rows(file, rows));
        }
    }

    /// Takes rows out, half of them at first, one at a time at last.
    fn fewer(&mut self, count: impl Fn(&Case) -> usize, keep: impl Fn(&mut Case, &[usize])) {
        let mut size = count(&self.case).div_ceil(2);
        while size > 0 {
            let mut start = 0;
            while start < count(&self.case) {
                let all = count(&self.case);
                let rows: Vec<usize> = (0..all).filter(|row| !(start..start + size).contains(row)).collect();
                let mut next = self.case.clone();
                keep(&mut next, &rows);
                if !self.takes(next) {
                    start += size;
                }
            }
            size /= 2;
        }
    }
}
