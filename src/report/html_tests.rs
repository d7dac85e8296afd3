//! The page: complete, harmless, without a network.

use super::*;
use crate::report::Leak;
use crate::report::samples::{HOSTILE, explained, flawed, hostile};

#[test]
fn the_page_tells_verdict_features_and_worst_cells() {
    let page = html(&explained());
    if let Ok(path) = std::env::var("BACKCAST_SAMPLE_PAGE") {
        std::fs::write(path, &page).unwrap();
    }
    let page = page.replace("<wbr>", "");
    for told in [
        "Gate not met: agreement",
        "<code>origin_load.dep_1h</code>",
        "81.18 %",
        "1,194 of 1,204 differences vanish once the window&#39;s start is inclusive.",
        "493 of 1,204 differences vanish once the window&#39;s length is 2 hours.",
        "0.8 % of the differences are explained by none of these.",
        "No cause that Backcast knows explains these differences.",
        "tail_num=N12345, origin=JFK",
        "backcast trace origin_load.dep_1h --key tail_num=N12345 --key origin=JFK --at 2013-03-01T10:00:00Z<",
        "renamed",
        "window functions are not rewritten yet",
        "Freeze until 2013-03-01",
        "load.sql:2:3",
        "<mark>a = 1.5</mark>",
        "backcast.toml:9",
        "DataFusion 55.2.0",
        "<svg class=\"spark\"",
    ] {
        assert!(page.contains(told), "{told}");
    }
}

#[test]
fn leakage_is_said_before_all_else() {
    let page = html(&explained()).replace("<wbr>", "");
    let at = |text: &str| page.find(text).unwrap();
    let order = [
        "<main",
        "Leakage: values of 1 legacy feature can",
        "<code>origin_load.dep_1h</code> of <code>flawed</code> knows events",
        "Gate not met",
        "Freeze until",
        "id=\"gates\"",
        "id=\"features\"",
        "id=\"method\"",
    ];
    assert!(order.is_sorted_by_key(|text| at(text)));
    assert!(!html(&flawed()).contains("Leakage"));
}

#[test]
fn much_leakage_does_not_hide_the_verdict() {
    let mut report = explained();
    let one = report.leakage[0].clone();
    report.leakage = (0..9).map(|at| Leak { what: format!("way {at}"), ..one.clone() }).collect();
    let page = html(&report);
    let (told, verdict) = (page.find("<summary>and 6 more</summary>").unwrap(), page.find("id=\"verdict\"").unwrap());
    assert!(told < verdict);
    assert_eq!(page[..told].matches("knows events").count(), 3);
    assert_eq!(page[told..verdict].matches("knows events").count(), 6);
}

#[test]
fn a_long_value_is_cut_and_its_command_is_not() {
    let mut report = explained();
    let cell = &mut report.snapshots[0].features[1].worst[0];
    cell.legacy = "x".repeat(5_000).into();
    cell.keys.insert("session".to_string(), "k".repeat(500).into());
    let page = html(&report);
    assert!(page.contains(&format!("<td class=\"n\">{}…</td>", "x".repeat(59))));
    assert!(page.contains(&format!("--key session={} --at", "k".repeat(500))));
}

#[test]
fn nothing_of_the_data_becomes_markup() {
    let page = html(&hostile());
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains(HOSTILE) && !page.contains("alert('x')"));
    assert!(page.contains("&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;&#34;&#38;\\u{1b}[31m\\u{202e}"));
    assert!(page.chars().all(|char| char == '\n' || !(char.is_control() || char == '\u{202e}')));
    // The same elements as without hostile data, where data decides of no element: what opens, closes.
    for element in ["td", "th", "tr", "code", "p", "li", "section", "span", "details", "table"] {
        let opened = page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
    }
}

#[test]
fn the_page_loads_nothing() {
    let page = html(&explained());
    for outside in ["http://", "https://", "src=", "url(", "@import", "<link", "<iframe", " style="] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.split("href=\"").skip(1).all(|target| target.starts_with('#')));
    assert!(page.contains("content=\"default-src &#39;none&#39;;"));
}

#[test]
fn a_link_leads_to_a_part_that_is_there_once() {
    let page = html(&explained());
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), ids.len());
    for target in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.contains(&target), "{target}");
    }
}

#[test]
fn a_screen_reader_finds_its_way() {
    let page = html(&explained());
    let count = |text: &str| page.matches(text).count();
    for once in ["<h1>", "<main", "<header", "<footer", "<nav aria-label=", "class=\"skip\" href=\"#verdict\""] {
        assert_eq!(count(once), 1, "{once}");
    }
    assert_eq!(count("<table"), count("<caption"));
    assert_eq!(count("<th"), count("<thead") + count("<th scope=\"col\"") + count("<th scope=\"row\""));
    assert_eq!(count("<svg"), count("aria-hidden=\"true\"><") + count("role=\"img\"><title>"));
    assert_eq!(count("aria-sort=\"ascending\""), 1);
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    assert_eq!(html(&explained()), html(&explained()));
}

#[test]
fn a_report_of_nothing_has_a_page() {
    let page = html(&Report::new("p", "0.1.0", "2026-11-20T08:15:00Z"));
    assert!(page.contains("<h2 id=\"verdict-title\">Done</h2>") && !page.contains("<table"));
}
