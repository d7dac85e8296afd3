//! A plain table for the terminal: aligned columns, two spaces apart, no lines.

use super::text::{shorten, shorten_front, width};

/// Between columns.
const GAP: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    /// To the left, and cut at the beginning.
    Ends,
}

/// A table; texts are clean and without style.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(Align, usize)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with its header.
    pub(super) fn new(header: &[(&str, Align)]) -> Self {
        let columns = header.iter().map(|(title, align)| (*align, width(title))).collect();
        Self { columns, rows: vec![header.iter().map(|(title, _)| title.to_string()).collect()] }
    }

    pub(super) fn push(&mut self, row: Vec<String>) {
        for ((_, widest), text) in self.columns.iter_mut().zip(&row) {
            *widest = (*widest).max(width(text));
        }
        self.rows.push(row);
    }

    /// Columns that the table takes.
    pub(super) fn width(&self) -> usize {
        self.columns.iter().map(|(_, widest)| widest + GAP).sum::<usize>().saturating_sub(GAP)
    }

    /// Columns of the terminal before the table's column `column`.
    pub(super) fn width_before(&self, column: usize) -> usize {
        self.columns.iter().take(column).map(|(_, widest)| widest + GAP).sum()
    }

    /// Cuts one column so that the table fits into `columns`, as far as `least` columns of it allow.
    pub(super) fn squeeze(&mut self, column: usize, least: usize, columns: usize) {
        let excess = self.width().saturating_sub(columns);
        if let Some((_, widest)) = self.columns.get_mut(column) {
            *widest = widest.saturating_sub(excess).max(least.min(*widest));
        }
    }

    /// Cuts one column down to `least` and, where that is not enough, drops columns from the right.
    pub(super) fn fit(&mut self, column: usize, least: usize, columns: usize) {
        let natural = self.columns.get(column).map_or(0, |(_, widest)| *widest);
        self.squeeze(column, least, columns);
        while self.width() > columns && self.columns.len() > column + 2 {
            self.columns.pop();
            self.columns[column].1 = natural;
            self.squeeze(column, least, columns);
        }
    }

    /// The header and the rows as lines; `paint` styles a padded cell, given its row (0 is the header) and column.
    pub(super) fn lines(&self, paint: impl Fn(usize, usize, String) -> String) -> Vec<String> {
        let line = |(at, row): (usize, &Vec<String>)| {
            let cells = row.iter().zip(&self.columns).enumerate().map(|(column, (text, (align, widest)))| {
                let text = if *align == Align::Ends { shorten_front(text, *widest) } else { shorten(text, *widest) };
                let padding = " ".repeat(widest - width(&text).min(*widest));
                let last = column + 1 == self.columns.len();
                let padded = match align {
                    Align::Left | Align::Ends if last => text,
                    Align::Left | Align::Ends => text + &padding,
                    Align::Right => padding + &text,
                };
                paint(at, column, padded)
            });
            cells.collect::<Vec<_>>().join(&" ".repeat(GAP))
        };
        self.rows.iter().enumerate().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_the_widest_is_cut() {
        let mut table = Table::new(&[("feature", Align::Left), ("n", Align::Right), ("note", Align::Left)]);
        table.push(vec!["a_long_feature_name".into(), "1,204".into(), "x".into()]);
        table.push(vec!["b".into(), "7".into(), "".into()]);
        table.squeeze(0, 8, 22);
        assert_eq!(table.width(), 22);
        let lines = table.lines(|_, _, text| text);
        assert_eq!(lines, ["feature        n  note", "a_long_f…  1,204  x", "b              7  "]);
    }

    #[test]
    fn columns_are_dropped_from_the_right_where_cutting_is_not_enough() {
        let mut table = Table::new(&[("feature", Align::Left), ("compared", Align::Right), ("differ", Align::Right)]);
        table.push(vec!["a_feature_name".into(), "10".into(), "3".into()]);
        table.fit(0, 5, 18);
        assert_eq!(table.lines(|_, _, text| text), ["feature   compared", "a_featu…        10"]);
    }
}
