//! The program through its binary: exit codes, what goes to stdout and what to stderr, outputs.

mod check;
mod choices;
mod fixture;
mod init;
mod lineage;
mod outputs;
mod schema_of;

use crate::support::{Project, table};

/// One user with two events, one view, a snapshot that agrees: everything is well.
fn project() -> Project {
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00\n 2 2025-03-10T12:00");
    let events = table("user_id:i64 ts:us@UTC\n 1 2025-03-10T11:00\n 1 2025-03-10T11:30\n 2 2025-03-10T11:30");
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"\nsince = \"beginning\"", &events)
        .view("v", "-- backcast: allow(B202, B205): this log is all there is\nSELECT user_id, count(*) AS n FROM events GROUP BY user_id")
}

/// The same with a snapshot in which `n` has these values.
fn compared(first: i64, second: i64) -> Project {
    let rows = format!("user_id:i64 at:us@UTC n:i64\n 1 2025-03-10T12:00 {first}\n 2 2025-03-10T12:00 {second}");
    let project = project().config("[snapshots.old]\nuri = \"old.parquet\"");
    crate::support::write_parquet(&project.path("old.parquet"), &table(&rows));
    project
}

#[test]
fn done_is_0_with_the_summary_on_stdout_and_nothing_on_stderr() {
    let ran = compared(2, 1).backcast(&["run"]).exits_with(0);
    assert!(ran.stdout.starts_with("Done: every gate met (test)"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_gate_that_is_not_met_is_3_and_everything_is_written() {
    let project = compared(2, 7);
    let ran = project.backcast(&["run"]).exits_with(3);
    assert!(ran.stdout.contains("v.n"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
    let outputs = project.outputs();
    for part in ["dataset/", "mismatches/old/", "manifest.json", "report.html", "report.json"] {
        assert!(outputs.iter().any(|o| o.starts_with(part)), "no {part} in {outputs:?}");
    }
}

#[test]
fn bad_input_is_2_with_findings_on_stderr_and_nothing_written() {
    let project = project().view("broken", "SELECT user_id, missing FROM events");
    let ran = project.backcast(&["run"]).exits_with(2).complains_of(&["missing", "broken.sql:1:17"]);
    assert_eq!(ran.stdout, "");
    assert!(project.outputs().is_empty());
}

#[test]
fn arguments_that_are_not_known_are_2() {
    let project = project();
    for args in [&["rnu"][..], &["run", "--fromat", "json"], &["run", "--engine", "warp"], &[]] {
        let ran = project.backcast(args).exits_with(2);
        assert_eq!(ran.stdout, "", "{args:?}");
        assert!(!ran.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_are_0_on_stdout_with_an_example_of_each_command() {
    let project = project();
    assert!(project.backcast(&["--version"]).exits_with(0).stdout.starts_with("backcast "));
    for command in ["check", "explain", "replay", "diff", "run"] {
        let ran = project.backcast(&[command, "--help"]).exits_with(0);
        assert!(
            ran.stdout.contains(&format!("backcast {command} ")) && ran.stdout.contains("Example"),
            "{}",
            ran.stdout
        );
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn config_that_is_not_there_is_told_with_the_nearest_one() {
    let ran = project().backcast(&["check", "bakcast.toml"]).exits_with(2);
    assert!(ran.stdout.contains("there is no configuration `bakcast.toml`"), "{}", ran.stdout);
    assert!(ran.stdout.contains("did you mean `./backcast.toml`?"), "{}", ran.stdout);
}

#[test]
fn json_is_one_document_on_stdout_for_every_command() {
    let project = compared(2, 1);
    let check = project.backcast(&["check", "--format", "json"]).exits_with(0).json();
    assert_eq!(check["passed"], true);
    let explain = project.backcast(&["explain", "v", "--format", "json"]).exits_with(0).json();
    assert_eq!(explain["views"][0]["engine"], "sweep");
    for command in ["replay", "diff", "run"] {
        let ran = project.backcast(&[command, "--format", "json"]).exits_with(0);
        assert_eq!(ran.stderr, "");
        let report = ran.json();
        assert_eq!(report["format"], 1);
        assert_eq!(report["labels"]["rows"], 2);
        assert_eq!(report["labels"]["first"], "2025-03-10T12:00:00Z");
        assert_eq!(report["views"][0]["view"], "v");
        assert_eq!(report["snapshots"].as_array().unwrap().len(), usize::from(command != "replay"), "{command}");
        assert_eq!(report["self_check"]["differences"], 0);
    }
}

#[test]
fn json_of_a_failure_is_one_document_too() {
    let project = project().view("broken", "SELECT user_id, missing FROM events");
    let ran = project.backcast(&["run", "--format", "json"]).exits_with(2);
    let document = ran.json();
    assert_eq!(document["exit"], 2);
    assert_eq!(document["findings"][0]["line"], 1);
    assert!(document["findings"][0]["file"].as_str().unwrap().ends_with("broken.sql"), "{document:#}");
    assert!(ran.stderr.contains("broken.sql:1:17"), "{}", ran.stderr);
}

#[test]
fn report_that_is_printed_is_the_report_that_is_written() {
    let project = compared(2, 7);
    let printed = project.backcast(&["run", "--format", "json"]).exits_with(3).json();
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(project.path("out/report.json")).unwrap()).unwrap();
    assert_eq!(printed, written);
    let feature = &printed["snapshots"][0]["features"][0];
    assert_eq!(feature["feature"], "v.n");
    assert_eq!((&feature["compared"], &feature["equal"], &feature["mismatched"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(feature["agreement"], 0.5);
    assert_eq!(feature["passed"], false);
    assert_eq!(printed["gates"][0]["passed"], false);
}

#[test]
fn set_overrides_a_key_and_says_where_it_is_wrong() {
    let project = compared(2, 7);
    project.backcast(&["run", "--set", "diff.agreement=0.5"]).exits_with(0);
    project.backcast(&["run", "--set", "labels.tei=exclude"]).exits_with(2).complains_of(&["tei", "`tie`"]);
    let excluded = table("user_id:i64 ts:us@UTC\n 1 2025-03-10T12:00");
    crate::support::write_parquet(&project.path("events/part-0.parquet"), &excluded);
    for (tie, n) in [("include", "1"), ("exclude", "NULL")] {
        project.backcast(&["replay", "--set", &format!("labels.tie={tie}")]).exits_with(0);
        assert_eq!(crate::support::shown(&project.written(), "n")[0], n);
    }
}

#[test]
fn out_is_relative_to_where_it_was_typed() {
    let project = project();
    std::fs::create_dir(project.path("below")).unwrap();
    let ran = crate::support::backcast_in(&project.path("below"), &["replay", "..", "--out", "elsewhere"]);
    ran.exits_with(0);
    assert!(project.path("below/elsewhere/manifest.json").exists());
    assert!(project.outputs().is_empty());
}

#[test]
fn quiet_leaves_out_warnings_and_keeps_the_summary() {
    let project =
        compared(2, 1).config("[dataset]\nschema_of = \"old\"").view("w", "SELECT count(*) AS everyone FROM events");
    let loud = project.backcast(&["run"]).exits_with(0);
    assert!(loud.stderr.contains("`everyone` is not in the schema of the snapshot"), "{}", loud.stderr);
    let quiet = project.backcast(&["run", "--quiet"]).exits_with(0);
    assert_eq!(quiet.stderr, "");
    assert!(quiet.stdout.starts_with("Done"), "{}", quiet.stdout);
}

#[test]
fn diff_without_a_snapshot_is_refused() {
    project()
        .backcast(&["diff"])
        .exits_with(2)
        .complains_of(&["there is no snapshot to compare with", "[snapshots.NAME]"]);
}
