//! The flat form of an order message: what a feed decodes whole packets into, and a book reads at full speed.
//!
//! [`Event`] says everything that may happen, and has to be taken apart by its kind. An [`OrderMessage`] says only what
//! happens to displayed orders, with every field at one place whatever the kind: it can be written without a branch,
//! and read ahead of its turn. [`OrderMessage::event`] is the way back.

use super::{Event, EventKind, Price, Side, Symbol};

/// One message about a displayed order: one cache line. Fields that its kind does not have are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct OrderMessage {
    /// Day-unique reference of the order that joins ([`Self::ADD`]), else of the resting order.
    pub order_ref: u64,
    /// [`Self::REPLACE`]: reference of the order that joins in its stead.
    pub new_order_ref: u64,
    /// Exchange time, ns since local midnight.
    pub timestamp: u64,
    /// Shares added, executed or cancelled; of the new order for [`Self::REPLACE`]. [`Self::DELETE`]: `u32::MAX`, all
    /// that are left.
    pub shares: u32,
    /// Limit price of what joins ([`Self::ADD`], [`Self::REPLACE`]); the trade's price for [`Self::EXECUTE_PRICED`].
    pub price: Price,
    /// Day-scoped instrument index (ITCH `stock_locate`); 0 = not about one instrument.
    pub locate: u16,
    /// The exchange's own tracking number.
    pub tracking: u16,
    /// One of the codes from [`Self::NONE`] to [`Self::EXECUTE_PRICED`].
    pub kind: u8,
    /// [`Self::ADD`]: `b'B'` or `b'S'`.
    pub side: u8,
    /// Executions: `b'Y'` where the trade counts into volume and time-and-sales; any other code says that it does not.
    pub printable: u8,
    /// Zero.
    pub pad: u8,
    /// Executions: the exchange's number of the match.
    pub match_number: u64,
    /// [`Self::ADD`]: the ticker.
    pub symbol: Symbol,
    /// [`Self::ADD`]: the participant, where the feed names one.
    pub attribution: [u8; 4],
    /// Zero.
    pub pad2: [u8; 4],
}

// Readers look ahead by whole lines.
const _: () = assert!(size_of::<OrderMessage>() == 64);

impl OrderMessage {
    /// Nothing that this form can say: read the message itself. All other fields are zero.
    pub const NONE: u8 = 0;
    /// A new displayed order ([`EventKind::Add`]).
    pub const ADD: u8 = 1;
    /// An execution at the order's own price ([`EventKind::Execute`]).
    pub const EXECUTE: u8 = 2;
    /// Part of an order was cancelled ([`EventKind::Cancel`]).
    pub const CANCEL: u8 = 3;
    /// The order left the book ([`EventKind::Delete`]).
    pub const DELETE: u8 = 4;
    /// The order left the book and a new one joined ([`EventKind::Replace`]).
    pub const REPLACE: u8 = 5;
    /// An execution at a price of its own ([`EventKind::Execute`] with a price).
    pub const EXECUTE_PRICED: u8 = 6;

    /// The record of kind [`Self::NONE`].
    pub const EMPTY: Self = Self {
        order_ref: 0,
        new_order_ref: 0,
        timestamp: 0,
        shares: 0,
        price: Price(0),
        locate: 0,
        tracking: 0,
        kind: Self::NONE,
        side: 0,
        printable: 0,
        pad: 0,
        match_number: 0,
        symbol: Symbol([0; 8]),
        attribution: [0; 4],
        pad2: [0; 4],
    };

    /// The same as an [`Event`], which keeps no tracking and match numbers, ticker or participant. `None` for
    /// [`Self::NONE`], for unknown kinds, and for an [`Self::ADD`] without a side.
    #[inline]
    #[must_use]
    pub const fn event(&self) -> Option<Event> {
        let Self { order_ref, new_order_ref, shares, price, .. } = *self;
        let kind = match self.kind {
            Self::ADD => {
                let side = match self.side {
                    b'B' => Side::Buy,
                    b'S' => Side::Sell,
                    _ => return None,
                };
                EventKind::Add { order_ref, side, shares, price }
            }
            Self::EXECUTE => {
                EventKind::Execute { order_ref, shares, price: None, printable: self.printable == b'Y' }
            }
            Self::EXECUTE_PRICED => EventKind::Execute {
                order_ref,
                shares,
                price: Some(price),
                printable: self.printable == b'Y',
            },
            Self::CANCEL => EventKind::Cancel { order_ref, shares },
            Self::DELETE => EventKind::Delete { order_ref },
            Self::REPLACE => EventKind::Replace { order_ref, new_order_ref, shares, price },
            _ => return None,
        };
        Some(Event { locate: self.locate, timestamp: self.timestamp, kind })
    }

    /// `event` in the flat form, with zeros for what an [`Event`] does not keep; `None` where it is not about a
    /// displayed order.
    #[must_use]
    pub const fn from_event(event: &Event) -> Option<Self> {
        let mut flat = Self { locate: event.locate, timestamp: event.timestamp, ..Self::EMPTY };
        match event.kind {
            EventKind::Add { order_ref, side, shares, price } => {
                flat.kind = Self::ADD;
                flat.order_ref = order_ref;
                flat.side = match side {
                    Side::Buy => b'B',
                    Side::Sell => b'S',
                };
                flat.shares = shares;
                flat.price = price;
            }
            EventKind::Execute { order_ref, shares, price, printable } => {
                flat.kind = Self::EXECUTE;
                flat.order_ref = order_ref;
                flat.shares = shares;
                if let Some(price) = price {
                    flat.kind = Self::EXECUTE_PRICED;
                    flat.price = price;
                }
                flat.printable = if printable { b'Y' } else { b'N' };
            }
            EventKind::Cancel { order_ref, shares } => {
                flat.kind = Self::CANCEL;
                flat.order_ref = order_ref;
                flat.shares = shares;
            }
            EventKind::Delete { order_ref } => {
                flat.kind = Self::DELETE;
                flat.order_ref = order_ref;
                flat.shares = u32::MAX;
            }
            EventKind::Replace { order_ref, new_order_ref, shares, price } => {
                flat.kind = Self::REPLACE;
                flat.order_ref = order_ref;
                flat.new_order_ref = new_order_ref;
                flat.shares = shares;
                flat.price = price;
            }
            EventKind::Trade { .. }
            | EventKind::Directory { .. }
            | EventKind::Trading(_)
            | EventKind::OperationalHalt(_)
            | EventKind::MarketHalt
            | EventKind::System(_)
            | EventKind::Other => return None,
        }
        Some(flat)
    }
}

#[cfg(test)]
mod tests {
    use std::mem::{align_of, offset_of};

    use super::*;

    #[test]
    fn every_field_has_its_place_in_one_line() {
        assert_eq!((size_of::<OrderMessage>(), align_of::<OrderMessage>()), (64, 64));
        let places = [
            (offset_of!(OrderMessage, order_ref), 0),
            (offset_of!(OrderMessage, new_order_ref), 8),
            (offset_of!(OrderMessage, timestamp), 16),
            (offset_of!(OrderMessage, shares), 24),
            (offset_of!(OrderMessage, price), 28),
            (offset_of!(OrderMessage, locate), 32),
            (offset_of!(OrderMessage, tracking), 34),
            (offset_of!(OrderMessage, kind), 36),
            (offset_of!(OrderMessage, side), 37),
            (offset_of!(OrderMessage, printable), 38),
            (offset_of!(OrderMessage, pad), 39),
            (offset_of!(OrderMessage, match_number), 40),
            (offset_of!(OrderMessage, symbol), 48),
            (offset_of!(OrderMessage, attribution), 56),
            (offset_of!(OrderMessage, pad2), 60),
        ];
        for (actual, documented) in places {
            assert_eq!(actual, documented);
        }
    }

    #[test]
    fn an_order_event_survives_the_flat_form_and_no_other_has_one() {
        let (order_ref, new_order_ref, shares, price) = (u64::MAX, 1 << 40, 300, Price(1_234_500));
        let orders = [
            EventKind::Add { order_ref, side: Side::Buy, shares, price },
            EventKind::Add { order_ref, side: Side::Sell, shares: u32::MAX, price: Price(0) },
            EventKind::Execute { order_ref, shares, price: None, printable: true },
            EventKind::Execute { order_ref, shares, price: Some(price), printable: true },
            EventKind::Execute { order_ref, shares, price: Some(Price(0)), printable: false },
            EventKind::Cancel { order_ref, shares },
            EventKind::Delete { order_ref },
            EventKind::Replace { order_ref, new_order_ref, shares, price },
        ];
        for kind in orders {
            let event = Event { locate: 0x0102, timestamp: 34_200_123_456_789, kind };
            let flat = OrderMessage::from_event(&event).unwrap();
            assert_eq!(flat.event(), Some(event));
            assert_eq!(
                flat.shares == u32::MAX && flat.kind != OrderMessage::ADD,
                flat.kind == OrderMessage::DELETE
            );
        }
        for kind in [
            EventKind::Trade { shares: 1, price, cross: false },
            EventKind::Directory { symbol: Symbol(*b"ZVZZT   "), round_lot: 100 },
            EventKind::MarketHalt,
            EventKind::Other,
        ] {
            assert_eq!(OrderMessage::from_event(&Event { locate: 1, timestamp: 2, kind }), None);
        }
    }

    #[test]
    fn what_is_no_order_message_is_no_event() {
        for kind in (0..=u8::MAX)
            .filter(|kind| !(OrderMessage::EXECUTE..=OrderMessage::EXECUTE_PRICED).contains(kind))
        {
            // Among them ADD, which has no side here.
            assert_eq!(OrderMessage { kind, ..OrderMessage::EMPTY }.event(), None);
        }
    }
}
