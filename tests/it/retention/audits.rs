//! What an audit finds in files, how much it reads, and the inventory.

use super::{ns, unwrapped};
use crate::support::{Project, Rng, read_parquet, table, write_parquet};

const HOUR: i64 = 3_600_000_000_000;

/// Six weeks of about 20 events an hour, in daily files in Hive folders, without those that `lost` takes.
fn project(source: &str, lost: &dyn Fn(i64) -> bool) -> Project {
    let mut rng = Rng::new(11);
    let base = ns("2025-03-03T00:00:00Z");
    let mut files = Vec::new();
    for day in 0..42_i64 {
        let mut rows = String::from("user_id:i64 ts:us@UTC\n");
        let mut count = 0;
        for _ in 0..480 {
            let time = base + day * 24 * HOUR + rng.range(0, 24 * 3600) * 1_000_000_000;
            if !lost(time) {
                let shown = chrono::DateTime::from_timestamp_nanos(time).format("%Y-%m-%dT%H:%M:%S");
                rows.push_str(&format!("1 {shown}\n"));
                count += 1;
            }
        }
        if count > 0 {
            let date = chrono::DateTime::from_timestamp_nanos(base + day * 24 * HOUR).format("%Y-%m-%d");
            files.push((format!("dt={date}/part.parquet"), table(&rows)));
        }
    }
    let files: Vec<(&str, _)> = files.iter().map(|(name, rows)| (name.as_str(), rows.clone())).collect();
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-04-13T00:00");
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source_of_files("events", &format!("time = \"ts\"\n{source}"), &files)
        .view("v", "SELECT user_id, max(ts) AS week FROM events WHERE ts > NOW() - INTERVAL '7 days' GROUP BY user_id")
}

fn audited(project: &Project, args: &[&str]) -> serde_json::Value {
    let all: Vec<&str> = ["audit", "--format", "json"].into_iter().chain(args.iter().copied()).collect();
    project.backcast(&all).exits_with(0).json()
}

fn within_an_hour(time: &serde_json::Value, planted: &str) {
    let off = (ns(time.as_str().unwrap()) - ns(planted)).abs();
    assert!(off <= HOUR, "{time} is {} minutes off {planted}", off / 60_000_000_000);
}

#[test]
fn planted_losses_are_found_within_an_hour_of_their_bounds() {
    let silent = (ns("2025-03-26T09:20:00Z"), ns("2025-03-26T15:40:00Z"));
    let missing = (ns("2025-04-03T00:00:00Z"), ns("2025-04-04T00:00:00Z"));
    let lost = |time: i64| (silent.0..silent.1).contains(&time) || (missing.0..missing.1).contains(&time);
    let project = project("", &lost);
    let report = audited(&project, &[]);
    let source = &report["retention"]["sources"][0];
    let warnings = source["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    for (found, (from, to)) in warnings
        .iter()
        .zip([("2025-03-26T09:20:00Z", "2025-03-26T15:40:00Z"), ("2025-04-03T00:00:00Z", "2025-04-04T00:00:00Z")])
    {
        assert_eq!(found["kind"], "silent");
        within_an_hour(&found["from"], from);
        within_an_hour(&found["to"], to);
    }
    assert_eq!(source["missing_partitions"], serde_json::json!(["dt=2025-04-03"]));
    let text = project.backcast(&["audit"]).exits_with(0).stdout;
    assert!(text.contains("1 partition not there: dt=2025-04-03\n"), "{text}");
    // What is only judged does not count.
    assert_eq!(source["gaps"], serde_json::json!([]));
    assert_eq!(report["retention"]["features"][0]["covered"], 1);
    assert!(source["row_groups_read"].as_u64().unwrap() >= 40);
    let read = source["bytes_read"].as_u64().unwrap();
    assert!(read > 0 && report["retention"]["bytes_read"] == read);
}

#[test]
fn a_silence_that_is_too_long_is_a_gap_for_the_rows_that_meet_it() {
    let (from, to) = (ns("2025-04-08T10:00:00Z"), ns("2025-04-08T17:00:00Z"));
    let report = audited(&project("max_silence = \"6 hours\"", &|t| (from..to).contains(&t)), &[]);
    let retention = &report["retention"];
    let gaps = retention["sources"][0]["gaps"].as_array().unwrap();
    assert_eq!((gaps.len(), &gaps[0]["kind"]), (1, &"silent".into()));
    assert_eq!((&retention["features"][0]["covered"], &retention["features"][0]["gap"]), (&0.into(), &1.into()));
    let footers = audited(&project("max_silence = \"6 hours\"", &|t| (from..to).contains(&t)), &["--footers-only"]);
    let source = &footers["retention"]["sources"][0];
    // A file a day: footers alone do not tell, and that is said.
    assert_eq!((&source["row_groups_read"], &source["gaps"]), (&0.into(), &serde_json::json!([])));
    assert_eq!(source["row_groups_not_read"], 42);
}

#[test]
fn thin_stretches_count_only_where_that_is_asked_for() {
    let (from, to) = (ns("2025-04-08T03:00:00Z"), ns("2025-04-09T09:00:00Z"));
    let lost = |t: i64| (from..to).contains(&t) && t / 1_000_000_000 % 10 < 8;
    for (config, gaps, warnings) in [("", 0, 1), ("thin = \"gap\"", 1, 0)] {
        let report = audited(&project(config, &lost), &[]);
        let source = &report["retention"]["sources"][0];
        let (own, told) = (source["gaps"].as_array().unwrap(), source["warnings"].as_array().unwrap());
        assert_eq!((own.len(), told.len()), (gaps, warnings), "{source:#}");
        let found = own.iter().chain(told).next().unwrap();
        assert_eq!(found["kind"], "thin");
        within_an_hour(&found["from"], "2025-04-08T03:00:00Z");
        within_an_hour(&found["to"], "2025-04-09T09:00:00Z");
    }
}

#[test]
fn an_audit_leaves_the_dataset_of_a_run_alone() {
    let project = project("", &|_| false);
    project.backcast(&["replay"]).exits_with(0);
    let before = project.outputs();
    let ran = project.backcast(&["audit"]).exits_with(0);
    assert!(unwrapped(&ran.stdout).contains("not written there"), "{}", ran.stdout);
    assert_eq!(project.outputs(), before);
}

#[test]
fn a_changelog_without_any_delete_is_told() {
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00");
    let config =
        "kind = \"changelog\"\ntime = \"ts\"\nid = [\"user_id\"]\ndeleted = \"op = 'D'\"\nsince = \"beginning\"";
    let notes = |op: &str| {
        let rows = table(&format!("user_id:i64 ts:us@UTC op:str\n 1 2025-03-01T12:00 I\n 2 2025-03-02T12:00 {op}"));
        let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
            .source("users", config, &rows)
            .view("v", "SELECT user_id, op AS last_op FROM users");
        audited(&project, &[])["retention"]["sources"][0]["notes"].to_string()
    };
    assert!(notes("U").contains("tombstones may not have been retained"));
    assert_eq!(notes("D"), "[]");
}

#[test]
fn schema_changes_are_told_with_the_file_that_has_them() {
    let project = project("", &|_| false);
    let path = project.path("events/dt=2025-04-13/part.parquet");
    let rows = read_parquet(&path);
    let amount: datafusion::arrow::array::ArrayRef =
        std::sync::Arc::new(datafusion::arrow::array::Float64Array::from(vec![1.0; rows.num_rows()]));
    write_parquet(&path, &crate::support::with_column(&rows, "amount", amount));
    let report = audited(&project, &[]);
    let changes = report["retention"]["sources"][0]["schema_changes"].as_array().unwrap();
    assert_eq!((changes.len(), &changes[0]["column"], &changes[0]["change"]), (1, &"amount".into(), &"added".into()));
    assert!(changes[0]["file"].as_str().unwrap().contains("dt=2025-04-13"));
}

#[test]
fn the_inventory_tells_who_depends_on_whom_and_what_to_migrate_first() {
    let project = project("", &|_| false)
        .view("w", "SELECT user_id, week AS later FROM v")
        .view("alone", "SELECT user_id, count(*) AS spare FROM events GROUP BY user_id")
        .config("[models.m]\nfeatures = [\"w.later\"]");
    let inventory = project.backcast(&["inventory", "--format", "json"]).exits_with(0).json();
    assert_eq!(inventory["sources"][0]["read_by"], serde_json::json!(["v", "alone"]));
    assert_eq!(inventory["unused_features"], serde_json::json!(["v.week", "alone.spare"]));
    let order: Vec<&str> =
        inventory["migration"].as_array().unwrap().iter().map(|s| s["view"].as_str().unwrap()).collect();
    assert_eq!(order, ["alone", "v", "w"]);
    assert_eq!(inventory["views"][0]["models"], serde_json::json!(["m"]));
    let dot = project.backcast(&["inventory", "--graph", "dot"]).exits_with(0).stdout;
    assert!(dot.contains("\"view:v\" -> \"view:w\";") && dot.contains("\"feature:w.later\" -> \"model:m\";"), "{dot}");
    let mermaid = project.backcast(&["inventory", "--graph", "mermaid"]).exits_with(0).stdout;
    assert!(mermaid.starts_with("flowchart LR\n") && mermaid.contains("-->"), "{mermaid}");
    let text = project.backcast(&["inventory"]).exits_with(0).stdout;
    for part in
        ["1. alone (0 models depend on it)", "2. v (1 model depends on it)", "  m: 1 feature\n", "events/: 42 files, "]
    {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}
