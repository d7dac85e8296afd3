//! The summary, as a person sees it.

use super::*;
use crate::report::samples::{feature, flawed, hostile};
use crate::report::{Gate, GateKind};

const PLAIN: Style = Style { color: false, width: 120 };

#[test]
fn the_summary_says_the_verdict_first() {
    let expected = "\
Gate not met: agreement (flights)
1 of 3 features does not agree well enough; the worst is `origin_load.dep_1h` in
`flawed`: 81.18 % agree, 1,204 of 6,400 differ by up to 14.
6,412 label rows, 2013-01-08 05:00Z to 2013-02-18 21:30Z.

flawed: 6,400 of 6,410 rows matched, 10 only in the snapshot, 12 only in the
labels, 4 duplicates
   feature                      agreement  compared  differ  NULL old/new  max Δ
✗  origin_load.dep_1h             81.18 %     6,400   1,204         120/0     14
     tail_num=N12345, origin=JFK @ 2013-03-01 10:00Z: 12.5 → 26.5
✓  carrier_delay.mean_delay_7d    99.98 %     6,400       1                   14
     tail_num=N12345, origin=JFK @ 2013-03-01 10:00Z: 12.5 → 26.5
✓  origin_load.departures_24h       100 %     6,400       0                    0
schema: 3 issues
   dep_1h: type, Float64 → Int64
   evt_cnt: renamed, evt_cnt → departures_24h
   row_id: extra, Int64

views
  view           engine     why
  origin_load    rewrite    every operator can be rewritten
  carrier_delay  reference  window functions are not rewritten yet

notes
  flights: 3 rows with a NULL time, never visible
  flights: 17 rows redelivered
  labels: 12 rows have no counterpart
  self-check: 0 differences in 64 rows (192 cells)

written in 3.2 s, 2026-11-20 08:15Z
  out/dataset (6,412 rows)
  out/report.html
";
    assert_eq!(summary(&flawed(), Style { width: 80, ..PLAIN }), expected);
}

#[test]
fn a_wide_terminal_has_the_worst_cell_beside_its_feature() {
    let text = summary(&flawed(), Style { color: false, width: 152 });
    let line = text.lines().find(|line| line.contains("origin_load.dep_1h") && line.starts_with('✗')).unwrap();
    assert!(line.ends_with("14  tail_num=N12345, origin=JFK @ 2013-03-01 10:00Z: 12.5 → 26.5"), "{line}");
    assert!(line.contains("████████░░  81.18 %"), "{line}");
}

#[test]
fn lines_fit_the_width() {
    for width in [40, 60, 80, 100, 132, 200] {
        for report in [flawed(), hostile()] {
            let mut report = report;
            report.outputs.clear();
            for line in summary(&report, Style { color: false, width }).lines() {
                assert!(super::width(line) <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn no_control_character_reaches_the_terminal() {
    let text = summary(&hostile(), PLAIN);
    assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text}");
    assert!(!text.contains('\u{202e}') && text.contains("\\u{1b}"));
}

#[test]
fn colours_are_there_only_where_asked_for() {
    let colored = summary(&flawed(), Style { color: true, ..PLAIN });
    assert!(colored.contains("\u{1b}[31m") && colored.contains("\u{1b}[32m"));
    assert_eq!(anstream::adapter::strip_str(&colored).to_string(), summary(&flawed(), PLAIN));
}

#[test]
fn one_mismatch_in_a_million_is_not_told_as_100_percent() {
    let mut report = flawed();
    report.snapshots[0].features = vec![feature("v.x", 10_000_000, 1)];
    let text = summary(&report, PLAIN);
    assert!(text.contains("99.99 %") && !text.contains("100 %"), "{text}");
}

#[test]
fn full_agreement_is_told_in_one_sentence() {
    let mut report = flawed();
    report.gates = vec![Gate { gate: GateKind::Agreement, passed: true, detail: String::new() }];
    report.snapshots[0].features = vec![feature("v.x", 600, 0), feature("v.y", 600, 0)];
    let text = summary(&report, PLAIN);
    assert!(
        text.starts_with("Done: every gate met (flights)\nAll 1,200 compared values of 2 features agree."),
        "{text}"
    );
}

#[test]
fn what_was_not_compared_has_no_tick() {
    let mut report = flawed();
    let nothing = feature("v.x", 0, 0);
    report.snapshots[0].features = vec![FeatureDiff { agreement: None, passed: true, ..nothing }];
    let text = summary(&report, PLAIN);
    assert!(text.lines().any(|line| line.starts_with("–  v.x ") && line.contains(" — ")), "{text}");
    assert!(!text.lines().any(|line| line.starts_with('✓')), "{text}");
}

#[test]
fn many_issues_and_features_are_cut_with_their_number() {
    let mut report = flawed();
    let issue = report.snapshots[0].schema[0].clone();
    report.snapshots[0].schema = vec![issue; 11];
    report.snapshots[0].features = (0..45).map(|n| feature(&format!("v.f{n}"), 100, 0)).collect();
    let text = summary(&report, PLAIN);
    assert!(text.contains("and 3 more in report.json") && text.contains("and 5 more in report.json"), "{text}");
}

#[test]
fn a_report_of_nothing_is_told() {
    let report = Report::new("p", "0.1.0", "2026-11-20T08:15:00Z");
    assert_eq!(summary(&report, PLAIN), "Done (p)\n");
}
