//! The choices behind the values, for people: those of one kind, value and origin are one line.

use serde_json::Value;

use crate::config::{Choice, Layer};

/// Choices that are alike in all but whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenAlike {
    /// The key, with `*` for what differs.
    pub pattern: String,
    pub value: String,
    /// Each place that says so, a file's name once; the profile; or that it is the default.
    pub from: Vec<String>,
    /// What stands for the `*`.
    pub names: Vec<String>,
}

/// Choices in groups, those about one thing together.
pub fn chosen_alike(choices: &[Choice]) -> Vec<ChosenAlike> {
    let mut groups: Vec<(&Choice, ChosenAlike)> = Vec::new();
    for choice in choices {
        let alike = |first: &Choice| {
            first.pattern == choice.pattern && first.value == choice.value && first.origin.from == choice.origin.from
        };
        let (first, group) = match groups.iter().position(|(first, _)| alike(first)) {
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
        let origin = match (choice.origin.from, first.origin.at.as_deref(), choice.origin.at.as_deref()) {
            (Layer::File, Some(first), Some(at)) if !group.from.is_empty() => line_in_same_file(first, at),
            _ => choice.origin.to_string(),
        };
        if !group.from.contains(&origin) {
            group.from.push(origin);
        }
        group.names.extend(choice.name.clone());
    }
    let mut groups: Vec<ChosenAlike> = groups.into_iter().map(|(_, group)| group).collect();
    let patterns: Vec<String> = groups.iter().map(|group| group.pattern.clone()).collect();
    groups.sort_by_key(|group| patterns.iter().position(|pattern| *pattern == group.pattern));
    groups
}

/// `:12` for `backcast.toml:12` after another place in that file.
fn line_in_same_file(first: &str, at: &str) -> String {
    match (first.rsplit_once(':'), at.rsplit_once(':')) {
        (Some((file, _)), Some((same, line))) if file == same => format!(":{line}"),
        _ => at.to_string(),
    }
}

/// A choice's value as one word or few.
fn shown(choice: &Choice) -> String {
    match &choice.value {
        Value::Null if choice.pattern.contains(".features.") => "NULL".to_string(),
        Value::Null => "not set".to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "not set".to_string(),
        Value::Array(items) => items
            .iter()
            .map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_string))
            .collect::<Vec<_>>()
            .join(", "),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Origin;

    fn choice(pattern: &str, name: &str, value: Value, from: Layer, at: Option<&str>) -> Choice {
        Choice {
            key: pattern.replace('*', name),
            value,
            origin: Origin { from, at: at.map(str::to_string) },
            pattern: pattern.to_string(),
            name: pattern.contains('*').then(|| name.to_string()),
        }
    }

    #[test]
    fn choices_of_one_kind_value_and_layer_are_one_line_and_those_of_one_kind_stand_together() {
        let delay = |name, value: &str, from, at| choice("sources.*.delay", name, json!(value), from, at);
        let all = [
            choice("labels.tie", "", json!("exclude"), Layer::Profile, Some("chronon")),
            delay("a", "5m", Layer::File, Some("b.toml:7")),
            choice("sources.*.id", "a", json!(["x", "y"]), Layer::Flag, Some("--set sources.a.id=[\"x\", \"y\"]")),
            delay("b", "0s", Layer::Default, None),
            delay("c", "5m", Layer::File, Some("b.toml:9")),
            delay("d", "5m", Layer::File, Some("b.toml:12")),
            delay("e", "5m", Layer::File, Some("b.toml:15")),
            choice("views.*.features.*.when_null", "v.f", json!(null), Layer::Default, None),
        ];
        assert_eq!(
            choices_text(&all),
            "choices\n\
             \x20 labels.tie                    exclude  profile chronon\n\
             \x20 sources.*.delay               5m       b.toml:7, :9, :12 and 1 more  (a, c, d and 1 more)\n\
             \x20 sources.*.delay               0s       default  (b)\n\
             \x20 sources.*.id                  x, y     --set sources.a.id=[\"x\", \"y\"]  (a)\n\
             \x20 views.*.features.*.when_null  NULL     default  (v.f)\n"
        );
    }
}
