//! Planted flaws: a legacy store that computes from its own definition, and the cause that has to be found first.

mod called;
mod hidden;
mod shapes;
mod sources;
mod world;

use serde_json::{Value, json};

use crate::support::{read_parquet, shown};
use world::{DAY, HOUR, Lot, MINUTE, START, Store, World, feature, report};

/// The first cause of a feature with its parameters, and what it explains.
fn first<'a>(report: &'a Value, snapshot: &str, name: &str) -> (&'a Value, &'a Value, f64) {
    let feature = feature(report, snapshot, name);
    let cause = &feature["causes"][0];
    (&cause["cause"], &cause["parameters"], cause["explains"].as_f64().unwrap_or(0.0))
}

#[track_caller]
fn found(report: &Value, snapshot: &str, cause: &Value, parameters: &Value) {
    for name in ["spend.n", "spend.total"] {
        let feature = feature(report, snapshot, name);
        if feature["mismatched"] == 0 {
            continue;
        }
        let (named, with, explains) = first(report, snapshot, name);
        assert_eq!((named, with), (cause, parameters), "{snapshot} {name}: {}", feature["causes"]);
        assert!(explains > 0.99, "{snapshot} {name}: {feature}");
        assert!(feature["causes"][0]["breaks"].as_f64().unwrap() < 0.01, "{snapshot} {name}: {}", feature["causes"]);
    }
}

#[test]
fn every_planted_change_of_time_and_window_is_found_first_with_its_parameter() {
    let w = World::new(1);
    let day_of = |t: i64| t.div_euclid(DAY) * DAY;
    let inclusive = |u, t| w.totals(u, false, |e| e.seen <= t && e.at >= t - DAY);
    let excluded = |u, t| w.totals(u, false, |e| e.seen < t && e.at > t - DAY);
    let calendar = |u, t| w.totals(u, false, |e| e.seen <= t && e.at >= day_of(t));
    let longer = |u, t| w.totals(u, false, |e| e.seen <= t && e.at > t - 2 * DAY);
    let tiled = |u, t: i64| w.totals(u, false, |e| e.seen <= t && e.at > (t - DAY).div_euclid(HOUR) * HOUR);
    let nightly = |u, t| w.right(u, day_of(t));
    let lagging = |u, t: i64| w.right(u, t.div_euclid(HOUR) * HOUR - HOUR);
    let zone = |u, t| w.totals(u, false, |e| e.seen + 330 * MINUTE <= t && e.at + 330 * MINUTE > t - DAY);
    let stores: [(&str, &Store<'_>); 8] = [
        ("inclusive", &inclusive),
        ("excluded", &excluded),
        ("calendar", &calendar),
        ("longer", &longer),
        ("tiled", &tiled),
        ("nightly", &nightly),
        ("lagging", &lagging),
        ("zone", &zone),
    ];
    let report = report(&w.project(&stores, ""));
    found(&report, "inclusive", &json!("window_start_inclusive"), &json!({}));
    found(&report, "excluded", &json!("label_time_excluded"), &json!({}));
    found(&report, "calendar", &json!("window_length"), &json!({"length": "calendar day"}));
    found(&report, "longer", &json!("window_length"), &json!({"length": "P2D"}));
    found(&report, "tiled", &json!("tiled_window"), &json!({"tile": "PT1H"}));
    found(&report, "nightly", &json!("stale"), &json!({"period": "P1D", "lag": "PT0S"}));
    found(&report, "lagging", &json!("stale"), &json!({"period": "PT1H", "lag": "PT1H"}));
    found(&report, "zone", &json!("timezone"), &json!({"offset_minutes": 330}));
    assert_eq!(report["leakage"], json!([]));
}

#[test]
fn every_planted_change_of_sources_and_numbers_is_found_first_with_its_parameter() {
    let w = World::new(2);
    let late = |u, t| w.totals(u, false, |e| e.at <= t && e.at > t - DAY);
    let leak = |u, t| w.totals(u, false, |e| e.seen <= t + 2 * HOUR && e.at > t - DAY);
    let dropped = |u, t| w.totals(u, false, |e| e.seen <= t && e.seen - e.at <= HOUR && e.at > t - DAY);
    let counted = |u, t| w.totals(u, true, |e| e.seen <= t && e.at > t - DAY);
    let truncated = |u, t| w.totals(u, false, |e| e.seen <= t && e.at > t - DAY && e.at >= START + 8 * DAY);
    let filled = |u, t| {
        let (n, total) = w.right(u, t);
        (Some(n.unwrap_or(0)), Some(total.unwrap_or(0.0)))
    };
    let narrowed = |u, t| {
        let (n, total) = w.right(u, t);
        (n, total.map(|v| f64::from(v as f32)))
    };
    let rounded = |u, t| {
        let (n, total) = w.right(u, t);
        (n, total.map(|v| (v * 100.0).round() / 100.0))
    };
    let scaled = |u, t| {
        let (n, total) = w.right(u, t);
        (n, total.map(|v| v * 60.0))
    };
    let stores: [(&str, &Store<'_>); 9] = [
        ("late", &late),
        ("leak", &leak),
        ("dropped", &dropped),
        ("counted", &counted),
        ("truncated", &truncated),
        ("filled", &filled),
        ("narrowed", &narrowed),
        ("rounded", &rounded),
        ("scaled", &scaled),
    ];
    let project = w.project(&stores, "");
    let report = report(&project);
    found(&report, "late", &json!("late_events_visible"), &json!({}));
    found(&report, "leak", &json!("future_leak"), &json!({"horizon": "PT2H"}));
    found(&report, "dropped", &json!("late_events_dropped"), &json!({"limit": "PT1H"}));
    found(&report, "counted", &json!("duplicates_counted"), &json!({}));
    found(&report, "truncated", &json!("truncated_history"), &json!({"first": "2025-03-09T00:00:00Z"}));
    found(&report, "filled", &json!("missing_as_zero"), &json!({}));
    found(&report, "narrowed", &json!("float32"), &json!({}));
    found(&report, "rounded", &json!("rounded"), &json!({"digits": 2}));
    found(&report, "scaled", &json!("scaled"), &json!({"factor": 60.0}));

    // What leaks is said first, in words.
    let leaks = report["leakage"].as_array().unwrap();
    let told: Vec<&str> = leaks.iter().map(|l| l["sentence"].as_str().unwrap()).collect();
    assert_eq!(leaks.len(), 4, "{told:?}");
    let future = leaks.iter().find(|l| l["cause"] == "future_leak").unwrap();
    assert_eq!((&future["by"], &future["models"]), (&json!("PT2H"), &json!(["m"])));
    assert!(told[0].contains("before they had arrived (leakage, up to 4 hours 42 minutes ahead)"), "{told:?}");
    assert!(told[0].ends_with("; it feeds m"), "{told:?}");
    let ran = project.backcast(&["diff"]).exits_with(3);
    assert!(ran.stdout.lines().nth(1).unwrap().starts_with("Leakage: 2 features hold"), "{}", ran.stdout);

    // Every cell has its cause.
    let cells = project.outputs().into_iter().find(|p| p.starts_with("mismatches/late/")).unwrap();
    let cells = read_parquet(&project.path(&format!("out/{cells}")));
    let causes = shown(&cells, "cause");
    assert!(!causes.is_empty() && causes.iter().all(|c| c == "late_events_visible"), "{causes:?}");
}

#[test]
fn a_number_that_was_cut_off_is_told_from_one_that_was_rounded() {
    let w = World::new(16);
    let cut = |by: &dyn Fn(f64) -> f64, u, t| {
        let (n, total) = w.right(u, t);
        (n, total.map(by))
    };
    let down = |u, t| cut(&|v: f64| v.floor(), u, t);
    let up = |u, t| cut(&|v: f64| (v * 10.0).ceil() / 10.0, u, t);
    let report = report(&w.project(&[("down", &down), ("up", &up)], ""));
    for (snapshot, parameters) in
        [("down", json!({"digits": 0, "mode": "down"})), ("up", json!({"digits": 1, "mode": "up"}))]
    {
        let causes = &feature(&report, snapshot, "spend.total")["causes"];
        assert_eq!((&causes[0]["cause"], &causes[0]["parameters"]), (&json!("rounded"), &parameters), "{causes}");
        assert_eq!((&causes[0]["explains"], &causes[0]["breaks"]), (&json!(1.0), &json!(0.0)), "{causes}");
    }
}

#[test]
fn what_had_arrived_by_the_label_time_is_no_leak() {
    let w = World::new(9);
    let day = |t: i64| t.div_euclid(DAY) * DAY;
    let inside = |e: &world::Event, t: i64| e.at <= day(t) && e.at > day(t) - DAY;
    // Last night's values, of events as they happened: most have arrived by the label time.
    let nightly = |u, t| w.totals(u, false, |e| inside(e, t));
    let known = |u, t| w.totals(u, false, |e| inside(e, t) && e.seen <= t);
    let leaks = |(u, t): &(i64, i64)| {
        let legacy = nightly(*u, *t).0;
        legacy != known(*u, *t).0 && legacy != w.right(*u, *t).0
    };
    let leaking: Vec<(i64, i64)> = w.labels.iter().copied().filter(leaks).collect();
    let first = |e: &world::Event| {
        w.events.iter().filter(|other| other.id == e.id).map(|other| other.seen).min() == Some(e.seen)
    };
    let ahead = |(u, t): &(i64, i64)| {
        let unknown = w.events.iter().filter(|e| e.user == *u && inside(e, *t) && e.seen > *t && first(e));
        unknown.map(|e| e.seen - t).max()
    };
    let by = leaking.iter().filter_map(ahead).max().unwrap().unsigned_abs().div_ceil(1_000_000);
    let report = report(&w.project(&[("nightly", &nightly)], ""));
    let differing = feature(&report, "nightly", "spend.n")["mismatched"].as_u64().unwrap();
    let leak = report["leakage"].as_array().unwrap().iter().find(|l| l["feature"] == "spend.n").unwrap();
    assert_eq!(leak["cause"], json!(["late_events_visible", "stale"]));
    assert_eq!(leak["rows"], leaking.len());
    assert!(leaking.len() > 3 && leaking.len() as u64 * 4 < differing, "{} of {differing}", leaking.len());
    let iso = leak["by"].as_str().unwrap();
    let part = |unit: char| -> u64 {
        let digits: String = iso.split(unit).next().unwrap().chars().rev().take_while(char::is_ascii_digit).collect();
        if iso.contains(unit) { digits.chars().rev().collect::<String>().parse().unwrap() } else { 0 }
    };
    assert_eq!(part('H') * 3600 + part('M') * 60 + part('S'), by, "{iso}");
}

#[test]
fn what_is_filled_on_top_of_a_leak_is_counted_by_what_had_arrived() {
    let w = World::new(14);
    // Late events count before they had arrived, and what is missing is 0.
    let filled = |(n, total): (Option<i64>, Option<f64>)| (Some(n.unwrap_or(0)), Some(total.unwrap_or(0.0)));
    let early = |u, t| w.totals(u, false, |e| e.at <= t && e.at > t - DAY);
    let legacy = |u, t| filled(early(u, t));
    let leaks = |(u, t): &&(i64, i64)| legacy(*u, *t).0 != filled(w.right(*u, *t)).0;
    let leaking = w.labels.iter().filter(leaks).count();
    let report = report(&w.project(&[("filled", &legacy)], ""));
    let own = feature(&report, "filled", "spend.n");
    let leak = report["leakage"].as_array().unwrap().iter().find(|l| l["feature"] == "spend.n").unwrap();
    assert_eq!(leak["rows"], leaking, "{}", own["causes"]);
    assert!(leaking > 3 && (leaking as u64) < own["mismatched"].as_u64().unwrap(), "{leaking} of {own}");
}

#[test]
fn a_history_that_was_cut_off_is_fitted_where_what_is_missing_is_filled() {
    let w = World::new(15);
    let legacy = |first: i64| {
        let w = &w;
        move |u, t: i64| {
            let (n, total) = w.totals(u, false, |e| e.seen <= t && e.at > t - DAY && e.at >= first);
            (Some(n.unwrap_or(0)), Some(total.unwrap_or(0.0)))
        }
    };
    let (noon, morning) = (legacy(START + 6 * DAY + 12 * HOUR), legacy(START + 8 * DAY + 5 * HOUR + 13 * MINUTE));
    let report = report(&w.project(&[("noon", &noon), ("morning", &morning)], ""));
    for (snapshot, name) in ["noon", "morning"].into_iter().flat_map(|s| ["spend.n", "spend.total"].map(|n| (s, n))) {
        let causes = &feature(&report, snapshot, name)["causes"];
        assert_eq!(causes[0]["cause"], json!(["truncated_history", "missing_as_zero"]), "{snapshot} {name}: {causes}");
        // To the minute where a row tells it, though few rows are looked at first.
        assert_eq!((&causes[0]["explains"], &causes[0]["breaks"]), (&json!(1.0), &json!(0.0)), "{snapshot}: {causes}");
    }
}

#[test]
fn a_column_that_died_has_no_cause() {
    let w = World::new(10);
    let mut times: Vec<i64> = w.labels.iter().map(|(_, t)| *t).collect();
    times.sort_unstable();
    let half = times[times.len() / 2];
    let dead = |_, _| (None, None);
    let zero = |_, _| (Some(0), Some(0.0));
    let dies = |u, t| if t < half { w.right(u, t) } else { (None, None) };
    let stores: [(&str, &Store<'_>); 3] = [("dead", &dead), ("zero", &zero), ("dies", &dies)];
    let report = report(&w.project(&stores, ""));
    for (snapshot, _) in stores {
        for name in ["spend.n", "spend.total"] {
            let feature = feature(&report, snapshot, name);
            assert!(feature["mismatched"].as_u64().unwrap() > 20, "{snapshot} {name}");
            assert_eq!(feature["causes"], json!([]), "{snapshot} {name}");
        }
    }
    assert_eq!(report["leakage"], json!([]));
}

#[test]
fn what_a_warehouse_had_loaded_is_told_from_a_refresh() {
    let w = World::new(11);
    let day = |t: i64| t.div_euclid(DAY) * DAY;
    // The window ends at the label time; what arrived since midnight is not there.
    let loaded = |u, t| w.totals(u, false, |e| e.seen <= day(t) && e.at > t - DAY);
    let report = report(&w.project(&[("loaded", &loaded)], ""));
    found(&report, "loaded", &json!("stale"), &json!({"period": "P1D", "lag": "PT0S", "window": "stays"}));
    assert_eq!(report["leakage"], json!([]));
}

#[test]
fn two_causes_at_once_are_found_together() {
    let w = World::new(3);
    let day_of = |t: i64| t.div_euclid(DAY) * DAY;
    let stale_and_late = |u, t| {
        let t = day_of(t);
        w.totals(u, false, |e| e.at <= t && e.at > t - DAY)
    };
    let longer_and_counted = |u, t| w.totals(u, true, |e| e.seen <= t && e.at > t - 2 * DAY);
    let stores: [(&str, &Store<'_>); 2] = [("a", &stale_and_late), ("b", &longer_and_counted)];
    let report = report(&w.project(&stores, ""));
    found(
        &report,
        "a",
        &json!(["late_events_visible", "stale"]),
        &json!({"late_events_visible": {}, "stale": {"period": "P1D", "lag": "PT0S"}}),
    );
    found(
        &report,
        "b",
        &json!(["duplicates_counted", "window_length"]),
        &json!({"duplicates_counted": {}, "window_length": {"length": "P2D"}}),
    );
}

#[test]
fn noise_has_no_cause_and_where_nothing_differs_none_is_looked_for() {
    let w = World::new(4);
    let lot = std::cell::RefCell::new(Lot::new(9));
    let noisy = |u, t| {
        let (n, total) = w.right(u, t);
        let mut lot = lot.borrow_mut();
        if lot.below(5) > 0 {
            return (n, total);
        }
        (n.map(|n| n + 1 - 2 * lot.below(2)), total.map(|v| v * (1.0 + (lot.below(2001) - 1000) as f64 / 5000.0)))
    };
    let right = |u, t| w.right(u, t);
    let stores: [(&str, &Store<'_>); 2] = [("noisy", &noisy), ("right", &right)];
    let report = report(&w.project(&stores, ""));
    for name in ["spend.n", "spend.total"] {
        let noise = feature(&report, "noisy", name);
        assert!(noise["mismatched"].as_u64().unwrap() > 20);
        assert_eq!((&noise["causes"], &noise["unexplained"]), (&json!([]), &json!(1.0)), "{name}");
        let calm = feature(&report, "right", name);
        assert_eq!((&calm["causes"], &calm["unexplained"]), (&json!([]), &json!(null)), "{name}");
    }
}

#[test]
fn three_mismatches_are_enough_where_the_cause_leaves_other_rows_alone() {
    let mut w = World::new(7);
    let tied = |w: &World, (u, t): (i64, i64)| w.events.iter().any(|e| e.user == u && e.seen == t);
    let all = w.labels.clone();
    let few: Vec<(i64, i64)> = all.iter().copied().filter(|l| tied(&w, *l)).take(3).collect();
    w.labels.retain(|l| few.contains(l) || !w.events.iter().any(|e| e.user == l.0 && e.seen == l.1));
    let excluded = |u, t| w.totals(u, false, |e| e.seen < t && e.at > t - DAY);
    let stores: [(&str, &Store<'_>); 1] = [("excluded", &excluded)];
    let report = report(&w.project(&stores, ""));
    assert_eq!(feature(&report, "excluded", "spend.n")["mismatched"], 3);
    found(&report, "excluded", &json!("label_time_excluded"), &json!({}));
}

#[test]
fn a_zone_with_summer_time_is_found_by_its_name() {
    let mut w = World::new(8);
    // The clocks of New York change on March 9, in the middle of the labels.
    let change = START + 8 * DAY + 7 * HOUR;
    let read = |at: i64| at + if at >= START + 8 * DAY + 3 * HOUR { 4 * HOUR } else { 5 * HOUR };
    w.events.retain(|e| (e.at - change).abs() > 6 * HOUR && (e.seen - change).abs() > 6 * HOUR);
    let zone = |u, t| w.totals(u, false, |e| read(e.seen) <= t && read(e.at) > t - DAY);
    let stores: [(&str, &Store<'_>); 1] = [("zone", &zone)];
    found(&report(&w.project(&stores, "")), "zone", &json!("timezone"), &json!({"zone": "America/New_York"}));
}

#[test]
fn causes_can_be_listed_and_switched_off() {
    let w = World::new(5);
    let late = |u, t| w.totals(u, false, |e| e.at <= t && e.at > t - DAY);
    let stores: [(&str, &Store<'_>); 1] = [("late", &late)];
    let off = report(&w.project(&stores, "causes = false"));
    assert_eq!(feature(&off, "late", "spend.n")["unexplained"], json!(null));
    let others = report(&w.project(&stores, "causes = [\"float32\", \"duplicates_counted\"]"));
    assert_eq!(feature(&others, "late", "spend.n")["causes"], json!([]));
    let own = report(&w.project(&stores, "causes = [\"late_events_visible\"]\nsample = 40"));
    assert_eq!(first(&own, "late", "spend.n").0, "late_events_visible");
    // One row proves nothing, and is not taken for explained.
    let one = report(&w.project(&stores, "causes = [\"late_events_visible\"]\nsample = 1"));
    assert_eq!(feature(&one, "late", "spend.n")["causes"], json!([]));
    assert_eq!(feature(&one, "late", "spend.n")["unexplained"], json!(1.0));
}

#[test]
fn causes_do_not_depend_on_threads_chunks_or_memory() {
    let w = World::new(6);
    let late = |u, t| w.totals(u, false, |e| e.at <= t && e.at > t - DAY);
    let stores: [(&str, &Store<'_>); 1] = [("late", &late)];
    let project = w.project(&stores, "");
    let told = |args: &[&str]| {
        let all = [&["diff", "--format", "json", "--fresh"], args].concat();
        project.backcast(&all).json()["snapshots"].clone()
    };
    let alone = told(&["--threads", "1"]);
    assert_eq!(alone[0]["features"][0]["causes"][0]["cause"], "late_events_visible");
    assert_eq!(told(&["--threads", "3"]), alone);
    assert_eq!(told(&["--set", "run.chunk=\"2 days\""]), alone);
    // Too little to read sources before there is a sample.
    assert_eq!(told(&["--memory", "1MiB"]), alone);
}
