//! A small writer of HTML: text is escaped where it becomes markup, so markup is safe to join.

use std::fmt;

use crate::diff::TimeBucket;
use crate::report::text::{counted, percent, short_time, thousands};

/// HTML in which every text has been escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Markup(String);

impl Markup {
    pub(super) fn lines(parts: impl IntoIterator<Item = Self>) -> Self {
        let parts: Vec<String> = parts.into_iter().map(|part| part.0).filter(|part| !part.is_empty()).collect();
        Self(parts.join("\n"))
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text as it may stand between tags and within quotes. Control characters, which HTML forbids, become U+FFFD.
pub(super) fn escape(data: &str) -> String {
    let mut escaped = String::with_capacity(data.len());
    for char in data.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(char),
            char if char.is_control() => escaped.push('\u{fffd}'),
            char => escaped.push(char),
        }
    }
    escaped
}

pub(super) fn text(data: &str) -> Markup {
    Markup(escape(data))
}

/// An element; `class` may be empty. Names of elements are ours.
pub(super) fn element(name: &'static str, class: &str, parts: impl IntoIterator<Item = Markup>) -> Markup {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{}\"", escape(class)) };
    let inner: String = parts.into_iter().map(|part| part.0).collect();
    Markup(format!("<{name}{class}>{inner}</{name}>"))
}

/// A section under a heading; nothing where it has no parts.
pub(super) fn section(heading: &str, parts: Vec<Markup>) -> Markup {
    if parts.is_empty() {
        return Markup::default();
    }
    let heading = element("h2", "", [text(heading)]);
    element("section", "", [heading, Markup::lines(parts)])
}

/// A table; a column whose title ends in `#` holds numbers. Nothing where it has no rows.
pub(super) fn table(titles: &[&str], rows: Vec<Vec<Markup>>) -> Option<Markup> {
    if rows.is_empty() {
        return None;
    }
    let class =
        |column: usize| if titles.get(column).is_some_and(|title| title.ends_with('#')) { "number" } else { "" };
    let head = titles.iter().enumerate();
    let head = head.map(|(at, title)| element("th", class(at), [text(title.trim_end_matches(" #"))]));
    let row = |cells: Vec<Markup>| {
        let cells = cells.into_iter().enumerate().map(|(at, cell)| element("td", class(at), [cell]));
        element("tr", "", cells.collect::<Vec<_>>())
    };
    let head = element("thead", "", [element("tr", "", head.collect::<Vec<_>>())]);
    let body = element("tbody", "", [Markup::lines(rows.into_iter().map(row))]);
    Some(element("div", "wide", [element("table", "", [head, body])]))
}

/// A part under a title that can be folded away.
pub(super) fn foldable(title: Markup, body: Markup, open: bool) -> Markup {
    let open = if open { " open" } else { "" };
    Markup(format!("<details{open}><summary>{title}</summary>{body}</details>"))
}

/// A share of 0 to 1 as a bar: `passed` colours it.
pub(super) fn bar(share: f64, passed: bool) -> Markup {
    let class = if passed { "fill passed" } else { "fill failed" };
    let width = (share.clamp(0.0, 1.0) * 100.0).floor();
    Markup(format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"100\" height=\"8\"/><rect class=\"{class}\" width=\"{width}\" height=\"8\"/></svg>"
    ))
}

/// Share of mismatches per bucket of time, as bars as high as the highest; a bucket without rows has none.
pub(super) fn sparkline(buckets: &[TimeBucket]) -> Markup {
    let share = |bucket: &TimeBucket| bucket.mismatched as f64 / bucket.compared.max(1) as f64;
    let highest = buckets.iter().map(share).fold(0.0, f64::max);
    if highest == 0.0 {
        return Markup::default();
    }
    let bars: String = buckets
        .iter()
        .enumerate()
        .filter(|(_, bucket)| bucket.compared > 0)
        .map(|(at, bucket)| {
            // A mismatch is never too small to be seen.
            let height = if bucket.mismatched == 0 { 0.5 } else { (share(bucket) / highest * 20.0).max(1.5) };
            let told = format!(
                "{}: {} of {} differ ({})",
                short_time(&bucket.from),
                thousands(bucket.mismatched),
                thousands(bucket.compared),
                percent(bucket.mismatched, bucket.compared)
            );
            let (x, y) = (at * 3, 20.0 - height);
            format!(
                "<rect x=\"{x}\" y=\"{y:.1}\" width=\"2\" height=\"{height:.1}\"><title>{}</title></rect>",
                escape(&told)
            )
        })
        .collect();
    let width = buckets.len() * 3;
    let label = format!("mismatches over {}", counted(buckets.len() as u64, "bucket of time", "buckets of time"));
    Markup(format!(
        "<svg class=\"sparkline\" viewBox=\"0 0 {width} 20\" width=\"{width}\" height=\"20\" role=\"img\" aria-label=\"{}\">{bars}</svg>",
        escape(&label)
    ))
}
