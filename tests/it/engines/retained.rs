//! What is called exact is exact: on random views over random logs, events before some time are taken away, and every cell that is still
//! said to be covered has the value that it had with all events.

use backcast::config;
use backcast::lookback::lookbacks;
use backcast::monitor::Silent;
use backcast::pipeline::{self, Prepared};
use backcast::replay::{Engine, Replay, ReplayOptions, replay};
use backcast::retention::{Reading, coverage, facts};
use backcast::source::time::{instants_ns, plain_instants};
use datafusion::arrow::array::{Array, BooleanArray};
use datafusion::arrow::compute::filter_record_batch;

use super::case::Case;
use crate::support::{Project, Rng, read_parquet, run, shown_value, write_parquet};

/// Seeds of the usual run.
const SEEDS: u64 = 2;

/// The seeds that the variable asks for, such as `10..500`.
pub(super) fn seeds_of(variable: &str, usual: u64) -> std::ops::Range<u64> {
    let asked = std::env::var(variable).ok();
    let bounds = asked.as_deref().and_then(|text| text.split_once(".."));
    bounds.map_or(0..usual, |(from, to)| from.parse().expect("a seed")..to.parse().expect("a seed"))
}

async fn replayed(project: &Project) -> Option<(Prepared, Replay)> {
    let (config, _) = config::load(&project.path("backcast.toml"), &[]).ok()?;
    let prepared = pipeline::prepare(config, &Silent).await.ok()?;
    let opened = &prepared.opened;
    let options = ReplayOptions { engine: Engine::Auto };
    let done = replay(&opened.project, &prepared.labels, &opened.session, options, &Silent).await.ok()?;
    Some((prepared, done))
}

/// Takes the events before a time of each source away; whether there were any.
fn truncate(prepared: &Prepared, rng: &mut Rng) -> bool {
    let mut taken = false;
    for log in &prepared.opened.project.inputs.logs {
        let files: Vec<_> = log.table.files.files.iter().map(|f| f.uri()).collect();
        let rows: Vec<_> = files.iter().map(|f| read_parquet(f.as_ref())).collect();
        let times: Vec<_> = rows
            .iter()
            .map(|rows| {
                let column = rows.column_by_name(&log.config.time).unwrap();
                instants_ns(&plain_instants(column, log.config.timezone).unwrap(), 0).unwrap()
            })
            .collect();
        let mut all: Vec<i64> = times.iter().flat_map(|t| t.iter().flatten()).collect();
        all.sort_unstable();
        if all.is_empty() || rng.one_in(4) {
            continue;
        }
        // Often few, so that long lookbacks are still covered.
        let most = 1 + rng.below(all.len() * 2 / 3 + 1);
        let since = all[rng.below(most)];
        for ((file, rows), times) in files.iter().zip(&rows).zip(&times) {
            let kept: BooleanArray = times.iter().map(|t| Some(t.is_none_or(|t| t >= since))).collect();
            taken |= kept.false_count() > 0;
            write_parquet(file.as_ref(), &filter_record_batch(rows, &kept).unwrap());
        }
    }
    taken
}

/// Compares what is covered after events were taken away with what there was before: cells that were compared, and those that were not.
pub(super) fn checked(seed: u64, case: &Case, view: &str) -> Result<Option<(usize, usize)>, String> {
    let case = case.only(view);
    let project = case.project();
    run(|| async move {
        let Some((prepared, whole)) = replayed(&project).await else { return Ok(None) };
        if !truncate(&prepared, &mut Rng::new(seed)) {
            return Ok(None);
        }
        let Some((after, part)) = replayed(&project).await else { return Ok(None) };
        let opened = &after.opened;
        let logs = &opened.project.inputs.logs;
        let mut all = Vec::new();
        for log in logs {
            all.push(
                facts(log, &opened.project.inputs.stores, None, Reading::Unknown).await.map_err(|e| e.to_string())?,
            );
        }
        let (mut compared, mut left) = (0, 0);
        let mut position = 0;
        for configured in &opened.project.inputs.config.views {
            let view = opened.project.view(&configured.name).unwrap();
            let lookbacks = lookbacks(view, logs, &opened.session.state());
            let cells = coverage(&lookbacks, &all, after.labels.times.values());
            for (lookback, own) in lookbacks.iter().zip(&cells) {
                let found = &part.views.iter().find(|v| v.view == view.name).unwrap().values.found;
                let (a, b) = (&whole.features[position], &part.features[position]);
                position += 1;
                for row in 0..found.len() {
                    let cell = if found.value(row) { own.there[row] } else { own.missing[row] };
                    if !cell.is_covered() {
                        left += 1;
                        continue;
                    }
                    compared += 1;
                    if a.slice(row, 1).to_data() != b.slice(row, 1).to_data() {
                        let sinces: Vec<_> = all.iter().map(|f| f.report.since.clone()).collect();
                        return Err(format!(
                            "seed {seed}: `{}` in row {row} is {} with all events and {} with those from {sinces:?} on, found {}\n{lookback:#?}\n{}",
                            lookback.feature,
                            shown_value(a, row),
                            shown_value(b, row),
                            found.value(row),
                            case.told()
                        ));
                    }
                }
            }
        }
        Ok(Some((compared, left)))
    })
}

#[test]
fn a_cell_that_is_called_exact_has_the_value_that_all_events_give() {
    let (mut compared, mut left, mut views) = (0, 0, 0);
    let mut failures = Vec::new();
    for seed in seeds_of("BACKCAST_RETAINED_SEEDS", SEEDS) {
        let mut case = Case::of(seed, false);
        let rows: Vec<usize> = (0..case.world.labels.num_rows()).step_by(3).collect();
        case.world.keep_labels(&rows);
        for view in &case.views {
            match checked(seed, &case, &view.name) {
                Ok(Some((some, others))) => {
                    compared += some;
                    left += others;
                    views += 1;
                }
                Ok(None) => {}
                Err(failure) => failures.push(failure),
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
    assert!(compared > 20 && left > 20, "{views} views: {compared} cells were compared, {left} were not");
    eprintln!("{views} views: {compared} cells were compared, {left} were not covered");
}
