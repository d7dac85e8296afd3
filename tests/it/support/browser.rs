//! A headless Chromium, spoken to over its debugging pipe: no port, no library.
//!
//! The browser reads commands from descriptor 3 and writes answers and events to 4, JSON texts that end in a NUL. A shell
//! connects both to named pipes, so nothing here has to touch descriptors.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A machine at work may take its time; a browser that hangs must not hang the tests.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Browser {
    child: Child,
    commands: File,
    heard: Receiver<Value>,
    events: Vec<Value>,
    session: Option<String>,
    last_id: u64,
    profile: TempDir,
}

impl Browser {
    /// A browser with an empty page; `None`, and a line that says so, where none is installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(name) = installed() else {
            // Past the test harness, which would keep it to itself.
            let skipped = "\nSKIPPED: no Chromium is installed, so report.html is not tested in a browser.\n\n";
            std::io::stderr().write_all(skipped.as_bytes()).unwrap();
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let [to, from] = ["to", "from"].map(|pipe| profile.path().join(pipe));
        assert!(Command::new("mkfifo").args([&to, &from]).status().unwrap().success());
        let stderr = File::create(profile.path().join("stderr")).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<\"$TO\" 4>\"$FROM\"", name])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe", "--window-size=1280,900"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .arg("about:blank")
            .env("TO", &to)
            .env("FROM", &from)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        // The shell opens the pipes in this order, and each waits for its other end.
        let commands = File::options().write(true).open(&to).unwrap();
        let answers = BufReader::new(File::open(&from).unwrap());
        let (said, heard) = channel();
        std::thread::spawn(move || {
            for message in answers.split(0).map_while(Result::ok) {
                if said.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        if let Ok(Some(status)) = child.try_wait() {
            panic!("{name} ended at once: {status}");
        }
        let mut browser = Self { child, commands, heard, events: Vec::new(), session: None, last_id: 0, profile };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let targets = self.ask("Target.getTargets", json!({}));
        let page = targets["targetInfos"].as_array().unwrap().iter().find(|t| t["type"] == "page").unwrap();
        let attached = self.ask("Target.attachToTarget", json!({"targetId": page["targetId"], "flatten": true}));
        self.session = Some(attached["sessionId"].as_str().unwrap().to_string());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.ask(&format!("{domain}.enable"), json!({}));
        }
        // Without it, no key reaches a page that no window shows.
        self.ask("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
    }

    /// One command and its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut message = self.next(method);
            if message["id"] == self.last_id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    #[track_caller]
    fn next(&self, waiting_for: &str) -> Value {
        self.heard.recv_timeout(PATIENCE).unwrap_or_else(|e| {
            let stderr = std::fs::read_to_string(self.profile.path().join("stderr")).unwrap_or_default();
            panic!("no answer to {waiting_for}: {e}\n{stderr}")
        })
    }

    /// Shows a file; how long that took. What was heard of earlier pages is forgotten.
    #[track_caller]
    pub(crate) fn open(&mut self, page: &Path) -> Duration {
        self.events.clear();
        let began = Instant::now();
        self.ask("Page.navigate", json!({"url": format!("file://{}", page.display())}));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next("Page.loadEventFired");
            self.events.push(event);
        }
        began.elapsed()
    }

    /// The value of an expression in the page; of a promise, what it gives.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.ask("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    #[track_caller]
    pub(crate) fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_else(|| panic!("{expression} is no text")).to_string()
    }

    /// Presses and releases a key, where the focus is.
    pub(crate) fn press(&mut self, key: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    /// What the page has asked the network or the disk for, itself included.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        self.settle();
        let events = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        events.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_string()).collect()
    }

    /// What the page has said on the console: messages, exceptions, violations of its policy.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.settle();
        let told = ["Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"];
        let events = self.events.iter().filter(|event| told.iter().any(|method| event["method"] == *method));
        events.map(|event| event["params"].to_string()).collect()
    }

    /// Lets the page finish what it has begun.
    fn settle(&mut self) {
        self.value("new Promise(done => setTimeout(done, 300))");
    }
}

/// The command of a browser that is installed.
fn installed() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"].into_iter().find(|name| {
        let asked = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    })
}

/// Takes a picture of a page's first screen.
pub(crate) fn picture(page: &Path, to: &Path) {
    let profile = tempfile::tempdir().unwrap();
    let taken = Command::new(installed().expect("a browser to take pictures with"))
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1180,1180"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--screenshot={}", to.display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
