//! The fuzzer: cases by seed, on all threads, until one fails or the seeds are through.
//!
//! | variable | |
//! | --- | --- |
//! | `BACKCAST_FUZZ_SEEDS` | `100..400`, or `100..` without an end; progress is told |
//! | `BACKCAST_FUZZ_FAILURES` | how many kinds of failures are looked for: 1 |
//! | `BACKCAST_FUZZ_KEEP` | a folder: the project of each seed is written there, and the small one of a failure |
//! | `BACKCAST_FUZZ_PORTABLE` | `1`: SQL and values that other databases read in the same way |

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::case::{Case, Failure, Outcome, kind_of};
use super::shrink::shrunk;

/// Seeds of the usual run, which takes every other label row only: deep plans take their time where nothing is optimised.
const SEEDS: u64 = 5;
/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Reasons for which views of the grammar may be left out: what can't be replayed yet, and what the data breaks.
const NOT_YET: &[&str] = &[
    "Projections require unique expression names",
    "Physical plan does not support undecorrelated Subquery",
    "to store in a Decimal of precision",
];

struct Settings {
    next: AtomicU64,
    end: Option<u64>,
    asked: bool,
    keep: Option<PathBuf>,
    portable: bool,
    failures: usize,
}

impl Settings {
    fn read() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let seeds = variable("BACKCAST_FUZZ_SEEDS");
        let (from, end) = seeds.as_deref().map_or((0, Some(SEEDS)), |text| {
            let bounds = text.split_once("..").and_then(|(from, to)| {
                let end = if to.is_empty() { None } else { Some(to.parse().ok()?) };
                Some((from.parse().ok()?, end))
            });
            bounds.unwrap_or_else(|| panic!("BACKCAST_FUZZ_SEEDS is `{text}`, not like `0..100` or `0..`"))
        });
        Self {
            next: AtomicU64::new(from),
            end,
            asked: seeds.is_some(),
            keep: variable("BACKCAST_FUZZ_KEEP").map(PathBuf::from),
            portable: variable("BACKCAST_FUZZ_PORTABLE").is_some(),
            failures: variable("BACKCAST_FUZZ_FAILURES").map_or(1, |n| n.parse().expect("a number")),
        }
    }

    fn next(&self) -> Option<u64> {
        let seed = self.next.fetch_add(1, Ordering::Relaxed);
        self.end.is_none_or(|end| seed < end).then_some(seed)
    }
}

/// What has been done by now.
#[derive(Default)]
struct Tally {
    seeds: usize,
    views: usize,
    cells: usize,
    /// By reason: how many views, and a seed that has one.
    refused: BTreeMap<String, (usize, u64)>,
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.seeds += 1;
        self.views += outcome.compared.len();
        self.cells += outcome.compared.iter().map(|(_, cells)| cells).sum::<usize>();
        for (_, reason) in &outcome.refused {
            self.refused.entry(kind_of(reason)).or_insert((0, seed)).0 += 1;
        }
    }

    fn told(&self) -> String {
        let refused: usize = self.refused.values().map(|(count, _)| count).sum();
        format!("{} seeds, {} views, {} cells compared, {refused} views refused", self.seeds, self.views, self.cells)
    }

    fn reasons(&self) -> String {
        let mut all: Vec<_> = self.refused.iter().collect();
        all.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        all.iter().map(|(reason, (count, seed))| format!("\n{count:6} x {reason} (seed {seed})")).collect()
    }
}

/// A failing case as small as could be made, as text.
fn told(seed: u64, case: &Case, failure: Failure, settings: &Settings) -> String {
    eprintln!("seed {seed} fails: {}\nmaking it smaller ...", failure.text);
    let (small, failure) = shrunk(case, failure);
    if let Some(keep) = &settings.keep {
        small.keep(&keep.join(format!("{seed:06}-small")));
    }
    format!("seed {seed}: {}\n{}\n{}", failure.text, small.world.told(), small.told())
}

#[test]
fn random_views_over_random_logs_are_the_same_on_both_engines() {
    let settings = Settings::read();
    let tally = Mutex::new((Tally::default(), Instant::now()));
    let kinds: Mutex<Vec<String>> = Mutex::default();
    let failed: Mutex<Vec<String>> = Mutex::default();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work = || {
        while kinds.lock().unwrap().len() < settings.failures {
            let Some(seed) = settings.next() else { return };
            let mut case = Case::of(seed, settings.portable);
            if !settings.asked {
                let rows: Vec<usize> = (0..case.world.labels.num_rows()).step_by(2).collect();
                case.world.keep_labels(&rows);
            }
            let folder = settings.keep.as_ref().map(|keep| keep.join(format!("{seed:06}")));
            let outcome = case.run(folder.as_deref());
            {
                let mut tally = tally.lock().unwrap();
                tally.0.add(seed, &outcome);
                if settings.asked && tally.1.elapsed() > TOLD_EVERY {
                    tally.1 = Instant::now();
                    eprintln!("{}", tally.0.told());
                }
            }
            let Some(failure) = outcome.failure else { continue };
            let kind = failure.kind.clone();
            let known = {
                let mut kinds = kinds.lock().unwrap();
                let known = kinds.contains(&kind);
                if !known {
                    kinds.push(kind);
                }
                known
            };
            if !known {
                let told = told(seed, &case, failure, &settings);
                failed.lock().unwrap().push(told);
            }
        }
    };
    std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    let tally = tally.into_inner().unwrap().0;
    eprintln!("{}{}", tally.told(), tally.reasons());
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n\n========\n\n"));
    let not_known: Vec<_> = tally.refused.keys().filter(|r| !NOT_YET.iter().any(|known| r.contains(known))).collect();
    assert!(not_known.is_empty(), "views of the grammar are refused: {not_known:#?}");
}
