//! The words that the author of a view wrote, for telling no others.

use crate::analysis::{Project, View};

/// The words in the SQL of a view and of those that it reads.
#[derive(Debug)]
pub(super) struct Words {
    /// In lower case.
    words: Vec<String>,
    /// A `*` names columns.
    everything: bool,
}

impl Words {
    pub(super) fn of(project: &Project, view: &View) -> Self {
        let mut views = vec![view];
        let mut at = 0;
        while let Some(view) = views.get(at).copied() {
            at += 1;
            let read = view.reads.iter().filter_map(|name| project.view(name));
            let new: Vec<_> = read.filter(|read| views.iter().all(|known| known.name != read.name)).collect();
            views.extend(new);
        }
        let mut own = Self { words: Vec::new(), everything: false };
        views.into_iter().for_each(|view| own.read(&view.sql.text));
        own.words.sort_unstable();
        own.words.dedup();
        own
    }

    fn read(&mut self, sql: &str) {
        let code = sql.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code));
        let text = code.collect::<Vec<_>>().join("\n").to_ascii_lowercase();
        // `SELECT *`, `t.*`; not `count(*)` or a product.
        self.everything |= text.split('*').skip(1).zip(text.split('*')).any(|(after, before)| {
            let (before, after) = (before.trim_end(), after.trim_start());
            before.ends_with('.') || before.ends_with("select") || (before.ends_with(',') && after.starts_with("from"))
        });
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty());
        self.words.extend(words.map(String::from));
    }

    /// Whether somebody wrote this word.
    pub(super) fn has(&self, word: &str) -> bool {
        self.words.binary_search(&word.to_ascii_lowercase()).is_ok()
    }

    /// Whether somebody may have meant this column.
    pub(super) fn may_name(&self, column: &str) -> bool {
        self.everything || self.has(column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str) -> Words {
        let mut words = Words { words: Vec::new(), everything: false };
        words.read(sql);
        words.words.sort_unstable();
        words
    }

    #[test]
    fn a_star_names_every_column_and_a_count_none() {
        let words = of("SELECT DISTINCT ON (A) a, count(*) * 2 AS n -- first_value\nFROM e");
        assert!(words.has("distinct") && words.may_name("a") && words.may_name("A"));
        assert!(!words.has("first_value") && !words.may_name("region"));
        assert!(of("SELECT e.* FROM e").may_name("region") && of("SELECT *, 1 FROM e").may_name("region"));
        assert!(of("SELECT a, * FROM e").may_name("region"));
    }
}
