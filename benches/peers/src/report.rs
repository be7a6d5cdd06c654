//! Results as Markdown, which people read in a terminal, too.

use std::fmt::Write;

use crate::goals::Goal;
use crate::stats::Rounds;

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns. All but the first are right-aligned if `numbers` says so.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(|&column| column.to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Has it rows?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// As Markdown, the columns below each other.
    #[must_use]
    pub fn markdown(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |at: usize| {
            self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| {
                let missing = width - cell.chars().count();
                format!("{cell}{}", " ".repeat(missing))
            });
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
            if number == 0 {
                let lines = widths.iter().map(|width| "-".repeat(width + 2));
                let _ = writeln!(text, "|{}|", lines.collect::<Vec<_>>().join("|"));
            }
        }
        text
    }
}

/// A figure with as many digits as it is worth.
#[must_use]
pub fn figure(value: f64) -> String {
    if value.is_nan() {
        "–".to_owned()
    } else if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        thousands(value.round() as u64)
    }
}

/// 1234567 as 1,234,567.
#[must_use]
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Minimum and median.
#[must_use]
pub fn pair(rounds: &Rounds) -> String {
    format!("{} / {}", figure(rounds.min()), figure(rounds.median()))
}

/// Begins the line after which results stand in a document.
const BEGIN: &str = "<!-- results";
/// The line before which they end.
const END: &str = "<!-- end of results -->";

/// `document` with `results` between its marks; `None` without marks.
#[must_use]
pub fn inserted(document: &str, results: &str) -> Option<String> {
    let begin = document.find(BEGIN)?;
    let begin = begin + document[begin..].find('\n')? + 1;
    let end = begin + document[begin..].find(END)?;
    Some(format!("{}\n{}\n\n{}", &document[..begin], results.trim(), &document[end..]))
}

/// The table of goals.
#[derive(Clone, Debug)]
pub struct Scores(Table);

impl Default for Scores {
    fn default() -> Self {
        Self(Table::new(&["", "best open today", "reach", "beyond", "ours", ""]))
    }
}

impl Scores {
    /// Adds a row; `ours` is `figure` as it is to be read.
    pub fn row(&mut self, goal: &Goal, value: f64, ours: String) {
        let limit = |limit: f64| format!("≤ {limit} {}", goal.unit);
        let beyond = if goal.beyond < goal.reach { limit(goal.beyond) } else { "–".to_owned() };
        let verdict = goal.verdict(value).name().to_owned();
        let best =
            if goal.best == "–" { goal.best.to_owned() } else { format!("{} {}", goal.best, goal.unit) };
        self.0.row([
            goal.what.to_owned(),
            best,
            limit(goal.reach),
            beyond,
            format!("{ours} {}", goal.unit),
            verdict,
        ]);
    }

    /// The table.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals;

    #[test]
    fn tables_are_markdown() {
        let mut table = Table::new(&["", "ns"]);
        assert!(table.is_empty());
        table.row(["é".to_owned(), "12".to_owned()]);
        assert_eq!(table.markdown(), "|   | ns |\n|---|----|\n| é | 12 |\n");
    }

    #[test]
    fn results_stand_between_their_marks() {
        let document = "# A\n<!-- results: here -->\nold\n<!-- end of results -->\nrest\n";
        let once = inserted(document, "new\n").unwrap();
        assert_eq!(once, "# A\n<!-- results: here -->\n\nnew\n\n<!-- end of results -->\nrest\n");
        assert_eq!(inserted(&once, "new\n").unwrap(), once);
        assert_eq!(inserted("# A\n", "new"), None);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([2.345, 23.45, 234.5, f64::NAN].map(figure), ["2.35", "23.4", "235", "–"]);
        assert_eq!([7, 1_000, 1_234_567].map(thousands), ["7", "1,000", "1,234,567"]);
    }

    #[test]
    fn rows_say_what_was_reached() {
        let mut scores = Scores::default();
        scores.row(&goals::SYN20M, 30.0, "30.0".to_owned());
        scores.row(&goals::BYTES, 101.0, "101".to_owned());
        let text = scores.table().markdown();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[2].contains("≤ 38 ns") && lines[2].contains("≤ 31 ns") && lines[2].contains("| beyond ")
        );
        assert!(lines[3].ends_with("| NOT reached |"), "{text}");
    }
}
