//! `explain` and report.json: every choice that values depend on, and where it came from.

use serde_json::{Value, json};

use crate::support::Project;

fn project() -> Project {
    super::project()
        .profile("tecton")
        .config("[views.v.features.n]\nwhen_null = 7\ntolerance = { abs = 0.5 }\n[diff]\nagreement = 0.9")
}

fn said<'a>(choices: &'a Value, key: &str) -> &'a Value {
    let found = choices.as_array().unwrap().iter().find(|choice| choice["key"] == key);
    found.unwrap_or_else(|| panic!("no `{key}` in {choices:#}"))
}

#[test]
fn json_of_explain_has_every_choice_with_its_value_and_its_origin() {
    let project = project();
    let at = |text: &str| {
        let line = project.config_text().lines().position(|line| line.starts_with(text)).unwrap() + 1;
        json!(format!("backcast.toml:{line}"))
    };
    let ran = project.backcast(&["explain", "--format", "json", "--set", "labels.tie=exclude"]).exits_with(0);
    let document = ran.json();
    let choices = &document["choices"];
    for (key, value, from, at) in [
        ("project.profile", json!("tecton"), "file", at("profile")),
        ("labels.tie", json!("exclude"), "flag", json!("--set labels.tie=exclude")),
        ("labels.timezone", json!("UTC"), "profile", json!("tecton")),
        ("sources.events.future_events", json!("hidden"), "profile", json!("tecton")),
        ("sources.events.available_at", json!(null), "default", json!(null)),
        ("sources.events.delay", json!("0s"), "default", json!(null)),
        ("sources.events.timezone", json!("UTC"), "profile", json!("tecton")),
        ("views.v.features.n.when_missing", json!(0), "profile", json!("tecton")),
        ("views.v.features.n.when_null", json!(7), "file", at("when_null")),
        ("views.v.features.n.tolerance", json!({"abs": 0.5, "rel": 0.0}), "file", at("tolerance")),
        ("diff.agreement", json!(0.9), "file", at("agreement")),
        ("diff.tolerance.abs", json!(0.0), "default", json!(null)),
        ("dataset.unrecoverable", json!(null), "default", json!(null)),
    ] {
        assert_eq!(*said(choices, key), json!({ "key": key, "value": value, "from": from, "at": at }));
    }
}

#[test]
fn explain_says_in_groups_what_was_chosen_and_where() {
    let many: String = (0..40).map(|i| format!(", max(user_id) + {i} AS f{i}")).collect();
    let project = project().view("w", &format!("SELECT user_id{many} FROM events GROUP BY user_id"));
    let ran = project.backcast(&["explain"]).exits_with(0);
    let (_, text) = ran.stdout.split_once("\nchoices\n").expect("a section");
    let lines: Vec<String> = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "project.profile tecton backcast.toml:2",
        "labels.tie include profile tecton",
        "sources.*.future_events hidden profile tecton (events)",
        "sources.*.id not set default (events)",
        "views.*.features.*.when_missing 0 profile tecton (v.n)",
        "views.*.features.*.when_missing NULL profile tecton (w.f0, w.f1, w.f2 and 37 more)",
        "views.*.features.*.when_null NULL default (w.f0, w.f1, w.f2 and 37 more)",
        "dataset.unrecoverable not set default",
    ] {
        assert!(lines.iter().any(|l| l == line), "no `{line}` in\n{text}");
    }
    assert!(lines.len() < 25, "{text}");
    let one = project.backcast(&["explain", "v"]).exits_with(0);
    assert!(!one.stdout.contains("choices"), "of one view, its plan alone: {}", one.stdout);
}

#[test]
fn the_report_has_the_choices_of_explain() {
    let project = project();
    let explained = project.backcast(&["explain", "--format", "json"]).exits_with(0).json();
    let report = project.backcast(&["run", "--format", "json"]).exits_with(0).json();
    assert_eq!(report["choices"], explained["choices"]);
    let page = std::fs::read_to_string(project.path("out/report.html")).unwrap();
    assert!(
        page.contains("<th scope=\"row\">sources.*.future_events</th><td>hidden</td><td>profile tecton</td>"),
        "{page}"
    );
}

#[test]
fn an_unknown_profile_is_told_with_the_nearest_name() {
    let project = super::project();
    let ran = project.backcast(&["check", "--set", "project.profile=openmdlb"]).exits_with(2);
    assert!(ran.stdout.contains("`project.profile` is `openmdlb`"), "{}", ran.stdout);
    assert!(ran.stdout.contains("did you mean `openmldb`?"), "{}", ran.stdout);
}
