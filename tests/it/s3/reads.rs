//! What is read: ranges, few requests, long listings, and what can't be read.

use std::time::{Duration, Instant};

use backcast::source::{Stores, list};
use backcast::sql::new_runtime;
use datafusion::object_store::{ObjectStoreExt, PutPayload};
use futures::{StreamExt, TryStreamExt};

use super::proxy::{Fault, Proxy};
use super::server::{self, BUCKET, KEY};
use super::{Remote, block_on, project, ran, storage};
use crate::support::{Project, table};

#[test]
fn a_partitioned_log_in_a_bucket_gives_the_bytes_that_it_gives_on_disk_and_is_verified_there() {
    let Some(remote) = Remote::new("partitioned", project(28)) else { return };
    let proxy = remote.proxy(|_| Fault::None);
    let ran = remote.run(proxy.port, &["run", "--format", "json"]).exits_with(0);
    remote.is_as_on_disk();
    let (requests, retries, objects) = storage(&ran);
    assert_eq!((retries, objects), (0, 30), "28 days, labels, a snapshot");
    // Small objects come with their footers: one request each, and a few for listings, the probe of the store and so on.
    assert!(requests <= objects + 24, "{requests} requests for {objects} objects");
    let read: Vec<_> = proxy.requests().into_iter().filter(|r| r.is_of("GET", ".parquet")).collect();
    assert!(read.iter().all(|r| r.range.is_some()), "{read:?}");
    let verified = remote.run(proxy.port, &["verify", "--sample", "10", "--format", "json"]).exits_with(0).json();
    assert_eq!(verified["intact"], true);
    assert_eq!(verified["sample"]["rows"], 10);
    // A second run replaces the first by its etag, and leaves the same files.
    remote.run(proxy.port, &["run", "--fresh"]).exits_with(0);
    remote.is_as_on_disk();
}

#[test]
fn endpoint_keys_and_plain_http_may_stand_in_the_config_too() {
    let Some(remote) = Remote::new("configured", project(3)) else { return };
    let port = remote.server.port;
    let mut command = remote.command(port, &["run"]);
    for name in ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    let config = remote.local.config_text().to_string();
    let storage = format!(
        "[storage]\naws_endpoint_url = \"http://127.0.0.1:{port}\"\naws_access_key_id = \"{}\"\naws_secret_access_key = \"{}\"\n",
        KEY.0, KEY.1
    );
    remote.local.write("backcast.toml", &format!("{config}\n{storage}"));
    let done = ran(command).exits_with(0);
    assert!(!done.stdout.contains(KEY.1), "a secret was printed");
    let store = remote.server.store();
    for file in ["manifest.json", "report.json", "report.html"] {
        let path = format!("configured/out/{file}").into();
        let bytes = block_on(async { store.get(&path).await.unwrap().bytes().await.unwrap() });
        assert!(!String::from_utf8_lossy(&bytes).contains(KEY.1), "a secret is in {file}");
    }
}

#[test]
fn a_large_object_is_read_in_ranges_of_what_is_needed() {
    let Some(_) = server::server() else { return };
    let mut rng = crate::support::Rng::new(3);
    let rows: String = (0..60_000)
        .map(|i| {
            let text: String = (0..40).map(|_| char::from(b'a' + u8::try_from(rng.below(26)).unwrap())).collect();
            format!("{} 2025-03-{:02}T{:02}:00 {text}\n", rng.range(1, 9), i / 2200 + 1, rng.range(0, 24))
        })
        .collect();
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00\n 2 2025-03-10T12:00");
    let local = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source(
            "events",
            "time = \"ts\"\nsince = \"beginning\"",
            &table(&format!("user_id:i64 ts:us@UTC text:str\n{rows}")),
        )
        .view("v", "-- backcast: allow(B202)\nSELECT user_id, count(*) AS n FROM events GROUP BY user_id");
    let Some(remote) = Remote::new("large", local) else { return };
    let store = remote.server.store();
    let size = block_on(store.head(&"large/events/part-0.parquet".into())).unwrap().size;
    assert!(size > 2_000_000, "{size}");
    let proxy = remote.proxy(|_| Fault::None);
    remote.run(proxy.port, &["replay"]).exits_with(0);
    let read: Vec<_> = proxy.requests().into_iter().filter(|r| r.is_of("GET", "part-0.parquet")).collect();
    let bytes: u64 = read.iter().map(|r| length(r.range.as_deref().unwrap())).sum();
    assert!(bytes < size / 2, "{bytes} of {size} bytes, though the text is not asked for: {read:?}");
    assert!(read.len() <= 6, "{read:?}");
}

/// Of `bytes=0-99`.
fn length(range: &str) -> u64 {
    let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    to.parse::<u64>().unwrap() - from.parse::<u64>().unwrap() + 1
}

#[test]
fn ten_thousand_objects_are_listed_each_once() {
    let Some(server) = server::server() else { return };
    let store = server.store();
    let put = |i: usize| {
        let path = format!("many/dt={:03}/part-{i:05}.parquet", i % 100).into();
        let store = std::sync::Arc::clone(&store);
        async move { store.put(&path, PutPayload::from_static(b"x")).await.map(drop) }
    };
    block_on(futures::stream::iter(0..10_000).map(put).buffer_unordered(64).try_collect::<Vec<()>>()).unwrap();
    let proxy = Proxy::new(server.port, Duration::ZERO, |_| Fault::None);
    let storage = [
        ("aws_endpoint_url", format!("http://127.0.0.1:{}", proxy.port)),
        ("aws_access_key_id", KEY.0.to_string()),
        ("aws_secret_access_key", KEY.1.to_string()),
    ];
    let storage = storage.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    let files = block_on(async {
        let stores = Stores::new(new_runtime(None).unwrap(), &storage);
        list(&stores, &format!("s3://{BUCKET}/many/"), "/").await.unwrap().files
    });
    let paths: std::collections::BTreeSet<_> = files.iter().map(|f| f.meta.location.to_string()).collect();
    assert_eq!((files.len(), paths.len()), (10_000, 10_000));
    assert!(proxy.requests().len() <= 12, "{} requests for a listing", proxy.requests().len());
}

#[test]
fn a_wrong_key_and_a_missing_bucket_are_refused_at_once_with_what_to_check() {
    let Some(remote) = Remote::new("refused", project(2)) else { return };
    let port = remote.server.port;
    let began = Instant::now();
    let mut wrong = remote.command(port, &["run"]);
    wrong.env("AWS_SECRET_ACCESS_KEY", "wrong");
    let done = ran(wrong).exits_with(2);
    done.complains_of(&["the store refuses access: SignatureDoesNotMatch", "check the credentials"]);
    let mut unknown = remote.command(port, &["run"]);
    unknown.env("AWS_ACCESS_KEY_ID", "nobody");
    ran(unknown).exits_with(2).complains_of(&["the store refuses access: InvalidAccessKeyId", "check the credentials"]);
    let mut missing = remote.command(port, &["run"]);
    missing.args(["--set", "sources.events.uri=\"s3://no-such-bucket/events/\""]);
    ran(missing)
        .exits_with(2)
        .complains_of(&["`s3://no-such-bucket/events/` can't be listed: there is no such bucket"]);
    // Who may not write hears so before the long work.
    let reader = remote.proxy(|request| if request.method == "PUT" { Fault::Denied } else { Fault::None });
    let done = remote.run(reader.port, &["run"]).exits_with(2);
    done.complains_of(&["refused/out` can't be written: the store refuses access: AccessDenied"]);
    assert!(remote.outputs().is_empty());
    assert!(began.elapsed() < Duration::from_secs(60), "these are not worth trying again");
}
