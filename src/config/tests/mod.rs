//! A configuration in a folder of its own, and what loading it says.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Config, load};
use crate::finding::Finding;

mod example;
mod files;
mod findings;
mod mutations;
mod overrides;
mod profiles;
mod schema;
mod secrets;

/// The least that is valid, one statement a line.
const MINIMAL: &str = r#"[project]
name = "p"
[labels]
uri = "labels/*.parquet"
keys = ["user_id"]
time = "label_ts"
[sources.events]
uri = "events/"
time = "ts"
[views.activity]
sql = "queries/activity.sql"
"#;

struct Project {
    dir: TempDir,
}

impl Project {
    fn new(config: &str) -> Self {
        Self::of_bytes(config.as_bytes())
    }

    fn of_bytes(config: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for file in ["labels/a.parquet", "events/a.parquet", "legacy/train.parquet", "queries/activity.sql"] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(dir.path().join("backcast.toml"), config).unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("backcast.toml")
    }

    fn load(&self, set: &[&str]) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        load(&self.path(), &set)
    }
}

/// The minimal configuration with lines added.
fn minimal_and(more: &str) -> String {
    format!("{MINIMAL}{more}\n")
}

fn loaded(config: &str) -> Config {
    Project::new(config).load(&[]).unwrap_or_else(|findings| panic!("{}", shown(&findings))).0
}

fn refused(config: &str) -> Vec<Finding> {
    Project::new(config).load(&[]).expect_err(config)
}

fn shown(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("{f}\n\n")).collect()
}

/// The characters that the caret of a finding underlines.
fn underlined(finding: &Finding) -> String {
    let place = finding.place.as_ref().expect("a place");
    place.text.chars().skip(place.column - 1).take(place.length).collect()
}
