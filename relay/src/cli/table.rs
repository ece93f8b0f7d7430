//! Tables of text whose columns align.

use ratatui::text::Line;

use super::human;

/// Characters of one cell.
const CELL_CHARS_MAX: usize = 64;
/// What stands between two columns.
const GAP: &str = "  ";

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A column: its title, and how its cells stand.
pub(super) type Column = (&'static str, Align);

/// A table. Its columns are there whatever its rows are.
#[derive(Clone, Debug)]
pub(super) struct Table {
    columns: &'static [Column],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &'static [Column]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row, one cell for each column. An empty cell is shown as such.
    pub(super) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| match &*cell {
            "" => human::NOTHING.to_owned(),
            text => human::printable(text, CELL_CHARS_MAX),
        });
        self.rows.push(cells.take(self.columns.len()).collect());
    }

    /// The titles, and below them the rows, each a line without an end.
    pub(super) fn lines(&self) -> Vec<String> {
        let titles: Vec<String> =
            self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let all: Vec<_> = std::iter::once(&titles).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| all.iter().filter_map(|row| row.get(column)).map(|it| width(it)).max())
            .map(Option::unwrap_or_default)
            .collect();
        all.into_iter().map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, (_, align)), room) in row.iter().zip(self.columns).zip(widths) {
            let padding = " ".repeat(room.saturating_sub(width(cell)));
            if !line.is_empty() {
                line.push_str(GAP);
            }
            match align {
                Align::Left => line.extend([cell, padding.as_str()]),
                Align::Right => line.extend([padding.as_str(), cell]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// The columns of a terminal that `text` takes.
fn width(text: &str) -> usize {
    Line::from(text).width()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[("NAME", Align::Left), ("IN", Align::Right), ("END", Align::Left)];

    fn table(rows: &[[&str; 3]]) -> Vec<String> {
        let mut table = Table::new(COLUMNS);
        for row in rows {
            table.add(row.map(str::to_owned));
        }
        table.lines()
    }

    #[test]
    fn columns_align_and_lines_have_no_blanks_at_their_end() {
        assert_eq!(
            table(&[["a", "1.00 Mbit/s", "x"], ["camera", "0 bit/s", "yes"]]),
            ["NAME             IN  END", "a       1.00 Mbit/s  x", "camera      0 bit/s  yes",]
        );
    }

    #[test]
    fn without_rows_the_titles_are_there() {
        assert_eq!(table(&[]), ["NAME  IN  END"]);
    }

    #[test]
    fn wide_characters_and_empty_cells_keep_the_columns() {
        assert_eq!(table(&[["カメラ", "", "x"]]), ["NAME    IN  END", "カメラ   -  x"]);
    }

    #[test]
    fn a_long_or_hostile_cell_stays_one_cell() {
        let long = "x".repeat(500);
        let lines = table(&[[&long, "1", "a\nb"]]);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].len() < 100 && !lines[1].contains('\n'), "{}", lines[1]);
    }
}
