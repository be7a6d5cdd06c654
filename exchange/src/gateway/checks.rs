//! From bytes to an order that the market may take, or the reason why not.

use crate::market::{Market, OutsideOrder, Refused};
use crate::ouch::{Enter, Reject};
use crate::units::{CENT, MAX_PRICE, Side};

/// From this price upward an order has no limit: 200,000 dollars.
const MARKET_PRICE: u64 = 2_000_000_000;

/// The first packet of a datagram: type, payload, what follows. `None` when it is cut short or has no type.
pub(super) fn soup(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (packet, after) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    let (kind, payload) = packet.split_first()?;
    Some((*kind, payload, after))
}

/// Checks what can be checked without the book. The side in the book is the answer.
pub(super) fn check(order: &Enter, market: &Market) -> Result<Side, Reject> {
    let side = match order.side {
        b'B' => Side::Buy,
        b'S' | b'T' | b'E' => Side::Sell,
        _ => return Err(Reject::Side),
    };
    if market.instrument_of(order.symbol).is_none() {
        Err(Reject::Symbol)
    } else if !(1..1_000_000).contains(&order.quantity) {
        Err(Reject::Quantity)
    } else if !matches!(order.display, b'Y' | b'A') {
        Err(Reject::Display)
    } else if order.iso != b'N' {
        Err(Reject::Iso)
    } else if order.cross != b'N' {
        Err(Reject::Cross)
    } else if !matches!(order.time_in_force, b'0' | b'3')
        || !matches!(order.capacity, b'A' | b'P' | b'R' | b'O')
    {
        Err(Reject::Other)
    } else {
        Ok(side)
    }
}

/// The order as the market takes it. Without a limit only an immediate one may be.
pub(super) fn outside(
    client: usize,
    order: &Enter,
    instrument: u32,
    side: Side,
) -> Result<OutsideOrder, Reject> {
    let rests = order.time_in_force == b'0';
    let price = match (order.price >= MARKET_PRICE, side) {
        (true, _) if rests => return Err(Reject::Price),
        (true, Side::Buy) => MAX_PRICE,
        (true, Side::Sell) => CENT,
        (false, _) => u32::try_from(order.price).map_err(|_| Reject::Price)?,
    };
    let mpid = (order.display == b'A').then(|| order.firm.unwrap_or(*b"CLNT"));
    let tag = ((client as u64 + 1) << 32) | u64::from(order.user_ref);
    Ok(OutsideOrder { tag, instrument, side, shares: order.quantity, price, rests, mpid })
}

pub(super) fn reject(refused: Refused) -> Reject {
    match refused {
        Refused::Closed => Reject::DestinationClosed,
        Refused::Halted => Reject::Halted,
        Refused::Instrument => Reject::Symbol,
        Refused::Shares => Reject::Quantity,
        Refused::Price => Reject::Price,
        Refused::Full | Refused::NotLive => Reject::Other,
    }
}
