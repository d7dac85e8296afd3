//! report.json: pretty JSON and a final newline.

use super::Report;

/// The report as the text of report.json.
///
/// # Errors
/// Where a value cannot be written as JSON; no value of a [`Report`] is of that kind.
pub fn json(report: &Report) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}
