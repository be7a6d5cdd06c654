//! What risk has cleared, and nothing else, may be sent.

use crate::blotter::TimeInForce;
use crate::market::{Price, Side, Symbol};

/// Everything that a session needs to write one order message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A new order.
    Enter {
        /// Our number for it.
        user_ref_num: u32,
        /// Ticker.
        symbol: Symbol,
        /// Side.
        side: Side,
        /// A sell that could take the position below zero must be marked a short sale.
        short: bool,
        /// Shares.
        shares: u32,
        /// Limit price.
        price: Price,
        /// How long it may rest.
        time_in_force: TimeInForce,
    },
    /// A replacement.
    Replace {
        /// The order that leaves.
        original: u32,
        /// Our number for the order that takes its place.
        user_ref_num: u32,
        /// Shares of the whole chain: those already executed and those to be exposed.
        total_shares: u32,
        /// Limit price.
        price: Price,
        /// How long it may rest.
        time_in_force: TimeInForce,
    },
    /// A cancel of all that is left.
    Cancel {
        /// The order that leaves.
        user_ref_num: u32,
    },
}

/// What a request would have been, had it been asked for in earnest. It has no number that is used up, and no session sends it.
#[derive(Debug)]
pub struct Rehearsal(Request);

impl Rehearsal {
    pub(super) const fn new(request: Request) -> Self {
        Self(request)
    }

    /// What would have been sent.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.0
    }
}

/// A request that passed every check. Only [`super::Risk`] makes one; it can be neither copied nor altered.
#[derive(Debug, PartialEq, Eq)]
pub struct Cleared {
    request: Request,
    locate: u16,
}

impl Cleared {
    pub(super) const fn new(request: Request, locate: u16) -> Self {
        Self { request, locate }
    }

    /// What to send.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// The instrument concerned.
    #[must_use]
    pub const fn locate(&self) -> u16 {
        self.locate
    }

    /// The new order's number, or that of the order to cancel.
    #[must_use]
    pub const fn user_ref_num(&self) -> u32 {
        match self.request {
            Request::Enter { user_ref_num, .. }
            | Request::Replace { user_ref_num, .. }
            | Request::Cancel { user_ref_num } => user_ref_num,
        }
    }
}
