//! OUCH 5.0 for orders: cleared requests into messages, replies into events.
//!
//! Layouts are [`crate::wire::ouch`]'s; this file knows what the fields mean to us. What does not change from order to
//! order is an [`OuchProfile`].

use crate::blotter::{OrderEvent, OrderEventKind, TimeInForce};
use crate::market::{Price, Side, Symbol};
use crate::risk::Request;
use crate::wire::ouch::inbound::{CancelOrderPatch, EnterOrderPatch, ReplaceOrderPatch};
use crate::wire::ouch::{CancelOrder, EnterOrder, Error, Outbound, ReplaceOrder};

/// What all orders of a session have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OuchProfile {
    /// `A` agency, `P` principal, `R` riskless principal, `O` other.
    pub capacity: u8,
    /// `Y` visible, `N` hidden, `A` attributable.
    pub display: u8,
    /// Our own name for the orders, the same for each: `user_ref_num` tells them apart.
    pub cl_ord_id: [u8; 14],
}

impl Default for OuchProfile {
    /// Principal, visible, `WIREBOOK`.
    fn default() -> Self {
        Self { capacity: b'P', display: b'Y', cl_ord_id: *b"WIREBOOK      " }
    }
}

impl OuchProfile {
    /// A new order with everything that varies left at zero.
    pub(super) const fn enter(&self) -> EnterOrder {
        EnterOrder {
            user_ref_num: 0,
            side: 0,
            quantity: 0,
            symbol: [0; 8],
            price: 0,
            time_in_force: 0,
            display: self.display,
            capacity: self.capacity,
            iso: b'N',
            cross_type: b'N',
            cl_ord_id: self.cl_ord_id,
        }
    }

    /// A replacement, likewise.
    pub(super) const fn replace(&self) -> ReplaceOrder {
        ReplaceOrder {
            orig_user_ref_num: 0,
            user_ref_num: 0,
            quantity: 0,
            price: 0,
            time_in_force: 0,
            display: self.display,
            iso: b'N',
            cl_ord_id: self.cl_ord_id,
        }
    }
}

/// A cancel of all that is left, likewise.
pub(super) const CANCEL: CancelOrder = CancelOrder { user_ref_num: 0, quantity: 0 };

/// Writes what varies into a prepared message of the request's type.
#[inline]
pub(super) fn patch(message: &mut [u8], request: &Request) {
    match *request {
        Request::Enter { user_ref_num, symbol, side, short, shares, price, time_in_force } => {
            if let Some(mut patch) = EnterOrderPatch::new_checked(message) {
                patch
                    .user_ref_num(user_ref_num)
                    .side(side_code(side, short))
                    .quantity(shares)
                    .symbol(symbol.0)
                    .price(u64::from(price.0))
                    .time_in_force(time_in_force_code(time_in_force));
            }
        }
        Request::Replace { original, user_ref_num, total_shares, price, time_in_force } => {
            if let Some(mut patch) = ReplaceOrderPatch::new_checked(message) {
                patch
                    .orig_user_ref_num(original)
                    .user_ref_num(user_ref_num)
                    .quantity(total_shares)
                    .price(u64::from(price.0))
                    .time_in_force(time_in_force_code(time_in_force));
            }
        }
        Request::Cancel { user_ref_num } => {
            if let Some(mut patch) = CancelOrderPatch::new_checked(message) {
                patch.user_ref_num(user_ref_num);
            }
        }
    }
}

/// The side's code; short sales have their own.
const fn side_code(side: Side, short: bool) -> u8 {
    match (side, short) {
        (Side::Buy, _) => b'B',
        (Side::Sell, false) => b'S',
        (Side::Sell, true) => b'T',
    }
}

/// Side and short mark of a code; `None` for one that is no side.
const fn side_of(code: u8) -> Option<(Side, bool)> {
    match code {
        b'B' => Some((Side::Buy, false)),
        b'S' => Some((Side::Sell, false)),
        b'T' | b'E' => Some((Side::Sell, true)),
        _ => None,
    }
}

/// The code of the time in force.
const fn time_in_force_code(time_in_force: TimeInForce) -> u8 {
    match time_in_force {
        TimeInForce::Day => b'0',
        TimeInForce::Ioc => b'3',
    }
}

/// OUCH prices have 64 bits. What does not fit 32 is nonsense, but a trade is a trade: it counts at the highest price.
fn price(wide: u64) -> Price {
    Price(u32::try_from(wide).unwrap_or(u32::MAX))
}

/// Reads one reply. `None` for a type that means nothing to an order, or that this version does not know.
///
/// # Errors
/// The message is broken; whatever it said is lost.
pub fn decode(message: &[u8]) -> Result<Option<OrderEvent>, Error> {
    let (user_ref_num, timestamp, kind) = match Outbound::parse(message)? {
        Outbound::OrderAccepted(m) => {
            let kind = OrderEventKind::Accepted {
                shares: m.quantity(),
                price: price(m.price()),
                order_ref: m.order_ref(),
                live: m.order_state() != b'D',
            };
            (m.user_ref_num(), m.timestamp(), kind)
        }
        Outbound::OrderReplaced(m) => {
            let kind = OrderEventKind::Replaced {
                original: m.orig_user_ref_num(),
                shares: m.quantity(),
                price: price(m.price()),
                order_ref: m.order_ref(),
                live: m.order_state() != b'D',
            };
            (m.user_ref_num(), m.timestamp(), kind)
        }
        Outbound::OrderExecuted(m) => {
            let kind = OrderEventKind::Executed {
                shares: m.quantity(),
                price: price(m.price()),
                match_number: m.match_number(),
                liquidity: m.liquidity_flag(),
            };
            (m.user_ref_num(), m.timestamp(), kind)
        }
        Outbound::OrderCanceled(m) => {
            let kind = OrderEventKind::Canceled { shares: m.quantity(), reason: m.reason() };
            (m.user_ref_num(), m.timestamp(), kind)
        }
        Outbound::AiqCanceled(m) => {
            let kind = OrderEventKind::Canceled { shares: m.decrement_shares(), reason: m.reason() };
            (m.user_ref_num(), m.timestamp(), kind)
        }
        Outbound::BrokenTrade(m) => {
            let kind = OrderEventKind::Broken { match_number: m.match_number(), reason: m.reason() };
            (m.user_ref_num(), m.timestamp(), kind)
        }
        Outbound::Rejected(m) => {
            (m.user_ref_num(), m.timestamp(), OrderEventKind::Rejected { reason: m.reason() })
        }
        Outbound::CancelPending(m) => (m.user_ref_num(), m.timestamp(), OrderEventKind::CancelPending),
        Outbound::CancelReject(m) => (m.user_ref_num(), m.timestamp(), OrderEventKind::CancelReject),
        Outbound::OrderPriorityUpdate(m) => {
            let kind = OrderEventKind::PriorityUpdate { price: price(m.price()), order_ref: m.order_ref() };
            (m.user_ref_num(), m.timestamp(), kind)
        }
        Outbound::OrderModified(m) => {
            (m.user_ref_num(), m.timestamp(), OrderEventKind::Modified { shares: m.quantity() })
        }
        Outbound::OrderRestated(m) => {
            (m.user_ref_num(), m.timestamp(), OrderEventKind::Restated { reason: m.reason() })
        }
        Outbound::SystemEvent(m) => (0, m.timestamp(), OrderEventKind::System { code: m.event_code() }),
        Outbound::AccountQueryResponse(m) => {
            (0, m.timestamp(), OrderEventKind::NextUserRef { next: m.next_user_ref_num() })
        }
        Outbound::MassCancelResponse(_)
        | Outbound::DisableResponse(_)
        | Outbound::EnableResponse(_)
        | Outbound::Unknown { .. } => return Ok(None),
    };
    Ok(Some(OrderEvent { user_ref_num, timestamp, kind }))
}

/// Reads one reply that the venue repeats to a process that did not enter the orders: as [`decode`], and what was accepted
/// is [adopted](OrderEventKind::Adopted).
///
/// # Errors
/// As [`decode`].
pub fn decode_repeated(message: &[u8]) -> Result<Option<OrderEvent>, Error> {
    let Outbound::OrderAccepted(m) = Outbound::parse(message)? else { return decode(message) };
    let kind = match side_of(m.side()) {
        Some((side, short)) => OrderEventKind::Adopted {
            symbol: Symbol(m.symbol()),
            side,
            short,
            // Whatever is not gone at once rests.
            time_in_force: if m.time_in_force() == b'3' { TimeInForce::Ioc } else { TimeInForce::Day },
            shares: m.quantity(),
            price: price(m.price()),
            order_ref: m.order_ref(),
            live: m.order_state() != b'D',
        },
        // Something is open, and it cannot be told which way.
        None => OrderEventKind::Lost { messages: 1 },
    };
    Ok(Some(OrderEvent { user_ref_num: m.user_ref_num(), timestamp: m.timestamp(), kind }))
}
