//! The vocabulary of the market: what every floor above the wire says the same way.
//!
//! Protocol adapters ([`crate::feed`]) turn the messages of one exchange into [`Event`]s; books, strategies and
//! risk see only these. Units: prices are fixed-point integers in 1/10,000 of a dollar ([`Price`]), quantities
//! are shares, times are ns since local midnight of the exchange.

mod order_message;

use std::fmt;

pub use order_message::OrderMessage;

/// A price in 1/10,000 of the currency unit, `0 ..= 4_294_967_295` (ITCH's own limit is 2,000,000,000).
///
/// Integers end to end: no float ever touches money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub u32);

impl Price {
    /// Implied decimals of the integer.
    pub const DECIMALS: u32 = 4;
    /// Units in one dollar.
    pub const ONE: u32 = 10_000;
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Formatted whole first, so that width and alignment apply to the number and not to its parts.
        f.pad(&format!("{}.{:04}", self.0 / Self::ONE, self.0 % Self::ONE))
    }
}

/// The side of an order or of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    /// Bids: the best is the highest price.
    Buy = 0,
    /// Asks: the best is the lowest price.
    Sell = 1,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

/// A ticker of up to eight ASCII characters, left-justified, padded with spaces, as all our feeds send it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub [u8; 8]);

impl Symbol {
    /// From text of 1 to 8 printable ASCII characters without spaces; `None` for anything else.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > 8 || !bytes.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut padded = [b' '; 8];
        for (to, from) in padded.iter_mut().zip(bytes) {
            *to = *from;
        }
        Some(Self(padded))
    }
}

impl fmt::Display for Symbol {
    /// Without the padding; bytes that are not printable ASCII show as `?`, so that a bad feed cannot drive a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().rposition(|b| *b != b' ').map_or(0, |last| last + 1);
        let text: String = self
            .0
            .iter()
            .take(end)
            .map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '?' })
            .collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({self})")
    }
}

/// May this book be believed? Closed is the default: a book starts `Stale`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BookState {
    /// Something was missed, or the stream was never seen from its start: the book may be wrong. No order may use it.
    #[default]
    Stale = 0,
    /// Being rebuilt from a snapshot or from re-requested messages. No order may use it.
    Recovering = 1,
    /// Every message since the start of the session (or since a snapshot) was applied.
    Live = 2,
}

/// May this instrument be traded? Closed is the default: a symbol absent from the pre-open spin counts as halted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TradingState {
    /// Halted across all markets, or not yet announced.
    #[default]
    Halted = 0,
    /// Paused (volatility auction).
    Paused = 1,
    /// Quotation only; no trading.
    QuotationOnly = 2,
    /// Trading.
    Trading = 3,
}

/// One price level: its price, the shares displayed there, and how many orders make them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level {
    /// Price of the level.
    pub price: Price,
    /// Sum of the displayed shares.
    pub shares: u64,
    /// Number of orders queued.
    pub orders: u32,
}

/// Best bid and offer (BBO) of one instrument. `None` where a side is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TopOfBook {
    /// Highest bid.
    pub bid: Option<Level>,
    /// Lowest ask.
    pub ask: Option<Level>,
}

impl TopOfBook {
    /// The best level of `side`.
    #[must_use]
    pub const fn side(&self, side: Side) -> Option<Level> {
        match side {
            Side::Buy => self.bid,
            Side::Sell => self.ask,
        }
    }
}

/// One thing that happened in the market, freed from the protocol that said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Day-scoped instrument index (ITCH `stock_locate`); 0 = not about one instrument.
    pub locate: u16,
    /// Exchange time, ns since local midnight.
    pub timestamp: u64,
    /// What happened.
    pub kind: EventKind,
}

/// What an [`Event`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A new displayed order at the back of its level's queue.
    Add {
        /// Day-unique order reference.
        order_ref: u64,
        /// Side of the order.
        side: Side,
        /// Displayed shares.
        shares: u32,
        /// Limit price.
        price: Price,
    },
    /// Part or all of an order traded; the order keeps its place until nothing is left.
    Execute {
        /// The resting order.
        order_ref: u64,
        /// Shares traded now (a decrement).
        shares: u32,
        /// Trade price where it differs from the order's own; the order itself stays at its display price.
        price: Option<Price>,
        /// False: the trade must not count into volume or time-and-sales.
        printable: bool,
    },
    /// Part of an order was cancelled; it keeps its place in the queue.
    Cancel {
        /// The resting order.
        order_ref: u64,
        /// Shares cancelled now (a decrement).
        shares: u32,
    },
    /// The order left the book.
    Delete {
        /// The resting order.
        order_ref: u64,
    },
    /// The order left the book and a new one on the same side joined the back of a queue.
    Replace {
        /// The order that leaves.
        order_ref: u64,
        /// The order that joins.
        new_order_ref: u64,
        /// Displayed shares of the new order.
        shares: u32,
        /// Limit price of the new order.
        price: Price,
    },
    /// A trade that touches no displayed order (hidden orders, crosses).
    Trade {
        /// Shares traded.
        shares: u64,
        /// Trade price.
        price: Price,
        /// True for an opening, closing, halt or IPO cross.
        cross: bool,
    },
    /// The instrument exists today under this locate.
    Directory {
        /// Its ticker.
        symbol: Symbol,
        /// Shares in a round lot.
        round_lot: u32,
    },
    /// The instrument's trading state changed.
    Trading(TradingState),
    /// One market's operational halt began (`true`) or ended; independent of [`EventKind::Trading`].
    OperationalHalt(bool),
    /// A market-wide circuit breaker was tripped: every instrument is halted until its own [`EventKind::Trading`].
    MarketHalt,
    /// A market-wide session event.
    System(SystemEvent),
    /// Nothing that a book keeps (administrative, imbalance, and unknown messages).
    Other,
}

/// Session events of a trading day, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SystemEvent {
    /// First message of the day.
    StartOfMessages,
    /// The system accepts orders.
    StartOfSystemHours,
    /// The market opened.
    StartOfMarketHours,
    /// The market closed.
    EndOfMarketHours,
    /// The system accepts no more orders; deletes may still follow.
    EndOfSystemHours,
    /// Last message of the day.
    EndOfMessages,
    /// A code that this version does not know.
    Unknown(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_prints_four_decimals_and_aligns() {
        assert_eq!(Price(1_234_500).to_string(), "123.4500");
        assert_eq!(format!("{:>10}", Price(7)), "    0.0007");
    }

    #[test]
    fn symbol_accepts_tickers_and_refuses_the_rest() {
        assert_eq!(Symbol::new("AAPL").map(|s| s.0), Some(*b"AAPL    "));
        assert_eq!(Symbol::new(""), None);
        assert_eq!(Symbol::new("TOOLONGXX"), None);
        assert_eq!(Symbol::new("A B"), None);
        assert_eq!(Symbol(*b"A\x1b[2J   ").to_string(), "A?[2J");
    }

    #[test]
    fn every_gate_is_closed_by_default() {
        assert_eq!(BookState::default(), BookState::Stale);
        assert_eq!(TradingState::default(), TradingState::Halted);
    }
}
