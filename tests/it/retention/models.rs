//! Verdicts, the deadline and the calendar.

use crate::support::{Project, table, write_parquet};

/// Daily label rows of March; events from the 11th of February on, one file a day, with a feature over 10 and one over 30 days.
fn project(model: &str) -> Project {
    let day =
        |n: i64| (chrono::NaiveDate::from_ymd_opt(2025, 2, 11).unwrap() + chrono::Days::new(n as u64)).to_string();
    let labels: Vec<String> = (18..49).map(|n| format!("1 {}T12:00", day(n))).collect();
    let labels = table(&format!("user_id:i64 at:us@UTC\n{}", labels.join("\n")));
    let files: Vec<(String, _)> = (0..49)
        .map(|n| {
            (format!("{n:02}.parquet"), table(&format!("user_id:i64 ts:us@UTC\n1 {0}T00:00\n1 {0}T11:00", day(n))))
        })
        .collect();
    let files: Vec<(&str, _)> = files.iter().map(|(name, rows)| (name.as_str(), rows.clone())).collect();
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source_of_files("events", "time = \"ts\"\nretention = \"60 days\"", &files)
        .view(
            "short",
            "SELECT user_id, max(ts) AS d10 FROM events WHERE ts > NOW() - INTERVAL '10 days' GROUP BY user_id",
        )
        .view(
            "long",
            "SELECT user_id, max(ts) AS d30 FROM events WHERE ts > NOW() - INTERVAL '30 days' GROUP BY user_id",
        )
        .config(model)
}

fn audited(project: &Project, code: i32) -> serde_json::Value {
    project.backcast(&["audit", "--format", "json", "--today", "2025-04-01"]).exits_with(code).json()
}

#[test]
fn a_model_is_retrained_where_all_its_features_are_covered() {
    let report = audited(&project("[models.m]\nfeatures = [\"short.*\"]\ntraining_history = \"20 days\""), 0);
    let model = &report["models"][0];
    assert_eq!((&model["verdict"], &model["until"]), (&"retrain".into(), &serde_json::Value::Null));
    assert!(
        model["features"][0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("all 20 label rows of the last 20 days are covered")
    );
    assert_eq!(report["gates"][0]["gate"], "retention");
    assert_eq!(report["gates"][0]["passed"], true);
}

#[test]
fn a_model_is_frozen_until_enough_history_is_covered_and_fails_the_gate() {
    let project = project("[models.m]\nfeatures = [\"long.*\"]\ntraining_history = \"20 days\"");
    let report = audited(&project, 3);
    let model = &report["models"][0];
    // 30 days after the first event, and 20 days of labels: 2025-02-11 + 50 days.
    assert_eq!((&model["verdict"], &model["until"]), (&"freeze".into(), &"2025-04-02T00:00:00Z".into()));
    let reason = model["features"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("1 of 20 label rows of the last 20 days are not covered (truncated)"), "{reason}");
    let gate = report["gates"][0]["detail"].as_str().unwrap();
    assert!(gate.contains("model `m` has to be frozen until 2025-04-02") && gate.contains("`long.d30`"), "{gate}");
    // Seen from a later day, nothing has to be waited for but newer labels.
    let text = project.backcast(&["audit", "--today", "2025-04-09"]).exits_with(3).stdout;
    assert!(text.contains("m: freeze until the labels reach 2025-04-02"), "{text}");
}

#[test]
fn a_freeze_has_no_end_where_events_are_deleted_before_they_can_be_used() {
    let report = audited(&project("[models.m]\nfeatures = [\"long.*\"]\ntraining_history = \"31 days\""), 3);
    assert_eq!(report["models"][0]["until"], serde_json::Value::Null);
}

#[test]
fn a_snapshot_with_what_is_missing_is_a_fallback() {
    let project = project(
        "[models.m]\nfeatures = [\"long.*\"]\ntraining_history = \"20 days\"\n[snapshots.old]\nuri = \"old.parquet\"",
    );
    let legacy = table(
        "user_id:i64 at:us@UTC d30:us@UTC\n1 2025-03-01T12:00 2025-03-01T11:00\n1 2025-03-31T12:00 2025-03-31T11:00",
    );
    write_parquet(&project.path("old.parquet"), &legacy);
    let report = audited(&project, 0);
    assert_eq!(report["models"][0]["verdict"], "fallback");
}

#[test]
fn the_deadline_is_when_the_first_event_that_a_covered_row_needs_expires() {
    let project = project("[models.m]\nfeatures = [\"short.*\"]");
    let report = audited(&project, 0);
    let retention = &report["retention"];
    assert_eq!(retention["sources"][0]["expires"], "2025-04-12T11:00:00Z");
    // Over 30 days, the first label row that is covered is that of 2025-03-13T12:00. It needs events from 2025-02-11T12:00 on; the first
    // of them is in the file of the 12th.
    assert_eq!(retention["deadline"], "2025-04-13T11:00:00Z");
    let weeks: Vec<_> = retention["timeline"].as_array().unwrap().iter().filter(|e| e["what"] == "week").collect();
    let kept: Vec<u64> = weeks.iter().map(|w| w["labels"].as_u64().unwrap()).collect();
    assert!(kept.windows(2).all(|w| w[0] > w[1]) && kept.last() == Some(&0), "{kept:?}");
    let text = project.backcast(&["audit", "--today", "2025-04-01"]).exits_with(0).stdout;
    for part in ["models", "✓  m: retrain", "calendar, from 2025-04-01", "still covered", "2025-04-12"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn what_has_come_to_pass_is_now_and_only_what_lies_ahead_has_a_date() {
    let project = project("[models.m]\nfeatures = [\"short.*\"]");
    // By entry, without the breaks of its lines.
    let calendar = |today: &str| -> Vec<String> {
        let text = project.backcast(&["audit", "--today", today]).exits_with(0).stdout;
        let lines = text.lines().skip_while(|line| !line.starts_with("calendar, from")).skip(1);
        let mut entries = Vec::<String>::new();
        for line in lines.take_while(|line| line.starts_with("  ")) {
            match entries.last_mut().filter(|_| line.starts_with("   ")) {
                Some(last) => last.push_str(&format!(" {}", line.trim())),
                None => entries.push(line.trim().to_string()),
            }
        }
        entries
    };
    // The oldest file expires on the 12th, the first event that is needed on the 13th.
    let after = calendar("2025-04-20");
    let now: Vec<&String> = after.iter().filter(|line| line.starts_with("now ")).collect();
    assert!(now.iter().any(|line| line.contains("oldest file of `events` should be deleted by now")), "{after:#?}");
    assert!(now.iter().any(|line| line.contains("run the replay while they are there")), "{after:#?}");
    let dates: Vec<&str> = after.iter().filter(|l| !l.starts_with("now ")).map(|line| &line[..10]).collect();
    assert!(!dates.is_empty() && dates.iter().all(|day| *day > "2025-04-20"), "{after:#?}");
    let before = calendar("2025-04-01");
    assert!(before.iter().any(|line| line.starts_with("2025-04-12") && line.ends_with("is deleted")), "{before:#?}");
    assert!(before.iter().any(|line| line.starts_with("2025-04-13") && line.ends_with("run the replay before")));
    assert!(before.iter().all(|line| !line.contains("should be deleted")), "{before:#?}");
}
