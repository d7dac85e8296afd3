//! A store whose inputs stay what they were when they were listed, read in few requests.
//!
//! * *Pinned*: every read of a listed object is on the condition that it still has its etag, and what came back is held against
//!   it: an object that is replaced, or cut short, while a run reads it stops the run. On disk inode, time and size take the
//!   etag's place.
//! * *Ranges*: parts that lie close together are one request, large ones several at once; never a whole object, but a
//!   small one, which the request for its footer brings along and which then needs no other.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use crate::source::remote::Requests;
use crate::source::store::text;

/// Parts of an object that are no further apart are one request.
const GAP_BYTES: u64 = 1 << 20;
/// What is larger is several requests, at once.
const PIECE_BYTES: u64 = 8 << 20;
/// Requests for one object at once.
const PIECES_AT_ONCE: usize = 8;
/// An object that is no larger comes whole with its footer.
const SMALL_BYTES: u64 = 256 << 10;
/// So much of small objects and footers is kept.
const KEPT_BYTES: usize = 64 << 20;

/// How often an answer that was cut off is asked for, and how soon anew at first.
const TRIES: usize = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// An object is not what it was when the run began.
#[derive(Debug, thiserror::Error)]
#[error("`{uri}` was replaced while the run read it ({how}); run again, when nobody writes to the inputs")]
pub(super) struct Replaced {
    uri: String,
    how: String,
}

/// The end of an object, or all of it.
#[derive(Debug, Clone)]
struct Tail {
    from: u64,
    bytes: Bytes,
}

/// An object as it was listed, found by its path. Tables hold the same one.
#[derive(Debug)]
struct Pin(Arc<ObjectMeta>);

impl Borrow<Path> for Pin {
    fn borrow(&self) -> &Path {
        &self.0.location
    }
}

impl Hash for Pin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.location.hash(state);
    }
}

impl PartialEq for Pin {
    fn eq(&self, other: &Self) -> bool {
        self.0.location == other.0.location
    }
}

impl Eq for Pin {}

#[derive(Debug)]
pub(super) struct Guard {
    inner: Arc<dyn ObjectStore>,
    /// What messages put before an object's path.
    root: String,
    local: bool,
    /// Whether a read may carry the condition itself; where it may not, its answer is looked at.
    conditional: bool,
    pinned: Mutex<HashSet<Pin>>,
    tails: Mutex<HashMap<Path, Tail>>,
    kept_bytes: AtomicUsize,
    requests: Arc<Requests>,
}

impl Guard {
    /// `root`: the store's address, such as `s3://bucket/`, or `file:///`.
    pub(super) fn new(inner: Arc<dyn ObjectStore>, root: &str, requests: Arc<Requests>) -> Self {
        let local = root.starts_with("file:");
        Self {
            inner,
            root: if local { "/".to_string() } else { root.to_string() },
            local,
            conditional: local || root.starts_with("s3"),
            pinned: Mutex::default(),
            tails: Mutex::new(HashMap::new()),
            kept_bytes: AtomicUsize::new(0),
            requests,
        }
    }

    /// From here on these objects have to stay what they are. Gives them as they are held.
    ///
    /// # Errors
    /// One that was listed before, and was another then.
    pub(super) fn pin(&self, objects: Vec<ObjectMeta>) -> StoreResult<Vec<Arc<ObjectMeta>>> {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Vec::with_capacity(objects.len());
        for meta in objects {
            if let Some(Pin(old)) = pinned.get(&meta.location) {
                self.same(old, &meta)?;
                held.push(Arc::clone(old));
                continue;
            }
            let meta = Arc::new(meta);
            pinned.insert(Pin(Arc::clone(&meta)));
            held.push(meta);
            if !self.local {
                self.requests.objects.fetch_add(1, Relaxed);
            }
        }
        Ok(held)
    }

    fn pin_of(&self, path: &Path) -> Option<Arc<ObjectMeta>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner).get(path).map(|Pin(meta)| Arc::clone(meta))
    }

    /// The read that a pin makes of this one.
    fn on_condition(&self, pin: &ObjectMeta, mut options: GetOptions) -> GetOptions {
        if self.conditional && options.if_match.is_none() {
            options.if_match.clone_from(&pin.e_tag);
        }
        options
    }

    /// One part of an object, whole and unchanged.
    async fn part(&self, path: &Path, pin: Option<&ObjectMeta>, range: Range<u64>) -> StoreResult<Bytes> {
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let options = match pin {
            Some(pin) => self.on_condition(pin, options),
            None => options,
        };
        self.requests.ranges_wanted.fetch_add(1, Relaxed);
        let found = again(&self.requests, || self.inner.get_opts(path, options.clone())).await;
        let found = match found {
            Ok(found) => found,
            Err(e) => return Err(self.told(path, e, pin).await),
        };
        if let Some(pin) = pin {
            self.same(pin, &found.meta)?;
        }
        let (wanted, got) = (range.clone(), found.range.clone());
        let bytes = found.bytes().await?;
        // A connection that is closed early must not look like the end of the data.
        if got != wanted || bytes.len() as u64 != wanted.end - wanted.start {
            return Err(generic(format!(
                "`{path}`: asked for bytes {} to {}, got {} bytes from {}",
                wanted.start,
                wanted.end,
                bytes.len(),
                got.start
            )));
        }
        self.requests.bytes.fetch_add(bytes.len() as u64, Relaxed);
        self.requests.all_bytes.fetch_add(bytes.len() as u64, Relaxed);
        Ok(bytes)
    }

    /// A stretch of an object, in pieces where it is large.
    async fn stretch(&self, path: &Path, pin: Option<&ObjectMeta>, range: Range<u64>) -> StoreResult<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        if range.end - range.start <= PIECE_BYTES {
            return self.part(path, pin, range).await;
        }
        let pieces: Vec<Range<u64>> = pieces(&range);
        let parts: Vec<Bytes> = futures::stream::iter(pieces.into_iter().map(|piece| self.part(path, pin, piece)))
            .buffered(PIECES_AT_ONCE)
            .try_collect()
            .await?;
        let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        Ok(whole.freeze())
    }

    fn kept(&self, path: &Path, range: &Range<u64>) -> Option<Bytes> {
        let tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = tails.get(path)?;
        let from = usize::try_from(range.start.checked_sub(tail.from)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(tail.from)?).ok()?;
        (from <= to && to <= tail.bytes.len()).then(|| tail.bytes.slice(from..to))
    }

    fn keep(&self, path: &Path, from: u64, bytes: &Bytes) {
        let size = bytes.len();
        if self.kept_bytes.fetch_add(size, Relaxed) + size > KEPT_BYTES {
            self.kept_bytes.fetch_sub(size, Relaxed);
            return;
        }
        let tail = Tail { from, bytes: bytes.clone() };
        let old = self.tails.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone(), tail);
        self.kept_bytes.fetch_sub(old.map_or(0, |tail| tail.bytes.len()), Relaxed);
    }

    async fn remote_ranges(&self, path: &Path, pin: &ObjectMeta, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        let kept: Option<Vec<Bytes>> = ranges.iter().map(|range| self.kept(path, range)).collect();
        if let Some(kept) = kept {
            return Ok(kept);
        }
        // The footer: of a small object the rest comes with it.
        if let [range] = ranges
            && range.end == pin.size
        {
            let from = if pin.size <= SMALL_BYTES { 0 } else { range.start };
            let bytes = self.stretch(path, Some(pin), from..pin.size).await?;
            if bytes.len() as u64 <= SMALL_BYTES {
                self.keep(path, from, &bytes);
            }
            let skip = usize::try_from(range.start - from).unwrap_or(usize::MAX);
            return Ok(vec![bytes.slice(skip..)]);
        }
        let merged = merged(ranges);
        let fetched: Vec<Bytes> =
            futures::stream::iter(merged.iter().cloned().map(|range| self.stretch(path, Some(pin), range)))
                .buffered(PIECES_AT_ONCE)
                .try_collect()
                .await?;
        let cut = |range: &Range<u64>| {
            let at = merged.partition_point(|m| m.start <= range.start) - 1;
            let from = usize::try_from(range.start - merged[at].start).unwrap_or(usize::MAX);
            let to = usize::try_from(range.end - merged[at].start).unwrap_or(usize::MAX);
            fetched[at].slice(from..to)
        };
        Ok(ranges.iter().map(cut).collect())
    }
}

/// A listing whose connection is cut in the middle of an answer begins anew: half of one is none.
async fn whole_list(
    store: Arc<dyn ObjectStore>,
    prefix: Option<Path>,
    requests: Arc<Requests>,
) -> StoreResult<Vec<ObjectMeta>> {
    again(&requests, || store.list(prefix.as_ref()).try_collect()).await
}

/// Does anew what was cut off in the middle of an answer that the store does not resume: a listing, an error's text. Other failures
/// have been tried again by the store.
async fn again<T, F: Future<Output = StoreResult<T>>>(requests: &Requests, attempt: impl Fn() -> F) -> StoreResult<T> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match attempt().await {
            Err(e) if text(&e).contains("response body") => {
                requests.failed.fetch_add(1, Relaxed);
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            done => return done,
        }
    }
    attempt().await
}

fn pieces(range: &Range<u64>) -> Vec<Range<u64>> {
    let starts = (range.start..range.end).step_by(usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX));
    starts.map(|start| start..range.end.min(start + PIECE_BYTES)).collect()
}

/// The fewest stretches that cover all ranges, ascending, with no long gap inside.
fn merged(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_BYTES) => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

impl Guard {
    /// Whether an object still is what it was.
    fn same(&self, pin: &ObjectMeta, now: &ObjectMeta) -> StoreResult<()> {
        let bare = |tag: &String| tag.trim_start_matches("W/").trim_matches('"').to_string();
        let how = match (pin.e_tag.as_ref().map(bare), now.e_tag.as_ref().map(bare)) {
            _ if pin.size != now.size => format!("it had {} bytes, and has {}", pin.size, now.size),
            (Some(then), Some(now)) if then != now => format!("its etag was {then}, and is {now}"),
            (Some(_), Some(_)) => return Ok(()),
            // To the second: some answers have no more.
            _ if pin.last_modified.timestamp() != now.last_modified.timestamp() => {
                format!("it was written {}, and then {}", pin.last_modified, now.last_modified)
            }
            _ => return Ok(()),
        };
        Err(self.replaced(pin, how))
    }

    fn replaced(&self, pin: &ObjectMeta, how: String) -> StoreError {
        let uri = format!("{}{}", self.root, pin.location);
        StoreError::Generic { store: "input", source: Box::new(Replaced { uri, how }) }
    }

    /// A condition that does not hold, and an object that is gone, say of a pinned one that it is not what it was. Where a read may not
    /// carry its condition, or did not, the object itself is asked: of one that became shorter a range may be beyond its end.
    async fn told(&self, path: &Path, error: StoreError, pin: Option<&ObjectMeta>) -> StoreError {
        match (error, pin) {
            (StoreError::Precondition { .. } | StoreError::NotModified { .. }, Some(pin)) => {
                self.replaced(pin, "it has another etag than when it was listed".to_string())
            }
            (StoreError::NotFound { .. }, Some(pin)) => self.replaced(pin, "it is gone".to_string()),
            (error, Some(pin)) if self.local || !self.conditional => match self.inner.head(path).await {
                Ok(now) => self.same(pin, &now).err().unwrap_or(error),
                Err(_) => error,
            },
            (error, _) => error,
        }
    }
}

fn generic(text: String) -> StoreError {
    StoreError::Generic { store: "input", source: text.into() }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Guard {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> StoreResult<GetResult> {
        if options.range.is_some() {
            self.requests.ranges_wanted.fetch_add(1, Relaxed);
        }
        let Some(pin) = self.pin_of(path).filter(|_| !options.head) else {
            return again(&self.requests, || self.inner.get_opts(path, options.clone())).await;
        };
        let options = self.on_condition(&pin, options);
        let found = match again(&self.requests, || self.inner.get_opts(path, options.clone())).await {
            Ok(found) => found,
            Err(e) => return Err(self.told(path, e, Some(&pin)).await),
        };
        self.same(&pin, &found.meta)?;
        self.requests.all_bytes.fetch_add(found.range.end.saturating_sub(found.range.start), Relaxed);
        Ok(found)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        match self.pin_of(path) {
            None => self.inner.get_ranges(path, ranges).await,
            Some(pin) if self.local => {
                let bytes = match self.inner.get_ranges(path, ranges).await {
                    Ok(bytes) => bytes,
                    Err(e) => return Err(self.told(path, e, Some(&pin)).await),
                };
                // Looked at afterwards: what was written before, or meanwhile, shows.
                match self.inner.head(path).await {
                    Ok(now) => self.same(&pin, &now)?,
                    Err(e) => return Err(self.told(path, e, Some(&pin)).await),
                }
                let read = bytes.iter().map(|bytes| bytes.len() as u64).sum();
                self.requests.all_bytes.fetch_add(read, Relaxed);
                Ok(bytes)
            }
            Some(pin) => self.remote_ranges(path, &pin, ranges).await,
        }
    }

    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> StoreResult<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        if self.local {
            return self.inner.list(prefix);
        }
        let listing = whole_list(Arc::clone(&self.inner), prefix.cloned(), Arc::clone(&self.requests));
        futures::stream::once(listing)
            .map_ok(|all| futures::stream::iter(all.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use datafusion::object_store::local::LocalFileSystem;
    use datafusion::object_store::memory::InMemory;

    use super::*;

    #[test]
    fn ranges_close_together_are_one_request_and_large_ones_several() {
        let far = GAP_BYTES + 100;
        assert_eq!(merged(&[50..60, 0..10, far + 60..far + 70]), [0..60, far + 60..far + 70]);
        assert_eq!(
            merged(&[0..10, 5..20, 20 + GAP_BYTES..21 + GAP_BYTES, 9 * far..10 * far]),
            [0..21 + GAP_BYTES, 9 * far..10 * far]
        );
        assert_eq!(pieces(&(5..PIECE_BYTES + 6)), [5..PIECE_BYTES + 5, PIECE_BYTES + 5..PIECE_BYTES + 6]);
    }

    async fn written(store: &dyn ObjectStore, path: &Path, bytes: Vec<u8>) -> ObjectMeta {
        store.put(path, PutPayload::from(bytes)).await.unwrap();
        store.head(path).await.unwrap()
    }

    #[tokio::test]
    async fn an_object_that_is_replaced_after_its_listing_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let stores: [(Arc<dyn ObjectStore>, &str); 3] = [
            (Arc::new(local), "file:///"),
            (Arc::new(InMemory::new()), "s3://b/"),
            (Arc::new(InMemory::new()), "gs://b/"),
        ];
        for (inner, root) in stores {
            let path = Path::from("x");
            let guard = Guard::new(Arc::clone(&inner), root, Arc::default());
            let meta = written(inner.as_ref(), &path, b"0123456789".to_vec()).await;
            guard.pin(vec![meta]).unwrap();
            assert_eq!(guard.get_ranges(&path, &[2..4, 5..6]).await.unwrap(), ["23", "5"]);
            assert_eq!(guard.get_range(&path, 2..4).await.unwrap(), "23");
            // Of the same size, so that only etag or time can tell.
            std::thread::sleep(Duration::from_millis(20));
            let new = written(inner.as_ref(), &path, b"abcdefghij".to_vec()).await;
            for error in [
                guard.get_ranges(&path, &[2..4, 5..6]).await.map(drop).unwrap_err(),
                guard.get_range(&path, 2..4).await.map(drop).unwrap_err(),
                guard.pin(vec![new]).map(drop).unwrap_err(),
            ] {
                assert!(error.to_string().contains("x` was replaced while the run read it"), "{root}: {error}");
            }
            // Shorter than what is asked of it.
            written(inner.as_ref(), &path, b"abc".to_vec()).await;
            for error in [
                guard.get_ranges(&path, &[2..4, 5..6]).await.map(drop).unwrap_err(),
                guard.get_range(&path, 5..9).await.map(drop).unwrap_err(),
            ] {
                assert!(error.to_string().contains("x` was replaced while the run read it"), "{root}: {error}");
            }
            inner.delete(&path).await.unwrap();
            let error = guard.get_ranges(&path, &[2..4, 5..6]).await.unwrap_err().to_string();
            assert!(error.contains("it is gone"), "{root}: {error}");
            // What is no input may change.
            written(&guard, &Path::from("y"), b"1".to_vec()).await;
            written(&guard, &Path::from("y"), b"2".to_vec()).await;
            assert_eq!(guard.get(&Path::from("y")).await.unwrap().bytes().await.unwrap(), "2");
        }
    }

    #[tokio::test]
    async fn any_ranges_give_the_bytes_that_are_there() {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for size in [1000, 3 * PIECE_BYTES + 17] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 7 % 253) as u8).collect();
            let path = Path::from(size.to_string());
            let meta = written(inner.as_ref(), &path, bytes.clone()).await;
            let guard = Guard::new(Arc::clone(&inner), "s3://b/", Arc::default());
            guard.pin(vec![meta]).unwrap();
            let half = size / 2;
            let (from, to) = ([size - 64, 0, 5, half], [size, size, 5, size]);
            let alone = from.into_iter().zip(to).map(|(from, to)| std::iter::once(from..to).collect());
            let asked: Vec<Vec<Range<u64>>> = alone.chain([vec![0..1, half..half + 3, 3..9]]).collect();
            for ranges in asked {
                let found = guard.get_ranges(&path, &ranges).await.unwrap();
                for (range, found) in ranges.iter().zip(found) {
                    let at = |x: u64| usize::try_from(x).unwrap();
                    assert!(found == bytes[at(range.start)..at(range.end)], "{range:?} of {size}");
                }
            }
        }
    }
}
