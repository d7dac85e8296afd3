//! Commands that a reader can copy into a shell as they stand.
//!
//! Words come from data, and a shell must read each as one word that means itself. What has control characters or
//! invisible ones is written in escapes (`$'…'`, which bash, zsh, ksh and POSIX 2024 know): so a command is always one
//! line, and what is seen is what is run.

use serde_json::Value;

use super::text::clean;
use crate::diff::WorstCell;

/// The name that a config has where none is given.
const DEFAULT_CONFIG: &str = "backcast.toml";

/// Whose cells are shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Project<'a> {
    /// The config file.
    pub config: Option<&'a str>,
    /// Its overrides.
    pub set: &'a [String],
}

/// The command that shows one cell down to its events; `None` where its keys or time are not such as can be asked for.
pub(super) fn trace_command(feature: &str, cell: &WorstCell, project: Project<'_>) -> Option<String> {
    let mut words = vec!["backcast".to_string(), "trace".to_string(), quoted(feature)];
    for (name, key) in &cell.keys {
        let key = match key {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => key.to_string(),
            // NULL keys match nothing, and lists are not keys.
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        words.extend(["--key".to_string(), quoted(&format!("{name}={key}"))]);
    }
    words.extend(["--at".to_string(), quoted(cell.time.as_deref()?)]);
    words.extend(project.config.filter(|config| *config != DEFAULT_CONFIG).map(quoted));
    words.extend(project.set.iter().flat_map(|set| ["--set".to_string(), quoted(set)]));
    Some(words.join(" "))
}

/// A text as one word of a shell.
fn quoted(word: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_-./:@%+=,".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_string();
    }
    if clean(word) == word {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let escaped = |char: char| match char {
        '\'' | '\\' => format!("\\{char}"),
        char if clean(char.encode_utf8(&mut [0; 4])).starts_with(char) => char.to_string(),
        // Octal has exactly three digits: whatever follows is not taken for one more.
        char => char.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")).collect(),
    };
    format!("$'{}'", word.chars().map(escaped).collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::report::samples::HOSTILE;

    fn cell(keys: &[(&str, Value)], time: Option<&str>) -> WorstCell {
        WorstCell {
            keys: keys.iter().map(|(name, key)| ((*name).to_string(), key.clone())).collect(),
            time: time.map(str::to_string),
            legacy: json!(1),
            replayed: json!(2),
            delta: Some(1.0),
        }
    }

    fn of(config: &str) -> Project<'_> {
        Project { config: Some(config), set: &[] }
    }

    #[test]
    fn what_a_run_was_told_to_set_is_set_again() {
        let asked = cell(&[("n", json!(7))], Some("2013-03-01T10:00:00Z"));
        let set = ["labels.tie=exclude".to_string(), "diff.tolerance={abs=1}".to_string()];
        let command = trace_command("a.b", &asked, Project { set: &set, ..of("backcast.toml") }).unwrap();
        assert!(command.ends_with("Z --set labels.tie=exclude --set 'diff.tolerance={abs=1}'"), "{command}");
    }

    #[test]
    fn a_cell_is_asked_for_by_feature_keys_time_and_config() {
        let asked = cell(&[("tail", json!("N1 2")), ("n", json!(7))], Some("2013-03-01T10:00:00Z"));
        assert_eq!(
            trace_command("load.dep_1h", &asked, of("backcast.toml")).unwrap(),
            "backcast trace load.dep_1h --key 'tail=N1 2' --key n=7 --at 2013-03-01T10:00:00Z"
        );
        let other = trace_command("a.b", &asked, of("my flights/x.toml")).unwrap();
        assert!(other.ends_with("--at 2013-03-01T10:00:00Z 'my flights/x.toml'"), "{other}");
    }

    #[test]
    fn a_cell_with_a_null_key_or_time_is_not_asked_for() {
        assert_eq!(
            trace_command("a.b", &cell(&[("k", Value::Null)], Some("2013-03-01T10:00:00Z")), Project::default()),
            None
        );
        assert_eq!(trace_command("a.b", &cell(&[("k", json!(1))], None), Project::default()), None);
    }

    #[test]
    fn quotes_dollars_and_blanks_mean_themselves() {
        let words = ["", "it's", "$HOME", "a b", "`id`", "x;y", "~", "東京", "a\\b"].map(quoted);
        assert_eq!(words, ["''", r"'it'\''s'", "'$HOME'", "'a b'", "'`id`'", "'x;y'", "'~'", "'東京'", r"'a\b'"]);
    }

    #[test]
    fn control_and_invisible_characters_are_escapes() {
        assert_eq!(quoted("a\n1"), r"$'a\0121'");
        assert_eq!(quoted("it's\u{1b}[31m\\"), r"$'it\'s\033[31m\\'");
        assert_eq!(quoted("\u{202e}x"), r"$'\342\200\256x'");
    }

    #[test]
    fn a_shell_reads_the_words_that_were_meant() {
        for word in ["", "it's $HOME", "a\nb\t1", HOSTILE, "\\n", "-n", "*", "é\u{85}9", "!x"] {
            let script = format!("printf '%s|' {}", quoted(word));
            let ran = std::process::Command::new("bash").args(["-c", &script]).output();
            let Ok(ran) = ran else { return eprintln!("skipped: there is no bash") };
            assert_eq!(String::from_utf8_lossy(&ran.stdout), format!("{word}|"), "{script}");
        }
    }

    #[test]
    fn every_command_is_one_clean_line() {
        let asked = cell(&[(HOSTILE, json!(HOSTILE))], Some(HOSTILE));
        let command = trace_command(HOSTILE, &asked, of(HOSTILE)).unwrap();
        assert_eq!(clean(&command), command);
        assert_eq!(Map::len(&asked.keys), 1);
    }
}
