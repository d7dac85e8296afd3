//! The workloads: what is asked, and what it may cost.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Failed, Result};

/// One feature query over the workload's data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    sql: &'static str,
    /// Whether events are seen once they have arrived, and redelivered ones once.
    arrivals: bool,
    pub(crate) features: &'static [&'static str],
    /// How the peers are asked, by engine; none where there is nothing to compare.
    pub(crate) peers: &'static [(&'static str, &'static str)],
    /// What it may cost, as a share of the best peer's.
    pub(crate) target: Option<f64>,
}

const DAY: &[&str] = &["events_24h", "total_24h", "largest_24h"];
const DAY_PEERS: &[(&str, &str)] = &[("duckdb", "join on days"), ("polars", "join on days")];

/// All of them, in order.
pub(crate) const WORKS: &[Work] = &[
    Work {
        name: "W0",
        title: "24 h of all users: count, sum",
        sql: "w0_everyone",
        arrivals: false,
        features: &["events_24h", "total_24h"],
        peers: &[("duckdb", "running totals"), ("polars", "running totals")],
        target: None,
    },
    Work {
        name: "W1",
        title: "latest value",
        sql: "w1_latest",
        arrivals: false,
        features: &["latest_value"],
        peers: &[("duckdb", "as-of join"), ("polars", "as-of join")],
        target: Some(0.6),
    },
    Work {
        name: "W2",
        title: "24 h: count, sum, max",
        sql: "w2_day",
        arrivals: false,
        features: DAY,
        peers: DAY_PEERS,
        target: Some(0.8),
    },
    Work {
        name: "W3",
        title: "24 h, 7 d, 30 d, 90 d: count, sum, avg, min, max",
        sql: "w3_windows",
        arrivals: false,
        features: &[
            "events_24h",
            "total_24h",
            "mean_24h",
            "smallest_24h",
            "largest_24h",
            "events_7d",
            "total_7d",
            "mean_7d",
            "smallest_7d",
            "largest_7d",
            "events_30d",
            "total_30d",
            "mean_30d",
            "smallest_30d",
            "largest_30d",
            "events_90d",
            "total_90d",
            "mean_90d",
            "smallest_90d",
            "largest_90d",
        ],
        peers: &[("duckdb", "tiles"), ("polars", "tiles")],
        target: Some(0.25),
    },
    Work {
        name: "W3d",
        title: "as W3, all four windows a day long",
        sql: "w3_days",
        arrivals: false,
        features: &[],
        peers: &[],
        target: None,
    },
    Work {
        name: "W4",
        title: "as W2, with arrivals and redelivery",
        sql: "w2_day",
        arrivals: true,
        features: DAY,
        peers: &[("duckdb", "join on days, then ids"), ("polars", "join on days, then ids")],
        target: Some(0.6),
    },
];

/// W3 may cost so many times as much as W3d: long windows cost no more than short ones.
pub(crate) const LENGTHS_TARGET: f64 = 1.5;
/// Five times the rows may take so many times as long.
pub(crate) const GROWTH_TARGET: f64 = 5.5;

impl Work {
    /// The columns of the events that have to be read.
    pub(crate) fn columns(&self) -> Vec<&'static str> {
        let mut columns = vec!["event_timestamp", "event_value"];
        if self.name != "W0" {
            columns.push("user_id");
        }
        if self.arrivals {
            columns.extend(["event_id", "ingested_at"]);
        }
        columns
    }

    /// Writes the project that asks this of the data in a folder; its config.
    ///
    /// # Errors
    /// What the disk refuses.
    pub(crate) fn write_project(&self, data: &Path) -> Result<PathBuf> {
        let name = self.name.to_lowercase();
        let sql = repository().join(format!("queries/bench/{}.sql", self.sql));
        let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
        let arrivals = if self.arrivals { "available_at = \"ingested_at\"\nid = [\"event_id\"]\n" } else { "" };
        let counts = self.features.iter().filter(|f| f.starts_with("events_"));
        let counts: String = counts.map(|f| format!("[views.{name}.features.{f}]\nwhen_missing = 0\n")).collect();
        let text = format!(
            "[project]\nname = \"bench-{name}\"\n\n[labels]\nuri = \"labels.parquet\"\nkeys = [\"user_id\"]\ntime = \"label_ts\"\n\n\
             [sources.events]\nuri = \"events/\"\ntime = \"event_timestamp\"\n{arrivals}\n[views.{name}]\nsql = {}\n{counts}\n\
             [output]\nuri = \"out/{name}\"\n",
            quoted(&sql)
        );
        let config = data.join(format!("{name}.toml"));
        fs::write(&config, text).map_err(|e| Failed::io(&config, e))?;
        Ok(config)
    }

    /// The dataset that the project writes.
    pub(crate) fn dataset(&self, data: &Path) -> PathBuf {
        data.join("out").join(self.name.to_lowercase())
    }
}

/// Where the queries are.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
