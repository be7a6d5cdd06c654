//! What was repaired, what could not be, and how long it took.

/// Counters of repairs and of the waits for messages asked for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepairCounters {
    /// Snapshots wished for because no book could be believed: a gap, a late join, an unreadable message of nobody knows which.
    pub wishes_all: u64,
    /// Snapshots wished for because single books could not be believed.
    pub wishes_single: u64,
    /// Books that came to be wanted singly.
    pub books: u64,
    /// Snapshots of a wish that began to arrive.
    pub snapshots: u64,
    /// Repairs that ended with exact books.
    pub done: u64,
    /// Snapshots that the recovery client could not complete.
    pub failed: u64,
    /// Snapshots that state a sequence from before the messages that were put aside.
    pub refused_old: u64,
    /// Snapshots that state a sequence which the feed is far from, or did not reach in time.
    pub refused_ahead: u64,
    /// Snapshots with something in them that no snapshot holds, or that could not be read.
    pub refused_flawed: u64,
    /// Repairs begun anew because the messages to apply on top of the snapshot outgrew their buffer.
    pub overflowed: u64,
    /// Repairs begun anew because of a further gap.
    pub interrupted: u64,
    /// Books that went wrong again while, or soon after, they were repaired.
    pub fruitless: u64,
    /// Books given up after too many fruitless repairs: stale until everything is repaired or a session begins.
    pub given_up: u64,
    /// Messages put aside for books that wait.
    pub logged: u64,
    /// Of those, the ones applied on top of a snapshot.
    pub replayed: u64,
    /// Of those, the ones that a snapshot had in it already, or that came to be of no use.
    pub discarded: u64,
    /// Of those, the ones pushed out by newer ones before a snapshot came.
    pub pushed_out: u64,
    /// Most messages that were put aside at once.
    pub logged_peak: u64,
    /// Messages of snapshots that went into books.
    pub snapshot_loaded: u64,
    /// Messages of snapshots of no interest: of other books, or of no book.
    pub snapshot_skipped: u64,
    /// Answers for a session or a wish that was over.
    pub outdated: u64,
    /// Duration of the last repair, from the loss to exact books, µs.
    pub last_us: u64,
    /// Duration of the longest repair, µs.
    pub longest_us: u64,
    /// Times that all books waited for messages asked for again.
    pub waits: u64,
    /// Duration of the last such wait, µs.
    pub wait_last_us: u64,
    /// Duration of the longest such wait, µs.
    pub wait_longest_us: u64,
    /// Books that are being repaired now; all of them count as 65,536.
    pub wanted_now: u64,
}

/// Number of counters.
const ROWS: usize = 27;

impl RepairCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); ROWS] {
        [
            ("repair_wishes_all", self.wishes_all),
            ("repair_wishes_single", self.wishes_single),
            ("repair_books", self.books),
            ("repair_snapshots", self.snapshots),
            ("repair_done", self.done),
            ("repair_failed", self.failed),
            ("repair_refused_old", self.refused_old),
            ("repair_refused_ahead", self.refused_ahead),
            ("repair_refused_flawed", self.refused_flawed),
            ("repair_overflowed", self.overflowed),
            ("repair_interrupted", self.interrupted),
            ("repair_fruitless", self.fruitless),
            ("repair_given_up", self.given_up),
            ("repair_logged", self.logged),
            ("repair_replayed", self.replayed),
            ("repair_discarded", self.discarded),
            ("repair_pushed_out", self.pushed_out),
            ("repair_logged_peak", self.logged_peak),
            ("repair_snapshot_loaded", self.snapshot_loaded),
            ("repair_snapshot_skipped", self.snapshot_skipped),
            ("repair_outdated", self.outdated),
            ("repair_last_us", self.last_us),
            ("repair_longest_us", self.longest_us),
            ("repair_waits", self.waits),
            ("repair_wait_last_us", self.wait_last_us),
            ("repair_wait_longest_us", self.wait_longest_us),
            ("repair_wanted_now", self.wanted_now),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_every_counter_once() {
        let names: std::collections::BTreeSet<_> =
            RepairCounters::default().rows().map(|(name, _)| name).into();
        assert_eq!(names.len(), ROWS);
        assert_eq!(size_of::<RepairCounters>(), ROWS * size_of::<u64>());
    }
}
