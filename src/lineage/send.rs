//! To where events go: a line of a file each, or a POST each.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use datafusion::object_store::ClientOptions;
use datafusion::object_store::client::{HttpConnector, HttpRequest, ReqwestConnector};
use serde_json::Value;

use crate::config::without_secrets;

/// Nobody should wait for lineage.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where the key of an HTTP endpoint is read from: it stands in no file.
const KEY: &str = "OPENLINEAGE_API_KEY";

/// A file, or an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    File(PathBuf),
    Http(String),
}

impl Sink {
    /// Of a resolved URI.
    pub fn new(uri: &str) -> Self {
        match uri.starts_with("http://") || uri.starts_with("https://") {
            true => Self::Http(uri.to_string()),
            false => Self::File(PathBuf::from(uri)),
        }
    }
}

/// Sends an event.
///
/// # Errors
/// Why it could not, for a note: it has no other consequence.
pub async fn send(sink: &Sink, event: &Value) -> Result<(), String> {
    match sink {
        Sink::File(path) => {
            let line = format!("{event}\n");
            let open = || -> std::io::Result<()> {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                // One write: lines of two runs don't mix.
                std::fs::File::options().create(true).append(true).open(path)?.write_all(line.as_bytes())
            };
            open().map_err(|e| format!("`{}`: {e}", path.display()))
        }
        Sink::Http(address) => {
            let told = |e: String| format!("`{}`: {e}", without_secrets(address));
            tokio::time::timeout(PATIENCE, post(address, event))
                .await
                .map_err(|_| told(format!("no answer in {} s", PATIENCE.as_secs())))?
                .map_err(told)
        }
    }
}

async fn post(address: &str, event: &Value) -> Result<(), String> {
    let options = ClientOptions::new().with_allow_http(true).with_timeout(PATIENCE);
    let client = ReqwestConnector::default().connect(&options).map_err(|e| e.to_string())?;
    let mut request = HttpRequest::new(event.to_string().into());
    *request.method_mut() = "POST".parse().map_err(|_| "no POST".to_string())?;
    *request.uri_mut() = address.parse().map_err(|_| "it is no address".to_string())?;
    let json = "application/json".parse().map_err(|_| "no header".to_string())?;
    request.headers_mut().insert("content-type", json);
    if let Some(key) = std::env::var(KEY).ok().filter(|key| !key.is_empty()) {
        let key = format!("Bearer {key}").parse().map_err(|_| format!("{KEY} can't be sent"))?;
        request.headers_mut().insert("authorization", key);
    }
    let answer = client.execute(request).await.map_err(|e| e.to_string())?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answered {status}")),
    }
}
