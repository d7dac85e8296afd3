//! What is written: in parts where it is large, on condition, and by one run at a time.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backcast::output::{Content, InputEntry, Manifest, NewFile, OutputFolder, Versions, sha256_hex};
use backcast::source::Stores;
use backcast::sql::new_runtime;
use datafusion::object_store::{ObjectStoreExt, PutPayload};

use super::proxy::{Fault, Proxy};
use super::server::{self, BUCKET, KEY};
use super::{Remote, block_on, project};

#[test]
fn a_large_file_goes_up_in_parts_and_is_whole() {
    let Some(server) = server::server() else { return };
    // Two tries fail on the way.
    let failed = AtomicBool::new(false);
    let proxy = Proxy::new(server.port, Duration::ZERO, move |request| {
        let part = request.target.contains("partNumber=2");
        if part && !failed.swap(true, Ordering::Relaxed) { Fault::SlowDown } else { Fault::None }
    });
    let storage = [
        ("aws_endpoint_url", format!("http://127.0.0.1:{}", proxy.port)),
        ("aws_access_key_id", KEY.0.to_string()),
        ("aws_secret_access_key", KEY.1.to_string()),
    ];
    let storage = storage.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let content = Content::File { path: file.into_temp_path(), bytes: bytes.len() as u64, sha256: sha256_hex(&bytes) };
    let new = NewFile { path: "dataset/part-0-{}.parquet".to_string(), rows: None, content };
    let committed = block_on(async {
        let stores = Stores::new(new_runtime(None).unwrap(), &storage);
        let at = stores.locate(&format!("s3://{BUCKET}/parts/out")).unwrap();
        let manifest = |files| Manifest {
            format: 1,
            project: "parts".to_string(),
            command: "replay".to_string(),
            generated_at: String::new(),
            versions: Versions::current(),
            config_sha256: String::new(),
            views: Vec::new(),
            inputs: Vec::<InputEntry>::new(),
            files,
            chunks: Vec::new(),
            identity: None,
        };
        OutputFolder::open(at).await.unwrap().commit(vec![new], manifest).await.unwrap()
    });
    let path = format!("parts/out/{}", committed.files[0].path).into();
    let stored = block_on(async { server.store().get(&path).await.unwrap().bytes().await.unwrap() });
    assert!(stored == bytes);
    let parts = proxy.requests().iter().filter(|r| r.target.contains("partNumber=")).count();
    assert_eq!(parts, 4, "three parts, one of them twice");
    let manifests: Vec<_> = proxy.requests().into_iter().filter(|r| r.is_of("PUT", "manifest.json")).collect();
    assert_eq!(manifests.len(), 1);
}

/// A run that stops before one of its requests until it is let on.
fn held(remote: &Remote, method: &'static str, end: &'static str) -> (Proxy, Arc<AtomicBool>, Arc<AtomicBool>) {
    let (reached, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (there, on) = (Arc::clone(&reached), Arc::clone(&go));
    let proxy = remote.proxy(move |request| {
        if request.is_of(method, end) {
            there.store(true, Ordering::Relaxed);
            while !on.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Fault::None
    });
    (proxy, reached, go)
}

fn wait(flag: &AtomicBool) {
    let began = Instant::now();
    while !flag.load(Ordering::Relaxed) {
        assert!(began.elapsed() < Duration::from_secs(120), "it never came so far");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).to_string()
}

#[test]
fn of_two_runs_at_one_bucket_one_wins_and_the_other_exits_with_1() {
    let Some(remote) = Remote::new("two", project(5)) else { return };
    // The first has computed, and is about to say that it writes.
    let (slow, reached, go) = held(&remote, "PUT", "writer.json");
    let first = remote.start(slow.port, &["run", "--set", "diff.sample=7"]);
    wait(&reached);
    remote.run(remote.server.port, &["run"]).exits_with(0);
    go.store(true, Ordering::Relaxed);
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(1), "{}", text(&first));
    assert!(text(&first).contains("another run has committed there"), "{}", text(&first));
    remote.is_as_on_disk();
    remote.run(remote.server.port, &["verify"]).exits_with(0);
}

#[test]
fn while_one_run_writes_another_says_who_it_is_and_exits_with_1() {
    let Some(remote) = Remote::new("busy", project(5)) else { return };
    let (slow, reached, go) = held(&remote, "PUT", "manifest.json");
    let first = remote.start(slow.port, &["run"]);
    let process = first.id();
    wait(&reached);
    let second = remote.run(remote.server.port, &["run"]).exits_with(1);
    second.complains_of(&[&format!("process {process} on"), "is writing there; wait until it is done"]);
    go.store(true, Ordering::Relaxed);
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    remote.run(remote.server.port, &["verify"]).exits_with(0);
    remote.is_as_on_disk();
}

#[test]
fn a_run_killed_at_any_of_its_writes_is_no_run_and_the_next_one_cleans_up() {
    let Some(remote) = Remote::new("killed", project(5)) else { return };
    for (method, end) in [("PUT", "writer.json"), ("PUT", ".parquet"), ("PUT", "report.html"), ("PUT", "manifest.json")]
    {
        let (slow, reached, go) = held(&remote, method, end);
        let mut first = remote.start(slow.port, &["run"]);
        wait(&reached);
        first.kill().unwrap();
        first.wait().unwrap();
        assert!(!remote.outputs().contains("manifest.json"), "{end}");
        go.store(true, Ordering::Relaxed);
        // What was under way may still arrive.
        std::thread::sleep(Duration::from_millis(300));
        if end == "manifest.json" && remote.outputs().contains("manifest.json") {
            remote.run(remote.server.port, &["verify"]).exits_with(0);
        }
        remote.run(remote.server.port, &["run"]).exits_with(0);
        remote.is_as_on_disk();
        remote.run(remote.server.port, &["verify"]).exits_with(0);
        let store = remote.server.store();
        for path in remote.outputs() {
            block_on(store.delete(&format!("killed/out/{path}").into())).unwrap();
        }
    }
}

#[test]
fn a_manifest_whose_answer_is_lost_is_committed_all_the_same() {
    let Some(remote) = Remote::new("lost", project(3)) else { return };
    let proxy =
        remote.proxy(|request| if request.is_of("PUT", "manifest.json") { Fault::AnswerLost } else { Fault::None });
    remote.run(proxy.port, &["run"]).exits_with(0);
    remote.is_as_on_disk();
    remote.run(remote.server.port, &["verify"]).exits_with(0);
}

#[test]
fn damage_in_a_bucket_is_found_there() {
    let Some(remote) = Remote::new("damaged", project(3)) else { return };
    let port = remote.server.port;
    remote.run(port, &["run"]).exits_with(0);
    let store = remote.server.store();
    let part = remote.outputs().into_iter().find(|p| p.starts_with("dataset/")).unwrap();
    let path = format!("damaged/out/{part}").into();
    let bytes = block_on(async { store.get(&path).await.unwrap().bytes().await.unwrap() });
    let mut flipped = bytes.to_vec();
    flipped[bytes.len() / 2] ^= 4;
    block_on(store.put(&path, PutPayload::from(flipped))).unwrap();
    let found = remote.run(port, &["verify", "--format", "json"]).exits_with(1).json();
    assert_eq!(found["files"]["damages"][0]["damage"], "hash");
    block_on(store.delete(&path)).unwrap();
    let found = remote.run(port, &["verify", "--format", "json"]).exits_with(1).json();
    assert_eq!(found["files"]["damages"][0]["damage"], "missing");
    let changed = "damaged/events/dt=2025-03-01/part-1.parquet".into();
    let event = block_on(async { store.get(&changed).await.unwrap().bytes().await.unwrap() });
    block_on(store.put(&changed, PutPayload::from([&event[..], b"x"].concat()))).unwrap();
    remote.run(port, &["run"]).exits_with(2).complains_of(&["can't be read as Parquet"]);
    block_on(store.put(&changed, PutPayload::from(event))).unwrap();
    remote.run(port, &["run"]).exits_with(0);
    remote.run(port, &["verify"]).exits_with(0);
}
