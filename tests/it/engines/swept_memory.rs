//! What a sweep holds is held in the session's pool, within its limit, and given back: after success, errors, and when the
//! work is dropped in the middle.

use std::time::Duration;

use backcast::error::Error;
use backcast::monitor::Silent;
use backcast::pipeline::{self, Prepared};
use backcast::replay::{Engine, Replay, ReplayOptions, replay};

use crate::support::{Project, Rng, dataset_of, first_difference, run, table};

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

#[test]
fn a_sweep_that_does_not_fit_the_limit_says_so_and_gives_way_to_the_rewrite() {
    // Cells of all observers at once are over the limit; the rewrite spills.
    let windows: String = (1..=WINDOWS)
        .map(|h| {
            format!(", sum(i) FILTER (WHERE {0}) AS total_{h}, max(i) FILTER (WHERE {0}) AS largest_{h}", within(h))
        })
        .collect();
    let sql = format!("SELECT user_id, count(*) AS n{windows} FROM events GROUP BY user_id");
    let project = project(400, 90_000).view("counted", &sql);
    run(|| async move {
        let wide = prepared(&project, "1 GiB").await;
        let expected = by(&wide, Engine::Sweep).await.unwrap();
        let narrow = prepared(&project, LIMIT).await;
        let refused = by(&narrow, Engine::Sweep).await.unwrap_err();
        assert!(matches!(refused, Error::Memory { .. }), "{refused}");
        assert!(comes_back(&narrow).await, "{} bytes are still held", reserved(&narrow));
        let replayed = by(&narrow, Engine::Auto).await.unwrap();
        assert_eq!(replayed.views[0].engine, Engine::Rewrite, "{}", replayed.views[0].reason);
        assert_eq!(replayed.views[0].reason, "a sweep does not fit the memory limit");
        assert_eq!(first_difference(&dataset_of(&wide, &expected), &dataset_of(&narrow, &replayed)), None);
        assert!(comes_back(&narrow).await, "{} bytes are still held", reserved(&narrow));
    });
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
