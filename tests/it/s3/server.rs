//! A real S3-compatible server on loopback: SeaweedFS, one for all tests of this process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use datafusion::object_store::ObjectStore;
use datafusion::object_store::aws::AmazonS3Builder;
use tempfile::TempDir;

pub(super) const BUCKET: &str = "backcast";
pub(super) const KEY: (&str, &str) = ("testkey", "testsecret");
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Server {
    pub(super) port: u16,
    _child: Child,
    _data: TempDir,
}

/// The server; `None`, and a line that says so, where it is not installed.
pub(super) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

fn installed() -> Option<PathBuf> {
    let own = std::env::var_os("BACKCAST_WEED").map(PathBuf::from);
    let venv = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/s3-venv/bin/weed"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("weed"));
    own.into_iter().chain([venv]).chain(on_path).find(|weed| weed.is_file())
}

impl Server {
    fn start() -> Option<Self> {
        let Some(weed) = installed() else {
            // Past the test harness, which would keep it to itself.
            let skipped =
                "\nSKIPPED: SeaweedFS is not installed, so object stores are not tested: `.ci/s3` installs it.\n\n";
            std::io::stderr().write_all(skipped.as_bytes()).unwrap();
            return None;
        };
        let data = tempfile::tempdir().unwrap();
        let identity = format!(
            r#"{{"name":"all","credentials":[{{"accessKey":"{}","secretKey":"{}"}}],"actions":["Admin","Read","Write","List"]}}"#,
            KEY.0, KEY.1
        );
        std::fs::write(data.path().join("s3.json"), format!(r#"{{"identities":[{identity}]}}"#)).unwrap();
        let ports = free_ports();
        let log = std::fs::File::create(data.path().join("log")).unwrap();
        // It ends when its standard input does, which is with this process, whatever ends that.
        let script = r#""$0" "$@" </dev/null & weed=$!; read -r _; kill -9 $weed"#;
        let flags = [
            format!("-dir={}", data.path().display()),
            "-ip=127.0.0.1".to_string(),
            "-ip.bind=127.0.0.1".to_string(),
            "-s3".to_string(),
            format!("-s3.port={}", ports[0]),
            format!("-s3.port.grpc={}", ports[4]),
            format!("-master.port={}", ports[1]),
            format!("-master.port.grpc={}", ports[5]),
            format!("-volume.port={}", ports[2]),
            format!("-volume.port.grpc={}", ports[6]),
            format!("-filer.port={}", ports[3]),
            format!("-filer.port.grpc={}", ports[7]),
            "-s3.port.iceberg=0".to_string(),
            "-s3.port.lance=0".to_string(),
            "-s3.iam=false".to_string(),
            "-master.telemetry=false".to_string(),
            format!("-s3.config={}", data.path().join("s3.json").display()),
            "-volume.max=0".to_string(),
            "-volume.preStopSeconds=0".to_string(),
            "-master.volumeSizeLimitMB=256".to_string(),
        ];
        let child = Command::new("sh")
            .args(["-c", script])
            .arg(weed)
            .arg("server")
            .args(flags)
            .current_dir(data.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { port: ports[0], _child: child, _data: data };
        server.make_bucket(ports[3]);
        Some(server)
    }

    /// In its file system a bucket is a folder.
    fn make_bucket(&self, filer: u16) {
        let began = Instant::now();
        let ready = |port: u16, request: &str, answer: &str| loop {
            let log = || std::fs::read_to_string(self._data.path().join("log")).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "the server does not start:\n{}", log());
            if asked(port, request).is_some_and(|line| line.contains(answer)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let end = "HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        ready(filer, &format!("POST /buckets/{BUCKET}/ {end}"), " 201 ");
        ready(self.port, &format!("GET / {end}"), "HTTP/1.1 ");
        // The first object takes seconds: none of the tests should wait for it.
        let store = self.store();
        super::block_on(async move {
            use datafusion::object_store::{ObjectStoreExt, PutPayload};
            loop {
                match store.put(&"ready".into(), PutPayload::from_static(b"ready")).await {
                    Ok(_) => return,
                    Err(e) if began.elapsed() > PATIENCE => panic!("{e}"),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
    }

    /// Past everything that is tested.
    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        let builder = AmazonS3Builder::new().with_endpoint(format!("http://127.0.0.1:{}", self.port));
        let builder = builder.with_bucket_name(BUCKET).with_allow_http(true);
        Arc::new(builder.with_access_key_id(KEY.0).with_secret_access_key(KEY.1).build().unwrap())
    }
}

/// The first line of an HTTP answer.
fn asked(port: u16, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(stream.take(1000)).read_line(&mut line).ok()?;
    Some(line)
}

/// All are held until all are known, so that no two are the same.
fn free_ports() -> Vec<u16> {
    let held: Vec<TcpListener> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
