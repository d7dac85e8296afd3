//! report.html: one page for people, complete in itself.
//!
//! It can be mailed, archived and printed, and is whole without its script. Templates (`templates/report/`) put values
//! into markup and escape each of them; what they show is made here, plain text all of it. Two things hold whatever the
//! data says: no text becomes markup (askama escapes all but the style and the script, which are constants), and no control or
//! invisible character stays one ([`page`] spells them out on the only way into the page). The page's own policy
//! lets it load nothing and run no script but its own, which it names by hash.

mod cards;
mod features;
mod gantt;
mod method;
mod page;
mod policy;
mod series;

use super::Report;

/// The page.
pub fn html(report: &Report) -> String {
    page::page(report)
}

#[cfg(test)]
#[path = "../html_tests.rs"]
mod tests;
