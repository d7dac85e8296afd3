//! Lineage events, and the log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::channel;

use serde_json::Value;

use crate::support::Project;

fn events(project: &Project) -> Vec<Value> {
    let text = std::fs::read_to_string(project.path("lineage.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["eventType"].as_str().unwrap()).collect()
}

#[test]
fn a_run_tells_what_it_reads_and_writes_with_schemas() {
    let project = super::compared(2, 1).config("[lineage]\nuri = \"lineage.jsonl\"\nnamespace = \"training\"");
    project.backcast(&["run"]).exits_with(0);
    let events = events(&project);
    assert_eq!(kinds(&events), ["START", "COMPLETE"]);
    assert_eq!(events[0]["run"]["runId"], events[1]["run"]["runId"]);
    assert_eq!(events[1]["job"]["namespace"], "training");
    assert_eq!(events[1]["job"]["name"], "test.run");
    let inputs = events[0]["inputs"].as_array().unwrap();
    let name = |path: &str| project.path(path).display().to_string();
    let names: Vec<&str> = inputs.iter().map(|i| i["name"].as_str().unwrap()).collect();
    assert_eq!(names, [name("labels.parquet"), name("events"), name("old.parquet")]);
    assert_eq!(inputs[0]["namespace"], "file");
    assert_eq!(inputs[0]["facets"]["schema"]["fields"][0]["name"], "user_id");
    let outputs = events[1]["outputs"].as_array().unwrap();
    let dataset = outputs.iter().find(|o| o["name"] == name("out/dataset")).unwrap();
    assert_eq!(dataset["outputFacets"]["outputStatistics"]["rowCount"], 2);
    let fields: Vec<&Value> =
        dataset["facets"]["schema"]["fields"].as_array().unwrap().iter().map(|f| &f["name"]).collect();
    assert_eq!(fields, ["user_id", "at", "n"]);
}

#[test]
fn a_run_that_fails_tells_why() {
    let project = super::project().config("[lineage]\nuri = \"lineage.jsonl\"");
    project.write("out/dataset/stranger.parquet", "");
    project.backcast(&["run"]).exits_with(2);
    let events = events(&project);
    assert_eq!(kinds(&events), ["START", "FAIL"]);
    let message = events[1]["run"]["facets"]["errorMessage"]["message"].as_str().unwrap();
    assert!(message.contains("no manifest lists"), "{message}");
}

#[test]
fn an_endpoint_is_sent_each_event_and_one_that_fails_stops_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (said, heard) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let mut from = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                from.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            from.read_exact(&mut body).unwrap();
            said.send((head, serde_json::from_slice::<Value>(&body).unwrap())).unwrap();
            let status = if number == 0 { "201 Created" } else { "500 Oops" };
            write!(&stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    let uri = format!("[lineage]\nuri = \"http://127.0.0.1:{port}/api/v1/lineage?token=hush\"");
    let project = super::project().config(&uri);
    let ran = project.backcast(&["run"]).exits_with(0);
    assert!(ran.stderr.contains("note: lineage could not be told") && ran.stderr.contains("500"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hush"), "{}", ran.stderr);
    let told: Vec<(String, Value)> = heard.try_iter().collect();
    assert_eq!(told.iter().map(|(_, e)| e["eventType"].as_str().unwrap()).collect::<Vec<_>>(), ["START", "COMPLETE"]);
    assert!(told[0].0.starts_with("POST /api/v1/lineage?token=hush "), "{}", told[0].0);
    assert!(told.iter().all(|(_, event)| !event.to_string().contains("hush")));
    // Nobody listens: neither does it wait long.
    let project = super::project().config("[lineage]\nuri = \"http://127.0.0.1:9/\"");
    let ran = project.backcast(&["run"]).exits_with(0);
    assert!(ran.stderr.contains("note: lineage could not be told: `http://127.0.0.1:9/`"), "{}", ran.stderr);
}

#[test]
fn the_log_is_on_stderr_for_those_who_ask() {
    let project = super::project();
    let ran = project.backcast(&["run", "--log-format", "json", "--format", "json"]).exits_with(0);
    ran.json();
    let lines: Vec<Value> = ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|l| l["stage"] == "writing" && l["level"] == "INFO"), "{}", ran.stderr);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_backcast"));
    command.arg("check").current_dir(project.dir.path()).env("RUST_LOG", "backcast=loud");
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("RUST_LOG `backcast=loud` can't be understood"));
}
