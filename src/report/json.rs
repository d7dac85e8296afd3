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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::samples::flawed;

    #[test]
    fn every_field_of_the_format_is_there_in_its_order() {
        let text = json(&Report::new("p", "0.1.0", "2026-11-20T08:15:00Z")).unwrap();
        assert!(text.ends_with("}\n"));
        let value: Value = serde_json::from_str(&text).unwrap();
        let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let format = [
            "format",
            "project",
            "backcast",
            "generated_at",
            "labels",
            "gates",
            "views",
            "snapshots",
            "models",
            "retention",
            "self_check",
        ];
        assert_eq!(fields[..format.len()], format);
        assert_eq!(
            (&value["format"], &value["retention"], &value["models"]),
            (&1.into(), &Value::Null, &Value::Array(vec![]))
        );
    }

    #[test]
    fn gates_and_issues_have_the_names_of_the_format() {
        let value: Value = serde_json::from_str(&json(&flawed()).unwrap()).unwrap();
        assert_eq!(value["gates"][0]["gate"], "agreement");
        assert_eq!(value["snapshots"][0]["schema"][1]["issue"], "renamed");
        assert_eq!(value["views"][1]["sources"][0]["lookback"], Value::Null);
        assert_eq!(value["self_check"], serde_json::json!({"rows": 64, "cells": 192, "differences": 0}));
    }
}
