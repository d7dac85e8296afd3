//! What is wrong with the user's input, and where: the one form in which bad input is told.
//!
//! A [`Finding`] names file, line and column where it can, says what is wrong, and on a help line what to do.
//! Checks collect findings and go on; nothing here prints or decides an exit code.

use std::fmt;

use serde::Serialize;

/// How bad a finding is. Only errors stop a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
    Note,
}

/// A spot in a text file. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// Characters to underline, at least 1.
    #[serde(skip)]
    pub length: usize,
    /// The whole line, for the caret. Empty where it is not at hand.
    #[serde(skip)]
    pub text: String,
}

impl Place {
    /// The place of the bytes `start..end` of `content`.
    pub fn of_bytes(file: &str, content: &str, start: usize, end: usize) -> Self {
        let start = floor_char_boundary(content, start);
        let end = floor_char_boundary(content, end).max(start);
        let line_start = content[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = content[start..].find('\n').map_or(content.len(), |i| start + i);
        Self {
            file: file.to_string(),
            line: content[..start].matches('\n').count() + 1,
            column: content[line_start..start].chars().count() + 1,
            length: content[start..end.min(line_end).max(start)].chars().count().max(1),
            text: content[line_start..line_end].trim_end_matches('\r').to_string(),
        }
    }

    /// The place at a line and column (both from 1) of `content`.
    pub fn of_line(file: &str, content: &str, line: usize, column: usize, length: usize) -> Self {
        let text = content.lines().nth(line.saturating_sub(1)).unwrap_or("").to_string();
        Self { file: file.to_string(), line, column, length: length.max(1), text }
    }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// One thing to tell the user about the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// The number of a refusal or lint of SQL, under which the docs have a page: `B101`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What is wrong: a lowercase fragment, names in backticks.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Finding {
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code: None, place: None, message: message.into(), help: None }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    pub fn note(message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(message) }
    }

    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub fn at(mut self, place: impl Into<Option<Place>>) -> Self {
        self.place = place.into();
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean `x`?" where a candidate is near to `name`.
    pub fn nearest<'a>(self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(name, candidates) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        match self.code {
            Some(code) => write!(f, "{label}[{code}]: {}", self.message)?,
            None => write!(f, "{label}: {}", self.message)?,
        }
        let gutter = self.place.as_ref().map_or(1, |p| p.line.to_string().len());
        if let Some(place) = &self.place {
            write!(f, "\n{:gutter$}--> {}:{}:{}", "", place.file, place.line, place.column)?;
            if !place.text.is_empty() {
                let before: String =
                    place.text.chars().take(place.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                write!(f, "\n{:gutter$} |", "")?;
                write!(f, "\n{} | {}", place.line, place.text)?;
                write!(f, "\n{:gutter$} | {before}{}", "", "^".repeat(place.length))?;
            }
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:gutter$} = help: {help}", "")?;
        }
        Ok(())
    }
}

/// The candidate most like `name`, where one is like it at all.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::normalized_damerau_levenshtein(&lower, &c.to_lowercase()), c))
        .filter(|(likeness, c)| *likeness >= 0.5 || c.to_lowercase().contains(&lower) && lower.len() > 2)
        // Of two that are as like, the one of the same length: letters are swapped more often than left out.
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.len().abs_diff(name.len()).cmp(&a.1.len().abs_diff(name.len()))))
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_file_line_caret_and_help() {
        let text = "[labels]\ntiem = \"x\"\n";
        let finding = Finding::error("unknown key `tiem`")
            .at(Place::of_bytes("backcast.toml", text, 9, 13))
            .nearest("tiem", ["keys", "time", "uri"]);
        assert_eq!(
            finding.to_string(),
            "error: unknown key `tiem`\n --> backcast.toml:2:1\n  |\n2 | tiem = \"x\"\n  | ^^^^\n  = help: did you mean `time`?"
        );
    }

    #[test]
    fn nothing_near_gives_no_guess() {
        assert_eq!(nearest("colour", ["keys", "uri"]), None);
    }

    #[test]
    fn of_two_as_near_the_one_of_the_same_length_is_meant() {
        assert_eq!(nearest("tiem", ["time", "tie"]), Some("time"));
    }
}
