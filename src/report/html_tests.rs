//! The page: complete, harmless, without a network.

use super::*;
use crate::report::samples::{HOSTILE, flawed, hostile};

#[test]
fn the_page_tells_verdict_features_and_worst_cells() {
    let page = html(&flawed());
    if let Ok(path) = std::env::var("BACKCAST_SAMPLE_PAGE") {
        std::fs::write(path, &page).unwrap();
    }
    for told in [
        "Gate not met: agreement",
        "<code>origin_load.dep_1h</code>",
        "81.18 %",
        "tail_num=N12345, origin=JFK",
        "backcast trace origin_load.dep_1h --key tail_num=N12345 --key origin=JFK --at 2013-03-01T10:00:00Z<",
        "renamed",
        "window functions are not rewritten yet",
        "<svg class=\"spark\"",
    ] {
        assert!(page.contains(told), "{told}");
    }
}

#[test]
fn nothing_of_the_data_becomes_markup() {
    let page = html(&hostile());
    assert!(!page.contains("<script"));
    assert!(!page.contains(HOSTILE));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
    assert!(page.chars().all(|char| char == '\n' || !char.is_control()));
    // The same elements as without hostile data: what opens, closes.
    let names = |page: &str| page.matches('<').count();
    let (opened, closed) = (page.matches("<td").count(), page.matches("</td>").count());
    assert_eq!((opened, names(&page)), (closed, page.matches('>').count()));
}

#[test]
fn the_page_loads_nothing() {
    let page = html(&flawed());
    for outside in ["http://", "https://", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn a_report_of_nothing_has_a_page() {
    let page = html(&Report::new("p", "0.1.0", "2026-11-20T08:15:00Z"));
    assert!(page.contains("<h1>Done</h1>") && !page.contains("<table"));
}
