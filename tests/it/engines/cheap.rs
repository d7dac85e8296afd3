//! What a view is spared: keys that are bound, files that are pruned, entities that are skipped; and that none of it shows in a value.

use std::fmt::Write as _;
use std::sync::Arc;

use backcast::pipeline::{self, Explained};
use backcast::replay::{Engine, LabelObservers, choose};
use datafusion::arrow::array::{Int64Array, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::{ExecutionPlan, collect};

use crate::support::{Project, run, shown, table};

fn explained(project: &Project) -> Vec<Explained> {
    let config = backcast::config::load(&project.path("backcast.toml"), &[]).unwrap().0;
    run(|| async move {
        let opened = pipeline::open(config).await.unwrap();
        pipeline::explain(&opened, None, Engine::Auto).unwrap()
    })
}

/// `source: bound` for each reading of a view.
fn bindings(view: &Explained) -> Vec<String> {
    view.bindings.iter().map(|r| format!("{}: {} {}", r.source, r.bound, r.by.join(","))).collect()
}

fn orders() -> Project {
    let labels = table(
        "user:i64 at:us@UTC
         1         2025-03-10T12:00
         2         2025-03-10T12:00
         3         2025-03-10T12:00
         1         2025-03-11T12:00
         -         2025-03-11T12:00",
    );
    let orders = table(
        "user:i64 ts:us@UTC         shop:str amount:i64
         1         2025-03-10T10:00  n        1
         2         2025-03-10T10:30  n        10
         2         2025-03-10T11:00  s        100
         9         2025-03-10T11:30  n        1000
         3         2025-03-10T11:45  -        5
         1         2025-03-11T11:00  s        10000
         9         2025-03-11T11:30  s        100000
         9         2025-03-11T12:30  s        1000000",
    );
    Project::new("keys = [\"user\"]\ntime = \"at\"", &labels).source("orders", "time = \"ts\"", &orders)
}

const LAST_SHOP: &str = "(SELECT DISTINCT ON (\"user\") \"user\", shop FROM orders ORDER BY \"user\", ts DESC) l";
const SHOPS: &str =
    "(SELECT shop, sum(amount) AS total FROM orders WHERE ts > NOW() - INTERVAL '1 day' GROUP BY shop) s";

#[test]
fn what_one_side_of_a_join_needs_is_asked_for_by_the_other() {
    let project = orders()
        .view("inner_join", &format!("SELECT l.\"user\", s.total AS inner_join FROM {LAST_SHOP} JOIN {SHOPS} ON s.shop = l.shop"))
        .view("turned", &format!("SELECT l.\"user\", s.total AS turned FROM {SHOPS} JOIN {LAST_SHOP} ON s.shop = l.shop"))
        .view("left_join", &format!("SELECT l.\"user\", coalesce(s.total, -1) AS left_join FROM {LAST_SHOP} LEFT JOIN {SHOPS} ON s.shop = l.shop"))
        .view("right_join", &format!("SELECT l.\"user\", coalesce(s.total, -1) AS right_join FROM {SHOPS} RIGHT JOIN {LAST_SHOP} ON s.shop = l.shop"))
        .view("semi_join", &format!("SELECT l.\"user\", l.shop AS semi_join FROM {LAST_SHOP} WHERE l.shop IN (SELECT s.shop FROM {SHOPS} WHERE total > 1000)"))
        .view("anti_join", &format!("SELECT l.\"user\", coalesce(l.shop, '?') AS anti_join FROM {LAST_SHOP} WHERE NOT EXISTS (SELECT 1 FROM {SHOPS} WHERE s.shop = l.shop AND total > 1000)"))
        .view("scalar", &format!("SELECT l.\"user\", (SELECT max(s.total) FROM {SHOPS} WHERE s.shop = l.shop) AS scalar FROM {LAST_SHOP}"))
        .view("nested", &format!("SELECT l.\"user\", s.total + t.n AS nested FROM {LAST_SHOP} JOIN {SHOPS} ON s.shop = l.shop
             JOIN (SELECT amount, count(*) AS n FROM orders GROUP BY amount) t ON t.amount = s.total - 1010"));
    for view in explained(&project) {
        let bindings = bindings(&view);
        assert!(bindings.iter().any(|b| b.starts_with("orders: keys orders.user")), "{bindings:?} in {view:?}");
        assert!(bindings.iter().any(|b| b.starts_with("orders: asked orders.shop")), "{bindings:?} in {view:?}");
        assert!(!bindings.iter().any(|b| b.contains("all")), "{bindings:?} in {view:?}");
    }
    let dataset = project.dataset();
    // Labels: 1, 2 and 3 on the 10th; nobody, then 1 on the 11th.
    assert_eq!(shown(&dataset, "inner_join"), ["1011", "100", "NULL", "NULL", "110000"]);
    assert_eq!(shown(&dataset, "turned"), shown(&dataset, "inner_join"));
    assert_eq!(shown(&dataset, "left_join"), ["1011", "100", "-1", "NULL", "110000"]);
    assert_eq!(shown(&dataset, "right_join"), shown(&dataset, "left_join"));
    assert_eq!(shown(&dataset, "semi_join"), ["n", "NULL", "NULL", "NULL", "s"]);
    assert_eq!(shown(&dataset, "anti_join"), ["NULL", "s", "?", "NULL", "NULL"]);
    assert_eq!(shown(&dataset, "scalar"), shown(&dataset, "inner_join"));
    // Of user 1 on the 10th the shop's sum is 1011, and one order has the amount 1.
    assert_eq!(shown(&dataset, "nested"), ["1012", "NULL", "NULL", "NULL", "NULL"]);
}

#[test]
fn a_key_under_another_name_is_bound_all_the_same() {
    let counts = "(SELECT \"user\", count(*) AS n FROM orders GROUP BY \"user\") b";
    let project = orders()
        .view(
            "first_of_group",
            "SELECT DISTINCT ON (\"user\") \"user\", shop AS first_of_group FROM orders ORDER BY \"user\", ts",
        )
        .view(
            "least_of_group",
            "SELECT min(\"user\") AS \"user\", count(*) AS least_of_group FROM orders GROUP BY orders.\"user\"",
        )
        .view(
            "known_of_two",
            &format!(
                "SELECT coalesce(b.\"user\", a.\"user\") AS \"user\", max(b.n) AS known_of_two FROM orders a
             LEFT JOIN {counts} ON b.\"user\" = a.\"user\" GROUP BY coalesce(b.\"user\", a.\"user\")"
            ),
        )
        .view(
            "by_using",
            &format!(
                "SELECT \"user\", max(b.n) AS by_using FROM orders JOIN {counts} USING (\"user\") GROUP BY \"user\""
            ),
        )
        .view(
            "by_expression",
            &format!(
                "SELECT (a.\"user\" + b.\"user\") / 2 AS \"user\", max(b.n) AS by_expression FROM orders a
             JOIN {counts} ON b.\"user\" = a.\"user\" GROUP BY (a.\"user\" + b.\"user\") / 2"
            ),
        );
    for view in explained(&project) {
        let bindings = bindings(&view);
        let keyed = bindings.iter().any(|b| b.contains(": keys "));
        assert!(keyed && !bindings.iter().any(|b| b.contains(": all")), "{}: {bindings:?}", view.view.view);
    }
    let dataset = project.dataset();
    assert_eq!(shown(&dataset, "first_of_group"), ["n", "n", "NULL", "NULL", "n"]);
    for feature in ["least_of_group", "known_of_two", "by_using", "by_expression"] {
        assert_eq!(shown(&dataset, feature), ["1", "2", "1", "NULL", "2"], "{feature}");
    }
}

#[test]
fn of_two_keys_one_is_bound_where_the_other_can_not_be() {
    let labels = table(
        "user:i64 shop:str at:us@UTC
         1         n        2025-03-11T12:00
         1         s        2025-03-11T12:00
         2         s        2025-03-11T12:00",
    );
    let orders = table(
        "user:i64 shop:str ts:us@UTC
         1         n        2025-03-10T10:00
         1         n        2025-03-10T11:00
         1         s        2025-03-10T12:00
         2         n        2025-03-10T13:00",
    );
    let project = Project::new("keys = [\"user\", \"shop\"]\ntime = \"at\"", &labels)
        .source("orders", "time = \"ts\"", &orders)
        .view("of_groups", "SELECT \"user\", max(shop) AS shop, count(*) AS of_groups FROM orders GROUP BY \"user\"")
        .view("constant", "SELECT \"user\", 's' AS shop, count(*) AS constant FROM orders GROUP BY \"user\"")
        .view(
            "of_windows",
            "SELECT DISTINCT \"user\", shop, count(*) OVER (PARTITION BY \"user\") AS of_windows FROM orders",
        );
    for view in explained(&project) {
        assert_eq!(bindings(&view), ["orders: keys orders.user"], "{}", view.view.view);
    }
    let dataset = project.dataset();
    assert_eq!(shown(&dataset, "of_groups"), ["NULL", "3", "NULL"]);
    assert_eq!(shown(&dataset, "constant"), ["NULL", "3", "1"]);
    assert_eq!(shown(&dataset, "of_windows"), ["3", "3", "NULL"]);
}

#[test]
fn sides_of_a_full_join_meet_also_where_only_one_can_be_bound() {
    let last = "(SELECT \"user\", max(amount) AS x FROM orders GROUP BY \"user\") a";
    let few = "(SELECT \"user\", amount AS y FROM orders ORDER BY ts DESC LIMIT 1) b";
    let project = orders()
        .view("left_bound", &format!("SELECT coalesce(a.\"user\", b.\"user\") AS \"user\", coalesce(a.x, 0) + 2 * coalesce(b.y, 0) AS left_bound
             FROM {last} FULL JOIN {few} ON a.\"user\" = b.\"user\""))
        .view("right_bound", &format!("SELECT coalesce(a.\"user\", b.\"user\") AS \"user\", coalesce(a.x, 0) + 2 * coalesce(b.y, 0) AS right_bound
             FROM {few} FULL JOIN {last} ON a.\"user\" = b.\"user\""));
    let dataset = project.dataset();
    // The newest order is user 3's on the 10th, user 9's on the 11th.
    assert_eq!(shown(&dataset, "left_bound"), ["1", "100", "15", "NULL", "10000"]);
    assert_eq!(shown(&dataset, "right_bound"), shown(&dataset, "left_bound"));
}

/// A log of one file a day for ten days; the partition's value is a day off. Labels on the last three days.
fn daily(config: &str) -> Project {
    let labels = table(
        "user:i64 at:us@UTC
         1         2025-03-08T12:00
         2         2025-03-09T12:00
         1         2025-03-10T00:00",
    );
    let files: Vec<(String, RecordBatch)> = (1..=10)
        .map(|day| {
            let mut text = "id:i64 user:i64 ts:us@UTC seen:us@UTC x:i64\n".to_string();
            for user in 1..=2 {
                writeln!(text, "{day} {user} 2025-03-{day:02}T10:00 2025-03-{day:02}T11:00 {}", 10 * day + user)
                    .unwrap();
            }
            (format!("dt=2025-03-{:02}/part.parquet", day + 1), table(&text))
        })
        .collect();
    let files: Vec<(&str, RecordBatch)> = files.iter().map(|(name, rows)| (name.as_str(), rows.clone())).collect();
    Project::new("keys = [\"user\"]\ntime = \"at\"", &labels).source_of_files("events", config, &files)
}

const TIMES: &str = "time = \"ts\"\navailable_at = \"seen\"";

/// Files that each scan of a view keeps of ten.
fn files(view: &Explained) -> Vec<u64> {
    assert!(
        view.scans.iter().all(|s| s.files_of == 10 && s.row_groups == s.files && s.rows == 2 * s.files),
        "{view:?}"
    );
    view.scans.iter().map(|s| s.files).collect()
}

#[test]
fn files_out_of_reach_of_all_label_times_are_not_read_whatever_their_partition_says() {
    let counted = |from: &str| format!("SELECT \"user\", sum(x) AS total FROM events WHERE {from} GROUP BY \"user\"");
    let recent = "ts > NOW() - INTERVAL '2 days'";
    let project = daily(TIMES)
        .view("plain", &counted(recent).replace("total", "plain"))
        .view("moved", &counted("ts + INTERVAL '2 days' > NOW()").replace("total", "moved"))
        .view("today", &counted("CAST(ts AS DATE) = CURRENT_DATE").replace("total", "today"))
        .view("truncated", &counted("date_trunc('day', ts) >= NOW() - INTERVAL '1 day'").replace("total", "truncated"))
        .view("looked_up", &format!("SELECT a.\"user\", sum(e.x) AS looked_up FROM (SELECT \"user\", count(*) AS n FROM events
             WHERE {recent} GROUP BY \"user\") a LEFT JOIN events e ON e.\"user\" = a.\"user\" AND e.{recent} GROUP BY a.\"user\""))
        .view("united", &format!("SELECT \"user\", sum(x) AS united FROM (SELECT \"user\", x FROM events WHERE {recent}
             UNION ALL SELECT \"user\", -x FROM events WHERE ts > NOW() - INTERVAL '1 day') u GROUP BY \"user\""))
        .view("above", "SELECT \"user\", plain + 1 AS above FROM plain")
        .view("unbounded", "SELECT \"user\", sum(x) AS unbounded FROM events GROUP BY \"user\"");
    let expected: [(&str, &[u64]); 8] = [
        ("plain", &[3]),
        ("moved", &[3]),
        ("today", &[3]),
        ("truncated", &[3]),
        ("looked_up", &[3]),
        ("united", &[3, 2]),
        ("above", &[3]),
        ("unbounded", &[9]),
    ];
    let explained = explained(&project);
    for (name, kept) in expected {
        let view = explained.iter().find(|e| e.view.view == name).unwrap();
        assert_eq!(files(view), kept, "{name}");
    }
    let dataset = project.dataset();
    // On the 8th at noon: the 7th and the 8th; on the 9th: the 8th and the 9th; on the 10th at midnight: the 8th and the 9th.
    assert_eq!(shown(&dataset, "plain"), ["152", "174", "172"]);
    assert_eq!(shown(&dataset, "moved"), shown(&dataset, "plain"));
    assert_eq!(shown(&dataset, "above"), ["153", "175", "173"]);
    assert_eq!(shown(&dataset, "today"), ["81", "92", "NULL"]);
    assert_eq!(shown(&dataset, "unbounded"), ["368", "468", "459"]);
}

#[test]
fn an_older_copy_out_of_the_window_still_hides_a_newer_one() {
    // The copy of id 1 that arrived first is stamped far before every window, in a file of its own.
    let labels = table("user:i64 at:us@UTC\n 1 2025-03-10T12:00");
    let old = table(
        "id:i64 user:i64 ts:us@UTC         seen:us@UTC       x:i64
         1       1         2025-01-01T00:00  2025-01-01T00:00  1",
    );
    let new = table(
        "id:i64 user:i64 ts:us@UTC         seen:us@UTC       x:i64
         1       1         2025-03-10T10:00  2025-03-10T10:00  10
         2       1         2025-03-10T11:00  2025-03-10T11:00  100
         3       2         2025-03-10T09:00  2025-03-10T09:00  1000
         3       1         2025-03-10T11:00  2025-03-10T11:00  10000",
    );
    let config = format!("{TIMES}\nid = [\"id\"]");
    let sql = "SELECT \"user\", sum(x) AS total FROM events WHERE ts > NOW() - INTERVAL '1 day' GROUP BY \"user\"";
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source_of_files("events", &config, &[("a.parquet", old), ("b.parquet", new)])
        .view("v", sql);
    // Id 3 first arrived as another user's, whom no label asks about: it is not this user's.
    assert_eq!(shown(&project.dataset(), "total"), ["100"]);
    assert_eq!(explained(&project)[0].scans[0].files, 2);
}

/// Rows of `user` 0 to `users`, one a second.
fn many(rows: i64, users: i64, time: &str) -> RecordBatch {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = [("user", DataType::Int64), (time, instant)].map(|(name, t)| Field::new(name, t, false));
    let user = Int64Array::from_iter_values((0..rows).map(|i| i * users / rows));
    let at = TimestampMicrosecondArray::from_iter_values((0..rows).map(|i| 1_700_000_000_000_000 + i * 1_000_000));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    RecordBatch::try_new(schema, vec![Arc::new(user), Arc::new(at.with_timezone("UTC"))]).unwrap()
}

#[test]
fn a_view_that_explodes_is_warned_of_with_an_estimate() {
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"", &many(10_000, 100, "at"))
        .source("events", "time = \"ts\"", &many(20_000, 100, "ts"))
        .view("keyed", "SELECT \"user\", count(*) AS keyed FROM events GROUP BY \"user\"")
        .view("all_keys", "SELECT \"user\", max(r) AS all_keys FROM (SELECT \"user\", rank() OVER (ORDER BY ts) AS r FROM events) GROUP BY \"user\"")
        .view("no_key", "SELECT count(*) AS no_key FROM events")
        .view("unequal", "SELECT a.\"user\", a.n + max(e.ts - a.latest > INTERVAL '1 day')::INT AS unequal FROM (SELECT \"user\", count(*) AS n,
             max(ts) AS latest FROM events GROUP BY \"user\") a LEFT JOIN events e ON e.ts > a.latest GROUP BY a.\"user\", a.n")
        .view("product", "SELECT a.\"user\", count(*) AS product FROM events a JOIN events b ON b.ts > a.ts GROUP BY a.\"user\"");
    let found = |view: &Explained| -> Vec<(&str, String)> {
        let many = view.findings.iter().filter(|w| w.code.unwrap().starts_with("B22"));
        many.map(|w| (w.code.unwrap(), w.message.clone())).collect()
    };
    let explained = explained(&project);
    let of = |name: &str| found(explained.iter().find(|e| e.view.view == name).unwrap());
    assert_eq!(of("keyed"), []);
    let one = |name: &str, code: &str, estimate: &str| {
        let found = of(name);
        assert!(found.len() == 1 && found[0].0 == code && found[0].1.ends_with(estimate), "{name}: {found:?}");
    };
    one("all_keys", "B220", "up to 10000 label rows x 20000 rows = 2e8");
    // Swept: no label time is held against a row.
    assert_eq!(of("no_key"), []);
    one("unequal", "B221", "up to 10000 label rows x 20000 rows = 2e8");
    one("product", "B222", "up to 20000 rows x 20000 rows = 4e8");
    let told = project.backcast(&["check"]).exits_with(0).stdout;
    for part in ["warning[B220]", "warning[B221]", "warning[B222]", "all_keys.sql:1:1", "help: "] {
        assert!(told.contains(part), "no `{part}` in {told}");
    }
}

/// Rows that each scan of files has given, in a plan that has run.
fn rows_read(plan: &Arc<dyn ExecutionPlan>) -> Vec<usize> {
    let mut found = Vec::new();
    if plan.downcast_ref::<DataSourceExec>().is_some()
        && let Some(metrics) = plan.metrics()
    {
        found.extend(metrics.output_rows());
    }
    for child in plan.children() {
        found.extend(rows_read(child));
    }
    found
}

#[test]
fn row_groups_and_pages_are_pruned_by_the_labels_keys_and_times() {
    // Users and times grow together. The labels ask for one user of a hundred.
    let labels = table("user:i64 at:us@UTC\n 40 2023-11-15T12:00\n 40 2023-11-15T13:00");
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"", &many(100_000, 100, "ts"))
        .view("by_key", "SELECT \"user\", count(*) AS by_key FROM events GROUP BY \"user\"")
        .view("by_time", "SELECT count(*) AS by_time FROM events WHERE ts > NOW() - INTERVAL '1 minute'");
    assert_eq!(shown(&project.dataset(), "by_key"), ["1000", "1000"]);
    let config = backcast::config::load(&project.path("backcast.toml"), &[]).unwrap().0;
    let read = run(|| async move {
        let prepared = pipeline::prepare(config, &backcast::monitor::Silent).await.unwrap();
        let (opened, labels) = (&prepared.opened, &prepared.labels);
        let mut read = Vec::new();
        for view in &opened.project.views {
            let observers = LabelObservers::new(labels, &view.keys, labels.now_unit()).unwrap();
            let times = Some((labels.times.value(0), labels.times.value(1)));
            let logs = &opened.project.inputs.logs;
            let choice = choose(
                view,
                logs,
                &observers.spines,
                times,
                &opened.session,
                Engine::Auto,
                backcast::source::Redelivery::ByTime,
            )
            .unwrap();
            let state = opened.session.state();
            let plan = state.create_physical_plan(&choice.plan.unwrap()).await.unwrap();
            collect(Arc::clone(&plan), state.task_ctx()).await.unwrap();
            read.push(rows_read(&plan));
        }
        read
    });
    // One row group with pages of 20480 rows: the scan gives pages, not rows. The spine is a scan of memory and has no such metric.
    for rows in &read {
        let most = rows.iter().max().unwrap();
        assert!((1..50_000).contains(most), "{rows:?} rows were read");
    }
}
