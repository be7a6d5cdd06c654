//! What several workers show, as one.
//!
//! Every worker hears the whole feed, so the counters of what was heard are alike; shown is the largest of each. What
//! was done with it they divide, and what each missed it missed for itself: those are summed.

use super::board::{BoardReader, BookView, Row};
use crate::market::Symbol;

/// Counters of what was heard, by how their names begin. Of these the largest is shown, of all others the sum.
const HEARD: &[&str] = &[
    "loop_frames",
    "loop_bytes",
    "frame_",
    "ip_",
    "udp_bad_",
    "route_",
    "line_",
    "stream_messages",
    "stream_sessions",
    "stream_ended",
    "desk_messages",
];

/// What is not a count of things at all, by how its name ends: the largest is shown.
const MEASURES: &[&str] = &["_ms", "_ns", "_us", "_peak"];

/// The boards of all workers.
#[derive(Clone, Debug)]
pub struct Boards(Vec<BoardReader>);

impl Boards {
    /// Of these workers, in their order.
    #[must_use]
    pub const fn new(boards: Vec<BoardReader>) -> Self {
        Self(boards)
    }

    /// The board of each worker.
    #[must_use]
    pub fn each(&self) -> &[BoardReader] {
        &self.0
    }

    /// All counters of the latest publications, together. Waits as [`BoardReader::rows`]; empty where one worker's are.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        together(self.0.iter().map(BoardReader::rows))
    }

    /// One counter; `None` where there is none of that name.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<u64> {
        self.rows().into_iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The watched books of all workers, by locate.
    #[must_use]
    pub fn books(&self) -> Vec<BookView> {
        let mut books: Vec<_> = self.0.iter().flat_map(BoardReader::books).collect();
        if self.0.len() > 1 {
            books.sort_by_key(|book| book.locate);
        }
        books
    }

    /// Asks for one more book, by ticker; it is among [`Boards::books`] after the owner's next publication.
    pub fn ask(&self, symbol: Symbol) {
        self.0.iter().for_each(|board| board.ask(symbol));
    }
}

/// Tables of equal names as one; empty where one of them is.
#[must_use]
pub fn together(tables: impl Iterator<Item = Vec<Row>>) -> Vec<Row> {
    tables
        .reduce(|mut total, table| {
            if table.len() != total.len() {
                return Vec::new();
            }
            for ((name, sum), (_, value)) in total.iter_mut().zip(table) {
                *sum = if is_alike(name) { value.max(*sum) } else { sum.saturating_add(value) };
            }
            total
        })
        .unwrap_or_default()
}

/// True where the largest says more than the sum.
fn is_alike(name: &str) -> bool {
    HEARD.iter().any(|start| name.starts_with(start)) || MEASURES.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::board::Tally;

    #[test]
    fn every_rule_concerns_a_counter() {
        let names: Vec<_> = Tally::default().rows().map(|(name, _)| name).collect();
        for start in HEARD {
            assert!(names.iter().any(|name| name.starts_with(start)), "{start} begins no name");
        }
        // What a telemetry answer holds.
        let apart: usize = Tally::apart().iter().map(Vec::len).sum();
        assert!(names.len() + 3 - apart <= 256, "{} counters", names.len() - apart);
        for end in MEASURES {
            assert!(names.iter().any(|name| name.ends_with(end)), "{end} ends no name");
        }
    }

    #[test]
    fn what_all_heard_counts_once_and_what_each_did_is_summed() {
        let table = |factor: u64| {
            vec![
                ("loop_frames", 10 * factor),
                ("loop_rx_missed", factor),
                ("line_a_silent_ms", 7),
                ("desk_messages", 4),
                ("book_added", 3 * factor),
                ("repair_longest_us", 5 * factor),
            ]
        };
        let expected = vec![
            ("loop_frames", 20),
            ("loop_rx_missed", 3),
            ("line_a_silent_ms", 7),
            ("desk_messages", 4),
            ("book_added", 9),
            ("repair_longest_us", 10),
        ];
        assert_eq!(together([table(1), table(2)].into_iter()), expected);
        assert_eq!(together(std::iter::once(table(3))), table(3));
        // A worker that has not yet shown anything: nothing is known of all of them together.
        assert_eq!(together([table(1), Vec::new()].into_iter()), []);
    }
}
