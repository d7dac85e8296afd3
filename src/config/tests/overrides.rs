//! `--set key=value` over the file.

use super::*;
use crate::config::{Chunk, Tie};

fn with(set: &[&str]) -> Config {
    Project::new(MINIMAL).load(set).unwrap_or_else(|findings| panic!("{}", shown(&findings))).0
}

fn refused_set(set: &str) -> Finding {
    let mut findings = Project::new(MINIMAL).load(&[set]).expect_err(set);
    assert_eq!(findings.len(), 1, "{}", shown(&findings));
    findings.remove(0)
}

#[test]
fn an_override_replaces_or_adds_a_value() {
    let config = with(&[
        "run.threads=4",
        "run.chunk = 7 days",
        "labels.tie=exclude",
        "labels.keys=[\"a\", \"b\"]",
        "project.name=2025",
        "run.memory=\"2 GiB\"",
        "diff.tolerance={ abs = 0.5 }",
        "views.\"activity\".features.\"x=y\".when_null=0",
        "sources.events.delay=5 minutes",
        "output.uri=s3://lake/a=b/",
        "snapshots.march.uri=legacy/train.parquet",
        "snapshots.march.columns.old=activity.new",
        "storage.aws_allow_http=true",
        "snapshots.march.keys=[\"a\", \"b\"]",
    ]);
    assert_eq!(config.run.threads, Some(4));
    assert_eq!(config.run.chunk, Chunk::Every(7 * 86_400_000_000_000));
    assert_eq!(config.labels.tie, Tie::Exclude);
    assert_eq!(config.labels.keys, ["a", "b"]);
    assert_eq!(config.project.name, "2025");
    assert_eq!(config.run.memory, Some(2 << 30));
    assert_eq!(config.diff.tolerance.abs, 0.5);
    assert_eq!(config.views[0].features[0].name, "x=y");
    assert_eq!(config.sources[0].delay_ns, 300_000_000_000);
    assert_eq!(config.output.uri, "s3://lake/a=b/");
    assert_eq!(config.snapshots[0].columns, [("old".to_string(), "activity.new".to_string())]);
    assert_eq!(config.storage["aws_allow_http"], "true");
}

#[test]
fn the_last_override_of_a_key_wins() {
    assert_eq!(with(&["run.threads=4", "run.threads=2"]).run.threads, Some(2));
}

#[test]
fn a_finding_of_an_override_names_it() {
    let finding = refused_set("run.threads=0");
    assert_eq!(
        finding.to_string(),
        "error: `run.threads` is 0, and must be at least 1\n --> --set run.threads=0:1:13\n  |\n1 | run.threads=0\n  |             ^"
    );
    for (set, message, caret) in [
        ("labels.tie=both", "is `both`", "both"),
        ("labels.tei=include", "unknown key `tei`", "labels.tei"),
        ("run.memory=8", "is not a size: `8`", "8"),
        ("sources.events.uri=nowhere/", "does not exist", "nowhere/"),
        ("labels.keys=user_id", "must be a list", "user_id"),
        ("labels.keys=[user_id]", "not TOML", "[user_id]"),
        ("labels.keys.0=\"a\"", "has no key `0`", "labels.keys.0"),
        ("=5", "does not start with a key", "="),
        ("a b=5", "does not start with a key", "a b"),
        ("[x]\ny=5", "does not start with a key", "[x]"),
    ] {
        let finding = refused_set(set);
        assert!(finding.message.contains(message), "{set}: {finding}");
        assert_eq!(underlined(&finding), caret, "{set}: {finding}");
        assert!(finding.place.unwrap().file.starts_with("--set "));
    }
    assert_eq!(refused_set("run.threads").message, "an override has no value");
}

#[test]
fn an_override_holds_one_key_only() {
    let findings = Project::new(MINIMAL).load(&["run.threads=4\nrun.memory=\"1 GiB\""]).unwrap_err();
    assert_eq!(findings.len(), 1, "{}", shown(&findings));
}

#[test]
fn overrides_are_checked_also_where_the_file_does_not_parse() {
    let findings = Project::new("[labels").load(&["run.threads"]).unwrap_err();
    assert_eq!(findings.len(), 2);
}
