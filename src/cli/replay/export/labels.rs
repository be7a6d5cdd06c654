//! What the mid did after each row of one instrument.
//!
//! Both labels are `(m' − m) / m`, in 1/10,000, where `m` is the mid of the row, and `m'`:
//!
//! - *after K changes*: the mid right after the K-th change of the touch behind the row's own. A change is what the order
//!   flow counts: another best price, or other shares there.
//! - *after T ms*: the mid that stands when T ms have passed, by exchange time: after the last event with a stamp of at most
//!   the row's + T.
//!
//! There is none (null) where the file ends, the session ends or the book ceases to be live before that, and where one side
//! is empty then. For the label after T ms the file ends with the latest stamp in it, whatever the instrument.

use std::collections::VecDeque;

use super::table::Table;

/// When labels are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Horizons {
    /// Changes of the touch.
    pub(super) changes: u64,
    /// ns of exchange time.
    pub(super) ns: u64,
}

/// A row that waits for a label.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    row: u64,
    /// The change or the time at which it has its label.
    due: u64,
    twice_mid: u64,
}

/// Rows of one instrument that wait. Both queues are in the order of their rows.
#[derive(Debug, Default)]
pub(super) struct Labels {
    by_changes: VecDeque<Waiting>,
    by_time: VecDeque<Waiting>,
    changes: u64,
    /// Bid + ask as they stand.
    twice_mid: Option<u64>,
    rows: bool,
}

impl Labels {
    pub(super) fn has_rows(&self) -> bool {
        self.rows
    }

    /// Time has come to `now`, and what happens then has not happened yet.
    pub(super) fn pass(&mut self, now: u64, table: &mut Table) {
        while let Some(row) = self.by_time.front().copied().filter(|row| row.due < now) {
            self.by_time.pop_front();
            table.label_ms(row.row, self.twice_mid.map(|mid| moved(row.twice_mid, mid)));
        }
    }

    /// The touch changed, and the mid is now this.
    pub(super) fn change(&mut self, twice_mid: Option<u64>, table: &mut Table) {
        self.changes += 1;
        self.twice_mid = twice_mid;
        let changes = self.changes;
        while let Some(row) = self.by_changes.front().copied().filter(|row| row.due <= changes) {
            self.by_changes.pop_front();
            table.label_changes(row.row, twice_mid.map(|mid| moved(row.twice_mid, mid)));
        }
    }

    /// A row, of the latest change.
    pub(super) fn row(&mut self, (row, horizons): (u64, Horizons), now: u64, twice_mid: u64) {
        self.rows = true;
        self.by_changes.push_back(Waiting { row, due: self.changes + horizons.changes, twice_mid });
        self.by_time.push_back(Waiting { row, due: now + horizons.ns, twice_mid });
    }

    /// What waits waits in vain.
    pub(super) fn cut(&mut self, table: &mut Table) {
        self.by_changes.drain(..).for_each(|row| table.label_changes(row.row, None));
        self.by_time.drain(..).for_each(|row| table.label_ms(row.row, None));
        self.twice_mid = None;
    }
}

/// In 1/10,000 of the mid before.
fn moved(before: u64, now: u64) -> f32 {
    ((now as f64 - before as f64) * 10_000.0 / before as f64) as f32
}
