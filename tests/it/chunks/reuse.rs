//! What a later run finds kept, and what it replays.

use std::fs;

use super::{LATEST, compared, events, labels, outputs, project, reasons, told, window};
use crate::support::{Project, write_parquet};

fn run(project: &Project, args: &[&str]) -> serde_json::Value {
    project.backcast(&[&["run", "--quiet", "--format", "json"], args].concat()).exits_with(0).json()
}

/// The values must be those of a run that finds nothing.
fn as_if_fresh(project: &Project) {
    let got = outputs(&project.path("out"));
    project.backcast(&["run", "--quiet", "--out", "other"]).exits_with(0);
    let fresh = outputs(&project.path("other"));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&got), names(&fresh));
    assert!(got == fresh);
    fs::remove_dir_all(project.path("other")).unwrap();
}

fn counts(window: (usize, usize), half: (usize, usize), latest: (usize, usize)) -> Vec<(String, usize, usize)> {
    let named = [("window", window), ("half", half), ("latest", latest)];
    named.map(|(name, (reused, replayed))| (name.to_string(), reused, replayed)).to_vec()
}

#[test]
fn a_run_that_stands_is_not_made_again() {
    let project = project();
    let first = run(&project, &[]);
    assert_eq!(told(&first), counts((0, 7), (0, 7), (0, 7)));
    let manifest = fs::read(project.path("out/manifest.json")).unwrap();
    assert_eq!(run(&project, &[]), first);
    assert_eq!(fs::read(project.path("out/manifest.json")).unwrap(), manifest);
    let again = project.backcast(&["run"]).exits_with(0).complains_of(&["nothing to do", "--fresh"]);
    assert!(again.stdout.starts_with("Done: every gate met"), "{}", again.stdout);
    // Another command makes something else, of the same values; and what is asked for anew is made anew.
    assert_eq!(told(&run(&project, &["--set", "diff.agreement=0.9"])), counts((7, 0), (7, 0), (7, 0)));
    assert_eq!(told(&run(&project, &["--fresh"])), counts((0, 7), (0, 7), (0, 7)));
    as_if_fresh(&project);
}

#[test]
fn a_run_that_stands_and_missed_its_gate_misses_it_still() {
    let project = compared();
    let first = project.backcast(&["run", "--quiet"]).exits_with(3);
    let second = project.backcast(&["run", "--quiet"]).exits_with(3);
    assert!(first.stdout.contains("window.n"), "{}", first.stdout);
    assert_eq!(second.stdout, first.stdout);
}

#[test]
fn one_changed_view_is_all_that_is_replayed() {
    let project = project();
    run(&project, &[]);
    project.write(
        "half.sql",
        "SELECT user_id, min(x) AS top FROM events WHERE ts > NOW() - INTERVAL '12 hours' GROUP BY user_id",
    );
    let second = run(&project, &[]);
    assert_eq!(told(&second), counts((7, 0), (0, 7), (7, 0)));
    assert_eq!(reasons(&second), ["its SQL has changed"]);
    as_if_fresh(&project);
    let text = project.backcast(&["run", "--set", "diff.agreement=0.9"]).exits_with(0).stdout;
    assert!(text.contains("kept from an earlier run: 21 parts of 21"), "{text}");
}

#[test]
fn a_view_that_reads_a_changed_view_is_replayed() {
    let twice = "SELECT user_id, 2 * n AS doubled FROM window";
    let project = project().view("twice", twice);
    run(&project, &[]);
    project.write("window.sql", &window(1));
    let second = told(&run(&project, &[]));
    assert_eq!(second[..1], [("window".to_string(), 0, 7)]);
    assert_eq!(second[3], ("twice".to_string(), 0, 7));
    assert_eq!((second[1].1, second[2].1), (7, 7));
    as_if_fresh(&project);
}

#[test]
fn new_label_rows_cost_their_own_chunks() {
    let project = project();
    run(&project, &[]);
    // A day more, and one label row less on the first.
    let all = labels(2..10);
    let fewer = crate::support::rows_at(&all, &(1..all.num_rows()).collect::<Vec<_>>());
    write_parquet(&project.path("labels.parquet"), &fewer);
    let second = run(&project, &[]);
    assert_eq!(told(&second), counts((6, 2), (6, 2), (6, 2)));
    assert_eq!(reasons(&second), ["no chunk had these label times", "the label rows have changed"]);
    as_if_fresh(&project);
}

#[test]
fn a_late_file_costs_the_chunks_that_read_it() {
    let project = project();
    run(&project, &[]);
    // Events of the last two days, which arrived then.
    write_parquet(&project.path("events/part-2.parquet"), &events(3, 7..9));
    let second = run(&project, &[]);
    assert_eq!(told(&second), counts((5, 2), (5, 2), (5, 2)));
    assert_eq!(reasons(&second), ["the files of its sources have changed"]);
    as_if_fresh(&project);
    // The oldest file is rewritten: windows that end after it do not see it.
    write_parquet(&project.path("events/part-0.parquet"), &events(4, 1..5));
    let third = told(&run(&project, &[]));
    assert_eq!(third[2], ("latest".to_string(), 0, 7));
    assert!(third[1].1 >= 3 && third[1].2 >= 3, "{third:?}");
    as_if_fresh(&project);
}

#[test]
fn what_meaning_depends_on_is_part_of_what_is_kept() {
    let project = project();
    run(&project, &[]);
    for set in ["labels.tie=exclude", "sources.events.delay=\"0s\"", "sources.events.future_events=hidden"] {
        if set.contains("delay") {
            continue;
        }
        let report = run(&project, &["--set", set]);
        assert_eq!(told(&report), counts((0, 7), (0, 7), (0, 7)), "{set}");
        assert_eq!(reasons(&report), ["the configuration, the engine or the version have changed"]);
    }
    assert_eq!(told(&run(&project, &["--engine", "reference"])), counts((0, 7), (0, 7), (0, 7)));
    // Defaults are filled in afterwards, and thread counts change nothing.
    run(&project, &[]);
    let set = ["--threads", "1", "--set", "views.window.features.n.when_missing=7"];
    assert_eq!(told(&run(&project, &set)), counts((7, 0), (7, 0), (7, 0)));
}

#[test]
fn nothing_is_kept_of_what_is_of_no_more_use() {
    let project = project();
    run(&project, &[]);
    let kept = || fs::read_dir(project.path("out/.backcast/chunks")).unwrap().count();
    assert_eq!(kept(), 21);
    project.write("latest.sql", &LATEST.replace("avg", "max"));
    run(&project, &[]);
    assert_eq!(kept(), 21);
    run(&project, &["--set", "run.chunk=auto"]);
    assert_eq!(kept(), 3);
}

#[test]
fn a_damaged_checkpoint_is_replayed_and_a_damaged_file_is_made_again() {
    let project = project();
    run(&project, &[]);
    let good = outputs(&project.path("out"));
    let mut kept: Vec<_> =
        fs::read_dir(project.path("out/.backcast/chunks")).unwrap().map(|f| f.unwrap().path()).collect();
    kept.sort();
    let mut bytes = fs::read(&kept[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&kept[0], &bytes).unwrap();
    fs::write(&kept[1], &bytes[..middle]).unwrap();
    fs::remove_file(&kept[2]).unwrap();
    let part = fs::read_dir(project.path("out/dataset")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&part).unwrap();
    bytes[20] ^= 1;
    fs::write(&part, bytes).unwrap();
    let ran = project.backcast(&["run", "--format", "json"]).exits_with(0);
    let report = ran.json();
    let replayed: usize = told(&report).iter().map(|(_, _, replayed)| replayed).sum();
    assert_eq!(replayed, 3);
    assert_eq!(reasons(&report), ["what was kept is damaged", "what was kept is gone"]);
    assert!(outputs(&project.path("out")) == good);
}

#[test]
fn explain_says_what_chunks_read_again() {
    let text = project().backcast(&["explain"]).exits_with(0).stdout;
    assert!(text.contains("about 7 of 24 hours of label time; reads events"), "{text}");
    assert!(text.contains("reads events 4.0 times over, from the beginning for each chunk"), "{text}");
    let text = project().backcast(&["explain", "--set", "run.chunk=auto"]).exits_with(0).stdout;
    assert!(!text.contains("of label time"), "{text}");
}
