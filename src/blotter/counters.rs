//! What a blotter counts.

/// Replies by kind, and replies that did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlotterCounters {
    /// Orders accepted.
    pub accepted: u64,
    /// Of those, orders of a process before this one.
    pub adopted: u64,
    /// Orders of a process before this one for which there was no room, or whose number was used.
    pub unadopted: u64,
    /// Executions.
    pub executed: u64,
    /// Shares executed.
    pub executed_shares: u64,
    /// Cancels, partial ones included.
    pub canceled: u64,
    /// Orders and replacements rejected.
    pub rejected: u64,
    /// Replacements that took place.
    pub replaced: u64,
    /// Cancels refused by the venue.
    pub cancel_rejects: u64,
    /// Trades taken back.
    pub broken: u64,
    /// Replies for a `user_ref_num` that was never given out.
    pub unknown_replies: u64,
    /// Replies for an order that has ended.
    pub late_replies: u64,
    /// Replies seen before.
    pub duplicates: u64,
    /// Executions larger than what was open.
    pub over_executions: u64,
    /// Cancels larger than what was open.
    pub over_cancels: u64,
    /// Accepted or exposed quantities other than asked.
    pub quantity_differs: u64,
    /// Replies out of order or without meaning, ignored.
    pub unexpected: u64,
    /// Executions and broken trades that no order or trade of ours explains.
    pub unexplained_trades: u64,
    /// Reply messages lost or unreadable.
    pub lost_messages: u64,
}

impl BlotterCounters {
    /// Replies that contradict what was known: more than none of them deserves a look.
    #[must_use]
    pub const fn replies_that_do_not_fit(&self) -> u64 {
        self.unadopted
            + self.unknown_replies
            + self.over_executions
            + self.over_cancels
            + self.unexpected
            + self.unexplained_trades
    }

    /// Names and values for display.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 19] {
        [
            ("orders_accepted", self.accepted),
            ("orders_adopted", self.adopted),
            ("orders_unadopted", self.unadopted),
            ("orders_executed", self.executed),
            ("orders_executed_shares", self.executed_shares),
            ("orders_canceled", self.canceled),
            ("orders_rejected", self.rejected),
            ("orders_replaced", self.replaced),
            ("orders_cancel_rejects", self.cancel_rejects),
            ("orders_broken", self.broken),
            ("replies_unknown", self.unknown_replies),
            ("replies_late", self.late_replies),
            ("replies_duplicate", self.duplicates),
            ("replies_over_executions", self.over_executions),
            ("replies_over_cancels", self.over_cancels),
            ("replies_quantity_differs", self.quantity_differs),
            ("replies_unexpected", self.unexpected),
            ("replies_unexplained_trades", self.unexplained_trades),
            ("replies_lost", self.lost_messages),
        ]
    }
}
