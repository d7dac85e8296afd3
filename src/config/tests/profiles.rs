//! `[project] profile`: its defaults, what is stronger, and that the docs tell the same.

use serde_json::json;

use super::*;
use crate::config::kind::Default;
use crate::config::profile::{NAMES, PROFILES, Profile};
use crate::config::{Choice, FutureEvents, Layer, Missing, Tie};

fn with_profile(name: &str) -> String {
    MINIMAL.replace("name = \"p\"", &format!("name = \"p\"\nprofile = \"{name}\""))
}

fn choice(config: &Config, key: &str) -> Choice {
    config.choices.iter().find(|c| c.key == key).unwrap_or_else(|| panic!("no choice {key}")).clone()
}

fn origin(config: &Config, key: &str) -> (Layer, Option<String>) {
    let origin = choice(config, key).origin;
    (origin.from, origin.at)
}

#[test]
fn the_names_are_those_of_the_profiles() {
    assert_eq!(PROFILES.iter().map(|p| p.name).collect::<Vec<_>>(), NAMES);
}

#[test]
fn every_profile_sets_what_its_table_says_and_says_where_it_came_from() {
    for profile in &PROFILES {
        let config = loaded(&with_profile(profile.name));
        assert_eq!(config.project.missing, profile.missing, "{}", profile.name);
        for (key, value) in profile.keys {
            let key = key.replace('*', "events");
            let choice = choice(&config, &key);
            assert_eq!(choice.value, value.json(), "{}: {key}", profile.name);
            assert_eq!(
                (choice.origin.from, choice.origin.at.as_deref()),
                (Layer::Profile, Some(profile.name)),
                "{key}"
            );
        }
    }
}

/// A key of a profile that does not exist, or a value that validation would refuse, would be silently nothing.
#[test]
fn every_value_of_a_profile_is_one_that_the_file_could_hold() {
    for (key, value) in PROFILES.iter().flat_map(|p| p.keys) {
        let Default::Text(text) = value else { panic!("{key} is no text") };
        let set = format!("{}={text}", key.replace('*', "events"));
        let (config, warnings) = Project::new(MINIMAL).load(&[&set]).unwrap_or_else(|f| panic!("{set}: {}", shown(&f)));
        assert_eq!(warnings, []);
        assert_eq!(choice(&config, &key.replace('*', "events")).value, json!(text));
    }
}

#[test]
fn without_a_profile_the_defaults_are_the_built_in_ones() {
    let config = loaded(MINIMAL);
    assert_eq!((config.labels.tie, config.sources[0].future_events), (Tie::Include, FutureEvents::Visible));
    assert_eq!(config.project.missing, Missing::Null);
    assert!(config.choices.iter().all(|c| matches!(c.origin.from, Layer::Default)), "{:?}", config.choices);
    assert_eq!(choice(&config, "labels.tie").value, json!("include"));
    assert_eq!(choice(&config, "sources.events.delay").value, json!("0s"));
    assert_eq!(choice(&config, "sources.events.available_at").value, json!(null));
    assert_eq!(choice(&config, "diff.tolerance.abs").value, json!(0.0));
}

#[test]
fn what_is_written_is_stronger_than_the_profile_and_a_flag_is_stronger_than_the_file() {
    let text = with_profile("chronon");
    assert_eq!(loaded(&text).labels.tie, Tie::Exclude);
    assert_eq!(loaded(&text).sources[0].future_events, FutureEvents::Hidden);

    let written = text.replace("time = \"label_ts\"", "time = \"label_ts\"\ntie = \"include\"");
    let config = loaded(&written);
    assert_eq!(config.labels.tie, Tie::Include, "also where it is what is built in");
    let (layer, at) = origin(&config, "labels.tie");
    assert_eq!(layer, Layer::File);
    assert!(at.unwrap().ends_with("backcast.toml:8"));
    assert_eq!(config.sources[0].future_events, FutureEvents::Hidden, "the rest is still the profile's");

    let (config, _) = Project::new(&written).load(&["labels.tie=exclude"]).unwrap();
    assert_eq!(config.labels.tie, Tie::Exclude);
    assert_eq!(origin(&config, "labels.tie"), (Layer::Flag, Some("--set labels.tie=exclude".to_string())));
}

#[test]
fn a_flag_can_name_the_profile_and_replace_the_files() {
    for text in [MINIMAL.to_string(), with_profile("feast")] {
        let (config, _) = Project::new(&text).load(&["project.profile=chronon"]).unwrap();
        assert_eq!(config.labels.tie, Tie::Exclude);
        assert_eq!(origin(&config, "labels.tie"), (Layer::Profile, Some("chronon".to_string())));
        let flag = Some("--set project.profile=chronon".to_string());
        assert_eq!(origin(&config, "project.profile"), (Layer::Flag, flag));
    }
}

#[test]
fn a_profile_speaks_of_every_source_that_is_declared_and_of_no_other() {
    let more = "[sources.late]\nuri = \"events/\"\ntime = \"ts\"\nfuture_events = \"visible\"\n";
    let config = loaded(&(with_profile("feast") + more));
    let future: Vec<_> = config.sources.iter().map(|s| s.future_events).collect();
    assert_eq!(future, [FutureEvents::Hidden, FutureEvents::Visible]);
    assert_eq!(config.choices.iter().filter(|c| c.pattern == "sources.*.future_events").count(), 2);
}

#[test]
fn the_timezone_of_the_labels_that_a_profile_sets_is_the_snapshots_too() {
    let text = with_profile("tecton") + "[snapshots.march]\nuri = \"legacy/train.parquet\"\n";
    assert_eq!(loaded(&text).snapshots[0].timezone, chrono_tz::Tz::UTC);
}

#[test]
fn an_unknown_profile_is_refused_with_the_nearest_name() {
    let findings = refused(&with_profile("cronon"));
    assert_eq!(findings.len(), 1, "{}", shown(&findings));
    assert!(findings[0].message.contains("`project.profile` is `cronon`"), "{}", findings[0]);
    assert_eq!(findings[0].help.as_deref(), Some("did you mean `chronon`?"));
    assert_eq!(underlined(&findings[0]), "\"cronon\"");
    let findings = refused(&MINIMAL.replace("name = \"p\"", "name = \"p\"\nprofile = [\"feast\"]"));
    assert!(findings[0].message.contains("`project.profile` is a list"), "{}", findings[0]);
}

#[test]
fn a_profile_over_a_file_with_mistakes_adds_no_findings() {
    let text = with_profile("tecton").replace("[labels]", "[lables]");
    let findings = refused(&text);
    assert!(findings.iter().all(|f| !f.message.contains("tie") && !f.message.contains("future_events")));
    refused("project = { name = \"p\", profile = \"feast\" }\nlabels = 3\nsources = [1]\nviews = \"x\"");
}

#[test]
fn a_choice_names_its_key_as_set_takes_it() {
    let text = MINIMAL.replace("[sources.events]", "[sources.\"my events\"]");
    let findings = Project::new(&text).load(&[]).err().unwrap_or_default();
    // A name with a blank is refused, so quoted keys come from columns alone.
    assert!(!findings.is_empty());
    assert_eq!(
        crate::config::dotted(&["views", "v", "features", "a b", "when_missing"]),
        "views.v.features.\"a b\".when_missing"
    );
}

const BEGIN: &str = "<!-- The table below is held against the code: UPDATE_DOCS=1 cargo test profiles -->\n";
const END: &str = "<!-- end of the table -->\n";

/// One row for each key that any profile sets, one column for each profile.
fn table_of_docs() -> String {
    let value = |profile: &Profile, key: &str| {
        let set = profile.keys.iter().find(|(name, _)| *name == key).map(|(_, value)| value.json());
        set.map_or("–".to_string(), |value| format!("`{}`", value.as_str().unwrap()))
    };
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in PROFILES.iter().flat_map(|p| p.keys) {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    let default = |key: &str| choice(&loaded(MINIMAL), &key.replace('*', "events")).value;
    let mut rows: Vec<Vec<String>> =
        vec![["key", "no profile"].into_iter().chain(NAMES.iter().copied()).map(str::to_string).collect()];
    rows.push(vec!["---".to_string(); rows[0].len()]);
    for key in keys {
        let built_in = format!("`{}`", default(key).as_str().unwrap());
        let cells = PROFILES.iter().map(|profile| value(profile, key));
        rows.push([format!("`{key}`"), built_in].into_iter().chain(cells).collect());
    }
    let missing = |of: &str, zero: fn(Missing) -> bool| -> Vec<String> {
        let cells = PROFILES.iter().map(|p| if zero(p.missing) { "`0`".to_string() } else { "NULL".to_string() });
        [format!("`when_missing` of {of}"), "NULL".to_string()].into_iter().chain(cells).collect()
    };
    rows.push(missing("a `COUNT`", |m| m != Missing::Null));
    rows.push(missing("a `COUNT(DISTINCT …)`", |m| m == Missing::CountIsZero { distinct: true }));
    rows.push(missing("any other feature", |_| false));
    rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect()
}

#[test]
fn the_profiles_in_the_docs_are_those_of_the_code() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/profiles.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the line before the table");
    let (table, after) = rest.split_once(END).expect("the line after the table");
    let wanted = table_of_docs();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert!(table == wanted, "docs/profiles.md is out of date: UPDATE_DOCS=1 cargo test profiles\n{wanted}");
    for name in NAMES {
        let heading = format!("\n## {name}\n");
        let (_, section) = text.split_once(&heading).unwrap_or_else(|| panic!("no section {name}"));
        let section = section.split("\n## ").next().unwrap_or_default();
        assert!(section.contains("https://"), "section {name} names no source");
        assert!(section.contains("Not expressed"), "section {name} does not say what no key expresses");
    }
}
