//! Object stores for real: runs against an S3-compatible server, through a proxy that throttles, delays and cuts.

mod commits;
mod faults;
mod killed;
mod latency;
mod proxy;
mod reads;
mod server;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use datafusion::object_store::{ObjectStoreExt, PutPayload};
use futures::{StreamExt, TryStreamExt};

use crate::support::{Project, Ran, Rng, table, write_parquet};
use proxy::{Fault, Proxy, Request};
use server::{BUCKET, KEY, Server};

fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

/// A project whose labels, events and snapshot are in the bucket, below a folder of its own, and on disk as well.
struct Remote {
    server: &'static Server,
    local: Project,
    folder: String,
}

/// Events by day, in a folder each; labels that ask for the last days.
fn project(days: i64) -> Project {
    let mut rng = Rng::new(5);
    let labels: String = (0..40)
        .map(|i| format!("{} 2025-03-{:02}T{:02}:00 {i}\n", rng.range(1, 9), rng.range(5, 28), rng.range(0, 24)))
        .collect();
    let labels = table(&format!("user_id:i64 at:us@UTC y:i64\n1 2025-03-10T12:00 -\n2 2025-03-10T12:00 -\n{labels}"));
    let sql = "SELECT user_id, count(*) AS n, sum(x) AS total FROM events
               WHERE ts > NOW() - INTERVAL '3 days' GROUP BY user_id";
    let files: Vec<(String, _)> = (1..=days)
        .map(|day| {
            let rows: String = (0..30)
                .map(|_| {
                    let (user, hour, x) = (rng.range(1, 9), rng.range(0, 24), rng.range(-99, 99));
                    format!("{user} 2025-03-{:02}T{hour:02}:00 {x}\n", (day - 1) % 28 + 1)
                })
                .collect();
            let name = format!("dt=2025-03-{:02}/part-{day}.parquet", (day - 1) % 28 + 1);
            (name, table(&format!("user_id:i64 ts:us@UTC x:f64\n{rows}")))
        })
        .collect();
    let files: Vec<(&str, _)> = files.iter().map(|(name, rows)| (name.as_str(), rows.clone())).collect();
    let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source_of_files("events", "time = \"ts\"\nsince = \"beginning\"", &files)
        .view_with("v", "features.n = { when_missing = 0 }", sql)
        .config("[snapshots.old]\nuri = \"old.parquet\"\ncolumns = { cnt = \"v.n\" }\n[diff]\nagreement = 0");
    write_parquet(
        &project.path("old.parquet"),
        &table("user_id:i64 at:us@UTC cnt:i64\n 1 2025-03-10T12:00 3\n 2 2025-03-10T12:00 4"),
    );
    project
}

impl Remote {
    /// `None` where there is no server.
    fn new(name: &str, local: Project) -> Option<Self> {
        let remote = Self { server: server::server()?, local, folder: name.to_string() };
        let mut files = Vec::new();
        below(remote.local.dir.path(), "", &mut files);
        files.retain(|f| f.ends_with(".parquet") && !f.starts_with("out/"));
        let store = remote.server.store();
        let put = |file: &String| {
            let (bytes, path) = (std::fs::read(remote.local.path(file)).unwrap(), format!("{name}/{file}").into());
            let store = Arc::clone(&store);
            async move { store.put(&path, PutPayload::from(bytes)).await.map(drop) }
        };
        block_on(futures::stream::iter(files.iter().map(put)).buffer_unordered(32).try_collect::<Vec<()>>()).unwrap();
        Some(remote)
    }

    /// The binary on the inputs in the bucket, through this port.
    fn command(&self, port: u16, args: &[&str]) -> Command {
        let at = |path: &str| format!("s3://{BUCKET}/{}/{path}", self.folder);
        let mut command = Command::new(env!("CARGO_BIN_EXE_backcast"));
        command.args(args).args(["--out", &at("out")]);
        for (key, path) in
            [("sources.events", "events/"), ("labels", "labels.parquet"), ("snapshots.old", "old.parquet")]
        {
            if path.ends_with('/') || self.local.path(path).exists() {
                command.args(["--set", &format!("{key}.uri=\"{}\"", at(path))]);
            }
        }
        command.current_dir(self.local.dir.path()).env("NO_COLOR", "1");
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
        command.env("AWS_ACCESS_KEY_ID", KEY.0).env("AWS_SECRET_ACCESS_KEY", KEY.1);
        command
    }

    fn run(&self, port: u16, args: &[&str]) -> Ran {
        ran(self.command(port, args))
    }

    fn start(&self, port: u16, args: &[&str]) -> Child {
        self.command(port, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn proxy(&self, plan: impl Fn(&Request) -> Fault + Send + Sync + 'static) -> Proxy {
        Proxy::new(self.server.port, Duration::ZERO, plan)
    }

    /// The paths below the output folder, without Backcast's own.
    fn outputs(&self) -> BTreeSet<String> {
        let prefix = format!("{}/out/", self.folder);
        let objects: Vec<_> = block_on(self.server.store().list(Some(&prefix.as_str().into())).try_collect()).unwrap();
        let paths = objects.iter().map(|o| o.location.as_ref().strip_prefix(&prefix).unwrap().to_string());
        paths.filter(|p| !p.starts_with(".backcast/")).collect()
    }

    /// Asserts that the bucket holds what a run on disk gives: the names of data hold a hash of its bytes.
    #[track_caller]
    fn is_as_on_disk(&self) {
        self.local.backcast(&["run"]).exits_with(0);
        let here: BTreeSet<String> = self.local.outputs().into_iter().collect();
        assert_eq!(self.outputs(), here);
    }
}

fn ran(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn below(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => below(&entry.path(), &format!("{name}/"), found),
            false => found.push(name),
        }
    }
}

/// The report of a run with `--format json`.
fn storage(ran: &Ran) -> (u64, u64, u64) {
    let storage = &ran.json()["storage"];
    let number = |key: &str| storage[key].as_u64().unwrap_or_else(|| panic!("no {key}: {storage}"));
    (number("requests"), number("retries"), number("objects"))
}
