//! report.html: one page for people, complete in itself.
//!
//! No script, no network, nothing to load: it can be mailed, archived and printed. Every text that is not written here
//! goes through [`markup::escape`], on its only way into the page: [`markup::Markup`] is what has been escaped.

mod markup;
mod sections;

use super::Report;
use super::verdict::verdict;
use markup::{Markup, element, text};

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn html(report: &Report) -> String {
    let title = format!("Backcast: {}", report.project);
    let mut body = vec![headline(report)];
    body.push(sections::gates(report));
    for snapshot in &report.snapshots {
        body.push(sections::snapshot(snapshot));
    }
    body.push(sections::views(report));
    body.push(sections::sources(report));
    body.push(sections::notes(report));
    body.push(sections::outputs(report));
    body.push(sections::method(report));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}\n</main>\n</body>\n</html>\n",
        text(&title),
        Markup::lines(body),
    )
}

fn headline(report: &Report) -> Markup {
    let verdict = verdict(report);
    let class = if verdict.passed { "verdict passed" } else { "verdict failed" };
    let mut parts =
        vec![element("p", "project", [text(&report.project)]), element("h1", "", [text(&verdict.headline)])];
    parts.extend(verdict.sentences.iter().map(|sentence| element("p", "", [text(sentence)])));
    element("header", class, parts)
}

#[cfg(test)]
#[path = "../html_tests.rs"]
mod tests;
