//! Tables for people.

use std::fmt::Write as _;

use tranship::escape_controls as plain;

/// Rows of cells, printed in columns that are as wide as their widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// Aligns these columns, counted from 0, at their right.
    pub(crate) fn with_numbers_in(columns: &[usize]) -> Self {
        Self {
            rows: Vec::new(),
            right: columns.to_vec(),
        }
    }

    pub(crate) fn push<T: AsRef<str>>(&mut self, row: impl IntoIterator<Item = T>) {
        let row = row
            .into_iter()
            .map(|cell| plain(cell.as_ref()).into_owned());
        self.rows.push(row.collect());
    }

    /// Returns the lines, each after `indent`.
    pub(crate) fn lines(&self, indent: &str) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| console::measure_text_width(cell)).max()
        };
        let mut text = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for (column, cell) in row.iter().enumerate() {
                let padding = width(column)
                    .unwrap_or_default()
                    .saturating_sub(console::measure_text_width(cell));
                let padding = " ".repeat(padding);
                let _ = if self.right.contains(&column) {
                    write!(line, "{padding}{cell}  ")
                } else {
                    write!(line, "{cell}{padding}  ")
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::with_numbers_in(&[1]);
        table.push(["NAME", "SIZE"]);
        table.push(["a\u{1b}", "1"]);
        assert_eq!(table.lines("  "), "  NAME     SIZE\n  a\\u{1b}     1\n");
    }
}
