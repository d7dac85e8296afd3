//! Object stores by URI: local disk, S3, GCS, Azure, HTTP, one code path.

use std::collections::{BTreeMap, HashMap};
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path;
use datafusion::object_store::{Error as StoreError, ObjectMeta, ObjectStore};
use url::Url;

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::source::guard::Guard;
use crate::source::remote::{self, Requests, StorageRequests};

/// Environment variables that object_store reads as options, by their prefixes.
const ENVIRONMENT_PREFIXES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// An object (or a prefix of objects) in a store.
#[derive(Debug, Clone)]
pub struct Location {
    /// As the user wrote it, resolved: what messages show.
    pub uri: String,
    /// What DataFusion knows the store by.
    pub url: ObjectStoreUrl,
    pub store: Arc<dyn ObjectStore>,
    pub path: Path,
}

impl Location {
    /// The object `name` below this prefix.
    pub fn join(&self, name: &str) -> Self {
        let path = name.split('/').fold(self.path.clone(), |path, part| path.join(part));
        Self { uri: format!("{}/{name}", self.uri.trim_end_matches('/')), path, ..self.clone() }
    }

    pub fn is_local(&self) -> bool {
        self.url == ObjectStoreUrl::local_filesystem()
    }
}

/// Opens stores and keeps them open; registers each with the DataFusion runtime.
#[derive(Debug)]
pub struct Stores {
    runtime: Arc<RuntimeEnv>,
    options: BTreeMap<String, String>,
    open: Mutex<HashMap<ObjectStoreUrl, Arc<Guard>>>,
    requests: Arc<Requests>,
    /// What the footers read so far take in memory.
    footer_bytes: AtomicUsize,
}

impl Stores {
    /// `storage` holds `[storage]` of the config: object_store's option names; they go before the environment.
    pub fn new(runtime: Arc<RuntimeEnv>, storage: &BTreeMap<String, String>) -> Self {
        let mut options: BTreeMap<String, String> = std::env::vars()
            .filter(|(name, _)| ENVIRONMENT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect();
        options.extend(storage.iter().map(|(name, value)| (name.to_lowercase(), value.clone())));
        let plain_http = options.iter().any(|(name, value)| name.contains("endpoint") && value.starts_with("http://"));
        if plain_http {
            options.entry("allow_http".to_string()).or_insert_with(|| "true".to_string());
        }
        Self {
            runtime,
            options,
            open: Mutex::new(HashMap::new()),
            requests: Arc::default(),
            footer_bytes: AtomicUsize::new(0),
        }
    }

    /// What has been asked of stores behind HTTP so far.
    pub fn requests(&self) -> StorageRequests {
        self.requests.now()
    }

    /// Bytes of inputs that have been read so far, from disk too.
    pub fn bytes_read(&self) -> u64 {
        self.requests.all_bytes.load(Relaxed)
    }

    /// These inputs have to stay what they are: a read of one that was replaced is an error. Gives them as they are held.
    ///
    /// # Errors
    /// An input that was listed before, and was another then.
    pub fn pin(&self, location: &Location, objects: Vec<ObjectMeta>) -> Result<Vec<Arc<ObjectMeta>>> {
        let guard = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&location.url).cloned();
        match guard {
            Some(guard) => guard.pin(objects).map_err(|e| store_error("read", &location.uri, e)),
            None => Ok(objects.into_iter().map(Arc::new).collect()),
        }
    }

    /// Where footers are kept, as long as those read so far fit.
    pub(super) fn room_for_footers(&self) -> Option<Arc<FileMetadataCache>> {
        let cache = self.runtime.cache_manager.get_file_metadata_cache();
        (self.footer_bytes.load(Relaxed) < cache.cache_limit()).then_some(cache)
    }

    pub(super) fn count_footer(&self, bytes: usize) {
        self.footer_bytes.fetch_add(bytes, Relaxed);
    }

    pub fn runtime(&self) -> &RuntimeEnv {
        &self.runtime
    }

    /// The location of a resolved URI: an absolute local path, or `scheme://...`. No request is made.
    ///
    /// # Errors
    /// A URI whose scheme or host no store takes.
    pub fn locate(&self, uri: &str) -> Result<Location> {
        if !uri.contains("://") {
            let path = Path::from_absolute_path(FilePath::new(uri)).map_err(|e| bad_uri(uri, e))?;
            let url = ObjectStoreUrl::local_filesystem();
            let store = self.opened(&url, || Ok(Arc::new(LocalFileSystem::new()) as _))?;
            return Ok(Location { uri: uri.to_string(), url, store, path });
        }
        let parsed = Url::parse(uri).map_err(|e| bad_uri(uri, e))?;
        let root = &parsed[..url::Position::BeforePath];
        let url = ObjectStoreUrl::parse(root).map_err(|e| bad_uri(uri, e))?;
        let store = self.opened(&url, || {
            let base = Url::parse(root).map_err(|e| bad_uri(uri, e))?;
            let retry = remote::retry(&self.options)?;
            remote::open(&base, &self.options, retry, &self.requests).map_err(|e| bad_uri(uri, e))
        })?;
        // Not Url::path(): object names may hold characters that a URL would have to escape.
        let path = Path::parse(uri[root.len()..].trim_matches('/')).map_err(|e| bad_uri(uri, e))?;
        Ok(Location { uri: uri.to_string(), url, store, path })
    }

    fn opened(
        &self,
        url: &ObjectStoreUrl,
        open: impl FnOnce() -> Result<Arc<dyn ObjectStore>>,
    ) -> Result<Arc<dyn ObjectStore>> {
        let mut stores = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(store) = stores.get(url) {
            return Ok(Arc::clone(store) as _);
        }
        let store = Arc::new(Guard::new(open()?, url.as_str(), Arc::clone(&self.requests)));
        self.runtime.register_object_store(url.as_ref(), Arc::clone(&store) as _);
        stores.insert(url.clone(), Arc::clone(&store));
        Ok(store)
    }
}

/// A store's error, as who must act should hear it: what is refused is bad input.
pub fn store_error(action: &str, uri: &str, error: StoreError) -> Error {
    let refused = |what: &str, help: &str| {
        Error::input(Finding::error(format!("`{uri}` can't be {}: {what}", past(action))).help(help))
    };
    // Some requests tell the kind of their error only in its text.
    let text = text(&error);
    let denied = matches!(error, StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. })
        || ["403 Forbidden", "401 Unauthorized"].iter().any(|status| text.contains(status));
    if text.contains("NoSuchBucket") {
        return refused(
            "there is no such bucket",
            "check the bucket's name, and the endpoint: AWS_ENDPOINT_URL, or `[storage]` `aws_endpoint_url`",
        );
    }
    if denied {
        return refused(
            &format!("the store refuses access: {}", code(&text)),
            "check the credentials: AWS_ACCESS_KEY_ID and the like in the environment, or `[storage]`, and what they may do",
        );
    }
    Error::storage(format!("{action} `{uri}`"), error)
}

fn past(action: &str) -> &str {
    match action {
        "list" => "listed",
        "write" => "written",
        _ => "read",
    }
}

/// The error with all that caused it.
pub(super) fn text(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// The code that the store gave, without its XML.
fn code(text: &str) -> &str {
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    code.unwrap_or("forbidden")
}

/// The store's error that another is made of, where one is.
pub(super) fn store_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a StoreError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<StoreError>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn bad_uri(uri: &str, cause: impl ToString) -> Error {
    Error::input(
        Finding::error(format!("`{uri}` is not a place that can be read or written: {}", cause.to_string()))
            .help("use a local path, or s3://, gs://, az:// or http(s)://, with credentials in the environment"),
    )
}
