//! `.backcast/run.jsonl` of the output folder: what the last run did and when, a line for each event, for schedulers and for whoever
//! wants to know how far a run is that is not on their own terminal.

use datafusion::object_store::{ObjectStoreExt, PutPayload};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::source::Location;

const FILE: &str = ".backcast/run.jsonl";

/// The events of one run.
#[derive(Debug)]
pub(super) struct Events {
    location: Location,
    lines: String,
}

impl Events {
    pub(super) fn new(output: &Location) -> Self {
        Self { location: output.join(FILE), lines: String::new() }
    }

    /// Adds an event with the time, and writes all of them.
    ///
    /// # Errors
    /// A storage error.
    pub(super) async fn tell(&mut self, event: &str, what: Value) -> Result<()> {
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let mut line = Map::new();
        line.insert("at".to_string(), json!(now));
        line.insert("event".to_string(), json!(event));
        if let Value::Object(what) = what {
            line.extend(what);
        }
        self.lines.push_str(&Value::Object(line).to_string());
        self.lines.push('\n');
        let at = &self.location;
        let payload = PutPayload::from(self.lines.clone().into_bytes());
        at.store.put(&at.path, payload).await.map_err(|e| Error::storage(format!("write `{}`", at.uri), e))?;
        Ok(())
    }
}
