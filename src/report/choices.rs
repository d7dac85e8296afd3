//! The choices behind the values, for people: those of one kind, value and origin are one line.

use serde_json::Value;

use crate::config::Choice;

/// Choices that are alike in all but whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenAlike {
    /// The key, with `*` for what differs.
    pub pattern: String,
    pub value: String,
    /// Each place that says so; the profile; or that it is the default.
    pub from: Vec<String>,
    /// What stands for the `*`.
    pub names: Vec<String>,
}

/// Choices in groups, in the order of the first of each.
pub fn chosen_alike(choices: &[Choice]) -> Vec<ChosenAlike> {
    let mut groups: Vec<(&Choice, ChosenAlike)> = Vec::new();
    for choice in choices {
        let alike = |first: &Choice| {
            first.pattern == choice.pattern && first.value == choice.value && first.origin.from == choice.origin.from
        };
        let (_, group) = match groups.iter().position(|(first, _)| alike(first)) {
            Some(at) => &mut groups[at],
            None => {
                let group = ChosenAlike {
                    pattern: choice.pattern.clone(),
                    value: shown(choice),
                    from: Vec::new(),
                    names: Vec::new(),
                };
                groups.push((choice, group));
                groups.last_mut().expect("one was pushed")
            }
        };
        let origin = choice.origin.to_string();
        if !group.from.contains(&origin) {
            group.from.push(origin);
        }
        group.names.extend(choice.name.clone());
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// A choice's value as one word or few.
fn shown(choice: &Choice) -> String {
    match &choice.value {
        Value::Null if choice.pattern.contains(".features.") => "NULL".to_string(),
        Value::Null => "not set".to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "not set".to_string(),
        Value::Array(items) => {
            items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_string)).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// Names, and places, that one line has room for.
const SOME: usize = 3;

/// The groups as aligned lines under the heading `choices`.
pub fn choices_text(choices: &[Choice]) -> String {
    let groups = chosen_alike(choices);
    let width = |of: fn(&ChosenAlike) -> &str| groups.iter().map(|g| of(g).chars().count()).max().unwrap_or(0);
    let (patterns, values) = (width(|g| &g.pattern), width(|g| &g.value).min(24));
    let mut text = String::from("choices\n");
    for group in &groups {
        let ChosenAlike { pattern, value, .. } = group;
        let from = some(&group.from);
        let names = if group.names.is_empty() { String::new() } else { format!("  ({})", some(&group.names)) };
        text.push_str(&format!("  {pattern:<patterns$}  {value:<values$}  {from}{names}\n"));
    }
    text
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(SOME).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SOME) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
