//! What a sweep holds is held in the session's pool, within its limit, and given back: after success, errors, and when the
//! work is dropped in the middle.

use std::sync::Arc;
use std::time::Duration;

use backcast::error::Error;
use backcast::monitor::Silent;
use backcast::pipeline::{self, Prepared};
use backcast::replay::{Engine, LabelObservers, Replay, ReplayOptions, choose, optimized, replay};
use backcast::source::Redelivery;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::display::DisplayableExecutionPlan;

use crate::support::{Project, Rng, dataset_of, first_difference, run, table, write_parquet};

const HALF: i64 = i64::MAX / 2;

fn project(rows: usize, labels: usize) -> Project {
    let mut rng = Rng::new(31);
    let mut events = "user_id:i64 ts:us@UTC kind:str i:i64 wide:i64\n".to_string();
    for _ in 0..rows {
        let (day, hour, minute) = (rng.range(1, 20), rng.range(0, 24), rng.range(0, 60));
        let user = if rng.one_in(2) { 1 } else { rng.range(2, 50) };
        let kind = rng.pick(&["a", "b", "c"]);
        events += &format!("{user} 2025-03-{day:02}T{hour:02}:{minute:02} {kind} {} {HALF}\n", rng.range(0, 100));
    }
    let mut asked = "user_id:i64 at:us@UTC\n".to_string();
    for _ in 0..labels {
        let (user, minute) = (rng.range(1, 60), rng.range(0, 60));
        asked += &format!("{user} 2025-03-{:02}T{:02}:{minute:02}\n", rng.range(2, 25), rng.range(0, 24));
    }
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &table(&asked)).source(
        "events",
        "time = \"ts\"",
        &table(&events),
    )
}

/// Little, but enough for two threads that sort.
const LIMIT: &str = "24 MiB";
const WINDOWS: u32 = 10;

fn within(hours: u32) -> String {
    format!("ts > NOW() - INTERVAL '{hours} hours'")
}

const COUNTED: &str = "SELECT user_id, count(*) AS n, sum(i) AS total, max(i) AS largest,
    last_value(kind ORDER BY ts) AS last_kind, count(DISTINCT kind) AS kinds FROM events GROUP BY user_id";
const TOO_WIDE: &str = "SELECT user_id, sum(wide) AS total FROM events GROUP BY user_id";

async fn prepared(project: &Project, memory: &str) -> Prepared {
    let set = [format!("run.memory=\"{memory}\""), "run.threads=2".to_string()];
    let config = backcast::config::load(&project.path("backcast.toml"), &set).unwrap().0;
    pipeline::prepare(config, &Silent).await.unwrap()
}

async fn by(prepared: &Prepared, engine: Engine) -> Result<Replay, Error> {
    let opened = &prepared.opened;
    replay(&opened.project, &prepared.labels, &opened.session, ReplayOptions { engine }, &Silent).await
}

fn reserved(prepared: &Prepared) -> usize {
    prepared.opened.session.runtime_env().memory_pool.reserved()
}

/// Tasks that were cancelled end a moment later.
async fn comes_back(prepared: &Prepared) -> bool {
    for _ in 0..500 {
        if reserved(prepared) == 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[test]
fn a_sweep_gives_its_memory_back() {
    let project = project(500, 100).view("counted", COUNTED);
    run(|| async move {
        let prepared = prepared(&project, "256 MiB").await;
        let replayed = by(&prepared, Engine::Sweep).await.unwrap();
        assert_eq!(replayed.views[0].engine, Engine::Sweep);
        assert_eq!(reserved(&prepared), 0);
    });
}

#[test]
fn a_sweep_that_fails_on_a_value_gives_its_memory_back() {
    let project = project(500, 100).view("too_wide", TOO_WIDE);
    run(|| async move {
        let prepared = prepared(&project, "256 MiB").await;
        for engine in [Engine::Sweep, Engine::Rewrite] {
            let failed = by(&prepared, engine).await.unwrap_err().to_string();
            assert!(failed.contains("too_wide.total"), "{engine:?}: {failed}");
            assert!(comes_back(&prepared).await, "{engine:?}: {} bytes are still held", reserved(&prepared));
        }
    });
}

/// Sums and extremes in many windows: cells of all observers at once take some 70 MB.
fn many_windows() -> String {
    let windows: String = (1..=WINDOWS)
        .map(|h| {
            format!(", sum(i) FILTER (WHERE {0}) AS total_{h}, max(i) FILTER (WHERE {0}) AS largest_{h}", within(h))
        })
        .collect();
    format!("SELECT user_id, count(*) AS n{windows} FROM events GROUP BY user_id")
}

#[test]
fn a_sweep_whose_cells_are_over_the_limit_is_still_a_sweep() {
    let project = project(4_000, 90_000).view("counted", &many_windows());
    run(|| async move {
        let wide = prepared(&project, "1 GiB").await;
        let expected = by(&wide, Engine::Sweep).await.unwrap();
        let narrow = prepared(&project, LIMIT).await;
        let replayed = by(&narrow, Engine::Auto).await.unwrap();
        assert_eq!(replayed.views[0].engine, Engine::Sweep, "{}", replayed.views[0].reason);
        assert_eq!(first_difference(&dataset_of(&wide, &expected), &dataset_of(&narrow, &replayed)), None);
        assert!(comes_back(&narrow).await, "{} bytes are still held", reserved(&narrow));
        assert_eq!(narrow.opened.session.runtime_env().disk_manager.used_disk_space(), 0);
    });
}

/// Half of the label rows and of the events are one user's.
fn hot(views: &[(&str, &str)]) -> Project {
    let mut rng = Rng::new(37);
    let mut asked = "user_id:i64 at:us@UTC\n".to_string();
    for _ in 0..20_000 {
        let user = if rng.one_in(2) { 1 } else { rng.range(2, 60) };
        asked += &format!("{user} 2025-03-{:02}T{:02}:{:02}\n", rng.range(2, 25), rng.range(0, 24), rng.range(0, 60));
    }
    let project = project(6_000, 1);
    write_parquet(&project.path("labels.parquet"), &table(&asked));
    views.iter().fold(project, |project, (name, sql)| project.view(name, sql))
}

#[test]
fn a_hot_key_is_swept_to_the_same_bits_within_any_limit_by_any_threads_in_any_batches() {
    let numbers = format!(
        "SELECT user_id, count(*) AS ever, sum(i) AS total, min(i) AS smallest, max(i / 7.0) AS largest,
                avg(i / 3.0) FILTER (WHERE {0}) AS mean_1h, max(i) FILTER (WHERE {0}) AS largest_1h,
                sum(i * 0.1) FILTER (WHERE {1}) AS total_50h FROM events GROUP BY user_id",
        within(1),
        within(50)
    );
    let rows = format!(
        "SELECT user_id, last_value(kind ORDER BY ts) AS last_kind, sum(i) AS all_of_it,
                count(DISTINCT i) FILTER (WHERE {}) AS kinds FROM events GROUP BY user_id",
        within(5)
    );
    let everyone =
        format!("SELECT count(*) AS n_all, sum(i * 0.1) AS total_all, max(i) AS most FROM events WHERE {}", within(30));
    let project = hot(&[("numbers", &numbers), ("held", &rows), ("everyone", &everyone)]);
    let expected = project.with_batches_of(8192, &["run.threads=2"]);
    for limit in ["3 MiB", "5 MiB", "10 MiB", "64 MiB"] {
        for (batch_rows, threads) in [(7, 3), (1000, 1), (8192, 8)] {
            let set = [format!("run.memory=\"{limit}\""), format!("run.threads={threads}")];
            let (got, engines) = project.swept_with_batches_of(batch_rows, &[&set[0], &set[1]]);
            assert_eq!(first_difference(&expected, &got), None, "{limit}, {batch_rows} rows, {threads} threads");
            assert_eq!(engines, ["sweep"; 3], "{limit}, {batch_rows} rows, {threads} threads");
        }
    }
}

#[test]
fn what_goes_to_disk_is_told_by_the_plans_metrics() {
    let project = project(4_000, 60_000).view("counted", &many_windows());
    run(|| async move {
        let mut spilled = Vec::new();
        for memory in ["1 GiB", LIMIT] {
            let prepared = prepared(&project, memory).await;
            let (opened, labels) = (&prepared.opened, &prepared.labels);
            let view = opened.project.view("counted").unwrap();
            let observers = LabelObservers::new(labels, &view.keys, opened.options.now_unit).unwrap();
            let logs = &opened.project.inputs.logs;
            let chosen =
                choose(view, logs, &observers.spines, None, &opened.session, Engine::Sweep, Redelivery::ByTime)
                    .unwrap();
            let state = opened.session.state();
            let plan = optimized(&chosen.plan.unwrap(), &state).unwrap();
            let plan = state.query_planner().create_physical_plan(&plan, &state).await.unwrap();
            collect(Arc::clone(&plan), state.task_ctx()).await.unwrap();
            let shown = DisplayableExecutionPlan::with_metrics(plan.as_ref()).indent(false).to_string();
            let line = shown.lines().find(|l| l.contains("SweepExec")).unwrap().to_string();
            assert!(
                ["spill_count=", "spilled_bytes=", "event_rows=4"].iter().all(|part| line.contains(part)),
                "{line}"
            );
            spilled.push(!line.contains("spilled_rows=0"));
        }
        assert_eq!(spilled, [false, true]);
    });
}

#[test]
fn a_run_tells_how_much_did_not_fit_into_memory() {
    let project = project(4_000, 60_000).view("counted", &many_windows());
    let run = |memory: &str| {
        let args = ["replay", "--fresh", "--format", "json", "--threads", "2", "--memory", memory];
        let one_chunk = ["--set", "run.chunk=\"400 days\""];
        project.backcast(&[&args[..], &one_chunk[..]].concat()).exits_with(0).json()
    };
    let bytes = |report: &serde_json::Value| report["spilled"]["bytes"].as_u64().unwrap_or(0);
    assert_eq!(bytes(&run("1GiB")), 0);
    let report = run("24MiB");
    assert!(bytes(&report) > 10_000, "{}", report["spilled"]);
    let views = report["chunks"].as_array().unwrap().iter().flat_map(|chunk| chunk["views"].as_array().unwrap());
    assert!(views.map(|view| view["spilled_bytes"].as_u64().unwrap()).sum::<u64>() > 10_000);
    assert!(report["notes"].to_string().contains("did not fit the limit"), "{}", report["notes"]);
}

#[test]
fn a_sweep_that_is_dropped_in_the_middle_gives_its_memory_back() {
    let project = project(20_000, 2_000).view("counted", COUNTED);
    run(|| async move {
        let prepared = prepared(&project, "1 GiB").await;
        let mut ticks = tokio::time::interval(Duration::from_micros(200));
        {
            let work = by(&prepared, Engine::Sweep);
            tokio::pin!(work);
            loop {
                tokio::select! {
                    biased;
                    done = &mut work => panic!("it was over before it could be dropped: {:?}", done.is_ok()),
                    _ = ticks.tick() => if reserved(&prepared) > 0 { break },
                }
            }
        }
        assert!(comes_back(&prepared).await, "{} bytes are still held", reserved(&prepared));
        // The same session still works.
        by(&prepared, Engine::Sweep).await.unwrap();
        assert_eq!(reserved(&prepared), 0);
    });
}
