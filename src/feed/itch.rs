//! The protocol adapter for TotalView-ITCH 5.0: one message block in, one [`Event`] out.
//!
//! What a book, a strategy or risk can use becomes an event; the rest ([`EventKind::Other`]) keeps its locate and time.
//! Unknown types are `Other` too: the exchange may add some on any day. Codes that the document does not list are read
//! the cautious way: an unknown trading state is a halt, an unknown halt action is one, an unknown printable flag is
//! not printable. Only a side that is neither `B` nor `S` makes a message useless, and is an error.
//!
//! `W` (a breach of a market-wide circuit breaker, whatever its level) halts every instrument until its own `H`; on the
//! wire each instrument's own `H` follows, but not at the same moment.
//!
//! `h` (operational halt) names the market that it concerns. Nasdaq's own (`Q`) is an event; halts of its sister markets,
//! where this feed's orders do not trade, are `Other`.

pub mod batch;

use crate::market::{Event, EventKind, Price, Side, Symbol, SystemEvent, TradingState};
use crate::wire::itch::{self, Message};
use crate::wire::moldudp64;

/// The market whose operational halts concern us.
const MARKET: u8 = b'Q';

/// Why a block gives no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not an ITCH message.
    #[error(transparent)]
    Wire(#[from] itch::Error),
    /// An order with a side that is neither buy nor sell.
    #[error("order with side '{}', must be B or S", .0.escape_ascii())]
    Side(u8),
}

/// How often each [`Error`] was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorCounters {
    /// Blocks that are no ITCH messages.
    pub wire: itch::ErrorCounters,
    /// Orders that are neither bought nor sold.
    pub itch_bad_side: u64,
}

impl ErrorCounters {
    /// Adds one to the counter of `error`.
    #[inline]
    pub const fn count(&mut self, error: Error) {
        match error {
            Error::Wire(error) => self.wire.count(error),
            Error::Side(_) => self.itch_bad_side += 1,
        }
    }

    /// Name and value of each counter.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 3] {
        let [empty, bad_length] = self.wire.rows();
        [empty, bad_length, ("itch_bad_side", self.itch_bad_side)]
    }
}

/// The event of one message block.
///
/// # Errors
/// [`Error`]: an empty block, a known type of a wrong length, or an order without a side. The block used up its
/// sequence all the same; nothing of it may reach a book.
#[inline]
pub fn decode(block: &[u8]) -> Result<Event, Error> {
    let message = Message::parse(block)?;
    let kind = match message {
        Message::AddOrder(add) => EventKind::Add {
            order_ref: add.order_ref(),
            side: side(add.side())?,
            shares: add.shares(),
            price: Price(add.price()),
        },
        Message::AddOrderMpid(add) => EventKind::Add {
            order_ref: add.order_ref(),
            side: side(add.side())?,
            shares: add.shares(),
            price: Price(add.price()),
        },
        Message::OrderDelete(delete) => EventKind::Delete { order_ref: delete.order_ref() },
        Message::OrderReplace(replace) => EventKind::Replace {
            order_ref: replace.orig_order_ref(),
            new_order_ref: replace.new_order_ref(),
            shares: replace.shares(),
            price: Price(replace.price()),
        },
        Message::OrderExecuted(executed) => EventKind::Execute {
            order_ref: executed.order_ref(),
            shares: executed.executed_shares(),
            price: None,
            printable: true,
        },
        Message::OrderExecutedWithPrice(executed) => EventKind::Execute {
            order_ref: executed.order_ref(),
            shares: executed.executed_shares(),
            price: Some(Price(executed.execution_price())),
            printable: executed.printable() == b'Y',
        },
        Message::OrderCancel(cancel) => {
            EventKind::Cancel { order_ref: cancel.order_ref(), shares: cancel.cancelled_shares() }
        }
        Message::Trade(trade) => {
            EventKind::Trade { shares: u64::from(trade.shares()), price: Price(trade.price()), cross: false }
        }
        Message::CrossTrade(trade) => {
            EventKind::Trade { shares: trade.shares(), price: Price(trade.cross_price()), cross: true }
        }
        Message::StockDirectory(directory) => {
            EventKind::Directory { symbol: Symbol(directory.stock()), round_lot: directory.round_lot_size() }
        }
        Message::StockTradingAction(action) => EventKind::Trading(trading_state(action.trading_state())),
        Message::OperationalHalt(halt) if halt.market_code() == MARKET => {
            EventKind::OperationalHalt(halt.halt_action() != b'T')
        }
        Message::MwcbStatus(_) => EventKind::MarketHalt,
        Message::SystemEvent(event) => EventKind::System(system_event(event.event_code())),
        Message::OperationalHalt(_)
        | Message::RegShoRestriction(_)
        | Message::MarketParticipantPosition(_)
        | Message::MwcbDeclineLevel(_)
        | Message::IpoQuotingPeriodUpdate(_)
        | Message::LuldAuctionCollar(_)
        | Message::BrokenTrade(_)
        | Message::Noii(_)
        | Message::RetailInterest(_)
        | Message::DirectListing(_)
        | Message::Unknown { .. } => EventKind::Other,
    };
    Ok(Event { locate: message.stock_locate(), timestamp: message.timestamp(), kind })
}

/// The `stock_locate` of a block, which every type has at the same place; `None` where the block is too short for it.
#[inline]
#[must_use]
pub const fn locate(block: &[u8]) -> Option<u16> {
    match block {
        [_, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// What the first message of a packet seems to be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// Its `stock_locate`.
    pub locate: u16,
    /// Its `order_ref`.
    pub order_ref: u64,
}

/// What the first message of a MoldUDP64 packet would be about if it were one about a displayed order: all seven types have
/// locate and reference at the same places. Nothing is verified, not even that `packet` is one: a hint, for caches.
#[inline]
#[must_use]
pub fn glimpse(packet: &[u8]) -> Option<Glimpse> {
    const FIRST: usize = moldudp64::HEADER_LEN + moldudp64::BLOCK_HEADER_LEN;
    let first = packet.get(FIRST..)?.first_chunk::<{ itch::COMMON_LEN + 8 }>()?;
    let (&[_, high, low, ..], order_ref) = first.split_first_chunk::<{ itch::COMMON_LEN }>()?;
    let order_ref = u64::from_be_bytes(*order_ref.first_chunk()?);
    Some(Glimpse { locate: u16::from_be_bytes([high, low]), order_ref })
}

/// What a block that gives no event may have cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing: it is of a type that no book keeps, or empty (MoldUDP64 allows that).
    None,
    /// What it said about this instrument is missing.
    Instrument(u16),
    /// It concerned an instrument that cannot be known.
    Unknown,
}

/// What `block`, for which [`decode`] returned an error, may have cost.
#[must_use]
pub const fn damage(block: &[u8]) -> Damage {
    match block {
        [] => Damage::None,
        [b'A' | b'F' | b'E' | b'C' | b'X' | b'D' | b'U' | b'R' | b'H' | b'h', rest @ ..] => match rest {
            [high, low, ..] => Damage::Instrument(u16::from_be_bytes([*high, *low])),
            _ => Damage::Unknown,
        },
        // It would have halted every instrument.
        [b'W', ..] => Damage::Unknown,
        _ => Damage::None,
    }
}

#[inline]
const fn side(code: u8) -> Result<Side, Error> {
    match code {
        b'B' => Ok(Side::Buy),
        b'S' => Ok(Side::Sell),
        other => Err(Error::Side(other)),
    }
}

const fn trading_state(code: u8) -> TradingState {
    match code {
        b'T' => TradingState::Trading,
        b'Q' => TradingState::QuotationOnly,
        b'P' => TradingState::Paused,
        _ => TradingState::Halted,
    }
}

const fn system_event(code: u8) -> SystemEvent {
    match code {
        b'O' => SystemEvent::StartOfMessages,
        b'S' => SystemEvent::StartOfSystemHours,
        b'Q' => SystemEvent::StartOfMarketHours,
        b'M' => SystemEvent::EndOfMarketHours,
        b'E' => SystemEvent::EndOfSystemHours,
        b'C' => SystemEvent::EndOfMessages,
        other => SystemEvent::Unknown(other),
    }
}

#[cfg(test)]
mod tests;
