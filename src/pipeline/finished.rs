//! What is left of a worker that has ended.

use super::board::{Row, Tally};
use super::boards::together;
use crate::book::Books;
use crate::market::{BookState, Symbol};

/// What a worker leaves when it has ended.
pub struct Finished {
    /// The books as they were last.
    pub books: Books,
    /// All counters.
    pub tally: Tally,
    /// Instruments in which something was traded or is held: ticker, position in shares.
    pub positions: Vec<(Symbol, i64)>,
}

/// All counters of several workers that have ended, together; those of one as they are.
#[must_use]
pub fn all_rows(finished: &[Finished]) -> Vec<Row> {
    together(finished.iter().map(|worker| worker.tally.rows().collect()))
}

impl Finished {
    /// Instruments of its own that the feed announced.
    #[must_use]
    pub fn books_known(&self) -> usize {
        self.known().count()
    }

    /// Of those, the ones whose book may be wrong.
    #[must_use]
    pub fn stale(&self) -> usize {
        self.known().filter(|locate| self.books.state(*locate) != BookState::Live).count()
    }

    fn known(&self) -> impl Iterator<Item = u16> + '_ {
        let last = u16::try_from(self.books.limits().locates - 1).unwrap_or(u16::MAX);
        (0..=last).filter(|locate| self.books.symbol(*locate).is_some())
    }
}
