//! A sample of every run is recomputed by the reference engine and compared, bit for bit.
//!
//! The reference holds in memory what had arrived by the latest T that it is asked about, and looks through all of it for each T. That
//! would take too long of a large log. So what is read for some label rows next to each other is narrowed down to what they can ask
//! about (`narrow.rs`): such spots lie anywhere, the last label rows first. Where a view's sources can't be narrowed (ids: another copy
//! may count), label rows are sampled from the beginning, as late as what had arrived by then can be read in time.

use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, ArrayRef, UInt32Array};
use datafusion::arrow::compute::{kernels::cmp::not_distinct, take};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::prelude::SessionContext;
use serde::Serialize;

use crate::analysis::{Project, View};
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::replay::engine::{Engine, Replay, ViewReplay};
use crate::replay::narrow::{Narrowed, Narrowing};
use crate::replay::reference;
use crate::source::{Labels, Log, orderable};

/// At least this many label rows are checked.
const FEWEST_ROWS: usize = 8;
/// At most this many.
const MOST_ROWS: usize = 256;
/// Cells that differ are shown up to this many.
const MOST_EXAMPLES: usize = 10;
/// The share of the run's time that the check may take.
const SHARE: u32 = 10;
/// Rows of sources that the reference reads and looks through in a second, about: less where it has to sort them by their values.
const ROWS_A_SECOND: f64 = 4e5;
const SORTED_ROWS_A_SECOND: f64 = 2e5;
/// Rows of which it only reads the columns, to keep those of few keys.
const SCANNED_ROWS_A_SECOND: f64 = 1e7;
/// Label rows that are checked together where only what they ask about is read.
const SPOT_ROWS: usize = 8;
/// So long a check always is worth its time, and longer it need not be: a slow machine makes no long check.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(500);

/// How the sample compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SelfCheck {
    pub rows: usize,
    pub cells: usize,
    pub differences: usize,
    /// The first cells that differ, for the report.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

impl SelfCheck {
    /// Adds what another part of the label rows gave.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.cells += other.cells;
        self.differences += other.differences;
        let room = MOST_EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }
}

/// Compares a sample of label rows with the reference engine; more of them while a tenth of `spent` lasts.
///
/// # Errors
/// As the reference engine.
pub async fn self_check(
    project: &Project,
    labels: &Labels,
    replay: &Replay,
    session: &SessionContext,
    spent: Duration,
    monitor: &dyn Monitor,
) -> Result<SelfCheck> {
    let mut check = SelfCheck::default();
    let began = Instant::now();
    let allowed = spent / SHARE;
    monitor.begin("checking a sample against the reference", None);
    let (state, logs) = (session.state(), &project.inputs.logs);
    let (mut narrow, mut wide) = (Vec::new(), Vec::new());
    for replayed in replay.views.iter().filter(|v| v.engine != Engine::Reference) {
        let Some(view) = project.view(&replayed.view) else { continue };
        let one = Checked { view, replayed };
        match Narrowing::of(view, logs, labels, &state) {
            Some(narrowing) => narrow.push((one, narrowing)),
            None => wide.push(one),
        }
    }
    let world = World { logs, labels, session };
    // Each kind of views has its part of the time.
    let parts = if narrow.is_empty() || wide.is_empty() { 1 } else { 2 };
    check_spots(&world, &narrow, allowed / parts, &mut check, monitor).await?;
    let reachable = reachable(project, labels, &wide, (allowed / parts).clamp(SHORTEST, LONGEST));
    let order = if wide.is_empty() { Vec::new() } else { sample(reachable, MOST_ROWS) };
    let mut at = 0;
    while at < order.len() && (at < FEWEST_ROWS || began.elapsed() < allowed) {
        let size = if at == 0 { FEWEST_ROWS } else { at };
        // The next, larger batch only where the time so far says that it fits.
        if at > 0 && began.elapsed() * 2 > allowed {
            break;
        }
        let mut rows = order[at..(at + size).min(order.len())].to_vec();
        rows.sort_unstable();
        at += rows.len();
        check.rows += rows.len();
        for one in &wide {
            world.compare(one, &rows, &Narrowed::default(), &mut check).await?;
        }
        monitor.advance(rows.len() as u64);
    }
    monitor.end();
    Ok(check)
}

/// Checks label rows next to each other, here and there over all times, the last first: only what these can ask about is read.
async fn check_spots(
    world: &World<'_>,
    views: &[(Checked<'_>, Narrowing)],
    allowed: Duration,
    check: &mut SelfCheck,
    monitor: &dyn Monitor,
) -> Result<()> {
    let (began, state, all) = (Instant::now(), world.session.state(), world.labels.rows());
    if views.is_empty() {
        return Ok(());
    }
    let spans: Vec<Option<Vec<(i64, i64, u64)>>> = world.logs.iter().map(Log::event_spans).collect();
    let spots: Vec<Vec<usize>> = sample(all.div_ceil(SPOT_ROWS), MOST_ROWS / SPOT_ROWS)
        .into_iter()
        .map(|spot| {
            let end = all - (spot * SPOT_ROWS).min(all);
            (end.saturating_sub(SPOT_ROWS)..end).collect()
        })
        .collect();
    let costs: Vec<Duration> = spots.iter().map(|rows| world.cost(views, rows, &spans)).collect();
    // One is always looked at, however much it takes: the first that fits, or the cheapest.
    let affordable = |spot: &usize| costs[*spot] <= allowed;
    let first = (0..spots.len()).find(affordable).or_else(|| (0..spots.len()).min_by_key(|&spot| costs[spot]));
    for (spot, rows) in spots.iter().enumerate() {
        if Some(spot) != first && began.elapsed() + costs[spot] > allowed {
            continue;
        }
        check.rows += rows.len();
        for (one, narrowing) in views {
            let failed = |e| Error::engine(format!("check view `{}`", one.view.name), e);
            let narrowed = narrowing.at(one.view, world.labels, rows, &state).map_err(failed)?;
            world.compare(one, rows, &narrowed, check).await?;
        }
        monitor.advance(rows.len() as u64);
    }
    Ok(())
}

/// A view, and what is checked of it.
struct Checked<'a> {
    view: &'a View,
    replayed: &'a ViewReplay,
}

/// What views are checked in.
struct World<'a> {
    logs: &'a [Log],
    labels: &'a Labels,
    session: &'a SessionContext,
}

/// How many label rows, from the first on, see no more of the sources than can be looked through in this time; not too few.
fn reachable(project: &Project, labels: &Labels, views: &[Checked<'_>], allowed: Duration) -> usize {
    let rows = labels.rows();
    // Seconds of work that each row group adds, by the time from which on it is looked at.
    let mut costs: Vec<(i64, f64)> = Vec::new();
    for log in &project.inputs.logs {
        let readers = views.iter().filter(|v| v.view.reads.contains(&log.config.name)).count();
        let Some(arrivals) = log.arrivals().filter(|_| readers > 0) else { continue };
        let sorted = !log.config.id.is_empty() || log.has_deleted();
        let speed = if sorted { SORTED_ROWS_A_SECOND } else { ROWS_A_SECOND };
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        costs.extend(arrivals.into_iter().map(|(at, rows)| (at, rows as f64 * readers as f64 / speed)));
    }
    costs.sort_by_key(|(at, _)| *at);
    let mut spent = 0.0;
    for (at, cost) in costs {
        spent += cost;
        if spent > allowed.as_secs_f64() {
            let seen = labels.times.values().partition_point(|t| *t < at);
            return seen.max(FEWEST_ROWS.min(rows));
        }
    }
    rows
}

/// Label rows spread evenly over time, in an order whose every prefix is spread too.
fn sample(rows: usize, most: usize) -> Vec<usize> {
    let wanted = rows.min(most);
    let mut order: Vec<usize> = Vec::with_capacity(wanted);
    let bits = usize::BITS - wanted.next_power_of_two().leading_zeros() - 1;
    for i in 0..wanted.next_power_of_two() {
        let reversed = if bits == 0 { 0 } else { i.reverse_bits() >> (usize::BITS - bits) };
        if reversed < wanted {
            order.push(reversed * rows / wanted);
        }
    }
    order
}

impl World<'_> {
    /// About how long it takes to read and look through what these label rows can ask about.
    fn cost(
        &self,
        views: &[(Checked<'_>, Narrowing)],
        rows: &[usize],
        spans: &[Option<Vec<(i64, i64, u64)>>],
    ) -> Duration {
        let times = |row: Option<&usize>| row.map_or(i64::MIN, |&row| self.labels.times.value(row));
        let (first, last) = (times(rows.first()), times(rows.last()));
        let mut seconds = 0.0;
        for (one, narrowing) in views {
            for (source, log) in self.logs.iter().enumerate() {
                if !one.view.reads.contains(&log.config.name) {
                    continue;
                }
                let from = narrowing.earliest(source, first);
                let read: u64 = match &spans[source] {
                    None => log.table.rows(),
                    Some(spans) => spans
                        .iter()
                        .filter(|(low, high, _)| *high >= from && *low <= last)
                        .map(|(_, _, rows)| rows)
                        .sum(),
                };
                let speed = if narrowing.keyed.contains(&source) { SCANNED_ROWS_A_SECOND } else { ROWS_A_SECOND };
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                let cost = read as f64 / speed;
                seconds += cost;
            }
        }
        Duration::from_secs_f64(seconds)
    }

    async fn compare(
        &self,
        one: &Checked<'_>,
        rows: &[usize],
        narrowed: &Narrowed,
        check: &mut SelfCheck,
    ) -> Result<()> {
        let Checked { view, replayed } = one;
        let picks = UInt32Array::from_iter_values(rows.iter().filter_map(|&r| u32::try_from(r).ok()));
        let failed = |e| Error::engine(format!("check view `{}`", view.name), e);
        let silent = crate::monitor::Silent;
        let expected =
            reference::run_narrowed(view, self.logs, self.labels, rows, self.session, &silent, narrowed).await?;
        for ((got, expected), feature) in replayed.values.columns.iter().zip(&expected.columns).zip(&view.features) {
            let got = take(got, &picks, None).map_err(|e| failed(e.into()))?;
            check.cells += rows.len();
            for row in differing(&got, expected).map_err(failed)? {
                check.differences += 1;
                if check.examples.len() < MOST_EXAMPLES {
                    let text = |a: &ArrayRef| {
                        datafusion::arrow::util::display::array_value_to_string(a, row).unwrap_or_default()
                    };
                    let at = crate::source::time::rfc3339(self.labels.times.value(rows[row]));
                    check.examples.push(format!(
                        "{} at {at}: reference {}, {} {}",
                        feature.full_name(),
                        text(expected),
                        replayed.engine.name(),
                        text(&got)
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Rows where the two differ in value; NULL equals NULL and NaN equals NaN.
fn differing(a: &ArrayRef, b: &ArrayRef) -> datafusion::error::Result<Vec<usize>> {
    if let Ok(same) = not_distinct(&a.as_ref() as &dyn datafusion::arrow::array::Datum, &b.as_ref()) {
        return Ok((0..same.len()).filter(|&i| !(same.is_valid(i) && same.value(i))).collect());
    }
    let (a, b) = (orderable(a)?, orderable(b)?);
    let converter = RowConverter::new(vec![SortField::new(a.data_type().clone())])?;
    let (a, b) = (converter.convert_columns(&[a])?, converter.convert_columns(&[b])?);
    Ok((0..a.num_rows()).filter(|&i| a.row(i) != b.row(i)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_each_row_once_and_is_spread_from_its_start() {
        for rows in [0, 1, 2, 7, 256, 1000] {
            let mut order = sample(rows, MOST_ROWS);
            assert_eq!(order.len(), rows.min(256));
            if rows == 1000 {
                assert_eq!(order[..2], [0, 500]);
            }
            order.sort_unstable();
            order.dedup();
            assert_eq!(order.len(), rows.min(256));
        }
    }
}
