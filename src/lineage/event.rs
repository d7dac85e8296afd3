//! An OpenLineage run event as JSON. Pure: the time and the run's name are given.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::lineage::dataset::Dataset;

/// A run's name: a UUID, version 7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId(String);

impl RunId {
    /// Made of a time and of bits that no other run has.
    pub fn new(at: DateTime<Utc>, random: [u64; 2]) -> Self {
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0) & 0xffff_ffff_ffff;
        let [a, b] = random;
        Self(format!(
            "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
            millis >> 16,
            millis & 0xffff,
            a & 0xfff,
            (b >> 48) & 0x3fff | 0x8000,
            b & 0xffff_ffff_ffff
        ))
    }

    /// A new one.
    pub fn now() -> Self {
        let random = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        Self::new(Utc::now(), [random(), random()])
    }
}

/// The job of which this is a run.
#[derive(Debug, Clone)]
pub struct Job {
    pub namespace: String,
    /// `project.command`.
    pub name: String,
    /// The run that started this one, as `namespace/name/id`, where a scheduler says so.
    pub parent: Option<String>,
}

/// What became of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Start,
    Complete,
    Fail(String),
    /// Somebody stopped it.
    Abort,
}

/// One event.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    pub at: DateTime<Utc>,
    pub run: &'a RunId,
    pub job: &'a Job,
    pub outcome: Outcome,
    pub inputs: &'a [Dataset],
    pub outputs: &'a [Dataset],
}

impl Event<'_> {
    pub fn json(&self) -> Value {
        let version = env!("CARGO_PKG_VERSION");
        let producer = format!("urn:backcast:{version}");
        let facet = |name: &str, of: &str, mut body: Value| {
            body["_producer"] = producer.clone().into();
            body["_schemaURL"] = format!("https://openlineage.io/spec/facets/{of}/{name}.json#/$defs/{name}").into();
            body
        };
        let mut run = json!({
            "processing_engine": facet("ProcessingEngineRunFacet", "1-1-1", json!({
                "name": "DataFusion",
                "version": datafusion::DATAFUSION_VERSION,
                "openlineageAdapterVersion": version,
            })),
        });
        if let Outcome::Fail(message) = &self.outcome {
            let body = json!({ "message": message, "programmingLanguage": "Rust" });
            run["errorMessage"] = facet("ErrorMessageRunFacet", "1-0-1", body);
        }
        if let Some((job, id)) = self.job.parent.as_deref().and_then(|p| p.rsplit_once('/'))
            && let Some((namespace, name)) = job.split_once('/')
        {
            let body = json!({ "run": { "runId": id }, "job": { "namespace": namespace, "name": name } });
            run["parent"] = facet("ParentRunFacet", "1-0-1", body);
        }
        let kind = json!({ "processingType": "BATCH", "integration": "BACKCAST", "jobType": "COMMAND" });
        json!({
            "eventType": match self.outcome {
                Outcome::Start => "START",
                Outcome::Complete => "COMPLETE",
                Outcome::Fail(_) => "FAIL",
                Outcome::Abort => "ABORT",
            },
            "eventTime": self.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "producer": producer,
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": { "runId": self.run.0, "facets": run },
            "job": {
                "namespace": self.job.namespace,
                "name": self.job.name,
                "facets": { "jobType": facet("JobTypeJobFacet", "2-0-3", kind) },
            },
            "inputs": self.inputs.iter().map(|d| d.json(&producer, false)).collect::<Vec<_>>(),
            "outputs": self.outputs.iter().map(|d| d.json(&producer, true)).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_a_uuid_of_version_7() {
        let at = DateTime::from_timestamp_millis(0x0192_3456_789a).unwrap();
        let id = RunId::new(at, [u64::MAX, u64::MAX]);
        assert_eq!(id.0, "01923456-789a-7fff-bfff-ffffffffffff");
        assert_eq!(RunId::new(at, [0, 0]).0, "01923456-789a-7000-8000-000000000000");
        assert_ne!(RunId::now(), RunId::now());
    }

    #[test]
    fn an_event_has_what_the_specification_requires() {
        let run = RunId::new(DateTime::UNIX_EPOCH, [1, 2]);
        let job = Job {
            namespace: "ns".to_string(),
            name: "p.run".to_string(),
            parent: Some("airflow/dag.task/01923456-789a-7000-8000-000000000000".to_string()),
        };
        let outcome = Outcome::Fail("out of luck".to_string());
        let event = Event { at: DateTime::UNIX_EPOCH, run: &run, job: &job, outcome, inputs: &[], outputs: &[] }.json();
        for key in ["eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"] {
            assert!(event.get(key).is_some(), "no {key}");
        }
        assert_eq!(event["eventTime"], "1970-01-01T00:00:00.000Z");
        assert_eq!(event["run"]["facets"]["errorMessage"]["message"], "out of luck");
        assert_eq!(event["run"]["facets"]["parent"]["job"]["name"], "dag.task");
        for facet in event["run"]["facets"].as_object().unwrap().values() {
            assert!(facet["_producer"].is_string() && facet["_schemaURL"].is_string(), "{facet}");
        }
    }
}
