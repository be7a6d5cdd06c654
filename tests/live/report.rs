//! What the last report of a run says.

use std::collections::BTreeMap;

/// A report, taken apart.
pub(crate) struct Report {
    text: String,
    counters: BTreeMap<String, u64>,
}

impl Report {
    pub(crate) fn new(stdout: &str) -> Self {
        let (_, counters) =
            stdout.split_once("\ncounters\n").unwrap_or_else(|| panic!("no counters:\n{stdout}"));
        let counters = counters
            .lines()
            .map_while(|line| line.trim().split_once(' '))
            .map(|(name, value)| (name.to_owned(), value.trim().replace(',', "").parse().unwrap()))
            .collect();
        Self { text: stdout.to_owned(), counters }
    }

    /// A counter; those at 0 are not printed.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// Positions of the watched books that are not 0.
    pub(crate) fn positions(&self) -> BTreeMap<String, i64> {
        let (_, books) = self.text.split_once("\nbooks\n").unwrap();
        let (books, _) = books.split_once("\n\n").unwrap();
        books
            .lines()
            .skip(1)
            .map(|line| {
                let mut cells = line.split_whitespace();
                (cells.next().unwrap().to_owned(), cells.last().unwrap().parse().unwrap())
            })
            .filter(|(_, position)| *position != 0)
            .collect()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}
