//! report.html in a headless Chromium: nothing of the data runs, nothing is loaded, and what can be used works.

use std::path::{Path, PathBuf};

use backcast::diff::{
    Cause, CauseName, Delta, FeatureDiff, IssueKind, SchemaIssue, SnapshotDiff, TimeBucket, WorstCell,
};
use backcast::report::{Gate, LabelsReport, Leak, ModelFeature, ModelReport, Report, SelfCheck, Verdict, html};
use backcast::retention::{
    FeatureRetention, Gap, GapKind, RetentionReport, SourceReach, SourceRetention, Span, TimelineEntry,
};
use serde_json::{Map, json};
use tempfile::TempDir;

use crate::support::browser::{self, Browser};
use crate::support::{Project, backcast_in, table, write_parquet};

/// Would name itself in the title if it ran.
const SCRIPT: &str = "<script>document.title='owned'</script>";
const IMAGE: &str = "<img src=x onerror=document.title='owned'>";

/// A report that has everything, over as many features and snapshots.
fn report(features: usize, snapshots: usize) -> Report {
    let mut report = Report::new("fraud-migration", "0.1.0", "2026-11-20T08:15:00Z");
    let feature = |at: usize| {
        let mismatched = (at as u64 * 37) % 4_000;
        let compared = 40_000 - at as u64;
        let cell = |n: usize| WorstCell {
            keys: Map::from_iter([
                ("user_id".to_string(), json!(format!("user-{at}-{n}"))),
                ("merchant".to_string(), json!("a merchant's name")),
            ]),
            time: Some("2026-03-01T10:00:00.123456Z".to_string()),
            legacy: json!(1_234.567_890_123),
            replayed: json!(7_654.321_098_765),
            delta: Some(6_419.753_208_642),
        };
        FeatureDiff {
            feature: format!("user_activity_by_merchant.transactions_sum_last_{at:02}_days"),
            column: format!("transactions_sum_last_{at:02}_days"),
            compared,
            equal: compared - mismatched,
            within_tolerance: 0,
            mismatched,
            null_only_in_snapshot: mismatched / 7,
            null_only_in_replay: mismatched / 9,
            not_comparable: 0,
            agreement: Some((compared - mismatched) as f64 / compared as f64),
            passed: mismatched < 2_000,
            delta: Some(Delta { max: at as f64 * 1.5, mean: 0.25, p50: 0.0, p95: 1.0, p99: 1.5 }),
            by_time: (0..60)
                .map(|day| TimeBucket {
                    from: format!("2026-{:02}-{:02}T00:00:00Z", 1 + day / 28, 1 + day % 28),
                    compared: 600,
                    mismatched: (day as u64 * 7 + at as u64) % 97,
                })
                .collect(),
            causes: vec![
                cause("window_start_inclusive", json!({}), 0.992),
                cause("stale", json!({"period": "P1D", "lag": "PT2H"}), 0.41),
            ],
            unexplained: Some(0.008),
            worst: if mismatched > 0 { (0..10).map(cell).collect() } else { Vec::new() },
        }
    };
    let snapshot = |at: usize| SnapshotDiff {
        snapshot: format!("train_2026_{at:02}"),
        rows: 40_000,
        matched: 39_990,
        only_in_snapshot: 10,
        only_in_labels: 12,
        duplicates: 3,
        schema: vec![SchemaIssue {
            column: "evt_cnt".to_string(),
            issue: IssueKind::Type,
            legacy: Some("Float32".to_string()),
            replayed: Some("Float64".to_string()),
        }],
        features: (0..features).map(feature).collect(),
    };
    report.snapshots = (1..=snapshots).map(snapshot).collect();
    report.gates = vec![Gate::agreement(&report.snapshots, 0.995)];
    report.self_check = Some(SelfCheck { rows: 64, cells: 3_200, differences: 0 });
    report.leakage = vec![Leak {
        snapshot: "train_2026_01".to_string(),
        feature: "user_activity.events_1h".to_string(),
        what: "events from after the label time count".to_string(),
        cause: CauseName::One("future_leak".to_string()),
        rows: 1_200,
        by: Some(3_600_000_000_000),
        models: vec!["fraud".to_string()],
        sentence:
            "`user_activity.events_1h` in `train_2026_01` holds events from up to 1 hour after the label time in 1,200 \
                   rows; it feeds `fraud`."
                .to_string(),
    }];
    let verdict = |feature: &str, verdict| ModelFeature {
        feature: feature.to_string(),
        verdict,
        reason: "12 of 40,000 label rows look back before 2026-01-01".to_string(),
    };
    report.models = vec![ModelReport {
        model: "fraud".to_string(),
        verdict: Verdict::Freeze,
        until: Some("2026-12-24T00:00:00Z".to_string()),
        features: vec![verdict("a.b", Verdict::Fallback), verdict("a.c", Verdict::Freeze)],
    }];
    report.labels = Some(LabelsReport { rows: 40_000, first: time("03-16"), last: time("03-30") });
    report.retention = Some(retained());
    report
}

fn time(day: &str) -> Option<String> {
    Some(format!("2026-{day}T00:00:00Z"))
}

/// A source with a gap, read by the model, and what happens when.
fn retained() -> RetentionReport {
    let (from, to) = (time("03-11").unwrap(), time("03-13").unwrap());
    let read = SourceReach { source: "user_events".to_string(), lookback: "P7D".to_string(), columns: Vec::new() };
    let feature = FeatureRetention {
        feature: "a.b".to_string(),
        lookback: "P7D".to_string(),
        labels: 40_000,
        covered: 39_988,
        gap: 12,
        sources: vec![read],
        ..FeatureRetention::default()
    };
    let source = SourceRetention {
        source: "user_events".to_string(),
        first: time("03-01"),
        last: time("03-31"),
        gaps: vec![Gap { from, to, kind: GapKind::Silent, span: Span { from: 0, to: 0 } }],
        expires: time("04-10"),
        retention: Some("P40D".to_string()),
        ..SourceRetention::default()
    };
    let entry = TimelineEntry {
        at: time("04-10").unwrap(),
        what: "expires".to_string(),
        source: Some("user_events".to_string()),
        model: None,
        labels: None,
        lost: None,
        detail: "the oldest file of `user_events` is deleted".to_string(),
    };
    RetentionReport {
        sources: vec![source],
        features: vec![feature],
        today: time("04-01"),
        deadline: time("04-12"),
        timeline: vec![entry],
        ..RetentionReport::default()
    }
}

fn cause(name: &str, parameters: serde_json::Value, explains: f64) -> Cause {
    Cause { cause: CauseName::One(name.to_string()), parameters, mismatches: 100, explains, breaks: 0.001 }
}

fn page_of(report: &Report) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.html");
    std::fs::write(&path, html(report)).unwrap();
    (dir, path)
}

/// A project whose feature, keys and values are markup.
fn hostile() -> Project {
    let (script, image) = (SCRIPT.replace(' ', "_"), IMAGE.replace(' ', "_"));
    let labels = table(&format!("user_id:str at:us@UTC\n {script} 2025-03-10T12:00"));
    let events = table(&format!("user_id:str ts:us@UTC note:str\n {script} 2025-03-10T11:00 {image}"));
    let legacy = table(&format!("user_id:str at:us@UTC {script}:str n:i64\n {script} 2025-03-10T12:00 {script} 7"));
    let project = Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"\nsince = \"beginning\"", &events)
        .view("v", &format!("SELECT user_id, MAX(note) AS \"{SCRIPT}\", COUNT(*) AS n FROM events GROUP BY user_id"))
        .config("[snapshots.old]\nuri = \"old.parquet\"");
    write_parquet(&project.path("old.parquet"), &legacy);
    project
}

#[test]
fn nothing_in_names_or_values_runs_and_nothing_is_loaded() {
    let Some(mut browser) = Browser::start() else { return };
    let project = hostile();
    project.backcast(&["run"]).exits_with(3);
    let path = project.path("out/report.html");
    browser.open(&path);
    assert_eq!(browser.text("document.title"), "Backcast: test");
    assert_eq!(browser.value("document.scripts.length"), 1);
    assert_eq!(browser.value("document.images.length"), 0);
    let shown = browser.text("document.body.textContent");
    assert!(shown.contains(&format!("v.{SCRIPT}")) && shown.contains(IMAGE), "{shown}");
    let commands = browser.text("document.querySelector('.copy').firstChild.data");
    assert!(
        commands.starts_with(r"backcast trace 'v.<script>document.title='\''owned'\''</script>' --key "),
        "{commands}"
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(browser.requests(), [format!("file://{}", path.display())]);
}

#[test]
fn the_policy_stops_what_would_load_or_run() {
    let Some(mut browser) = Browser::start() else { return };
    let (_dir, path) = page_of(&report(2, 1));
    browser.open(&path);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.value("fetch('http://example.invalid/').then(() => 'loaded', () => 'refused')");
    browser.value(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = \"owned\"'}))",
    );
    assert_ne!(browser.text("document.title"), "owned");
    let complaints = browser.complaints().join("\n");
    assert!(complaints.contains("http://example.invalid/") && complaints.contains("inline script"), "{complaints}");
}

/// The features whose rows are to be seen, in the order of the table.
const SHOWN: &str = "[...document.querySelectorAll('table.features tbody tr')].filter(row => !row.hidden)\
    .map(row => row.cells[0].querySelector('code').textContent.slice(-7, -5) + ':' + row.cells[2].textContent).join(' ')";

#[test]
fn features_are_sorted_and_filtered_by_keyboard() {
    let Some(mut browser) = Browser::start() else { return };
    // Feature `at` differs in 37 x `at` rows.
    let (_dir, path) = page_of(&report(5, 1));
    browser.open(&path);
    assert_eq!(browser.text(SHOWN), "04:148 03:111 02:74 01:37 00:0");
    let sorted =
        "[...document.querySelectorAll('table.features th')].map(th => th.ariaSort || '-').slice(0, 6).join(' ')";
    assert_eq!(browser.text(sorted), "- ascending - - - -");
    browser.value("document.querySelector('table.features th button').focus()");
    browser.press("Enter", 13, "\r");
    assert_eq!(browser.text(SHOWN), "00:0 01:37 02:74 03:111 04:148");
    assert_eq!(browser.text(sorted), "ascending - - - - -");
    browser.press("Enter", 13, "\r");
    assert_eq!(browser.text(SHOWN), "04:148 03:111 02:74 01:37 00:0");
    assert_eq!(browser.text(sorted), "descending - - - - -");
    // Two more columns along, numbers: the most first, not "74" before "148".
    browser.press("Tab", 9, "");
    browser.press("Tab", 9, "");
    browser.press(" ", 32, " ");
    assert_eq!(browser.text(sorted), "- - descending - - -");
    assert_eq!(browser.text(SHOWN), "04:148 03:111 02:74 01:37 00:0");
    browser.press(" ", 32, " ");
    assert_eq!(browser.text(SHOWN), "00:0 01:37 02:74 03:111 04:148");

    browser.value("document.getElementById('find').focus()");
    browser.ask("Input.insertText", json!({"text": "LAST_03 start"}));
    assert_eq!(browser.text(SHOWN), "03:111");
    assert_eq!(browser.text("document.getElementById('tally').textContent"), "1 of 5 shown");
    assert_eq!(
        browser.value("[...document.querySelectorAll('details.feature')].filter(card => !card.hidden).length"),
        1
    );
    browser.value("document.getElementById('find').value = ''");
    browser.value("document.getElementById('show').focus()");
    // The first letters of "that differ".
    browser.press("t", 84, "t");
    assert_eq!(browser.text(SHOWN), "01:37 02:74 03:111 04:148");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_command_is_copied_as_it_stands() {
    let Some(mut browser) = Browser::start() else { return };
    let (_dir, path) = page_of(&report(2, 1));
    browser.open(&path);
    let permissions = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
    browser.ask("Browser.grantPermissions", permissions);
    browser.value("document.getElementById('open').click(), document.querySelector('.copy button').focus()");
    browser.press("Enter", 13, "\r");
    assert_eq!(
        browser.text("new Promise(done => setTimeout(done, 200)).then(() => navigator.clipboard.readText())"),
        "backcast trace user_activity_by_merchant.transactions_sum_last_01_days --key user_id=user-1-0 \
         --key 'merchant=a merchant'\\''s name' --at 2026-03-01T10:00:00.123456Z"
    );
}

#[test]
fn the_page_is_whole_without_its_script() {
    let Some(mut browser) = Browser::start() else { return };
    let (_dir, path) = page_of(&report(3, 1));
    browser.ask("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    browser.open(&path);
    assert_eq!(
        browser.value("document.querySelectorAll('button:not([hidden] *)').length"),
        0,
        "a button that does nothing"
    );
    let text = browser.text("document.body.innerText");
    for told in [
        "Leakage",
        "Freeze until 2026-12-24",
        "once the window's start is inclusive",
        "looks back 7 days",
        "Self-check",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    // Colours are chosen without a script, too.
    browser.value("document.getElementById('dark').checked = true");
    assert_eq!(browser.text("getComputedStyle(document.documentElement).colorScheme"), "dark");
}

/// Each text whose contrast with what is behind it is less than WCAG's 4.5 to 1, with that contrast.
const FAINT: &str = r"(() => {
  const rgb = color => (color.match(/[\d.]+/g) || []).map(Number);
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
  const faint = [];
  let seen = 0;
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
    if (e.tagName === 'SCRIPT' || e.tagName === 'OPTION') continue;
    seen++;
    const [a, b] = [light(rgb(getComputedStyle(e).color).slice(0, 3)), light(behind(e))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push(`${e.tagName}.${e.className} ${contrast.toFixed(2)} ${e.textContent.slice(0, 30)}`);
  }
  return seen > 100 ? faint.join('\n') : `only ${seen} texts seen`;
})()";

#[test]
fn every_text_can_be_read_in_light_and_in_dark() {
    let Some(mut browser) = Browser::start() else { return };
    let (_dir, path) = page_of(&report(6, 2));
    browser.open(&path);
    browser.value("document.getElementById('open').click()");
    for scheme in ["light", "dark"] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.ask("Emulation.setEmulatedMedia", features);
        assert_eq!(browser.text(FAINT), "", "{scheme}");
    }
    let backgrounds = "getComputedStyle(document.body).backgroundColor";
    let dark = browser.text(backgrounds);
    browser.value("document.getElementById('light').click()");
    assert_ne!(browser.text(backgrounds), dark, "the switch wins over the system");
}

#[test]
fn colours_are_those_of_the_file_until_the_reader_chooses() {
    let Some(mut browser) = Browser::start() else { return };
    let (_dir, path) = page_of(&report(1, 1));
    let scheme = "getComputedStyle(document.documentElement).colorScheme";
    let page = std::fs::read_to_string(&path).unwrap();
    let dark = page.replace(" checked>", ">").replace("id=\"dark\"", "id=\"dark\" checked");
    browser.open(&path);
    assert_eq!(browser.text(scheme), "light dark");
    std::fs::write(&path, dark).unwrap();
    browser.open(&path);
    assert_eq!(browser.text(scheme), "dark");
    browser.value("document.getElementById('light').click()");
    assert_eq!(browser.text(scheme), "light");
    browser.open(&path);
    assert_eq!(browser.text(scheme), "light", "the choice is kept");
}

#[test]
fn what_is_retained_is_drawn_to_scale_and_told_in_words() {
    let Some(mut browser) = Browser::start() else { return };
    let (_dir, path) = page_of(&report(1, 1));
    browser.open(&path);
    // 2026-03-01 to 2026-04-12, 42 days and 1 % on either side: the labels are 14 of them, the gap is 2.
    let wide = |what: &str| format!("document.querySelector('.gantt {what}').getBoundingClientRect().width");
    let mut share = |of: &str| browser.value(&format!("{} / {}", wide(of), wide("svg"))).as_f64().expect("a number");
    assert!((share("rect.labels") - 14.0 / 42.84).abs() < 0.005);
    assert!((share("rect.gap") - 2.0 / 42.84).abs() < 0.005);
    assert!((share("rect.there") - 30.0 / 42.84).abs() < 0.005);
    let told = browser.text("document.getElementById('retention').innerText");
    for part in ["2026-03-01 to 2026-03-31, 1 gap; kept 40 days", "looks back 7 days; 12 label rows not covered"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_phone_scrolls_in_one_direction_only() {
    let Some(mut browser) = Browser::start() else { return };
    let (_dir, path) = page_of(&report(6, 2));
    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true});
    browser.ask("Emulation.setDeviceMetricsOverride", phone);
    browser.open(&path);
    browser.value("document.getElementById('open').click()");
    assert_eq!(browser.value("document.documentElement.scrollWidth"), 360);
}

#[test]
fn fifty_features_in_three_snapshots_open_at_once() {
    let report = report(50, 3);
    let bytes = html(&report).len();
    assert!(bytes < 2_000_000, "{bytes} bytes");
    let Some(mut browser) = Browser::start() else { return };
    let (_dir, path) = page_of(&report);
    let took = browser.open(&path);
    println!("{bytes} bytes, loaded in {took:?}");
    assert_eq!(browser.value("document.querySelectorAll('table.features tbody tr').length"), 150);
    // Far from what it takes: a page that hangs must fail, a machine at work must not.
    assert!(took.as_secs() < 20, "{took:?}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// The pictures in README.md. `UPDATE_SCREENSHOTS=1` takes them again, of the flawed training set of the fixture.
#[test]
fn the_pictures_in_the_readme_are_there_and_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    for theme in ["light", "dark"] {
        let name = format!("docs/report-{theme}.png");
        assert!(readme.contains(&name), "{name}");
        let path = root.join(&name);
        if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
            let out = tempfile::tempdir().unwrap();
            let out_uri = out.path().to_str().unwrap();
            backcast_in(root, &["--quiet", "run", "fixtures/flights/flawed.toml", "--out", out_uri]).exits_with(3);
            let page = std::fs::read_to_string(out.path().join("report.html")).unwrap();
            let chosen =
                page.replace(" checked>", ">").replace(&format!("id=\"{theme}\""), &format!("id=\"{theme}\" checked"));
            let shown = out.path().join("shown.html");
            std::fs::write(&shown, chosen).unwrap();
            browser::picture(&shown, &path);
        }
        let picture = std::fs::read(&path).unwrap();
        assert!(picture.starts_with(b"\x89PNG"), "{name}");
        assert!(picture.len() < 300_000, "{name}: {} bytes", picture.len());
    }
}
