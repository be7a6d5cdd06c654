//! Why an intent was refused, and how often.

use std::fmt;

// The numbers are part of the journal's format: only append.
macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident => $row:literal,)+) => {
        /// Why an intent was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Refusal {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Refusal {
            /// Every reason, in the order of [`Refusal::index`].
            pub const ALL: [Self; [$($row),+].len()] = [$(Self::$name),+];

            /// The name under which it is counted.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $row),+ }
            }

            /// The reason in plain words.
            #[must_use]
            pub const fn words(self) -> &'static str {
                // The first doc line, as written above.
                match self { $(Self::$name => [$($doc),+][0].trim_ascii()),+ }
            }
        }
    };
}

refusals! {
    /// Trading is disarmed.
    Disarmed => "refused_disarmed",
    /// Replies were lost or trades unexplained: positions are uncertain until somebody reconciles them.
    Uncertain => "refused_uncertain",
    /// The order session is not healthy.
    Session => "refused_session",
    /// The instrument is not known, or its locate changed hands while we held something in it.
    Instrument => "refused_instrument",
    /// The instrument is on the restricted list.
    Restricted => "refused_restricted",
    /// The market view shown is of another instrument than the intent's.
    WrongView => "refused_wrong_view",
    /// The book is not live.
    BookNotLive => "refused_book_not_live",
    /// The instrument does not trade.
    NotTrading => "refused_not_trading",
    /// No shares.
    ZeroShares => "refused_zero_shares",
    /// No price.
    ZeroPrice => "refused_zero_price",
    /// The price is above what a limit order may carry; the venue would take it for a market order.
    PriceTooHigh => "refused_price_too_high",
    /// More shares than one order may have.
    OrderShares => "refused_order_shares",
    /// Shares × price above what one order may be worth.
    OrderValue => "refused_order_value",
    /// No touch and no reference price to measure the price by.
    NoReference => "refused_no_reference",
    /// The price lies outside the collar.
    Collar => "refused_collar",
    /// No open order has this `user_ref_num`.
    UnknownOrder => "refused_unknown_order",
    /// The order has an unanswered entry, replacement or cancel.
    OrderBusy => "refused_order_busy",
    /// A replacement would turn a sell that was marked long into a short sale.
    ShortMark => "refused_short_mark",
    /// The position could grow past its limit.
    Position => "refused_position",
    /// Gross exposure could grow past its limit.
    GrossValue => "refused_gross_value",
    /// Too many open orders.
    OpenOrders => "refused_open_orders",
    /// The same order left a moment ago.
    Repeated => "refused_repeated",
    /// Too many messages a second on this port.
    PortRate => "refused_port_rate",
    /// Too many messages a second in this instrument.
    SymbolRate => "refused_symbol_rate",
    /// No `user_ref_num` is left.
    RefsExhausted => "refused_refs_exhausted",
    /// The journal cannot keep up, or cannot be written.
    Journal => "refused_journal",
    /// The kill switch was thrown.
    Killed => "refused_killed",
    /// Outside the hours in which new orders may leave.
    Hours => "refused_hours",
}

impl Refusal {
    /// Number of reasons.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`Refusal::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for Refusal {}

/// What risk decided, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RiskCounters {
    /// New orders cleared.
    pub enters: u64,
    /// Replacements cleared.
    pub replaces: u64,
    /// Cancels cleared.
    pub cancels: u64,
    /// Cleared requests that could not be sent and were taken back.
    pub released: u64,
    /// Refusals, by [`Refusal::index`].
    pub refused: [u64; Refusal::COUNT],
}

impl RiskCounters {
    /// Names and values for display.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 4 + Refusal::COUNT] {
        let mut rows = [("", 0); 4 + Refusal::COUNT];
        let cleared = [
            ("cleared_enters", self.enters),
            ("cleared_replaces", self.replaces),
            ("cleared_cancels", self.cancels),
            ("cleared_released", self.released),
        ];
        let refused = Refusal::ALL.iter().map(|why| (why.name(), self.of(*why)));
        for (row, value) in rows.iter_mut().zip(cleared.into_iter().chain(refused)) {
            *row = value;
        }
        rows
    }

    /// How often an intent was refused for this reason.
    #[must_use]
    pub const fn of(&self, why: Refusal) -> u64 {
        self.refused[why.index()]
    }

    /// Refusals for any reason.
    #[must_use]
    pub fn all_refused(&self) -> u64 {
        self.refused.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_distinct_names_and_say_something() {
        for (i, why) in Refusal::ALL.iter().enumerate() {
            assert_eq!(why.index(), i);
            assert!(why.to_string().ends_with('.') && !why.to_string().starts_with(' '), "{why}");
            assert!(Refusal::ALL.iter().skip(i + 1).all(|other| other.name() != why.name()));
        }
        let mut counters = RiskCounters { cancels: 7, ..RiskCounters::default() };
        counters.refused[Refusal::Collar.index()] = 3;
        assert!(counters.rows().contains(&("refused_collar", 3)));
        assert!(counters.rows().contains(&("cleared_cancels", 7)));
        assert_eq!(counters.rows().last().map(|row| row.0), Some("refused_hours"));
    }
}
