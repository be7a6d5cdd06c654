//! What a venue says about our orders, freed from the protocol that said it.
//!
//! Sessions ([`crate::order::Session`]) turn replies into [`OrderEvent`]s, [`super::Blotter`] turns those into
//! positions and open orders, and hands a strategy an [`OrderUpdate`]. Prices are in 1/10,000, quantities are shares,
//! time stamps are the venue's ns since midnight.

use crate::market::{Price, Side, Symbol};

/// How long an order may rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeInForce {
    /// Until the end of the day.
    Day,
    /// Immediate or cancel: what does not trade at once is cancelled by the venue.
    Ioc,
}

/// One reply of the venue, or one fact about the session that carries the replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderEvent {
    /// The order concerned; 0 where the event is not about one order.
    pub user_ref_num: u32,
    /// Venue time, ns since midnight; 0 where the session itself made the event.
    pub timestamp: u64,
    /// What happened.
    pub kind: OrderEventKind,
}

/// What an [`OrderEvent`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderEventKind {
    /// A new order was accepted.
    Accepted {
        /// Shares accepted.
        shares: u32,
        /// Price accepted; the venue may re-price an order, never for the worse.
        price: Price,
        /// The reference under which the order shows in the market-data feed, where it is displayed.
        order_ref: u64,
        /// False: accepted and dead at once.
        live: bool,
    },
    /// An order that a process before this one had entered was accepted, as the venue repeats it.
    Adopted {
        /// Ticker.
        symbol: Symbol,
        /// Side.
        side: Side,
        /// Marked as a short sale.
        short: bool,
        /// How long it may rest.
        time_in_force: TimeInForce,
        /// Shares accepted.
        shares: u32,
        /// Price accepted.
        price: Price,
        /// The reference under which the order shows in the market-data feed, where it is displayed.
        order_ref: u64,
        /// False: accepted and dead at once.
        live: bool,
    },
    /// Part or all of an order traded.
    Executed {
        /// Shares traded now (a decrement).
        shares: u32,
        /// Trade price.
        price: Price,
        /// The venue's number of the match; names the trade in a later [`OrderEventKind::Broken`].
        match_number: u64,
        /// The venue's liquidity code.
        liquidity: u8,
    },
    /// Shares were taken off an order; with self-match prevention the reason is `Q`.
    Canceled {
        /// Shares cancelled now (a decrement).
        shares: u32,
        /// The venue's reason code.
        reason: u8,
    },
    /// An order or a replacement was refused.
    Rejected {
        /// The venue's reason code.
        reason: u16,
    },
    /// A replacement took the place of an order; `user_ref_num` is the new order.
    Replaced {
        /// The order that left.
        original: u32,
        /// Shares left exposed by the new order.
        shares: u32,
        /// Price of the new order.
        price: Price,
        /// Its reference in the market-data feed.
        order_ref: u64,
        /// False: dead at once.
        live: bool,
    },
    /// The cancel will be carried out later (a cross is in progress).
    CancelPending,
    /// The cancel was refused; the order lives on.
    CancelReject,
    /// A trade was taken back.
    Broken {
        /// The match that is undone.
        match_number: u64,
        /// The venue's reason code.
        reason: u8,
    },
    /// The order lost its place: new reference, perhaps a new display price.
    PriorityUpdate {
        /// Price at which it now stands.
        price: Price,
        /// New reference in the market-data feed.
        order_ref: u64,
    },
    /// The order was modified in place.
    Modified {
        /// Shares outstanding after it.
        shares: u32,
    },
    /// The venue restated the order (reserve refresh, displayed price).
    Restated {
        /// The venue's reason code.
        reason: u8,
    },
    /// A system event of the venue (`S` start of day, `E` end of day).
    System {
        /// The venue's code.
        code: u8,
    },
    /// The answer to an account query.
    NextUserRef {
        /// The next `user_ref_num` that the venue will accept.
        next: u32,
    },
    /// The connection is gone. Whether what is unanswered came there is not known before [`OrderEventKind::Resumed`].
    Disconnected,
    /// The venue has said everything again that was not heard. Orders and cancels that it never saw were rejected
    /// ([`NEVER_ARRIVED`]) before this event.
    Resumed {
        /// The next `user_ref_num` that the venue will accept.
        next: u32,
    },
    /// Replies were lost or could not be read: positions are uncertain from here on.
    Lost {
        /// How many messages, as far as the sequence numbers tell.
        messages: u64,
    },
}

/// Reason of an [`OrderEventKind::Rejected`] that the session made: the connection broke before the order came there.
pub const NEVER_ARRIVED: u16 = u16::MAX;

/// What one [`OrderEvent`] meant for one of our orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderUpdate {
    /// The event itself.
    pub event: OrderEvent,
    /// Instrument of the order.
    pub locate: u16,
    /// Side of the order.
    pub side: Side,
    /// Our position in the instrument after the event, in shares; negative = short.
    pub position: i64,
    /// Where the order stands after the event.
    pub state: OrderState,
}

impl OrderUpdate {
    /// Is it about this order of ours, or about the one that takes its place?
    #[must_use]
    pub const fn is_about(&self, user_ref_num: u32) -> bool {
        let told = match self.state {
            OrderState::Open { order, .. } => order == user_ref_num,
            OrderState::Closed | OrderState::Unaffected => false,
        };
        told || self.event.user_ref_num == user_ref_num
    }
}

/// Where an order, or the chain of an order and its replacements, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// It is at the venue, or on its way there.
    Open {
        /// The `user_ref_num` by which to replace or cancel it.
        order: u32,
        /// Shares still open.
        shares: u32,
        /// Its price.
        price: Price,
        /// True while an entry, a replacement or a cancel of ours is unanswered: wait.
        pending: bool,
    },
    /// Nothing of it is left.
    Closed,
    /// The event did not change it (a broken trade, for instance).
    Unaffected,
}
