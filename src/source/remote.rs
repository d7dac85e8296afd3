//! Stores behind HTTP, with every request counted and retries bounded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::object_store::aws::AmazonS3Builder;
use datafusion::object_store::azure::MicrosoftAzureBuilder;
use datafusion::object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use datafusion::object_store::gcp::GoogleCloudStorageBuilder;
use datafusion::object_store::http::HttpBuilder;
use datafusion::object_store::{
    BackoffConfig, ClientOptions, Error as StoreError, ObjectStore, ObjectStoreScheme, Result as StoreResult,
    RetryConfig,
};
use serde::Serialize;
use url::Url;

use crate::error::{Error, Result};
use crate::finding::Finding;

/// `[storage]` options of our own: how often, and for how long, a request that failed is tried again.
const MAX_RETRIES: &str = "max_retries";
const RETRY_TIMEOUT: &str = "retry_timeout";
const DEFAULT_RETRIES: usize = 10;
const DEFAULT_RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests of all stores together, as they happen.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Sent, each try by itself.
    pub(super) sent: AtomicU64,
    /// Those that asked for a part of an object.
    pub(super) ranges_sent: AtomicU64,
    /// Those that failed in a way that is tried again.
    pub(super) failed: AtomicU64,
    /// Parts of objects that were wanted.
    pub(super) ranges_wanted: AtomicU64,
    /// Bytes of these.
    pub(super) bytes: AtomicU64,
    /// Bytes that were read, of stores behind HTTP and of disks.
    pub(super) all_bytes: AtomicU64,
    /// Objects that were listed as inputs.
    pub(super) objects: AtomicU64,
}

/// [`Requests`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StorageRequests {
    pub requests: u64,
    /// Of these, tries after one that failed: refused, throttled, timed out, or cut off in the middle of a body.
    pub retries: u64,
    pub bytes_read: u64,
    /// Input objects.
    pub objects: u64,
}

impl Requests {
    pub(super) fn now(&self) -> StorageRequests {
        let cut_off = self.ranges_sent.load(Relaxed).saturating_sub(self.ranges_wanted.load(Relaxed));
        // A part of an object that failed at once is in both counts.
        let retries = self.failed.load(Relaxed).max(cut_off);
        StorageRequests {
            requests: self.sent.load(Relaxed),
            retries,
            bytes_read: self.bytes.load(Relaxed),
            objects: self.objects.load(Relaxed),
        }
    }
}

/// How requests that fail are tried again.
///
/// # Errors
/// Options that say no number or no duration.
pub(super) fn retry(options: &BTreeMap<String, String>) -> Result<RetryConfig> {
    let bad = |name: &str, value: &str, like: &str| {
        Error::input(Finding::error(format!("`[storage]` `{name}` is `{value}`")).help(format!("write it as {like}")))
    };
    let max_retries = match options.get(MAX_RETRIES) {
        Some(text) => text.parse().map_err(|_| bad(MAX_RETRIES, text, "a number, such as 10"))?,
        None => DEFAULT_RETRIES,
    };
    let retry_timeout = match options.get(RETRY_TIMEOUT) {
        Some(text) => {
            humantime::parse_duration(text).map_err(|_| bad(RETRY_TIMEOUT, text, "a duration, such as 60s"))?
        }
        None => DEFAULT_RETRY_TIMEOUT,
    };
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(10), ..BackoffConfig::default() };
    Ok(RetryConfig { backoff, max_retries, retry_timeout })
}

/// Opens the store of a URL.
pub(super) fn open(
    url: &Url,
    options: &BTreeMap<String, String>,
    retry: RetryConfig,
    requests: &Arc<Requests>,
) -> StoreResult<Arc<dyn ObjectStore>> {
    let connector = Counting { requests: Arc::clone(requests) };
    let (scheme, _) = ObjectStoreScheme::parse(url)?;
    // Options of other stores are passed over.
    macro_rules! built {
        ($builder:ty) => {{
            let builder = options.iter().fold(<$builder>::new().with_url(url.to_string()), |builder, (name, value)| {
                match name.parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                }
            });
            Ok(Arc::new(builder.with_retry(retry).with_http_connector(connector).build()?))
        }};
    }
    match scheme {
        ObjectStoreScheme::AmazonS3 => built!(AmazonS3Builder),
        ObjectStoreScheme::GoogleCloudStorage => built!(GoogleCloudStorageBuilder),
        ObjectStoreScheme::MicrosoftAzure => built!(MicrosoftAzureBuilder),
        ObjectStoreScheme::Http => built!(HttpBuilder),
        _ => Err(StoreError::NotSupported { source: format!("no store for `{}`", url.scheme()).into() }),
    }
}

/// Makes clients that count what they send.
#[derive(Debug)]
struct Counting {
    requests: Arc<Requests>,
}

impl HttpConnector for Counting {
    fn connect(&self, options: &ClientOptions) -> StoreResult<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(CountingClient { client, requests: Arc::clone(&self.requests) }))
    }
}

#[derive(Debug)]
struct CountingClient {
    client: HttpClient,
    requests: Arc<Requests>,
}

#[async_trait]
impl HttpService for CountingClient {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        self.requests.sent.fetch_add(1, Relaxed);
        if request.headers().contains_key("range") {
            self.requests.ranges_sent.fetch_add(1, Relaxed);
        }
        let done = self.client.execute(request).await;
        let failed = done.as_ref().map_or(true, |response| {
            let status = response.status();
            status.is_server_error() || [408, 429].contains(&status.as_u16())
        });
        if failed {
            self.requests.failed.fetch_add(1, Relaxed);
        }
        done
    }
}
