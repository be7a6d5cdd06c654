//! What happened to the books, by kind.

/// Something that must not happen on a complete and sane stream. Each one is counted, and the books it concerns are
/// [`Stale`](crate::market::BookState::Stale) from then on. What is done to the book is said with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anomaly {
    /// Execution of an order that is not live. Nothing is applied.
    ExecuteUnknown,
    /// Cancel of an order that is not live. Nothing is applied.
    CancelUnknown,
    /// Deletion of an order that is not live. Nothing is applied.
    DeleteUnknown,
    /// Replacement of an order that is not live. The new order is not added, because its side is not known.
    ReplaceUnknown,
    /// A new order under the reference of a live one. The live one stays; its book, too, goes stale.
    AddDuplicate,
    /// A replacement under the reference of another live order. The replaced order leaves, the other stays, the new
    /// one is not added; the other's book, too, goes stale.
    ReplaceDuplicate,
    /// Execution of more shares than the order has. The order leaves.
    OverExecuted,
    /// Cancel of more shares than the order has. The order leaves.
    OverCancelled,
    /// Zero shares added, executed or cancelled: nothing is applied. In a replacement the replaced order leaves.
    ZeroShares,
    /// A new order at price zero is not added. In a replacement the replaced order leaves.
    ZeroPrice,
    /// The event names another locate than the order has. Nothing is applied; both books go stale.
    LocateMismatch,
    /// A new order for a locate that no directory message named. The order is added all the same.
    NoDirectory,
    /// A locate of 0 or beyond [`Limits::locates`](super::Limits::locates). Nothing is applied.
    LocateOutOfRange,
    /// A locate got another symbol in the middle of a session. The new symbol counts from then on.
    SymbolChanged,
    /// A new order beyond [`Limits::orders`](super::Limits::orders) is not added.
    OrderLimit,
    /// A new level beyond [`Limits::levels`](super::Limits::levels), and so the order, is not added. A replaced order
    /// leaves.
    LevelLimit,
}

/// Number of counters.
const ROWS: usize = 27;

/// Counters of all books together, since they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookCounters {
    /// Orders that joined a book by an add.
    pub added: u64,
    /// Executions applied.
    pub executed: u64,
    /// Cancels applied.
    pub cancelled: u64,
    /// Deletions applied.
    pub deleted: u64,
    /// Replacements applied.
    pub replaced: u64,
    /// Replacements applied that kept the reference. Legal, though ITCH does not do it.
    pub replaced_same_ref: u64,
    /// Events that changed the top of a book and left its best bid at or above its best ask. Legal before the open.
    pub crossed: u64,
    /// Books that an anomaly turned stale.
    pub went_stale: u64,
    /// Orders taken out of books that were made anew.
    pub drained: u64,
    /// Times that everything was forgotten for a new session.
    pub cleared: u64,
    /// [`Anomaly::ExecuteUnknown`].
    pub execute_unknown: u64,
    /// [`Anomaly::CancelUnknown`].
    pub cancel_unknown: u64,
    /// [`Anomaly::DeleteUnknown`].
    pub delete_unknown: u64,
    /// [`Anomaly::ReplaceUnknown`].
    pub replace_unknown: u64,
    /// [`Anomaly::AddDuplicate`].
    pub add_duplicate: u64,
    /// [`Anomaly::ReplaceDuplicate`].
    pub replace_duplicate: u64,
    /// [`Anomaly::OverExecuted`].
    pub over_executed: u64,
    /// [`Anomaly::OverCancelled`].
    pub over_cancelled: u64,
    /// [`Anomaly::ZeroShares`].
    pub zero_shares: u64,
    /// [`Anomaly::ZeroPrice`].
    pub zero_price: u64,
    /// [`Anomaly::LocateMismatch`].
    pub locate_mismatch: u64,
    /// [`Anomaly::NoDirectory`].
    pub no_directory: u64,
    /// [`Anomaly::LocateOutOfRange`].
    pub locate_out_of_range: u64,
    /// [`Anomaly::SymbolChanged`].
    pub symbol_changed: u64,
    /// [`Anomaly::OrderLimit`].
    pub order_limit: u64,
    /// [`Anomaly::LevelLimit`].
    pub level_limit: u64,
    /// All anomalies together.
    pub anomalies: u64,
}

impl BookCounters {
    /// Counts an anomaly under its kind and in the sum.
    pub(super) const fn count(&mut self, anomaly: Anomaly) {
        self.anomalies += 1;
        let counter = match anomaly {
            Anomaly::ExecuteUnknown => &mut self.execute_unknown,
            Anomaly::CancelUnknown => &mut self.cancel_unknown,
            Anomaly::DeleteUnknown => &mut self.delete_unknown,
            Anomaly::ReplaceUnknown => &mut self.replace_unknown,
            Anomaly::AddDuplicate => &mut self.add_duplicate,
            Anomaly::ReplaceDuplicate => &mut self.replace_duplicate,
            Anomaly::OverExecuted => &mut self.over_executed,
            Anomaly::OverCancelled => &mut self.over_cancelled,
            Anomaly::ZeroShares => &mut self.zero_shares,
            Anomaly::ZeroPrice => &mut self.zero_price,
            Anomaly::LocateMismatch => &mut self.locate_mismatch,
            Anomaly::NoDirectory => &mut self.no_directory,
            Anomaly::LocateOutOfRange => &mut self.locate_out_of_range,
            Anomaly::SymbolChanged => &mut self.symbol_changed,
            Anomaly::OrderLimit => &mut self.order_limit,
            Anomaly::LevelLimit => &mut self.level_limit,
        };
        *counter += 1;
    }

    /// Every counter with its name, for publishing and printing.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); ROWS] {
        [
            ("book_added", self.added),
            ("book_executed", self.executed),
            ("book_cancelled", self.cancelled),
            ("book_deleted", self.deleted),
            ("book_replaced", self.replaced),
            ("book_replaced_same_ref", self.replaced_same_ref),
            ("book_crossed", self.crossed),
            ("book_went_stale", self.went_stale),
            ("book_drained", self.drained),
            ("book_cleared", self.cleared),
            ("book_execute_unknown", self.execute_unknown),
            ("book_cancel_unknown", self.cancel_unknown),
            ("book_delete_unknown", self.delete_unknown),
            ("book_replace_unknown", self.replace_unknown),
            ("book_add_duplicate", self.add_duplicate),
            ("book_replace_duplicate", self.replace_duplicate),
            ("book_over_executed", self.over_executed),
            ("book_over_cancelled", self.over_cancelled),
            ("book_zero_shares", self.zero_shares),
            ("book_zero_price", self.zero_price),
            ("book_locate_mismatch", self.locate_mismatch),
            ("book_no_directory", self.no_directory),
            ("book_locate_out_of_range", self.locate_out_of_range),
            ("book_symbol_changed", self.symbol_changed),
            ("book_order_limit", self.order_limit),
            ("book_level_limit", self.level_limit),
            ("book_anomalies", self.anomalies),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [Anomaly; 16] = [
        Anomaly::ExecuteUnknown,
        Anomaly::CancelUnknown,
        Anomaly::DeleteUnknown,
        Anomaly::ReplaceUnknown,
        Anomaly::AddDuplicate,
        Anomaly::ReplaceDuplicate,
        Anomaly::OverExecuted,
        Anomaly::OverCancelled,
        Anomaly::ZeroShares,
        Anomaly::ZeroPrice,
        Anomaly::LocateMismatch,
        Anomaly::NoDirectory,
        Anomaly::LocateOutOfRange,
        Anomaly::SymbolChanged,
        Anomaly::OrderLimit,
        Anomaly::LevelLimit,
    ];

    #[test]
    fn rows_name_every_counter_once() {
        let rows = BookCounters::default().rows();
        let names: BTreeSet<_> = rows.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), ROWS);
        assert_eq!(size_of::<BookCounters>(), ROWS * size_of::<u64>());
    }

    #[test]
    fn every_anomaly_has_a_row_of_its_own_and_enters_the_sum() {
        let mut rows_hit = BTreeSet::new();
        for anomaly in ALL {
            let mut counters = BookCounters::default();
            counters.count(anomaly);
            let hit: Vec<_> = counters.rows().into_iter().filter(|(_, value)| *value == 1).collect();
            assert_eq!(hit.len(), 2, "{anomaly:?}");
            assert_eq!(hit[1].0, "book_anomalies");
            assert!(rows_hit.insert(hit[0].0), "{anomaly:?} shares a row");
        }
    }
}
