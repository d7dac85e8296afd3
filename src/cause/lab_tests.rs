//! Worlds on one plan against the same worlds, each replayed by itself as any view is.

use std::path::Path;

use datafusion::arrow::array::{AsArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::Int64Type;

use super::*;
use crate::cause::change::{Ahead, HOUR, MINUTE, Shift};
use crate::cause::held::sources_of;
use crate::cause::sample::Lots;
use crate::cause::search::opposed;
use crate::pipeline::{self, Prepared};
use crate::source::fixture::write;

const CONFIG: &str = r#"
[project]
name = "worlds"

[labels]
uri = "labels.parquet"
keys = ["user"]
time = "at"

[sources.pays]
uri = "pays.parquet"
time = "ts"
available_at = "seen"
id = ["number", "part"]

[sources.visits]
uri = "visits.parquet"
time = "ts"
available_at = "seen"

[views.last]
sql = "last.sql"

[views.recent]
sql = "recent.sql"

[output]
uri = "out/"
"#;

const LAST: &str = "SELECT \"user\", count(*) AS n, sum(amount) AS amount, \
                    last_value(amount ORDER BY ts, number, part, amount) AS last FROM pays GROUP BY \"user\"";
const RECENT: &str = "SELECT p.\"user\", count(*) AS both_n, max(p.amount) AS largest, count(v.page) AS pages \
                      FROM pays p LEFT JOIN visits v ON v.\"user\" = p.\"user\" AND v.ts > NOW() - INTERVAL '6 hours' \
                      WHERE p.ts > NOW() - INTERVAL '1 day' GROUP BY p.\"user\"";

fn written(dir: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    write(&dir.join(name), &batch);
}

fn times(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}

/// User, number, part, event time, arrival, amount.
type Pay = (i64, Option<i64>, Option<&'static str>, i64, i64, f64);

/// Four days of events. Of the payments half come again, with other amounts, at another time, or at the same; some have no number.
fn project(dir: &Path, lots: &mut Lots) {
    const STEP: i64 = 300_000_000;
    let mut pays: Vec<Pay> = Vec::new();
    for number in 0..120 {
        let (user, at) = (lots.below(4), lots.below(4 * 288) * STEP);
        let part = [None, Some("a"), Some("b")][usize::try_from(lots.below(3)).unwrap()];
        for _ in 0..1 + lots.below(3) * lots.below(2) {
            let number = Some(number / 2).filter(|_| number % 7 > 0);
            // Deliveries of one number may tell other times, too.
            let at = at - lots.below(4) / 3 * STEP;
            pays.push((user, number, part, at, at + lots.below(3) * lots.below(20) * STEP, lots.below(90) as f64));
        }
    }
    let column = |of: &dyn Fn(&Pay) -> i64| -> Vec<i64> { pays.iter().map(of).collect() };
    let users = Int64Array::from(column(&|p| p.0));
    let (amounts, numbers) = (pays.iter().map(|p| p.5), pays.iter().map(|p| p.1));
    written(
        dir,
        "pays.parquet",
        vec![
            ("user", Arc::new(users)),
            ("amount", Arc::new(Float64Array::from_iter_values(amounts))),
            ("number", Arc::new(numbers.collect::<Int64Array>())),
            ("part", Arc::new(pays.iter().map(|p| p.2).collect::<StringArray>())),
            ("ts", times(column(&|p| p.3))),
            ("seen", times(column(&|p| p.4))),
        ],
    );
    let visits: Vec<(i64, i64)> = (0..80).map(|_| (lots.below(4), lots.below(4 * 288) * STEP)).collect();
    let seen = visits.iter().map(|v| v.1 + lots.below(2) * lots.below(30) * STEP).collect();
    written(
        dir,
        "visits.parquet",
        vec![
            ("user", Arc::new(Int64Array::from_iter_values(visits.iter().map(|v| v.0)))),
            ("page", Arc::new(Int64Array::from_iter_values(0..80))),
            ("ts", times(visits.iter().map(|v| v.1).collect())),
            ("seen", times(seen)),
        ],
    );
    let mut labels: Vec<(i64, i64)> = (0..60).map(|_| (lots.below(5), lots.below(4 * 288) * STEP)).collect();
    labels.sort_unstable();
    labels.dedup();
    written(
        dir,
        "labels.parquet",
        vec![
            ("user", Arc::new(Int64Array::from_iter_values(labels.iter().map(|l| l.0)))),
            ("at", times(labels.iter().map(|l| l.1).collect())),
        ],
    );
    for (name, text) in [("backcast.toml", CONFIG), ("last.sql", LAST), ("recent.sql", RECENT)] {
        std::fs::write(dir.join(name), text).unwrap();
    }
}

fn change(lots: &mut Lots, source: usize) -> Change {
    let own = match lots.below(9) {
        0 => Change::LateVisible,
        1 => Change::LateDropped { limit: lots.below(40) * MINUTE },
        2 => Change::DuplicatesCounted,
        3 => Change::FutureLeak { horizon: Some(lots.below(9) * HOUR), ahead: Ahead::Arrives },
        4 => Change::FutureLeak { horizon: Some(lots.below(9) * HOUR), ahead: Ahead::Happens },
        5 => Change::Truncated { first: lots.below(4) * DAY },
        6 => Change::Timezone { shift: Shift::EventMinutes(60) },
        7 => return Change::WindowStart { inclusive: true },
        _ => return Change::LabelTime { included: false },
    };
    if lots.below(3) == 0 { own.of(source) } else { own }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worlds_on_one_plan_are_those_replayed_by_themselves() {
    let mut lots = Lots::new();
    let (mut compared, mut repeated) = (0, 0);
    for round in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path(), &mut lots);
        let (config, _) = crate::config::load(&dir.path().join("backcast.toml"), &[]).unwrap();
        let Prepared { opened, labels } = pipeline::prepare(config, &Silent).await.unwrap();
        let (logs, labels) = (&opened.project.inputs.logs, Arc::new(labels));
        for view in &opened.project.views {
            let sources = sources_of(view.plan());
            let mut held = HashMap::new();
            for source in &sources {
                let read = Held::read(&logs[*source], &Reach::All, 1 << 30, &opened.session).await.unwrap();
                held.insert(*source, read.unwrap());
            }
            repeated += held.values().filter(|held| held.facts.redelivered).count();
            let lab = Lab::new(view, logs, held, Windows::of(view.plan()), &labels, &opened.session, 2);
            let lab = Arc::new(lab);
            lab.prepare(None).await;
            // Of one key most rows of a source need not be looked at.
            let users = labels.keys[0].as_primitive::<Int64Type>();
            let asked = |row: &usize| if round % 2 == 0 { row.is_multiple_of(2) } else { users.value(*row) == 1 };
            let rows: Vec<usize> = (0..labels.times.len()).filter(asked).collect();
            let stale = || vec![Change::Stale { period: HOUR, lag: 0, at: 0 }];
            let mut grids: Vec<Grid> = vec![(vec![Change::LateVisible], vec![Vec::new(), stale()])];
            for number in 0..10 {
                let source = sources[number % sources.len()];
                let mut world = vec![change(&mut lots, source), change(&mut lots, source)];
                if world[0].name() == world[1].name() || opposed(&world[0], &world[1]) {
                    world.pop();
                }
                grids.push((world, vec![Vec::new(), stale()]));
            }
            let (count, rows) = (rows.len(), Arc::new(rows));
            let mut told: Vec<(usize, Answers)> = Vec::new();
            for job in lab.jobs(count, &grids, true) {
                let own = lab.together(&job, &rows, &grids).await;
                let own = own.unwrap_or_else(|| panic!("`{}` has a plan for {:?}", view.name, job.rows));
                told.extend(job.grids.iter().map(|(grid, _)| *grid).zip(own.into_iter().flatten()));
            }
            assert_eq!(told.len(), grids.len());
            for (number, told) in told {
                let grid = &grids[number];
                let law = lab.by_itself(&rows, grid).await.unwrap();
                assert_eq!(told.found, law.found, "round {round}, `{}`, {:?}", view.name, grid.0);
                for (own, law) in told.columns.iter().zip(&law.columns) {
                    assert_eq!(own, law, "round {round}, `{}`, {:?}", view.name, grid.0);
                }
                compared += told.found.len();
            }
        }
    }
    assert!(compared > 500 && repeated >= 4, "{compared}, {repeated}");
}
